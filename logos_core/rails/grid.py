"""Onto the venue's grid, or not at all.

An order off the grid is denied: rounding changes what the caller decided. Where rounding was asked for, the quantity is rounded down
and the price away from aggression (a buyer's down, a seller's up), so the result never risks more than what was given.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext

from logos_core.orders import Instrument, Order, OrderRequest, Side, TimeInForce, plain
from logos_core.records import Denial

EXACT = Context(prec=200)
"""Enough digits for any quotient of two numbers of `orders.MAX_DIGITS`, so that nothing here is ever rounded but on purpose."""


def place(order: Order, client_order_id: str, instrument: Instrument, times: tuple[TimeInForce, ...]) -> OrderRequest | Denial:
    """Return the order as the venue will see it, or why it cannot be sent.

    Args:
        times: the times in force allowed for this order, the default first.
    """
    with localcontext(EXACT):
        return _place(order, client_order_id, instrument, times)


def _place(order: Order, client_order_id: str, instrument: Instrument, times: tuple[TimeInForce, ...]) -> OrderRequest | Denial:
    time_in_force = order.time_in_force or times[0]
    if time_in_force not in times:
        allowed = ", ".join(member.value for member in times)
        return Denial(
            reason="ORDER_TIME_IN_FORCE",
            message=f"time_in_force is {time_in_force.value}; for {order.order_type.value} orders of {order.symbol} allowed: {allowed}",
        )
    quantity = _rounded(order.quantity, instrument.quantity_step, down=True) if order.round_to_grid else order.quantity
    price = order.price
    if price is not None and order.round_to_grid:
        price = _rounded(price, instrument.tick_at(price), down=order.side is Side.BUY)
    denial = _quantity_denial(order, quantity, instrument) or _price_denial(order, price, instrument)
    if denial is None and price is not None and instrument.min_notional is not None and price * quantity < instrument.min_notional:
        denial = _off("NOTIONAL_BELOW_MINIMUM", "price x quantity", price * quantity, f"at least {plain(instrument.min_notional)}")
    if denial is not None:
        return denial
    return OrderRequest(
        client_order_id=client_order_id,
        symbol=order.symbol,
        side=order.side,
        order_type=order.order_type,
        quantity=quantity,
        price=price,
        time_in_force=time_in_force,
    )


def _quantity_denial(order: Order, quantity: Decimal, instrument: Instrument) -> Denial | None:
    if quantity <= 0 or quantity < instrument.min_quantity:
        return _off(
            "QUANTITY_BELOW_MINIMUM",
            "quantity",
            order.quantity,
            f"at least {plain(max(instrument.min_quantity, instrument.quantity_step))}",
        )
    if instrument.max_quantity is not None and quantity > instrument.max_quantity:
        return _off("QUANTITY_ABOVE_MAXIMUM", "quantity", order.quantity, f"at most {plain(instrument.max_quantity)}")
    if quantity % instrument.quantity_step:
        return _off("QUANTITY_OFF_GRID", "quantity", order.quantity, f"multiples of {plain(instrument.quantity_step)}")
    return None


def _price_denial(order: Order, price: Decimal | None, instrument: Instrument) -> Denial | None:
    if price is None or order.price is None:
        return None
    if price <= 0:
        return _off("PRICE_OFF_GRID", "price", order.price, f"at least {plain(instrument.tick_at(order.price))}")
    tick = instrument.tick_at(price)
    return _off("PRICE_OFF_GRID", "price", order.price, f"multiples of {plain(tick)}") if price % tick else None


def _off(reason: str, name: str, given: Decimal, allowed: str) -> Denial:
    return Denial(
        reason=reason, message=f"{name} is {plain(given)}; the venue takes {allowed}; correct it or ask for round_to_grid"
    )


def _rounded(number: Decimal, step: Decimal, *, down: bool) -> Decimal:
    return (number / step).to_integral_value(ROUND_FLOOR if down else ROUND_CEILING) * step
