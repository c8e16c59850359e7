"""Refuse what an instrument does not allow, before anything is held or recorded."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation

from logos_core.testing.legs import leg_requests
from logos_core.testing.market import (
    STOP_TYPES,
    ZERO,
    BadExpiry,
    BadPrice,
    BadQuantity,
    OrderType,
    Refusal,
    Side,
    SimulatedInstrument,
    TimeInForce,
    WouldTake,
    finite,
)
from logos_core.testing.records import OrderRequest
from logos_core.testing.stops import crosses

LIMITED = {OrderType.LIMIT: True, OrderType.STOP_LIMIT: True, OrderType.MARKET: False, OrderType.STOP: False}
PERCENT_MAX = Decimal(100)


def sized(request: OrderRequest, instrument: SimulatedInstrument) -> Decimal:
    """Return the quantity asked for; a notional buys what the last price allows, rounded down to the grid."""
    quantity, notional = request.quantity, request.notional
    if notional is None:
        if quantity is None:
            raise BadQuantity("an order needs a quantity or a notional", "missing")
        return quantity
    if quantity is not None or request.type is not OrderType.MARKET:
        raise BadQuantity("a notional stands in a market order, without a quantity", "not_allowed")
    if not (finite(notional) and notional > ZERO):
        raise BadQuantity(f"notional {notional} is not above zero", "positive")
    steps = (notional / instrument.last / instrument.quantity_step).to_integral_value(ROUND_DOWN)
    return steps * instrument.quantity_step


def check_quantity(quantity: Decimal, request: OrderRequest, instrument: SimulatedInstrument) -> None:
    """Refuse a quantity that is off the grid or too small."""
    worth = request.price or request.stop_price or instrument.last
    if not (finite(quantity) and quantity > ZERO):
        raise BadQuantity(f"quantity {quantity} is not above zero", "positive")
    if quantity < instrument.min_quantity:
        raise BadQuantity(f"quantity {quantity} is below {instrument.min_quantity}", "min_quantity")
    if not _on_grid(quantity, instrument.quantity_step):
        raise BadQuantity(f"quantity {quantity} is off {instrument.quantity_step}", "quantity_step")
    if quantity * worth < instrument.min_notional:
        raise BadQuantity(f"{quantity * worth} is below {instrument.min_notional}", "min_notional")


def check_terms(request: OrderRequest, instrument: SimulatedInstrument, now: datetime) -> None:
    """Refuse prices, a trail, an expiry, a condition or legs that do not fit the order."""
    _check_price(request, instrument)
    _check_stop(request, instrument)
    _check_expiry(request, now)
    if request.post_only and request.type is not OrderType.LIMIT:
        raise Refusal("only a limit order can be post only", "post_only")
    if request.post_only and crosses(request, instrument.last):
        raise WouldTake("a post only order would trade at once", "post_only")
    for leg in leg_requests(request):
        _check_price(leg, instrument)
        _check_stop(leg, instrument)
    _check_legs(request)


def _check_price(request: OrderRequest, instrument: SimulatedInstrument) -> None:
    limited = LIMITED.get(request.type)
    if request.price is None:
        if limited:
            raise BadPrice("a limit order needs a price", "missing")
        return
    if limited is False:
        raise BadPrice(f"a {request.type.value} order has no price", "not_allowed")
    _check_number(request.price, instrument)


def _check_stop(request: OrderRequest, instrument: SimulatedInstrument) -> None:
    trails = [trail for trail in (request.trail_amount, request.trail_percent) if trail is not None]
    trailing = request.type is OrderType.TRAILING_STOP
    if len(trails) != trailing or any(not (finite(trail) and trail > ZERO) for trail in trails):
        raise BadPrice("a trailing stop, and it alone, has one trail above zero", "trail")
    if request.trail_percent is not None and request.trail_percent >= PERCENT_MAX:
        raise BadPrice("a trail is less than all of the price", "trail")
    needed = request.type in STOP_TYPES and not trailing
    if needed != (request.stop_price is not None):
        raise BadPrice("a stop order, and it alone, has a stop price", "missing" if needed else "not_allowed")
    if request.stop_price is not None:
        _check_number(request.stop_price, instrument)


def _check_number(price: Decimal, instrument: SimulatedInstrument) -> None:
    if not (finite(price) and price > ZERO):
        raise BadPrice(f"price {price} is not above zero", "positive")
    if not _on_grid(price, instrument.price_tick):
        raise BadPrice(f"price {price} is off {instrument.price_tick}", "price_tick")


def _check_expiry(request: OrderRequest, now: datetime) -> None:
    if (request.time_in_force is TimeInForce.GTD) != (request.expires_at is not None):
        raise BadExpiry("a GTD order, and it alone, says when it expires", "expires_at")
    if request.expires_at is not None and request.expires_at <= now:
        raise BadExpiry(f"{request.expires_at.isoformat()} is over", "expires_at")


def _check_legs(request: OrderRequest) -> None:
    stop, _ = request.stop_loss or (None, None)
    target = request.price if request.oco else request.take_profit
    if request.oco and (stop is None or target is None or request.take_profit is not None or request.trail_loss is not None):
        raise BadPrice("an OCO order is a limit order with a stop loss", "legs")
    if stop is None or target is None:
        return
    closes_long = (request.side is Side.SELL) == request.oco
    if (target <= stop) if closes_long else (target >= stop):
        raise BadPrice(f"a profit at {target} and a loss at {stop} lie the wrong way round", "legs")


def _on_grid(value: Decimal, step: Decimal) -> bool:
    try:
        return value % step == ZERO
    except InvalidOperation:  # More steps than the context has digits: no venue lists that.
        return False
