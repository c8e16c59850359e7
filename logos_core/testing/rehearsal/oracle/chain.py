"""The chain of events, verified anew, and what was on record before and is not any more.

Each session has a chain: an event's hash is SHA-256 of the hash before it and of its own bytes, beginning with the hash of a fixed text.
A session that closes says how far every chain had come; that must be so.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from logos_core.testing.rehearsal.oracle.books import Books, Event, Row
from logos_core.testing.rehearsal.oracle.invariants import Finding

BEGINNING = sha256(b"logos event chain 1").digest()
VERIFY = "the chains verify"


def chains(events: Iterable[Event]) -> Iterator[Finding]:
    """Return the first event at which a chain breaks, and every checkpoint that is not true."""
    heads: dict[str, tuple[int, bytes]] = {}
    grown: dict[str, int] = {}
    for event in events:
        number, previous = heads.get(event.session_id, (0, BEGINNING))
        whole = (event.number, event.previous) == (number + 1, previous) and event.hash == sha256(previous + event.body).digest()
        said = event.fields()
        if not whole or (said["kind"], said["session"]) != (event.kind, event.session_id):
            yield Finding(VERIFY, f"event {event.sequence}", f"does not follow event {number} of session {event.session_id}")
            return
        if event.kind == "session_closed":
            yield from _checkpoint(event, heads, grown)
        heads[event.session_id] = event.number, event.hash
        grown[event.session_id] = event.sequence


def _checkpoint(event: Event, heads: dict[str, tuple[int, bytes]], grown: dict[str, int]) -> Iterator[Finding]:
    said = event.fields()
    wanted = {name: f"{heads[name][0]}:{heads[name][1].hex()}" for name, last in grown.items() if last >= said["since"]}
    if said["checkpoint"] != wanted:
        yield Finding(VERIFY, f"event {event.sequence}", "the checkpoint does not say how far the chains had come")


def lost(before: Iterable[Any], after: Iterable[Event]) -> list[Finding]:
    """Return the events that were there before and are not, byte for byte, after.

    Args:
        before: as they were read then, by whatever code; only what an event says of itself is compared.
    """
    later = {event.sequence: _stored(event) for event in after}
    gone = [event for event in before if later.get(event.sequence) != _stored(event)]
    return [Finding("no event is lost", f"event {event.sequence}", "is gone or changed") for event in gone]


def _stored(event: Any) -> tuple[Any, ...]:
    return event.session_id, event.number, event.kind, event.body, event.previous, event.hash


def vanished(before: Books, after: Books) -> list[Finding]:
    """Return everything that was on record before and is not after: an event, a row, an outcome."""
    return [*lost(before.events, after.events), *_rows(before, after)]


def _rows(before: Books, after: Books) -> Iterator[Finding]:
    later = {intent["id"]: intent for intent in after.intents}
    for intent in before.intents:
        name, now = intent["client_order_id"], later.get(intent["id"])
        if now is None or not _same(intent, now, "client_order_id", "strategy", "intent_id", "payload", "parent_intent"):
            yield Finding("no row is lost", name, "the intent is gone, or another one")
            continue
        orders = {(row["symbol"], row["venue_order_id"]): row["role"] for row in now["orders"]}
        for row in intent["orders"]:
            if orders.get((row["symbol"], row["venue_order_id"])) != row["role"]:
                yield Finding("no row is lost", name, f"order {row['venue_order_id']} is gone, or no {row['role']} any more")
        yield from _attempts(name, intent["attempts"], {row["number"]: row for row in now["attempts"]})
    executions = {(row["symbol"], row["execution_id"]): row for row in after.executions}
    for row in before.executions:
        found = executions.get((row["symbol"], row["execution_id"]))
        if found is None or not _same(row, found, "intent", "body"):
            yield Finding("no row is lost", row["execution_id"], "the execution is gone, or another one")


def _attempts(name: str, before: Iterable[Row], later: dict[int, Row]) -> Iterator[Finding]:
    for row in before:
        now = later.get(row["number"])
        if now is None or not _same(row, now, "session_id", "committed_at", "send_by", "valid_until"):
            yield Finding("no row is lost", name, f"attempt {row['number']} is gone, or another one")
        elif row["outcome"] != now["outcome"] and (row["outcome"] not in {None, "unknown"} or now["outcome"] is None):
            yield Finding("no outcome is taken back", name, f"attempt {row['number']} was {row['outcome']}, then {now['outcome']}")


def _same(before: Row, after: Row, *names: str) -> bool:
    """Say whether what was said is said still; what was not said may be said since."""
    return all(before[name] in {None, after[name]} for name in names)
