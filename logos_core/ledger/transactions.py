"""What every change of the ledger goes through: one durable transaction, its event in the chain, and the latches."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from logos_core import events
from logos_core.clock import Clock
from logos_core.errors import LedgerError
from logos_core.events import stamp
from logos_core.ledger.connection import Connection
from logos_core.ledger.executed import Filling, overfill_text
from logos_core.ledger.reading import LedgerReader
from logos_core.lifecycle import IntentState
from logos_core.records import (
    Denial,
    LedgerIdentity,
)

R = TypeVar("R")

_OWN_FIELDS = frozenset({"kind", "at", "session"})
"""What every event says of itself; a body that said it too would take its place."""


class Transactions(LedgerReader):
    """A ledger that can be written to: each change whole, durable, and told by an event."""

    def __init__(self, connection: Connection, identity: LedgerIdentity, clock: Clock) -> None:
        super().__init__(connection, identity, clock)
        self._head: tuple[int, bytes] | None = None
        self._filled: set[tuple[str, str]] = set()

    def _transact(self, work: Callable[[], R], abandoned: Callable[[R], None] = lambda _: None) -> R:
        """Run what may happen in many threads at once as a durable transaction, and return its result; see `Connection.run`."""

        def whole() -> R:
            result = work()
            self._check_fills()
            return result

        return self._db.run(whole, self._forget, abandoned)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Run a block as one durable transaction; if it is undone, so is what was remembered of it."""
        with self._db.transaction(self._forget):
            yield
            self._check_fills()

    def _forget(self) -> None:
        self._head = None
        self._filled.clear()

    def _check_fills(self) -> None:
        """Hold what this transaction added to against what was ordered; more than that stops new orders."""
        if not self._filled:
            return
        touched, self._filled = sorted(self._filled), set()
        for order in touched:
            for filling in self.executed.fillings(*order):
                self._note_filling(filling)

    def _note_filling(self, filling: Filling) -> None:
        known, found = self.cursor(filling.key) or "", overfill_text(filling.overfill) if filling.is_over else ""
        if known == found:
            return
        self._set_cursor(filling.key, found)
        overfill = filling.overfill
        body = {
            "client_order_id": overfill.client_order_id,
            "order": overfill.order,
            "quantity": overfill.quantity,
            "filled": overfill.filled,
        }
        self._event("overfilled" if found else "overfill_ended", filling.intent, body)
        if found:
            self._latch(f"more was traded than was ordered: {overfill.order} of {overfill.client_order_id}")

    def note(self, kind: str, body: Mapping[str, Any], client_order_id: str | None = None) -> None:
        """Record an event that changes no state: a denial, an answer to a cancel, a reconciliation."""

        def write() -> None:
            row = self._db.row("SELECT id FROM intents WHERE client_order_id = ?", client_order_id) if client_order_id else None
            self._event(kind, int(row[0]) if row else None, body)

        self._transact(write)

    def set_cursor(self, name: str, value: str) -> None:
        """Remember where reading stopped."""
        with self._transaction():
            self._set_cursor(name, value)

    def latch(self, reason: str) -> None:
        """Stop new orders until a person releases the latch."""
        self._transact(lambda: self._latch(reason))

    def release(self, by: str, because: str) -> int:
        """Release every latch on a named person's word; return how many were set."""
        with self._transaction():
            self._db.write("UPDATE latches SET released_at = ?, released_by = ? WHERE released_at IS NULL",
                           stamp(self._clock.now()), by)  # fmt: skip
            released = self._db.changed
            if released:
                self._event("latch_released", None, {"by": by, "because": because, "latches": released})
        return released

    def _latch(self, reason: str) -> None:
        """Set a latch; one that is set already for the same reason says it once."""
        if self._db.row("SELECT 1 FROM latches WHERE released_at IS NULL AND reason = ?", reason):
            return
        self._db.write("INSERT INTO latches (reason, latched_at) VALUES (?, ?)", reason, stamp(self._clock.now()))
        self._event("latched", None, {"reason": reason})

    def latch_denial(self) -> Denial | None:
        """Return the denial for a new attempt while a latch is set."""
        row = self._db.row("SELECT reason FROM latches WHERE released_at IS NULL ORDER BY id LIMIT 1")
        if row is None:
            return None
        how = "find out why, then: logos resume --by NAME --by NAME --because TEXT"
        return Denial(reason="KILL_SWITCH_LATCHED", message=f"new orders are stopped: {row[0]}; {how}")

    def _intent_row(self, client_order_id: str) -> tuple[int, IntentState]:
        row = self._db.row("SELECT id, state FROM intents WHERE client_order_id = ?", client_order_id)
        if row is None:
            raise LedgerError(f"the ledger has no intent {client_order_id}; see `logos orders`")
        return int(row[0]), IntentState(row[1])

    def _set_state(self, intent: int, before: IntentState, after: IntentState, now: datetime) -> None:
        self._db.write("UPDATE intents SET state = ?, updated_at = ? WHERE id = ? AND state = ?",
                       after.value, stamp(now), intent, before.value)  # fmt: skip

    def _set_cursor(self, name: str, value: str) -> None:
        self._db.write("INSERT INTO cursors (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                       name, value)  # fmt: skip

    def _event(self, kind: str, intent: int | None, body: Mapping[str, Any]) -> None:
        """Append one event to this session's chain.

        Only this object writes the chain, so its head is kept, and forgotten with every transaction that is undone. The unique key
        (session_id, number) refuses a second event in one place.
        """
        head = self._head or self._db.row(
            "SELECT number, hash FROM events WHERE session_id = ? ORDER BY number DESC LIMIT 1", self._session
        )
        number, previous = head or (0, events.GENESIS)
        assert body.keys().isdisjoint(_OWN_FIELDS), f"a {kind} event would be told as another: {body}"
        content = events.canonical({"kind": kind, "at": stamp(self._clock.now()), "session": self._session, **body})
        hashed = events.step(previous, content)
        self._db.write(
            "INSERT INTO events (session_id, number, kind, intent, body, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
            self._session, number + 1, kind, intent, content, previous, hashed,
        )  # fmt: skip
        self._head = (number + 1, hashed)
