"""Cancelling: the way out, which nothing may block.

Rules:

1. Cancelling passes no gate. It may be repeated, and its truth is the order's state, never the answer to the cancel.
2. What goes out towards safety is recorded in the ledger, or beside it when the ledger cannot.
3. Nothing is cancelled in another order's name: what a lookup finds must be what was sent.
4. An order that was replaced is cancelled by ending the one in its place; while nobody knows whether there is one, nobody says ended.
5. Cancelling an order that has ended, but whose legs work on, cancels the legs; also where its end is learnt by the refusal alone.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from attrs import evolve

from logos_core import endings
from logos_core.errors import LedgerError
from logos_core.hookspecs import Category, NotSeen, OrderReference
from logos_core.lifecycle import UNSETTLED
from logos_core.parts import Parts
from logos_core.records import Recorded
from logos_core.reports import ExecutionReport, mismatches
from logos_core.resolution import note_in_vain
from logos_core.submission import evidence
from logos_core.venues import Reply, VenueAskError

LOOKS = 5
PAUSE_S = 0.1
MAX_REPLACED = 1_000
"""No order is followed through more replacements than this."""


class Cancellation:
    """Cancels the orders of one session."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._venue = parts.venue.name

    def cancel(self, reference: OrderReference) -> ExecutionReport:
        """Ask for a cancellation, and return what the order is after that; see `Adapter.cancel`."""
        reference = self._in_place_of(reference)
        legs = self._working_legs(reference)
        if legs:
            return self._ended(reference, self._send_all(reference, legs))
        reference = self._cancelable(reference)
        refusal = self._send(reference.client_order_id, reference).error
        report = self._ended(reference, refusal)
        late = _working(report) if refusal is not None else ()
        return self._ended(reference, self._send_all(reference, late)) if late else report

    def _in_place_of(self, reference: OrderReference) -> OrderReference:
        """Return the order that stands in this one's place, or may: whoever cancels by an old name wants nothing of it to work on."""
        with suppress(LedgerError):
            for _ in range(MAX_REPLACED):
                recorded = self._parts.ledger.find(reference.client_order_id)
                if recorded is None or recorded.report is None or not recorded.report.status.is_final:
                    break
                placed = map(self._parts.ledger.find, self._parts.ledger.replacements(reference.client_order_id))
                references = [found.reference() for found in placed if found is not None and _may_exist(found)]
                if not references:
                    break
                reference = references[-1]
        return reference

    def _send_all(self, reference: OrderReference, legs: tuple[ExecutionReport, ...]) -> Exception | None:
        """Ask for the end of some legs; return why the first one was refused, if one was."""
        errors = [self._send(reference.client_order_id, _leg_reference(reference, leg)).error for leg in legs]
        return next((error for error in errors if error is not None), None)

    def _ended(self, reference: OrderReference, refusal: Exception | None) -> ExecutionReport:
        """Return what the order is now, as soon as it and its legs have ended, or the venue has refused to end them."""
        for look in range(LOOKS):
            if look:
                self._parts.clock.sleep(PAUSE_S)
            shown = self._shown(reference)
            if isinstance(shown, VenueAskError) and shown.classification.category is Category.RATE_LIMITED:
                break  # asking on would only keep the budget spent
            if isinstance(shown, ExecutionReport) and (_is_done(shown) or refusal is not None):
                break
        if isinstance(shown, ExecutionReport):
            return shown
        trouble = shown if isinstance(shown, VenueAskError) else None
        why = "the cancel may or may not have worked" if refusal else "it was asked to end, and how it stands could not be seen"
        self._note_in_vain(reference, shown, why)
        seen = f" ({trouble})" if trouble else ""
        endings.unknown(
            self._venue, reference, refusal or trouble, f"{why}{seen}; cancel again in a while", what="whether it has ended"
        )

    def _send(self, client_order_id: str, reference: OrderReference) -> Reply:
        self._parts.limiter.take()
        reply = self._parts.venue.cancel(reference)
        body = {"client_order_id": client_order_id, "venue_order_id": reference.venue_order_id, **evidence(reply)}
        self._note_or_spool("cancel", body, client_order_id)
        return reply

    def _working_legs(self, reference: OrderReference) -> tuple[ExecutionReport, ...]:
        """Return the legs that may still trade of an order that has ended."""
        try:
            recorded = self._parts.ledger.find(reference.client_order_id)
        except LedgerError:
            return ()
        return () if recorded is None or recorded.report is None else _working(recorded.report)

    def _cancelable(self, reference: OrderReference) -> OrderReference:
        """Return the reference with the venue's own id, found by a lookup if need be: an unknown order is cancelled on sight."""
        if reference.venue_order_id is not None:
            return reference
        self._parts.limiter.take()
        try:
            answer = self._parts.venue.lookup(reference)
        except VenueAskError as error:
            self._note_in_vain(reference, error, "it is to be cancelled")
            endings.unknown(self._venue, reference, error, "the venue could not be asked")
        if isinstance(answer, NotSeen):
            self._note_in_vain(reference, answer, "it is to be cancelled")
            endings.unknown(self._venue, reference, None, "the venue does not show it yet; repeat the cancel")
        self._refuse_anothers(reference, answer.report)
        self._record(answer.report)
        return evolve(reference, venue_order_id=answer.report.venue_order_id)

    def _refuse_anothers(self, reference: OrderReference, report: ExecutionReport) -> None:
        """Cancel no order in another's name: what was looked up must be what was sent."""
        try:
            recorded = self._parts.ledger.find(reference.client_order_id)
        except LedgerError:
            recorded = None
        wrong = mismatches(recorded.request, report) if recorded and recorded.request else []
        if report.client_order_id != reference.client_order_id or report.symbol != reference.symbol:
            wrong.append(f"asked for {reference.client_order_id} on {reference.symbol}")
        if wrong:
            self._parts.switch.latch(f"the venue shows another order under {reference.client_order_id}: {'; '.join(wrong)}")
            endings.unknown(self._venue, reference, None, f"the venue shows another order in its place: {'; '.join(wrong)}")

    def _shown(self, reference: OrderReference) -> ExecutionReport | NotSeen | VenueAskError:
        """Return the order's state as the venue shows it now, that it shows none, or why it could not be asked."""
        self._parts.limiter.take()
        try:
            answer = self._parts.venue.lookup(reference)
        except VenueAskError as error:
            return error
        return answer if isinstance(answer, NotSeen) else self._record(answer.report)

    def _note_in_vain(self, reference: OrderReference, answer: NotSeen | VenueAskError, why: str) -> None:
        """Record a lookup that showed nothing, if the ledger can."""
        with suppress(LedgerError):
            note_in_vain(self._parts.ledger, reference.client_order_id, answer, why)

    def _record(self, report: ExecutionReport) -> ExecutionReport:
        """Record what the venue shows of an order that is being cancelled, if the ledger can; return what is known now."""
        try:
            recorded = self._parts.ledger.apply_report(report, {"source": "cancel"})
        except LedgerError as error:
            self._parts.switch.latch(f"the state around a cancel could not be recorded: {error}")
            return report
        known = recorded.report if recorded else None
        if known is None or (known.status.is_final and not report.status.is_final):
            return report  # what the venue shows to work is not ended, whatever is on record
        return known

    def _note_or_spool(self, kind: str, body: Mapping[str, Any], client_order_id: str) -> None:
        """Record what went out towards safety: in the ledger, or beside it until it can be merged."""
        try:
            self._parts.ledger.note(kind, body, client_order_id)
        except LedgerError as error:
            self._parts.switch.latch(f"a {kind} event could not be recorded: {error}")
            with suppress(OSError):  # a full disk takes no line either; the cancel has gone out, and orders are stopped
                self._parts.spool.append(kind, {"at": self._parts.clock.now(), **body})


def _may_exist(recorded: Recorded) -> bool:
    return recorded.report is not None or recorded.state in UNSETTLED


def _leg_reference(reference: OrderReference, leg: ExecutionReport) -> OrderReference:
    return evolve(reference, client_order_id=leg.client_order_id or reference.client_order_id, venue_order_id=leg.venue_order_id)


def _working(report: ExecutionReport) -> tuple[ExecutionReport, ...]:
    """Return the legs that work on although the order that began them has ended."""
    return tuple(leg for leg in report.legs if report.status.is_final and not leg.status.is_final)


def _is_done(report: ExecutionReport) -> bool:
    return report.status.is_final and all(leg.status.is_final for leg in report.legs)
