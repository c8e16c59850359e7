"""A venue that does what a script says, and an Adapter around it.

Rules:

1. Every step goes through the real `Wire`: a request is begun, its first byte asks the gates, an answer is noted. So phases and
   gates in a test are those of a session.
2. What the venue *holds* and what it *says* are two things. A step may process an order and keep silent, or answer what it never did.
3. Without a step left, the venue behaves: it accepts what it has not seen, shows what it holds and cancels what is open.

A step is any callable of the venue and the hook's own argument; it may return whatever it likes, run other code first, or raise.
"""

import copy
import tempfile
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from attrs import define, evolve, field, frozen

from logos_core.adapter import Adapter
from logos_core.capabilities import (
    LOGOS_API,
    NO_POSITIONS,
    Capabilities,
    Expiry,
    ExpiryKind,
    IdProfile,
    PositionView,
    RateLimit,
    Uniqueness,
)
from logos_core.clock import Clock, ManualClock
from logos_core.extensions import Extensions
from logos_core.home import HeldLock, Home, is_present, key_of, new_id
from logos_core.hookspecs import (
    CancelReceipt,
    Category,
    Classification,
    Found,
    NotSeen,
    Operation,
    OrderReference,
    Outcome,
    Phase,
    Position,
    PreparedOrder,
    ReconcileRequest,
    UnknownSymbolError,
    VenueIdentity,
    VenueSnapshot,
    View,
    venue_hook,
)
from logos_core.instruments import Instrument, PriceBand
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.orders import OrderRequest, OrderStatus, OrderType, TimeInForce
from logos_core.parts import Parts
from logos_core.rails.absence import AbsencePolicy
from logos_core.rails.doubt import DoubtPolicy
from logos_core.rails.idempotency import IdempotentCache
from logos_core.rails.kill_switch import KillSwitch
from logos_core.rails.rate_limit import RateLimiter
from logos_core.rails.replace import ReplacePolicy
from logos_core.rails.retry import RetryConfig
from logos_core.records import LedgerIdentity
from logos_core.recovery import recover
from logos_core.reports import Execution, ExecutionReport, Fee
from logos_core.resolution import Resolver
from logos_core.venues import BoundVenue, Host, SdkRange, VenueDeclaration, VenueSettings, bind
from logos_core.wire import Answer, Wire, WireRecord

T = TypeVar("T")

Step = Callable[["ScriptedVenue", Any], Any]
"""One turn of a script: what a hook does with its argument this time."""

NAME = "scripted"
ACCOUNT = "ACCOUNT-1"
SYMBOL = "BTC/USDT"
INSTRUMENT = Instrument(
    symbol=SYMBOL,
    base_asset="BTC",
    quote_asset="USDT",
    price_bands=(PriceBand(at_least=Decimal(0), tick=Decimal("0.01")),),
    quantity_step=Decimal("0.001"),
    min_quantity=Decimal("0.001"),
)
_TIMES = (TimeInForce.GTC, TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK)
_GUARANTEE = "scripted"


class ScriptedError(Exception):
    """What a scripted venue raises; it carries what `classify_error` will say of it."""

    def __init__(self, message: str, classification: Classification) -> None:
        super().__init__(message)
        self.classification = classification


def capabilities(
    *,
    uniqueness: Uniqueness = Uniqueness.EVER,
    expiry: ExpiryKind = ExpiryKind.NONE,
    window_s: float | None = None,
    transaction_log: bool = False,
    account_history: bool = True,
    visibility_lag_s: float = 1.0,
    requests: int = 100_000,
    period_s: float = 60.0,
    positions: PositionView = NO_POSITIONS,
) -> Capabilities:
    """Return the capabilities of a venue of the given kind."""
    return Capabilities(
        times_in_force={OrderType.MARKET: _TIMES, OrderType.LIMIT: _TIMES},
        client_ids=IdProfile(
            field_name="id",
            max_length=36,
            alphabet="[A-Za-z0-9-]",
            uniqueness=uniqueness,
            queryable=True,
            visibility_lag_s=visibility_lag_s,
            history_days=None,
            account_history=account_history,
            sources=dict.fromkeys(
                (
                    "field_name",
                    "max_length",
                    "alphabet",
                    "uniqueness",
                    "queryable",
                    "visibility_lag_s",
                    "history_days",
                    "account_history",
                ),
                _GUARANTEE,
            ),
        ),
        expiry=Expiry(kind=expiry, window_s=window_s, sources=dict.fromkeys(("kind", "window_s"), _GUARANTEE)),
        rate_limit=RateLimit(requests=requests, period_s=period_s, sources=dict.fromkeys(("requests", "period_s"), _GUARANTEE)),
        transaction_log=transaction_log,
        paper=True,
        positions=positions,
        sources=dict.fromkeys(("times_in_force", "client_ids", "expiry", "rate_limit", "transaction_log", "paper"), _GUARANTEE),
    )


class ScriptedVenue:
    """A venue whose every hook follows a script, then behaves.

    Attributes:
        held: what the venue really has, oldest first.
        positions: what it says the account holds.
        received: every order whose first byte reached it.
        cancels: every reference whose cancellation reached it.
        calls: the hooks that were called, in order.
    """

    concurrent = False

    def __init__(self, able: Capabilities | None = None, *, account: str = ACCOUNT, environment: str = "simulator") -> None:
        self.capabilities = able or capabilities()
        self.identity = VenueIdentity(account_id=account, environment=environment)
        self.instruments = {SYMBOL: INSTRUMENT}
        self.held: list[ExecutionReport] = []
        self.executions: list[Execution] = []
        self.positions: list[Position] = []
        self.received: list[OrderRequest] = []
        self.cancels: list[OrderReference] = []
        self.calls: list[Operation] = []
        self.wire: Wire | None = None
        self._scripts: dict[Operation, list[Step]] = {operation: [] for operation in Operation}
        self._classifiers: list[Callable[[Exception], Classification]] = []

    def script(self, operation: Operation, *steps: Step) -> None:
        """Append steps for one hook; each call of it takes one."""
        self._scripts[operation] += steps

    def seen_by(self, wire: Wire) -> "ScriptedVenue":
        """Return this very venue, as one session of several reaches it: over a wire of its own."""
        view = copy.copy(self)
        view.wire = wire
        return view

    def on_submit(self, *steps: Step) -> None:
        """Append steps for `submit`."""
        self.script(Operation.SUBMIT, *steps)

    def on_cancel(self, *steps: Step) -> None:
        """Append steps for `cancel`."""
        self.script(Operation.CANCEL, *steps)

    def on_lookup(self, *steps: Step) -> None:
        """Append steps for `lookup`."""
        self.script(Operation.LOOKUP, *steps)

    def classify_with(self, classifier: Callable[[Exception], Classification] | None) -> None:
        """Let something else say what errors prove; None goes back to what they carry."""
        self._classifiers[:] = [] if classifier is None else [classifier]

    @venue_hook
    def identify(self) -> VenueIdentity:
        return self._turn(Operation.IDENTIFY, None, lambda: self.identity)

    @venue_hook
    def instrument(self, symbol: str) -> Instrument:
        return self._turn(Operation.INSTRUMENT, symbol, lambda: self._instrument(symbol))

    @venue_hook
    def prepare(self, request: OrderRequest) -> PreparedOrder:
        return self._turn(Operation.PREPARE, request, lambda: self.prepared(request))

    @venue_hook
    def submit(self, prepared: PreparedOrder) -> ExecutionReport:
        said: ExecutionReport = self._turn(Operation.SUBMIT, prepared.request, lambda: accept()(self, prepared.request))
        return said

    @venue_hook
    def cancel(self, reference: OrderReference) -> CancelReceipt:
        said: CancelReceipt = self._turn(Operation.CANCEL, reference, lambda: take_cancel()(self, reference))
        return said

    @venue_hook
    def lookup(self, reference: OrderReference) -> Found | NotSeen:
        said: Found | NotSeen = self._turn(Operation.LOOKUP, reference, lambda: show()(self, reference))
        return said

    @venue_hook
    def reconcile(self, request: ReconcileRequest) -> VenueSnapshot:
        return self._turn(Operation.RECONCILE, request, lambda: self._answered(self.snapshot()))

    @venue_hook
    def classify_error(self, error: Exception, operation: Operation, phase: Phase) -> Classification:
        if self._classifiers:
            return self._classifiers[0](error)
        if isinstance(error, ScriptedError):
            return error.classification
        return Classification(outcome=Outcome.UNKNOWN, category=Category.UNLISTED)

    def prepared(self, request: OrderRequest) -> PreparedOrder:
        """Return what `prepare` behaves to return."""
        position = str(len(self.received)) if self.capabilities.transaction_log else None
        return PreparedOrder(request=request, wire={"id": request.client_order_id, "side": request.side.value}, position=position)

    def begin(self) -> WireRecord:
        """Begin a request; nothing of it has left yet."""
        record = self._wire().current()
        record.begin_request()
        return record

    def send(self, request: OrderRequest | None = None) -> WireRecord:
        """Begin a request and let its first byte pass the gates."""
        record = self.begin()
        record.first_byte_once()
        if request is not None and record.operation in {Operation.SUBMIT, Operation.REPLACE}:
            self.received.append(request)
        return record

    def process(
        self, request: OrderRequest, status: OrderStatus = OrderStatus.NEW, filled: Decimal | None = None
    ) -> ExecutionReport | None:
        """Take an order as the venue would, by its rule for ids; return it, or None if the id is taken."""
        if self._is_taken(request.client_order_id):
            return None
        report = self.report(request, status, filled)
        self.held.append(report)
        return report

    def report(
        self, request: OrderRequest, status: OrderStatus = OrderStatus.NEW, filled: Decimal | None = None
    ) -> ExecutionReport:
        """Return a report about an order under a venue order id of its own."""
        whole = request.quantity if request.quantity is not None else Decimal(1)  # what an order by notional comes to
        done = filled if filled is not None else whole if status is OrderStatus.FILLED else Decimal(0)
        name = f"v{len(self.held) + 1}"
        trade = self._execution(name, request, done)
        if trade is not None:
            self.executions.append(trade)
        return ExecutionReport(
            client_order_id=request.client_order_id,
            venue_order_id=name,
            symbol=request.symbol,
            side=request.side,
            order_type=request.order_type,
            quantity=request.quantity,
            price=request.price,
            time_in_force=request.time_in_force,
            status=status,
            filled_quantity=done,
            average_price=None if trade is None else trade.price,
            stop_price=request.stop_price,
            trail_amount=request.trail_amount,
            trail_percent=request.trail_percent,
            notional=request.notional,
            executions=() if trade is None else (trade,),
            venue_time=self._wire().clock.now(),
        )

    def change(self, client_order_id: str, **changes: Any) -> ExecutionReport:
        """Let something happen to an order the venue holds."""
        index = max(place for place, report in enumerate(self.held) if report.client_order_id == client_order_id)
        self.held[index] = evolve(self.held[index], **changes)
        return self.held[index]

    def orders_of(self, client_order_id: str) -> list[ExecutionReport]:
        """Return every order the venue really holds under an id."""
        return [report for report in self.held if report.client_order_id == client_order_id]

    def snapshot(self) -> VenueSnapshot:
        """Return the venue's whole view."""
        return VenueSnapshot(
            open_orders=tuple(report for report in self.held if not report.status.is_final),
            changed_orders=tuple(report for report in self.held if report.status.is_final),
            executions=tuple(self.executions),
            positions=tuple(self.positions),
            cursor=str(len(self.calls)),
            venue_time=self._wire().clock.now(),
        )

    def not_seen(self) -> NotSeen:
        """Return two views that do not show an order, with the venue's time."""
        views = (View("GET open orders", "not listed"), View("GET order by id", "404"))
        return NotSeen(views=views, venue_time=self._wire().clock.now(), position=str(len(self.received)))

    def _turn(self, operation: Operation, argument: Any, behave: Callable[[], T]) -> T:
        self.calls.append(operation)
        steps = self._scripts[operation]
        if not steps:
            return behave()
        said: T = steps.pop(0)(self, argument)
        return said

    def _answered(self, result: T) -> T:
        self.send().answered(_OK)
        return result

    def _instrument(self, symbol: str) -> Instrument:
        if symbol not in self.instruments:
            raise UnknownSymbolError(symbol)
        return self.instruments[symbol]

    def _is_taken(self, client_order_id: str) -> bool:
        orders = self.orders_of(client_order_id)
        rule = self.capabilities.client_ids.uniqueness
        if rule is Uniqueness.EVER:
            return bool(orders)
        return rule is Uniqueness.OPEN and any(not report.status.is_final for report in orders)

    def _execution(self, venue_order_id: str, request: OrderRequest, quantity: Decimal) -> Execution | None:
        if not quantity:
            return None
        return Execution(
            execution_id=f"t{len(self.executions) + 1}",
            venue_order_id=venue_order_id,
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            quantity=quantity,
            price=request.price or Decimal(100),
            fees=(Fee(amount=Decimal("0.01"), asset="USDT"),),
            executed_at=self._wire().clock.now(),
        )

    def _wire(self) -> Wire:
        assert self.wire is not None, "a scripted venue is bound before it is used"
        return self.wire


_OK = Answer(status=200, headers={}, body="{}")


def _error(outcome: Outcome, category: Category, message: str, **more: Any) -> ScriptedError:
    return ScriptedError(message, Classification(outcome=outcome, category=category, venue_message=message, **more))


def accept(status: OrderStatus = OrderStatus.NEW, filled: Decimal | None = None) -> Step:
    """Take the order and answer with it; refuse it as a duplicate if its id is taken."""

    def step(venue: ScriptedVenue, request: OrderRequest) -> ExecutionReport:
        record = venue.send(request)
        report = venue.process(request, status, filled)
        if report is None:
            record.answered(Answer(status=409, headers={}, body='{"message":"duplicate"}'))
            raise _error(Outcome.DUPLICATE, Category.DUPLICATE, "the id is taken")
        record.answered(_OK)
        return report

    return step


def reject(code: str = "40010001", message: str = "insufficient balance") -> Step:
    """Refuse the order, and say so."""

    def step(venue: ScriptedVenue, request: OrderRequest) -> NoReturn:
        venue.send(request).answered(Answer(status=422, headers={}, body=message))
        raise _error(Outcome.REJECTED, Category.INSUFFICIENT_FUNDS, message, venue_code=code)

    return step


def not_sent(retry_after_s: float | None = None, message: str = "connection refused") -> Step:
    """Fail before the first byte."""

    def step(venue: ScriptedVenue, _argument: object) -> NoReturn:
        venue.begin()
        raise _error(Outcome.NOT_SENT, Category.NETWORK, message, retry_after_s=retry_after_s)

    return step


def time_out_before() -> Step:
    """Lose the request after it left: the venue never sees it, and nobody answers."""
    return partial(_lose, processed=False)


def time_out_after(status: OrderStatus = OrderStatus.NEW, filled: Decimal | None = None) -> Step:
    """Take the order and lose the answer."""
    return partial(_lose, processed=True, status=status, filled=filled)


def _lose(
    venue: ScriptedVenue,
    request: Any,
    *,
    processed: bool,
    status: OrderStatus = OrderStatus.NEW,
    filled: Decimal | None = None,
) -> NoReturn:
    order = request if isinstance(request, OrderRequest) else None
    record = venue.send(order)
    if processed and order is not None:
        venue.process(order, status, filled)
    record.clock.sleep(max(record.remaining_s(), 0.0))
    raise _error(Outcome.UNKNOWN, Category.TIMEOUT, "read timed out")


def answer_with(error: ScriptedError | Exception, status: int = 500) -> Step:
    """Receive the request, answer with this HTTP status, and fail with this error."""

    def step(venue: ScriptedVenue, argument: Any) -> NoReturn:
        venue.send(argument if isinstance(argument, OrderRequest) else None).answered(
            Answer(status=status, headers={}, body=str(error))
        )
        raise error

    return step


def throttled(retry_after_s: float | None = None) -> Step:
    """Answer 429, which proves nothing about the order."""
    return answer_with(_error(Outcome.UNKNOWN, Category.RATE_LIMITED, "slow down", retry_after_s=retry_after_s), 429)


def duplicate() -> Step:
    """Refuse the order because its id is taken."""
    return answer_with(_error(Outcome.DUPLICATE, Category.DUPLICATE, "the id is taken"), 422)


def claims(outcome: Outcome, *, phase: Phase = Phase.ANSWERED) -> Step:
    """Get as far as `phase`, and fail with an error that claims to prove this outcome."""

    def step(venue: ScriptedVenue, argument: Any) -> NoReturn:
        record = venue.begin()
        if phase is not Phase.NOTHING_SENT:
            record.first_byte_once()
            if isinstance(argument, OrderRequest):
                venue.received.append(argument)
        if phase is Phase.ANSWERED:
            record.answered(_OK)
        raise _error(outcome, Category.UNLISTED, f"claims {outcome.value}")

    return step


def about_another_order(**changes: Any) -> Step:
    """Take the order, and answer about one that differs from it in these fields."""

    def step(venue: ScriptedVenue, request: OrderRequest) -> ExecutionReport:
        record = venue.send(request)
        report = venue.process(request)
        assert report is not None, "the id was free"
        record.answered(_OK)
        return evolve(report, **changes)

    return step


def returns(value: Any) -> Step:
    """Send, get an answer, and return this, whatever it is."""

    def step(venue: ScriptedVenue, argument: Any) -> Any:
        venue.send(argument if isinstance(argument, OrderRequest) else None).answered(_OK)
        return value

    return step


def raises(error: BaseException, *, after_first_byte: bool = True) -> Step:
    """Fail in a way no classification knows."""

    def step(venue: ScriptedVenue, argument: Any) -> NoReturn:
        if after_first_byte:
            venue.send(argument if isinstance(argument, OrderRequest) else None)
        raise error

    return step


def first(act: Callable[[], object], then: Step) -> Step:
    """Run something else at this point, then go on with the step."""

    def step(venue: ScriptedVenue, argument: Any) -> Any:
        act()
        return then(venue, argument)

    return step


def show() -> Step:
    """Show the latest order under the id, or say where it was looked for."""

    def step(venue: ScriptedVenue, reference: OrderReference) -> Found | NotSeen:
        venue.send().answered(_OK)
        orders = venue.orders_of(reference.client_order_id)
        return Found(orders[-1]) if orders else venue.not_seen()

    return step


def hide(**changes: Any) -> Step:
    """Not show the order, whatever the venue holds."""

    def step(venue: ScriptedVenue, _reference: OrderReference) -> NotSeen:
        venue.send().answered(_OK)
        return evolve(venue.not_seen(), **changes)

    return step


def show_another(**changes: Any) -> Step:
    """Show an order that differs from the held one in these fields."""

    def step(venue: ScriptedVenue, reference: OrderReference) -> Found:
        venue.send().answered(_OK)
        return Found(evolve(venue.orders_of(reference.client_order_id)[-1], **changes))

    return step


def fail(category: Category = Category.VENUE_DOWN) -> Step:
    """Answer a question with an error."""
    return answer_with(_error(Outcome.UNKNOWN, category, "service unavailable"), 503)


def take_cancel(*, cancels: bool = True) -> Step:
    """Take the request to cancel, and cancel what is open, or leave it."""

    def step(venue: ScriptedVenue, reference: OrderReference) -> CancelReceipt:
        venue.send().answered(_OK)
        venue.cancels.append(reference)
        for report in venue.orders_of(reference.client_order_id):
            if cancels and report.venue_order_id == reference.venue_order_id and not report.status.is_final:
                venue.change(reference.client_order_id, status=OrderStatus.CANCELED)
        return CancelReceipt()

    return step


def declaration(venue: object, able: Capabilities | None = None, **changes: Any) -> VenueDeclaration:
    """Return what a plugin would declare for a venue object that is already made."""
    found = able or getattr(venue, "capabilities", None) or capabilities()
    stated: dict[str, Any] = {
        "name": NAME,
        "api": LOGOS_API,
        "sdk": SdkRange(distribution="pluggy", minimum="1.0", below="1000"),
        "variants": (),
        "environments": {"simulator": Host(base_url=None, account_check="scripted")},
        "capabilities": {"": found},
        "credentials": (),
        "options": {},
        "factory": partial(_handed, venue),
        "simulator": _no_simulator,
        "presets": "logos_core:presets",
    }
    return VenueDeclaration(**{**stated, **changes})


def settings(clock: Clock, timeout_s: float = 10.0) -> VenueSettings:
    """Return what a factory gets from a session that needs neither secrets nor options."""
    return VenueSettings(
        variant="",
        environment="simulator",
        base_url="http://127.0.0.1:1",
        credentials={},
        options={},
        wire=Wire(clock, timeout_s),
        clock=clock,
        host_folder=Path(tempfile.gettempdir()),
    )


def bound(venue: ScriptedVenue, clock: Clock, timeout_s: float = 10.0) -> BoundVenue:
    """Bind a scripted venue as a session would."""
    return bind(declaration(venue), settings(clock, timeout_s))


def _handed(venue: object, given: VenueSettings) -> object:
    if not isinstance(venue, ScriptedVenue):
        return venue
    venue.wire = given.wire
    return venue.seen_by(given.wire)


def _no_simulator(_variant: str) -> NoReturn:
    raise NotImplementedError("a scripted venue is its own simulator")


@define(kw_only=True)
class ScriptedSession:
    """An open Adapter with everything around it in reach."""

    adapter: Adapter
    parts: Parts
    venue: ScriptedVenue
    clock: ManualClock
    home: Home
    session_id: str
    _held: HeldLock = field(repr=False)
    _ended: bool = False

    @property
    def ledger(self) -> SqliteLedger:
        """The session's ledger."""
        return self.parts.ledger

    @property
    def owner(self) -> LedgerIdentity:
        """Whose ledger it is."""
        return self.parts.ledger.identity

    def die(self) -> None:
        """End as a killed process would: no farewell, and its locks gone."""
        if not self._ended:
            self._ended = True
            self.parts.ledger.close()
            self._held.release()

    def close(self) -> None:
        """End in good order."""
        if not self._ended:
            self._ended = True
            self.parts.ledger.end_session()
            self.parts.ledger.close()
            self._held.release()


@frozen(kw_only=True)
class Rails:
    """How the rails of a scripted session are set."""

    retry: RetryConfig = field(factory=partial(RetryConfig, backoff_s=0.0, backoff_s_max=0.0, valid_for_s=60.0))
    policy: AbsencePolicy = field(factory=AbsencePolicy)
    replace: ReplacePolicy = field(factory=ReplacePolicy)
    unknown: DoubtPolicy = field(factory=DoubtPolicy)
    extensions: Mapping[str, object] = field(factory=dict)
    max_wait_s: float = 1.0


def compose(
    folder: Path,
    venue: ScriptedVenue | None = None,
    *,
    clock: ManualClock | None = None,
    strategy: str = "scripted",
    rails: Rails | None = None,
    recovers: bool = True,
) -> ScriptedSession:
    """Open a session on a scripted venue, in a folder that several sessions may share.

    Args:
        folder: holds LOGOS_HOME, the ledger and the run folders.
        recovers: whether the session first finds out what dead ones left, as a real one does.
    """
    venue, clock, rails = venue or ScriptedVenue(), clock or ManualClock(), rails or Rails()
    home = Home(folder / "home")
    facade = bound(venue, clock)
    owner = LedgerIdentity(venue=NAME, environment=venue.identity.environment, account_id=venue.identity.account_id)
    path = home.ledger_path(owner)
    ledger = SqliteLedger.open(path, clock, owner) if path.exists() else SqliteLedger.create(path, owner, clock)
    session_id = new_id()
    held = home.hold_session(session_id)
    ledger.begin_session(session_id, strategy, "scripted:1")
    parts = assemble(ledger, facade, venue.identity, home, rails, strategy=strategy, clock=clock, folder=folder)
    if recovers:
        recover(parts.resolver, ledger.unsettled(), home.is_dead, clock.now)
    closers: list[Callable[[], None]] = []
    parts = evolve(parts, on_close=lambda: _run(closers))
    session = ScriptedSession(
        adapter=Adapter(parts), parts=parts, venue=venue, clock=clock, home=home, session_id=session_id, held=held
    )
    closers.append(session.close)
    return session


def assemble(
    ledger: SqliteLedger,
    facade: BoundVenue,
    identity: VenueIdentity,
    home: Home,
    rails: Rails,
    *,
    strategy: str,
    clock: Clock,
    folder: Path,
) -> Parts:
    """Put the parts of a session together, around a ledger in which it has begun."""
    owner, able = ledger.identity, facade.capabilities
    switch = KillSwitch(home.halt_paths(owner), is_present, lambda reason: _halt(home, owner, reason, clock), ledger.first_latch)
    limiter = RateLimiter(able.rate_limit, clock, rails.max_wait_s)
    return Parts(
        venue=facade,
        identity=identity,
        ledger=ledger,
        strategy=strategy,
        cache=IdempotentCache(ledger, identity.account_id, strategy, able.client_ids),
        retry=rails.retry,
        limiter=limiter,
        switch=switch,
        resolver=Resolver(venue=facade, ledger=ledger, limiter=limiter, policy=rails.policy, clock=clock, latch=ledger.latch),
        extensions=Extensions(rails.extensions),
        clock=clock,
        is_dead=home.is_dead,
        spool=home.spool(owner),
        on_close=lambda: None,
        run_folder=folder / "runs",
        replace=rails.replace,
        unknown=rails.unknown,
    )


def _halt(home: Home, owner: LedgerIdentity, reason: str, clock: Clock) -> None:
    home.halt(key_of(owner), "scripted", reason, clock.now())


def _run(acts: Iterable[Callable[[], None]]) -> None:
    for act in acts:
        act()
