"""Between logos' words and Alpaca's JSON. Pure; a field that is missing or unknown is a `BadAnswerError`, never a guess."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from logos_core.hookspecs import BadAnswerError, Position
from logos_core.instruments import Instrument, PriceBand
from logos_core.orders import OrderClass, OrderRequest, OrderStatus, OrderType, Side, TakeProfit, TimeInForce
from logos_core.reports import Execution, ExecutionReport
from logos_core.values import plain

STATUSES = {
    "pending_new": OrderStatus.PENDING_NEW,
    "accepted": OrderStatus.NEW,
    "new": OrderStatus.NEW,
    "accepted_for_bidding": OrderStatus.NEW,
    "held": OrderStatus.NEW,
    "pending_review": OrderStatus.NEW,
    "stopped": OrderStatus.NEW,
    "suspended": OrderStatus.NEW,
    "calculated": OrderStatus.NEW,
    "done_for_day": OrderStatus.NEW,
    "pending_replace": OrderStatus.NEW,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "pending_cancel": OrderStatus.PENDING_CANCEL,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "replaced": OrderStatus.CANCELED,
    "rejected": OrderStatus.REJECTED,
}
"""Every status of the specification. `done_for_day` may trade again tomorrow, so it is open; `replaced` is final for this order."""

_TRADES = frozenset({"fill", "partial_fill"})
CRYPTO_TYPES = frozenset({OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT})
"""Alpaca Trading API 2.0.1, OrderType: crypto trading."""
LINKED = frozenset({"bracket", "oco", "oto"})
_EQUITY_BANDS = (
    PriceBand(at_least=Decimal(0), tick=Decimal("0.0001")),
    PriceBand(at_least=Decimal(1), tick=Decimal("0.01")),
)
"""Regulation NMS rule 612, as Alpaca's sub-penny rule repeats it."""


def wire_fields(request: OrderRequest) -> dict[str, Any]:
    """Return the body of `POST /v2/orders`; numbers as strings, since the SDK's models would make floats of them."""
    fields: dict[str, Any] = {
        "symbol": request.symbol,
        "side": request.side.value,
        "type": request.order_type.value,
        "time_in_force": request.time_in_force.value,
        "client_order_id": request.client_order_id,
        **_numbers(request),
    }
    if request.order_class is not OrderClass.SIMPLE:
        fields["order_class"] = request.order_class.value
        profit, loss = request.take_profit, request.stop_loss
        if request.one_cancels_other and request.price is not None:
            profit = TakeProfit(request.price)
        if profit is not None:
            fields["take_profit"] = {"limit_price": plain(profit.price)}
        if loss is not None:
            limit = {} if loss.price is None else {"limit_price": plain(loss.price)}
            fields["stop_loss"] = {"stop_price": plain(loss.stop_price), **limit}
    return fields


def replace_fields(request: OrderRequest) -> dict[str, str]:
    """Return the body of `PATCH /v2/orders/{id}`: all that may change, and the id of the new order, which Alpaca would otherwise invent."""
    fields = {name: value for name, value in _numbers(request).items() if name in {"qty", "limit_price", "stop_price"}}
    return {**fields, "time_in_force": request.time_in_force.value, "client_order_id": request.client_order_id}


def _numbers(request: OrderRequest) -> dict[str, str]:
    numbers = {
        "qty": request.quantity,
        "notional": request.notional,
        "limit_price": request.price,
        "stop_price": request.stop_price,
        "trail_price": request.trail_amount,
        "trail_percent": request.trail_percent,
    }
    return {name: plain(number) for name, number in numbers.items() if number is not None}


def report(body: object, leg_of: str | None = None) -> ExecutionReport:
    """Return what an Order object says, and what its legs say where it shows them."""
    order = _object(body)
    name, status = _text(order, "client_order_id"), _status(order)
    if order.get("qty") is None and order.get("notional") is None:
        raise BadAnswerError(f"order {order.get('id')} has neither qty nor notional")
    return ExecutionReport(
        client_order_id=name,
        venue_order_id=_text(order, "id"),
        symbol=_text(order, "symbol"),
        side=_member(Side, order, "side"),
        order_type=_member(OrderType, order, "type"),
        quantity=_optional_number(order, "qty"),
        price=_optional_number(order, "limit_price"),
        stop_price=_optional_number(order, "stop_price"),
        trail_amount=_optional_number(order, "trail_price"),
        trail_percent=_optional_number(order, "trail_percent"),
        notional=_optional_number(order, "notional"),
        time_in_force=_time_in_force(order),
        status=status,
        filled_quantity=_number(order, "filled_qty"),
        average_price=_optional_number(order, "filled_avg_price"),
        leg_of=leg_of,
        replaced_by=_successor(order),
        legs=tuple(report(leg, name) for leg in objects(order.get("legs") or [])),
        venue_time=None if order.get("updated_at") is None else timestamp(_text(order, "updated_at")),
        raw=order,
    )


def _time_in_force(order: Mapping[str, Any]) -> TimeInForce:
    found: TimeInForce = _member(TimeInForce, order, "time_in_force")
    if found is TimeInForce.GTD:
        raise BadAnswerError(f"order {order.get('id')} is good till a date, which Alpaca does not have")
    return found


def _successor(order: Mapping[str, Any]) -> str | None:
    """Return which order took this one's place: one that is replaced has a successor, whether it is named or not."""
    named = order.get("replaced_by")
    return str(named) if named else "unnamed" if order.get("status") == "replaced" else None


def _optional_number(order: Mapping[str, Any], name: str) -> Decimal | None:
    return None if order.get(name) is None else _number(order, name)


def has_hidden_legs(body: Mapping[str, Any]) -> bool:
    """Say whether an order has legs that this answer does not show."""
    return body.get("order_class") in LINKED and not body.get("legs") and body.get("type") != "stop"


def reports(bodies: list[Mapping[str, Any]], prefix: str) -> list[ExecutionReport]:
    """Return what some orders say: ours strictly; another's that logos cannot read is left out, so that it blinds us to nothing."""
    found = []
    for body in bodies:
        try:
            found.append(report(body))
        except BadAnswerError:
            if str(body.get("client_order_id")).startswith(prefix):
                raise
    return found


def execution(body: object) -> Execution:
    """Return what a FILL activity says.

    It carries no fee: Alpaca books fees as activities of their own (specification, ActivityType FEE and CFEE), which name neither
    an order nor a trade (NonTradeActivities). It knows two types, both of them trades (TradingActivities.type); corrections and
    busts are told by the event stream alone (ActivityV2DetailTRD.execution_type), so any other type is not taken for a trade.
    """
    activity = _object(body)
    if activity.get("type") not in _TRADES:
        raise BadAnswerError(f"activity {activity.get('id')} is a {activity.get('type')!r}, which logos does not know")
    return Execution(
        execution_id=_text(activity, "id"),
        venue_order_id=_text(activity, "order_id"),
        client_order_id=None,
        symbol=_text(activity, "symbol"),
        side=_member(Side, {"side": _text(activity, "side").removesuffix("_short")}, "side"),
        quantity=_number(activity, "qty"),
        price=_number(activity, "price"),
        fees=(),
        executed_at=timestamp(_text(activity, "transaction_time")),
    )


def position(body: object) -> Position:
    """Return what a position says; Alpaca signs a short one."""
    held = _object(body)
    return Position(symbol=_text(held, "symbol"), quantity=_number(held, "qty"))


def instrument(body: object) -> Instrument:
    """Return the grid of an asset."""
    asset = _object(body)
    symbol = _text(asset, "symbol")
    if asset.get("class") == "crypto":
        base, _, quote = symbol.partition("/")
        gtc = (TimeInForce.GTC, TimeInForce.IOC)
        return Instrument(
            symbol=symbol,
            base_asset=base,
            quote_asset=quote,
            price_bands=(PriceBand(at_least=Decimal(0), tick=_number(asset, "price_increment")),),
            quantity_step=_number(asset, "min_trade_increment"),
            min_quantity=_number(asset, "min_order_size"),
            times_in_force={kind: gtc if kind in CRYPTO_TYPES else () for kind in OrderType},
        )
    if asset.get("class") != "us_equity":
        raise BadAnswerError(f"{symbol} is of class {asset.get('class')!r}, whose grid logos does not know")
    step = Decimal("0.000000001") if asset.get("fractionable") is True else Decimal(1)
    return Instrument(
        symbol=symbol,
        base_asset=symbol,
        quote_asset="USD",
        price_bands=_EQUITY_BANDS,
        quantity_step=step,
        min_quantity=step,
    )


def timestamp(text: str) -> datetime:
    """Return a venue time. Alpaca writes seven to nine digits behind the point; the clock keeps six."""
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        raise BadAnswerError(f"{text!r} is not a time") from None
    if moment.utcoffset() is None:
        raise BadAnswerError(f"{text!r} has no time zone")
    return moment.astimezone(UTC)


def objects(body: object) -> list[Mapping[str, Any]]:
    """Return a list of JSON objects."""
    if not isinstance(body, list):
        raise BadAnswerError(f"expected a list, got {type(body).__name__}")
    return [_object(item) for item in body]


def _object(body: object) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise BadAnswerError(f"expected an object, got {type(body).__name__}")
    return body


def _status(order: Mapping[str, Any]) -> OrderStatus:
    status = _text(order, "status")
    if status not in STATUSES:
        raise BadAnswerError(f"order {order.get('id')} has the unknown status {status!r}")
    return STATUSES[status]


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise BadAnswerError(f"{name} is {value!r}")
    return value


def _number(body: Mapping[str, Any], name: str) -> Decimal:
    value = body.get(name)
    if not isinstance(value, str) and type(value) is not int:
        raise BadAnswerError(f"{name} is {value!r}; Alpaca writes numbers as text, and a float would have lost digits")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise BadAnswerError(f"{name} is {value!r}, not a number") from None
    if not number.is_finite():
        raise BadAnswerError(f"{name} is {value!r}")
    return number


def _member(kind: Any, body: Mapping[str, Any], name: str) -> Any:
    value = _text(body, name)
    try:
        return kind(value)
    except ValueError:
        raise BadAnswerError(f"{name} is {value!r}, which logos does not know") from None
