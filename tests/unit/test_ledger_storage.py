"""A ledger that cannot be trusted stops orders, and says what to do."""

import subprocess
import sys
import threading

import apsw
import pytest

from logos_core.clock import ManualClock
from logos_core.errors import ConfigurationError, LedgerError
from logos_core.ledger import connection as connections
from logos_core.ledger.connection import Connection
from logos_core.ledger.migrations import newest_version
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.lifecycle import IntentState as S
from logos_core.records import AttemptOutcome as A
from logos_core.records import LedgerIdentity
from tests.unit.making import OWNER, Book


def pragma(path, name):
    connection = Connection(path)
    try:
        return connection.rows(f"PRAGMA {name}")[0][0]
    finally:
        connection.close()


def test_a_commit_is_durable_before_it_returns(book):
    """WAL with synchronous=FULL; NORMAL would lose the last commits with the power."""
    assert ("wal", 2, 1) == tuple(pragma(book.path, name) for name in ("journal_mode", "synchronous", "foreign_keys"))
    assert 2 == book.ledger._db.rows("PRAGMA synchronous")[0][0]


def test_an_old_sqlite_is_refused(monkeypatch, tmp_path):
    connections._check_version.cache_clear()
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(LedgerError, match=r"apsw>=3\.51\.3"):
        Connection(tmp_path / "x", create=True)


def fill_up(ledger):
    """Leave the file no page to grow by."""
    pages = ledger._db.row("PRAGMA page_count")[0]
    ledger._db.rows(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_stops_everything_and_later_room_changes_nothing(book):
    fill_up(book.ledger)
    with pytest.raises(LedgerError, match="the disk is full"):
        for number in range(2000):
            book.ledger.note("filler", {"text": "x" * 500, "number": number})
    book.ledger._db.rows("PRAGMA max_page_count=100000")

    assert "the disk is full" in book.ledger.broken
    with pytest.raises(LedgerError, match="New orders stop until then"):
        book.claim()
    assert book.ledger.find("lgs1") is None


def test_a_full_disk_in_the_middle_of_an_outcome_leaves_the_attempt_in_flight(book):
    book.claim()
    fill_up(book.ledger)
    with pytest.raises(LedgerError, match="the disk is full"):
        book.ledger.settle("lgs1", 1, A.NOT_SENT, evidence={"text": "x" * 100_000})

    assert (S.IN_FLIGHT, None) == (book.state(), book.ledger.find("lgs1").attempts[0].outcome)


def test_a_read_only_file_stops_new_orders(book):
    book.ledger._db.rows("PRAGMA query_only=ON")
    with pytest.raises(LedgerError) as caught:
        book.claim()

    assert "New orders stop until then" in str(caught.value)
    assert book.ledger.broken
    book.ledger._db.rows("PRAGMA query_only=OFF")
    with pytest.raises(LedgerError):
        book.claim()


def test_a_ledger_locked_by_another_process_is_an_error_now_and_fine_later(book, monkeypatch):
    book.ledger._db._connection.set_busy_timeout(20)
    other = apsw.Connection(str(book.path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked by another process"):
        book.claim()
    other.execute("ROLLBACK")
    other.close()

    assert book.ledger.broken is None
    assert 1 == book.claim()


def test_a_short_lock_of_another_process_is_waited_for(book):
    other = apsw.Connection(str(book.path))
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.1, lambda: other.execute("ROLLBACK")).start()

    assert 1 == book.claim()


def closed_book(tmp_path):
    book = Book(tmp_path / "ledger.sqlite3")
    book.claim()
    for number in range(200):
        book.ledger.note("filler", {"text": "x" * 200, "number": number})
    book.ledger.close()
    return book


def test_damage_in_the_middle_is_found_when_it_is_met(tmp_path):
    path = closed_book(tmp_path).path
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(LedgerError, match="damaged"):
        ledger = SqliteLedger.open(path, ManualClock(), OWNER)
        ledger.begin_session("s2", "test", "host:1")


def test_a_truncated_ledger_is_refused(tmp_path):
    path = closed_book(tmp_path).path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(LedgerError):
        ledger = SqliteLedger.open(path, ManualClock(), OWNER)
        ledger.begin_session("s2", "test", "host:1")
        list(ledger.events())


@pytest.mark.parametrize("content", [b"this is a text, not a database, and long enough to be looked at" * 20, b""])
def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="is not a ledger"):
        SqliteLedger.open(path, ManualClock(), OWNER)
    if content:
        assert content == path.read_bytes()


def test_another_database_is_refused(tmp_path):
    path = tmp_path / "other.sqlite3"
    apsw.Connection(str(path)).execute("CREATE TABLE t (a)")
    with pytest.raises(LedgerError, match="is not a ledger"):
        SqliteLedger.open(path, ManualClock())


def test_a_ledger_whose_creation_was_cut_short_is_a_ledger_error(tmp_path):
    connection = Connection(tmp_path / "ledger.sqlite3", create=True)
    with connection.transaction():
        connection.create_schema()
    connection.close()
    with pytest.raises(LedgerError):
        SqliteLedger.open(tmp_path / "ledger.sqlite3", ManualClock(), OWNER)


def test_a_newer_schema_is_refused(tmp_path):
    path = closed_book(tmp_path).path
    connection = apsw.Connection(str(path))
    newest = newest_version()
    connection.execute("UPDATE meta SET value = ? WHERE name = 'schema_version'", (str(newest + 1),))
    connection.close()
    with pytest.raises(LedgerError, match=f"has schema {newest + 1}, this logos knows {newest}; install a newer logos-core"):
        SqliteLedger.open(path, ManualClock(), OWNER)


@pytest.mark.parametrize("field", ["venue", "environment", "account_id"])
def test_another_accounts_ledger_is_refused(tmp_path, field):
    path = closed_book(tmp_path).path
    other = {"venue": OWNER.venue, "environment": OWNER.environment, "account_id": OWNER.account_id, field: "other"}
    with pytest.raises(ConfigurationError, match="belongs to"):
        SqliteLedger.open(path, ManualClock(), LedgerIdentity(**other))


def test_a_directory_a_missing_file_and_an_existing_one_are_refused(tmp_path):
    with pytest.raises(LedgerError, match="is a directory"):
        SqliteLedger.open(tmp_path, ManualClock())
    with pytest.raises(LedgerError, match="is a directory"):
        SqliteLedger.create(tmp_path, OWNER, ManualClock())
    with pytest.raises(LedgerError, match="does not exist"):
        SqliteLedger.open(tmp_path / "gone.sqlite3", ManualClock())
    path = closed_book(tmp_path).path
    with pytest.raises(LedgerError, match="never overwritten"):
        SqliteLedger.create(path, OWNER, ManualClock())


def test_a_failing_disk_is_met_once_and_then_nothing_is_written(book, monkeypatch):
    """A commit that fails is rolled back, and the file is not trusted with the next one."""
    real = book.ledger._db._connection
    statements = []

    class Failing:
        def __getattr__(self, name):
            return getattr(real, name)

        def execute(self, sql, *bindings):
            statements.append(sql)
            if sql == "COMMIT":
                raise apsw.IOError("disk I/O error")
            return real.execute(sql, *bindings)

    book.ledger._db._connection = Failing()
    with pytest.raises(LedgerError, match="check the disk"):
        book.claim()
    assert "ROLLBACK" == statements[-1]
    statements.clear()
    with pytest.raises(LedgerError):
        book.settle(A.UNKNOWN)
    assert [] == statements
    book.ledger._db._connection = real
    assert book.ledger.find("lgs1") is None


def test_a_violated_constraint_is_an_answer_and_no_failure_of_the_storage(book):
    book.claim()
    double = "INSERT INTO intents (client_order_id, symbol, state, created_at, updated_at) VALUES ('lgs1', '', '', '', '')"
    with pytest.raises(apsw.ConstraintError), book.ledger._transaction():
        book.ledger._db.row(f"{double} RETURNING id")

    assert (None, 1) == (book.ledger.broken, book.claim("lgs2"))


def test_an_interrupt_inside_a_transaction_undoes_it_and_the_ledger_goes_on(book):
    def deny():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        book.claim(deny=deny)

    assert book.ledger.broken is None
    assert 1 == book.claim()


def test_a_killed_process_leaves_committed_attempts_and_only_those(tmp_path):
    program = f"""
import os
from tests.unit.making import Book
from pathlib import Path
book = Book(Path({str(tmp_path / "ledger.sqlite3")!r}))
book.claim("lgs1")
book.claim("lgs2", deny=lambda: os.kill(os.getpid(), 9))
"""
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    book = Book(tmp_path / "ledger.sqlite3", session_id="s2")

    assert (S.IN_FLIGHT, None) == (book.state(), book.ledger.find("lgs2"))
    assert 1 == book.claim("lgs2")
    book.ledger.close()
