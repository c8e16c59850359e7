"""What a dead session left open becomes known, or unknown, and nothing is sent."""

from datetime import UTC, datetime

import pytest
from attrs import evolve

from logos_core.capabilities import ExpiryKind, Uniqueness
from logos_core.errors import LedgerError, OutcomeUnknownError
from logos_core.events import stamp
from logos_core.hookspecs import Operation
from logos_core.lifecycle import IntentState as S
from logos_core.orders import OrderStatus
from logos_core.records import AttemptOutcome as A
from logos_core.recovery import RecoveryReport, is_abandoned
from logos_core.resolution import Resolution, Resolver, Standing
from logos_core.testing.scripted import (
    ScriptedVenue,
    accept,
    capabilities,
    fail,
    first,
    hide,
    reject,
    show,
    show_another,
    time_out_before,
)
from tests.unit.making import HOLDING_NOTHING, order
from tests.unit.test_adapter_submit import break_commits, outcomes, recorded

ENGINE = capabilities(uniqueness=Uniqueness.OPEN, expiry=ExpiryKind.ENGINE, window_s=5.0)


class Killed(BaseException):
    """The process ends here."""


def die_in_submit(session, *, processed, intent_id="one"):
    """Leave an attempt in flight, as a process that is killed between its two commits does."""

    def step(venue, request):
        venue.send(request)
        if processed:
            venue.process(request)
        session.die()
        raise Killed

    session.venue.on_submit(step)
    with pytest.raises((Killed, OutcomeUnknownError)):
        session.adapter.submit(order(intent_id))
    for scope in session.home.halts():
        session.home.resume(scope)


def test_an_order_that_a_killed_session_placed_becomes_known(desk):
    session = desk()
    die_in_submit(session, processed=True)
    again = desk()

    assert (S.NEW, [A.ACCEPTED]) == (recorded(again).state, outcomes(again))
    assert "v1" == again.adapter.submit(order()).venue_order_id
    assert 1 == len(again.venue.received)


@pytest.mark.parametrize("rule", Uniqueness)
def test_what_cannot_be_seen_becomes_unknown_and_is_not_sent(desk, rule):
    session = desk(ScriptedVenue(capabilities(uniqueness=rule)))
    die_in_submit(session, processed=False)
    again = desk()

    assert (S.UNKNOWN, [A.UNKNOWN]) == (recorded(again).state, outcomes(again))
    assert 1 == again.venue.calls.count(Operation.SUBMIT)


def test_where_an_order_was_looked_for_in_vain_is_on_record_with_what_follows(desk):
    die_in_submit(desk(ScriptedVenue(ENGINE)), processed=False)
    again = desk()
    (looked,) = [event.fields() for event in again.ledger.events() if event.kind == "not_seen"]

    assert recorded(again).client_order_id == looked["client_order_id"]
    assert [{"source": "GET open orders", "said": "not listed"}, {"source": "GET order by id", "said": "404"}] == looked["views"]
    assert (stamp(again.clock.now()), "1") == (looked["venue_time"], looked["position"])
    assert "a request may be taken, and be shown, until" in looked["why"]


@pytest.mark.parametrize("left", ["in flight", "unknown"])
def test_what_the_venue_showed_of_a_found_order_is_on_record(desk, left):
    session = desk()
    session.venue.on_lookup(*[hide()] * 2 if left == "unknown" else [])
    die_in_submit(session, processed=True)
    again = desk()
    told = again.adapter.recover()

    assert told.found == (() if left == "in flight" else (recorded(again).client_order_id,))
    (found,) = [event.fields() for event in again.ledger.events() if event.fields().get("evidence", {}).get("source") == "lookup"]
    assert "raw" in found["evidence"]


def test_recovery_tells_how_many_of_each_it_found():
    since = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
    report = RecoveryReport(found=("a", "b"), closed=("c",), unknown=("d", "e"), unknown_since=since, left_alone=("f",))

    assert "recovery: 2 found, 1 closed, 2 unknown, 1 in flight elsewhere; the oldest unknown since 2026-01-01 00:00:00Z" == str(
        report
    )


def test_recovery_runs_twice_and_changes_nothing_the_second_time(desk):
    die_in_submit(desk(), processed=False)
    again = desk()
    before = (recorded(again).state, outcomes(again), recorded(again).updated_at)
    report = again.adapter.recover()

    assert before == (recorded(again).state, outcomes(again), recorded(again).updated_at)
    assert ((recorded(again).client_order_id,), (), ()) == (report.unknown, report.found, report.closed)
    assert f"recovery: 1 unknown; the oldest unknown since {report.unknown_since[0]:%Y-%m-%d %H:%M:%SZ}" == str(report)


def test_recovery_leaves_a_living_session_alone(desk):
    session, reports = desk(), []
    other = desk(recovers=False)
    session.venue.on_submit(first(lambda: reports.append(other.adapter.recover()), accept()))
    session.adapter.submit(order())

    assert [(recorded(session).client_order_id,)] == [report.left_alone for report in reports]
    assert "recovery: 1 in flight elsewhere" == str(reports[0])
    assert [A.ACCEPTED] == outcomes(session)


def test_recovery_closes_what_is_proven_absent_and_past_its_validity(desk):
    session = desk(ScriptedVenue(ENGINE))
    die_in_submit(session, processed=False)
    early = desk()
    assert S.UNKNOWN == recorded(early).state
    early.clock.sleep(100)
    report = early.adapter.recover()

    assert ((recorded(early).client_order_id,), S.NOT_PLACED) == (report.closed, recorded(early).state)
    assert "recovery: nothing was open" == str(early.adapter.recover())


def test_a_refused_further_attempt_does_not_keep_the_doubt_about_an_earlier_one_from_being_settled(desk):
    session = desk(ScriptedVenue(ENGINE))
    session.venue.on_submit(time_out_before(), reject())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())  # not answered, proven absent, sent again, and refused
    session.clock.sleep(400)
    found = session.adapter.recover()

    assert ((recorded(session).client_order_id,), ()) == (found.closed, found.unknown)
    assert (S.NOT_PLACED, [A.ABSENT, A.REJECTED]) == (recorded(session).state, outcomes(session))


def test_a_finding_closes_no_attempt_that_was_made_after_it(desk):
    session = desk(ScriptedVenue(ENGINE))
    session.venue.on_submit(time_out_before(), time_out_before(), time_out_before())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())
    found = Resolution(standing=Standing.PROVEN_ABSENT, recorded=recorded(session), why="not seen", proven_attempt=1)
    after = session.parts.resolver.close_as_absent(found)

    assert (S.UNKNOWN, [A.ABSENT, A.UNKNOWN, A.UNKNOWN]) == (after.state, outcomes(session))


def test_an_intent_that_a_living_session_sends_again_is_not_abandoned_with_the_dead_one_that_sent_it_first(desk):
    session = desk(ScriptedVenue(ENGINE))
    session.venue.on_submit(time_out_before(), accept())
    session.adapter.submit(order())
    one, two = recorded(session).attempts
    known = evolve(recorded(session), attempts=(evolve(one, session_id="dead"), evolve(two, session_id="alive", outcome=None)))

    assert not is_abandoned(known, "dead".__eq__)
    assert is_abandoned(known, "alive".__eq__)


def test_recovery_does_not_close_what_is_still_valid(desk):
    session = desk(ScriptedVenue(ENGINE))
    die_in_submit(session, processed=False)
    again = desk(recovers=False)
    again.clock.sleep(20)
    report = again.adapter.recover()

    assert ((recorded(again).client_order_id,), S.UNKNOWN) == (report.unknown, recorded(again).state)


def test_a_venue_that_is_down_leaves_all_unknown_and_a_session_opens(desk):
    die_in_submit(desk(), processed=True)
    first_session = desk(recovers=False)
    first_session.venue.on_lookup(*[fail()] * 3)
    report = first_session.adapter.recover()

    assert (S.UNKNOWN, 1) == (recorded(first_session).state, len(report.unknown))
    assert 1 == len(first_session.adapter.recover().found)
    assert S.NEW == recorded(first_session).state


def test_another_order_under_our_id_is_no_recovery(desk):
    die_in_submit(desk(), processed=True)
    again = desk(recovers=False)
    again.venue.on_lookup(show_another(symbol="ETH/USDT"))
    again.adapter.recover()

    assert S.UNKNOWN == recorded(again).state
    assert "another order" in again.ledger.latched()[0]


def test_recovery_that_is_killed_is_run_again(desk):
    die_in_submit(desk(), processed=True)
    die_in_submit(desk(recovers=False, rails=HOLDING_NOTHING), processed=True, intent_id="two")
    half = desk(recovers=False)

    def killed(venue, reference):
        half.die()
        raise Killed

    half.venue.on_lookup(show(), killed)
    with pytest.raises((Killed, LedgerError)):
        half.adapter.recover()
    again = desk()

    assert [S.NEW, S.NEW] == [recorded(again, name).state for name in ("one", "two")]
    assert 2 == again.venue.calls.count(Operation.SUBMIT)


def test_a_filled_order_is_recovered_with_its_executions(desk):
    session = desk()

    def step(venue, request):
        venue.send(request)
        venue.process(request, OrderStatus.FILLED)
        session.die()
        raise Killed

    session.venue.on_submit(step)
    with pytest.raises((Killed, OutcomeUnknownError)):
        session.adapter.submit(order())
    again = desk()

    assert (S.FILLED, ["t1"]) == (recorded(again).state, [trade.execution_id for trade in recorded(again).report.executions])


def test_an_abandoned_attempt_is_found_out_by_a_submit_of_the_same_intent(desk):
    session = desk()
    again = desk(recovers=False)
    die_in_submit(session, processed=True)

    assert "v1" == again.adapter.submit(order()).venue_order_id
    assert 1 == len(again.venue.received)


def test_an_unknown_of_a_living_session_is_settled_by_anyone(desk):
    session = desk(ScriptedVenue(capabilities(uniqueness=Uniqueness.OPEN)))
    session.venue.on_submit(time_out_before())
    session.venue.on_lookup(hide(), hide())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())
    session.venue.process(session.venue.received[0])
    other = desk()

    assert S.NEW == recorded(other).state


@pytest.mark.parametrize("odd", [{"position": 0.5}, {"venue_time": datetime(2026, 1, 1)}], ids=["a float", "a naive time"])
def test_an_absence_that_cannot_be_recorded_proves_nothing_and_leaves_the_outcome_unknown(desk, odd):
    die_in_submit(desk(ScriptedVenue(ENGINE)), processed=False)
    again = desk(recovers=False)
    again.clock.sleep(86_400)
    again.venue.on_lookup(hide(**odd), hide(**odd))
    report = again.adapter.recover()

    assert ((recorded(again).client_order_id,), S.UNKNOWN) == (report.unknown, recorded(again).state)


def test_an_intent_that_a_mistake_of_ours_keeps_from_being_settled_does_not_hold_up_the_others(desk, monkeypatch):
    die_in_submit(desk(), processed=True)
    die_in_submit(desk(recovers=False, rails=HOLDING_NOTHING), processed=True, intent_id="two")
    again = desk(recovers=False)
    first_name, find_out = recorded(again).client_order_id, Resolver.find_out

    def mistaken(resolver, recorded, **more):
        if recorded.client_order_id == first_name:
            raise RuntimeError("a mistake")
        return find_out(resolver, recorded, **more)

    monkeypatch.setattr(Resolver, "find_out", mistaken)
    report = again.adapter.recover()

    assert ((first_name,), (recorded(again, "two").client_order_id,)) == (report.unknown, report.found)
    assert (report.unknown_since, S.IN_FLIGHT) == ((recorded(again).open_since,), recorded(again).state)


def test_recovery_ends_where_the_ledger_can_record_no_more(desk):
    """What it would say next would be on record nowhere."""
    die_in_submit(desk(), processed=True)
    again = desk(recovers=False)
    again.venue.on_lookup(first(lambda: break_commits(again), show()))
    with pytest.raises(LedgerError, match="the disk is broken"):
        again.adapter.recover()

    assert S.IN_FLIGHT is recorded(again).state


def test_what_the_venue_answered_is_on_record_as_it_was_its_floats_as_text(desk):
    """A float would be spelled differently by another machine, and the chain would not verify there."""
    die_in_submit(desk(), processed=True)
    again = desk(recovers=False)
    again.venue.on_lookup(show_another(raw={"fills": [{"price": 0.1, 1: None}], "side": ("buy", True)}))
    again.adapter.recover()
    (settled,) = [event.fields() for event in again.adapter.audit_log if event.kind == "settled"]

    assert {"fills": [{"price": "0.1", "1": None}], "side": ["buy", True]} == settled["evidence"]["raw"]
