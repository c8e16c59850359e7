"""Compare what a venue really holds with what a ledger says, by code that shares nothing with the way of an order.

Rules:

1. The venue's side comes from the simulator's own side, the ledger's from its file, by plain SQL.
2. Each thing that does not hold is one finding, which names the rule and what breaks it.
3. Nothing is corrected, and nothing is forgiven: an expired order and a cancelled one are the same only because venues do not agree on
   the word for an order that ended without filling.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw
from attrs import frozen

from logos_core.errors import ChainBrokenError
from logos_core.events import StoredEvent, verify

ENDED_UNFILLED = frozenset({"canceled", "expired"})
SAYS_NO_ORDER = frozenset({"not_sent", "rejected", "not_placed"})
UNSETTLED = frozenset({"in_flight", "unknown"})

Row = Mapping[str, Any]


@frozen
class Finding:
    """One thing that does not hold.

    Attributes:
        rule: which.
        subject: what breaks it.
        said: how.
    """

    rule: str
    subject: str
    said: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.subject}: {self.said}"


@frozen(kw_only=True)
class Books:
    """One ledger's file, read whole.

    Attributes:
        intents: each with its `orders`, `attempts` and `executions`.
        loose: executions that belong to no intent.
        closed_by_person: the intents that a named person closed with a reason, by their number.
    """

    intents: tuple[dict[str, Any], ...]
    loose: tuple[dict[str, Any], ...]
    closed_by_person: frozenset[int]
    events: tuple[StoredEvent, ...]
    latches: tuple[str, ...]

    def by_client_order_id(self) -> dict[str, dict[str, Any]]:
        """Return the intents by the id the venue knows them under."""
        return {intent["client_order_id"]: intent for intent in self.intents}


def read(path: Path) -> Books:
    """Read a ledger's file as it is, without the code that wrote it."""
    connection = apsw.Connection(f"file:{path}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        connection.set_busy_timeout(5_000)
        connection.execute("BEGIN")
        intents = _rows(connection, "SELECT id, client_order_id, strategy, intent_id, symbol, state FROM intents ORDER BY id")
        parts = {
            "orders": _rows(
                connection, "SELECT intent, symbol, venue_order_id, role, report FROM venue_orders ORDER BY intent, number"
            ),
            "attempts": _rows(connection, "SELECT intent, number, committed_at, outcome FROM attempts ORDER BY intent, number"),
            "executions": _rows(
                connection, "SELECT intent, symbol, execution_id, venue_order_id, body FROM executions ORDER BY id"
            ),
        }
        for intent in intents:
            for name, rows in parts.items():
                intent[name] = [row for row in rows if row["intent"] == intent["id"]]
        events = _rows(connection, "SELECT sequence, session_id, number, kind, body, previous, hash FROM events ORDER BY sequence")
        resolved = _rows(connection, "SELECT intent, body FROM events WHERE kind = 'resolved' ORDER BY sequence")
        latches = _rows(connection, "SELECT reason FROM latches WHERE released_at IS NULL ORDER BY id")
    finally:
        connection.close()
    return Books(
        intents=tuple(intents),
        loose=tuple(row for row in parts["executions"] if row["intent"] is None),
        closed_by_person=frozenset(row["intent"] for row in resolved if _signed(json.loads(row["body"]))),
        events=tuple(StoredEvent(**event) for event in events),
        latches=tuple(row["reason"] for row in latches),
    )


def _signed(said: Row) -> bool:
    return bool(said.get("by") and said.get("because"))


def _rows(connection: apsw.Connection, sql: str) -> list[dict[str, Any]]:
    cursor = connection.execute(sql)
    names = re.findall(r"(\w+)(?:,| FROM)", sql.partition(" ORDER")[0])
    return [dict(zip(names, row, strict=True)) for row in cursor]


def compare(orders: Sequence[Row], wire: Sequence[Row], books: Books) -> list[Finding]:
    """Return everything that does not hold between a venue and a ledger; best asked when nothing moves any more."""
    known = books.by_client_order_id()
    return [
        *_one_per_client_order_id(orders),
        *_one_per_intent(orders, known),
        *_known_orders(orders, known),
        *_real_orders(orders, books.intents),
        *_executions(orders, books),
        *_requests(wire, books),
        *_settled(books.intents),
        *_proved(books),
        *chains(books.events),
    ]


def _one_per_client_order_id(orders: Iterable[Row]) -> Iterator[Finding]:
    for name, count in Counter(order["client_order_id"] for order in orders).items():
        if count > 1 and name is not None:
            yield Finding("one order per client order id", name, f"the venue holds {count}")


def _one_per_intent(orders: Iterable[Row], known: Mapping[str, Row]) -> Iterator[Finding]:
    held: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for order in orders:
        intent = known.get(order["client_order_id"] or "")
        if intent is not None and intent["intent_id"] is not None:
            held[intent["strategy"], intent["intent_id"]].append(order["venue_order_id"])
    for (_, intent_id), found in held.items():
        if len(found) > 1:
            yield Finding("one order per intent", intent_id, f"the venue holds {', '.join(found)}")


def _known_orders(orders: Iterable[Row], known: Mapping[str, Row]) -> Iterator[Finding]:
    for order in orders:
        name = order["client_order_id"] or f"venue order {order['venue_order_id']}"
        intent = known.get(name)
        if intent is None:
            yield Finding("every order is known", name, "the venue holds it, the ledger has never heard of it")
            continue
        if intent["state"] in SAYS_NO_ORDER:
            yield Finding("no order is denied", name, f"the venue holds it, the ledger says {intent['state']}")
        recorded = [row for row in intent["orders"] if row["venue_order_id"] == order["venue_order_id"]]
        if len(recorded) != 1:
            yield Finding(
                "every order is known", name, f"venue order {order['venue_order_id']} has {len(recorded)} rows in the ledger"
            )
        for row in recorded:
            yield from _same(name, order, intent["state"], json.loads(row["report"]))
        yield from _in_time(name, order, intent["attempts"])


def _same(name: str, order: Row, state: str, report: Row) -> Iterator[Finding]:
    for what, said in (("state", state), ("reported status", report["status"])):
        if said != order["status"] and not {said, order["status"]} <= ENDED_UNFILLED:
            yield Finding("same status", name, f"the venue says {order['status']}, the ledger's {what} is {said}")
    ours, theirs = Decimal(report["filled_quantity"]), Decimal(order["filled_quantity"])
    if ours != theirs:
        yield Finding("same filled quantity", name, f"the venue says {theirs}, the ledger {ours}")
    for field in ("symbol", "side", "quantity"):
        if report[field] != order[field]:
            yield Finding("same order", name, f"{field}: the venue says {order[field]}, the ledger {report[field]}")


def _in_time(name: str, order: Row, attempts: Sequence[Row]) -> Iterator[Finding]:
    if attempts and datetime.fromisoformat(order["created_at"]) < datetime.fromisoformat(attempts[0]["committed_at"]):
        yield Finding("recorded before it left", name, f"created {order['created_at']}, recorded {attempts[0]['committed_at']}")


def _real_orders(orders: Iterable[Row], intents: Iterable[Row]) -> Iterator[Finding]:
    held = {(order["client_order_id"], order["venue_order_id"]) for order in orders}
    for intent in intents:
        for row in intent["orders"]:
            if (intent["client_order_id"], row["venue_order_id"]) not in held:
                yield Finding("no order is invented", intent["client_order_id"], f"the venue does not hold {row['venue_order_id']}")
            if row["role"] == "duplicate":
                yield Finding(
                    "one order per intent", intent["client_order_id"], f"the ledger holds a second, {row['venue_order_id']}"
                )


def _executions(orders: Iterable[Row], books: Books) -> Iterator[Finding]:
    ours: defaultdict[str, list[Row]] = defaultdict(list)
    for intent in books.intents:
        for row in intent["executions"]:
            ours[row["venue_order_id"]].append(row)
    for order in orders:
        name = order["client_order_id"] or order["venue_order_id"]
        yield from _same_executions(name, order["executions"], ours.pop(order["venue_order_id"], []))
    for venue_order_id in ours:
        yield Finding("no execution is invented", venue_order_id, "the venue holds no such order")
    for row in books.loose:
        yield Finding(
            "every execution has its intent", row["execution_id"], f"of order {row['venue_order_id']}, belongs to no intent"
        )


def _same_executions(name: str, theirs: Sequence[Row], ours: Sequence[Row]) -> Iterator[Finding]:
    left = list(ours)
    for execution in theirs:
        found = [row for row in left if execution["trade_id"] == row["execution_id"].rpartition(":")[2]]
        if len(found) != 1:
            yield Finding("executions once each", name, f"trade {execution['trade_id']} is {len(found)} times in the ledger")
        for row in found:
            left.remove(row)
            yield from _same_trade(name, execution, json.loads(row["body"]))
    for row in left:
        yield Finding("no execution is invented", name, f"the venue has no trade {row['execution_id']}")


def _same_trade(name: str, theirs: Row, ours: Row) -> Iterator[Finding]:
    for field in ("quantity", "price"):
        if Decimal(ours[field]) != Decimal(theirs[field]):
            yield Finding("same execution", name, f"{field} of {theirs['trade_id']}: venue {theirs[field]}, ledger {ours[field]}")
    paid = {fee["asset"]: Decimal(fee["amount"]) for fee in ours["fees"] if Decimal(fee["amount"])}
    owed = {theirs["fee"]["asset"]: Decimal(theirs["fee"]["amount"])} if Decimal(theirs["fee"]["amount"]) else {}
    if paid != owed:
        yield Finding("same fees", name, f"trade {theirs['trade_id']}: venue {owed}, ledger {paid}")


def _requests(wire: Iterable[Row], books: Books) -> Iterator[Finding]:
    """Count the submits on the wire per intent: one per attempt, none for an attempt that never left."""
    arrived = Counter(entry["client_order_id"] for entry in wire if entry["operation"] == "submit")
    left = _left(books.events)
    for intent in books.intents:
        name = intent["client_order_id"]
        most = sum(attempt["outcome"] != "not_sent" for attempt in intent["attempts"])
        least, found = left[name], arrived.pop(name, 0)
        if not least <= found <= most:
            wanted = str(most) if least == most else f"{least} to {most}"
            yield Finding("one request per attempt", name, f"{wanted} expected, {found} arrived")
    for name, count in arrived.items():
        yield Finding("nothing leaves unrecorded", str(name), f"{count} submit(s) arrived, no attempt is on record")


def _left(events: Iterable[StoredEvent]) -> Counter[str]:
    """Count per client order id the attempts of which a session recorded that something had left."""
    left: Counter[str] = Counter()
    for event in events:
        if event.kind == "settled":
            said = json.loads(event.body)
            left[said["client_order_id"]] += said["evidence"].get("phase", "nothing sent") != "nothing sent"
    return left


def _settled(intents: Iterable[Row]) -> Iterator[Finding]:
    for intent in intents:
        if intent["state"] in UNSETTLED:
            yield Finding("nothing stays unknown", intent["client_order_id"], f"is {intent['state']}")


def _proved(books: Books) -> Iterator[Finding]:
    """Look for the proof, in the events, of every intent that is said to have no order."""
    proofs: defaultdict[str, set[str]] = defaultdict(set)
    for event in books.events:
        said = json.loads(event.body)
        name = said.get("client_order_id") or (said.get("report") or {}).get("client_order_id")
        if name is not None:
            proofs[name] |= _proofs(event.kind, said)
    resolved = {intent["client_order_id"] for intent in books.intents if intent["id"] in books.closed_by_person}
    for intent in books.intents:
        name, state = intent["client_order_id"], intent["state"]
        if state in SAYS_NO_ORDER and state not in proofs[name] and not (state == "not_placed" and name in resolved):
            yield Finding("no outcome without proof", name, f"the ledger says {state}, and no event proves it")


def _proofs(kind: str, said: Row) -> set[str]:
    """Return which states an event proves."""
    evidence, report = said.get("evidence") or {}, said.get("report") or {}
    proved = set()
    refused = evidence.get("phase") == "answered" and (evidence.get("classified") or {}).get("outcome") == "rejected"
    if refused or report.get("status") == "rejected":
        proved.add("rejected")
    if kind == "settled" and said["outcome"] == "not_sent" and evidence.get("phase") == "nothing sent":
        proved.add("not_sent")
    never_sent = kind == "replacement_closed" and evidence
    if never_sent or (kind == "settled" and said["outcome"] == "absent" and evidence.get("why")):
        proved.add("not_placed")
    return proved


def told(last_words: Mapping[str, str], orders: Iterable[Row], books: Books) -> Iterator[Finding]:
    """Return the intents whose caller was last told that there is no order, while the venue holds one.

    Args:
        last_words: what the latest submit of each intent came to.
    """
    names = {intent["client_order_id"]: intent["intent_id"] for intent in books.intents}
    for order in orders:
        word = last_words.get(names.get(order["client_order_id"]) or "")
        if word in {"denied", "rejected", "not placed", "unavailable"}:
            yield Finding("no order is denied", order["client_order_id"], f"the venue holds it, the caller was told: {word}")


def chains(events: Iterable[StoredEvent]) -> Iterator[Finding]:
    """Return where the chain of events breaks."""
    try:
        verify(events)
    except ChainBrokenError as error:
        yield Finding("the chains verify", f"event {error.sequence}", str(error))


def lost(before: Sequence[StoredEvent], after: Sequence[StoredEvent]) -> list[Finding]:
    """Return the events that were there before and are not, byte for byte, after."""
    later = {event.sequence: event for event in after}
    return [
        Finding("no event is lost", f"event {event.sequence}", "is gone or changed")
        for event in before
        if later.get(event.sequence) != event
    ]


def figures(books: Books) -> dict[str, int]:
    """Return what a ledger comes to, in numbers."""
    states = Counter(intent["state"] for intent in books.intents)
    unknown = {
        json.loads(event.body)["client_order_id"]
        for event in books.events
        if event.kind == "settled" and json.loads(event.body)["outcome"] == "unknown"
    }
    return {
        "accepted": sum(bool(intent["orders"]) for intent in books.intents),
        "filled": states["filled"],
        "rejected": states["rejected"],
        "unknown": len(unknown),
        "left": sum(states[state] for state in UNSETTLED),
        "attempts": sum(len(intent["attempts"]) for intent in books.intents),
        "events": len(books.events),
    }
