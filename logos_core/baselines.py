"""Whether the venue's positions have moved by our executions and by nothing else.

Rules:

1. The baseline is taken when a ledger begins, at the latest in the first reconciliation; then only if two readings, the venue's
   visibility lag apart, say the same.
2. What differs is read again after the visibility lag. What has changed meanwhile, on either side, is in motion.
3. A new baseline is taken on a named person's word only.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from attrs import evolve

from logos_core import holdings
from logos_core.bookkeeping import Books
from logos_core.capabilities import PositionKind, PositionView
from logos_core.holdings import Baseline, Compared, PositionDifference
from logos_core.hookspecs import ReconcileRequest, VenueSnapshot
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.parts import Parts
from logos_core.positions import Book, book_of
from logos_core.rails.idempotency import PREFIX
from logos_core.venues import VenueAskError

NAME = "baseline"
"""The name under which the ledger keeps it."""


class PositionsMovingError(Exception):
    """The positions changed while they were read twice, so there is nothing to count from. Try again in a quiet moment."""


def begin(ledger: SqliteLedger, view: PositionView, snapshot: VenueSnapshot, now: datetime) -> None:
    """Take the baseline of a ledger that has never ordered anything: nothing of ours can be in motion."""
    if view.kind is PositionKind.NONE or ledger.cursor(NAME) is not None or ledger.counts():
        return
    _write(ledger, Baseline(at=now, row=ledger.executed.last_row(), venue=holdings.held(snapshot.positions), ours={}), {})


class Baselines:
    """Compares the positions of one session's account."""

    def __init__(self, parts: Parts, books: Books) -> None:
        self._parts = parts
        self._books = books
        self._view = parts.venue.capabilities.positions

    def compare(self, snapshot: VenueSnapshot, request: ReconcileRequest) -> Compared:
        """Return what the positions of a snapshot, which is on record already, come to."""
        if self._view.kind is PositionKind.NONE:
            return Compared()
        text = self._parts.ledger.cursor(NAME)
        try:
            if text is None:
                self._take(snapshot, request, {})
                return Compared()
            return self._compare(Baseline.read(text), snapshot, request)
        except VenueAskError as error:
            return Compared(error=str(error))
        except PositionsMovingError:
            return Compared(in_motion=("positions",))

    def accept(self, by: str, because: str) -> None:
        """Take a new baseline, on a named person's word."""
        if self._view.kind is PositionKind.NONE:
            raise LookupError(f"{self._parts.venue.name} shows no positions that could be compared")
        ledger = self._parts.ledger
        request = ReconcileRequest(cursor=ledger.cursor("reconcile"), symbols=ledger.symbols(), prefix=PREFIX)
        self._take(self._again(request), request, {"by": by, "because": because})

    def _take(self, snapshot: VenueSnapshot, request: ReconcileRequest, word: Mapping[str, str]) -> None:
        """Take the baseline if a second reading says the same."""
        row = self._parts.ledger.executed.last_row()
        self._wait()
        second = self._again(request)
        venue = holdings.held(second.positions)
        if venue != holdings.held(snapshot.positions) or self._parts.ledger.executed.last_row() != row:
            raise PositionsMovingError
        ours = holdings.moved(self._named_book(), self._view)
        _write(self._parts.ledger, Baseline(at=self._parts.clock.now(), row=row, venue=venue, ours=ours), word)

    def _compare(self, baseline: Baseline, snapshot: VenueSnapshot, request: ReconcileRequest) -> Compared:
        first, silent = self._differences(baseline, snapshot)
        if not first:
            return Compared(not_compared=silent)
        self._wait()
        second, silent = self._differences(baseline, self._again(request))
        moving = tuple(f"position {name}" for name, found in second.items() if first.get(name) != found)
        still = tuple(self._explained(found, baseline) for name, found in second.items() if first.get(name) == found)
        return Compared(different=still, in_motion=moving, not_compared=silent)

    def _differences(self, baseline: Baseline, snapshot: VenueSnapshot) -> tuple[dict[str, PositionDifference], tuple[str, ...]]:
        book, assets = self._named_book(), self._parts.ledger.executed.assets()
        names, silent = holdings.comparable({*self._parts.ledger.symbols(), *book.positions}, assets, self._view)
        ours, venue = holdings.moved(book, self._view), holdings.held(snapshot.positions)
        return holdings.differences(names, baseline, ours, venue), silent

    def _named_book(self) -> Book:
        """Return the book, once the venue has said what everything we trade is made of."""
        for symbol in self._parts.ledger.symbols():
            self._books.require_name(symbol)
        return self._books.keeper.book()

    def _explained(self, found: PositionDifference, baseline: Baseline) -> PositionDifference:
        """Return a difference with what orders that are not ours moved, as far as it is on record."""
        executed = self._parts.ledger.executed
        assets = executed.assets()
        by_asset = self._view.kind is PositionKind.BY_ASSET
        symbols = assets if by_asset else [found.name]
        foreign = [execution for symbol in symbols for execution in executed.foreign(symbol, baseline.row)]
        return evolve(found, foreign=holdings.moved(book_of(foreign, assets), self._view).get(found.name, Decimal(0)))

    def _again(self, request: ReconcileRequest) -> VenueSnapshot:
        """Read the venue once more, and record what is new."""
        ledger = self._parts.ledger
        self._parts.limiter.take()
        snapshot = self._parts.venue.reconcile(evolve(request, cursor=ledger.cursor("reconcile")))
        ledger.apply_snapshot(snapshot)
        return snapshot

    def _wait(self) -> None:
        self._parts.clock.sleep(self._parts.venue.capabilities.client_ids.visibility_lag_s)


def _write(ledger: SqliteLedger, baseline: Baseline, word: Mapping[str, str]) -> None:
    ledger.set_baseline(baseline.text(), {**baseline.body(), **word})
