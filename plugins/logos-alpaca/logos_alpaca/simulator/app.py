"""Serve the requests of a client of Alpaca's."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any, ClassVar, Literal, TypeAlias
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5  # noqa: TID251 - uuid4 is a default, and can be replaced.

from logos_alpaca.simulator.answers import (
    activity_id,
    activity_object,
    asset_id,
    asset_object,
    order_object,
    plain,
    position,
    timestamp,
)
from logos_alpaca.simulator.limits import Limiter
from logos_alpaca.simulator.listing import behind, between, read_limit
from logos_alpaca.simulator.reading import read_changes, read_client_order_id, read_object, read_order, read_symbol
from logos_alpaca.simulator.refusals import ERRORS, RefusedError, explain, unprocessable
from logos_core.testing.exchange import (
    Exchange,
    ExecutionKind,
    NotCancelable,
    OrderNotFound,
    OrderRequest,
    OrderStatus,
    OrderType,
    Refusal,
    SimulatedExecution,
    SimulatedInstrument,
    SimulatedOrder,
)
from logos_core.testing.server import HttpRequest, HttpResponse

LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX = 50, 500  # specification
PAGE_SIZE_MAX = 100  # specification
REQUESTS_PER_MINUTE = 200  # documented by Alpaca, per key
UNREPLACEABLE = frozenset({"accepted", "pending_new", "pending_cancel", "pending_replace"})  # specification, PATCH
WORKING = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
STOP_LEGS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})

_Method: TypeAlias = "Callable[[AlpacaSimulator, HttpRequest, str], HttpResponse]"


def default_instruments() -> list[SimulatedInstrument]:
    """Return two shares and two coins; the grid of a share is nine decimals, as fractions are allowed."""
    rows = [("AAPL", "190", "0"), ("SPY", "580", "0"), ("BTC/USD", "60000", "0.00001"), ("ETH/USD", "3000", "0.0001")]
    return [
        SimulatedInstrument(
            symbol=symbol, base_asset=symbol.removesuffix("/USD"), quote_asset="USD", price_tick=Decimal("0.01"),
            quantity_step=Decimal("1E-9"), last=Decimal(last), min_quantity=Decimal(least),
        )
        for symbol, last, least in rows
    ]  # fmt: skip


class AlpacaSimulator:
    """Answer as Alpaca's paper trading API does; serve it with `LoopbackServer`.

    Args:
        instruments: What can be traded; a symbol with a slash is a coin. By default `default_instruments`.
        balances: What the account owns at the start; by default 100 000 USD and nothing else.
        api_key: The only key that is let in; None lets every non-empty key in.
        secret_key: Its secret; None lets every non-empty secret in.
        account_number: The number that names the account; paper accounts start with PA.
        requests_per_minute: The rate limit per calendar minute; None switches it off.
        duplicate_covers_terminal: A client order id stays taken after its order has ended. Recorded for filled
            orders, *inferred* for cancelled ones; False frees it when the order ends.
        pending_new_first: Submit answers `pending_new`, and fills show in later answers only. Recorded.
        visible_after_s: Lookups and lists miss an order for so long after it was accepted. *Inferred*: Alpaca
            does not say whether there is a lag; 0 means none.
        accepted_for_s: An order is `accepted`, and cannot be replaced, for so long. How long it really is *inferred*.
        replace_takes_s: A replaced order shows `pending_replace` and works on for so long after the 200; what it fills
            until then is real, and if it fills all, the new order is rejected (specification). How long is *inferred*.
        replace_may_lose: What happens to every replacement whatever the market does: the original `fill`s first, or the
            venue `reject`s the new order and the original stands (specification: 200 does not mean replaced).
        replace_quantity_is_total: The quantity of a replacement, sent or inherited, counts what the original has filled.
            *Inferred*: False, the worse case, lets the new order trade all of it again.
        stop_beside_target_is_held: Of two working legs the stop shows `held`, though its price is watched. *Inferred*.
        client_id_lookup_nests: A lookup by client order id shows the legs. *Inferred* from what the specification does
            not list: that path has no parameter `nested`.
        now: Tell the time.
        new_id: Make the ids of orders, trades, and client order ids that were left out.
    """

    def __init__(
        self,
        instruments: Iterable[SimulatedInstrument] | None = None,
        balances: Mapping[str, Decimal] | None = None,
        *,
        api_key: str | None = None,
        secret_key: str | None = None,
        account_number: str = "PA3SIMULATED",
        requests_per_minute: int | None = REQUESTS_PER_MINUTE,
        duplicate_covers_terminal: bool = True,
        pending_new_first: bool = True,
        visible_after_s: float = 0.0,
        accepted_for_s: float = 0.0,
        replace_takes_s: float = 0.0,
        replace_may_lose: Literal["fill", "reject"] | None = None,
        replace_quantity_is_total: bool = False,
        stop_beside_target_is_held: bool = True,
        client_id_lookup_nests: bool = False,
        now: Callable[[], datetime] = lambda: datetime.fromtimestamp(time.time(), UTC),  # noqa: TID251 - the default.
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self.account_number = account_number
        self.pending_new_first = pending_new_first
        self.visible_after_s = visible_after_s
        self.accepted_for_s = accepted_for_s
        self.replace_takes_s, self.replace_may_lose = replace_takes_s, replace_may_lose
        self.replace_quantity_is_total = replace_quantity_is_total
        self.stop_beside_target_is_held = stop_beside_target_is_held
        self.client_id_lookup_nests = client_id_lookup_nests
        self._pending: dict[str, Decimal] = {}  # order that is to replace another → what the other had filled
        self._keys = {"apca-api-key-id": api_key, "apca-api-secret-key": secret_key}
        self._limiter = None if requests_per_minute is None else Limiter(requests_per_minute, now)
        self._now, self._new_id, self._started_at = now, new_id, now()
        self.exchange = Exchange(
            default_instruments() if instruments is None else instruments,
            {"USD": Decimal(100_000)} if balances is None else balances,
            client_ids="ever" if duplicate_covers_terminal else "open", make_leg=self._make_leg,
            order_ids=lambda _: str(new_id()), trade_ids=lambda _: str(new_id()), now=now,
        )  # fmt: skip

    def operation(self, request: HttpRequest) -> str:
        found = self._route(request)
        return "other" if found is None else found[0]

    def client_order_id(self, request: HttpRequest) -> str | None:
        found = self._route(request)
        operation = "other" if found is None else found[0]
        if operation in {"submit", "replace"}:  # Of a replacement, the id of the new order.
            return _sent_client_order_id(request)
        if operation == "lookup" and "client_order_id" in request.query:
            return request.query["client_order_id"]
        if operation in {"lookup", "cancel"}:
            try:
                return self.exchange.order(request.segments[-1]).client_order_id
            except OrderNotFound:
                return None
        return None

    def handle(self, request: HttpRequest) -> HttpResponse:
        if not self._is_authorised(request):
            return self.error_body(401)
        limits: tuple[tuple[str, str], ...] = ()
        if self._limiter is not None:
            allowed, limits = self._limiter.count()
            if not allowed:
                return _with_headers(self.error_body(429), limits)
        return _with_headers(self._answer(request), limits)

    def error_body(self, status: int) -> HttpResponse:
        if status not in ERRORS:
            return HttpResponse.json(status, {"message": _phrase(status)})
        code, message = ERRORS[status]
        return HttpResponse.json(status, {"message": message} if code is None else {"code": code, "message": message})

    def admin_orders(self) -> list[dict[str, Any]]:
        with self.exchange.lock:
            self._settle_replacements()
        return [order.to_dict() for order in self.exchange.orders()]

    def _is_authorised(self, request: HttpRequest) -> bool:
        for header, expected in self._keys.items():
            given = request.headers.get(header, "")
            if not given or expected not in {None, given}:
                return False
        return True

    def _answer(self, request: HttpRequest) -> HttpResponse:
        found = self._route(request)
        if found is None:
            return HttpResponse.json(404, {"message": "endpoint not found."})
        _, method, argument = found
        try:
            with self.exchange.lock:  # One request is one step, however many calls it makes.
                self._settle_replacements()
                return method(self, request, argument)
        except RefusedError as refused:
            return HttpResponse.json(refused.status, {"code": refused.code, "message": str(refused)})

    # Orders

    def _submit(self, request: HttpRequest, _: str) -> HttpResponse:
        data = read_object(request)
        symbol, client_order_id = read_symbol(data), read_client_order_id(data, self._invented_id)
        wanted = read_order(data, self._instrument(symbol, 422).symbol, client_order_id)
        try:
            order = self.exchange.submit(wanted)
        except Refusal as refusal:
            raise explain(refusal, wanted.side) from refusal
        first = self.exchange.history(order.order_id)[0] if self.pending_new_first else order
        return HttpResponse.json(200, self._nested(first, "pending_new" if self.pending_new_first else None))

    def _invented_id(self) -> str:
        return str(self._new_id())

    def _make_leg(self, entry: SimulatedOrder, leg: OrderRequest) -> OrderRequest:
        # inferred: a leg gets an id that nobody chose; specification: legs have a client_order_id of their own
        return replace(leg, client_order_id=self._invented_id())

    def _cancel(self, request: HttpRequest, order_id: str) -> HttpResponse:
        try:
            if self._status(self.exchange.order(order_id)) in {"pending_new", "pending_replace"}:  # specification
                raise NotCancelable("being replaced", self._status(self.exchange.order(order_id)))
            self.exchange.cancel(order_id)
        except OrderNotFound as error:
            raise RefusedError(404, 40410000, f"order not found for {order_id}") from error
        except NotCancelable as error:
            raise unprocessable(f'order is already in "{error.rule}" state') from error
        return HttpResponse(204)

    def _get(self, request: HttpRequest, order_id: str) -> HttpResponse:
        found = [order for order in self._visible() if order.order_id == order_id]
        return self._one(order_id, found, nested=_is_nested(request))

    def _get_by_client_order_id(self, request: HttpRequest, _: str) -> HttpResponse:
        wanted = request.query.get("client_order_id", "")
        found = [order for order in self._visible() if order.client_order_id == wanted]
        return self._one(wanted, found, nested=self.client_id_lookup_nests)

    def _one(self, wanted: str, orders: list[SimulatedOrder], *, nested: bool) -> HttpResponse:
        if not orders:
            raise RefusedError(404, 40410000, f"order not found for {wanted}")
        return HttpResponse.json(200, self._nested(orders[-1]) if nested else self._order(orders[-1]))

    # Replacing

    def _replace(self, request: HttpRequest, order_id: str) -> HttpResponse:
        """Accept a new order in place of another; whether it will stand there is not said (specification)."""
        data = read_object(request)
        try:
            original = self.exchange.order(order_id)
        except OrderNotFound as error:
            raise RefusedError(404, 40410000, f"order not found for {order_id}") from error
        if (status := self._status(original)) in UNREPLACEABLE or not original.is_open:
            raise unprocessable(f'order cannot be replaced in "{status}" state')
        changes = read_changes(data, original)
        quantity = changes.pop("quantity", original.quantity)
        client_order_id = read_client_order_id(data, self._invented_id)
        try:
            order = self.exchange.begin_replace(
                order_id, total=self.replace_quantity_is_total, quantity=quantity, client_order_id=client_order_id, **changes
            )
        except Refusal as refusal:
            raise explain(refusal, original.request.side) from refusal
        self._pending[order.order_id] = original.filled_quantity
        answer = HttpResponse.json(200, self._order(order))
        self._settle_replacements()
        return answer

    def _settle_replacements(self) -> None:
        """Decide every replacement whose time has come, before anything else is read or done."""
        for order_id, filled_before in list(self._pending.items()):
            order = self.exchange.order(order_id)
            if order.created_at + timedelta(seconds=self.replace_takes_s) <= self._now():
                del self._pending[order_id]
                if order.is_open:
                    self._settle_replacement(order, filled_before)

    def _settle_replacement(self, order: SimulatedOrder, filled_before: Decimal) -> None:
        original = self.exchange.order(order.replaces or "")
        if self.replace_may_lose == "fill" and original.status in WORKING:
            self.exchange.fill(original.order_id, original.leaves_quantity)
            original = self.exchange.order(original.order_id)
        filled_since = original.filled_quantity - filled_before if self.replace_quantity_is_total else Decimal(0)
        rejected = self.replace_may_lose == "reject"
        self.exchange.finish_replace(order.order_id, order.quantity - filled_since, rejected=rejected)

    def _list(self, request: HttpRequest, _: str) -> HttpResponse:
        query = request.query
        limit = read_limit(query.get("limit", str(LIST_LIMIT_DEFAULT)), LIST_LIMIT_MAX)
        status = query.get("status", "open")
        if status not in {"open", "closed", "all"}:
            raise RefusedError(422, 40010001, f"invalid status: {status}")
        orders = [order for order in self._visible() if status == "all" or order.is_open == (status == "open")]
        if symbols := query.get("symbols"):
            wanted = {symbol.replace("/", "") for symbol in symbols.split(",")}
            orders = [order for order in orders if order.symbol.replace("/", "") in wanted]
        if side := query.get("side"):
            orders = [order for order in orders if order.request.side == side]
        orders = behind(between(orders, query, lambda order: order.created_at), self.exchange.orders(), query)
        if query.get("direction", "desc") != "asc":
            orders.reverse()
        if _is_nested(request):  # specification: legs are rolled up under their primary order
            primary = [order for order in orders if order.parent_id is None]
            return HttpResponse.json(200, [self._nested(order) for order in primary[:limit]])
        return HttpResponse.json(200, [self._order(order) for order in orders[:limit]])

    def _visible(self) -> list[SimulatedOrder]:
        seen_until = self._now() - timedelta(seconds=self.visible_after_s)
        return [order for order in self.exchange.orders() if order.created_at <= seen_until or not self.visible_after_s]

    def _order(self, order: SimulatedOrder, status: str | None = None) -> dict[str, Any]:
        return order_object(order, self.exchange.instrument(order.symbol), status or self._status(order))

    def _nested(self, order: SimulatedOrder, status: str | None = None) -> dict[str, Any]:
        legs = [self._order(self.exchange.order(leg_id)) for leg_id in order.leg_ids]
        return self._order(order, status) | {"legs": legs or None}

    def _status(self, order: SimulatedOrder) -> str:
        """Give Alpaca's word for what an order is."""
        if order.order_id in self._pending:
            return "pending_new"
        if order.is_open and any(self.exchange.order(key).replaces == order.order_id for key in self._pending):
            return "pending_replace"
        if order.status is OrderStatus.NEW and self._now() < order.created_at + timedelta(seconds=self.accepted_for_s):
            return "accepted"
        beside = order.parent_id is not None and any(self.exchange.order(key).is_open for key in order.linked_ids)
        waits = order.status is OrderStatus.NEW and order.awaits_trigger and order.request.type in STOP_LEGS
        return "held" if self.stop_beside_target_is_held and beside and waits else order.status.value

    # Everything else

    def _account(self, request: HttpRequest, _: str) -> HttpResponse:
        cash = self.exchange.balance("USD")
        equity, money = cash.free + cash.reserved, plain(cash.free)
        shares = sum((quantity * item.last for item, quantity in self._holdings()), Decimal(0))
        data = {
            "id": str(uuid5(NAMESPACE_URL, self.account_number)),
            "account_number": self.account_number,
            "status": "ACTIVE",
            "crypto_status": "ACTIVE",
            "currency": "USD",
            "cash": plain(equity),
            "buying_power": money,
            "non_marginable_buying_power": money,
            "equity": plain(equity + shares),
            "portfolio_value": plain(equity + shares),
            "long_market_value": plain(shares),
            "multiplier": "1",
            "pattern_day_trader": False,
            "trading_blocked": False,
            "transfers_blocked": False,
            "account_blocked": False,
            "trade_suspended_by_user": False,
            "shorting_enabled": False,
            "daytrade_count": 0,
            "created_at": timestamp(self._started_at),
        }
        return HttpResponse.json(200, data)

    def _asset(self, request: HttpRequest, symbol: str) -> HttpResponse:
        return HttpResponse.json(200, asset_object(self._instrument(symbol, 404)))

    def _positions(self, request: HttpRequest, _: str) -> HttpResponse:
        return HttpResponse.json(200, [position(item, quantity) for item, quantity in self._holdings()])

    def _holdings(self) -> list[tuple[SimulatedInstrument, Decimal]]:
        held = ((item, self.exchange.balance(item.base_asset)) for item in self.exchange.instruments())
        return [(item, has.free + has.reserved) for item, has in held if has.free + has.reserved]

    def _fills(self, request: HttpRequest, _: str) -> HttpResponse:
        query = request.query
        size = read_limit(query.get("page_size", str(PAGE_SIZE_MAX)), PAGE_SIZE_MAX)
        trades = [execution for execution in self.exchange.executions() if execution.kind is ExecutionKind.TRADE]
        executions = between(trades, query, lambda execution: execution.time)
        if query.get("direction", "desc") != "asc":
            executions.reverse()
        if token := query.get("page_token"):
            ids = [activity_id(execution) for execution in executions]
            if token not in ids:
                raise RefusedError(422, 40010001, "invalid page_token")
            executions = executions[ids.index(token) + 1 :]
        return HttpResponse.json(200, [self._activity(execution) for execution in executions[:size]])

    def _activity(self, execution: SimulatedExecution) -> dict[str, Any]:
        history = self.exchange.history(execution.order_id)
        return activity_object(execution, next(state for state in history if execution in state.executions))

    def _clock(self, request: HttpRequest, _: str) -> HttpResponse:
        now = self._now()
        return HttpResponse.json(200, {
            "timestamp": timestamp(now), "is_open": True,
            "next_open": timestamp(now + timedelta(days=1)), "next_close": timestamp(now + timedelta(hours=6)),
        })  # fmt: skip

    def _instrument(self, name: str, status: int) -> SimulatedInstrument:
        for instrument in self.exchange.instruments():
            if name in {instrument.symbol, instrument.symbol.replace("/", ""), asset_id(instrument)}:
                return instrument
        raise RefusedError(status, 40410000 if status == 404 else 42210000, f"asset not found for {name}")

    def _route(self, request: HttpRequest) -> tuple[str, _Method, str] | None:
        for method, pattern, operation, function in self._ROUTES:
            if method == request.method and re.fullmatch(pattern, request.path):
                return operation, function, request.segments[-1]
        return None

    _ROUTES: ClassVar[list[tuple[str, str, str, _Method]]] = [
        ("POST", r"/v2/orders", "submit", _submit),
        ("GET", r"/v2/orders", "reconcile", _list),
        ("GET", r"/v2/orders:by_client_order_id", "lookup", _get_by_client_order_id),
        ("GET", r"/v2/orders/([^/]+)", "lookup", _get),
        ("DELETE", r"/v2/orders/([^/]+)", "cancel", _cancel),
        ("PATCH", r"/v2/orders/([^/]+)", "replace", _replace),
        ("GET", r"/v2/assets/([^/]+)", "instrument", _asset),
        ("GET", r"/v2/account", "identify", _account),
        ("GET", r"/v2/account/activities/FILL", "reconcile", _fills),
        ("GET", r"/v2/positions", "reconcile", _positions),
        ("GET", r"/v2/clock", "other", _clock),
    ]


def _is_nested(request: HttpRequest) -> bool:
    return request.query.get("nested", "").lower() == "true"  # alpaca-py writes True


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "unknown status"


def _with_headers(answer: HttpResponse, headers: tuple[tuple[str, str], ...]) -> HttpResponse:
    return HttpResponse(answer.status, answer.body, (*answer.headers, *headers))


def _sent_client_order_id(request: HttpRequest) -> str | None:
    try:
        data = request.json()
    except ValueError:
        return None
    given = data.get("client_order_id") if isinstance(data, dict) else None
    return given if isinstance(given, str) else None
