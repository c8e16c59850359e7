"""Cancelling passes no gate, works with anything broken, and believes only the order's state."""

from decimal import Decimal

import pytest
from attrs import evolve

from logos_core.cancellation import LOOKS
from logos_core.capabilities import Uniqueness
from logos_core.errors import OrderRejectedError, OutcomeUnknownError
from logos_core.hookspecs import Found, NotSeen, Operation, OrderReference, Outcome
from logos_core.lifecycle import IntentState as S
from logos_core.orders import OrderStatus
from logos_core.testing.scripted import (
    ScriptedVenue,
    capabilities,
    claims,
    fail,
    hide,
    raises,
    reject,
    returns,
    show_another,
    take_cancel,
    throttled,
    time_out_after,
    time_out_before,
)
from logos_core.venues import VenueAskError
from tests.unit.making import bracketed, end_leg, execution_of, order
from tests.unit.test_adapter_submit import break_commits, kinds, recorded


@pytest.fixture
def session(desk):
    made = desk(ScriptedVenue(capabilities(uniqueness=Uniqueness.OPEN)))
    made.adapter.submit(order())
    return made


def test_a_cancelled_order_is_reported_as_the_venue_shows_it(session):
    report = session.adapter.cancel("one")

    assert (OrderStatus.CANCELED, S.CANCELED) == (report.status, recorded(session).state)
    assert ["v1"] == [reference.venue_order_id for reference in session.venue.cancels]
    assert kinds(session)[-2:] == ["cancel", "reported"]


def test_a_cancel_tells_the_executions_that_are_on_record(session):
    trade = execution_of(quantity=Decimal("0.1"), client_order_id=recorded(session).client_order_id)
    session.ledger.apply_executions((trade,))

    assert (trade,) == session.adapter.cancel("one").executions


def test_a_cancel_may_be_repeated_and_named_in_any_way(session):
    named = ["one", recorded(session).client_order_id, recorded(session).reference()]

    assert [OrderStatus.CANCELED] * 3 == [session.adapter.cancel(name).status for name in named]


def test_a_cancel_the_venue_took_and_did_not_carry_out_is_no_cancellation(session):
    session.venue.on_cancel(take_cancel(cancels=False))

    assert (OrderStatus.NEW, S.NEW) == (session.adapter.cancel("one").status, recorded(session).state)


def test_a_fill_that_overtakes_the_cancel_is_a_fill(session):
    session.venue.on_cancel(take_cancel(cancels=False))
    name = recorded(session).client_order_id
    session.venue.change(name, status=OrderStatus.FILLED, filled_quantity=Decimal(1), average_price=Decimal(100))

    assert (OrderStatus.FILLED, S.FILLED) == (session.adapter.cancel("one").status, recorded(session).state)


@pytest.mark.parametrize("step", [time_out_before(), fail(), raises(KeyError("x")), returns(None), claims(Outcome.NOT_SENT)])
def test_a_cancel_without_a_clear_answer_tells_what_the_order_is(session, step):
    session.venue.on_cancel(step)

    assert session.adapter.cancel("one").status is OrderStatus.NEW


def test_a_cancel_makes_one_request_and_waits_for_a_slow_venue(session):
    pending = lambda venue, reference: Found(
        evolve(venue.orders_of(reference.client_order_id)[-1], status=OrderStatus.PENDING_CANCEL)
    )
    session.venue.on_lookup(pending, pending)

    assert session.adapter.cancel("one").status is OrderStatus.CANCELED
    assert 1 == session.venue.calls.count(Operation.CANCEL)


def test_when_the_order_cannot_be_seen_after_the_cancel_the_outcome_is_unknown(session):
    session.venue.on_lookup(*[fail()] * 5)
    with pytest.raises(OutcomeUnknownError, match="whether it has ended"):
        session.adapter.cancel("one")

    assert 1 == len(session.venue.cancels)


def test_a_venue_that_is_asked_too_often_is_not_asked_on_after_a_cancel_and_its_words_are_told(session):
    session.venue.on_lookup(*[throttled()] * 5)
    with pytest.raises(
        OutcomeUnknownError, match=r"whether it has ended: it was asked to end, .*rate limited: slow down.*; cancel again"
    ) as said:
        session.adapter.cancel("one")

    assert isinstance(said.value.__cause__, VenueAskError)
    assert 1 == session.venue.calls.count(Operation.LOOKUP)


def test_cancels_pass_while_orders_are_halted_latched_and_out_of_budget(session):
    session.home.halt("everything", "ann", "now", session.clock.now())
    session.ledger.latch("stop")
    session.parts.switch.latch("stop")
    session.parts.limiter.block(1000)

    assert session.adapter.cancel("one").status is OrderStatus.CANCELED


def test_an_unknown_order_is_cancelled_on_sight(desk):
    session = desk(ScriptedVenue(capabilities(uniqueness=Uniqueness.OPEN)))
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(hide(), hide(), hide())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())
    with pytest.raises(OutcomeUnknownError, match="repeat the cancel"):
        session.adapter.cancel("one")
    assert [] == session.venue.cancels

    assert session.adapter.cancel("one").status is OrderStatus.CANCELED
    assert S.CANCELED == recorded(session).state


def test_what_is_found_on_sight_is_on_record_however_its_cancel_ends(desk):
    session = desk(ScriptedVenue(capabilities(uniqueness=Uniqueness.OPEN)))
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(hide(), hide())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())
    show = lambda venue, reference: Found(venue.orders_of(reference.client_order_id)[-1])
    session.venue.on_lookup(show, *[fail()] * LOOKS)
    with pytest.raises(OutcomeUnknownError, match="whether it has ended"):
        session.adapter.cancel("one")

    assert S.NEW is recorded(session).state


@pytest.mark.parametrize("wrong", [{"client_order_id": "somebody", "venue_order_id": "v99"}, {"quantity": Decimal(7)}])
def test_an_unknown_order_is_not_cancelled_in_anothers_name(desk, wrong):
    session = desk(ScriptedVenue(capabilities(uniqueness=Uniqueness.OPEN)))
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(hide(), hide())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())
    session.venue.on_lookup(show_another(**wrong))
    with pytest.raises(OutcomeUnknownError):
        session.adapter.cancel("one")

    assert [] == session.venue.cancels
    assert session.parts.switch.engaged()


def test_a_cancel_goes_out_with_the_ledger_down_and_is_spooled(session):
    break_commits(session)

    assert session.adapter.cancel("one").status is OrderStatus.CANCELED
    (waiting,) = session.parts.spool.read()
    assert (True, "cancel", recorded(session).client_order_id) == (
        waiting["intact"],
        waiting["event"]["kind"],
        waiting["event"]["client_order_id"],
    )
    assert session.parts.switch.engaged()


def test_a_cancel_that_cannot_be_recorded_stops_new_orders_whatever_is_seen_of_it(session):
    break_commits(session)
    session.venue.on_lookup(*[fail()] * LOOKS)
    with pytest.raises(OutcomeUnknownError):
        session.adapter.cancel("one")

    assert session.parts.switch.engaged()


def test_an_unknown_order_is_cancelled_with_the_ledger_down_too(desk):
    session = desk(ScriptedVenue(capabilities(uniqueness=Uniqueness.OPEN)))
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(hide(), hide())
    with pytest.raises(OutcomeUnknownError) as caught:
        session.adapter.submit(order())
    break_commits(session)

    assert session.adapter.cancel(caught.value.reference).status is OrderStatus.CANCELED


def test_a_cancel_by_reference_needs_no_readable_ledger(session):
    reference = recorded(session).reference()
    session.ledger._db._connection.close()

    assert session.adapter.cancel(reference).status is OrderStatus.CANCELED


def test_nobody_cancels_what_is_not_known_here(session):
    with pytest.raises(LookupError, match="'nine'"):
        session.adapter.cancel("nine")


def test_an_order_of_another_session_is_cancelled_by_its_reference(session, desk):
    other = desk(strategy="other")

    assert other.adapter.cancel(recorded(session).reference()).status is OrderStatus.CANCELED


def test_an_order_that_no_ledger_knows_is_cancelled_by_its_reference(session):
    theirs = evolve(session.venue.held[0], client_order_id="somebody", venue_order_id="v9")
    session.venue.held.append(theirs)
    reference = OrderReference(client_order_id="somebody", venue_order_id="v9", symbol=theirs.symbol)

    assert session.adapter.cancel(reference).status is OrderStatus.CANCELED


def test_cancelling_a_rejected_order_says_that_it_was_rejected(desk):
    session = desk()
    session.venue.on_submit(reject())
    with pytest.raises(OrderRejectedError):
        session.adapter.submit(order())
    try:
        session.adapter.cancel("one")
    except Exception as error:
        assert not isinstance(error, OutcomeUnknownError)


def test_an_order_that_cannot_be_looked_for_is_not_cancelled_blindly_and_its_end_is_unknown(desk):
    session = desk(ScriptedVenue(capabilities(uniqueness=Uniqueness.OPEN)))
    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(hide(), hide(), fail())
    with pytest.raises(OutcomeUnknownError) as caught:
        session.adapter.submit(order())
    with pytest.raises(OutcomeUnknownError, match="the venue could not be asked"):
        session.adapter.cancel(caught.value.reference)

    assert [] == session.venue.cancels


def test_an_unknown_order_is_cancelled_on_sight_although_no_ledger_can_say_what_was_sent(session):
    """Its id and its symbol are all there is to tell it by."""
    reference = evolve(recorded(session).reference(), venue_order_id=None)
    session.ledger._db._connection.close()

    assert session.adapter.cancel(reference).status is OrderStatus.CANCELED


@pytest.mark.parametrize("wrong", [{"client_order_id": "somebody"}, {"symbol": "ETH/USDT"}])
def test_without_a_ledger_no_order_under_another_id_or_symbol_is_cancelled(session, wrong):
    reference = evolve(recorded(session).reference(), venue_order_id=None)
    session.venue.on_lookup(show_another(**wrong))
    session.ledger._db._connection.close()
    with pytest.raises(OutcomeUnknownError, match="another order in its place"):
        session.adapter.cancel(reference)

    assert [] == session.venue.cancels


def test_a_reference_with_another_symbol_than_is_on_record_moves_nothing(session):
    with pytest.raises(LookupError, match=r"is an order of 'BTC/USDT', the reference says 'ETH/USDT'"):
        session.adapter.cancel(evolve(recorded(session).reference(), symbol="ETH/USDT"))

    assert [] == session.venue.cancels


def test_a_cancel_returns_what_the_venue_shows_and_not_a_false_end_on_record(session):
    name = recorded(session).client_order_id
    session.ledger.apply_report(evolve(session.venue.held[0], status=OrderStatus.CANCELED), {"source": "stream"})
    session.venue.on_cancel(take_cancel(cancels=False))

    assert session.adapter.cancel(name).status is OrderStatus.NEW


@pytest.fixture
def doubtful(session):
    """A session whose order has made way for another, of which nobody knows whether it exists. It does."""
    name = session.parts.cache.client_order_id("two")

    def hide_it(venue, reference):
        return venue.not_seen() if reference.client_order_id == name else Found(venue.orders_of(reference.client_order_id)[-1])

    session.venue.on_submit(time_out_after())
    session.venue.on_lookup(*[hide_it] * 4)
    with pytest.raises(OutcomeUnknownError):
        session.adapter.replace("one", intent_id="two", price="101")
    assert (S.CANCELED, S.UNKNOWN) == (recorded(session).state, recorded(session, "two").state)
    return session


def test_an_order_is_not_said_to_have_ended_while_nobody_knows_whether_another_took_its_place(doubtful):
    doubtful.venue.on_lookup(hide())
    with pytest.raises(OutcomeUnknownError, match="repeat the cancel"):
        doubtful.adapter.cancel("one")


def test_what_may_have_taken_an_orders_place_is_cancelled_on_sight_by_the_old_name(doubtful):
    assert doubtful.adapter.cancel("one").status is OrderStatus.CANCELED
    assert [OrderStatus.CANCELED] * 2 == [held.status for held in doubtful.venue.held]


# ------------------------------------------------------------------------------------------------------------------- legs


FILLED = {"status": OrderStatus.FILLED, "filled_quantity": Decimal(1), "average_price": Decimal(100)}


@pytest.fixture
def bracket(desk):
    return bracketed(desk)


def take_leg(bracket):
    """Take the request to cancel a leg, and cancel it."""

    def step(venue, reference):
        end_leg(bracket, reference.venue_order_id)
        return take_cancel()(venue, reference)

    return step


def test_of_an_order_that_works_it_is_the_order_that_is_cancelled_and_not_its_legs(bracket):
    bracket.adapter.lookup("one")
    assert ["profit", "loss"] == [leg.venue_order_id for leg in recorded(bracket).report.legs]
    bracket.adapter.cancel("one")

    assert [recorded(bracket).report.venue_order_id] == [reference.venue_order_id for reference in bracket.venue.cancels]


def test_of_an_order_that_has_filled_the_legs_are_cancelled_each_by_its_own_name(bracket):
    name = recorded(bracket).client_order_id
    bracket.venue.change(name, **FILLED)
    bracket.adapter.lookup("one")
    bracket.venue.on_cancel(take_leg(bracket), take_leg(bracket))
    report = bracket.adapter.cancel("one")

    assert [("theirs", "profit"), (name, "loss")] == [
        (reference.client_order_id, reference.venue_order_id) for reference in bracket.venue.cancels
    ]
    assert (OrderStatus.FILLED, [OrderStatus.CANCELED] * 2) == (report.status, [leg.status for leg in report.legs])


def test_the_refusal_of_one_leg_does_not_keep_the_other_from_being_cancelled(bracket):
    bracket.venue.change(recorded(bracket).client_order_id, **FILLED)
    bracket.adapter.lookup("one")
    bracket.venue.on_cancel(reject(), take_leg(bracket))
    report = bracket.adapter.cancel("one")

    assert {"profit": OrderStatus.NEW, "loss": OrderStatus.CANCELED} == {leg.venue_order_id: leg.status for leg in report.legs}


def test_an_order_whose_fill_is_learnt_by_the_refusal_of_its_cancel_loses_its_legs_too(bracket):
    """On record it works, so the cancel is its own; the venue refuses it, because it has filled."""
    bracket.venue.change(recorded(bracket).client_order_id, **FILLED)
    bracket.venue.on_cancel(reject(), take_leg(bracket), take_leg(bracket))
    report = bracket.adapter.cancel("one")

    assert ["profit", "loss"] == [reference.venue_order_id for reference in bracket.venue.cancels]
    assert {OrderStatus.CANCELED} == {leg.status for leg in report.legs}


# ----------------------------------------------------------------------------------------------------------------- lookup


def test_a_lookup_records_what_it_finds(session):
    name = recorded(session).client_order_id
    session.venue.change(name, status=OrderStatus.CANCELED)

    assert OrderStatus.CANCELED is session.adapter.lookup("one").report.status
    assert S.CANCELED == recorded(session).state


def test_a_lookup_that_finds_nothing_concludes_nothing(session):
    session.venue.on_lookup(hide())

    assert isinstance(session.adapter.lookup("one"), NotSeen)
    assert S.NEW == recorded(session).state


def test_a_lookup_that_fails_is_unknown_and_one_of_nothing_a_lookup_error(session):
    session.venue.on_lookup(fail())
    with pytest.raises(OutcomeUnknownError, match="could not be asked"):
        session.adapter.lookup("one")
    with pytest.raises(LookupError):
        session.adapter.lookup("nine")


def test_a_lookup_that_shows_another_order_latches(session):
    session.venue.on_lookup(show_another(quantity=Decimal(2)))
    session.adapter.lookup("one")

    assert session.ledger.latched()
    assert Decimal(1) == recorded(session).report.quantity


def test_a_reference_to_an_order_of_nobody_is_looked_up_and_not_recorded(session):
    found = session.adapter.lookup(OrderReference(client_order_id="lgsnobody", symbol="BTC/USDT"))

    assert isinstance(found, NotSeen)
    assert session.ledger.find("lgsnobody") is None
