"""Putting one order in another's place.

Rules:

1. A replacement is an intent of its own, linked to the order it replaces; its order goes the way of every order (`submission`), so
   the same intent never makes a second one, and an unknown outcome is found out, never sent again.
2. The quantity is the new total. What has been traded of the order, and of those it replaced in turn, is never placed again.
3. The venue's own request is used only while nothing of the order has been traded, and only where it fails once something has
   (`rails.replace`). Otherwise the order is cancelled first, its end is awaited, and only what it then left is placed.
4. No order is cancelled for the sake of one that would be denied: that is found out before, an unknown outcome beside it included.
5. If the order traded while the venue replaced it all the same, so that both together may come to more than was decided, the new
   one is cancelled, and nothing is said until it has ended.
6. Nothing is placed for an order whose place somebody else's has taken, nor for one whose legs protect what it traded.
"""

from contextlib import suppress
from decimal import Decimal
from enum import StrEnum

from attrs import evolve, frozen

from logos_core import endings
from logos_core.cancellation import LOOKS, PAUSE_S, Cancellation
from logos_core.errors import (
    LedgerError,
    OrderDeniedError,
    OrderInFlightError,
    OrderNotPlacedError,
    OrderRejectedError,
    VenueUnavailableError,
)
from logos_core.executions import filled
from logos_core.hookspecs import Found
from logos_core.lifecycle import UNSETTLED, IntentState
from logos_core.orders import OrderClass, OrderStatus, Replacement, changed_order
from logos_core.parts import Parts
from logos_core.rails.doubt import leaves_less
from logos_core.rails.idempotency import same_decision
from logos_core.rails.replace import is_native
from logos_core.records import ClaimLostError, Recorded
from logos_core.recovery import is_abandoned
from logos_core.reports import ExecutionReport
from logos_core.resolution import Standing
from logos_core.submission import MAX_REREADS, Sending, Submission
from logos_core.values import plain

MAX_CHAIN = 1_000
"""How many replacements of one order are followed back."""

_S = IntentState
_TO_SEND = frozenset({_S.FRESH, _S.NOT_SENT})
_NO_ORDER = frozenset({_S.REJECTED, _S.NOT_PLACED})


class ReplaceEnding(StrEnum):
    """How a replacement ends when it is known how."""

    REPLACED = "replaced"
    ORIGINAL_STANDS = "original stands"
    GONE_NOT_REPLACED = "gone, not replaced"


@frozen(kw_only=True)
class ReplaceReport:
    """What became of a replacement.

    Attributes:
        ending: which order there is now: the new one, the original one, or none that works.
        original: the order that was to be replaced, as it is now.
        report: the new order; None where there is none.
        filled_quantity: what has been traded in all: of the new order, the original one, and those it had replaced.
        why: what it rests on.
    """

    ending: ReplaceEnding
    original: ExecutionReport
    report: ExecutionReport | None
    filled_quantity: Decimal
    why: str


class Replacing:
    """Replaces the orders of one session."""

    def __init__(self, parts: Parts, submission: Submission, cancellation: Cancellation) -> None:
        self._parts = parts
        self._submission = submission
        self._cancellation = cancellation

    def replace(self, replacement: Replacement) -> ReplaceReport:
        """Let an order go on with other numbers; see `Adapter.replace`."""
        name = self._parts.cache.client_order_id(replacement.intent_id)
        for _ in range(MAX_REREADS):
            with suppress(ClaimLostError):  # another caller was first; its order is this one's, too
                return self._replace(replacement, name)
        raise OrderInFlightError(self._parts.reference(name, replacement.symbol))

    def _replace(self, replacement: Replacement, name: str) -> ReplaceReport:
        parts = self._parts
        recorded = parts.ledger.find(name)
        proven_attempt: int | None = None
        if recorded is not None:
            if recorded.payload is None:  # a ledger that was read back from the venue knows the order, and not what was decided
                parts.ledger.claim_adopted(name, parts.strategy, replacement.intent_id, replacement.payload())
            else:
                same_decision(replacement.intent_id, recorded.payload, replacement.payload())
            if recorded.state in UNSETTLED:
                recorded, proven_attempt = self._found_out(recorded)
            if recorded.state not in _TO_SEND and proven_attempt is None:
                return self._recalled(self._on_record(replacement.replaces), recorded)
        original = self._refreshed(self._on_record(replacement.replaces))
        report = _known(original)
        if report.status.is_final and recorded is None:
            self._deny_succeeded(original)
            return self._ended(name, original, None, f"the order had ended as {report.status.value}; nothing was sent")
        if report.status.is_final and (why := self._why_not(replacement, original)):
            if proven_attempt is not None:
                endings.unknown(
                    parts.venue.name, parts.reference(name, replacement.symbol), None, f"it is in doubt, and not sent again: {why}"
                )
            return self._closed(name, original, why)
        if why := _why_linked(original):
            if recorded is None:
                raise OrderDeniedError("REPLACE_LINKED", why)
            return self._closed(name, original, why)
        return self._go_on(replacement, original, recorded, proven_attempt)

    def _go_on(
        self, replacement: Replacement, original: Recorded, recorded: Recorded | None, proven_attempt: int | None
    ) -> ReplaceReport:
        """Replace an order, by one request of the venue's own or by cancelling it and placing what it leaves."""
        parts, name = self._parts, self._parts.cache.client_order_id(replacement.intent_id)
        if self._submission.adopted_now(replacement.symbol, name):
            raise ClaimLostError
        report = _known(original)
        works, begun = not report.status.is_final, recorded is not None and recorded.state in _TO_SEND
        if works and begun and self._left(replacement, original) <= 0:
            return self._reached(replacement, original, name)
        sending = self._sending(replacement, original, name, proven_attempt)
        if works and is_native(parts.venue.capabilities, parts.replace, original.request, report):
            return self._natively(original, sending)
        return self._anew(replacement, original, sending)

    def _deny_succeeded(self, original: Recorded) -> None:
        """Deny to replace an order whose place another one has taken: that one may be working."""
        for name in reversed(self._parts.ledger.replacements(original.client_order_id)):
            placed = self._on_record(name)
            if placed.report is not None:
                message = f"{placed.intent_id!r} took its place and is {placed.report.status.value}; replace or cancel that one"
                raise OrderDeniedError("REPLACE_SUCCEEDED", message)

    def _found_out(self, recorded: Recorded) -> tuple[Recorded, int | None]:
        """Find out what became of a replacement; return what is on record, and which attempt is proven not to stand in the way of another."""
        parts = self._parts
        if recorded.state is _S.IN_FLIGHT and not is_abandoned(recorded, parts.is_dead):
            raise OrderInFlightError(recorded.reference())
        resolution = parts.resolver.find_out(recorded)
        after = resolution.recorded
        if resolution.standing is Standing.FOUND or after.state is _S.NOT_PLACED:
            return after, None
        if resolution.standing in {Standing.MAY_RESEND, Standing.PROVEN_ABSENT}:
            return after, resolution.proven_attempt
        endings.unknown(parts.venue.name, after.reference(), None, resolution.why)

    def _recalled(self, original: Recorded, placed: Recorded) -> ReplaceReport:
        """Answer for a replacement that was sent before."""
        if placed.request is not None and placed.request.in_place_of is not None and placed.state not in _NO_ORDER:
            return self._stands(*self._settled(original, placed.client_order_id), "on record")
        return self._stands(self._refreshed(original), placed, "on record")

    def _natively(self, original: Recorded, sending: Sending) -> ReplaceReport:
        """Let the venue replace the order in one request."""
        name = sending.client_order_id
        sending.in_place_of = original.reference()
        sending.leaves_less = original.request is not None and leaves_less(
            self._parts.venue.capabilities, original.request, sending.order
        )
        try:
            self._submission.send(sending)
        except (OrderRejectedError, OrderNotPlacedError) as error:
            return self._ended(name, self._refreshed(original), None, str(error))
        after, placed = self._settled(original, name)
        return self._stands(after, placed, "the venue answered the request to replace it")

    def _stands(self, original: Recorded, placed: Recorded, why: str) -> ReplaceReport:
        """Say which order there is, once it is sure that both together come to no more than was decided."""
        name, report = placed.client_order_id, placed.report
        traded = filled(_known(original))
        native = placed.request is not None and placed.request.in_place_of is not None
        if not native or not traded or report is None or report.status.is_final:
            return self._ended(name, original, report, why)
        too_much = f"{plain(traded)} of the order traded while it was replaced, so the new one was cancelled; replace that for what is left"
        self._parts.ledger.note("replaced_too_much", {"why": too_much}, name)
        report = self._cancellation.cancel(placed.reference())
        if not report.status.is_final:
            why = (
                f"{plain(traded)} of the order traded while it was replaced, and the new one does not end; replace again to end it"
            )
            endings.unknown(self._parts.venue.name, placed.reference(), None, why)
        return self._ended(name, original, report, too_much)

    def _settled(self, original: Recorded, name: str) -> tuple[Recorded, Recorded]:
        """Wait, within a bound, until the venue shows which of two orders there is; its first answer only says that it will see to it."""
        for look in range(LOOKS):
            original, placed = self._refreshed(original), self._refreshed(self._on_record(name))
            if _known(original).status.is_final or placed.state is _S.REJECTED:
                return original, placed
            if look < LOOKS - 1:
                self._parts.clock.sleep(PAUSE_S)
        why = "the venue has taken the replacement and does not show yet which order stands; replace again to find out"
        endings.unknown(self._parts.venue.name, placed.reference(), None, why)

    def _anew(self, replacement: Replacement, original: Recorded, sending: Sending) -> ReplaceReport:
        """Cancel the order, and place what it leaves."""
        parts, name = self._parts, sending.client_order_id
        self._submission.check(sending)
        denial = parts.ledger.begin_replacement(name, parts.strategy, replacement, replacement.replaces)
        if denial is not None:
            raise OrderDeniedError(denial.reason, denial.message)
        if not _known(original).status.is_final:
            self._end(original)
        after = self._on_record(replacement.replaces)
        if reason := self._why_not(replacement, after):
            return self._closed(name, after, reason)
        sending.order = evolve(sending.order, quantity=self._left(replacement, after))
        sending.valid_until = self._submission.valid_until()
        try:
            placed = self._submission.send(sending)
        except (OrderDeniedError, OrderRejectedError, OrderNotPlacedError, VenueUnavailableError) as error:
            return self._ended(name, after, None, f"the order was cancelled, and the new one not placed: {error}")
        return self._ended(name, after, placed, "the order was cancelled, and what it left was placed anew")

    def _end(self, original: Recorded) -> None:
        """Cancel an order, and go no further until it has ended."""
        shown = self._cancellation.cancel(original.reference())
        if not shown.status.is_final:
            why = f"the order to be replaced is {shown.status.value} and was asked to end; nothing was placed; replace again"
            endings.unknown(self._parts.venue.name, original.reference(), None, why)

    def _reached(self, replacement: Replacement, original: Recorded, name: str) -> ReplaceReport:
        """End an order that has traded, since its replacement was begun, all that was decided: nothing more of it may trade."""
        self._end(original)
        after = self._on_record(replacement.replaces)
        return self._closed(name, after, self._why_not(replacement, after) or "all that was decided has traded")

    def _why_not(self, replacement: Replacement, original: Recorded) -> str | None:
        """Say why nothing may be placed for an order that has ended, or None."""
        if _known(original).replaced_by is not None:
            return (
                "another order, which is not this replacement's, has taken the place of the order at the venue; nothing was placed"
            )
        if self._left(replacement, original) <= 0:
            return "the order traded before it could be cancelled, and left nothing to place"
        return _why_linked(original)

    def _closed(self, name: str, original: Recorded, why: str) -> ReplaceReport:
        """Close a replacement for which nothing may be placed."""
        self._parts.ledger.close_replacement(name, {"why": why, "traded": self._traded(original)})
        return self._ended(name, original, None, why)

    def _sending(self, replacement: Replacement, original: Recorded, name: str, proven_attempt: int | None) -> Sending:
        """Return the new order, for what the old one has not traded, or deny it."""
        if original.request is None:
            raise OrderDeniedError(
                "REPLACE_TERMS_UNKNOWN", "the order was read back from the venue; cancel it and submit a new one"
            )
        left = self._left(replacement, original)
        if left <= 0:
            message = (
                f"quantity is {plain(self._total(replacement, original))} in all, and {plain(self._traded(original))} has traded"
            )
            raise OrderDeniedError("REPLACE_QUANTITY_TRADED", f"{message}; give more, or cancel the order")
        return Sending(
            decision=replacement,
            order=changed_order(original.request, replacement, left),
            client_order_id=name,
            valid_until=self._submission.valid_until(),
            replaces=replacement.replaces,
            proven_attempt=proven_attempt,
        )

    def _left(self, replacement: Replacement, original: Recorded) -> Decimal:
        """Return what is still to trade."""
        return self._total(replacement, original) - self._traded(original)

    def _total(self, replacement: Replacement, original: Recorded) -> Decimal:
        """Return how much is wanted in all, with what had traded before this order."""
        if replacement.quantity is not None:
            return replacement.quantity
        own = original.request.quantity if original.request else None
        if own is None:
            raise OrderDeniedError("REPLACE_QUANTITY_UNKNOWN", "the order is by notional; cancel it and submit a new one")
        return self._traded(original) - filled(_known(original)) + own

    def _traded(self, original: Recorded) -> Decimal:
        """Return what has traded of an order and of those it replaced in turn."""
        traded, known = Decimal(0), original
        for _ in range(MAX_CHAIN):
            traded += filled(known.report) if known.report else 0
            if known.replaces is None:
                return traded
            known = self._on_record(known.replaces)
        raise LedgerError(
            f"{original.client_order_id} has replaced more than {MAX_CHAIN} orders in turn; submit a new intent instead"
        )

    def _on_record(self, name: str) -> Recorded:
        recorded = self._parts.ledger.find(name)
        if recorded is None:
            raise LookupError(f"no order {name!r} is on record; see `logos orders`")
        return recorded

    def _refreshed(self, recorded: Recorded) -> Recorded:
        """Return an order as the venue shows it now, or as it is on record where the venue cannot be asked.

        What the venue shows to work is not ended, whatever is on record: it is cancelled before anything takes its place.
        """
        answer = self._parts.resolver.look(recorded.reference(), twice=False)
        if not isinstance(answer, Found):
            return recorded
        after = self._parts.ledger.apply_report(answer.report, {"source": "replace"}) or recorded
        works = after.report is not None and after.report.status.is_final and not answer.report.status.is_final
        return evolve(after, report=answer.report) if works else after

    def _ended(self, name: str, original: Recorded, report: ExecutionReport | None, why: str) -> ReplaceReport:
        """Return how it ended, by what is known of both orders now."""
        exists = report is not None and report.status is not OrderStatus.REJECTED
        ending = ReplaceEnding.REPLACED
        if not exists:
            gone = _known(original).status.is_final
            ending = ReplaceEnding.GONE_NOT_REPLACED if gone else ReplaceEnding.ORIGINAL_STANDS
        traded = self._traded(original) + (filled(report) if exists and report else 0)
        self._parts.extensions.observe({"kind": "replaced", "client_order_id": name, "ending": ending.value})
        return ReplaceReport(
            ending=ending, original=_known(original), report=report if exists else None, filled_quantity=traded, why=why
        )


def _why_linked(original: Recorded) -> str | None:
    """Say why a linked order may not be replaced, or None.

    At Alpaca the legs end with their entry, and nothing would protect what has traded of it; and what one of a pair of exits trades is not
    the other's fill, so the whole quantity would be placed once more.
    """
    if original.request is None or original.request.order_class is OrderClass.SIMPLE:
        return None
    if original.request.order_class is OrderClass.OCO:
        return (
            "a pair of exits is not replaced: either of them may trade meanwhile; cancel it, and submit a new one for what is left"
        )
    if filled(_known(original)):
        return (
            "the entry has traded, and its legs may end with it: look at what protects that, cancel what is left, and decide anew"
        )
    return None


def _known(recorded: Recorded) -> ExecutionReport:
    """Return what the venue says of an order, or deny to replace one of which nobody knows whether it exists."""
    if recorded.report is None or recorded.state in UNSETTLED:
        message = (
            f"nobody knows yet whether {recorded.client_order_id} exists; submit its intent again to find out, then replace it"
        )
        raise OrderDeniedError("REPLACE_ORIGINAL_UNKNOWN", message)
    return recorded.report
