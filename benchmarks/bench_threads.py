"""What many threads on one ledger cost: syncs per order, orders through an SDK, and events in the ledger alone."""

import itertools
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from benchmarks import arms, floor
from benchmarks.arms import DESKS, Simulator
from benchmarks.bench_orders import WARM_ORDERS, _count_python_syncs, _CountingVfs, _same_disk
from logos_core.clock import SystemClock
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.records import LedgerIdentity

BATCH = 256
ROUNDS = 9
"""How often each arm is called in a block, each time with a batch from all threads."""
EVENTS = 1_024
EVENT_ROUNDS = 21
"""The same for the ledger alone, where a batch takes less and differs more."""
BODY_CHARACTERS = 330
"""Makes one event, with what else is written of it, as large as a raw record."""

Call = Callable[[], object]


def said(found: floor.Comparison) -> str:
    """Say what a comparison of batches came to as a ratio of how much is done in a time."""
    if not found.blocks:
        return found.trouble or "–"
    ratios = sorted(1 / ratio for ratio in found.ratios)
    whole = f"{1 / found.median:.3f} ({ratios[0]:.3f}–{ratios[-1]:.3f}) as fast; a batch in time: {found}"
    return whole if found.trouble is None else f"{found.trouble}; {whole}"


def syncs_per_order(folder: Path, *, threads: int, orders: int) -> float:
    """Count every sync that SQLite or Python asks of the system while several threads submit."""
    arms.pin_client()
    counter = _CountingVfs()
    _count_python_syncs(counter)
    desk, numbers = DESKS["alpaca"], itertools.count()
    with Simulator("alpaca") as simulator, arms.guarded(simulator, folder) as adapter, Crew(threads) as crew:

        def submits(count: int) -> list[Call]:
            made = [arms.order(desk, f"order-{next(numbers)}") for _ in range(count)]
            return [partial(adapter.submit, order) for order in made]

        crew.work(submits(WARM_ORDERS))
        counter.syncs = 0
        crew.work(submits(orders))
        return counter.syncs / orders


def over_floor(name: str, folder: Path, *, threads: int, blocks: int, rounds: int = ROUNDS) -> floor.Comparison:
    """Compare a batch of guarded orders with the bare SDK's, each between two raw durable writes, from as many threads."""
    arms.pin_client()
    desk, numbers = DESKS[name], itertools.count()
    log = floor.RawLog(_same_disk(folder) / "floor.log")
    with Simulator(name) as simulator, arms.guarded(simulator, folder) as adapter, Crew(threads) as crew:
        made = desk.bare(simulator.url)

        def bare() -> float:
            sends = [made(f"flr{next(numbers):029d}") for _ in range(BATCH)]
            return crew.work([partial(_between_writes, log, send) for send in sends])

        def guarded() -> float:
            orders = [arms.order(desk, f"order-{next(numbers)}") for _ in range(BATCH)]
            return crew.work([partial(adapter.submit, order) for order in orders])

        for _ in range(-(-WARM_ORDERS // BATCH)):
            guarded()
        bare()
        measured = {floor.REFERENCE: bare, floor.NULL: bare, "guarded": guarded}
        return floor.compare(measured, log, arm="guarded", blocks=blocks, iterations=rounds)


def ledger_over_log(folder: Path, *, threads: int, blocks: int, rounds: int = EVENT_ROUNDS) -> floor.Comparison:
    """Compare events in the ledger with records of the same size in a raw log whose writers share syncs, too."""
    arms.pin_client()
    same = _same_disk(folder)
    owner = LedgerIdentity(venue="none", environment="simulator", account_id="BENCH")
    ledger = SqliteLedger.create(same / "ledger.sqlite3", owner, SystemClock())
    ledger.begin_session("bench", "bench", "bench")
    log, probe = GroupedLog(same / "grouped.log"), floor.RawLog(same / "probe.log")
    body = {"text": "x" * BODY_CHARACTERS}
    try:
        with Crew(threads) as crew:

            def raw() -> float:
                return crew.work([log.append] * EVENTS)

            def events() -> float:
                return crew.work([lambda: ledger.note("bench", body)] * EVENTS)

            events()
            measured = {floor.REFERENCE: raw, floor.NULL: raw, "ledger": events}
            return floor.compare(measured, probe, arm="ledger", blocks=blocks, iterations=rounds)
    finally:
        log.close()
        ledger.close()


def _between_writes(log: floor.RawLog, send: Call) -> None:
    log.append()
    send()
    log.append()


class Crew:
    """Threads that wait for work, and share it."""

    def __init__(self, threads: int) -> None:
        self._tasks: queue.SimpleQueue[Sequence[Call] | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._gate = threading.Barrier(threads + 1)
        self._threads = [threading.Thread(target=self._serve) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for _thread in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def work(self, calls: Sequence[Call]) -> float:
        """Make the calls, each thread its share, and return the seconds from the first to the last."""
        size = len(self._threads)
        for number in range(size):
            self._tasks.put(calls[number::size])  # no thread takes a second share before all have begun
        self._gate.wait()
        started_s = time.perf_counter()
        failed = [error for error in (self._results.get() for _ in self._threads) if error is not None]
        if failed:
            raise failed[0]
        return time.perf_counter() - started_s

    def _serve(self) -> None:
        while (calls := self._tasks.get()) is not None:
            self._gate.wait()
            try:
                for call in calls:
                    call()
            except BaseException as error:
                self._results.put(error)
            else:
                self._results.put(None)


class GroupedLog:
    """A file that grows by the records of all who wait, with one sync for all of them: the least that a shared commit can cost."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._sync = os.fdatasync if hasattr(os, "fdatasync") else os.fsync
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def append(self) -> None:
        """Write one record and wait until it is durable."""
        durable = threading.Lock()
        durable.acquire()
        self._waiting.put(durable)
        durable.acquire()

    def close(self) -> None:
        """End the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while (first := self._waiting.get()) is not None:
            group = [first]
            while not self._waiting.empty():
                group.append(self._waiting.get())
            os.write(self._descriptor, floor.RECORD * len(group))
            self._sync(self._descriptor)
            for durable in group:
                durable.release()
