"""The simulator's own rules, by plain requests: the venue's client must not be the judge of its opponent."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest

from logos_ccxt.binance.simulator import BinanceSimulator
from logos_core.testing.server import HttpRequest

NOW = datetime(2026, 5, 4, 3, 2, 1, 250_000, tzinfo=UTC)
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "50000"}


class Caller:
    def __init__(self, **options):
        self.now = NOW
        self.app = BinanceSimulator(now=lambda: self.now, **options)

    def __call__(self, method, path, fields=None, *, key="key", secret="key", sent_at=None, **more):
        stamp = int((sent_at or self.now).timestamp() * 1000)
        query = urlencode({**(fields or {}), "timestamp": stamp, **more})
        query += "&signature=" + hmac.new(secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        headers = {"x-mbx-apikey": key} if key else {}
        target = f"/api/v3/{path}"
        if method == "POST":
            answer = self.app.handle(HttpRequest(method, target, headers, query.encode()))
        else:
            answer = self.app.handle(HttpRequest(method, f"{target}?{query}", headers))
        self.headers = dict(answer.headers)
        return answer.status, json.loads(answer.body)

    def code(self, *args, **more):
        status, body = self(*args, **more)
        return status, body.get("code")


@pytest.fixture
def call():
    return Caller()


@pytest.mark.parametrize(
    ("key", "secret", "expected"),
    [("key", "key", (200, None)), ("", "key", (401, -2014)), ("other", "other", (401, -2015)), ("key", "other", (400, -1022))],
)
def test_key_and_signature_are_checked(key, secret, expected):
    assert expected == Caller(api_key="key").code("GET", "account", key=key, secret=secret)


@pytest.mark.parametrize(
    ("late_ms", "window", "code"),
    [(5000, {}, None), (5001, {}, -1021), (9000, {"recvWindow": 9000}, None), (-999, {}, None), (-1000, {}, -1021)],
)
def test_a_request_outside_its_window_is_refused(call, late_ms, window, code):
    sent_at = NOW - timedelta(milliseconds=late_ms)

    assert code == call.code("GET", "account", sent_at=sent_at, **window)[1]


def test_a_window_above_a_minute_is_refused(call):
    assert (400, -1131) == call.code("GET", "account", recvWindow=60_001)


@pytest.mark.parametrize(("checks", "expected"), [(False, (200, None)), (True, (400, -5028))])
def test_whether_the_engine_looks_at_the_window_is_a_belief(checks, expected):
    call = Caller(engine_delay_s=6.0, engine_checks_window=checks, wait=lambda s: setattr(call, "now", NOW + timedelta(seconds=s)))

    assert expected == call.code("POST", "order", LIMIT)
    assert (0 if checks else 1) == len(call.app.exchange.orders())


@pytest.mark.parametrize(("stays", "status"), [(False, 200), (True, 400)])
def test_whether_a_cancelled_id_stays_taken_is_a_belief(stays, status):
    call = Caller(cancelled_id_stays_taken=stays)
    call("POST", "order", LIMIT, newClientOrderId="a")
    call("DELETE", "order", {"symbol": "BTCUSDT"}, origClientOrderId="a")

    assert status == call("POST", "order", LIMIT, newClientOrderId="a")[0]


@pytest.mark.parametrize(("latest", "order_id"), [(True, 3), (False, 1)])
def test_which_of_two_orders_a_lookup_finds_is_a_belief(latest, order_id):
    call = Caller(lookup_finds_latest=latest)
    for _ in range(2):
        call("POST", "order", {**LIMIT, "price": "60000"}, newClientOrderId="a")

    assert order_id == call("GET", "order", {"symbol": "BTCUSDT"}, origClientOrderId="a")[1]["orderId"]


def test_an_order_may_stay_invisible_for_a_while():
    call = Caller(visible_after_s=2.0)
    call("POST", "order", LIMIT, newClientOrderId="a")
    early = call.code("GET", "order", {"symbol": "BTCUSDT"}, origClientOrderId="a"), call("GET", "allOrders", {"symbol": "BTCUSDT"})
    call.now += timedelta(seconds=2)

    assert ((400, -2013), (200, [])) == early
    assert "a" == call("GET", "order", {"symbol": "BTCUSDT"}, origClientOrderId="a")[1]["clientOrderId"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"symbol": "NOPE"}, -1121),
        ({"side": "HOLD"}, -1117),
        ({"type": "PEGGED"}, -1116),
        ({"timeInForce": "DAY"}, -1115),
        ({"quantity": "1e3"}, -1100),
        ({"quantity": "-1"}, -1100),
        ({"quantity": "0.000000001"}, -1111),
        ({"price": ""}, -1102),
        ({"type": "MARKET"}, -1106),
        ({"newClientOrderId": "a b"}, -1100),
        ({"quantity": "0.000015"}, -1013),
        ({"stopPrice": "1"}, -1106),
        ({"icebergQty": "1"}, -1104),
    ],
    ids=str,
)
def test_a_wrong_order_is_refused_with_its_code(call, change, code):
    assert (400, code) == call.code("POST", "order", {**LIMIT, **change})
    assert [] == call.app.exchange.orders()


def test_lists_begin_at_an_id_or_a_time_and_else_show_the_latest(call):
    for _ in range(3):
        call("POST", "order", LIMIT)
        call.now += timedelta(seconds=10)
    start = int((NOW + timedelta(seconds=5)).timestamp() * 1000)

    def listed(**query):
        return [row["orderId"] for row in call("GET", "allOrders", {"symbol": "BTCUSDT"}, **query)[1]]

    assert ([2, 3], [2, 3], [2], [3]) == (
        listed(orderId=2),
        listed(startTime=start),
        listed(startTime=start, limit=1),
        listed(limit=1),
    )


def test_weights_and_orders_are_counted_and_limited():
    call = Caller(weight_per_minute=25, orders_per_10_s=1)
    call("POST", "order", LIMIT)
    counted = call.headers["X-MBX-USED-WEIGHT-1M"], call.headers["X-MBX-ORDER-COUNT-10S"]
    second = call.code("POST", "order", LIMIT)
    call("GET", "account")
    over = call.code("GET", "account")

    assert (("1", "1"), (429, -1015), (429, -1003)) == (counted, second, over)
    call.now += timedelta(seconds=60)
    assert (200, None) == call.code("GET", "account")


def test_commission_is_taken_from_what_is_received():
    call = Caller(fee_rate=Decimal("0.01"))
    answer = call("POST", "order", {"symbol": "ETHUSDT", "side": "SELL", "type": "MARKET", "quantity": "2"})[1]

    assert ("60.00000000", "USDT") == (answer["fills"][0]["commission"], answer["fills"][0]["commissionAsset"])
    assert Decimal(105_940) == call.app.exchange.balance("USDT").free


def test_the_wire_log_knows_the_client_order_id_of_every_call_on_an_order(call):
    call("POST", "order", LIMIT, newClientOrderId="a")
    requests = [
        HttpRequest("POST", "/api/v3/order", {}, b"newClientOrderId=a"),
        HttpRequest("GET", "/api/v3/order?origClientOrderId=a"),
        HttpRequest("DELETE", "/api/v3/order?orderId=1"),
        HttpRequest("POST", "/api/v3/order", {}, b"\xff\xfe"),
    ]

    assert ["a", "a", "a", None] == [call.app.client_order_id(request) for request in requests]


def test_the_answer_to_a_cancel_tells_when_and_nothing_that_only_a_lookup_tells(call):
    call("POST", "order", {**LIMIT, "newClientOrderId": "one"})
    _, body = call("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "one"})

    assert int(NOW.timestamp() * 1000) == body["transactTime"]
    assert set() == {"time", "updateTime", "isWorking", "workingTime", "stopPrice", "icebergQty"} & body.keys()


def test_the_account_tells_its_commission_in_basis_points_and_as_a_rate():
    call = Caller(fee_rate=Decimal("0.0015"))
    _, body = call("GET", "account")

    assert (15, 15, 0, 0) == tuple(body[f"{who}Commission"] for who in ("maker", "taker", "buyer", "seller"))
    assert {"maker": "0.00150000", "taker": "0.00150000", "buyer": "0.00000000", "seller": "0.00000000"} == body["commissionRates"]
