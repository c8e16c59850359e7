"""One run of a venue's `listen`, in a thread of its own, and the inlet that it is given.

What the venue hands over goes into the ledger at once. What cannot be written, or does not fit, is a need to ask; it ends nothing.
"""

import threading
from collections.abc import Callable
from contextlib import suppress

from logos_core.clock import Clock
from logos_core.errors import LogosError, PluginContractError
from logos_core.hookspecs import BadAnswerError, Inlet, StreamStoppedError
from logos_core.intake import Intake
from logos_core.pulse import Need, Pulse
from logos_core.reports import Execution, ExecutionReport

Tell = Callable[[tuple[Need, ...], str | None], None]
"""Takes note of something heard: why the venue must be asked, if it must, and what is wrong, if anything is."""


class Connection:
    """An `Inlet`, and the thread that fills it.

    Attributes:
        over: why the run has ended; None while it goes on.
    """

    def __init__(
        self, listen: Callable[[Inlet], None], heartbeat_s: float, pulse: Pulse, intake: Intake, tell: Tell, clock: Clock
    ) -> None:
        self.heartbeat_s = heartbeat_s
        self.pulse = pulse
        self.stopped = False
        self.over: str | None = None
        self._listen, self._intake, self._tell, self._clock = listen, intake, tell, clock
        self._lock = threading.Lock()
        self._ends: list[Callable[[], object]] = []
        self._thread = threading.Thread(target=self._run, name="logos-stream", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def end(self, within_s: float) -> bool:
        """Stop listening; say whether the thread has ended."""
        with self._lock:
            self.stopped = True
            ends, self._ends = self._ends, []
        for end in ends:
            with suppress(Exception):  # it may have ended already, in any way
                end()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        why = "the stream ended"
        try:
            self._listen(self)
        except StreamStoppedError:
            why = "stopped"
        except BaseException as error:  # noqa: BLE001  nothing that a venue does here may reach anybody else
            why = spoken(error)
        self.over = why
        self._tell((), None if self.stopped else why)

    # What the venue calls.

    def on_stop(self, end: Callable[[], object]) -> None:
        with self._lock:
            if not self.stopped:
                self._ends.append(end)
                return
        end()

    def hello(self) -> None:
        self._require_listening()
        again = self.pulse.said_hello
        self.pulse.hello(self._clock.monotonic_s())
        self._tell((Need.CONNECTED, Need.LOST) if again else (Need.CONNECTED,), "connected anew by the SDK" if again else None)

    def alive(self, position: int | None = None) -> None:
        self._require_listening()
        self._mind(gap=self.pulse.alive(self._clock.monotonic_s(), position))

    def heard(self, position: int) -> None:
        self._require_listening()
        self._mind(gap=self.pulse.heard(self._clock.monotonic_s(), position))

    def report(self, report: ExecutionReport) -> None:
        self._take(report, ExecutionReport, lambda: self._intake.report(report))

    def execution(self, execution: Execution) -> None:
        self._take(execution, Execution, lambda: self._intake.execution(execution))

    def unreadable(self, why: str) -> None:
        self._require_listening()
        self.pulse.alive(self._clock.monotonic_s())
        self._tell((Need.UNREADABLE,), f"unreadable: {why}"[:300])

    def _mind(self, *, gap: bool) -> None:
        self._tell((Need.GAP,) if gap else (), "events are missing" if gap else None)

    def _take(self, given: object, kind: type[object], write: Callable[[], bool]) -> None:
        self._require_listening()
        if not isinstance(given, kind):
            raise PluginContractError(f"listen handed over a {type(given).__name__}, not a {kind.__name__}")
        self.pulse.alive(self._clock.monotonic_s())
        try:
            whole = write()
        except Exception as error:  # noqa: BLE001  what cannot be written down is asked for
            self._tell((Need.UNREADABLE,), spoken(error))
        else:
            self._tell(() if whole else (Need.INCOMPLETE,), None)

    def _require_listening(self) -> None:
        if self.stopped:
            raise StreamStoppedError


def spoken(error: BaseException) -> str:
    """Return an error as people read it; of one that is not ours only its name, since its text may hold a signed address."""
    ours = isinstance(error, LogosError | BadAnswerError)
    return f"{type(error).__name__}: {error}"[:300] if ours else type(error).__name__
