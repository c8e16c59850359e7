"""Every kind of order that a venue declares, from its capabilities, so that a new one is covered by being declared."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

from attrs import frozen

from logos_alpaca.capabilities import CAPABILITIES as ALPACA
from logos_ccxt.capabilities import BINANCE
from logos_core import Order
from logos_core.capabilities import Capabilities, TimesInForce
from logos_core.orders import OrderClass, OrderType, StopLoss, TimeInForce
from logos_oanda.capabilities import CAPABILITIES as OANDA

CAPABILITIES: dict[str, Capabilities] = {"alpaca": ALPACA, "oanda": OANDA, "ccxt:binance": BINANCE}
QUANTITIES = {"alpaca": Decimal(10), "oanda": Decimal(10), "ccxt:binance": Decimal("0.1")}
PLAIN = ("post_only", "reduce_only", "notional", "trail_amount", "trail_percent")
LINKS = {
    "bracket": OrderClass.BRACKET,
    "bracket with a limit": OrderClass.BRACKET,
    "take_profit": OrderClass.OTO,
    "stop_loss": OrderClass.OTO,
    "stop_loss with a limit": OrderClass.OTO,
    "oco": OrderClass.OCO,
    "oco with a limit": OrderClass.OCO,
}
"""What can be asked for, and which class of linked orders it is."""


@frozen
class Kind:
    """A type of order and what it asks for beyond that, with the times in force the venue declares for it."""

    venue: str
    order_type: OrderType
    feature: str
    times: tuple[TimeInForce, ...]

    def __str__(self) -> str:
        return f"{self.venue}-{self.order_type.value}-{self.feature}"


def declared() -> Iterator[Kind]:
    """Return every kind of every venue."""
    for venue, able in CAPABILITIES.items():
        for feature in ("plain", *PLAIN, *LINKS):
            for order_type, times in able_to(able, feature).items():
                allowed = tuple(time for time in able.times_in_force.get(order_type, ()) if time in times)
                if allowed:
                    yield Kind(venue, order_type, feature, allowed)


def able_to(able: Capabilities, feature: str) -> TimesInForce:
    """Return what a venue declares of a feature; a trailing stop is nothing without its trail."""
    if feature == "plain":
        return {kind: times for kind, times in able.times_in_force.items() if kind is not OrderType.TRAILING_STOP}
    if feature in PLAIN:
        found: TimesInForce = getattr(able.features, feature)
        return found
    if feature.endswith("with a limit") and not able.features.stop_loss_price:
        return {}
    return able.features.linked.get(LINKS[feature], {})


def undeclared(venue: str) -> Iterator[tuple[OrderType, str, TimeInForce | None]]:
    """Return every combination that a venue does not declare; None leaves the time in force to the venue."""
    able = CAPABILITIES[venue]
    for order_type, feature in product(OrderType, ("plain", *PLAIN, *LINKS)):
        wanted = able_to(able, feature).get(order_type, ())
        allowed = {time for time in able.times_in_force.get(order_type, ()) if time in wanted}
        for time in (*TimeInForce, None):
            if time not in allowed and (time is not None or not allowed):
                yield order_type, feature, time


def side_of(feature: str) -> str:
    """Return which way an order of a kind goes: out of a position, or into one."""
    return "sell" if feature == "reduce_only" or feature.startswith("oco") else "buy"


def order_of(desk: Any, order_type: OrderType, feature: str, time: TimeInForce | None, intent_id: str, **changes: Any) -> Order:
    """Return an order of a kind that rests, if its type can: its prices are away from the market, on the side they belong."""
    side = changes.pop("side", side_of(feature))
    buys = side == "buy"
    given: dict[str, Any] = {"quantity": QUANTITIES[desk.venue], "time_in_force": time, "intent_id": intent_id}
    if time is TimeInForce.GTD:
        given["expires_at"] = datetime.now(UTC) + timedelta(hours=1)
    if feature.startswith("oco"):
        prices = {"take_profit": desk.price(1.1 if not buys else 0.9), "stop_loss": _loss(desk, feature, sells=not buys)}
        return Order.oco(desk.symbol, side, **{**given, **prices, **changes})
    given |= _terms(desk, feature, buys=buys)
    if feature == "notional":
        del given["quantity"]
    build = {
        OrderType.MARKET: Order.market,
        OrderType.LIMIT: Order.limit,
        OrderType.STOP: Order.stop,
        OrderType.STOP_LIMIT: Order.stop_limit,
        OrderType.TRAILING_STOP: Order.trailing_stop,
    }[order_type]
    if order_type in {OrderType.STOP, OrderType.STOP_LIMIT}:
        given["stop_price"] = desk.price(1.05 if buys else 0.95)
    if order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT}:
        resting, stopped = (0.9, 1.06) if buys else (1.1, 0.94)
        given["price"] = desk.price(resting if order_type is OrderType.LIMIT else stopped)
    return build(desk.symbol, side, **{**given, **changes})  # type: ignore[no-any-return,operator]


def _terms(desk: Any, feature: str, *, buys: bool) -> dict[str, Any]:
    terms: dict[str, dict[str, Any]] = {
        "post_only": {"post_only": True},
        "reduce_only": {"reduce_only": True},
        "notional": {"notional": Decimal(500)},
        "trail_amount": {"trail_amount": desk.price(0.02)},
        "trail_percent": {"trail_percent": Decimal("2.5")},
    }
    profit, loss = desk.price(1.2 if buys else 0.8), _loss(desk, feature, sells=buys)
    if feature.startswith("bracket"):
        return {"take_profit": profit, "stop_loss": loss}
    if feature == "take_profit":
        return {"take_profit": profit}
    return {"stop_loss": loss} if feature.startswith("stop_loss") else terms.get(feature, {})


def _loss(desk: Any, feature: str, *, sells: bool) -> StopLoss:
    limit = desk.price(0.79 if sells else 1.21) if feature.endswith("with a limit") else None
    return StopLoss(desk.price(0.8 if sells else 1.2), limit)
