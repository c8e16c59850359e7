"""What really arrived at a venue, against what the ledger had said by then.

Times are compared where the wire log has them, which is where venue and ledger share a clock. An attempt is on record before its first
byte, and a venue receives it later, so no tolerance is needed to tell a request that came before its record.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from logos_core.testing.rehearsal.oracle.books import Books, Event, Row
from logos_core.testing.rehearsal.oracle.invariants import Finding

Span = tuple[datetime, datetime | None]
"""From when until when something held; None while it still does."""

ON_ITS_WAY = timedelta(seconds=2)
"""How long a request whose first byte left before orders were stopped may take to arrive."""
COUNTS_FOR_NOTHING = frozenset({"fresh", "not_sent", "rejected", "not_placed"})
"""The states in which nothing of an intent is taken to be under way."""


def one_per_attempt(wire: Iterable[Row], books: Books) -> Iterator[Finding]:
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


def _left(events: Iterable[Event]) -> Counter[str]:
    """Count per client order id the attempts of which a session recorded that something had left."""
    left: Counter[str] = Counter()
    for event in events:
        if event.kind == "settled":
            said = event.fields()
            left[said["client_order_id"]] += said["evidence"].get("phase", "nothing sent") != "nothing sent"
    return left


def recorded_before(orders: Iterable[Row], wire: Iterable[Row], books: Books) -> Iterator[Finding]:
    """Return what the venue received, or made an order of, before as many attempts were on record.

    Of an order without any attempt, which a lost ledger's successor may have adopted, the count of requests says enough.
    """
    known = books.by_client_order_id()
    committed = {name: [moment(row["committed_at"]) for row in intent["attempts"]] for name, intent in known.items()}
    for order in orders:
        name = order["client_order_id"]
        if committed.get(name) and moment(order["created_at"]) < min(committed[name]):
            said = f"created {order['created_at']}, recorded {min(committed[name]).isoformat()}"
            yield Finding("recorded before it left", name, said)
    received: Counter[str] = Counter()
    for name, at in _submits(wire):
        received[name] += 1
        if committed.get(name) and sum(recorded <= at for recorded in committed[name]) < received[name]:
            said = f"request {received[name]} was received at {at.isoformat()}, before as many attempts were on record"
            yield Finding("recorded before it left", name, said)


def stopped(wire: Iterable[Row], books: Books, halts: Sequence[Span]) -> Iterator[Finding]:
    """Return the orders that left while a latch was set, or while somebody had halted them."""
    latched = 0
    for event in books.events:
        if event.kind == "attempt" and latched:
            said = f"event {event.sequence} records an attempt while {latched} latch(es) are set"
            yield Finding("nothing leaves while stopped", event.fields()["client_order_id"], said)
        latched += event.kind == "latched"
        latched *= event.kind != "latch_released"
    spans = [*halts, *((moment(row["latched_at"]), _moment(row["released_at"])) for row in books.all_latches)]
    for name, at in _submits(wire):
        for since, until in spans:
            if since + ON_ITS_WAY < at and (until is None or at < until):
                said = f"was received at {at.isoformat()}, new orders were stopped at {since.isoformat()}"
                yield Finding("nothing leaves while stopped", name, said)


def counted(wire: Iterable[Row], books: Books) -> Iterator[Finding]:
    """Return the requests that arrived while the ledger took nothing of their intent to be under way."""
    states: defaultdict[str, list[tuple[datetime, str]]] = defaultdict(list)
    for event in books.events:
        told = event.fields()
        name = told.get("client_order_id") or (told.get("report") or {}).get("client_order_id")
        state = "in_flight" if event.kind == "attempt" else told.get("state")
        if name is not None and state is not None:
            states[name].append((moment(told["at"]), state))
    for name, at in _submits(wire):
        before = [state for since, state in states[name] if since <= at]
        if before and before[-1] in COUNTS_FOR_NOTHING:
            said = f"arrived at {at.isoformat()}, the ledger said {before[-1]} and counted nothing"
            yield Finding("what is under way is counted", name, said)


def _submits(wire: Iterable[Row]) -> Iterator[tuple[str, datetime]]:
    """Return who was to be submitted and when it was received, in order, as far as the wire log has times."""
    for entry in wire:
        if entry["operation"] == "submit" and entry["client_order_id"] is not None and entry.get("received_at"):
            yield entry["client_order_id"], moment(entry["received_at"])


def moment(text: str) -> datetime:
    """Return the time that a ledger or a wire log says."""
    return datetime.fromisoformat(text)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else moment(text)
