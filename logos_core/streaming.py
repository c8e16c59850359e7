"""Listening to a venue, so that what happens there is known before anybody asks. The stream is a hint; the venue's answers are the truth.

Rules:

1. A stream that does not say hello is an error, early and clear, when listening begins; later it is tried again, within bounds.
2. Whatever may have been missed is asked for: after each hello, on a gap, on silence, on an event that cannot be read, on what does
   not add up, at the end of a connection, and every so often where events are not numbered. The question is `reconcile`, as if a
   person had asked, but for the positions: comparing them waits, and no stream tells of them.
3. Nothing that happens here reaches a submit: errors end a connection, and show in `state`. Nothing here latches; what `reconcile`
   or the ledger finds may, as always.
4. Two threads at most: one listens, one watches it and asks. A listening thread that does not end is not followed by another.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from attrs import evolve, field, frozen, validators

from logos_core.errors import ConfigurationError, LogosError, StreamNotReadyError
from logos_core.intake import Intake
from logos_core.parts import Parts
from logos_core.pulse import Bounds, Healing, Need, Pulse
from logos_core.reconciliation import Agreement, ReconciliationReport
from logos_core.stream_connection import Connection, spoken

LOOK_AGAIN_S = 0.05
"""How often an intent in flight that was told of is looked at, until it has landed."""
LONGEST_WAIT_S = 1.0
CLOSE_WAIT_S = 60.0
LONGEST_S = 3_600.0


def _seconds(_instance: object, attribute: Any, value: float | None) -> None:
    if value is not None and not 0 < value <= LONGEST_S:
        raise ValueError(f"{attribute.name} is {value}; it must be above 0 and at most {LONGEST_S:g}")


@frozen(kw_only=True)
class StreamConfig:
    """How patient listening is.

    Attributes:
        hello_within_s: how long the venue may take to confirm the subscription.
        heartbeat_s: how often something must be heard; None takes what the venue declares.
        silent_beats: so many heartbeats without a sign of life end a connection.
        backoff_s: the first pause before connecting again; each further one doubles, until a connection has lasted.
        backoff_s_max: the longest pause.
        pace_s: the distance between two questions that the stream gives rise to. Each takes several requests of the rate budget.
        ask_every_s: how often to ask, need or not, where events are not numbered, so that no gap shows.
        end_within_s: how long a connection may take to end.
    """

    hello_within_s: float = field(default=15.0, converter=float, validator=_seconds)
    heartbeat_s: float | None = field(default=None, validator=_seconds)
    silent_beats: int = field(default=3, validator=validators.in_(range(1, 101)))
    backoff_s: float = field(default=0.5, converter=float, validator=_seconds)
    backoff_s_max: float = field(default=30.0, converter=float, validator=_seconds)
    pace_s: float = field(default=5.0, converter=float, validator=_seconds)
    ask_every_s: float = field(default=60.0, converter=float, validator=_seconds)
    end_within_s: float = field(default=10.0, converter=float, validator=_seconds)


@frozen(kw_only=True)
class StreamState:
    """How listening goes.

    Attributes:
        connected_since: when the present connection said hello; None while there is none.
        last_message_at: when something was last heard, a heartbeat included.
        reconnects: how many connections there were beyond the first.
        gaps_closed: how often the venue was asked for what may have been missed, and answered.
        applied: how often something on record changed.
        whole: whether nothing is left to ask for.
        trouble: what went wrong last, if anything did.
    """

    connected_since: datetime | None = None
    last_message_at: datetime | None = None
    reconnects: int = 0
    gaps_closed: int = 0
    applied: int = 0
    whole: bool = False
    trouble: str | None = None


class Listener:
    """Listens to one account's stream until it is closed. `Adapter.listen` makes one."""

    def __init__(self, parts: Parts, reconcile: Callable[[], ReconciliationReport], config: StreamConfig | None = None) -> None:
        declared = parts.venue.capabilities.stream.heartbeat_s
        if declared is None:
            raise ConfigurationError(f"{parts.venue.name} has no stream; call reconcile from time to time instead")
        self._parts, self._clock = parts, parts.clock
        self._config = config or StreamConfig()
        self._heartbeat_s = self._config.heartbeat_s or declared
        self._reconcile = reconcile
        self._bell = threading.Condition()
        self._intake = Intake(parts.ledger, parts.extensions.observe)
        able = parts.venue.capabilities
        every_s = None if able.stream.gapless else self._config.ask_every_s
        self._healing = Healing(pace_s=self._config.pace_s, again_s=able.client_ids.visibility_lag_s, every_s=every_s)
        self._state = StreamState()
        self._asking = self._ended = self._greeted = self._first_is_over = False
        self._closing = False
        self._watcher = threading.Thread(target=self._watch, name="logos-stream-watch", daemon=True)

    @property
    def is_open(self) -> bool:
        """Say whether it listens, or tries to."""
        return not self._closing

    @property
    def state(self) -> StreamState:
        """Return how listening goes."""
        with self._bell:
            gaps, applied = self._healing.gaps_closed, self._intake.applied
            return evolve(self._state, gaps_closed=gaps, applied=applied, whole=self._is_whole())

    def start(self) -> Self:
        """Connect, and wait for the hello.

        Raises:
            StreamNotReadyError: it did not come.
        """
        self._watcher.start()
        with self._bell:
            self._bell.wait_for(lambda: self._greeted or self._first_is_over, timeout=self._config.hello_within_s + LONGEST_WAIT_S)
            ready, trouble = self._greeted, self._state.trouble
        if not ready:
            self.close()
            why = trouble or f"no hello within {self._config.hello_within_s:g} s"
            raise StreamNotReadyError(f"{self._parts.venue.name}: the stream did not begin: {why}")
        return self

    def wait_until_whole(self, timeout_s: float) -> bool:
        """Wait until all that showed as missed has been asked for and answered; say whether that came to be."""
        with self._bell:
            return self._bell.wait_for(self._is_whole, timeout=timeout_s)

    def close(self) -> None:
        """End the connection and both threads. May be called twice."""
        with self._bell:
            self._closing = True
            self._bell.notify_all()
        self._watcher.join(CLOSE_WAIT_S)
        if self._watcher.is_alive():
            raise RuntimeError(f"the stream of {self._parts.venue.name} has not ended after {CLOSE_WAIT_S} s; close it again")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()

    def _watch(self) -> None:
        """Connect, attend to the connection, and begin again when it is over, until closed."""
        failures = 0
        while not self._closing:
            connection = Connection(
                self._parts.venue.listen, self._heartbeat_s, self._pulse(), self._intake, self._heard, self._clock
            )
            connection.start()
            trouble = self._attend(connection)
            connection.end(0.0)
            self._lost(trouble)
            failures = 1 if self._lasted(connection.pulse) else failures + 1
            self._rest(failures)
            self._see_out(connection, failures)
            with self._bell:
                self._state = evolve(self._state, reconnects=self._state.reconnects + (not self._closing))

    def _see_out(self, connection: Connection, failures: int) -> None:
        """Wait until a connection has ended. The venue can be asked all the while, and is if it takes too long."""
        late_s = self._clock.monotonic_s() + self._config.end_within_s
        while not self._closing and not connection.end(LOOK_AGAIN_S):
            if self._clock.monotonic_s() < late_s:
                self._see_to(self._clock.monotonic_s())
            else:
                self._lost("the listening thread does not end")
                self._rest(failures)
        connection.end(self._config.end_within_s)

    def _lasted(self, pulse: Pulse) -> bool:
        """Say whether a connection was a good one, so that the next failure is the first again."""
        return pulse.said_hello and self._clock.monotonic_s() - pulse.began_s > self._config.backoff_s_max

    def _pulse(self) -> Pulse:
        silent_after_s = self._heartbeat_s * self._config.silent_beats
        bounds = Bounds(hello_within_s=self._config.hello_within_s, silent_after_s=silent_after_s)
        return Pulse(bounds=bounds, began_s=self._clock.monotonic_s())

    def _attend(self, connection: "Connection") -> str:
        """Ask the venue whenever there is need, until the connection is over; return why it is."""
        while not self._closing:
            trouble = connection.over or connection.pulse.trouble(self._clock.monotonic_s())
            if trouble is not None:
                return trouble
            self._see_to(connection.pulse.deadline_s)
        return "closed"

    def _rest(self, failures: int) -> None:
        """Wait before connecting again. The venue can be asked all the while."""
        pause_s = min(self._config.backoff_s * 2 ** min(failures - 1, 20), self._config.backoff_s_max)
        until_s = self._clock.monotonic_s() + pause_s
        while not self._closing and self._clock.monotonic_s() < until_s:
            self._see_to(until_s)

    def _see_to(self, until_s: float) -> None:
        """Ask if it is due, else wait until something is."""
        with self._bell:
            now_s, due_s = self._clock.monotonic_s(), self._healing.due_s
            waiting = self._intake.waiting
            if due_s is None or due_s > now_s:
                soonest = min(until_s, until_s if due_s is None else due_s, now_s + (LOOK_AGAIN_S if waiting else LONGEST_WAIT_S))
                self._bell.wait(max(soonest - now_s, 0.0))
        if waiting:
            self._land()
        now_s = self._clock.monotonic_s()
        due_s = self._healing.due_s
        if due_s is not None and due_s <= now_s and not self._closing:
            self._ask(now_s)

    def _land(self) -> None:
        """Record what waited for intents in flight."""
        try:
            whole, trouble = self._intake.landed(), None
        except Exception as error:  # noqa: BLE001  what cannot be written down waits on, and the venue is asked
            whole, trouble = False, spoken(error)
        with self._bell:
            if not whole:
                self._healing.need(Need.INCOMPLETE, self._clock.monotonic_s())
            self._state = evolve(self._state, trouble=trouble or self._state.trouble)
            self._bell.notify_all()

    def _ask(self, now_s: float) -> None:
        """Reconcile, and note whether the venue could be asked."""
        with self._bell:
            self._healing.begin(now_s)
            self._asking = True
        trouble: str | None = None
        try:
            found = self._reconcile()
            if found.verdict is Agreement.COULD_NOT_ASK:
                trouble = found.error
        except Exception as error:  # noqa: BLE001  whatever it is, it is not this thread's to end on; the need stays
            trouble = spoken(error)
        with self._bell:
            self._asking = False
            if trouble is None:
                self._healing.answered()
            else:
                self._healing.failed(self._clock.monotonic_s())
                self._state = evolve(self._state, trouble=trouble)
            self._bell.notify_all()

    def _lost(self, trouble: str) -> None:
        if self._closing:
            return
        with self._bell:
            self._healing.need(Need.LOST, self._clock.monotonic_s())
            self._first_is_over = True
            self._state = evolve(self._state, connected_since=None, trouble=trouble)
            self._bell.notify_all()
        self._note("stream_lost", trouble)

    def _heard(self, needs: tuple[Need, ...], trouble: str | None) -> None:
        """Take note of what the listening thread heard."""
        now_s, now = self._clock.monotonic_s(), self._clock.now()
        with self._bell:
            self._state = evolve(self._state, last_message_at=now, trouble=trouble or self._state.trouble)
            for need in needs:
                self._healing.need(need, now_s)
            if Need.CONNECTED in needs:
                self._state, self._greeted = evolve(self._state, connected_since=now), True
            if needs or trouble or self._intake.waiting:
                self._bell.notify_all()
        if Need.CONNECTED in needs:
            self._note("stream_connected", None)

    def _note(self, kind: str, why: str | None) -> None:
        with suppress(LogosError):  # a ledger that cannot be written stops orders by itself; this note is not worth more
            self._parts.ledger.note(kind, {"why": why})

    def _is_whole(self) -> bool:
        return self._greeted and not self._asking and not self._healing.is_owed and not self._intake.waiting
