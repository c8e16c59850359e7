"""The floor under a guarded order, and ratios that survive a noisy machine.

FLOOR is what physics asks of anybody who wants to know after a crash what was sent: one durable write before the call and one after.
Arms are called in turn, in an order drawn anew for each iteration, so whatever disturbs one disturbs all. A null arm, the reference
a second time, shows what a difference of nothing looks like today.
"""

import os
import random
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from attrs import field, frozen

RECORD = b"\0" * 511 + b"\n"
NULL_RANGE = (0.97, 1.03)
SLOWEST_SYNC_MS = 3.0
TRIES = 3
MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs", "devtmpfs"}

Arm = Callable[[], float]
"""Does its work once and returns the seconds that count."""

REFERENCE, NULL = "reference", "null"


class RawLog:
    """A file that grows by one durable record at a time."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._sync = os.fdatasync if hasattr(os, "fdatasync") else os.fsync
        self.sync_s: list[float] = []

    def append(self) -> None:
        """Write one record and wait until it is durable."""
        started_s = time.perf_counter()
        os.write(self._descriptor, RECORD)
        self._sync(self._descriptor)
        self.sync_s.append(time.perf_counter() - started_s)

    def median_ms(self) -> float:
        """Return what a sync cost since this was last asked."""
        if not self.sync_s:
            for _ in range(20):
                self.append()
        cost_ms = statistics.median(self.sync_s) * 1000
        self.sync_s.clear()
        return cost_ms


@frozen(kw_only=True)
class Block:
    """What one block of iterations came to."""

    medians_ms: Mapping[str, float]
    sync_ms: float

    def ratio(self, arm: str) -> float:
        """Return an arm's median, divided by the reference's."""
        return self.medians_ms[arm] / self.medians_ms[REFERENCE]

    def trouble(self) -> str | None:
        """Say why nothing can be concluded from this block, if so."""
        null = self.ratio(NULL)
        if not NULL_RANGE[0] <= null <= NULL_RANGE[1]:
            return f"null arm at {null:.3f}"
        return f"raw sync {self.sync_ms:.1f} ms" if self.sync_ms > SLOWEST_SYNC_MS else None


@frozen(kw_only=True)
class Comparison:
    """What all blocks of one comparison came to.

    Attributes:
        trouble: why it is inconclusive, or None.
    """

    arm: str
    blocks: tuple[Block, ...]
    repeated: int
    trouble: str | None = None
    ratios: tuple[float, ...] = field(init=False)

    @ratios.default
    def _ratios(self) -> tuple[float, ...]:
        return tuple(block.ratio(self.arm) for block in self.blocks)

    @property
    def median(self) -> float:
        """Return the median of the blocks' ratios."""
        return statistics.median(self.ratios)

    def __str__(self) -> str:
        if not self.blocks:
            return "–"
        absolute = " · ".join(
            f"{name} {statistics.median(block.medians_ms[name] for block in self.blocks):.2f}" for name in (REFERENCE, self.arm)
        )
        nulls = [block.ratio(NULL) for block in self.blocks]
        sync_ms = statistics.median(block.sync_ms for block in self.blocks)
        return (
            f"{self.median:.3f} ({min(self.ratios):.3f}–{max(self.ratios):.3f}); p50 in ms: {absolute}; "
            f"null {min(nulls):.3f}–{max(nulls):.3f}; sync {sync_ms:.2f} ms; repeated {self.repeated}"
        )


def compare(arms: Mapping[str, Arm], log: RawLog, *, arm: str, blocks: int, iterations: int) -> Comparison:
    """Run blocks until each is one that something can be concluded from, or three in a row are not."""
    kept: list[Block] = []
    repeated = 0
    while len(kept) < blocks:
        for _ in range(TRIES):
            block = _block(arms, log, iterations)
            trouble = block.trouble()
            if trouble is None:
                kept.append(block)
                break
            repeated += 1
        else:
            return Comparison(arm=arm, blocks=(*kept, block), repeated=repeated, trouble=trouble)
    return Comparison(arm=arm, blocks=tuple(kept), repeated=repeated)


def in_turn(arms: Mapping[str, Arm], iterations: int) -> dict[str, list[float]]:
    """Call each arm once per iteration, in an order drawn anew, and return the seconds of each."""
    names = list(arms)
    times_s: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(iterations):
        random.shuffle(names)
        for name in names:
            times_s[name].append(arms[name]())
    return times_s


def _block(arms: Mapping[str, Arm], log: RawLog, iterations: int) -> Block:
    log.sync_s.clear()
    times_s = in_turn(arms, iterations)
    medians_ms = {name: statistics.median(times) * 1000 for name, times in times_s.items()}
    return Block(medians_ms=medians_ms, sync_ms=log.median_ms())


def file_system(path: Path) -> str:
    """Return the type of the file system that holds a path; empty where that cannot be told."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    holding = [(mount[1], mount[2]) for mount in mounts if path.resolve().is_relative_to(mount[1])]
    return max(holding, key=lambda mount: len(mount[0]))[1] if holding else ""
