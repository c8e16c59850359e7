"""What is ordered, and what the venue says of it.

Values only: frozen, Decimal for every quantity and price, aware UTC for every time. A float is refused by type, because by the time
it arrives it has already lost what the caller meant.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Self, TypeVar

from attrs import evolve, field, frozen

from logos_core.errors import OrderDeniedError

E = TypeVar("E", bound=StrEnum)

Number = Decimal | int | str
"""What the public API takes for a quantity or a price."""

MAX_DIGITS = 40
"""More digits than any venue's grid; a longer number is a mistake, and it would cost the arithmetic its exactness."""

MAX_TEXT = 200
"""The longest symbol, intent id or label we accept."""


class Side(StrEnum):
    """Which way the order trades."""

    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """How the order's price is found."""

    MARKET = "market"
    LIMIT = "limit"


class TimeInForce(StrEnum):
    """How long the order may rest."""

    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class OrderStatus(StrEnum):
    """What the venue says the order is now."""

    PENDING_NEW = "pending_new"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        """Say whether the venue will do nothing more with the order."""
        return self in _FINAL


_FINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED})


class InvalidOrderError(OrderDeniedError, ValueError):
    """The order cannot mean anything. Correct the field that the message names; nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__("ORDER_INVALID", message)


def exact(name: str, value: object) -> Decimal:
    """Return a caller's number as a Decimal, or say what is wrong with it.

    Raises:
        TypeError: for a float or anything that is not a Decimal, int or str.
        InvalidOrderError: for text that is no number, NaN, infinity, or more than `MAX_DIGITS` digits.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        kind = type(value).__name__
        raise TypeError(f"{name} is {value!r}, a {kind}; give a Decimal, an int or a str such as '0.01'")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise InvalidOrderError(f"{name} is {value!r}, which is not a number; give one such as '0.01'") from None
    if not number.is_finite():
        raise InvalidOrderError(f"{name} is {value}; it must be a finite number")
    _, digits, exponent = number.as_tuple()
    if len(digits) > MAX_DIGITS or abs(int(exponent)) > MAX_DIGITS:
        raise InvalidOrderError(f"{name} is {str(value)[:60]}, more than {MAX_DIGITS} digits; give fewer")
    return number


def plain(number: Decimal) -> str:
    """Return the one spelling of a number: no exponent, no trailing zeros.

    >>> plain(Decimal("1E+2")), plain(Decimal("0.10"))
    ('100', '0.1')
    """
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def tidy(number: Decimal) -> Decimal:
    """Return a venue's number without trailing zeros, so that a report is the same now and when it is read back."""
    given: object = number  # a plugin may hand over anything
    return Decimal(plain(number)) if isinstance(given, Decimal) and given.is_finite() else number


def _tidy_or_none(number: Decimal | None) -> Decimal | None:
    return None if number is None else tidy(number)


def _positive(name: str, value: object) -> Decimal:
    number = exact(name, value)
    if number <= 0:
        raise InvalidOrderError(f"{name} is {value}; it must be greater than zero")
    return number


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}, a {type(value).__name__}; give a str")
    if not value.strip() or value != value.strip() or len(value) > MAX_TEXT or not value.isprintable():
        raise InvalidOrderError(f"{name} is {value[:60]!r}; give 1 to {MAX_TEXT} printable characters without spaces at the ends")
    return value


def _choice(name: str, kind: type[E], value: object) -> E:
    try:
        return kind(value)  # type: ignore[arg-type]
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise InvalidOrderError(f"{name} is {value!r}; allowed: {allowed}") from None


def aware(name: str, value: datetime) -> datetime:
    """Return the time if it is aware and UTC; a naive time is a mistake in the program."""
    if value.utcoffset() != timedelta(0):
        raise TypeError(f"{name} is {value!r}; it must be an aware UTC time")
    return value


@frozen(kw_only=True)
class Order:
    """One decision to trade, under the caller's own stable name for it.

    Build it with `Order.limit` or `Order.market`.

    Attributes:
        symbol: spelled as the venue's SDK spells it.
        side: which way.
        order_type: market or limit.
        quantity: in units of the base asset (shares, coins, OANDA units).
        price: the limit, in units of the quote asset; None for a market order.
        intent_id: the caller's name for the decision. The same decision must always carry the same name, whatever restarts in
            between: it is what makes a second submit return the first one's result.
        time_in_force: None takes the venue's natural one for this type.
        round_to_grid: round the quantity down and the price away from aggression instead of denying an off-grid order.
    """

    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    intent_id: str
    time_in_force: TimeInForce | None = None
    round_to_grid: bool = False

    @classmethod
    def limit(
        cls,
        symbol: str,
        side: Side | str,
        *,
        quantity: Number,
        price: Number,
        intent_id: str,
        time_in_force: TimeInForce | str | None = None,
        round_to_grid: bool = False,
    ) -> Self:
        """Order at a price or better."""
        if price is None:
            raise InvalidOrderError("price is missing; a limit order needs one, a market order is `Order.market`")
        return cls._checked(OrderType.LIMIT, symbol, side, quantity, price, intent_id, time_in_force, round_to_grid)

    @classmethod
    def market(
        cls,
        symbol: str,
        side: Side | str,
        *,
        quantity: Number,
        intent_id: str,
        time_in_force: TimeInForce | str | None = None,
        round_to_grid: bool = False,
    ) -> Self:
        """Order at whatever the market gives."""
        return cls._checked(OrderType.MARKET, symbol, side, quantity, None, intent_id, time_in_force, round_to_grid)

    @classmethod
    def _checked(
        cls,
        order_type: OrderType,
        symbol: object,
        side: object,
        quantity: object,
        price: object,
        intent_id: object,
        time_in_force: object,
        round_to_grid: object,
    ) -> Self:
        return cls(
            symbol=_text("symbol", symbol),
            side=_choice("side", Side, side),
            order_type=order_type,
            quantity=_positive("quantity", quantity),
            price=None if price is None else _positive("price", price),
            intent_id=_text("intent_id", intent_id),
            time_in_force=None if time_in_force is None else _choice("time_in_force", TimeInForce, time_in_force),
            round_to_grid=round_to_grid is True,
        )

    def payload(self) -> dict[str, str | None]:
        """Return what makes two orders the same decision, in one spelling.

        Numbers that are equal are spelled alike, so `1` and `1.0` are one payload.
        """
        return {
            "symbol": self.symbol,
            "side": self.side.value,
            "order_type": self.order_type.value,
            "quantity": plain(self.quantity),
            "price": None if self.price is None else plain(self.price),
            "time_in_force": None if self.time_in_force is None else self.time_in_force.value,
            "round_to_grid": "yes" if self.round_to_grid else "no",
        }


@frozen(kw_only=True)
class OrderRequest:
    """One order as the venue will see it: on the grid, every choice made, under its client order id."""

    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal
    price: Decimal | None
    time_in_force: TimeInForce


@frozen(kw_only=True)
class PriceBand:
    """The price tick that holds from a price upwards."""

    at_least: Decimal
    tick: Decimal


@frozen(kw_only=True)
class Instrument:
    """The grid an order must lie on, as the venue states it.

    Attributes:
        symbol: as the venue's SDK spells it.
        base_asset: what is bought or sold.
        quote_asset: what it is paid with.
        price_bands: price ticks by price, ascending; the first must start at zero.
        quantity_step: the smallest difference between two quantities.
        min_quantity: the smallest quantity.
        max_quantity: the largest, if the venue has one.
        min_notional: the smallest price times quantity, if the venue has one.
        times_in_force: what this instrument allows where it is narrower than the venue; the first is the default.
    """

    symbol: str
    base_asset: str
    quote_asset: str
    price_bands: tuple[PriceBand, ...]
    quantity_step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal | None = None
    min_notional: Decimal | None = None
    times_in_force: Mapping[OrderType, tuple[TimeInForce, ...]] = field(factory=dict)

    def tick_at(self, price: Decimal) -> Decimal:
        """Return the price tick that holds at this price."""
        return max((band for band in self.price_bands if band.at_least <= price), key=lambda band: band.at_least).tick


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
        quantity: what was ordered.
        price: the limit; None for a market order.
        time_in_force: None where the venue does not say.
        filled_quantity: what was traded so far.
        average_price: of what was traded; None while nothing was.
        executions: the trades the answer itself carried, or, of a report that is on record, what stands of all that were told.
        venue_time: when the venue says this was so.
        raw: the venue's own answer, without secrets.
    """

    client_order_id: str | None
    venue_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal = field(converter=tidy)
    price: Decimal | None = field(converter=_tidy_or_none)
    time_in_force: TimeInForce | None
    status: OrderStatus
    filled_quantity: Decimal = field(converter=tidy)
    average_price: Decimal | None = field(converter=_tidy_or_none)
    executions: tuple[Execution, ...] = ()
    venue_time: datetime | None = None
    raw: Mapping[str, Any] = field(factory=dict, eq=False, repr=False)

    @property
    def leaves_quantity(self) -> Decimal:
        """Return what may still trade: nothing once the order is final."""
        return Decimal(0) if self.status.is_final else self.quantity - self.filled_quantity

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
        "quantity": (request.quantity, report.quantity),
        "price": (request.price, report.price),
    }
    if report.time_in_force is not None:
        pairs["time_in_force"] = (request.time_in_force, report.time_in_force)
    found = [f"{name}: sent {spoken(sent)}, answered {spoken(said)}" for name, (sent, said) in pairs.items() if sent != said]
    if not 0 <= report.filled_quantity <= report.quantity:
        found.append(f"filled_quantity: {spoken(report.filled_quantity)} of {spoken(report.quantity)}")
    return found


def spoken(value: object) -> str:
    """Return a value as people read it."""
    return plain(value) if isinstance(value, Decimal) else str(value)
