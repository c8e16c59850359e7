"""The ledger and the venue, side by side."""

from decimal import Decimal

import pytest
from attrs import evolve

from logos_core.capabilities import Uniqueness
from logos_core.errors import OrderDeniedError, OutcomeUnknownError
from logos_core.hookspecs import Operation
from logos_core.lifecycle import IntentState as S
from logos_core.orders import OrderStatus
from logos_core.reconciliation import Agreement, Difference, ReconciliationReport, differences, verdict
from logos_core.testing.scripted import ScriptedVenue, accept, capabilities, fail, hide, time_out_before
from logos_core.wire import Answer
from tests.unit.making import bracketed, end_leg, order, report_of
from tests.unit.test_adapter_submit import recorded


@pytest.fixture
def session(desk):
    return desk(ScriptedVenue(capabilities(uniqueness=Uniqueness.OPEN)))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, Agreement.AGREES),
        ({"foreign_remote": ("v9",)}, Agreement.AGREES),
        ({"unsettled": ("a",)}, Agreement.UNSETTLED),
        ({"in_motion": ("a",)}, Agreement.UNSETTLED),
        ({"missing_remote": ("a",), "unsettled": ("b",)}, Agreement.DIFFERS),
        ({"untracked_remote": ("a",)}, Agreement.DIFFERS),
        ({"duplicates": ("a",)}, Agreement.DIFFERS),
        ({"different": (Difference(client_order_id="a", field="state", ledger="new", venue="filled"),)}, Agreement.DIFFERS),
    ],
)
def test_the_verdict_is_the_worst_of_what_was_found(found, expected):
    assert expected == verdict(ReconciliationReport(verdict=Agreement.AGREES, **found))


def test_an_empty_ledger_and_an_empty_venue_agree(session):
    assert Agreement.AGREES == session.adapter.reconcile().verdict


def test_what_happened_at_the_venue_is_recorded_and_both_agree(session):
    for name in ("works", "fills", "ends"):
        session.adapter.submit(order(name))
    session.venue.change(
        recorded(session, "fills").client_order_id, status=OrderStatus.FILLED, filled_quantity=Decimal(1), average_price=Decimal(99)
    )
    session.venue.change(recorded(session, "ends").client_order_id, status=OrderStatus.EXPIRED)
    report = session.adapter.reconcile()

    assert (Agreement.AGREES, 3) == (report.verdict, report.checked)
    assert [S.NEW, S.FILLED, S.EXPIRED] == [recorded(session, name).state for name in ("works", "fills", "ends")]
    assert "reconciliation: agrees; 3 open orders compared, no difference" == str(report)


def test_what_was_compared_is_what_is_open_on_either_side(session):
    """A closed order is on record and is not looked at again; a foreign one is nobody's to compare."""
    for name in ("works", "ended"):
        session.adapter.submit(order(name))
    session.adapter.cancel("ended")
    session.venue.held.append(report_of("somebody", venue_order_id="v7"))
    agrees = session.adapter.reconcile()
    session.venue.held.append(report_of("lgsforgotten", venue_order_id="v8"))
    differs = session.adapter.reconcile()

    assert (Agreement.AGREES, 1) == (agrees.verdict, agrees.checked)
    assert "reconciliation: agrees; 1 open order compared, no difference" == str(agrees)
    assert (Agreement.DIFFERS, 2) == (differs.verdict, differs.checked)


def test_a_finished_order_is_never_missing(session):
    session.adapter.submit(order())
    session.adapter.cancel("one")
    session.venue.held.clear()

    assert Agreement.AGREES == session.adapter.reconcile().verdict


def test_a_venue_that_cannot_be_asked_is_a_verdict_of_its_own(session):
    session.adapter.submit(order())
    session.venue.script(Operation.RECONCILE, fail())
    report = session.adapter.reconcile()

    assert (Agreement.COULD_NOT_ASK, ()) == (report.verdict, report.missing_remote)
    assert "service unavailable" in str(report)
    assert session.ledger.cursor("reconcile") is None


def test_an_order_that_is_gone_everywhere_is_missing_and_only_then(session):
    session.adapter.submit(order())
    name = recorded(session).client_order_id
    gone = session.venue.held.pop()
    report = session.adapter.reconcile()

    assert (Agreement.DIFFERS, (name,)) == (report.verdict, report.missing_remote)
    assert 2 == session.venue.calls.count(Operation.LOOKUP), "asked twice, with the visibility lag between"
    assert S.NEW == recorded(session).state, "not to be seen proves nothing"
    session.venue.held.append(gone)
    assert Agreement.AGREES == session.adapter.reconcile().verdict


def test_an_order_that_the_list_skipped_is_asked_for_by_name(session):
    session.adapter.submit(order())
    session.venue.script(Operation.RECONCILE, lambda venue, request: evolve(venue.snapshot(), open_orders=()))
    report = session.adapter.reconcile()

    assert (Agreement.UNSETTLED, (recorded(session).client_order_id,)) == (report.verdict, report.in_motion)


def test_an_order_that_ended_after_the_list_was_read_is_recorded_and_neither_missing_nor_in_motion(session):
    session.adapter.submit(order())
    name = recorded(session).client_order_id

    def read_then_end(venue, request):
        shown = evolve(venue.snapshot(), open_orders=())
        venue.change(name, status=OrderStatus.EXPIRED)
        return shown

    session.venue.script(Operation.RECONCILE, read_then_end)
    report = session.adapter.reconcile()

    assert (Agreement.AGREES, S.EXPIRED) == (report.verdict, recorded(session).state)


def test_an_order_that_could_not_be_asked_for_is_not_missing(session):
    session.adapter.submit(order())
    session.venue.script(Operation.RECONCILE, lambda venue, request: evolve(venue.snapshot(), open_orders=()))
    session.venue.on_lookup(*[fail()] * 3)
    report = session.adapter.reconcile()

    assert () == report.missing_remote
    assert Agreement.COULD_NOT_ASK == report.verdict


def test_an_order_that_ended_while_the_list_was_read_is_no_difference(session):
    session.adapter.submit(order())
    stale = session.venue.snapshot()
    session.adapter.cancel("one")
    session.venue.script(Operation.RECONCILE, lambda venue, request: stale)
    report = session.adapter.reconcile()

    assert () == report.different
    assert OrderStatus.CANCELED == recorded(session).report.status


def test_an_order_of_ours_that_the_ledger_does_not_know_stops_new_orders(session):
    session.venue.held.append(report_of("lgsforgotten"))
    report = session.adapter.reconcile()

    assert (Agreement.DIFFERS, ("lgsforgotten",)) == (report.verdict, report.untracked_remote)
    with pytest.raises(OrderDeniedError, match="lgsforgotten"):
        session.adapter.submit(order())


def test_a_foreign_order_is_told_and_halts_nothing(session):
    session.venue.held += [report_of("somebody", venue_order_id="v7"), report_of(None, venue_order_id="v8")]
    report = session.adapter.reconcile()

    assert (Agreement.AGREES, ("v7", "v8")) == (report.verdict, report.foreign_remote)
    assert session.adapter.submit(order()).status is OrderStatus.NEW


def test_a_foreign_order_that_has_ended_is_not_told(session):
    session.venue.held.append(report_of("somebody", status=OrderStatus.FILLED))

    assert () == session.adapter.reconcile().foreign_remote


def test_a_second_order_of_one_intent_stops_new_orders(session):
    session.adapter.submit(order())
    session.venue.held.append(evolve(session.venue.held[0], venue_order_id="v2"))
    report = session.adapter.reconcile()

    assert (Agreement.DIFFERS, ("v2",)) == (report.verdict, report.duplicates)
    with pytest.raises(OrderDeniedError, match="a second order v2"):
        session.adapter.submit(order("two"))


def test_an_order_in_flight_is_left_to_its_sender(session, desk):
    other, reports = desk(recovers=False), []

    def step(venue, request):
        record = venue.send(request)
        made = venue.process(request)
        reports.append(other.adapter.reconcile())
        record.answered(Answer(status=200, headers={}, body=""))
        return made

    session.venue.on_submit(step)
    session.adapter.submit(order())

    assert [(Agreement.UNSETTLED, (), 0)] == [(report.verdict, report.different, report.checked) for report in reports]
    assert S.NEW == recorded(session).state


def test_an_unknown_order_that_the_list_shows_becomes_known(session):
    session.venue.on_submit(time_out_before())
    session.venue.on_lookup(hide(), hide())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())
    assert (recorded(session).client_order_id,) == session.adapter.reconcile().unsettled
    session.venue.process(session.venue.received[0])

    assert Agreement.AGREES == session.adapter.reconcile().verdict
    assert S.NEW == recorded(session).state


def test_each_reconciliation_goes_on_where_the_last_one_stopped(session):
    asked = []
    remember = lambda venue, request: [asked.append(request.cursor), venue.snapshot()][1]  # type: ignore[func-returns-value]
    session.venue.script(Operation.RECONCILE, remember, remember)
    session.adapter.reconcile()
    cursor = session.ledger.cursor("reconcile")
    session.adapter.reconcile()

    assert [None, cursor] == asked


def test_a_venue_that_shows_less_than_it_has_told_before_differs(session):
    """What is on record was told by the venue; a list that takes it back is not believed, and not passed over."""
    session.venue.on_submit(accept(OrderStatus.PARTIALLY_FILLED, Decimal("0.5")))
    session.adapter.submit(order())
    name = recorded(session).client_order_id
    session.venue.change(name, status=OrderStatus.NEW, filled_quantity=Decimal(0), average_price=None, executions=())
    report = session.adapter.reconcile()

    assert [("state", "partially_filled", "new"), ("filled_quantity", "0.5", "0")] == [
        (found.field, found.ledger, found.venue) for found in report.different
    ]
    assert Agreement.DIFFERS == report.verdict


def test_an_order_that_is_shown_under_another_venue_id_is_asked_for_by_name(session):
    """The name alone does not say that it is the order on record that the list shows."""
    session.adapter.submit(order())
    session.venue.held[0] = evolve(session.venue.held[0], venue_order_id="v2")
    asked = session.venue.calls.count(Operation.LOOKUP)
    report = session.adapter.reconcile()

    assert session.venue.calls.count(Operation.LOOKUP) > asked
    assert (Agreement.DIFFERS, ("v2",)) == (report.verdict, report.duplicates)


def test_orders_that_work_on_although_they_ended_on_record_are_told_after_one_wait_for_all(session):
    for name in ("one", "two", "three"):
        session.adapter.submit(order(name))
        report = recorded(session, name).report
        session.ledger.apply_report(evolve(report, status=OrderStatus.CANCELED), {"source": "stream"})
    began_s = session.clock.monotonic_s()
    found = session.adapter.reconcile()

    assert (Agreement.DIFFERS, ["state"] * 3, ()) == (found.verdict, [row.field for row in found.different], found.in_motion)
    assert session.venue.capabilities.client_ids.visibility_lag_s == session.clock.monotonic_s() - began_s
    assert 3 == len(session.ledger.latched())


def test_an_order_that_was_never_reported_differs_by_its_state_alone(session):
    """There is nothing else on record that could be compared."""
    session.adapter.submit(order())
    known = evolve(recorded(session), state=S.UNKNOWN, report=None)

    assert [("state", "unknown", "new")] == [
        (found.field, found.ledger, found.venue) for found in differences(known, report_of(known.client_order_id))
    ]


# ------------------------------------------------------------------------------------------------------------------- legs


@pytest.fixture
def bracket(desk):
    """A session whose order has filled, and whose two legs work."""
    made = bracketed(desk)
    made.venue.change(
        recorded(made).client_order_id, status=OrderStatus.FILLED, filled_quantity=Decimal(1), average_price=Decimal(100)
    )
    made.adapter.lookup("one")
    return made


def show_no_legs(venue, _request):
    """A reading that tells of orders, and of their legs only where they are asked for."""
    return evolve(venue.snapshot(), changed_orders=tuple(evolve(report, legs=()) for report in venue.held))


def test_legs_that_the_lists_do_not_show_are_found_beneath_their_order(bracket):
    bracket.venue.script(Operation.RECONCILE, show_no_legs)
    report = bracket.adapter.reconcile()

    assert (Agreement.AGREES, ()) == (report.verdict, report.missing_remote)


def test_how_a_leg_ended_that_the_lists_do_not_show_is_recorded(bracket):
    bracket.venue.script(Operation.RECONCILE, show_no_legs)
    end_leg(bracket, "loss")
    report = bracket.adapter.reconcile()

    assert Agreement.AGREES == report.verdict
    assert ["profit"] == [leg.venue_order_id for leg in bracket.ledger.working_legs()]


def test_a_leg_that_the_venue_shows_nowhere_is_missing(bracket):
    name = recorded(bracket).client_order_id
    bracket.venue.change(name, legs=bracket.venue.held[0].legs[:1])
    report = bracket.adapter.reconcile()

    assert (Agreement.DIFFERS, (f"{name}: leg loss",)) == (report.verdict, report.missing_remote)


def test_the_legs_of_an_order_that_the_venue_shows_nowhere_are_missing(bracket):
    name = recorded(bracket).client_order_id
    bracket.venue.held.clear()

    assert (f"{name}: leg profit", f"{name}: leg loss") == bracket.adapter.reconcile().missing_remote


def test_legs_that_could_not_be_asked_for_are_not_missing_and_nothing_agrees(bracket):
    bracket.venue.script(Operation.RECONCILE, show_no_legs)
    bracket.venue.on_lookup(*[fail()] * 6)
    report = bracket.adapter.reconcile()

    assert (Agreement.COULD_NOT_ASK, ()) == (report.verdict, report.missing_remote)
    assert "service unavailable" in str(report)


def test_what_is_missing_is_told_the_oldest_first(desk):
    session = desk()
    for name in ("b", "a", "d", "c"):
        session.adapter.submit(order(name))
    names = [held.client_order_id for held in session.venue.held]
    session.venue.held.clear()

    assert tuple(names) == session.adapter.reconcile().missing_remote
