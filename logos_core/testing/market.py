"""What a simulated venue trades in, holds and refuses. Values only; `records` are its orders, `exchange` its behaviour.

They repeat names of `logos_core.orders` on purpose: what judges the core shares nothing with it.
"""

# ruff: noqa: N818 - a refusal is named for what is wrong, as venues name it.

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from logos_core.testing.records import SimulatedOrder

ZERO = Decimal(0)


class Side(StrEnum):
    """Name the direction of an order."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """Name how an order is priced."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class TimeInForce(StrEnum):
    """Name how long an order may wait."""

    DAY = "day"
    GTC = "gtc"
    GTD = "gtd"
    IOC = "ioc"
    FOK = "fok"


class OrderStatus(StrEnum):
    """Name the state of an order; a venue's simulator translates it."""

    HELD = "held"  # A leg that waits for its entry to be filled.
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"  # Ended, and another order stands in its place.


class ExecutionKind(StrEnum):
    """Name what an execution says: that something was traded, or what to think of an earlier trade."""

    TRADE = "trade"
    CORRECTION = "correction"
    BUST = "bust"


OPEN_STATUSES = frozenset({OrderStatus.HELD, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
STOP_TYPES = frozenset({OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP})
ClientIdRule = Literal["ever", "open", "none"]
FeeRule = Literal["quote", "received"]
LegRule = Literal["held", "on_fill"]
ReduceRule = Literal["refuse", "clip", "at_fill"]


class Refusal(Exception):
    """Refuse a request; nothing was created or changed.

    `rule` names the broken rule, such as `price_tick`, so that a simulator can choose the venue's code.
    """

    def __init__(self, message: str, rule: str = "") -> None:
        super().__init__(message)
        self.rule = rule


class UnknownSymbol(Refusal):
    """Refuse an instrument the exchange does not list."""


class BadQuantity(Refusal):
    """Refuse a quantity: `missing`, `not_allowed`, `positive`, `quantity_step`, `min_quantity` or `min_notional`."""


class BadPrice(Refusal):
    """Refuse a price: `missing`, `not_allowed`, `positive`, `price_tick`, `trail`, `would_trigger` or `legs`."""


class BadExpiry(Refusal):
    """Refuse an `expires_at` that is missing, has no order to end, or lies in the past."""


class WouldTake(Refusal):
    """Refuse a `post_only` order that would trade at once."""


class WouldIncrease(Refusal):
    """Refuse a `reduce_only` order that finds no position, or too small a one, to reduce."""


class InsufficientFunds(Refusal):
    """Refuse an order that the free balance does not cover."""


class OrderNotFound(Refusal):
    """Refuse a reference that names no order."""


class NotCancelable(Refusal):
    """Refuse to cancel, change or fill an order that has already ended."""


class TradeNotFound(Refusal):
    """Refuse a reference that names no trade, or one that was busted."""


class DuplicateClientOrderId(Refusal):
    """Refuse a client order id that is taken; `existing` is the order that holds it."""

    def __init__(self, existing: SimulatedOrder) -> None:
        super().__init__(f"client order id {existing.client_order_id!r} is taken", "client_order_id")
        self.existing = existing


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedInstrument:
    """Describe one tradable instrument; `liquidity` None means without end."""

    symbol: str
    base_asset: str
    quote_asset: str
    price_tick: Decimal
    quantity_step: Decimal
    last: Decimal
    min_quantity: Decimal = ZERO
    min_notional: Decimal = ZERO
    liquidity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """Show what one asset has free, and what open orders hold of it."""

    free: Decimal = ZERO
    reserved: Decimal = ZERO


def finite(value: object) -> bool:
    """Say whether a number is one; anything but a Decimal raises `TypeError`."""
    if not isinstance(value, Decimal):
        raise TypeError(f"numbers are Decimal, not {type(value).__name__}")
    return value.is_finite()


def plain(number: Decimal) -> str:
    """Return a number without exponent or trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
