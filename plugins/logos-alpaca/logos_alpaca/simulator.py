"""Speak the Alpaca paper trading API over an in-memory exchange.

Sources: *specification* is Alpaca's published OpenAPI document of the Trading API, 2.0.1; *recorded* is
what the paper environment was seen to answer; *inferred* is a belief that neither confirms. A belief
that could cost money is a constructor argument, so that a test can hold the opposite one.

Left out: stop, trailing and notional orders, legs, replacing, fees and closed markets. Each is refused
or absent, never half done.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import StrEnum
from http import HTTPStatus
from typing import Any, ClassVar, TypeAlias, TypeVar
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5  # noqa: TID251 - uuid4 is a default, and can be replaced.
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from logos_core.testing.exchange import (
    BadPrice,
    BadQuantity,
    DuplicateClientOrderId,
    Exchange,
    InsufficientFunds,
    NotCancelable,
    OrderNotFound,
    OrderRequest,
    OrderStatus,
    OrderType,
    Refusal,
    Side,
    SimulatedExecution,
    SimulatedInstrument,
    SimulatedOrder,
    TimeInForce,
    UnknownSymbol,
)
from logos_core.testing.server import HttpRequest, HttpResponse

CLIENT_ORDER_ID_LENGTH_MAX = 128  # specification
LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX = 50, 500  # specification
PAGE_SIZE_MAX = 100  # specification
REQUESTS_PER_MINUTE = 200  # documented by Alpaca, per key
CRYPTO_TIMES_IN_FORCE = frozenset({TimeInForce.GTC, TimeInForce.IOC})  # specification
NULL_FIELDS = (
    "expired_at", "failed_at", "hwm", "legs", "notional", "ratio_qty", "replaced_at", "replaced_by", "replaces",
    "source", "stop_price", "subtag", "trail_percent", "trail_price",
)  # fmt: skip
# Timestamps carry nanoseconds (recorded); Python's datetime does not, so every one ends in these.
NANOSECONDS = 789

_Choice = TypeVar("_Choice", bound=StrEnum)
_Item = TypeVar("_Item")
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
        now: Callable[[], datetime] = lambda: datetime.fromtimestamp(time.time(), UTC),  # noqa: TID251 - the default.
        new_id: Callable[[], UUID] = uuid4,
    ) -> None:
        self.account_number = account_number
        self.pending_new_first = pending_new_first
        self.visible_after_s = visible_after_s
        self._keys = {"apca-api-key-id": api_key, "apca-api-secret-key": secret_key}
        self._limiter = None if requests_per_minute is None else _Limiter(requests_per_minute, now)
        self._now, self._new_id, self._started_at = now, new_id, now()
        self.exchange = Exchange(
            default_instruments() if instruments is None else instruments,
            {"USD": Decimal(100_000)} if balances is None else balances,
            client_ids="ever" if duplicate_covers_terminal else "open",
            order_ids=lambda _: str(new_id()), trade_ids=lambda _: str(new_id()), now=now,
        )  # fmt: skip

    def operation(self, request: HttpRequest) -> str:
        found = self._route(request)
        return "other" if found is None else found[0]

    def client_order_id(self, request: HttpRequest) -> str | None:
        found = self._route(request)
        operation = "other" if found is None else found[0]
        if operation == "submit":
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
        if status not in _ERRORS:
            return HttpResponse.json(status, {"message": _phrase(status)})
        code, message = _ERRORS[status]
        return HttpResponse.json(status, {"message": message} if code is None else {"code": code, "message": message})

    def admin_orders(self) -> list[dict[str, Any]]:
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
                return method(self, request, argument)
        except _RefusedError as refused:
            return HttpResponse.json(refused.status, {"code": refused.code, "message": str(refused)})

    # Orders

    def _submit(self, request: HttpRequest, _: str) -> HttpResponse:
        wanted = self._read_order(_read_object(request))
        try:
            order = self.exchange.submit(wanted)
        except Refusal as refusal:
            raise _explain(refusal, wanted) from refusal
        if self.pending_new_first:
            return HttpResponse.json(200, self._order(self.exchange.history(order.order_id)[0], "pending_new"))
        return HttpResponse.json(200, self._order(order))

    def _read_order(self, data: Mapping[str, Any]) -> OrderRequest:
        for name in ("notional", "stop_price", "trail_price", "trail_percent", "legs", "take_profit", "stop_loss"):
            if data.get(name) is not None:
                raise _RefusedError(422, 40010001, f"{name} is not simulated")
        if data.get("type") not in {"market", "limit"} or data.get("time_in_force") == "gtd":
            raise _RefusedError(422, 40010001, "invalid type or time_in_force")
        symbol, client_order_id = data.get("symbol"), data.get("client_order_id") or str(self._new_id())
        if not isinstance(symbol, str) or not isinstance(client_order_id, str):
            raise _RefusedError(422, 40010001, "symbol and client_order_id are strings, and symbol is required")
        if len(client_order_id) > CLIENT_ORDER_ID_LENGTH_MAX:
            raise _RefusedError(422, 40010001, "client_order_id must be no more than 128 characters")
        quantity, price = _read_number(data, "qty"), _read_number(data, "limit_price")
        if quantity is None:
            raise _RefusedError(422, 40010001, "qty or notional is required")
        order = OrderRequest(
            symbol=self._instrument(symbol, 422).symbol, side=_read_choice(data, "side", Side),
            type=_read_choice(data, "type", OrderType), quantity=quantity, price=price,
            time_in_force=_read_choice(data, "time_in_force", TimeInForce), client_order_id=client_order_id,
            tags={"extended_hours": data.get("extended_hours") is True},
        )  # fmt: skip
        _check_rules(order)
        return order

    def _cancel(self, request: HttpRequest, order_id: str) -> HttpResponse:
        try:
            self.exchange.cancel(order_id)
        except OrderNotFound as error:
            raise _RefusedError(404, 40410000, f"order not found for {order_id}") from error
        except NotCancelable as error:
            raise _RefusedError(422, 42210000, f'order is already in "{error.rule}" state') from error
        return HttpResponse(204)

    def _get(self, request: HttpRequest, order_id: str) -> HttpResponse:
        return self._one(order_id, [order for order in self._visible() if order.order_id == order_id])

    def _get_by_client_order_id(self, request: HttpRequest, _: str) -> HttpResponse:
        wanted = request.query.get("client_order_id", "")
        return self._one(wanted, [order for order in self._visible() if order.client_order_id == wanted])

    def _one(self, wanted: str, orders: list[SimulatedOrder]) -> HttpResponse:
        if not orders:
            raise _RefusedError(404, 40410000, f"order not found for {wanted}")
        return HttpResponse.json(200, self._order(orders[-1]))

    def _list(self, request: HttpRequest, _: str) -> HttpResponse:
        query = request.query
        limit = _read_limit(query.get("limit", str(LIST_LIMIT_DEFAULT)), LIST_LIMIT_MAX)
        status = query.get("status", "open")
        if status not in {"open", "closed", "all"}:
            raise _RefusedError(422, 40010001, f"invalid status: {status}")
        orders = [order for order in self._visible() if status == "all" or order.is_open == (status == "open")]
        if symbols := query.get("symbols"):
            wanted = {symbol.replace("/", "") for symbol in symbols.split(",")}
            orders = [order for order in orders if order.symbol.replace("/", "") in wanted]
        if side := query.get("side"):
            orders = [order for order in orders if order.request.side == side]
        orders = _behind(_between(orders, query, lambda order: order.created_at), self.exchange.orders(), query)
        if query.get("direction", "desc") != "asc":
            orders.reverse()
        return HttpResponse.json(200, [self._order(order) for order in orders[:limit]])

    def _visible(self) -> list[SimulatedOrder]:
        seen_until = self._now() - timedelta(seconds=self.visible_after_s)
        return [order for order in self.exchange.orders() if order.created_at <= seen_until or not self.visible_after_s]

    def _order(self, order: SimulatedOrder, status: str | None = None) -> dict[str, Any]:
        request, instrument = order.request, self.exchange.instrument(order.symbol)
        price, average = request.price, order.average_price
        ended_at, done = _timestamp(order.updated_at), order.status
        lasts = timedelta(days=90 if request.time_in_force is TimeInForce.GTC else 1)
        return dict.fromkeys(NULL_FIELDS) | {
            "id": order.order_id,
            "client_order_id": order.client_order_id,
            "created_at": _timestamp(order.created_at),
            "submitted_at": _timestamp(order.created_at),
            "updated_at": _timestamp(order.updated_at),
            "expires_at": _timestamp(order.created_at + lasts),
            "filled_at": ended_at if done is OrderStatus.FILLED else None,
            "canceled_at": ended_at if done is OrderStatus.CANCELED else None,
            "expired_at": ended_at if done is OrderStatus.EXPIRED else None,
            "asset_id": _asset_id(instrument),
            "asset_class": _asset_class(instrument),
            "symbol": order.symbol,
            "qty": _plain(order.quantity),
            "filled_qty": _plain(order.filled_quantity),
            "filled_avg_price": None if average is None else _plain(round(average, 9)),
            "order_class": "",  # recorded: an empty word means simple
            "order_type": request.type.value,
            "type": request.type.value,
            "side": request.side.value,
            "position_intent": "buy_to_open" if request.side is Side.BUY else "sell_to_close",
            "time_in_force": request.time_in_force.value,
            "limit_price": None if price is None else _plain(price),
            "status": status or done.value,
            "extended_hours": request.tags.get("extended_hours", False),
        }

    # Everything else

    def _account(self, request: HttpRequest, _: str) -> HttpResponse:
        cash = self.exchange.balance("USD")
        equity, money = cash.free + cash.reserved, _plain(cash.free)
        shares = sum((quantity * item.last for item, quantity in self._holdings()), Decimal(0))
        data = {
            "id": str(uuid5(NAMESPACE_URL, self.account_number)),
            "account_number": self.account_number,
            "status": "ACTIVE",
            "crypto_status": "ACTIVE",
            "currency": "USD",
            "cash": _plain(equity),
            "buying_power": money,
            "non_marginable_buying_power": money,
            "equity": _plain(equity + shares),
            "portfolio_value": _plain(equity + shares),
            "long_market_value": _plain(shares),
            "multiplier": "1",
            "pattern_day_trader": False,
            "trading_blocked": False,
            "transfers_blocked": False,
            "account_blocked": False,
            "trade_suspended_by_user": False,
            "shorting_enabled": False,
            "daytrade_count": 0,
            "created_at": _timestamp(self._started_at),
        }
        return HttpResponse.json(200, data)

    def _asset(self, request: HttpRequest, symbol: str) -> HttpResponse:
        instrument = self._instrument(symbol, 404)
        is_share = _asset_class(instrument) == "us_equity"
        data: dict[str, Any] = {
            "id": _asset_id(instrument),
            "class": _asset_class(instrument),
            "exchange": "NASDAQ" if is_share else "CRYPTO",
            "symbol": instrument.symbol,
            "name": instrument.symbol,
            "status": "active",
            "tradable": True,
            "marginable": is_share,
            "shortable": is_share,
            "easy_to_borrow": is_share,
            "fractionable": True,
            "attributes": [],
        }
        if not is_share:
            data["min_order_size"] = _plain(instrument.min_quantity)
            data["min_trade_increment"] = _plain(instrument.quantity_step)
            data["price_increment"] = _plain(instrument.price_tick)
        return HttpResponse.json(200, data)

    def _positions(self, request: HttpRequest, _: str) -> HttpResponse:
        return HttpResponse.json(200, [_position(item, quantity) for item, quantity in self._holdings()])

    def _holdings(self) -> list[tuple[SimulatedInstrument, Decimal]]:
        held = ((item, self.exchange.balance(item.base_asset)) for item in self.exchange.instruments())
        return [(item, has.free + has.reserved) for item, has in held if has.free + has.reserved]

    def _fills(self, request: HttpRequest, _: str) -> HttpResponse:
        query = request.query
        size = _read_limit(query.get("page_size", str(PAGE_SIZE_MAX)), PAGE_SIZE_MAX)
        executions = _between(self.exchange.executions(), query, lambda execution: execution.time)
        if query.get("direction", "desc") != "asc":
            executions.reverse()
        if token := query.get("page_token"):
            ids = [_activity_id(execution) for execution in executions]
            if token not in ids:
                raise _RefusedError(422, 40010001, "invalid page_token")
            executions = executions[ids.index(token) + 1 :]
        return HttpResponse.json(200, [self._activity(execution) for execution in executions[:size]])

    def _activity(self, execution: SimulatedExecution) -> dict[str, Any]:
        history = self.exchange.history(execution.order_id)
        order = next(state for state in history if execution in state.executions)
        return {
            "id": _activity_id(execution),
            "activity_type": "FILL",
            "transaction_time": _timestamp(execution.time),
            "type": "fill" if order.status is OrderStatus.FILLED else "partial_fill",
            "price": _plain(execution.price),
            "qty": _plain(execution.quantity),
            "side": execution.side.value,
            "symbol": execution.symbol,
            "leaves_qty": _plain(order.leaves_quantity),
            "order_id": execution.order_id,
            "cum_qty": _plain(order.filled_quantity),
            "order_status": order.status.value,
        }

    def _clock(self, request: HttpRequest, _: str) -> HttpResponse:
        now = self._now()
        return HttpResponse.json(200, {
            "timestamp": _timestamp(now), "is_open": True,
            "next_open": _timestamp(now + timedelta(days=1)), "next_close": _timestamp(now + timedelta(hours=6)),
        })  # fmt: skip

    def _instrument(self, name: str, status: int) -> SimulatedInstrument:
        for instrument in self.exchange.instruments():
            if name in {instrument.symbol, instrument.symbol.replace("/", ""), _asset_id(instrument)}:
                return instrument
        raise _RefusedError(status, 40410000 if status == 404 else 42210000, f"asset not found for {name}")

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
        ("GET", r"/v2/assets/([^/]+)", "instrument", _asset),
        ("GET", r"/v2/account", "identify", _account),
        ("GET", r"/v2/account/activities/FILL", "reconcile", _fills),
        ("GET", r"/v2/positions", "reconcile", _positions),
        ("GET", r"/v2/clock", "other", _clock),
    ]


class _Limiter:
    """Count requests per calendar minute; when the real window starts is *inferred*."""

    def __init__(self, limit: int, now: Callable[[], datetime]) -> None:
        self._limit, self._now = limit, now
        self._minute, self._used = 0, 0
        self._lock = threading.Lock()

    def count(self) -> tuple[bool, tuple[tuple[str, str], ...]]:
        with self._lock:
            minute = int(self._now().timestamp()) // 60
            if minute != self._minute:
                self._minute, self._used = minute, 0
            self._used += 1
            left = self._limit - self._used
        return left >= 0, (
            ("X-RateLimit-Limit", str(self._limit)),
            ("X-RateLimit-Remaining", str(max(left, 0))),
            ("X-RateLimit-Reset", str((minute + 1) * 60)),
        )


class _RefusedError(Exception):
    """Carry a refusal to the one place that makes an answer of it."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


# What a status answers when nothing more is known. 401 and 403 have no code (recorded); 42910000 is third-party
# knowledge; 50010000 is *inferred*.
_ERRORS: dict[int, tuple[int | None, str]] = {
    401: (None, "unauthorized."),
    403: (None, "forbidden."),
    404: (40410000, "order not found"),
    422: (42210000, "unprocessable request"),
    429: (42910000, "rate limit exceeded"),
    500: (50010000, "internal server error occurred"),
}


def _explain(refusal: Refusal, wanted: OrderRequest) -> _RefusedError:
    """Give Alpaca's code; recorded for duplicates and funds, *inferred* for the rest."""
    match refusal:
        case DuplicateClientOrderId():
            return _RefusedError(422, 40010001, "client_order_id must be unique")
        case InsufficientFunds():
            short = "buying power" if wanted.side is Side.BUY else "qty available for order"
            return _RefusedError(403, 40310000, f"insufficient {short}")
        case BadPrice():
            return _RefusedError(422, 42210000, f"invalid limit_price: {refusal}")
        case BadQuantity() | UnknownSymbol():
            return _RefusedError(422, 42210000, f"invalid order: {refusal}")
    return _RefusedError(422, 42210000, str(refusal))


def _check_rules(order: OrderRequest) -> None:
    is_coin, is_day = "/" in order.symbol, order.time_in_force is TimeInForce.DAY
    if is_coin and order.time_in_force not in CRYPTO_TIMES_IN_FORCE:
        raise _RefusedError(422, 40010001, "invalid crypto time_in_force")
    is_whole = order.quantity is not None and order.quantity == order.quantity.to_integral_value()
    if not (is_coin or is_whole or (is_day and order.type is OrderType.MARKET)):
        raise _RefusedError(422, 42210000, "fractional orders must be market DAY orders")  # specification


def _read_object(request: HttpRequest) -> Mapping[str, Any]:
    try:
        data = request.json()
    except ValueError as error:
        raise _RefusedError(400, 40010000, "request body format is invalid") from error
    if not isinstance(data, dict):
        raise _RefusedError(400, 40010000, "request body format is invalid")
    return data


def _read_number(data: Mapping[str, Any], name: str) -> Decimal | None:
    value = data.get(name)
    if value is None:
        return None
    # A truth value prints as no number, and Decimal alone would read spaces and underscores.
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,6})?", str(value)):
        raise _RefusedError(422, 40010001, f"invalid {name}: {value}")
    return Decimal(str(value))


def _read_choice(data: Mapping[str, Any], name: str, choices: type[_Choice]) -> _Choice:
    try:
        return choices(str(data.get(name)))
    except ValueError as error:
        raise _RefusedError(422, 40010001, f"invalid {name}: {data.get(name)}") from error


def _read_limit(value: str, most: int) -> int:
    if not (value.isdecimal() and 1 <= int(value) <= most):
        raise _RefusedError(422, 40010001, f"a limit lies between 1 and {most}, not at {value}")
    return int(value)


def _between(items: list[_Item], query: Mapping[str, str], moment: Callable[[_Item], datetime]) -> list[_Item]:
    """Keep what lies between `after` and `until`, both exclusive (specification), to the nanosecond."""
    after, until = (_read_nanoseconds(query[key]) if query.get(key) else None for key in ("after", "until"))
    return [
        item
        for item in items
        if (after is None or _nanoseconds(moment(item)) > after) and (until is None or _nanoseconds(moment(item)) < until)
    ]


def _behind(items: list[SimulatedOrder], every: list[SimulatedOrder], query: Mapping[str, str]) -> list[SimulatedOrder]:
    """Keep what was submitted after, or before, the order of an id, exclusive (specification)."""
    places = {order.order_id: place for place, order in enumerate(every)}
    after, before = (query.get(key) for key in ("after_order_id", "before_order_id"))
    if after and before:
        raise _RefusedError(422, 40010001, "after_order_id and before_order_id exclude each other")
    if (after or before) not in {None, *places}:
        raise _RefusedError(422, 40010001, f"no order {after or before}")
    first = places[after] + 1 if after else 0
    last = places[before] if before else len(every)
    return [order for order in items if first <= places[order.order_id] < last]


def _read_nanoseconds(text: str) -> int:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?", text)
    if found is None:
        raise _RefusedError(422, 40010001, f"invalid time: {text}")
    day, clock, fraction, zone = found.groups()
    try:
        seconds = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{zone or 'Z'}")
    except ValueError as error:
        raise _RefusedError(422, 40010001, f"invalid time: {text}") from error
    return int(seconds.timestamp()) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def _nanoseconds(moment: datetime) -> int:
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000 + moment.microsecond * 1000 + NANOSECONDS


def _timestamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}{NANOSECONDS}Z"


def _new_york() -> tzinfo:
    try:
        return ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:  # A system without a time zone database: nothing reads this prefix as a time.
        return timezone(timedelta(hours=-5))


def _activity_id(execution: SimulatedExecution) -> str:
    local = execution.time.astimezone(_new_york())  # recorded: the prefix is New York's local time
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}::{execution.trade_id}"


def _position(instrument: SimulatedInstrument, quantity: Decimal) -> dict[str, Any]:
    return {
        "asset_id": _asset_id(instrument),
        "symbol": instrument.symbol.replace("/", ""),  # specification: positions spell pairs without a slash
        "exchange": "NASDAQ" if _asset_class(instrument) == "us_equity" else "CRYPTO",
        "asset_class": _asset_class(instrument),
        "avg_entry_price": _plain(instrument.last),  # The exchange keeps no cost basis.
        "qty": _plain(quantity),
        "qty_available": _plain(quantity),
        "side": "long" if quantity > 0 else "short",
        "market_value": _plain(quantity * instrument.last),
        "cost_basis": _plain(quantity * instrument.last),
        "current_price": _plain(instrument.last),
    }


def _asset_class(instrument: SimulatedInstrument) -> str:
    return "crypto" if "/" in instrument.symbol else "us_equity"


def _asset_id(instrument: SimulatedInstrument) -> str:
    return str(uuid5(NAMESPACE_URL, f"asset/{instrument.symbol}"))


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


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
