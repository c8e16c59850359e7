"""Binance's user data stream, over the real ccxt.pro, against the simulated one."""

import asyncio
import json
import time
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import ccxt
import ccxt.pro
import pytest
from attrs import evolve

from logos_ccxt.binance.simulator_stream import StreamingBinance
from logos_ccxt.binance.stream import NAMES, Listening, as_answered, stream_url
from logos_core import Adapter, Order, OrderStatus, StreamConfig, StreamNotReadyError
from logos_core.hookspecs import BadAnswerError
from logos_core.testing.server import HttpResponse, LoopbackServer
from logos_core.testing.streaming import StreamFault, StreamPlan

WITHIN_S = 10.0
QUICK = StreamConfig(hello_within_s=3.0, heartbeat_s=0.4, backoff_s=0.01, backoff_s_max=0.05, pace_s=0.05, end_within_s=2.0)


class Desk:
    def __init__(self, folder, server):
        self.server, self.app, self.exchange = server, server.app, server.app.exchange
        path = folder / "preset.toml"
        path.write_text(
            f'schema = 1\nvenue = "ccxt:binance"\nenvironment = "simulator"\nstrategy = "test"\nbase_url = "{server.url}"\n'
            f'[credentials]\napi_key = "env:KEY"\nsecret = "env:KEY"\n[rate_limit]\nrequests = 100000\nperiod_s = 1.0\n'
            f'[session]\nruns = "{folder / "runs"}"\ntimeout_s = 2.0\n'
        )
        self.adapter: Any = Adapter.open(path, home=folder / "home", environ={"KEY": "key"})

    def rest(self, name="one", quantity="0.01"):
        return self.adapter.submit(Order.limit("BTC/USDT", "buy", quantity=quantity, price="30000", intent_id=name))

    def report(self, order):
        return self.adapter.ledger.find(order.client_order_id).report

    def asked(self):
        return sum(entry.operation == "reconcile" for entry in self.server.wire)


class OddBinance(StreamingBinance):
    """The simulator, but for what a test lets it say."""

    odd: bytes | None = None
    redirect = False

    def stream(self, request):
        return None if self.redirect else super().stream(request)

    def handle(self, request):
        if request.path == "/ws-api/v3":
            return HttpResponse(302, b"", (("Location", "http://127.0.0.1:9/elsewhere"),))
        return super().handle(request)

    def tell(self, transaction):
        return [self.odd] if self.odd is not None else super().tell(transaction)


@pytest.fixture
def desk(tmp_path):
    with LoopbackServer(OddBinance(weight_per_minute=None, orders_per_10_s=None)) as server:
        made = Desk(tmp_path, server)
        yield made
        made.adapter.close()
        assert [] == [entry.failure for entry in server.wire if entry.failure]


def until(holds, within_s=WITHIN_S):
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s, "it did not come to be"
        time.sleep(0.005)


def test_a_fill_is_told_and_its_trade_is_asked_for(desk):
    resting = desk.rest()
    with desk.adapter.listen(QUICK) as stream:
        desk.exchange.fill(resting.venue_order_id, Decimal("0.004"))
        until(lambda: desk.report(resting).status is OrderStatus.PARTIALLY_FILLED)
        desk.exchange.fill(resting.venue_order_id, Decimal("0.006"))
        until(lambda: desk.report(resting).status is OrderStatus.FILLED)
        until(lambda: len(desk.report(resting).executions) == 2)

        assert 0 == stream.state.reconnects
    assert [Decimal("0.004"), Decimal("0.006")] == [item.quantity for item in desk.report(resting).executions]


def test_an_end_is_told_without_a_question_and_under_the_orders_own_id(desk):
    resting = desk.rest()
    with desk.adapter.listen(QUICK) as stream:
        assert stream.wait_until_whole(20.0)
        asked = desk.asked()
        desk.exchange.cancel(resting.venue_order_id)
        until(lambda: desk.report(resting).status is OrderStatus.CANCELED)

        assert asked == desk.asked()


@pytest.mark.parametrize("fault", [StreamFault.GARBAGE, StreamFault.CUT, StreamFault.SILENCE])
def test_what_a_fault_keeps_back_is_found_all_the_same(desk, fault):
    """What ccxt cannot read stops its reading for good; here that ends the connection at once."""
    resting = desk.rest()
    with desk.adapter.listen(QUICK) as stream:
        desk.app.feed.plan = StreamPlan({fault: 1.0})
        desk.exchange.fill(resting.venue_order_id, Decimal("0.01"))
        until(lambda: desk.app.feed.plan.applied)
        desk.app.feed.plan = StreamPlan()
        until(lambda: desk.report(resting).status is OrderStatus.FILLED)
        until(lambda: stream.state.reconnects >= 1)
        until(lambda: stream.state.connected_since is not None)
    assert [Decimal("0.01")] == [item.quantity for item in desk.report(resting).executions]


def test_a_quiet_account_is_alive_as_long_as_it_answers_pings(desk):
    with desk.adapter.listen(QUICK) as stream:
        time.sleep(2.5)

        assert (0, None) == (stream.state.reconnects, stream.state.trouble)


def test_a_key_that_is_not_let_in_is_an_error_at_once(desk):
    desk.app._api_key = "another"
    with pytest.raises(StreamNotReadyError, match="AuthenticationError"):
        desk.adapter.listen(QUICK)


def test_a_redirect_is_not_followed_with_the_signature(desk):
    desk.app.redirect = True
    with pytest.raises(StreamNotReadyError, match="did not begin"):
        desk.adapter.listen(QUICK)

    assert 0 == desk.app.feed.connections


def test_a_stream_that_says_nothing_at_all_is_an_error_early(desk):
    desk.app.feed.plan = StreamPlan({StreamFault.NO_HELLO: 1.0})
    with pytest.raises(StreamNotReadyError, match="no hello within"):
        desk.adapter.listen(evolve(QUICK, hello_within_s=0.5))


@pytest.mark.parametrize(
    "odd",
    [b"{}", b"[]", b'"hello"', b'{"event":{"e":"executionReport"}}', b'{"event":{"e":"executionReport","s":"NEWUSDT","i":1}}'],
)
def test_an_event_that_cannot_be_read_is_asked_about_and_ends_nothing(desk, odd):
    resting = desk.rest()
    with desk.adapter.listen(QUICK) as stream:
        desk.app.odd = odd
        desk.exchange.fill(resting.venue_order_id, Decimal("0.01"))
        until(lambda: desk.report(resting).status is OrderStatus.FILLED)

        assert 0 == stream.state.reconnects


def test_a_venue_that_has_fallen_silent_is_not_waited_for(desk):
    """aiohttp would wait ten seconds for its farewell."""
    with desk.adapter.listen(QUICK) as stream:
        desk.app.feed.plan = StreamPlan({StreamFault.SILENCE: 1.0})
        desk.rest()
        until(lambda: desk.app.feed.plan.applied)
        desk.app.feed.plan = StreamPlan()
        until(lambda: stream.state.reconnects >= 1, 6.0)


def test_the_end_of_the_subscription_ends_the_connection(desk):
    with desk.adapter.listen(QUICK) as stream:
        desk.app.odd = b'{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}'
        desk.rest()
        until(lambda: stream.state.reconnects >= 1)


def test_listening_makes_no_request(desk):
    before = len(desk.server.wire)
    with desk.adapter.listen(QUICK):
        requests = {(entry.method, entry.target.partition("?")[0]) for entry in desk.server.wire[before:]}

    # What the core asks with, after the hello, over the guarded client.
    assert requests <= {("GET", f"/api/v3/{path}") for path in ("account", "openOrders", "exchangeInfo")}


def test_the_client_that_listens_refuses_to_ask(desk):
    """It knows no address but the stream's, and were it given one, it would not go there."""
    settings = desk.adapter._parts.venue.hooks.submit.get_hookimpls()[0].plugin._settings
    before = len(desk.server.wire)

    async def ask(*, tempted):
        listening: Any = Listening(settings, str, SimpleNamespace(heartbeat_s=1.0))
        if tempted:
            listening.urls["api"] |= dict.fromkeys(("public", "private", "sapi"), f"{desk.server.url}/api/v3")
        try:
            await listening.load_markets()
        finally:
            await listening.close()

    with pytest.raises(ccxt.NotSupported):
        asyncio.run(ask(tempted=False))
    with pytest.raises(BadAnswerError, match="nothing was sent"):
        asyncio.run(ask(tempted=True))
    assert before == len(desk.server.wire)


def test_the_addresses_are_the_sdks_own():
    def where(environment):
        settings: Any = SimpleNamespace(environment=environment, base_url="http://127.0.0.1:1")
        return stream_url(ccxt.pro.binance(), settings)

    assert "wss://ws-api.testnet.binance.vision/ws-api/v3" == where("paper")
    assert "wss://ws-api.binance.com:443/ws-api/v3" == where("live")
    assert "ws://127.0.0.1:1/ws-api/v3" == where("simulator")


def test_an_event_has_the_names_of_an_answer(desk):
    resting = desk.rest()
    desk.exchange.cancel(resting.venue_order_id)
    told = json.loads(desk.app.tell(desk.exchange.transactions()[-1])[0])["event"]

    assert resting.client_order_id == as_answered(told)["clientOrderId"] != told["c"]
    assert set(as_answered(told)) == {"clientOrderId", *NAMES.values()} - {"trailingDelta"}


def test_an_order_whose_answer_and_events_race_is_on_record_once(desk):
    with desk.adapter.listen(QUICK):
        for number in range(20):
            desk.adapter.submit(Order.market("BTC/USDT", "buy", quantity="0.001", intent_id=f"m{number}"))
        until(lambda: 20 == sum(event.kind == "execution" for event in desk.adapter.audit_log))
        time.sleep(0.5)
    assert 20 == sum(event.kind == "execution" for event in desk.adapter.audit_log)
    assert [] == desk.adapter.ledger.latched() + desk.adapter.ledger.working()
