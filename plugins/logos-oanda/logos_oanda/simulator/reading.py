"""Read what a client sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from logos_core.testing.exchange import OrderRequest, OrderType, Side, SimulatedOrder, TimeInForce
from logos_core.testing.server import HttpRequest

ACCOUNT = "101-001-1234567-001"
CLIENT_ID_LENGTH_MAX = 128  # oandapyV20, types.ClientID
TYPES = {"MARKET": OrderType.MARKET, "LIMIT": OrderType.LIMIT, "STOP": OrderType.STOP}
DEPENDENT_TYPES = {
    "TAKE_PROFIT": OrderType.LIMIT,
    "STOP_LOSS": OrderType.STOP,
    "TRAILING_STOP_LOSS": OrderType.TRAILING_STOP,
}
TIMES = {
    "GTC": TimeInForce.GTC,
    "GTD": TimeInForce.GTD,
    "GFD": TimeInForce.DAY,
    "FOK": TimeInForce.FOK,
    "IOC": TimeInForce.IOC,
}
AT_ONCE = frozenset({"FOK", "IOC"})
ON_FILL = ("takeProfitOnFill", "stopLossOnFill", "trailingStopLossOnFill")
LEFT_OUT = ("tradeClientExtensions", "distance", "guaranteed")

_Json = Mapping[str, Any]


class RefusedError(Exception):
    """Carry a refusal to the one place that makes an answer of it."""

    def __init__(self, status: int, message: str, code: str | None = None, last: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        given = {"errorCode": code, "lastTransactionID": last, "errorMessage": message}
        self.body = {name: value for name, value in given.items() if value is not None}


def unreadable(name: str) -> RefusedError:
    """Refuse a field that cannot be read: nothing is created and nothing logged."""
    return RefusedError(400, f"Invalid value specified for 'order.{name}'")  # recorded


def read_body(request: HttpRequest) -> _Json:
    """Return the order in a body."""
    try:
        data = request.json()["order"]
        assert isinstance(data, dict)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise RefusedError(400, "Invalid value specified for 'order'") from error
    return data


def read_order(data: _Json) -> OrderRequest:
    """Read an order that depends on no trade."""
    units, price, bound = (read_number(data, name) for name in ("units", "price", "priceBound"))
    word, kind = str(data.get("type")), TYPES.get(str(data.get("type")))
    if units is None:
        raise unreadable("units")
    if kind is None:
        raise unreadable("type")
    lasts, expires_at = _read_time(data, default="FOK" if word == "MARKET" else "GTC")
    if word == "MARKET" and lasts not in AT_ONCE:  # specification
        raise unreadable("timeInForce")
    fill = data.get("positionFill", "DEFAULT")
    if fill not in {"DEFAULT", "REDUCE_FIRST", "REDUCE_ONLY"} or (bound is not None and (word == "LIMIT" or expires_at)):
        raise unreadable("positionFill" if bound is None else "priceBound")  # Left out.
    extensions, legs = _read_extensions(data), {name: data[name] for name in ON_FILL if data.get(name) is not None}
    bounded = {OrderType.MARKET: OrderType.LIMIT, OrderType.STOP: OrderType.STOP_LIMIT, OrderType.LIMIT: OrderType.LIMIT}
    within = TimeInForce.IOC if word == "STOP" and bound is not None else TIMES[lasts]
    return OrderRequest(
        symbol=str(data.get("instrument")), side=Side.BUY if units >= 0 else Side.SELL,
        type=kind if bound is None else bounded[kind], quantity=abs(units),
        price=price if bound is None and word != "STOP" else bound, stop_price=price if word == "STOP" else None,
        time_in_force=within, expires_at=expires_at, client_order_id=extensions.get("id"), reduce_only=fill == "REDUCE_ONLY",
        **_read_legs(legs),
        tags={
            "type": word, "timeInForce": lasts, "gtdTime": data.get("gtdTime"), "clientExtensions": extensions,
            "positionFill": fill, "priceBound": data.get("priceBound"), "onFill": legs,
        },
    )  # fmt: skip


def read_dependent(data: _Json, original: SimulatedOrder) -> OrderRequest:
    """Read an order that is to replace a dependent one: it closes the same trade."""
    _check_left_out(data)
    if str(data.get("tradeID")) != original.request.tags["tradeID"]:
        raise unreadable("tradeID")
    trails = data.get("type") == "TRAILING_STOP_LOSS"
    price = read_number(data, "distance" if trails else "price")
    lasts, expires_at = _read_time(data, default="GTC")
    extensions, kind = _read_extensions(data), original.request.type
    return OrderRequest(
        symbol=original.symbol, side=original.request.side, type=kind, quantity=original.leaves_quantity,
        price=price if kind is OrderType.LIMIT else None, stop_price=price if kind is OrderType.STOP else None,
        trail_amount=price if trails else None, time_in_force=TIMES[lasts], expires_at=expires_at, reduce_only=True,
        client_order_id=extensions.get("id"),
        tags={
            **original.request.tags, "timeInForce": lasts, "gtdTime": data.get("gtdTime"), "clientExtensions": extensions,
        },
    )  # fmt: skip


def dependent_request(leg: OrderRequest, trade_id: str, on_fill: _Json) -> OrderRequest:
    """Finish the request of a dependent order, created by the fill that opened a trade."""
    word = next(word for word, kind in DEPENDENT_TYPES.items() if kind is leg.type)
    details = on_fill[_on_fill_name(word)]
    lasts, expires_at = _read_time(details, default="GTC")
    extensions = details.get("clientExtensions") or {}
    return OrderRequest(
        symbol=leg.symbol, side=leg.side, type=leg.type, quantity=leg.quantity, price=leg.price, stop_price=leg.stop_price,
        trail_amount=leg.trail_amount, time_in_force=TIMES[lasts], expires_at=expires_at, reduce_only=True,
        client_order_id=extensions.get("id"),
        tags={
            "type": word, "timeInForce": lasts, "gtdTime": details.get("gtdTime"), "clientExtensions": extensions,
            "tradeID": trade_id,
        },
    )  # fmt: skip


def _on_fill_name(word: str) -> str:
    first, *others = word.lower().split("_")
    return first + "".join(part.capitalize() for part in others) + "OnFill"


def _read_legs(legs: Mapping[str, _Json]) -> dict[str, Any]:
    for name, details in legs.items():
        if not isinstance(details, dict) or (name != "trailingStopLossOnFill" and "distance" in details):
            raise unreadable(name)
        _read_extensions(details)
        if _read_time(details, default="GTC")[0] in AT_ONCE:  # specification: GTC, GTD or GFD
            raise unreadable(f"{name}.timeInForce")
    profit, loss, trail = (legs.get(name) for name in ON_FILL)
    return {
        "take_profit": None if profit is None else _read_given(profit, "price", ON_FILL[0]),
        "stop_loss": None if loss is None else (_read_given(loss, "price", ON_FILL[1]), None),
        "trail_loss": None if trail is None else _read_given(trail, "distance", ON_FILL[2]),
    }


def _read_given(data: _Json, name: str, where: str) -> Decimal:
    if (number := read_number(data, name)) is None:
        raise unreadable(f"{where}.{name}")
    return number


def _check_left_out(data: _Json) -> None:
    for name in LEFT_OUT:
        if name in data and not (name == "distance" and data.get("type") == "TRAILING_STOP_LOSS"):
            raise unreadable(name)


def _read_time(data: _Json, default: str) -> tuple[str, datetime | None]:
    word, moment = data.get("timeInForce", default), data.get("gtdTime")
    if word not in TIMES:
        raise unreadable("timeInForce")
    if moment is None or word != "GTD":
        return word, None
    return word, _read_moment(moment)


def _read_moment(text: object) -> datetime:
    """Read a time in RFC 3339, whose fraction has up to nine digits (specification), or in seconds since 1970."""
    try:
        if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", str(text)):
            return datetime.fromtimestamp(float(str(text)), UTC)
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(text)))
    except (OSError, OverflowError, ValueError) as error:
        raise unreadable("gtdTime") from error
    if found.tzinfo is None:
        raise unreadable("gtdTime")
    return found.astimezone(UTC)


def _read_extensions(data: _Json) -> dict[str, Any]:
    extensions = data.get("clientExtensions") or {}
    client_id = extensions.get("id")
    if client_id is not None and not (isinstance(client_id, str) and 0 < len(client_id) <= CLIENT_ID_LENGTH_MAX):
        raise unreadable("clientExtensions.id")
    return dict(extensions)


def read_number(data: _Json, name: str) -> Decimal | None:
    """Read a number, which is text (specification), or None."""
    value = data.get(name)
    if value is None:
        return None
    try:
        number = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise unreadable(name)
    return number


def read_id(query: Mapping[str, str], name: str) -> int:
    """Read a transaction id in a query."""
    value = query.get(name, "")
    if not value.isdecimal():
        raise RefusedError(400, f"Invalid value specified for '{name}'")
    return int(value)


def sent_client_id(request: HttpRequest) -> str | None:
    """Return the client id in a body, or None; never raise."""
    try:
        given = request.json()["order"]["clientExtensions"]["id"]
    except (KeyError, TypeError, ValueError):
        return None
    return given if isinstance(given, str) else None
