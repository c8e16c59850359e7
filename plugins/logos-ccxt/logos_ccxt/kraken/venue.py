"""Kraken spot's hooks over the real ccxt client, which signs, addresses and parses.

Rules:

1. Every order carries a deadline, after which the matching engine refuses it. It is counted from our clock just before the send, so it
   lies no later than the last moment at which the attempt may begin to leave, plus the declared window.
2. An order is looked for by its client order id, and then without it. ccxt's own lookup by that id asks by `userref` instead.
3. A filter counts only if every row of the answer passes it.
4. Requests under one key take turns.
"""

import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import ccxt

from logos_ccxt import reading
from logos_ccxt.client import LOOPBACK, Fields, ask, build, environment_at, never_twice
from logos_ccxt.kraken import errors, mapping
from logos_ccxt.kraken.capabilities import DEADLINE_S
from logos_ccxt.kraken.mapping import Rows
from logos_ccxt.kraken.nonce import turns_of
from logos_core.hookspecs import (
    BadAnswerError,
    CancelReceipt,
    Classification,
    Found,
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
from logos_core.orders import OrderRequest
from logos_core.reports import Execution, ExecutionReport
from logos_core.venues import VenueSettings
from logos_core.wire import GateClosedError

MAX_PAGES = 200
TRAIL_STEP = Decimal("0.0001")
"""How fine a percentage is: inferred from how Kraken writes one, in an answer that ccxt quotes."""
CLOCKS_APART = timedelta(minutes=1)
"""More than our clock and the venue's may differ: a deadline that is that far off is refused."""
OVERLAP = timedelta(minutes=2)
"""What a snapshot reads again of the one before: an order may show late in a list by time."""
ENVIRONMENTS = {"api.kraken.com": "live", **LOOPBACK}


class KrakenVenue:
    """One Kraken spot account.

    Its calls may overlap, although requests under one key take turns. What ccxt notes of the last request on the client is only ever
    written, the tables of markets are replaced as a whole, and an answer is read from the response in its own thread.
    """

    concurrent = True

    def __init__(self, settings: VenueSettings) -> None:
        self._wire = settings.wire
        self._clock = settings.clock
        self._turns = turns_of(settings.host_folder, settings.base_url, settings.credentials["api_key"].reveal())
        self._exchange = guarded_exchange(settings)
        self._exchange.incrementing_nonce = lambda: self._turns.draw(self._clock)
        self._environment = environment_of(self._exchange.urls["api"]["private"])
        self._loading = threading.Lock()
        self._unlisted: set[str] = set()

    @venue_hook
    def identify(self) -> VenueIdentity:
        self._exchange.load_markets()
        key = self._ask(self._exchange.privatePostGetApiKeyInfo)
        return VenueIdentity(account_id=mapping.account_id(key), environment=self._environment)

    @venue_hook
    def instrument(self, symbol: str) -> Instrument:
        market = self._listed(symbol)
        if market is None:
            raise UnknownSymbolError(f"Kraken spot does not list {symbol!r}; symbols are spelled like 'BTC/USD'")
        result = _result(ask(self._wire, self._exchange.publicGetAssetPairs, {"pair": market["id"]}))
        if list(result) != [market["id"]]:
            raise BadAnswerError(f"AssetPairs does not describe {market['id']}")
        listed = reading.json_object(result[market["id"]])
        if listed.get("status") != "online":
            raise UnknownSymbolError(f"{symbol} is listed but not trading")
        return mapping.instrument(listed, symbol, market["base"], market["quote"])

    @venue_hook
    def prepare(self, request: OrderRequest) -> PreparedOrder:
        if request.expires_at is not None and request.expires_at.microsecond:
            raise UnsupportedOrderError("expires_at goes in whole seconds")
        if request.trail_percent is not None and request.trail_percent % TRAIL_STEP:
            raise UnsupportedOrderError(f"trail_percent goes in steps of {TRAIL_STEP}")
        return PreparedOrder(request=request, wire=mapping.wire_fields(request, self._market(request.symbol)["id"]))

    @venue_hook
    def submit(self, prepared: PreparedOrder) -> ExecutionReport:
        never_twice(self._exchange)
        pair = self._exchange.markets[prepared.request.symbol]["altname"]
        deadline = self._clock.now() + timedelta(seconds=DEADLINE_S)
        self._wire.current().ask_also(partial(self._check_deadline, deadline))
        fields = {**prepared.wire, "deadline": mapping.rfc3339(deadline)}
        result = self._ask(self._exchange.privatePostAddOrder, fields)
        return mapping.added(result, prepared.request, pair)

    @venue_hook
    def cancel(self, reference: OrderReference) -> CancelReceipt:
        never_twice(self._exchange)
        named = {"cl_ord_id": reference.client_order_id}
        if reference.venue_order_id is not None:  # a client order id may be used again once its order has ended
            named = {"txid": reference.venue_order_id}
        result = self._ask(self._exchange.privatePostCancelOrder, named)
        if reading.integer(result, "count") < 1 and result.get("pending") is not True:
            raise BadAnswerError("no order was cancelled, and none is being cancelled")
        return CancelReceipt(raw=result)

    @venue_hook
    def lookup(self, reference: OrderReference) -> Found | NotSeen:
        self._market(reference.symbol)
        name = reference.client_order_id
        found = self._under(name) or self._without_its_name(reference)
        if reference.venue_order_id is not None:
            found = {key: row for key, row in found.items() if key == reference.venue_order_id}
        if found:
            latest = max(found, key=lambda key: mapping.moment(found[key], "opentm"))
            return Found(report=self._with_trades(latest, found[latest]))
        views = (
            View(source=f"OpenOrders and ClosedOrders, cl_ord_id {name}", said="not listed"),
            View(source=f"OpenOrders and ClosedOrders, all since {reference.submitted_at}", said="not listed"),
        )
        return NotSeen(views=views, venue_time=self._venue_time())

    @venue_hook
    def reconcile(self, request: ReconcileRequest) -> VenueSnapshot:
        since = _read_cursor(request.cursor)
        working = self._open({})  # before the ended ones: what ends meanwhile is in one of the two lists at least
        began = self._venue_time()
        ended = self._pages(self._exchange.privatePostClosedOrders, "closed", {**since, "closetime": "close"})
        trades = self._pages(self._exchange.privatePostTradesHistory, "trades", {**since, "consolidate_taker": "false"})
        held = self._ask(self._exchange.privatePostBalanceEx)
        names = {key: mapping.client_order_id(row) for key, row in {**working, **ended}.items()}
        return VenueSnapshot(
            open_orders=tuple(self._report(key, row, request.prefix) for key, row in working.items() if key not in ended),
            changed_orders=tuple(self._report(key, row, request.prefix) for key, row in ended.items()),
            executions=tuple(self._execution(key, row, names) for key, row in trades.items()),
            positions=mapping.positions(held, self._exchange.safe_currency_code),
            cursor=json.dumps({"start": str(_seconds(began - OVERLAP))}),
            venue_time=self._venue_time(),
        )

    @venue_hook
    def classify_error(self, error: Exception, operation: Operation, phase: Phase) -> Classification:
        return errors.classify(error, operation, phase, self._wire.current().answer)

    def _under(self, client_order_id: str) -> Rows:
        """Return every order under a client order id, asked for by that id."""
        named = {"cl_ord_id": client_order_id}
        found = {**self._open(named), **self._pages(self._exchange.privatePostClosedOrders, "closed", named)}
        others = [key for key, row in found.items() if mapping.client_order_id(row) != client_order_id]
        if others:
            raise BadAnswerError(f"asked for {client_order_id}, got orders that bear another id; the list was not filtered")
        return found

    def _without_its_name(self, reference: OrderReference) -> Rows:
        """Return every order under a client order id, read out of the account's whole lists; without a time, out of the latest page."""
        found = self._open({})
        if reference.submitted_at is None:
            latest = self._ask(self._exchange.privatePostClosedOrders, {})
            found |= mapping.rows(latest, "closed")
        else:
            since = {"start": str(_seconds(reference.submitted_at - CLOCKS_APART)), "closetime": "open"}
            found |= self._pages(self._exchange.privatePostClosedOrders, "closed", since)
        return {key: row for key, row in found.items() if mapping.client_order_id(row) == reference.client_order_id}

    def _with_trades(self, order_id: str, row: object) -> ExecutionReport:
        """Return an order with its executions: its own row tells neither prices nor fees one by one."""
        report = self._report(order_id, row, "")
        if not report.filled_quantity:
            return report
        order = reading.json_object(row)
        fields = {"start": str(_seconds(mapping.moment(order, "opentm")) - 1), "consolidate_taker": "false"}
        if report.status.is_final:
            fields["end"] = str(_seconds(mapping.moment(order, "closetm")) + 1)
        trades = self._pages(self._exchange.privatePostTradesHistory, "trades", fields)
        names = {order_id: report.client_order_id}
        own = {key: trade for key, trade in trades.items() if trade.get("ordertxid") == order_id}
        return report.with_executions(tuple(self._execution(key, trade, names) for key, trade in own.items()))

    def _open(self, fields: Fields) -> Rows:
        return mapping.rows(self._ask(self._exchange.privatePostOpenOrders, fields), "open")

    def _pages(self, method: Callable[[Any], Any], name: str, fields: Fields) -> Rows:
        """Return every row; fail rather than return part of them. What is new meanwhile moves rows on to a later page, never off one."""
        found: Rows = {}
        read = 0
        for _ in range(MAX_PAGES):
            result = self._ask(method, {**fields, "ofs": str(read)})
            page, total = mapping.rows(result, name), mapping.count(result)
            if read < total and not page.keys() - found.keys():
                raise BadAnswerError(f"{read} rows of {total} came, and nothing more")
            found |= page
            read += len(page)
            if read >= total:
                return found
        raise BadAnswerError(f"more than {MAX_PAGES} pages; reconcile more often")

    def _check_deadline(self, deadline: datetime) -> None:
        """Let no order leave whose deadline was told by a clock that has been set back since: absence is proved by that deadline."""
        if deadline > self._clock.now() + timedelta(seconds=DEADLINE_S):
            raise GateClosedError("DEADLINE_TOO_LATE", "the clock was set back while the order was made ready", denies=False)

    def _ask(self, method: Callable[[Any], Any], fields: Fields | None = None) -> dict[str, Any]:
        """Call one private endpoint in its turn."""
        with self._turns.take(self._wire.current()):
            return _result(ask(self._wire, method, fields))

    def _report(self, order_id: str, row: object, prefix: str) -> ExecutionReport:
        """Return an order; one of ours must be on a market that is listed, so that its symbol is the one it was sent with."""
        ours = (mapping.client_order_id(reading.json_object(row)) or "").startswith(prefix)
        return mapping.report(order_id, row, self._symbol_of if ours else lambda pair: self._market_of(pair)[0])

    def _execution(self, trade_id: str, row: object, names: dict[str, str | None]) -> Execution:
        order_id = str(reading.json_object(row).get("ordertxid"))
        return mapping.execution(trade_id, row, self._market_of, names.get(order_id))

    def _listed(self, symbol: str) -> dict[str, Any] | None:
        """Return a market, from those loaded before or now."""
        found: dict[str, Any] | None = (self._exchange.markets or self._exchange.load_markets()).get(symbol)
        return found

    def _market(self, symbol: str) -> dict[str, Any]:
        market = self._listed(symbol)
        if market is None:
            raise BadAnswerError(f"the market {symbol!r} is not listed, so it cannot be asked about")
        return market

    def _symbol_of(self, pair: str) -> str:
        symbol, _ = self._market_of(pair)
        if pair in self._unlisted:
            raise BadAnswerError(f"the market {pair!r} is not listed")
        return symbol

    def _market_of(self, pair: str) -> tuple[str, str]:
        """Return the symbol and the quote asset of a market by either of its names; of one that is no longer listed, its own name."""
        market = self._named(pair)
        if market is None and pair not in self._unlisted:
            with self._loading:
                if self._named(pair) is None:
                    self._exchange.load_markets(reload=True)
            market = self._named(pair)
        if market is None:
            self._unlisted.add(pair)
            return pair, f"quote of {pair}"
        return market["symbol"], market["quote"]

    def _named(self, pair: str) -> dict[str, Any] | None:
        by_id = (self._exchange.markets_by_id or {}).get(pair)
        found: dict[str, Any] | None = by_id[0] if by_id else self._exchange.options["marketsByAltname"].get(pair)
        return found

    def _venue_time(self) -> datetime:
        """Return the venue's clock at the last answer, or ask for it."""
        answer = self._wire.current().answer
        stamped = reading.http_date(answer.headers.get("date")) if answer else None
        return stamped or mapping.moment(_result(ask(self._wire, self._exchange.publicGetTime)), "unixtime")


def guarded_exchange(settings: VenueSettings) -> ccxt.kraken:
    """Return ccxt's client for Kraken. Its sandbox switch raises for Kraken and leaves the live address, so it is not touched.

    A simulator takes any word for a secret; Kraken's own are base64, and ccxt decodes them.
    """
    secret = settings.credentials["secret"]
    signing = secret.reveal()
    if settings.environment == "simulator":
        signing = ccxt.Exchange.string_to_base64(signing)
    exchange = build(ccxt.kraken, settings, signing, {})
    # Two sections and no more: whatever asks for another one is refused by ccxt before it is sent.
    exchange.urls["api"] = dict.fromkeys(("public", "private"), settings.base_url)
    return exchange


def environment_of(url: str) -> str:
    """Return the environment that lives at an address; a host that is neither Kraken's nor this one is refused."""
    return environment_at(url, ENVIRONMENTS, "Kraken spot")


def _result(body: object) -> dict[str, Any]:
    """Return what an answer holds. Errors ccxt has raised already; an answer that has neither is none."""
    answer = reading.json_object(body)
    if answer.get("error") != []:
        raise BadAnswerError(f"error is {answer.get('error')!r}")
    return dict(reading.json_object(answer.get("result")))


def _seconds(moment: datetime) -> int:
    """Return a time as Kraken's lists take it: whole seconds, rounded down."""
    return reading.milliseconds(moment) // 1000


def _read_cursor(text: str | None) -> Fields:
    return {} if text is None else {"start": str(int(json.loads(text)["start"]))}
