"""The traps of alpaca-py, each by its name, on the wire."""

import time

import pytest
from alpaca.common import constants
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from attrs import evolve

from logos_alpaca import VENUE
from logos_alpaca.simulator import AlpacaSimulator
from logos_alpaca.venue import guarded_client
from logos_core.errors import PluginContractError
from logos_core.hookspecs import NotSeen, Outcome
from logos_core.orders import OrderStatus
from logos_core.testing.faults import FaultKind
from logos_core.testing.server import HttpResponse, LoopbackServer
from logos_core.venues import VenueAskError

RETRIED = constants.DEFAULT_RETRY_EXCEPTION_CODES
QUICK_S = 1.0
"""The SDK's own pause before it sends again is three seconds."""


def test_p1_the_sdk_left_alone_sends_an_order_again(desk):
    desk.fault(FaultKind.STATUS_AFTER, status=504)
    client = TradingClient("key", "secret", url_override=desk.server.url)
    client._retry_wait = 0
    with pytest.raises(APIError), client._session:
        client.post("/orders", dict(desk.prepare().wire))

    assert 4 == len(desk.sent())


@pytest.mark.parametrize("status", RETRIED)
@pytest.mark.parametrize("kind", [FaultKind.STATUS_BEFORE, FaultKind.STATUS_AFTER])
def test_p1_an_order_is_sent_once_and_at_once_where_the_sdk_would_send_it_again(desk, status, kind):
    prepared = desk.prepare()
    desk.fault(kind, status=status)

    began = time.monotonic()
    reply = desk.venue.submit(prepared, ())

    assert (1, Outcome.UNKNOWN, "APIError") == (len(desk.sent()), reply.classification.outcome, type(reply.error).__name__)
    assert time.monotonic() - began < QUICK_S


def test_p2_both_switches_of_the_retries_are_off_and_the_list_all_clients_share_is_as_it_was(desk):
    stranger = TradingClient("key", "secret", url_override=desk.server.url)

    assert (0, []) == (desk.client._retry, desk.client._retry_codes)
    assert [429, 504] == RETRIED
    assert (3, True) == (stranger._retry, stranger._retry_codes is RETRIED)


@pytest.mark.parametrize("kind", [FaultKind.REQUEST_DROPPED, FaultKind.ANSWER_DROPPED])
def test_p3_a_venue_that_hangs_is_left_at_the_deadline_though_the_sdk_has_none(open_desk, kind):
    desk = open_desk(timeout_s=0.3)
    desk.fault(kind)

    began = time.monotonic()
    reply = desk.submit()

    assert time.monotonic() - began < QUICK_S
    assert Outcome.UNKNOWN is reply.classification.outcome


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"message": "unauthorized."}', b'{"code": 42210000, "message": "no"}'])
@pytest.mark.parametrize("status", [401, 403, 404, 422, 500])
def test_p4_the_properties_of_an_api_error_that_raise_are_never_read(desk, monkeypatch, status, body):
    read: list[APIError] = []
    for name in ("code", "message"):
        monkeypatch.setattr(APIError, name, property(read.append))
    for method, path in [
        ("POST", "/orders"),
        ("GET", "/orders:by_client_order_id"),
        ("GET", "/assets/AAPL"),
        ("DELETE", "/orders/1"),
    ]:
        desk.answer(method, path, status, body)

    replies = [desk.submit(), desk.venue.cancel(desk.reference(venue_order_id="1"))]
    for ask in (lambda: desk.venue.lookup(desk.reference()), lambda: desk.venue.instrument("AAPL")):
        with pytest.raises(VenueAskError):
            ask()

    assert ([], [APIError, APIError]) == (read, [type(reply.error) for reply in replies])
    assert all(reply.classification is not None for reply in replies)


def test_p5_one_status_that_the_sdk_does_not_know_does_not_cost_the_list(desk):
    desk.rest("another")
    desk.rest("lgs1")
    desk.change_json("GET", "/orders", lambda orders: [orders[0] | {"status": "invented"}, *orders[1:]])

    assert ["lgs1"] == [report.client_order_id for report in desk.reconcile().open_orders]


@pytest.mark.parametrize("field", ["submitted_at", "updated_at", "order_class", "asset_class", "expires_at"])
def test_p5_a_null_that_breaks_the_sdks_models_breaks_nothing_here(desk, field):
    desk.change_json("POST", "/orders", lambda order: order | {field: None})

    assert "lgs1" == desk.submit().result.client_order_id


def test_p6_an_id_is_on_the_wire_even_where_the_sdks_request_would_drop_it(desk):
    desk.submit("")

    assert "" == desk.app.requests[-1].json()["client_order_id"]


def test_p8_a_cancel_and_a_question_are_sent_once_and_at_once_too(desk):
    venue_order_id = desk.rest()
    began = time.monotonic()
    for status in RETRIED:
        desk.fault(FaultKind.STATUS_BEFORE, "*", status=status)
        desk.venue.cancel(desk.reference(venue_order_id=venue_order_id))
        with pytest.raises(VenueAskError):
            desk.venue.lookup(desk.reference())

    assert (2, 2) == (len(desk.sent("cancel")), len(desk.sent("lookup")))
    assert time.monotonic() - began < QUICK_S


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
def test_no_redirect_is_followed(desk, open_desk, status, method):
    elsewhere = open_desk()
    venue_order_id = desk.rest()
    paths = {"POST": "/orders", "DELETE": f"/orders/{venue_order_id}", "GET": "/orders:by_client_order_id"}
    desk.answer(method, paths[method], status, b"", ("Location", f"{elsewhere.server.url}/v2{paths[method]}"))

    if method == "GET":
        with pytest.raises(VenueAskError):
            desk.venue.lookup(desk.reference())
    else:
        reply = desk.submit("lgs2") if method == "POST" else desk.venue.cancel(desk.reference(venue_order_id=venue_order_id))
        assert (Outcome.UNKNOWN, 1) == (reply.classification.outcome, reply.record.requests)

    assert [] == elsewhere.server.wire


def test_a_redirect_to_itself_is_not_followed_either(desk):
    desk.fault(FaultKind.REDIRECT)
    reply = desk.submit()

    assert ([307], Outcome.UNKNOWN) == ([entry.status for entry in desk.sent()], reply.classification.outcome)


def test_a_netrc_entry_adds_nothing_to_the_keys(desk, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))

    desk.venue.identify()
    desk.submit()

    for request in desk.app.requests:
        assert ("key", "secret", None) == tuple(
            request.headers.get(name) for name in ("apca-api-key-id", "apca-api-secret-key", "authorization")
        )


def test_a_proxy_of_the_environment_is_not_used(open_desk, monkeypatch):
    with LoopbackServer(AlpacaSimulator()) as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.lower(), proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)

        report = open_desk().submit().result

        assert (OrderStatus.PENDING_NEW, []) == (report.status, proxy.wire)


@pytest.mark.parametrize("name", ["APCA_API_KEY_ID", "APCA_API_SECRET_KEY", "APCA_API_BASE_URL"])
def test_no_variable_of_the_environment_changes_where_or_as_whom_an_order_goes(open_desk, monkeypatch, name):
    monkeypatch.setenv(name, "https://example.org")
    desk = open_desk()
    desk.submit()

    assert {("key", "secret")} == {
        (request.headers["apca-api-key-id"], request.headers["apca-api-secret-key"]) for request in desk.app.requests
    }


@pytest.mark.parametrize(("environment", "paper"), [("simulator", True), ("paper", True), ("live", False)])
def test_the_client_sends_to_the_declared_host_and_nowhere_else(desk, environment, paper):
    url = VENUE.environments[environment].base_url or desk.server.url
    settings = evolve(
        desk.settings,
        environment=environment,
        base_url=url,
    )
    client = guarded_client(settings)

    assert (url, paper, True) == (client._base_url, client._sandbox, client._use_raw_data)


def test_the_sdk_cannot_use_the_network_on_its_own_account(desk):
    with pytest.raises(PluginContractError, match="nothing was sent"):
        desk.client.get_account()

    assert [] == desk.server.wire


def test_an_order_that_is_young_may_not_be_seen(open_desk):
    desk = open_desk(visible_after_s=0.3)
    desk.submit()
    young = desk.venue.lookup(desk.reference())
    desk.app.visible_after_s = 0.0

    assert isinstance(young, NotSeen)
    assert OrderStatus.FILLED is desk.venue.lookup(desk.reference()).report.status


def test_an_answer_to_a_submit_may_be_older_than_what_became_of_the_order(desk):
    report = desk.submit().result

    assert (OrderStatus.PENDING_NEW, "filled") == (report.status, desk.server.orders()[0]["status"])


def test_the_status_of_an_order_says_nothing_that_its_body_does_not(desk):
    desk.change("POST", "/orders", lambda _, answer: HttpResponse(200, answer.body, (("Content-Type", "text/html"),)))

    assert "lgs1" == desk.submit().result.client_order_id
