"""The way of one order.

Rules:

1. No byte of an order leaves before its attempt is durable, and nothing is sent again without a recorded proof that it may be.
2. Each attempt walks the whole way: quantise, rate budget, prepare, commit, send, classify, commit.
3. Between the two commits whatever is not understood is UNKNOWN: an odd answer, an error in the plugin, a Ctrl-C.
4. An answer is believed only if it came over the wire and is about the order that was sent.
5. A refusal of one attempt settles the intent only if no earlier attempt is in doubt.
6. A proof is about the attempts that were made when it was found, and allows nothing after a later one.
7. Nothing that could add risk leaves beside another intent whose outcome is unknown (`rails.doubt`).
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn, TypeVar

from attrs import define, evolve

from logos_core import endings
from logos_core.adoption import require_complete, require_symbol_history
from logos_core.clock import Clock
from logos_core.endings import SafeToResendError
from logos_core.errors import (
    LedgerError,
    OrderDeniedError,
    OrderInFlightError,
    OutcomeNotRecordedError,
    PluginContractError,
    VenueUnavailableError,
)
from logos_core.hookspecs import (
    Category,
    Classification,
    Found,
    OrderReference,
    Outcome,
    Phase,
    PreparedOrder,
    UnknownSymbolError,
    UnsupportedOrderError,
)
from logos_core.instruments import Instrument
from logos_core.lifecycle import IntentState
from logos_core.orders import Decision, Order, OrderRequest, OrderStatus
from logos_core.parts import Parts
from logos_core.rails import doubt, features, grid
from logos_core.rails.idempotency import Verdict
from logos_core.rails.retry import SEND_WITHIN, further_attempts
from logos_core.records import AttemptOutcome, Claim, ClaimLostError, Denial, Recorded
from logos_core.recovery import is_abandoned, settle_one
from logos_core.reports import ExecutionReport, mismatches
from logos_core.resolution import Resolution, Standing
from logos_core.venues import Reply, VenueAskError
from logos_core.wire import Gate, GateClosedError

R = TypeVar("R")

MAX_REREADS = 3
"""How often a submit reads the record again because another caller was first."""
FORGOTTEN_FOR = timedelta(hours=1)
"""For how long after an adoption an order of the lost ledger may still be becoming visible."""

_FREE = frozenset({IntentState.FRESH, IntentState.NOT_SENT})
_UNLISTED = Classification(outcome=Outcome.UNKNOWN, category=Category.UNLISTED)
_POSSIBLE = {
    Phase.NOTHING_SENT: {Outcome.NOT_SENT, Outcome.UNKNOWN},
    Phase.SENT: {Outcome.UNKNOWN},
    Phase.ANSWERED: {Outcome.REJECTED, Outcome.DUPLICATE, Outcome.ABSENT, Outcome.UNKNOWN},
}
"""What a submit that got this far can have come to. Whatever else a plugin claims is UNKNOWN."""


class AnotherOrderError(PluginContractError):
    """The venue's answer is about another order than the one that was sent."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__(f"the answer is about another order: {'; '.join(wrong)}")
        self.wrong = wrong


@define(kw_only=True)
class Sending:
    """One order under way.

    Attributes:
        decision: what the caller decided: the order itself, or that it takes another's place.
        order: what is to be placed for it.
        replaces: the client order id of the order whose place it takes, or None.
        in_place_of: that order, where the venue replaces it in one request of its own.
        proven_attempt: the latest attempt that a proof on record is about.
        leaves_less: it can only make less of the order whose place it takes.
    """

    decision: Decision
    order: Order
    client_order_id: str
    valid_until: datetime
    replaces: str | None = None
    in_place_of: OrderReference | None = None
    proven_attempt: int | None = None
    leaves_less: bool = False


class Submission:
    """Sends the orders of one session."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._venue = parts.venue.name
        self._instruments: dict[str, Instrument] = {}
        self._histories: set[str] = set()
        self._verified = parts.verified

    def submit(self, order: Order) -> ExecutionReport:
        """Send an order at most once; see `Adapter.submit`."""
        name = self._parts.cache.client_order_id(order.intent_id)
        for _ in range(MAX_REREADS):
            verdict, recorded = self._parts.cache.recall(order, name)
            if recorded is None:
                self._instrument(order, name)  # a symbol nobody lists has no history to read
                if self.adopted_now(order.symbol, name):
                    continue
            try:
                if recorded is None or verdict is Verdict.SEND:
                    return self.send(self._sending(order, name, None))
                return self._from_record(order, verdict, recorded)
            except ClaimLostError:
                continue
        raise OrderInFlightError(self._parts.reference(name, order.symbol))

    def _from_record(self, order: Order, verdict: Verdict, recorded: Recorded) -> ExecutionReport:
        """Answer from what is on record, or find out what is not."""
        if verdict is Verdict.REPLAY and recorded.report is not None:
            if recorded.payload is None:
                parts = self._parts
                parts.ledger.claim_adopted(recorded.client_order_id, parts.strategy, order.intent_id, order.payload())
            return recorded.report
        if verdict is Verdict.IN_FLIGHT and not is_abandoned(recorded, self._parts.is_dead):
            raise OrderInFlightError(recorded.reference())
        if verdict in {Verdict.REJECTED, Verdict.NOT_PLACED}:
            endings.settled(self._venue, recorded)
        resolution = self._resolve(recorded, close_expired=True)
        if resolution.standing is Standing.FOUND:
            return self._standing_report(resolution.recorded)
        if resolution.recorded.state is IntentState.NOT_PLACED:
            endings.settled(self._venue, resolution.recorded)
        if resolution.standing in {Standing.UNRESOLVED, Standing.NOT_ASKED}:
            endings.unknown(self._venue, resolution.recorded.reference(), None, resolution.why)
        return self.send(self._sending(order, recorded.client_order_id, resolution.proven_attempt))

    def _sending(self, order: Order, client_order_id: str, proven_attempt: int | None) -> Sending:
        return Sending(
            decision=order,
            order=order,
            client_order_id=client_order_id,
            valid_until=self.valid_until(),
            proven_attempt=proven_attempt,
        )

    def valid_until(self) -> datetime:
        """Return until when an attempt of an order that is submitted now may begin."""
        return self._parts.clock.now() + timedelta(seconds=self._parts.retry.valid_for_s)

    def check(self, sending: Sending) -> None:
        """Deny an order that would be denied before it leaves, without leaving a trace of it in the budget or at the venue."""
        self._request(sending)
        self._deny_if(self._parts.extensions.object_to(sending.order), sending)
        self._deny_if(self._parts.switch.decide() or self._parts.ledger.latch_denial() or self._in_doubt(sending), sending)

    def send(self, sending: Sending) -> ExecutionReport:
        """Make the first attempt inline, and further ones with stamina as long as they are safe."""
        try:
            return self._attempt(sending)
        except VenueUnavailableError as error:
            known: VenueUnavailableError | None = error
        left_s = (sending.valid_until - self._parts.clock.now()).total_seconds()
        try:
            for attempt in further_attempts(self._parts.retry, left_s):
                with attempt:
                    if known is not None:
                        failed, known = known, None
                        raise failed
                    return self._attempt(sending)
        except SafeToResendError as error:
            reference = self._parts.reference(sending.client_order_id, sending.order.symbol)
            endings.unknown(self._venue, reference, error, "it was not seen, and the tries are spent; submit the same intent again")
        raise AssertionError("stamina ends with a result or the last error")

    def _attempt(self, sending: Sending) -> ExecutionReport:
        """Walk the whole way once; while an earlier attempt is in doubt, "nothing was sent" is said of this one only."""
        try:
            return self._walk(sending)
        except (OrderDeniedError, PluginContractError, VenueUnavailableError) as error:
            if isinstance(error, SafeToResendError):
                raise
            self._yield_to_another(sending.client_order_id, sending.proven_attempt)
            if sending.proven_attempt is None:
                raise
            reference = self._parts.reference(sending.client_order_id, sending.order.symbol)
            if not isinstance(error, VenueUnavailableError):
                why = f"an earlier attempt is in doubt, and a further one did not leave: {error}"
                endings.unknown(self._venue, reference, error, why)
            raise SafeToResendError(
                str(error), venue=self._venue, reference=reference, retry_after_s=error.retry_after_s
            ) from error

    def _walk(self, sending: Sending) -> ExecutionReport:
        request = self._request(sending)
        self._deny_if(self._parts.extensions.object_to(sending.order), sending)
        self._deny_if(self._parts.limiter.reserve_submit(), sending)
        prepared = self._prepare(sending, request)
        number, gates = self._claim(sending, prepared)
        try:
            reply = self._handed_over(sending, prepared, gates)
        except BaseException as error:
            self._left_unknown(request, number, error)
            raise
        try:
            return self._conclude(sending, request, number, reply)
        except Exception:
            raise
        except BaseException as error:
            self._left_unknown(request, number, error)
            raise

    def _left_unknown(self, request: OrderRequest, number: int, error: BaseException) -> None:
        """Let an attempt be unknown that nobody sees to any more, unless what became of it is on record."""
        self._settle(request, number, AttemptOutcome.UNKNOWN, {"interrupted_by": type(error).__name__})

    def _handed_over(self, sending: Sending, prepared: PreparedOrder, gates: tuple[Gate, ...]) -> Reply:
        """Send it, on its own or in another's place."""
        if sending.in_place_of is None:
            return self._parts.venue.submit(prepared, gates)
        return self._parts.venue.replace(sending.in_place_of, prepared, gates)

    def _request(self, sending: Sending) -> OrderRequest:
        """Return the order on the venue's grid, or deny it."""
        order = sending.order
        instrument = self._instrument(order, sending.client_order_id)
        times = features.times_in_force(order, instrument, self._parts.venue.capabilities, self._venue)
        placed: OrderRequest | Denial
        placed = (
            times
            if isinstance(times, Denial)
            else grid.place(order, sending.client_order_id, instrument, times, self._parts.clock.now())
        )
        if isinstance(placed, Denial):
            self._deny(placed, sending.decision.intent_id, sending.client_order_id)
        original = sending.in_place_of
        return placed if original is None else evolve(placed, in_place_of=original.venue_order_id)

    def _instrument(self, order: Order, client_order_id: str) -> Instrument:
        symbol = order.symbol
        known = self._instruments.get(symbol)
        if known is not None:
            return known
        self._parts.limiter.take()
        try:
            found = self._parts.venue.instrument(symbol)
        except UnknownSymbolError as error:
            words = "" if str(error) == symbol else f" ({error})"
            message = f"symbol is {symbol!r}; {self._venue} does not list it{words}; spell it as the venue's SDK does"
            self._deny(Denial(reason="INSTRUMENT_UNKNOWN", message=message), order.intent_id, client_order_id)
        except VenueAskError as error:
            self._unavailable(client_order_id, symbol, error)
        self._instruments[symbol] = found
        return found

    def _prepare(self, sending: Sending, request: OrderRequest) -> PreparedOrder:
        try:
            prepared = self._parts.venue.prepare(request)
        except UnsupportedOrderError as error:
            denial = Denial(reason="ORDER_FEATURE_UNSUPPORTED", message=f"{self._venue} does not take it: {error}")
            self._deny(denial, sending.decision.intent_id, sending.client_order_id)
        except VenueAskError as error:
            self._unavailable(request.client_order_id, request.symbol, error)
        if prepared.request != request:
            raise PluginContractError(f"{self._venue}: prepare changed the order; nothing was sent")
        if self._parts.venue.capabilities.transaction_log and prepared.position is None:
            raise PluginContractError(f"{self._venue}: prepare gave no position of its transaction log; nothing was sent")
        return prepared

    def _claim(self, sending: Sending, prepared: PreparedOrder) -> tuple[int, tuple[Gate, ...]]:
        """Make the attempt durable; return its number and what is checked again before its first byte."""
        request, now = prepared.request, self._parts.clock.now()
        if now >= sending.valid_until:
            why = f"its validity ended at {sending.valid_until.isoformat()}"
            endings.unavailable(self._venue, self._parts.reference(request.client_order_id, request.symbol), why)
        send_by = min(now + SEND_WITHIN, sending.valid_until)
        settled = doubt.gate(lambda: self._in_doubt(sending, on_record_only=True))
        gates = (self._parts.switch.gate(), settled, _in_time(self._parts.clock, send_by))  # the time last: the others take some
        claim = Claim(
            decision=sending.decision,
            replaces=sending.replaces,
            strategy=self._parts.strategy,
            prepared=prepared,
            send_by=send_by,
            valid_until=sending.valid_until,
            proven_attempt=sending.proven_attempt,
        )
        number = self._parts.ledger.claim(claim, self._parts.switch.decide, lambda: self._in_doubt(sending))
        if isinstance(number, Denial):
            self._deny(number, sending.decision.intent_id, sending.client_order_id)
        return number, gates

    def _in_doubt(self, sending: Sending, *, on_record_only: bool = False) -> Denial | None:
        """Return the denial for an order that could add risk beside an unknown outcome.

        Args:
            on_record_only: pass over sessions that have died; between the commit and the first byte, few do, and asking takes time.
        """
        parts = self._parts
        if parts.unknown.holds == doubt.NOTHING or sending.order.reduce_only or sending.leaves_less:
            return None
        place = parts.unknown.place(sending.order.symbol)
        found = parts.ledger.in_doubt(place)
        if not found and not on_record_only:
            found = parts.ledger.abandoned(place, parts.is_dead)
        return doubt.decide(parts.unknown, sending.client_order_id, found, parts.clock.now())

    def _conclude(self, sending: Sending, request: OrderRequest, number: int, reply: Reply) -> ExecutionReport:
        """Record what an attempt came to, and return or raise it."""
        seen = evidence(reply)
        if reply.error is None and reply.record.phase is Phase.ANSWERED:
            return self._believe(sending, request, number, reply.result, seen)
        closed = reply.record.closed_by
        if closed is not None and reply.record.phase is Phase.NOTHING_SENT:
            recorded = self._settle(request, number, AttemptOutcome.NOT_SENT, seen)
            if closed.denies and recorded.state is IntentState.NOT_SENT:
                raise OrderDeniedError(closed.reason, str(closed)) from closed
            self._not_sent(recorded, closed, None)
        error = reply.error or PluginContractError("the plugin returned a report although nothing was answered")
        said = reply.classification or _UNLISTED
        if said.retry_after_s is not None:
            self._parts.limiter.block(said.retry_after_s)
        outcome = said.outcome if said.outcome in _POSSIBLE[reply.record.phase] else Outcome.UNKNOWN
        if outcome is Outcome.NOT_SENT:
            self._not_sent(self._settle(request, number, AttemptOutcome.NOT_SENT, seen), error, said.retry_after_s)
        if outcome is Outcome.REJECTED:
            recorded = self._settle(request, number, AttemptOutcome.REJECTED, seen)
            if recorded.state is IntentState.REJECTED:
                endings.rejected(self._venue, recorded.reference(), said, error)
        else:
            recorded = self._settle(request, number, AttemptOutcome.UNKNOWN, seen)
        refused = outcome is Outcome.ABSENT and sending.in_place_of is not None
        return self._after_unknown(sending, recorded, error, said.retry_after_s, refused=refused)

    def _believe(
        self, sending: Sending, request: OrderRequest, number: int, report: ExecutionReport, seen: dict[str, Any]
    ) -> ExecutionReport:
        """Take the venue's answer for what it says, if it can be read and is about the order that was sent."""
        rejected = report.status is OrderStatus.REJECTED
        try:
            wrong = mismatches(request, report)
            if wrong:
                raise AnotherOrderError(wrong)
            settled = self._recorded(request, report, lambda: self._write(request, number, report, seen))
        except OutcomeNotRecordedError:
            raise
        except Exception as error:  # noqa: BLE001  a report that cannot be read or written down proves nothing
            words = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace").decode()[:500]
            doubt = {"not_our_order": error.wrong} if isinstance(error, AnotherOrderError) else {"not_believed": words}
            recorded = self._settle(request, number, AttemptOutcome.UNKNOWN, {**seen, **doubt})
            return self._after_unknown(sending, recorded, error, None)
        if isinstance(settled, ExecutionReport):
            return settled
        if settled.state is IntentState.UNKNOWN:
            return self._after_unknown(sending, settled, PluginContractError("the answer left the outcome in doubt"), None)
        if rejected:
            said = Classification(outcome=Outcome.REJECTED, category=Category.INVALID_ORDER, venue_message="status rejected")
            endings.rejected(self._venue, settled.reference(), said, None)
        return settled.report or report

    def _write(
        self, request: OrderRequest, number: int, report: ExecutionReport, seen: dict[str, Any]
    ) -> ExecutionReport | Recorded:
        ledger, name = self._parts.ledger, request.client_order_id
        if report.status is OrderStatus.REJECTED:
            return ledger.settle(name, number, AttemptOutcome.REJECTED, report=report, evidence=seen)
        return ledger.accept(name, number, report, seen)

    def _after_unknown(
        self, sending: Sending, recorded: Recorded, cause: Exception, retry_after_s: float | None, *, refused: bool = False
    ) -> ExecutionReport:
        """Find out at once what became of an attempt that has no answer; `refused`: it was said that there was nothing to replace."""
        resolution = self._resolve(recorded, close_expired=False, refused=refused)
        if resolution.standing is Standing.FOUND:
            return self._standing_report(resolution.recorded)
        reference = resolution.recorded.reference()
        if resolution.recorded.state is IntentState.NOT_PLACED:
            endings.settled(self._venue, resolution.recorded)
        if resolution.standing in {Standing.MAY_RESEND, Standing.PROVEN_ABSENT}:
            sending.proven_attempt = resolution.proven_attempt
            message = f"{recorded.client_order_id}: {resolution.why}"
            raise SafeToResendError(message, venue=self._venue, reference=reference, retry_after_s=retry_after_s) from cause
        endings.unknown(self._venue, reference, cause, resolution.why)

    def _resolve(self, recorded: Recorded, *, close_expired: bool, refused: bool = False) -> Resolution:
        """Find out, and stop everything if what is found out cannot be recorded: the order may be live."""
        parts = self._parts
        try:
            if close_expired:
                return settle_one(parts.resolver, recorded, parts.clock.now())
            return parts.resolver.find_out(recorded, refused=refused)
        except LedgerError as error:
            parts.switch.latch(f"what became of {recorded.client_order_id} could not be recorded: {error}")
            endings.unknown(self._venue, recorded.reference(), error, f"what was found out could not be recorded: {error}")

    def _standing_report(self, recorded: Recorded) -> ExecutionReport:
        if recorded.state is IntentState.REJECTED:
            endings.settled(self._venue, recorded)
        if recorded.report is None:
            endings.unknown(self._venue, recorded.reference(), None, "it was seen, and is not on record")
        return recorded.report

    def adopted_now(self, symbol: str, client_order_id: str) -> bool:
        """Where the ledger may not know all the account has done, ask the venue before a first send; say whether it had the order."""
        parts = self._parts
        reference = OrderReference(client_order_id=client_order_id, symbol=symbol)
        try:
            if not self._verified:
                parts.limiter.take()
                parts.ledger.apply_snapshot(require_complete(parts.venue, parts.ledger))
                self._verified = True
            if symbol not in self._histories:
                require_symbol_history(parts.venue, parts.ledger, parts.limiter, symbol)
                self._histories.add(symbol)
            adopted_at = parts.ledger.adopted_at()
            if adopted_at is None:
                return False
            answer = parts.resolver.look(reference, twice=parts.clock.now() < adopted_at + FORGOTTEN_FOR)
        except VenueAskError as error:
            self._unavailable(client_order_id, symbol, error)
        if isinstance(answer, str):
            endings.unavailable(
                self._venue, reference, f"the ledger was adopted, and the venue could not be asked for this id: {answer}"
            )
        return isinstance(answer, Found) and parts.ledger.adopt([answer.report], None) == 1

    def _settle(self, request: OrderRequest, number: int, outcome: AttemptOutcome, seen: Mapping[str, Any]) -> Recorded:
        """Make an outcome without a report durable."""
        name = request.client_order_id
        return self._recorded(request, None, lambda: self._parts.ledger.settle(name, number, outcome, evidence=seen))

    def _recorded(self, request: OrderRequest, report: ExecutionReport | None, write: Callable[[], R]) -> R:
        """Make an outcome durable; if that fails, stop everything and say what the venue said."""
        name = request.client_order_id
        try:
            written = write()
        except LedgerError as error:
            self._parts.switch.latch(f"the outcome of {name} could not be recorded: {error}")
            message = f"{name}: the attempt has ended but its outcome could not be recorded: {error}"
            reference = OrderReference(client_order_id=name, symbol=request.symbol)
            unrecorded = OutcomeNotRecordedError(message, venue=self._venue, reference=reference)
            unrecorded.report = report
            raise unrecorded from error
        self._parts.extensions.observe({"kind": "settled", "client_order_id": name})
        return written

    def _deny_if(self, denial: Denial | None, sending: Sending) -> None:
        if denial is not None:
            self._deny(denial, sending.decision.intent_id, sending.client_order_id)

    def _yield_to_another(self, client_order_id: str, proven_attempt: int | None) -> None:
        """Let a caller who claimed the intent meanwhile answer for it: nothing may be said of it that is true of this call only."""
        try:
            recorded = self._parts.ledger.find(client_order_id)
        except LedgerError:
            return
        free = _FREE if proven_attempt is None else _FREE | {IntentState.UNKNOWN}
        if recorded is not None and recorded.state not in free:
            raise ClaimLostError(client_order_id)

    def _deny(self, denial: Denial, intent_id: str, client_order_id: str) -> NoReturn:
        """Record a refusal of ours if the ledger can, and raise it all the same."""
        body = {"reason": denial.reason, "message": denial.message, "intent_id": intent_id}
        try:
            self._parts.ledger.note("denied", {**body, "client_order_id": client_order_id}, client_order_id)
        except LedgerError as error:
            self._parts.switch.latch(f"a denial could not be recorded: {error}")
        raise OrderDeniedError(denial.reason, denial.message)

    def _not_sent(self, recorded: Recorded, cause: Exception, retry_after_s: float | None) -> NoReturn:
        if recorded.state is not IntentState.NOT_SENT:
            why = "this attempt was not sent, an earlier one is still unknown"
            endings.unknown(self._venue, recorded.reference(), cause, why)
        endings.unavailable(self._venue, recorded.reference(), f"nothing was sent: {cause}", cause, retry_after_s)

    def _unavailable(self, client_order_id: str, symbol: str, error: VenueAskError) -> NoReturn:
        reference = OrderReference(client_order_id=client_order_id, symbol=symbol)
        endings.unavailable(self._venue, reference, str(error), error, error.classification.retry_after_s)


def _in_time(clock: Clock, send_by: datetime) -> Gate:
    """Return the check that the first byte leaves in time, on both clocks: the wall clock may be set back, the other may sleep."""
    latest_s = clock.monotonic_s() + (send_by - clock.now()).total_seconds()

    def check() -> None:
        if clock.monotonic_s() > latest_s or clock.now() > send_by:
            raise GateClosedError(
                "SEND_WINDOW_PASSED", f"too late to send: the window ended at {send_by.isoformat()}", denies=False
            )

    return check


def evidence(reply: Reply) -> dict[str, Any]:
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
