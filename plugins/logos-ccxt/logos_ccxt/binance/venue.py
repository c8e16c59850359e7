"""Binance spot's hooks over the real ccxt client, which signs, addresses and parses."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import ccxt

from logos_ccxt import reading
from logos_ccxt.binance import errors, mapping
from logos_ccxt.binance.capabilities import RECV_WINDOW_MS
from logos_ccxt.client import LOOPBACK, Fields, ask, build, environment_at, never_twice
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
from logos_core.orders import OrderRequest
from logos_core.reports import Execution, ExecutionReport
from logos_core.venues import VenueSettings

PAGE = 1000
MAX_PAGES = 200
FIRST_ORDER, FIRST_TRADE = 1, 0
CLOCKS_APART = timedelta(minutes=1)
"""More than our clock and the venue's may differ: a request whose timestamp is that far off is refused."""
ENVIRONMENTS = {"api.binance.com": "live", "testnet.binance.vision": "paper", **LOOPBACK}


class BinanceVenue:
    """One Binance spot account.

    Its calls may overlap. What ccxt notes of the last request on the client is only ever written, the tables of markets are replaced
    as a whole, and an answer is read from the response in its own thread. Only loading the markets anew waits for its turn.
    """

    concurrent = True

    def __init__(self, settings: VenueSettings) -> None:
        self._loading = threading.Lock()
        self._settings = settings
        self._wire = settings.wire
        self._exchange = guarded_exchange(settings)
        self._environment = environment_of(self._exchange.urls["api"]["private"])

    @venue_hook
    def identify(self) -> VenueIdentity:
        self._exchange.load_markets()
        account = self._ask(self._exchange.privateGetAccount)
        return VenueIdentity(account_id=mapping.account_id(account), environment=self._environment)

    @venue_hook
    def instrument(self, symbol: str) -> Instrument:
        market_id = self._listed(symbol)
        if market_id is None:
            raise UnknownSymbolError(f"Binance spot does not list {symbol!r}; symbols are spelled like 'BTC/USDT'")
        listed = self._ask(self._exchange.publicGetExchangeInfo, {"symbol": market_id})
        found = reading.objects(listed.get("symbols")) if isinstance(listed, dict) else []
        if len(found) != 1 or found[0].get("symbol") != market_id:
            raise BadAnswerError(f"GET /api/v3/exchangeInfo does not describe {market_id}")
        if found[0].get("status") != "TRADING" or found[0].get("isSpotTradingAllowed") is not True:
            raise UnknownSymbolError(f"{symbol} is listed but not trading")
        return mapping.instrument(found[0], symbol)

    @venue_hook
    def prepare(self, request: OrderRequest) -> PreparedOrder:
        if request.trail_percent is not None and (request.trail_percent * mapping.BASIS_POINTS) % 1:
            raise UnsupportedOrderError("trail_percent goes in steps of 0.01")
        return PreparedOrder(request=request, wire=mapping.wire_fields(request, self._market_id(request.symbol)))

    @venue_hook
    def submit(self, prepared: PreparedOrder) -> ExecutionReport:
        never_twice(self._exchange)
        return _answered(prepared, self._ask(self._exchange.privatePostOrder, dict(prepared.wire)))

    @venue_hook
    def replace(self, reference: OrderReference, prepared: PreparedOrder) -> ExecutionReport:
        never_twice(self._exchange)
        body = self._ask(self._exchange.privatePostOrderCancelReplace, dict(prepared.wire))
        return _answered(prepared, mapping.successor(body))

    @venue_hook
    def cancel(self, reference: OrderReference) -> CancelReceipt:
        never_twice(self._exchange)
        # No market is loaded here: that would be a second request. An id made by hand is at worst refused.
        markets = self._exchange.markets or {}
        market_id = markets.get(reference.symbol, {}).get("id", reference.symbol.replace("/", ""))
        body = self._ask(self._exchange.privateDeleteOrder, _selector(reference, market_id))
        if not isinstance(body, dict):
            raise BadAnswerError(f"expected an object, got {type(body).__name__}")
        reading.integer(body, "orderId")
        return CancelReceipt(raw=body)

    @venue_hook
    def lookup(self, reference: OrderReference) -> Found | NotSeen:
        market_id = self._market_id(reference.symbol)
        try:
            order = self._ask(self._exchange.privateGetOrder, _selector(reference, market_id))
        except Exception:
            if not self._says_no_such_order():
                raise
            return self._look_elsewhere(reference, market_id)
        return Found(report=self._with_trades(order, market_id))

    @venue_hook
    def reconcile(self, request: ReconcileRequest) -> VenueSnapshot:
        cursor = _read_cursor(request.cursor)
        working = [self._report(row) for row in reading.objects(self._ask(self._exchange.privateGetOpenOrders))]
        ours = {report.symbol for report in working if (report.client_order_id or "").startswith(request.prefix)}
        changed: list[ExecutionReport] = []
        executions: list[Execution] = []
        for symbol in sorted({*request.symbols, *cursor, *ours}):
            orders, trades, cursor[symbol] = self._changes(symbol, cursor.get(symbol, (FIRST_ORDER, FIRST_TRADE)))
            changed += orders
            executions += trades
        ended = {(report.symbol, report.venue_order_id) for report in changed if report.status.is_final}
        held = mapping.positions(self._ask(self._exchange.privateGetAccount))
        return VenueSnapshot(
            open_orders=tuple(report for report in working if (report.symbol, report.venue_order_id) not in ended),
            changed_orders=tuple(changed),
            executions=tuple(executions),
            positions=held,
            cursor=json.dumps(cursor, sort_keys=True),
            venue_time=self._venue_time(),
        )

    @venue_hook
    def listen(self, inlet: Inlet) -> None:
        from logos_ccxt.binance import stream  # ccxt.pro is large; who does not listen need not load it

        stream.listen(self._settings, self._known_symbol_of, inlet)

    @venue_hook
    def classify_error(self, error: Exception, operation: Operation, phase: Phase) -> Classification:
        return errors.classify(error, operation, phase, self._wire.current().answer)

    def _changes(self, symbol: str, since: tuple[int, int]) -> tuple[list[ExecutionReport], list[Execution], tuple[int, int]]:
        """Return one symbol's orders and trades from two ids on, and the ids from which the next snapshot goes on."""
        order, trade = since
        of_symbol = {"symbol": self._market_id(symbol)}
        rows = self._pages(self._exchange.privateGetAllOrders, of_symbol, ("orderId", "orderId"), order)
        orders = [self._report(row) for row in rows]
        names = {report.venue_order_id: report.client_order_id for report in orders}
        rows = self._pages(self._exchange.privateGetMyTrades, of_symbol, ("fromId", "id"), trade)
        trades = [mapping.execution(row, self._symbol_of, names.get(str(row.get("orderId")))) for row in rows]
        return orders, trades, (_resume(orders, order), max((int(row["id"]) + 1 for row in rows), default=trade))

    def _look_elsewhere(self, reference: OrderReference, market_id: str) -> Found | NotSeen:
        """Ask for the order in two more places that do not go by its id."""
        seen = self._ask(self._exchange.privateGetOpenOrders, {"symbol": market_id})
        found = _matching(reference, reading.objects(seen))
        found += _matching(reference, self._orders_since(market_id, reference.submitted_at))
        if found:
            return Found(report=self._with_trades(found[-1], market_id))
        views = (
            View(source="GET /api/v3/order", said="-2013"),
            View(source=f"GET /api/v3/openOrders {market_id}", said="not listed"),
            View(source=f"GET /api/v3/allOrders {market_id} since {reference.submitted_at}", said="not listed"),
        )
        return NotSeen(views=views, venue_time=self._venue_time())

    def _orders_since(self, market_id: str, submitted_at: datetime | None) -> list[Mapping[str, Any]]:
        """Return a market's orders since a time; without one, the latest page."""
        fields = {"symbol": market_id, "limit": str(PAGE)}
        if submitted_at is not None:
            fields["startTime"] = str(reading.milliseconds(submitted_at - CLOCKS_APART))
        rows = reading.objects(self._ask(self._exchange.privateGetAllOrders, fields))
        if submitted_at is None or len(rows) < PAGE:
            return rows
        after = max(reading.integer(row, "orderId") for row in rows) + 1
        return rows + self._pages(self._exchange.privateGetAllOrders, {"symbol": market_id}, ("orderId", "orderId"), after)

    def _with_trades(self, order: object, market_id: str) -> ExecutionReport:
        """Return an order with its executions: Binance tells fees only in its list of trades."""
        report = self._report(order)
        if not report.filled_quantity:
            return report
        fields = {"symbol": market_id, "orderId": report.venue_order_id}
        rows = self._pages(self._exchange.privateGetMyTrades, fields, ("fromId", "id"), FIRST_TRADE)
        return report.with_executions(tuple(mapping.execution(row, self._symbol_of, report.client_order_id) for row in rows))

    def _pages(self, method: Callable[[Any], Any], fields: Fields, names: tuple[str, str], start: int) -> list[Mapping[str, Any]]:
        """Return every row from an id on; fail rather than return half of them. `names`: the id in the query, in the row."""
        rows: list[Mapping[str, Any]] = []
        for _ in range(MAX_PAGES):
            page = reading.objects(self._ask(method, {**fields, names[0]: str(start), "limit": str(PAGE)}))
            ids = [reading.integer(row, names[1]) for row in page]
            if any(number < start for number in ids):
                raise BadAnswerError(f"{names[0]}={start} was answered with {min(ids)}")
            rows += page
            if len(page) < PAGE:
                return rows
            start = max(ids) + 1
        raise BadAnswerError(f"more than {MAX_PAGES} pages of {PAGE}; reconcile more often")

    def _ask(self, method: Callable[[Any], Any], fields: Fields | None = None) -> object:
        return ask(self._wire, method, fields)

    def _report(self, order: object) -> ExecutionReport:
        return mapping.report(order, self._symbol_of)

    def _listed(self, symbol: str) -> str | None:
        """Return the id of a spot market, from the markets loaded before or now."""
        market = (self._exchange.markets or self._exchange.load_markets()).get(symbol)
        return str(market["id"]) if market and market["spot"] else None

    def _market_id(self, symbol: str) -> str:
        market_id = self._listed(symbol)
        if market_id is None:
            raise BadAnswerError(f"the market {symbol!r} is not listed, so it cannot be asked about")
        return market_id

    def _known_symbol_of(self, market_id: str) -> str:
        """Return the symbol of a market that is loaded; who listens may not ask for others."""
        found = (self._exchange.markets_by_id or {}).get(market_id)
        if not found:
            raise BadAnswerError(f"the market {market_id!r} is not loaded")
        return str(found[0]["symbol"])

    def _symbol_of(self, market_id: str) -> str:
        """Return the symbol of a market, also of one that was listed after we loaded them."""
        if market_id not in (self._exchange.markets_by_id or {}):
            with self._loading:
                if market_id not in (self._exchange.markets_by_id or {}):
                    self._exchange.load_markets(reload=True)
        found = (self._exchange.markets_by_id or {}).get(market_id)
        if not found:
            raise BadAnswerError(f"the market {market_id!r} is not listed")
        return str(found[0]["symbol"])

    def _says_no_such_order(self) -> bool:
        record = self._wire.current()
        if record.phase is not Phase.ANSWERED or record.answer is None or record.answer.status != 400:
            return False
        return (errors.said(record.answer) or (None,))[0] == errors.NO_SUCH_ORDER

    def _venue_time(self) -> datetime:
        """Return the venue's clock at the last answer, or ask for it."""
        answer = self._wire.current().answer
        stamped = reading.http_date(answer.headers.get("date")) if answer else None
        return stamped or mapping.timestamp(self._ask(self._exchange.publicGetTime), "serverTime")


def guarded_exchange(settings: VenueSettings) -> ccxt.binance:
    """Return ccxt's client for one of Binance's hosts."""
    options = {
        "defaultType": "spot",
        "fetchMarkets": {"types": ["spot"]},
        "fetchMargins": False,
        "fetchCurrencies": False,
        "recvWindow": RECV_WINDOW_MS,
    }
    exchange = build(ccxt.binance, settings, settings.credentials["secret"].reveal(), options)
    if settings.environment == "paper":
        exchange.set_sandbox_mode(True)
    # Two sections and no more: whatever asks for another one is refused by ccxt before it is sent.
    exchange.urls["api"] = dict.fromkeys(("public", "private"), f"{settings.base_url}/api/v3")
    return exchange


def environment_of(url: str) -> str:
    """Return the environment that lives at an address; a host that is neither Binance's nor this one is refused."""
    return environment_at(url, ENVIRONMENTS, "Binance spot")


def _selector(reference: OrderReference, market_id: str) -> dict[str, str]:
    """Return how to name one order: by the venue's id once it is known, since a client order id may be used again after a fill."""
    if reference.venue_order_id is not None:
        return {"symbol": market_id, "orderId": reference.venue_order_id}
    return {"symbol": market_id, "origClientOrderId": reference.client_order_id}


def _answered(prepared: PreparedOrder, body: object) -> ExecutionReport:
    """Return what an answer says of the order that was sent, if it is about that one."""
    request = prepared.request
    report = mapping.report(body, _only(prepared.wire["symbol"], request.symbol))
    if report.client_order_id != request.client_order_id:
        raise BadAnswerError(f"the answer is about {report.client_order_id}, sent was {request.client_order_id}")
    return report


def _only(market_id: str, symbol: str) -> mapping.SymbolOf:
    """Return a lookup that knows one market, for an answer that can be about no other."""

    def symbol_of(answered: str) -> str:
        if answered != market_id:
            raise BadAnswerError(f"the answer is about {answered}, sent was {market_id}")
        return symbol

    return symbol_of


def _matching(reference: OrderReference, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [row for row in rows if row.get("clientOrderId") == reference.client_order_id]


def _read_cursor(text: str | None) -> dict[str, tuple[int, int]]:
    return {symbol: (int(order), int(trade)) for symbol, (order, trade) in json.loads(text or "{}").items()}


def _resume(orders: list[ExecutionReport], start: int) -> int:
    """Return the order at which the next snapshot begins: the first one that may still change, or the one after the last."""
    for report in orders:
        if not report.status.is_final:
            return int(report.venue_order_id)
        start = int(report.venue_order_id) + 1
    return start
