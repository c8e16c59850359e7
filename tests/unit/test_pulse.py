"""What life signs mean, in given time."""

import pytest

from logos_core.pulse import Bounds, Healing, Need, Pulse

BOUNDS = Bounds(hello_within_s=10.0, silent_after_s=3.0)


def pulse_after(*events, gapless=True):
    """A pulse that began at 0 and said hello at 1."""
    pulse = Pulse(bounds=BOUNDS, began_s=0.0)
    pulse.hello(1.0)
    return pulse, [getattr(pulse, name)(2.0, position) for name, position in events]


def test_before_its_hello_only_the_hello_counts():
    pulse = Pulse(bounds=BOUNDS, began_s=0.0)
    pulse.alive(9.0)

    assert (None, "no hello within 10 s") == (pulse.trouble(9.99), pulse.trouble(10.0))


def test_after_its_hello_silence_is_measured_from_the_last_sign_of_life():
    pulse = Pulse(bounds=BOUNDS, began_s=0.0)
    pulse.hello(9.0)
    before = pulse.trouble(11.99), pulse.trouble(12.0)
    pulse.alive(12.0)

    assert (None, "nothing heard for 3 s") == before
    assert (None, "nothing heard for 3 s") == (pulse.trouble(14.99), pulse.trouble(15.0))


@pytest.mark.parametrize(
    ("events", "gaps"),
    [
        ([("heard", 7), ("heard", 8), ("alive", 8)], [False, False, False]),
        ([("alive", 7), ("heard", 8), ("heard", 9)], [False, False, False]),
        ([("alive", 7), ("heard", 9), ("heard", 10)], [False, True, False]),
        ([("heard", 7), ("alive", 8)], [False, True]),
        ([("heard", 7), ("alive", 9), ("heard", 10)], [False, True, False]),
        ([("heard", 7), ("heard", 7), ("heard", 8)], [False, False, False]),
        ([("heard", 7), ("heard", 9), ("heard", 8), ("heard", 10)], [False, True, False, False]),
        ([("heard", 9), ("alive", 7), ("heard", 10)], [False, False, False]),
        ([("alive", None), ("heard", 7), ("heard", 8)], [False, False, False]),
    ],
)
def test_a_number_passed_over_is_a_gap_and_one_that_comes_again_or_late_is_none(events, gaps):
    assert gaps == pulse_after(*events)[1]


def healing(**changes):
    return Healing(**{"pace_s": 5.0, "again_s": 2.0, **changes})


def test_a_need_is_asked_for_at_once_and_once_more_after_the_visibility_lag():
    made = healing(pace_s=0.5)
    made.need(Need.GAP, 10.0)
    first = made.due_s
    made.begin(10.0)
    made.answered()
    second = made.due_s
    made.begin(12.0)
    made.answered()

    assert (10.0, 12.0, None) == (first, second, made.due_s)


def test_what_arises_while_the_venue_is_asked_needs_another_question():
    made = healing(again_s=0.0)
    made.need(Need.GAP, 10.0)
    made.begin(10.0)
    made.need(Need.GAP, 10.1)
    made.answered()

    assert (1, 15.0) == (made.gaps_closed, made.due_s)
    made.begin(15.0)
    made.answered()
    assert (2, None) == (made.gaps_closed, made.due_s)


def test_a_need_that_could_not_be_asked_for_stays_and_is_asked_for_less_and_less_often():
    made = healing(again_s=0.0)
    made.need(Need.LOST, 0.0)
    due = []
    for _ in range(8):
        asked_s = made.due_s
        due.append(asked_s)
        made.begin(asked_s)
        made.failed(asked_s)

    assert [0.0, 10.0, 30.0, 70.0, 150.0, 310.0, 470.0, 630.0] == due
    assert 0 == made.gaps_closed
    made.begin(made.due_s)
    made.answered()
    assert (1, None) == (made.gaps_closed, made.due_s)


def test_questions_keep_their_distance_however_much_there_is_to_ask():
    made = healing()
    due = []
    for moment in (0.0, 0.1, 0.2, 6.0):
        made.need(Need.INCOMPLETE, moment)
        if made.due_s <= moment:
            made.begin(moment)
            made.answered()
            due.append(moment)

    assert [0.0, 6.0] == due


def test_a_first_connection_closes_no_gap():
    made = healing()
    made.need(Need.CONNECTED, 0.0)
    made.begin(0.0)
    made.answered()

    assert 0 == made.gaps_closed


def test_without_numbers_the_venue_is_asked_every_so_often_and_that_is_no_need():
    made = healing(again_s=0.0, every_s=60.0)
    made.need(Need.CONNECTED, 0.0)
    made.begin(0.0)
    made.answered()
    owed, due_s = made.is_owed, made.due_s
    made.begin(60.0)
    made.answered()

    assert (False, 60.0, 120.0, 0) == (owed, due_s, made.due_s, made.gaps_closed)
