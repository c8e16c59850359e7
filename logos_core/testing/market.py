"""What a simulated venue trades in, holds and refuses. Values only; `exchange` gives them their behaviour.

They repeat names of `logos_core.orders` on purpose: what judges the core shares nothing with it.
"""

# ruff: noqa: N818 - a refusal is named for what is wrong, as venues name it.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

ZERO = Decimal(0)


class Side(StrEnum):
    """Name the direction of an order."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """Name how an order is priced."""

    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """Name how long an order may wait."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class OrderStatus(StrEnum):
    """Name the state of an order; a venue's simulator translates it."""

    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


OPEN_STATUSES = frozenset({OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})
ClientIdRule = Literal["ever", "open", "none"]
FeeRule = Literal["quote", "received"]


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
    """Refuse a quantity: `positive`, `quantity_step`, `min_quantity` or `min_notional`."""


class BadPrice(Refusal):
    """Refuse a price: `missing`, `not_allowed`, `positive` or `price_tick`."""


class InsufficientFunds(Refusal):
    """Refuse an order that the free balance does not cover."""


class OrderNotFound(Refusal):
    """Refuse a reference that names no order."""


class NotCancelable(Refusal):
    """Refuse to cancel or fill an order that has already ended."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """Ask for one order; `tags` keep what only the venue's own API knows."""

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for value in (self.quantity, self.price):
            if value is not None:
                finite(value)


@dataclass(frozen=True, slots=True)
class SimulatedExecution:
    """Record one trade, with its fee as (amount, asset)."""

    trade_id: str
    order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: tuple[Decimal, str]
    time: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the execution as JSON-able data."""
        amount, asset = self.fee
        return {
            "trade_id": self.trade_id,
            "quantity": plain(self.quantity),
            "price": plain(self.price),
            "fee": {"amount": plain(amount), "asset": asset},
            "time": self.time.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class SimulatedOrder:
    """Show one order as it was at one moment.

    `reason` says why an order ended without filling: `client`, `time_in_force`, `expired`, or whatever
    the simulator passed to `Exchange.cancel`.
    """

    order_id: str
    request: OrderRequest
    status: OrderStatus
    created_at: datetime
    updated_at: datetime
    executions: tuple[SimulatedExecution, ...] = ()
    reason: str | None = None

    @property
    def symbol(self) -> str:
        """Return the instrument's symbol."""
        return self.request.symbol

    @property
    def client_order_id(self) -> str | None:
        """Return the id the client chose, if it chose one."""
        return self.request.client_order_id

    @property
    def filled_quantity(self) -> Decimal:
        """Return the sum of all executions."""
        return sum((execution.quantity for execution in self.executions), ZERO)

    @property
    def leaves_quantity(self) -> Decimal:
        """Return what is not filled; what is left of an ended order will never fill."""
        return self.request.quantity - self.filled_quantity

    @property
    def filled_notional(self) -> Decimal:
        """Return what all executions were worth in the quote asset, without fees."""
        return sum((execution.quantity * execution.price for execution in self.executions), ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """Return the average price, or None before the first execution."""
        return self.filled_notional / self.filled_quantity if self.executions else None

    @property
    def is_open(self) -> bool:
        """Tell whether the order can still fill."""
        return self.status in OPEN_STATUSES

    def to_dict(self) -> dict[str, Any]:
        """Return the order as JSON-able data, in the same words for every venue."""
        request = self.request
        return {
            "venue_order_id": self.order_id,
            "client_order_id": request.client_order_id,
            "symbol": request.symbol,
            "side": request.side.value,
            "type": request.type.value,
            "time_in_force": request.time_in_force.value,
            "quantity": plain(request.quantity),
            "price": None if request.price is None else plain(request.price),
            "status": self.status.value,
            "filled_quantity": plain(self.filled_quantity),
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "executions": [execution.to_dict() for execution in self.executions],
        }


@dataclass(frozen=True, slots=True)
class Balance:
    """Show what one asset has free, and what open orders hold of it."""

    free: Decimal = ZERO
    reserved: Decimal = ZERO


TransactionKind = Literal["order", "fill", "cancel", "expire", "reject"]


@dataclass(frozen=True, slots=True)
class Transaction:
    """Record one change; `order` is the order just after it."""

    id: int
    kind: TransactionKind
    time: datetime
    order: SimulatedOrder
    execution: SimulatedExecution | None = None
    reason: str | None = None


def finite(value: object) -> bool:
    """Say whether a number is one; anything but a Decimal raises `TypeError`."""
    if not isinstance(value, Decimal):
        raise TypeError(f"numbers are Decimal, not {type(value).__name__}")
    return value.is_finite()


def plain(number: Decimal) -> str:
    """Return a number without exponent or trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
