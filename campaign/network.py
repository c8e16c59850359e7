"""A venue behind a network that loses, delays and repeats, and what it really holds.

Rules:

1. Once its first byte has passed the gates, a request is on its way, whatever becomes of the process that sent it.
2. What goes wrong is drawn from the history's seed, for each request anew, and counted.
3. The venue keeps its own promises, as its capabilities state them: the rule for ids, an engine's deadline, how soon it shows an order.
   The client's beliefs are not asked.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from random import Random
from typing import Any

from attrs import define, evolve

from campaign.scheduler import Scheduler, SimulatedClock
from logos_core.capabilities import Capabilities, ExpiryKind, Uniqueness
from logos_core.hookspecs import (
    CancelReceipt,
    Category,
    Classification,
    Found,
    NotSeen,
    Operation,
    OrderReference,
    Outcome,
    PreparedOrder,
    ReconcileRequest,
    VenueSnapshot,
    venue_hook,
)
from logos_core.orders import OrderRequest, OrderStatus, OrderType
from logos_core.reports import Execution, ExecutionReport, Fee
from logos_core.testing.scripted import ScriptedError, ScriptedVenue
from logos_core.wire import ONE_REQUEST, Answer, Wire

PRICE = Decimal(100)
LATE_S = 25.0
"""How long a request may be on its way at most."""
ASKED_IN_VAIN = 0.75
"""How much less often a question goes wrong than an order: who never learns anything does little more."""
MOVING = ("refused", "lost", "late", "answer lost", "reset before", "reset after", "reset, late", "500 before", "504 after", "504, late", "429",
          "503", "garbled", "another order", "slow drip", "rejected", "denied key", "twice")  # fmt: skip
ASKING = ("refused", "lost", "answer lost", "500 before", "429", "garbled", "stale")
FAULTS = {Operation.SUBMIT: MOVING, Operation.REPLACE: MOVING, Operation.CANCEL: MOVING, Operation.LOOKUP: ASKING,
          Operation.RECONCILE: (*ASKING, "page skipped")}  # fmt: skip
_HTTP = {
    "500 before": 500,
    "504 after": 504,
    "504, late": 504,
    "429": 429,
    "503": 503,
    "denied key": 401,
    "rejected": 422,
    "garbled": 200,
}
_NEVER_ACTS = {"lost", "reset before", "500 before", "429", "503", "rejected", "denied key"}
_LATE = {"late", "reset, late", "504, late"}
_NO_ANSWER = {"lost", "late", "answer lost", "slow drip"}


@define
class Held:
    """What the venue really has of one order.

    Attributes:
        shown_at_s: from when on it is shown.
    """

    report: ExecutionReport
    created_at: datetime
    shown_at_s: float


class World:
    """What is outside of every process.

    Attributes:
        held: the venue's orders, oldest first.
        submits: the client order ids of every request for an order whose first byte left, in order.
        faults: how often each kind went wrong.
        fault_rate: how much of what is sent goes wrong.
        sessions: how many were begun.
    """

    def __init__(self, able: Capabilities, scheduler: Scheduler, random: Random) -> None:
        self.able = able
        self.scheduler = scheduler
        self.clock = SimulatedClock(scheduler)
        self.random = random
        self.held: list[Held] = []
        self.executions: list[Execution] = []
        self.submits: list[str] = []
        self.faults: Counter[str] = Counter()
        self.fault_rate = 0.6
        self.sessions = 0
        self.broken: list[str] = []
        self.on_first_byte: Callable[[str], None] = lambda _: None

    # -------------------------------------------------------------------------------------------------- what the venue does

    def place(self, request: OrderRequest, deadline: datetime) -> ExecutionReport | ScriptedError:
        """Take an order, or refuse it."""
        if self.able.expiry.kind is ExpiryKind.ENGINE and self.clock.true_time() > deadline:
            return _error(Outcome.REJECTED, Category.INVALID_ORDER, "deadline elapsed")
        if self._is_taken(request.client_order_id):
            return _error(Outcome.DUPLICATE, Category.DUPLICATE, "the id is taken")
        report = _report(request, f"v{len(self.held) + 1}", self.clock.true_time())
        lag_s = self.random.random() * self.able.client_ids.visibility_lag_s
        self.held.append(Held(report, self.clock.now(), self.scheduler.now_s + lag_s))
        if request.order_type is OrderType.MARKET:
            self.trade(self.held[-1], Decimal(1))
        elif self.random.random() < 0.2:
            self.trade(self.held[-1], self.random.choice((Decimal("0.5"), Decimal(1))))
        return self.held[-1].report

    def replace(self, request: OrderRequest, deadline: datetime) -> ExecutionReport | ScriptedError:
        """Put an order in another's place."""
        original = next((held for held in self.held if held.report.venue_order_id == request.in_place_of), None)
        gone = _error(Outcome.ABSENT, Category.NOT_FOUND, "there is no such order to replace")
        if original is None or original.report.status.is_final:
            return gone
        if original.report.filled_quantity and self.able.replace.atomic:
            return gone
        new = self.place(request, deadline)
        if isinstance(new, ExecutionReport) and not original.report.status.is_final:
            successor = new.venue_order_id if self.able.replace.tells_successor else None
            original.report = evolve(
                original.report, status=OrderStatus.CANCELED, replaced_by=successor, venue_time=self.clock.true_time()
            )
        return new

    def cancel(self, venue_order_id: str | None, client_order_id: str) -> CancelReceipt | ScriptedError:
        """End an order that is open."""
        for held in reversed(self.held):
            report = held.report
            named = report.venue_order_id == venue_order_id if venue_order_id else report.client_order_id == client_order_id
            if named and not report.status.is_final:
                held.report = evolve(report, status=OrderStatus.CANCELED, venue_time=self.clock.true_time())
                return CancelReceipt()
        return _error(Outcome.REJECTED, Category.NOT_FOUND, "there is no open order like that")

    def trade(self, held: Held, share: Decimal) -> None:
        """Let a share of what is left of an order trade."""
        report, quantity = held.report, held.report.quantity
        assert quantity is not None, "every order here has one"
        if report.status.is_final:
            return
        left = quantity - report.filled_quantity
        done = left if share == 1 else max((left * share).quantize(Decimal("0.001")), Decimal("0.001"))
        execution = Execution(
            execution_id=f"t{len(self.executions) + 1}",
            venue_order_id=report.venue_order_id,
            client_order_id=report.client_order_id,
            symbol=report.symbol,
            side=report.side,
            quantity=done,
            price=report.price or PRICE,
            fees=(Fee(amount=Decimal("0.01"), asset="USDT"),),
            executed_at=self.clock.true_time(),
        )
        self.executions.append(execution)
        filled = report.filled_quantity + done
        held.report = evolve(
            report,
            filled_quantity=filled,
            average_price=report.price or PRICE,
            status=OrderStatus.FILLED if filled == quantity else OrderStatus.PARTIALLY_FILLED,
            executions=(*report.executions, execution),
            venue_time=self.clock.true_time(),
        )

    def repeat(self, act: Callable[[], object], order: OrderRequest | None) -> None:
        """Let a request arrive a second time, unless the venue itself would make a second order of it: nothing here can help that."""
        if order is None or self._is_taken(order.client_order_id):
            act()

    def move(self) -> None:
        """Let something happen to an open order of its own accord."""
        open_orders = [held for held in self.held if not held.report.status.is_final]
        if open_orders:
            held = self.random.choice(open_orders)
            if self.random.random() < 0.8:
                self.trade(held, self.random.choice((Decimal("0.3"), Decimal("0.5"), Decimal(1))))
            else:
                held.report = evolve(held.report, status=OrderStatus.EXPIRED, venue_time=self.clock.true_time())

    def shown(self, *, stale: bool = False) -> list[ExecutionReport]:
        """Return the orders that the venue shows by now; stale, those that it must show."""
        lag_s = self.able.client_ids.visibility_lag_s
        now_s = self.scheduler.now_s
        return [
            held.report for held in self.held if held.shown_at_s <= now_s and not (stale and now_s < self._arrived_s(held) + lag_s)
        ]

    def _arrived_s(self, held: Held) -> float:
        return (held.created_at - self.clock.off_by - self.clock.true_time()).total_seconds() + self.scheduler.now_s

    def _is_taken(self, client_order_id: str) -> bool:
        same = [held.report for held in self.held if held.report.client_order_id == client_order_id]
        ever = self.able.client_ids.uniqueness is Uniqueness.EVER
        return bool(same) if ever else any(not report.status.is_final for report in same)


class NetworkedVenue(ScriptedVenue):
    """The venue as one process reaches it."""

    concurrent = True

    def __init__(self, world: World) -> None:
        super().__init__(world.able)
        self.world = world

    @venue_hook
    def submit(self, prepared: PreparedOrder) -> ExecutionReport:
        deadline = self._deadline()
        said: ExecutionReport = self._ask(Operation.SUBMIT, lambda: self.world.place(prepared.request, deadline), prepared.request)
        return said

    @venue_hook
    def cancel(self, reference: OrderReference) -> CancelReceipt:
        name, venue_id = reference.client_order_id, reference.venue_order_id
        said: CancelReceipt = self._ask(Operation.CANCEL, lambda: self.world.cancel(venue_id, name))
        return said

    @venue_hook
    def lookup(self, reference: OrderReference) -> Found | NotSeen:
        def look(*, stale: bool = False) -> Found | NotSeen:
            under = [shown for shown in self.world.shown(stale=stale) if shown.client_order_id == reference.client_order_id]
            if reference.venue_order_id is not None:
                under = [shown for shown in under if shown.venue_order_id == reference.venue_order_id] or under
            return Found(under[-1]) if under else self.not_seen()

        said: Found | NotSeen = self._ask(Operation.LOOKUP, look)
        return said

    @venue_hook
    def reconcile(self, request: ReconcileRequest) -> VenueSnapshot:
        def snapshot(*, stale: bool = False, skip: int | None = None) -> VenueSnapshot:
            shown = self.world.shown(stale=stale)
            if skip is not None and shown:
                shown.pop(skip % len(shown))
            names = {report.venue_order_id for report in shown}
            return VenueSnapshot(
                open_orders=tuple(report for report in shown if not report.status.is_final),
                changed_orders=tuple(report for report in shown if report.status.is_final),
                executions=tuple(item for item in self.world.executions if item.venue_order_id in names),
                positions=(),
                cursor=str(len(self.world.held)),
                venue_time=self.world.clock.true_time(),
            )

        said: VenueSnapshot = self._ask(Operation.RECONCILE, snapshot)
        return said

    def not_seen(self) -> NotSeen:
        """Return two views that do not show an order, with the venue's time."""
        return evolve(super().not_seen(), venue_time=self.world.clock.true_time())

    def seen_by(self, wire: Wire) -> "NetworkedVenue":
        """Return this very object: it belongs to one session."""
        self.wire = wire
        return self

    def _deadline(self) -> datetime:
        return self.world.clock.now() + timedelta(seconds=self.world.able.expiry.window_s or 0)

    def _ask(self, operation: Operation, act: Callable[..., Any], order: OrderRequest | None = None) -> Any:
        """Send one request through the network and return, or raise, what comes of it."""
        world, record = self.world, self.begin()
        world.scheduler.pause(f"{operation.value}, before the first byte")
        fault = self._fault(operation, order)
        if fault == "refused":
            raise _error(Outcome.NOT_SENT, Category.NETWORK, "connection refused")
        record.first_byte_once()
        if order is not None:
            world.on_first_byte(order.client_order_id)
            world.submits.append(order.client_order_id)
        came: list[Any] = []
        shown: dict[str | None, dict[str, Any]] = {"stale": {"stale": True}, "page skipped": {"skip": world.random.randrange(1000)}}
        how = shown.get(fault, {})
        if fault not in _NEVER_ACTS:
            delay_s = (
                world.random.uniform(0.5, LATE_S if fault == "late" else 8.0) if fault in _LATE else world.random.random() * 0.05
            )
            world.scheduler.after(delay_s, lambda: came.append(act(**how)))
        if fault == "twice":
            world.scheduler.after(0.1, partial(world.repeat, act, order))
        if fault in _NO_ANSWER:
            world.scheduler.pause(f"{operation.value}, no answer", max(record.remaining_s(), 0.0))
            raise _error(Outcome.UNKNOWN, Category.TIMEOUT, "read timed out")
        world.scheduler.pause(f"{operation.value}, sent", 0.05 + world.random.random() * 0.1)
        if fault in {"reset before", "reset after", "reset, late"}:
            raise _error(Outcome.UNKNOWN, Category.NETWORK, "connection reset")
        if fault in _HTTP:
            record.answered(Answer(status=_HTTP[fault], headers={}, body=fault))
            raise _error(*_says(fault, operation), fault)
        record.answered(Answer(status=200, headers={}, body="{}"))
        [answer] = came
        if isinstance(answer, ScriptedError):
            raise answer
        if fault == "another order" and isinstance(answer, ExecutionReport):
            return evolve(answer, price=PRICE * 3 if answer.price else None, symbol="ETH/USDT")
        return answer

    def _fault(self, operation: Operation, order: OrderRequest | None) -> str | None:
        world = self.world
        seldom = 1 if operation in ONE_REQUEST else ASKED_IN_VAIN
        if world.random.random() >= world.fault_rate * seldom:
            return None
        fault = world.random.choice(FAULTS[operation])
        world.faults[f"{operation.value}: {fault}"] += 1
        return fault


class ReplacingVenue(NetworkedVenue):
    """The same of a venue that replaces an order in one request."""

    @venue_hook
    def replace(self, reference: OrderReference, prepared: PreparedOrder) -> ExecutionReport:
        deadline = self._deadline()
        said: ExecutionReport = self._ask(
            Operation.REPLACE, lambda: self.world.replace(prepared.request, deadline), prepared.request
        )
        return said


def _says(fault: str, operation: Operation) -> tuple[Outcome, Category]:
    """Return what a plugin makes of an answer that is an error."""
    moves = operation in {Operation.SUBMIT, Operation.REPLACE, Operation.CANCEL}
    if fault in {"rejected", "denied key"} and moves:
        return Outcome.REJECTED, Category.INSUFFICIENT_FUNDS if fault == "rejected" else Category.AUTHENTICATION
    return (
        Outcome.UNKNOWN,
        Category.RATE_LIMITED if fault == "429" else Category.BAD_ANSWER if fault == "garbled" else Category.VENUE_DOWN,
    )


def _error(outcome: Outcome, category: Category, message: str) -> ScriptedError:
    return ScriptedError(message, Classification(outcome=outcome, category=category, venue_message=message))


def as_held(report: ExecutionReport) -> dict[str, Any]:
    """Return a venue's order as the oracle takes it. That it was recorded before is looked at when its first byte leaves."""
    return {
        "client_order_id": report.client_order_id,
        "venue_order_id": report.venue_order_id,
        "symbol": report.symbol,
        "side": report.side.value,
        "status": report.status.value,
        "quantity": f"{report.quantity:f}",
        "filled_quantity": f"{report.filled_quantity:f}",
        "created_at": "9999-01-01T00:00:00+00:00",
        "executions": [
            {"trade_id": item.execution_id, "quantity": str(item.quantity), "price": str(item.price),
             "fee": {"asset": item.fees[0].asset, "amount": str(item.fees[0].amount)}}
            for item in report.executions
        ],
    }  # fmt: skip


def _report(request: OrderRequest, venue_order_id: str, now: datetime) -> ExecutionReport:
    return ExecutionReport(
        client_order_id=request.client_order_id,
        venue_order_id=venue_order_id,
        symbol=request.symbol,
        side=request.side,
        order_type=request.order_type,
        quantity=request.quantity,
        price=request.price,
        time_in_force=request.time_in_force,
        status=OrderStatus.NEW,
        filled_quantity=Decimal(0),
        average_price=None,
        venue_time=now,
    )
