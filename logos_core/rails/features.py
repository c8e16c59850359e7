"""What a venue can do, before anything leaves: an order that it cannot carry out is denied, naming what it can."""

from collections.abc import Iterable

from logos_core.capabilities import Capabilities, Features, TimesInForce
from logos_core.instruments import Instrument
from logos_core.orders import Order, OrderClass, OrderType, TimeInForce
from logos_core.records import Denial

_PLAIN = ("post_only", "reduce_only", "notional", "trail_amount", "trail_percent")
"""Terms whose name is that of the feature they need."""


def times_in_force(
    order: Order, instrument: Instrument, capabilities: Capabilities, venue: str
) -> tuple[TimeInForce, ...] | Denial:
    """Return the times in force an order may have, the default first, or why the venue cannot carry it out."""
    kind = order.order_type
    times = instrument.times_in_force.get(kind, capabilities.times_in_force.get(kind, ()))
    if not times:
        known = [known for known in capabilities.times_in_force if instrument.times_in_force.get(known, True)]
        return Denial(
            reason="ORDER_TYPE_UNSUPPORTED",
            message=f"order_type is {kind.value}; {venue} takes for {order.symbol}: {_listed(known)}",
        )
    for what, able in _wanted(order, capabilities.features).items():
        narrowed = tuple(time for time in times if time in able.get(kind, ()))
        if not narrowed or (order.time_in_force is not None and order.time_in_force not in narrowed):
            return _unsupported(order, what, able, venue, capabilities.features)
        times = narrowed
    if order.stop_loss is not None and order.stop_loss.price is not None and not capabilities.features.stop_loss_price:
        message = f"stop_loss has a price; {venue} takes a stop_loss without one, which trades at the market"
        return Denial(reason="ORDER_FEATURE_UNSUPPORTED", message=message)
    return times


def _wanted(order: Order, features: Features) -> dict[str, TimesInForce]:
    """Return what an order asks for beyond a plain one, each with what the venue can do of it."""
    wanted: dict[str, TimesInForce] = {name: getattr(features, name) for name in _PLAIN if getattr(order, name)}
    if order.order_class is not OrderClass.SIMPLE:
        wanted[order.order_class.value] = features.linked.get(order.order_class, {})
    return wanted


def _unsupported(order: Order, what: str, able: TimesInForce, venue: str, features: Features) -> Denial:
    how = f"{order.order_type.value} order" + (f", {order.time_in_force.value}" if order.time_in_force else "")
    can = "; ".join(f"{kind.value} orders: {_listed(times)}" for kind, times in able.items() if times)
    return Denial(
        reason="ORDER_FEATURE_UNSUPPORTED",
        message=f"{what} with a {how}: {venue} cannot; it can with {can}"
        if can
        else f"{what}: {venue} cannot, with any order; {_instead(what, features)}",
    )


def _instead(what: str, features: Features) -> str:
    """Return what may be done where a venue cannot do something at all."""
    linked = [kind.value for kind, times in features.linked.items() if times]
    if what in set(OrderClass):
        return f"it can do {', '.join(linked)}" if linked else "submit the entry, and its exit once it has filled"
    trails = {"trail_amount": features.trail_percent and "trail_percent", "trail_percent": features.trail_amount and "trail_amount"}
    known = {"notional": "give a quantity", "post_only": "leave it out", "reduce_only": "give the quantity that is held"}
    return f"give {trails[what]}" if trails.get(what) else known.get(what, "see `logos venues`")


def _listed(members: Iterable[OrderType | TimeInForce]) -> str:
    return ", ".join(member.value for member in members) or "nothing"
