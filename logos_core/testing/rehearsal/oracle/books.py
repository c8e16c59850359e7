"""One ledger's file, and the segments beside it, read by plain SQL and without the code that wrote them."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import apsw
from attrs import field, frozen

Row = Mapping[str, Any]

UNSETTLED = frozenset({"in_flight", "unknown"})


@frozen(kw_only=True)
class Event:
    """One event as it is stored.

    Attributes:
        intent: whose it is; a segment does not say, and the chain does not cover it.
    """

    sequence: int
    session_id: str
    number: int
    kind: str
    intent: int | None = field(eq=False)
    body: bytes
    previous: bytes
    hash: bytes

    def fields(self) -> dict[str, Any]:
        """Return what the event says."""
        said: dict[str, Any] = json.loads(self.body)
        return said


@frozen(kw_only=True)
class Books:
    """One ledger, read whole.

    Attributes:
        intents: each with its `orders`, `attempts` and `executions`.
        loose: executions that belong to no intent.
        closed_by_person: the intents that a named person closed with a reason, by their number.
        events: with those that were archived, in order.
        all_latches: every latch that was ever set.
        archived: whether events were; then the ledger does not say of each to which intent it belongs.
        amiss: what is wrong with the segments that events were archived into.
    """

    intents: tuple[dict[str, Any], ...] = ()
    loose: tuple[dict[str, Any], ...] = ()
    closed_by_person: frozenset[int] = frozenset()
    events: tuple[Event, ...] = ()
    all_latches: tuple[dict[str, Any], ...] = ()
    sessions: tuple[dict[str, Any], ...] = ()
    archived: bool = False
    amiss: tuple[str, ...] = ()

    @property
    def latches(self) -> tuple[str, ...]:
        """Why new orders are stopped now."""
        return tuple(row["reason"] for row in self.all_latches if row["released_at"] is None)

    @property
    def executions(self) -> tuple[dict[str, Any], ...]:
        """Every execution, whoever's it is."""
        return (*(row for intent in self.intents for row in intent["executions"]), *self.loose)

    def by_client_order_id(self) -> dict[str, dict[str, Any]]:
        """Return the intents by the id the venue knows them under."""
        return {intent["client_order_id"]: intent for intent in self.intents}


def read(path: Path) -> Books:
    """Read a ledger as it is."""
    connection = apsw.Connection(f"file:{path}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        connection.set_busy_timeout(5_000)
        connection.execute("BEGIN")
        intents = _rows(
            connection,
            "SELECT id, client_order_id, strategy, intent_id, payload, symbol, parent_intent, state FROM intents ORDER BY id",
        )
        parts = {
            "orders": _rows(
                connection, "SELECT intent, symbol, venue_order_id, role, report FROM venue_orders ORDER BY intent, number"
            ),
            "attempts": _rows(
                connection,
                "SELECT intent, number, session_id, committed_at, send_by, valid_until, outcome, settled_at FROM attempts"
                " ORDER BY intent, number",
            ),
            "executions": _rows(
                connection, "SELECT intent, symbol, execution_id, venue_order_id, body FROM executions ORDER BY id"
            ),
        }
        events = _rows(
            connection, "SELECT sequence, session_id, number, kind, intent, body, previous, hash FROM events ORDER BY sequence"
        )
        latches = _rows(connection, "SELECT id, reason, latched_at, released_at FROM latches ORDER BY id")
        sessions = _rows(connection, "SELECT session_id, strategy, process, closed_at FROM sessions ORDER BY session_id")
        has_segments = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'segments'").fetchall()  # the oldest have none
        segments = _rows(connection, "SELECT number, file FROM segments ORDER BY number") if has_segments else []
    finally:
        connection.close()
    for intent in intents:
        for name, rows in parts.items():
            intent[name] = [row for row in rows if row["intent"] == intent["id"]]
    whole, amiss = _with_archived(path, segments, [Event(**event) for event in events])
    resolved = [event for event in whole if event.kind == "resolved"]
    return Books(
        intents=tuple(intents),
        loose=tuple(row for row in parts["executions"] if row["intent"] is None),
        closed_by_person=frozenset(event.intent for event in resolved if event.intent is not None and _signed(event.fields())),
        events=whole,
        all_latches=tuple(latches),
        sessions=tuple(sessions),
        archived=bool(segments),
        amiss=tuple(amiss),
    )


def _signed(said: Row) -> bool:
    return bool(said.get("by") and said.get("because"))


def _rows(connection: apsw.Connection, sql: str) -> list[dict[str, Any]]:
    cursor = connection.execute(sql)
    names = re.findall(r"(\w+)(?:,| FROM)", sql.partition(" ORDER")[0])
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _with_archived(path: Path, segments: list[dict[str, Any]], events: list[Event]) -> tuple[tuple[Event, ...], list[str]]:
    """Put the events of the segments before those of the ledger; what stayed in both must be the same."""
    found: dict[int, Event] = {}
    amiss = []
    intents = {event.sequence: event.intent for event in events}
    for segment in segments:
        try:
            with gzip.open(path.with_name(segment["file"]), "rb") as file:
                lines = [json.loads(line) for line in file]
        except (OSError, EOFError, ValueError) as error:
            amiss.append(f"{segment['file']} cannot be read: {error}")
            continue
        for sequence, session_id, number, kind, body, previous, hashed in (line for line in lines if isinstance(line, list)):
            found[sequence] = Event(
                sequence=sequence, session_id=session_id, number=number, kind=kind, intent=intents.get(sequence),
                body=body.encode(), previous=bytes.fromhex(previous), hash=bytes.fromhex(hashed),
            )  # fmt: skip
    amiss += [
        f"event {event.sequence} is another one in its segment"
        for event in events
        if found.setdefault(event.sequence, event) != event
    ]
    return tuple(found[sequence] for sequence in sorted(found)), amiss


def figures(books: Books) -> dict[str, int]:
    """Return what a ledger comes to, in numbers."""
    states = Counter(intent["state"] for intent in books.intents)
    settled = [event.fields() for event in books.events if event.kind == "settled"]
    return {
        "accepted": sum(bool(intent["orders"]) for intent in books.intents),
        "filled": states["filled"],
        "rejected": states["rejected"],
        "unknown": len({said["client_order_id"] for said in settled if said["outcome"] == "unknown"}),
        "left": sum(states[state] for state in UNSETTLED),
        "attempts": sum(len(intent["attempts"]) for intent in books.intents),
        "events": len(books.events),
    }
