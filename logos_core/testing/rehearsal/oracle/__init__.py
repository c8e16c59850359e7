"""Compare what a venue really holds with what a ledger says, by code that shares nothing with the way of an order.

Rules:

1. The venue's side comes from the simulator's own side, the ledger's from its files, by plain SQL. Nothing of the code that is judged
   is imported: not its chain of hashes, not its machine of states, not its sums.
2. Each thing that does not hold is one finding, which names the rule and what breaks it; the rules belong to the invariants of one
   table (`INVARIANTS`).
3. Nothing is corrected, and nothing is forgiven.
"""

from collections.abc import Sequence
from pathlib import Path

from logos_core.testing.rehearsal.oracle import artifacts, holdings, quantities, replay, requests
from logos_core.testing.rehearsal.oracle.artifacts import leaks
from logos_core.testing.rehearsal.oracle.books import UNSETTLED, Books, Event, Row, figures, read
from logos_core.testing.rehearsal.oracle.chain import chains, lost, vanished
from logos_core.testing.rehearsal.oracle.holdings import told
from logos_core.testing.rehearsal.oracle.invariants import INVARIANTS, Finding, Invariant
from logos_core.testing.rehearsal.oracle.requests import Span

__all__ = [
    "INVARIANTS", "UNSETTLED", "Books", "Event", "Finding", "Invariant", "chains", "compare", "figures", "leaks", "left_behind", "lost",
    "on_record", "read", "told", "vanished",
]  # fmt: skip


def compare(orders: Sequence[Row], wire: Sequence[Row], books: Books, halts: Sequence[Span] = ()) -> list[Finding]:
    """Return everything that does not hold between a venue and a ledger; best asked when nothing moves any more.

    Args:
        halts: from when until when somebody had stopped new orders; latches are on record.
    """
    known = books.by_client_order_id()
    return [
        *holdings.one_per_client_order_id(orders),
        *holdings.one_per_intent(orders, known),
        *holdings.known_orders(orders, known),
        *holdings.real_orders(orders, books.intents),
        *holdings.executions(orders, books),
        *holdings.settled(books.intents),
        *holdings.proved(books),
        *quantities.ordered(orders, books),
        *requests.one_per_attempt(wire, books),
        *requests.recorded_before(orders, wire, books),
        *requests.stopped(wire, books, halts),
        *requests.counted(wire, books),
        *on_record(books),
    ]


def on_record(books: Books) -> list[Finding]:
    """Return everything that does not hold within a ledger, whatever the venue says; that may be asked at any moment."""
    broken = [Finding("no event is lost", "the segments", said) for said in books.amiss]
    broken += chains(books.events)
    return broken or [*replay.replayed(books), *quantities.never_shrinking(books)]


def left_behind(runs: Path, spool: Path, books: Books) -> list[Finding]:
    """Return what lies beside a ledger and says what it does not."""
    return [*artifacts.evidence(runs, books), *artifacts.waiting(spool, books)]
