"""What leaves the process, and what may be believed of what comes back. Each trap of the SDK is named."""

import hashlib
import hmac
import json
import logging
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import ccxt
import pytest
from attrs import evolve

from logos_ccxt import VENUE
from logos_ccxt.kraken.capabilities import DEADLINE_S
from logos_ccxt.kraken.mapping import rfc3339
from logos_ccxt.kraken.venue import environment_of, guarded_exchange
from logos_core.clock import ManualClock, SystemClock
from logos_core.errors import ConfigurationError
from logos_core.hookspecs import Outcome, Phase, UnsupportedOrderError
from logos_core.orders import OrderType, TimeInForce
from logos_core.secrets import Secret
from logos_core.testing.faults import FaultKind
from logos_core.venues import VenueAskError
from logos_core.wire import GateClosedError

D = Decimal
ADDED = {"error": [], "result": {"txid": ["O1"], "descr": {"order": "buy 0.01000000 XBTUSD @ limit 50000.0"}}}
LOST = {
    FaultKind.REQUEST_DROPPED,
    FaultKind.ANSWER_DROPPED,
    FaultKind.LATE_ARRIVAL,
    FaultKind.SLOW_DRIP,
    FaultKind.RESET_BEFORE,
    FaultKind.RESET_AFTER,
    FaultKind.RESET_DURING,
}


def outcome_of(reply):
    return reply.classification.outcome


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_submit_is_one_request_whatever_goes_wrong(make_desk, kind):
    desk = make_desk(timeout_s=0.5 if kind in LOST else 5.0)
    prepared = desk.venue.prepare(desk.market())
    desk.fault(kind)
    reply = desk.venue.submit(prepared, ())

    assert 1 == desk.submits()
    if kind in {FaultKind.DELAY_BEFORE, FaultKind.DELAY_AFTER}:
        assert "lgsorder1" == reply.result.client_order_id
    else:
        assert Outcome.UNKNOWN is outcome_of(reply)


@pytest.mark.parametrize("kind", [FaultKind.STATUS_BEFORE, FaultKind.STATUS_AFTER])
@pytest.mark.parametrize("status", [200, 307, 400, 401, 403, 404, 409, 418, 422, 425, 429, 500, 502, 503, 504, 520, 524])
def test_a_status_alone_never_refuses_an_order(make_desk, kind, status):
    desk = make_desk()
    prepared = desk.venue.prepare(desk.market())
    desk.fault(kind, status=status)
    reply = desk.venue.submit(prepared, ())

    assert (1, Outcome.UNKNOWN) == (desk.submits(), outcome_of(reply))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_trap_a_redirect_is_followed_nowhere_and_is_no_success(desk, status):
    prepared = desk.venue.prepare(desk.limit())
    desk.answer("AddOrder", json.dumps(ADDED).encode(), status)

    assert Outcome.UNKNOWN is outcome_of(desk.venue.submit(prepared, ()))


@pytest.mark.parametrize(
    "setting",
    [
        {"maxRetriesOnFailure": 2},
        {"defaultMaxRetriesOnFailure": 2, "maxRetriesOnFailure": None},
        {"order": {"maxRetriesOnFailure": 2}},
    ],
)
@pytest.mark.parametrize("hook", ["submit", "cancel"])
def test_trap_retries_of_the_sdk_are_refused_before_anything_leaves(desk, setting, hook):
    prepared = desk.venue.prepare(desk.market())
    desk.exchange.options.update(setting)
    before = len(desk.server.wire)
    reply = desk.venue.submit(prepared, ()) if hook == "submit" else desk.venue.cancel(desk.reference())

    assert before == len(desk.server.wire)
    assert (Phase.NOTHING_SENT, Outcome.NOT_SENT) == (reply.record.phase, outcome_of(reply))
    assert "ccxt is set to send" in str(reply.error)


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":[],"result":{"txid":["O1',
        b"",
        b"<html><body>ok</body></html>",
        b"null",
        b"true",
        b"{}",
        b"[]",
        b'{"error":[]}',
        b'{"error":[],"result":{}}',
        b'{"error":[],"result":[]}',
        b'{"error":[],"result":{"descr":{"order":"buy 0.01000000 XBTUSD @ limit 50000.0"}}}',
    ],
)
def test_trap_success_without_an_order_is_unknown(desk, body):
    prepared = desk.venue.prepare(desk.limit())
    desk.answer("AddOrder", body)

    assert Outcome.UNKNOWN is outcome_of(desk.venue.submit(prepared, ()))


@pytest.mark.parametrize(
    ("txid", "words"),
    [
        ([], "buy 0.01000000 XBTUSD @ limit 50000.0"),
        (["O1", "O2"], "buy 0.01000000 XBTUSD @ limit 50000.0"),
        ([None], "buy 0.01000000 XBTUSD @ limit 50000.0"),
        ("O1", "buy 0.01000000 XBTUSD @ limit 50000.0"),
        (["O1"], "buy 0.01000000 ETHUSD @ limit 50000.0"),
        (["O1"], "buy 0.01000000 XBTUSD @ limit 50000.0 with 2:1 leverage"),
        (["O1"], "hold 0.01000000 XBTUSD @ limit 50000.0"),
        (["O1"], "buy 0.01000000 XBTUSD @ limit 1e3"),
        (["O1"], ""),
    ],
)
def test_trap_an_answer_that_does_not_describe_one_order_is_unknown(desk, txid, words):
    prepared = desk.venue.prepare(desk.limit())
    desk.answer("AddOrder", json.dumps({"error": [], "result": {"txid": txid, "descr": {"order": words}}}).encode())

    assert Outcome.UNKNOWN is outcome_of(desk.venue.submit(prepared, ()))


def test_an_answer_repeats_what_was_sent_so_that_it_can_be_compared(desk):
    prepared = desk.venue.prepare(desk.limit())
    words = {"txid": ["O1"], "descr": {"order": "sell 0.02000000 XBTUSD @ limit 50001.0"}}
    desk.answer("AddOrder", json.dumps({"error": [], "result": words}).encode())
    report = desk.venue.submit(prepared, ()).result

    assert ("sell", D("0.02"), D(50001)) == (report.side.value, report.quantity, report.price)


def test_trap_a_warning_beside_a_result_is_unknown(desk):
    prepared = desk.venue.prepare(desk.limit())
    desk.answer("AddOrder", json.dumps({**ADDED, "error": ["WOrder:Something"]}).encode())

    assert Outcome.UNKNOWN is outcome_of(desk.venue.submit(prepared, ()))


WIRE: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "market": ({}, {"ordertype": "market"}),
    "limit": ({"price": D("50000.10")}, {"ordertype": "limit", "price": "50000.1", "timeinforce": "GTC"}),
    "ioc": (
        {"price": D(50000), "time_in_force": TimeInForce.IOC},
        {"ordertype": "limit", "price": "50000", "timeinforce": "IOC"},
    ),
    "gtd": (
        {"price": D(50000), "time_in_force": TimeInForce.GTD, "expires_at": datetime(2027, 1, 1, tzinfo=UTC)},
        {"ordertype": "limit", "price": "50000", "timeinforce": "GTD", "expiretm": "1798761600"},
    ),
    "maker": (
        {"price": D(50000), "post_only": True},
        {"ordertype": "limit", "price": "50000", "timeinforce": "GTC", "oflags": "fciq,post"},
    ),
    "stop": ({"stop_price": D(70000)}, {"ordertype": "stop-loss", "price": "70000"}),
    "stop_limit": (
        {"stop_price": D(70000), "price": D(70100)},
        {"ordertype": "stop-loss-limit", "price": "70000", "price2": "70100"},
    ),
    "trailing amount": ({"trail_amount": D(150)}, {"ordertype": "trailing-stop", "price": "+150"}),
    "trailing percent": ({"trail_percent": D("1.50")}, {"ordertype": "trailing-stop", "price": "+1.5%"}),
}
KINDS = {"ioc": "limit", "gtd": "limit", "maker": "limit", "trailing amount": "trailing_stop", "trailing percent": "trailing_stop"}


@pytest.mark.parametrize("name", WIRE)
def test_each_kind_of_order_goes_out_as_prepared_and_comes_back_as_the_same(desk, name):
    given, expected = WIRE[name]
    request = desk.order(KINDS.get(name, name), **given)
    prepared = desk.venue.prepare(request)
    report = desk.venue.submit(prepared, ()).result
    shown = desk.venue.lookup(desk.reference()).report
    [sent] = desk.sent("AddOrder")
    wire = {"pair": "XXBTZUSD", "type": "buy", "volume": "0.01", "cl_ord_id": "lgsorder1", "oflags": "fciq", **expected}

    assert wire == prepared.wire
    assert {**wire, "nonce": sent["nonce"], "deadline": sent["deadline"]} == sent
    fields = ("order_type", "quantity", "price", "trail_amount", "trail_percent", "side", "symbol", "client_order_id")
    for said in (report, shown):
        assert [getattr(request, field) for field in fields] == [getattr(said, field) for field in fields]
        if request.order_type is not OrderType.TRAILING_STOP:
            assert request.stop_price == said.stop_price


def test_trap_a_price_in_percent_makes_the_sdk_send_json_and_sign_that(desk):
    desk.submit(desk.order("trailing_stop", trail_percent=D(2)))

    assert "application/json" == desk.app.requests[-1].headers["content-type"]
    assert desk.app.requests[-1].body.startswith(b"{")


@pytest.mark.parametrize(
    "terms",
    [
        {"order_type": "trailing_stop", "trail_percent": D("1.00005")},
        {"price": D(1), "time_in_force": TimeInForce.GTD, "expires_at": datetime(2027, 1, 1, microsecond=5, tzinfo=UTC)},
    ],
)
def test_what_no_table_of_capabilities_holds_is_refused_before_anything_leaves(desk, terms):
    with pytest.raises(UnsupportedOrderError):
        desk.venue.prepare(desk.order(**{"order_type": "limit", **terms}))


def test_numbers_go_out_as_the_exact_strings(desk):
    desk.submit(desk.limit(quantity=D("1.00001E+0"), price="50000.10"))
    desk.submit(desk.limit("lgsorder2", quantity=D("9999999.10000000000000001"), price="0.00000001"))

    assert [("1.00001", "50000.1"), ("9999999.10000000000000001", "0.00000001")] == [
        (sent["volume"], sent["price"]) for sent in desk.sent("AddOrder")
    ]


def test_a_request_is_signed_over_path_nonce_and_body(desk):
    desk.submit(desk.limit())
    request = desk.app.requests[-1]
    digest = hashlib.sha256(request.form()["nonce"].encode() + request.body).digest()
    expected = b64encode(hmac.new(b"key", b"/0/private/AddOrder" + digest, hashlib.sha512).digest()).decode()

    assert expected == request.headers["api-sign"]


@pytest.mark.parametrize("client_order_id", ["", "a" * 19, "with space", "ümlaut"])
def test_an_id_that_the_venue_would_refuse_is_never_sent(desk, client_order_id):
    with pytest.raises(VenueAskError):
        desk.venue.prepare(desk.market(client_order_id))


def test_a_deadline_is_written_to_the_millisecond_and_never_later_than_meant():
    assert "2026-01-02T03:04:05.678Z" == rfc3339(datetime(2026, 1, 2, 3, 4, 5, 678_999, tzinfo=UTC))
    assert "2026-01-02T03:04:05.000Z" == rfc3339(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


def test_the_window_declared_is_the_one_sent():
    assert DEADLINE_S == VENUE.capabilities["kraken"].expiry.window_s


def test_every_submit_carries_a_deadline_from_our_clock(make_desk):
    clock = ManualClock()
    desk = make_desk(clock=clock, now=clock.now)
    prepared = desk.venue.prepare(desk.limit())
    clock.sleep(3)
    desk.venue.submit(prepared, ())
    [sent] = desk.sent("AddOrder")

    window = timedelta(seconds=DEADLINE_S)
    assert clock.now() + window == datetime.fromisoformat(sent["deadline"])


def test_trap_nothing_is_loaded_between_commit_and_first_byte(desk):
    prepared = desk.venue.prepare(desk.market())
    before = len(desk.server.wire)
    desk.venue.submit(prepared, ())

    assert ["/0/private/AddOrder"] == [entry.target for entry in desk.server.wire[before:]]


def test_trap_the_sdk_does_not_sleep_before_the_first_byte(desk):
    assert desk.exchange.enableRateLimit is False


def test_trap_no_section_of_the_api_has_another_host(desk):
    assert {desk.server.url} == set(desk.exchange.urls["api"].values())
    with desk.settings.wire.operation("other"), pytest.raises((ccxt.BaseError, TypeError)):
        desk.exchange.zendeskGet360000292886()


def test_the_declared_host_is_that_of_the_sdk():
    host = VENUE.environments_of("kraken")["live"].base_url

    assert {host} == {ccxt.kraken().urls["api"][section] for section in ("public", "private")}
    assert {"simulator", "live"} == VENUE.environments_of("kraken").keys()
    assert VENUE.capabilities["kraken"].paper is False


def test_trap_the_sandbox_switch_raises_and_leaves_the_live_address():
    exchange = ccxt.kraken()
    with pytest.raises(TypeError):
        exchange.set_sandbox_mode(True)

    assert "https://api.kraken.com" == exchange.urls["api"]["private"]
    assert not exchange.isSandboxModeEnabled


def test_a_live_secret_is_handed_over_as_it_is_and_goes_to_the_live_host(desk):
    secret = b64encode(b"signing").decode()
    settings = evolve(
        desk.settings,
        environment="live",
        base_url="https://api.kraken.com",
        credentials={"api_key": Secret("key"), "secret": Secret(secret)},
    )
    exchange = guarded_exchange(settings)

    assert (secret, "live") == (exchange.secret, environment_of(exchange.urls["api"]["private"]))


@pytest.mark.parametrize("url", ["https://api.kraken.com.example.org", "https://futures.kraken.com", "http://10.0.0.1:8080"])
def test_a_host_that_is_not_krakens_is_refused(url):
    with pytest.raises(ConfigurationError):
        environment_of(url)


def test_trap_the_sdk_would_log_the_key(desk, caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("ccxt").debug("heard")
        desk.submit(desk.market())

    assert ["heard"] == [record.getMessage() for record in caplog.records]


def test_a_closed_gate_lets_no_byte_through_the_sdk(desk):
    prepared = desk.venue.prepare(desk.market())

    def gate():
        raise GateClosedError("SEND_TOO_LATE", "too late", denies=False)

    reply = desk.venue.submit(prepared, (gate,))

    assert (0, Outcome.NOT_SENT) == (desk.submits(), outcome_of(reply))
    assert reply.record.closed_by is reply.error


def test_a_venue_that_is_not_there_was_sent_nothing(make_desk):
    desk = make_desk()
    prepared = desk.venue.prepare(desk.market())
    desk.exchange.session.close()
    desk.server.stop()
    reply = desk.venue.submit(prepared, ())

    assert (Phase.NOTHING_SENT, Outcome.NOT_SENT) == (reply.record.phase, outcome_of(reply))


def test_an_order_whose_deadline_came_from_a_clock_that_ran_ahead_does_not_leave(make_desk):
    class Jumps(SystemClock):
        ahead = timedelta(0)

        def now(self):
            told, self.ahead = super().now() + self.ahead, timedelta(0)
            return told

    desk = make_desk(clock=Jumps())
    prepared = desk.venue.prepare(desk.limit())
    desk.clock.ahead = timedelta(seconds=30)
    reply = desk.venue.submit(prepared, ())

    assert ("DEADLINE_TOO_LATE", Phase.NOTHING_SENT, 0) == (reply.record.closed_by.reason, reply.record.phase, desk.submits())
    assert desk.submit(desk.limit()).result.venue_order_id
