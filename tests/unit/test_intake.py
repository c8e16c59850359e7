"""What a stream tells, taken in one piece at a time: on record at once, or kept until its sender has answered, or asked about."""

from decimal import Decimal
from typing import Any

import pytest

from logos_core.intake import WAITING_MAX, Intake
from logos_core.lifecycle import IntentState as S
from logos_core.orders import OrderStatus
from logos_core.records import AttemptOutcome as A
from tests.unit.making import Book, execution_of, report_of


class Taken(Intake):
    """An intake of one book, with what its observers were told."""

    def __init__(self, book: Book) -> None:
        self.told: list[str] = []
        super().__init__(book.ledger, lambda event: self.told.append(event["client_order_id"]))


@pytest.fixture
def intake(book: Book) -> Taken:
    return Taken(book)


def filled(quantity: str = "1", **changes: Any):
    done = {"filled_quantity": Decimal(quantity), "average_price": Decimal(100)}
    trades = (execution_of(quantity=Decimal(quantity)),)
    return report_of(**{"status": OrderStatus.FILLED, "executions": trades, **done, **changes})


def test_a_report_is_kept_although_its_intent_took_off_while_it_was_looked_at(book, intake):
    """It was read as free, claimed by its sender, and left to that one by the ledger."""
    find = book.ledger.find

    def find_and_take_off(name):
        found = find(name)
        book.ledger.find = find
        book.claim(name)
        return found

    book.ledger.find = find_and_take_off
    assert (True, 1, S.IN_FLIGHT) == (intake.report(filled()), intake.waiting, book.state())

    book.settle(A.ACCEPTED, report=report_of())
    assert (True, 0, S.FILLED) == (intake.landed(), intake.waiting, book.state())
    assert ["lgs1"] == intake.told


def test_what_waits_for_an_intent_waits_as_long_as_it_is_in_flight(book, intake):
    book.claim()
    intake.report(filled())

    assert (True, 1, S.IN_FLIGHT) == (intake.landed(), intake.waiting, book.state())
    assert (0, []) == (intake.applied, intake.told)


def test_an_intent_that_lands_without_an_order_is_asked_about_if_it_was_told_of(book, intake):
    """A trade of it was told, and its sender knows of no order: one of them is wrong."""
    book.claim()
    intake.execution(execution_of())
    book.settle(A.UNKNOWN)

    assert (False, 0) == (intake.landed(), intake.waiting)


def test_where_no_room_was_left_to_wait_the_venue_is_asked(book, intake):
    book.claim()
    for _ in range(WAITING_MAX):
        intake.report(filled())
    book.settle(A.ACCEPTED, report=report_of())

    assert (False, S.FILLED) == (intake.landed(), book.state())


def test_a_trade_that_names_nobody_is_asked_about_unless_its_order_is_on_record(book, intake):
    book.claim()
    book.settle(A.ACCEPTED, report=filled())
    nameless = execution_of(client_order_id=None, quantity=Decimal(1))

    assert intake.execution(nameless), "told again, of an order that is known"
    assert not intake.execution(execution_of("t2", "v2", client_order_id=None))


def test_a_trade_of_an_order_of_ours_that_nobody_has_shown_is_asked_about(book, intake):
    book.claim()
    book.settle(A.UNKNOWN)

    assert not intake.execution(execution_of())
    assert (S.UNKNOWN, []) == (book.state(), intake.told)
