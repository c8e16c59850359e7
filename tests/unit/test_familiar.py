"""What a venue tells again is passed over, and nothing else is."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve, fields

from logos_core.hookspecs import VenueSnapshot
from logos_core.ledger import codec, familiar
from logos_core.orders import OrderStatus, OrderType, Side, TimeInForce
from logos_core.records import AttemptOutcome as A
from logos_core.reports import ExecutionReport
from tests.unit.making import execution_of, report_of

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
OTHER: dict[str, Any] = {
    "client_order_id": "lgs2", "venue_order_id": "v2", "symbol": "ETH/USDT", "side": Side.SELL, "order_type": OrderType.STOP,
    "quantity": Decimal(2), "price": Decimal(101), "time_in_force": TimeInForce.DAY, "status": OrderStatus.CANCELED,
    "filled_quantity": Decimal("0.5"), "average_price": Decimal(99), "stop_price": Decimal(90), "trail_amount": Decimal(1),
    "trail_percent": Decimal(2), "notional": Decimal(100), "leg_of": "lgs9", "replaced_by": "v9",
}  # fmt: skip
_TOLD_ELSEWHERE = {"venue_time", "raw", "executions", "legs"}
"""The time of a report is no news; executions and legs have rows of their own."""


def stored(report):
    return codec.dump(codec.report_body(report))


def snapshot(*reports, changed=()):
    return VenueSnapshot(
        open_orders=reports, changed_orders=changed, executions=(), positions=(), cursor="1", venue_time=AT
    )  # fmt: skip


def test_every_field_of_a_report_can_be_news():
    """A field that is added to reports has to be added here, and is then shown to be held against the record."""
    assert {field.name for field in fields(ExecutionReport)} == {*OTHER, *_TOLD_ELSEWHERE}


@pytest.mark.parametrize("name", OTHER)
def test_a_report_that_differs_in_anything_is_not_the_same(name):
    one = report_of(venue_time=AT)
    other = evolve(one, **{name: OTHER[name]})

    assert not codec.says_the_same(stored(one), other)
    assert not codec.says_the_same(stored(other), one)


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"price": None}, {"time_in_force": None}, {"average_price": Decimal("0.00000001")}, {"quantity": Decimal("1E+3")},
        {"venue_order_id": 'a "quoted" id, ünïcode'}, {"stop_price": Decimal(90)}, {"quantity": None, "notional": Decimal(5)},
        {"venue_time": None},
    ],
)  # fmt: skip
def test_a_report_is_the_same_as_what_was_stored_of_it_whenever_it_is_told(changes):
    one = report_of(**{"venue_time": AT, **changes})

    assert codec.says_the_same(stored(one), one)
    assert codec.says_the_same(stored(one), evolve(one, venue_time=AT + timedelta(days=1)))


def test_what_is_on_record_just_so_is_no_news_and_is_not_looked_at_again(book, monkeypatch):
    book.claim()
    book.settle(A.ACCEPTED, report=report_of())
    looked = []
    monkeypatch.setattr(book.ledger, "_apply", lambda report, evidence: looked.append(report))
    found = book.ledger.apply_snapshot(snapshot(report_of(venue_time=AT)))

    assert (frozenset({"lgs1"}), (), []) == (found.known, found.news, looked)


@pytest.mark.parametrize(
    "told",
    [
        report_of("stranger", venue_order_id="v7"),
        report_of(None),
        report_of(venue_order_id="v2"),
        report_of(status=OrderStatus.PARTIALLY_FILLED, filled_quantity=Decimal("0.5"), average_price=Decimal(100)),
        report_of(executions=(execution_of(),)),
        report_of(legs=(report_of("leg", venue_order_id="v3", leg_of="lgs1"),)),
        report_of("leg", venue_order_id="v3", leg_of="lgs1"),
    ],
)
def test_whatever_is_not_on_record_just_so_is_news(book, told):
    book.claim()
    book.settle(A.ACCEPTED, report=report_of())

    assert (told,) == familiar.familiarity(book.ledger._db, (told,)).news


def test_a_report_of_an_order_whose_state_says_something_else_is_news(book):
    """The record holds a report that is late, and a state that came from elsewhere."""
    book.claim()
    book.settle(A.ACCEPTED, report=report_of())
    with book.ledger._transaction():
        book.ledger._db.write("UPDATE intents SET state = 'unknown'")

    assert (report_of(),) == familiar.familiarity(book.ledger._db, (report_of(),)).news


def test_an_intent_without_an_order_is_known_and_its_first_report_is_news(book):
    book.claim()
    book.settle(A.UNKNOWN)
    found = familiar.familiarity(book.ledger._db, (report_of(),))

    assert (frozenset({"lgs1"}), (report_of(),)) == (found.known, found.news)


def test_of_an_order_that_is_told_twice_the_last_word_stands(book):
    """The list of changes says that it is being cancelled, the list of open orders, read later, that it is not."""
    book.claim()
    book.settle(A.ACCEPTED, report=report_of())
    pending = report_of(status=OrderStatus.PENDING_CANCEL)
    book.ledger.apply_snapshot(snapshot(report_of(), changed=(pending,)))
    twice = [event.fields()["report"]["status"] for event in book.ledger.events() if event.kind == "reported"]

    assert ["pending_cancel", "new"] == twice
    assert "new" == book.state()


def test_a_large_snapshot_is_read_in_pieces_and_every_piece_counts(book, monkeypatch):
    monkeypatch.setattr(familiar, "AT_ONCE", 2)
    reports = []
    for number in range(5):
        name = f"lgs{number}"
        book.claim(name)
        reports.append(report_of(name, venue_order_id=f"v{number}"))
        book.settle(A.ACCEPTED, name=name, report=reports[-1])
    told = [*reports[:3], evolve(reports[3], status=OrderStatus.EXPIRED), reports[4]]
    found = book.ledger.apply_snapshot(snapshot(*told))

    assert {f"lgs{number}" for number in range(5)} == found.known
    assert (told[3],) == found.news
    assert "expired" == book.state("lgs3")
