"""A ledger of an older version is brought up to date when it is opened, wholly or not at all."""

import re
import subprocess
import sys
import threading
from typing import Any

import apsw
import pytest

from logos_core.clock import SystemClock
from logos_core.errors import LedgerError
from logos_core.ledger import migrations
from logos_core.ledger.connection import Connection
from logos_core.ledger.sqlite import SqliteLedger
from tests.ledgers.loading import load
from tests.unit.making import OWNER


@pytest.fixture
def old(tmp_path):
    """A ledger that the first version wrote."""
    return load("alpaca", tmp_path / "ledger.sqlite3")


def schema(path):
    """Return every table, index and trigger of a file, without comments and spaces."""
    connection = apsw.Connection(str(path))
    found: Any = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {name: re.sub(r"\s+", "", re.sub(r"--.*", "", sql)) for name, sql in found}


def version(path):
    connection = apsw.Connection(str(path))
    found: Any = connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchall()
    connection.close()
    return int(found[0][0])


def open_and_close(path):
    SqliteLedger.open(path, SystemClock()).close()


def test_the_schema_is_what_all_migrations_make_of_the_first_version(old, tmp_path):
    SqliteLedger.create(tmp_path / "new.sqlite3", OWNER, SystemClock()).close()
    open_and_close(old)

    assert schema(tmp_path / "new.sqlite3") == schema(old)


def test_migrations_are_numbered_from_the_second_version_on_without_a_gap():
    assert list(range(2, migrations.newest_version() + 1)) == list(migrations.scripts())


def test_a_new_ledger_is_of_the_newest_version(tmp_path):
    path = tmp_path / "new.sqlite3"
    SqliteLedger.create(path, OWNER, SystemClock()).close()

    assert migrations.newest_version() == version(path)


def test_an_old_ledger_is_of_the_newest_version_once_it_was_opened(old):
    before = version(old)
    open_and_close(old)

    assert (1, migrations.newest_version()) == (before, version(old))


def test_killed_in_the_middle_of_a_migration_a_ledger_is_what_it_was(old):
    before = schema(old)
    program = f"""
import os
from pathlib import Path
from logos_core.ledger import migrations
from logos_core.ledger.connection import Connection
known = migrations.scripts()
last = max(known)
migrations.scripts = lambda: known | {{last: known[last] + "; SELECT die();"}}
connection = Connection(Path({str(old)!r}))
connection._connection.create_scalar_function("die", lambda: os.kill(os.getpid(), 9))
migrations.bring_up_to_date(connection, "1")
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    after = (version(old), schema(old))
    open_and_close(old)

    assert -9 == ended.returncode
    assert (1, before) == after
    assert migrations.newest_version() == version(old)


def test_a_migration_that_fails_leaves_the_ledger_as_it_was_and_says_so(old, monkeypatch):
    before = schema(old)
    known = migrations.scripts()
    monkeypatch.setattr(migrations, "scripts", lambda: known | {99: "CREATE TABLE added (a); CREATE TABLE added (a);"})
    monkeypatch.setattr(migrations, "newest_version", lambda: 99)
    with pytest.raises(LedgerError, match="already exists"):
        open_and_close(old)

    assert (1, before) == (version(old), schema(old))


def test_of_several_that_open_an_old_ledger_at_once_one_migrates_and_all_go_on(old):
    failed = []

    def act():
        try:
            open_and_close(old)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=act) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failed
    assert migrations.newest_version() == version(old)


def test_a_session_that_has_an_old_ledger_open_goes_on_while_another_migrates_it(old):
    """As the first version wrote an order: its statements, on a connection that was open before."""
    connection = Connection(old)
    insert = (
        "INSERT INTO intents (client_order_id, symbol, state, created_at, updated_at)"
        " VALUES (?, 'MSFT', 'fresh', '2026-01-01T00:00:00.000000Z', '2026-01-01T00:00:00.000000Z')"
    )
    with connection.transaction():
        connection.write(insert, "before")
    open_and_close(old)
    with connection.transaction():
        connection.write(insert.replace("MSFT", "TSLA"), "after")
    connection.close()
    ledger = SqliteLedger.open(old, SystemClock())
    symbols = ledger.symbols()
    ledger.close()

    assert ("AAPL", "MSFT", "TSLA") == symbols


def test_an_index_that_an_old_ledger_was_given_by_hand_does_not_stop_its_migration(old):
    """Versions between the first and the second made this one whenever a session began."""
    connection = apsw.Connection(str(old))
    connection.execute("CREATE INDEX intents_replacing ON intents (parent_intent) WHERE parent_intent IS NOT NULL")
    connection.close()
    open_and_close(old)

    assert migrations.newest_version() == version(old)


def test_whoever_finds_a_ledger_brought_up_to_date_by_another_runs_no_migration_twice(old):
    """It read the version before the other one was through."""
    open_and_close(old)
    connection, before = Connection(old), schema(old)
    migrations.bring_up_to_date(connection, "1")
    connection.close()

    assert (migrations.newest_version(), before) == (version(old), schema(old))
