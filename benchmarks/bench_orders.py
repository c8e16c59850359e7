"""What one guarded order costs: over the floor, in counted syncs, and with many open orders beside it."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import apsw

from benchmarks import arms, floor
from benchmarks.arms import DESKS, Simulator
from logos_core import Adapter, Order

WARM_ORDERS = 700
ITERATIONS = 110
FEW, MANY = 20, 3_000
GUARDED, AGAIN = "guarded", "guarded again"


def over_floor(name: str, folder: Path, *, blocks: int, iterations: int = ITERATIONS) -> floor.Comparison:
    """Compare a guarded submit with the bare SDK call between two raw durable writes."""
    with beside_floor(name, folder) as (measured, log, _):
        return floor.compare(measured, log, arm="guarded", blocks=blocks, iterations=iterations)


@contextmanager
def beside_floor(name: str, folder: Path) -> Iterator[tuple[dict[str, floor.Arm], floor.RawLog, Simulator]]:
    """Open a guarded Adapter and a bare client with a raw log, both warm, on one simulated venue."""
    arms.pin_client()
    desk = DESKS[name]
    numbers = itertools.count()
    log = floor.RawLog(_same_disk(folder) / "floor.log")
    with Simulator(name) as simulator, arms.guarded(simulator, folder) as adapter:
        made = desk.bare(simulator.url)

        def bare() -> float:
            send = made(f"flr{next(numbers):029d}")
            started_s = time.perf_counter()
            log.append()
            send()
            log.append()
            return time.perf_counter() - started_s

        def guard() -> float:
            return _timed(adapter, arms.order(desk, f"order-{next(numbers)}"))

        for _ in range(WARM_ORDERS):
            guard()
        for _ in range(WARM_ORDERS // 10):
            bare()
        # Whatever is called twice as often is warmer; the reference is, so what is compared with it is, too.
        yield {floor.REFERENCE: bare, floor.NULL: bare, GUARDED: guard, AGAIN: guard}, log, simulator


def many_open(folder: Path, *, blocks: int, iterations: int = ITERATIONS) -> floor.Comparison:
    """Compare a submit beside many open orders with one beside few, in ledgers and venues of the same size.

    The measured orders are filled at once, so that they do not add to what is open. The null arm has a ledger and a venue of its
    own: whatever is called twice as often is warmer.
    """
    arms.pin_client()
    log = floor.RawLog(_same_disk(folder) / "floor.log")
    numbers = itertools.count()
    with ExitStack() as stack:

        def prepared(name: str, resting: int) -> Callable[[], float]:
            simulator = stack.enter_context(Simulator("alpaca", account_number=f"PA{name}", pending_new_first=False))
            adapter = stack.enter_context(arms.guarded(simulator, folder / name))
            for number in range(MANY):
                intent_id = f"before-{number}"
                adapter.submit(arms.order(DESKS["alpaca"], intent_id) if number < resting else _filled(intent_id))
            return lambda: _timed(adapter, _filled(f"order-{next(numbers)}"))

        measured = {
            floor.REFERENCE: prepared("few", FEW),
            floor.NULL: prepared("again", FEW),
            "many": prepared("many", MANY),
        }
        return floor.compare(measured, log, arm="many", blocks=blocks, iterations=iterations)


def syncs_per_order(folder: Path, *, orders: int) -> float:
    """Count every sync that SQLite or Python asks of the system while one thread submits."""
    arms.pin_client()
    counter = _CountingVfs()
    _count_python_syncs(counter)
    desk = DESKS["alpaca"]
    with Simulator("alpaca") as simulator, arms.guarded(simulator, folder) as adapter:
        for number in range(WARM_ORDERS):
            adapter.submit(arms.order(desk, f"warm-{number}"))
        counter.syncs = 0
        for number in range(orders):
            adapter.submit(arms.order(desk, f"order-{number}"))
        return counter.syncs / orders


class _CountingVfs(apsw.VFS):  # type: ignore[misc,unused-ignore]
    """SQLite's own way to the disk, with a counter at its syncs."""

    def __init__(self) -> None:
        self.base = apsw.vfs_names()[0]
        self.syncs = 0
        super().__init__("counting", self.base, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802  apsw's own name
        return _CountingFile(self, name, flags)


class _CountingFile(apsw.VFSFile):  # type: ignore[misc,unused-ignore]
    def __init__(self, vfs: _CountingVfs, name: Any, flags: list[int]) -> None:
        self._vfs = vfs
        super().__init__(vfs.base, name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802  apsw's own name
        self._vfs.syncs += 1
        super().xSync(flags)


def _count_python_syncs(counter: _CountingVfs) -> None:
    for name in ("fsync", "fdatasync"):
        if hasattr(os, name):
            setattr(os, name, _counted(getattr(os, name), counter))


def _counted(sync: Callable[[int], None], counter: _CountingVfs) -> Callable[[int], None]:
    def counted(descriptor: int) -> None:
        counter.syncs += 1
        sync(descriptor)

    return counted


def _timed(adapter: Adapter, order: Order) -> float:
    started_s = time.perf_counter()
    adapter.submit(order)
    return time.perf_counter() - started_s


def _filled(intent_id: str) -> Order:
    return Order.market("AAPL", "buy", quantity="1", intent_id=intent_id)


def _same_disk(folder: Path) -> Path:
    """Return the folder of both the ledger and the raw log, which is no disk that only pretends."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = floor.file_system(folder)
    if kind in floor.MEMORY_FILE_SYSTEMS:
        raise RuntimeError(f"{folder} is on {kind}, where a sync costs nothing; give --folder on a disk")
    return folder
