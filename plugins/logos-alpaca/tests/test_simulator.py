"""The real SDK against the simulator: what alpaca-py cannot read, Alpaca would not have sent."""

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, OrderStatus, PositionSide, QueryOrderStatus, TimeInForce
from alpaca.trading.requests import GetOrdersRequest, LimitOrderRequest, MarketOrderRequest

from logos_alpaca.simulator import AlpacaSimulator
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from logos_core.testing.server import HttpRequest, LoopbackServer

D = Decimal
KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
ORDER_FIELDS = {
    "asset_class", "asset_id", "canceled_at", "client_order_id", "created_at", "expired_at", "expires_at",
    "extended_hours", "failed_at", "filled_at", "filled_avg_price", "filled_qty", "hwm", "id", "legs", "limit_price",
    "notional", "order_class", "order_type", "position_intent", "qty", "ratio_qty", "replaced_at", "replaced_by",
    "replaces", "side", "source", "status", "stop_price", "submitted_at", "subtag", "symbol", "time_in_force",
    "trail_percent", "trail_price", "type", "updated_at",
}  # fmt: skip


@pytest.fixture
def open_desk():
    desks = []

    def start(*faults, **settings):
        desks.append(Desk(AlpacaSimulator(**settings), FaultPlan(faults)))
        return desks[-1]

    yield start
    for desk in desks:
        desk.close()


@pytest.fixture
def desk(open_desk):
    return open_desk()


class Desk:
    """A simulator, its server, alpaca-py's client without its own retries, and a plain session beside it."""

    def __init__(self, app, plan):
        self.exchange = app.exchange
        self.server = LoopbackServer(app, plan).start()
        self.client = TradingClient("key", "secret", url_override=self.server.url)
        self.client._retry, self.client._retry_wait = 0, 0
        self.plain = requests.Session()
        self.plain.trust_env = self.client._session.trust_env = False

    def close(self):
        self.client._session.close()
        self.plain.close()
        self.server.stop()

    def market(self, client_order_id="m", symbol="AAPL", quantity=2, side=OrderSide.BUY):
        day = TimeInForce.GTC if "/" in symbol else TimeInForce.DAY
        return self.client.submit_order(
            MarketOrderRequest(symbol=symbol, qty=quantity, side=side, time_in_force=day, client_order_id=client_order_id)
        )

    def limit(self, client_order_id="l", price=150, symbol="AAPL", time_in_force=TimeInForce.GTC):
        return self.client.submit_order(
            LimitOrderRequest(
                symbol=symbol, qty=1, side=OrderSide.BUY, time_in_force=time_in_force, limit_price=price,
                client_order_id=client_order_id,
            )
        )  # fmt: skip

    def send(self, method, path, data=None, headers=KEYS):
        return self.plain.request(method, self.server.url + path, data=data, headers=headers, timeout=5)

    def post(self, **changes):
        order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
        return self.send("POST", "/v2/orders", json.dumps(order | changes))

    def orders(self, **query):
        found: Any = self.client.get_orders(GetOrdersRequest(**query))
        return [order.client_order_id for order in found]


def refusal(act, *arguments):
    with pytest.raises(APIError) as caught:
        act(*arguments)
    body = json.loads(caught.value.response.text)
    return caught.value.status_code, body["code"], body["message"]


# Submitting


def test_a_submit_answers_pending_new_and_the_fill_shows_later(desk):
    submitted = desk.market()
    found = desk.client.get_order_by_id(submitted.id)

    assert (OrderStatus.PENDING_NEW, "0", None) == (submitted.status, submitted.filled_qty, submitted.filled_avg_price)
    assert (OrderStatus.FILLED, "2", "190") == (found.status, found.filled_qty, found.filled_avg_price)
    assert found.filled_at is not None


def test_a_submit_answers_what_it_became_when_that_belief_is_off(open_desk):
    assert OrderStatus.FILLED is open_desk(pending_new_first=False).market().status


def test_the_venue_holds_what_the_sdk_was_told(desk):
    submitted = desk.limit("mine", 150.25)
    held = desk.server.orders()

    assert [(str(submitted.id), "mine", "AAPL", "buy", "limit", "1", "150.25", "new")] == [
        tuple(order[key] for key in
              ("venue_order_id", "client_order_id", "symbol", "side", "type", "quantity", "price", "status"))
        for order in held
    ]  # fmt: skip


def test_an_order_has_every_field_that_alpaca_sends(desk):
    body = desk.post().json()

    assert ORDER_FIELDS == set(body)
    assert ("", "us_equity", "AAPL", "1", "market", "market", None) == tuple(
        body[key] for key in ("order_class", "asset_class", "symbol", "qty", "type", "order_type", "notional")
    )


def test_times_carry_nanoseconds(desk):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", desk.post().json()["created_at"])


def test_a_client_order_id_is_made_when_none_is_sent(desk):
    made = desk.post().json()["client_order_id"]

    assert [made] == [order["client_order_id"] for order in desk.server.orders()]
    assert re.fullmatch(r"[0-9a-f-]{36}", made)


@pytest.mark.parametrize(
    ("sent", "held"), [('"0.123456789"', "0.123456789"), ("0.1", "0.1"), ("2.0", "2"), ("1e-1", "0.1"), ("3", "3")]
)
def test_a_quantity_is_text_or_number_and_stays_exact(desk, sent, held):
    body = '{"symbol":"BTC/USD","qty":%s,"side":"buy","type":"limit","limit_price":"1","time_in_force":"gtc"}'

    assert 200 == desk.send("POST", "/v2/orders", body % sent).status_code
    assert [held] == [order["quantity"] for order in desk.server.orders()]


def test_liquidity_ends_an_ioc_order_partly_filled(desk):
    desk.exchange.set_liquidity("AAPL", D(1))
    submitted = desk.client.submit_order(
        MarketOrderRequest(symbol="AAPL", qty=3, side=OrderSide.BUY, time_in_force=TimeInForce.IOC)
    )
    found = desk.client.get_order_by_id(submitted.id)

    assert (OrderStatus.CANCELED, "1", True) == (found.status, found.filled_qty, found.canceled_at is not None)


def test_a_price_move_fills_a_resting_order(desk):
    submitted = desk.limit(price=150)
    desk.send("POST", "/_logos/price", json.dumps({"symbol": "AAPL", "price": "149"}))

    assert OrderStatus.FILLED is desk.client.get_order_by_id(submitted.id).status


# Client order ids


@pytest.mark.parametrize("end", ["open", "filled", "canceled"])
def test_a_client_order_id_stays_taken(desk, end):
    first = desk.limit("once")
    if end == "filled":
        desk.exchange.fill(str(first.id), D(1))
    if end == "canceled":
        desk.client.cancel_order_by_id(first.id)

    assert (422, 40010001, "client_order_id must be unique") == refusal(desk.limit, "once")
    assert 1 == len(desk.server.orders())


def test_a_client_order_id_is_free_after_the_end_when_that_belief_is_off(open_desk):
    desk = open_desk(duplicate_covers_terminal=False)
    desk.market("twice")
    desk.market("twice")

    assert ["twice", "twice"] == [order["client_order_id"] for order in desk.server.orders()]


def test_a_duplicate_is_a_duplicate_even_without_money(open_desk):
    desk = open_desk(balances={"USD": D(380)})
    desk.market("once")

    assert (422, 40010001, "client_order_id must be unique") == refusal(desk.market, "once")


def test_the_sdks_own_retry_turns_a_live_order_into_a_duplicate(open_desk):
    desk = open_desk(Fault(kind=FaultKind.STATUS_AFTER, operation="submit", nth=1, status=504))
    desk.client._retry = 3

    assert (422, 40010001, "client_order_id must be unique") == refusal(desk.market, "once")
    assert (["once"], [504, 422]) == (
        [order["client_order_id"] for order in desk.server.orders()],
        [entry.status for entry in desk.server.wire],
    )


# Finding


def test_an_order_is_found_by_its_client_order_id(desk):
    submitted = desk.market("a b/c?d#e")

    assert submitted.id == desk.client.get_order_by_client_id("a b/c?d#e").id


def test_an_order_nobody_sent_is_not_found(desk):
    assert (404, 40410000, "order not found for nobody") == refusal(desk.client.get_order_by_client_id, "nobody")


def test_a_lookup_misses_a_young_order_when_that_belief_is_on(open_desk):
    time = [datetime(2026, 3, 2, 15, tzinfo=UTC)]
    desk = open_desk(visible_after_s=2, now=lambda: time[0])
    submitted = desk.market("young")

    assert (404, 40410000, "order not found for young") == refusal(desk.client.get_order_by_client_id, "young")
    assert [] == desk.orders(status=QueryOrderStatus.ALL)
    assert (422, 40010001, "client_order_id must be unique") == refusal(desk.market, "young")

    time[0] += timedelta(seconds=2)

    assert submitted.id == desk.client.get_order_by_client_id("young").id


def test_a_list_holds_the_open_orders_unless_asked_otherwise(desk):
    desk.market("filled")
    desk.limit("open")

    assert ["open"] == desk.orders()
    assert ["filled"] == desk.orders(status=QueryOrderStatus.CLOSED)
    assert ["open", "filled"] == desk.orders(status=QueryOrderStatus.ALL)


def test_a_list_is_cut_turned_and_filtered(desk):
    for name, symbol in [("a", "AAPL"), ("b", "BTC/USD"), ("c", "AAPL")]:
        desk.limit(name, symbol=symbol)

    assert ["c", "b"] == desk.orders(limit=2)
    assert ["a", "b"] == desk.orders(limit=2, direction="asc")
    assert ["b"] == desk.orders(symbols=["BTCUSD"])
    assert ["b"] == desk.orders(symbols=["BTC/USD"])
    assert [] == desk.orders(side=OrderSide.SELL)


def test_after_and_until_exclude_their_own_moment(open_desk):
    time = [datetime(2026, 3, 2, 15, tzinfo=UTC)]
    desk = open_desk(now=lambda: time[0])
    created = []
    for name in "abc":
        created.append(desk.post(client_order_id=name, type="limit", limit_price="1").json()["submitted_at"])
        time[0] += timedelta(microseconds=1)

    def listed(**query):
        answer = desk.plain.get(f"{desk.server.url}/v2/orders", params=query, headers=KEYS, timeout=5)
        return [order["client_order_id"] for order in answer.json()]

    assert ["c", "b"] == listed(after=created[0])
    assert ["b", "a"] == listed(until=created[2])
    assert ["b"] == listed(after=created[0], until=created[2])
    assert ["c", "b", "a"] == listed(after="2026-03-02")


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "status=gone", "after=yesterday", "after=2026-02-30"])
def test_a_list_that_makes_no_sense_is_refused(desk, query):
    answer = desk.send("GET", f"/v2/orders?{query}")

    assert (422, 40010001) == (answer.status_code, answer.json()["code"])


# Cancelling


def test_a_cancel_answers_204_and_ends_the_order(desk):
    submitted = desk.limit()
    answer = desk.send("DELETE", f"/v2/orders/{submitted.id}")
    found = desk.client.get_order_by_id(submitted.id)

    assert (204, b"") == (answer.status_code, answer.content)
    assert (OrderStatus.CANCELED, True) == (found.status, found.canceled_at is not None)


def test_a_filled_order_cannot_be_cancelled(desk):
    submitted = desk.market()

    assert (422, 42210000, 'order is already in "filled" state') == refusal(desk.client.cancel_order_by_id, submitted.id)


def test_an_unknown_order_cannot_be_cancelled(desk):
    unknown = "00000000-0000-0000-0000-000000000000"

    assert (404, 40410000, f"order not found for {unknown}") == refusal(desk.client.cancel_order_by_id, unknown)


# Refusing


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"qty": "100000"}, 403, 40310000),
        ({"side": "sell"}, 403, 40310000),
        ({"symbol": "NONE"}, 422, 42210000),
        ({"symbol": None}, 422, 40010001),
        ({"qty": None}, 422, 40010001),
        ({"qty": "many"}, 422, 40010001),
        ({"qty": True}, 422, 40010001),
        ({"qty": "NaN"}, 422, 40010001),
        ({"qty": "1_000"}, 422, 40010001),
        ({"qty": " 1"}, 422, 40010001),
        ({"qty": "1e999999"}, 422, 42210000),
        ({"type": "limit", "limit_price": "1e999999"}, 422, 42210000),
        ({"qty": "0"}, 422, 42210000),
        ({"qty": "-1"}, 422, 42210000),
        ({"qty": "0.5", "time_in_force": "gtc"}, 422, 42210000),
        ({"side": "hold"}, 422, 40010001),
        ({"type": "stop"}, 422, 42210000),
        ({"type": "market_on_close"}, 422, 40010001),
        ({"time_in_force": "opg"}, 422, 40010001),
        ({"type": "limit"}, 422, 42210000),
        ({"type": "limit", "limit_price": "1.001"}, 422, 42210000),
        ({"limit_price": "1"}, 422, 42210000),
        ({"stop_price": "1"}, 422, 42210000),
        ({"notional": "10"}, 422, 40010001),
        ({"client_order_id": "x" * 129}, 422, 40010001),
        ({"client_order_id": 7}, 422, 40010001),
        ({"symbol": "BTC/USD", "time_in_force": "day"}, 422, 40010001),
        ({"symbol": "BTC/USD", "time_in_force": "gtc", "qty": "0.000001"}, 422, 42210000),
    ],
)
def test_a_refused_order_has_a_code_and_does_not_exist(desk, changes, status, code):
    answer = desk.post(**changes)

    assert (status, code, []) == (answer.status_code, answer.json()["code"], desk.server.orders())


@pytest.mark.parametrize("body", ["", "{", "[]", '{"qty": NaN}', '{"qty": 1e99999999999999999999}', b"\xff"])
def test_a_body_that_is_no_object_is_refused(desk, body):
    answer = desk.send("POST", "/v2/orders", body)

    assert (400, 40010000, []) == (answer.status_code, answer.json()["code"], desk.server.orders())


@pytest.mark.parametrize("headers", [{}, {"APCA-API-KEY-ID": "key"}, {"APCA-API-SECRET-KEY": "secret"}])
def test_without_keys_nobody_is_let_in_and_the_answer_has_no_code(desk, headers):
    answer = desk.send("GET", "/v2/account", headers=headers)

    assert (401, {"message": "unauthorized."}) == (answer.status_code, answer.json())


def test_only_the_configured_keys_are_let_in(open_desk):
    desk = open_desk(api_key="key", secret_key="secret")

    assert [200, 401] == [
        desk.send("GET", "/v2/account", headers=KEYS | {"APCA-API-SECRET-KEY": secret}).status_code
        for secret in ("secret", "wrong")
    ]


def test_past_the_rate_limit_nothing_is_processed_until_the_next_minute(open_desk):
    time = [datetime(2026, 3, 2, 15, tzinfo=UTC)]
    desk = open_desk(requests_per_minute=2, now=lambda: time[0])
    answers = [desk.post() for _ in range(3)]
    reset = str(int(datetime(2026, 3, 2, 15, 1, tzinfo=UTC).timestamp()))

    assert [(200, "2", "1", reset), (200, "2", "0", reset), (429, "2", "0", reset)] == [
        (answer.status_code, *(answer.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset")))
        for answer in answers
    ]
    assert (42910000, 2) == (answers[2].json()["code"], len(desk.server.orders()))

    time[0] += timedelta(minutes=1)

    assert 200 == desk.post().status_code


@pytest.mark.parametrize("status", [401, 403, 404, 418, 422, 429, 500, 502, 503, 504, 599])
def test_every_status_has_a_body_with_a_message(status):
    answer = AlpacaSimulator().error_body(status)

    assert (status, str) == (answer.status, type(json.loads(answer.body)["message"]))


def test_an_unknown_endpoint_is_not_found(desk):
    assert 404 == desk.send("GET", "/v2/watchlists").status_code


# Account, assets, fills, clock


def test_the_account_names_itself(desk):
    account = desk.client.get_account()

    assert ("PA3SIMULATED", "ACTIVE", "100000") == (account.account_number, account.status.value, account.cash)


def test_an_open_order_lowers_the_buying_power(desk):
    desk.limit(price=150)

    assert ("100000", "99850") == (desk.client.get_account().cash, desk.client.get_account().buying_power)


def test_a_share_is_an_asset_without_a_grid(desk):
    asset = desk.client.get_asset("AAPL")

    assert ("us_equity", True, None) == (asset.asset_class.value, asset.tradable, asset.min_order_size)


@pytest.mark.parametrize("name", ["BTC%2FUSD", "BTCUSD"])
def test_a_coin_has_a_grid(desk, name):
    asset = desk.send("GET", f"/v2/assets/{name}").json()

    assert ("BTC/USD", "crypto", "0.00001", "0.000000001", "0.01") == tuple(
        asset[key] for key in ("symbol", "class", "min_order_size", "min_trade_increment", "price_increment")
    )
    assert asset["id"] == str(desk.client.get_asset(asset["id"]).id)


def test_an_unknown_asset_is_not_found(desk):
    assert (404, 40410000, "asset not found for NONE") == refusal(desk.client.get_asset, "NONE")


def test_a_position_is_what_was_bought(desk):
    desk.market(quantity=3)
    desk.market("b", symbol="BTC/USD", quantity=0.5)

    assert [("AAPL", "3", PositionSide.LONG), ("BTCUSD", "0.5", PositionSide.LONG)] == [
        (position.symbol, position.qty, position.side) for position in desk.client.get_all_positions()
    ]


def test_a_position_has_neither_won_nor_lost(desk):
    desk.market(quantity=3)
    position = desk.client.get_all_positions()[0]

    assert ("0", "0", "0") == (position.unrealized_pl, position.unrealized_plpc, position.change_today)
    assert position.asset_marginable
    assert position.lastday_price == position.current_price == position.avg_entry_price


def test_fills_add_up(desk):
    submitted = desk.limit(price=150)
    desk.exchange.fill(str(submitted.id), D("0.4"))
    desk.exchange.fill(str(submitted.id), D("0.6"))
    fills = desk.client.get("/account/activities/FILL", {"direction": "asc"})

    assert [
        ("FILL", "partial_fill", "0.4", "0.4", "0.6", "150", "partially_filled"),
        ("FILL", "fill", "0.6", "1", "0", "150", "filled"),
    ] == [
        tuple(fill[key] for key in ("activity_type", "type", "qty", "cum_qty", "leaves_qty", "price", "order_status"))
        for fill in fills
    ]
    assert {str(submitted.id)} == {fill["order_id"] for fill in fills}


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_fills_are_read_page_by_page_without_gap_or_repeat(desk, direction):
    for name in "abcde":
        desk.market(name)
    whole = desk.client.get("/account/activities/FILL", {"direction": direction})
    pages: list[list[str]] = []
    token: dict[str, str] = {}
    while page := desk.client.get("/account/activities/FILL", {"direction": direction, "page_size": 2, **token}):
        pages.append([fill["id"] for fill in page])
        token = {"page_token": page[-1]["id"]}

    assert [2, 2, 1] == [len(page) for page in pages]
    assert [fill["id"] for fill in whole] == [fill_id for page in pages for fill_id in page]


def test_a_fill_is_numbered_by_the_time_in_new_york(open_desk):
    desk = open_desk(now=lambda: datetime(2026, 1, 5, 3, 4, 5, 678900, tzinfo=UTC))
    desk.market()
    fill = desk.client.get("/account/activities/FILL")[0]

    assert ("20260104220405678", "2026-01-05T03:04:05.678900789Z") == (
        fill["id"].partition("::")[0],
        fill["transaction_time"],
    )


@pytest.mark.parametrize("query", ["page_size=101", "page_token=none"])
def test_a_page_that_does_not_exist_is_refused(desk, query):
    assert 422 == desk.send("GET", f"/v2/account/activities/FILL?{query}").status_code


def test_the_clock_is_now_and_the_market_is_open(open_desk):
    desk = open_desk(now=lambda: datetime(2026, 3, 2, 15, tzinfo=UTC))
    clock = desk.client.get_clock()

    assert (True, datetime(2026, 3, 2, 15, tzinfo=UTC)) == (clock.is_open, clock.timestamp.replace(microsecond=0))


# The wire


def test_every_call_has_a_name_and_the_client_order_id_it_is_about(desk):
    submitted = desk.limit("mine")
    desk.client.get_order_by_client_id("mine")
    desk.client.get_order_by_id(submitted.id)
    desk.client.cancel_order_by_id(submitted.id)
    desk.client.get_orders()
    desk.client.get("/account/activities/FILL")
    desk.client.get_all_positions()
    desk.client.get_asset("AAPL")
    desk.client.get_account()
    desk.client.get_clock()

    assert [
        ("submit", "mine"), ("lookup", "mine"), ("lookup", "mine"), ("cancel", "mine"), ("reconcile", None),
        ("reconcile", None), ("reconcile", None), ("instrument", None), ("identify", None), ("other", None),
    ] == [(entry.operation, entry.client_order_id) for entry in desk.server.wire]  # fmt: skip


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"client_order_id": 7}', b"\xff"])
def test_a_client_order_id_that_cannot_be_read_is_none(body):
    assert None is AlpacaSimulator().client_order_id(HttpRequest("POST", "/v2/orders", {}, body))


@pytest.mark.parametrize(("kind", "held"), [(FaultKind.RESET_BEFORE, 0), (FaultKind.RESET_AFTER, 1)])
def test_the_sdk_cannot_tell_a_lost_request_from_a_lost_answer(open_desk, kind, held):
    desk = open_desk(Fault(kind=kind, operation="submit"))
    with pytest.raises(requests.ConnectionError):
        desk.market()

    assert held == len(desk.server.orders())
