"""Replacing: one decision, one order more at most, and nothing that has traded is placed again."""

from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from logos_core import cancellation, replacing
from logos_core.capabilities import Features, Uniqueness
from logos_core.errors import (
    InvalidOrderError,
    LedgerError,
    OrderConflictError,
    OrderDeniedError,
    OrderInFlightError,
    OutcomeUnknownError,
    VenueUnavailableError,
)
from logos_core.hookspecs import Found, Operation
from logos_core.lifecycle import IntentState as S
from logos_core.orders import Order, OrderClass, OrderStatus, OrderType, TimeInForce
from logos_core.rails.replace import ReplacePolicy
from logos_core.records import ClaimLostError
from logos_core.replacing import ReplaceEnding
from logos_core.testing import scripted
from logos_core.testing.replacing import NOTHING_TO_REPLACE, ReplacingVenue, able, swap, swap_and_lose
from logos_core.testing.scripted import (
    Rails,
    ScriptedVenue,
    accept,
    capabilities,
    fail,
    hide,
    not_sent,
    reject,
    take_cancel,
    time_out_after,
    time_out_before,
)
from tests.unit.making import order
from tests.unit.test_adapter_submit import kinds, recorded

E = ReplaceEnding
TEN = Decimal(10)


def name_of(session, intent_id="one"):
    return session.parts.cache.client_order_id(intent_id)


def at_the_venue(session):
    """What the venue may still trade, and what it has traded, in all."""
    working = sum((held.leaves_quantity for held in session.venue.held), Decimal(0))
    return working, sum((held.filled_quantity for held in session.venue.held), Decimal(0))


@pytest.fixture
def native(desk):
    made = desk(ReplacingVenue())
    made.adapter.submit(order(quantity=TEN))
    return made


@pytest.fixture(params=["native", "anew"])
def session(request, desk):
    """A session with an order of ten at a venue that replaces natively, or that does not."""
    made = desk(ReplacingVenue() if request.param == "native" else ScriptedVenue())
    made.adapter.submit(order(quantity=TEN))
    return made


@pytest.fixture
def anew(desk):
    made = desk(ScriptedVenue(capabilities(uniqueness=Uniqueness.OPEN)))
    made.adapter.submit(order(quantity=TEN))
    return made


def test_a_replaced_order_goes_on_with_its_new_numbers(session):
    found = session.adapter.replace("one", intent_id="two", price="101", quantity=8)

    assert (E.REPLACED, Decimal(101), Decimal(8)) == (found.ending, found.report.price, found.report.quantity)
    assert OrderStatus.CANCELED is found.original.status
    assert (Decimal(8), Decimal(0)) == at_the_venue(session)
    assert name_of(session) == recorded(session, "two").replaces


def test_the_same_replacement_again_makes_no_second_order(session):
    first = session.adapter.replace("one", intent_id="two", price="101")
    again = session.adapter.replace("one", intent_id="two", price="101")

    assert (first.ending, first.report.venue_order_id) == (again.ending, again.report.venue_order_id)
    assert 2 == len(session.venue.held)


def test_another_replacement_under_the_same_name_is_a_conflict(session):
    session.adapter.replace("one", intent_id="two", price="101")

    with pytest.raises(OrderConflictError):
        session.adapter.replace("one", intent_id="two", price="102")
    with pytest.raises(OrderConflictError):
        session.adapter.submit(order("two", price="101"))
    with pytest.raises(OrderConflictError):
        session.adapter.replace("one", intent_id="one", price="102")


def test_the_attempt_on_record_says_whose_place_it_takes(session):
    session.adapter.replace("one", intent_id="two", price="101")
    said = [event.fields() for event in session.adapter.audit_log if event.kind == "attempt"]

    assert [None, name_of(session)] == [attempt.get("replaces") for attempt in said]


def test_a_native_replacement_is_one_request_that_names_the_order_it_replaces(native):
    native.adapter.replace("one", intent_id="two", price="101")

    assert [Operation.SUBMIT, Operation.REPLACE] == [
        call for call in native.venue.calls if call in {Operation.SUBMIT, Operation.REPLACE, Operation.CANCEL}
    ]
    assert [None, "v1"] == [request.in_place_of for request in native.venue.received]


def test_elsewhere_the_order_is_cancelled_before_the_new_one_leaves(anew):
    anew.adapter.replace("one", intent_id="two", price="101")

    assert [Operation.SUBMIT, Operation.CANCEL, Operation.SUBMIT] == [
        call for call in anew.venue.calls if call in {Operation.SUBMIT, Operation.CANCEL}
    ]
    assert "replacement_begun" in kinds(anew)


def test_what_has_traded_is_never_placed_again(session):
    ReplacingVenue.trade(session.venue, name_of(session), Decimal(3))

    found = session.adapter.replace("one", intent_id="two", quantity=8)

    assert (E.REPLACED, Decimal(5), Decimal(3)) == (found.ending, found.report.quantity, found.filled_quantity)
    assert (Decimal(5), Decimal(3)) == at_the_venue(session)
    assert Operation.REPLACE not in session.venue.calls


def test_without_a_new_quantity_the_whole_of_the_old_one_is_meant(session):
    ReplacingVenue.trade(session.venue, name_of(session), Decimal(3))
    session.adapter.replace("one", intent_id="two", price="101")
    ReplacingVenue.trade(session.venue, name_of(session, "two"), Decimal(2))

    found = session.adapter.replace("two", intent_id="three", price="102")

    assert (Decimal(5), Decimal(5)) == (found.report.quantity, found.filled_quantity)
    assert (Decimal(5), Decimal(5)) == at_the_venue(session)


def test_what_trades_while_it_is_cancelled_is_counted(anew):
    def cancel_late(venue, reference):
        ReplacingVenue.trade(venue, name_of(anew), Decimal(4))
        return take_cancel()(venue, reference)

    anew.venue.on_cancel(cancel_late)
    found = anew.adapter.replace("one", intent_id="two", price="101")

    assert (Decimal(6), Decimal(4)) == (found.report.quantity, found.filled_quantity)
    assert (Decimal(6), Decimal(4)) == at_the_venue(anew)


def test_a_fill_of_all_of_it_during_the_cancel_leaves_nothing_to_place(anew):
    def fill_instead(venue, reference):
        ReplacingVenue.trade(venue, name_of(anew), TEN)
        return take_cancel(cancels=False)(venue, reference)

    anew.venue.on_cancel(fill_instead)

    assert E.GONE_NOT_REPLACED is anew.adapter.replace("one", intent_id="two", price="101").ending
    assert E.GONE_NOT_REPLACED is anew.adapter.replace("one", intent_id="two", price="101").ending
    assert (S.NOT_PLACED, 1) == (recorded(anew, "two").state, len(anew.venue.held))


def test_what_its_executions_tell_is_not_placed_again_before_its_report_tells_it(anew):
    ReplacingVenue.trade(anew.venue, name_of(anew), Decimal(4))
    anew.venue.change(name_of(anew), filled_quantity=Decimal(0))

    found = anew.adapter.replace("one", intent_id="two", price="101")

    assert (Decimal(6), Decimal(4)) == (found.report.quantity, found.filled_quantity)


def test_what_its_executions_tell_keeps_the_venue_from_replacing_it_whole(native):
    ReplacingVenue.trade(native.venue, name_of(native), Decimal(4))
    native.venue.change(name_of(native), filled_quantity=Decimal(0))
    native.adapter.replace("one", intent_id="two", price="101")

    assert Operation.REPLACE not in native.venue.calls


def test_nothing_is_placed_when_another_order_took_the_place(anew):
    """As when a person replaces it on the venue's website."""

    def replace_elsewhere(venue, reference):
        venue.change(name_of(anew), status=OrderStatus.CANCELED, replaced_by="theirs")
        return take_cancel(cancels=False)(venue, reference)

    anew.venue.on_cancel(replace_elsewhere)
    found = anew.adapter.replace("one", intent_id="two", price="101")

    assert (E.GONE_NOT_REPLACED, 1) == (found.ending, len(anew.venue.held))
    assert "another order" in found.why


def test_nothing_is_placed_when_another_order_took_the_place_of_one_whose_session_died(desk, anew):
    class Died(BaseException):
        pass

    def die(venue, reference):
        venue.change(name_of(anew), status=OrderStatus.CANCELED, replaced_by="theirs")
        raise Died

    anew.venue.on_cancel(die)
    with pytest.raises(Died):
        anew.adapter.replace("one", intent_id="two", price="101")
    anew.die()
    found = desk(anew.venue).adapter.replace("one", intent_id="two", price="101")

    assert (E.GONE_NOT_REPLACED, 1) == (found.ending, len(anew.venue.held))


def test_a_replacement_that_a_ledger_read_back_does_not_know_is_asked_for_before_anything_is_cancelled(anew):
    name = name_of(anew, "two")
    anew.ledger.adopt([], anew.venue.snapshot())
    anew.venue.held.append(evolve(anew.venue.held[0], client_order_id=name, venue_order_id="v2"))
    anew.adapter.replace("one", intent_id="two", price="101")

    assert not {Operation.CANCEL, Operation.REPLACE} & set(anew.venue.calls)
    assert 1 == anew.venue.calls.count(Operation.SUBMIT)


def test_a_replacement_that_another_caller_has_sent_is_not_closed(anew):
    """It read the record before that caller claimed it."""
    anew.adapter.replace("one", intent_id="two", price="101")
    with pytest.raises(ClaimLostError):
        anew.ledger.close_replacement(name_of(anew, "two"), {})

    assert S.NEW is recorded(anew, "two").state


def test_a_replacement_on_record_is_told_only_when_the_venue_shows_which_order_there_is(native):
    """Its first answer is that it will see to it; meanwhile the original works on."""

    def promise(venue, request):
        new = swap()(venue, request)
        venue.change(name_of(native), status=OrderStatus.PENDING_CANCEL, replaced_by=None)
        return new

    native.venue.on_replace(promise)
    for _ in range(2):
        with pytest.raises(OutcomeUnknownError, match="does not show yet"):
            native.adapter.replace("one", intent_id="two", price="101")

    native.venue.change(name_of(native), status=OrderStatus.CANCELED)
    assert E.REPLACED is native.adapter.replace("one", intent_id="two", price="101").ending


@pytest.fixture
def overlapping(desk):
    """A session at a venue that replaces what has traded, all of it, whose preset accepts that."""
    made = desk(ReplacingVenue(able(atomic=False)), rails=Rails(replace=ReplacePolicy(accepts_overlap=True)))
    made.adapter.submit(order(quantity=TEN))

    def trade_then_swap(venue, request):
        venue.trade(name_of(made), Decimal(4))
        return swap()(venue, request)

    made.venue.on_replace(trade_then_swap)
    return made


def test_a_venue_that_would_place_twice_what_trades_is_not_asked_to_replace(desk):
    session = desk(ReplacingVenue(able(atomic=False)))
    session.adapter.submit(order(quantity=TEN))
    session.adapter.replace("one", intent_id="two", price="101")

    assert Operation.REPLACE not in session.venue.calls


def test_what_traded_while_it_was_replaced_ends_the_new_order_rather_than_come_to_too_much(overlapping):
    found = overlapping.adapter.replace("one", intent_id="two", price="101")

    assert (E.REPLACED, OrderStatus.CANCELED, Decimal(4)) == (found.ending, found.report.status, found.filled_quantity)
    assert (Decimal(0), Decimal(4)) == at_the_venue(overlapping)
    assert "replaced_too_much" in kinds(overlapping)


def test_while_too_much_works_nothing_is_said_but_unknown(overlapping):
    overlapping.venue.on_cancel(take_cancel(cancels=False))

    with pytest.raises(OutcomeUnknownError, match="replace again to end it"):
        overlapping.adapter.replace("one", intent_id="two", price="101")

    assert OrderStatus.CANCELED is overlapping.adapter.replace("one", intent_id="two", price="101").report.status
    assert (Decimal(0), Decimal(4)) == at_the_venue(overlapping)


def test_a_request_that_arrives_twice_is_not_refused_by_its_own_doing(native):
    def twice(venue, request):
        venue.take_place(request)
        return swap()(venue, request)

    native.venue.on_replace(twice)
    found = native.adapter.replace("one", intent_id="two", price="101")

    assert (E.REPLACED, []) == (found.ending, native.parts.ledger.latched())
    assert (TEN, Decimal(0)) == at_the_venue(native)


def test_a_venue_that_says_there_is_nothing_to_replace_while_the_order_works_has_not_replaced_it(native):
    native.venue.on_replace(scripted.answer_with(NOTHING_TO_REPLACE, 404))

    assert E.ORIGINAL_STANDS is native.adapter.replace("one", intent_id="two", price="101").ending
    assert S.NOT_PLACED is recorded(native, "two").state
    (looked,) = [event.fields() for event in native.adapter.audit_log if event.kind == "not_seen"]
    assert name_of(native, "two") == looked["client_order_id"]
    assert "the venue refused to replace the order, which is still new" == looked["why"]


def test_a_venue_that_refuses_leaves_the_original_standing(native):
    native.venue.on_replace(reject(message="not now"))

    found = native.adapter.replace("one", intent_id="two", price="101")

    assert (E.ORIGINAL_STANDS, OrderStatus.NEW, None) == (found.ending, found.original.status, found.report)
    assert (TEN, Decimal(0)) == at_the_venue(native)


def test_an_order_that_filled_first_is_gone_and_not_replaced(native):
    def fill_first(venue, request):
        venue.trade(name_of(native), TEN)
        return swap()(venue, request)

    native.venue.on_replace(fill_first)

    assert E.GONE_NOT_REPLACED is native.adapter.replace("one", intent_id="two", price="101").ending
    assert (Decimal(0), TEN) == at_the_venue(native)


def test_a_lost_answer_is_found_out_and_never_sent_again(native):
    native.venue.on_replace(swap_and_lose())

    found = native.adapter.replace("one", intent_id="two", price="101")

    assert (E.REPLACED, 1) == (found.ending, native.venue.calls.count(Operation.REPLACE))
    assert (TEN, Decimal(0)) == at_the_venue(native)


def test_a_request_that_may_still_arrive_leaves_it_unknown_and_is_never_sent_again(native):
    native.venue.on_replace(swap_and_lose(swapped=False))

    for _ in range(2):
        with pytest.raises(OutcomeUnknownError, match="a late request could replace it"):
            native.adapter.replace("one", intent_id="two", price="101")

    assert (S.UNKNOWN, 1) == (recorded(native, "two").state, native.venue.calls.count(Operation.REPLACE))


@pytest.mark.parametrize("by_fill", [True, False])
def test_an_original_that_ended_otherwise_proves_that_it_was_not_replaced(native, by_fill):
    native.venue.on_replace(swap_and_lose(swapped=False))
    with pytest.raises(OutcomeUnknownError):
        native.adapter.replace("one", intent_id="two", price="101")
    if by_fill:
        native.venue.trade(name_of(native), TEN)
    else:
        native.adapter.cancel("one")

    assert E.GONE_NOT_REPLACED is native.adapter.replace("one", intent_id="two", price="101").ending
    assert S.NOT_PLACED is recorded(native, "two").state


def test_a_cancelled_original_proves_nothing_where_no_successor_is_told(desk):
    session = desk(ReplacingVenue(able(tells_successor=False)))
    session.adapter.submit(order(quantity=TEN))
    session.venue.on_replace(swap_and_lose())
    session.venue.on_lookup(scripted.show(), hide(), hide())

    with pytest.raises(OutcomeUnknownError, match="does not say whether by that"):
        session.adapter.replace("one", intent_id="two", price="101")

    assert E.REPLACED is session.adapter.replace("one", intent_id="two", price="101").ending


def test_a_successor_that_is_not_shown_yet_is_not_taken_for_absent(native):
    native.venue.on_replace(swap_and_lose())
    native.venue.on_lookup(scripted.show(), hide(), hide())

    with pytest.raises(OutcomeUnknownError, match="took its place"):
        native.adapter.replace("one", intent_id="two", price="101")

    assert E.REPLACED is native.adapter.replace("one", intent_id="two", price="101").ending


@pytest.mark.parametrize(
    ("steps", "why"), [([fail()] * 3, "could not be asked for: .*service unavailable"), ([hide()], "is not shown either")]
)
def test_nothing_is_concluded_of_a_replacement_while_the_order_it_was_to_replace_is_not_seen(native, steps, why):
    native.venue.on_replace(swap_and_lose(swapped=False))
    native.venue.on_lookup(scripted.show(), hide(), hide(), *steps)

    with pytest.raises(OutcomeUnknownError, match=why):
        native.adapter.replace("one", intent_id="two", price="101")

    assert (S.UNKNOWN, 1) == (recorded(native, "two").state, native.venue.calls.count(Operation.REPLACE))


def test_a_request_that_never_left_leaves_everything_as_it_was(native):
    native.venue.on_replace(*[not_sent()] * 3)

    with pytest.raises(VenueUnavailableError):
        native.adapter.replace("one", intent_id="two", price="101")

    assert E.REPLACED is native.adapter.replace("one", intent_id="two", price="101").ending


def test_a_halt_denies_a_replacement_before_anything_is_cancelled(session):
    session.parts.ledger.latch("a test")

    with pytest.raises(OrderDeniedError, match="KILL_SWITCH_LATCHED"):
        session.adapter.replace("one", intent_id="two", price="101")

    assert (TEN, Decimal(0)) == at_the_venue(session)
    assert Operation.CANCEL not in session.venue.calls


@pytest.mark.parametrize(
    ("change", "reason"), [({"price": "100.001"}, "PRICE_OFF_GRID"), ({"quantity": "0.0001"}, "QUANTITY_BELOW_MINIMUM")]
)
def test_an_order_that_would_be_denied_costs_no_other_its_life(session, change, reason):
    with pytest.raises(OrderDeniedError, match=reason):
        session.adapter.replace("one", intent_id="two", **change)

    assert (TEN, Decimal(0)) == at_the_venue(session)


def test_a_latch_set_between_the_cancel_and_the_new_order_leaves_none(anew):
    def latch(venue, reference):
        anew.parts.ledger.latch("a test")
        return take_cancel()(venue, reference)

    anew.venue.on_cancel(latch)
    found = anew.adapter.replace("one", intent_id="two", price="101")

    assert (E.GONE_NOT_REPLACED, (Decimal(0), Decimal(0))) == (found.ending, at_the_venue(anew))
    assert "KILL_SWITCH_LATCHED" in found.why


def test_what_a_latch_kept_from_being_placed_is_placed_when_asked_for_again(anew):
    anew.venue.on_cancel(scripted.first(lambda: anew.parts.ledger.latch("a test"), take_cancel()))
    anew.adapter.replace("one", intent_id="two", price="101")
    anew.parts.ledger.release("somebody", "a test")

    assert E.REPLACED is anew.adapter.replace("one", intent_id="two", price="101").ending
    assert (TEN, Decimal(0)) == at_the_venue(anew)


@pytest.mark.parametrize("step", [time_out_before(), take_cancel(cancels=False)])
def test_while_the_original_works_on_nothing_is_placed(anew, step):
    anew.venue.on_cancel(step)

    with pytest.raises(OutcomeUnknownError, match="nothing was placed"):
        anew.adapter.replace("one", intent_id="two", price="101")

    assert (TEN, Decimal(0)) == at_the_venue(anew)
    assert E.REPLACED is anew.adapter.replace("one", intent_id="two", price="101").ending
    assert (TEN, Decimal(0)) == at_the_venue(anew)


def test_a_rejected_new_order_is_gone_and_not_replaced(anew):
    anew.venue.on_submit(reject())

    found = anew.adapter.replace("one", intent_id="two", price="101")

    assert (E.GONE_NOT_REPLACED, S.REJECTED) == (found.ending, recorded(anew, "two").state)


def test_an_unknown_new_order_is_found_out_by_replacing_again(anew):
    anew.venue.on_submit(time_out_after())
    anew.venue.on_lookup(*[scripted.show()] * 2, hide(), hide())

    with pytest.raises(OutcomeUnknownError):
        anew.adapter.replace("one", intent_id="two", price="101")

    assert E.REPLACED is anew.adapter.replace("one", intent_id="two", price="101").ending
    assert 2 == len(anew.venue.received)


def test_whoever_comes_second_with_the_same_replacement_gets_the_first_ones_order(desk, session):
    """The other session replaces it whole between this one's decision and its claim."""
    other = desk()
    done: list[bool] = []

    def overtake(venue, request):
        if not done:
            done.append(True)
            other.adapter.replace("one", intent_id="two", price="101")
        return venue.prepared(request)

    session.venue.script(Operation.PREPARE, overtake, overtake)
    found = session.adapter.replace("one", intent_id="two", price="101")

    assert (E.REPLACED, 2) == (found.ending, len(session.venue.held))
    assert (TEN, Decimal(0)) == at_the_venue(session)


def test_a_second_replacement_of_one_order_waits_for_the_first(anew):
    anew.venue.on_cancel(take_cancel(cancels=False))
    with pytest.raises(OutcomeUnknownError):
        anew.adapter.replace("one", intent_id="two", price="101")

    with pytest.raises(OrderDeniedError, match="REPLACE_UNDER_WAY"):
        anew.adapter.replace("one", intent_id="three", price="102")

    anew.adapter.replace("one", intent_id="two", price="101")

    assert (TEN, Decimal(0)) == at_the_venue(anew)


def test_an_order_that_had_ended_before_is_gone_and_nothing_is_sent(session):
    session.adapter.cancel("one")

    assert E.GONE_NOT_REPLACED is session.adapter.replace("one", intent_id="two", price="101").ending
    assert None is session.adapter.ledger.find(name_of(session, "two"))


def test_an_order_of_which_nobody_knows_whether_it_exists_is_not_replaced(anew):
    anew.venue.on_submit(time_out_before())
    with pytest.raises(OutcomeUnknownError):
        anew.adapter.submit(order("unknown"))

    with pytest.raises(OrderDeniedError, match="REPLACE_ORIGINAL_UNKNOWN"):
        anew.adapter.replace("unknown", intent_id="two", price="101")


def test_an_order_of_which_nothing_is_on_record_is_not_replaced(session):
    with pytest.raises(LookupError, match="no order 'lgsnobody' is on record"):
        session.adapter.replace(evolve(recorded(session).reference(), client_order_id="lgsnobody"), intent_id="two", price="101")

    assert (TEN, Decimal(0)) == at_the_venue(session)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, "nothing is to change"),
        ({"price": 0}, "price"),
        ({"stop_price": 90}, "stop_price is given"),
        ({"quantity": "-1"}, "quantity"),
    ],
)
def test_a_change_that_cannot_be_meant_is_denied(session, change, word):
    with pytest.raises(InvalidOrderError, match=word):
        session.adapter.replace("one", intent_id="two", **change)


def test_less_than_has_traded_is_denied(session):
    ReplacingVenue.trade(session.venue, name_of(session), Decimal(6))

    with pytest.raises(OrderDeniedError, match="REPLACE_QUANTITY_TRADED"):
        session.adapter.replace("one", intent_id="two", quantity=5)

    assert (Decimal(4), Decimal(6)) == at_the_venue(session)


def test_a_dead_session_in_the_middle_of_a_replacement_is_recovered(desk, native):
    class Died(BaseException):
        pass

    def die(venue, request):
        venue.take_place(request)
        raise Died

    native.venue.on_replace(die)
    with pytest.raises(Died):
        native.adapter.replace("one", intent_id="two", price="101")
    native.die()
    after = desk()

    assert E.REPLACED is after.adapter.replace("one", intent_id="two", price="101").ending
    assert 2 == len(after.venue.held)


def test_a_price_that_the_order_does_not_have_is_denied(session):
    session.venue.on_submit(accept())
    session.adapter.submit(Order.market(scripted.SYMBOL, "buy", quantity=1, intent_id="market"))

    with pytest.raises(InvalidOrderError, match="price is given"):
        session.adapter.replace("market", intent_id="two", price="101")


# ------------------------------------------------------------------------------------------------ what is begun and not done


def test_what_trades_after_a_doubtful_replacement_is_not_sent_a_second_time(desk):
    """The same id could be sent again, were there anything left to place; all of it traded before the cancel was read."""
    session = desk(ScriptedVenue())
    session.adapter.submit(order(quantity=TEN))
    session.venue.on_submit(*[time_out_before()] * 3)
    with pytest.raises(OutcomeUnknownError):
        session.adapter.replace("one", intent_id="two", price="101")
    ReplacingVenue.trade(session.venue, name_of(session), TEN)
    sent = session.venue.calls.count(Operation.SUBMIT)

    with pytest.raises(OutcomeUnknownError, match="in doubt, and not sent again: the order traded"):
        session.adapter.replace("one", intent_id="two", price="101")

    assert (sent, S.UNKNOWN) == (session.venue.calls.count(Operation.SUBMIT), recorded(session, "two").state)


def test_a_replacement_that_was_begun_ends_an_order_that_has_traded_all_that_was_decided(anew):
    anew.venue.on_cancel(take_cancel(cancels=False))
    with pytest.raises(OutcomeUnknownError):
        anew.adapter.replace("one", intent_id="two", quantity=4)
    ReplacingVenue.trade(anew.venue, name_of(anew), Decimal(4))
    found = anew.adapter.replace("one", intent_id="two", quantity=4)

    assert (E.GONE_NOT_REPLACED, S.NOT_PLACED) == (found.ending, recorded(anew, "two").state)
    assert ((Decimal(0), Decimal(4)), 1) == (at_the_venue(anew), len(anew.venue.held))


def test_an_order_that_was_replaced_is_replaced_no_more_and_the_denial_names_the_one_in_its_place(session):
    session.adapter.replace("one", intent_id="two", price="101")

    with pytest.raises(OrderDeniedError, match="'two' took its place"):
        session.adapter.replace("one", intent_id="three", price="102")

    assert (TEN, Decimal(0)) == at_the_venue(session)
    assert recorded(session, "three") is None


@pytest.mark.parametrize("begun", ["and not sent", "and denied"])
def test_a_replacement_that_was_begun_and_never_placed_is_not_named_as_having_taken_the_place(anew, begun):
    if begun == "and denied":
        anew.venue.on_cancel(scripted.first(lambda: anew.parts.ledger.latch("a test"), take_cancel()))
    anew.venue.on_submit(*[not_sent()] * 3)
    anew.adapter.replace("one", intent_id="two", price="101")

    assert E.GONE_NOT_REPLACED is anew.adapter.replace("one", intent_id="three", price="102").ending


def test_a_replacement_that_a_living_session_is_sending_is_left_to_it(desk, session):
    other, said = desk(recovers=False), []

    def meanwhile():
        with pytest.raises(OrderInFlightError) as caught:
            other.adapter.replace("one", intent_id="two", price="101")
        said.append(caught.value.reference.client_order_id)

    operation = Operation.REPLACE if isinstance(session.venue, ReplacingVenue) else Operation.SUBMIT
    place = swap() if operation is Operation.REPLACE else accept()
    session.venue.script(operation, scripted.first(meanwhile, place))
    found = session.adapter.replace("one", intent_id="two", price="101")

    assert ([name_of(session, "two")], E.REPLACED, 2) == (said, found.ending, len(session.venue.held))


def test_whoever_is_never_first_is_told_that_another_is_sending(session, monkeypatch):
    def lose(*_):
        raise ClaimLostError

    monkeypatch.setattr(session.ledger, "claim", lose)
    with pytest.raises(OrderInFlightError) as caught:
        session.adapter.replace("one", intent_id="two", price="101")

    assert name_of(session, "two") == caught.value.reference.client_order_id
    assert 1 == len(session.venue.held)


def test_no_more_than_so_many_orders_are_replaced_in_turn_and_the_last_is_cancelled_by_the_name_of_the_first(session, monkeypatch):
    monkeypatch.setattr(replacing, "MAX_CHAIN", 2)
    monkeypatch.setattr(cancellation, "MAX_REPLACED", 2)
    session.adapter.replace("one", intent_id="two", price="101")
    session.adapter.replace("two", intent_id="three", price="102")
    with pytest.raises(LedgerError, match="more than 2 orders in turn"):
        session.adapter.replace("three", intent_id="four", price="103")

    assert (TEN, Decimal(0)) == at_the_venue(session)
    ended = session.adapter.cancel("one")
    assert (name_of(session, "three"), OrderStatus.CANCELED) == (ended.client_order_id, ended.status)
    assert (Decimal(0), Decimal(0)) == at_the_venue(session)


def test_a_request_of_the_venues_own_waits_until_it_shows_which_order_there_is(native):
    """Its first word is that the original is about to end; asked again, it has ended."""

    def end_later(venue, request):
        new = swap()(venue, request)
        pending = evolve(venue.orders_of(name_of(native))[-1], status=OrderStatus.PENDING_CANCEL, replaced_by=None)
        venue.on_lookup(scripted.returns(Found(pending)))
        return new

    native.venue.on_replace(end_later)

    assert E.REPLACED is native.adapter.replace("one", intent_id="two", price="101").ending


def test_while_the_venue_cannot_be_asked_the_original_is_taken_for_what_is_on_record(session):
    session.venue.on_lookup(*[fail()] * 3)

    assert E.REPLACED is session.adapter.replace("one", intent_id="two", price="101").ending
    assert (TEN, Decimal(0)) == at_the_venue(session)


# ------------------------------------------------------------------------------------------------- what cannot be replaced


def linked(desk, which):
    """A session with an order of ten whose legs protect it, or with a pair of exits, at a venue that takes both."""
    links = {kind: {OrderType.LIMIT: (TimeInForce.GTC,)} for kind in (OrderClass.BRACKET, OrderClass.OCO)}
    features = Features(linked=links, sources={"linked": "scripted"})
    made = desk(ScriptedVenue(evolve(capabilities(uniqueness=Uniqueness.OPEN), features=features)))
    exits: dict[str, Any] = {"quantity": TEN, "take_profit": 110, "stop_loss": 90, "intent_id": "one"}
    made.adapter.submit(
        Order.oco(scripted.SYMBOL, "sell", **exits)
        if which is OrderClass.OCO
        else Order.limit(scripted.SYMBOL, "buy", price=100, **exits)
    )
    return made


def test_a_pair_of_exits_is_not_replaced(desk):
    session = linked(desk, OrderClass.OCO)

    with pytest.raises(OrderDeniedError, match="REPLACE_LINKED"):
        session.adapter.replace("one", intent_id="two", price="111")

    assert ((TEN, Decimal(0)), None) == (at_the_venue(session), recorded(session, "two"))


def test_an_entry_is_replaced_until_it_has_traded_and_its_legs_protect_something(desk):
    session = linked(desk, OrderClass.BRACKET)
    session.adapter.replace("one", intent_id="two", price="101")
    ReplacingVenue.trade(session.venue, name_of(session, "two"), Decimal(4))

    with pytest.raises(OrderDeniedError, match="the entry has traded"):
        session.adapter.replace("two", intent_id="three", price="102")

    assert (Decimal(6), Decimal(4)) == at_the_venue(session)


def test_a_replacement_of_an_entry_that_was_begun_is_closed_once_it_has_traded(desk):
    session = linked(desk, OrderClass.BRACKET)
    session.venue.on_cancel(take_cancel(cancels=False))
    with pytest.raises(OutcomeUnknownError):
        session.adapter.replace("one", intent_id="two", price="101")
    ReplacingVenue.trade(session.venue, name_of(session), Decimal(4))
    found = session.adapter.replace("one", intent_id="two", price="101")

    assert (E.ORIGINAL_STANDS, S.NOT_PLACED) == (found.ending, recorded(session, "two").state)
    assert ((Decimal(6), Decimal(4)), 1) == (at_the_venue(session), len(session.venue.held))


def test_an_order_by_notional_keeps_no_quantity_that_it_never_had(desk):
    features = Features(notional={OrderType.MARKET: (TimeInForce.GTC,)}, sources={"notional": "scripted"})
    session = desk(ReplacingVenue(evolve(able(), features=features)))
    session.adapter.submit(Order.market(scripted.SYMBOL, "buy", notional=50, intent_id="one"))

    with pytest.raises(OrderDeniedError, match="REPLACE_QUANTITY_UNKNOWN"):
        session.adapter.replace("one", intent_id="two", price="101")

    assert 1 == len(session.venue.held)


def test_an_order_whose_terms_the_ledger_does_not_know_is_not_replaced(anew):
    """It was read back from the venue, which tells no terms but prices."""
    anew.venue.held.append(evolve(anew.venue.held[0], client_order_id="lgsfound", venue_order_id="v2"))
    anew.ledger.adopt([anew.venue.held[1]], None)

    with pytest.raises(OrderDeniedError, match="REPLACE_TERMS_UNKNOWN"):
        anew.adapter.replace("lgsfound", intent_id="two", price="101", quantity=TEN)

    assert (TEN + TEN, Decimal(0)) == at_the_venue(anew)
