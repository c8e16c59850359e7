"""Read what a client sent, and check it against Alpaca's rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from logos_alpaca.simulator.refusals import RefusedError, unprocessable, unreadable
from logos_core.testing.exchange import OrderRequest, OrderType, Side, SimulatedOrder, TimeInForce
from logos_core.testing.server import HttpRequest

CLIENT_ORDER_ID_LENGTH_MAX = 128  # specification
CRYPTO_TIMES_IN_FORCE = frozenset({TimeInForce.GTC, TimeInForce.IOC})  # specification
CRYPTO_TYPES = frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT})  # specification, OrderType
LINKED_CLASSES = {"bracket": 2, "oto": 1, "oco": 2}
"""The order classes that have legs, and how many of take_profit and stop_loss each needs; the numbers are *inferred*."""

_Choice = TypeVar("_Choice", bound=StrEnum)
_Data = Mapping[str, Any]


def read_order(data: _Data, symbol: str, client_order_id: str) -> OrderRequest:
    """Read the body of `POST /v2/orders`, whose symbol and client order id are known by now."""
    profit, loss = _read_part(data, "take_profit"), _read_part(data, "stop_loss")
    target, stop_price = read_number(profit, "limit_price"), read_number(loss, "stop_price")
    word = str(data.get("order_class") or "")
    price = read_number(data, "limit_price")
    order = OrderRequest(
        symbol=symbol, side=_read_choice(data, "side", Side), type=_read_choice(data, "type", OrderType),
        quantity=read_number(data, "qty"), notional=read_number(data, "notional"),
        price=price or target if word == "oco" else price,
        stop_price=read_number(data, "stop_price"), trail_amount=read_number(data, "trail_price"),
        trail_percent=read_number(data, "trail_percent"), time_in_force=_read_time_in_force(data),
        take_profit=None if word == "oco" else target, oco=word == "oco",
        stop_loss=None if stop_price is None else (stop_price, read_number(loss, "limit_price")),
        client_order_id=client_order_id, tags={"extended_hours": data.get("extended_hours") is True, "order_class": word},
    )  # fmt: skip
    _check_classes(word, order, target)
    _check_size(order)
    _check_asset_class(order)
    return order


def read_symbol(data: _Data) -> str:
    """Return the symbol, which every order that is simulated has."""
    symbol = data.get("symbol")
    if data.get("legs") is not None or data.get("order_class") == "mleg":
        raise unreadable("legs are not simulated")
    if not isinstance(symbol, str):
        raise unreadable("symbol is a string, and required")
    return symbol


def read_client_order_id(data: _Data, invented: Callable[[], str]) -> str:
    """Return the id the client chose; one that was left out is invented (specification)."""
    client_order_id = data.get("client_order_id") or invented()
    if not isinstance(client_order_id, str):
        raise unreadable("client_order_id is a string")
    if len(client_order_id) > CLIENT_ORDER_ID_LENGTH_MAX:
        raise unreadable("client_order_id must be no more than 128 characters")
    return client_order_id


def read_changes(data: _Data, original: SimulatedOrder) -> dict[str, Any]:
    """Read the body of PATCH: each parameter overrides one of the existing order, the others stay (specification)."""
    request = original.request
    if request.notional is not None or data.get("notional") is not None:
        raise unprocessable("notional orders cannot be replaced")  # specification
    names = {"qty": "quantity", "limit_price": "price", "stop_price": "stop_price"}
    changes: dict[str, Any] = {name: read_number(data, word) for word, name in names.items()}
    if (trail := read_number(data, "trail")) is not None:
        if request.type is not OrderType.TRAILING_STOP:
            raise unprocessable("trail works only for trailing_stop")  # specification
        changes["trail_percent" if request.trail_percent is not None else "trail_amount"] = trail
    if data.get("time_in_force") is not None:
        changes["time_in_force"] = _read_time_in_force(data)
    _check_new_quantity(changes["quantity"], original)
    return {name: value for name, value in changes.items() if value is not None}


def _check_new_quantity(quantity: Decimal | None, original: SimulatedOrder) -> None:
    if quantity is None or "/" in original.symbol:
        return
    if original.quantity % 1 and quantity != original.quantity:
        raise unprocessable("qty of fractional orders is not allowed to change")  # specification
    if quantity % 1:
        raise unprocessable("only full shares can be patched")  # specification


def _check_classes(word: str, order: OrderRequest, target: Decimal | None) -> None:
    given = (target is not None) + (order.stop_loss is not None)
    if word not in {"", "simple", *LINKED_CLASSES}:
        raise unreadable(f"invalid order_class: {word}")
    if given != LINKED_CLASSES.get(word, 0):
        raise unprocessable(f"order_class {word or 'simple'} does not go with {given} of take_profit and stop_loss")
    if not given:
        return
    if "/" in order.symbol:
        raise unprocessable("crypto orders are simple")  # specification, OrderClass
    if order.time_in_force not in {TimeInForce.DAY, TimeInForce.GTC} or order.tags["extended_hours"]:
        raise unprocessable("linked orders are day or gtc, in regular hours")  # inferred
    if order.oco and order.type is not OrderType.LIMIT:
        raise unprocessable("an oco order is a limit order")  # inferred
    if order.oco and order.price != target:
        raise unprocessable("limit_price and take_profit.limit_price differ")  # inferred


def _check_size(order: OrderRequest) -> None:
    if (order.quantity is None) == (order.notional is None):
        raise unreadable("either qty or notional is required")
    is_day = order.time_in_force is TimeInForce.DAY
    if order.notional is not None and (order.type is not OrderType.MARKET or not (is_day or "/" in order.symbol)):
        raise unprocessable("notional orders must be market DAY orders")  # specification


def _check_asset_class(order: OrderRequest) -> None:
    is_coin, is_day = "/" in order.symbol, order.time_in_force is TimeInForce.DAY
    if is_coin and (order.time_in_force not in CRYPTO_TIMES_IN_FORCE or order.type not in CRYPTO_TYPES):
        raise unreadable("invalid crypto time_in_force or type")
    is_whole = order.quantity is None or order.quantity == order.quantity.to_integral_value()
    if not (is_coin or is_whole or (is_day and order.type is OrderType.MARKET)):
        raise unprocessable("fractional orders must be market DAY orders")  # specification
    is_resting = order.time_in_force in {TimeInForce.DAY, TimeInForce.GTC}
    if not is_coin and not is_resting and order.type not in {OrderType.MARKET, OrderType.LIMIT}:
        raise unprocessable("stop orders are day or gtc")  # inferred


def _read_part(data: _Data, name: str) -> _Data:
    part = data.get(name)
    if part is not None and not isinstance(part, dict):
        raise unreadable(f"{name} is an object")
    return part or {}


def _read_time_in_force(data: _Data) -> TimeInForce:
    """Read one of Alpaca's words; it has no GTD, and its auctions are not simulated."""
    found = _read_choice(data, "time_in_force", TimeInForce)
    if found is TimeInForce.GTD:
        raise unreadable("invalid time_in_force: gtd")
    return found


def read_object(request: HttpRequest) -> _Data:
    """Read a body that is a JSON object."""
    try:
        data = request.json()
    except ValueError as error:
        raise RefusedError(400, 40010000, "request body format is invalid") from error
    if not isinstance(data, dict):
        raise RefusedError(400, 40010000, "request body format is invalid")
    return data


def read_number(data: _Data, name: str) -> Decimal | None:
    """Read a number that is text or a JSON number, or None."""
    value = data.get(name)
    if value is None:
        return None
    # A truth value prints as no number, and Decimal alone would read spaces and underscores.
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,6})?", str(value)):
        raise unreadable(f"invalid {name}: {value}")
    return Decimal(str(value))


def _read_choice(data: _Data, name: str, choices: type[_Choice]) -> _Choice:
    try:
        return choices(str(data.get(name)))
    except ValueError as error:
        raise unreadable(f"invalid {name}: {data.get(name)}") from error
