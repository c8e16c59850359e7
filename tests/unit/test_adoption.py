"""A ledger that lost its memory reads it back from the venue, once."""

from decimal import Decimal

import pytest
from attrs import evolve

from logos_core import Adapter
from logos_core.adoption import adopt
from logos_core.errors import LedgerAdoptionError, LedgerError, OrderConflictError, VenueUnavailableError
from logos_core.hookspecs import Operation
from logos_core.lifecycle import IntentState as S
from logos_core.orders import Order, OrderStatus, OrderType, Side
from logos_core.rails.retry import RetryConfig
from logos_core.testing.scripted import SYMBOL, Rails, ScriptedVenue, capabilities, fail
from tests.unit.making import Book, order, report_of


@pytest.mark.parametrize("account_history", [True, False])
def test_adoption_takes_every_order_of_ours_and_no_other(desk, account_history):
    session, asked = desk(ScriptedVenue(capabilities(account_history=account_history))), []
    session.venue.held += [
        report_of("lgsworks"),
        report_of("lgsended", venue_order_id="v2", status=OrderStatus.FILLED),
        report_of("somebody", venue_order_id="v3"),
        report_of(None, venue_order_id="v4"),
    ]

    def remember(venue, request):
        asked.append((request.cursor, request.symbols))
        return venue.snapshot()

    session.venue.script(Operation.RECONCILE, remember)
    assert 2 == adopt(session.parts.venue, session.ledger, ("BTC/USDT",))
    assert [(None, ("BTC/USDT",))] == asked
    assert {S.NEW: 1, S.FILLED: 1} == session.ledger.counts()
    assert account_history == (session.ledger.cursor("history:BTC/USDT") is None)
    assert 0 == adopt(session.parts.venue, session.ledger, ())


# ---------------------------------------------------------------------------------------- a session that may have forgotten


def forgetful(session):
    """The same session, whose venue was not asked at open for orders that the ledger does not know."""
    return Adapter(evolve(session.parts, verified=False))


def test_before_its_first_order_a_session_asks_once_for_what_its_ledger_may_have_forgotten(desk):
    session = desk()
    adapter = forgetful(session)
    for name in ("one", "two"):
        adapter.submit(order(name))

    assert (1, 2) == (session.venue.calls.count(Operation.RECONCILE), len(session.venue.received))


@pytest.mark.parametrize("account_history", [True, False])
def test_what_a_session_asks_before_its_first_order_is_paid_from_the_budget(desk, account_history):
    session = desk(ScriptedVenue(capabilities(account_history=account_history)))
    forgetful(session).submit(order())

    asked = [call for call in session.venue.calls if call is not Operation.PREPARE]
    assert (1 if account_history else 2) == asked.count(Operation.RECONCILE)
    assert len(asked) == len(session.parts.limiter._recent_s)


def test_a_ledger_that_has_forgotten_an_order_sends_none(desk):
    session = desk()
    session.venue.held.append(report_of("lgsforgotten"))
    adapter = forgetful(session)
    for _ in range(2):
        with pytest.raises(LedgerAdoptionError, match="lgsforgotten"):
            adapter.submit(order())

    assert [] == session.venue.received


def test_while_it_cannot_be_asked_what_was_forgotten_nothing_is_sent(desk):
    session = desk(rails=Rails(retry=RetryConfig(attempts=1)))
    adapter = forgetful(session)
    session.venue.script(Operation.RECONCILE, fail())
    with pytest.raises(VenueUnavailableError, match="service unavailable"):
        adapter.submit(order())

    assert [] == session.venue.received
    assert adapter.submit(order()).status is OrderStatus.NEW


def test_an_order_that_an_adopted_ledger_does_not_know_is_asked_for_by_name_and_answered_from(desk):
    session = desk()
    session.ledger.adopt([], session.venue.snapshot())
    name = session.parts.cache.client_order_id("one")
    session.venue.held.append(report_of(name))
    report = session.adapter.submit(order())

    assert ("v1", []) == (report.venue_order_id, session.venue.received)
    assert order().payload() == session.ledger.find(name).payload


def test_an_adopted_ledger_sends_nothing_that_it_cannot_ask_for(desk):
    session = desk(rails=Rails(retry=RetryConfig(attempts=1)))
    session.ledger.adopt([], session.venue.snapshot())
    session.venue.on_lookup(*[fail()] * 3)
    with pytest.raises(VenueUnavailableError, match="could not be asked for this id"):
        session.adapter.submit(order())

    assert [] == session.venue.received


def test_an_adopted_order_that_the_venue_shows_nowhere_is_missing(desk):
    """No attempt of it is on record, so nothing can be concluded from that."""
    session = desk()
    session.ledger.adopt([report_of("lgsfound")], None)

    assert ("lgsfound",) == session.adapter.reconcile().missing_remote
    assert S.NEW is session.ledger.find("lgsfound").state


TRAILING = {"order_type": OrderType.TRAILING_STOP, "side": Side.SELL, "price": None, "trail_amount": Decimal(5)}
BY_NOTIONAL = {"order_type": OrderType.MARKET, "price": None, "notional": Decimal(50), "quantity": Decimal("0.5")}


def trailing(quantity):
    return Order.trailing_stop(SYMBOL, "sell", quantity=quantity, trail_amount=5, intent_id="one")


def by_notional(notional):
    return Order.market(SYMBOL, "buy", notional=notional, intent_id="one")


@pytest.mark.parametrize(
    ("shown", "same", "another"),
    [
        ({}, order(), order(price="101")),
        ({**TRAILING, "stop_price": Decimal(97)}, trailing(1), trailing(2)),
        (BY_NOTIONAL, by_notional(50), by_notional(51)),
    ],
    ids=["limit", "trailing stop", "by notional"],
)
def test_an_adopted_order_is_known_by_what_its_caller_decided_and_not_by_what_the_venue_made_of_it(desk, shown, same, another):
    """Where a trailing stop stands now, and how much a notional came to, nobody decided."""
    session = desk()
    report = report_of(session.parts.cache.client_order_id("one"), **shown)
    session.ledger.adopt([report], None)
    with pytest.raises(OrderConflictError):
        session.adapter.submit(another)

    assert ("v1", []) == (session.adapter.submit(same).venue_order_id, session.venue.received)


def test_a_damaged_file_is_found_after_an_unclean_end(book, monkeypatch):
    monkeypatch.setattr(book.ledger._db, "row", lambda sql: ("row 7 missing from index",))
    with pytest.raises(LedgerError, match="row 7 missing from index"):
        book.ledger._db.check()

    assert book.ledger.broken
    with pytest.raises(LedgerError):
        book.claim()


def test_a_session_that_has_closed_is_not_buried(book):
    book.ledger.end_session()
    other = Book(book.path, session_id="s2")
    other.ledger.bury(lambda session: True)

    assert "session_died" not in other.kinds()
    other.ledger.close()


def test_a_session_that_lives_is_not_buried(desk):
    session, other = desk(), desk()
    other.ledger.bury(other.home.is_dead)
    assert "session_died" not in [event.kind for event in other.adapter.audit_log]
    session.die()
    other.ledger.bury(other.home.is_dead)
    other.ledger.bury(other.home.is_dead)

    assert [session.session_id] == [event.fields()["died"] for event in other.adapter.audit_log if event.kind == "session_died"]
