"""Every order that a venue declares, made from its declaration, so that what a venue comes to declare is seen on the wire unasked."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from logos_core.capabilities import Capabilities, TimesInForce
from logos_core.clock import SystemClock
from logos_core.orders import Order, OrderClass, OrderType, Side, StopLoss, TimeInForce
from logos_core.testing.market import SimulatedInstrument
from logos_core.testing.rehearsal.scenario import price_at, unit_of

TRAIL_PERCENT = "5"


def declared(capabilities: Capabilities, instrument: SimulatedInstrument, side: Side) -> Iterator[Order]:
    """Return one order for each type, time in force and feature that is declared."""
    yield from _each("plain", capabilities.times_in_force, instrument, side)
    features = capabilities.features
    given: list[tuple[str, TimesInForce, dict[str, Any]]] = [
        ("post only", features.post_only, {"post_only": True, "away": True}),
        ("reduce only", features.reduce_only, {"reduce_only": True}),
        ("notional", features.notional, {"quantity": None, "notional": _worth(instrument)}),
        ("trail amount", features.trail_amount, {"trail_amount": _distance(instrument), "trail_percent": None}),
        ("trail percent", features.trail_percent, {"trail_percent": TRAIL_PERCENT}),
    ]
    for name, times, more in given:
        yield from _each(name, times, instrument, side, **more)
    for kind, times in features.linked.items():
        for legs in _legs(kind, instrument, side, has_price=features.stop_loss_price):
            yield from _each(f"{kind.value} {' '.join(legs)}", times, instrument, side, **legs)


def _each(name: str, times: TimesInForce, instrument: SimulatedInstrument, side: Side, **more: Any) -> Iterator[Order]:
    for kind, allowed in times.items():
        for lasts in allowed:
            intent = f"{instrument.symbol} {name} {kind.value} {lasts.value} {side.value} {_told(more)}"
            yield _order(kind, lasts, instrument, side, {"intent_id": intent.strip(), **more})


def _told(more: dict[str, Any]) -> str:
    stop_loss = more.get("stop_loss")
    return "with a limit" if isinstance(stop_loss, StopLoss) and stop_loss.price is not None else ""


def _order(kind: OrderType, lasts: TimeInForce, instrument: SimulatedInstrument, side: Side, more: dict[str, Any]) -> Order:
    """Return one order: a market or limit order that can fill at once, unless it is told to stay away; a stop beyond the market.

    Raises:
        LookupError: for a type that nobody has written down here yet.
    """
    given: dict[str, Any] = {"quantity": unit_of(instrument), "time_in_force": lasts, **more}
    if lasts is TimeInForce.GTD:
        given["expires_at"] = SystemClock().now().replace(microsecond=0) + timedelta(days=1)
    away = given.pop("away", False)
    if "take_profit" in given and "stop_loss" in given and given.pop("one_cancels_other", False):
        return Order.oco(instrument.symbol, side, **given)
    if kind is OrderType.MARKET:
        return Order.market(instrument.symbol, side, **given)
    if kind is OrderType.LIMIT:
        return Order.limit(instrument.symbol, side, price=_beyond(instrument, side, "0.95" if away else "1.05"), **given)
    if kind is OrderType.STOP:
        return Order.stop(instrument.symbol, side, stop_price=_beyond(instrument, side, "1.05"), **given)
    if kind is OrderType.STOP_LIMIT:
        stop_price, price = _beyond(instrument, side, "1.05"), _beyond(instrument, side, "1.06")
        return Order.stop_limit(instrument.symbol, side, stop_price=stop_price, price=price, **given)
    if kind is OrderType.TRAILING_STOP:
        trail: dict[str, Any] = {} if {"trail_amount", "trail_percent"} & given.keys() else {"trail_percent": TRAIL_PERCENT}
        return Order.trailing_stop(instrument.symbol, side, **trail, **given)
    raise LookupError(f"no order of the type {kind} is made here; write one in {__name__}")


def _legs(kind: OrderClass, instrument: SimulatedInstrument, side: Side, *, has_price: bool) -> Iterator[dict[str, Any]]:
    """Return the legs of each form that a kind of linked order has: an entry's lie on either side of it, an exit's of the market."""
    own, other = (side, side.opposite)
    leaving = own if kind is OrderClass.OCO else other
    take_profit = _beyond(instrument, leaving, "0.9")
    stops = [StopLoss(stop_price=_beyond(instrument, leaving, "1.08"))]
    if has_price:
        stops.append(StopLoss(stop_price=_beyond(instrument, leaving, "1.08"), price=_beyond(instrument, leaving, "1.09")))
    for stop_loss in stops:
        if kind is OrderClass.OCO:
            yield {"take_profit": take_profit, "stop_loss": stop_loss, "one_cancels_other": True}
        elif kind is OrderClass.BRACKET:
            yield {"take_profit": take_profit, "stop_loss": stop_loss}
        else:
            yield {"stop_loss": stop_loss}
    if kind is OrderClass.OTO:
        yield {"take_profit": take_profit}


def _beyond(instrument: SimulatedInstrument, side: Side, share: str) -> Decimal:
    """Return a price at a share of the last one for a buyer, and as far on the other side of it for a seller."""
    return price_at(instrument, share if side is Side.BUY else str(2 - Decimal(share)))


def _worth(instrument: SimulatedInstrument) -> Decimal:
    return (unit_of(instrument) * instrument.last).quantize(Decimal("0.01"))


def _distance(instrument: SimulatedInstrument) -> Decimal:
    return instrument.last - price_at(instrument, "0.95")
