"""The hooks against the simulator: the real ccxt client over loopback HTTP."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from logos_ccxt import VENUE
from logos_ccxt.binance import venue as venue_module
from logos_ccxt.binance.capabilities import RECV_WINDOW_MS
from logos_ccxt.binance.simulator import default_instruments
from logos_core.capabilities import ExpiryKind, Uniqueness
from logos_core.clock import ManualClock
from logos_core.hookspecs import Category, Found, NotSeen, Outcome, UnknownSymbolError
from logos_core.orders import OrderStatus
from logos_core.reports import Fee
from logos_core.testing import exchange
from logos_core.testing.faults import FaultKind
from logos_core.venues import VenueAskError

D = Decimal


def outcome_of(reply):
    return reply.classification.outcome


def test_a_market_order_is_reported_filled_with_its_fee(desk):
    report = desk.submit(desk.market()).result

    assert (OrderStatus.FILLED, D("0.01"), D(60000)) == (report.status, report.filled_quantity, report.average_price)
    assert (Fee(amount=D("0.00001"), asset="BTC"),) == report.fees
    assert ("order1", "BTC/USDT") == (report.client_order_id, report.symbol)


def test_a_sale_pays_its_fee_in_the_quote_asset(desk):
    report = desk.submit(desk.market(side="sell")).result

    assert (Fee(amount=D("0.6"), asset="USDT"),) == report.fees


def test_a_limit_order_rests_at_its_price(desk):
    report = desk.submit(desk.limit()).result

    assert (OrderStatus.NEW, D(50000), D(0), None) == (
        report.status,
        report.price,
        report.filled_quantity,
        report.average_price,
    )


def test_what_an_ioc_order_leaves_behind_is_expired_not_open(desk):
    desk.app.exchange.set_liquidity("BTC/USDT", D("0.004"))
    report = desk.submit(desk.limit(price="60000", time_in_force="ioc")).result

    assert (OrderStatus.EXPIRED, D("0.004"), D(0)) == (report.status, report.filled_quantity, report.leaves_quantity)


def test_a_partial_fill_is_looked_up_with_each_execution_and_fee(desk):
    placed = desk.submit(desk.limit()).result
    desk.app.exchange.fill(placed.venue_order_id, D("0.003"))
    desk.app.exchange.fill(placed.venue_order_id, D("0.002"))
    report = desk.venue.lookup(desk.reference()).report

    assert (OrderStatus.PARTIALLY_FILLED, D("0.005"), D("0.005")) == (
        report.status,
        report.filled_quantity,
        report.leaves_quantity,
    )
    assert [D("0.003"), D("0.002")] == [execution.quantity for execution in report.executions]
    assert (Fee(amount=D("0.000005"), asset="BTC"),) == report.fees
    assert {"order1"} == {execution.client_order_id for execution in report.executions}


def test_a_market_order_whose_answer_is_lost_is_found_filled_with_its_fee(make_desk):
    desk = make_desk(timeout_s=0.4)
    prepared = desk.venue.prepare(desk.market())
    desk.fault(FaultKind.ANSWER_DROPPED)
    reply = desk.venue.submit(prepared, ())

    assert (Outcome.UNKNOWN, Category.TIMEOUT) == (outcome_of(reply), reply.classification.category)

    found = desk.venue.lookup(desk.reference())

    assert isinstance(found, Found)
    assert (OrderStatus.FILLED, D("0.01")) == (found.report.status, found.report.filled_quantity)
    assert ((Fee(amount=D("0.00001"), asset="BTC"),), 1) == (found.report.fees, len(found.report.executions))


def test_the_answer_and_the_list_of_trades_name_an_execution_alike(desk):
    answered = desk.submit(desk.market()).result.executions

    assert answered == desk.venue.lookup(desk.reference()).report.executions
    assert answered == desk.reconcile().executions


def test_an_order_that_never_was_is_not_seen_in_three_places(desk):
    seen = desk.venue.lookup(desk.reference("order9"))

    assert isinstance(seen, NotSeen)
    assert seen.venue_time is not None
    assert ["GET /api/v3/order", "GET /api/v3/openOrders BTCUSDT", "GET /api/v3/allOrders BTCUSDT"] == [
        view.source.partition(" since")[0] for view in seen.views
    ]
    assert abs(datetime.now(UTC) - seen.venue_time) < timedelta(seconds=3)


def test_without_a_date_header_the_venue_is_asked_for_its_time(desk):
    desk.venue.identify()
    desk.answer("GET", "allOrders", 200, b"[]")
    seen = desk.venue.lookup(desk.reference("order9"))

    assert 1 == len(desk.sent("GET", "time"))
    assert abs(datetime.now(UTC) - seen.venue_time) < timedelta(seconds=3)


@pytest.mark.parametrize("order", ["market", "limit"])
def test_an_order_that_the_lookup_by_id_misses_is_found_in_the_lists(desk, order):
    placed = desk.submit(getattr(desk, order)()).result
    desk.answer("GET", "order", 400, b'{"code":-2013,"msg":"Order does not exist."}')
    if order == "market":
        desk.answer("GET", "openOrders", 200, b"[]")
    else:
        desk.answer("GET", "allOrders", 200, b"[]")
    found = desk.venue.lookup(desk.reference())

    assert placed.venue_order_id == found.report.venue_order_id
    assert placed.fees == found.report.fees


def test_the_lists_are_read_from_before_the_first_attempt(desk):
    submitted_at = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
    desk.venue.lookup(desk.reference("order9", submitted_at=submitted_at))

    assert str(int((submitted_at - timedelta(minutes=1)).timestamp() * 1000)) == desk.sent("GET", "allOrders")[0]["startTime"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"code":-2026,"msg":"Order was canceled or expired with no executed qty over 90 days ago and has been archived."}'),
        (400, b'{"code":-1003,"msg":"Too many requests."}'),
        (404, b"<html>Not found.</html>"),
        (404, b'{"code":-2013,"msg":"Order does not exist."}'),
        (503, b'{"code":-2013,"msg":"Order does not exist."}'),
        (200, b'{"code":-2013,"msg":"Order does not exist."}'),
        (200, b""),
        (200, b"null"),
    ],
)
def test_only_the_venues_own_word_makes_an_order_unseen(desk, status, body):
    desk.submit(desk.limit())
    desk.answer("GET", "order", status, body)

    with pytest.raises(VenueAskError) as caught:
        desk.venue.lookup(desk.reference())

    assert Outcome.UNKNOWN is caught.value.classification.outcome


def test_a_known_venue_order_id_names_the_order_since_ours_may_be_used_again(desk):
    first = desk.submit(desk.market()).result
    second = desk.submit(desk.market()).result

    assert first.venue_order_id != second.venue_order_id
    assert first.venue_order_id == desk.venue.lookup(desk.reference(venue_order_id=first.venue_order_id)).report.venue_order_id


def test_the_same_id_is_a_duplicate_while_the_first_order_is_open(desk):
    desk.submit(desk.limit())
    reply = desk.submit(desk.limit())

    assert (Outcome.DUPLICATE, "-2010") == (outcome_of(reply), reply.classification.venue_code)
    assert 1 == len(desk.server.orders())


def test_the_same_id_makes_a_second_order_after_a_fill_as_declared(desk):
    desk.submit(desk.market())
    desk.submit(desk.market())

    assert 2 == len(desk.server.orders())
    assert Uniqueness.OPEN is VENUE.capabilities["binance"].client_ids.uniqueness


@pytest.mark.parametrize(
    ("change", "category", "code"),
    [
        ({"quantity": "1000"}, Category.INSUFFICIENT_FUNDS, "-2010"),
        ({"quantity": "0.000001"}, Category.INVALID_ORDER, "-1013"),
        ({"quantity": "0.00001"}, Category.INVALID_ORDER, "-1013"),
        ({"price": "50000.001"}, Category.INVALID_ORDER, "-1013"),
        ({"price": "50000.000000001"}, Category.INVALID_ORDER, "-1111"),
    ],
)
def test_a_refusal_of_the_venue_is_a_rejection(desk, change, category, code):
    reply = desk.submit(desk.limit(**change))

    assert (Outcome.REJECTED, category, code) == (
        outcome_of(reply),
        reply.classification.category,
        reply.classification.venue_code,
    )
    assert [] == desk.server.orders()


def test_a_request_that_comes_too_late_is_refused_at_the_gateway(make_desk):
    clock = ManualClock(datetime.now(UTC) - timedelta(seconds=6))
    desk = make_desk(clock=clock)
    reply = desk.submit(desk.market())

    assert (Outcome.REJECTED, "-1021") == (outcome_of(reply), reply.classification.venue_code)


def test_what_passed_the_gateway_in_time_may_be_matched_after_the_window(make_desk):
    late = {"s": 0.0}
    desk = make_desk(
        engine_delay_s=60.0,
        now=lambda: datetime.now(UTC) + timedelta(seconds=late["s"]),
        wait=lambda seconds: late.update(s=seconds),
    )
    report = desk.submit(desk.market()).result

    assert OrderStatus.FILLED is report.status
    assert report.venue_time - datetime.now(UTC) > timedelta(seconds=RECV_WINDOW_MS / 1000)
    assert ExpiryKind.GATEWAY is VENUE.capabilities["binance"].expiry.kind


def test_the_time_signed_is_that_of_our_clock(make_desk):
    moment = datetime(2026, 3, 2, 1, 0, 0, 5000, tzinfo=UTC)
    desk = make_desk(clock=ManualClock(moment), now=lambda: moment)
    desk.submit(desk.market())

    assert str(int(moment.timestamp() * 1000)) == desk.sent("POST", "order")[0]["timestamp"]


def test_a_wrong_secret_is_refused_as_such(make_desk):
    desk = make_desk(secret="wrong")
    reply = desk.submit(desk.market())

    assert (Outcome.REJECTED, Category.AUTHENTICATION, "-1022") == (
        outcome_of(reply),
        reply.classification.category,
        reply.classification.venue_code,
    )


def test_too_many_orders_are_unknown_with_the_venues_advice(make_desk):
    desk = make_desk(orders_per_10_s=0)
    reply = desk.submit(desk.market())

    assert (Outcome.UNKNOWN, Category.RATE_LIMITED, "-1015", 10.0) == (
        outcome_of(reply),
        reply.classification.category,
        reply.classification.venue_code,
        reply.classification.retry_after_s,
    )


def test_too_much_weight_ends_a_question_as_rate_limited(make_desk):
    desk = make_desk(weight_per_minute=30)
    desk.venue.identify()

    with pytest.raises(VenueAskError) as caught:
        desk.venue.lookup(desk.reference())

    assert (Category.RATE_LIMITED, 60.0) == (caught.value.classification.category, caught.value.classification.retry_after_s)


@pytest.mark.parametrize("known", [{}, {"venue_order_id": "1"}])
def test_a_cancel_ends_the_order_in_one_request(desk, known):
    desk.submit(desk.limit())
    reply = desk.venue.cancel(desk.reference(**known))

    assert 1 == reply.result.raw["orderId"]
    assert OrderStatus.CANCELED is desk.venue.lookup(desk.reference()).report.status
    assert "order1" == desk.venue.lookup(desk.reference()).report.client_order_id


def test_a_cancel_before_any_market_is_loaded_is_still_one_request(desk):
    reply = desk.venue.cancel(desk.reference())

    assert ["/api/v3/order"] == [request.path for request in desk.app.requests]
    assert {"symbol": "BTCUSDT", "origClientOrderId": "order1"}.items() <= desk.sent("DELETE", "order")[0].items()
    assert (Outcome.REJECTED, Category.NOT_FOUND) == (outcome_of(reply), reply.classification.category)


def test_a_cancel_of_a_filled_order_is_refused(desk):
    desk.submit(desk.market())
    reply = desk.venue.cancel(desk.reference())

    assert (Outcome.REJECTED, Category.NOT_FOUND, "-2011") == (
        outcome_of(reply),
        reply.classification.category,
        reply.classification.venue_code,
    )


@pytest.mark.parametrize("body", [b"", b"null", b"true", b"<html></html>", b"{}", b"[]"])
def test_a_cancel_without_an_order_in_its_answer_is_unknown(desk, body):
    desk.answer("DELETE", "order", 200, body)

    assert Outcome.UNKNOWN is outcome_of(desk.venue.cancel(desk.reference()))


def test_identify_returns_the_venues_own_number_and_the_place_asked(desk):
    identity = desk.venue.identify()

    assert ("354937868", "simulator") == (identity.account_id, identity.environment)


def test_the_grid_is_the_venues(desk):
    grid = desk.venue.instrument("ETH/USDT")

    assert (D("0.01"), D("0.0001"), D("0.0001"), D(5)) == (
        grid.tick_at(D(3000)),
        grid.quantity_step,
        grid.min_quantity,
        grid.min_notional,
    )
    assert ("ETH", "USDT") == (grid.base_asset, grid.quote_asset)


@pytest.mark.parametrize("symbol", ["XRP/USDT", "BTCUSDT", "btc/usdt", "BTC/USDT:USDT"])
def test_a_symbol_that_is_not_spelled_as_ccxt_spells_it_is_unknown(desk, symbol):
    with pytest.raises(UnknownSymbolError):
        desk.venue.instrument(symbol)


def test_an_order_on_a_market_that_is_not_listed_cannot_be_asked_for(desk):
    with pytest.raises(VenueAskError, match="not listed"):
        desk.venue.lookup(desk.reference(symbol="XRP/USDT"))


def test_a_market_listed_after_we_began_is_read_anew(make_desk):
    btc, eth = default_instruments()
    desk = make_desk(instruments=[btc])
    desk.venue.identify()
    desk.app.exchange._instruments["ETH/USDT"] = eth
    desk.app.exchange.submit(
        exchange.OrderRequest(
            symbol="ETH/USDT",
            side=exchange.Side.BUY,
            type=exchange.OrderType.LIMIT,
            quantity=D(1),
            price=D(2000),
            client_order_id="x",
        )
    )

    assert ["ETH/USDT"] == [report.symbol for report in desk.reconcile().open_orders]


def test_a_symbol_that_does_not_trade_is_unknown(desk):
    desk.venue.identify()
    listed = desk.app._exchange_info({"symbol": "BTCUSDT"})
    listed["symbols"][0]["status"] = "BREAK"
    desk.answer("GET", "exchangeInfo", 200, json.dumps(listed).encode())

    with pytest.raises(UnknownSymbolError):
        desk.venue.instrument("BTC/USDT")


def test_a_snapshot_tells_orders_executions_with_fees_and_holdings(desk):
    desk.submit(desk.market("order1"))
    desk.submit(desk.limit("order2"))
    snapshot = desk.reconcile()

    assert ["order2"] == [report.client_order_id for report in snapshot.open_orders]
    assert ["order1", "order2"] == [report.client_order_id for report in snapshot.changed_orders]
    assert [("order1", (Fee(amount=D("0.00001"), asset="BTC"),))] == [
        (execution.client_order_id, execution.fees) for execution in snapshot.executions
    ]
    assert {"BTC": D("1.00999"), "ETH": D(10), "USDT": D(99400)} == {
        position.symbol: position.quantity for position in snapshot.positions
    }
    assert abs(datetime.now(UTC) - snapshot.venue_time) < timedelta(seconds=3)


def test_a_cursor_may_be_used_twice_and_goes_on_where_it_ended(desk):
    desk.submit(desk.market("order1"))
    first = desk.reconcile()
    desk.submit(desk.market("order2"))

    assert desk.reconcile(first.cursor) == desk.reconcile(first.cursor)
    assert ["order2"] == [report.client_order_id for report in desk.reconcile(first.cursor).changed_orders]
    assert ["order2"] == [execution.client_order_id for execution in desk.reconcile(first.cursor).executions]


def test_an_open_order_is_told_again_until_it_has_ended(desk):
    resting = desk.submit(desk.limit("order1")).result
    desk.submit(desk.market("order2"))
    cursor = desk.reconcile().cursor
    desk.app.exchange.fill(resting.venue_order_id, D("0.01"))
    then = desk.reconcile(cursor)

    assert OrderStatus.FILLED is then.changed_orders[0].status
    assert ["order1"] == [execution.client_order_id for execution in then.executions]
    assert () == desk.reconcile(then.cursor).changed_orders


def test_a_symbol_of_the_cursor_or_of_an_open_order_of_ours_is_read_unasked(desk):
    desk.submit(desk.limit("order1", symbol="ETH/USDT", price="2000"))
    snapshot = desk.reconcile(symbols=())
    desk.app.exchange.cancel(snapshot.open_orders[0].venue_order_id)

    assert [OrderStatus.CANCELED] == [report.status for report in desk.reconcile(snapshot.cursor, symbols=()).changed_orders]


def test_history_is_read_page_by_page_to_its_end(desk, monkeypatch):
    monkeypatch.setattr(venue_module, "PAGE", 2)
    for number in range(5):
        desk.submit(desk.market(f"order{number}"))
    snapshot = desk.reconcile()

    assert [f"order{number}" for number in range(5)] == [report.client_order_id for report in snapshot.changed_orders]
    assert 5 == len({execution.execution_id for execution in snapshot.executions})


def test_a_lookup_reads_the_list_to_its_end(desk, monkeypatch):
    monkeypatch.setattr(venue_module, "PAGE", 2)
    for number in range(5):
        desk.submit(desk.market(f"order{number}"))
    desk.answer("GET", "order", 400, b'{"code":-2013,"msg":"Order does not exist."}')

    assert "order4" == desk.venue.lookup(desk.reference("order4")).report.client_order_id


def test_too_many_pages_are_an_error_not_half_a_view(desk, monkeypatch):
    monkeypatch.setattr(venue_module, "PAGE", 1)
    monkeypatch.setattr(venue_module, "MAX_PAGES", 2)
    for number in range(3):
        desk.submit(desk.market(f"order{number}"))

    with pytest.raises(VenueAskError, match="pages"):
        desk.reconcile()


def test_a_page_that_ignores_the_id_asked_for_is_an_error(desk):
    desk.submit(desk.market())
    rows = json.dumps(desk.app._all_orders({"symbol": "BTCUSDT"})).encode()
    cursor = desk.reconcile().cursor
    desk.answer("GET", "allOrders", 200, rows)

    with pytest.raises(VenueAskError, match="was answered with 1"):
        desk.reconcile(cursor)


def test_an_order_that_ends_while_we_read_is_not_told_as_open(desk):
    desk.submit(desk.limit())
    rows = json.dumps(desk.app._open_orders({})).encode()
    desk.app.exchange.cancel("1")
    desk.answer("GET", "openOrders", 200, rows)

    assert () == desk.reconcile().open_orders
