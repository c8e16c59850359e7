"""Finding out what became of one order that may or may not exist. Asks and records; never sends.

Asked twice, with the venue's visibility lag between, because an accepted order may not be visible at once. What the absence means is
concluded by `rails.absence` alone. Every lookup's evidence becomes an event.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from attrs import evolve, frozen

from logos_core.clock import Clock
from logos_core.errors import LedgerError, PluginContractError
from logos_core.events import stamp
from logos_core.hookspecs import Found, NotSeen, OrderReference
from logos_core.lifecycle import UNSETTLED, IntentState
from logos_core.rails.absence import Absence, AbsencePolicy, conclude, conclude_replacement
from logos_core.rails.rate_limit import RateLimiter
from logos_core.records import AttemptOutcome, Ledger, Recorded
from logos_core.reports import mismatches
from logos_core.venues import BoundVenue, VenueAskError

LOOKUPS = 3
PAUSE_AFTER_FAILURE_S = 0.2


class Standing(StrEnum):
    """What finding out came to."""

    FOUND = "found"
    PROVEN_ABSENT = "proven absent"
    MAY_RESEND = "may be sent again"
    UNRESOLVED = "unresolved"
    NOT_ASKED = "could not ask"


@frozen(kw_only=True)
class Resolution:
    """What finding out came to, what is on record now, and why it is so.

    Attributes:
        proven_attempt: the latest attempt that was on record when the venue was asked; the finding is about it and those before, and
            about none that another session has made since.
    """

    standing: Standing
    recorded: Recorded
    why: str
    proven_attempt: int | None = None


_DOUBTFUL = {None, AttemptOutcome.UNKNOWN}

_STANDING = {
    Absence.PROVEN: Standing.PROVEN_ABSENT,
    Absence.MAY_RESEND: Standing.MAY_RESEND,
    Absence.UNRESOLVED: Standing.UNRESOLVED,
}


@frozen(kw_only=True)
class Resolver:
    """Finds out, with everything it needs for that.

    Attributes:
        latch: stops new orders when what is found cannot be.
    """

    venue: BoundVenue
    ledger: Ledger
    limiter: RateLimiter
    policy: AbsencePolicy
    clock: Clock
    latch: Callable[[str], None]

    def find_out(self, recorded: Recorded, *, refused: bool = False) -> Resolution:
        """Ask the venue for an order until it is found or its absence has been seen twice, and record what came of it.

        Args:
            refused: the venue has just said that there was nothing to replace.
        """
        answer = self.look(recorded.reference(), twice=True)
        if not isinstance(answer, str):
            try:
                if isinstance(answer, Found):
                    return self._found(recorded, answer)
                return self._not_seen(recorded, answer, refused=refused)
            except LedgerError:
                raise
            except Exception as error:  # noqa: BLE001  an answer that cannot be read or written down settles nothing
                answer = f"the venue's answer cannot be recorded: {type(error).__name__}"
        return Resolution(standing=Standing.NOT_ASKED, recorded=self._unknown(recorded, {"why": answer}), why=answer)

    def _not_seen(self, recorded: Recorded, answer: NotSeen, *, refused: bool) -> Resolution:
        """Record where an order was looked for in vain, and conclude what that means."""
        attempt = recorded.attempts[-1] if recorded.attempts else None
        if attempt is None:
            why = "no attempt of it is on record"
            return Resolution(standing=Standing.UNRESOLVED, recorded=recorded, why=why)
        if recorded.request is not None and recorded.request.in_place_of is not None:
            return self._not_replaced(recorded, attempt.number, answer, refused=refused)
        absence, why = conclude(self.venue.capabilities, self.policy, attempt.send_by, answer, self.clock.now())
        evidence = {"why": why, **_seen(answer)}
        after = self._unknown(recorded, evidence)
        self.ledger.note("not_seen", {"client_order_id": recorded.client_order_id, **evidence}, recorded.client_order_id)
        return Resolution(standing=_STANDING[absence], recorded=after, why=why, proven_attempt=attempt.number)

    def _not_replaced(self, recorded: Recorded, attempt: int, answer: NotSeen, *, refused: bool) -> Resolution:
        """Conclude from the order that was to be replaced whether a replacement that is not seen can still come to be."""
        original = None if recorded.replaces is None else self.ledger.find(recorded.replaces)
        shown = self.look(original.reference(), twice=False) if original else "it is not on record"
        if isinstance(shown, str):
            why = f"the order that was to be replaced could not be asked for: {shown}"
            return Resolution(standing=Standing.NOT_ASKED, recorded=self._unknown(recorded, {"why": why}), why=why)
        report = shown.report if isinstance(shown, Found) else None
        if report is not None:
            self.ledger.apply_report(report, {"source": "lookup"})
        absence, why = conclude_replacement(self.venue.capabilities, report, refused=refused)
        evidence = {"why": why, **_seen(answer)}
        after = self._unknown(recorded, evidence)
        self.ledger.note("not_seen", {"client_order_id": recorded.client_order_id, **evidence}, recorded.client_order_id)
        resolution = Resolution(standing=_STANDING[absence], recorded=after, why=why, proven_attempt=attempt)
        return evolve(resolution, recorded=self.close_as_absent(resolution)) if absence is Absence.PROVEN else resolution

    def close_as_absent(self, resolution: Resolution) -> Recorded:
        """Close an intent whose absence is proven. Its validity has passed; a new decision needs a new intent.

        The proof is about the latest attempt and those before; what it settles is the latest of them that is in doubt.
        """
        recorded, proven = resolution.recorded, resolution.proven_attempt
        assert proven is not None, "absence was concluded, so it is about an attempt"
        doubtful = [attempt.number for attempt in recorded.attempts if attempt.outcome in _DOUBTFUL and attempt.number <= proven]
        return self.ledger.settle(
            recorded.client_order_id, max(doubtful, default=proven), AttemptOutcome.ABSENT, evidence={"why": resolution.why}
        )

    def look(self, reference: OrderReference, *, twice: bool) -> Found | NotSeen | str:
        """Return what the venue shows, or why it could not be asked. `twice`: believe "not seen" only the second time."""
        seen: NotSeen | None = None
        trouble = "the venue was not asked"
        for _ in range(LOOKUPS):
            try:
                self.limiter.take()
                answer = self.venue.lookup(reference)
            except PluginContractError as error:
                return str(error)
            except VenueAskError as error:
                trouble = str(error)
                self.clock.sleep(PAUSE_AFTER_FAILURE_S)
                continue
            if isinstance(answer, Found) or seen is not None or not twice:
                return answer
            seen = answer
            self.clock.sleep(self.venue.capabilities.client_ids.visibility_lag_s)
        return trouble if seen is None else f"seen to be missing once, then {trouble}"

    def _found(self, recorded: Recorded, found: Found) -> Resolution:
        wrong = mismatches(recorded.request, found.report) if recorded.request else []
        if wrong:
            why = f"the venue shows another order under {recorded.client_order_id}: {'; '.join(wrong)}"
            self.latch(why)
            return Resolution(standing=Standing.UNRESOLVED, recorded=self._unknown(recorded, {"why": why}), why=why)
        evidence = {"source": "lookup", "raw": redacted(found.report.raw)}
        if recorded.state is IntentState.IN_FLIGHT:
            number = recorded.attempts[-1].number
            after = self.ledger.settle(
                recorded.client_order_id, number, AttemptOutcome.ACCEPTED, report=found.report, evidence=evidence
            )
        else:
            after = self.ledger.apply_report(found.report, evidence) or recorded
        if after.state in UNSETTLED:
            return Resolution(
                standing=Standing.UNRESOLVED, recorded=after, why="the venue shows it, and something contradicts that"
            )
        return Resolution(standing=Standing.FOUND, recorded=after, why="the venue shows it")

    def _unknown(self, recorded: Recorded, evidence: dict[str, Any]) -> Recorded:
        """Record that an attempt in flight ended without an outcome."""
        if recorded.state is not IntentState.IN_FLIGHT:
            return recorded
        number = recorded.attempts[-1].number
        return self.ledger.settle(recorded.client_order_id, number, AttemptOutcome.UNKNOWN, evidence=evidence)


def _seen(answer: NotSeen) -> dict[str, Any]:
    return {
        "views": [{"source": view.source, "said": view.said} for view in answer.views],
        "venue_time": None if answer.venue_time is None else stamp(answer.venue_time),
        "position": answer.position,
    }


def redacted(raw: Any) -> Any:
    """Return a venue's raw answer in a form that can be hashed: a float becomes its text."""
    if isinstance(raw, dict):
        return {str(name): redacted(value) for name, value in raw.items()}
    if isinstance(raw, list | tuple):
        return [redacted(value) for value in raw]
    return repr(raw) if isinstance(raw, float) else raw
