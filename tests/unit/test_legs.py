"""The legs of a linked order: one group on record, whatever order its parts are told in."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from logos_core.lifecycle import IntentState as S
from logos_core.orders import OrderStatus, OrderType, Side, StopLoss, TakeProfit
from logos_core.records import AttemptOutcome
from tests.unit.making import execution_of, report_of, request_of

REQUEST = request_of(take_profit=TakeProfit(110), stop_loss=StopLoss(90))


def leg(name, order_type, price=None, stop_price=None, **changes):
    """A leg as a venue shows it: under ids of the venue's own."""
    made = report_of(
        f"their-{name}",
        venue_order_id=name,
        side=Side.SELL,
        order_type=order_type,
        price=price,
        stop_price=stop_price,
        leg_of="lgs1",
    )
    return evolve(made, **changes)


PROFIT = leg("profit", OrderType.LIMIT, price=Decimal(110))
LOSS = leg("loss", OrderType.STOP, stop_price=Decimal(90))
WHOLE = report_of("lgs1", legs=(PROFIT, LOSS))
FILLED: dict[str, Any] = {"status": OrderStatus.FILLED, "filled_quantity": Decimal(1), "average_price": Decimal(100)}


@pytest.fixture
def bracket(book):
    book.claim(request=REQUEST)
    book.ledger.accept("lgs1", 1, WHOLE, {})
    return book


def known(book, name="lgs1"):
    return book.ledger.find(name)


def statuses(book):
    return {leg.venue_order_id: leg.status for leg in known(book).report.legs}


def test_a_bracket_is_one_intent_with_three_orders(bracket):
    assert {"profit": OrderStatus.NEW, "loss": OrderStatus.NEW} == statuses(bracket)
    assert (S.NEW, ()) == (bracket.state(), known(bracket).duplicates)
    assert [] == bracket.ledger.latched()


def test_a_legs_state_is_not_the_orders(bracket):
    bracket.apply(evolve(WHOLE, legs=(evolve(PROFIT, **FILLED), evolve(LOSS, status=OrderStatus.CANCELED))))

    assert {"profit": OrderStatus.FILLED, "loss": OrderStatus.CANCELED} == statuses(bracket)
    assert S.NEW is bracket.state()


def test_a_leg_that_is_told_of_alone_is_known_by_the_venues_id(bracket):
    alone = evolve(PROFIT, leg_of=None, **FILLED)

    assert None is bracket.apply(alone) or True
    assert OrderStatus.FILLED is statuses(bracket)["profit"]
    assert [] == bracket.ledger.latched()


def test_a_leg_that_is_told_of_before_its_order_does_not_take_its_place(book):
    book.claim(request=REQUEST)
    book.settle(AttemptOutcome.UNKNOWN)
    book.apply(LOSS)
    book.apply(report_of("lgs1"))

    assert ({"loss": OrderStatus.NEW}, "v1") == (statuses(book), known(book).report.venue_order_id)
    assert [] == book.ledger.latched()


def test_a_late_word_on_a_leg_does_not_move_it_backwards(bracket):
    bracket.apply(evolve(PROFIT, **FILLED))
    bracket.apply(PROFIT)

    assert OrderStatus.FILLED is statuses(bracket)["profit"]


def test_a_leg_that_has_ended_is_not_brought_back_by_a_late_word(bracket):
    bracket.apply(evolve(PROFIT, status=OrderStatus.CANCELED))
    bracket.apply(PROFIT)

    assert OrderStatus.CANCELED is statuses(bracket)["profit"]


@pytest.mark.parametrize(("after_s", "quantity"), [(3, Decimal("0.4")), (2, Decimal(1)), (1, Decimal(1))])
def test_what_a_leg_is_for_is_taken_from_the_later_word(bracket, after_s, quantity):
    """What the other leg has traded is taken off it; its status and its own fills stay as they were."""
    before = bracket.clock.now()
    bracket.apply(evolve(PROFIT, quantity=Decimal("0.5"), venue_time=before))
    bracket.apply(evolve(PROFIT, quantity=Decimal(1), venue_time=before + timedelta(seconds=2)))
    bracket.apply(evolve(PROFIT, quantity=Decimal("0.4"), venue_time=before + timedelta(seconds=after_s)))

    assert {"profit": quantity, "loss": Decimal(1)} == {leg.venue_order_id: leg.quantity for leg in known(bracket).report.legs}


@pytest.mark.parametrize(
    ("before_s", "after_s", "quantity", "news"),
    [(0, 1, "0.4", 1), (None, 1, "0.4", 1), (0, 0, "0.4", 0), (0, None, "0.4", 0), (0, 1, "0.5", 0)],
)
def test_only_a_later_word_that_says_something_else_is_told_on(bracket, before_s, after_s, quantity, news):
    def at(seconds):
        return None if seconds is None else bracket.clock.now() + timedelta(seconds=seconds)

    bracket.apply(evolve(PROFIT, quantity=Decimal("0.5"), venue_time=at(before_s)))
    before = bracket.kinds().count("leg_reported")
    bracket.apply(evolve(PROFIT, quantity=Decimal(quantity), venue_time=at(after_s)))

    assert news == bracket.kinds().count("leg_reported") - before


def test_legs_that_work_on_after_their_order_has_filled_are_found(bracket):
    bracket.apply(evolve(WHOLE, **FILLED))
    bracket.apply(evolve(LOSS, status=OrderStatus.CANCELED))

    assert (S.FILLED, ["profit"]) == (bracket.state(), [leg.venue_order_id for leg in bracket.ledger.working_legs()])


def test_what_a_leg_trades_is_the_intents_and_not_the_orders(bracket):
    bracket.apply(evolve(WHOLE, **FILLED, executions=(execution_of("t1", "v1", quantity=Decimal(1)),)))
    bracket.apply(evolve(PROFIT, **FILLED, executions=(execution_of("t2", "profit", quantity=Decimal(1), side=Side.SELL),)))
    report = known(bracket).report

    assert ["t1"] == [item.execution_id for item in report.executions]
    assert [["t2"], []] == [[item.execution_id for item in leg.executions] for leg in report.legs]
    assert ["t1", "t2"] == [item.execution_id for item in bracket.ledger.executions("lgs1")]


@pytest.mark.parametrize("wrong", [{"price": Decimal(111)}, {"price": Decimal(100)}, {"side": Side.BUY}])
def test_a_bracket_with_another_leg_is_not_the_one_that_was_sent(bracket, wrong):
    bracket.apply(evolve(WHOLE, legs=(evolve(PROFIT, **wrong), LOSS), **FILLED))

    assert "another order" in bracket.ledger.latched()[0]
    assert S.NEW is bracket.state()


def test_a_bracket_that_lost_a_leg_on_the_way_is_not_the_one_that_was_sent(bracket):
    bracket.apply(evolve(WHOLE, legs=(PROFIT,), **FILLED))

    assert "legs" in bracket.ledger.latched()[0]


def test_a_second_order_beside_the_legs_is_still_a_duplicate(bracket):
    bracket.apply(report_of("lgs1", venue_order_id="v2"))

    assert ("v2",) == known(bracket).duplicates
    assert "second order" in bracket.ledger.latched()[0]


def test_legs_survive_being_read_back(bracket):
    bracket.ledger.close()
    again = type(bracket)(bracket.path, session_id="s2")

    assert (REQUEST, WHOLE.legs) == (known(again).request, known(again).report.legs)
    again.ledger.close()


def test_a_leg_of_another_intents_order_is_not_taken_for_ones_own(bracket):
    """The venue gave one id for two legs; whose it is cannot be told, so new orders stop."""
    bracket.claim("lgs2", request=evolve(REQUEST, client_order_id="lgs2"))
    bracket.apply(evolve(PROFIT, leg_of="lgs2"))
    bracket.apply(evolve(PROFIT, leg_of="lgs2", **FILLED))

    assert OrderStatus.NEW is statuses(bracket)["profit"]
    assert "for two intents" in bracket.ledger.latched()[0]


def test_a_leg_of_an_order_that_is_not_ours_is_nobodys(bracket):
    assert bracket.apply(evolve(PROFIT, leg_of="somebody's", venue_order_id="v7")) is None
    assert {"profit", "loss"} == set(statuses(bracket))
