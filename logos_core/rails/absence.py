"""What may be concluded from not seeing an order. Only the core concludes it, and only from what cannot be otherwise.

Not to be seen is not to be absent: the request may still be on its way. So:

* Where an id is unique for ever, the order may be *sent again* under the same id: if the first arrives after all, the venue refuses
  one of the two. Absence itself stays unproven.
* Where the matching engine refuses late orders, absence is *proven* once the deadline has passed in venue time, plus the time an order
  may stay invisible and a margin, and two views do not show the order; unless the preset distrusts that engine.
* Where only a gateway does, an order that passed it in time may still wait behind it. That proves nothing, unless the preset accepts
  it as proof.
* Everything else stays *unresolved*, until evidence comes or a person decides.
* A replacement that the venue makes in one request needs an order that still works. Once that has ended of its own accord, a late
  request finds nothing to replace: absence is *proven*, without any clock. It is never sent again.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from attrs import frozen

from logos_core.capabilities import Capabilities, ExpiryKind, Uniqueness
from logos_core.hookspecs import NotSeen
from logos_core.orders import OrderStatus
from logos_core.reports import ExecutionReport

CLOCK_MARGIN = timedelta(seconds=2)
"""How far two clocks may differ without us knowing."""


VIEWS_NEEDED = 2
"""One list may lag behind; two that are kept apart seldom lag alike."""


class Absence(StrEnum):
    """What a missing order means."""

    PROVEN = "proven absent"
    MAY_RESEND = "may be sent again under the same id"
    UNRESOLVED = "unresolved"


@frozen(kw_only=True)
class AbsencePolicy:
    """What the preset accepts beyond what is certain, or less of what the venue promises.

    Attributes:
        gateway_window_is_proof: whether a gateway's window, once passed, counts as proof. Whoever sets it accepts that an order
            which passed the gateway in time may still appear.
        deadline_is_proof: whether a deadline that the venue says its matching engine enforces, once passed, counts as proof. Whoever
            unsets it has an order that is not seen stay unknown, until evidence comes or a person decides.
    """

    gateway_window_is_proof: bool = False
    deadline_is_proof: bool = True


def conclude(
    capabilities: Capabilities, policy: AbsencePolicy, last_send_by: datetime, seen: NotSeen, now: datetime
) -> tuple[Absence, str]:
    """Return what follows from not having seen an order, and why.

    Args:
        last_send_by: until when the latest attempt could begin to leave.
        seen: where it was looked for in vain.
        now: our own time, used where the venue tells none.
    """
    if capabilities.client_ids.uniqueness is Uniqueness.EVER:
        return Absence.MAY_RESEND, "the venue never takes a second order under this id"
    expiry = capabilities.expiry
    trusted = {ExpiryKind.ENGINE: policy.deadline_is_proof, ExpiryKind.GATEWAY: policy.gateway_window_is_proof}
    if not trusted.get(expiry.kind, False) or expiry.window_s is None:
        doubted = ", which the preset does not take for proof" if expiry.kind is ExpiryKind.ENGINE else ""
        return Absence.UNRESOLVED, f"the venue's expiry is {expiry.kind.value}{doubted}: a late order could still be taken"
    # What is taken at the last moment is shown only after the venue's visibility lag.
    shown_by = timedelta(seconds=expiry.window_s + capabilities.client_ids.visibility_lag_s)
    deadline = last_send_by + shown_by + CLOCK_MARGIN
    venue_now = min(seen.venue_time, now) if seen.venue_time else now - CLOCK_MARGIN
    if venue_now <= deadline:
        return Absence.UNRESOLVED, f"a request may be taken, and be shown, until {deadline.isoformat()}"
    sources = {view.source for view in seen.views}
    if len(sources) < VIEWS_NEEDED:
        return Absence.UNRESOLVED, "one view alone does not show it; two are needed"
    return (
        Absence.PROVEN,
        f"the {expiry.kind.value} refuses it, an order in time would be shown by {deadline.isoformat()}, and {len(sources)} views do not",
    )


def conclude_replacement(
    capabilities: Capabilities, original: ExecutionReport | None, *, refused: bool = False
) -> tuple[Absence, str]:
    """Return what follows from not having seen the order that was to take another's place, and why.

    Args:
        original: the order that was to be replaced, as the venue shows it now; None where it shows none.
        refused: the venue has answered the request, and said that there was nothing to replace. An order that works on all the same
            was then not replaced; of one that has ended it says nothing.
    """
    if original is None:
        return Absence.UNRESOLVED, "the order that was to be replaced is not shown either"
    if not original.status.is_final and refused:
        return Absence.PROVEN, f"the venue refused to replace the order, which is still {original.status.value}"
    if not original.status.is_final:
        return (
            Absence.UNRESOLVED,
            f"the order that was to be replaced is still {original.status.value}; a late request could replace it",
        )
    if original.replaced_by is not None:
        return Absence.UNRESOLVED, f"the venue says that order {original.replaced_by} took its place, and does not show it yet"
    if original.status is OrderStatus.CANCELED and not capabilities.replace.tells_successor:
        return Absence.UNRESOLVED, "the order that was to be replaced is cancelled, and the venue does not say whether by that"
    return Absence.PROVEN, f"the order that was to be replaced ended as {original.status.value}, and nothing took its place"
