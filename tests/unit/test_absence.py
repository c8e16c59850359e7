from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

from logos_core.capabilities import ExpiryKind, Uniqueness
from logos_core.hookspecs import NotSeen, View
from logos_core.orders import OrderStatus
from logos_core.rails.absence import CLOCK_MARGIN, Absence, AbsencePolicy, conclude, conclude_replacement
from logos_core.testing.scripted import capabilities
from tests.unit.making import report_of

SENT_BY = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW_S = 5.0
LAG_S = 1.0
DEADLINE = SENT_BY + timedelta(seconds=WINDOW_S + LAG_S) + CLOCK_MARGIN
LATER = timedelta(hours=1)
TICK = timedelta(microseconds=1)
VIEWS = (View("open orders", "not listed"), View("order by id", "404"))


def concluded(
    uniqueness=Uniqueness.OPEN,
    expiry=ExpiryKind.ENGINE,
    *,
    window_s=WINDOW_S,
    gateway_is_proof=False,
    deadline_is_proof=True,
    views=VIEWS,
    venue_time=DEADLINE + TICK,
    now=SENT_BY + LATER,
):
    able = capabilities(uniqueness=uniqueness, expiry=expiry, window_s=window_s, visibility_lag_s=LAG_S)
    policy = AbsencePolicy(gateway_window_is_proof=gateway_is_proof, deadline_is_proof=deadline_is_proof)
    return conclude(able, policy, SENT_BY, NotSeen(views=views, venue_time=venue_time), now)[0]


@pytest.mark.parametrize("uniqueness", Uniqueness)
@pytest.mark.parametrize("expiry", ExpiryKind)
@pytest.mark.parametrize("gateway_is_proof", [False, True])
@pytest.mark.parametrize("deadline_is_proof", [False, True])
def test_what_absence_means_for_every_kind_of_venue(uniqueness, expiry, gateway_is_proof, deadline_is_proof):
    if uniqueness is Uniqueness.EVER:
        expected = Absence.MAY_RESEND
    elif (expiry is ExpiryKind.ENGINE and deadline_is_proof) or (expiry is ExpiryKind.GATEWAY and gateway_is_proof):
        expected = Absence.PROVEN
    else:
        expected = Absence.UNRESOLVED

    assert expected == concluded(uniqueness, expiry, gateway_is_proof=gateway_is_proof, deadline_is_proof=deadline_is_proof)


@pytest.mark.parametrize("uniqueness", [Uniqueness.OPEN, Uniqueness.NONE])
def test_a_deadline_counts_only_once_it_is_past_in_venue_time_with_the_margin(uniqueness):
    assert Absence.UNRESOLVED == concluded(uniqueness, venue_time=DEADLINE)
    assert Absence.PROVEN == concluded(uniqueness, venue_time=DEADLINE + TICK)


def test_an_order_taken_at_the_very_end_has_had_time_to_become_visible():
    taken_at = SENT_BY + timedelta(seconds=WINDOW_S)
    visible_at = taken_at + timedelta(seconds=LAG_S)

    assert Absence.UNRESOLVED == concluded(venue_time=visible_at + CLOCK_MARGIN)


def test_a_venue_clock_that_runs_ahead_does_not_hurry_the_proof():
    assert Absence.UNRESOLVED == concluded(venue_time=DEADLINE + LATER, now=DEADLINE)


def test_our_clock_running_ahead_does_not_hurry_the_proof():
    assert Absence.UNRESOLVED == concluded(venue_time=DEADLINE - TICK, now=DEADLINE + LATER)


def test_without_the_venues_time_our_own_is_rounded_against_us():
    assert Absence.UNRESOLVED == concluded(venue_time=None, now=DEADLINE + CLOCK_MARGIN)
    assert Absence.PROVEN == concluded(venue_time=None, now=DEADLINE + CLOCK_MARGIN + TICK)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_views_prove_nothing(count):
    assert Absence.UNRESOLVED == concluded(views=VIEWS[:count])


def test_the_same_view_twice_is_one_view():
    assert Absence.UNRESOLVED == concluded(views=(VIEWS[0], VIEWS[0]))


def test_an_engine_deadline_without_a_window_proves_nothing():
    assert Absence.UNRESOLVED == concluded(window_s=None)


def test_time_alone_never_proves_anything():
    assert Absence.UNRESOLVED == concluded(expiry=ExpiryKind.NONE, now=SENT_BY + timedelta(days=3650), venue_time=None)


@pytest.mark.parametrize("refused", [False, True])
def test_a_replacement_is_not_absent_because_the_order_it_was_to_replace_is_not_shown_either(refused):
    found, why = conclude_replacement(capabilities(), None, refused=refused)

    assert (Absence.UNRESOLVED, "the order that was to be replaced is not shown either") == (found, why)


def replaced(original, *, refused=False, tells_successor=True):
    able = capabilities()
    able = evolve(able, replace=evolve(able.replace, tells_successor=tells_successor))
    return conclude_replacement(able, original, refused=refused)[0]


@pytest.mark.parametrize("status", [status for status in OrderStatus if not status.is_final])
def test_while_the_order_works_a_late_request_can_still_replace_it_unless_the_venue_has_refused(status):
    assert Absence.UNRESOLVED == replaced(report_of(status=status))
    assert Absence.PROVEN == replaced(report_of(status=status), refused=True)


@pytest.mark.parametrize("status", [status for status in OrderStatus if status.is_final])
@pytest.mark.parametrize("refused", [False, True])
def test_of_an_order_that_ended_of_its_own_accord_nothing_takes_the_place(status, refused):
    assert Absence.PROVEN == replaced(report_of(status=status), refused=refused)
    assert Absence.UNRESOLVED == replaced(report_of(status=status, replaced_by="v2"), refused=refused)


@pytest.mark.parametrize("status", [status for status in OrderStatus if status.is_final])
def test_only_a_cancelled_order_may_have_a_successor_that_the_venue_does_not_tell(status):
    expected = Absence.UNRESOLVED if status is OrderStatus.CANCELED else Absence.PROVEN

    assert expected == replaced(report_of(status=status), tells_successor=False)


def test_unless_the_preset_says_otherwise_an_engines_deadline_is_proof_and_a_gateways_is_not():
    assert AbsencePolicy(gateway_window_is_proof=False, deadline_is_proof=True) == AbsencePolicy()
