"""The ledger in one SQLite file.

Rules:

1. One transaction per transition; its event rides in it. Nothing is written outside of one.
2. An attempt's outcome is compare-and-set: it is written over NULL by whoever owns it, or over *unknown* by better evidence.
3. What the unique keys forbid is the promise itself: one intent per client order id, one attempt in flight per intent, one primary
   order per intent. Their violation is an answer ("somebody was first"), not an accident.
4. An intent in flight belongs to the session that sent it. A report from anywhere else leaves it alone.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

import apsw
from attrs import evolve

from logos_core import events
from logos_core.clock import Clock
from logos_core.errors import ConfigurationError, LedgerError
from logos_core.events import stamp
from logos_core.executions import effective
from logos_core.hookspecs import VenueSnapshot
from logos_core.ledger import codec, migrations
from logos_core.ledger.connection import Connection
from logos_core.ledger.executed import RELINKED, Filling, overfill_text
from logos_core.ledger.familiar import familiarity
from logos_core.ledger.reading import LedgerReader
from logos_core.lifecycle import CONTRADICTIONS, MAY_ATTEMPT, TABLE, IllegalMoveError, IntentState, Move, advance, move_of
from logos_core.orders import Decision, OrderClass, OrderStatus
from logos_core.records import (
    AttemptOutcome,
    Claim,
    ClaimLostError,
    Denial,
    Familiarity,
    LedgerIdentity,
    Recorded,
    Segment,
)
from logos_core.reports import Execution, ExecutionReport, mismatches

R = TypeVar("R")

_MOVES = {
    AttemptOutcome.NOT_SENT: Move.PROVED_NOT_SENT,
    AttemptOutcome.REJECTED: Move.PROVED_REJECTED,
    AttemptOutcome.ABSENT: Move.PROVED_ABSENT,
    AttemptOutcome.UNKNOWN: Move.LEFT_UNKNOWN,
}
_OWN_FIELDS = frozenset({"kind", "at", "session"})
"""What every event says of itself; a body that said it too would take its place."""
STORY_STAYS = (
    "SELECT id FROM intents WHERE watched = 1 OR updated_at >= ?"
    " OR state NOT IN ('filled', 'canceled', 'expired', 'rejected', 'not_placed')"
    " UNION SELECT intent FROM attempts WHERE outcome IS NULL OR outcome = 'unknown'"
    " UNION SELECT intent FROM venue_orders WHERE role = 'duplicate'"
    " OR json_extract(report, '$.status') NOT IN ('filled', 'canceled', 'expired', 'rejected')"
)
"""The intents whose events are not archived: whoever looks into them finds the whole story in the ledger."""
_ENDED = frozenset({IntentState.FILLED, IntentState.CANCELED, IntentState.EXPIRED})


class SqliteLedger(LedgerReader):
    """The durable memory of one account, in one file."""

    def __init__(self, connection: Connection, identity: LedgerIdentity, clock: Clock) -> None:
        super().__init__(connection, identity, clock)
        self._head: tuple[int, bytes] | None = None
        self._filled: set[tuple[str, str]] = set()

    @classmethod
    def create(cls, path: Path, identity: LedgerIdentity, clock: Clock) -> Self:
        """Write a new ledger where there is none."""
        _refuse_path(path)
        if path.exists():
            raise LedgerError(f"{path} exists already; a ledger is never overwritten")
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = Connection(path, create=True)
        with connection.transaction():
            connection.create_schema()
            for name, value in _meta(identity, clock.now()).items():
                connection.write("INSERT INTO meta (name, value) VALUES (?, ?)", name, value)
        return cls(connection, identity, clock)

    @classmethod
    def open(cls, path: Path, clock: Clock, identity: LedgerIdentity | None = None) -> Self:
        """Open a ledger and check whose it is.

        Raises:
            LedgerError: for a file that is missing, no ledger, damaged, from a newer version, or another account's.
        """
        _refuse_path(path)
        if not path.exists():
            raise LedgerError(f"the ledger {path} does not exist; if it was moved, move it back, else run `logos ledger adopt`")
        connection = Connection(path)
        try:
            found = dict(connection.rows("SELECT name, value FROM meta"))
        except LedgerError as error:
            raise LedgerError(
                f"{path} is not a ledger, or is damaged ({error.__cause__}); keep it and run `logos ledger adopt`"
            ) from error
        if "schema_version" not in found:
            raise LedgerError(f"the ledger {path} was never finished and holds nothing; move it away and open the session again")
        owner = LedgerIdentity(venue=found["venue"], environment=found["environment"], account_id=found["account_id"])
        if identity is not None and owner != identity:
            raise ConfigurationError(f"the ledger {path} belongs to {owner}, not to {identity}; name another ledger")
        migrations.bring_up_to_date(connection, found["schema_version"])
        return cls(connection, owner, clock)

    def begin_session(self, session_id: str, strategy: str, process: str) -> None:
        """Open a chain of events."""
        self._session, self._head = session_id, None
        now = self._clock.now()
        with self._transaction():
            self._db.write(
                "INSERT INTO sessions (session_id, opened_at, strategy, process) VALUES (?, ?, ?, ?)",
                session_id, stamp(now), strategy, process,
            )  # fmt: skip
            self._event("session_opened", None, {"strategy": strategy, "process": process})

    def end_session(self) -> None:
        """Close the chain, with a checkpoint over the heads of all chains.

        A chain that has not grown since the checkpoint before is covered by that one, whose own chain this one covers: each names the
        event from which on it looked.
        """
        with self._transaction():
            since = max(int(self.cursor("checkpoint") or 0), self._archived_until() + 1)
            heads = self._db.rows(
                "SELECT session_id, max(number), hash FROM events NOT INDEXED WHERE sequence >= ? GROUP BY session_id", since
            )
            checkpoint = codec.heads_body({session: (number, hashed) for session, number, hashed in heads})
            self._event("session_closed", None, {"checkpoint": checkpoint, "since": since})
            self._set_cursor("checkpoint", str(self._db.inserted))
            self._db.write("UPDATE sessions SET closed_at = ? WHERE session_id = ?", stamp(self._clock.now()), self._session)

    def let_go(self, segment: Segment, before: datetime) -> None:
        """Remove the events that a segment holds, once it is durable, and remember where they are.

        The story of an intent that is not over, that changed since, or that is watched stays. No other row is touched: what a later
        submit is answered from, and what positions are summed from, is all here.
        """
        with self._transaction():
            # That events never vanish is lifted here and nowhere else, and holds again before anything of this is durable.
            self._db.write("DROP TRIGGER events_never_vanish")
            self._db.write(
                f"DELETE FROM events WHERE sequence <= ? AND (intent IS NULL OR intent NOT IN ({STORY_STAYS}))",
                segment.last,
                stamp(before),
            )
            self._db.write(
                "CREATE TRIGGER events_never_vanish BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
            )
            self._db.write(
                "INSERT INTO segments (number, file, sha256, first_sequence, last_sequence, heads, archived_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                segment.number, segment.file, segment.sha256, segment.first, segment.last,
                codec.dump(codec.heads_body(segment.heads)), stamp(self._clock.now()),
            )  # fmt: skip
            body = {"segment": segment.number, "file": segment.file, "sha256": segment.sha256}
            self._event("archived", None, {**body, "first": segment.first, "last": segment.last, "before": before})

    def bury(self, is_dead: Callable[[str], bool]) -> None:
        """Note the sessions that ended without closing, and check the file after such an end.

        Raises:
            LedgerError: the file is damaged.
        """
        open_sessions = [row[0] for row in self._db.rows("SELECT session_id FROM sessions WHERE closed_at IS NULL")]
        dead = [session_id for session_id in open_sessions if session_id != self._session and is_dead(session_id)]
        if not dead:
            return
        self._db.check()
        with self._transaction():
            for session_id in dead:
                self._db.write("UPDATE sessions SET closed_at = ? WHERE session_id = ?", stamp(self._clock.now()), session_id)
                self._event("session_died", None, {"died": session_id})

    def close(self) -> None:
        """Close the file."""
        self._watch.close()
        self._db.close()

    def claim(self, claim: Claim, deny: Callable[[], Denial | None]) -> int | Denial:
        """Make an attempt durable and return its number, or the denial that `deny` gave inside the transaction.

        Raises:
            ClaimLostError: somebody else claimed the intent first.
            LedgerError: the ledger cannot be used, or its file is no longer in its place.
        """
        now, name = self._clock.now(), claim.prepared.request.client_order_id

        def let_go(number: int) -> None:
            self.settle(name, number, AttemptOutcome.NOT_SENT, evidence={"interrupted_before": "send"})

        try:
            return self._transact(lambda: self._make_claim(claim, deny, now), let_go)
        except _DeniedError as error:
            return error.denial
        except apsw.ConstraintError as error:
            raise ClaimLostError(name) from error

    def _make_claim(self, claim: Claim, deny: Callable[[], Denial | None], now: datetime) -> int:
        """Write an attempt and return its number."""
        self._db.require_file()
        before = self._free_intent(claim)  # somebody was first? A denial would speak of an order that may be live
        denial = deny() or self.latch_denial()
        if denial:
            raise _DeniedError(denial)
        times = {"committed_at": stamp(now), "send_by": stamp(claim.send_by), "valid_until": stamp(claim.valid_until)}
        intent, number = self._claim_intent(claim, before, times)
        self._db.write(
            "INSERT INTO attempts (intent, number, session_id, committed_at, send_by, valid_until, position)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            intent, number, self._session, *times.values(), claim.prepared.position,
        )  # fmt: skip
        self._event("attempt", intent, {**times, **_attempt_body(claim, number)})
        return number

    def _free_intent(self, claim: Claim) -> tuple[int, IntentState, int] | None:
        """Return the intent with its latest attempt, None if it is new; raise `ClaimLostError` if it is not free."""
        name = claim.prepared.request.client_order_id
        row = self._db.row("SELECT id, state FROM intents WHERE client_order_id = ?", name)
        if row is None:
            return None
        intent, state = int(row[0]), IntentState(row[1])
        row = self._db.row("SELECT max(number) FROM attempts WHERE intent = ?", intent)
        latest = int(row[0] or 0) if row else 0
        if state not in MAY_ATTEMPT or (state is IntentState.UNKNOWN and claim.proven_attempt != latest):
            raise ClaimLostError(name)
        return intent, state, latest

    def _claim_intent(self, claim: Claim, before: tuple[int, IntentState, int] | None, times: Mapping[str, str]) -> tuple[int, int]:
        """Write the intent as in flight; return it and the number of the attempt."""
        request, decision, now = claim.prepared.request, claim.decision, times["committed_at"]
        stored = codec.dump(codec.request_body(request))
        if before is None:
            group = request.client_order_id if request.order_class is not OrderClass.SIMPLE else None
            parent = None if claim.replaces is None else self._replaced(claim.replaces, request.client_order_id)
            self._db.write(
                "INSERT INTO intents (client_order_id, strategy, intent_id, payload, symbol, group_id, parent_intent, state, request,"
                " valid_until, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                request.client_order_id, claim.strategy, decision.intent_id, codec.dump(decision.payload()), decision.symbol,
                group, parent, IntentState.IN_FLIGHT.value, stored, times["valid_until"], now, now,
            )  # fmt: skip
            return self._db.inserted, 1
        intent, state, latest = before
        self._db.write(
            "UPDATE intents SET state = ?, request = ?, valid_until = ?, updated_at = ? WHERE id = ?",
            advance(state, Move.ATTEMPT).value, stored, times["valid_until"], now, intent,
        )  # fmt: skip
        return intent, latest + 1

    def settle(
        self,
        client_order_id: str,
        number: int,
        outcome: AttemptOutcome,
        *,
        report: ExecutionReport | None = None,
        evidence: Mapping[str, Any],
    ) -> Recorded:
        """Record what became of an attempt, unless that is recorded already. Return what the ledger now holds."""
        self._transact(lambda: self._settle(client_order_id, number, outcome, report, evidence))
        found = self.find(client_order_id)
        assert found is not None
        return found

    def accept(
        self, client_order_id: str, number: int, report: ExecutionReport, evidence: Mapping[str, Any]
    ) -> ExecutionReport | Recorded:
        """Record that the venue took an attempt; return its report with all executions on record.

        What was just written is not read back, unless it was not written as it was said: then the record is returned, whatever it is.
        """
        after, known = self._transact(
            lambda: (self._settle(client_order_id, number, AttemptOutcome.ACCEPTED, report, evidence), self._executed(report))
        )
        if after is None or after.value != report.status.value:
            found = self.find(client_order_id)
            assert found is not None
            return found
        return report.with_executions(tuple(effective(codec.execution_from(body) for _, body in known))) if known else report

    def _settle(
        self,
        client_order_id: str,
        number: int,
        outcome: AttemptOutcome,
        report: ExecutionReport | None,
        evidence: Mapping[str, Any],
    ) -> IntentState | None:
        """Write an outcome and return where it leaves the intent, or None if somebody was first."""
        intent, state = self._intent_row(client_order_id)
        if report is not None and self._belongs_to_another(intent, report):
            outcome, report = AttemptOutcome.UNKNOWN, None
        now = self._clock.now()
        self._db.write(
            "UPDATE attempts SET outcome = ?1, settled_at = ?2 WHERE intent = ?3 AND number = ?4"
            " AND (outcome IS NULL OR (outcome = 'unknown' AND ?1 <> 'unknown'))",
            outcome.value, stamp(now), intent, number,
        )  # fmt: skip
        if self._db.changed != 1:
            return None
        after = self._settled_state(intent, state, number, outcome, report)
        self._set_state(intent, state, after, now)
        said = codec.report_body(report) if report else None
        body = {"attempt": number, "outcome": outcome.value, "state": after.value, "report": said, "evidence": evidence}
        self._event("settled", intent, {"client_order_id": client_order_id, **body})
        return after

    def _executed(self, report: ExecutionReport) -> list[tuple[Any, ...]]:
        """Return the executions on record for a venue's order, each with the intent it is booked to."""
        return self._db.rows(
            "SELECT intent, body FROM executions WHERE symbol = ? AND venue_order_id = ?", report.symbol, report.venue_order_id
        )

    def _settled_state(
        self, intent: int, state: IntentState, number: int, outcome: AttemptOutcome, report: ExecutionReport | None
    ) -> IntentState:
        """Return where an attempt's outcome leaves its intent.

        While a further attempt is in flight, the intent is its sender's. A refusal of this attempt says nothing about an earlier
        one that is still unknown: it may even be that one's consequence. A proof of absence is about this attempt and those before.
        """
        others = self._db.rows("SELECT number, outcome FROM attempts WHERE intent = ? AND number <> ?", intent, number)
        if outcome is AttemptOutcome.ABSENT:
            self._db.write(
                "UPDATE attempts SET outcome = 'absent' WHERE intent = ? AND outcome = 'unknown' AND number <= ?", intent, number
            )
        proven = number if outcome is AttemptOutcome.ABSENT else 0
        doubt = any(said == "unknown" and other > proven for other, said in others)
        in_flight = any(said is None for _, said in others)
        if report is not None and not (report.status is OrderStatus.REJECTED and doubt):
            if doubt or outcome is AttemptOutcome.UNKNOWN:
                self._evidence_of_order(intent)
            state_of_order = self._take_report(intent, state, report)
            if state_of_order is not IntentState.IN_FLIGHT and not in_flight:
                return state_of_order
        if in_flight:
            return state
        known = self._db.row("SELECT report FROM venue_orders WHERE intent = ? AND number = 0", intent)
        if known is not None:
            status = codec.report_from(known[0], ()).status
            if status is not OrderStatus.REJECTED or not (doubt or outcome is AttemptOutcome.UNKNOWN):
                return _advanced(state, move_of(status))
        return _advanced(state, Move.LEFT_UNKNOWN if doubt else _MOVES[outcome])

    def _belongs_to_another(self, intent: int, report: ExecutionReport) -> bool:
        """Say whether the venue's order is on record for another intent; that cannot be, so new orders stop."""
        row = self._db.row(
            "SELECT intent FROM venue_orders WHERE symbol = ? AND venue_order_id = ?", report.symbol, report.venue_order_id
        )
        if row is None or row[0] == intent:
            return False
        self._latch(f"the venue gave order {report.venue_order_id} for two intents, the second being {report.client_order_id}")
        return True

    def apply_report(self, report: ExecutionReport, evidence: Mapping[str, Any]) -> Recorded | None:
        """Record what the venue says of an order; None if it is not ours. Leaves intents in flight to those who sent them."""
        known = self._transact(lambda: self._apply(report, evidence))
        return self.find(report.client_order_id) if known and report.client_order_id else None

    def _apply(self, report: ExecutionReport, evidence: Mapping[str, Any]) -> bool:
        row = self._row_of(report)
        if row is None:
            return False
        intent, state, request = int(row[0]), IntentState(row[1]), row[2]
        if self._is_leg(intent, report):
            return self._apply_leg(intent, evolve(report, leg_of=row[3]), evidence)
        if report.client_order_id is None:  # some venues repeat it only here and there; their own id has led to the intent
            report = evolve(report, client_order_id=row[3])
        if state is IntentState.IN_FLIGHT or self._belongs_to_another(intent, report):
            return True
        wrong = mismatches(codec.request_from(request), report) if request else []
        if wrong:
            self._latch(f"the venue shows another order under {report.client_order_id}: {'; '.join(wrong)}")
            return True
        if not self._is_news(intent, state, report):
            self._write_parts(intent, report)
            return True
        ambiguous = report.status is OrderStatus.REJECTED and state is IntentState.UNKNOWN and self._may_have_arrived(intent) > 1
        if not ambiguous:
            self._evidence_of_order(intent)
        after = self._take_report(intent, state, report)
        if ambiguous:  # of which attempt it is the end, nobody can tell; another may be live
            after = state
        self._set_state(intent, state, after, self._clock.now())
        self._event("reported", intent, {"state": after.value, "report": codec.report_body(report), "evidence": evidence})
        return True

    def _is_leg(self, intent: int, report: ExecutionReport) -> bool:
        """Say whether a report is about a leg: by the venue's word, or because the order is on record as one."""
        if report.leg_of is not None:
            return True
        row = self._db.row(
            "SELECT role FROM venue_orders WHERE intent = ? AND symbol = ? AND venue_order_id = ?",
            intent, report.symbol, report.venue_order_id,
        )  # fmt: skip
        return row is not None and row[0] == "leg"

    def _apply_leg(self, intent: int, report: ExecutionReport, evidence: Mapping[str, Any]) -> bool:
        """Write what the venue says of a leg. The intent's state is the state of the order that began it."""
        if self._belongs_to_another(intent, report):
            return True
        before = self._db.row(
            "SELECT report FROM venue_orders WHERE symbol = ? AND venue_order_id = ?", report.symbol, report.venue_order_id
        )
        state = IntentState.FRESH if before is None else IntentState(codec.report_from(before[0], ()).status.value)
        if self._is_news(intent, state, report):
            self._write_venue_order(intent, report, leg=True)
            self._link_executions(intent, report)
            self._event("leg_reported", intent, {"report": codec.report_body(report), "evidence": evidence})
        for execution in report.executions:
            self._write_execution(execution)
        return True

    def _write_parts(self, intent: int, report: ExecutionReport) -> None:
        """Write the executions and the legs that a report carries."""
        for execution in report.executions:
            self._write_execution(execution)
        for leg in report.legs:
            self._apply_leg(intent, leg, {"source": "the order that began it"})

    def _may_have_arrived(self, intent: int) -> int:
        """Return how many attempts are not proven never to have reached the venue."""
        row = self._db.row("SELECT count(*) FROM attempts WHERE intent = ? AND outcome NOT IN ('not_sent', 'absent')", intent)
        return int(row[0]) if row else 0

    def _row_of(self, report: ExecutionReport) -> tuple[Any, ...] | None:
        columns = "i.id, i.state, i.request, i.client_order_id"
        if report.client_order_id:
            found = self._db.row(f"SELECT {columns} FROM intents i WHERE i.client_order_id = ?", report.client_order_id)
            if found:
                return found
        if report.leg_of:
            found = self._db.row(f"SELECT {columns} FROM intents i WHERE i.client_order_id = ?", report.leg_of)
            if found:
                return found
        return self._db.row(
            f"SELECT {columns} FROM venue_orders v JOIN intents i ON i.id = v.intent WHERE v.symbol = ? AND v.venue_order_id = ?",
            report.symbol, report.venue_order_id,
        )  # fmt: skip

    def _evidence_of_order(self, intent: int) -> None:
        self._db.write("UPDATE attempts SET outcome = 'accepted' WHERE intent = ? AND outcome = 'unknown'", intent)

    def _is_news(self, intent: int, state: IntentState, report: ExecutionReport) -> bool:
        """Say whether a report tells more than is on record; one that tells less came late and is left aside."""
        row = self._db.row(
            "SELECT report FROM venue_orders WHERE intent = ? AND symbol = ? AND venue_order_id = ?",
            intent, report.symbol, report.venue_order_id,
        )  # fmt: skip
        if row is None:
            return True
        before = codec.report_from(row[0], ())
        if report.filled_quantity != before.filled_quantity:
            return report.filled_quantity > before.filled_quantity
        if (report.status, report.average_price) == (before.status, before.average_price):
            return _is_newer(report, before)
        return move_of(report.status) in TABLE[state]

    def _take_report(self, intent: int, state: IntentState, report: ExecutionReport) -> IntentState:
        """Write the venue's order and executions, and return the state that follows."""
        role = self._write_venue_order(intent, report)
        self._write_parts(intent, report)
        self._link_executions(intent, report)
        if role == "duplicate":
            self._latch(f"a second order {report.venue_order_id} exists for {report.client_order_id}")
            return state
        if state in CONTRADICTIONS:
            self._latch(
                f"order {report.venue_order_id} of {report.client_order_id} exists although it was recorded as {state.value}"
            )
        after = _advanced(state, move_of(report.status))
        if after.value != report.status.value and state in _ENDED:
            self._latch(f"order {report.venue_order_id} of {report.client_order_id} was {state.value}, then {report.status.value}")
        return after

    def _link_executions(self, intent: int, report: ExecutionReport) -> None:
        """Book to the intent what was executed of its order before anybody knew whose it was."""
        if any(owner is None for owner, _ in self._executed(report)):
            self._db.write(
                "UPDATE executions SET intent = ? WHERE symbol = ? AND venue_order_id = ? AND intent IS NULL",
                intent, report.symbol, report.venue_order_id,
            )  # fmt: skip
            self._set_cursor(RELINKED + report.symbol, str(self.last_sequence()))
            self._filled.add((report.symbol, report.venue_order_id))

    def _write_venue_order(self, intent: int, report: ExecutionReport, *, leg: bool = False) -> str:
        """Write the venue's latest word on an order; return the order's role. The first that is no leg is the primary, number 0."""
        row = self._db.row(
            "INSERT INTO venue_orders (intent, number, symbol, venue_order_id, role, report)"
            " SELECT ?1, iif(?5 OR min(number) = 0, coalesce(max(number), 0) + 1, 0), ?2, ?3,"
            " CASE WHEN ?5 THEN 'leg' WHEN min(number) = 0 THEN 'duplicate' ELSE 'primary' END, ?4"
            " FROM venue_orders WHERE intent = ?1"
            " ON CONFLICT (symbol, venue_order_id) DO UPDATE SET report = excluded.report RETURNING role",
            intent, report.symbol, report.venue_order_id, codec.dump(codec.report_body(report)), leg,
        )  # fmt: skip
        assert row is not None
        return str(row[0])

    def _write_execution(self, execution: Execution) -> None:
        """Write an execution once, however often the venue tells of it."""
        owner = self._db.row("SELECT intent FROM venue_orders WHERE symbol = ? AND venue_order_id = ?",
                             execution.symbol, execution.venue_order_id)  # fmt: skip
        intent = owner[0] if owner else None
        self._db.write(
            "INSERT INTO executions (symbol, execution_id, venue_order_id, intent, body) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (symbol, execution_id) DO NOTHING",
            execution.symbol, execution.execution_id, execution.venue_order_id, intent, codec.dump(codec.execution_body(execution)),
        )  # fmt: skip
        if self._db.changed == 1:
            self._event("execution", intent, codec.execution_body(execution))
            self._filled.add((execution.symbol, execution.venue_order_id))

    def _check_fills(self) -> None:
        """Hold what this transaction added to against what was ordered; more than that stops new orders."""
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

    def apply_snapshot(self, snapshot: VenueSnapshot) -> Familiarity:
        """Record orders, executions and the cursor of a snapshot in one transaction; return what of it was on record before.

        Of an order about which anything is new, everything is looked at, in the order in which it was told.
        """
        reports = (*snapshot.changed_orders, *snapshot.open_orders)
        found = familiarity(self._db, reports)
        names = {report.client_order_id for report in found.news}
        with self._transaction():
            for report in reports if names else ():
                if report.client_order_id in names:
                    self._apply(report, {"source": "reconcile"})
            for execution in snapshot.executions:
                self._write_execution(execution)
            self._set_cursor("reconcile", snapshot.cursor)
        return found

    def apply_executions(self, executions: Iterable[Execution]) -> tuple[str, ...]:
        """Record trades, each once however often it is told; return the client order ids of ours that had a new one.

        One whose order is not on record yet is kept, and found when the order is.
        """
        owners: list[str] = []
        with self._transaction():
            for execution in executions:
                known = self._db.row(
                    "SELECT 1 FROM executions WHERE symbol = ? AND execution_id = ?", execution.symbol, execution.execution_id
                )
                self._write_execution(execution)
                owner = None if known else self._owner(execution)
                owners += [owner] if owner else []
        return tuple(dict.fromkeys(owners))

    def _owner(self, execution: Execution) -> str | None:
        row = self._db.row(
            "SELECT i.client_order_id FROM venue_orders v JOIN intents i ON i.id = v.intent"
            " WHERE v.symbol = ? AND v.venue_order_id = ?", execution.symbol, execution.venue_order_id,
        )  # fmt: skip
        return None if row is None else str(row[0])

    def adopt(self, reports: list[ExecutionReport], snapshot: VenueSnapshot | None) -> int:
        """Take over orders that the venue holds and the ledger has never heard of; return how many.

        With the venue's whole snapshot, the ledger is complete up to it from then on, and remembers that it began as an adopted one.
        """
        new = 0
        with self._transaction():
            now = stamp(self._clock.now())
            for report in reports:
                if self._row_of(report) is not None:
                    self._apply(report, {"source": "adoption"})
                    continue
                self._db.write(
                    "INSERT INTO intents (client_order_id, symbol, state, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
                    report.client_order_id, report.symbol, IntentState.FRESH.value, now, now,
                )  # fmt: skip
                intent = self._db.inserted
                after = self._take_report(intent, IntentState.FRESH, report)
                self._set_state(intent, IntentState.FRESH, after, self._clock.now())
                self._event("adopted", intent, {"state": after.value, "report": codec.report_body(report)})
                new += 1
            if snapshot is not None:
                for execution in snapshot.executions:
                    self._write_execution(execution)
                self._set_cursor("reconcile", snapshot.cursor)
                self._set_cursor("adopted_at", now)
        return new

    def claim_adopted(self, client_order_id: str, strategy: str, intent_id: str, payload: Mapping[str, str | None]) -> None:
        """Write a caller's name under an order that was adopted without one."""
        with self._transaction():
            self._db.write(
                "UPDATE intents SET strategy = ?, intent_id = ?, payload = ? WHERE client_order_id = ? AND payload IS NULL",
                strategy, intent_id, codec.dump(payload), client_order_id,
            )  # fmt: skip
            if self._db.changed == 1:
                intent, _ = self._intent_row(client_order_id)
                self._event("claimed", intent, {"strategy": strategy, "intent_id": intent_id, "payload": payload})

    def _replaced(self, replaces: str, client_order_id: str) -> int:
        """Return the intent whose order is to be replaced; deny it while another replacement of it may still make an order."""
        intent, _ = self._intent_row(replaces)
        other = self._db.row(
            "SELECT intent_id FROM intents WHERE parent_intent = ? AND client_order_id <> ?"
            " AND state NOT IN ('rejected', 'not_placed')", intent, client_order_id,
        )  # fmt: skip
        if other is not None:
            message = (
                f"another replacement of this order, {other[0]!r}, is not settled; replace again under that intent id to settle it"
            )
            raise _DeniedError(Denial(reason="REPLACE_UNDER_WAY", message=message))
        return intent

    def begin_replacement(self, client_order_id: str, strategy: str, decision: Decision, replaces: str) -> Denial | None:
        """Write that an order is to be replaced, before anything is done about it, or return the denial.

        Does nothing if that is written already.
        """
        try:
            self._begin_replacement(client_order_id, strategy, decision, replaces)
        except _DeniedError as error:
            return error.denial
        return None

    def _begin_replacement(self, client_order_id: str, strategy: str, decision: Decision, replaces: str) -> None:
        now = stamp(self._clock.now())
        with self._transaction():
            self._db.write(
                "INSERT INTO intents (client_order_id, strategy, intent_id, payload, symbol, parent_intent, state, created_at,"
                " updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (client_order_id) DO NOTHING",
                client_order_id, strategy, decision.intent_id, codec.dump(decision.payload()), decision.symbol,
                self._replaced(replaces, client_order_id), IntentState.FRESH.value, now, now,
            )  # fmt: skip
            if self._db.changed == 1:
                body = {"client_order_id": client_order_id, "strategy": strategy, "intent_id": decision.intent_id}
                self._event("replacement_begun", self._db.inserted, {**body, "payload": decision.payload(), "replaces": replaces})

    def close_replacement(self, client_order_id: str, evidence: Mapping[str, Any]) -> Recorded:
        """Close a replacement that was never sent, because the order it was to replace left nothing to place."""
        with self._transaction():
            intent, state = self._intent_row(client_order_id)
            if state not in {IntentState.FRESH, IntentState.NOT_SENT}:
                raise ClaimLostError  # another caller has sent or closed it meanwhile
            after = advance(state, Move.PROVED_ABSENT)
            self._set_state(intent, state, after, self._clock.now())
            self._event("replacement_closed", intent, {"state": after.value, "evidence": evidence})
        found = self.find(client_order_id)
        assert found is not None
        return found

    def close_by_person(self, client_order_id: str, by: str, because: str, evidence: Mapping[str, Any]) -> Recorded:
        """Close an unknown intent on a named person's word, and keep watching for it."""
        with self._transaction():
            intent, state = self._intent_row(client_order_id)
            after = advance(state, Move.CLOSED_BY_PERSON)
            self._db.write("UPDATE attempts SET outcome = 'absent' WHERE intent = ? AND outcome = 'unknown'", intent)
            self._db.write("UPDATE intents SET watched = 1 WHERE id = ?", intent)
            self._set_state(intent, state, after, self._clock.now())
            self._event("resolved", intent, {"state": after.value, "by": by, "because": because, "evidence": evidence})
        found = self.find(client_order_id)
        assert found is not None
        return found

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

    def set_baseline(self, value: str, said: Mapping[str, Any]) -> None:
        """Remember the positions that changes are counted from."""
        with self._transaction():
            self._set_cursor("baseline", value)
            self._event("baseline", None, said)

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
        content = events.canonical({"kind": kind, "at": self._clock.now(), "session": self._session, **body})
        hashed = events.step(previous, content)
        self._db.write(
            "INSERT INTO events (session_id, number, kind, intent, body, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
            self._session, number + 1, kind, intent, content, previous, hashed,
        )  # fmt: skip
        self._head = (number + 1, hashed)


def _advanced(state: IntentState, move: Move) -> IntentState:
    """Return the state after a move; an illegal one leaves it alone."""
    try:
        return advance(state, move)
    except IllegalMoveError:
        return state


def _is_newer(report: ExecutionReport, before: ExecutionReport) -> bool:
    """Say whether a later word changes what an order is for, or where its stop stands: a leg's quantity, a trail."""
    told, known = ((said.quantity, said.price, said.stop_price, said.replaced_by) for said in (report, before))
    if told == known or report.venue_time is None:
        return False
    return before.venue_time is None or report.venue_time > before.venue_time


class _DeniedError(Exception):
    """Leaves the transaction without a trace."""

    def __init__(self, denial: Denial) -> None:
        super().__init__(denial.reason)
        self.denial = denial


def _attempt_body(claim: Claim, number: int) -> dict[str, Any]:
    return {
        "attempt": number,
        "client_order_id": claim.prepared.request.client_order_id,
        "strategy": claim.strategy,
        "intent_id": claim.decision.intent_id,
        "payload": claim.decision.payload(),
        "sent": {"quantity": claim.prepared.request.quantity, "price": claim.prepared.request.price},
        "wire": claim.prepared.wire,
        "position": claim.prepared.position,
        **({} if claim.replaces is None else {"replaces": claim.replaces}),
    }


def _meta(identity: LedgerIdentity, now: datetime) -> dict[str, str]:
    return {
        "schema_version": str(migrations.newest_version()),
        "ledger_id": os.urandom(8).hex(),
        "created_at": stamp(now),
        "venue": identity.venue,
        "environment": identity.environment,
        "account_id": identity.account_id,
    }


def _refuse_path(path: Path) -> None:
    if path.is_dir():
        raise LedgerError(f"the ledger path {path} is a directory; name a file in it")
