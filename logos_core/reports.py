"""What a venue says of an order and of its trades, and whether that is about the order that was sent."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from attrs import evolve, field, frozen

from logos_core.orders import OrderClass, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from logos_core.values import aware, plain, spoken, tidy, tidy_or_none


@frozen(kw_only=True)
class Fee:
    """What an execution cost; negative for a rebate."""

    amount: Decimal = field(converter=tidy)
    asset: str


class ExecutionKind(StrEnum):
    """What the venue tells of a trade: that it happened, that its numbers were wrong, or that it does not count."""

    TRADE = "trade"
    CORRECTION = "correction"
    BUST = "bust"


def _refers_rightly(execution: "Execution", _attribute: object, refers_to: str | None) -> None:
    if (execution.kind is ExecutionKind.TRADE) != (refers_to is None):
        raise ValueError(f"execution {execution.execution_id} is a {execution.kind.value} and refers to {refers_to}")


@frozen(kw_only=True)
class Execution:
    """One trade of one order, or what became of one; told apart by the venue's own id.

    Attributes:
        execution_id: the venue's id, unique for the account. A correction and a bust have ids of their own.
        client_order_id: None where the venue does not repeat it; `venue_order_id` then leads to the order.
        quantity: of the trade; a correction states quantity, price and fees anew. Those of a bust mean nothing.
        kind: a trade, or what replaces one (correction) or removes one (bust). `executions.effective` tells what stands.
        refers_to: the id of what is corrected or busted, be it the trade or an earlier correction of it; None for a trade.
    """

    execution_id: str
    venue_order_id: str
    client_order_id: str | None
    symbol: str
    side: Side
    quantity: Decimal = field(converter=tidy)
    price: Decimal = field(converter=tidy)
    fees: tuple[Fee, ...]
    executed_at: datetime = field(validator=lambda _self, attribute, value: aware(attribute.name, value))
    kind: ExecutionKind = ExecutionKind.TRADE
    refers_to: str | None = field(default=None, validator=_refers_rightly)


@frozen(kw_only=True)
class ExecutionReport:
    """What the venue says of one order at one time.

    Attributes:
        client_order_id: the id we gave it; None for an order that carries none.
        venue_order_id: the venue's id.
        quantity: what was ordered; None for an order by notional while the venue does not say.
        price: the limit; None for an order without one.
        time_in_force: None where the venue does not say.
        filled_quantity: what was traded so far.
        average_price: of what was traded; None while nothing was.
        stop_price: where it triggers; of a trailing stop, where it stands now.
        trail_amount: how far a trailing stop follows, in units of the quote asset.
        trail_percent: the same, in percent.
        notional: what was ordered, in units of the quote asset, where it was not ordered by quantity.
        leg_of: the client order id of the order whose leg this is, where the venue tells.
        replaced_by: the venue's id of the order that took this one's place, where the venue tells.
        legs: the legs of a linked order, as far as the venue shows them.
        executions: the trades the answer itself carried, or, of a report that is on record, what stands of all that were told.
        venue_time: when the venue says this was so.
        raw: the venue's own answer, without secrets.
    """

    client_order_id: str | None
    venue_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal | None = field(converter=tidy_or_none)
    price: Decimal | None = field(converter=tidy_or_none)
    time_in_force: TimeInForce | None
    status: OrderStatus
    filled_quantity: Decimal = field(converter=tidy)
    average_price: Decimal | None = field(converter=tidy_or_none)
    stop_price: Decimal | None = field(default=None, converter=tidy_or_none)
    trail_amount: Decimal | None = field(default=None, converter=tidy_or_none)
    trail_percent: Decimal | None = field(default=None, converter=tidy_or_none)
    notional: Decimal | None = field(default=None, converter=tidy_or_none)
    leg_of: str | None = None
    replaced_by: str | None = None
    legs: "tuple[ExecutionReport, ...]" = ()
    executions: tuple[Execution, ...] = ()
    venue_time: datetime | None = None
    raw: Mapping[str, Any] = field(factory=dict, eq=False, repr=False)

    @property
    def leaves_quantity(self) -> Decimal | None:
        """Return what may still trade: nothing once the order is final; None where the venue does not say, as for an order by notional."""
        if self.status.is_final:
            return Decimal(0)
        return None if self.quantity is None else self.quantity - self.filled_quantity

    @property
    def fees(self) -> tuple[Fee, ...]:
        """Return what the known executions cost, summed per asset."""
        return total_fees(self.executions)

    def with_executions(self, executions: tuple[Execution, ...]) -> Self:
        """Return the report with the executions that are on record."""
        return evolve(self, executions=executions)


def total_fees(executions: tuple[Execution, ...]) -> tuple[Fee, ...]:
    """Return the fees of some executions, one sum per asset."""
    sums: dict[str, Decimal] = {}
    for execution in executions:
        for fee in execution.fees:
            sums[fee.asset] = sums.get(fee.asset, Decimal(0)) + fee.amount
    return tuple(Fee(amount=amount, asset=asset) for asset, amount in sorted(sums.items()))


def mismatches(request: OrderRequest, report: ExecutionReport) -> list[str]:
    """Return in what a venue's answer is not about the order that was sent; empty when it is."""
    pairs: dict[str, tuple[Any, Any]] = {
        "client_order_id": (request.client_order_id, report.client_order_id),
        "symbol": (request.symbol, report.symbol),
        "side": (request.side, report.side),
        "order_type": (request.order_type, report.order_type),
        "price": (request.price, report.price),
        "trail_amount": (request.trail_amount, report.trail_amount),
        "trail_percent": (request.trail_percent, report.trail_percent),
        "notional": (request.notional, report.notional),
    }
    if request.quantity is not None:  # the venue finds the quantity of an order by notional
        pairs["quantity"] = (request.quantity, report.quantity)
    if request.order_type is not OrderType.TRAILING_STOP:  # whose stop price moves
        pairs["stop_price"] = (request.stop_price, report.stop_price)
    if report.time_in_force is not None:
        pairs["time_in_force"] = (request.time_in_force, report.time_in_force)
    if report.legs:
        exits = request.side if request.order_class is OrderClass.OCO else request.side.opposite
        pairs["side of the legs"] = (exits.value, "/".join(sorted({leg.side.value for leg in report.legs})))
        pairs["legs"] = (
            _wanted_legs(request),
            {leg for shown in report.legs if shown.replaced_by is None and (leg := _prices(shown))},
        )
    found = [f"{name}: sent {spoken(sent)}, answered {spoken(said)}" for name, (sent, said) in pairs.items() if sent != said]
    if report.filled_quantity < 0 or (report.quantity is not None and report.filled_quantity > report.quantity):
        found.append(f"filled_quantity: {spoken(report.filled_quantity)} of {spoken(report.quantity)}")
    return found


def _wanted_legs(request: OrderRequest) -> set[tuple[str, ...]]:
    """Return the legs of a linked order as (name, prices)."""
    legs: set[tuple[str, ...]] = set()
    if request.take_profit is not None:
        legs.add(("take_profit", plain(request.take_profit.price)))
    if request.stop_loss is not None:
        limit = request.stop_loss.price
        legs.add(("stop_loss", plain(request.stop_loss.stop_price), *([] if limit is None else [plain(limit)])))
    return legs


def _prices(leg: ExecutionReport) -> tuple[str, ...]:
    """Return a reported leg as (name, prices); a trailing one has no price to compare."""
    prices = [plain(price) for price in (leg.stop_price, leg.price) if price is not None]
    if leg.order_type is OrderType.TRAILING_STOP:
        return ()
    return ("take_profit" if leg.order_type is OrderType.LIMIT else "stop_loss", *prices)
