"""Time, read and slept through one seam.

Everything that asks what time it is, or waits, takes a `Clock`. Nothing else in the package reads the system's clocks, so a test
or a simulation can own time completely.
"""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What the core needs to know of time."""

    def now(self) -> datetime:
        """Return the current wall time, aware and in UTC."""

    def monotonic_s(self) -> float:
        """Return seconds that never run backwards, for deadlines inside one process."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The clock of the host."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to; sleeping moves it.

    >>> clock = ManualClock()
    >>> clock.sleep(2.5)
    >>> clock.monotonic_s()
    2.5
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic_s(self) -> float:
        return self._elapsed_s

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._elapsed_s += seconds
