"""An unknown outcome holds back what could add to it, until it is settled, and nothing else."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from attrs import evolve

from logos_core.capabilities import Features, Uniqueness
from logos_core.errors import LedgerError, OrderDeniedError, OutcomeUnknownError
from logos_core.hookspecs import Operation
from logos_core.ledger import reading
from logos_core.lifecycle import IntentState as S
from logos_core.orders import OrderType, TimeInForce
from logos_core.rails.doubt import ACCOUNT, INSTRUMENT, NOTHING, DoubtPolicy, decide, gate, leaves_less
from logos_core.records import AttemptOutcome as A
from logos_core.records import Doubt
from logos_core.replacing import ReplaceEnding
from logos_core.testing import scripted
from logos_core.testing.replacing import ReplacingVenue, able, swap_and_lose
from logos_core.testing.scripted import (
    Rails,
    ScriptedVenue,
    accept,
    capabilities,
    fail,
    first,
    hide,
    time_out_after,
    time_out_before,
)
from logos_core.wire import GateClosedError
from tests.unit.making import order, report_of, request_of
from tests.unit.test_adapter_submit import kinds, recorded

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OTHER = "ETH/USDT"
REDUCING = Features(reduce_only={OrderType.LIMIT: (TimeInForce.GTC,)}, sources={"reduce_only": "scripted"})
CAREFUL = evolve(capabilities(uniqueness=Uniqueness.OPEN), features=REDUCING)


def held():
    return pytest.raises(OrderDeniedError, match="UNKNOWN_OUTCOME_OPEN")


def doubt(name="lgs1", symbol="AAPL", hours=3):
    return Doubt(client_order_id=name, intent_id=f"intent of {name}", symbol=symbol, since=NOW - timedelta(hours=hours))


def holding(holds):
    return Rails(unknown=DoubtPolicy(holds=holds))


def make_unknown(session, intent_id="lost", **changes):
    session.venue.on_submit(time_out_before())
    session.venue.on_lookup(hide(), hide())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order(intent_id, **changes))
    assert S.UNKNOWN is recorded(session, intent_id).state


@pytest.fixture
def doubtful(desk):
    """A session with one order of which nobody knows whether it exists, and never will by itself."""
    made = desk(ScriptedVenue(CAREFUL))
    made.venue.instruments[OTHER] = evolve(scripted.INSTRUMENT, symbol=OTHER, base_asset="ETH")
    make_unknown(made)
    return made


# ------------------------------------------------------------------------------------------------------------------- the rule


def test_what_is_unknown_is_named_with_its_age_and_what_to_do():
    denial = decide(DoubtPolicy(), "lgs2", [doubt()], NOW)

    assert denial is not None and "UNKNOWN_OUTCOME_OPEN" == denial.reason
    for said in ("'intent of lgs1' (lgs1)", "on AAPL", "3 h", "2026-01-01 09:00:00Z", "logos recover PRESET", "submit that intent again",
                 "logos resolve lgs1 --preset PRESET --as not-placed --by NAME --because TEXT"):  # fmt: skip
        assert said in denial.message


def test_many_are_counted_and_the_first_are_named():
    denial = decide(DoubtPolicy(holds=ACCOUNT), "new", [doubt(f"lgs{number}") for number in range(1, 6)], NOW)

    assert denial is not None and "lgs3" in denial.message and "lgs4" not in denial.message
    assert "and 2 more" in denial.message and "this account" in denial.message


@pytest.mark.parametrize(
    ("policy", "name", "doubts"),
    [(DoubtPolicy(), "lgs2", []), (DoubtPolicy(), "lgs1", [doubt()]), (DoubtPolicy(holds=NOTHING), "lgs2", [doubt()]),
     (DoubtPolicy(holds=ACCOUNT), "lgs1", [doubt("lgs0"), doubt()])],
)  # fmt: skip
def test_what_is_not_held_back(policy, name, doubts):
    assert decide(policy, name, doubts, NOW) is None


def test_where_a_policy_looks():
    assert [("AAPL", None)] == [(DoubtPolicy(holds=INSTRUMENT).place("AAPL"), DoubtPolicy(holds=ACCOUNT).place("AAPL"))]


def test_what_cannot_be_read_closes_the_gate():
    def broken():
        raise LedgerError("the disk is gone")

    with pytest.raises(GateClosedError, match="the disk is gone") as caught:
        gate(broken)()
    gate(lambda: None)()

    assert caught.value.denies


@pytest.mark.parametrize(
    ("changes", "atomic", "less"),
    [({"quantity": "1"}, True, True), ({"quantity": "0.5"}, True, True), ({"quantity": "1.1"}, True, False),
     ({"quantity": "0.5", "price": "101"}, True, False), ({"quantity": "0.5"}, False, False)],
)  # fmt: skip
def test_a_replacement_that_leaves_no_more_at_the_same_price_adds_nothing(changes, atomic, less):
    assert less is leaves_less(able(atomic=atomic), request_of(), order(**changes))


# ---------------------------------------------------------------------------------------------------------- where it is decided


def test_another_intent_on_the_same_instrument_waits_and_leaves_nothing(doubtful):
    with held():
        doubtful.adapter.submit(order("two"))

    assert recorded(doubtful, "two") is None
    assert "denied" == kinds(doubtful)[-1]
    assert 1 == len(doubtful.venue.received)


def test_on_another_instrument_it_goes_unless_the_preset_holds_the_account(desk, doubtful):
    assert "v1" == doubtful.adapter.submit(order("two", symbol=OTHER)).venue_order_id
    careful = desk(rails=holding(ACCOUNT))
    with held() as caught:
        careful.adapter.submit(order("three", symbol=OTHER))

    assert "lost" in str(caught.value) and scripted.SYMBOL in str(caught.value)


def test_where_the_preset_holds_nothing_it_goes(desk, doubtful):
    assert "v1" == desk(rails=holding(NOTHING)).adapter.submit(order("two")).venue_order_id


def test_another_session_and_another_strategy_wait_too(desk, doubtful):
    with held():
        desk(strategy="another").adapter.submit(order("two"))


def test_the_intent_itself_finds_out_and_may_be_sent_again(desk):
    session = desk()  # where ids are unique for ever
    session.venue.on_submit(time_out_before())
    session.venue.on_lookup(fail(), fail(), fail())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())
    session.adapter.submit(order())

    assert A.ACCEPTED is recorded(session).attempts[-1].outcome
    assert "v2" == session.adapter.submit(order("two")).venue_order_id


def test_of_two_in_doubt_each_may_be_sent_again(desk):
    session, careless = desk(), desk(rails=holding(NOTHING))
    for intent in ("one", "two"):
        session.venue.on_submit(time_out_before())
        session.venue.on_lookup(fail(), fail(), fail())
        with pytest.raises(OutcomeUnknownError):
            careless.adapter.submit(order(intent))

    assert "v1" == session.adapter.submit(order("one")).venue_order_id
    assert "v2" == session.adapter.submit(order("two")).venue_order_id


def test_cancels_questions_and_comparisons_pass(desk):
    session = desk(ScriptedVenue(CAREFUL))
    session.adapter.submit(order("works"))
    make_unknown(session)

    assert session.adapter.cancel("works").status.is_final
    session.adapter.lookup("lost")
    assert session.adapter.recover().unknown == session.adapter.reconcile().unsettled


def test_an_order_that_only_reduces_passes(doubtful):
    assert "v1" == doubtful.adapter.submit(order("out", side="sell", reduce_only=True)).venue_order_id


def test_an_attempt_that_a_living_session_is_making_holds_nothing_back(desk):
    session, other = desk(), desk()
    session.venue.on_submit(first(lambda: other.adapter.submit(order("two")), accept()))
    session.adapter.submit(order())

    assert 2 == len(session.venue.held)


def test_what_is_sent_again_is_in_doubt_until_it_is_known(desk):
    session, other = desk(), desk()
    session.venue.on_submit(time_out_before())
    session.venue.on_lookup(fail(), fail(), fail())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())

    def another():
        with held():
            other.adapter.submit(order("two"))

    session.venue.on_submit(first(another, accept()))
    session.adapter.submit(order())

    assert 1 == len(session.venue.held)


def test_what_becomes_unknown_after_the_commit_is_seen_before_the_first_byte(desk):
    session, other = desk(ScriptedVenue(CAREFUL)), desk()

    def left_unknown():
        other.ledger.settle(recorded(other).client_order_id, 1, A.UNKNOWN, evidence={})

    def beside():
        session.venue.on_submit(first(left_unknown, accept()))
        with held():
            session.adapter.submit(order("two"))

    session.venue.on_submit(first(beside, accept()))
    other.adapter.submit(order())

    assert [A.NOT_SENT] == [attempt.outcome for attempt in recorded(session, "two").attempts]
    assert [recorded(session).client_order_id] == [report.client_order_id for report in session.venue.held]


def test_evidence_lets_the_others_go_and_so_does_a_person(desk):
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(fail(), fail(), fail())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())
    session.adapter.lookup("one")
    session.adapter.submit(order("two"))
    make_unknown(session)
    session.ledger.close_by_person(recorded(session, "lost").client_order_id, "ann", "support said so", {})

    assert "v3" == session.adapter.submit(order("three")).venue_order_id


def test_an_attempt_that_was_not_sent_is_held_back_like_the_first(desk):
    session = desk(ScriptedVenue(CAREFUL), rails=Rails(retry=evolve(Rails().retry, attempts=1)))
    session.venue.on_submit(scripted.not_sent())
    with pytest.raises(Exception, match="nothing was sent"):
        session.adapter.submit(order("two"))
    make_unknown(session)
    with held():
        session.adapter.submit(order("two"))

    assert S.NOT_SENT is recorded(session, "two").state


@pytest.mark.parametrize(
    ("query", "bindings", "indexes"),
    [
        (reading.IN_DOUBT, (None,), ("intents_unknown", "attempts_one_in_flight")),
        (reading.IN_FLIGHT_ELSEWHERE, ("s1", None), ("attempts_one_in_flight",)),
    ],
)
def test_it_reads_what_is_unknown_and_not_what_is_over(book, query, bindings, indexes):
    steps = [str(row[3]) for row in book.ledger._db.rows(f"EXPLAIN QUERY PLAN {query}", *bindings)]

    assert [] == [
        step for step in steps if step.startswith("SCAN") and "intents_unknown" not in step and "one_in_flight" not in step
    ]
    assert all(any(name in step for step in steps) for name in indexes)


def test_since_when_is_the_first_attempt_that_nobody_knows_the_end_of(desk, doubtful):
    since = recorded(doubtful, "lost").attempts[0].committed_at
    doubtful.clock.sleep(3600)
    doubtful.venue.on_lookup(hide(), hide())
    recovered = desk().adapter.recover()
    compared = doubtful.adapter.reconcile()
    (found,) = doubtful.ledger.in_doubt(None)

    assert (since, (since,), (since,)) == (found.since, recovered.unknown_since, compared.unsettled_since)
    assert all(f"{since:%Y-%m-%d %H:%M:%SZ}" in str(report) for report in (recovered, compared))


# ------------------------------------------------------------------------------------------------------------------ replacing


@pytest.mark.parametrize("venue", [ReplacingVenue, ScriptedVenue])
def test_a_replacement_that_could_add_risk_is_denied_before_anything_is_touched(desk, venue):
    session = desk(venue())
    session.adapter.submit(order("works"))
    session.venue.on_submit(time_out_before())
    session.venue.on_lookup(fail(), fail(), fail())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order("lost"))
    with held():
        session.adapter.replace("works", intent_id="better", price="101")

    assert S.NEW is recorded(session, "works").state
    assert not {Operation.CANCEL, Operation.REPLACE} & set(session.venue.calls)
    assert not session.venue.orders_of(recorded(session, "works").client_order_id)[-1].status.is_final


def test_a_native_replacement_that_leaves_less_passes(desk):
    session = desk(ReplacingVenue(able(uniqueness=Uniqueness.OPEN)))
    session.adapter.submit(order("works"))
    make_unknown(session)
    found = session.adapter.replace("works", intent_id="less", quantity="0.5")

    assert (ReplaceEnding.REPLACED, Decimal("0.5")) == (found.ending, found.report.quantity)


def test_a_replacement_in_doubt_is_finished_under_its_own_intent_and_holds_back_others(desk):
    session = desk(ScriptedVenue())
    session.adapter.submit(order("works"))
    session.venue.on_submit(time_out_before())
    session.venue.on_lookup(scripted.show(), scripted.show(), fail(), fail(), fail())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.replace("works", intent_id="better", price="101")
    assert S.UNKNOWN is recorded(session, "better").state
    with held():
        session.adapter.submit(order("three"))

    assert ReplaceEnding.REPLACED is session.adapter.replace("works", intent_id="better", price="101").ending
    assert session.adapter.submit(order("three")).venue_order_id


def test_a_native_replacement_in_doubt_is_finished_under_its_own_intent(desk):
    session = desk(ReplacingVenue())
    session.adapter.submit(order("works"))
    session.venue.on_replace(swap_and_lose())
    session.venue.on_lookup(scripted.show(), fail(), fail(), fail())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.replace("works", intent_id="better", price="101")
    with held():
        session.adapter.submit(order("three"))

    assert ReplaceEnding.REPLACED is session.adapter.replace("works", intent_id="better", price="101").ending


def test_a_replacement_whose_order_is_cancelled_waits_and_is_finished_later(desk):
    """What becomes unknown while the order is being cancelled holds the new one back; the same intent places it once that is known."""
    session, other = desk(ScriptedVenue(CAREFUL)), desk()
    session.adapter.submit(order("works"))
    session.venue.on_cancel(first(lambda: make_unknown(other), scripted.take_cancel()))
    found = session.adapter.replace("works", intent_id="better", price="101")

    assert ReplaceEnding.GONE_NOT_REPLACED is found.ending and "UNKNOWN_OUTCOME_OPEN" in found.why
    with held():
        session.adapter.replace("works", intent_id="better", price="101")
    session.ledger.close_by_person(recorded(session, "lost").client_order_id, "ann", "support said so", {})
    assert ReplaceEnding.REPLACED is session.adapter.replace("works", intent_id="better", price="101").ending


# -------------------------------------------------------------------------------------------------------- closed by a person


@pytest.mark.parametrize("way", ["lookup", "reconcile"])
def test_what_a_person_closed_is_adopted_and_latches_when_it_appears(desk, way):
    session = desk(ScriptedVenue(CAREFUL))
    make_unknown(session)
    closed = session.ledger.close_by_person(recorded(session, "lost").client_order_id, "ann", "support said so", {})
    session.venue.held.append(report_of(closed.client_order_id))
    if way == "lookup":
        session.adapter.lookup(closed.reference())
    else:
        session.adapter.reconcile()

    assert (S.NEW, "v1") == (recorded(session, "lost").state, recorded(session, "lost").report.venue_order_id)
    assert ["not_placed" in reason for reason in session.ledger.latched()] == [True]
    with pytest.raises(OrderDeniedError, match="KILL_SWITCH_LATCHED"):
        session.adapter.submit(order("two"))
