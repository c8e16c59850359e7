"""The way of one order, branch by branch, as a caller meets it."""

import os
import threading
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from logos_core import adapter
from logos_core.capabilities import ExpiryKind, Uniqueness
from logos_core.clock import ManualClock
from logos_core.errors import (
    LedgerError,
    OrderConflictError,
    OrderDeniedError,
    OrderInFlightError,
    OrderNotPlacedError,
    OrderRejectedError,
    OutcomeNotRecordedError,
    OutcomeUnknownError,
    PluginContractError,
    VenueUnavailableError,
)
from logos_core.hookspecs import Operation, Outcome, Phase, extension_hook
from logos_core.lifecycle import IntentState as S
from logos_core.orders import Order, OrderStatus
from logos_core.rails.absence import AbsencePolicy
from logos_core.rails.retry import RetryConfig
from logos_core.records import AttemptOutcome as A
from logos_core.records import ClaimLostError
from logos_core.submission import evidence
from logos_core.testing.scripted import (
    Rails,
    ScriptedVenue,
    about_another_order,
    accept,
    answer_with,
    capabilities,
    claims,
    duplicate,
    fail,
    first,
    hide,
    not_sent,
    raises,
    reject,
    returns,
    show_another,
    throttled,
    time_out_after,
    time_out_before,
)
from logos_core.venues import Reply
from logos_core.wire import Answer, WireRecord
from tests.unit.making import order

ONE_TRY = Rails(retry=RetryConfig(attempts=1, valid_for_s=60.0))
CAREFUL = capabilities(uniqueness=Uniqueness.OPEN)
ENGINE = capabilities(uniqueness=Uniqueness.OPEN, expiry=ExpiryKind.ENGINE, window_s=5.0)


def recorded(session, intent_id="one"):
    return session.ledger.find(session.parts.cache.client_order_id(intent_id))


def outcomes(session, intent_id="one"):
    return [attempt.outcome for attempt in recorded(session, intent_id).attempts]


def kinds(session):
    return [event.kind for event in session.adapter.audit_log]


def break_commits(session, *, after=0):
    """Let the ledger's transactions fail from the `after`-th on, as a broken disk would."""
    real, count = session.ledger._db.begin, [0]

    def begin():
        count[0] += 1
        if count[0] > after:
            session.ledger._db.broken = "the disk is broken"
        return real()

    session.ledger._db.begin = begin


# -------------------------------------------------------------------------------------------------------------- accepted


def test_an_accepted_order_is_reported_and_recorded(desk):
    session = desk()
    report = session.adapter.submit(order())

    assert (OrderStatus.NEW, "v1") == (report.status, report.venue_order_id)
    assert (S.NEW, [A.ACCEPTED]) == (recorded(session).state, outcomes(session))
    assert ["session_opened", "attempt", "settled"] == kinds(session)


def test_the_attempt_is_durable_before_the_first_byte(desk):
    session, seen = desk(), []
    session.venue.on_submit(first(lambda: seen.append((recorded(session).state, outcomes(session))), accept()))
    session.adapter.submit(order())

    assert [(S.IN_FLIGHT, [None])] == seen


def test_submitting_twice_is_one_order_and_no_second_request(desk):
    session = desk()
    reports = [session.adapter.submit(order()) for _ in range(3)]

    assert 1 == len(session.venue.received) == len(set(map(repr, reports)))
    assert 1 == session.venue.calls.count(Operation.SUBMIT)


def test_a_restart_forgets_nothing(desk):
    session = desk()
    session.adapter.submit(order())
    session.die()
    again = desk()

    assert "v1" == again.adapter.submit(order()).venue_order_id
    assert 1 == len(again.venue.received)


@pytest.mark.parametrize("change", [{"quantity": "2"}, {"price": "99"}, {"side": "sell"}, {"time_in_force": "ioc"}])
def test_the_same_intent_with_another_payload_is_a_conflict_before_the_network(desk, change):
    session = desk()
    session.adapter.submit(order())
    calls = list(session.venue.calls)

    with pytest.raises(OrderConflictError) as caught:
        session.adapter.submit(order(**change))

    assert set(caught.value.given) == set(change) == set(caught.value.recorded)
    assert calls == session.venue.calls


def test_one_intent_id_in_two_strategies_is_two_orders(desk):
    desk().adapter.submit(order())
    other = desk(strategy="other")
    other.adapter.submit(order())

    assert 2 == len(other.venue.held)


def test_what_is_no_order_is_a_mistake_in_the_program(desk):
    with pytest.raises(TypeError, match=r"Order\.limit or Order\.market"):
        desk().adapter.submit({"symbol": "BTC/USDT"})


# ---------------------------------------------------------------------------------------------------------------- denied


class Objects:
    @extension_hook
    def object_to(self, intent: Order) -> str | None:
        return "not today"


@pytest.mark.parametrize(
    ("given", "reason", "rails"),
    [
        (order(symbol="DOGE/USDT"), "INSTRUMENT_UNKNOWN", None),
        (order(quantity="0.0001"), "QUANTITY_BELOW_MINIMUM", None),
        (order(), "EXTENSION_OBJECTION", Rails(extensions={"no": Objects()})),
    ],
)
def test_a_denied_order_leaves_an_event_no_attempt_and_no_byte(desk, given, reason, rails):
    session = desk(rails=rails)
    with pytest.raises(OrderDeniedError) as caught:
        session.adapter.submit(given)

    assert reason == caught.value.reason
    assert (None, []) == (recorded(session), session.venue.received)
    assert ["session_opened", "denied"] == kinds(session)


def test_an_order_type_the_venue_does_not_take_is_denied(desk):
    venue = ScriptedVenue(evolve(capabilities(), times_in_force={}))
    with pytest.raises(OrderDeniedError, match="ORDER_TYPE_UNSUPPORTED"):
        desk(venue).adapter.submit(order())


def test_a_spent_rate_budget_denies_and_a_later_submit_passes(desk):
    session = desk(ScriptedVenue(capabilities(requests=10, period_s=1000.0)))
    for number in range(8):
        session.adapter.submit(order(f"n{number}")) if number < 7 else None
    with pytest.raises(OrderDeniedError, match="RATE_BUDGET_SPENT"):
        for number in range(10, 20):
            session.adapter.submit(order(f"n{number}"))
    session.clock.sleep(1000)

    assert session.adapter.submit(order("n19")).status is OrderStatus.NEW


def test_halting_denies_and_leaves_the_intent_free(desk):
    session = desk()
    session.home.halt("everything", "ann", "drill", session.clock.now())
    with pytest.raises(OrderDeniedError, match="KILL_SWITCH_HALTED"):
        session.adapter.submit(order())
    assert recorded(session) is None
    session.home.resume("everything")

    assert session.adapter.submit(order()).status is OrderStatus.NEW


def test_a_halt_between_commit_and_first_byte_denies_and_nothing_leaves(desk):
    session = desk()
    halt = lambda: session.home.halt("everything", "ann", "now", session.clock.now())
    session.venue.on_submit(first(halt, accept()))
    with pytest.raises(OrderDeniedError, match="KILL_SWITCH_HALTED"):
        session.adapter.submit(order())

    assert [] == session.venue.received
    assert (S.NOT_SENT, [A.NOT_SENT]) == (recorded(session).state, outcomes(session))
    session.home.resume("everything")
    assert session.adapter.submit(order()).status is OrderStatus.NEW


def test_the_kill_switch_beats_retry(desk):
    session = desk()
    halt = lambda: session.home.halt("everything", "ann", "now", session.clock.now())
    session.venue.on_submit(first(halt, not_sent()))
    with pytest.raises(OrderDeniedError, match="KILL_SWITCH_HALTED"):
        session.adapter.submit(order())

    assert [A.NOT_SENT] == outcomes(session)


def _prepare_another(venue, request):
    return evolve(venue.prepared(request), request=evolve(request, quantity=Decimal(2)))


@pytest.mark.parametrize("step", [returns(None), _prepare_another])
def test_a_preparation_that_is_not_of_this_order_sends_nothing(desk, step):
    session = desk()
    session.venue.script(Operation.PREPARE, step)
    with pytest.raises(PluginContractError):
        session.adapter.submit(order())

    assert (None, []) == (recorded(session), session.venue.received)


def test_a_venue_with_a_log_must_give_its_position_before_the_send(desk):
    session = desk(ScriptedVenue(capabilities(transaction_log=True)))
    session.venue.script(Operation.PREPARE, lambda venue, request: evolve(venue.prepared(request), position=None))
    with pytest.raises(PluginContractError, match="position"):
        session.adapter.submit(order())
    assert "0" == (session.adapter.submit(order()) and recorded(session).attempts[0].position)


# -------------------------------------------------------------------------------------------------------------- not sent


def test_what_provably_was_not_sent_is_tried_again_as_an_attempt_of_its_own(desk):
    session = desk()
    session.venue.on_submit(not_sent(), not_sent())
    session.adapter.submit(order())

    assert [A.NOT_SENT, A.NOT_SENT, A.ACCEPTED] == outcomes(session)
    assert 1 == len(session.venue.received)


def test_when_the_tries_are_spent_the_intent_stays_free(desk):
    session = desk()
    session.venue.on_submit(*[not_sent(message="refused")] * 3)
    with pytest.raises(VenueUnavailableError, match="nothing was sent") as caught:
        session.adapter.submit(order())

    assert not isinstance(caught.value, OutcomeUnknownError)
    assert (S.NOT_SENT, 3) == (recorded(session).state, len(outcomes(session)))
    assert session.adapter.submit(order()).status is OrderStatus.NEW


@pytest.mark.parametrize("hook", [Operation.INSTRUMENT, Operation.PREPARE])
def test_a_venue_that_cannot_be_asked_before_the_send_is_unavailable(desk, hook):
    session = desk(rails=ONE_TRY)
    session.venue.script(hook, fail())
    with pytest.raises(VenueUnavailableError, match="service unavailable"):
        session.adapter.submit(order())

    assert recorded(session) is None


def test_no_attempt_starts_after_the_orders_validity(desk):
    session = desk(rails=Rails(retry=RetryConfig(valid_for_s=5.0)))
    late = lambda: session.clock.sleep(6)
    session.venue.on_submit(first(late, not_sent()))
    with pytest.raises(VenueUnavailableError, match="validity ended"):
        session.adapter.submit(order())

    assert [A.NOT_SENT] == outcomes(session)


def test_an_attempt_that_comes_too_late_to_its_first_byte_is_not_sent(desk):
    session = desk(rails=ONE_TRY)
    session.venue.on_submit(first(lambda: session.clock.sleep(0.26), accept()))
    with pytest.raises(VenueUnavailableError, match="too late to send"):
        session.adapter.submit(order())

    assert ([], [A.NOT_SENT]) == (session.venue.received, outcomes(session))


def test_an_attempt_within_a_quarter_of_a_second_is_sent(desk):
    session = desk(rails=ONE_TRY)
    session.venue.on_submit(first(lambda: session.clock.sleep(0.24), accept()))

    assert session.adapter.submit(order()).status is OrderStatus.NEW


def test_the_send_window_never_outlasts_the_validity(desk):
    session = desk(rails=Rails(retry=RetryConfig(attempts=1, valid_for_s=0.1)))
    session.venue.on_submit(first(lambda: session.clock.sleep(0.11), accept()))
    with pytest.raises(VenueUnavailableError):
        session.adapter.submit(order())

    assert [] == session.venue.received


def test_a_wall_clock_set_back_does_not_widen_the_window(desk):
    session = desk(rails=ONE_TRY)

    def set_back():
        session.clock._start = session.clock._start.replace(year=2025)
        session.clock.sleep(0.3)

    session.venue.on_submit(first(set_back, accept()))
    with pytest.raises(VenueUnavailableError, match="too late"):
        session.adapter.submit(order())


# -------------------------------------------------------------------------------------------------------------- rejected


def test_a_rejected_order_is_final(desk):
    session = desk()
    session.venue.on_submit(reject(code="7", message="no funds"))
    with pytest.raises(OrderRejectedError) as caught:
        session.adapter.submit(order())

    assert ("7", "no funds") == (caught.value.venue_code, caught.value.venue_message)
    assert S.REJECTED == recorded(session).state
    with pytest.raises(OrderRejectedError, match="on record"):
        session.adapter.submit(order())
    assert 1 == len(session.venue.received)


def test_an_answer_with_status_rejected_is_a_rejection(desk):
    session = desk()
    session.venue.on_submit(accept(OrderStatus.REJECTED))
    with pytest.raises(OrderRejectedError):
        session.adapter.submit(order())

    assert (S.REJECTED, [A.REJECTED]) == (recorded(session).state, outcomes(session))


@pytest.mark.parametrize(
    ("outcome", "phase"),
    [
        (outcome, phase)
        for phase, possible in (
            (Phase.NOTHING_SENT, {Outcome.NOT_SENT}),
            (Phase.SENT, set()),
            (Phase.ANSWERED, {Outcome.REJECTED}),
        )
        for outcome in Outcome
        if outcome not in possible
    ],
)
def test_a_claim_that_the_wire_cannot_bear_out_is_unknown(desk, outcome, phase):
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(claims(outcome, phase=phase))
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())

    assert (S.UNKNOWN, [A.UNKNOWN]) == (recorded(session).state, outcomes(session))


# --------------------------------------------------------------------------------------------------------------- unknown


CONFUSED: dict[str, Any] = {
    "no answer": time_out_before(),
    "429": throttled(),
    "duplicate": duplicate(),
    "None": returns(None),
    "a dict": returns({"id": "v1"}),
    "the plugin's own error": raises(KeyError("id")),
    "an error without words": raises(ValueError()),
    "a 500": answer_with(RuntimeError("500")),
    "another order": about_another_order(client_order_id="lgsother"),
    "two requests": lambda venue, request: (venue.send(request), venue.send(request)),
}


@pytest.mark.parametrize("step", CONFUSED.values(), ids=list(CONFUSED))
def test_whatever_is_not_understood_is_unknown_and_never_sent_again(desk, step):
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(step)
    session.venue.on_lookup(*[hide()] * 20)
    for _ in range(3):
        with pytest.raises(OutcomeUnknownError) as caught:
            session.adapter.submit(order())
        session.clock.sleep(86_400)

    assert not isinstance(caught.value, OutcomeNotRecordedError)
    assert (S.UNKNOWN, [A.UNKNOWN]) == (recorded(session).state, outcomes(session))
    assert 1 == session.venue.calls.count(Operation.SUBMIT)
    assert recorded(session).reference() == caught.value.reference


def test_a_classifier_that_fails_proves_nothing(desk):
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.classify_with(lambda error: 1 / 0)
    session.venue.on_submit(not_sent())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())

    assert [A.UNKNOWN] == outcomes(session)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_an_interrupted_submit_is_recorded_unknown_and_raised_on(desk, error):
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(raises(error))
    with pytest.raises(type(error)):
        session.adapter.submit(order())

    assert (S.UNKNOWN, [A.UNKNOWN]) == (recorded(session).state, outcomes(session))


def test_the_evidence_of_a_request_holds_neither_an_errors_text_nor_a_header():
    record = WireRecord(operation=Operation.SUBMIT, clock=ManualClock(), deadline_s=1.0)
    record.begin_request()
    record.answered(Answer(status=503, headers={"set-cookie": "token"}, body="busy"))
    seen = evidence(Reply(None, ConnectionError("https://venue.example/order?signature=token"), record))

    assert (1, 503, "busy", "ConnectionError") == (seen["requests"], seen["status"], seen["body"], seen["error"])
    assert "token" not in str(seen)


@pytest.mark.parametrize("written", [False, True])
def test_an_interrupt_while_the_answer_is_recorded_leaves_nothing_in_flight(desk, monkeypatch, written):
    session = desk(ScriptedVenue(CAREFUL))
    accept = session.ledger.accept

    def interrupted(*said):
        if written:
            accept(*said)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(session.ledger, "accept", interrupted)
    with pytest.raises(KeyboardInterrupt):
        session.adapter.submit(order())

    expected = (S.NEW, [A.ACCEPTED]) if written else (S.UNKNOWN, [A.UNKNOWN])
    assert expected == (recorded(session).state, outcomes(session))
    assert "v1" == session.adapter.submit(order()).venue_order_id
    assert 1 == len(session.venue.received)


@pytest.mark.parametrize("rule", Uniqueness)
def test_an_order_whose_answer_was_lost_is_found(desk, rule):
    session = desk(ScriptedVenue(capabilities(uniqueness=rule)))
    session.venue.on_submit(time_out_after(OrderStatus.FILLED))
    report = session.adapter.submit(order())

    assert (OrderStatus.FILLED, 1) == (report.status, len(session.venue.received))
    assert (S.FILLED, [A.ACCEPTED], 1) == (recorded(session).state, outcomes(session), len(report.executions))


def test_an_order_that_shows_up_only_after_the_visibility_lag_is_found(desk):
    session = desk()
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(hide())
    began = session.clock.monotonic_s()

    assert "v1" == session.adapter.submit(order()).venue_order_id
    assert 1 == len(session.venue.received)
    assert session.clock.monotonic_s() - began >= 10.0 + 1.0, "the deadline, then the lag between the two looks"


def test_where_ids_are_unique_for_ever_the_same_id_is_sent_again(desk):
    session = desk()
    session.venue.on_submit(time_out_before())
    report = session.adapter.submit(order())

    assert [A.ACCEPTED, A.ACCEPTED] == outcomes(session)
    assert 1 == len({sent.client_order_id for sent in session.venue.received})
    assert (2, report.venue_order_id) == (len(session.venue.received), "v1")
    assert "not_seen" in kinds(session)


def test_a_late_first_arrival_makes_the_second_a_duplicate_of_itself(desk):
    session = desk()
    session.venue.on_submit(time_out_before(), first(lambda: session.venue.process(session.venue.received[0]), accept()))
    session.adapter.submit(order())

    assert 1 == len(session.venue.held)
    assert S.NEW == recorded(session).state


@pytest.mark.parametrize("rule", [Uniqueness.OPEN, Uniqueness.NONE])
@pytest.mark.parametrize("expiry", [ExpiryKind.NONE, ExpiryKind.GATEWAY])
def test_where_absence_cannot_be_proven_nothing_is_ever_sent_again(desk, rule, expiry):
    session = desk(ScriptedVenue(capabilities(uniqueness=rule, expiry=expiry, window_s=5.0)))
    session.venue.on_submit(time_out_before())
    for _ in range(3):
        with pytest.raises(OutcomeUnknownError):
            session.adapter.submit(order())
        session.clock.sleep(86_400)

    assert 1 == session.venue.calls.count(Operation.SUBMIT)
    assert S.UNKNOWN == recorded(session).state


def test_past_an_engines_deadline_a_new_try_within_the_validity_is_one_order(desk):
    session = desk(ScriptedVenue(ENGINE), rails=Rails(retry=RetryConfig(valid_for_s=300)))
    session.venue.on_submit(time_out_before())
    session.adapter.submit(order())

    assert (1, 2) == (len(session.venue.held), len(session.venue.received))


def test_past_an_engines_deadline_and_the_validity_the_intent_is_closed(desk):
    session = desk(ScriptedVenue(ENGINE), rails=Rails(retry=RetryConfig(valid_for_s=5)))
    session.venue.on_submit(time_out_before())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())
    session.clock.sleep(10)
    for _ in range(2):
        with pytest.raises(OrderNotPlacedError):
            session.adapter.submit(order())

    assert (S.NOT_PLACED, [A.ABSENT]) == (recorded(session).state, outcomes(session))
    assert 1 == len(session.venue.received)


def test_a_gateway_window_is_proof_only_where_the_preset_says_so(desk):
    venue = ScriptedVenue(capabilities(uniqueness=Uniqueness.OPEN, expiry=ExpiryKind.GATEWAY, window_s=1.0))
    session = desk(venue, rails=Rails(policy=AbsencePolicy(gateway_window_is_proof=True)))
    session.venue.on_submit(time_out_before())

    assert session.adapter.submit(order()).status is OrderStatus.NEW


def test_a_denial_of_a_further_attempt_is_unknown_while_an_earlier_one_is_in_doubt(desk):
    session = desk()
    session.venue.on_submit(time_out_before())
    session.venue.script(
        Operation.PREPARE,
        lambda venue, request: venue.prepared(request),
        first(
            lambda: session.home.halt("everything", "ann", "now", session.clock.now()),
            lambda venue, request: venue.prepared(request),
        ),
    )
    with pytest.raises(OutcomeUnknownError, match="an earlier attempt is in doubt"):
        session.adapter.submit(order())

    assert (S.UNKNOWN, [A.UNKNOWN]) == (recorded(session).state, outcomes(session))


@pytest.mark.parametrize("step", [not_sent(), reject(), first(lambda: None, claims(Outcome.REJECTED))])
def test_a_refusal_of_a_further_attempt_settles_nothing_while_an_earlier_one_is_in_doubt(desk, step):
    session = desk(rails=Rails(retry=RetryConfig(attempts=2, valid_for_s=60)))
    session.venue.on_submit(time_out_before(), step)
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())

    assert S.UNKNOWN == recorded(session).state


def test_a_closed_gate_in_a_further_attempt_is_unknown_too(desk):
    session = desk()
    halt = lambda: session.home.halt("everything", "ann", "now", session.clock.now())
    session.venue.on_submit(time_out_before(), first(halt, accept()))
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())

    assert (S.UNKNOWN, [A.UNKNOWN, A.NOT_SENT]) == (recorded(session).state, outcomes(session))


def test_a_rejection_by_report_settles_nothing_while_an_earlier_one_is_in_doubt(desk):
    session = desk(ScriptedVenue(evolve(capabilities())), rails=Rails(retry=RetryConfig(attempts=2, valid_for_s=60)))
    session.venue.on_submit(time_out_before(), accept(OrderStatus.REJECTED))
    session.venue.on_lookup(*[hide()] * 20)
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())


def test_when_the_tries_are_spent_in_doubt_the_outcome_is_unknown(desk):
    session = desk()
    session.venue.on_submit(*[time_out_before()] * 3)
    with pytest.raises(OutcomeUnknownError, match="tries are spent"):
        session.adapter.submit(order())

    assert [A.UNKNOWN] * 3 == outcomes(session)


def test_the_error_leads_to_the_order_however_many_tries_there_were(desk):
    session = desk(ScriptedVenue(capabilities(transaction_log=True)))
    session.venue.on_submit(*[time_out_before()] * 3)
    with pytest.raises(OutcomeUnknownError) as caught:
        session.adapter.submit(order())

    assert recorded(session).reference() == caught.value.reference


def test_another_order_under_our_id_latches_and_stays_unknown(desk):
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(show_another(quantity=Decimal(2)))
    with pytest.raises(OutcomeUnknownError, match="another order"):
        session.adapter.submit(order())

    assert S.UNKNOWN == recorded(session).state
    with pytest.raises(OrderDeniedError, match="KILL_SWITCH_LATCHED"):
        session.adapter.submit(order("two"))


def test_a_venue_that_cannot_be_asked_leaves_it_unknown(desk):
    session = desk()
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(fail(), fail(), fail())
    with pytest.raises(OutcomeUnknownError, match="service unavailable"):
        session.adapter.submit(order())

    assert 1 == session.venue.calls.count(Operation.SUBMIT)
    assert "v1" == session.adapter.submit(order()).venue_order_id


def test_seen_missing_once_is_not_seen_missing(desk):
    session = desk()
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(hide(), fail(), fail())
    with pytest.raises(OutcomeUnknownError, match="missing once"):
        session.adapter.submit(order())

    assert 1 == session.venue.calls.count(Operation.SUBMIT)


def test_a_lookup_that_breaks_the_contract_leaves_the_outcome_unknown(desk):
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(returns(None))
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())


def test_a_lookup_whose_error_cannot_be_classified_leaves_the_outcome_unknown(desk):
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(*[raises(KeyError("x"))] * 3)
    session.venue.classify_with(lambda error: 1 / 0)
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())


def test_a_report_without_an_answer_on_the_wire_is_not_believed(desk):
    """A plugin that swallows the gate's error, or a timeout, and returns what it made up."""
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(lambda venue, request: venue.report(request))
    session.venue.on_lookup(*[hide()] * 3)
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())


ODD_REPORTS: dict[str, dict[str, Any]] = {
    "a float": {"average_price": 100.5},
    "a naive time": {"venue_time": datetime(2026, 1, 1)},
    "a status of its own": {"status": "new"},
    "no filled quantity": {"filled_quantity": None},
    "half a letter": {"venue_order_id": "v\ud800"},
}


@pytest.mark.parametrize("change", ODD_REPORTS.values(), ids=list(ODD_REPORTS))
def test_an_answer_that_cannot_be_recorded_is_unknown(desk, change):
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(about_another_order(**change))
    session.venue.on_lookup(*[hide()] * 3)
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())

    assert S.UNKNOWN == recorded(session).state


def test_a_lost_answer_of_an_order_that_the_venue_rejected_is_a_rejection_once_it_is_seen(desk):
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(time_out_after(OrderStatus.REJECTED))
    with pytest.raises(OrderRejectedError, match="on record"):
        session.adapter.submit(order())

    assert (S.REJECTED, 1) == (recorded(session).state, session.venue.calls.count(Operation.SUBMIT))


def test_an_order_shown_under_the_venues_id_of_another_intent_settles_nothing_and_latches(desk):
    session = desk(ScriptedVenue(CAREFUL))
    session.adapter.submit(order("zero"))
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(show_another(venue_order_id="v1"))
    with pytest.raises(OutcomeUnknownError, match="something contradicts that"):
        session.adapter.submit(order())

    assert S.UNKNOWN is recorded(session).state
    assert "for two intents" in session.ledger.latched()[0]


def test_what_is_shown_of_an_intent_that_another_closed_is_unknown_if_it_cannot_be_its_order(desk):
    """Closed as absent by somebody else while it was under way; and what the venue then shows is on record for another intent."""
    session = desk(ScriptedVenue(CAREFUL))
    session.adapter.submit(order("zero"))
    name = session.parts.cache.client_order_id("one")
    close = lambda: session.ledger.settle(name, 1, A.ABSENT, evidence={})
    session.venue.on_submit(first(close, time_out_after()))
    session.venue.on_lookup(show_another(venue_order_id="v1"))
    with pytest.raises(OutcomeUnknownError, match="not on record"):
        session.adapter.submit(order())

    assert session.ledger.latched()


@pytest.mark.parametrize("odd", [{"position": 0.5}, {"venue_time": datetime(2026, 1, 1)}], ids=["a float", "a naive time"])
def test_an_absence_that_cannot_be_recorded_leaves_the_outcome_unknown(desk, odd):
    session = desk(ScriptedVenue(ENGINE))
    session.venue.on_submit(time_out_before())
    session.venue.on_lookup(hide(**odd), hide(**odd))
    with pytest.raises(OutcomeUnknownError, match="cannot be recorded: TypeError"):
        session.adapter.submit(order())

    assert (S.UNKNOWN, 1) == (recorded(session).state, session.venue.calls.count(Operation.SUBMIT))


# --------------------------------------------------------------------------------------------------- ledger and processes


def test_what_another_session_recorded_of_the_attempt_is_what_its_sender_returns(desk):
    """A recovery that took it for abandoned saw it filled; the sender's own answer came later, and says less."""
    session, other = desk(), desk(recovers=False)

    def answer(venue, request):
        report = accept()(venue, request)
        filled = evolve(report, status=OrderStatus.FILLED, filled_quantity=Decimal(1), average_price=Decimal(100))
        other.ledger.settle(request.client_order_id, 1, A.ACCEPTED, report=filled, evidence={})
        return report

    session.venue.on_submit(answer)
    said = session.adapter.submit(order())

    assert (OrderStatus.FILLED, Decimal(1)) == (said.status, said.filled_quantity)


def test_an_unavailable_venue_is_told_as_such_although_the_ledger_cannot_be_read(desk):
    """Nothing was sent; that is certain without the ledger."""
    session = desk(rails=ONE_TRY)
    session.venue.script(Operation.PREPARE, first(session.ledger._db._connection.close, fail()))
    with pytest.raises(VenueUnavailableError, match="service unavailable"):
        session.adapter.submit(order())

    assert [] == session.venue.received


def test_an_outcome_that_cannot_be_recorded_says_so_with_the_report_and_latches(desk):
    session = desk()
    session.venue.on_submit(first(lambda: break_commits(session), accept()))
    with pytest.raises(OutcomeNotRecordedError) as caught:
        session.adapter.submit(order())

    assert "v1" == getattr(caught.value.report, "venue_order_id", None)
    assert session.parts.switch.engaged()
    with pytest.raises(OrderInFlightError):
        session.adapter.submit(order())
    with pytest.raises(LedgerError):
        session.adapter.submit(order("two"))
    assert 1 == len(session.venue.received)
    session.die()
    assert session.home.halts(), "the next session must not start as if nothing had happened"


def test_what_could_not_be_recorded_is_recovered_by_the_next_session(desk):
    session = desk()
    session.venue.on_submit(first(lambda: break_commits(session), accept()))
    with pytest.raises(OutcomeNotRecordedError):
        session.adapter.submit(order())
    session.die()
    again = desk()

    assert (S.NEW, "v1") == (recorded(again).state, again.adapter.submit(order()).venue_order_id)


@pytest.mark.parametrize("step", [reject(), not_sent(), time_out_before()])
def test_no_other_outcome_is_lost_in_silence_either(desk, step):
    session = desk()
    session.venue.on_submit(first(lambda: break_commits(session), step))
    with pytest.raises(OutcomeNotRecordedError) as caught:
        session.adapter.submit(order())

    assert caught.value.report is None
    assert session.parts.switch.engaged()


@pytest.mark.parametrize("lost", [time_out_after(), time_out_before()])
def test_a_ledger_that_breaks_while_we_find_out_leaves_the_outcome_unknown(desk, lost):
    session = desk()
    session.venue.on_submit(lost)
    session.venue.on_lookup(first(lambda: break_commits(session), hide()))
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())


def test_a_claim_that_cannot_be_recorded_sends_nothing(desk):
    session = desk()
    break_commits(session)
    with pytest.raises(LedgerError):
        session.adapter.submit(order())

    assert [] == session.venue.received


def test_a_denial_that_cannot_be_recorded_is_a_denial_all_the_same(desk):
    session = desk()
    break_commits(session)
    with pytest.raises(OrderDeniedError):
        session.adapter.submit(order(quantity="0.00001"))

    assert session.parts.switch.engaged()


def test_another_sessions_unfinished_send_is_left_alone(desk):
    session = desk()
    other = desk(recovers=False)
    answers = []

    def meanwhile():
        with pytest.raises(OrderInFlightError) as caught:
            other.adapter.submit(order())
        answers.append(caught.value.reference.client_order_id)

    session.venue.on_submit(first(meanwhile, accept()))
    session.adapter.submit(order())

    assert ([recorded(session).client_order_id], 1) == (answers, len(session.venue.received))
    assert "v1" == other.adapter.submit(order()).venue_order_id


def test_a_lost_race_returns_the_winners_result(desk):
    session, other = desk(), desk(recovers=False)
    session.venue.script(
        Operation.PREPARE, first(lambda: other.adapter.submit(order()), lambda venue, request: venue.prepared(request))
    )

    assert "v1" == session.adapter.submit(order()).venue_order_id
    assert 1 == len(session.venue.received)


def test_whoever_is_never_first_is_told_that_another_is_sending(desk, monkeypatch):
    session = desk()

    def lose(*_):
        raise ClaimLostError

    monkeypatch.setattr(session.ledger, "claim", lose)
    with pytest.raises(OrderInFlightError):
        session.adapter.submit(order())

    assert [] == session.venue.received


def test_two_sessions_that_both_proved_an_attempt_absent_make_one_order(desk):
    session = desk(ScriptedVenue(capabilities(uniqueness=Uniqueness.NONE, expiry=ExpiryKind.ENGINE, window_s=5.0)))
    venue, rails = session.venue, Rails(retry=RetryConfig(attempts=1, valid_for_s=60))
    venue.on_submit(time_out_before(), time_out_after())
    one, two = desk(rails=rails, recovers=False), desk(rails=rails, recovers=False)
    venue.on_lookup(hide(), fail(), fail())
    with pytest.raises(OutcomeUnknownError):
        one.adapter.submit(order())

    def meanwhile():
        venue.on_lookup(*[hide()] * 4)
        with pytest.raises(OutcomeUnknownError):
            one.adapter.submit(order())

    prepared = lambda venue, request: venue.prepared(request)
    venue.script(Operation.PREPARE, first(meanwhile, prepared))
    with suppress(OutcomeUnknownError, OrderInFlightError):
        two.adapter.submit(order())

    assert 1 == len(venue.held)


def test_threads_of_one_adapter_make_one_order(desk):
    session, results = desk(), []

    def submit():
        try:
            results.append(session.adapter.submit(order()).venue_order_id)
        except OrderInFlightError:
            results.append("in flight")

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(session.venue.received)
    assert {"v1"} <= set(results) <= {"v1", "in flight"}


def test_a_call_that_was_interrupted_as_it_ended_does_not_keep_the_session_from_closing(desk, monkeypatch):
    session, over = desk(), threading.Event()
    monkeypatch.setattr(adapter, "CLOSE_WAIT_S", 0.2)
    call = threading.Thread(target=over.wait)
    call.start()
    session.adapter._callers += [threading.current_thread(), call]  # neither of them has signed off

    with pytest.raises(RuntimeError, match=r"1 call\(s\) are still under way"):
        session.adapter.close()
    over.set()
    call.join()
    session.adapter.close()


def test_a_closed_adapter_does_nothing(desk):
    session = desk()
    session.adapter.close()
    session.adapter.close()
    for call in (lambda: session.adapter.submit(order()), lambda: session.adapter.cancel("one"), session.adapter.reconcile):
        with pytest.raises(RuntimeError, match="closed"):
            call()


def test_a_forked_child_does_nothing_and_ends_nothing(desk):
    session = desk()
    child = os.fork()
    if child == 0:
        try:
            for call in (lambda: session.adapter.submit(order()), session.adapter.recover, lambda: session.adapter.lookup("one")):
                with pytest.raises(RuntimeError, match="fork"):
                    call()
            session.adapter.close()
            os._exit(0 if not session._ended else 2)
        except BaseException:
            os._exit(1)

    assert 0 == os.waitpid(child, 0)[1]
    assert session.adapter.submit(order()).status is OrderStatus.NEW


def test_a_crashing_observer_changes_nothing(desk):
    class Crashes:
        @extension_hook
        def observe(self, event):
            raise RuntimeError("metrics are down")

    session = desk(rails=Rails(extensions={"metrics": Crashes()}))

    assert session.adapter.submit(order()).status is OrderStatus.NEW
    assert ["metrics: RuntimeError: metrics are down"] == session.parts.extensions.failures


def test_the_adapter_says_whose_it_is(desk):
    session = desk()

    assert ("scripted", "ACCOUNT-1") == (session.adapter.venue, session.adapter.identity.account_id)
    assert session.ledger is session.adapter.ledger


def test_what_another_caller_made_of_the_intent_outranks_our_own_denial(desk):
    session, other = desk(), desk(recovers=False)

    def meanwhile():
        other.adapter.submit(order())
        session.home.halt("everything", "ann", "now", session.clock.now())

    session.venue.script(Operation.PREPARE, first(meanwhile, lambda venue, request: venue.prepared(request)))

    assert "v1" == session.adapter.submit(order()).venue_order_id


def test_looking_at_the_switch_for_too_long_is_too_late_to_send(desk):
    session = desk(rails=Rails(retry=RetryConfig(attempts=1, valid_for_s=60)))
    engaged = session.parts.switch.engaged
    looks = []

    def slow():
        looks.append(1)
        if len(looks) > 1:
            session.clock.sleep(1)
        return engaged()

    session.parts.switch.engaged = slow
    with pytest.raises(VenueUnavailableError, match="too late to send"):
        session.adapter.submit(order())

    assert [] == session.venue.received


def test_a_latch_that_another_session_sets_after_our_commit_is_seen_at_the_first_byte(desk):
    session, other = desk(), desk(recovers=False)
    session.venue.on_submit(first(lambda: other.ledger.latch("two orders of one intent"), accept()))
    with pytest.raises(OrderDeniedError, match="two orders of one intent"):
        session.adapter.submit(order())

    assert ([], S.NOT_SENT) == (session.venue.received, recorded(session).state)


def test_an_objection_that_comes_after_anothers_claim_is_no_denial(desk):
    other = desk()

    class ObjectsTooLate:
        @extension_hook
        def object_to(self, intent):
            other.adapter.submit(intent)
            return "no more today"

    session = desk(recovers=False, rails=Rails(extensions={"late": ObjectsTooLate()}))

    assert "v1" == session.adapter.submit(order()).venue_order_id


def test_a_finding_is_about_the_attempts_it_looked_for_and_no_later_one(desk):
    """Between the word *unknown* on attempt 1 and its being read back, another session sends attempt 2 and loses the answer."""
    session = desk()
    session.venue.on_submit(time_out_before())
    settle, resolver = session.ledger.settle, session.parts.resolver
    session.venue.on_lookup(*[fail()] * 3)
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())
    known = recorded(session)
    in_flight = evolve(known, state=S.IN_FLIGHT)

    def with_a_later_attempt(*args, **more):
        found = settle(*args, **more)
        return evolve(found, attempts=(*found.attempts, evolve(found.attempts[-1], number=2)))

    session.ledger.settle = with_a_later_attempt

    assert 1 == resolver.find_out(in_flight).proven_attempt
