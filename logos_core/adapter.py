"""A venue with the guard around it: what a strategy holds in its hands.

Submitting goes the way of `submission`, cancelling that of `cancellation`, replacing that of `replacing`. Rules of the rest:

1. Whoever holds an Adapter may call it from many threads; closing waits for the calls under way.
2. Nothing here concludes absence; a lookup that finds nothing says so and no more.
"""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from attrs import asdict, evolve

from logos_core import endings
from logos_core.baselines import Baselines
from logos_core.bookkeeping import Books
from logos_core.cancellation import Cancellation
from logos_core.errors import LedgerError
from logos_core.events import StoredEvent
from logos_core.holdings import Compared
from logos_core.hookspecs import Found, NotSeen, OrderReference, ReconcileRequest, VenueIdentity
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.lifecycle import WORKING, IntentState
from logos_core.orders import Order, Replacement
from logos_core.parts import Parts
from logos_core.positions import Book
from logos_core.rails.idempotency import PREFIX
from logos_core.reconciliation import (
    Agreement,
    Difference,
    ReconciliationReport,
    candidates,
    compared,
    differences,
    strangers,
    unseen_legs,
    verdict,
)
from logos_core.records import Recorded
from logos_core.recovery import RecoveryReport, recover
from logos_core.replacing import ReplaceReport, Replacing
from logos_core.reports import ExecutionReport
from logos_core.resolution import Standing
from logos_core.runs import write_json
from logos_core.streaming import Listener, StreamConfig
from logos_core.submission import Submission
from logos_core.values import Number
from logos_core.venues import VenueAskError

CLOSE_WAIT_S = 60.0
_NO_ORDER = frozenset({IntentState.REJECTED, IntentState.NOT_PLACED})


class Adapter:
    """A session on one account, with the guard around its venue. Thread-safe.

    Open it with a preset; close it, best by `with`.
    """

    venue_name: str | None = None
    """What a subclass for one venue opens; None opens whatever the preset names."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._submission = Submission(parts)
        self._books = Books(parts)
        self._baselines = Baselines(parts, self._books)
        self._cancellation = Cancellation(parts)
        self._replacing = Replacing(parts, self._submission, self._cancellation)
        self._pid = os.getpid()
        self._idle = threading.Condition()
        self._callers: list[threading.Thread] = []
        self._closed = False
        self._listener: Listener | None = None

    @classmethod
    def open(
        cls,
        preset: str | Path,
        *,
        home: str | Path | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Open a session on the account that a preset names.

        Args:
            preset: the path of a TOML preset; `logos init` writes some.
            home: LOGOS_HOME; None takes it from the environment, then from the platform.
            environ: where `env:` references of secrets are read; None takes the process's own.

        Raises:
            ConfigurationError: the preset, the plugin or the account is not as it must be. Nothing was ordered.
            LedgerError: the account's memory cannot be used. Nothing was ordered.
        """
        from logos_core.session import open_parts

        return cls(open_parts(preset, cls.venue_name, home, environ))

    @property
    def identity(self) -> VenueIdentity:
        """Whose account this is, as the venue reported it."""
        return self._parts.identity

    @property
    def venue(self) -> str:
        """The venue's name."""
        return self._parts.venue.name

    @property
    def ledger(self) -> SqliteLedger:
        """The account's memory. Read from it; only the session writes."""
        return self._parts.ledger

    @property
    def run_folder(self) -> Path:
        """Where this session leaves its evidence."""
        return self._parts.run_folder

    @property
    def audit_log(self) -> Iterator[StoredEvent]:
        """Every event of the account's ledger, oldest first."""
        return self._parts.ledger.events()

    def submit(self, order: Order) -> ExecutionReport:
        """Send an order at most once, and return what the venue has of it.

        Submitting the same intent again returns the recorded result, or finds it out; it never makes a second order.

        Returns:
            the venue's report, whether the order is working, filled or already cancelled.

        Raises:
            OrderDeniedError: we refused; nothing was sent. Mend the cause and submit the same intent again.
            OrderRejectedError: the venue proved that it accepted nothing. Final.
            OrderNotPlacedError: the intent was closed without an order. Final.
            VenueUnavailableError: provably nothing was accepted. Submit the same intent again later.
            OutcomeUnknownError: the order may be live. Look it up with `error.reference`; submit the same intent again to find out.
            OrderInFlightError: another caller is sending this intent now.
            OrderConflictError: the intent id was used for another order.
            LedgerError: the memory cannot be used; nothing was sent.
        """
        if not isinstance(order, Order):
            raise TypeError(f"submit takes an Order, got {type(order).__name__}; build one with Order.limit or Order.market")
        with self._open():
            return self._submission.submit(order)

    def cancel(self, order: str | OrderReference) -> ExecutionReport:
        """Ask the venue to cancel, and return what the order is after that.

        May be repeated. Passes no gate: it works while orders are halted and while the ledger is down. Of a linked order that has
        filled, it cancels the legs that still work; of one that was replaced, the order that took its place, and returns that one's
        report.

        Args:
            order: an intent id of this session's strategy, a client order id, or a reference.

        Returns:
            the order's report. It may still be working: the venue decides, not this call.

        Raises:
            LookupError: no such order is known here.
            OrderRejectedError, OrderNotPlacedError: there is no order to cancel, on record.
            OutcomeUnknownError: the venue does not show the order, or could not be asked. Repeat the cancel.
        """
        with self._open():
            return self._cancellation.cancel(self._reference(order))

    def replace(
        self,
        order: str | OrderReference,
        *,
        intent_id: str,
        quantity: Number | None = None,
        price: Number | None = None,
        stop_price: Number | None = None,
    ) -> ReplaceReport:
        """Let an order go on with other numbers, and return what stands after that.

        A replacement is a decision with a name of its own, and is repeated like any other: the same intent never makes a second order.
        Where the venue replaces in one request, and nothing has been traded yet, that is used; elsewhere the order is cancelled first,
        and what it left is placed anew. What trades in between is counted, never placed again.

        Args:
            order: the order as it is now: an intent id of this session's strategy, a client order id, or a reference.
            intent_id: the name of this decision; not the order's.
            quantity: the new total, including what has been traded of the order and of those it replaced; None keeps it.
            price: the new limit; None keeps it.
            stop_price: the new stop price; None keeps it.

        Raises:
            LookupError: no such order is known here.
            OrderRejectedError, OrderNotPlacedError: there is no order to replace, on record.
            OrderDeniedError: we refused; the order stands as it was. Mend the cause and replace again.
            VenueUnavailableError: provably nothing was replaced. Replace again later, under the same intent id.
            OutcomeUnknownError: nobody knows yet which order stands. Replace again under the same intent id to find out.
            OrderInFlightError: another caller is replacing it under this intent id now.
            OrderConflictError: the intent id was used for something else.
        """
        with self._open():
            reference = self._reference(order)
            replacement = Replacement.of(
                replaces=reference.client_order_id,
                symbol=reference.symbol,
                intent_id=intent_id,
                quantity=quantity,
                price=price,
                stop_price=stop_price,
            )
            return self._replacing.replace(replacement)

    def lookup(self, order: str | OrderReference) -> Found | NotSeen:
        """Return what the venue shows of an order, and record it.

        `NotSeen` is no proof that there is none; submit the same intent again to have that decided.

        Raises:
            LookupError: no such order is known here.
            OutcomeUnknownError: the venue could not be asked.
        """
        with self._open():
            return self._lookup(order)

    def _lookup(self, order: str | OrderReference) -> Found | NotSeen:
        reference = self._reference(order)
        answer = self._ask(reference)
        if isinstance(answer, Found):
            self._parts.ledger.apply_report(answer.report, {"source": "lookup"})
        return answer

    def recover(self) -> RecoveryReport:
        """Find out what became of everything that dead sessions left open. Sends nothing; may be run at any time, by anyone."""
        with self._open():
            return self._recover()

    def _recover(self) -> RecoveryReport:
        parts = self._parts
        return recover(parts.resolver, parts.ledger.unsettled(), parts.is_dead, parts.clock.now)

    def reconcile(self) -> ReconciliationReport:
        """Compare the ledger with the venue, record what is new, and say where they differ.

        An order of ours that the ledger does not know, or a second order of one intent, latches the kill switch.
        """
        with self._open():
            return self._reconcile()

    def _heal(self) -> ReconciliationReport:
        """Reconcile for a stream's sake: all but the positions, whose comparison waits, and of which a stream tells nothing."""
        with self._open():
            return self._reconcile(positions=False)

    def _reconcile(self, *, positions: bool = True) -> ReconciliationReport:
        parts = self._parts
        before = parts.ledger.working_names()
        request = ReconcileRequest(cursor=parts.ledger.cursor("reconcile"), symbols=parts.ledger.symbols(), prefix=PREFIX)
        try:
            parts.limiter.take()
            snapshot = parts.venue.reconcile(request)
        except VenueAskError as error:
            return self._concluded(ReconciliationReport(verdict=Agreement.COULD_NOT_ASK, error=str(error)), whole=positions)
        told = parts.ledger.apply_snapshot(snapshot)
        held = self._baselines.compare(snapshot, request) if positions else Compared()
        knows = told.known.__contains__
        untracked, foreign = strangers(snapshot, knows, parts.ledger.knows_order, PREFIX)
        news = {report.client_order_id for report in told.news}
        shown = {report.client_order_id for report in snapshot.open_orders}
        missing, moving, unasked = self._ask_for(candidates(self._working(before.difference(shown - news)), snapshot))
        missing_legs, unasked_leg = self._missing_legs(unseen_legs(parts.ledger.working_legs(), snapshot))
        different, moved = self._compare(
            [report for report in snapshot.open_orders if report.client_order_id in news or report.status.is_final]
        )
        open_ones = parts.ledger.unsettled()
        unsettled = tuple(recorded.client_order_id for recorded in open_ones)
        found = ReconciliationReport(
            verdict=Agreement.AGREES,
            checked=len(compared(before, snapshot, knows, PREFIX).difference(unsettled)),
            missing_remote=(*missing, *missing_legs),
            untracked_remote=untracked,
            foreign_remote=foreign,
            different=tuple(different),
            in_motion=(*moving, *moved, *held.in_motion),
            unsettled=unsettled,
            unsettled_since=tuple(recorded.open_since or recorded.updated_at for recorded in open_ones),
            duplicates=tuple(parts.ledger.duplicates()),
            overfilled=parts.ledger.executed.overfills(),
            positions_different=held.different,
            positions_not_compared=held.not_compared,
            error=unasked or unasked_leg or held.error,
        )
        for name in found.untracked_remote:
            parts.ledger.latch(f"the venue holds {name}, which bears our prefix and is not in the ledger")
        return self._concluded(evolve(found, verdict=verdict(found)), whole=positions)

    def listen(self, config: StreamConfig | None = None) -> Listener:
        """Listen to the venue's stream, so that what happens there is recorded without a question, until the listener is closed.

        Use it as `with adapter.listen() as stream:`; closing the session ends it, too. What the stream may have kept back is found by
        `reconcile`, which is called whenever there is a doubt. Observers are called from the listening thread.

        Args:
            config: how patient listening is; None takes the defaults.

        Raises:
            ConfigurationError: the venue has no stream.
            StreamNotReadyError: the venue's stream did not begin. Orders are not touched by that.
        """
        with self._open():
            listener = Listener(self._parts, self._heal, config)
        with self._idle:
            if self._listener is not None and self._listener.is_open:
                raise RuntimeError("this Adapter listens already; close that listener first")
            self._listener = listener
        return listener.start()

    def book(self) -> Book:
        """Return what the executions of our orders come to: positions, fees, and the profit of each day.

        Of what is on record: `reconcile` reads what is new. Costs little when little is new; the venue is asked only what an
        instrument is made of, once for each.
        """
        with self._open():
            return self._books.book()

    def accept_positions(self, by: str, because: str) -> None:
        """Count positions from here on, on a named person's word: after a deposit, a split, or trading that was not ours.

        Raises:
            LookupError: the venue shows no positions that could be compared.
            PositionsMovingError: the positions changed while they were read twice. Try again.
            VenueAskError: the venue could not be asked.
        """
        with self._open():
            self._baselines.accept(by, because)

    def close(self) -> None:
        """End the session and leave its evidence: take no new call, wait for those under way, then let go. May be called twice."""
        if self._listener is not None and os.getpid() == self._pid:
            self._listener.close()
        with self._idle:
            if self._closed or os.getpid() != self._pid:
                return
            self._closed = True
            self._idle.wait_for(lambda: not self._under_way(), timeout=CLOSE_WAIT_S)
            running = self._under_way()
            if running:
                self._closed = False
                raise RuntimeError(
                    f"{running} call(s) are still under way after {CLOSE_WAIT_S} s; close again when they have ended"
                )
        self._parts.on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    def _ask(self, reference: OrderReference) -> Found | NotSeen:
        self._parts.limiter.take()
        try:
            return self._parts.venue.lookup(reference)
        except VenueAskError as error:
            endings.unknown(self.venue, reference, error, "the venue could not be asked")

    def _reference(self, order: str | OrderReference) -> OrderReference:
        if isinstance(order, OrderReference):
            return self._checked_reference(order)
        for name in (self._parts.cache.client_order_id(order), order):
            recorded = self._parts.ledger.find(name)
            if recorded is not None and recorded.state in _NO_ORDER:
                endings.settled(self.venue, recorded)
            if recorded is not None:
                return recorded.reference()
        raise LookupError(f"no order of strategy {self._parts.strategy!r} has the intent id {order!r}; see `logos orders`")

    def _checked_reference(self, order: OrderReference) -> OrderReference:
        """Return a caller's reference, which may be about an order nobody here knows, but not about another than is on record."""
        try:
            recorded = self._parts.ledger.find(order.client_order_id)
        except LedgerError:
            return order  # a cancel must leave all the same
        if recorded is not None and recorded.symbol != order.symbol:
            raise LookupError(f"{order.client_order_id} is an order of {recorded.symbol!r}, the reference says {order.symbol!r}")
        return order

    def _working(self, names: set[str]) -> list[Recorded]:
        """Return those of some orders that may still trade, the oldest first."""
        found = filter(None, map(self._parts.ledger.find, names))
        return sorted((recorded for recorded in found if recorded.state in WORKING), key=lambda recorded: recorded.id)

    def _ask_for(self, orders: list[Recorded]) -> tuple[list[str], list[str], str | None]:
        """Ask by name for working orders that the open list does not show: missing ones, moving ones, and why one could not be asked."""
        missing: list[str] = []
        moving: list[str] = []
        unasked: str | None = None
        for recorded in orders:
            resolution = self._parts.resolver.find_out(recorded)
            if resolution.standing is Standing.NOT_ASKED:
                unasked = resolution.why
            elif resolution.standing is not Standing.FOUND:
                missing.append(recorded.client_order_id)
            elif resolution.recorded.state == recorded.state:
                moving.append(recorded.client_order_id)
        return missing, moving, unasked

    def _missing_legs(self, legs: list[ExecutionReport]) -> tuple[list[str], str | None]:
        """Ask for the orders that began some legs: legs that the venue shows no longer, nowhere, and why one could not be asked."""
        missing: list[str] = []
        unasked: str | None = None
        for leg in legs:
            began = self._parts.ledger.find(leg.leg_of or "")
            answer = self._parts.resolver.look(began.reference(), twice=True) if began else "it is not on record"
            if isinstance(answer, str):
                unasked = answer
                continue
            if isinstance(answer, Found):
                self._parts.ledger.apply_report(answer.report, {"source": "reconcile"})
            if not isinstance(answer, Found) or leg.venue_order_id not in {shown.venue_order_id for shown in answer.report.legs}:
                missing.append(f"{leg.leg_of}: leg {leg.venue_order_id}")
        return missing, unasked

    def _compare(self, reports: list[ExecutionReport]) -> tuple[list[Difference], list[str]]:
        """Compare open orders of the venue with the ledger; an order that has ended here meanwhile is in motion, not different.

        One that works on although it has ended on record, also when it is asked for, shows that something told us a false end.
        """
        different: list[Difference] = []
        ended: list[Recorded] = []
        for report in reports:
            recorded = self._parts.ledger.find(report.client_order_id) if report.client_order_id else None
            if recorded is None or recorded.state is IntentState.IN_FLIGHT:
                continue
            if recorded.report is not None and recorded.report.status.is_final:
                ended.append(recorded)
            else:
                different += differences(recorded, report)
        falsely = self._falsely_ended(ended)
        working = {row.client_order_id for row in falsely}
        return different + falsely, [known.client_order_id for known in ended if known.client_order_id not in working]

    def _falsely_ended(self, ended: list[Recorded]) -> list[Difference]:
        """Ask once more, after the venue's visibility lag, for orders that have ended on record; stop new orders if one works on."""
        found: list[Difference] = []
        if ended:
            self._parts.clock.sleep(self._parts.venue.capabilities.client_ids.visibility_lag_s)
        for recorded in ended:
            shown = self._parts.resolver.look(recorded.reference(), twice=False)
            if isinstance(shown, Found) and not shown.report.status.is_final:
                found += differences(recorded, shown.report)
                status = shown.report.status.value
                self._parts.ledger.latch(
                    f"{recorded.client_order_id} ended on record as {recorded.state.value}, and the venue shows it {status}"
                )
        return found

    def _concluded(self, found: ReconciliationReport, *, whole: bool) -> ReconciliationReport:
        """Record what was found; only a whole reconciliation takes the place of an earlier one in the run folder."""
        self._parts.ledger.note("reconciled", {"verdict": found.verdict.value, "said": str(found)})
        if whole:
            self._parts.run_folder.mkdir(parents=True, exist_ok=True)
            write_json(self._parts.run_folder / "reconciliation.json", {"at": self._parts.clock.now(), **asdict(found)})
        return found

    @contextmanager
    def _open(self) -> Iterator[None]:
        """Hold the session open for one call."""
        if os.getpid() != self._pid:
            raise RuntimeError("this Adapter was opened before a fork; open one in each process")
        with self._idle:
            if self._closed:
                raise RuntimeError("this Adapter is closed; open a new one")
            self._callers.append(threading.current_thread())
        try:
            yield
        finally:
            with self._idle:
                self._callers.remove(threading.current_thread())
                self._idle.notify_all()

    def _under_way(self) -> int:
        """Return how many calls run in other threads. One that was interrupted may not have signed off, and is over all the same."""
        return sum(caller.is_alive() and caller is not threading.current_thread() for caller in self._callers)
