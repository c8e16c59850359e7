"""What leaves the process, and what may be believed of what comes back. Each trap of the SDK is named."""

import hashlib
import hmac
import json
import logging

import ccxt
import pytest
from attrs import evolve

from logos_ccxt import VENUE
from logos_ccxt.binance.venue import environment_of, guarded_exchange
from logos_core.errors import ConfigurationError
from logos_core.hookspecs import Category, Outcome, Phase
from logos_core.testing.faults import FaultKind
from logos_core.venues import VenueAskError
from logos_core.wire import GateClosedError

LOST = {
    FaultKind.REQUEST_DROPPED,
    FaultKind.ANSWER_DROPPED,
    FaultKind.LATE_ARRIVAL,
    FaultKind.SLOW_DRIP,
    FaultKind.RESET_BEFORE,
    FaultKind.RESET_AFTER,
    FaultKind.RESET_DURING,
}


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_submit_is_one_request_whatever_goes_wrong(make_desk, kind):
    desk = make_desk(timeout_s=0.5 if kind in LOST else 5.0)
    prepared = desk.venue.prepare(desk.market())
    desk.fault(kind)
    reply = desk.venue.submit(prepared, ())

    assert 1 == desk.submits()
    if kind is FaultKind.DUPLICATE_DELIVERY or kind in {FaultKind.DELAY_BEFORE, FaultKind.DELAY_AFTER}:
        assert "order1" == reply.result.client_order_id
    else:
        assert Outcome.UNKNOWN is reply.classification.outcome


@pytest.mark.parametrize("kind", [FaultKind.STATUS_BEFORE, FaultKind.STATUS_AFTER])
@pytest.mark.parametrize("status", [200, 307, 400, 401, 403, 404, 409, 418, 422, 425, 429, 500, 502, 503, 504, 524])
def test_a_status_alone_never_refuses_an_order(make_desk, kind, status):
    desk = make_desk()
    prepared = desk.venue.prepare(desk.market())
    desk.fault(kind, status=status)
    reply = desk.venue.submit(prepared, ())

    assert 1 == desk.submits()
    # Of all the simulator answers here, only -2015 with 401 is on the list.
    assert (Outcome.REJECTED if status == 401 else Outcome.UNKNOWN) is reply.classification.outcome


def test_trap_a_redirect_would_carry_the_order_to_another_place(desk):
    prepared = desk.venue.prepare(desk.market())
    desk.fault(FaultKind.REDIRECT)
    reply = desk.venue.submit(prepared, ())

    assert [("order1", 307)] == [(entry.client_order_id, entry.status) for entry in desk.server.wire if entry.method == "POST"]
    assert (Outcome.UNKNOWN, Category.BAD_ANSWER) == (reply.classification.outcome, reply.classification.category)


@pytest.mark.parametrize("status", [301, 302, 303, 308])
def test_trap_a_redirect_is_answered_with_a_text_that_looks_like_success(desk, status):
    prepared = desk.venue.prepare(desk.market())
    body = json.dumps(desk.app._submit({**prepared.wire})).encode()
    desk.answer("POST", "order", status, body)

    assert Outcome.UNKNOWN is desk.venue.submit(prepared, ()).classification.outcome


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
    assert (Phase.NOTHING_SENT, Outcome.NOT_SENT) == (reply.record.phase, reply.classification.outcome)
    assert "maxRetriesOnFailure" in str(reply.error) or "ccxt is set to send" in str(reply.error)


def test_trap_retries_are_off_unless_somebody_switches_them_on(desk):
    assert 0 == desk.exchange.options["maxRetriesOnFailure"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"symbol":"BTCUSDT","orderId":28,"clientOr',
        b"",
        b"<html><body>ok</body></html>",
        b"null",
        b"true",
        b"{}",
        b"[]",
        b'"1"',
        b"28",
    ],
)
def test_trap_success_without_an_order_is_unknown(desk, body):
    prepared = desk.venue.prepare(desk.market())
    desk.answer("POST", "order", 200, body)
    reply = desk.venue.submit(prepared, ())

    assert (Outcome.UNKNOWN, Category.BAD_ANSWER, "HTTP 200") == (
        reply.classification.outcome,
        reply.classification.category,
        reply.classification.venue_code,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"orderId": None},
        {"orderId": "28"},
        {"clientOrderId": "x-TKT5PX2F0123456789abcdef012345"},
        {"clientOrderId": None},
        {"symbol": "ETHUSDT"},
        {"status": "SUSPENDED"},
        {"executedQty": 0.01},
        {"origQty": "1e-2"},
        {"side": "HOLD"},
        {"type": "PEGGED"},
        {"fills": [{"price": "1", "qty": "1", "commission": "0", "tradeId": 3}]},
        {"fills": None},
    ],
    ids=str,
)
def test_trap_an_answer_that_is_not_our_order_is_unknown(desk, change):
    prepared = desk.venue.prepare(desk.market())
    body = desk.app._submit({**prepared.wire})
    desk.answer("POST", "order", 200, json.dumps({**body, **change}).encode())

    assert Outcome.UNKNOWN is desk.venue.submit(prepared, ()).classification.outcome


def test_trap_an_answer_in_the_short_form_is_unknown(desk):
    prepared = desk.venue.prepare(desk.market())
    body = desk.app._submit({**prepared.wire, "newOrderRespType": "ACK"})
    desk.answer("POST", "order", 200, json.dumps(body).encode())

    assert Outcome.UNKNOWN is desk.venue.submit(prepared, ()).classification.outcome


def test_trap_a_refusal_with_http_200_is_unknown(desk):
    prepared = desk.venue.prepare(desk.market())
    desk.answer("POST", "order", 200, b'{"code":-2010,"msg":"Account has insufficient balance for requested action."}')

    assert Outcome.UNKNOWN is desk.venue.submit(prepared, ()).classification.outcome


def test_trap_the_class_of_a_key_error_changes_after_the_first_success(desk):
    desk.venue.identify()
    prepared = desk.venue.prepare(desk.market())
    desk.answer("POST", "order", 401, b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}')
    reply = desk.venue.submit(prepared, ())

    assert isinstance(reply.error, ccxt.DDoSProtection)
    assert (Outcome.REJECTED, Category.AUTHENTICATION) == (reply.classification.outcome, reply.classification.category)


def test_trap_a_duplicate_comes_in_the_class_of_an_invalid_order(desk):
    desk.submit(desk.limit())
    reply = desk.submit(desk.limit())

    assert not isinstance(reply.error, ccxt.DuplicateOrderId)
    assert Outcome.DUPLICATE is reply.classification.outcome


def test_trap_a_firewall_page_is_no_word_of_the_venue(desk):
    prepared = desk.venue.prepare(desk.market())
    desk.answer("POST", "order", 403, b"<html>LOT_SIZE</html>", "text/html")
    reply = desk.venue.submit(prepared, ())

    assert (Outcome.UNKNOWN, "HTTP 403") == (reply.classification.outcome, reply.classification.venue_code)


def test_trap_numbers_go_out_as_the_exact_strings(desk):
    desk.submit(desk.limit(quantity="1.00001E+0", price="50000.10"))
    desk.submit(desk.limit("order2", quantity="9999999.10000000000000001", price="0.00000001"))
    fields = [(sent["quantity"], sent["price"]) for sent in desk.sent("POST", "order")]

    assert [("1.00001", "50000.1"), ("9999999.10000000000000001", "0.00000001")] == fields


def test_a_limit_order_goes_out_as_prepared_and_signed(desk):
    prepared = desk.venue.prepare(desk.limit())
    desk.venue.submit(prepared, ())
    [sent] = desk.sent("POST", "order")
    payload, _, signature = desk.app.requests[-1].body.decode().rpartition("&signature=")

    assert {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01",
        "price": "50000",
        "newClientOrderId": "order1",
        "newOrderRespType": "FULL",
    } == prepared.wire
    assert {"timestamp", "recvWindow", "signature"} == sent.keys() - prepared.wire.keys()
    assert prepared.wire.items() <= sent.items()
    assert hmac.new(b"key", payload.encode(), hashlib.sha256).hexdigest() == signature


def test_a_market_order_carries_neither_price_nor_time_in_force(desk):
    wire = desk.venue.prepare(desk.market()).wire

    assert not {"price", "timeInForce"} & wire.keys()


def test_trap_the_window_of_the_sdk_is_twice_the_declared_one(desk):
    desk.submit(desk.market())
    window_ms = int(desk.sent("POST", "order")[0]["recvWindow"])

    assert VENUE.capabilities["binance"].expiry.window_s == window_ms / 1000
    assert "5000" == desk.sent("POST", "order")[0]["recvWindow"]


@pytest.mark.parametrize("client_order_id", ["", "a" * 37, "with space", "ümlaut", "a&symbol=ETHUSDT"])
def test_trap_an_id_that_the_sdk_would_replace_or_the_venue_refuse_is_never_sent(desk, client_order_id):
    with pytest.raises(VenueAskError):
        desk.venue.prepare(desk.market(client_order_id))


def test_trap_nothing_is_loaded_between_commit_and_first_byte(desk):
    prepared = desk.venue.prepare(desk.market())
    before = len(desk.server.wire)
    desk.venue.submit(prepared, ())

    assert ["POST"] == [entry.method for entry in desk.server.wire[before:]]


def test_trap_the_sdk_does_not_sleep_before_the_first_byte(desk):
    assert desk.exchange.enableRateLimit is False


def test_trap_loading_markets_asks_for_spot_and_nothing_else(desk):
    desk.venue.identify()

    assert ["/api/v3/exchangeInfo", "/api/v3/account"] == [request.path for request in desk.app.requests]


def test_trap_no_section_of_the_api_has_another_host(desk):
    hosts = set(desk.exchange.urls["api"].values())

    assert {f"{desk.server.url}/api/v3"} == hosts
    with desk.settings.wire.operation("other"), pytest.raises(ccxt.NotSupported):
        desk.exchange.sapiGetSystemStatus()


@pytest.mark.parametrize(("environment", "urls"), [("paper", "test"), ("live", "api")])
def test_the_declared_hosts_are_those_of_the_sdk(environment, urls):
    host = VENUE.environments_of("binance")[environment].base_url

    assert {f"{host}/api/v3"} == {ccxt.binance().urls[urls][section] for section in ("public", "private")}


@pytest.mark.parametrize(("environment", "sandbox"), [("paper", True), ("live", False)])
def test_trap_the_sandbox_switch_overwrites_addresses(desk, environment, sandbox):
    host = VENUE.environments_of("binance")[environment].base_url
    settings = evolve(
        desk.settings,
        environment=environment,
        base_url=host,
    )
    exchange = guarded_exchange(settings)

    assert ({"public": f"{host}/api/v3", "private": f"{host}/api/v3"}, sandbox) == (
        exchange.urls["api"],
        exchange.isSandboxModeEnabled,
    )
    assert environment == environment_of(exchange.urls["api"]["private"])


@pytest.mark.parametrize("url", ["https://api.binance.com.example.org", "https://api.binance.us", "http://10.0.0.1:8080"])
def test_a_host_that_is_not_binances_is_refused(url):
    with pytest.raises(ConfigurationError):
        environment_of(url)


def test_trap_the_sdk_would_log_the_key(desk, caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("ccxt").debug("heard")
        desk.submit(desk.market())

    assert ["heard"] == [record.getMessage() for record in caplog.records]


def test_trap_messages_of_the_sdk_hold_the_signed_address(desk):
    desk.venue.identify()
    desk.fault(FaultKind.RESET_BEFORE, operation="lookup")

    with pytest.raises(VenueAskError) as caught:
        desk.venue.lookup(desk.reference())

    assert "signature" in str(caught.value.__cause__)
    assert "signature" not in str(caught.value)
    assert "NetworkError from ConnectionError" == caught.value.classification.venue_message


def test_a_closed_gate_lets_no_byte_through_the_sdk(desk):
    prepared = desk.venue.prepare(desk.market())

    def gate():
        raise GateClosedError("SEND_TOO_LATE", "too late", denies=False)

    reply = desk.venue.submit(prepared, (gate,))

    assert (0, Outcome.NOT_SENT) == (desk.submits(), reply.classification.outcome)
    assert reply.record.closed_by is reply.error


def test_a_venue_that_is_not_there_was_sent_nothing(make_desk):
    desk = make_desk()
    prepared = desk.venue.prepare(desk.market())
    desk.exchange.session.close()
    desk.server.stop()
    reply = desk.venue.submit(prepared, ())

    assert (Phase.NOTHING_SENT, Outcome.NOT_SENT, Category.NETWORK) == (
        reply.record.phase,
        reply.classification.outcome,
        reply.classification.category,
    )
