"""The dependent orders that OANDA makes when an order fills: its take-profit and its stop-loss.

Rules:

1. A leg's client id is its order's, with a suffix. So it is known whose leg it is, whichever transaction tells of it, and a leg that
   another made bears no id of ours.
2. OANDA tells a leg's price and trade, not its instrument and side: those are its trade's, told by the fill that opened it. A leg
   trades the other way.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from attrs import evolve

from logos_core.hookspecs import BadAnswerError
from logos_core.orders import OrderRequest, OrderStatus, OrderType, Side
from logos_core.reports import ExecutionReport
from logos_core.values import plain
from logos_oanda.words import Row, client_id, number, text, time_in_force, timestamp

SUFFIXES = {"TAKE_PROFIT": "-tp", "STOP_LOSS": "-sl"}
"""The kinds of leg that logos makes, and what their ids end in."""

TYPES = {"TAKE_PROFIT": OrderType.LIMIT, "STOP_LOSS": OrderType.STOP}
OTHER_WAY = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}


def on_fill(request: OrderRequest) -> dict[str, Any]:
    """Return the fields of an order that make its legs once it fills; they rest until they are cancelled."""
    prices = {
        "TAKE_PROFIT": request.take_profit.price if request.take_profit else None,
        "STOP_LOSS": request.stop_loss.stop_price if request.stop_loss else None,
    }
    names = {"TAKE_PROFIT": "takeProfitOnFill", "STOP_LOSS": "stopLossOnFill"}
    return {
        names[kind]: {
            "price": plain(price),
            "timeInForce": "GTC",
            "clientExtensions": {"id": request.client_order_id + SUFFIXES[kind]},
        }
        for kind, price in prices.items()
        if price is not None
    }


def parent_of(order: Row) -> str | None:
    """Return the client order id of the order whose leg this is, or None for an order that is no leg of ours."""
    suffix = SUFFIXES.get(text(order, "type").removesuffix("_ORDER"))
    name = client_id(order) or ""
    return name.removesuffix(suffix) if suffix is not None and name.endswith(suffix) else None


def report(order: Row, followed: Iterable[Row], *, symbol: str, opened: Decimal) -> ExecutionReport:
    """Return what is known of a leg.

    Args:
        order: the leg, or the transaction that created it.
        followed: the transactions that filled or ended it.
        symbol: its trade's instrument.
        opened: its trade's units, signed as the order that opened it was.
    """
    kind, price = text(order, "type").removesuffix("_ORDER"), number(order, "price")
    side = Side.SELL if opened > 0 else Side.BUY
    made = ExecutionReport(
        client_order_id=client_id(order),
        venue_order_id=text(order, "id"),
        symbol=symbol,
        side=side,
        order_type=TYPES[kind],
        quantity=abs(opened),
        price=price if TYPES[kind] is OrderType.LIMIT else None,
        stop_price=price if TYPES[kind] is OrderType.STOP else None,
        time_in_force=time_in_force(order),
        status=OrderStatus.NEW,
        filled_quantity=Decimal(0),
        average_price=None,
        leg_of=parent_of(order),
        venue_time=timestamp(text(order, "createTime" if "createTime" in order else "time")),
        raw=order,
    )
    for item in followed:
        made = _after(made, item)
    return made


def _after(leg: ExecutionReport, item: Row) -> ExecutionReport:
    """Return a leg after a transaction. It closes its trade in one fill, for whatever is left of the trade by then."""
    kind, venue_time = text(item, "type"), timestamp(text(item, "time"))
    if kind == "ORDER_FILL":
        traded = abs(number(item, "units"))
        if traded > (leg.quantity or traded):
            raise BadAnswerError(f"leg {leg.venue_order_id} closed {traded} units of a trade of {leg.quantity}")
        price = number(item, "price")
        return evolve(
            leg, status=OrderStatus.FILLED, quantity=traded, filled_quantity=traded, average_price=price, venue_time=venue_time
        )
    if kind == "ORDER_CANCEL":
        return evolve(leg, status=OrderStatus.CANCELED, replaced_by=item.get("replacedByOrderID"), venue_time=venue_time)
    return leg
