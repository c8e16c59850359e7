"""A ledger that has forgotten is not trusted with a new order until it has been told."""

import sqlite3

import pytest

from logos_core import LedgerAdoptionError, LedgerError, Order, OrderConflictError
from logos_core.home import Home
from tests.promises.conftest import adopt_into, lose_ledger


def _submit(adapter, desk, price=None):
    return adapter.submit(Order.limit(desk.symbol, "buy", quantity="1", price=price or desk.resting_price, intent_id="once"))


def test_a_deleted_ledger_refuses_until_adopted_and_then_answers(desk):
    with desk.open() as adapter:
        first = _submit(adapter, desk)
        path = lose_ledger(desk)
        with pytest.raises(LedgerAdoptionError):
            desk.open()
        adopted = adopt_into(desk, adapter, path)
    with desk.open() as adapter:
        again = _submit(adapter, desk)
        with pytest.raises(OrderConflictError):
            _submit(adapter, desk, price="20")

    assert 1 == adopted
    assert first.venue_order_id == again.venue_order_id
    assert 1 == len(desk.server.orders())


def test_a_new_home_on_an_account_that_has_traded_refuses_the_order(desk, tmp_path):
    with desk.open() as adapter:
        _submit(adapter, desk)

    with pytest.raises(LedgerAdoptionError):
        with desk.open(home=tmp_path / "another machine") as adapter:
            _submit(adapter, desk)

    assert 1 == len(desk.server.orders())


def test_an_older_copy_of_the_ledger_is_refused(alpaca):
    with alpaca.open():
        pass
    (entry,) = Home(alpaca.home).ledgers()
    with sqlite3.connect(entry.path) as live:
        live.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copy = entry.path.read_bytes()
    with alpaca.open() as adapter:
        _submit(adapter, alpaca)
    for path in entry.path.parent.glob(entry.path.name + "-*"):
        path.unlink()
    entry.path.write_bytes(copy)

    with pytest.raises(LedgerAdoptionError):
        alpaca.open()


def test_the_client_order_id_of_an_intent_is_the_same_on_another_machine(desk, tmp_path):
    with desk.open() as adapter:
        here = adapter._parts.cache.client_order_id("rebalance-2026-11-23")
    with desk.open(home=tmp_path / "another machine") as adapter:
        there = adapter._parts.cache.client_order_id("rebalance-2026-11-23")

    assert here == there
    assert here.startswith("lgs")


def test_a_session_whose_ledger_is_deleted_under_it_sends_nothing_more(alpaca):
    with alpaca.open() as adapter:
        _submit(adapter, alpaca)
        lose_ledger(alpaca)
        with pytest.raises(LedgerError):
            adapter.submit(Order.limit(alpaca.symbol, "buy", quantity="1", price="10", intent_id="twice"))

    assert 1 == len(alpaca.server.orders())
