"""One SQLite connection that loses nothing it has said yes to.

SQLite comes with apsw, because the one that Python links may be older than 3.51.3, where WAL mode can corrupt the file when two
connections write at once. `synchronous=FULL` in WAL mode makes a commit durable before it returns; NORMAL would lose the last
commits with the power.
"""

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import apsw

from logos_core.errors import LedgerError
from logos_core.ledger.writer import Writer

BUSY_TIMEOUT_MS = 5_000
WAL_PAGES = 4_000
"""Pages in the write-ahead log before it is folded in. Folding syncs; at this size it does so about once in 300 orders."""
OLDEST_SQLITE = (3, 51, 3)

R = TypeVar("R")


class Connection:
    """A connection, its lock, and the memory of having failed.

    After a storage error nothing is written through it any more: a file that lost one write is not trusted with the next.

    Attributes:
        aside: another connection to the same file, to read over while this one is in a transaction of another thread.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        _check_version()
        self.path = path
        self.lock = threading.RLock()
        self.broken: str | None = None
        self.aside: Connection | None = None
        self._writer = Writer(self)
        self._inside: int | None = None
        flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
        self._connection = self._guarded(lambda: apsw.Connection(str(path), flags=flags))
        self._guarded(self._configure)
        self._inode = path.stat().st_ino

    def _configure(self) -> None:
        self._connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"wal_autocheckpoint={WAL_PAGES}"):
            self._connection.execute(f"PRAGMA {pragma}")
        if sys.platform == "darwin":
            self._connection.execute("PRAGMA fullfsync=ON")

    def create_schema(self) -> None:
        """Write the empty tables, inside a transaction."""
        self.script(resources.files("logos_core.ledger").joinpath("sql/schema.sql").read_text())

    def script(self, statements: str) -> None:
        """Run several statements inside a transaction."""
        self._connection.execute(statements).fetchall()

    def rows(self, sql: str, *bindings: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a query: what is durable, or, inside a transaction, what its own thread has written.

        What another thread has not committed yet is never seen: while it writes, what there is to read is read beside it, over a
        connection whose pages are colder.
        """
        if self.aside is not None and self._inside not in {None, threading.get_ident()}:
            return self.aside.rows(sql, *bindings)
        with self.lock:
            try:
                return self._connection.execute(sql, bindings).fetchall()
            except apsw.ConstraintError:
                raise
            except apsw.Error as error:
                raise self._storage_error(error) from error

    def row(self, sql: str, *bindings: Any) -> tuple[Any, ...] | None:
        """Return the first row of a query, if there is one."""
        found = self.rows(sql, *bindings)
        return found[0] if found else None

    def write(self, sql: str, *bindings: Any) -> None:
        """Run a statement inside a transaction."""
        self._connection.execute(sql, bindings)

    @property
    def inserted(self) -> int:
        """The id of the row that was inserted last."""
        return self._connection.last_insert_rowid()

    @property
    def changed(self) -> int:
        """How many rows the last statement changed."""
        return self._connection.changes()

    def run(
        self,
        work: Callable[[], R],
        undone: Callable[[], None] = lambda: None,
        abandoned: Callable[[R], None] = lambda _: None,
    ) -> R:
        """Run `work` as a durable transaction, and return its result: at once where nobody else writes, else in a group.

        Args:
            work: called once, perhaps in another thread. What it raises is raised here, and undoes it whole.
            undone: called whenever what `work` has written is undone.
            abandoned: called with the result when this caller is interrupted although the transaction is durable.
        """
        if self._is_contended():
            return self._writer.run(work, undone, abandoned)
        done: list[R] = []
        try:
            with self.lock:
                self._alone(work, undone, done)
        except BaseException as error:
            if done and not isinstance(error, Exception):
                abandoned(done[0])  # without the lock: it may write, and the writer may be waiting for it
            raise
        return done[0]

    def _is_contended(self) -> bool:
        """Say whether another thread writes now, or did a moment ago."""
        inside = self._inside
        assert inside != threading.get_ident(), "a transaction inside a transaction"
        return self._writer.in_charge or inside is not None

    def _alone(self, work: Callable[[], R], undone: Callable[[], None], done: list[R]) -> None:
        """Run a transaction, and leave its result in `done` only if it is durable, interrupted or not."""
        try:
            self.begin()
            done.append(work())
            self.commit()
        except BaseException as error:
            undone()
            if done and not isinstance(error, Exception) and not self._connection.in_transaction:
                self._inside = None
                raise
            done.clear()
            if _is_failure(error):
                raise self.failure(error) from error
            self._undo()
            raise

    @contextmanager
    def transaction(self, undone: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Run a block as a durable transaction of its own; anything it raises undoes it whole, and then `undone` is called."""
        with self._writer.turn() if self._is_contended() else nullcontext(), self.lock:
            try:
                self.begin()
                yield
                self.commit()
            except BaseException as error:
                undone()
                if _is_failure(error):
                    raise self.failure(error) from error
                self._undo()
                raise

    def begin(self) -> None:
        """Begin a transaction. Whoever does holds the lock until it has ended."""
        if self.broken:
            raise LedgerError(self.broken)
        self._inside = threading.get_ident()
        self._guarded(lambda: self._connection.execute("BEGIN IMMEDIATE"))

    def attempt(self, work: Callable[[], R]) -> R:
        """Run a part of a transaction, which is undone alone if it raises. If the storage fails at that, the ledger is broken."""
        execute = self._connection.execute
        try:
            execute("SAVEPOINT attempt")
        except apsw.Error as error:
            raise self._storage_error(error) from error
        try:
            result = work()
        except BaseException as error:
            failure = self._storage_error(error) if isinstance(error, apsw.Error) and _is_failure(error) else None
            if not self.broken:
                self._guarded(lambda: execute("ROLLBACK TO attempt; RELEASE attempt"))
            if failure is not None:
                raise failure from error
            raise
        try:
            execute("RELEASE attempt")
        except apsw.Error as error:
            raise self._storage_error(error) from error
        return result

    def commit(self) -> None:
        """Make the transaction durable."""
        self._connection.execute("COMMIT")
        self._inside = None

    def failure(self, error: BaseException) -> LedgerError:
        """Undo the whole transaction, and return what is to be said of it."""
        self._undo()
        if isinstance(error, LedgerError):
            return error
        if isinstance(error, apsw.Error):
            said = self._storage_error(error)
        else:
            self.broken = f"the ledger {self.path} met a mistake of this program ({error!r}); open a new session"
            said = LedgerError(self.broken)
        said.__cause__ = error
        return said

    def check(self) -> None:
        """Refuse a file that SQLite finds damaged."""
        found = self.row("PRAGMA quick_check(1)")
        if found is None or found[0] != "ok":
            self.broken = (
                f"the ledger {self.path} is damaged ({found[0] if found else 'no answer'}); keep it, run `logos ledger adopt`"
            )
            raise LedgerError(self.broken)

    def require_file(self) -> None:
        """Refuse to go on in a file that is no longer where the next session will look for it."""
        try:
            in_place = os.stat(self.path).st_ino == self._inode  # noqa: PTH116  on the path of every order
        except OSError:
            in_place = False
        if not in_place:
            self.broken = f"the ledger {self.path} was removed or replaced while in use; put it back, or run `logos ledger adopt`"
            raise LedgerError(self.broken)

    def close(self) -> None:
        """Close the file, once whoever waits has had its turn."""
        self._writer.stop()
        with self.lock:
            self._connection.close()

    def _undo(self) -> None:
        self._inside = None
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error as error:
            self.broken = self._words(error)

    def _guarded(self, act: Callable[[], R]) -> R:
        try:
            return act()
        except apsw.Error as error:
            raise self._storage_error(error) from error

    def _storage_error(self, error: apsw.Error) -> LedgerError:
        words = self._words(error)
        if not isinstance(error, apsw.BusyError | apsw.LockedError):
            self.broken = words
        return LedgerError(words)

    def _words(self, error: apsw.Error) -> str:
        trouble, remedy = _TROUBLE.get(type(error).__name__, ("failed", "check the disk, then open a new session"))
        return f"the ledger {self.path} {trouble} ({error}); {remedy}. New orders stop until then."


def _is_failure(error: BaseException) -> bool:
    """Say whether the storage has failed; a violated constraint is an answer."""
    return isinstance(error, apsw.Error) and not isinstance(error, apsw.ConstraintError)


_TROUBLE = {
    "FullError": ("cannot be written: the disk is full", "free some space, then open a new session"),
    "IOError": ("cannot be written or read", "check the disk, then open a new session"),
    "ReadOnlyError": ("is read-only", "make it and its folder writable"),
    "BusyError": ("is locked by another process", "find out who holds it; see `logos status`"),
    "LockedError": ("is locked", "find out who holds it; see `logos status`"),
    "CorruptError": ("is damaged", "keep the file for the record, restore a copy and run `logos ledger adopt`"),
    "NotADBError": ("is not a ledger, or is damaged", "keep the file for the record, then run `logos ledger adopt`"),
    "CantOpenError": ("cannot be opened", "check that the path is a file in a folder you may write"),
    "PermissionsError": ("may not be opened", "check the file's owner and mode"),
}


@functools.cache
def _check_version() -> None:
    found = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if found < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise LedgerError(f"apsw brings SQLite {apsw.sqlite_lib_version()}, which can corrupt a ledger; install apsw>={wanted}")
