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
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import apsw

from logos_core.errors import LedgerError

BUSY_TIMEOUT_MS = 5_000
WAL_PAGES = 4_000
"""Pages in the write-ahead log before it is folded in. Folding syncs; at this size it does so about once in 300 orders."""
OLDEST_SQLITE = (3, 51, 3)

R = TypeVar("R")


class Connection:
    """A connection, its lock, and the memory of having failed.

    After a storage error nothing is written through it any more: a file that lost one write is not trusted with the next.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        _check_version()
        self.path = path
        self.lock = threading.RLock()
        self.broken: str | None = None
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
        """Return the rows of a query."""
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

    @contextmanager
    def transaction(self, undone: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Run a block as one durable transaction; anything it raises undoes it whole, and then `undone` is called."""
        with self.lock:
            if self.broken:
                raise LedgerError(self.broken)
            self._guarded(lambda: self._connection.execute("BEGIN IMMEDIATE"))
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException as error:
                undone()
                self._undo()
                if isinstance(error, apsw.Error) and not isinstance(error, apsw.ConstraintError):
                    raise self._storage_error(error) from error
                raise

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
        """Close the file."""
        with self.lock:
            self._connection.close()

    def _undo(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error as error:
            self.broken = self._words(error)

    def _guarded(self, act: Callable[[], R]) -> R:
        try:
            return act()
        except apsw.ConstraintError:
            raise
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
