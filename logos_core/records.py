"""What is on record, and what the core needs of whoever keeps it.

A ledger is the only memory that counts: a fact is known when its transaction is durable, and not before.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from attrs import frozen

from logos_core.events import Heads
from logos_core.hookspecs import OrderReference, PreparedOrder, VenueSnapshot
from logos_core.lifecycle import IntentState
from logos_core.orders import Decision, OrderRequest
from logos_core.reports import ExecutionReport
from logos_core.values import plain


class AttemptOutcome(StrEnum):
    """What became of one attempt. The database holds NULL while it is in flight."""

    NOT_SENT = "not_sent"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    ABSENT = "absent"


@frozen(kw_only=True)
class LedgerIdentity:
    """Whose ledger it is. Every fact in it is about this one account."""

    venue: str
    environment: str
    account_id: str

    def __str__(self) -> str:
        return f"{self.venue} {self.environment}, account {self.account_id}"


@frozen(kw_only=True)
class Denial:
    """A refusal of ours.

    Attributes:
        reason: a stable code, `CATEGORY_CONDITION`.
        message: what was wrong, with the figures, and what to do.
    """

    reason: str
    message: str


@frozen(kw_only=True)
class Doubt:
    """An intent whose outcome is unknown.

    Attributes:
        since: when the first attempt that nobody knows the end of became durable.
    """

    client_order_id: str
    intent_id: str | None
    symbol: str
    since: datetime


@frozen(kw_only=True)
class Overfill:
    """More was traded than was ordered.

    Attributes:
        client_order_id: whose order it is; of orders that take one another's place, whose the first was.
        order: which order, or which intent's orders together.
        quantity: what was ordered.
        filled: what was traded, by all executions that stand.
    """

    client_order_id: str
    order: str
    quantity: Decimal
    filled: Decimal

    def __str__(self) -> str:
        return f"{self.order} of {self.client_order_id}: {plain(self.filled)} of {plain(self.quantity)}"


@frozen(kw_only=True)
class Attempt:
    """One request that may have left."""

    number: int
    session_id: str
    committed_at: datetime
    send_by: datetime
    valid_until: datetime
    position: str | None
    outcome: AttemptOutcome | None


@frozen(kw_only=True)
class Recorded:
    """An intent as the ledger knows it.

    Attributes:
        payload: the caller's order; None for an order that was adopted from the venue and not claimed yet.
        request: the order as sent; None for an adopted one.
        report: the venue's latest word on the primary order, with its legs and all executions on record.
        duplicates: venue order ids beyond the primary. There must never be any.
        replaces: the client order id of the order whose place this one was to take, or None.
    """

    id: int
    client_order_id: str
    strategy: str | None
    intent_id: str | None
    payload: Mapping[str, str | None] | None
    symbol: str
    state: IntentState
    request: OrderRequest | None
    created_at: datetime
    updated_at: datetime
    attempts: tuple[Attempt, ...]
    report: ExecutionReport | None
    duplicates: tuple[str, ...]
    replaces: str | None = None

    @property
    def open_since(self) -> datetime | None:
        """Return since when it is open what became of it: when the first attempt that nobody knows the end of became durable."""
        doubtful = {None, AttemptOutcome.UNKNOWN}
        return min((attempt.committed_at for attempt in self.attempts if attempt.outcome in doubtful), default=None)

    def reference(self) -> OrderReference:
        """Return how to find the order at the venue."""
        first = self.attempts[0] if self.attempts else None
        return OrderReference(
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            venue_order_id=self.report.venue_order_id if self.report else None,
            submitted_at=first.committed_at if first else None,
            position=first.position if first else None,
        )


@frozen(kw_only=True)
class Segment:
    """A file that events were archived into.

    Attributes:
        file: its name; it lies beside the ledger.
        sha256: of the file.
        first: the sequence number of its first event.
        last: and of its last.
        heads: of the chains that go on after it.
    """

    number: int
    file: str
    sha256: str
    first: int
    last: int
    heads: Heads


@frozen(kw_only=True)
class Claim:
    """An attempt about to be made durable.

    Attributes:
        decision: what the caller decided, under the caller's name for it.
        replaces: the client order id of the order whose place it takes, or None.
        proven_attempt: the latest attempt that a proof on record is about. It allows a further one although that one is unknown; a
            proof older than the latest attempt allows nothing.
    """

    decision: Decision
    strategy: str
    prepared: PreparedOrder
    send_by: datetime
    valid_until: datetime
    proven_attempt: int | None = None
    replaces: str | None = None


class ClaimLostError(Exception):
    """The intent is no longer free: somebody else claimed it first. Read it again."""


@frozen(kw_only=True)
class Familiarity:
    """What of some reports is on record.

    Attributes:
        known: the client order ids among theirs, and of the orders that legs among them belong to, that the ledger knows.
        news: the reports that say anything that is not on record just so.
    """

    known: frozenset[str]
    news: tuple[ExecutionReport, ...]


class Ledger(Protocol):
    """The durable memory of one account, as the path of an order uses it."""

    identity: LedgerIdentity

    def find(self, client_order_id: str) -> Recorded | None:
        """Return an intent, or None if the ledger has never heard of it."""

    def claim(
        self, claim: Claim, deny: Callable[[], Denial | None], beside: Callable[[], Denial | None] = lambda: None
    ) -> int | Denial:
        """Make an attempt durable and return its number, or the denial that `deny`, or `beside`, gave inside the transaction."""

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

    def accept(
        self, client_order_id: str, number: int, report: ExecutionReport, evidence: Mapping[str, Any]
    ) -> "ExecutionReport | Recorded":
        """Record that the venue took an attempt; return its report, or the record if it says something else."""

    def apply_report(self, report: ExecutionReport, evidence: Mapping[str, Any]) -> Recorded | None:
        """Record what the venue says of an order; None if it is not ours. Leaves intents in flight to those who sent them."""

    def apply_snapshot(self, snapshot: VenueSnapshot) -> Familiarity:
        """Record orders, executions and the cursor of a snapshot in one transaction; return what of it was on record before."""

    def claim_adopted(self, client_order_id: str, strategy: str, intent_id: str, payload: Mapping[str, str | None]) -> None:
        """Write a caller's name under an order that was adopted without one."""

    def note(self, kind: str, body: Mapping[str, Any], client_order_id: str | None = None) -> None:
        """Record an event that changes no state."""

    def unsettled(self) -> list[Recorded]:
        """Return intents that are in flight or unknown."""

    def working(self) -> list[Recorded]:
        """Return intents whose order may still trade."""

    def symbols(self) -> tuple[str, ...]:
        """Return every symbol an intent was recorded for."""

    def cursor(self, name: str) -> str | None:
        """Return where reading stopped."""

    def set_cursor(self, name: str, value: str) -> None:
        """Remember where reading stopped."""

    def latch(self, reason: str) -> None:
        """Stop new orders until a person releases the latch."""
