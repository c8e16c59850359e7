"""What grows, and what must not: recovery, memory and reconciliation after very many orders; the slow tail, and a slow venue."""

import gc
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from attrs import evolve, field, frozen

from benchmarks import arms, bench_orders, floor, history
from logos_core import Order
from logos_core.clock import ManualClock, SystemClock
from logos_core.home import Home
from logos_core.hookspecs import Operation, VenueSnapshot
from logos_core.ledger.connection import Connection
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.reports import ExecutionReport
from logos_core.testing import scripted
from logos_core.testing.scripted import ScriptedVenue

FEW, MANY = 10_000, 1_000_000
LEFT_OPEN = {"working": 100, "unknown": 10, "in flight": 10}
SLOW_S = 0.02
TAIL_NULL_RANGE = (0.8, 1.25)
TAIL_TIMES = 2
"""A tail needs more orders than a median: it is what eight in 770 come to."""
EARLY, LATE = 1_000, 100_000
WORKING = 100_000
PARTIAL_INDEXES = ("attempts_one_in_flight", "intents_unknown")


@frozen(kw_only=True)
class Recovery:
    """What opening a ledger with a long history and asking what is in flight costs, against one with a short history."""

    cold: floor.Comparison
    warm: floor.Comparison
    slowest_ms: float = field(init=False)

    @slowest_ms.default
    def _slowest_ms(self) -> float:
        return max(block.medians_ms["many"] for found in (self.cold, self.warm) for block in found.blocks)


@frozen(kw_only=True)
class Tail:
    """The slowest hundredth of the guarded orders and of the floor's, pooled over all blocks."""

    guarded_ms: float
    floor_ms: float
    null: float
    samples: int

    @property
    def ratio(self) -> float:
        """Return the guarded tail, divided by the floor's."""
        return self.guarded_ms / self.floor_ms

    @property
    def trouble(self) -> str | None:
        """Say why nothing can be concluded, if so."""
        return None if TAIL_NULL_RANGE[0] <= self.null <= TAIL_NULL_RANGE[1] else f"null arm at {self.null:.2f}"

    def __str__(self) -> str:
        return f"{self.ratio:.2f}; p99 in ms: {self.floor_ms:.2f} · {self.guarded_ms:.2f} of {self.samples}; null {self.null:.2f}"


def recovery(folder: Path, *, blocks: int, many: int = MANY, few: int = FEW, iterations: int = 15) -> Recovery:
    """Compare two ledgers with the same open orders and histories of different length."""
    arms.pin_client()
    folder.mkdir(parents=True, exist_ok=True)
    log = floor.RawLog(folder / "floor.log")
    sizes = {floor.REFERENCE: few, floor.NULL: few, "many": many}
    paths = {name: folder / f"{name}.sqlite3" for name in sizes}
    for name, orders in sizes.items():
        history.write(paths[name], {"filled": orders - sum(LEFT_OPEN.values()), **LEFT_OPEN})
        _evict(paths[name])
    found = {}
    for heat, prepare in (("cold", _evict), ("warm", _recovered)):
        measured = {name: _recovers(path, prepare) for name, path in paths.items()}
        floor.in_turn(measured, 2)
        found[heat] = floor.compare(measured, log, arm="many", blocks=blocks, iterations=iterations)
    return Recovery(**found)


def plan(folder: Path) -> list[str]:
    """Return how SQLite finds what is in flight or unknown, as it explains it."""
    folder.mkdir(parents=True, exist_ok=True)
    ledger = SqliteLedger.create(folder / "ledger.sqlite3", history.OWNER, SystemClock())
    asked: list[str] = []
    path, ledger._db = ledger.path, _Noting(ledger._db, asked)  # type: ignore[assignment]
    ledger.unsettled()
    with closing(Connection(path)) as connection:
        return [str(row[3]) for row in connection.rows(f"EXPLAIN QUERY PLAN {asked[0]}")]


def reads_all(steps: list[str]) -> list[str]:
    """Return the steps of a plan that read a whole table, and the indexes that should have been used and were not."""
    unused = [index for index in PARTIAL_INDEXES if not any(index in step for step in steps)]
    return [step for step in steps if step.startswith("SCAN") and not any(index in step for index in PARTIAL_INDEXES)] + unused


def memory_growth_mib(folder: Path, *, early: int = EARLY, late: int = LATE) -> float:
    """Submit many orders in this process, and return how much more memory it holds after all than after some.

    The venue forgets each order at once, so that what is measured is ours. Nothing is synced, which no memory depends on.
    """
    venue = _ForgetfulVenue()
    clock = ManualClock()
    session = scripted.compose(folder, venue, clock=clock)
    session.ledger._db.rows("PRAGMA synchronous=OFF")
    resident_mib = {}
    for number in range(1, late + 1):
        session.adapter.submit(Order.limit(scripted.SYMBOL, "buy", quantity="1", price="100", intent_id=f"order-{number}"))
        venue.forget()
        clock.sleep(0.01)  # or the rate budget is spent
        if number in {early, late}:
            gc.collect()
            resident_mib[number] = _resident_mib()
    session.die()
    return resident_mib[late] - resident_mib[early]


def reconciliation(folder: Path, *, blocks: int, orders: int = WORKING, iterations: int = 3) -> floor.Comparison:
    """Compare reconciling very many open orders, none of which has changed, with parsing the list of them as the venue sends it.

    What a plugin makes of the parsed list is not in it: the reports are ready.
    """
    arms.pin_client()
    folder.mkdir(parents=True, exist_ok=True)
    log = floor.RawLog(folder / "floor.log")
    venue = ScriptedVenue()
    path = Home(folder / "home").ledger_path(history.OWNER)
    history.write(path, {"working": orders})
    session = scripted.compose(folder, venue, clock=ManualClock())
    reports = tuple(history.report_of(number) for number in range(1, orders + 1))
    snapshot = VenueSnapshot(
        open_orders=reports, changed_orders=(), executions=(), positions=(), cursor="1", venue_time=session.clock.now()
    )  # fmt: skip
    text = json.dumps([_as_alpaca_sends(report) for report in reports])

    def reconcile() -> float:
        venue.script(Operation.RECONCILE, lambda venue, _: venue._answered(snapshot))
        return _seconds(session.adapter.reconcile)

    def parse() -> float:
        return _seconds(lambda: json.loads(text))

    found = floor.compare(
        {floor.REFERENCE: parse, floor.NULL: parse, "many": reconcile}, log, arm="many", blocks=blocks, iterations=iterations
    )
    session.die()
    return found


def tail(name: str, folder: Path, *, blocks: int) -> Tail:
    """Compare the slowest hundredth of guarded orders with the floor's."""
    with bench_orders.beside_floor(name, folder) as (measured, _, _):
        for _ in range(floor.TRIES):
            found = _tail(floor.in_turn(measured, TAIL_TIMES * blocks * bench_orders.ITERATIONS))
            if found.trouble is None:
                break
        return found


def slow_venue(name: str, folder: Path, *, blocks: int) -> floor.Comparison:
    """Compare a guarded submit with the floor at a venue that takes its time to answer."""
    with bench_orders.beside_floor(name, folder) as (measured, log, simulator):
        plan = {"seed": 0, "faults": [{"kind": "delay_after", "operation": "submit", "delay_s": SLOW_S}]}
        request = Request(f"{simulator.url}/_logos/faults", data=json.dumps(plan).encode(), method="PUT")
        urlopen(request).close()
        return floor.compare(measured, log, arm="guarded", blocks=blocks, iterations=bench_orders.ITERATIONS)


class _ForgetfulVenue(ScriptedVenue):
    """A venue that can let go of what it held."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count(1)

    def report(self, *arguments: Any, **more: Any) -> ExecutionReport:
        return evolve(super().report(*arguments, **more), venue_order_id=f"v{next(self._numbers)}")

    def forget(self) -> None:
        for kept in (self.held, self.received, self.calls):
            kept.clear()


class _Noting:
    """A connection that notes what it is asked."""

    def __init__(self, connection: Connection, asked: list[str]) -> None:
        self._connection = connection
        self._asked = asked

    def rows(self, sql: str, *bindings: Any) -> list[tuple[Any, ...]]:
        self._asked.append(sql)
        return self._connection.rows(sql, *bindings)


def _recovers(path: Path, prepare: Callable[[Path], object]) -> floor.Arm:
    def recovers() -> float:
        prepare(path)
        return _recovered(path)

    return recovers


def _recovered(path: Path) -> float:
    """Open a ledger and find what is in flight or unknown; return the seconds it took."""
    started_s = time.perf_counter()
    ledger = SqliteLedger.open(path, SystemClock())
    left = ledger.unsettled()
    took_s = time.perf_counter() - started_s
    ledger.close()
    assert LEFT_OPEN["unknown"] + LEFT_OPEN["in flight"] == len(left)
    return took_s


def _evict(path: Path) -> None:
    """Let the system forget what it has read of a file."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _seconds(act: Callable[[], object]) -> float:
    gc.collect()
    started_s = time.perf_counter()
    act()
    return time.perf_counter() - started_s


def _tail(times_s: Mapping[str, list[float]]) -> Tail:
    bare = times_s[floor.REFERENCE] + times_s[floor.NULL]
    guarded = times_s[bench_orders.GUARDED] + times_s[bench_orders.AGAIN]
    null = _p99_ms(times_s[floor.NULL]) / _p99_ms(times_s[floor.REFERENCE])
    return Tail(guarded_ms=_p99_ms(guarded), floor_ms=_p99_ms(bare), null=null, samples=len(guarded))


def _p99_ms(times_s: list[float]) -> float:
    return statistics.quantiles(times_s, n=100)[98] * 1000


def _as_alpaca_sends(report: ExecutionReport) -> dict[str, Any]:
    """Return an order with every field that Alpaca's specification gives one."""
    empty = dict.fromkeys(_ALPACA)
    told = {
        "id": f"61e69015-8549-4bfd-b9c3-{report.venue_order_id[-12:]}",
        "client_order_id": report.client_order_id,
        "created_at": "2026-01-02T15:04:05.123456789Z",
        "updated_at": "2026-01-02T15:04:05.123456789Z",
        "submitted_at": "2026-01-02T15:04:05.123456789Z",
        "asset_id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
        "symbol": report.symbol,
        "asset_class": "us_equity",
        "qty": str(report.quantity),
        "filled_qty": str(report.filled_quantity),
        "order_class": "simple",
        "order_type": report.order_type.value,
        "type": report.order_type.value,
        "side": report.side.value,
        "time_in_force": "gtc",
        "limit_price": str(report.price),
        "status": "new",
        "extended_hours": False,
        "position_intent": "buy_to_open",
        "expires_at": "2026-04-02T20:00:00Z",
    }
    return empty | told


_ALPACA = (
    "id", "client_order_id", "created_at", "updated_at", "submitted_at", "filled_at", "expired_at", "canceled_at", "failed_at",
    "replaced_at", "replaced_by", "replaces", "asset_id", "symbol", "asset_class", "notional", "qty", "filled_qty",
    "filled_avg_price", "order_class", "order_type", "type", "side", "position_intent", "time_in_force", "limit_price",
    "stop_price", "status", "extended_hours", "legs", "trail_percent", "trail_price", "hwm",
    "expires_at",
)  # fmt: skip
