"""One thread at a time, chosen by a seed: what many threads, processes and a slow network do to one another, again and again the same.

Every task is a thread that runs alone until it comes to a seam: a sleep, a question to the venue, a transaction. There it stops, and
the seed chooses who goes on. Time passes only here. So a history is the same whenever it is played, and can be stopped between any
two seams: a process dies by never coming back from one.
"""

import hashlib
import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random

STEP_S = 0.02
"""The most that one step takes."""
LOST_S = 8.0
"""How long a task may run without coming to a seam, in real seconds; then it hangs."""
BEGIN = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Death(BaseException):
    """The process has ended. It leaves through every frame and does nothing more on its way, as nothing it touches works any more."""


class Process:
    """One simulated process.

    Attributes:
        dies_at: the number of the seam at which it ends; None while nobody wants its death.
        at_death: lets go of what an operating system would.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.seams = 0
        self.dies_at: int | None = None
        self.at_death: list[Callable[[], None]] = []

    def die(self) -> None:
        """End, at once."""
        if not self.dead:
            self.dead = True
            while self.at_death:
                self.at_death.pop()()

    def require_alive(self) -> None:
        """Raise `Death` in a process that has ended."""
        if self.dead:
            raise Death


class _Task:
    def __init__(self, name: str, process: Process, act: Callable[[], object]) -> None:
        self.name = name
        self.process = process
        self.act = act
        self.go = threading.Lock()
        self.go.acquire()
        self.wakes_s = 0.0
        self.done = False
        self.error: BaseException | None = None


class Scheduler:
    """Tasks, and the one clock they share.

    Attributes:
        now_s: seconds since the beginning.
        trace: the hash of everything that was chosen and done.
    """

    def __init__(self, random: Random) -> None:
        self.now_s = 0.0
        self.trace = hashlib.sha256()
        self.seams = 0
        self._random = random
        self._tasks: list[_Task] = []
        self._current: _Task | None = None
        self._back = threading.Lock()
        self._back.acquire()
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()

    def spawn(self, process: Process, name: str, act: Callable[[], object]) -> None:
        """Begin a task of a process. It takes its first step when it is chosen."""
        task = _Task(f"{process.name} {name}", process, act)
        threading.Thread(target=self._run, args=(task,), daemon=True).start()
        self._tasks.append(task)

    def after(self, delay_s: float, act: Callable[[], object]) -> None:
        """Let something happen in the world by itself."""
        heapq.heappush(self._due, (self.now_s + delay_s, next(self._numbers), act))

    def pause(self, label: str, sleep_s: float = 0.0) -> None:
        """Stop at a seam, until chosen again and after a sleep; outside of a task, time just passes."""
        task = self._current
        if task is None:
            self._pass(sleep_s)
            return
        self.brush(label)
        task.wakes_s = self.now_s + sleep_s
        self._back.release()
        task.go.acquire()
        task.process.require_alive()

    def brush(self, label: str) -> None:
        """Come by a seam at which nobody else can go on; the process may die there."""
        task = self._current
        if task is None:
            return
        self.seams += 1
        task.process.seams += 1
        self.trace.update(f"{task.name}: {label} at {self.now_s:.6f}\n".encode())
        if task.process.dies_at is not None and task.process.seams >= task.process.dies_at:
            task.process.die()
        task.process.require_alive()

    def run(self, steps: int = 100_000) -> None:
        """Let tasks go on until none is left, or for so many steps."""
        for _ in range(steps):
            if not self._tasks:
                return
            ready = [task for task in self._tasks if task.wakes_s <= self.now_s or task.process.dead]
            if ready:
                self._go_on(self._random.choice(ready))
            else:
                self._pass(min(task.wakes_s for task in self._tasks) - self.now_s)

    @property
    def process(self) -> Process | None:
        """The process whose task goes on just now; None between two steps."""
        return None if self._current is None else self._current.process

    def is_busy(self, process: Process) -> bool:
        """Say whether a task of this process is left."""
        return any(task.process is process for task in self._tasks)

    def _go_on(self, task: _Task) -> None:
        self._pass(self._random.random() * STEP_S)
        self._current = task
        task.go.release()
        if not self._back.acquire(timeout=LOST_S):
            raise RuntimeError(f"{task.name} hangs between two seams")
        self._current = None
        if task.done:
            self._tasks.remove(task)
            if task.error is not None:
                raise task.error

    def _pass(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self._due and self._due[0][0] <= until_s:
            self.now_s, _, act = heapq.heappop(self._due)
            act()
        self.now_s = max(self.now_s, until_s)

    def _run(self, task: _Task) -> None:
        task.go.acquire()
        try:
            task.process.require_alive()
            task.act()
        except Death:
            pass
        except BaseException as error:  # noqa: BLE001  raised again where the tasks are run
            task.error = None if task.process.dead else error
        task.done = True
        self._back.release()


class SimulatedClock:
    """The clock of every process; its wall time may be set anew, as a host's may."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.off_by = timedelta(0)

    def now(self) -> datetime:
        """Return what the host takes for the time."""
        return self.true_time() + self.off_by

    def true_time(self) -> datetime:
        """Return the venue's time."""
        return BEGIN + timedelta(seconds=self._scheduler.now_s)

    def monotonic_s(self) -> float:
        """Return seconds that never run backwards."""
        return self._scheduler.now_s

    def sleep(self, seconds: float) -> None:
        """Let the others go on."""
        self._scheduler.pause("sleep", max(seconds, 0.0))
