"""Ledgers that cannot be used, and how an account gets one again."""

import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from logos_core.clock import SystemClock
from logos_core.home import Home
from logos_core.ledger.sqlite import SqliteLedger
from tests.cli.conftest import bow_to_modes


def ledger_of(desk) -> Path:
    return Home(desk.home).ledgers()[0].path


@pytest.fixture
def traded(new_desk):
    """A desk whose account has one working order."""
    desk = new_desk()
    assert 0 == desk.submit("first").code
    return desk


def states(desk) -> dict[str, str]:
    return {order["intent_id"] or order["client_order_id"]: order["state"] for order in desk.logos("orders", "--json").data()}


def test_a_deleted_ledger_stops_orders_until_it_is_adopted_and_then_sends_none_twice(traded):
    first = traded.submit("first", "--json").data()
    ledger_of(traded).unlink()
    refused = traded.submit("first")
    adopted = traded.logos("ledger", "adopt", traded.preset, "--json", fresh=True)
    again = traded.submit("first", "--json")

    assert (2, "") == (refused.code, refused.out)
    assert "run `logos ledger adopt`" in refused.err
    assert (0, 1, []) == (adopted.code, adopted.data()["adopted"], adopted.data()["moved_aside"])
    assert (0, first["venue_order_id"]) == (again.code, again.data()["venue_order_id"])
    assert 1 == len(traded.simulator.ask("orders"))


def test_a_truncated_ledger_is_moved_aside_and_kept(traded):
    path = ledger_of(traded)
    damaged = path.read_bytes()[:1000]
    path.write_bytes(damaged)
    refused, status = traded.submit("first"), traded.logos("status", "--json")
    adopted = traded.logos("ledger", "adopt", traded.preset, "--json")
    kept = [Path(name) for name in adopted.data()["moved_aside"]]

    assert (2, 2) == (refused.code, status.code)
    assert "adopt" in refused.err
    assert [str(path)] == [row["path"] for row in status.data()["unreadable"]]
    assert (0, 1) == (adopted.code, adopted.data()["adopted"])
    assert [damaged] == [file.read_bytes() for file in kept if not file.name.endswith(("-wal", "-shm"))]
    assert all(file.name.startswith(f"{path.name}.replaced-") for file in kept)
    assert 0 == traded.submit("first").code


def test_a_restored_copy_is_brought_up_to_date_and_keeps_what_it_knows(traded):
    path = ledger_of(traded)
    shutil.copy(path, path.with_suffix(".backup"))
    traded.submit("second")
    shutil.copy(path.with_suffix(".backup"), path)
    refused = traded.submit("second")
    adopted = traded.logos("ledger", "adopt", traded.preset, "--json")

    assert 2 == refused.code
    assert (0, 1, []) == (adopted.code, adopted.data()["adopted"], adopted.data()["moved_aside"])
    assert 0 == traded.submit("second").code
    assert {"first": "new", "second": "pending_new"}.keys() == states(traded).keys()
    assert 2 == len(traded.simulator.ask("orders"))


def test_a_ledger_moves_to_where_the_preset_wants_it(traded):
    old, new = ledger_of(traded), traded.folder / "elsewhere" / "ledger.sqlite3"
    preset = traded.write("moved.toml", session__ledger=f'"{new}"')
    refused = traded.submit("first", preset=preset)
    adopted = traded.logos("ledger", "adopt", preset, "--json")

    assert (2, 0, 0) == (refused.code, adopted.code, adopted.data()["adopted"])
    assert (False, True) == (old.exists(), new.exists())
    assert 0 == traded.submit("first", preset=preset).code


def test_a_ledger_from_a_newer_version_is_left_as_it_is(traded):
    path = ledger_of(traded)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = '99' WHERE name = 'schema_version'")
    connection.commit()
    connection.close()
    refused, adopted = traded.submit("first"), traded.logos("ledger", "adopt", traded.preset)

    assert (2, 2) == (refused.code, adopted.code)
    assert "has schema 99" in refused.err and "has schema 99" in adopted.err
    assert [path.name] == [file.name for file in path.parent.glob("*.sqlite3*") if not file.name.endswith(("-wal", "-shm"))]


def test_a_ledger_that_was_tampered_with_is_left_as_it_is(traded):
    path = ledger_of(traded)
    connection = sqlite3.connect(path)
    connection.execute("DROP TRIGGER events_never_change")
    connection.execute("UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'AAPL', 'MSFT') AS BLOB) WHERE kind = 'attempt'")
    connection.commit()
    connection.close()
    adopted = traded.logos("ledger", "adopt", traded.preset)

    assert 8 == adopted.code
    assert "tampered with" in adopted.err and "Nothing was changed" in adopted.err


def test_a_ledger_that_may_not_be_written_is_refused_with_what_to_do(traded):
    ledger_of(traded).chmod(0o444)
    done = traded.logos("submit", traded.preset, "buy", "1", "AAPL", "--intent-id", "second", preexec_fn=bow_to_modes)

    assert (2, "") == (done.code, done.out)
    assert "is read-only" in done.err and "writable" in done.err
    assert 1 == len(traded.simulator.ask("orders"))


def test_adopting_waits_for_no_session_and_disturbs_none(traded):
    identity = SqliteLedger.open(ledger_of(traded), SystemClock()).identity
    with Home(traded.home).ledger_lock(identity, exclusive=False):
        done = traded.logos("ledger", "adopt", traded.preset)

    assert (2, "") == (done.code, done.out)
    assert "a session has the ledger of PA3SIMULATED open" in done.err


def test_an_attempt_of_a_session_that_nobody_remembers_becomes_unknown_and_is_then_found_out(traded):
    """As after a LOGOS_HOME that was lost while an order was on its way."""
    path = ledger_of(traded)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE intents SET state = 'in_flight'")
    connection.execute("UPDATE attempts SET outcome = NULL")
    connection.execute("DELETE FROM venue_orders")
    connection.commit()
    connection.close()
    for lock in (traded.home / "sessions").glob("*.lock"):
        lock.unlink()
    left = traded.logos("recover", traded.preset)
    adopted = traded.logos("ledger", "adopt", traded.preset, "--json")
    recovered = traded.logos("recover", traded.preset)

    assert (2, True) == (left.code, "logos ledger adopt" in left.err)
    assert (1, []) == (len(adopted.data()["made_unknown"]), adopted.data()["unknown"]), "the venue still shows it"
    assert 0 == recovered.code
    assert {"first": "new"} == states(traded)


def test_a_registry_entry_that_cannot_be_read_hides_nothing_else(traded):
    next((traded.home / "ledgers").glob("*.json")).write_text("{")
    traded.logos("halt")
    done = traded.logos("status", "--json")

    assert 2 == done.code
    assert (["everything"], 1) == (list(done.data()["halts"]), len(done.data()["unreadable"]))


def test_old_events_are_archived_and_the_intent_is_answered_as_before(traded):
    before = traded.submit("first").out
    path = ledger_of(traded)
    connection = sqlite3.connect(path)  # what was recorded a moment ago is old
    events = connection.execute("SELECT count(*) FROM events").fetchone()[0]
    connection.close()
    early = traded.logos("ledger", "archive", traded.preset, "--before", "2020-01-01", "--json")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    done = traded.logos("ledger", "archive", path, "--before", now, "--json")
    wrong = [traded.logos("ledger", "archive", traded.preset, "--before", said) for said in ("soon", "2999-01-01")]
    again = traded.submit("first").out
    adopted = traded.logos("ledger", "adopt", traded.preset, "--json")

    assert (0, None, []) == (early.code, early.data()["segment"], early.data()["missing"])
    assert (0, 1, []) == (done.code, done.data()["segment"]["first"], done.data()["missing"])
    assert events <= done.data()["segment"]["last"]
    assert [2, 2] == [result.code for result in wrong]
    assert before == again
    assert (0, 0) == (adopted.code, adopted.data()["adopted"])


def archive(desk, which) -> Path:
    """Archive everything up to now, and return the segment."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    done = desk.logos("ledger", "archive", which, "--before", now, "--json")
    assert (0, []) == (done.code, done.data()["missing"]), done.err
    return Path(done.data()["segment"]["path"])


def test_segments_go_with_a_ledger_that_moves_again_and_again(traded):
    first = archive(traded, traded.preset)
    kept = first.read_bytes()
    places = [traded.folder / place for place in ("a/ledger.sqlite3", "a/another.sqlite3", "b/ledger.sqlite3")]
    (traded.folder / "b").mkdir()
    (traded.folder / "b" / first.name).write_text("half of it, as a move that was cut off leaves it")
    for place in places:
        preset = traded.write("moved.toml", session__ledger=f'"{place}"')
        adopted = traded.logos("ledger", "adopt", preset, "--json")

        assert (0, 0) == (adopted.code, adopted.data()["adopted"]), adopted.err
        assert kept == (place.parent / first.name).read_bytes()
        archive(traded, place)  # says what is missing
    assert 0 == traded.submit("first", preset=preset).code
    assert [] == [*first.parent.glob("*.segment-*"), *(traded.folder / "a").glob("*.segment-*")]
    assert 1 == len(list((traded.folder / "b").glob(f"{first.name}.replaced-*")))
    assert 1 == len(traded.simulator.ask("orders"))


def test_a_move_that_is_cut_off_after_the_segments_is_taken_up_again(traded):
    first = archive(traded, traded.preset)
    place = traded.folder / "a" / "ledger.sqlite3"
    place.parent.mkdir()
    shutil.move(first, place.parent)  # what the run before had done
    preset = traded.write("moved.toml", session__ledger=f'"{place}"')
    adopted = traded.logos("ledger", "adopt", preset, "--json")

    assert 0 == adopted.code, adopted.err
    archive(traded, place)


def test_the_segment_of_a_ledger_that_was_lost_is_never_overwritten(traded):
    first = archive(traded, traded.preset)
    kept = first.read_bytes()
    ledger_of(traded).write_bytes(b"no ledger any more")
    traded.logos("ledger", "adopt", traded.preset)
    second = archive(traded, traded.preset)

    assert first == second
    assert [kept] == [file.read_bytes() for file in first.parent.glob(f"{first.name}.replaced-*")]


def test_no_segment_is_needed_to_trade(traded):
    before = traded.submit("first").out
    archive(traded, traded.preset).unlink()
    again, second = traded.submit("first").out, traded.submit("second")
    ended = [traded.logos(*command, traded.preset) for command in (("recover",), ("reconcile",), ("ledger", "adopt"))]
    told = traded.logos("ledger", "archive", traded.preset, "--before", "2020-01-01")

    assert before == again
    assert [0, 0, 0, 0, 0] == [second.code, *(done.code for done in ended), told.code]
    assert "MISSING: segment" in told.out
    assert 2 == len(traded.simulator.ask("orders"))


def test_a_ledger_in_use_is_not_archived(traded):
    path = ledger_of(traded)
    with Home(traded.home).ledger_lock(SqliteLedger.open(path, SystemClock()).identity, exclusive=False):
        refused = traded.logos("ledger", "archive", path, "--before", "2026-01-01")

    assert 2 == refused.code
    assert "close it first" in refused.err
