"""What happened at a simulated venue: requests, orders, executions, transactions. Values only, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from logos_core.testing.market import (
    OPEN_STATUSES,
    STOP_TYPES,
    ZERO,
    ExecutionKind,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
    finite,
    plain,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """Ask for one order; `tags` keep what only the venue's own API knows.

    Args:
        symbol: The instrument.
        side: Buy or sell.
        type: How the order is priced. A trailing stop that has a `price` becomes a limit order.
        quantity: How much; None with `notional`.
        price: The limit.
        time_in_force: How long the order may wait, once its stop has triggered.
        client_order_id: The id the client chose.
        tags: What only the venue's own API knows.
        stop_price: The last price at which a stop order triggers.
        trail_amount: How far behind the best price a trailing stop follows.
        trail_percent: The same, as a percentage of the best price.
        notional: What a market order is worth, instead of its quantity.
        post_only: Refuse the order rather than let it trade at once.
        reduce_only: Let the order do nothing but make the position smaller.
        expires_at: When a GTD order ends.
        take_profit: The price of a limit order that closes what this order opens.
        stop_loss: The stop price, and the limit if there is one, of a stop order that closes it.
        trail_loss: How far behind the best price a trailing stop follows that closes it.
        oco: The order closes a position itself: a fill or the end of it, or of its `stop_loss`, ends the other.
    """

    symbol: str
    side: Side
    type: OrderType
    quantity: Decimal | None = None
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    client_order_id: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    notional: Decimal | None = None
    post_only: bool = False
    reduce_only: bool = False
    expires_at: datetime | None = None
    take_profit: Decimal | None = None
    stop_loss: tuple[Decimal, Decimal | None] | None = None
    trail_loss: Decimal | None = None
    oco: bool = False

    def __post_init__(self) -> None:
        for value in (*(getattr(self, name) for name in _NUMBERS), *(self.stop_loss or ())):
            if value is not None:
                finite(value)


_NUMBERS = (
    "quantity", "price", "stop_price", "trail_amount", "trail_percent", "notional", "take_profit", "trail_loss",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SimulatedExecution:
    """Record one trade, with its fee as (amount, asset).

    A correction says what the trade it refers to really was; a bust says that it never was, and repeats its numbers.
    """

    trade_id: str
    order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    fee: tuple[Decimal, str]
    time: datetime
    kind: ExecutionKind = ExecutionKind.TRADE
    refers_to: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the execution as JSON-able data."""
        amount, asset = self.fee
        return {
            "trade_id": self.trade_id,
            "kind": self.kind.value,
            "refers_to": self.refers_to,
            "quantity": plain(self.quantity),
            "price": plain(self.price),
            "fee": {"amount": plain(amount), "asset": asset},
            "time": self.time.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class SimulatedOrder:
    """Show one order as it was at one moment.

    Args:
        order_id: The venue's id.
        request: What was asked for, with what an amendment has changed since.
        status: The state.
        created_at: When the order was accepted.
        updated_at: When it last changed.
        executions: All that was said of its trades, corrections and busts included.
        reason: Why an order ended without filling: `client`, `time_in_force`, `expired`, `linked`, `reduce_only`,
            `replaced`, `replace_rejected`, or whatever the simulator passed to `Exchange.cancel`.
        quantity: How much the order is for; a fill of a linked order makes it less.
        parent_id: The order whose leg this one is.
        leg_ids: The orders that close what this one opens.
        linked_ids: The orders that end when this one does.
        group_id: What all orders that came from one request share.
        replaces: The order this one took the place of.
        replaced_by: The order that took the place of this one.
        triggered: The stop price was reached.
        high_water_mark: The best price a trailing stop has seen: the highest for a sale, the lowest for a purchase.
    """

    order_id: str
    request: OrderRequest
    status: OrderStatus
    created_at: datetime
    updated_at: datetime
    executions: tuple[SimulatedExecution, ...] = ()
    reason: str | None = None
    quantity: Decimal = ZERO
    parent_id: str | None = None
    leg_ids: tuple[str, ...] = ()
    linked_ids: tuple[str, ...] = ()
    group_id: str | None = None
    replaces: str | None = None
    replaced_by: str | None = None
    triggered: bool = False
    high_water_mark: Decimal | None = None

    @property
    def symbol(self) -> str:
        """Return the instrument's symbol."""
        return self.request.symbol

    @property
    def client_order_id(self) -> str | None:
        """Return the id the client chose, if it chose one."""
        return self.request.client_order_id

    @property
    def trades(self) -> tuple[SimulatedExecution, ...]:
        """Return the trades that count: as corrected, and without the busted ones."""
        standing: dict[str, SimulatedExecution] = {}
        for execution in self.executions:
            trade_id = execution.refers_to or execution.trade_id
            if execution.kind is ExecutionKind.BUST:
                standing.pop(trade_id)
            else:
                standing[trade_id] = execution
        return tuple(standing.values())

    @property
    def filled_quantity(self) -> Decimal:
        """Return the sum of all trades that count."""
        return sum((execution.quantity for execution in self.trades), ZERO)

    @property
    def leaves_quantity(self) -> Decimal:
        """Return what is not filled; what is left of an ended order will never fill."""
        return self.quantity - self.filled_quantity

    @property
    def filled_notional(self) -> Decimal:
        """Return what all trades were worth in the quote asset, without fees."""
        return sum((execution.quantity * execution.price for execution in self.trades), ZERO)

    @property
    def average_price(self) -> Decimal | None:
        """Return the average price, or None without a trade."""
        filled = self.filled_quantity
        return self.filled_notional / filled if filled else None

    @property
    def is_open(self) -> bool:
        """Tell whether the order can still fill, now or after what it waits for."""
        return self.status in OPEN_STATUSES

    @property
    def awaits_trigger(self) -> bool:
        """Tell whether the order is a stop order whose price was not reached."""
        return self.request.type in STOP_TYPES and not self.triggered

    @property
    def stop_price(self) -> Decimal | None:
        """Return the price that triggers the order as it is now, or None if none does."""
        request, mark = self.request, self.high_water_mark
        if request.type is not OrderType.TRAILING_STOP or mark is None:
            return request.stop_price
        distance = request.trail_amount or mark * (request.trail_percent or ZERO) / 100
        return mark - distance if request.side is Side.SELL else mark + distance

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
            "quantity": plain(self.quantity),
            "notional": _plain_or_none(request.notional),
            "price": _plain_or_none(request.price),
            "stop_price": _plain_or_none(self.stop_price),
            "trail_amount": _plain_or_none(request.trail_amount),
            "trail_percent": _plain_or_none(request.trail_percent),
            "post_only": request.post_only,
            "reduce_only": request.reduce_only,
            "expires_at": None if request.expires_at is None else request.expires_at.isoformat(),
            "status": self.status.value,
            "triggered": self.triggered,
            "filled_quantity": plain(self.filled_quantity),
            "parent_id": self.parent_id,
            "leg_ids": list(self.leg_ids),
            "replaces": self.replaces,
            "replaced_by": self.replaced_by,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "executions": [execution.to_dict() for execution in self.executions],
        }


TransactionKind = Literal[
    "order", "fill", "cancel", "expire", "reject", "replace", "amend", "lose", "correction", "bust",
    "activate", "trigger", "trail", "link",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Transaction:
    """Record one change; `order` is the order just after it."""

    id: int
    kind: TransactionKind
    time: datetime
    order: SimulatedOrder
    execution: SimulatedExecution | None = None
    reason: str | None = None


def _plain_or_none(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)
