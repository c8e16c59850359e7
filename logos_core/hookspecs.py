"""The contract with a venue, and the two hooks for extensions.

A venue is a plugin's object with the methods of `VenueHooks`, each marked with `venue_hook`. The core binds exactly one venue per
session and calls it through a typed façade. Every hook returns the one type its signature names; `None` breaks the contract.

A venue only reports. Whether an order may be sent again, whether it is absent, what a session believes: the core concludes.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

import pluggy
from attrs import field, frozen

from logos_core.instruments import Instrument
from logos_core.orders import Order, OrderRequest
from logos_core.reports import Execution, ExecutionReport

PROJECT = "logos"

venue_spec = pluggy.HookspecMarker(PROJECT)
venue_hook = pluggy.HookimplMarker(PROJECT)
"""The decorator of a venue's hooks."""
extension_hook = pluggy.HookimplMarker(PROJECT)
"""The decorator of an extension's hooks."""


class Operation(StrEnum):
    """What a request to the venue is for."""

    IDENTIFY = "identify"
    INSTRUMENT = "instrument"
    PREPARE = "prepare"
    SUBMIT = "submit"
    REPLACE = "replace"
    CANCEL = "cancel"
    LOOKUP = "lookup"
    RECONCILE = "reconcile"


class Phase(StrEnum):
    """How far an operation got on the wire, as the transport recorded it."""

    NOTHING_SENT = "nothing sent"
    SENT = "sent"
    ANSWERED = "answered"


class Outcome(StrEnum):
    """What an error proves. Whatever proves nothing is UNKNOWN.

    ABSENT is said of the order that was asked about. Of a replacement it says that there was no such order to replace, which may be
    its own doing: a request that was delivered twice is refused the second time.
    """

    NOT_SENT = "not sent"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Category(StrEnum):
    """What kind of trouble it is; for people, counters and back-off, never for deciding what is true."""

    NETWORK = "network"
    TIMEOUT = "timeout"
    VENUE_DOWN = "venue down"
    RATE_LIMITED = "rate limited"
    AUTHENTICATION = "authentication"
    INSUFFICIENT_FUNDS = "insufficient funds"
    INVALID_ORDER = "invalid order"
    MARKET_CLOSED = "market closed"
    DUPLICATE = "duplicate"
    NOT_FOUND = "not found"
    BAD_ANSWER = "bad answer"
    PROGRAM = "program"
    UNLISTED = "unlisted"


@frozen(kw_only=True)
class Classification:
    """What an error means.

    Attributes:
        outcome: what it proves of the order.
        category: what kind of trouble it is.
        venue_code: the venue's own code.
        venue_message: the venue's own words.
        retry_after_s: the venue's own advice.
    """

    outcome: Outcome
    category: Category
    venue_code: str | None = None
    venue_message: str | None = None
    retry_after_s: float | None = None


@frozen(kw_only=True)
class VenueIdentity:
    """Who the key belongs to, in the venue's own words; never taken from our configuration.

    Attributes:
        account_id: the venue's id of the account.
        environment: `simulator`, `paper` or `live`.
    """

    account_id: str
    environment: str


@frozen(kw_only=True)
class PreparedOrder:
    """What will be sent, ready to go.

    Attributes:
        request: the order.
        wire: the order fields exactly as they will stand on the wire; recorded before the send.
        position: the venue's log position before the send, where it has a log.
    """

    request: OrderRequest
    wire: Mapping[str, Any]
    position: str | None = None


@frozen(kw_only=True)
class OrderReference:
    """How to find one order at the venue.

    Attributes:
        venue_order_id: None until the venue told us.
        submitted_at: when the first attempt was committed; None if none was.
        position: the venue's log position before the first attempt, where it has a log.
    """

    client_order_id: str
    symbol: str
    venue_order_id: str | None = None
    submitted_at: datetime | None = None
    position: str | None = None


@frozen
class View:
    """One place where the venue was asked for an order and did not show it.

    Attributes:
        source: the call, such as `GET /v2/orders:by_client_order_id`.
        said: the answer, in short.
    """

    source: str
    said: str


@frozen
class Found:
    """The venue has or had the order."""

    report: ExecutionReport


@frozen(kw_only=True)
class NotSeen:
    """The venue did not show the order. Evidence, not a conclusion.

    Attributes:
        views: where it was asked.
        venue_time: the venue's clock at the last answer, if it told.
        position: the position up to which its log was read, where it has one.
    """

    views: tuple[View, ...]
    venue_time: datetime | None = None
    position: str | None = None


@frozen(kw_only=True)
class CancelReceipt:
    """The venue took the request to cancel. What became of the order, only a lookup tells."""

    raw: Mapping[str, Any] = field(factory=dict)


@frozen(kw_only=True)
class ReconcileRequest:
    """What to tell since when.

    Attributes:
        cursor: the cursor of the last snapshot; None asks for everything the venue remembers.
        symbols: the symbols of interest, for venues that list nothing without one.
        prefix: what our client order ids begin with.
    """

    cursor: str | None
    symbols: tuple[str, ...]
    prefix: str


@frozen(kw_only=True)
class Position:
    """What the account holds of one instrument or asset; negative when short."""

    symbol: str
    quantity: Decimal


@frozen(kw_only=True)
class VenueSnapshot:
    """What the venue holds, and what happened since the cursor.

    Attributes:
        open_orders: every working order of the account.
        changed_orders: orders that ended or changed since the cursor.
        executions: trades since the cursor, each with the venue's trade id.
        positions: what the account holds.
        cursor: where the next snapshot goes on.
        venue_time: the venue's clock, if it told.
    """

    open_orders: tuple[ExecutionReport, ...]
    changed_orders: tuple[ExecutionReport, ...]
    executions: tuple[Execution, ...]
    positions: tuple[Position, ...]
    cursor: str
    venue_time: datetime | None = None


class Inlet(Protocol):
    """Where `listen` hands over what the venue's stream tells. Every method is for the listening thread only.

    What is handed over may be repeated, late, out of order or incomplete; the core takes each fact once. Once `stopped`, every method
    raises `StreamStoppedError`, which `listen` lets through.

    Attributes:
        heartbeat_s: something should be heard at least this often; where the venue sends no heartbeat of its own accord, ask for one.
        stopped: whether `listen` should return.
    """

    @property
    def heartbeat_s(self) -> float: ...

    @property
    def stopped(self) -> bool: ...

    def on_stop(self, end: Callable[[], object]) -> None:
        """Name what ends a read that blocks, such as closing the connection. It is called from another thread."""

    def hello(self) -> None:
        """Say that the venue confirmed the subscription: what happens from now on will be told.

        Say it again whenever the SDK has connected anew by itself: what happened in between must be asked for.
        """

    def alive(self, position: int | None = None) -> None:
        """Say that the stream lives, and, where its events are numbered, which one was the last."""

    def heard(self, position: int) -> None:
        """Say the number of an event, before what it holds is handed over. Only for a gapless stream, and there for each event."""

    def report(self, report: ExecutionReport) -> None:
        """Hand over what the venue says of an order, anybody's."""

    def execution(self, execution: Execution) -> None:
        """Hand over a trade, under the very id that `reconcile` gives it. Where the stream's ids are others, hand over reports only."""

    def unreadable(self, why: str) -> None:
        """Say that an event could not be read. The core asks the venue instead."""


class StreamStoppedError(Exception):
    """Nobody listens any more. Let it through."""


class VenueHooks(Protocol):
    """What a venue does. Each method may block on the network; none may retry."""

    @venue_spec(firstresult=True)
    def identify(self) -> VenueIdentity:
        """Return the account and environment behind the key, as the venue reports them."""

    @venue_spec(firstresult=True)
    def instrument(self, symbol: str) -> Instrument:
        """Return the grid of one symbol. Raise `UnknownSymbolError` when the venue does not list it."""

    @venue_spec(firstresult=True)
    def prepare(self, request: OrderRequest) -> PreparedOrder:
        """Return what will be sent; every pre-flight call happens here, and no order traffic."""

    @venue_spec(firstresult=True)
    def submit(self, prepared: PreparedOrder) -> ExecutionReport:
        """Send the order in exactly one request and return what the venue answered."""

    @venue_spec(firstresult=True)
    def replace(self, reference: OrderReference, prepared: PreparedOrder) -> ExecutionReport:
        """Put the prepared order in the place of another, in exactly one request, and return what the venue answered of the new one.

        By capability: only where `Replace.kind` is native. The venue must refuse it if the other order has begun to trade: what was
        prepared has the whole quantity, so both together would be more than was decided.
        """

    @venue_spec(firstresult=True)
    def cancel(self, reference: OrderReference) -> CancelReceipt:
        """Ask for the cancellation in exactly one request."""

    @venue_spec(firstresult=True)
    def lookup(self, reference: OrderReference) -> Found | NotSeen:
        """Return the order, or where it was looked for in vain."""

    @venue_spec(firstresult=True)
    def reconcile(self, request: ReconcileRequest) -> VenueSnapshot:
        """Return the venue's whole view since the cursor. Raise rather than return half of it."""

    @venue_spec(firstresult=True)
    def listen(self, inlet: Inlet) -> None:
        """Hand over what the venue's stream tells, until it ends, and then return or raise. Do not connect again; the core does.

        By capability: only where `Stream.heartbeat_s` is declared. It runs in a thread of its own, beside the other hooks, and may block
        in it. It makes no request of the kind the other hooks make: the session that they share refuses it outside of them. A dozen
        lines do::

            @venue_hook
            def listen(self, inlet):
                stream = sdk.Stream(self._token, timeout_s=3 * inlet.heartbeat_s)
                inlet.on_stop(stream.close)
                stream.subscribe("orders")  # raises unless the venue confirms it
                inlet.hello()
                for event in stream:
                    if event["type"] == "heartbeat":
                        inlet.alive()
                    else:
                        inlet.report(mapping.report(event["order"]))
        """

    @venue_spec(firstresult=True)
    def classify_error(self, error: Exception, operation: Operation, phase: Phase) -> Classification:
        """Return what an error of one of the other hooks proves. Pure: no network."""


class ExtensionHooks(Protocol):
    """What third parties may add around the orders of a session."""

    @venue_spec
    def object_to(self, intent: Order) -> str | None:
        """Return a reason to deny the order, or None. Raising denies it too."""

    @venue_spec
    def observe(self, event: Mapping[str, Any]) -> None:
        """Take note of an event that is already recorded. Nothing that happens here changes the outcome."""


class UnknownSymbolError(LookupError):
    """The venue does not list the symbol. Raised by a venue's `instrument`; the core turns it into a denial."""


class UnsupportedOrderError(ValueError):
    """The venue cannot take this combination of terms. Raised by `prepare`, before anything leaves; the core denies the order.

    For rules that no table of capabilities holds. The message says what the venue takes instead.
    """


class BadAnswerError(ValueError):
    """The venue answered something that is no answer. Raised by a venue's hook; it proves nothing about the order."""


def taking(implementation: Any) -> Callable[..., Any]:
    """Return a hook's function, to be called with names; it may ask for fewer arguments than it is given, in any order."""
    function, names = implementation.function, implementation.argnames
    return lambda **arguments: function(*[arguments[name] for name in names])
