"""Between logos' words and Alpaca's JSON. Pure; a field that is missing or unknown is a `BadAnswerError`, never a guess."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from logos_core.hookspecs import BadAnswerError, Position
from logos_core.orders import (
    Execution,
    ExecutionReport,
    Instrument,
    OrderRequest,
    OrderStatus,
    OrderType,
    PriceBand,
    Side,
    TimeInForce,
    plain,
)

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
_MARKET = {OrderType.MARKET: "market", OrderType.LIMIT: "limit"}
_EQUITY_BANDS = (
    PriceBand(at_least=Decimal(0), tick=Decimal("0.0001")),
    PriceBand(at_least=Decimal(1), tick=Decimal("0.01")),
)
"""Regulation NMS rule 612, as Alpaca's sub-penny rule repeats it."""


def wire_fields(request: OrderRequest) -> dict[str, str]:
    """Return the body of `POST /v2/orders`; numbers as strings, since the SDK's models would make floats of them."""
    fields = {
        "symbol": request.symbol,
        "side": request.side.value,
        "type": _MARKET[request.order_type],
        "qty": plain(request.quantity),
        "time_in_force": request.time_in_force.value,
        "client_order_id": request.client_order_id,
    }
    if request.price is not None:
        fields["limit_price"] = plain(request.price)
    return fields


def report(body: object) -> ExecutionReport:
    """Return what an Order object says."""
    order = _object(body)
    quantity = order.get("qty")
    if quantity is None:
        raise BadAnswerError(f"order {order.get('id')} is by notional, which was never sent from here")
    return ExecutionReport(
        client_order_id=_text(order, "client_order_id"),
        venue_order_id=_text(order, "id"),
        symbol=_text(order, "symbol"),
        side=_member(Side, order, "side"),
        order_type=_member(OrderType, order, "type"),
        quantity=_number(order, "qty"),
        price=None if order.get("limit_price") is None else _number(order, "limit_price"),
        time_in_force=_member(TimeInForce, order, "time_in_force"),
        status=_status(order),
        filled_quantity=_number(order, "filled_qty"),
        average_price=None if order.get("filled_avg_price") is None else _number(order, "filled_avg_price"),
        venue_time=None if order.get("updated_at") is None else timestamp(_text(order, "updated_at")),
        raw=order,
    )


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
            times_in_force={OrderType.MARKET: gtc, OrderType.LIMIT: gtc},
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
