"""The traps of oandapyV20 and of the v20 API, each by its name."""

import json
import subprocess
import sys
import time
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from oandapyV20.oandapyV20 import TRADING_ENVIRONMENTS

from logos_core.hookspecs import Category, Found, Outcome
from logos_core.orders import OrderStatus, TimeInForce
from logos_core.testing.faults import FaultKind
from logos_core.testing.server import HttpResponse
from logos_core.venues import VenueAskError
from logos_oanda.simulator import ACCOUNT


def test_p1_what_the_sdk_forgets_to_declare_is_declared_here():
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())

    declared = {item.partition(">")[0].partition("=")[0] for item in pyproject["project"]["dependencies"]}
    assert {"oandapyV20", "requests", "six"} <= declared


def test_p2_declaring_the_venue_imports_no_sdk_whose_syntax_warns():
    program = "import sys, logos_oanda; print(*sorted({'oandapyV20', 'requests'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)

    assert ("", "\n") == (done.stderr, done.stdout)


@pytest.mark.parametrize("kind", [FaultKind.REQUEST_DROPPED, FaultKind.SLOW_DRIP])
def test_p3_a_silent_or_dripping_venue_is_left_at_the_deadline(open_desk, kind):
    desk = open_desk(timeout_s=0.4)
    prepared = desk.prepare()
    desk.fault(kind, delay_s=0.1)

    began = time.monotonic()
    reply = desk.venue.submit(prepared, ())

    assert time.monotonic() - began < 1.5
    assert Outcome.UNKNOWN == reply.classification.outcome


def test_p4_two_sessions_in_one_process_keep_their_addresses(open_desk):
    first, second = open_desk(), open_desk()

    first.submit("lgs1")
    second.submit("lgs2")

    assert [["lgs1"], ["lgs2"]] == [[order["client_order_id"] for order in desk.server.orders()] for desk in (first, second)]
    assert "https://api-fxtrade.oanda.com" == TRADING_ENVIRONMENTS["live"]["api"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_p5_no_redirect_is_followed(desk, open_desk, status):
    elsewhere = open_desk()
    prepared = desk.prepare()
    location = f"{elsewhere.server.url}/v3/accounts/{ACCOUNT}/orders"
    desk.app.handle = lambda _request: HttpResponse(status, b"{}", (("Location", location),))

    reply = desk.venue.submit(prepared, ())

    assert Outcome.UNKNOWN == reply.classification.outcome
    assert ([], 1) == (elsewhere.server.wire, len(desk.sent()))


def test_p6_an_order_answered_with_200_is_unknown_and_then_found(desk):
    prepared = desk.prepare()
    handle = desk.app.handle
    desk.app.handle = lambda request: HttpResponse(200, handle(request).body)

    reply = desk.venue.submit(prepared, ())
    desk.app.handle = handle

    assert Outcome.UNKNOWN == reply.classification.outcome
    assert isinstance(desk.venue.lookup(desk.reference()), Found)


@pytest.mark.parametrize("body", [b"\xff\xfe", b"", b"[]", b'{"orderCreateTransaction":', b'{"lastTransactionID":"5"}'])
@pytest.mark.parametrize("status", [201, 400, 500])
def test_p7_a_body_that_cannot_be_read_is_unknown(desk, status, body):
    prepared = desk.prepare()
    desk.app.handle = lambda _request: HttpResponse(status, body)

    reply = desk.venue.submit(prepared, ())

    assert Outcome.UNKNOWN == reply.classification.outcome


@pytest.mark.parametrize("identity", ["a b/#x", "a?b", "a%2Fb", "../pendingOrders", "ä"])
def test_p8_an_id_in_a_path_reaches_the_order_it_names_and_no_other(desk, identity):
    desk.submit("a", price=Decimal("1.05"))
    desk.submit(identity, price=Decimal("1.05"))

    looked_up = desk.venue.lookup(desk.reference(identity, position="5"))
    desk.venue.cancel(desk.reference(identity))

    assert identity == looked_up.report.client_order_id
    assert {"a": "new", identity: "canceled"} == {order["client_order_id"]: order["status"] for order in desk.server.orders()}


def test_p9_a_price_of_three_decimals_is_not_sent_with_five(desk):
    reply = desk.submit(symbol="USD_JPY", price=Decimal("149.123"))

    assert OrderStatus.NEW == reply.result.status


def test_a_netrc_entry_does_not_replace_the_token(open_desk, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    desk = open_desk(token="right")
    requests = desk.requests()

    desk.venue.identify()

    assert {"Bearer right"} == {request.headers["authorization"] for request in requests}


def test_a_proxy_of_the_environment_is_not_used(desk, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert OrderStatus.FILLED == desk.submit().result.status


def test_an_account_linked_to_mt4_is_refused_because_its_orders_must_carry_no_id(open_desk):
    desk = open_desk(mt4_account_id=7)

    with pytest.raises(VenueAskError, match="linked to MT4"):
        desk.venue.identify()


def test_a_401_without_a_code_is_believed_when_it_is_oandas(open_desk):
    desk = open_desk(token="right")
    prepared = desk.prepare()
    desk.app._token = "another"

    reply = desk.venue.submit(prepared, ())

    assert (Outcome.REJECTED, Category.AUTHENTICATION) == (reply.classification.outcome, reply.classification.category)


def test_a_terminal_order_frees_its_id_so_the_id_never_proves_that_a_resend_is_safe(desk):
    desk.submit()
    desk.submit()

    assert 2 == len(desk.server.orders())


def test_a_lookup_by_id_may_lose_a_filled_order_and_the_log_still_has_it(open_desk):
    desk = open_desk(lookup_finds_closed=False)
    desk.submit()
    desk.venue.identify()
    asked = len(desk.server.wire)

    found = desk.venue.lookup(desk.reference())

    assert OrderStatus.FILLED == found.report.status
    assert not any("orders/@" in target for target in desk.targets(asked))


def test_an_internal_server_error_as_reject_reason_is_unknown_until_the_log_is_read(desk):
    prepared = desk.prepare(quantity=Decimal("1.5"))
    handle = desk.app.handle

    def internal(request):
        answer = handle(request)
        return HttpResponse(answer.status, answer.body.replace(b"UNITS_INVALID", b"INTERNAL_SERVER_ERROR"))

    desk.app.handle = internal
    reply = desk.venue.submit(prepared, ())

    assert Outcome.UNKNOWN == reply.classification.outcome
    assert OrderStatus.REJECTED == desk.venue.lookup(desk.reference()).report.status


def test_a_reissue_is_not_taken_for_the_order(desk):
    prepared = desk.prepare(time_in_force=TimeInForce.IOC)
    handle = desk.app.handle

    def reissued(request):
        body = json.loads(handle(request).body)
        return HttpResponse.json(201, {**body, "orderReissueTransaction": {"id": "9", "type": "MARKET_ORDER"}})

    desk.app.handle = reissued
    reply = desk.venue.submit(prepared, ())

    assert Outcome.UNKNOWN == reply.classification.outcome
