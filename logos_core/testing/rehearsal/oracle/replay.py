"""The events, played again from the beginning: do they make the tables, by steps that exist?

Theory of operation:

* The table below is written down anew, from what a person would allow an order to do; the ledger's own machine is not asked.
* An event says where it leaves its intent. That must be a step from where the one before left it, and a possible end of such an event.
* An outcome is written once. One that was unknown may become known: by itself, by the order that turns up, by a proof of absence of
  a later attempt, or by a person.
* What the events come to must be what the tables hold: states, attempts, orders, executions, latches, sessions.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from attrs import define, field

from logos_core.testing.rehearsal.oracle.books import Books, Event, Row
from logos_core.testing.rehearsal.oracle.invariants import Finding

ENDS = frozenset({"filled", "canceled", "expired"})
ORDER = ENDS | {"pending_new", "new", "partially_filled", "pending_cancel"}
WORKS = ENDS | {"partially_filled", "pending_cancel"}

STEPS: dict[str | None, frozenset[str]] = {
    None: ORDER | {"fresh", "in_flight", "rejected"},
    "fresh": ORDER | {"in_flight", "rejected", "not_placed"},
    "in_flight": ORDER | {"not_sent", "unknown", "rejected", "not_placed"},
    "not_sent": ORDER | {"in_flight", "not_placed"},
    "unknown": ORDER | {"in_flight", "rejected", "not_placed"},
    "rejected": ORDER,
    "not_placed": ORDER,
    "pending_new": WORKS | {"new", "rejected"},
    "new": WORKS | {"rejected"},
    "partially_filled": WORKS,
    "pending_cancel": WORKS | {"new"},
    **{end: frozenset() for end in ENDS},
}
"""Where an intent may go; to stay is always allowed."""

COMES_TO: dict[str, frozenset[str]] = {
    "attempt": frozenset({"in_flight"}),
    "replacement_begun": frozenset({"fresh"}),
    "replacement_closed": frozenset({"not_placed"}),
    "resolved": frozenset({"not_placed"}),
    "settled not_sent": ORDER | {"not_sent", "unknown"},
    "settled accepted": ORDER,
    "settled rejected": ORDER | {"rejected", "unknown"},
    "settled unknown": ORDER | {"unknown", "rejected"},
    "settled absent": ORDER | {"not_placed", "unknown"},
}
"""Where an event may leave an intent; a report leaves it where the report says, or lets it be."""

MAKE = "the events make the tables"
LEGAL = "every transition is legal"


@define
class _Intent:
    """One intent as the events make it."""

    name: str
    state: str | None = None
    attempts: dict[int, str | None] = field(factory=dict)
    orders: dict[tuple[str, str], dict[str, Any]] = field(factory=dict)

    def is_doubtful(self, beside: int, above: int = 0) -> bool:
        """Say whether another attempt is unknown."""
        return any(said == "unknown" and number != beside and number > above for number, said in self.attempts.items())

    def end_unknown(self, outcome: str, up_to: int | None = None) -> None:
        """Let what was unknown be known."""
        for number, said in self.attempts.items():
            if said == "unknown" and (up_to is None or number <= up_to):
                self.attempts[number] = outcome


def replayed(books: Books) -> Iterator[Finding]:
    """Return every step that does not exist, and everything that the events do not make."""
    intents: dict[int, _Intent] = {}
    known = {row["id"]: row["client_order_id"] for row in books.intents}
    for event in books.events:
        said = event.fields()
        if event.intent is None or not _is_about_state(event, said):
            continue
        if event.intent not in known:
            yield Finding(MAKE, f"event {event.sequence}", f"is about intent {event.intent}, which is in no table")
            continue
        intent = intents.get(event.intent)
        if intent is None:
            if books.archived and not _begins(event, said):  # the story's beginning is in a segment, which names no intents
                known.pop(event.intent)
                continue
            intent = intents[event.intent] = _Intent(known[event.intent])
        yield from _play(intent, event, said)
    for row in books.intents:
        if row["id"] in intents:
            yield from _same(row, intents[row["id"]])
        elif not books.archived:
            yield Finding(MAKE, row["client_order_id"], f"is {row['state']}, and no event says how it began")
    yield from _executions(books)
    yield from _latches(books)
    yield from _sessions(books)


def _is_about_state(event: Event, said: Row) -> bool:
    return event.kind in {"attempt", "leg_reported"} or "state" in said or event.kind == "replacement_begun"


def _begins(event: Event, said: Row) -> bool:
    return event.kind in {"adopted", "replacement_begun"} or (event.kind == "attempt" and said["attempt"] == 1)


def _play(intent: _Intent, event: Event, said: Row) -> Iterator[Finding]:
    """Take one event; return what is wrong with it."""
    report = said.get("report") or {}
    if event.kind == "leg_reported":
        intent.orders[report["symbol"], report["venue_order_id"]] = report
        return
    outcome = f" {said['outcome']}" if event.kind == "settled" else ""
    after = {"attempt": "in_flight", "replacement_begun": "fresh"}.get(event.kind) or said["state"]
    may = COMES_TO.get(event.kind + outcome) or {report.get("status"), intent.state}
    if after not in may or (after != intent.state and after not in STEPS[intent.state]):
        words = f"event {event.sequence}, {event.kind}{outcome}, takes it from {intent.state or 'nothing'} to {after}"
        yield Finding(LEGAL, intent.name, words)
    yield from _attempt(intent, event, said)
    intent.state = after


def _attempt(intent: _Intent, event: Event, said: Row) -> Iterator[Finding]:
    """Take what an event says of attempts and orders."""
    report = said.get("report")
    if event.kind == "attempt":
        if said["attempt"] != len(intent.attempts) + 1 or None in intent.attempts.values():
            words = f"event {event.sequence} begins attempt {said['attempt']} after {intent.attempts}"
            yield Finding(LEGAL, intent.name, words)
        intent.attempts[said["attempt"]] = None
    elif event.kind == "settled":
        number, outcome = said["attempt"], said["outcome"]
        before = intent.attempts.get(number, "never begun")
        if before not in {None, "unknown"} or before == outcome:
            yield Finding(LEGAL, intent.name, f"event {event.sequence} settles attempt {number}, which is {before}, as {outcome}")
        doubt = intent.is_doubtful(number, number if outcome == "absent" else 0)
        intent.attempts[number] = outcome
        if outcome == "absent":
            intent.end_unknown("absent", number)
        if report is not None and not (report["status"] == "rejected" and doubt):
            if doubt or outcome == "unknown":
                intent.end_unknown("accepted")
            intent.orders[report["symbol"], report["venue_order_id"]] = report
    elif event.kind == "resolved":
        intent.end_unknown("absent")
    elif report is not None:
        arrived = sum(outcome not in {None, "not_sent", "absent"} for outcome in intent.attempts.values())
        if not (report["status"] == "rejected" and intent.state == "unknown" and arrived > 1):
            intent.end_unknown("accepted")
        intent.orders[report["symbol"], report["venue_order_id"]] = report


def _same(row: Row, intent: _Intent) -> Iterator[Finding]:
    """Hold an intent's rows against what its events come to."""
    if row["state"] != intent.state:
        yield Finding(MAKE, intent.name, f"the table says {row['state']}, the events {intent.state}")
    attempts = {attempt["number"]: attempt["outcome"] for attempt in row["attempts"]}
    if attempts != intent.attempts:
        yield Finding(MAKE, intent.name, f"the table says of the attempts {attempts}, the events {intent.attempts}")
    orders = {(order["symbol"], order["venue_order_id"]): json.loads(order["report"]) for order in row["orders"]}
    for key in sorted(orders.keys() | intent.orders.keys()):
        if orders.get(key) != intent.orders.get(key):
            yield Finding(
                MAKE, intent.name, f"of order {key[1]} the table says {orders.get(key)}, the events {intent.orders.get(key)}"
            )


def _executions(books: Books) -> Iterator[Finding]:
    frame = {"kind", "at", "session"}
    told: dict[tuple[str, str], dict[str, Any]] = {}
    for event in books.events:
        if event.kind == "execution":
            said = {name: value for name, value in event.fields().items() if name not in frame}
            if told.setdefault((said["symbol"], said["execution_id"]), said) is not said:
                yield Finding(MAKE, said["execution_id"], f"event {event.sequence} tells it a second time")
    rows = {(row["symbol"], row["execution_id"]): json.loads(row["body"]) for row in books.executions}
    for key in sorted(rows.keys() | told.keys()):
        if rows.get(key) != told.get(key):
            yield Finding(MAKE, key[1], f"the table says {rows.get(key)}, the events {told.get(key)}")


def _latches(books: Books) -> Iterator[Finding]:
    reasons: Counter[str] = Counter()
    held: set[str] = set()
    for event in books.events:
        if event.kind == "latched":
            reasons[event.fields()["reason"]] += 1
            held.add(event.fields()["reason"])
        elif event.kind == "latch_released":
            held.clear()
    rows = Counter(row["reason"] for row in books.all_latches)
    if rows != reasons or held != set(books.latches):
        words = f"set are {sorted(books.latches)} of {rows.total()}, by the events {sorted(held)} of {reasons.total()}"
        yield Finding(MAKE, "the latches", words)


def _sessions(books: Books) -> Iterator[Finding]:
    opened = {event.session_id for event in books.events if event.kind == "session_opened"}
    ended = {event.session_id for event in books.events if event.kind == "session_closed"}
    ended |= {event.fields()["died"] for event in books.events if event.kind == "session_died"}
    for row in books.sessions:
        name = row["session_id"]
        if name not in opened:
            yield Finding(MAKE, f"session {name}", "no event says that it was opened")
        if (row["closed_at"] is not None) != (name in ended):
            yield Finding(MAKE, f"session {name}", f"the table says that it closed at {row['closed_at']}, the events do not agree")
    for name in sorted(opened - {row["session_id"] for row in books.sessions}):
        yield Finding(MAKE, f"session {name}", "the events say that it was opened, it is in no table")
