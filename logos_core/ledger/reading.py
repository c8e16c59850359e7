"""What a ledger file says, without changing it."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from attrs import evolve

from logos_core.clock import Clock
from logos_core.errors import LedgerError
from logos_core.events import Heads, StoredEvent, moment
from logos_core.executions import effective
from logos_core.ledger import codec
from logos_core.ledger.connection import Connection
from logos_core.ledger.executed import Executed
from logos_core.lifecycle import IntentState
from logos_core.records import Attempt, AttemptOutcome, Doubt, LedgerIdentity, Recorded, Segment
from logos_core.reports import Execution, ExecutionReport

EVENTS_AT_ONCE = 1_000
"""How many events are in memory at once while a ledger is read from end to end."""

EVIDENCE = frozenset({"not_seen", "not_asked", "settled", "reported", "cancel", "resolved"})
_MAY_TRADE = "state IN ('pending_new', 'new', 'partially_filled', 'pending_cancel')"
FIRST_LATCH = "SELECT reason FROM latches WHERE released_at IS NULL ORDER BY id LIMIT 1"
_OPEN_ATTEMPT = "(outcome IS NULL OR outcome = 'unknown')"
IN_DOUBT = (
    "SELECT client_order_id, intent_id, symbol,"
    f" (SELECT min(committed_at) FROM attempts WHERE intent = i.id AND {_OPEN_ATTEMPT}) FROM intents i WHERE id IN ("
    "SELECT id FROM intents WHERE state = 'unknown' UNION ALL SELECT intent FROM attempts a WHERE outcome IS NULL AND number > 1"
    " AND EXISTS (SELECT 1 FROM attempts WHERE intent = a.intent AND outcome = 'unknown')"
    ") AND (?1 IS NULL OR symbol = ?1) ORDER BY id"
)
"""What nobody knows the end of: unknown, or sent again while an earlier attempt is unknown. Reads no more than that, however many others."""
IN_FLIGHT_ELSEWHERE = (
    "SELECT i.client_order_id, i.intent_id, i.symbol, a.committed_at, a.session_id"
    " FROM attempts a CROSS JOIN intents i ON i.id = a.intent"
    " WHERE a.outcome IS NULL AND a.session_id IS NOT ?1 AND (?2 IS NULL OR i.symbol = ?2) ORDER BY i.id"
)
"""What other sessions have sent and nobody has heard of. CROSS JOIN holds SQLite to beginning with these few."""
_INTENT = "id, client_order_id, strategy, intent_id, payload, symbol, state, request, created_at, updated_at, parent_intent"


class LedgerReader:
    """Reads one account's ledger. Each answer is what was durable when it was asked for."""

    def __init__(self, connection: Connection, identity: LedgerIdentity, clock: Clock) -> None:
        self.identity = identity
        self._db = connection
        self._watch = Connection(connection.path)
        connection.aside = self._watch
        self._clock = clock
        self._session: str | None = None
        self.executed = Executed(connection)

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._db.path

    @property
    def broken(self) -> str | None:
        """Why nothing is written any more, or None."""
        return self._db.broken

    @property
    def session_id(self) -> str | None:
        """The session whose chain this object writes."""
        return self._session

    def ledger_id(self) -> str:
        """Return the name that tells this file from any other."""
        return self._meta_value("ledger_id")

    def last_sequence(self) -> int:
        """Return how many events were ever written."""
        found = self._db.row("SELECT max(sequence) FROM events")
        return int(found[0] or 0) if found else 0

    def adopted(self) -> bool:
        """Say whether the ledger began with orders read back from the venue."""
        return self.adopted_at() is not None

    def adopted_at(self) -> datetime | None:
        """Return when the ledger took over what the venue showed, or None if it was there from the start."""
        text = self.cursor("adopted_at")
        return None if text is None else moment(text)

    def find(self, client_order_id: str) -> Recorded | None:
        """Return an intent, or None if the ledger has never heard of it."""
        row = self._db.row(f"SELECT {_INTENT} FROM intents WHERE client_order_id = ?", client_order_id)
        return self._recorded(row) if row else None

    def find_intent(self, intent_id: str) -> list[Recorded]:
        """Return the intents that a caller gave this name; the same name may exist in several strategies."""
        return self._list("WHERE intent_id = ? ORDER BY id", intent_id)

    def knows(self, client_order_id: str) -> bool:
        """Say whether an intent is on record."""
        return self._db.row("SELECT 1 FROM intents WHERE client_order_id = ?", client_order_id) is not None

    def recorded(self, limit: int) -> list[Recorded]:
        """Return the latest intents, newest first."""
        return self._list("ORDER BY id DESC LIMIT ?", limit)

    def unsettled(self) -> list[Recorded]:
        """Return intents that are in flight or unknown."""
        open_ones = "SELECT intent FROM attempts WHERE outcome IS NULL UNION SELECT id FROM intents WHERE state = 'unknown'"
        return self._list(f"WHERE id IN ({open_ones}) ORDER BY id")

    def working(self) -> list[Recorded]:
        """Return intents whose order may still trade."""
        return self._list(f"WHERE {_MAY_TRADE} ORDER BY id")

    def working_names(self) -> set[str]:
        """Return the client order ids of the intents whose order may still trade."""
        return {row[0] for row in self._db.rows(f"SELECT client_order_id FROM intents WHERE {_MAY_TRADE}")}

    def asked_to_end(self) -> list[tuple[Recorded, datetime]]:
        """Return the orders that may still trade although they were asked to end, each with when that was last."""
        asked = "SELECT 1 FROM events WHERE intent = intents.id AND kind = 'cancel'"
        return [
            (
                recorded,
                max(moment(event.fields()["at"]) for event in self.events(recorded.client_order_id) if event.kind == "cancel"),
            )
            for recorded in self._list(f"WHERE {_MAY_TRADE} AND EXISTS ({asked}) ORDER BY id")
        ]

    def preset_of(self, recorded: Recorded) -> Path | None:
        """Return the preset of the session that sent an order last, if that is on record."""
        if not recorded.attempts:
            return None
        first = next(self._events("number", "session_id = ? AND", recorded.attempts[-1].session_id), None)
        said = None if first is None else first.fields().get("preset")
        return None if said is None else Path(said)

    def duplicates(self) -> list[str]:
        """Return the venue orders beyond the first for one intent. There must never be any."""
        return [
            row[0]
            for row in self._db.rows("SELECT venue_order_id FROM venue_orders WHERE role = 'duplicate' ORDER BY intent, number")
        ]

    def counts(self) -> dict[IntentState, int]:
        """Return how many intents stand in each state."""
        return {IntentState(state): count for state, count in self._db.rows("SELECT state, count(*) FROM intents GROUP BY state")}

    def symbols(self) -> tuple[str, ...]:
        """Return every symbol an intent was recorded for."""
        return tuple(row[0] for row in self._db.rows("SELECT symbol FROM symbols ORDER BY symbol"))

    def replacements(self, client_order_id: str) -> list[str]:
        """Return the client order ids of the orders that were placed in this one's place."""
        rows = self._db.rows(
            "SELECT n.client_order_id FROM intents n JOIN intents o ON o.id = n.parent_intent"
            " WHERE o.client_order_id = ? AND n.state NOT IN ('fresh', 'rejected', 'not_placed') ORDER BY n.id", client_order_id,
        )  # fmt: skip
        return [str(row[0]) for row in rows]

    def executions(self, client_order_id: str) -> tuple[Execution, ...]:
        """Return the executions of an intent's orders as they were told, those of its legs, corrections and busts included."""
        rows = self._db.rows(
            "SELECT e.body FROM intents i JOIN venue_orders v ON v.intent = i.id"
            " JOIN executions e ON e.symbol = v.symbol AND e.venue_order_id = v.venue_order_id"
            " WHERE i.client_order_id = ? ORDER BY e.id", client_order_id,
        )  # fmt: skip
        return tuple(codec.execution_from(row[0]) for row in rows)

    def working_legs(self) -> list[ExecutionReport]:
        """Return the legs of linked orders that may still trade."""
        rows = self._db.rows(
            "SELECT report FROM venue_orders WHERE role = 'leg'"
            " AND json_extract(report, '$.status') NOT IN ('filled', 'canceled', 'expired', 'rejected') ORDER BY intent, number"
        )
        return [codec.report_from(row[0], ()) for row in rows]

    def knows_order(self, symbol: str, venue_order_id: str) -> bool:
        """Say whether a venue's order is on record, as an intent's own or as a leg."""
        found = self._db.row("SELECT 1 FROM venue_orders WHERE symbol = ? AND venue_order_id = ?", symbol, venue_order_id)
        return found is not None

    def cursor(self, name: str) -> str | None:
        """Return where reading stopped."""
        row = self._db.row("SELECT value FROM cursors WHERE name = ?", name)
        return str(row[0]) if row else None

    def latched(self) -> list[str]:
        """Return why new orders are stopped; empty when they are not."""
        return [row[0] for row in self._db.rows("SELECT reason FROM latches WHERE released_at IS NULL ORDER BY id")]

    def first_latch(self) -> str | None:
        """Return why new orders are stopped, or None; a ledger that cannot be asked stops them too.

        Asked at the first byte, where it must not wait for another thread's write: while one goes on, it asks over a connection of
        its own, whose pages are colder.
        """
        try:
            rows = self._at_once(FIRST_LATCH)
        except LedgerError as error:
            return str(error)
        return str(rows[0][0]) if rows else None

    def in_doubt(self, symbol: str | None) -> list[Doubt]:
        """Return the intents whose outcome is unknown, of one symbol or of all, the oldest first.

        Asked inside the transaction that records an attempt, and at the first byte, where it must not wait either.
        """
        return [
            Doubt(client_order_id=name, intent_id=intent_id, symbol=of, since=moment(since))
            for name, intent_id, of, since in self._at_once(IN_DOUBT, symbol)
        ]

    def abandoned(self, symbol: str | None, is_dead: Callable[[str], bool]) -> list[Doubt]:
        """Return the intents that died in flight with their session, of one symbol or of all, the oldest first.

        They are as unknown as those that recovery has called so. Asked where `in_doubt` is.
        """
        return [
            Doubt(client_order_id=name, intent_id=intent_id, symbol=of, since=moment(since))
            for name, intent_id, of, since, session_id in self._at_once(IN_FLIGHT_ELSEWHERE, self._session, symbol)
            if is_dead(session_id)
        ]

    def _at_once(self, query: str, *bindings: Any) -> list[tuple[Any, ...]]:
        """Read without waiting for another thread's write."""
        idle = self._db.lock.acquire(blocking=False)
        try:
            return (self._db if idle else self._watch).rows(query, *bindings)
        finally:
            if idle:
                self._db.lock.release()

    def last_evidence(self, client_order_id: str) -> StoredEvent | None:
        """Return the latest event that says where an intent was looked for, or how an attempt of it ended, or None."""
        found = [event for event in self.events(client_order_id) if event.kind in EVIDENCE]
        return found[-1] if found else None

    def events(self, client_order_id: str | None = None) -> Iterator[StoredEvent]:
        """Return all events in order that were not archived, or those of one intent that are here."""
        if client_order_id is None:
            return self._events("sequence", "", after=self._archived_until())
        return self._events("sequence", "intent = (SELECT id FROM intents WHERE client_order_id = ?) AND", client_order_id)

    def session_events(self) -> Iterator[StoredEvent]:
        """Return the events of this object's own session."""
        return self._events("number", "session_id = ? AND", self._session)

    def denials(self) -> Iterator[StoredEvent]:
        """Return every denial."""
        return self._events("sequence", "kind = 'denied' AND")

    def archived_heads(self) -> Heads:
        """Return where the chains went on from when older events were archived."""
        row = self._db.row("SELECT heads FROM segments ORDER BY number DESC LIMIT 1")
        return {} if row is None else codec.heads_from(row[0])

    def _archived_until(self) -> int:
        row = self._db.row("SELECT max(last_sequence) FROM segments")
        return int(row[0] or 0) if row else 0

    def segments(self) -> list[Segment]:
        """Return every segment that events were archived into, the oldest first."""
        columns = "number, file, sha256, first_sequence, last_sequence, heads"
        return [
            Segment(number=number, file=file, sha256=sha256, first=first, last=last, heads=codec.heads_from(heads))
            for number, file, sha256, first, last, heads in self._db.rows(f"SELECT {columns} FROM segments ORDER BY number")
        ]

    def _events(self, place: str, which: str, *bindings: Any, after: int = 0) -> Iterator[StoredEvent]:
        """Read events page by page, in the order of a column that grows with every one of them."""
        columns = "sequence, session_id, number, kind, body, previous, hash"
        query = f"SELECT {columns} FROM events WHERE {which} {place} > ? ORDER BY {place} LIMIT {EVENTS_AT_ONCE}"
        last = after
        while rows := self._db.rows(query, *bindings, last):
            for sequence, session_id, number, kind, body, previous, hashed in rows:
                yield StoredEvent(
                    sequence=sequence, session_id=session_id, number=number, kind=kind, body=body, previous=previous, hash=hashed
                )
            last = sequence if place == "sequence" else number

    def _list(self, where: str, *bindings: Any) -> list[Recorded]:
        return [self._recorded(row) for row in self._db.rows(f"SELECT {_INTENT} FROM intents {where}", *bindings)]

    def _recorded(self, row: tuple[Any, ...]) -> Recorded:
        intent, client_order_id, strategy, intent_id, payload, symbol, state, request, created_at, updated_at, parent = row
        attempts = self._db.rows(
            "SELECT number, session_id, committed_at, send_by, valid_until, position, outcome FROM attempts"
            " WHERE intent = ? ORDER BY number", intent,
        )  # fmt: skip
        orders = self._db.rows("SELECT role, venue_order_id, report FROM venue_orders WHERE intent = ? ORDER BY number", intent)
        return Recorded(
            id=intent,
            client_order_id=client_order_id,
            strategy=strategy,
            intent_id=intent_id,
            payload=None if payload is None else json.loads(payload),
            symbol=symbol,
            state=IntentState(state),
            request=None if request is None else codec.request_from(request),
            created_at=moment(created_at),
            updated_at=moment(updated_at),
            attempts=tuple(_attempt(attempt) for attempt in attempts),
            report=self._report(symbol, orders),
            duplicates=tuple(venue_order_id for role, venue_order_id, _ in orders if role == "duplicate"),
            replaces=None if parent is None else self._name_of(parent),
        )

    def _report(self, symbol: str, orders: list[tuple[Any, ...]]) -> ExecutionReport | None:
        """Return the primary order's report, with its legs, each with its own executions."""
        found = {
            role: [
                codec.report_from(report, self._executions_of(symbol, venue_order_id))
                for known, venue_order_id, report in orders
                if known == role
            ]
            for role in ("primary", "leg")
        }
        return evolve(found["primary"][0], legs=tuple(found["leg"])) if found["primary"] else None

    def _executions_of(self, symbol: str, venue_order_id: str) -> tuple[Execution, ...]:
        """Return what stands of the executions of one order."""
        rows = self._db.rows(
            "SELECT body FROM executions WHERE symbol = ? AND venue_order_id = ? ORDER BY id", symbol, venue_order_id
        )
        return tuple(effective(codec.execution_from(row[0]) for row in rows))

    def _name_of(self, intent: int) -> str:
        row = self._db.row("SELECT client_order_id FROM intents WHERE id = ?", intent)
        assert row is not None
        return str(row[0])

    def _meta_value(self, name: str) -> str:
        row = self._db.row("SELECT value FROM meta WHERE name = ?", name)
        assert row is not None
        return str(row[0])


def _attempt(row: tuple[Any, ...]) -> Attempt:
    number, session_id, committed_at, send_by, valid_until, position, outcome = row
    return Attempt(
        number=number,
        session_id=session_id,
        committed_at=moment(committed_at),
        send_by=moment(send_by),
        valid_until=moment(valid_until),
        position=position,
        outcome=None if outcome is None else AttemptOutcome(outcome),
    )
