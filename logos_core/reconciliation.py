"""The ledger and the venue, side by side. Pure.

Rules:

1. *Could not ask* is a verdict of its own. An outage is never an empty list.
2. *In motion* is not *different*: what changed while it was read is read again, not reported.
3. An order is missing at the venue only when the open list, the changes and a lookup after the visibility lag all fail to show it.
4. An order the ledger does not know is ours (our prefix), or foreign. One of ours halts.
5. A position is compared by its change since the baseline. One that moved otherwise than by executions of ours is different,
   whoever moved it.
"""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import frozen

from logos_core.holdings import PositionDifference
from logos_core.hookspecs import VenueSnapshot
from logos_core.records import Overfill, Recorded
from logos_core.reports import ExecutionReport
from logos_core.values import spoken


class Agreement(StrEnum):
    """What a comparison came to."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNSETTLED = "unsettled"
    COULD_NOT_ASK = "could not ask"


@frozen(kw_only=True)
class Difference:
    """One order on which ledger and venue do not agree."""

    client_order_id: str
    field: str
    ledger: str
    venue: str


@frozen(kw_only=True)
class ReconciliationReport:
    """What was compared and what was found.

    Attributes:
        verdict: AGREES only if every list below is empty; UNSETTLED if nothing differs but outcomes are open.
        checked: how many orders were compared: those of ours that are open in the ledger or at the venue.
        missing_remote: client order ids that the ledger holds as working and the venue does not show, anywhere.
        untracked_remote: venue orders with our prefix that the ledger does not know. They halt.
        foreign_remote: venue orders that are not ours; for information.
        different: orders on which both sides disagree.
        in_motion: orders that changed while they were read.
        unsettled: client order ids whose outcome nobody knows yet.
        unsettled_since: since when, for each of them.
        duplicates: venue orders beyond the first for one intent. They halt.
        overfilled: orders of which more was traded than was ordered. They halt.
        positions_different: positions that moved otherwise than by executions of ours; by foreign trading on the account, too.
        positions_not_compared: positions of what we trade that cannot be compared; for information.
        error: why the venue could not be asked.
    """

    verdict: Agreement
    checked: int = 0
    missing_remote: tuple[str, ...] = ()
    untracked_remote: tuple[str, ...] = ()
    foreign_remote: tuple[str, ...] = ()
    different: tuple[Difference, ...] = ()
    in_motion: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    unsettled_since: tuple[datetime, ...] = ()
    duplicates: tuple[str, ...] = ()
    overfilled: tuple[Overfill, ...] = ()
    positions_different: tuple[PositionDifference, ...] = ()
    positions_not_compared: tuple[str, ...] = ()
    error: str | None = None

    def __str__(self) -> str:
        if self.error:
            return f"reconciliation: could not ask the venue: {self.error}"
        counts = {
            "missing at the venue": self.missing_remote,
            "unknown to the ledger": self.untracked_remote,
            "different": self.different,
            "in motion": self.in_motion,
            "unsettled": self.unsettled,
            "duplicates": self.duplicates,
            "overfilled": self.overfilled,
            "positions different": self.positions_different,
        }
        found = ", ".join(f"{len(rows)} {name}" for name, rows in counts.items() if rows) or "no difference"
        if self.unsettled_since:
            found += f", the oldest since {min(self.unsettled_since):%Y-%m-%d %H:%M:%SZ}"
        orders = "open order" if self.checked == 1 else "open orders"
        return f"reconciliation: {self.verdict.value}; {self.checked} {orders} compared, {found}"


def compared(working: set[str], snapshot: VenueSnapshot, knows: Callable[[str], bool], prefix: str) -> set[str]:
    """Return the orders that are compared: those the ledger holds as working, and those of ours in the venue's open list."""
    shown = {report.client_order_id for report in snapshot.open_orders if report.client_order_id}
    return working | {name for name in shown if knows(name) or name.startswith(prefix)}


def candidates(working: list[Recorded], snapshot: VenueSnapshot) -> list[Recorded]:
    """Return the working orders that the snapshot's open list does not show; each must be asked for by name."""
    shown = {(report.symbol, report.venue_order_id) for report in snapshot.open_orders} if working else set()
    return [order for order in working if order.report and (order.symbol, order.report.venue_order_id) not in shown]


def strangers(
    snapshot: VenueSnapshot, knows: Callable[[str], bool], knows_order: Callable[[str, str], bool], prefix: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the venue's orders that the ledger does not know: ours by their prefix, and foreign ones.

    A leg is known by the order that began it, or by the venue's own id once it is on record.
    """
    ours: list[str] = []
    foreign: list[str] = []
    for report in (*snapshot.open_orders, *snapshot.changed_orders):
        name = report.leg_of or report.client_order_id or ""
        if name and knows(name):
            continue
        if name.startswith(prefix):
            ours.append(name)
        elif not report.status.is_final and not knows_order(report.symbol, report.venue_order_id):
            foreign.append(report.venue_order_id)
    return tuple(dict.fromkeys(ours)), tuple(dict.fromkeys(foreign))


def unseen_legs(legs: list[ExecutionReport], snapshot: VenueSnapshot) -> list[ExecutionReport]:
    """Return the working legs that the snapshot shows neither on their own nor beneath the order that began them."""
    told = (*snapshot.open_orders, *snapshot.changed_orders) if legs else ()
    shown = {(report.symbol, report.venue_order_id) for order in told for report in (order, *order.legs)}
    return [leg for leg in legs if (leg.symbol, leg.venue_order_id) not in shown]


def differences(recorded: Recorded, report: ExecutionReport) -> list[Difference]:
    """Return in what the ledger's view of an order differs from the venue's."""
    pairs: dict[str, tuple[Any, Any]] = {"state": (recorded.state.value, report.status.value)}
    if recorded.report is not None:
        pairs["filled_quantity"] = (recorded.report.filled_quantity, report.filled_quantity)
        pairs["venue_order_id"] = (recorded.report.venue_order_id, report.venue_order_id)
    return [
        Difference(client_order_id=recorded.client_order_id, field=name, ledger=spoken(ours), venue=spoken(theirs))
        for name, (ours, theirs) in pairs.items()
        if ours != theirs
    ]


def verdict(report: ReconciliationReport) -> Agreement:
    """Return what the lists of a report come to."""
    if report.error is not None:
        return Agreement.COULD_NOT_ASK
    orders = (*report.missing_remote, *report.untracked_remote, *report.different, *report.duplicates, *report.overfilled)
    if orders or report.positions_different:
        return Agreement.DIFFERS
    return Agreement.UNSETTLED if report.unsettled or report.in_motion else Agreement.AGREES
