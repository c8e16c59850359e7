"""The hooks against the simulator: the real ccxt client over loopback HTTP."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from logos_ccxt import VENUE
from logos_ccxt.kraken import simulator as simulator_module
from logos_ccxt.kraken import venue as venue_module
from logos_core.capabilities import Uniqueness
from logos_core.hookspecs import Category, Found, NotSeen, Outcome, UnknownSymbolError
from logos_core.orders import OrderStatus, OrderType, TimeInForce
from logos_core.reports import Fee
from logos_core.testing import exchange
from logos_core.testing.faults import FaultKind
from logos_core.venues import VenueAskError

D = Decimal
KEY = {
    "apiKeyName": "logos",
    "nonceWindow": 0,
    "permissions": [],
    "iban": "AA88 N84G WOAK NMOI",
    "validUntil": "0",
    "queryFrom": "0",
    "queryTo": "0",
}


def outcome_of(reply):
    return reply.classification.outcome


def result(**body) -> bytes:
    return json.dumps({"error": [], "result": body}).encode()


def test_an_order_that_was_taken_is_pending_since_the_answer_says_no_more(desk):
    report = desk.submit(desk.market()).result

    assert (OrderStatus.PENDING_NEW, D(0), None) == (report.status, report.filled_quantity, report.time_in_force)
    assert ("lgsorder1", "BTC/USD", "O00000-00000-000001") == (report.client_order_id, report.symbol, report.venue_order_id)


def test_a_market_order_is_found_filled_with_its_trade_and_its_fee_in_the_quote_asset(desk):
    desk.submit(desk.market())
    report = desk.venue.lookup(desk.reference()).report

    assert (OrderStatus.FILLED, D("0.01"), D(60000)) == (report.status, report.filled_quantity, report.average_price)
    assert (Fee(amount=D("2.4"), asset="USD"),) == report.fees
    assert ["lgsorder1"] == [execution.client_order_id for execution in report.executions]
    assert report.executions == desk.reconcile().executions


def test_a_partial_fill_is_looked_up_with_each_execution(desk):
    placed = desk.submit(desk.limit()).result
    desk.app.exchange.fill(placed.venue_order_id, D("0.003"))
    desk.app.exchange.fill(placed.venue_order_id, D("0.002"))
    desk.submit(desk.market("lgsorder2"))
    report = desk.venue.lookup(desk.reference()).report

    assert (OrderStatus.PARTIALLY_FILLED, D("0.005"), D("0.005")) == (report.status, report.filled_quantity, report.leaves_quantity)
    assert [D("0.003"), D("0.002")] == sorted((execution.quantity for execution in report.executions), reverse=True)


@pytest.mark.parametrize(
    ("lasts", "fills", "status"),
    [
        (TimeInForce.IOC, "0.004", OrderStatus.CANCELED),
        (TimeInForce.IOC, "1", OrderStatus.FILLED),
        (TimeInForce.GTC, "0", OrderStatus.NEW),
    ],
)
def test_each_end_has_its_status(desk, lasts, fills, status):
    desk.app.exchange.set_liquidity("BTC/USD", D(fills))
    desk.submit(desk.limit(price="60000", time_in_force=lasts))

    assert status is desk.venue.lookup(desk.reference()).report.status


def test_a_dated_order_expires(make_desk):
    now = {"at": datetime(2026, 5, 1, tzinfo=UTC)}
    desk = make_desk(now=lambda: now["at"], deadline_enforced_by="nobody")
    desk.submit(desk.limit(time_in_force=TimeInForce.GTD, expires_at=now["at"] + timedelta(minutes=1)))
    now["at"] += timedelta(minutes=2)

    assert OrderStatus.EXPIRED is desk.venue.lookup(desk.reference()).report.status


def test_an_order_whose_answer_is_lost_is_found(make_desk):
    desk = make_desk(timeout_s=0.4)
    prepared = desk.venue.prepare(desk.market())
    desk.fault(FaultKind.ANSWER_DROPPED)
    reply = desk.venue.submit(prepared, ())

    assert (Outcome.UNKNOWN, Category.TIMEOUT) == (outcome_of(reply), reply.classification.category)
    assert isinstance(desk.venue.lookup(desk.reference()), Found)


def test_an_order_that_never_was_is_not_seen_in_two_views_that_do_not_share_an_index(desk):
    seen = desk.venue.lookup(desk.reference("lgsorder9"))
    asked = [(method, "cl_ord_id" in sent) for method in ("OpenOrders", "ClosedOrders") for sent in desk.sent(method)]

    assert isinstance(seen, NotSeen)
    assert 2 == len({view.source for view in seen.views})
    assert [("OpenOrders", True), ("OpenOrders", False), ("ClosedOrders", True), ("ClosedOrders", False)] == asked
    assert seen.venue_time is not None
    assert abs(datetime.now(UTC) - seen.venue_time) < timedelta(seconds=3)


@pytest.mark.parametrize("order", ["market", "limit"])
def test_an_order_that_the_search_by_its_id_misses_is_found_in_the_lists(desk, order):
    placed = desk.submit(getattr(desk, order)()).result
    handle = desk.app.handle

    def blind(request):
        name = request.path.rpartition("/")[2]
        kind = {"OpenOrders": "open", "ClosedOrders": "closed"}.get(name)
        if kind is None or "cl_ord_id" not in request.form():
            return handle(request)
        return type(handle(request)).json(200, {"error": [], "result": {kind: {}, "count": 0}})

    desk.app.handle = blind

    assert placed.venue_order_id == desk.venue.lookup(desk.reference()).report.venue_order_id


def test_trap_the_lookup_asks_by_cl_ord_id_and_not_by_userref(desk):
    desk.submit(desk.limit())
    desk.venue.lookup(desk.reference())

    assert [{"cl_ord_id": "lgsorder1"}] == [
        {name: value for name, value in sent.items() if name != "nonce"} for sent in desk.sent("OpenOrders")
    ]
    assert "QueryOrders" not in desk.asked()


def test_trap_a_list_that_was_not_filtered_is_no_answer(make_desk):
    desk = make_desk(filters_by_cl_ord_id=False)
    desk.submit(desk.limit("lgsorder2"))

    with pytest.raises(VenueAskError, match="was not filtered"):
        desk.venue.lookup(desk.reference())


@pytest.mark.parametrize("method", ["OpenOrders", "ClosedOrders"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"error":["EGeneral:Permission denied"]}'),
        (200, b'{"error":["EAPI:Rate limit exceeded"]}'),
        (200, b'{"error":["EAPI:Invalid nonce"]}'),
        (200, b""),
        (200, b"null"),
        (200, b"{}"),
        (200, b'{"error":[]}'),
        (200, b'{"error":[],"result":{}}'),
        (503, b'{"error":[],"result":{"open":{},"closed":{},"count":0}}'),
        (302, b'{"error":[],"result":{"open":{},"closed":{},"count":0}}'),
    ],
)
def test_only_a_whole_list_shows_that_an_order_is_not_there(desk, method, status, body):
    desk.venue.identify()
    desk.answer(method, body, status)

    with pytest.raises(VenueAskError) as caught:
        desk.venue.lookup(desk.reference())

    assert Outcome.UNKNOWN is caught.value.classification.outcome


def test_a_known_venue_order_id_names_the_order_since_ours_may_be_used_again(desk):
    first = desk.submit(desk.market()).result
    second = desk.submit(desk.market()).result

    assert first.venue_order_id != second.venue_order_id
    assert Uniqueness.OPEN is VENUE.capabilities["kraken"].client_ids.uniqueness
    for order in (first, second):
        assert order.venue_order_id == desk.venue.lookup(desk.reference(venue_order_id=order.venue_order_id)).report.venue_order_id
    assert second.venue_order_id == desk.venue.lookup(desk.reference()).report.venue_order_id


@pytest.mark.parametrize(
    "words", ["EOrder:Duplicate client order id", "EGeneral:Invalid arguments:cl_ord_id", "EOrder:Order exists"]
)
def test_an_order_under_the_id_of_an_open_one_is_refused_and_that_is_no_rejection(make_desk, words):
    """No page tells the words of that refusal, so none of them may be believed."""
    desk = make_desk(duplicate_error=words)
    desk.submit(desk.limit())

    assert Outcome.UNKNOWN is outcome_of(desk.submit(desk.limit()))
    assert 1 == len(desk.server.orders())


@pytest.mark.parametrize(
    ("change", "category", "code"),
    [
        ({"quantity": D(1000)}, Category.INSUFFICIENT_FUNDS, "EOrder:Insufficient funds"),
        ({"quantity": D("0.00001")}, Category.INVALID_ORDER, "EOrder:Order minimum not met"),
        ({"price": "0.1"}, Category.INVALID_ORDER, "EOrder:Cost minimum not met"),
        ({"price": "50000.01"}, Category.INVALID_ORDER, "EOrder:Tick size check failed"),
        ({"price": "61000", "post_only": True}, Category.INVALID_ORDER, "EOrder:Post only order"),
    ],
)
def test_a_refusal_of_the_venue_is_a_rejection(desk, change, category, code):
    reply = desk.submit(desk.limit(**change))

    assert (Outcome.REJECTED, category, code) == (outcome_of(reply), reply.classification.category, reply.classification.venue_code)
    assert [] == desk.server.orders()


def test_a_wrong_secret_is_refused_as_such(make_desk):
    desk = make_desk(secret="wrong")
    reply = desk.submit(desk.market())

    assert (Outcome.REJECTED, Category.AUTHENTICATION) == (outcome_of(reply), reply.classification.category)


def test_a_stop_waits_and_a_trailing_one_follows(desk):
    desk.submit(desk.order("stop", "lgsstop", stop_price=D(61000)))
    desk.submit(desk.order("trailing_stop", "lgstrail", trail_amount=D(500)))
    desk.app.exchange.move_price("BTC/USD", D(59000))
    trailing = desk.venue.lookup(desk.reference("lgstrail")).report
    desk.app.exchange.move_price("BTC/USD", D(61000))

    assert (OrderType.TRAILING_STOP, None, D(500)) == (trailing.order_type, trailing.stop_price, trailing.trail_amount)
    assert "59500.0" == trailing.raw["stopprice"]
    assert OrderStatus.FILLED is desk.venue.lookup(desk.reference("lgsstop")).report.status
    assert OrderStatus.FILLED is desk.venue.lookup(desk.reference("lgstrail")).report.status


def test_somebody_elses_prices_relative_to_the_market_do_not_make_the_account_unreadable(desk):
    desk.submit(desk.order("stop_limit", "theirs", stop_price=D(61000), price=D(61100)))
    [row] = desk.app._open_orders({})["open"].values()
    row["descr"] |= {"ordertype": "take-profit-limit", "price": "+5%", "price2": "-1%"}
    desk.answer("OpenOrders", result(open={"O1": row}))
    [report] = desk.reconcile().open_orders

    assert (OrderType.LIMIT, None, None) == (report.order_type, report.price, report.stop_price)


@pytest.mark.parametrize("known", [{}, {"venue_order_id": "O00000-00000-000001"}])
def test_a_cancel_ends_the_order_in_one_request(desk, known):
    desk.submit(desk.limit())
    before = len(desk.server.wire)
    reply = desk.venue.cancel(desk.reference(**known))

    assert {"count": 1} == reply.result.raw
    assert 1 == len(desk.server.wire) - before
    assert OrderStatus.CANCELED is desk.venue.lookup(desk.reference()).report.status


def test_a_cancel_before_any_market_is_loaded_is_still_one_request(desk):
    reply = desk.venue.cancel(desk.reference())

    assert ["CancelOrder"] == desk.asked()
    assert (Outcome.REJECTED, Category.NOT_FOUND) == (outcome_of(reply), reply.classification.category)


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b'{"error":[],"result":{}}', b'{"error":[],"result":{"count":0}}'])
def test_a_cancel_that_cancelled_nothing_is_unknown(desk, body):
    desk.answer("CancelOrder", body)

    assert Outcome.UNKNOWN is outcome_of(desk.venue.cancel(desk.reference()))


def test_identify_returns_the_number_of_the_account_and_the_place_asked(desk):
    identity = desk.venue.identify()

    assert ("AA88N84GWOAKNMOI", "simulator") == (identity.account_id, identity.environment)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"nonceWindow": 10_000}, "nonce window"),
        ({"nonceWindow": None}, "nonce window"),
        ({"queryFrom": "1772542900"}, "queryFrom"),
        ({"queryTo": "1772542900"}, "queryTo"),
        ({"iban": ""}, "iban"),
    ],
)
def test_a_key_that_could_double_an_order_or_hide_one_is_refused(desk, change, why):
    desk.answer("GetApiKeyInfo", result(**KEY | change))

    with pytest.raises(VenueAskError, match=why):
        desk.venue.identify()


def test_with_a_nonce_window_one_request_delivered_twice_is_two_orders(make_desk):
    desk = make_desk(nonce_window=10_000)
    prepared = desk.venue.prepare(desk.market())
    desk.fault(FaultKind.DUPLICATE_DELIVERY)
    desk.venue.submit(prepared, ())

    assert 2 == len(desk.server.orders())


def test_the_grid_is_the_venues(desk):
    grid = desk.venue.instrument("ETH/USD")

    assert (D("0.01"), D("0.00000001"), D("0.002"), D("0.5")) == (
        grid.tick_at(D(3000)),
        grid.quantity_step,
        grid.min_quantity,
        grid.min_notional,
    )
    assert ("ETH", "USD") == (grid.base_asset, grid.quote_asset)


@pytest.mark.parametrize("symbol", ["XRP/USD", "XBT/USD", "XXBTZUSD", "btc/usd"])
def test_a_symbol_that_is_not_spelled_as_ccxt_spells_it_is_unknown(desk, symbol):
    with pytest.raises(UnknownSymbolError):
        desk.venue.instrument(symbol)


@pytest.mark.parametrize("status", ["cancel_only", "post_only", "limit_only", "reduce_only", None])
def test_a_market_that_does_not_take_every_order_is_unknown(desk, status):
    desk.venue.identify()
    listed = desk.app._asset_pairs({"pair": "XBTUSD"})
    listed["XXBTZUSD"]["status"] = status
    desk.answer("AssetPairs", result(**listed))

    with pytest.raises(UnknownSymbolError):
        desk.venue.instrument("BTC/USD")


def test_a_snapshot_tells_orders_executions_with_fees_and_holdings(desk):
    desk.submit(desk.market("lgsorder1"))
    desk.submit(desk.limit("lgsorder2"))
    snapshot = desk.reconcile()

    assert ["lgsorder2"] == [report.client_order_id for report in snapshot.open_orders]
    assert ["lgsorder1"] == [report.client_order_id for report in snapshot.changed_orders]
    assert [("lgsorder1", (Fee(amount=D("2.4"), asset="USD"),))] == [
        (execution.client_order_id, execution.fees) for execution in snapshot.executions
    ]
    assert {"BTC": D("1.01"), "ETH": D(10), "USD": D("99397.6")} == {
        position.symbol: position.quantity for position in snapshot.positions
    }


def test_what_earns_by_itself_is_counted_with_what_it_is_traded_as(desk):
    desk.answer("BalanceEx", result(**{"ZUSD": {"balance": "1.5"}, "USD.F": {"balance": "2"}, "ETH.S": {"balance": "3"}}))

    assert {"USD": D("3.5"), "ETH.S": D(3)} == {position.symbol: position.quantity for position in desk.reconcile().positions}


def test_a_cursor_may_be_used_twice_and_leaves_old_orders_behind(make_desk):
    now = {"at": datetime(2026, 5, 1, tzinfo=UTC)}
    desk = make_desk(now=lambda: now["at"], deadline_enforced_by="nobody")
    desk.submit(desk.market("lgsorder1"))
    now["at"] += timedelta(minutes=5)
    cursor = desk.reconcile().cursor
    desk.submit(desk.market("lgsorder2"))

    assert desk.reconcile(cursor) == desk.reconcile(cursor)
    assert ["lgsorder2"] == [report.client_order_id for report in desk.reconcile(cursor).changed_orders]
    assert ["lgsorder2"] == [execution.client_order_id for execution in desk.reconcile(cursor).executions]


def test_what_shows_late_in_a_list_by_time_is_not_left_behind(make_desk):
    now = {"at": datetime(2026, 5, 1, tzinfo=UTC)}
    desk = make_desk(now=lambda: now["at"], deadline_enforced_by="nobody", visible_after_s=5.0)
    desk.submit(desk.market("lgsorder1"))
    now["at"] += timedelta(seconds=3)
    first = desk.reconcile()
    now["at"] += timedelta(seconds=3)
    then = desk.reconcile(first.cursor)

    assert ((), ["lgsorder1"]) == (first.changed_orders, [report.client_order_id for report in then.changed_orders])


def test_an_order_that_ends_while_we_read_is_in_one_list_and_not_in_both(desk):
    desk.submit(desk.limit())
    rows = desk.app._open_orders({})
    desk.app.exchange.cancel("O00000-00000-000001")
    desk.answer("OpenOrders", result(**rows))
    snapshot = desk.reconcile()

    assert ((), [OrderStatus.CANCELED]) == (snapshot.open_orders, [report.status for report in snapshot.changed_orders])


def test_history_is_read_page_by_page_to_its_end(desk, monkeypatch):
    monkeypatch.setattr(simulator_module, "PAGE", 2)
    for number in range(5):
        desk.submit(desk.market(f"lgsorder{number}"))
    snapshot = desk.reconcile()

    assert {f"lgsorder{number}" for number in range(5)} == {report.client_order_id for report in snapshot.changed_orders}
    assert 5 == len(snapshot.executions)
    assert ["0", "2", "4"] == [sent["ofs"] for sent in desk.sent("ClosedOrders")]


def test_a_page_that_ends_early_is_an_error_not_half_a_view(desk):
    desk.submit(desk.market())
    rows = desk.app._closed_orders({})
    desk.answer("ClosedOrders", result(**{**rows, "count": 2}))

    with pytest.raises(VenueAskError):
        desk.reconcile()


def test_too_many_pages_are_an_error_not_half_a_view(desk, monkeypatch):
    monkeypatch.setattr(simulator_module, "PAGE", 1)
    monkeypatch.setattr(venue_module, "MAX_PAGES", 2)
    for number in range(3):
        desk.submit(desk.market(f"lgsorder{number}"))

    with pytest.raises(VenueAskError, match="pages"):
        desk.reconcile()


def test_an_order_on_a_market_that_is_no_longer_listed_is_shown_unless_it_is_ours(make_desk):
    btc, eth = simulator_module.default_instruments()
    desk = make_desk(instruments=[btc])
    desk.venue.identify()
    desk.app.exchange._instruments["ETH/USD"] = eth
    for name in ("theirs", "lgsours"):
        desk.app.exchange.submit(
            exchange.OrderRequest(
                symbol="ETH/USD", side=exchange.Side.BUY, type=exchange.OrderType.MARKET, quantity=D(1), client_order_id=name
            )
        )
    listed = {"XXBTZUSD": desk.app._asset_pairs({"pair": "XBTUSD"})["XXBTZUSD"]}
    desk.answer("AssetPairs", result(**listed))
    rows = desk.app._closed_orders({})["closed"]
    theirs = {key: row for key, row in rows.items() if row["cl_ord_id"] == "theirs"}
    desk.answer("ClosedOrders", result(closed=theirs, count=1))

    assert [("ETHUSD", "theirs")] == [(report.symbol, report.client_order_id) for report in desk.reconcile().changed_orders]
    assert {"XETHZUSD"} == {execution.symbol for execution in desk.reconcile().executions}
    desk.answer("ClosedOrders", result(closed=rows, count=2))
    with pytest.raises(VenueAskError, match="not listed"):
        desk.reconcile()


def test_a_market_listed_after_we_began_is_read_anew(make_desk):
    btc, eth = simulator_module.default_instruments()
    desk = make_desk(instruments=[btc])
    desk.venue.identify()
    desk.app.exchange._instruments["ETH/USD"] = eth
    desk.app.exchange.submit(
        exchange.OrderRequest(
            symbol="ETH/USD",
            side=exchange.Side.BUY,
            type=exchange.OrderType.LIMIT,
            quantity=D(1),
            price=D(2000),
            client_order_id="x",
        )
    )

    assert ["ETH/USD"] == [report.symbol for report in desk.reconcile().open_orders]
