"""Speak Kraken's spot REST API over an in-memory exchange.

Sources: *docs* are the pages of docs.kraken.com, named by their last part; *quoted* is what ccxt 4.5.90 quotes in `kraken.py`;
*inferred* is a belief that none of them confirms. A belief that could cost money is a constructor argument, so that a test can hold
the opposite one.

Left out: take-profit and iceberg orders, trailing stops with a limit, prices relative to the market, leverage, conditional closes,
scheduled starts, volumes in the quote asset, amends, batches, the trading counter per pair. Each is refused or absent, never half done.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

from logos_ccxt.kraken import simulated
from logos_core.testing.exchange import (
    BadExpiry,
    BadPrice,
    BadQuantity,
    DuplicateClientOrderId,
    Exchange,
    ExecutionKind,
    InsufficientFunds,
    NotCancelable,
    OrderNotFound,
    OrderRequest,
    OrderType,
    Refusal,
    Side,
    SimulatedExecution,
    SimulatedInstrument,
    SimulatedOrder,
    TimeInForce,
    WouldTake,
)
from logos_core.testing.server import HttpRequest, HttpResponse

PAGE = 50  # docs, get-closed-orders and get-trade-history
DEADLINE_DEFAULT_S = 5.0  # docs, websocket-v2/add_order; errors speak of a default, too (guides/spot-errors)
NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")  # docs, spot-clordid
FREE_TEXT = re.compile(r"[ -~]{1,18}")  # docs, spot-clordid
TIMES_IN_FORCE = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "GTD": TimeInForce.GTD}
TRAIL = re.compile(r"\+(\d{1,20}(?:\.\d{1,20})?)(%?)")
ORDER_FIELDS = {
    "nonce", "pair", "type", "ordertype", "volume", "price", "price2", "cl_ord_id", "oflags", "timeinforce", "expiretm", "deadline",
    "validate",
}  # fmt: skip
HTML_PAGE = b"<html><head><title>api.kraken.com</title></head><body>Web server is returning an unknown error.</body></html>"

_Fields: TypeAlias = Mapping[str, str]
_Method: TypeAlias = "Callable[[KrakenSimulator, _Fields], object]"


def default_instruments() -> list[SimulatedInstrument]:
    """Return two pairs against the dollar, of which any amount can be traded."""
    rows = [("BTC/USD", "60000", "0.1", "0.00005"), ("ETH/USD", "3000", "0.01", "0.002")]
    return [
        SimulatedInstrument(
            symbol=symbol, base_asset=symbol.removesuffix("/USD"), quote_asset="USD", price_tick=Decimal(tick),
            quantity_step=Decimal("0.00000001"), last=Decimal(last), min_quantity=Decimal(least), min_notional=Decimal("0.5"),
        )
        for symbol, last, tick, least in rows
    ]  # fmt: skip


class _Route(NamedTuple):
    operation: str
    method: _Method
    cost: int = 1  # docs, guides/rest/ratelimits: history calls count two, orders not at all


class KrakenSimulator:
    """Answer as Kraken's spot API does; serve it with `LoopbackServer`.

    Instruments are named as ccxt names them, `BTC/USD`; on the wire `XXBTZUSD` and `XBTUSD` both name that one.

    Args:
        instruments: What can be traded. By default `default_instruments`.
        balances: What the account owns at the start; by default 100 000 USD, 1 BTC and 10 ETH.
        api_key: The only key that is let in; None lets every non-empty key in.
        secret: The secret requests are signed with, as plain text; None takes the key itself for its secret.
        iban: The number that names the account.
        fee_rate: The part of each trade's worth that is taken as fee, in the quote asset.
        deadline_enforced_by: Who refuses an order past its deadline: the matching `engine`, as docs say; only the `gateway`, so that
            what passed it in time may be matched at any time after; or `nobody`.
        deadline_range_s: How near and how far a deadline may lie. The pages differ on the nearest: 2 s (REST), 0.5 s (WebSocket).
        engine_delay_s: A request that has passed the gateway is matched so much later.
        nonce_enforced: A request whose nonce is not above all before it is refused, as docs say.
        nonce_window: How far behind the highest one a nonce may be, once more each time. A key's own setting, 0 by default.
        cl_ord_id_unique_among_open: A second order under the id of an open one is refused.
        duplicate_error: The words of that refusal. *Inferred*: no page tells them.
        filters_by_cl_ord_id: Lists keep to the client order id that was asked for.
        visible_after_s: Lists miss an order, and its trades, for so long after it was accepted. *Inferred*; 0 means none.
        counter_max: The limit of the counter of requests; None switches it off. By default that of the middle tier.
        counter_decay_per_s: How fast that counter falls.
        now: Tell the time.
        wait: Wait some seconds, between gateway and engine.
    """

    def __init__(
        self,
        instruments: Iterable[SimulatedInstrument] | None = None,
        balances: Mapping[str, Decimal] | None = None,
        *,
        api_key: str | None = None,
        secret: str | None = None,
        iban: str = "AA88 N84G WOAK NMOI",
        fee_rate: Decimal = Decimal("0.004"),
        deadline_enforced_by: Literal["engine", "gateway", "nobody"] = "engine",
        deadline_range_s: tuple[float, float] = (0.5, 60.0),
        engine_delay_s: float = 0.0,
        nonce_enforced: bool = True,
        nonce_window: int = 0,
        cl_ord_id_unique_among_open: bool = True,
        duplicate_error: str = "EOrder:Duplicate client order id",
        filters_by_cl_ord_id: bool = True,
        visible_after_s: float = 0.0,
        counter_max: int | None = 20,
        counter_decay_per_s: float = 0.5,
        now: Callable[[], datetime] = lambda: datetime.fromtimestamp(time.time(), UTC),  # noqa: TID251 - the default.
        wait: Callable[[float], None] = time.sleep,  # noqa: TID251 - the default.
    ) -> None:
        self.iban = iban
        self.nonce_enforced, self.nonce_window = nonce_enforced, nonce_window
        self.deadline_enforced_by, self.deadline_range_s = deadline_enforced_by, deadline_range_s
        self.engine_delay_s = engine_delay_s
        self.duplicate_error = duplicate_error
        self.filters_by_cl_ord_id = filters_by_cl_ord_id
        self.visible_after_s = visible_after_s
        self._api_key, self._secret = api_key, secret
        self._highest_nonce: dict[str, int] = {}
        self._counter = _Counter(counter_max, counter_decay_per_s, now)
        self._now, self._wait = now, wait
        start = {"USD": Decimal(100_000), "BTC": Decimal(1), "ETH": Decimal(10)}
        self.exchange = Exchange(
            default_instruments() if instruments is None else instruments,
            start if balances is None else balances,
            client_ids="open" if cl_ord_id_unique_among_open else "none", fee_rate=fee_rate, fee_in="quote",
            order_ids=lambda number: simulated.kraken_id("O", number), trade_ids=lambda number: simulated.kraken_id("T", number),
            now=now,
        )  # fmt: skip

    def operation(self, request: HttpRequest) -> str:
        route = self._route(request)
        if route is None:
            return "other"
        fields = _fields(request)
        if route.operation == "submit" and fields.get("validate") == "true":
            return "other"
        return "lookup" if route.operation == "reconcile" and "cl_ord_id" in fields else route.operation

    def client_order_id(self, request: HttpRequest) -> str | None:
        fields = _fields(request)
        if "txid" in fields:
            return next((order.client_order_id for order in self.exchange.orders() if order.order_id == fields["txid"]), None)
        return fields.get("cl_ord_id")

    def handle(self, request: HttpRequest) -> HttpResponse:
        date = ("Date", format_datetime(self._now().replace(microsecond=0), usegmt=True))
        route = self._route(request)
        try:
            if route is None:
                raise _RefusedError("EGeneral:Unknown method")
            answer: dict[str, Any] = {"error": [], "result": self._answer(route, request)}
        except _RefusedError as refused:
            answer = {"error": [str(refused)]}
        return HttpResponse.json(200, answer, (date,))

    def error_body(self, status: int) -> HttpResponse:
        """Return the page of whoever stands before Kraken: Kraken itself answers 200 (docs, guides/spot-rest-intro)."""
        if status == 200:
            return HttpResponse.json(200, {"error": ["EService:Unavailable"]})
        more = (("Retry-After", "60"),) if status == 429 else ()
        return HttpResponse(status, HTML_PAGE, (("Content-Type", "text/html"), *more))

    def admin_orders(self) -> list[dict[str, Any]]:
        return [order.to_dict() for order in self.exchange.orders()]

    def _answer(self, route: _Route, request: HttpRequest) -> object:
        fields = self._authenticated(route, request) if request.method == "POST" else request.query
        if route.operation == "submit":
            self._pass_to_engine(fields)
        with self.exchange.lock:  # One request is one step, however many calls it makes.
            return route.method(self, fields)

    # The gateway

    def _authenticated(self, route: _Route, request: HttpRequest) -> _Fields:
        """Check key, signature, nonce and counter, in this order (*inferred*), and return the parameters."""
        key, fields = request.headers.get("api-key", ""), _fields(request)
        if not key or self._api_key not in {None, key}:
            raise _RefusedError("EAPI:Invalid key")
        signed = request.path.encode() + hashlib.sha256(fields.get("nonce", "").encode() + request.body).digest()
        expected = b64encode(hmac.new((self._secret or key).encode(), signed, hashlib.sha512).digest()).decode()
        if not hmac.compare_digest(request.headers.get("api-sign", ""), expected):
            raise _RefusedError("EAPI:Invalid signature")
        with self.exchange.lock:
            self._check_nonce(key, fields)
            if not self._counter.count(route.cost):
                raise _RefusedError("EAPI:Rate limit exceeded")
        return fields

    def _check_nonce(self, key: str, fields: _Fields) -> None:
        highest, text = self._highest_nonce.get(key, 0), fields.get("nonce", "")
        if not (text.isascii() and text.isdecimal()) or (self.nonce_enforced and int(text) <= highest - self.nonce_window):
            raise _RefusedError("EAPI:Invalid nonce")
        self._highest_nonce[key] = max(highest, int(text))

    def _pass_to_engine(self, fields: _Fields) -> None:
        received = self._now()
        deadline = self._deadline(fields, received)
        nearest, farthest = self.deadline_range_s
        enforced = self.deadline_enforced_by
        if enforced != "nobody":
            self._check_deadline(deadline)
            if not nearest <= (deadline - received).total_seconds() <= farthest:
                raise _RefusedError("EGeneral:Invalid arguments:deadline")
        if self.engine_delay_s:
            self._wait(self.engine_delay_s)
        if enforced == "engine":
            self._check_deadline(deadline)

    def _check_deadline(self, deadline: datetime) -> None:
        if self._now() > deadline:
            raise _RefusedError("EService:Deadline elapsed")

    @staticmethod
    def _deadline(fields: _Fields, received: datetime) -> datetime:
        if "deadline" not in fields:
            return received + timedelta(seconds=DEADLINE_DEFAULT_S)
        try:
            found = datetime.fromisoformat(fields["deadline"])
        except ValueError:
            raise _RefusedError("EGeneral:Invalid arguments:deadline") from None
        if found.tzinfo is None:
            raise _RefusedError("EGeneral:Invalid arguments:deadline")
        return found

    # Orders

    def _add_order(self, fields: _Fields) -> object:
        wanted = self._read_order(fields)
        described = {"order": simulated.description(wanted, self.exchange.instrument(wanted.symbol))}
        if fields.get("validate") == "true":
            return {"descr": described}
        try:
            order = self.exchange.submit(wanted)
        except DuplicateClientOrderId as refusal:
            raise _RefusedError(self.duplicate_error) from refusal
        except Refusal as refusal:
            raise _explain(refusal) from refusal
        return {"txid": [order.order_id], "descr": described}

    def _read_order(self, fields: _Fields) -> OrderRequest:
        left_out = sorted(fields.keys() - ORDER_FIELDS)
        flags = set(fields.get("oflags", "fciq").split(","))
        if left_out or not flags <= {"fciq", "post"}:
            raise _RefusedError(f"EGeneral:Invalid arguments:{(left_out or ['oflags'])[0]}")
        kind = _choice(fields, "ordertype", simulated.WIRE_TYPES)
        client_order_id = fields.get("cl_ord_id")
        if client_order_id is not None and not (FREE_TEXT.fullmatch(client_order_id) or UUID.fullmatch(client_order_id)):
            raise _RefusedError("EGeneral:Invalid arguments:cl_ord_id")
        if "post" in flags and kind is not OrderType.LIMIT:
            raise _RefusedError("EGeneral:Invalid arguments:oflags")
        return OrderRequest(
            symbol=self._instrument(fields.get("pair", "")).symbol,
            side=_choice(fields, "type", {"buy": Side.BUY, "sell": Side.SELL}),
            type=kind,
            quantity=_number(fields, "volume"),
            client_order_id=client_order_id,
            post_only="post" in flags,
            **_lasting(fields, kind),
            **_prices(fields, kind),
        )

    def _cancel_order(self, fields: _Fields) -> object:
        if ("txid" in fields) is ("cl_ord_id" in fields):
            raise _RefusedError("EGeneral:Invalid arguments")
        named = fields.get("txid") or next((item.order_id for item in self._named(fields) if item.is_open), "")
        try:
            self.exchange.cancel(named)
        except (OrderNotFound, NotCancelable):
            raise _RefusedError("EOrder:Unknown order") from None
        return {"count": 1}

    def _named(self, fields: _Fields) -> list[SimulatedOrder]:
        return self.exchange.orders_with(fields["cl_ord_id"])

    def _open_orders(self, fields: _Fields) -> object:
        return {"open": {order.order_id: self._row(order) for order in self._orders(fields) if order.is_open}}

    def _closed_orders(self, fields: _Fields) -> object:
        by = _choice(fields, "closetime", {"open": "open", "close": "close", "both": "both"}, "both")
        ended = [order for order in self._orders(fields) if not order.is_open]
        found = [order for order in ended if any(_between(fields, at) for at in _times(order, by))]
        found.sort(key=lambda order: order.updated_at, reverse=True)
        page = _page(fields, found)
        return {"closed": {order.order_id: self._row(order) for order in page}, "count": len(found)}

    def _orders(self, fields: _Fields) -> list[SimulatedOrder]:
        if "cl_ord_id" in fields and self.filters_by_cl_ord_id:
            return [order for order in self._named(fields) if self._is_visible(order.created_at)]
        return [order for order in self.exchange.orders() if self._is_visible(order.created_at)]

    def _trades_history(self, fields: _Fields) -> object:
        told = [item for item in self.exchange.executions() if item.kind is ExecutionKind.TRADE]
        trades = [item for item in told if _between(fields, item.time) and self._is_visible(item.time)]
        page = _page(fields, trades[::-1])
        return {"trades": {item.trade_id: self._trade(item) for item in page}, "count": len(trades)}

    def _is_visible(self, since: datetime) -> bool:
        return not self.visible_after_s or since <= self._now() - timedelta(seconds=self.visible_after_s)

    def _row(self, order: SimulatedOrder) -> dict[str, Any]:
        return simulated.order(order, self.exchange.instrument(order.symbol))

    def _trade(self, item: SimulatedExecution) -> dict[str, Any]:
        return simulated.trade(item, self.exchange.order(item.order_id), self.exchange.instrument(item.symbol))

    # Everything else

    def _balance(self, _: _Fields) -> object:
        return {
            simulated.asset(name): {
                "balance": simulated.amount(held.free + held.reserved),
                "hold_trade": simulated.amount(held.reserved),
            }
            for name, held in sorted(self.exchange.balances().items())
        }

    def _key_info(self, _: _Fields) -> object:
        return {
            "apiKeyName": "logos",
            "nonceWindow": self.nonce_window,
            "permissions": ["query-funds", "query-open-trades", "query-closed-trades", "modify-trades", "close-trades"],
            "iban": self.iban,
            "validUntil": "0",
            "queryFrom": "0",
            "queryTo": "0",
            "ipAllowlist": [],
        }

    def _asset_pairs(self, fields: _Fields) -> object:
        wanted = [self._instrument(fields["pair"])] if "pair" in fields else self.exchange.instruments()
        return {simulated.pair_id(item): simulated.listing(item) for item in wanted}

    def _assets(self, _: _Fields) -> object:
        names = {name for item in self.exchange.instruments() for name in (item.base_asset, item.quote_asset)}
        return {simulated.asset(name): simulated.asset_listing(name) for name in sorted(names)}

    def _time(self, _: _Fields) -> object:
        return {"unixtime": int(self._now().timestamp()), "rfc1123": format_datetime(self._now())}

    def _instrument(self, name: str) -> SimulatedInstrument:
        for instrument in self.exchange.instruments():
            if name in {simulated.pair_id(instrument), simulated.altname(instrument)}:
                return instrument
        raise _RefusedError("EQuery:Unknown asset pair")

    def _route(self, request: HttpRequest) -> _Route | None:
        return self._ROUTES.get((request.method, request.path))

    _ROUTES: ClassVar[dict[tuple[str, str], _Route]] = {
        ("POST", "/0/private/AddOrder"): _Route("submit", _add_order, 0),
        ("POST", "/0/private/CancelOrder"): _Route("cancel", _cancel_order, 0),
        ("POST", "/0/private/OpenOrders"): _Route("reconcile", _open_orders),
        ("POST", "/0/private/ClosedOrders"): _Route("reconcile", _closed_orders),
        ("POST", "/0/private/TradesHistory"): _Route("reconcile", _trades_history, 2),
        ("POST", "/0/private/BalanceEx"): _Route("reconcile", _balance),
        ("POST", "/0/private/GetApiKeyInfo"): _Route("identify", _key_info),
        ("GET", "/0/public/AssetPairs"): _Route("instrument", _asset_pairs),
        ("GET", "/0/public/Assets"): _Route("instrument", _assets),
        ("GET", "/0/public/Time"): _Route("other", _time),
    }


class _Counter:
    """Count requests; the count falls steadily (docs, guides/rest/ratelimits)."""

    def __init__(self, limit: int | None, decay_per_s: float, now: Callable[[], datetime]) -> None:
        self._limit, self._decay_per_s, self._now = limit, decay_per_s, now
        self._count, self._at = 0.0, now()
        self._lock = threading.Lock()

    def count(self, cost: int) -> bool:
        with self._lock:
            now = self._now()
            self._count = max(self._count - (now - self._at).total_seconds() * self._decay_per_s, 0.0)
            self._at = now
            if self._limit is not None and cost and self._count + cost > self._limit:
                return False
            self._count += cost
            return True


class _RefusedError(Exception):
    """Carry an error of Kraken's to the one place that makes an answer of it."""


def _explain(refusal: Refusal) -> _RefusedError:
    """Give Kraken's words for a refusal (docs, guides/spot-errors)."""
    match refusal:
        case InsufficientFunds():
            return _RefusedError("EOrder:Insufficient funds")
        case WouldTake():
            return _RefusedError("EOrder:Post only order")  # third-party statements
        case BadExpiry():
            return _RefusedError("EGeneral:Invalid arguments:expiretm")
        case BadPrice(rule="price_tick"):
            return _RefusedError("EOrder:Tick size check failed")
        case BadPrice():
            return _RefusedError("EOrder:Invalid price")
        case BadQuantity(rule="min_quantity"):
            return _RefusedError("EOrder:Order minimum not met")
        case BadQuantity(rule="min_notional"):
            return _RefusedError("EOrder:Cost minimum not met")
        case BadQuantity():
            return _RefusedError("EGeneral:Invalid arguments:volume")
    return _RefusedError("EGeneral:Invalid arguments")


def _fields(request: HttpRequest) -> _Fields:
    """Return the parameters, from a form or from JSON (docs, guides/spot-rest-intro)."""
    try:
        if request.headers.get("content-type") != "application/json":
            return request.form()
        body = request.json()
    except ValueError:
        return {}
    return {name: str(value) for name, value in body.items()} if isinstance(body, dict) else {}


def _lasting(fields: _Fields, kind: OrderType) -> dict[str, Any]:
    """Return how long an order may wait. What trades at the market takes what is there."""
    if kind is not OrderType.LIMIT:
        if fields.keys() & {"timeinforce", "expiretm"}:  # inferred
            raise _RefusedError("EGeneral:Invalid arguments:timeinforce")
        return {"time_in_force": TimeInForce.GTC if kind is OrderType.STOP_LIMIT else TimeInForce.IOC}
    lasts = _choice(fields, "timeinforce", TIMES_IN_FORCE, "GTC")
    if (lasts is TimeInForce.GTD) is not ("expiretm" in fields):
        raise _RefusedError("EGeneral:Invalid arguments:expiretm")
    ends = _integer(fields, "expiretm", 0)
    return {"time_in_force": lasts, "expires_at": datetime.fromtimestamp(ends, UTC) if ends else None}


def _prices(fields: _Fields, kind: OrderType) -> dict[str, Any]:
    """Return the prices of an order, each under what it is (docs, add-order, price and price2)."""
    names = {
        OrderType.MARKET: {},
        OrderType.LIMIT: {"price": "price"},
        OrderType.STOP: {"price": "stop_price"},
        OrderType.STOP_LIMIT: {"price": "stop_price", "price2": "price"},
        OrderType.TRAILING_STOP: {"price": "trail"},
    }[kind]
    surplus = sorted((fields.keys() & {"price", "price2"}) - names.keys())
    if surplus:
        raise _RefusedError(f"EGeneral:Invalid arguments:{surplus[0]}")
    if kind is not OrderType.TRAILING_STOP:
        return {name: _number(fields, given) for given, name in names.items()}
    found = TRAIL.fullmatch(fields.get("price", ""))
    if found is None:
        raise _RefusedError("EGeneral:Invalid arguments:price")
    return {"trail_percent" if found[2] else "trail_amount": Decimal(found[1])}


def _choice(fields: _Fields, name: str, choices: Mapping[str, Any], default: str = "") -> Any:
    value = fields.get(name, default)
    if value not in choices:
        raise _RefusedError(f"EGeneral:Invalid arguments:{name}")
    return choices[value]


def _number(fields: _Fields, name: str) -> Decimal:
    value = fields.get(name, "")
    if not NUMBER.fullmatch(value):
        raise _RefusedError(f"EGeneral:Invalid arguments:{name}")
    return Decimal(value)


def _integer(fields: _Fields, name: str, default: int) -> int:
    value = fields.get(name, str(default))
    if not (value.isascii() and value.isdecimal()):
        raise _RefusedError(f"EGeneral:Invalid arguments:{name}")
    return int(value)


def _times(order: SimulatedOrder, by: str) -> list[datetime]:
    """Return the times of an order that a search goes by; `both` means either (*inferred*)."""
    return {"open": [order.created_at], "close": [order.updated_at]}.get(by, [order.created_at, order.updated_at])


def _between(fields: _Fields, moment: datetime) -> bool:
    """Say whether a time is after `start` and not after `end` (docs, get-closed-orders)."""
    seconds = moment.timestamp()
    after = "start" not in fields or seconds > _integer(fields, "start", 0)
    return after and ("end" not in fields or seconds <= _integer(fields, "end", 0))


def _page(fields: _Fields, rows: list[Any]) -> list[Any]:
    first = _integer(fields, "ofs", 0)
    return rows[first : first + PAGE]
