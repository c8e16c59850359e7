"""A session that opens while another one waits for its answer changes nothing of it."""

import threading
import time

import pytest

from logos_core import Order, OrderInFlightError
from logos_core.lifecycle import IntentState
from logos_core.testing.faults import Fault, FaultKind, FaultPlan


def test_a_second_session_leaves_the_firsts_request_alone(desk):
    desk.server.plan = FaultPlan([Fault(kind=FaultKind.DELAY_AFTER, operation="submit", nth=1, delay_s=1.5)], seed=1)
    order = Order.limit(desk.symbol, "buy", quantity="1", price=desk.resting_price, intent_id="hanging")
    reports = []
    with desk.open(timeout_s=8.0) as first:
        caller = threading.Thread(target=lambda: reports.append(first.submit(order)))
        caller.start()
        _wait_for(lambda: [entry for entry in desk.server.wire if entry.operation == "submit"])
        before = [event.hash for event in first.audit_log if event.session_id == first.ledger.session_id]
        with desk.open(timeout_s=8.0) as second:
            with pytest.raises(OrderInFlightError):
                second.submit(order)
            second.recover()
            second.reconcile()
            (waiting,) = second.ledger.unsettled()

            assert IntentState.IN_FLIGHT == waiting.state
            assert [None] == [attempt.outcome for attempt in waiting.attempts]
        assert before == [event.hash for event in first.audit_log if event.session_id == first.ledger.session_id]
        caller.join()

        assert 1 == len(reports)
        assert [reports[0].venue_order_id] == [held["venue_order_id"] for held in desk.server.orders()]


def _wait_for(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
