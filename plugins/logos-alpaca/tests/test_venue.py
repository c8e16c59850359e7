"""The way of an order at Alpaca, over the real SDK."""

import json
from decimal import Decimal

import pytest

from logos_core.hookspecs import (
    CancelReceipt,
    Category,
    NotSeen,
    Outcome,
    Phase,
    UnknownSymbolError,
    VenueIdentity,
    View,
)
from logos_core.instruments import PriceBand
from logos_core.orders import OrderStatus, OrderType, Side, TimeInForce
from logos_core.testing.faults import FaultKind
from logos_core.venues import VenueAskError
from logos_core.wire import GateClosedError

D = Decimal
PAGE = b"<html><body>Not here</body></html>"
NOT_ALPACAS_404 = [
    PAGE,
    b"",
    b"null",
    b"[]",
    b"404",
    b'{"message": "endpoint not found."}',
    b'{"code": 40410001, "message": "order not found for lgs1"}',
    b'{"code": "40410000", "message": "order not found for lgs1"}',
    b'{"code": 40410000}',
    b'{"code": 40410000, "message": "order not found for lg',
    b"[" * 9000,
]


# Who and what


def test_the_venue_says_whose_account_it_is(desk):
    assert VenueIdentity(account_id="PA3SIMULATED", environment="simulator") == desk.venue.identify()


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"", PAGE, b'{"account_number": ""}', b'{"account_number": null}'])
def test_an_account_without_a_number_is_nobodys(desk, body):
    desk.answer("GET", "/account", 200, body)

    with pytest.raises(VenueAskError, match="identify failed"):
        desk.venue.identify()


def test_a_refused_key_does_not_open(open_desk):
    with pytest.raises(VenueAskError, match="authentication"):
        open_desk(api_key="another").venue.identify()


def test_a_share_has_regulation_nms_ticks_and_nine_decimals_of_quantity(desk):
    found = desk.venue.instrument("AAPL")

    assert ("AAPL", "AAPL", "USD") == (found.symbol, found.base_asset, found.quote_asset)
    assert (D("0.000000001"), D("0.000000001")) == (found.quantity_step, found.min_quantity)
    assert (D("0.0001"), D("0.01"), D("0.01")) == tuple(found.tick_at(D(price)) for price in ("0.9999", "1", "190"))
    assert {} == found.times_in_force


@pytest.mark.parametrize("fractionable", [False, None, "false", 1])
def test_a_share_that_is_not_plainly_fractionable_trades_whole(desk, fractionable):
    desk.change_json("GET", "/assets/AAPL", lambda asset: asset | {"fractionable": fractionable})

    found = desk.venue.instrument("AAPL")

    assert (D(1), D(1)) == (found.quantity_step, found.min_quantity)


def test_a_coin_has_its_own_grid_and_lives_until_cancelled_or_not_at_all(desk):
    coin = {"price_increment": "0.25", "min_trade_increment": "0.000001", "min_order_size": "0.00002"}
    desk.change_json("GET", "/assets/BTC%2FUSD", lambda asset: asset | coin)

    found = desk.venue.instrument("BTC/USD")

    assert ("BTC/USD", "BTC", "USD") == (found.symbol, found.base_asset, found.quote_asset)
    assert (PriceBand(at_least=D(0), tick=D("0.25")),) == found.price_bands
    assert (D("0.000001"), D("0.00002")) == (found.quantity_step, found.min_quantity)
    assert {OrderType.MARKET, OrderType.LIMIT, OrderType.STOP_LIMIT} == {
        kind for kind, times in found.times_in_force.items() if times
    }
    assert {(TimeInForce.GTC, TimeInForce.IOC), ()} == set(found.times_in_force.values())


@pytest.mark.parametrize("missing", ["price_increment", "min_trade_increment", "min_order_size"])
def test_a_coin_without_its_grid_is_not_guessed(desk, missing):
    desk.change_json("GET", "/assets/BTC%2FUSD", lambda asset: {name: asset[name] for name in asset if name != missing})

    with pytest.raises(VenueAskError, match=missing):
        desk.venue.instrument("BTC/USD")


@pytest.mark.parametrize("kind", ["us_option", "crypto_perp", "treasury", None])
def test_an_asset_of_another_class_does_not_get_the_grid_of_a_share(desk, kind):
    desk.change_json("GET", "/assets/AAPL", lambda asset: asset | {"class": kind})

    with pytest.raises(VenueAskError, match="grid logos does not know"):
        desk.venue.instrument("AAPL")


def test_a_symbol_that_alpaca_does_not_list_is_unknown(desk):
    with pytest.raises(UnknownSymbolError):
        desk.venue.instrument("NONE")


@pytest.mark.parametrize("tradable", [False, None, "true"])
def test_an_asset_that_is_not_tradable_is_no_symbol(desk, tradable):
    desk.change_json("GET", "/assets/AAPL", lambda asset: asset | {"tradable": tradable})

    with pytest.raises(UnknownSymbolError, match="not tradable"):
        desk.venue.instrument("AAPL")


def test_a_symbol_in_another_spelling_is_refused_because_its_order_would_come_back_under_alpacas(desk):
    with pytest.raises(UnknownSymbolError, match="BTC/USD"):
        desk.venue.instrument("BTCUSD")


@pytest.mark.parametrize("body", NOT_ALPACAS_404, ids=lambda body: repr(body[:60]))
def test_a_404_that_is_not_alpacas_does_not_make_a_symbol_unknown(desk, body):
    desk.answer("GET", "/assets/AAPL", 404, body)

    with pytest.raises(VenueAskError, match="instrument failed"):
        desk.venue.instrument("AAPL")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", PAGE])
def test_an_asset_that_is_no_asset_is_an_error(desk, body):
    desk.answer("GET", "/assets/AAPL", 200, body)

    with pytest.raises((VenueAskError, UnknownSymbolError)):
        desk.venue.instrument("AAPL")


# Submitting


def test_a_market_order_is_taken_and_its_fill_shows_later(desk):
    report = desk.submit().result
    found = desk.venue.lookup(desk.reference()).report

    assert ("lgs1", "AAPL", Side.BUY, OrderType.MARKET, D(3), None, TimeInForce.DAY) == (
        report.client_order_id, report.symbol, report.side, report.order_type, report.quantity, report.price, report.time_in_force,
    )  # fmt: skip
    assert (OrderStatus.PENDING_NEW, D(0), None) == (report.status, report.filled_quantity, report.average_price)
    assert (OrderStatus.FILLED, D(3), D(190)) == (found.status, found.filled_quantity, found.average_price)
    assert [report.venue_order_id, found.venue_order_id] == 2 * [desk.server.orders()[0]["venue_order_id"]]


def test_a_limit_order_rests(desk):
    desk.submit(price=D("150.25"), side=Side.BUY)
    report = desk.venue.lookup(desk.reference()).report

    assert (OrderStatus.NEW, OrderType.LIMIT, D("150.25"), D(3)) == (
        report.status, report.order_type, report.price, report.leaves_quantity,
    )  # fmt: skip


def test_an_order_fills_in_parts(desk):
    venue_order_id = desk.rest()
    desk.app.exchange.fill(venue_order_id, D(1))
    part = desk.venue.lookup(desk.reference()).report
    desk.app.exchange.fill(venue_order_id, D(2))
    whole = desk.venue.lookup(desk.reference()).report

    assert (OrderStatus.PARTIALLY_FILLED, D(1), D(2), D(150)) == (
        part.status, part.filled_quantity, part.leaves_quantity, part.average_price,
    )  # fmt: skip
    assert (OrderStatus.FILLED, D(3), D(0)) == (whole.status, whole.filled_quantity, whole.leaves_quantity)


def test_an_ioc_order_keeps_what_it_got_and_ends(desk):
    desk.app.exchange.set_liquidity("AAPL", D(1))
    desk.submit(time_in_force=TimeInForce.IOC)
    report = desk.venue.lookup(desk.reference()).report

    assert (OrderStatus.CANCELED, D(1), D(0)) == (report.status, report.filled_quantity, report.leaves_quantity)


def test_numbers_go_out_as_exact_decimal_strings_and_nothing_else_goes_out(desk):
    desk.submit("lgs1", symbol="BTC/USD", quantity=D("0.123456789"), price=D("1E+4"), time_in_force=TimeInForce.IOC)
    desk.submit("lgs2", quantity=D("2.0"), side=Side.SELL)
    bodies = [json.loads(request.body) for request in desk.app.requests if request.body]

    assert [
        {
            "symbol": "BTC/USD",
            "side": "buy",
            "type": "limit",
            "qty": "0.123456789",
            "time_in_force": "ioc",
            "client_order_id": "lgs1",
            "limit_price": "10000",
        },
        {"symbol": "AAPL", "side": "sell", "type": "market", "qty": "2", "time_in_force": "day", "client_order_id": "lgs2"},
    ] == bodies


@pytest.mark.parametrize("quantity", ["0.1000000000000000055", "0.000000001", "12345678901234567890.123456789"])
def test_no_digit_is_lost_on_the_way(desk, quantity):
    desk.submit(symbol="BTC/USD", quantity=D(quantity), price=D(1))

    assert quantity == json.loads(desk.app.requests[-1].body)["qty"]


def test_what_is_recorded_before_the_send_is_what_is_sent(desk):
    prepared = desk.prepare(price=D("150.10"))
    desk.venue.submit(prepared, ())

    assert [prepared.wire] == [request.json() for request in desk.app.requests]


def test_preparing_sends_nothing(desk):
    desk.prepare()

    assert [] == desk.app.requests


@pytest.mark.parametrize(
    ("changes", "code", "category"),
    [
        ({"quantity": D(100_000)}, "40310000", Category.INSUFFICIENT_FUNDS),
        ({"side": Side.SELL}, "40310000", Category.INSUFFICIENT_FUNDS),
        ({"symbol": "NONE"}, "42210000", Category.INVALID_ORDER),
        ({"price": D("150.001")}, "42210000", Category.INVALID_ORDER),
        ({"symbol": "BTC/USD"}, "40010001", Category.INVALID_ORDER),
    ],
)
def test_a_listed_refusal_is_a_rejection(desk, changes, code, category):
    said = desk.submit(**changes).classification

    assert (Outcome.REJECTED, code, category) == (said.outcome, said.venue_code, said.category)
    assert said.venue_message
    assert [] == desk.server.orders()


def test_an_order_that_alpaca_answers_as_rejected_is_told_as_it_is(desk):
    desk.change_json("POST", "/orders", lambda order: order | {"status": "rejected"})

    assert OrderStatus.REJECTED is desk.submit().result.status


@pytest.mark.parametrize("end", ["open", "filled", "canceled"])
def test_a_second_order_under_an_id_is_a_duplicate_whatever_became_of_the_first(desk, end):
    venue_order_id = desk.rest()
    if end == "filled":
        desk.app.exchange.fill(venue_order_id, D(3))
    if end == "canceled":
        desk.app.exchange.cancel(venue_order_id)

    said = desk.submit(price=D(150)).classification

    assert (Outcome.DUPLICATE, Category.DUPLICATE, "40010001") == (said.outcome, said.category, said.venue_code)
    assert 1 == len(desk.server.orders())


@pytest.mark.parametrize("code", [40010001, 42210000, 42299999, None])
@pytest.mark.parametrize(
    "message",
    [
        "client_order_id must be unique",
        "Client Order ID already exists",
        "order with this clientOrderId is known",
        "duplicate client-order-id",
    ],
)
def test_a_422_about_our_id_is_a_duplicate_in_any_wording(desk, code, message):
    desk.answer("POST", "/orders", 422, json.dumps({"code": code, "message": message}).encode())

    assert Outcome.DUPLICATE is desk.submit().classification.outcome


def test_a_closed_gate_means_not_sent(desk):
    def closed():
        raise GateClosedError("SWITCH_HALTED", "halted", denies=True)

    reply = desk.submit(gates=(closed,))

    assert (Outcome.NOT_SENT, Phase.NOTHING_SENT) == (reply.classification.outcome, reply.record.phase)
    assert ([], []) == (desk.server.orders(), desk.app.requests)


# Looking up


def test_an_order_whose_answer_was_lost_is_found(open_desk):
    desk = open_desk(timeout_s=0.4)
    desk.fault(FaultKind.ANSWER_DROPPED)
    reply = desk.submit()
    found = desk.venue.lookup(desk.reference()).report

    assert (Outcome.UNKNOWN, Phase.SENT) == (reply.classification.outcome, reply.record.phase)
    assert ("lgs1", OrderStatus.FILLED) == (found.client_order_id, found.status)


def test_an_order_that_never_arrived_is_not_seen_and_the_view_says_where(desk):
    found = desk.venue.lookup(desk.reference())

    assert NotSeen(views=(View("GET /v2/orders:by_client_order_id", "404 40410000 order not found"),)) == found


@pytest.mark.parametrize("body", NOT_ALPACAS_404, ids=lambda body: repr(body[:60]))
def test_a_404_that_is_not_alpacas_is_an_error_and_no_absence(desk, body):
    desk.answer("GET", "/orders:by_client_order_id", 404, body)

    with pytest.raises(VenueAskError, match="lookup failed") as caught:
        desk.venue.lookup(desk.reference())

    assert Outcome.UNKNOWN is caught.value.classification.outcome


@pytest.mark.parametrize("status", [200, 202, 307, 400, 410, 422, 500, 503])
def test_the_code_of_an_absent_order_under_another_status_is_no_absence(desk, status):
    desk.answer("GET", "/orders:by_client_order_id", status, b'{"code": 40410000, "message": "order not found for lgs1"}')

    with pytest.raises(VenueAskError):
        desk.venue.lookup(desk.reference())


@pytest.mark.parametrize("body", [b"", b"null", b"true", b"{}", b"[]", PAGE, b'{"id":'])
def test_a_lookup_without_an_order_is_an_error(desk, body):
    desk.answer("GET", "/orders:by_client_order_id", 200, body)

    with pytest.raises(VenueAskError):
        desk.venue.lookup(desk.reference())


def test_a_lookup_that_gives_another_order_is_refused(desk):
    desk.submit()
    desk.change_json("GET", "/orders:by_client_order_id", lambda order: order | {"client_order_id": "lgs2"})

    with pytest.raises(VenueAskError, match="asked for lgs1, got lgs2"):
        desk.venue.lookup(desk.reference())


@pytest.mark.parametrize("identity", ["a b/#x", "a&b=c", "a%2Fb", "a+b", "../account"])
def test_an_id_in_a_query_reaches_the_order_it_names_and_no_other(desk, identity):
    desk.rest("a")
    desk.rest(identity)

    assert identity == desk.venue.lookup(desk.reference(identity)).report.client_order_id


# Cancelling


def test_a_resting_order_is_cancelled_in_one_request(desk):
    venue_order_id = desk.rest()
    reply = desk.venue.cancel(desk.reference(venue_order_id=venue_order_id))

    assert (CancelReceipt(), 204, None) == (reply.result, reply.record.answer.status, reply.error)
    assert (1, "canceled") == (len(desk.sent("cancel")), desk.server.orders()[0]["status"])


def test_the_cancel_of_an_order_that_alpaca_does_not_know_is_absent(desk):
    said = desk.venue.cancel(desk.reference(venue_order_id="00000000-0000-0000-0000-000000000000")).classification

    assert (Outcome.ABSENT, Category.NOT_FOUND, "40410000") == (said.outcome, said.category, said.venue_code)


def test_the_cancel_of_an_order_that_has_ended_is_refused(desk):
    desk.submit()
    venue_order_id = desk.server.orders()[0]["venue_order_id"]
    said = desk.venue.cancel(desk.reference(venue_order_id=venue_order_id)).classification

    assert (Outcome.REJECTED, Category.INVALID_ORDER, "42210000") == (said.outcome, said.category, said.venue_code)


@pytest.mark.parametrize(
    ("status", "body"), [(200, b""), (200, b"{}"), (202, b""), (207, b"[]"), (307, b""), (404, PAGE), (422, PAGE), (403, PAGE)]
)
def test_an_answer_to_a_cancel_that_is_not_alpacas_204_proves_nothing(desk, status, body):
    venue_order_id = desk.rest()
    desk.answer("DELETE", f"/orders/{venue_order_id}", status, body)
    reply = desk.venue.cancel(desk.reference(venue_order_id=venue_order_id))

    assert (None, Outcome.UNKNOWN) == (reply.result, reply.classification.outcome)


@pytest.mark.parametrize("venue_order_id", [None, "", ".", "..", "../orders", "a/b", "a b", "a?b", "%2e"])
def test_a_cancel_that_could_mean_every_order_never_leaves(desk, venue_order_id):
    desk.rest()
    before = len(desk.server.wire)
    reply = desk.venue.cancel(desk.reference(venue_order_id=venue_order_id))

    assert (Outcome.NOT_SENT, before) == (reply.classification.outcome, len(desk.server.wire))
