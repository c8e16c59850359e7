"""The way of one order.

Rules:

1. No byte of an order leaves before its attempt is durable, and nothing is sent again without a recorded proof that it may be.
2. Each attempt walks the whole way: quantise, rate budget, prepare, commit, send, classify, commit.
3. Between the two commits whatever is not understood is UNKNOWN: an odd answer, an error in the plugin, a Ctrl-C.
4. An answer is believed only if it is about the order that was sent.
5. A refusal of one attempt settles the intent only if no earlier attempt is in doubt.
6. Cancelling passes no gate. Its truth is the order's state, never the answer to the cancel.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from attrs import asdict, define, evolve, frozen

from logos_core.adoption import require_symbol_history
from logos_core.clock import Clock
from logos_core.errors import (
    LedgerError,
    OrderDeniedError,
    OrderInFlightError,
    OrderNotPlacedError,
    OrderRejectedError,
    OutcomeNotRecordedError,
    OutcomeUnknownError,
    PluginContractError,
    VenueUnavailableError,
)
from logos_core.events import StoredEvent
from logos_core.extensions import Extensions
from logos_core.hookspecs import (
    Category,
    Classification,
    Found,
    NotSeen,
    OrderReference,
    Outcome,
    Phase,
    PreparedOrder,
    ReconcileRequest,
    UnknownSymbolError,
    VenueIdentity,
)
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.lifecycle import IntentState
from logos_core.orders import ExecutionReport, Instrument, Order, OrderRequest, OrderStatus, mismatches
from logos_core.rails import grid
from logos_core.rails.idempotency import PREFIX, IdempotentCache, Verdict
from logos_core.rails.kill_switch import KillSwitch
from logos_core.rails.rate_limit import RateLimiter
from logos_core.rails.retry import SEND_WITHIN, RetryConfig, further_attempts
from logos_core.reconciliation import (
    Agreement,
    Difference,
    ReconciliationReport,
    candidates,
    differences,
    strangers,
    verdict,
)
from logos_core.records import AttemptOutcome, Claim, ClaimLostError, Denial, Recorded
from logos_core.recovery import RecoveryReport, is_abandoned, recover, settle_one
from logos_core.resolution import Resolver, Standing
from logos_core.runs import write_json
from logos_core.spool import Spool
from logos_core.venues import BoundVenue, Reply, VenueAskError
from logos_core.wire import Gate, GateClosedError

CANCEL_LOOKS = 5
CANCEL_PAUSE_S = 0.1
MAX_REREADS = 3

_UNLISTED = Classification(outcome=Outcome.UNKNOWN, category=Category.UNLISTED)
_POSSIBLE = {
    Phase.NOTHING_SENT: {Outcome.NOT_SENT, Outcome.UNKNOWN},
    Phase.SENT: {Outcome.UNKNOWN},
    Phase.ANSWERED: {Outcome.REJECTED, Outcome.DUPLICATE, Outcome.UNKNOWN},
}
"""What a submit that got this far can have come to. Whatever else a plugin claims is UNKNOWN."""


class SafeToResendError(VenueUnavailableError):
    """The order may be live, and sending it again under the same id cannot make it two."""


@define(kw_only=True)
class _Sending:
    """One submit under way."""

    order: Order
    client_order_id: str
    valid_until: datetime
    may_follow_unknown: bool = False


@frozen(kw_only=True)
class Parts:
    """What an Adapter is made of; `session` puts it together."""

    venue: BoundVenue
    identity: VenueIdentity
    ledger: SqliteLedger
    strategy: str
    cache: IdempotentCache
    retry: RetryConfig
    limiter: RateLimiter
    switch: KillSwitch
    resolver: Resolver
    extensions: Extensions
    clock: Clock
    is_dead: Callable[[str], bool]
    on_close: Callable[[], None]
    spool: Spool
    run_folder: Path


class Adapter:
    """A venue with the guard around it. Thread-safe.

    Open it with a preset; close it, best by `with`. One Adapter is one session on one account.
    """

    venue_name: str | None = None
    """What a subclass for one venue opens; None opens whatever the preset names."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pid = os.getpid()
        self._instruments: dict[str, Instrument] = {}
        self._closing = threading.Lock()
        self._closed = False

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
        self._check_open()
        name = self._parts.cache.client_order_id(order.intent_id)
        for _ in range(MAX_REREADS):
            decision, recorded = self._parts.cache.recall(order)
            if recorded is None and self._adopted_now(order, name):
                continue
            if recorded is None or decision is Verdict.SEND:
                valid_until = self._parts.clock.now() + timedelta(seconds=self._parts.retry.valid_for_s)
                sending = _Sending(order=order, client_order_id=name, valid_until=valid_until)
            elif decision is Verdict.REPLAY:
                return self._replay(order, recorded)
            elif decision is Verdict.IN_FLIGHT and not is_abandoned(recorded, self._parts.is_dead):
                raise OrderInFlightError(recorded.reference())
            elif decision in {Verdict.REJECTED, Verdict.NOT_PLACED}:
                self._raise_settled(recorded)
            else:
                found = self._find_out(order, recorded)
                if isinstance(found, ExecutionReport):
                    return found
                sending = found
            try:
                return self._send(sending)
            except ClaimLostError:
                continue
        raise OrderInFlightError(OrderReference(client_order_id=name, symbol=order.symbol))

    def cancel(self, order: str | OrderReference) -> ExecutionReport:
        """Ask the venue to cancel, and return what the order is after that.

        May be repeated. Passes no gate: it works while orders are halted and while the ledger is down.

        Args:
            order: an intent id of this session's strategy, a client order id, or a reference.

        Returns:
            the order's report. It may still be working: the venue decides, not this call.

        Raises:
            LookupError: no such order is known here.
            OutcomeUnknownError: the venue does not show the order, or could not be asked. Repeat the cancel.
        """
        self._check_open()
        reference = self._with_venue_order_id(self._reference(order))
        self._parts.limiter.take()
        reply = self._parts.venue.cancel(reference)
        self._note_or_spool("cancel", {"client_order_id": reference.client_order_id, **_evidence(reply)}, reference.client_order_id)
        report: ExecutionReport | None = None
        for look in range(CANCEL_LOOKS):
            report = self._report_of(reference)
            if report is not None and (report.status.is_final or reply.error is not None):
                break
            if look < CANCEL_LOOKS - 1:
                self._parts.clock.sleep(CANCEL_PAUSE_S)
        if report is None:
            self._raise_unknown(reference, reply.error, "the cancel may or may not have worked")
        return report

    def lookup(self, order: str | OrderReference) -> Found | NotSeen:
        """Return what the venue shows of an order, and record it.

        `NotSeen` is no proof that there is none; submit the same intent again to have that decided.

        Raises:
            LookupError: no such order is known here.
            OutcomeUnknownError: the venue could not be asked.
        """
        self._check_open()
        reference = self._reference(order)
        self._parts.limiter.take()
        try:
            answer = self._parts.venue.lookup(reference)
        except VenueAskError as error:
            self._raise_unknown(reference, error, "the venue could not be asked")
        if isinstance(answer, Found):
            self._parts.ledger.apply_report(answer.report, {"source": "lookup"})
        return answer

    def recover(self) -> RecoveryReport:
        """Find out what became of everything that dead sessions left open. Sends nothing; may be run at any time, by anyone."""
        self._check_open()
        parts = self._parts
        return recover(parts.resolver, parts.ledger.unsettled(), parts.is_dead, parts.clock.now)

    def reconcile(self) -> ReconciliationReport:
        """Compare the ledger with the venue, record what is new, and say where they differ.

        An order of ours that the ledger does not know, or a second order of one intent, latches the kill switch.
        """
        self._check_open()
        parts = self._parts
        before = {recorded.client_order_id for recorded in parts.ledger.working()}
        request = ReconcileRequest(cursor=parts.ledger.cursor("reconcile"), symbols=parts.ledger.symbols(), prefix=PREFIX)
        try:
            parts.limiter.take()
            snapshot = parts.venue.reconcile(request)
        except VenueAskError as error:
            return ReconciliationReport(verdict=Agreement.COULD_NOT_ASK, error=str(error))
        parts.ledger.apply_snapshot(snapshot)
        untracked, foreign = strangers(snapshot, parts.ledger.knows, PREFIX)
        still = [recorded for recorded in parts.ledger.working() if recorded.client_order_id in before]
        missing, different, moving = self._ask_for(candidates(still, snapshot))
        for report in snapshot.open_orders:
            recorded = parts.ledger.find(report.client_order_id) if report.client_order_id else None
            if recorded is not None and recorded.state is not IntentState.IN_FLIGHT:
                different += differences(recorded, report)
        found = ReconciliationReport(
            verdict=Agreement.AGREES,
            checked=sum(parts.ledger.counts().values()),
            missing_remote=tuple(missing),
            untracked_remote=untracked,
            foreign_remote=foreign,
            different=tuple(different),
            in_motion=tuple(moving),
            unsettled=tuple(recorded.client_order_id for recorded in parts.ledger.unsettled()),
            duplicates=tuple(parts.ledger.duplicates()),
        )
        return self._concluded(found)

    def close(self) -> None:
        """End the session and leave its evidence. May be called twice."""
        with self._closing:
            if self._closed or os.getpid() != self._pid:
                return
            self._closed = True
            self._parts.on_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    def _send(self, sending: _Sending) -> ExecutionReport:
        """Make the first attempt inline, and further ones with stamina as long as they are safe."""
        try:
            return self._attempt(sending)
        except VenueUnavailableError as error:
            known: VenueUnavailableError | None = error
        try:
            for attempt in further_attempts(self._parts.retry):
                with attempt:
                    if known is not None:
                        failed, known = known, None
                        raise failed
                    return self._attempt(sending)
        except SafeToResendError as error:
            self._raise_unknown(error.reference, error, "it was not seen, and the tries are spent; submit the same intent again")
        raise AssertionError("stamina ends with a result or the last error")

    def _attempt(self, sending: _Sending) -> ExecutionReport:
        """Walk the whole way once; while an earlier attempt is in doubt, "nothing was sent" is said of this one only."""
        try:
            return self._walk(sending)
        except (OrderDeniedError, VenueUnavailableError) as error:
            if not sending.may_follow_unknown:
                raise
            reference = OrderReference(client_order_id=sending.client_order_id, symbol=sending.order.symbol)
            if isinstance(error, OrderDeniedError):
                self._raise_unknown(reference, error, f"an earlier attempt is in doubt, and a further one was denied: {error}")
            raise SafeToResendError(str(error), venue=self.venue, reference=reference) from error

    def _walk(self, sending: _Sending) -> ExecutionReport:
        request = self._request(sending)
        self._deny_if(self._parts.extensions.object_to(sending.order), sending)
        self._deny_if(self._parts.limiter.reserve_submit(), sending)
        prepared = self._prepare(request)
        now = self._parts.clock.now()
        if now >= sending.valid_until:
            self._raise_unavailable(self._reference_of(request), f"its validity ended at {sending.valid_until.isoformat()}")
        send_by = min(now + SEND_WITHIN, sending.valid_until)
        gates = (self._in_time(send_by), self._parts.switch.gate())
        claim = Claim(
            order=sending.order,
            strategy=self._parts.strategy,
            prepared=prepared,
            send_by=send_by,
            valid_until=sending.valid_until,
            may_follow_unknown=sending.may_follow_unknown,
        )
        number = self._parts.ledger.claim(claim, self._parts.switch.decide)
        if isinstance(number, Denial):
            self._deny_if(number, sending)
        assert isinstance(number, int)
        try:
            reply = self._parts.venue.submit(prepared, gates)
        except BaseException as error:
            self._settle(request, number, AttemptOutcome.UNKNOWN, {"interrupted_by": type(error).__name__})
            raise
        return self._conclude(sending, request, number, reply)

    def _request(self, sending: _Sending) -> OrderRequest:
        """Return the order on the venue's grid, or deny it."""
        order = sending.order
        try:
            instrument = self._instrument(order.symbol)
        except UnknownSymbolError as error:
            message = f"symbol is {order.symbol!r}; {self.venue} does not list it ({error}); spell it as the venue's SDK does"
            self._deny_if(Denial(reason="INSTRUMENT_UNKNOWN", message=message), sending)
        times = instrument.times_in_force.get(order.order_type) or self._parts.venue.capabilities.times_in_force.get(
            order.order_type
        )
        if not times:
            message = f"order_type is {order.order_type.value}; {self.venue} does not take it"
            self._deny_if(Denial(reason="ORDER_TYPE_UNSUPPORTED", message=message), sending)
        assert times
        placed = grid.place(order, sending.client_order_id, instrument, times)
        if isinstance(placed, Denial):
            self._deny_if(placed, sending)
        assert isinstance(placed, OrderRequest)
        return placed

    def _instrument(self, symbol: str) -> Instrument:
        if symbol not in self._instruments:
            self._parts.limiter.take()
            try:
                self._instruments[symbol] = self._parts.venue.instrument(symbol)
            except VenueAskError as error:
                self._raise_unavailable(OrderReference(client_order_id="", symbol=symbol), str(error), error)
        return self._instruments[symbol]

    def _prepare(self, request: OrderRequest) -> PreparedOrder:
        try:
            prepared = self._parts.venue.prepare(request)
        except VenueAskError as error:
            self._raise_unavailable(self._reference_of(request), str(error), error)
        if prepared.request != request:
            raise PluginContractError(f"{self.venue}: prepare changed the order; nothing was sent")
        if self._parts.venue.capabilities.transaction_log and prepared.position is None:
            raise PluginContractError(f"{self.venue}: prepare gave no position of its transaction log; nothing was sent")
        return prepared

    def _in_time(self, send_by: datetime) -> Gate:
        """Return the check that the first byte leaves in time, on both clocks: the wall clock may be set back, the other sleeps."""
        clock = self._parts.clock
        latest_s = clock.monotonic_s() + (send_by - clock.now()).total_seconds()

        def check() -> None:
            if clock.monotonic_s() > latest_s or clock.now() > send_by:
                raise GateClosedError(
                    "SEND_WINDOW_PASSED", f"too late to send: the window ended at {send_by.isoformat()}", denies=False
                )

        return check

    def _conclude(self, sending: _Sending, request: OrderRequest, number: int, reply: Reply) -> ExecutionReport:
        """Record what an attempt came to, and return or raise it."""
        evidence = _evidence(reply)
        if reply.error is None:
            return self._believe(sending, request, number, reply.result, evidence)
        closed = reply.record.closed_by
        if closed is not None and reply.record.phase is Phase.NOTHING_SENT:
            recorded = self._settle(request, number, AttemptOutcome.NOT_SENT, evidence)
            if closed.denies and recorded.state is IntentState.NOT_SENT:
                raise OrderDeniedError(closed.reason, str(closed)) from closed
            self._raise_not_sent(recorded, closed, None)
        said = reply.classification or _UNLISTED
        if said.retry_after_s is not None:
            self._parts.limiter.block(said.retry_after_s)
        outcome = said.outcome if said.outcome in _POSSIBLE[reply.record.phase] else Outcome.UNKNOWN
        if outcome is Outcome.NOT_SENT:
            self._raise_not_sent(self._settle(request, number, AttemptOutcome.NOT_SENT, evidence), reply.error, said)
        if outcome is Outcome.REJECTED:
            recorded = self._settle(request, number, AttemptOutcome.REJECTED, evidence)
            if recorded.state is IntentState.REJECTED:
                self._raise_rejected(recorded.reference(), said, reply.error)
        else:
            recorded = self._settle(request, number, AttemptOutcome.UNKNOWN, evidence)
        return self._after_unknown(sending, recorded, reply.error)

    def _believe(
        self, sending: _Sending, request: OrderRequest, number: int, report: ExecutionReport, evidence: dict[str, Any]
    ) -> ExecutionReport:
        """Take the venue's answer for what it says, if it is about the order that was sent."""
        wrong = mismatches(request, report)
        if wrong:
            recorded = self._settle(request, number, AttemptOutcome.UNKNOWN, {**evidence, "not_our_order": wrong})
            return self._after_unknown(
                sending, recorded, PluginContractError(f"the answer is about another order: {'; '.join(wrong)}")
            )
        rejected = report.status is OrderStatus.REJECTED
        outcome = AttemptOutcome.REJECTED if rejected else AttemptOutcome.ACCEPTED
        recorded = self._settle(request, number, outcome, evidence, report)
        if rejected:
            said = Classification(outcome=Outcome.REJECTED, category=Category.INVALID_ORDER, venue_message="status rejected")
            self._raise_rejected(recorded.reference(), said, None)
        return recorded.report or report

    def _after_unknown(self, sending: _Sending, recorded: Recorded, cause: Exception | None) -> ExecutionReport:
        """Find out at once what became of an attempt that has no answer."""
        resolution = self._parts.resolver.find_out(recorded)
        if resolution.standing is Standing.FOUND:
            return self._standing_report(resolution.recorded)
        if resolution.standing in {Standing.MAY_RESEND, Standing.PROVEN_ABSENT}:
            sending.may_follow_unknown = True
            raise SafeToResendError(
                f"{recorded.client_order_id}: {resolution.why}", venue=self.venue, reference=recorded.reference()
            ) from cause
        self._raise_unknown(recorded.reference(), cause, resolution.why)

    def _find_out(self, order: Order, recorded: Recorded) -> ExecutionReport | _Sending:
        """Settle an unsettled intent of an earlier submit, or return the sending that is now safe."""
        now = self._parts.clock.now()
        resolution = settle_one(self._parts.resolver, recorded, now)
        if resolution.standing is Standing.FOUND:
            return self._standing_report(resolution.recorded)
        if resolution.recorded.state is IntentState.NOT_PLACED:
            self._raise_settled(resolution.recorded)
        if resolution.standing is Standing.UNRESOLVED:
            self._raise_unknown(recorded.reference(), None, resolution.why)
        valid_until = now + timedelta(seconds=self._parts.retry.valid_for_s)
        return _Sending(order=order, client_order_id=recorded.client_order_id, valid_until=valid_until, may_follow_unknown=True)

    def _standing_report(self, recorded: Recorded) -> ExecutionReport:
        if recorded.state is IntentState.REJECTED:
            self._raise_settled(recorded)
        if recorded.report is None:
            self._raise_unknown(recorded.reference(), None, "it was seen, and could not be recorded")
        return recorded.report

    def _adopted_now(self, order: Order, client_order_id: str) -> bool:
        """Where the ledger may not know all the account has done, ask the venue before a first send; say whether it had the order."""
        parts = self._parts
        try:
            require_symbol_history(parts.venue, parts.ledger, parts.limiter, order.symbol)
            if not parts.ledger.adopted():
                return False
            parts.limiter.take()
            answer = parts.venue.lookup(OrderReference(client_order_id=client_order_id, symbol=order.symbol))
        except VenueAskError as error:
            self._raise_unavailable(OrderReference(client_order_id=client_order_id, symbol=order.symbol), str(error), error)
        return isinstance(answer, Found) and parts.ledger.adopt([answer.report], None) == 1

    def _replay(self, order: Order, recorded: Recorded) -> ExecutionReport:
        if recorded.payload is None:
            parts = self._parts
            parts.ledger.claim_adopted(recorded.client_order_id, parts.strategy, order.intent_id, order.payload())
        assert recorded.report is not None
        return recorded.report

    def _settle(
        self,
        request: OrderRequest,
        number: int,
        outcome: AttemptOutcome,
        evidence: Mapping[str, Any],
        report: ExecutionReport | None = None,
    ) -> Recorded:
        """Make an outcome durable; if that fails, stop everything and say what the venue said."""
        try:
            recorded = self._parts.ledger.settle(request.client_order_id, number, outcome, report=report, evidence=evidence)
        except LedgerError as error:
            self._parts.switch.latch(f"the outcome of {request.client_order_id} could not be recorded: {error}")
            unrecorded = OutcomeNotRecordedError(
                f"{request.client_order_id}: the venue answered ({outcome.value}) but it could not be recorded: {error}",
                venue=self.venue,
                reference=self._reference_of(request),
            )
            unrecorded.report = report
            raise unrecorded from error
        self._parts.extensions.observe({"kind": "settled", "client_order_id": request.client_order_id, "outcome": outcome.value})
        return recorded

    def _deny_if(self, denial: Denial | None, sending: _Sending) -> None:
        if denial is None:
            return
        body = {"reason": denial.reason, "message": denial.message, "intent_id": sending.order.intent_id}
        self._note("denied", {**body, "client_order_id": sending.client_order_id}, sending.client_order_id)
        raise OrderDeniedError(denial.reason, denial.message)

    def _note(self, kind: str, body: Mapping[str, Any], client_order_id: str) -> None:
        """Record an event if the ledger can; what it stands for happens all the same."""
        try:
            self._parts.ledger.note(kind, body, client_order_id)
        except LedgerError as error:
            self._parts.switch.latch(f"a {kind} event could not be recorded: {error}")

    def _note_or_spool(self, kind: str, body: Mapping[str, Any], client_order_id: str) -> None:
        """Record what went out towards safety: in the ledger, or beside it until it can be merged."""
        try:
            self._parts.ledger.note(kind, body, client_order_id)
        except LedgerError as error:
            self._parts.switch.latch(f"a {kind} event could not be recorded: {error}")
            self._parts.spool.append(kind, {"at": self._parts.clock.now(), **body})

    def _reference(self, order: str | OrderReference) -> OrderReference:
        if isinstance(order, OrderReference):
            return order
        for name in (self._parts.cache.client_order_id(order), order):
            recorded = self._parts.ledger.find(name)
            if recorded is not None:
                return recorded.reference()
        raise LookupError(f"no order of strategy {self._parts.strategy!r} has the intent id {order!r}; see `logos orders`")

    def _with_venue_order_id(self, reference: OrderReference) -> OrderReference:
        """Return the reference with the venue's own id, found by a lookup if need be: an unknown order is cancelled on sight."""
        if reference.venue_order_id is not None:
            return reference
        answer = self.lookup(reference)
        if isinstance(answer, NotSeen):
            self._raise_unknown(reference, None, "the venue does not show it yet; repeat the cancel")
        return OrderReference(
            client_order_id=reference.client_order_id,
            symbol=reference.symbol,
            venue_order_id=answer.report.venue_order_id,
            submitted_at=reference.submitted_at,
            position=reference.position,
        )

    def _report_of(self, reference: OrderReference) -> ExecutionReport | None:
        """Return the order's state as the venue shows it now, or None if it cannot be had."""
        try:
            self._parts.limiter.take()
            answer = self._parts.venue.lookup(reference)
        except VenueAskError:
            return None
        if isinstance(answer, NotSeen):
            return None
        try:
            recorded = self._parts.ledger.apply_report(answer.report, {"source": "cancel"})
        except LedgerError as error:
            self._parts.switch.latch(f"the state after a cancel could not be recorded: {error}")
            return answer.report
        return recorded.report if recorded and recorded.report else answer.report

    def _ask_for(self, orders: list[Recorded]) -> tuple[list[str], list[Difference], list[str]]:
        """Ask by name for working orders that the open list does not show."""
        missing: list[str] = []
        different: list[Difference] = []
        moving: list[str] = []
        for recorded in orders:
            resolution = self._parts.resolver.find_out(recorded)
            if resolution.standing is not Standing.FOUND:
                missing.append(recorded.client_order_id)
            elif resolution.recorded.state == recorded.state and not _is_final(resolution.recorded):
                moving.append(recorded.client_order_id)
        return missing, different, moving

    def _concluded(self, found: ReconciliationReport) -> ReconciliationReport:
        concluded = evolve(found, verdict=verdict(found))
        for name in concluded.untracked_remote:
            self._parts.ledger.latch(f"the venue holds {name}, which bears our prefix and is not in the ledger")
        self._note("reconciled", {"verdict": concluded.verdict.value, "said": str(concluded)}, "")
        self._parts.run_folder.mkdir(parents=True, exist_ok=True)
        write_json(self._parts.run_folder / "reconciliation.json", {"at": self._parts.clock.now(), **asdict(concluded)})
        return concluded

    def _reference_of(self, request: OrderRequest) -> OrderReference:
        return OrderReference(client_order_id=request.client_order_id, symbol=request.symbol)

    def _check_open(self) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("this Adapter was opened before a fork; open one in each process")
        if self._closed:
            raise RuntimeError("this Adapter is closed; open a new one")

    def _raise_settled(self, recorded: Recorded) -> NoReturn:
        reference = recorded.reference()
        if recorded.state is IntentState.REJECTED:
            raise OrderRejectedError(
                f"{recorded.client_order_id}: rejected by the venue, on record", venue=self.venue, reference=reference
            )
        message = f"{recorded.client_order_id}: closed without an order; use a new intent id if it is still wanted"
        raise OrderNotPlacedError(message, venue=self.venue, reference=reference)

    def _raise_rejected(self, reference: OrderReference, said: Classification, cause: Exception | None) -> NoReturn:
        raise OrderRejectedError(
            f"{reference.client_order_id}: rejected by {self.venue}: {said.venue_message or said.category.value}",
            venue=self.venue,
            reference=reference,
            venue_code=said.venue_code,
            venue_message=said.venue_message,
        ) from cause

    def _raise_not_sent(self, recorded: Recorded, cause: Exception, said: Classification | None) -> NoReturn:
        if recorded.state is not IntentState.NOT_SENT:
            self._raise_unknown(recorded.reference(), cause, "this attempt was not sent, an earlier one is still unknown")
        retry_after_s = said.retry_after_s if said else None
        self._raise_unavailable(recorded.reference(), f"nothing was sent: {cause}", cause, retry_after_s)

    def _raise_unavailable(
        self, reference: OrderReference, why: str, cause: Exception | None = None, retry_after_s: float | None = None
    ) -> NoReturn:
        raise VenueUnavailableError(
            f"{self.venue}: {why}", venue=self.venue, reference=reference, retry_after_s=retry_after_s
        ) from cause

    def _raise_unknown(self, reference: OrderReference, cause: Exception | None, why: str) -> NoReturn:
        raise OutcomeUnknownError(
            f"{reference.client_order_id}: nobody knows yet whether it exists: {why}", venue=self.venue, reference=reference
        ) from cause


def _is_final(recorded: Recorded) -> bool:
    return recorded.report is not None and recorded.report.status.is_final


def _evidence(reply: Reply) -> dict[str, Any]:
    """Return what one request left behind, for the record: no header and no error's text, so no secret."""
    answer = reply.record.answer
    body: dict[str, Any] = {
        "requests": reply.record.requests,
        "phase": reply.record.phase.value,
        "status": answer.status if answer else None,
        "body": answer.body if answer else None,
    }
    if reply.error is not None:
        body["error"] = type(reply.error).__name__  # its text may hold a signed address
    if reply.classification is not None:
        said = reply.classification
        words = {"code": said.venue_code, "message": said.venue_message}
        body["classified"] = {"outcome": said.outcome.value, "category": said.category.value, **words}
    return body
