"""Alpaca's hooks over the real alpaca-py client.

The client's own request models are bypassed on purpose: they turn quantities and prices into floats, drop an empty client order
id, and refuse a whole list because of one status they do not know. Its transport, signing and addresses are used as they are.
"""

import json
import re
from typing import Any
from urllib.parse import quote

from alpaca.trading.client import TradingClient

from logos_alpaca import errors, mapping
from logos_core.hookspecs import (
    BadAnswerError,
    CancelReceipt,
    Classification,
    Found,
    Inlet,
    NotSeen,
    Operation,
    OrderReference,
    Phase,
    PreparedOrder,
    ReconcileRequest,
    UnknownSymbolError,
    UnsupportedOrderError,
    VenueIdentity,
    VenueSnapshot,
    View,
    venue_hook,
)
from logos_core.instruments import Instrument
from logos_core.orders import OrderClass, OrderRequest
from logos_core.reports import ExecutionReport
from logos_core.transport import GuardedSession
from logos_core.venues import VenueSettings

PAGE = 500
FILL_PAGE = 100
MAX_PAGES = 400

_ORDER_ID = re.compile(r"[0-9A-Za-z-]+")
"""An empty id, or one of dots, would make `DELETE /v2/orders` of the request, which cancels every order of the account."""


class AlpacaVenue:
    """One Alpaca account.

    Its hooks keep nothing between calls, and the client only its key, its address and the session, which belongs to no thread.
    """

    concurrent = True

    def __init__(self, settings: VenueSettings) -> None:
        self._wire = settings.wire
        self._clock = settings.clock
        self._environment = settings.environment
        self._settings = settings
        self._client = guarded_client(settings)

    @venue_hook
    def identify(self) -> VenueIdentity:
        account = self._get("/account")
        if not isinstance(account, dict) or not account.get("account_number"):
            raise BadAnswerError("GET /v2/account names no account_number")
        return VenueIdentity(account_id=str(account["account_number"]), environment=self._environment)

    @venue_hook
    def instrument(self, symbol: str) -> Instrument:
        try:
            asset = self._get(f"/assets/{quote(symbol, safe='')}")
        except Exception as error:
            if self._is_absent():
                raise UnknownSymbolError(symbol) from error
            raise
        if asset.get("tradable") is not True:
            raise UnknownSymbolError(f"{symbol} is listed but not tradable")
        found = mapping.instrument(asset)
        if found.symbol != symbol:
            raise UnknownSymbolError(f"Alpaca spells {symbol} {found.symbol}, and would answer an order under that name")
        return found

    @venue_hook
    def prepare(self, request: OrderRequest) -> PreparedOrder:
        if request.in_place_of is not None:
            if request.quantity is not None and request.quantity % 1:
                raise UnsupportedOrderError("an order for a fraction of a share is not replaced, only cancelled and placed anew")
            return PreparedOrder(request=request, wire=mapping.replace_fields(request))
        if request.order_class is not OrderClass.SIMPLE and "/" in request.symbol:
            raise UnsupportedOrderError("a coin has no linked orders; submit its legs as orders of their own")
        return PreparedOrder(request=request, wire=mapping.wire_fields(request))

    @venue_hook
    def submit(self, prepared: PreparedOrder) -> ExecutionReport:
        body = self._client.post("/orders", dict(prepared.wire))
        self._expect(200)
        return mapping.report(body)

    @venue_hook
    def replace(self, reference: OrderReference, prepared: PreparedOrder) -> ExecutionReport:
        body = self._client.patch(f"/orders/{_order_id(reference)}", dict(prepared.wire))
        self._expect(200)
        return mapping.report(body)

    @venue_hook
    def cancel(self, reference: OrderReference) -> CancelReceipt:
        self._client.delete(f"/orders/{_order_id(reference)}")
        self._expect(204)
        return CancelReceipt()

    @venue_hook
    def lookup(self, reference: OrderReference) -> Found | NotSeen:
        try:
            order = self._get("/orders:by_client_order_id", {"client_order_id": reference.client_order_id})
        except Exception:
            if self._is_absent():
                view = View("GET /v2/orders:by_client_order_id", "404 40410000 order not found")
                return NotSeen(views=(view,), venue_time=None)
            raise
        if mapping.has_hidden_legs(order):
            order = self._get(f"/orders/{quote(str(order.get('id')), safe='')}", {"nested": "true"})
        report = mapping.report(order)
        if report.client_order_id != reference.client_order_id:
            raise BadAnswerError(f"asked for {reference.client_order_id}, got {report.client_order_id}")
        return Found(report)

    @venue_hook
    def reconcile(self, request: ReconcileRequest) -> VenueSnapshot:
        cursor = json.loads(request.cursor) if request.cursor else {"order": None, "fill": None}
        open_orders = mapping.reports(self._pages(self._orders, {"status": "open"}, None), request.prefix)
        changed = mapping.reports(self._pages(self._orders, {"status": "all"}, cursor["order"]), request.prefix)
        fills = [mapping.execution(fill) for fill in self._pages(self._fills, {}, cursor["fill"])]
        held = mapping.objects(self._get("/positions"))
        latest = {report.venue_order_id: report for report in changed}  # read later than the open list, so truer than it
        still_open = [latest.get(report.venue_order_id, report) for report in open_orders]
        following = {
            "order": _resume(changed, cursor["order"]),
            "fill": fills[-1].execution_id if fills else cursor["fill"],
        }
        return VenueSnapshot(
            open_orders=tuple(report for report in still_open if not report.status.is_final),
            changed_orders=tuple(changed),
            executions=tuple(fills),
            positions=tuple(mapping.position(item) for item in held),
            cursor=json.dumps(following),
        )

    @venue_hook
    def listen(self, inlet: Inlet) -> None:
        from logos_alpaca import stream  # who does not listen need not load what only that needs

        stream.listen(self._settings, inlet)

    @venue_hook
    def classify_error(self, error: Exception, operation: Operation, phase: Phase) -> Classification:
        return errors.classify(error, operation, phase, self._wire.current().answer)

    def _get(self, path: str, query: dict[str, str] | None = None) -> Any:
        body = self._client.get(path, query)
        self._expect(200)
        return body

    def _pages(self, page: Any, query: dict[str, str], after: str | None) -> list[Any]:
        """Return every row behind `after`; fail rather than return half of them."""
        rows: list[Any] = []
        for _ in range(MAX_PAGES):
            found, full = page(query, after)
            rows += found
            if not full:
                return rows
            after = found[-1]["id"]
        raise BadAnswerError(f"more than {MAX_PAGES} pages; raise the number or archive the account")

    def _orders(self, query: dict[str, str], after: str | None) -> tuple[list[Any], bool]:
        more = {"after_order_id": after} if after else {}
        found = mapping.objects(self._get("/orders", {**query, **more, "direction": "asc", "limit": str(PAGE), "nested": "true"}))
        return found, len(found) == PAGE

    def _fills(self, query: dict[str, str], after: str | None) -> tuple[list[Any], bool]:
        more = {"page_token": after} if after else {}
        path = "/account/activities/FILL"
        found = mapping.objects(self._get(path, {**query, **more, "direction": "asc", "page_size": str(FILL_PAGE)}))
        return found, len(found) == FILL_PAGE

    def _status(self) -> int | None:
        answer = self._wire.current().answer
        return answer.status if answer else None

    def _is_absent(self) -> bool:
        """Say whether Alpaca itself answered that there is no such thing; a proxy's 404 does not."""
        record = self._wire.current()
        return record.phase is Phase.ANSWERED and record.answer is not None and errors.is_absent(record.answer)

    def _expect(self, status: int) -> None:
        """Refuse an answer that the SDK took for a success: it returns a 307's body, or None, as if it were one."""
        if self._status() != status:
            raise BadAnswerError(f"expected HTTP {status}, got {self._status()}")


def guarded_client(settings: VenueSettings) -> TradingClient:
    """Return the SDK's client without its freedom to send twice.

    Its constructor cannot switch its retries off (a zero or an empty list counts as "not given"), so the private fields are set;
    the list of codes is shared by all clients of the process, so it is replaced, never changed.
    """
    client = TradingClient(
        settings.credentials["key_id"].reveal(),
        settings.credentials["secret_key"].reveal(),
        paper=settings.environment != "live",
        url_override=settings.base_url,
        raw_data=True,
    )
    client._retry = 0  # noqa: SLF001  see above
    client._retry_codes = []  # noqa: SLF001  see above
    client._session = GuardedSession(settings.wire)  # noqa: SLF001  the only way in
    return client


def _order_id(reference: OrderReference) -> str:
    """Return an order's id as part of an address."""
    if reference.venue_order_id is None:
        raise LookupError("Alpaca cancels and replaces by its own order id; look the order up first")
    if not _ORDER_ID.fullmatch(reference.venue_order_id):
        raise LookupError(f"{reference.venue_order_id!r} is not an order id of Alpaca's")
    return quote(reference.venue_order_id, safe="")


def _resume(changed: list[ExecutionReport], before: str | None) -> str | None:
    """Return the order behind which the next snapshot begins: the last before the first one that may still change."""
    for report in changed:
        if not report.status.is_final or any(not leg.status.is_final for leg in report.legs):
            return before
        before = report.venue_order_id
    return before
