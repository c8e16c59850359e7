"""A history written in bulk is one that could have been lived through."""

import apsw
import pytest

from benchmarks import history
from logos_core.clock import ManualClock
from logos_core.events import verify
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.testing.scripted import SYMBOL

ORDERS = {"filled": 3, "working": 2, "unknown": 2, "in flight": 1}


def rows(path):
    """Return every row of every table, but for what tells one ledger from another."""
    connection = apsw.Connection(str(path))
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = {table: connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables if table != "symbols"}
    connection.close()
    found["meta"] = [row for row in found["meta"] if row[0] != "ledger_id"]
    return found


@pytest.mark.parametrize("at_once", [2, 5_000])
def test_a_bulk_history_has_the_rows_that_sessions_write(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(history, "AT_ONCE", at_once)
    history.live_through(tmp_path / "lived.sqlite3", ORDERS)
    history.write(tmp_path / "bulk.sqlite3", ORDERS)

    assert rows(tmp_path / "lived.sqlite3") == rows(tmp_path / "bulk.sqlite3")


def test_a_bulk_history_is_a_ledger(tmp_path):
    history.write(tmp_path / "bulk.sqlite3", ORDERS)
    ledger = SqliteLedger.open(tmp_path / "bulk.sqlite3", ManualClock())
    found = (verify(ledger.events()), ledger.counts(), len(ledger.unsettled()), ledger.symbols())
    ledger.close()

    assert {history.SESSION} == set(found[0])
    assert ({"filled": 3, "new": 2, "unknown": 2, "in_flight": 1}, 3, (SYMBOL,)) == found[1:]
