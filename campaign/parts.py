"""The parts of the search: what each does so often, in full and in a slice, and what has to come of it."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from campaign import histories, kills, matrix, power
from campaign.cells import cells
from campaign.faults import FAULTS
from campaign.figures import Figures
from campaign.storage import Trouble

REPLAYED = 17
"""The seed that is played again and again."""
KILLED_AT_ONCE = 2_000
VENUES = 4
ENOUGH = 5_000
"""In so many histories, everything goes wrong that can."""
CELLS, EXCLUDED = cells()


@frozen(kw_only=True)
class Part:
    """One part of the search.

    Attributes:
        what: what is done, for people.
        run: does so many of its runs, from a first one on.
        full: how many runs a release needs.
        slice: how many every change gets.
        chunk: how many one worker does at a time.
        falls_short: returns what its figures lack of what was wanted, if anything.
        beside: what else is to be known of it.
    """

    name: str
    what: str
    run: Callable[[int, int], Figures]
    full: int
    slice: int
    chunk: int
    falls_short: Callable[[Figures], str | None] = lambda _: None
    beside: Mapping[str, Any] = field(factory=dict)


def _replay(_first: int, count: int) -> Figures:
    figures = Figures(independent=False)
    for _ in range(count):
        figures.add(histories.some(REPLAYED, 1))
    return figures


def _kill(first: int, count: int) -> Figures:
    """Kill processes; no batch is that of another share."""
    batches = -(-KILLED_AT_ONCE // (kills.BATCH * VENUES))
    found = kills.campaign(count, first=first // KILLED_AT_ONCE * batches)
    counts = Counter({"judged": found.judged, "outlived": found.lived, "stumbled": found.stumbled.total()})
    for what in (found.deaths, found.venues):
        counts.update({f"killed: {name}": times for name, times in what.items()})
    return Figures(runs=found.cycles, traces=found.lines, faults=found.faults, counts=counts, broken=found.broken)


def _one_trace(figures: Figures) -> str | None:
    return None if len(figures.traces) == 1 else f"one seed was played in {len(figures.traces)} ways"


def _all_there_is(figures: Figures) -> str | None:
    twice = figures.runs - len(figures.traces)
    every = {f"{request.value}: {fault}" for request, faults in FAULTS.items() for fault in faults}
    if twice:
        return f"{twice} runs were the same as another"
    missing = sorted(every - figures.faults.keys()) if figures.runs > ENOUGH else []
    return f"nothing was tried of: {', '.join(missing)}" if missing else None


def _every_trouble(figures: Figures) -> str | None:
    missing = {"cut", *(trouble.value for trouble in Trouble)} - figures.faults.keys()
    return f"nothing was tried of: {', '.join(sorted(missing))}" if missing else None


PARTS: tuple[Part, ...] = (
    Part(
        name="kills",
        what="real processes that were ended by SIGKILL at a failpoint, at a line, from outside, warm and cold; distinct are the lines",
        run=_kill,
        full=10_000,
        slice=160,
        chunk=KILLED_AT_ONCE,
    ),
    Part(
        name="histories",
        what="seeded histories of up to three processes that submit, repeat, cancel, replace, look up, reconcile, recover and die, "
        "over a network and a venue at which things go wrong",
        run=histories.some,
        full=100_000,
        slice=400,
        chunk=150,
        falls_short=_all_there_is,
    ),
    Part(
        name="replays",
        what=f"the history of seed {REPLAYED}, again and again",
        run=_replay,
        full=100,
        slice=4,
        chunk=2,
        falls_short=_one_trace,
    ),
    Part(
        name="matrix",
        what="every operation, stopped at every crash point, with every fault, and its recovery stopped twice more",
        run=matrix.some,
        full=matrix.SEEDS * len(CELLS),
        slice=200,
        chunk=150,
        beside={"cells": len(CELLS), "cells_excluded": dict(EXCLUDED)},
    ),
    Part(
        name="power",
        what="power cuts, full disks and failing writes and syncs in the midst of orders, over a disk that keeps, drops or tears what "
        "was not synced",
        run=power.some,
        full=2_000,
        slice=150,
        chunk=50,
        falls_short=_every_trouble,
    ),
)
