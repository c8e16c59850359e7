"""The simulator's own rules, by plain requests: the venue's client must not be the judge of its opponent."""

import hashlib
import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

import pytest

from logos_ccxt.kraken.simulator import KrakenSimulator
from logos_core.testing.server import HttpRequest

NOW = datetime(2026, 5, 4, 3, 2, 1, 250_000, tzinfo=UTC)
LIMIT = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "volume": "0.01", "price": "50000"}


class Caller:
    def __init__(self, **options):
        self.now = NOW
        self.nonce = 0
        self.app = KrakenSimulator(now=lambda: self.now, wait=self.pass_time, **options)

    def __call__(self, method, fields=None, *, key="key", secret="key", nonce=None, **more):
        self.nonce += 1
        sent = {"nonce": str(self.nonce if nonce is None else nonce), **(fields or {}), **more}
        body, path = urlencode(sent).encode(), f"/0/private/{method}"
        signed = path.encode() + hashlib.sha256(sent["nonce"].encode() + body).digest()
        sign = b64encode(hmac.new(secret.encode(), signed, hashlib.sha512).digest()).decode()
        headers = {"api-key": key, "api-sign": sign, "content-type": "application/x-www-form-urlencoded"}
        answer = self.app.handle(HttpRequest("POST", path, headers, body))
        assert 200 == answer.status
        return json.loads(answer.body)

    def error(self, *args, **more):
        return self(*args, **more)["error"]

    def pass_time(self, seconds):
        self.now += timedelta(seconds=seconds)

    def at(self, offset_s: float) -> str:
        return (self.now + timedelta(seconds=offset_s)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def call():
    return Caller()


@pytest.mark.parametrize(
    ("key", "secret", "expected"),
    [
        ("key", "key", []),
        ("", "key", ["EAPI:Invalid key"]),
        ("other", "other", ["EAPI:Invalid key"]),
        ("key", "other", ["EAPI:Invalid signature"]),
    ],
)
def test_key_and_signature_are_checked(key, secret, expected):
    assert expected == Caller(api_key="key").error("BalanceEx", key=key, secret=secret)


@pytest.mark.parametrize(
    ("options", "nonces", "refused"),
    [
        ({}, [5, 6, 6, 4], [False, False, True, True]),
        ({"nonce_window": 2}, [5, 4, 4, 3], [False, False, False, True]),
        ({"nonce_enforced": False}, [5, 1], [False, False]),
    ],
)
def test_how_nonces_are_looked_at_is_a_belief(options, nonces, refused):
    call = Caller(**options)

    assert refused == [call.error("BalanceEx", nonce=nonce) == ["EAPI:Invalid nonce"] for nonce in nonces]


@pytest.mark.parametrize(
    ("enforced_by", "taken"), [("engine", [False, False, True]), ("gateway", [False, True, True]), ("nobody", [True, True, True])]
)
def test_who_enforces_the_deadline_is_a_belief(enforced_by, taken):
    """One order comes late, one is late only when it is matched, one is in time."""
    call = Caller(deadline_enforced_by=enforced_by)
    late = call.error("AddOrder", LIMIT, deadline=call.at(-0.001))
    call.app.engine_delay_s = 6.0
    queued = call.error("AddOrder", LIMIT, deadline=call.at(5))
    in_time = call.error("AddOrder", LIMIT, deadline=call.at(7))

    assert taken == [error == [] for error in (late, queued, in_time)]
    assert all(error in ([], ["EService:Deadline elapsed"]) for error in (late, queued, in_time))
    assert sum(taken) == len(call.app.exchange.orders())


@pytest.mark.parametrize(("offset_s", "taken"), [(0.4, False), (0.5, True), (60, True), (60.1, False)])
def test_a_deadline_must_lie_near_and_not_too_near(call, offset_s, taken):
    assert ([] if taken else ["EGeneral:Invalid arguments:deadline"]) == call.error("AddOrder", LIMIT, deadline=call.at(offset_s))


@pytest.mark.parametrize("deadline", ["soon", "2026-05-04T03:02:05", ""])
def test_a_deadline_is_a_time_with_a_zone(call, deadline):
    assert ["EGeneral:Invalid arguments:deadline"] == call.error("AddOrder", LIMIT, deadline=deadline)


@pytest.mark.parametrize(("delay_s", "taken"), [(4.9, True), (5.1, False)])
def test_without_a_deadline_there_is_one_of_five_seconds(delay_s, taken):
    call = Caller(engine_delay_s=delay_s)

    assert ([] if taken else ["EService:Deadline elapsed"]) == call.error("AddOrder", LIMIT)


@pytest.mark.parametrize("unique", [True, False])
def test_whether_an_id_is_refused_while_its_order_is_open_is_a_belief(unique):
    call = Caller(cl_ord_id_unique_among_open=unique)
    call("AddOrder", LIMIT, cl_ord_id="a")

    assert ([call.app.duplicate_error] if unique else []) == call.error("AddOrder", LIMIT, cl_ord_id="a")
    call("CancelOrder", cl_ord_id="a")
    call("CancelOrder", cl_ord_id="a")
    assert [] == call.error("AddOrder", LIMIT, cl_ord_id="a")


@pytest.mark.parametrize(("filters", "names"), [(True, ["a"]), (False, ["a", "b"])])
def test_whether_a_list_is_filtered_is_a_belief(filters, names):
    call = Caller(filters_by_cl_ord_id=filters)
    for name in ("a", "b"):
        call("AddOrder", LIMIT, cl_ord_id=name)

    assert names == [row["cl_ord_id"] for row in call("OpenOrders", cl_ord_id="a")["result"]["open"].values()]


def test_an_order_may_stay_invisible_for_a_while():
    call = Caller(visible_after_s=2.0)
    call("AddOrder", LIMIT, cl_ord_id="a")
    early = call("OpenOrders")["result"]["open"], call("OpenOrders", cl_ord_id="a")["result"]["open"]
    call.now += timedelta(seconds=2)

    assert ({}, {}) == early
    assert 1 == len(call("OpenOrders", cl_ord_id="a")["result"]["open"])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"pair": "NOPE"}, "EQuery:Unknown asset pair"),
        ({"type": "hold"}, "EGeneral:Invalid arguments:type"),
        ({"ordertype": "iceberg"}, "EGeneral:Invalid arguments:ordertype"),
        ({"ordertype": "market"}, "EGeneral:Invalid arguments:price"),
        ({"ordertype": "trailing-stop"}, "EGeneral:Invalid arguments:price"),
        ({"ordertype": "stop-loss", "price2": "1"}, "EGeneral:Invalid arguments:price2"),
        ({"timeinforce": "FOK"}, "EGeneral:Invalid arguments:timeinforce"),
        ({"timeinforce": "GTD"}, "EGeneral:Invalid arguments:expiretm"),
        ({"expiretm": "1798761600"}, "EGeneral:Invalid arguments:expiretm"),
        ({"timeinforce": "GTD", "expiretm": "1000"}, "EGeneral:Invalid arguments:expiretm"),
        ({"volume": "1e3"}, "EGeneral:Invalid arguments:volume"),
        ({"volume": "-1"}, "EGeneral:Invalid arguments:volume"),
        ({"price": ""}, "EGeneral:Invalid arguments:price"),
        ({"price": "0.05"}, "EOrder:Tick size check failed"),
        ({"oflags": "fcib"}, "EGeneral:Invalid arguments:oflags"),
        ({"oflags": "post", "ordertype": "stop-loss"}, "EGeneral:Invalid arguments:oflags"),
        ({"cl_ord_id": "a" * 19}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"leverage": "2:1"}, "EGeneral:Invalid arguments:leverage"),
        ({"userref": "1"}, "EGeneral:Invalid arguments:userref"),
    ],
    ids=str,
)
def test_a_wrong_order_is_refused_with_its_words(call, change, error):
    assert [error] == call.error("AddOrder", {**LIMIT, **change})
    assert [] == call.app.exchange.orders()


@pytest.mark.parametrize("name", ["a" * 18, "6d1b345e-2821-40e2-ad83-4ecb18a06876", "da8e4ad59b78481c93e589746b0cf91f"])
def test_a_client_order_id_has_one_of_three_forms(call, name):
    assert [] == call.error("AddOrder", LIMIT, cl_ord_id=name)


def test_a_validated_order_is_described_and_not_placed(call):
    answer = call("AddOrder", LIMIT, validate="true")

    assert {"descr": {"order": "buy 0.01000000 XBTUSD @ limit 50000.0"}} == answer["result"]
    assert [] == call.app.exchange.orders()
    assert "other" == call.app.operation(HttpRequest("POST", "/0/private/AddOrder", {}, b"validate=true"))


def test_history_is_told_by_time_the_latest_first(call):
    ids = []
    for _ in range(3):
        ids += call("AddOrder", {**LIMIT, "price": "60000"})["result"]["txid"]
        call.now += timedelta(seconds=10)
    start = int(NOW.timestamp()) + 5

    def listed(method="ClosedOrders", name="closed", **fields):
        return list(call(method, **fields)["result"][name])

    assert ids[::-1] == listed()
    assert ids[:0:-1] == listed(start=start, closetime="close")
    assert ids[1:2] == listed(start=start, end=start + 10, closetime="open")
    assert ids[0:1] == listed(ofs=2)
    assert 2 == len(listed("TradesHistory", "trades", start=start))


def test_requests_are_counted_and_the_count_falls():
    call = Caller(counter_max=3, counter_decay_per_s=0.5)
    errors = [call.error("TradesHistory"), call.error("BalanceEx"), call.error("BalanceEx"), call.error("AddOrder", LIMIT)]
    call.now += timedelta(seconds=2)

    assert [[], [], ["EAPI:Rate limit exceeded"], []] == errors
    assert [] == call.error("BalanceEx")


def test_the_fee_is_taken_from_the_quote_asset():
    call = Caller(fee_rate=Decimal("0.01"))
    call("AddOrder", {"pair": "XETHZUSD", "type": "sell", "ordertype": "market", "volume": "2"})
    [trade] = call("TradesHistory")["result"]["trades"].values()

    assert Decimal(60) == Decimal(trade["fee"])
    assert Decimal(105_940) == Decimal(call("BalanceEx")["result"]["ZUSD"]["balance"])


def test_the_wire_log_knows_the_client_order_id_of_every_call_on_an_order(call):
    txid = call("AddOrder", LIMIT, cl_ord_id="a")["result"]["txid"][0]
    form = {"content-type": "application/x-www-form-urlencoded"}
    requests = [
        HttpRequest("POST", "/0/private/AddOrder", form, b"cl_ord_id=a"),
        HttpRequest("POST", "/0/private/AddOrder", {"content-type": "application/json"}, b'{"cl_ord_id":"a"}'),
        HttpRequest("POST", "/0/private/OpenOrders", form, b"cl_ord_id=a"),
        HttpRequest("POST", "/0/private/CancelOrder", form, f"txid={txid}".encode()),
        HttpRequest("POST", "/0/private/AddOrder", form, b"\xff\xfe"),
        HttpRequest("POST", "/0/private/AddOrder", {"content-type": "application/json"}, b"[1"),
    ]

    assert ["a", "a", "a", "a", None, None] == [call.app.client_order_id(request) for request in requests]
