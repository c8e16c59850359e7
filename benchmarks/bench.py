"""Measure what the rails cost, against the budgets, and say what passes.

Counts are exact. Ratios compare arms inside one interleaved run and are *inconclusive*, never failed, when the machine is too noisy
to tell. Absolute times are shown to say where a ratio came from; none of them passes or fails anything.
"""

import argparse
import multiprocessing
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks import bench_growth, bench_orders, bench_threads, floor, lost, startup
from benchmarks.arms import CORES, DESKS


class Verdict(StrEnum):
    """What a measurement says of its budget."""

    PASS = "pass"
    FAIL = "FAIL"
    INCONCLUSIVE = "inconclusive"


@frozen(kw_only=True)
class Row:
    """One line of the table."""

    budget: str
    what: str
    bound: str
    measured: str
    verdict: Verdict


@frozen(kw_only=True)
class Size:
    """How much is measured."""

    blocks: int
    synced_orders: int
    kills: int
    killed_orders: int
    pairs: int
    history: int
    memory_orders: int


FULL = Size(blocks=7, synced_orders=2_000, kills=100, killed_orders=10_000, pairs=15, history=1_000_000, memory_orders=100_000)
QUICK = Size(blocks=3, synced_orders=500, kills=20, killed_orders=1_000, pairs=7, history=200_000, memory_orders=20_000)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, and return 0 if nothing failed."""
    chosen = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # So that whatever was started ends with us.
    size = QUICK if chosen.quick else FULL
    folder = Path(tempfile.mkdtemp(prefix="logos-bench-", dir=chosen.folder or _disk()))
    print(f"in {folder} ({floor.file_system(folder) or 'unknown file system'}); {_about_cores()}", flush=True)
    try:
        rows = list(_measured(chosen.only or list(BUDGETS), size, folder, chosen.venue or list(DESKS)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    failed = sum(row.verdict is Verdict.FAIL for row in rows)
    unclear = sum(row.verdict is Verdict.INCONCLUSIVE for row in rows)
    print(f"{len(rows) - failed - unclear} pass, {failed} fail, {unclear} inconclusive")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description="Measure what the rails cost.")
    parser.add_argument("--only", nargs="+", metavar="BUDGET", choices=list(BUDGETS), help=f"some of {', '.join(BUDGETS)}")
    parser.add_argument("--venue", nargs="+", choices=list(DESKS), help="some of the venues, for P1")
    parser.add_argument("--quick", action="store_true", help="less of everything; good enough to see a mistake")
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure on")
    return parser


def _measured(budgets: Iterable[str], size: Size, folder: Path, venues: list[str]) -> Iterator[Row]:
    print(f"{'':4} {'what':40} {'budget':22} {'verdict':13} measured", flush=True)
    for budget in budgets:
        for number, measure in enumerate(BUDGETS[budget](size, folder / budget, venues)):
            row = measure()
            print(f"{row.budget:4} {row.what:40} {row.bound:22} {row.verdict.value:13} {row.measured}", flush=True)
            shutil.rmtree(folder / budget / str(number), ignore_errors=True)
            yield row


def _alone(what: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Call a function in a fresh process: nothing that was measured before has warmed or filled it."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(what, arguments, options)


def _row(budget: str, what: str, bound: str, judge: Callable[[], tuple[str, Verdict]]) -> Row:
    """Measure one thing. What cannot be measured has failed, and says why."""
    try:
        measured, verdict = judge()
    except Exception as error:
        measured, verdict = f"could not be measured: {type(error).__name__}: {error}", Verdict.FAIL
    return Row(budget=budget, what=what, bound=bound, measured=measured, verdict=verdict)


def _at_most(value: float, most: float, trouble: str | None = None) -> Verdict:
    if trouble is not None:
        return Verdict.INCONCLUSIVE
    return Verdict.PASS if value <= most else Verdict.FAIL


def _p1(size: Size, folder: Path, venues: list[str]) -> Iterator[Callable[[], Row]]:
    for name in venues:

        def judge(name: str = name) -> tuple[str, Verdict]:
            found = _alone(bench_orders.over_floor, name, folder / name, blocks=size.blocks)
            return _said(found), _at_most(found.median, 1.10, found.trouble)

        yield partial(_row, "P1", f"guarded submit ÷ FLOOR, {DESKS[name].sdk}", "≤ 1.10, stretch 1.05", judge)


def _p2(size: Size, folder: Path, venues: list[str]) -> Iterator[Callable[[], Row]]:
    for name in venues:

        def judge(name: str = name) -> tuple[str, Verdict]:
            found = _alone(bench_growth.tail, name, folder / name, blocks=size.blocks)
            return _said(found), _at_most(found.ratio, 1.5, found.trouble)

        yield partial(_row, "P2", f"the same, p99 of pooled blocks, {DESKS[name].sdk}", "≤ 1.5", judge)


def _p4(size: Size, folder: Path, venues: list[str]) -> Iterator[Callable[[], Row]]:
    for name in venues:

        def judge(name: str = name) -> tuple[str, Verdict]:
            found = _alone(bench_growth.slow_venue, name, folder / name, blocks=size.blocks)
            return _said(found), _at_most(found.median, 1.05, found.trouble)

        yield partial(_row, "P4", f"÷ FLOOR, answers after 20 ms, {DESKS[name].sdk}", "≤ 1.05", judge)


def _p5(size: Size, folder: Path, _: list[str]) -> Iterator[Callable[[], Row]]:
    def judge() -> tuple[str, Verdict]:
        found = _alone(bench_orders.syncs_per_order, folder, orders=size.synced_orders)
        return f"{found:.4f} over {size.synced_orders:,} orders", _at_most(found, 2.02)

    yield partial(_row, "P5", "syncs per order, one thread", "≤ 2.02", judge)
    for threads, most in ((8, 0.6), (64, 0.10)):

        def judge_many(threads: int = threads, most: float = most) -> tuple[str, Verdict]:
            found = _alone(bench_threads.syncs_per_order, folder / str(threads), threads=threads, orders=size.synced_orders)
            return f"{found:.4f} over {size.synced_orders:,} orders", _at_most(found, most)

        yield partial(_row, "P5", f"syncs per order, {threads} threads", f"≤ {most:.2f}", judge_many)


def _p6(size: Size, folder: Path, venues: list[str]) -> Iterator[Callable[[], Row]]:
    for name in venues:

        def judge(name: str = name) -> tuple[str, Verdict]:
            found = _alone(bench_threads.over_floor, name, folder / name, threads=8, blocks=size.blocks)
            return bench_threads.said(found), _at_most(found.median, 1 / 0.85, found.trouble)

        yield partial(_row, "P6", f"orders/s of 8 threads ÷ FLOOR, {DESKS[name].sdk}", "≥ 0.85", judge)


def _p7(size: Size, folder: Path, _: list[str]) -> Iterator[Callable[[], Row]]:
    for threads in (8, 64):

        def judge(threads: int = threads) -> tuple[str, Verdict]:
            found = _alone(bench_threads.ledger_over_log, folder / str(threads), threads=threads, blocks=size.blocks)
            return bench_threads.said(found), _at_most(found.median, 1 / 0.55, found.trouble)

        yield partial(_row, "P7", f"events/s of {threads} threads ÷ grouped raw log", "≥ 0.55", judge)


def _p9(size: Size, folder: Path, _: list[str]) -> Iterator[Callable[[], Row]]:
    def judge() -> tuple[str, Verdict]:
        found = _alone(lost.kill, "alpaca", folder, kills=size.kills, orders=size.killed_orders)
        return str(found), _at_most(found.lost, 0)

    yield partial(_row, "P9", f"orders lost to ≥ {size.kills} kill -9", "0", judge)


def _p10(size: Size, folder: Path, _: list[str]) -> Iterator[Callable[[], Row]]:
    for arguments in (["--help"], ["venues"]):

        def judge(arguments: list[str] = arguments) -> tuple[str, Verdict]:
            found = startup.command(arguments, folder, pairs=size.pairs)
            if found.broken is not None:
                return found.broken, Verdict.FAIL
            return _said(found), _at_most(found.median, 10, found.trouble)

        yield partial(_row, "P10", f"logos {arguments[0]}", "≤ 10, stretch 6", judge)


def _p11(_: Size, folder: Path, __: list[str]) -> Iterator[Callable[[], Row]]:
    def modules() -> tuple[str, Verdict]:
        found = startup.imported(folder)
        return ", ".join(found.heavy) or "none", _at_most(len(found.heavy), 0)

    def resident() -> tuple[str, Verdict]:
        found = startup.imported(folder)
        unknown = None if found.resident_mib else "this system does not tell"
        return unknown or f"{found.resident_mib:.1f} MiB", _at_most(found.resident_mib, 30, unknown)

    yield partial(_row, "P11", "import logos_core: heavy modules", "none", modules)
    yield partial(_row, "P11", "import logos_core: resident", "≤ 30 MiB", resident)


def _p12(size: Size, folder: Path, _: list[str]) -> Iterator[Callable[[], Row]]:
    measured: list[bench_growth.Recovery] = []

    def explained() -> tuple[str, Verdict]:
        steps = _alone(bench_growth.plan, folder)
        return "; ".join(steps), _at_most(len(bench_growth.reads_all(steps)), 0)

    def cold() -> tuple[str, Verdict]:
        measured.append(_alone(bench_growth.recovery, folder, blocks=size.blocks, many=size.history))
        return _said(measured[0].cold), _at_most(measured[0].cold.median, 3, measured[0].cold.trouble)

    def warm() -> tuple[str, Verdict]:
        return _said(measured[0].warm), _at_most(measured[0].warm.median, 4, measured[0].warm.trouble)

    def absolute() -> tuple[str, Verdict]:
        return f"{measured[0].slowest_ms:.1f} ms", _at_most(measured[0].slowest_ms, 50)

    yield partial(_row, "P12", "what is in flight is found by", "its partial indexes", explained)
    yield partial(_row, "P12", f"recovery at {size.history:,} orders ÷ 10,000, cold", "≤ 3", cold)
    yield partial(_row, "P12", "the same, warm", "≤ 4", warm)
    yield partial(_row, "P12", "the slowest median of them", "≤ 50 ms", absolute)


def _p13(size: Size, folder: Path, _: list[str]) -> Iterator[Callable[[], Row]]:
    def judge() -> tuple[str, Verdict]:
        found = _alone(bench_growth.memory_growth_mib, folder, late=size.memory_orders)
        return f"{found:.1f} MiB", _at_most(found, 8)

    yield partial(_row, "P13", f"memory after {size.memory_orders:,} orders − after 1,000", "≤ 8 MiB", judge)


def _p14(size: Size, folder: Path, _: list[str]) -> Iterator[Callable[[], Row]]:
    def judge() -> tuple[str, Verdict]:
        found = _alone(bench_orders.many_open, folder, blocks=size.blocks)
        return _said(found), _at_most(found.median, 1.1, found.trouble)

    yield partial(_row, "P14", "submit with 3,000 open orders ÷ with 20", "≤ 1.1", judge)


def _p15(size: Size, folder: Path, _: list[str]) -> Iterator[Callable[[], Row]]:
    def judge() -> tuple[str, Verdict]:
        found = _alone(bench_growth.reconciliation, folder, blocks=size.blocks)
        return _said(found), _at_most(found.median, 1.5, found.trouble)

    yield partial(_row, "P15", "reconcile 100,000 orders ÷ json.loads of them", "≤ 1.5", judge)


BUDGETS = {
    "P1": _p1,
    "P2": _p2,
    "P4": _p4,
    "P5": _p5,
    "P6": _p6,
    "P7": _p7,
    "P9": _p9,
    "P10": _p10,
    "P11": _p11,
    "P12": _p12,
    "P13": _p13,
    "P14": _p14,
    "P15": _p15,
}


def _said(found: floor.Comparison | startup.Startup | bench_growth.Tail) -> str:
    return str(found) if found.trouble is None else f"{found.trouble}; {found}"


def _disk() -> str:
    """Return a folder for temporary files that is on a disk."""
    places = (tempfile.gettempdir(), str(Path.cwd()))
    return next((place for place in places if floor.file_system(Path(place)) not in floor.MEMORY_FILE_SYSTEMS), places[0])


def _about_cores() -> str:
    return f"client on core {CORES[0]}, venue on core {CORES[1]}" if CORES else "client and venue share what cores there are"


if __name__ == "__main__":
    sys.exit(main())
