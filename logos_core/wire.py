"""What one operation did on the wire: how far it got, how many requests it made, and who may still stop it.

Rules:

1. An operation that moves an order makes one request. A second one, whoever asks for it, is refused before it leaves.
2. The gates run after the connection is made and before the first byte is written. A closed gate means that nothing was sent.
3. `phase` moves to SENT before the first byte is handed to the system, so it can only err towards "may have been sent".
4. The deadline covers the whole operation: connecting, sending and every single read.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from attrs import define, frozen

from logos_core.clock import Clock
from logos_core.errors import LogosError, PluginContractError
from logos_core.hookspecs import Operation, Phase

Gate = Callable[[], None]
"""Raises `GateClosedError` when the first byte must not leave."""

ONE_REQUEST = frozenset({Operation.SUBMIT, Operation.REPLACE, Operation.CANCEL})
MAX_REQUESTS = 1000
"""No single question to a venue needs more requests than this."""


class GateClosedError(LogosError):
    """The last check before the first byte said no. Nothing was sent.

    Attributes:
        reason: a stable code, `CATEGORY_CONDITION`.
        denies: whether this is a refusal of ours, not merely an attempt that came too late.
    """

    def __init__(self, reason: str, message: str, *, denies: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.denies = denies


@frozen(kw_only=True)
class Answer:
    """One HTTP answer, received to its end.

    Attributes:
        status: the HTTP status.
        headers: names in lower case.
        body: as text; undecodable bytes are replaced.
    """

    status: int
    headers: Mapping[str, str]
    body: str


@define(kw_only=True)
class WireRecord:
    """The record of one operation.

    Attributes:
        operation: what it is for.
        deadline_s: on the monotonic clock.
        requests: how many requests were begun.
        phase: how far the latest of them got.
        answer: the latest answer.
        closed_by: the gate that stopped it.
    """

    operation: Operation
    clock: Clock
    deadline_s: float
    gates: tuple[Gate, ...] = ()
    requests: int = 0
    phase: Phase = Phase.NOTHING_SENT
    answer: Answer | None = None
    closed_by: GateClosedError | None = None

    def begin_request(self) -> None:
        """Count a request, before anything of it leaves."""
        allowed = 1 if self.operation in ONE_REQUEST else MAX_REQUESTS
        if self.requests >= allowed:
            raise PluginContractError(f"{self.operation.value} may make {allowed} request(s); one more was refused")
        self.requests += 1
        self.phase = Phase.NOTHING_SENT
        self.answer = None

    def ask_also(self, gate: Gate) -> None:
        """Let a venue's own check stand before the first byte, behind those that stand there already."""
        self.gates = (*self.gates, gate)

    def first_byte_once(self, last: Gate = lambda: None) -> None:
        """Before a request's first byte, run the gates, then the connection's own, and note that from here on it may have been sent."""
        if self.phase is not Phase.NOTHING_SENT:
            return
        try:
            for gate in self.gates:
                gate()
            last()
        except GateClosedError as error:
            self.closed_by = error
            raise
        self.phase = Phase.SENT

    def answered(self, answer: Answer) -> None:
        """Note that the whole answer came."""
        self.phase = Phase.ANSWERED
        self.answer = answer

    def remaining_s(self) -> float:
        """Return the seconds until the deadline; zero or less when it has passed."""
        return self.deadline_s - self.clock.monotonic_s()


class Wire:
    """Knows, for each thread, which operation is on the wire."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self.clock = clock
        self.timeout_s = timeout_s
        self._local = threading.local()

    @contextmanager
    def operation(self, operation: Operation, gates: tuple[Gate, ...] = ()) -> Iterator[WireRecord]:
        """Record what this thread does on the wire until the block ends."""
        deadline_s = self.clock.monotonic_s() + self.timeout_s
        record = WireRecord(operation=operation, clock=self.clock, deadline_s=deadline_s, gates=gates)
        self._local.record = record
        try:
            yield record
        finally:
            self._local.record = None

    def current(self) -> WireRecord:
        """Return the record of this thread's operation.

        Raises:
            PluginContractError: outside of one; a venue must not use the network on its own account.
        """
        record: WireRecord | None = getattr(self._local, "record", None)
        if record is None:
            raise PluginContractError("the network was used outside of a venue's hook; nothing was sent")
        return record
