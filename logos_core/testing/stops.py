"""Decide when a price wakes a waiting order; nothing here changes anything."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from logos_core.testing.market import OrderType, Side
from logos_core.testing.records import OrderRequest, SimulatedOrder


def followed(order: SimulatedOrder, last: Decimal) -> SimulatedOrder:
    """Return a trailing stop with the best price it has seen; every other order as it is."""
    if order.request.type is not OrderType.TRAILING_STOP:
        return order
    mark, best = order.high_water_mark, max if order.request.side is Side.SELL else min
    seen = last if mark is None else best(mark, last)
    return order if seen == mark else replace(order, high_water_mark=seen)


def is_reached(order: SimulatedOrder, last: Decimal) -> bool:
    """Tell whether the last price triggers a stop order: from above for a sale, from below for a purchase."""
    stop = order.stop_price
    assert stop is not None
    return last <= stop if order.request.side is Side.SELL else last >= stop


def crosses(request: OrderRequest, last: Decimal) -> bool:
    """Tell whether an order's limit allows it to trade at the last price; without a limit it always does."""
    if request.price is None:
        return True
    return last <= request.price if request.side is Side.BUY else last >= request.price
