"""The book that is kept up to date is the book that would be made anew."""

import json
import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logos_core import bookkeeping
from logos_core.bookkeeping import KEPT, Bookkeeper
from logos_core.errors import LedgerError
from logos_core.events import verify
from logos_core.hookspecs import VenueSnapshot
from logos_core.ledger import codec
from logos_core.ledger.codec import execution_from
from logos_core.ledger.executed import ASSETS, assets_text
from logos_core.orders import OrderStatus, Side
from logos_core.positions import book_of
from logos_core.records import AttemptOutcome as A
from logos_core.records import Overfill
from logos_core.reports import Execution, ExecutionKind
from tests.unit.making import Book, execution_of, report_of
from tests.unit.test_positions import ASSETS as NAMES
from tests.unit.test_positions import FIRST, stories, trade


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Let two executions be many."""
    for name, value in {"TAIL": 2, "BATCH": 3, "KEEP_EVERY": 4}.items():
        monkeypatch.setattr(bookkeeping, name, value)


@pytest.fixture
def traded(book: Book) -> Book:
    """A ledger with one order of ours in each instrument, under the same id of the venue's."""
    _open_orders(book)
    return book


def tell(book: Book, *told: Execution) -> None:
    book.ledger.apply_snapshot(VenueSnapshot(open_orders=(), changed_orders=(), executions=told, positions=(), cursor="1"))


@given(story=stories(), pieces=st.lists(st.integers(1, 4), min_size=1, max_size=30))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_told_piece_by_piece_the_book_is_the_one_told_at_once(tmp_path_factory, story, pieces):
    """Asked after each piece, by one that was there all the time, and by one that goes on from the sum that was left."""
    made = Book(tmp_path_factory.mktemp("book") / "ledger.sqlite3")
    try:
        _open_orders(made)
        keeper = Bookkeeper(made.ledger, leaves_sums=True)
        told: list[Execution] = []
        rest = list(story)
        while rest:
            size = pieces[len(told) % len(pieces)]
            tell(made, *rest[:size])
            told, rest = told + rest[:size], rest[size:]
            assert book_of(told, NAMES) == keeper.book()
        assert keeper.book() == Bookkeeper(made.ledger).book()
    finally:
        made.ledger.close()


def _open_orders(book: Book) -> None:
    for name, (symbol, assets) in zip(("lgs1", "lgs2"), NAMES.items(), strict=True):
        book.claim(name)
        book.settle(A.ACCEPTED, name=name, report=report_of(name, symbol=symbol, quantity=Decimal(10**6)))
        book.ledger.set_cursor(ASSETS + symbol, assets_text(assets))


def test_executions_that_turn_out_to_be_ours_later_are_booked_then(book):
    early = execution_of("t1", "v1")
    keeper = Bookkeeper(book.ledger)
    tell(book, early, execution_of("t2", "somebody's"))

    assert {} == keeper.book().positions
    book.claim()
    book.settle(A.ACCEPTED, report=report_of())
    assert Decimal("0.5") == keeper.book().quantity(early.symbol) == Bookkeeper(book.ledger).book().quantity(early.symbol)


def test_what_is_on_record_already_is_not_read_again(traded, monkeypatch):
    tell(traded, *[trade(number, "1") for number in range(10)])
    keeper = Bookkeeper(traded.ledger, leaves_sums=True)
    before = keeper.book()
    read: list[str] = []

    def counted(body: str) -> Execution:
        read.append(body)
        return execution_from(body)

    monkeypatch.setattr(codec, "execution_from", counted)

    assert before is keeper.book(), "nothing new: the very same book"
    tell(traded, trade(10, "1"))
    read.clear()
    assert (Decimal(11), 1) == (keeper.book().quantity("BTC/USDT"), len(read))
    read.clear()
    assert (Decimal(11), True) == (Bookkeeper(traded.ledger).book().quantity("BTC/USDT"), len(read) <= 4)


def test_a_sum_of_another_version_is_made_anew(traded):
    tell(traded, *[trade(number, "1") for number in range(10)])
    Bookkeeper(traded.ledger, leaves_sums=True).book()
    left = json.loads(traded.ledger.cursor(KEPT))
    left["lines"]["BTC/USDT"]["quantity"] = "99"
    traded.ledger.set_cursor(KEPT, json.dumps({**left, "version": 0}))

    assert Decimal(10) == Bookkeeper(traded.ledger).book().quantity("BTC/USDT")


def test_a_sum_that_cannot_be_left_changes_nothing(traded, monkeypatch):
    tell(traded, *[trade(number, "1") for number in range(10)])

    def broken(name: str, value: str) -> None:
        raise LedgerError("the disk is full")

    monkeypatch.setattr(traded.ledger, "set_cursor", broken)
    assert Decimal(10) == Bookkeeper(traded.ledger, leaves_sums=True).book().quantity("BTC/USDT")


@pytest.mark.parametrize("size", [3, 9])
def test_a_trade_that_came_late_is_booked_in_its_place(traded, size):
    """Near the end it is put among the last; further back its instrument is read again."""
    told = [trade(number, "1" if number % 2 else "-2", str(100 + number)) for number in range(10)]
    late = told.pop(-size)
    keeper = Bookkeeper(traded.ledger)
    tell(traded, *told)
    keeper.book()
    tell(traded, late)

    assert book_of([*told, late], NAMES) == keeper.book()


def test_a_book_that_was_interrupted_in_the_making_is_made_whole_the_next_time(traded, monkeypatch):
    keeper, told = Bookkeeper(traded.ledger), [trade(0, "2"), trade(1, "-1", "110"), trade(2, "-1", "120")]
    tell(traded, *told[:2])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(bookkeeping, "day_result", _interrupted)
        keeper.book()
    tell(traded, told[2])

    assert book_of(told, NAMES) == keeper.book()


def _interrupted(*_):
    raise KeyboardInterrupt


# ------------------------------------------------------------------------------------------------------ more than was ordered


def test_more_than_was_ordered_is_an_event_stops_new_orders_and_is_listed(book):
    book.claim()
    book.settle(A.ACCEPTED, report=report_of())
    tell(book, *[execution_of(f"t{number}") for number in range(2)])

    assert ((), []) == (book.ledger.executed.overfills(), book.ledger.latched())
    tell(book, execution_of("t2"))
    assert (
        Overfill(client_order_id="lgs1", order="order v1", quantity=Decimal(1), filled=Decimal("1.5")),
    ) == book.ledger.executed.overfills()
    assert ["more was traded than was ordered: order v1 of lgs1"] == book.ledger.latched()
    assert ["execution", "overfilled", "latched"] == book.kinds()[-3:]


def test_all_of_an_order_that_is_overfilled_is_kept(book):
    book.claim()
    book.settle(A.ACCEPTED, report=report_of())
    tell(book, execution_of("t1", quantity=Decimal(3)))

    assert Decimal(3) == Bookkeeper(book.ledger).book().quantity("BTC/USDT")


def test_a_bust_ends_an_overfill_and_the_latch_waits_for_a_person(book):
    book.claim()
    book.settle(A.ACCEPTED, report=report_of())
    tell(book, *[execution_of(f"t{number}") for number in range(3)])
    tell(book, execution_of("b1", kind=ExecutionKind.BUST, refers_to="t0"))

    assert () == book.ledger.executed.overfills()
    assert ["execution", "overfill_ended"] == book.kinds()[-2:]
    assert book.ledger.latched()


def test_two_orders_of_one_intent_are_held_against_it_together(book):
    book.claim()
    book.settle(A.ACCEPTED, report=report_of())
    book.apply(report_of(venue_order_id="v2"))
    book.ledger.release("somebody", "for the test")
    tell(book, execution_of("t1", quantity=Decimal(1)), execution_of("t2", "v2", quantity=Decimal(1)))

    assert ["all orders of lgs1: 2 of 1"] == [str(found) for found in book.ledger.executed.overfills()]
    assert ["more was traded than was ordered: all orders of lgs1"] == book.ledger.latched()


@pytest.mark.parametrize(("side", "over"), [(Side.BUY, True), (Side.SELL, False)])
def test_a_second_exit_is_held_against_the_decision_and_a_leg_that_trades_the_other_way_is_not(book, side, over):
    book.claim()
    book.settle(A.ACCEPTED, report=report_of(legs=(report_of(None, venue_order_id="v2", side=side),)))
    tell(book, execution_of("t1", quantity=Decimal(1)), execution_of("t2", "v2", quantity=Decimal(1), side=side))

    assert (["all orders of lgs1: 2 of 1"] if over else []) == [str(found) for found in book.ledger.executed.overfills()]


@pytest.mark.parametrize("first", ["v1", "v2"])
def test_an_order_and_the_one_that_takes_its_place_are_held_against_the_larger_together(book, first):
    """Whichever of the two fills last."""
    for name, number, quantity in (("lgs1", "v1", 1), ("lgs2", "v2", 2)):
        book.claim(name)
        book.settle(A.ACCEPTED, name=name, report=report_of(name, venue_order_id=number, quantity=Decimal(quantity)))
    with book.ledger._transaction():
        book.ledger._db.write("UPDATE intents SET parent_intent = 1 WHERE id = 2")
    fills = {"v1": execution_of("t1", "v1", quantity=Decimal(1)), "v2": execution_of("t2", "v2", quantity=Decimal(2))}
    tell(book, fills.pop(first))

    assert () == book.ledger.executed.overfills()
    tell(book, *fills.values())
    assert [(Decimal(2), Decimal(3))] == [(found.quantity, found.filled) for found in book.ledger.executed.overfills()]


def test_an_order_for_the_rest_is_held_against_the_new_total(book):
    """Two of two traded, a new total of five: the order that goes on is for three."""
    for name, number, quantity in (("lgs1", "v1", 2), ("lgs2", "v2", 3)):
        book.claim(name)
        book.settle(A.ACCEPTED, name=name, report=report_of(name, venue_order_id=number, quantity=Decimal(quantity)))
    with book.ledger._transaction():
        book.ledger._db.write("UPDATE intents SET parent_intent = 1, payload = json_set(payload, '$.quantity', '5') WHERE id = 2")
    tell(book, execution_of("t1", "v1", quantity=Decimal(2)), execution_of("t2", "v2", quantity=Decimal(3)))

    assert () == book.ledger.executed.overfills()


def test_an_order_by_notional_is_held_against_no_estimate_of_its_quantity(book):
    book.claim()
    book.settle(A.ACCEPTED, report=report_of(quantity=Decimal(0), notional=Decimal(100), price=None))
    tell(book, execution_of("t1", quantity=Decimal(1)))

    assert () == book.ledger.executed.overfills()


def test_executions_that_came_before_their_order_are_held_against_it_when_it_is_known(book):
    tell(book, *[execution_of(f"t{number}") for number in range(3)])
    book.claim()
    book.settle(A.ACCEPTED, report=report_of(status=OrderStatus.FILLED, filled_quantity=Decimal(1)))

    assert ["order v1 of lgs1: 1.5 of 1"] == [str(found) for found in book.ledger.executed.overfills()]


def test_anothers_executions_are_held_against_nothing(book):
    tell(book, execution_of("t1", "somebody's", quantity=Decimal(100)))

    assert ((), []) == (book.ledger.executed.overfills(), book.ledger.latched())


def test_executions_and_their_alarms_are_links_of_a_chain_that_verifies(book):
    book.claim()
    book.settle(A.ACCEPTED, report=report_of())
    tell(book, *[execution_of(f"t{number}") for number in range(3)])
    tell(
        book,
        execution_of("c1", kind=ExecutionKind.CORRECTION, refers_to="t0"),
        execution_of("b1", kind=ExecutionKind.BUST, refers_to="t0"),
    )
    book.ledger.set_baseline("{}", {"row": 1})
    found = list(book.ledger.events())

    assert {"s1": (len(found), found[-1].hash)} == verify(found)
    assert 5 == [event.fields()["kind"] for event in found].count("execution")


def test_a_report_on_record_shows_what_stands(book):
    book.claim()
    wrong = execution_of("t1")
    book.settle(A.ACCEPTED, report=report_of(executions=(wrong,)))
    mended = execution_of("c1", kind=ExecutionKind.CORRECTION, refers_to="t1", quantity=Decimal("0.4"))
    tell(book, mended)
    found = book.ledger.find("lgs1")

    assert (evolve(wrong, quantity=Decimal("0.4")),) == found.report.executions
    assert (wrong, mended) == book.ledger.executions("lgs1")


def test_a_ledger_of_the_first_version_opens_and_keeps_books(tmp_path):
    made = Book(tmp_path / "old.sqlite3")
    made.claim()
    made.settle(A.ACCEPTED, report=report_of())
    tell(made, execution_of("t1"))
    with made.ledger._transaction():
        made.ledger._db.write("DROP INDEX intents_replacing")
        made.ledger._db.write("UPDATE executions SET body = json_remove(body, '$.execution_kind', '$.refers_to')")
    made.ledger.close()
    again = Book(tmp_path / "old.sqlite3", session_id="s2")
    tell(again, execution_of("t1"), execution_of("t2", executed_at=FIRST + timedelta(days=1)))

    assert (Decimal(1), 2) == (Bookkeeper(again.ledger).book().quantity("BTC/USDT"), len(again.ledger.executions("lgs1")))
    again.ledger.close()


def test_the_sums_are_left_while_others_write_and_nobody_waits_for_ever(book, monkeypatch):
    monkeypatch.setattr(bookkeeping, "KEEP_EVERY", 0)
    keeper, done, over = Bookkeeper(book.ledger, leaves_sums=True), threading.Event(), threading.Event()

    def write():
        while not over.is_set():
            book.ledger.note("noise", {})

    def read():
        for _ in range(30):
            keeper.book()
        done.set()

    writers = [threading.Thread(target=write, daemon=True) for _ in range(4)]
    reader = threading.Thread(target=read, daemon=True)
    for thread in (*writers, reader):
        thread.start()
    ended = done.wait(20)
    over.set()

    assert ended
