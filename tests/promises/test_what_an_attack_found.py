"""Ways to two orders, to bytes after a halt and to untrue words that were open once."""

import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from logos_core import LedgerAdoptionError, Order, OrderStatus, VenueUnavailableError, transport
from logos_core.home import Home
from logos_core.testing.faults import Fault, FaultKind, FaultPlan

FORKS_AND_WAITS = """
    import os, sys, time
    from logos_core import Adapter, Order
    adapter = Adapter.open(sys.argv[1])
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    print("forked", flush=True)
    adapter.submit(Order.limit(sys.argv[2], "buy", quantity="1", price=sys.argv[3], intent_id="asked"))
"""


def _order(desk, intent_id):
    return Order.limit(desk.symbol, "buy", quantity="1", price=desk.resting_price, intent_id=intent_id)


def test_a_copy_taken_in_the_middle_of_a_session_is_not_taken_for_the_ledger(desk):
    adapter = desk.open()
    adapter.submit(_order(desk, "one"))
    (entry,) = Home(desk.home).ledgers()
    copy = desk.folder / "copy.sqlite3"
    with sqlite3.connect(entry.path) as live, sqlite3.connect(copy) as target:
        live.backup(target)
    adapter.submit(_order(desk, "two"))
    adapter._parts.ledger.close()  # as a kill would leave it: nothing registered, nothing said
    for path in entry.path.parent.glob(entry.path.name + "-*"):
        path.unlink()
    entry.path.write_bytes(copy.read_bytes())

    with pytest.raises(LedgerAdoptionError):
        desk.open()


def test_a_session_that_could_not_ask_the_venue_cancels_but_sends_nothing_new(desk):
    with desk.open() as adapter:
        adapter.submit(_order(desk, "one"))
    fault = Fault(kind=FaultKind.STATUS_BEFORE, operation="reconcile", every=1)
    desk.server.plan = FaultPlan([fault], seed=1)
    with desk.open() as adapter:
        with pytest.raises(VenueUnavailableError):
            adapter.submit(_order(desk, "two"))

        assert OrderStatus.CANCELED == adapter.cancel("one").status
        desk.server.plan = FaultPlan([], seed=1)
        assert not adapter.submit(_order(desk, "two")).status.is_final


def test_a_request_leaves_in_one_piece(desk, monkeypatch):
    """So that no part of an order can leave after the gates were asked."""
    pieces = []
    guarded = transport._GuardedReads.sendall

    def spy(self, data, *more):
        pieces.append(bytes(data))
        guarded(self, data, *more)

    with desk.open() as adapter:
        adapter.submit(_order(desk, "first"))  # what else is asked is asked by now
        monkeypatch.setattr(transport._GuardedReads, "sendall", spy)
        adapter.submit(_order(desk, "whole"))
        monkeypatch.undo()
    (piece,) = pieces
    head, _, body = piece.partition(b"\r\n\r\n")

    assert (b"POST", True) == (head[:4], f"content-length: {len(body)}".encode() in head.lower().split(b"\r\n"))
    assert body


def test_closing_waits_for_a_submit_under_way(desk):
    desk.server.plan = FaultPlan([Fault(kind=FaultKind.DELAY_AFTER, operation="submit", nth=1, delay_s=0.8)], seed=1)
    adapter = desk.open(timeout_s=8.0)
    told = []
    caller = threading.Thread(target=lambda: told.append(adapter.submit(_order(desk, "late")).venue_order_id))
    caller.start()
    while not [entry for entry in desk.server.wire if entry.operation == "submit"]:
        time.sleep(0.01)
    adapter.close()
    caller.join()

    assert [held["venue_order_id"] for held in desk.server.orders()] == told
    with desk.open() as again:
        assert [] == again.ledger.unsettled()


def test_a_forked_child_does_not_keep_its_dead_parents_session_alive(alpaca):
    alpaca.server.plan = FaultPlan([Fault(kind=FaultKind.DELAY_AFTER, operation="submit", nth=1, delay_s=5)], seed=1)
    parent = alpaca.spawn(FORKS_AND_WAITS, alpaca.symbol, alpaca.resting_price)
    assert parent.stdout is not None
    parent.stdout.readline()
    children = _children(parent.pid)
    while not [entry for entry in alpaca.server.wire if entry.operation == "submit"]:
        time.sleep(0.01)
    parent.kill()
    parent.wait(10)
    try:
        with alpaca.open() as adapter:
            assert [] == adapter.ledger.unsettled()
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        parent.stdout.close()
        assert parent.stderr is not None
        parent.stderr.close()


def test_an_attempt_of_a_session_without_a_lock_is_adopted_or_nothing(alpaca):
    with alpaca.open() as adapter:
        adapter.submit(_order(alpaca, "one"))
        path = adapter.ledger.path
    with sqlite3.connect(path) as ledger:
        ledger.execute("UPDATE intents SET state = 'in_flight'")
        ledger.execute("UPDATE attempts SET outcome = NULL")

    with pytest.raises(LedgerAdoptionError, match="no lock of"):
        alpaca.open()


def _children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
