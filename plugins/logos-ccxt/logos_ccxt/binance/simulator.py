"""Speak Binance's spot API over an in-memory exchange.

Sources: *specification* is Binance's published OpenAPI document of the spot API, 1.0; *errors page* is its list
of codes; *quoted* is what ccxt 4.5.90 quotes in `binance.py`; *inferred* is a belief that none of them confirms.
A belief that could cost money is a constructor argument, so that a test can hold the opposite one.

*Cancel-replace page* is Binance's documentation of that endpoint.

Left out: take-profit, iceberg and list orders, an activation price beside a trailingDelta, margin, archived orders (-2026), the
daily order limit. Each is refused or absent, never half done.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid4  # noqa: TID251 - uuid4 is a default, and can be replaced.

from logos_core.testing.exchange import (
    BadPrice,
    BadQuantity,
    DuplicateClientOrderId,
    Exchange,
    ExecutionKind,
    InsufficientFunds,
    OrderRequest,
    OrderStatus,
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

LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX = 500, 1000  # specification
RECV_WINDOW_MS_DEFAULT, RECV_WINDOW_MS_MAX = 5000, 60_000  # specification: example and maximum
AHEAD_MS_MAX = 1000  # quoted, of -1021: "1000ms ahead of the server's time"
WEIGHT_PER_MINUTE = 6000  # inferred; the specification's example says 1200
ORDERS_PER_10_S = 100  # quoted
PRECISION = 8  # specification: baseAssetPrecision and quoteAssetPrecision of the example
NUMBER = re.compile(r"\d{1,20}(\.\d{1,20})?")
CLIENT_ORDER_ID = re.compile(r"[a-zA-Z0-9_-]{1,36}")  # inferred
SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
TYPES = {
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP_LOSS": OrderType.STOP,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
}
PRICED = frozenset({"LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT"})
TIMED = frozenset({"LIMIT", "STOP_LOSS_LIMIT"})
STOPPED = frozenset({"STOP_LOSS", "STOP_LOSS_LIMIT"})
TIMES_IN_FORCE = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
# The specification writes ALLOW_FAILURES, the cancel-replace page ALLOW_FAILURE.
MODES = {"STOP_ON_FAILURE": False, "ALLOW_FAILURE": True, "ALLOW_FAILURES": True}
RESTRICTIONS = {"ONLY_NEW": OrderStatus.NEW, "ONLY_PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED}  # specification
BASIS_POINTS = 100  # trailingDelta counts hundredths of a percent
LEFT_OUT = ("icebergQty", "strategyId", "strategyType")
CREATES = frozenset({"submit", "replace"})  # Operations that count as a new order.
NOT_SIMULATED = ("icebergAllowed", "ocoAllowed", "otoAllowed")
HTML_PAGE = b"<html><head><title>403 Forbidden</title></head><body>Request blocked.</body></html>"

_Fields: TypeAlias = Mapping[str, str]
_Choice = TypeVar("_Choice")
_Method: TypeAlias = "Callable[[BinanceSimulator, _Fields], object]"


def default_instruments() -> list[SimulatedInstrument]:
    """Return two pairs against USDT, of which any amount can be traded."""
    rows = [("BTC/USDT", "60000", "0.00001"), ("ETH/USDT", "3000", "0.0001")]
    return [
        SimulatedInstrument(
            symbol=symbol, base_asset=symbol.removesuffix("/USDT"), quote_asset="USDT", price_tick=Decimal("0.01"),
            quantity_step=Decimal(step), last=Decimal(last), min_quantity=Decimal(step), min_notional=Decimal(5),
        )
        for symbol, last, step in rows
    ]  # fmt: skip


class _Half(NamedTuple):
    result: str
    response: dict[str, Any] | None


class _Route(NamedTuple):
    operation: str
    method: _Method
    weight: int
    weight_without_symbol: int | None = None
    signed: bool = True


class BinanceSimulator:
    """Answer as Binance's spot API does; serve it with `LoopbackServer`.

    Instruments are named as ccxt names them, `BTC/USDT`; on the wire the slash is left out.

    Args:
        instruments: What can be traded. By default `default_instruments`.
        balances: What the account owns at the start; by default 100 000 USDT, 1 BTC and 10 ETH.
        api_key: The only key that is let in; None lets every non-empty key in.
        secret: The secret requests are signed with; None takes the key itself for its secret.
        uid: The number that names the account.
        weight_per_minute: The limit of request weights per calendar minute; None switches it off.
        orders_per_10_s: The limit of new orders per ten seconds; None switches it off.
        fee_rate: The part of what is received that is taken as commission. *Inferred*: no discount, no rebate.
        engine_delay_s: A request that has passed the gateway is matched so much later.
        engine_checks_window: The matching engine, too, refuses what is older than recvWindow, with -5028.
            *Inferred* to be untrue: by default only the gateway looks.
        cancelled_id_stays_taken: A client order id is free again only after a *fill*, as the specification says
            word for word. *Inferred* to be untrue: by default the end of the order frees it, however it ended.
        lookup_finds_latest: Of several orders under one client order id a lookup shows the latest. *Inferred*.
        trade_ids_in_fills: The answer to a submit names the ids of its trades. *Inferred*: the specification
            does not list them.
        visible_after_s: Lookups and lists miss an order for so long after it was accepted. *Inferred*; 0 means none.
        replace_refuses: Of every cancel-replace the engine refuses the `cancel`, or the `new` order after the cancel, whatever
            else is true; the second is the half-done state the specification of the codes allows.
        now: Tell the time.
        wait: Wait some seconds, between gateway and engine.
        new_id: Make client order ids that were left out.
    """

    def __init__(
        self,
        instruments: Iterable[SimulatedInstrument] | None = None,
        balances: Mapping[str, Decimal] | None = None,
        *,
        api_key: str | None = None,
        secret: str | None = None,
        uid: int = 354_937_868,
        weight_per_minute: int | None = WEIGHT_PER_MINUTE,
        orders_per_10_s: int | None = ORDERS_PER_10_S,
        fee_rate: Decimal = Decimal("0.001"),
        engine_delay_s: float = 0.0,
        engine_checks_window: bool = False,
        cancelled_id_stays_taken: bool = False,
        lookup_finds_latest: bool = True,
        trade_ids_in_fills: bool = True,
        visible_after_s: float = 0.0,
        replace_refuses: Literal["cancel", "new"] | None = None,
        now: Callable[[], datetime] = lambda: datetime.fromtimestamp(time.time(), UTC),  # noqa: TID251 - the default.
        wait: Callable[[float], None] = time.sleep,  # noqa: TID251 - the default.
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self.uid = uid
        self.fee_rate = fee_rate
        self.engine_delay_s = engine_delay_s
        self.engine_checks_window = engine_checks_window
        self.cancelled_id_stays_taken = cancelled_id_stays_taken
        self.lookup_finds_latest = lookup_finds_latest
        self.trade_ids_in_fills = trade_ids_in_fills
        self.visible_after_s = visible_after_s
        self.replace_refuses = replace_refuses
        self._api_key, self._secret = api_key, secret
        self._weights = _Limiter("X-MBX-USED-WEIGHT-1M", 60, weight_per_minute, now)
        self._orders = _Limiter("X-MBX-ORDER-COUNT-10S", 10, orders_per_10_s, now)
        self._now, self._wait, self._new_id = now, wait, new_id
        start = {"USDT": Decimal(100_000), "BTC": Decimal(1), "ETH": Decimal(10)}
        self.exchange = Exchange(
            default_instruments() if instruments is None else instruments,
            start if balances is None else balances,
            client_ids="open", fee_rate=fee_rate, fee_in="received", stops_may_trigger_at_once=False, now=now,
        )  # fmt: skip

    def operation(self, request: HttpRequest) -> str:
        route = self._route(request)
        return route.operation if route else "other"

    def client_order_id(self, request: HttpRequest) -> str | None:
        if request.path not in {"/api/v3/order", "/api/v3/order/cancelReplace"}:
            return None
        fields = _fields(_signed_part(request))
        if request.method == "POST":  # Of a cancel-replace, the id of the new order.
            return fields.get("newClientOrderId")
        if "origClientOrderId" in fields:
            return fields["origClientOrderId"]
        return next((order.client_order_id for order in self.exchange.orders() if order.order_id == fields.get("orderId")), None)

    def handle(self, request: HttpRequest) -> HttpResponse:
        date = ("Date", format_datetime(self._now().replace(microsecond=0), usegmt=True))
        route = self._route(request)
        if route is None:
            return HttpResponse(404, b"<html>Not found.</html>", (("Content-Type", "text/html"), date))
        allowed, used = self._weights.count(_weight(route, request))
        if not allowed:
            return _with(self.error_body(429), date, used)
        if route.operation not in CREATES:
            return _with(self._answer(route, request), date, used)
        allowed, orders = self._orders.count(1)
        if not allowed:
            message = f"Too many new orders; current limit is {self._orders.limit} orders per 10 SECOND."
            return _with(_error(429, -1015, message), ("Retry-After", "10"), date, used, orders)
        return _with(self._answer(route, request), date, used, orders)

    def error_body(self, status: int) -> HttpResponse:
        """Return a refusal for 401, and for every other status what proves nothing."""
        if status in _PAGES:
            return HttpResponse(status, HTML_PAGE, (("Content-Type", "text/html"),))
        answer = _error(status, *_ERRORS.get(status, (-1000, "An unknown error occurred while processing the request.")))
        return _with(answer, ("Retry-After", "60")) if status in {418, 429} else answer

    def admin_orders(self) -> list[dict[str, Any]]:
        return [order.to_dict() for order in self.exchange.orders()]

    def _answer(self, route: _Route, request: HttpRequest) -> HttpResponse:
        try:
            fields = self._signed(request) if route.signed else _fields(urlsplit(request.target).query)
            if route.operation in CREATES:
                self._pass_to_engine(fields)
            with self.exchange.lock:  # One request is one step, however many calls it makes.
                return HttpResponse.json(200, route.method(self, fields))
        except _RefusedError as refused:
            return HttpResponse.json(refused.status, refused.body())

    # The gateway

    def _signed(self, request: HttpRequest) -> _Fields:
        """Check key, signature and age, in this order (*inferred*), and return the parameters."""
        key = request.headers.get("x-mbx-apikey", "")
        if not key:
            raise _RefusedError(401, -2014, "API-key format invalid.")
        if self._api_key not in {None, key}:
            raise _RefusedError(401, -2015, "Invalid API-key, IP, or permissions for action.")
        payload, _, signature = _signed_part(request).rpartition("&signature=")
        expected = hmac.new((self._secret or key).encode(), payload.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, expected):
            raise _RefusedError(400, -1022, "Signature for this request is not valid.")
        fields = _fields(payload)
        self._check_age(fields, -1021, "Timestamp for this request is outside of the recvWindow.")
        return fields

    def _check_age(self, fields: _Fields, code: int, message: str) -> None:
        timestamp_ms = _integer(fields, "timestamp")
        window_ms = _integer(fields, "recvWindow", RECV_WINDOW_MS_DEFAULT)
        if window_ms > RECV_WINDOW_MS_MAX:
            raise _RefusedError(400, -1131, "recvWindow must be less than 60000")
        now_ms = _milliseconds(self._now())
        if now_ms - timestamp_ms > window_ms or timestamp_ms - now_ms >= AHEAD_MS_MAX:
            raise _RefusedError(400, code, message)

    def _pass_to_engine(self, fields: _Fields) -> None:
        if self.engine_delay_s:
            self._wait(self.engine_delay_s)
        if self.engine_checks_window:
            self._check_age(fields, -5028, "Timestamp for this request is outside of the ME recvWindow.")

    # Orders

    def _submit(self, fields: _Fields) -> object:
        return self._place(self._read_order(fields), fields)

    def _place(self, wanted: OrderRequest, fields: _Fields) -> dict[str, Any]:
        if self.cancelled_id_stays_taken:
            for earlier in self.exchange.orders_with(wanted.client_order_id or ""):
                if earlier.status is not OrderStatus.FILLED:
                    raise _RefusedError(400, -2010, "Duplicate order sent.")
        try:
            order = self.exchange.submit(wanted)
        except Refusal as refusal:
            raise _explain(refusal) from refusal
        answer = self._transacted(order)
        kind = fields.get("newOrderRespType", "FULL")
        if kind == "ACK":
            return {name: answer[name] for name in ("symbol", "orderId", "orderListId", "clientOrderId", "transactTime")}
        return answer if kind == "RESULT" else {**answer, "fills": [self._fill(item) for item in order.executions]}

    def _read_order(self, fields: _Fields) -> OrderRequest:
        for name in LEFT_OUT:
            if name in fields:
                raise _RefusedError(400, -1104, f"{name} is not simulated")
        kind = _choice(fields, "type", TYPES, -1116, "Invalid orderType.")
        client_order_id = fields.get("newClientOrderId", "") or self._new_id().hex
        if not CLIENT_ORDER_ID.fullmatch(client_order_id):
            raise _RefusedError(400, -1100, "Illegal characters found in parameter 'newClientOrderId'.")
        word = fields["type"]
        _refuse_surplus(word, fields)
        timed = word in TIMED
        lasts = _choice(fields, "timeInForce", TIMES_IN_FORCE, -1115, "Invalid timeInForce.") if timed else TimeInForce.GTC
        quoted = word == "MARKET" and "quoteOrderQty" in fields
        return OrderRequest(
            symbol=self._instrument(_given(fields, "symbol")).symbol,
            side=_choice(fields, "side", SIDES, -1117, "Invalid side."),
            type=OrderType.TRAILING_STOP if "trailingDelta" in fields else kind,
            quantity=None if quoted else _number(fields, "quantity"),
            notional=_number(fields, "quoteOrderQty") if quoted else None,
            price=_number(fields, "price") if word in PRICED else None,
            stop_price=_number(fields, "stopPrice") if word in STOPPED and "trailingDelta" not in fields else None,
            trail_percent=_number(fields, "trailingDelta") / BASIS_POINTS if "trailingDelta" in fields else None,
            post_only=word == "LIMIT_MAKER",
            time_in_force=TimeInForce.IOC if word in {"MARKET", "STOP_LOSS"} else lasts,
            client_order_id=client_order_id,
            tags={"type": word},
        )

    def _cancel(self, fields: _Fields) -> object:
        return self._end(self._matching(fields), fields)

    def _end(self, matching: list[SimulatedOrder], fields: _Fields, cancel_id: str = "") -> dict[str, Any]:
        found = [order for order in matching if order.is_open]
        if not found:
            raise _RefusedError(400, -2011, "Unknown order sent.")
        if "cancelRestrictions" in fields:
            if fields["cancelRestrictions"] not in RESTRICTIONS:
                message = "`cancelRestrictions` has to be either `ONLY_NEW` or `ONLY_PARTIALLY_FILLED`."
                raise _RefusedError(400, -1145, message)  # errors page
            if found[-1].status is not RESTRICTIONS[fields["cancelRestrictions"]]:
                raise _RefusedError(400, -2011, "Order was not canceled due to cancel restrictions.")  # errors page
        order = self.exchange.cancel(found[-1].order_id)
        cancelled = self._transacted(order)
        del cancelled["workingTime"]
        return {**cancelled, "origClientOrderId": order.client_order_id, "clientOrderId": cancel_id or self._new_id().hex}

    # Cancel and replace

    def _cancel_replace(self, fields: _Fields) -> object:
        """Cancel an order, then place another; either half can fail alone, and the filters come first (specification)."""
        allows = _choice(fields, "cancelReplaceMode", MODES, -1130, "Data sent for parameter 'cancelReplaceMode' is not valid.")
        wanted, original = self._read_order(fields), self._matching(fields, "cancelOrderId", "cancelOrigClientOrderId")
        try:
            self.exchange.check(replace(wanted, post_only=False))
        except Refusal as refusal:
            raise _explain(refusal) from refusal
        cancel = self._half(lambda: self._replaced(original, fields), refuses=self.replace_refuses == "cancel", code=-2011)
        new: _Half = _Half("NOT_ATTEMPTED", None)
        if allows or cancel.result == "SUCCESS":
            new = self._half(lambda: self._place(wanted, fields), refuses=self.replace_refuses == "new", code=-2010)
        data = {
            "cancelResult": cancel.result,
            "newOrderResult": new.result,
            "cancelResponse": cancel.response,
            "newOrderResponse": new.response,
        }
        if {cancel.result, new.result} == {"SUCCESS"}:
            return data
        if "SUCCESS" in {cancel.result, new.result}:
            raise _RefusedError(409, -2021, "Order cancel-replace partially failed.", data)
        raise _RefusedError(400, -2022, "Order cancel-replace failed.", data)

    def _replaced(self, original: list[SimulatedOrder], fields: _Fields) -> dict[str, Any]:
        cancelled = self._end(original, fields, fields.get("cancelNewClientOrderId", ""))
        names = (
            "symbol", "origClientOrderId", "orderId", "orderListId", "clientOrderId", "price", "origQty", "executedQty",
            "cummulativeQuoteQty", "status", "timeInForce", "type", "side", "selfTradePreventionMode",
            "transactTime",
        )  # fmt: skip
        return {name: cancelled[name] for name in names}

    @staticmethod
    def _half(act: Callable[[], dict[str, Any]], *, refuses: bool, code: int) -> _Half:
        """Do one half, and say how it went."""
        try:
            if refuses:
                raise _RefusedError(400, code, "This action is disabled on this account.")  # errors page
            return _Half("SUCCESS", act())
        except _RefusedError as refused:
            return _Half("FAILURE", refused.body())

    def _get(self, fields: _Fields) -> object:
        found = [order for order in self._matching(fields) if self._is_visible(order)]
        if not found:
            raise _RefusedError(400, -2013, "Order does not exist.")
        return self._order(found[-1 if self.lookup_finds_latest else 0])

    def _matching(self, fields: _Fields, by_id: str = "orderId", by_name: str = "origClientOrderId") -> list[SimulatedOrder]:
        symbol = self._instrument(_given(fields, "symbol")).symbol
        if by_id in fields:
            wanted = str(_integer(fields, by_id))
            return [order for order in self.exchange.orders() if (order.symbol, order.order_id) == (symbol, wanted)]
        if by_name not in fields:
            raise _RefusedError(400, -1102, f"Param '{by_name}' or '{by_id}' must be sent, but both were empty/null!")
        return [order for order in self.exchange.orders_with(fields[by_name]) if order.symbol == symbol]

    def _open_orders(self, fields: _Fields) -> object:
        symbol = self._instrument(fields["symbol"]).symbol if "symbol" in fields else None
        return [
            self._order(order)
            for order in self.exchange.open_orders()
            if symbol in {None, order.symbol} and self._is_visible(order)
        ]

    def _all_orders(self, fields: _Fields) -> object:
        symbol = self._instrument(_given(fields, "symbol")).symbol
        orders = [order for order in self.exchange.orders() if order.symbol == symbol and self._is_visible(order)]
        found = _window(fields, "orderId", [(int(order.order_id), order.created_at, order) for order in orders])
        return [self._order(order) for order in found]

    def _my_trades(self, fields: _Fields) -> object:
        symbol = self._instrument(_given(fields, "symbol")).symbol
        trades = [item for item in self.exchange.executions() if item.symbol == symbol and item.kind is ExecutionKind.TRADE]
        if "orderId" in fields:
            trades = [item for item in trades if item.order_id == str(_integer(fields, "orderId"))]
        found = _window(fields, "fromId", [(int(item.trade_id), item.time, item) for item in trades])
        return [self._trade(item) for item in found]

    def _is_visible(self, order: SimulatedOrder) -> bool:
        return not self.visible_after_s or order.created_at <= self._now() - timedelta(seconds=self.visible_after_s)

    def _transacted(self, order: SimulatedOrder) -> dict[str, Any]:
        """Describe an order as the answers that change it do; a lookup says more (specification)."""
        more = {"time", "updateTime", "isWorking", "stopPrice", "icebergQty"}
        said = {name: value for name, value in self._order(order).items() if name not in more}
        return {**said, "transactTime": _milliseconds(order.updated_at)}

    def _order(self, order: SimulatedOrder) -> dict[str, Any]:
        request, word = order.request, order.request.tags.get("type", order.request.type.value.upper())
        created_ms, waits = _milliseconds(order.created_at), order.awaits_trigger
        stop, trailing = order.request.stop_price, request.trail_percent is not None
        conditional = {"trailingDelta": int((request.trail_percent or Decimal(0)) * BASIS_POINTS), "trailingTime": created_ms}
        return (conditional if trailing else {}) | {
            "symbol": _market(order.symbol),
            "orderId": int(order.order_id),
            "orderListId": -1,
            "clientOrderId": order.client_order_id,
            "price": _amount(request.price or Decimal(0)),
            "origQty": _amount(order.quantity),
            "executedQty": _amount(order.filled_quantity),
            "cummulativeQuoteQty": _amount(order.filled_notional),
            "status": _status(order),
            # Of a market order Binance says GTC (specification, example).
            "timeInForce": request.time_in_force.value.upper() if word in TIMED else "GTC",
            "type": word,
            "side": request.side.value.upper(),
            "stopPrice": _amount(stop or Decimal(0)),
            "icebergQty": _amount(Decimal(0)),
            "time": created_ms,
            "updateTime": _milliseconds(order.updated_at),
            "isWorking": not waits,
            "workingTime": -1 if waits else created_ms,
            "origQuoteOrderQty": _amount(request.notional or Decimal(0)),
            "selfTradePreventionMode": "NONE",
        }

    def _fill(self, execution: SimulatedExecution) -> dict[str, Any]:
        trade = self._trade(execution)
        names = ("price", "qty", "commission", "commissionAsset")
        identity = {"tradeId": trade["id"]} if self.trade_ids_in_fills else {}
        return {name: trade[name] for name in names} | identity

    def _trade(self, execution: SimulatedExecution) -> dict[str, Any]:
        amount, asset = execution.fee
        return {
            "symbol": _market(execution.symbol),
            "id": int(execution.trade_id),
            "orderId": int(execution.order_id),
            "orderListId": -1,
            "price": _amount(execution.price),
            "qty": _amount(execution.quantity),
            "quoteQty": _amount(execution.quantity * execution.price),
            "commission": _amount(amount),
            "commissionAsset": asset,
            "time": _milliseconds(execution.time),
            "isBuyer": execution.side is Side.BUY,
            "isMaker": False,
            "isBestMatch": True,
        }

    # Everything else

    def _account(self, _: _Fields) -> object:
        balances = sorted(self.exchange.balances().items())
        basis_points = int(self.fee_rate * 10_000)
        return {
            **dict.fromkeys(("makerCommission", "takerCommission"), basis_points),
            **dict.fromkeys(("buyerCommission", "sellerCommission"), 0),
            "commissionRates": {
                **dict.fromkeys(("maker", "taker"), _amount(self.fee_rate)),
                **dict.fromkeys(("buyer", "seller"), _amount(Decimal(0))),
            },
            **dict.fromkeys(("brokered", "requireSelfTradePrevention", "preventSor"), False),
            "canTrade": True,
            "canWithdraw": False,
            "canDeposit": False,
            "accountType": "SPOT",
            "updateTime": _milliseconds(self._now()),
            "permissions": ["SPOT"],
            "uid": self.uid,
            "balances": [
                {"asset": asset, "free": _amount(held.free), "locked": _amount(held.reserved)} for asset, held in balances
            ],
        }

    def _exchange_info(self, fields: _Fields) -> object:
        wanted = [self._instrument(fields["symbol"])] if "symbol" in fields else self.exchange.instruments()
        limits = [("REQUEST_WEIGHT", "MINUTE", 1, self._weights.limit), ("ORDERS", "SECOND", 10, self._orders.limit)]
        return {
            "timezone": "UTC",
            "serverTime": _milliseconds(self._now()),
            "rateLimits": [
                {"rateLimitType": kind, "interval": unit, "intervalNum": number, "limit": limit}
                for kind, unit, number, limit in limits
                if limit is not None
            ],
            "exchangeFilters": [],
            "symbols": [_listing(instrument) for instrument in wanted],
        }

    def _price(self, fields: _Fields) -> object:
        if "symbol" not in fields:
            return [{"symbol": _market(item.symbol), "price": _amount(item.last)} for item in self.exchange.instruments()]
        instrument = self._instrument(fields["symbol"])
        return {"symbol": _market(instrument.symbol), "price": _amount(instrument.last)}

    def _ping(self, _: _Fields) -> object:
        return {}

    def _time(self, _: _Fields) -> object:
        return {"serverTime": _milliseconds(self._now())}

    def _instrument(self, market: str) -> SimulatedInstrument:
        for instrument in self.exchange.instruments():
            if _market(instrument.symbol) == market:
                return instrument
        raise _RefusedError(400, -1121, "Invalid symbol.")

    def _route(self, request: HttpRequest) -> _Route | None:
        return self._ROUTES.get((request.method, request.path))

    # The weights are the specification's.
    _ROUTES: ClassVar[dict[tuple[str, str], _Route]] = {
        ("POST", "/api/v3/order"): _Route("submit", _submit, 1),
        ("POST", "/api/v3/order/cancelReplace"): _Route("replace", _cancel_replace, 1),
        ("DELETE", "/api/v3/order"): _Route("cancel", _cancel, 1),
        ("GET", "/api/v3/order"): _Route("lookup", _get, 4),
        ("GET", "/api/v3/openOrders"): _Route("reconcile", _open_orders, 6, weight_without_symbol=80),
        ("GET", "/api/v3/allOrders"): _Route("reconcile", _all_orders, 20),
        ("GET", "/api/v3/myTrades"): _Route("reconcile", _my_trades, 20),
        ("GET", "/api/v3/account"): _Route("identify", _account, 20),
        ("GET", "/api/v3/exchangeInfo"): _Route("instrument", _exchange_info, 10, signed=False),
        ("GET", "/api/v3/ticker/price"): _Route("other", _price, 2, weight_without_symbol=4, signed=False),
        ("GET", "/api/v3/time"): _Route("other", _time, 1, signed=False),
        ("GET", "/api/v3/ping"): _Route("other", _ping, 1, signed=False),
    }


class _Limiter:
    """Count weights per window of the clock; when the real window starts is *inferred*."""

    def __init__(self, header: str, window_s: int, limit: int | None, now: Callable[[], datetime]) -> None:
        self.limit = limit
        self._header, self._window_s, self._now = header, window_s, now
        self._window, self._used = 0, 0
        self._lock = threading.Lock()

    def count(self, weight: int) -> tuple[bool, tuple[str, str]]:
        with self._lock:
            window = int(self._now().timestamp()) // self._window_s
            if window != self._window:
                self._window, self._used = window, 0
            self._used += weight
            return self.limit is None or self._used <= self.limit, (self._header, str(self._used))


class _RefusedError(Exception):
    """Carry a refusal to the one place that makes an answer of it."""

    def __init__(self, status: int, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.status, self.code, self.data = status, code, data

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"code": self.code, "msg": str(self)}
        return body if self.data is None else {**body, "data": self.data}


# What a status answers when nothing more is known. A firewall and a balancer speak HTML (403: errors page, WAF).
_PAGES = frozenset({403, 404, 502})
_ERRORS = {
    401: (-2015, "Invalid API-key, IP, or permissions for action."),
    418: (-1003, "Way too much request weight used; IP banned."),
    429: (-1003, "Too much request weight used; please use WebSocket Streams for live updates to avoid polling the API."),
    503: (-1000, "Unknown error, please check your request or try again later."),
    504: (-1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
}


def _explain(refusal: Refusal) -> _RefusedError:
    """Give Binance's code and words for a refusal (errors page)."""
    match refusal:
        case DuplicateClientOrderId():
            return _RefusedError(400, -2010, "Duplicate order sent.")
        case InsufficientFunds():
            return _RefusedError(400, -2010, "Account has insufficient balance for requested action.")
        case WouldTake():
            return _RefusedError(400, -2010, "Order would immediately match and take.")
        case BadPrice(rule="would_trigger"):
            return _RefusedError(400, -2010, "Order would trigger immediately.")
        case BadPrice(rule="trail"):
            return _RefusedError(400, -1013, "Filter failure: TRAILING_DELTA")
        case BadPrice():
            return _RefusedError(400, -1013, "Filter failure: PRICE_FILTER")
        case BadQuantity(rule="min_notional"):
            return _RefusedError(400, -1013, "Filter failure: NOTIONAL")
        case BadQuantity():
            return _RefusedError(400, -1013, "Filter failure: LOT_SIZE")
    return _RefusedError(400, -1013, str(refusal))


def _status(order: SimulatedOrder) -> str:
    """Give Binance's word: what an IOC or market order leaves behind expires, it is not cancelled."""
    if order.status is OrderStatus.CANCELED and order.reason == "time_in_force":
        return "EXPIRED"
    return order.status.value.upper()


def _listing(instrument: SimulatedInstrument) -> dict[str, Any]:
    """Describe one symbol; maxima are far above anything a test sends."""
    most, least = _amount(Decimal(9_000_000)), _amount(instrument.min_quantity)
    return {
        "symbol": _market(instrument.symbol),
        "status": "TRADING",
        "baseAsset": instrument.base_asset,
        "baseAssetPrecision": PRECISION,
        "quoteAsset": instrument.quote_asset,
        "quotePrecision": PRECISION,
        "quoteAssetPrecision": PRECISION,
        **dict.fromkeys(("baseCommissionPrecision", "quoteCommissionPrecision"), PRECISION),
        **dict.fromkeys(NOT_SIMULATED, False),
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"],
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": _amount(instrument.price_tick),
                "maxPrice": most,
                "tickSize": _amount(instrument.price_tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": least,
                "maxQty": most,
                "stepSize": _amount(instrument.quantity_step),
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": _amount(instrument.min_notional),
                "applyMinToMarket": True,
                "maxNotional": most,
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ],
        "permissions": [],
        "permissionSets": [["SPOT"]],
    }


def _refuse_surplus(word: str, fields: _Fields) -> None:
    """Refuse what does not go with a type of order; -1106 for each is *inferred*."""
    uses = {"price": PRICED, "timeInForce": TIMED, "stopPrice": STOPPED, "trailingDelta": STOPPED, "quoteOrderQty": {"MARKET"}}
    for name, words in uses.items():
        if name in fields and word not in words:
            raise _RefusedError(400, -1106, f"Parameter '{name}' sent when not required.")
    for one, other in (("stopPrice", "trailingDelta"), ("quantity", "quoteOrderQty")):
        if one in fields and other in fields:  # An activation price is left out.
            raise _RefusedError(400, -1128, "Combination of optional parameters invalid.")


def _window(fields: _Fields, name: str, rows: list[tuple[int, datetime, Any]]) -> list[Any]:
    """Return the rows from an id on, or between two times, or the latest ones (specification)."""
    limit = _integer(fields, "limit", LIST_LIMIT_DEFAULT)
    if not 1 <= limit <= LIST_LIMIT_MAX:
        raise _RefusedError(400, -1130, "Data sent for parameter 'limit' is not valid.")
    if name in fields:
        first = _integer(fields, name)
        return [row for number, _, row in rows if number >= first][:limit]
    start, end = (_integer(fields, key, -1) for key in ("startTime", "endTime"))
    found = [row for _, at, row in rows if _milliseconds(at) >= start and (end < 0 or _milliseconds(at) <= end)]
    return found[:limit] if start >= 0 else found[-limit:]


def _weight(route: _Route, request: HttpRequest) -> int:
    if route.weight_without_symbol is not None and "symbol" not in request.query:
        return route.weight_without_symbol
    return route.weight


def _signed_part(request: HttpRequest) -> str:
    """Return what is signed: the query string, then the body, joined without anything (*inferred*)."""
    return urlsplit(request.target).query + request.body.decode("latin-1")


def _fields(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True))


def _given(fields: _Fields, name: str) -> str:
    if not fields.get(name):
        raise _RefusedError(400, -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
    return fields[name]


def _choice(fields: _Fields, name: str, choices: Mapping[str, _Choice], code: int, message: str) -> _Choice:
    value = _given(fields, name)
    if value not in choices:
        raise _RefusedError(400, code, message)
    return choices[value]


def _number(fields: _Fields, name: str) -> Decimal:
    value = _given(fields, name)
    if not NUMBER.fullmatch(value):
        raise _RefusedError(400, -1100, f"Illegal characters found in parameter '{name}'.")
    if len(value.partition(".")[2]) > PRECISION:
        raise _RefusedError(400, -1111, f"Parameter '{name}' has too much precision.")
    return Decimal(value)


def _integer(fields: _Fields, name: str, default: int | None = None) -> int:
    if default is not None and name not in fields:
        return default
    value = _given(fields, name)
    if not (value.isascii() and value.isdecimal() and len(value) <= 19):
        raise _RefusedError(400, -1100, f"Illegal characters found in parameter '{name}'.")
    return int(value)


def _market(symbol: str) -> str:
    return symbol.replace("/", "")


def _amount(number: Decimal) -> str:
    return f"{number:.{PRECISION}f}"


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _error(status: int, code: int, message: str) -> HttpResponse:
    return HttpResponse.json(status, {"code": code, "msg": message})


def _with(answer: HttpResponse, *headers: tuple[str, str]) -> HttpResponse:
    return HttpResponse(answer.status, answer.body, (*answer.headers, *headers))
