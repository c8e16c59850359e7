"""Onto the venue's grid, or not at all.

An order off the grid is denied: rounding changes what the caller decided. Where rounding was asked for, the quantity is rounded down,
a limit away from aggression (a buyer's down, a seller's up), and a stop to where it triggers sooner, so the result never risks more
than what was given.
"""

from datetime import datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from typing import Any

from attrs import evolve

from logos_core.errors import InvalidOrderError
from logos_core.instruments import Instrument
from logos_core.orders import Order, OrderRequest, Side, StopLoss, TakeProfit, TimeInForce
from logos_core.records import Denial
from logos_core.values import plain

EXACT = Context(prec=200)
"""Enough digits for any quotient of two numbers of `orders.MAX_DIGITS`, so that nothing here is ever rounded but on purpose."""


def place(
    order: Order, client_order_id: str, instrument: Instrument, times: tuple[TimeInForce, ...], now: datetime
) -> OrderRequest | Denial:
    """Return the order as the venue will see it, or why it cannot be sent.

    Args:
        times: the times in force allowed for this order, the default first.
        now: our own time, by which an order may already have expired.
    """
    with localcontext(EXACT):
        return _place(order, client_order_id, instrument, times, now)


def _place(
    order: Order, client_order_id: str, instrument: Instrument, times: tuple[TimeInForce, ...], now: datetime
) -> OrderRequest | Denial:
    time_in_force = order.time_in_force or times[0]
    if time_in_force not in times:
        allowed = ", ".join(member.value for member in times)
        return Denial(
            reason="ORDER_TIME_IN_FORCE",
            message=f"time_in_force is {time_in_force.value}; for {order.order_type.value} orders of {order.symbol} allowed: {allowed}",
        )
    if order.expires_at is not None and order.expires_at <= now:
        return Denial(
            reason="ORDER_EXPIRED",
            message=f"expires_at is {order.expires_at.isoformat()}, and it is {now.isoformat()} now; give a time to come",
        )
    placed = _rounded_order(order, instrument) if order.round_to_grid else order
    denial = (
        _quantity_denial(order, placed, instrument)
        or _prices_denial(order, placed, instrument)
        or _worth_denial(placed, instrument)
    )
    if denial is not None:
        return denial
    return OrderRequest(
        client_order_id=client_order_id,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=placed.quantity,
        price=placed.price,
        time_in_force=time_in_force,
        **placed.terms(),
    )


def _rounded_order(order: Order, instrument: Instrument) -> Order:
    """Return an order on the grid: never more than was asked for, a limit never more aggressive, a stop never later."""
    buys = order.side is Side.BUY

    def on_grid(price: Decimal, *, down: bool) -> Decimal:
        return _rounded(price, instrument.tick_at(price), down=down)

    changes: dict[str, Any] = {}
    if order.quantity is not None:
        changes["quantity"] = _rounded(order.quantity, instrument.quantity_step, down=True)
    if order.price is not None:
        changes["price"] = on_grid(order.price, down=buys)
    if order.stop_price is not None:
        changes["stop_price"] = on_grid(order.stop_price, down=buys)
    try:
        if order.take_profit is not None:
            changes["take_profit"] = TakeProfit(on_grid(order.take_profit.price, down=not buys))
        if order.stop_loss is not None:
            stop, limit = order.stop_loss.stop_price, order.stop_loss.price
            down = buys == order.one_cancels_other  # the legs of an entry trade the other way, those of an OCO the same way
            changes["stop_loss"] = StopLoss(on_grid(stop, down=down), None if limit is None else on_grid(limit, down=down))
    except InvalidOrderError:
        return order  # rounded to nothing; as it is, it is off the grid and denied
    return evolve(order, **changes)


def _quantity_denial(order: Order, placed: Order, instrument: Instrument) -> Denial | None:
    given, quantity = order.quantity, placed.quantity
    if given is None or quantity is None:
        return None
    if quantity <= 0 or quantity < instrument.min_quantity:
        least = plain(max(instrument.min_quantity, instrument.quantity_step))
        return _off("QUANTITY_BELOW_MINIMUM", "quantity", given, f"at least {least}", rounding=False)
    if instrument.max_quantity is not None and quantity > instrument.max_quantity:
        return _off("QUANTITY_ABOVE_MAXIMUM", "quantity", given, f"at most {plain(instrument.max_quantity)}", rounding=False)
    if quantity % instrument.quantity_step:
        return _off("QUANTITY_OFF_GRID", "quantity", given, f"multiples of {plain(instrument.quantity_step)}")
    return None


def _prices_denial(order: Order, placed: Order, instrument: Instrument) -> Denial | None:
    """Return the denial for the first price that is off the grid."""
    given = _prices(order)
    for name, price in _prices(placed).items():
        if price <= 0:
            return _off("PRICE_OFF_GRID", name, given[name], f"at least {plain(instrument.tick_at(given[name]))}")
        tick = instrument.tick_at(price)
        if price % tick:
            return _off("PRICE_OFF_GRID", name, given[name], f"multiples of {plain(tick)}")
    return None


def _prices(order: Order) -> dict[str, Decimal]:
    profit, loss = order.take_profit, order.stop_loss
    found = {
        "price": order.price,
        "stop_price": order.stop_price,
        "take_profit": profit.price if profit else None,
        "stop_loss": loss.stop_price if loss else None,
        "stop_loss.price": loss.price if loss else None,
    }
    return {name: price for name, price in found.items() if price is not None}


def _worth_denial(placed: Order, instrument: Instrument) -> Denial | None:
    """Return the denial for an order that is worth too little, where its worth is known before it trades."""
    price = placed.price or placed.stop_price
    worth = price * placed.quantity if price is not None and placed.quantity is not None else placed.notional
    if worth is None or instrument.min_notional is None or worth >= instrument.min_notional:
        return None
    name = "notional" if placed.quantity is None else "price x quantity"
    return _off("NOTIONAL_BELOW_MINIMUM", name, worth, f"at least {plain(instrument.min_notional)}", rounding=False)


def _off(reason: str, name: str, given: Decimal, allowed: str, *, rounding: bool = True) -> Denial:
    """Return the denial of a number; rounding, which goes down, helps one that lies between two steps and no other."""
    how = "correct it or ask for round_to_grid" if rounding else "correct it"
    return Denial(reason=reason, message=f"{name} is {plain(given)}; the venue takes {allowed}; {how}")


def _rounded(number: Decimal, step: Decimal, *, down: bool) -> Decimal:
    return (number / step).to_integral_value(ROUND_FLOOR if down else ROUND_CEILING) * step
