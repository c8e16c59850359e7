"""How the ledger takes what the venue says: what became of an attempt, a report, an execution, a snapshot."""

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve

from logos_core.events import stamp
from logos_core.executions import effective
from logos_core.hookspecs import VenueSnapshot
from logos_core.ledger import codec
from logos_core.ledger.executed import RELINKED
from logos_core.ledger.familiar import familiarity
from logos_core.ledger.transactions import Transactions
from logos_core.lifecycle import CONTRADICTIONS, TABLE, IllegalMoveError, IntentState, Move, advance, move_of
from logos_core.orders import OrderStatus
from logos_core.records import (
    AttemptOutcome,
    Familiarity,
    Recorded,
)
from logos_core.reports import Execution, ExecutionReport, mismatches

_MOVES = {
    AttemptOutcome.NOT_SENT: Move.PROVED_NOT_SENT,
    AttemptOutcome.REJECTED: Move.PROVED_REJECTED,
    AttemptOutcome.ABSENT: Move.PROVED_ABSENT,
    AttemptOutcome.UNKNOWN: Move.LEFT_UNKNOWN,
}

_ENDED = frozenset({IntentState.FILLED, IntentState.CANCELED, IntentState.EXPIRED})


class Reported(Transactions):
    """A ledger that books what the venue says, each thing once, and never for another order."""

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
        self._transact(lambda: self._apply(report, evidence))
        return self.find(report.client_order_id) if report.client_order_id else None

    def _apply(self, report: ExecutionReport, evidence: Mapping[str, Any]) -> None:
        row = self._row_of(report)
        if row is None:
            return
        intent, state, request = int(row[0]), IntentState(row[1]), row[2]
        if self._is_leg(intent, report):
            self._apply_leg(intent, evolve(report, leg_of=row[3]), evidence)
            return
        if report.client_order_id is None:  # some venues repeat it only here and there; their own id has led to the intent
            report = evolve(report, client_order_id=row[3])
        if state is IntentState.IN_FLIGHT or self._belongs_to_another(intent, report):
            return
        wrong = mismatches(codec.request_from(request), report) if request else []
        if wrong:
            self._latch(f"the venue shows another order under {report.client_order_id}: {'; '.join(wrong)}")
            return
        if not self._is_news(intent, state, report):
            self._write_parts(intent, report)
            return
        ambiguous = report.status is OrderStatus.REJECTED and state is IntentState.UNKNOWN and self._may_have_arrived(intent) > 1
        if not ambiguous:
            self._evidence_of_order(intent)
        after = self._take_report(intent, state, report)
        if ambiguous:  # of which attempt it is the end, nobody can tell; another may be live
            after = state
        self._set_state(intent, state, after, self._clock.now())
        self._event("reported", intent, {"state": after.value, "report": codec.report_body(report), "evidence": evidence})

    def _is_leg(self, intent: int, report: ExecutionReport) -> bool:
        """Say whether a report is about a leg: by the venue's word, or because the order is on record as one."""
        if report.leg_of is not None:
            return True
        row = self._db.row(
            "SELECT role FROM venue_orders WHERE intent = ? AND symbol = ? AND venue_order_id = ?",
            intent, report.symbol, report.venue_order_id,
        )  # fmt: skip
        return row is not None and row[0] == "leg"

    def _apply_leg(self, intent: int, report: ExecutionReport, evidence: Mapping[str, Any]) -> None:
        """Write what the venue says of a leg. The intent's state is the state of the order that began it."""
        if self._belongs_to_another(intent, report):
            return
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

    def apply_snapshot(self, snapshot: VenueSnapshot) -> Familiarity:
        """Record orders, executions and the cursor of a snapshot in one transaction; return what of it was on record before.

        Of an order about which anything is new, everything is looked at, in the order in which it was told.
        """
        reports = (*snapshot.changed_orders, *snapshot.open_orders)
        found = familiarity(self._db, reports)
        names = {report.client_order_id for report in found.news}
        with self._transaction():
            for report in reports:
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
