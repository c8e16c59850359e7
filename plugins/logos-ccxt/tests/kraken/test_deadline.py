"""An order that comes too late: what the engine refuses proves its absence, and what it should have refused is noticed."""

import time
from datetime import datetime, timedelta

import pytest

from logos_ccxt import VENUE
from logos_ccxt.kraken.capabilities import DEADLINE_S
from logos_ccxt.kraken.simulator import KrakenSimulator
from logos_core import Adapter, Order, OrderDeniedError, OrderNotPlacedError, OutcomeUnknownError, presets, session
from logos_core.capabilities import ExpiryKind
from logos_core.clock import ManualClock
from logos_core.lifecycle import IntentState
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from logos_core.testing.server import LoopbackServer

ARRIVES_S = 1.0
DISTRUST = "[absence]\ndeadline_is_proof = false\n"
LONG_VALID = "[retry]\nvalid_for_s = 300\n"
RESTING = Order.limit("BTC/USD", "buy", quantity="0.01", price="50000", intent_id="one")
TAKING = Order.market("BTC/USD", "buy", quantity="0.01", intent_id="one")


class Late:
    """A session on the real SDK, on a clock that only the test moves, whose first order is delivered late.

    Nonces are not looked at, or they would refuse a late request before its deadline does.
    """

    def __init__(self, folder, extra: str, **beliefs) -> None:
        self.clock = ManualClock()
        self.app = KrakenSimulator(counter_max=None, nonce_enforced=False, now=self.clock.now, **beliefs)
        self.server = LoopbackServer(self.app, hold_s=5.0).start()
        self.server.plan = FaultPlan([Fault(kind=FaultKind.LATE_ARRIVAL, operation="submit", nth=1, delay_s=ARRIVES_S)])
        preset = folder / "preset.toml"
        preset.write_text(
            f'schema = 1\nvenue = "ccxt:kraken"\nenvironment = "simulator"\nstrategy = "test"\nbase_url = "{self.server.url}"\n'
            '[credentials]\napi_key = "env:KEY"\nsecret = "env:KEY"\n'
            f'[session]\ntimeout_s = 0.3\nruns = "{folder / "runs"}"\n{extra}'
        )
        self._preset, self._folder = presets.load(preset), folder

    def open(self) -> Adapter:
        environ = {"KEY": "k"}
        home = session.home_of(self._folder / "home", environ)
        venue = session.bind(self._preset, environ, self.clock, home)
        identity = session.identify(venue, self._preset)
        return Adapter(session._compose(self._preset, venue, identity, home, self.clock))

    def lose(self, adapter: Adapter, order: Order) -> None:
        """Submit an order whose request is held up on its way."""
        with pytest.raises(OutcomeUnknownError):
            adapter.submit(order)
        assert [] == self.server.orders()

    def let_it_arrive(self) -> None:
        end_s = time.monotonic() + 5
        while not self.server.faults_applied[0].processed:
            assert time.monotonic() < end_s
            time.sleep(0.01)

    def sent(self) -> int:
        return sum(entry.operation == "submit" for entry in self.server.wire)


@pytest.fixture
def late(tmp_path):
    made = []

    def make(extra: str = "", **beliefs) -> Late:
        made.append(Late(tmp_path, extra, **beliefs))
        return made[-1]

    yield make
    for each in made:
        each.server.stop()


def state(adapter):
    return adapter.ledger.find(adapter._parts.cache.client_order_id("one")).state


def test_it_is_the_engine_that_is_declared_to_refuse():
    assert ExpiryKind.ENGINE is VENUE.capabilities["kraken"].expiry.kind


@pytest.mark.parametrize("order", [RESTING, TAKING], ids=["resting", "taking"])
def test_past_the_deadline_the_engine_refuses_it_and_the_intent_is_closed(late, order):
    venue = late()
    with venue.open() as adapter:
        venue.lose(adapter, order)
        venue.clock.sleep(8)
        venue.let_it_arrive()
        with pytest.raises(OrderNotPlacedError):
            adapter.submit(order)

        assert IntentState.NOT_PLACED is state(adapter)
    assert ([], 1) == (venue.server.orders(), venue.sent())


def test_past_the_deadline_and_within_its_validity_it_is_sent_again_and_is_one_order(late):
    venue = late(LONG_VALID)
    with venue.open() as adapter:
        venue.lose(adapter, RESTING)
        venue.clock.sleep(8)
        venue.let_it_arrive()
        report = adapter.submit(RESTING)

        assert [report.venue_order_id] == [order["venue_order_id"] for order in venue.server.orders()]
    assert 2 == venue.sent()


def test_before_the_deadline_nothing_is_concluded_and_what_arrives_in_time_is_found(late):
    venue = late()
    venue.clock.sleep = lambda _: None  # the visibility lag passes in no time, so the order is still in time
    with venue.open() as adapter:
        venue.lose(adapter, RESTING)

        assert IntentState.UNKNOWN is state(adapter)
        venue.let_it_arrive()
        assert 1 == len(venue.server.orders())
        assert adapter.submit(RESTING).venue_order_id == venue.server.orders()[0]["venue_order_id"]
    assert 1 == venue.sent()


@pytest.mark.parametrize("enforced_by", ["engine", "gateway", "nobody"])
def test_a_preset_that_distrusts_the_deadline_leaves_it_unknown_until_it_appears(late, enforced_by):
    venue = late(DISTRUST + LONG_VALID, deadline_enforced_by=enforced_by)
    with venue.open() as adapter:
        venue.lose(adapter, RESTING)
        for _ in range(2):
            venue.clock.sleep(86_400)
            with pytest.raises(OutcomeUnknownError, match="the preset does not take for proof"):
                adapter.submit(RESTING)
        venue.let_it_arrive()
        if enforced_by == "nobody":
            assert adapter.submit(RESTING).venue_order_id == venue.server.orders()[0]["venue_order_id"]
        else:
            assert IntentState.UNKNOWN is state(adapter)
        assert not adapter.ledger.latched()
    assert ((1 if enforced_by == "nobody" else 0), 1) == (len(venue.server.orders()), venue.sent())


def test_where_nobody_enforces_it_what_was_closed_appears_and_stops_everything(late):
    venue = late(deadline_enforced_by="nobody")
    with venue.open() as adapter:
        venue.lose(adapter, RESTING)
        venue.clock.sleep(8)
        with pytest.raises(OrderNotPlacedError):
            adapter.submit(RESTING)
        venue.let_it_arrive()
        adapter.reconcile()

        assert IntentState.NEW is state(adapter)
        assert adapter.ledger.latched()
        with pytest.raises(OrderDeniedError):
            adapter.submit(Order.market("BTC/USD", "buy", quantity="0.01", intent_id="two"))
    assert (1, 1) == (len(venue.server.orders()), venue.sent())


def test_where_nobody_enforces_it_an_open_order_under_the_id_keeps_the_late_one_out(late):
    venue = late(LONG_VALID, deadline_enforced_by="nobody")
    with venue.open() as adapter:
        venue.lose(adapter, RESTING)
        venue.clock.sleep(8)
        adapter.submit(RESTING)
        venue.let_it_arrive()
        adapter.reconcile()

        assert not adapter.ledger.latched()
    assert (1, 2) == (len(venue.server.orders()), venue.sent())


def test_where_nobody_enforces_it_a_second_order_is_recorded_and_stops_everything(late):
    venue = late(LONG_VALID, deadline_enforced_by="nobody")
    with venue.open() as adapter:
        venue.lose(adapter, TAKING)
        venue.clock.sleep(8)
        adapter.submit(TAKING)
        venue.let_it_arrive()
        adapter.reconcile()

        assert "a second order" in adapter.ledger.first_latch()
        assert 2 == len(venue.server.orders()), "the venue did what it says it does not"


def test_the_deadline_on_the_wire_is_within_what_absence_is_concluded_from(late):
    venue = late(LONG_VALID)
    requests = []
    handle = venue.app.handle

    def noted(request):
        requests.append(request)
        return handle(request)

    venue.app.handle = noted
    venue.server.plan = FaultPlan()
    with venue.open() as adapter:
        report = adapter.submit(RESTING)
        send_by = adapter.ledger.find(report.client_order_id).attempts[-1].send_by
    fields = next(request for request in requests if request.path.endswith("AddOrder")).form()
    deadline = datetime.fromisoformat(fields["deadline"])
    window = timedelta(seconds=DEADLINE_S)

    assert deadline <= send_by + window
    assert send_by + window - deadline <= timedelta(seconds=0.251)
