"""The ledger in one SQLite file.

Rules:

1. One transaction per transition; its event rides in it. Nothing is written outside of one.
2. An attempt's outcome is compare-and-set: it is written over NULL by whoever owns it, or over *unknown* by better evidence.
3. What the unique keys forbid is the promise itself: one intent per client order id, one attempt in flight per intent, one primary
   order per intent. Their violation is an answer ("somebody was first"), not an accident.
4. An intent in flight belongs to the session that sent it. A report from anywhere else leaves it alone.
"""

import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import apsw

from logos_core.clock import Clock
from logos_core.errors import ConfigurationError, LedgerError
from logos_core.events import stamp
from logos_core.hookspecs import VenueSnapshot
from logos_core.ledger import codec, migrations
from logos_core.ledger.connection import Connection
from logos_core.ledger.reported import Reported
from logos_core.lifecycle import MAY_ATTEMPT, IntentState, Move, advance
from logos_core.orders import Decision, OrderClass
from logos_core.records import (
    AttemptOutcome,
    Claim,
    ClaimLostError,
    Denial,
    LedgerIdentity,
    Recorded,
    Segment,
)
from logos_core.reports import ExecutionReport
from logos_core.systems import make_folder

STORY_STAYS = (
    "SELECT id FROM intents WHERE watched = 1 OR updated_at >= ?"
    " OR state NOT IN ('filled', 'canceled', 'expired', 'rejected', 'not_placed')"
    " UNION SELECT intent FROM attempts WHERE outcome IS NULL OR outcome = 'unknown'"
    " UNION SELECT intent FROM venue_orders WHERE role = 'duplicate'"
    " OR json_extract(report, '$.status') NOT IN ('filled', 'canceled', 'expired', 'rejected')"
)
"""The intents whose events are not archived: whoever looks into them finds the whole story in the ledger."""


class SqliteLedger(Reported):
    """The durable memory of one account, in one file."""

    @classmethod
    def create(cls, path: Path, identity: LedgerIdentity, clock: Clock) -> Self:
        """Write a new ledger where there is none."""
        _refuse_path(path)
        if path.exists() and not cls.is_unfinished(path):
            raise LedgerError(f"{path} exists already; a ledger is never overwritten")
        make_folder(path.parent)
        connection = Connection(path, create=True)
        with connection.transaction():
            connection.create_schema()
            for name, value in _meta(identity, clock.now()).items():
                connection.write("INSERT INTO meta (name, value) VALUES (?, ?)", name, value)
        return cls(connection, identity, clock)

    @staticmethod
    def is_unfinished(path: Path) -> bool:
        """Say whether a file holds nothing, as whoever makes a ledger leaves it when killed before the first commit."""
        _refuse_path(path)
        connection = Connection(path)
        try:
            return not connection.rows("SELECT name FROM sqlite_master LIMIT 1")
        finally:
            connection.close()

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
            raise ConfigurationError(
                f"the ledger {path} is that of {owner}, not of {identity}; put this account's own file "
                "back in its place, or name it in the preset ([session] ledger); nothing was changed"
            )
        migrations.bring_up_to_date(connection, found["schema_version"])
        return cls(connection, owner, clock)

    def begin_session(self, session_id: str, strategy: str, process: str, preset: Path | None = None) -> None:
        """Open a chain of events.

        Args:
            preset: the file it was opened with, so that a person can be told what to type.
        """
        self._session, self._head = session_id, None
        now = self._clock.now()
        with self._transaction():
            self._db.write(
                "INSERT INTO sessions (session_id, opened_at, strategy, process) VALUES (?, ?, ?, ?)",
                session_id, stamp(now), strategy, process,
            )  # fmt: skip
            opened_with = {} if preset is None else {"preset": str(preset)}
            self._event("session_opened", None, {"strategy": strategy, "process": process, **opened_with})

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

    def claim(
        self, claim: Claim, deny: Callable[[], Denial | None], beside: Callable[[], Denial | None] = lambda: None
    ) -> int | Denial:
        """Make an attempt durable and return its number, or the denial that was given inside the transaction.

        Args:
            deny: what stops every order.
            beside: what stops this one, because of others on record; asked last.

        Raises:
            ClaimLostError: somebody else claimed the intent first.
            LedgerError: the ledger cannot be used, or its file is no longer in its place.
        """
        now, name = self._clock.now(), claim.prepared.request.client_order_id

        def let_go(number: int) -> None:
            self.settle(name, number, AttemptOutcome.NOT_SENT, evidence={"interrupted_before": "send"})

        try:
            return self._transact(lambda: self._make_claim(claim, lambda: deny() or self.latch_denial() or beside(), now), let_go)
        except _DeniedError as error:
            return error.denial
        except apsw.ConstraintError as error:
            raise ClaimLostError(name) from error

    def _make_claim(self, claim: Claim, deny: Callable[[], Denial | None], now: datetime) -> int:
        """Write an attempt and return its number."""
        self._db.require_file()
        before = self._free_intent(claim)  # somebody was first? A denial would speak of an order that may be live
        denial = deny()
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
            self._event(
                "replacement_closed", intent, {"client_order_id": client_order_id, "state": after.value, "evidence": evidence}
            )
        found = self.find(client_order_id)
        assert found is not None
        return found

    def close_by_person(
        self, client_order_id: str, by: str, because: str, evidence: Mapping[str, Any], *, seen_attempt: int | None = None
    ) -> Recorded:
        """Close an unknown intent on a named person's word, and keep watching for it.

        Args:
            seen_attempt: the latest attempt that was on record when the evidence was looked for.

        Raises:
            ClaimLostError: somebody has made a further attempt since, of which the evidence says nothing.
        """
        with self._transaction():
            intent, state = self._intent_row(client_order_id)
            latest = self._db.row("SELECT coalesce(max(number), 0) FROM attempts WHERE intent = ?", intent)
            if seen_attempt is not None and latest != (seen_attempt,):
                raise ClaimLostError(client_order_id)
            after = advance(state, Move.CLOSED_BY_PERSON)
            self._db.write("UPDATE attempts SET outcome = 'absent' WHERE intent = ? AND outcome = 'unknown'", intent)
            self._db.write("UPDATE intents SET watched = 1 WHERE id = ?", intent)
            self._set_state(intent, state, after, self._clock.now())
            self._event("resolved", intent, {"state": after.value, "by": by, "because": because, "evidence": evidence})
        found = self.find(client_order_id)
        assert found is not None
        return found

    def set_baseline(self, value: str, said: Mapping[str, Any]) -> None:
        """Remember the positions that changes are counted from."""
        with self._transaction():
            self._set_cursor("baseline", value)
            self._event("baseline", None, said)


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
