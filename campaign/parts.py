"""The parts of the search: what each does so often, in full and in a slice, and what has to come of it."""

from collections.abc import Callable

from attrs import frozen

from campaign import histories, power
from campaign.figures import Figures
from campaign.storage import Trouble

REPLAYED = 17
"""The seed that is played again and again."""


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
    """

    name: str
    what: str
    run: Callable[[int, int], Figures]
    full: int
    slice: int
    chunk: int
    falls_short: Callable[[Figures], str | None] = lambda _: None


def _replay(_first: int, count: int) -> Figures:
    figures = Figures(independent=False)
    for _ in range(count):
        figures.add(histories.some(REPLAYED, 1))
    return figures


def _one_trace(figures: Figures) -> str | None:
    return None if len(figures.traces) == 1 else f"one seed was played in {len(figures.traces)} ways"


def _all_distinct(figures: Figures) -> str | None:
    twice = figures.runs - len(figures.traces)
    return f"{twice} runs were the same as another" if twice else None


def _every_trouble(figures: Figures) -> str | None:
    missing = {"cut", *(trouble.value for trouble in Trouble)} - figures.faults.keys()
    return f"nothing was tried of: {', '.join(sorted(missing))}" if missing else None


PARTS: tuple[Part, ...] = (
    Part(
        name="histories",
        what="seeded histories of up to three processes that submit, repeat, cancel, replace, look up, reconcile, recover and die, "
        "over a network and a venue at which things go wrong",
        run=histories.some,
        full=100_000,
        slice=800,
        chunk=200,
        falls_short=_all_distinct,
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
