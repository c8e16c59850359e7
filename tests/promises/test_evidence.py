"""Whatever is looked for is on record: where, when, what was said; and what a person closed stays watched."""

import time

import pytest

from logos_core import LogosError, Order
from logos_core.lifecycle import WORKING, IntentState
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from tests.promises.conftest import VENUES, Desk

pytestmark = pytest.mark.usefixtures("hasty")
NATIVE = "[replace]\naccepts_overlap = true\n"
"""So that Alpaca, too, is asked to replace."""
WAIT_S = 10.0


def resting(desk, intent_id):
    return Order.limit(desk.symbol, "buy", quantity=10, price=desk.resting_price, intent_id=intent_id)


def quietly(act):
    try:
        act()
    except LogosError:
        return


def looks(adapter, intent_id):
    """Return what is on record of the lookups of an intent that found nothing."""
    name = adapter._parts.cache.client_order_id(intent_id)
    return [event.fields() for event in adapter.ledger.events(name) if event.kind in {"not_seen", "not_asked"}]


def lose(desk, operation):
    """Let a request get lost, and the venue be silent on it when it is asked."""
    desk.server.plan = FaultPlan(
        [Fault(kind=FaultKind.REQUEST_DROPPED, operation=operation), Fault(kind=FaultKind.RESET_BEFORE, operation="lookup")]
    )


def test_every_look_for_an_order_in_doubt_is_on_record_with_its_age(desk):
    with desk.open(timeout_s=0.4) as adapter:
        lose(desk, "submit")
        quietly(lambda: adapter.submit(resting(desk, "lost")))
        quietly(lambda: adapter.lookup("lost"))
        quietly(lambda: adapter.cancel("lost"))
        unasked = looks(adapter, "lost")
        desk.server.plan = FaultPlan()
        adapter.recover()
        quietly(lambda: adapter.cancel("lost"))
        found = looks(adapter, "lost")[len(unasked) :]
        since = adapter.ledger.find(adapter._parts.cache.client_order_id("lost")).open_since

    assert ["not_asked"] * 3 == [said["kind"] for said in unasked]
    assert all("lookup failed: network" in said["trouble"] and said["at"] for said in unasked)
    assert ["not_seen"] * 2 == [said["kind"] for said in found]
    assert all(view["source"] and view["said"] for said in found for view in said["views"])
    assert f"{since:%Y-%m-%dT%H:%M:%S.%fZ}" == found[0]["unknown_since"] == unasked[0]["unknown_since"]
    assert found[0]["why"]
    assert (desk.venue == "oanda") == (found[0]["position"] is not None)


def test_how_an_order_stands_after_a_cancel_that_could_not_be_seen_is_on_record(desk):
    with desk.open(timeout_s=0.4) as adapter:
        adapter.submit(resting(desk, "to end"))
        lose(desk, "cancel")
        quietly(lambda: adapter.cancel("to end"))
        desk.server.plan = FaultPlan()
        (said,) = looks(adapter, "to end")
        ((asked, _),) = adapter.ledger.asked_to_end()

        assert ("not_asked", "the cancel may or may not have worked") == (said["kind"], said["why"])
        assert "to end" == asked.intent_id
        assert adapter.cancel("to end").status.is_final
        assert [] == adapter.ledger.asked_to_end()


@pytest.mark.parametrize("venue", VENUES)
def test_a_replacement_that_a_person_closed_and_appears_is_adopted_and_stops_new_orders(venue, tmp_path):
    desk = Desk(tmp_path, venue, **({"nonce_enforced": False} if venue == "ccxt:kraken" else {}))
    operation = "submit" if venue == "ccxt:kraken" else "replace"
    with desk.server, desk.open(timeout_s=0.3, extra=NATIVE) as adapter:
        adapter.submit(resting(desk, "first"))
        desk.server.plan = FaultPlan([Fault(kind=FaultKind.LATE_ARRIVAL, operation=operation, nth=1, delay_s=1.5)])
        quietly(lambda: adapter.replace("first", intent_id="second", quantity=8))
        name = adapter._parts.cache.client_order_id("second")
        (said,) = looks(adapter, "second")
        adapter.ledger.close_by_person(name, by="Ann", because="ticket 4711", evidence={})
        closed, held = _state(adapter, name), desk.exchange.orders_with(name)
        _until(lambda: desk.exchange.orders_with(name))
        adapter.reconcile()

        assert (IntentState.NOT_PLACED, []) == (closed, held)
        assert _state(adapter, name) in WORKING
        assert said["views"] and (venue == "ccxt:kraken" or said["original"]["status"])
        assert [f"of {name} exists although it was recorded as not_placed" in reason for reason in adapter.ledger.latched()] == [
            True
        ]
        assert [8] == [order.leaves_quantity for order in desk.exchange.open_orders()]


def _state(adapter, name):
    return adapter.ledger.find(name).state


def _until(happened):
    end_s = time.monotonic() + WAIT_S
    while not happened():
        assert time.monotonic() < end_s
        time.sleep(0.01)
