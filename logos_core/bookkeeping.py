"""The book of an account, kept up to date without reading its history again.

Rules:

1. The book is a projection of the executions on record: what is kept of it saves time and decides nothing. It can always be made
   anew, and is, whenever something arrives that it cannot simply add.
2. The last executions of each instrument are kept apart from the sum of the older ones, since executions seldom arrive in exactly
   the venue's order. What belongs among the kept ones is put there; for what belongs further back, a correction or a bust, that
   instrument is read again from its beginning.
3. Every so often a session leaves the sum in the ledger, so that the next one, or a command, reads only what came after it.
"""

import json
from bisect import insort
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from decimal import Decimal
from typing import Any

from attrs import define, field

from logos_core.errors import LedgerError
from logos_core.executions import effective, in_time
from logos_core.hookspecs import UnknownSymbolError
from logos_core.ledger import codec
from logos_core.ledger.executed import ASSETS, assets_text
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.parts import Parts
from logos_core.positions import Account, Assets, Book, DayResult, day_result, frozen_book
from logos_core.reports import Execution, ExecutionKind
from logos_core.venues import VenueAskError

KEPT = "book"
"""The name under which the sum is left in the ledger."""
VERSION = 1
TAIL = 256
"""How many of an instrument's last executions are kept apart. A session of many threads records hardly ever further out of order."""
BATCH = 5_000
KEEP_EVERY = 10_000
"""After how many rows the sum is left anew: about a tenth of a second of reading."""


@define
class Line:
    """One instrument.

    Attributes:
        settled: the sum of all but the last executions.
        until: the time and id of the last of those.
        tail: the last executions, in the venue's order.
        referred: what corrections and busts refer to.
        count: how many executions were told, corrections and busts included.
        now: the sum of all, once somebody has asked for it.
        changed: the days that something was added to since their results were last taken; None for any day.
    """

    settled: Account = field(factory=Account)
    until: tuple[str, int, str] | None = None
    tail: list[Execution] = field(factory=list)
    referred: set[str] = field(factory=set)
    count: int = 0
    now: Account | None = None
    changed: set[date] | None = None

    def add(self, execution: Execution) -> bool:
        """Add an execution, or say that the instrument must be read again for it."""
        late = self.until is not None and in_time(execution) <= self.until
        if late or execution.kind is not ExecutionKind.TRADE or execution.execution_id in self.referred:
            return False
        insort(self.tail, execution, key=in_time)
        self.count += 1
        if self.now is not None and self.tail[-1] is execution:
            self.now.take([execution])
            if self.changed is not None:
                self.changed.add(execution.executed_at.date())
        else:
            self.now = self.changed = None
        if len(self.tail) >= 2 * TAIL:
            self.settle()
        return True

    def settle(self) -> None:
        """Leave no more than the last executions apart."""
        older, self.tail = self.tail[:-TAIL], self.tail[-TAIL:]
        if older:
            self.settled.take(older)
            self.until = in_time(older[-1])

    def account(self) -> Account:
        """Return the sum of all."""
        if self.now is None:
            self.now = self.settled.copy()
            self.now.take(self.tail)
        return self.now


class Bookkeeper:
    """Keeps the book of one ledger. It may be asked by any thread, also inside a transaction of its own."""

    def __init__(self, ledger: SqliteLedger, *, leaves_sums: bool = False) -> None:
        self._ledger = ledger
        self._leaves_sums = leaves_sums
        self._lines: dict[str, Line] = {}
        self._row = self._left_at = 0
        self._relinked: dict[str, str] = {}
        self._assets: dict[str, Assets] = {}
        self._days: dict[date, DayResult] = {}
        self._book: Book | None = None
        self._begun = False

    def book(self) -> Book:
        """Return what all executions of our orders on record come to now."""
        with self._ledger.executed.held():
            if not self._begun:
                self._take_up(self._ledger.cursor(KEPT))
            changed = self._read()
            assets = self._ledger.executed.assets()
            if self._book is None or changed or assets != self._assets:
                self._book = self._made(assets)
            book, sums = self._book, self._sums()
        if sums is not None:  # outside: whoever writes meanwhile may be waiting for what is held above
            with suppress(LedgerError):  # it only saves time
                self._ledger.set_cursor(KEPT, sums)
        return book

    def _made(self, assets: dict[str, Assets]) -> Book:
        """Return the book with the days worked out again that may have changed."""
        accounts = {symbol: line.account() for symbol, line in self._lines.items() if line.tail}
        days = {day for line in self._lines.values() for day in line.changed or ()}
        if assets != self._assets or any(line.changed is None for line in self._lines.values()):
            self._days, days = {}, {day for account in accounts.values() for day in account.days()}
        traded = {day for day in days if any(day in account.profits or day in account.fees for account in accounts.values())}
        self._days |= {day: day_result(day, accounts, assets) for day in traded}
        self._assets = assets
        for line in self._lines.values():
            line.changed = set()
        results = [self._days[day] for day in sorted(self._days)]
        return frozen_book(accounts, assets, results, sum(line.count for line in self._lines.values()))

    def _read(self) -> bool:
        """Take in what was written since; say whether there was anything."""
        executed = self._ledger.executed
        relinked, before = executed.relinked(), self._row
        stale = {symbol for symbol, when in relinked.items() if self._relinked.get(symbol) != when}
        while True:
            row, found = executed.after(self._row, BATCH)
            if row == self._row:
                break
            self._row = row
            stale |= {execution.symbol for execution in found if not self._line(execution.symbol).add(execution)}
        for symbol in stale:
            self._lines[symbol] = line_of(executed.of_symbol(symbol, self._row))
        self._relinked = relinked
        return bool(stale) or self._row != before

    def _line(self, symbol: str) -> Line:
        return self._lines.setdefault(symbol, Line())

    def _take_up(self, text: str | None) -> None:
        """Go on from the sum that was left in the ledger, if this version can read it."""
        self._begun = True
        kept = json.loads(text) if text else {}
        if kept.get("version") != VERSION:
            return
        self._row = self._left_at = kept["row"]
        self._relinked = kept["relinked"]
        self._lines = {symbol: _line_from(body) for symbol, body in kept["lines"].items()}

    def _sums(self) -> str | None:
        """Return the sums to leave in the ledger, now and then."""
        if not self._leaves_sums or self._row - self._left_at < KEEP_EVERY:
            return None
        lines = {symbol: _line_body(line) for symbol, line in self._lines.items()}
        self._left_at = self._row
        return codec.dump({"version": VERSION, "row": self._row, "relinked": self._relinked, "lines": lines})


class Books:
    """The book of a session, which also learns from the venue what its instruments are made of."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._ledger = parts.ledger
        self.keeper = Bookkeeper(parts.ledger, leaves_sums=True)
        self._asked: set[str] = set()
        self._unlisted: set[str] = set()

    def book(self) -> Book:
        """Return the book; a symbol that is new to the ledger is asked for once per session."""
        book = self.keeper.book()
        return self.keeper.book() if self.name(book.unnamed) else book

    def name(self, symbols: Iterable[str]) -> bool:
        """Ask for what is not on record and was not asked for in this session; say whether anything was.

        What cannot be had now stays unnamed.
        """
        unnamed = [symbol for symbol in symbols if symbol not in self._asked]
        for symbol in unnamed:
            with suppress(VenueAskError):
                self.require_name(symbol)
            self._asked.add(symbol)
        return bool(unnamed)

    def require_name(self, symbol: str) -> None:
        """Ask what an instrument is made of, unless that is known, and remember it for good; one no longer listed stays unnamed.

        Raises:
            VenueAskError: the venue could not be asked.
        """
        if symbol in self._unlisted or self._ledger.cursor(ASSETS + symbol) is not None:
            return
        self._parts.limiter.take()
        try:
            found = self._parts.venue.instrument(symbol)
        except UnknownSymbolError:
            self._unlisted.add(symbol)
            return
        self._ledger.set_cursor(ASSETS + symbol, assets_text(Assets(found.base_asset, found.quote_asset)))


def line_of(executions: list[Execution]) -> Line:
    """Return one instrument's line, read from all its executions."""
    line = Line(tail=effective(executions), count=len(executions))
    line.referred = {execution.refers_to for execution in executions if execution.refers_to is not None}
    line.settle()
    return line


def _line_body(line: Line) -> Mapping[str, Any]:
    account = line.settled
    return {
        "quantity": account.quantity,
        "cost": account.cost,
        "profits": {day.isoformat(): amount for day, amount in account.profits.items()},
        "fees": {day.isoformat(): fees for day, fees in account.fees.items()},
        "charged": account.charged,
        "until": line.until,
        "tail": [codec.execution_body(execution) for execution in line.tail],
        "referred": sorted(line.referred),
        "count": line.count,
    }


def _line_from(body: Mapping[str, Any]) -> Line:
    fees = {date.fromisoformat(day): _amounts(sums) for day, sums in body["fees"].items()}
    profits = {date.fromisoformat(day): amount for day, amount in _amounts(body["profits"]).items()}
    return Line(
        settled=Account(Decimal(body["quantity"]), Decimal(body["cost"]), profits, fees, _amounts(body["charged"])),
        until=None if body["until"] is None else tuple(body["until"]),
        tail=[codec.execution_from(json.dumps(told)) for told in body["tail"]],
        referred=set(body["referred"]),
        count=body["count"],
    )


def _amounts(sums: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in sums.items()}
