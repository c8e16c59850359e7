"""What is ordered: an order as a caller decides it, its replacement, and the request that the venue will see.

Values only: frozen, Decimal for every quantity and price, aware UTC for every time.
"""

import difflib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any, Protocol, Self, TypedDict, TypeVar, Unpack

from attrs import field, fields, frozen

from logos_core.errors import InvalidOrderError
from logos_core.values import Number, aware, choice, plain, positive, positive_or_none, printable


class Side(StrEnum):
    """Which way the order trades."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> "Side":
        """The side that undoes this one."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """How the order's price is found."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"


class OrderClass(StrEnum):
    """How the legs of one decision hang together."""

    SIMPLE = "simple"
    OTO = "oto"
    BRACKET = "bracket"
    OCO = "oco"


class TimeInForce(StrEnum):
    """How long the order may rest."""

    DAY = "day"
    GTC = "gtc"
    GTD = "gtd"
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


def _take_profit_price(value: Number) -> Decimal:
    return positive("take_profit.price", value)


def _stop_price(value: Number) -> Decimal:
    return positive("stop_loss.stop_price", value)


def _stop_loss_price(value: Number | None) -> Decimal | None:
    return positive_or_none("stop_loss.price", value)


@frozen
class TakeProfit:
    """A leg that takes a profit: a limit order the other way, working once the entry has filled.

    Attributes:
        price: its limit.
    """

    price: Decimal = field(converter=_take_profit_price)


@frozen
class StopLoss:
    """A leg that ends a loss: a stop order the other way, working once the entry has filled.

    Attributes:
        stop_price: where it triggers.
        price: its limit once it has; None trades at whatever the market gives.
    """

    stop_price: Decimal = field(converter=_stop_price)
    price: Decimal | None = field(default=None, converter=_stop_loss_price)


@frozen(kw_only=True)
class Terms:
    """How an order works beyond its price and quantity. All of it is optional; a venue declares what it can.

    Attributes:
        notional: how much to trade, in units of the quote asset, where no quantity is given.
        stop_price: where a stop order triggers.
        trail_amount: how far a trailing stop follows the market, in units of the quote asset.
        trail_percent: the same, in percent of the price.
        expires_at: when a GTD order ends, aware and in UTC.
        post_only: refuse the order rather than let it trade at once.
        reduce_only: let the order reduce a position and nothing else.
        take_profit: a leg to work once the order has filled.
        stop_loss: the same; for an OCO, the other one of the two.
        one_cancels_other: the order itself takes the profit of a position that exists, and cancels `stop_loss` when it trades.
    """

    notional: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    expires_at: datetime | None = None
    post_only: bool = False
    reduce_only: bool = False
    take_profit: TakeProfit | None = None
    stop_loss: StopLoss | None = None
    one_cancels_other: bool = False

    @property
    def order_class(self) -> OrderClass:
        """Return how the legs hang together."""
        if self.one_cancels_other:
            return OrderClass.OCO
        legs = (self.take_profit is not None) + (self.stop_loss is not None)
        return (OrderClass.SIMPLE, OrderClass.OTO, OrderClass.BRACKET)[legs]

    def terms(self) -> dict[str, Any]:
        """Return these fields by name."""
        return {name: getattr(self, name) for name in _TERMS}

    def spelled(self) -> dict[str, str]:
        """Return what is set of these fields, flat and in one spelling."""
        legs: dict[str, object] = {
            "take_profit": self.take_profit and self.take_profit.price,
            "stop_loss": self.stop_loss and self.stop_loss.stop_price,
            "stop_loss_price": self.stop_loss and self.stop_loss.price,
        }
        found = {**self.terms(), **legs}
        return {name: _spelled(value) for name, value in found.items() if value is not None and value is not False}


_TERMS = tuple(item.name for item in fields(Terms))


def _spelled(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return "yes" if value is True else str(value)


class PlainOptions(TypedDict, total=False):
    """What every kind of order may say besides; see `Terms`. `expires_at` makes the order GTD."""

    time_in_force: TimeInForce | str | None
    expires_at: datetime | None
    reduce_only: bool
    round_to_grid: bool


class Options(PlainOptions, total=False):
    """What an order that begins something may say besides: its legs. A bare price will do for one."""

    take_profit: TakeProfit | Number | None
    stop_loss: StopLoss | Number | None


@frozen(kw_only=True)
class Order(Terms):
    """One decision to trade, under the caller's own stable name for it.

    Build it with `Order.limit`, `Order.market`, `Order.stop`, `Order.stop_limit`, `Order.trailing_stop` or `Order.oco`. The fields of
    `Terms` go with each of them where they make sense; a venue that cannot do a combination denies it before anything leaves.

    Attributes:
        symbol: spelled as the venue's SDK spells it.
        side: which way.
        order_type: how its price is found.
        quantity: in units of the base asset (shares, coins, OANDA units); None for an order by `notional`.
        price: the limit, in units of the quote asset; None for an order without one.
        intent_id: the caller's name for the decision. The same decision must always carry the same name, whatever restarts in
            between: it is what makes a second submit return the first one's result.
        time_in_force: None takes the venue's natural one for this type.
        round_to_grid: round the quantity down and the prices away from aggression instead of denying an off-grid order.
    """

    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal | None
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
        price: Number,
        intent_id: str,
        quantity: Number | None = None,
        notional: Number | None = None,
        post_only: bool = False,
        **options: Unpack[Options],
    ) -> Self:
        """Order at a price or better."""
        if price is None:
            raise InvalidOrderError("price is missing; a limit order needs one, a market order is `Order.market`")
        given = {"price": price, "quantity": quantity, "notional": notional, "post_only": post_only}
        return _checked(cls, OrderType.LIMIT, symbol, side, intent_id, given, options)

    @classmethod
    def market(
        cls,
        symbol: str,
        side: Side | str,
        *,
        intent_id: str,
        quantity: Number | None = None,
        notional: Number | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """Order at whatever the market gives."""
        return _checked(cls, OrderType.MARKET, symbol, side, intent_id, {"quantity": quantity, "notional": notional}, options)

    @classmethod
    def stop(
        cls,
        symbol: str,
        side: Side | str,
        *,
        quantity: Number,
        stop_price: Number,
        intent_id: str,
        **options: Unpack[Options],
    ) -> Self:
        """Order at the market once it has reached a price."""
        given = {"quantity": quantity, "stop_price": _needed("stop_price", stop_price)}
        return _checked(cls, OrderType.STOP, symbol, side, intent_id, given, options)

    @classmethod
    def stop_limit(
        cls,
        symbol: str,
        side: Side | str,
        *,
        quantity: Number,
        stop_price: Number,
        price: Number,
        intent_id: str,
        **options: Unpack[Options],
    ) -> Self:
        """Order at a limit once the market has reached a price."""
        given = {"quantity": quantity, "stop_price": _needed("stop_price", stop_price), "price": _needed("price", price)}
        return _checked(cls, OrderType.STOP_LIMIT, symbol, side, intent_id, given, options)

    @classmethod
    def trailing_stop(
        cls,
        symbol: str,
        side: Side | str,
        *,
        quantity: Number,
        intent_id: str,
        trail_amount: Number | None = None,
        trail_percent: Number | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """Order at the market once it has turned by an amount or a percentage from its best price; give one of the two."""
        if (trail_amount is None) == (trail_percent is None):
            raise InvalidOrderError("give either trail_amount or trail_percent")
        given = {"quantity": quantity, "trail_amount": trail_amount, "trail_percent": trail_percent}
        return _checked(cls, OrderType.TRAILING_STOP, symbol, side, intent_id, given, options)

    @classmethod
    def oco(
        cls,
        symbol: str,
        side: Side | str,
        *,
        quantity: Number,
        take_profit: Number,
        stop_loss: StopLoss | Number,
        intent_id: str,
        **options: Unpack[PlainOptions],
    ) -> Self:
        """Leave a position by a limit or by a stop, whichever comes first; the other one is cancelled."""
        legs = {"price": _needed("take_profit", take_profit), "stop_loss": _needed("stop_loss", stop_loss)}
        given = {"quantity": quantity, "one_cancels_other": True, **legs}
        return _checked(cls, OrderType.LIMIT, symbol, side, intent_id, given, options)

    def payload(self) -> dict[str, str | None]:
        """Return what makes two orders the same decision, in one spelling.

        Numbers that are equal are spelled alike, so `1` and `1.0` are one payload. A term that is not set is left out: what was
        recorded before there was one stays the same decision.
        """
        return {
            "symbol": self.symbol,
            "side": self.side.value,
            "order_type": self.order_type.value,
            "quantity": None if self.quantity is None else plain(self.quantity),
            "price": None if self.price is None else plain(self.price),
            "time_in_force": None if self.time_in_force is None else self.time_in_force.value,
            "round_to_grid": "yes" if self.round_to_grid else "no",
            **self.spelled(),
        }


BuiltOrder = TypeVar("BuiltOrder", bound=Order)


def _checked(
    cls: type[BuiltOrder],
    order_type: OrderType,
    symbol: object,
    side: object,
    intent_id: object,
    required: Mapping[str, Any],
    options: Mapping[str, Any],
) -> BuiltOrder:
    """Return an order whose every field is what it must be, or say which one is not."""
    _require_known(order_type, options, PlainOptions if "one_cancels_other" in required else Options)
    given = {**required, **options}
    expires_at = given.get("expires_at")
    time_in_force = given.get("time_in_force") or (None if expires_at is None else TimeInForce.GTD)
    numbers = ("quantity", "notional", "price", "stop_price", "trail_amount", "trail_percent")
    flags = ("post_only", "reduce_only", "one_cancels_other", "round_to_grid")
    checked: dict[str, Any] = {name: positive_or_none(name, given.get(name)) for name in numbers}
    checked |= {name: _flag(name, given.get(name, False)) for name in flags}
    order = cls(
        symbol=printable("symbol", symbol),
        side=choice("side", Side, side),
        order_type=order_type,
        intent_id=printable("intent_id", intent_id),
        time_in_force=None if time_in_force is None else choice("time_in_force", TimeInForce, time_in_force),
        expires_at=None if expires_at is None else aware("expires_at", expires_at),
        take_profit=_leg(TakeProfit, given.get("take_profit")),
        stop_loss=_leg(StopLoss, given.get("stop_loss")),
        **checked,
    )
    _refuse(_contradiction(order))
    return order


def _require_known(order_type: OrderType, options: Mapping[str, Any], known: type[PlainOptions]) -> None:
    """Refuse a misspelt option: a stop that is left out in silence is a position without one."""
    for name in options.keys() - known.__annotations__.keys():
        near = difflib.get_close_matches(name, known.__annotations__, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it takes {', '.join(known.__annotations__)}"
        raise TypeError(f"{name} is no option of this {order_type.value} order; {hint}")


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} is {value!r}; give True or False")
    return value


def _refuse(wrong: str | None) -> None:
    if wrong is not None:
        raise InvalidOrderError(wrong)


def _contradiction(order: Order) -> str | None:
    """Return in what the fields of an order cannot be true together, or None."""
    if (order.quantity is None) == (order.notional is None):
        return (
            "give either quantity or notional"
            if order.quantity is None
            else "quantity and notional are both given; give one of them"
        )
    if (order.time_in_force is TimeInForce.GTD) != (order.expires_at is not None):
        return "a GTD order needs expires_at, and no other order has one"
    if order.post_only and order.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}:
        return f"post_only and time_in_force {order.time_in_force.value} contradict one another: the order could never trade"
    if order.trail_percent is not None and order.trail_percent >= 100:  # noqa: PLR2004  percent
        return f"trail_percent is {plain(order.trail_percent)}; it must be below 100"
    return _crossed_legs(order)


def _crossed_legs(order: Order) -> str | None:
    """Return which leg of a linked order is on the wrong side, or None: it would trade the moment it works."""
    entry = order.price or order.stop_price
    profit = order.take_profit.price if order.take_profit else None
    if order.one_cancels_other:
        entry, profit = None, entry
    loss = order.stop_loss.stop_price if order.stop_loss else None
    long = (order.side is Side.BUY) != order.one_cancels_other  # whether the legs sell
    names = {"take_profit": profit, "the entry": entry, "stop_loss": loss}
    known = [(name, price) for name, price in names.items() if price is not None]
    for (above, high), (below, low) in pairwise(known):
        if (high <= low) if long else (high >= low):
            way = "above" if long else "below"
            return f"{above} is {plain(high)} and {below} {plain(low)}; where the legs {'sell' if long else 'buy'}, {above} must be {way} {below}"
    return None


def _leg(kind: type[Any], given: object) -> Any:
    return given if given is None or isinstance(given, kind) else kind(given)


def _needed(name: str, value: object) -> object:
    if value is None:
        raise InvalidOrderError(f"{name} is missing; this order needs one")
    return value


class Decision(Protocol):
    """What a caller decides once, under a name of its own: an order, or the replacement of one."""

    @property
    def intent_id(self) -> str:
        """The caller's name for it."""

    @property
    def symbol(self) -> str:
        """What it is about."""

    def payload(self) -> dict[str, str | None]:
        """Return what makes two decisions the same, in one spelling."""


@frozen(kw_only=True)
class Replacement:
    """The decision that an order is to go on with other numbers. Build it with `Replacement.of`.

    Attributes:
        replaces: the client order id of the order as it is now.
        symbol: the order's own.
        intent_id: the caller's name for this decision; not the order's.
        quantity: the new total, in units of the base asset, including what has been traded; None keeps it.
        price: the new limit; None keeps it.
        stop_price: the new stop price; None keeps it.
    """

    replaces: str
    symbol: str
    intent_id: str
    quantity: Decimal | None
    price: Decimal | None
    stop_price: Decimal | None

    @classmethod
    def of(
        cls,
        *,
        replaces: str,
        symbol: str,
        intent_id: str,
        quantity: Number | None = None,
        price: Number | None = None,
        stop_price: Number | None = None,
    ) -> Self:
        """Decide that an order goes on with these numbers; what is left out stays as it is."""
        given = {"quantity": quantity, "price": price, "stop_price": stop_price}
        numbers: dict[str, Any] = {name: positive_or_none(name, value) for name, value in given.items()}
        if not any(numbers.values()):
            raise InvalidOrderError("nothing is to change; give quantity, price or stop_price")
        return cls(replaces=replaces, symbol=symbol, intent_id=printable("intent_id", intent_id), **numbers)

    def payload(self) -> dict[str, str | None]:
        """Return what makes two replacements the same decision, in one spelling."""
        numbers = {"quantity": self.quantity, "price": self.price, "stop_price": self.stop_price}
        changed = {name: plain(number) for name, number in numbers.items() if number is not None}
        return {"replaces": self.replaces, "symbol": self.symbol, **changed}


@frozen(kw_only=True)
class OrderRequest(Terms):
    """One order as the venue will see it: on the grid, every choice made, under its client order id.

    Attributes:
        in_place_of: the venue's id of the order that it replaces in one request of the venue's own; None for an order on its own.
    """

    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    quantity: Decimal | None
    price: Decimal | None
    time_in_force: TimeInForce
    in_place_of: str | None = None


def changed_order(request: OrderRequest, replacement: Replacement, quantity: Decimal) -> Order:
    """Return the order that is to take another's place, for a quantity.

    Raises:
        InvalidOrderError: for a price that orders of this type do not have, or on the wrong side of a leg.
    """
    for name in ("price", "stop_price"):
        if getattr(replacement, name) is not None and getattr(request, name) is None:
            raise InvalidOrderError(
                f"{name} is given; the order that is to be replaced, of type {request.order_type.value}, has none"
            )
    order = Order(
        symbol=request.symbol,
        side=request.side,
        order_type=request.order_type,
        quantity=quantity,
        price=replacement.price or request.price,
        intent_id=replacement.intent_id,
        time_in_force=request.time_in_force,
        **{**request.terms(), "stop_price": replacement.stop_price or request.stop_price},
    )
    _refuse(_contradiction(order))
    return order
