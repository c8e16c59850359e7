"""What a venue can do, as data.

Capabilities drive behaviour, tests and the documentation alike, so each one says where it is known from: a page of the venue, a
file of its SDK, a measurement, or the word *inferred*. Where a fact is inferred, the core assumes the worse case.
"""

from collections.abc import Mapping
from enum import StrEnum

from attrs import AttrsInstance, field, fields, frozen

from logos_core.orders import OrderClass, OrderType, TimeInForce

LOGOS_API = 1
"""The version of the contract between core and venues. A plugin states the one it was written for."""


class Uniqueness(StrEnum):
    """For how long the venue refuses a second order under one client order id."""

    EVER = "ever"
    OPEN = "open"
    NONE = "none"


class ExpiryKind(StrEnum):
    """Who refuses an order that arrives too late: the matching engine, only the gateway before it, or nobody."""

    ENGINE = "engine"
    GATEWAY = "gateway"
    NONE = "none"


TimesInForce = Mapping[OrderType, tuple[TimeInForce, ...]]
"""For which types of order, and with which times in force, the default one first."""


_ELSEWHERE = frozenset({"sources", "features", "replace", "positions", "stream"})
"""What carries its sources itself."""


def _all_sourced(instance: AttrsInstance, _attribute: object, sources: Mapping[str, str]) -> None:
    stated = {item.name for item in fields(type(instance)) if item.name not in _ELSEWHERE}
    _require_sources(instance, stated, sources)


def _require_sources(instance: AttrsInstance, stated: set[str], sources: Mapping[str, str]) -> None:
    missing = sorted(name for name in stated if not sources.get(name, "").strip())
    if missing:
        raise ValueError(f"{type(instance).__name__}: no source for {', '.join(missing)}; name one or write 'inferred'")


@frozen(kw_only=True)
class IdProfile:
    """What the venue does with the id we give an order.

    Attributes:
        field_name: what it is called on the wire.
        max_length: in characters.
        alphabet: a regular expression for one allowed character.
        uniqueness: for how long a second order under the id is refused.
        queryable: whether an order can be asked for by this id alone (and its symbol).
        visibility_lag_s: how long an accepted order may stay invisible to a lookup.
        history_days: how far back a lookup reaches; None if the venue does not say.
        account_history: whether every order of the account can be listed without naming its symbol.
    """

    field_name: str
    max_length: int
    alphabet: str
    uniqueness: Uniqueness
    queryable: bool
    visibility_lag_s: float
    history_days: int | None
    account_history: bool
    sources: Mapping[str, str] = field(validator=_all_sourced)


@frozen(kw_only=True)
class Expiry:
    """Whether a late order is refused.

    Attributes:
        kind: who refuses it.
        window_s: for how long after it was signed it is accepted; None without one.
    """

    kind: ExpiryKind
    window_s: float | None
    sources: Mapping[str, str] = field(validator=_all_sourced)


@frozen(kw_only=True)
class RateLimit:
    """How many requests the venue takes.

    Attributes:
        requests: how many.
        period_s: in how many seconds.
    """

    requests: int
    period_s: float
    sources: Mapping[str, str] = field(validator=_all_sourced)


class PositionKind(StrEnum):
    """What a venue counts its positions in: instruments, assets, or nothing that could be compared."""

    BY_SYMBOL = "by symbol"
    BY_ASSET = "by asset"
    NONE = "none"


@frozen(kw_only=True)
class PositionView:
    """What the positions in a snapshot are.

    Attributes:
        kind: what they are counted in. By asset, a fee that is taken out of an asset reduces it; by symbol, no fee does.
        symbols: a regular expression for the symbols whose positions move by executions alone; others are not compared.
    """

    kind: PositionKind
    symbols: str = ".*"
    sources: Mapping[str, str] = field(validator=_all_sourced)


NO_POSITIONS = PositionView(kind=PositionKind.NONE, sources=dict.fromkeys(("kind", "symbols"), "not declared"))


@frozen(kw_only=True)
class Features:
    """What the venue does beyond a plain order; nothing unless it says so.

    An order that uses several of them has the times in force that all of them have.

    Attributes:
        post_only: orders that are refused rather than traded at once.
        reduce_only: orders that reduce a position and nothing else.
        notional: orders by an amount of the quote asset.
        trail_amount: trailing stops that follow by an amount.
        trail_percent: trailing stops that follow by a percentage.
        linked: the kinds of linked orders, by the type of the order that begins them.
        stop_loss_price: whether the stop of a linked order may have a limit.
    """

    post_only: TimesInForce = field(factory=dict)
    reduce_only: TimesInForce = field(factory=dict)
    notional: TimesInForce = field(factory=dict)
    trail_amount: TimesInForce = field(factory=dict)
    trail_percent: TimesInForce = field(factory=dict)
    linked: Mapping[OrderClass, TimesInForce] = field(factory=dict)
    stop_loss_price: bool = False
    sources: Mapping[str, str] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        stated = {item.name for item in fields(type(self)) if item.name != "sources" and getattr(self, item.name)}
        _require_sources(self, stated, self.sources)


class ReplaceKind(StrEnum):
    """How one order takes another's place: in one request of the venue's own, by a cancel and a new order, or not at all."""

    NATIVE = "native"
    CANCEL_AND_NEW = "cancel and new"
    NONE = "none"


@frozen(kw_only=True)
class Replace:
    """How an order is replaced.

    Attributes:
        kind: how.
        types: which types of order the venue's own request replaces; others are cancelled and placed anew.
        atomic: whether that request fails once the order has begun to trade, so that nothing is placed twice.
        tells_successor: whether an ended order says which one took its place. Then one that ended without a successor proves that a
            replacement can no longer come to be.
    """

    kind: ReplaceKind
    types: frozenset[OrderType] = frozenset()
    atomic: bool = False
    tells_successor: bool = False
    sources: Mapping[str, str] = field(validator=_all_sourced)


CANCEL_AND_NEW = Replace(
    kind=ReplaceKind.CANCEL_AND_NEW,
    sources=dict.fromkeys(
        ("kind", "types", "atomic", "tells_successor"), "not declared: a cancel and a new order are possible everywhere"
    ),
)


@frozen(kw_only=True)
class Stream:
    """Whether the venue tells of orders and trades without being asked, and how one knows that it still would.

    Attributes:
        heartbeat_s: while the stream lives, something is heard at least this often; None without a stream.
        gapless: whether every event has a place in a numbering without gaps, so that a missing one shows.
    """

    heartbeat_s: float | None
    gapless: bool = False
    sources: Mapping[str, str] = field(validator=_all_sourced)

    @property
    def is_declared(self) -> bool:
        """Say whether there is a stream."""
        return self.heartbeat_s is not None


NO_STREAM = Stream(heartbeat_s=None, sources=dict.fromkeys(("heartbeat_s", "gapless"), "not declared"))


@frozen(kw_only=True)
class Capabilities:
    """All that a venue declares of itself.

    Attributes:
        times_in_force: per order type, the first being the default.
        client_ids: what our ids are worth there.
        expiry: whether a late order is refused.
        rate_limit: the request budget of one account.
        transaction_log: whether the account has a gapless numbered log, whose position is stored before each send.
        paper: whether the venue has a paper environment.
        features: what it does beyond a plain order.
        replace: how an order takes another's place.
        stream: whether it tells of orders and trades without being asked.
        positions: what the positions in a snapshot are; without a declaration they are not compared.
    """

    times_in_force: TimesInForce
    client_ids: IdProfile
    expiry: Expiry
    rate_limit: RateLimit
    transaction_log: bool
    paper: bool
    features: Features = Features()
    replace: Replace = CANCEL_AND_NEW
    stream: Stream = NO_STREAM
    positions: PositionView = NO_POSITIONS
    sources: Mapping[str, str] = field(validator=_all_sourced)
