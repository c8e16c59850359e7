"""Alpaca's trade updates, over the real SDK, against the simulated ones."""

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from logos_alpaca.simulator import StreamingAlpaca
from logos_core import Adapter, Order, OrderStatus, StreamConfig, StreamNotReadyError
from logos_core.testing.server import HttpResponse, LoopbackServer
from logos_core.testing.streaming import StreamFault, StreamPlan

WITHIN_S = 10.0
QUICK = StreamConfig(hello_within_s=3.0, heartbeat_s=0.2, backoff_s=0.01, backoff_s_max=0.05, pace_s=0.05, end_within_s=2.0)


class Desk:
    def __init__(self, folder, server):
        self.server, self.app, self.exchange = server, server.app, server.app.exchange
        path = folder / "preset.toml"
        path.write_text(
            f'schema = 1\nvenue = "alpaca"\nenvironment = "simulator"\nstrategy = "test"\nbase_url = "{server.url}"\n'
            f'[credentials]\nkey_id = "env:KEY"\nsecret_key = "env:KEY"\n[rate_limit]\nrequests = 100000\nperiod_s = 1.0\n'
            f'[session]\nruns = "{folder / "runs"}"\ntimeout_s = 2.0\n'
        )
        self.adapter = Adapter.open(path, home=folder / "home", environ={"KEY": "key"})

    def rest(self, name="one", quantity="10"):
        return self.adapter.submit(Order.limit("AAPL", "buy", quantity=quantity, price="50", intent_id=name))

    def report(self, order):
        found = self.adapter.ledger.find(order.client_order_id)
        assert found is not None
        return found.report


class OddAlpaca(StreamingAlpaca):
    """The simulator, but for what a test lets it say."""

    ack: Any = None
    odd: bytes | None = None
    redirect = False

    def greet(self, wire, stopping):
        if self.ack is None:
            return super().greet(wire, stopping)
        wire.attend(1.0)
        wire.send(json.dumps({"stream": "authorization", "data": {"status": "authorized", "action": "authenticate"}}).encode())
        wire.attend(1.0)
        wire.send(json.dumps(self.ack).encode())
        return True

    def stream(self, request):
        return None if self.redirect else super().stream(request)

    def handle(self, request):
        if self.redirect and request.path == "/stream":
            return HttpResponse(302, b"", (("Location", "http://127.0.0.1:9/elsewhere"),))
        return super().handle(request)

    def tell(self, transaction):
        return [self.odd] if self.odd is not None else super().tell(transaction)


@pytest.fixture
def desk(tmp_path):
    with LoopbackServer(OddAlpaca(requests_per_minute=None)) as server:
        made = Desk(tmp_path, server)
        yield made
        made.adapter.close()
        assert [] == [entry.failure for entry in server.wire if entry.failure]


def until(holds, within_s=WITHIN_S):
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s, "it did not come to be"
        time.sleep(0.005)


def test_a_fill_is_told_and_its_trade_is_asked_for_since_the_stream_calls_it_by_another_id(desk):
    resting = desk.rest()
    with desk.adapter.listen(QUICK) as stream:
        assert stream.wait_until_whole(WITHIN_S)
        desk.exchange.fill(resting.venue_order_id, Decimal(4))
        until(lambda: desk.report(resting).status is OrderStatus.PARTIALLY_FILLED)
        desk.exchange.fill(resting.venue_order_id, Decimal(6))
        until(lambda: desk.report(resting).status is OrderStatus.FILLED)
        until(lambda: len(desk.report(resting).executions) == 2)
        assert stream.wait_until_whole(WITHIN_S)
    assert [Decimal(4), Decimal(6)] == [item.quantity for item in desk.report(resting).executions]


def test_an_end_is_told_without_a_question(desk):
    resting = desk.rest()
    with desk.adapter.listen(QUICK) as stream:
        assert stream.wait_until_whole(WITHIN_S)
        asked = sum(entry.operation == "reconcile" for entry in desk.server.wire)
        desk.exchange.cancel(resting.venue_order_id)
        until(lambda: desk.report(resting).status is OrderStatus.CANCELED)

        assert asked == sum(entry.operation == "reconcile" for entry in desk.server.wire)


@pytest.mark.parametrize("fault", [StreamFault.GARBAGE, StreamFault.CUT, StreamFault.SILENCE])
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


def test_an_update_that_is_never_told_is_found_by_asking_every_so_often(desk):
    """Alpaca numbers nothing, so nothing shows that it is missing."""
    resting = desk.rest()
    with desk.adapter.listen(evolve(QUICK, ask_every_s=0.3)) as stream:
        assert stream.wait_until_whole(WITHIN_S)
        desk.app.feed.plan = StreamPlan({StreamFault.DROP: 1.0})
        desk.exchange.fill(resting.venue_order_id, Decimal(10))
        until(lambda: desk.report(resting).status is OrderStatus.FILLED)
        assert 0 == stream.state.gaps_closed


def test_a_connection_that_breaks_is_not_mended_behind_our_back(desk):
    """The SDK's own loop would connect again and say nothing of it."""
    with desk.adapter.listen(QUICK) as stream:
        desk.app.feed.plan = StreamPlan({StreamFault.CUT: 1.0})
        desk.rest()
        until(lambda: stream.state.reconnects >= 1)
        desk.app.feed.plan = StreamPlan()
        until(lambda: stream.state.connected_since is not None)
        until(lambda: desk.app.feed.connections == stream.state.reconnects + 1)
        assert stream.wait_until_whole(WITHIN_S)
    assert stream.state.gaps_closed >= 1


def test_a_quiet_account_is_alive_as_long_as_it_answers_pings(desk):
    with desk.adapter.listen(QUICK) as stream:
        time.sleep(1.5)

        assert (0, None) == (stream.state.reconnects, stream.state.trouble)


def test_a_key_that_is_not_let_in_is_an_error_at_once(desk):
    desk.app._keys["apca-api-secret-key"] = "another"
    with pytest.raises(StreamNotReadyError, match="did not authorise the key"):
        desk.adapter.listen(QUICK)


def test_a_redirect_is_not_followed_with_the_key(desk):
    desk.app.redirect = True
    with pytest.raises(StreamNotReadyError, match=r"redirected to .*elsewhere.*, which is not followed"):
        desk.adapter.listen(QUICK)


@pytest.mark.parametrize(
    ("ack", "why"),
    [
        ({"stream": "listening", "data": {"streams": []}}, r"does not tell trade_updates; it acknowledged \[\]"),
        ({"stream": "listening", "data": {"error": "internal"}}, "does not tell trade_updates"),
        ({"stream": "somebody else's", "data": {}}, r"no hello within 0\.5 s"),
    ],
)
def test_without_its_acknowledgement_there_is_no_hello(desk, ack, why):
    desk.app.ack = ack
    with pytest.raises(StreamNotReadyError, match=why):
        desk.adapter.listen(evolve(QUICK, hello_within_s=0.5))


def test_a_stream_that_says_nothing_at_all_is_an_error_early(desk):
    desk.app.feed.plan = StreamPlan({StreamFault.NO_HELLO: 1.0})
    began_s = time.monotonic()
    with pytest.raises(StreamNotReadyError, match="no hello within"):
        desk.adapter.listen(evolve(QUICK, hello_within_s=0.5))

    assert time.monotonic() - began_s < 3.0


@pytest.mark.parametrize(
    "odd", [b"[]", b"\xff\xfe", b'{"stream":"trade_updates"}', b'{"stream":"trade_updates","data":{"event":"fill","order":{}}}']
)
def test_an_update_that_cannot_be_read_is_asked_about_and_ends_nothing(desk, odd):
    resting = desk.rest()
    with desk.adapter.listen(QUICK) as stream:
        assert stream.wait_until_whole(WITHIN_S)
        desk.app.odd = odd
        desk.exchange.fill(resting.venue_order_id, Decimal(10))
        until(lambda: desk.report(resting).status is OrderStatus.FILLED)

        assert 0 == stream.state.reconnects


def test_an_event_of_a_name_nobody_knows_tells_of_its_order_all_the_same(desk):
    resting = desk.rest()
    with desk.adapter.listen(QUICK) as stream:
        assert stream.wait_until_whole(WITHIN_S)
        body = json.loads(StreamingAlpaca.tell(desk.app, desk.exchange.transactions()[0])[0])
        body["data"] |= {"event": "invented", "order": {**body["data"]["order"], "status": "canceled"}}
        desk.app.odd = json.dumps(body).encode()
        desk.exchange.fill(resting.venue_order_id, Decimal(1))
        until(lambda: desk.report(resting).status is OrderStatus.CANCELED)


def test_an_order_whose_answer_and_events_race_is_on_record_once(desk):
    with desk.adapter.listen(QUICK) as stream:
        for number in range(20):
            desk.adapter.submit(Order.market("AAPL", "buy", quantity="1", intent_id=f"m{number}"))
        until(lambda: 20 == sum(event.kind == "execution" for event in desk.adapter.audit_log))
        assert stream.wait_until_whole(WITHIN_S)
    assert 20 == sum(event.kind == "execution" for event in desk.adapter.audit_log)
    assert [] == desk.adapter.ledger.latched() + desk.adapter.ledger.working()
