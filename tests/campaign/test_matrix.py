"""The matrix: it has every crash point and every fault, a slice of it holds without a bug, and not with one."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from campaign import cells as table
from campaign import matrix
from campaign.cells import cells, generated
from campaign.failpoints import FAILPOINTS
from campaign.faults import FAULTS
from campaign.figures import Figures
from campaign.matrix import Played, play, spread
from logos_core import resolution, submission
from logos_core.ledger import reported
from logos_core.rails import kill_switch
from logos_core.rails.absence import Absence


def sample(seed):
    """Choose cells until every crash point of the simulation and every fault of every request is among them."""
    wanted = list(enumerate(cells()[0]))
    Random(seed).shuffle(wanted)
    chosen = []
    had: set[object] = set()
    for number, cell in wanted:
        new = {(cell.deed.name, "own", cell.failpoint.number) if cell.is_own else cell.failpoint.number, (cell.request, cell.fault)}
        if not new <= had:
            had |= new
            chosen.append((number, cell))
    return chosen


SLICE = sample(1)
STOPS = [(number, cell) for number, cell in enumerate(cells()[0]) if cell.deed.name == "stop"]


def test_a_slice_of_the_matrix_leaves_the_promise_whole():
    told = {str(cell): play(cell, 0, number) for number, cell in SLICE}

    assert {} == {name: found.broken for name, found in told.items() if found.broken}
    assert [] == [name for name, found in told.items() if not found.is_met or not found.is_injected]
    assert 2 * len(SLICE) < sum(found.deaths for found in told.values())


def test_the_cells_are_every_point_of_the_simulation_and_every_fault():
    possible, excluded = cells()

    assert {point.number for point in FAILPOINTS if point.simulated} | table.MET_HERE_ONLY == {
        cell.failpoint.number for cell in possible
    }
    assert {(request, fault) for request, faults in FAULTS.items() for fault in faults} == {
        (cell.request, cell.fault) for cell in possible if cell.request is not None
    }
    assert len(generated()) == len(possible) + excluded.total() == len({str(cell) for cell in generated()})


def test_what_is_left_out_has_a_reason_that_leaves_something_out():
    _, excluded = cells()

    assert set(excluded) == {why for why, _ in table.IMPOSSIBLE}


def fine(**said):
    return Played(
        **{"is_met": True, "is_injected": True, "hit": "it", "deaths": 1, "faults": Counter(), "broken": (), "trace": "", **said}
    )


def test_as_many_runs_as_there_are_cells_are_each_of_them_and_then_again_with_the_next_seed(monkeypatch):
    played = []

    def note(cell, seed, turn):
        played.append((str(cell), seed))
        return fine(trace=f"{cell} {turn}")

    monkeypatch.setattr(matrix, "play", note)
    count = len(cells()[0])
    figures = Figures()
    for first in range(0, 2 * count, 1_000):
        figures.add(matrix.some(first, min(1_000, 2 * count - first)))

    assert sorted(played) == sorted((str(cell), seed) for cell in cells()[0] for seed in (0, 1))
    assert (2 * count, 2 * count, []) == (figures.runs, figures.counts["deaths"], figures.broken)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 24, 5_016])
def test_spread_numbers_are_all_and_neighbours_lie_apart(count):
    found = list(spread(count))

    assert list(range(count)) == sorted(found)
    assert all(abs(one - other) > count / 4 for one, other in pairwise(found))


@pytest.mark.parametrize(
    ("missing", "said"), [({"is_met": False}, "crash point was not met"), ({"is_injected": False}, "fault was not met")]
)
def test_a_cell_that_was_not_tried_is_broken(missing, said, monkeypatch):
    monkeypatch.setattr(matrix, "play", lambda *_: fine(**missing))
    told = matrix.some(0, 5, only="C01")

    assert 5 == told.runs == len(told.broken)
    assert all(said in why for why in told.broken)


@pytest.mark.parametrize(
    ("arguments", "said"), [(["--only", "C99"], "no cell's name contains 'C99'"), (["--seeds", "0"], "--seeds is at least 1")]
)
def test_what_cannot_be_meant_ends_with_2(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        matrix.main(arguments)

    assert 2 == ended.value.code
    assert said in capsys.readouterr().err


def test_a_cell_is_played_the_same_again_and_again():
    number, cell = SLICE[7]

    assert [play(cell, 3, number)] * 3 == [play(cell, 3, number) for _ in range(3)]


def _believe_any_answer(monkeypatch):
    for module in (reported, submission):
        monkeypatch.setattr(module, "mismatches", lambda *_: [])


def _resend_blindly(monkeypatch):
    monkeypatch.setattr(resolution, "conclude", lambda *_: (Absence.MAY_RESEND, "planted"))


def _open_the_last_gate(monkeypatch):
    monkeypatch.setattr(kill_switch.KillSwitch, "gate", lambda _self: lambda: None)


@pytest.mark.parametrize(
    ("plant", "where"),
    [(_believe_any_answer, "another order"), (_resend_blindly, "submit: "), (_open_the_last_gate, "stop, C17")],
)
def test_a_planted_bug_breaks_a_cell(plant, where, monkeypatch):
    plant(monkeypatch)
    suspects = [(number, cell) for number, cell in [*SLICE, *STOPS] if where in str(cell)]

    assert any(play(cell, 0, number).broken for number, cell in suspects)
