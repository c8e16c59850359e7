"""Transactions of several threads in one commit: what one sync costs, they share.

Rules:

1. A caller learns its result, or its error, only after the commit of its group is durable.
2. Each member of a group sees what those before it wrote, so no two of them can pass one limit.
3. What a member raises undoes that member alone. What the storage raises fails the whole group.
4. A caller that is interrupted while it waits has it settled first whether its transaction is durable.
"""

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from logos_core.errors import LedgerError

R = TypeVar("R")

GROUP_MAX = 64
"""How many transactions share a commit at most."""
LINGER_S = 0.001
"""How long a group waits for one more member, while fewer than half of those who wrote lately are in it.

The other half is at work meanwhile. If all waited for the disk together, nobody would use the processor.
"""
STAY_S = 0.002
"""How long the writer keeps the ledger to itself after a group. Who finds it busy waits in its queue, and is grouped."""
LATELY = 8
"""In how many groups a caller must have been absent to be no longer waited for."""


class Storage(Protocol):
    """What the writer needs of a connection."""

    lock: Any
    broken: str | None

    def begin(self) -> None:
        """Begin a transaction, or raise `LedgerError`."""

    def attempt(self, work: Callable[[], R]) -> R:
        """Run a part of a transaction that is undone alone if it raises, unless the storage itself has failed."""

    def commit(self) -> None:
        """Make the transaction durable."""

    def failure(self, error: BaseException) -> LedgerError:
        """Undo the whole transaction, and return what is to be said of it."""


class _WithdrawnError(Exception):
    """The caller has gone before its transaction was begun."""


class _Job:
    """A transaction that waits for its turn.

    Its caller waits at a bare lock, which an Event would wrap in three more calls for every transaction.
    """

    def __init__(self, work: Callable[[], Any], undone: Callable[[], None]) -> None:
        self.work = work
        self.undone = undone
        self.caller = threading.get_ident()
        self.taken = False
        self.gone = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_decided = False
        self._pending = threading.Lock()
        self._pending.acquire()

    def wait(self) -> None:
        """Wait until it is decided; whoever was interrupted in it may wait again."""
        if not self.is_decided:
            self._pending.acquire()

    def decide(self, error: BaseException | None) -> None:
        """Let the caller go on, with this error or with its own result or error."""
        self.error = error or self.error
        self.is_decided = True
        self._pending.release()


class _Turn:
    """A caller that wants the connection to itself for a while."""

    def __init__(self) -> None:
        self.granted = threading.Lock()
        self.ended = threading.Lock()
        self.granted.acquire()
        self.ended.acquire()


class Writer:
    """Runs the transactions of callers who found the ledger busy, in a thread of its own that begins with the first of them."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._queue: queue.SimpleQueue[_Job | _Turn | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._pid = os.getpid()
        self._next: _Job | _Turn | None = None
        self._callers: deque[set[int]] = deque(maxlen=LATELY)
        self.in_charge = False

    def run(self, work: Callable[[], R], undone: Callable[[], None], abandoned: Callable[[R], None]) -> R:
        """Have a transaction run in the next group, and return its result; see `Connection.run`."""
        job = _Job(work, undone)
        try:
            self._put(job)
            job.wait()
        except LedgerError:
            raise
        except BaseException:
            job.gone = True
            if not job.is_decided:
                self._put(job)  # again: the interrupt may have come before the first time. A job is taken once.
                job.wait()
            if job.error is None:
                abandoned(job.result)
            raise
        if job.error is not None:
            raise job.error
        result: R = job.result
        return result

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold back all groups for a block, once those before it are through."""
        turn = _Turn()
        try:
            self._put(turn)
            turn.granted.acquire()
            yield
        finally:
            turn.ended.release()

    def stop(self) -> None:
        """Finish what waits, and end the thread."""
        if self._pid != os.getpid():
            return
        with self._lock:
            self._stopped = True
            if self._thread is None:
                return
            self._queue.put(None)
        self._thread.join()

    def _put(self, job: _Job | _Turn) -> None:
        if self._pid != os.getpid():
            raise LedgerError("the ledger was opened before a fork; open it in each process")
        with self._lock:
            if self._stopped:
                raise LedgerError("the ledger is closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="ledger-writer", daemon=True)
                self._thread.start()
            self._queue.put(job)

    def _serve(self) -> None:
        while not self._stopped or not self._queue.empty():
            self._next = self._queue.get()
            self.in_charge = True
            while (job := self._next or self._get(STAY_S)) is not None:
                self._next = None
                if isinstance(job, _Turn):
                    job.granted.release()
                    job.ended.acquire()
                else:
                    self._group(job)
            self.in_charge = False

    def _group(self, first: _Job) -> None:
        """Run a transaction and those that come meanwhile, commit them as one, and tell each caller."""
        members: list[_Job] = []
        failure: LedgerError | None = None
        with self._storage.lock:
            try:
                self._fill(first, members)
                self._storage.commit()
            except BaseException as error:  # noqa: BLE001  whatever it is, callers are waiting
                for job in members:
                    job.undone()
                failure = self._storage.failure(error)
        self._callers.append({job.caller for job in members})
        for job in members:
            job.decide(failure and _repeated(failure))

    def _fill(self, first: _Job, members: list[_Job]) -> None:
        job: _Job | None = first
        try:
            self._storage.begin()
        except LedgerError:  # whoever waits would wait as long for the same
            while job is not None:
                self._take(job, members)
                job = self._more()
            raise
        expected = len(set().union(*self._callers))
        while job is not None:
            if self._take(job, members):
                self._run(job)
            if len(members) >= GROUP_MAX:
                return
            job = self._more(LINGER_S if 2 * len(members) < expected else 0)

    def _take(self, job: _Job, members: list[_Job]) -> bool:
        """Make a job a member, unless it is one already: an interrupted caller puts it in twice."""
        if job.taken:
            return False
        job.taken = True
        members.append(job)
        return True

    def _run(self, job: _Job) -> None:
        if job.gone:
            job.error = _WithdrawnError()
            return
        try:
            job.result = self._storage.attempt(job.work)
        except LedgerError as error:
            job.undone()
            if self._storage.broken:
                raise
            job.error = error
        except BaseException as error:  # noqa: BLE001  the caller's own, and raised there
            job.undone()
            job.error = error

    def _more(self, wait_s: float = 0.0) -> _Job | None:
        """Return another job for this group; whatever else comes is next."""
        found = self._get(wait_s)
        if isinstance(found, _Job):
            return found
        self._next = found
        return None

    def _get(self, wait_s: float) -> _Job | _Turn | None:
        try:
            found = self._queue.get(timeout=wait_s) if wait_s else self._queue.get_nowait()
        except queue.Empty:
            return None
        return found


def _repeated(error: LedgerError) -> LedgerError:
    """Return the same error for one more caller: raising one object in several threads would mix up their tracebacks."""
    said = LedgerError(str(error))
    said.__cause__ = error.__cause__
    return said
