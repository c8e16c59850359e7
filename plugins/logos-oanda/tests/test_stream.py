"""OANDA's transaction stream, over the real SDK, against the simulated one."""

import time
from decimal import Decimal

import pytest
from attrs import evolve

from logos_core import Adapter, Order, OrderStatus, StreamConfig, StreamNotReadyError
from logos_core.testing.server import LoopbackServer
from logos_core.testing.streaming import StreamFault, StreamPlan
from logos_oanda.simulator import ACCOUNT, StreamingOanda

WITHIN_S = 10.0
QUICK = StreamConfig(hello_within_s=2.0, heartbeat_s=0.1, backoff_s=0.01, backoff_s_max=0.05, pace_s=0.05, end_within_s=2.0)


class Desk:
    def __init__(self, folder, server):
        self.server, self.app, self.exchange = server, server.app, server.app.exchange
        path = folder / "preset.toml"
        path.write_text(
            f'schema = 1\nvenue = "oanda"\nenvironment = "simulator"\nstrategy = "test"\nbase_url = "{server.url}"\n'
            f'[credentials]\ntoken = "env:TOKEN"\n[venue_options]\naccount = "{ACCOUNT}"\n'
            f'[session]\nruns = "{folder / "runs"}"\ntimeout_s = 2.0\n'
        )
        self.adapter = Adapter.open(path, home=folder / "home", environ={"TOKEN": "token"})

    def rest(self, name="one", quantity="10"):
        return self.adapter.submit(Order.limit("EUR_USD", "buy", quantity=quantity, price="0.5", intent_id=name))

    def report(self, order):
        found = self.adapter.ledger.find(order.client_order_id)
        assert found is not None
        return found.report


@pytest.fixture
def desk(tmp_path):
    app = StreamingOanda()
    app.feed.heartbeat_s = 0.05
    with LoopbackServer(app) as server:
        made = Desk(tmp_path, server)
        yield made
        made.adapter.close()
        assert [] == [entry.failure for entry in server.wire if entry.failure]


def until(holds, within_s=WITHIN_S):
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s, "it did not come to be"
        time.sleep(0.005)


def questions(desk):
    return sum(entry.operation == "reconcile" for entry in desk.server.wire)


def test_what_the_connection_has_told_whole_needs_no_question(desk):
    with desk.adapter.listen(QUICK) as stream:
        assert stream.wait_until_whole(WITHIN_S)
        asked = questions(desk)
        resting = desk.rest()
        desk.exchange.fill(resting.venue_order_id, Decimal(4))
        until(lambda: desk.report(resting).status is OrderStatus.PARTIALLY_FILLED)
        desk.exchange.fill(resting.venue_order_id, Decimal(6))
        until(lambda: desk.report(resting).status is OrderStatus.FILLED)

        assert asked == questions(desk)
        assert stream.state.whole
    assert [Decimal(4), Decimal(6)] == [item.quantity for item in desk.report(resting).executions]


def test_an_end_is_told_as_well(desk):
    with desk.adapter.listen(QUICK):
        resting = desk.rest()
        desk.exchange.cancel(resting.venue_order_id)
        until(lambda: desk.report(resting).status is OrderStatus.CANCELED)


def test_an_order_that_began_before_the_connection_is_asked_about(desk):
    filling, ending = desk.rest("fills"), desk.rest("ends")
    with desk.adapter.listen(QUICK) as stream:
        assert stream.wait_until_whole(WITHIN_S)
        desk.exchange.fill(filling.venue_order_id, Decimal(10))
        desk.exchange.cancel(ending.venue_order_id)
        until(lambda: desk.report(filling).status is OrderStatus.FILLED)
        until(lambda: desk.report(ending).status is OrderStatus.CANCELED)
        assert stream.wait_until_whole(WITHIN_S)
    assert 1 == len(desk.report(filling).executions)


@pytest.mark.parametrize("fault", [StreamFault.DROP, StreamFault.SWAP, StreamFault.GARBAGE, StreamFault.CUT, StreamFault.SILENCE])
def test_what_a_fault_keeps_back_is_found_all_the_same(desk, fault):
    resting = desk.rest()
    with desk.adapter.listen(QUICK) as stream:
        assert stream.wait_until_whole(WITHIN_S)
        desk.app.feed.plan = StreamPlan({fault: 1.0})
        desk.exchange.fill(resting.venue_order_id, Decimal(10))
        until(lambda: desk.app.feed.plan.applied)
        desk.app.feed.plan = StreamPlan()
        until(lambda: desk.report(resting).status is OrderStatus.FILLED)
        assert stream.wait_until_whole(WITHIN_S)
    assert [Decimal(10)] == [item.quantity for item in desk.report(resting).executions]


def test_an_event_told_twice_is_on_record_once(desk):
    with desk.adapter.listen(QUICK):
        desk.app.feed.plan = StreamPlan({StreamFault.DUPLICATE: 1.0})
        resting = desk.rest()
        desk.exchange.fill(resting.venue_order_id, Decimal(10))
        until(lambda: desk.report(resting).status is OrderStatus.FILLED)
    assert 1 == len(desk.report(resting).executions)


def test_a_stream_that_never_says_hello_is_an_error_early(desk):
    desk.app.feed.plan = StreamPlan({StreamFault.NO_HELLO: 1.0})
    with pytest.raises(StreamNotReadyError, match="no hello within 0"):
        desk.adapter.listen(evolve(QUICK, hello_within_s=0.2))

    assert 1 == desk.app.feed.connections


def test_a_token_that_is_not_let_in_is_an_error_at_once(desk):
    desk.app._token = "another"
    with pytest.raises(StreamNotReadyError, match="V20Error"):
        desk.adapter.listen(QUICK)


def test_closing_ends_a_read_that_waits(desk):
    stream = desk.adapter.listen(evolve(QUICK, heartbeat_s=30.0))
    desk.app.feed.plan = StreamPlan({StreamFault.SILENCE: 1.0})
    desk.rest()
    until(lambda: desk.app.feed.plan.applied)
    began_s = time.monotonic()
    stream.close()

    assert time.monotonic() - began_s < 1.0


def test_an_order_whose_answer_and_events_race_is_on_record_once(desk):
    """A market order trades at once."""
    with desk.adapter.listen(QUICK) as stream:
        for number in range(20):
            report = desk.adapter.submit(Order.market("EUR_USD", "buy", quantity="1", intent_id=f"m{number}"))
            assert OrderStatus.FILLED == report.status
        assert stream.wait_until_whole(WITHIN_S)
    assert 20 == len(desk.exchange.executions()) == sum(event.kind == "execution" for event in desk.adapter.audit_log)
    assert [] == desk.adapter.ledger.latched()
