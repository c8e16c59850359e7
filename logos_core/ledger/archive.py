"""Old events move out of the ledger into segment files beside it.

Rules:

1. A segment holds every event of a stretch of the ledger, and the heads of the chains before and after it: it can be verified alone,
   and the chains can be verified over all segments and the ledger.
2. The segment is durable before anything is removed, and what is removed goes in one transaction that also records the segment. Killed
   in between, a segment lies there that the ledger does not know; the next run writes it anew, and keeps the other if it differs.
3. Only events move. Intents, attempts, reports and executions stay: they are what a submit is answered from, for ever, and what
   positions are summed from. So no segment is ever needed to trade.
"""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from attrs import frozen

from logos_core import events
from logos_core.errors import AuditError, LedgerError
from logos_core.events import Heads, StoredEvent, moment
from logos_core.ledger import codec
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.records import Segment
from logos_core.systems import sync_folder

FORMAT = "logos segment 1"


@frozen(kw_only=True)
class Archived:
    """What a segment says.

    Attributes:
        before: the heads of the chains that its events go on from.
        after: the heads of all chains in it.
        events: how many it holds.
    """

    before: Heads
    after: Heads
    events: int


def archive(ledger: SqliteLedger, before: datetime) -> Segment | None:
    """Move the events from before a time into a new segment and return it, or None if there are none.

    Raises:
        ChainBrokenError: an event is not what was written. Nothing was moved.
        LedgerError: the segment cannot be written. Nothing was moved.
    """
    path, number = _place(ledger)
    segment = _write(ledger, path, number, before)
    if segment is not None:
        ledger.let_go(segment, before)
    return segment


def verify(ledger: SqliteLedger) -> tuple[dict[str, tuple[int, bytes]], list[str]]:
    """Check every chain over all segments and the ledger; return their heads, and the segments that are missing.

    Raises:
        ChainBrokenError: an event is not what was written.
        AuditError: a segment is not what was written, or the chains do not go on from it as they should.
    """
    missing: list[str] = []
    heads: dict[str, tuple[int, bytes]] = {}
    for segment in ledger.segments():
        path = ledger.path.with_name(segment.file)
        if not path.exists():
            missing.append(segment.file)
        else:
            heads |= _checked(path, segment)
        heads |= segment.heads
    return events.verify(ledger.events(), heads), missing


def read(path: Path) -> Archived:
    """Read a segment and verify its chains.

    Raises:
        AuditError: it is damaged, or is not what was written.
    """
    tail: dict[str, Any] = {}
    try:
        with gzip.open(path, "rb") as file:
            head = json.loads(file.readline())
            before = codec.heads_from(json.dumps(head["before"]))
            after = events.verify(_stored(file, tail), before)
        whole = head["format"] == FORMAT and codec.heads_body(after) == tail["after"]
        found = Archived(before=before, after=after, events=tail["events"])
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, zlib.error) as error:
        raise AuditError(f"the segment {path} cannot be read ({error}); restore it from a copy") from error
    if not whole:
        raise AuditError(f"the segment {path} is not whole; restore it from a copy")
    return found


def _stored(lines: Iterable[bytes], tail: dict[str, Any]) -> Iterator[StoredEvent]:
    """Return the events of a segment, in order, and put what follows them into `tail`."""
    for line in lines:
        row = json.loads(line)
        if isinstance(row, dict):
            tail.update(row)
            continue
        sequence, session_id, number, kind, body, previous, hashed = row
        yield StoredEvent(
            sequence=sequence, session_id=session_id, number=number, kind=kind, body=body.encode(),
            previous=bytes.fromhex(previous), hash=bytes.fromhex(hashed),
        )  # fmt: skip


def _checked(path: Path, segment: Segment) -> dict[str, tuple[int, bytes]]:
    if _digest(path) != segment.sha256:
        raise AuditError(f"the segment {path} is not the one that was written; restore it from a copy")
    found = read(path)
    wrong = [session for session, head in segment.heads.items() if found.after.get(session, found.before.get(session)) != head]
    if wrong:
        raise AuditError(f"the chain of session {wrong[0]} does not go on from the segment {path}")
    return dict(found.after)


def _place(ledger: SqliteLedger) -> tuple[Path, int]:
    number = len(ledger.segments()) + 1
    return ledger.path.with_name(f"{ledger.path.name}.segment-{number:04d}.jsonl.gz"), number


def _write(ledger: SqliteLedger, path: Path, number: int, before: datetime) -> Segment | None:
    """Write a segment durably, whole or not at all."""
    scratch = path.with_name(f".{path.name}")
    old = takewhile(lambda event: moment(event.fields()["at"]) < before, ledger.events())
    try:
        with scratch.open("wb") as file:
            with gzip.GzipFile("", "wb", 6, file, mtime=0) as packed:
                written, heads = _write_events(packed, ledger, old)
            file.flush()
            os.fsync(file.fileno())
        if not written:
            scratch.unlink()
            return None
        digest = _digest(scratch)
        _keep_other(path, digest)
        scratch.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise LedgerError(f"the segment {path} cannot be written ({error}); nothing was archived") from error
    first, last = written[0], written[-1]
    return Segment(number=number, file=path.name, sha256=digest, first=first, last=last, heads=_going_on(ledger, last, heads))


def _keep_other(path: Path, digest: str) -> None:
    """Move another file of this name aside: it may be all there is of what a ledger that was lost had archived."""
    if path.exists() and (other := _digest(path)) != digest:
        path.replace(path.with_name(f"{path.name}.replaced-{other[:8]}"))


def _write_events(packed: gzip.GzipFile, ledger: SqliteLedger, old: Iterable[StoredEvent]) -> tuple[list[int], Heads]:
    """Write the lines of a segment; return the first and the last sequence number, and the heads of the chains after them."""
    written: list[int] = []
    count = 0
    owner, start = ledger.identity, ledger.archived_heads()
    account = {"venue": owner.venue, "environment": owner.environment, "account_id": owner.account_id}
    packed.write(_line({"format": FORMAT, "ledger": ledger.ledger_id(), **account, "before": codec.heads_body(start)}))

    def noted() -> Iterator[StoredEvent]:
        nonlocal count
        for event in old:
            packed.write(_line(_row(event)))
            written[min(count, 1) :] = [event.sequence]
            count += 1
            yield event

    after = events.verify(noted(), start)
    packed.write(_line({"after": codec.heads_body(after), "events": count}))
    return written, after


def _row(event: StoredEvent) -> list[Any]:
    return [event.sequence, event.session_id, event.number, event.kind, event.body.decode(), event.previous.hex(), event.hash.hex()]


def _line(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"


def _going_on(ledger: SqliteLedger, last: int, heads: Heads) -> Heads:
    """Return the heads of the chains that have events after a segment: the next one goes on from them."""
    later = {event.session_id for event in ledger.events() if event.sequence > last}
    return {session: head for session, head in heads.items() if session in later}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
