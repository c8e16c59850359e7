from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_core.lifecycle import (
    CONTRADICTIONS,
    MAY_ATTEMPT,
    TABLE,
    UNSETTLED,
    WORKING,
    IllegalMoveError,
    IntentState,
    Move,
    advance,
    diagram,
    move_of,
)
from logos_core.orders import OrderStatus

S, M = IntentState, Move
REPORTS = {
    M.REPORT_PENDING_NEW: S.PENDING_NEW,
    M.REPORT_NEW: S.NEW,
    M.REPORT_PARTIALLY_FILLED: S.PARTIALLY_FILLED,
    M.REPORT_PENDING_CANCEL: S.PENDING_CANCEL,
    M.REPORT_FILLED: S.FILLED,
    M.REPORT_CANCELED: S.CANCELED,
    M.REPORT_EXPIRED: S.EXPIRED,
}
# Written down on its own, so that a slip in the table is a difference here.
EXPECTED: dict[IntentState, dict[Move, IntentState]] = {
    S.FRESH: {M.ATTEMPT: S.IN_FLIGHT, M.PROVED_REJECTED: S.REJECTED, M.PROVED_ABSENT: S.NOT_PLACED, **REPORTS},
    S.IN_FLIGHT: {
        M.PROVED_NOT_SENT: S.NOT_SENT, M.LEFT_UNKNOWN: S.UNKNOWN, M.PROVED_REJECTED: S.REJECTED, M.PROVED_ABSENT: S.NOT_PLACED,
        **REPORTS,
    },
    S.NOT_SENT: {M.ATTEMPT: S.IN_FLIGHT, M.PROVED_ABSENT: S.NOT_PLACED, **REPORTS},
    S.UNKNOWN: {
        M.ATTEMPT: S.IN_FLIGHT, M.LEFT_UNKNOWN: S.UNKNOWN, M.PROVED_REJECTED: S.REJECTED, M.PROVED_ABSENT: S.NOT_PLACED,
        M.CLOSED_BY_PERSON: S.NOT_PLACED, **REPORTS,
    },
    S.REJECTED: {M.PROVED_REJECTED: S.REJECTED, **REPORTS},
    S.NOT_PLACED: {**REPORTS},
    S.PENDING_NEW: {**REPORTS, M.PROVED_REJECTED: S.REJECTED},
    S.NEW: {**{move: state for move, state in REPORTS.items() if move is not M.REPORT_PENDING_NEW}, M.PROVED_REJECTED: S.REJECTED},
    S.PARTIALLY_FILLED: {
        move: state for move, state in REPORTS.items() if move not in {M.REPORT_PENDING_NEW, M.REPORT_NEW}
    },
    S.PENDING_CANCEL: {move: state for move, state in REPORTS.items() if move is not M.REPORT_PENDING_NEW},
    S.FILLED: {M.REPORT_FILLED: S.FILLED},
    S.CANCELED: {M.REPORT_CANCELED: S.CANCELED},
    S.EXPIRED: {M.REPORT_EXPIRED: S.EXPIRED},
}  # fmt: skip


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("move", M)
def test_each_cell_of_the_table_is_as_intended(state, move):
    target = EXPECTED[state].get(move)
    if target is not None:
        assert target == advance(state, move)
    else:
        with pytest.raises(IllegalMoveError) as caught:
            advance(state, move)

        assert (state, move) == (caught.value.state, caught.value.move)


def test_no_timer_is_among_the_moves():
    assert not [move for move in M if "time" in move.value or "expire" in move.value.replace("report_expired", "")]


def test_unknown_ends_only_by_evidence_a_person_or_another_attempt():
    leaving = {move for move, target in TABLE[S.UNKNOWN].items() if target is not S.UNKNOWN}

    assert {M.ATTEMPT, M.PROVED_REJECTED, M.PROVED_ABSENT, M.CLOSED_BY_PERSON, *REPORTS} == leaving


def test_nothing_is_sent_from_a_state_that_holds_or_may_hold_an_order_but_unknown():
    assert {S.FRESH, S.NOT_SENT, S.UNKNOWN} == set(MAY_ATTEMPT)
    assert {S.NOT_SENT, S.REJECTED, S.NOT_PLACED} == set(CONTRADICTIONS)
    assert {S.IN_FLIGHT, S.UNKNOWN} == set(UNSETTLED)
    assert {S.PENDING_NEW, S.NEW, S.PARTIALLY_FILLED, S.PENDING_CANCEL} == set(WORKING)


def test_every_status_of_a_venue_is_a_move():
    assert {M.PROVED_REJECTED, *REPORTS} == {move_of(status) for status in OrderStatus}


@given(st.lists(st.sampled_from(list(M)), max_size=12))
def test_an_illegal_move_leaves_the_state_alone_and_a_fill_is_never_forgotten(moves):
    state = S.FRESH
    for move in moves:
        before = state
        try:
            state = advance(state, move)
        except IllegalMoveError:
            assert before is state
        if before is S.FILLED:
            assert S.FILLED is state


def test_the_diagram_shows_the_table_and_nothing_else():
    shown = set()
    for line in diagram().splitlines()[2:]:
        arrow, moves = line.strip().split(": ")
        state, target = arrow.split(" --> ")
        shown |= {(state, move, target) for move in moves.split(", ")}
    meant = {
        (state.value, move.value, target.value)
        for state, moves in TABLE.items()
        for move, target in moves.items()
        if target is not state
    }

    assert meant == shown
    assert diagram() in (Path(__file__).parents[2] / "docs" / "lifecycle.md").read_text()


@pytest.mark.parametrize("word", [*IntentState, *Move])
def test_the_words_that_stand_in_ledgers_stay_as_they_are(word):
    assert word.name.lower() == word.value
