"""Old events may leave the ledger. No intent ever does."""

import gzip
import json
import os
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import apsw
import pytest

from logos_core import LogosError, OrderConflictError, OrderNotPlacedError, OrderRejectedError
from logos_core.clock import ManualClock
from logos_core.errors import AuditError, LedgerError
from logos_core.events import verify
from logos_core.ledger import archive, codec
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.orders import OrderStatus
from logos_core.records import AttemptOutcome as A
from logos_core.testing import scripted
from logos_core.testing.scripted import ScriptedVenue
from tests.unit.making import OWNER, Book, execution_of, order, report_of

YEAR_S = 365 * 86_400.0
KEEP = ("working", "unknown", "in flight", "watched", "not sent", "doubled")
GO = ("filled", "cancelled", "rejected", "placed never")
_STATUS = {
    "filled": OrderStatus.FILLED,
    "cancelled": OrderStatus.CANCELED,
    "working": OrderStatus.NEW,
    "doubled": OrderStatus.CANCELED,
}


def lived(path):
    """Return a ledger in which, a year ago, an order came to every end, and since then one was filled."""
    book = Book(path)
    for name in (*GO, *KEEP):
        book.claim(name)
        if name in _STATUS:
            report = report_of(name, venue_order_id=f"v-{name}", status=_STATUS[name], executions=_executions(name))
            book.settle(A.ACCEPTED, name=name, report=report)
    book.settle(A.REJECTED, name="rejected")
    book.settle(A.ABSENT, name="placed never")
    book.settle(A.NOT_SENT, name="not sent")
    for name in ("unknown", "watched"):
        book.settle(A.UNKNOWN, name=name)
    book.apply(report_of("doubled", venue_order_id="a second one"))
    book.ledger.close_by_person("watched", by="somebody", because="of a letter", evidence={})
    book.ledger.release("somebody", "the second order is known")
    book.ledger.end_session()
    book.clock.sleep(YEAR_S)
    book.ledger.begin_session("s2", "test", "host:1")
    book.claim("of today")
    return book


def _executions(name):
    if name != "filled":
        return ()
    return (execution_of("t-filled", "v-filled", client_order_id=name, quantity=Decimal(1)),)


def year_end(book):
    return book.clock.now() - timedelta(days=1)


def archived(book):
    """Archive what is older than a day, and return the segment."""
    segment = archive.archive(book.ledger, year_end(book))
    assert segment is not None
    return segment


def everything(ledger):
    """Return all that is on record of every intent, and what is set and summed."""
    tables = ("intents", "attempts", "venue_orders", "executions", "latches", "symbols", "sessions")
    rows = {table: ledger._db.rows(f"SELECT * FROM {table}") for table in tables}
    return rows, ledger.recorded(1_000), ledger.unsettled(), ledger.working(), ledger.duplicates()


@pytest.fixture
def old(tmp_path):
    made = lived(tmp_path / "ledger.sqlite3")
    yield made
    made.ledger.close()


def test_no_row_but_events_is_touched(old):
    before = everything(old.ledger)
    archive.archive(old.ledger, year_end(old))

    assert before == everything(old.ledger)


def test_the_events_of_what_is_over_leave_and_the_story_of_what_is_not_stays(old):
    before = {name: list(old.ledger.events(name)) for name in (*GO, *KEEP, "of today")}
    archive.archive(old.ledger, year_end(old))
    after = {name: list(old.ledger.events(name)) for name in before}

    assert {name: [] for name in GO} == {name: after[name] for name in GO}
    assert {name: before[name] for name in (*KEEP, "of today")} == {name: after[name] for name in (*KEEP, "of today")}
    assert all(before.values())


def test_the_chains_verify_over_the_segment_and_the_ledger(old):
    before = list(old.ledger.events())
    segment = archived(old)
    found = archive.read(old.path.with_name(segment.file))
    heads, missing = archive.verify(old.ledger)
    after = list(old.ledger.events())

    assert (segment.last, len([event for event in before if event.session_id == "s1"])) == (
        before[found.events - 1].sequence,
        found.events,
    )
    assert before[found.events :] == after[:-1]
    assert "archived" == after[-1].kind
    assert (verify([*before, after[-1]]), []) == (heads, missing)


def test_a_session_that_goes_on_after_a_segment_is_verified_from_its_head(old):
    """The archive ends in the middle of a chain, and the next begins there."""
    old.clock.sleep(YEAR_S)
    old.claim("later")
    first = archived(old)
    old.clock.sleep(YEAR_S)
    old.claim("later still")
    second = archived(old)
    third = archive.archive(old.ledger, year_end(old))
    heads, missing = archive.verify(old.ledger)

    assert ["s2"] == list(first.heads) == list(second.heads)
    assert (first.last + 1, None) == (second.first, third)
    assert ({"s1", "s2"}, []) == (set(heads), missing)
    assert set(verify(old.ledger.events(), old.ledger.archived_heads())) == {"s2"}


def test_a_later_checkpoint_does_not_take_what_stayed_of_a_chain_for_its_head(old):
    """The first two events of a session stay, for the sake of an order in flight; the third, its head, was archived."""
    old.ledger.note("denied", {"reason": "TEST"})
    old.clock.sleep(YEAR_S)
    old.ledger.begin_session("s3", "test", "host:1")
    segment = archived(old)
    old.ledger.end_session()
    (closed,) = [event for event in old.ledger.events() if event.kind == "session_closed"]

    assert [2] == [event.number for event in old.ledger.events("of today")]
    assert (3, ["s3"]) == (archive.read(old.path.with_name(segment.file)).after["s2"][0], list(closed.fields()["checkpoint"]))


def test_an_archived_intent_is_answered_as_before_and_conflicts_as_before(tmp_path):
    venue, clock = ScriptedVenue(), ManualClock()
    session = scripted.compose(tmp_path, venue, clock=clock)
    venue.on_submit(scripted.accept(OrderStatus.FILLED), scripted.reject(), scripted.accept())
    names = ("filled", "rejected", "cancelled", "closed")
    for name in names[:3]:
        _ended(session, name)
    session.adapter.cancel("cancelled")
    venue.on_submit(scripted.time_out_before())
    venue.on_lookup(*[scripted.fail()] * 3)
    _ended(session, "closed")
    session.ledger.close_by_person(session.adapter._parts.cache.client_order_id("closed"), by="x", because="y", evidence={})
    before = [_ended(session, name) for name in names]
    clock.sleep(YEAR_S)
    archive.archive(session.ledger, clock.now() - timedelta(days=1))
    sent = len(venue.received)
    session.close()
    session = scripted.compose(tmp_path, venue, clock=clock)
    after = [_ended(session, name) for name in names]
    conflicts = [_ended(session, name, quantity="2") for name in names]
    session.close()

    assert before == after
    assert [OrderRejectedError, OrderNotPlacedError] == [after[1], after[3]]
    assert [OrderConflictError] * 4 == conflicts
    assert sent == len(venue.received)


def _ended(session, name, **changes):
    try:
        return session.adapter.submit(order(name, **changes))
    except LogosError as error:
        return type(error)


@pytest.mark.parametrize("where", ["before the ledger knows", "in the middle of the removal"])
def test_killed_anywhere_the_ledger_is_whole_and_the_next_run_does_it(tmp_path, where):
    book = lived(tmp_path / "ledger.sqlite3")
    before, events = everything(book.ledger), list(book.ledger.events())
    moment = year_end(book)
    book.ledger.close()
    die = "os.kill(os.getpid(), 9)"
    patch = (
        f"SqliteLedger.let_go = lambda *_: {die}" if where.startswith("before")
        else f"SqliteLedger._event = lambda self, kind, *_: {die}"
    )  # fmt: skip
    program = f"""
import os
from datetime import datetime
from pathlib import Path
from logos_core.clock import ManualClock
from logos_core.ledger.archive import archive
from logos_core.ledger.sqlite import SqliteLedger
{patch}
ledger = SqliteLedger.open(Path({str(book.path)!r}), ManualClock())
ledger._session = "s2"
archive(ledger, datetime.fromisoformat({moment.isoformat()!r}))
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    ledger = SqliteLedger.open(book.path, book.clock, OWNER)
    found = (everything(ledger), list(ledger.events()), ledger.segments())
    left = ledger.path.with_name(f"{ledger.path.name}.segment-0001.jsonl.gz").read_bytes()
    ledger.begin_session("s3", "test", "host:1")
    segment = archive.archive(ledger, moment)
    assert segment is not None
    heads, missing = archive.verify(ledger)

    assert -9 == ended.returncode
    assert (before, events, []) == found
    assert left == ledger.path.with_name(segment.file).read_bytes()
    assert ({"s1", "s2", "s3"}, []) == (set(heads), missing)
    with pytest.raises(apsw.ConstraintError, match="append-only"):
        with ledger._transaction():
            ledger._db.write("DELETE FROM events")
    ledger.close()


def test_events_are_append_only_before_and_after(old):
    for _ in range(2):
        with pytest.raises(apsw.ConstraintError, match="append-only"):
            with old.ledger._transaction():
                old.ledger._db.write("DELETE FROM events")
        archive.archive(old.ledger, year_end(old))


def test_a_segment_and_its_place_are_durable_before_anything_is_removed(old, monkeypatch):
    said: list[str] = []
    sync, let_go = os.fsync, old.ledger.let_go

    def noted_sync(descriptor):
        sync(descriptor)
        said.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))

    def noted_removal(*given):
        said.append("removed")
        let_go(*given)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(old.ledger, "let_go", noted_removal)
    segment = archived(old)

    assert [str(old.path.with_name(f".{segment.file}")), str(old.path.parent), "removed"] == said


def test_a_segment_that_cannot_be_written_leaves_the_ledger_as_it_was(old, monkeypatch):
    before = list(old.ledger.events())
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(LedgerError, match="nothing was archived"):
        archive.archive(old.ledger, year_end(old))

    assert (before, []) == (list(old.ledger.events()), old.ledger.segments())


def test_events_that_were_tampered_with_are_not_archived(old):
    with old.ledger._transaction():
        old.ledger._db.write("DROP TRIGGER events_never_change")
        old.ledger._db.write("UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'somebody', 'nobody') AS BLOB)")
    before = list(old.ledger.events())
    with pytest.raises(AuditError):
        archive.archive(old.ledger, year_end(old))

    assert (before, []) == (list(old.ledger.events()), old.ledger.segments())


def test_a_missing_segment_is_told_and_an_altered_one_is_refused(old):
    segment = archived(old)
    path = old.path.with_name(segment.file)
    whole = path.read_bytes()
    path.unlink()
    missing = archive.verify(old.ledger)[1]
    for damaged in (whole[: len(whole) // 2], whole[:-9] + b"x" + whole[-8:], b"", _rewritten(whole)):
        path.write_bytes(damaged)
        with pytest.raises(AuditError):
            archive.verify(old.ledger)
    with pytest.raises(AuditError):
        archive.read(path)
    path.write_bytes(whole)

    assert [segment.file] == missing
    assert [] == archive.verify(old.ledger)[1]


def _altered(whole, place, change):
    """Change what one line says, as somebody would who can pack a file."""
    lines = [json.loads(line) for line in gzip.decompress(whole).splitlines()]
    lines[place] = change(lines[place])
    return gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


ALTERED = {
    "of another format": (0, lambda head: {**head, "format": "logos segment 2"}),
    "heads that its events do not lead to": (-1, lambda tail: {**tail, "after": {"s1": "1:" + "00" * 32}}),
    "an event without its end": (1, lambda row: row[:-1]),
    "an event that is a number": (1, lambda row: [*row[:4], 5, *row[5:]]),
    "a beginning that is none": (0, lambda head: [1]),
    "no end": (-1, lambda tail: {}),
}


@pytest.mark.parametrize(("place", "change"), ALTERED.values(), ids=list(ALTERED))
def test_a_segment_is_whole_by_its_own_word_or_refused(old, place, change):
    """Read alone, without the ledger that knows its hash."""
    path = old.path.with_name(archived(old).file)
    whole = path.read_bytes()
    events = archive.read(path).events
    path.write_bytes(_altered(whole, place, change))
    with pytest.raises(AuditError, match="restore it from a copy"):
        archive.read(path)

    path.write_bytes(_altered(whole, place, lambda line: line))
    assert events == archive.read(path).events > 0, "packed anew, and nothing changed"


def test_a_ledger_that_goes_on_from_elsewhere_than_its_segment_ends_is_refused(old):
    archived(old)
    with old.ledger._transaction():
        heads = {"s1": (1, b"0" * 32)}
        old.ledger._db.write("UPDATE segments SET heads = ?", json.dumps(codec.heads_body(heads)))
    with pytest.raises(AuditError, match="the chain of session s1 does not go on from the segment"):
        archive.verify(old.ledger)


def test_a_segment_of_a_ledger_that_was_lost_is_kept_beside_the_new_one(old):
    place = old.path.with_name(f"{old.path.name}.segment-0001.jsonl.gz")
    place.write_bytes(b"all there is of another ledger")
    segment = archived(old)

    assert [b"all there is of another ledger"] == [path.read_bytes() for path in place.parent.glob(f"{place.name}.replaced-*")]
    assert (place.name, []) == (segment.file, archive.verify(old.ledger)[1])


def _rewritten(whole):
    """Change one event, as somebody would who can pack a file."""
    lines = gzip.decompress(whole).splitlines(keepends=True)
    lines[2] = lines[2].replace(b"filled", b"chosen")
    assert json.loads(lines[2])
    return gzip.compress(b"".join(lines))


def test_nothing_old_is_nothing_to_do(old):
    assert archive.archive(old.ledger, old.clock.now() - timedelta(days=1_000)) is None
    assert [old.path.name] == [file.name for file in old.path.parent.iterdir() if "-" not in file.name]
