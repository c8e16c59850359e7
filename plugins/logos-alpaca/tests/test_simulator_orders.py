"""The real SDK against the simulator's stops, linked orders and replacements."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderClass, OrderSide, OrderStatus, TimeInForce
from alpaca.trading.requests import (
    GetOrderByIdRequest,
    GetOrdersRequest,
    LimitOrderRequest,
    MarketOrderRequest,
    ReplaceOrderRequest,
    StopLimitOrderRequest,
    StopLossRequest,
    StopOrderRequest,
    TakeProfitRequest,
    TrailingStopOrderRequest,
)

from logos_alpaca.simulator import AlpacaSimulator
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from logos_core.testing.server import LoopbackServer

D = Decimal
KEYS = {"APCA-API-KEY-ID": "key", "APCA-API-SECRET-KEY": "secret"}
BUY: dict[str, Any] = {"symbol": "AAPL", "qty": 2, "side": OrderSide.BUY, "time_in_force": TimeInForce.GTC}
SELL = BUY | {"side": OrderSide.SELL}
LEGS: dict[str, Any] = {"take_profit": TakeProfitRequest(limit_price=200), "stop_loss": StopLossRequest(stop_price=180)}


class Desk:
    """A simulator with a clock that is turned by hand, and alpaca-py's client without its own retries."""

    def __init__(self, *faults: Fault, **beliefs: Any) -> None:
        self.time = datetime(2026, 1, 5, 15, tzinfo=UTC)
        self.app = AlpacaSimulator(now=lambda: self.time, requests_per_minute=None, **beliefs)
        self.exchange = self.app.exchange
        self.server = LoopbackServer(self.app, FaultPlan(faults), hold_s=1).start()
        self.client = TradingClient("key", "secret", url_override=self.server.url)
        self.client._retry, self.client._retry_wait = 0, 0
        self.client._session.trust_env = False

    def close(self) -> None:
        self.client._session.close()
        self.server.stop()
        assert [] == [entry.failure for entry in self.server.wire if entry.failure]

    def move(self, price: str) -> None:
        self.exchange.move_price("AAPL", D(price))

    def turn(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    def own(self, shares: int = 10) -> None:
        self.client.submit_order(MarketOrderRequest(**BUY | {"qty": shares, "time_in_force": TimeInForce.DAY}))

    def get(self, order: Any, *, nested: bool = False) -> Any:
        return self.client.get_order_by_id(order.id, GetOrderByIdRequest(nested=nested))

    def replace(self, order: Any, **changes: Any) -> Any:
        return self.client.replace_order_by_id(order.id, ReplaceOrderRequest(**changes))

    def send(self, method: str, path: str, **body: Any) -> Any:
        with requests.Session() as session:
            session.trust_env = False
            return session.request(method, self.server.url + path, data=json.dumps(body), headers=KEYS, timeout=5)


@pytest.fixture
def open_desk():
    desks = []

    def start(*faults, **beliefs):
        desks.append(Desk(*faults, **beliefs))
        return desks[-1]

    yield start
    for desk in desks:
        desk.close()


@pytest.fixture
def desk(open_desk):
    return open_desk()


def refusal(act, *arguments, **named):
    with pytest.raises(APIError) as caught:
        act(*arguments, **named)
    return caught.value.status_code, caught.value.code


# Stops and notionals


def test_a_stop_order_waits_and_becomes_a_market_order(desk):
    desk.own()
    order = desk.client.submit_order(StopOrderRequest(**SELL, stop_price=180))
    before = desk.get(order).status
    desk.move("179")
    after = desk.get(order)

    assert (OrderStatus.NEW, OrderStatus.FILLED) == (before, after.status)
    assert ("180", "179") == (after.stop_price, after.filled_avg_price)


def test_a_stop_limit_order_becomes_a_limit_order(desk):
    desk.own()
    order = desk.client.submit_order(StopLimitOrderRequest(**SELL, stop_price=180, limit_price=179))
    desk.move("170")
    before = desk.get(order).status
    desk.move("179")

    assert (OrderStatus.NEW, OrderStatus.FILLED) == (before, desk.get(order).status)


@pytest.mark.parametrize(
    ("trail", "stop"), [({"trail_price": 5}, "205"), ({"trail_percent": 10}, "189")], ids=["amount", "percent"]
)
def test_a_trailing_stop_shows_its_high_water_mark_and_its_stop(desk, trail, stop):
    desk.own()
    order = desk.client.submit_order(TrailingStopOrderRequest(**SELL, **trail))
    desk.move("210")
    desk.move("206")
    following = desk.get(order)
    desk.move(stop)

    assert ("210", stop) == (following.hwm, following.stop_price)
    assert OrderStatus.FILLED is desk.get(order).status


def test_a_notional_order_has_no_quantity_of_its_own(desk):
    order = desk.client.submit_order(
        MarketOrderRequest(symbol="AAPL", notional=100, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    )
    after = desk.get(order)

    assert (None, "100") == (order.qty, order.notional)
    assert (OrderStatus.FILLED, None, "0.526315789") == (after.status, after.qty, after.filled_qty)


@pytest.mark.parametrize(
    "changes",
    [
        {"qty": None, "notional": "10", "time_in_force": "gtc"},
        {"qty": None, "notional": "10", "type": "limit", "limit_price": "100"},
        {"qty": "1", "notional": "10"},
        {"type": "trailing_stop", "time_in_force": "gtc"},
        {"type": "trailing_stop", "time_in_force": "gtc", "trail_price": "1", "trail_percent": "1"},
        {"type": "stop", "stop_price": "180", "time_in_force": "ioc"},
        {"symbol": "BTC/USD", "type": "stop", "stop_price": "70000", "time_in_force": "gtc"},
        {"time_in_force": "gtd"},
        {"order_class": "mleg", "legs": []},
        {"order_class": "bracket"},
        {"order_class": "bracket", "take_profit": {"limit_price": "200"}},
        {"order_class": "oto", "take_profit": {"limit_price": "200"}, "stop_loss": {"stop_price": "180"}},
        {"take_profit": {"limit_price": "200"}},
        {"order_class": "bracket", "take_profit": {"limit_price": "180"}, "stop_loss": {"stop_price": "200"}},
        {"order_class": "bracket", "take_profit": "200", "stop_loss": {"stop_price": "180"}},
        {"order_class": "bracket", "take_profit": {"limit_price": "200.001"}, "stop_loss": {"stop_price": "180"}},
        {
            "order_class": "bracket", "take_profit": {"limit_price": "200"}, "stop_loss": {"stop_price": "180"},
            "type": "limit", "limit_price": "190", "time_in_force": "ioc",
        },
        {
            "order_class": "bracket", "take_profit": {"limit_price": "70000"}, "stop_loss": {"stop_price": "50000"},
            "symbol": "BTC/USD", "time_in_force": "gtc",
        },
        {"order_class": "oco", "take_profit": {"limit_price": "200"}, "stop_loss": {"stop_price": "180"}},
        {
            "order_class": "oco", "take_profit": {"limit_price": "200"}, "stop_loss": {"stop_price": "180"},
            "type": "limit", "limit_price": "201", "side": "sell",
        },
    ],
)  # fmt: skip
def test_an_order_that_breaks_alpacas_rules_is_refused_and_does_not_exist(desk, changes):
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    answer = desk.send("POST", "/v2/orders", **order | changes)

    assert (422, []) == (answer.status_code, desk.server.orders())


# Linked orders


def bracket(desk, **changes):
    given = BUY | LEGS | {"limit_price": 185, "order_class": OrderClass.BRACKET} | changes
    return desk.client.submit_order(LimitOrderRequest(**given))


def test_a_bracket_answers_with_its_legs_held_under_ids_nobody_chose(desk):
    entry = bracket(desk, client_order_id="mine")

    assert ("mine", OrderClass.BRACKET, OrderStatus.PENDING_NEW) == (entry.client_order_id, entry.order_class, entry.status)
    assert [("200", None), (None, "180")] == [(leg.limit_price, leg.stop_price) for leg in entry.legs]
    assert [(OrderStatus.HELD, OrderSide.SELL, OrderClass.BRACKET)] * 2 == [
        (leg.status, leg.side, leg.order_class) for leg in entry.legs
    ]
    assert 3 == len({entry.client_order_id, *(leg.client_order_id for leg in entry.legs)})


def test_legs_work_after_the_entry_and_one_cancels_the_other(desk):
    entry = bracket(desk)
    desk.move("185")
    working = [leg.status for leg in desk.get(entry, nested=True).legs]
    desk.move("200")

    assert [OrderStatus.NEW, OrderStatus.HELD] == working
    assert [OrderStatus.FILLED, OrderStatus.CANCELED] == [leg.status for leg in desk.get(entry, nested=True).legs]
    assert [] == desk.client.get_all_positions()


def test_that_a_working_stop_shows_held_is_a_belief(open_desk):
    desk = open_desk(stop_beside_target_is_held=False)
    entry = bracket(desk)
    desk.move("185")

    assert [OrderStatus.NEW, OrderStatus.NEW] == [leg.status for leg in desk.get(entry, nested=True).legs]


def test_legs_show_where_they_are_asked_for(open_desk):
    desk = open_desk()
    entry = bracket(desk, client_order_id="mine")

    assert (None, 2) == (desk.get(entry).legs, len(desk.get(entry, nested=True).legs))
    assert (3, 1) == tuple(len(desk.client.get_orders(GetOrdersRequest(nested=nested))) for nested in (False, True))
    assert desk.client.get_order_by_client_id("mine").legs is None

    other = open_desk(client_id_lookup_nests=True)
    bracket(other, client_order_id="mine")
    assert 2 == len(other.client.get_order_by_client_id("mine").legs)


def test_a_cancel_of_the_entry_cancels_its_legs(desk):
    entry = bracket(desk)
    desk.client.cancel_order_by_id(entry.id)
    found = desk.get(entry, nested=True)

    assert [OrderStatus.CANCELED] * 3 == [order.status for order in (found, *found.legs)]


def test_an_oco_order_stands_beside_its_stop(desk):
    desk.own()
    order = desk.client.submit_order(LimitOrderRequest(**SELL | LEGS, limit_price=200, order_class=OrderClass.OCO))
    desk.move("180")
    found = desk.get(order, nested=True)

    assert (OrderStatus.CANCELED, [OrderStatus.FILLED]) == (found.status, [leg.status for leg in found.legs])


def test_an_oto_order_has_one_leg(desk):
    entry = desk.client.submit_order(
        LimitOrderRequest(
            **BUY, limit_price=185, order_class=OrderClass.OTO, stop_loss=StopLossRequest(stop_price=180, limit_price=179)
        )
    )

    assert [("180", "179")] == [(leg.stop_price, leg.limit_price) for leg in entry.legs]


# Replacing


def resting(desk, **changes):
    return desk.client.submit_order(LimitOrderRequest(**BUY | {"limit_price": 150, "client_order_id": "old"} | changes))


def test_a_replacement_is_another_order_and_both_name_one_another(desk):
    old = resting(desk)
    new = desk.replace(old, limit_price=151, client_order_id="new")
    found = desk.get(old)

    assert ("new", "151", "2", OrderStatus.PENDING_NEW, old.id) == (
        new.client_order_id, new.limit_price, new.qty, new.status, new.replaces,
    )  # fmt: skip
    assert (OrderStatus.REPLACED, new.id, "old") == (found.status, found.replaced_by, found.client_order_id)
    assert found.replaced_at is not None
    assert OrderStatus.NEW is desk.get(new).status


def test_a_replacement_without_an_id_gets_one_that_nobody_chose(desk):
    old = resting(desk)

    assert desk.replace(old, limit_price=151).client_order_id not in {"old", None}


def test_a_replacement_is_an_operation_of_its_own_under_the_new_id(open_desk):
    desk = open_desk(Fault(kind=FaultKind.RESET_AFTER, operation="replace"))
    old = resting(desk)
    with pytest.raises(requests.RequestException):
        desk.replace(old, limit_price=151, client_order_id="new")

    assert [("submit", "old"), ("replace", "new")] == [(entry.operation, entry.client_order_id) for entry in desk.server.wire]
    assert ["replaced", "new"] == [order["status"] for order in desk.server.orders()]


@pytest.mark.parametrize(
    ("total", "quantity", "expected"), [(True, None, "1"), (False, None, "2"), (True, 2, "1"), (False, 2, "2"), (True, 1, None)]
)
def test_whether_a_new_quantity_counts_what_was_filled_is_a_belief(open_desk, total, quantity, expected):
    desk = open_desk(replace_quantity_is_total=total)
    old = resting(desk)
    desk.exchange.fill(str(old.id), D(1))
    if expected is None:
        assert (422, 42210000) == refusal(desk.replace, old, qty=quantity)
        assert OrderStatus.PARTIALLY_FILLED is desk.get(old).status
        return
    new = desk.replace(old, limit_price=151, **({} if quantity is None else {"qty": quantity}))

    assert (expected, "0") == (new.qty, new.filled_qty)


def test_an_original_that_fills_first_wins_and_the_replacement_is_rejected(open_desk):
    desk = open_desk(replace_takes_s=2)
    old = resting(desk)
    new = desk.replace(old, limit_price=149)
    pending = desk.get(old).status, desk.get(new).status
    desk.move("150")
    desk.turn(2)
    found = desk.get(new)

    assert (OrderStatus.PENDING_REPLACE, OrderStatus.PENDING_NEW) == pending
    assert (OrderStatus.FILLED, None) == (desk.get(old).status, desk.get(old).replaced_by)
    assert (OrderStatus.REJECTED, old.id) == (found.status, found.replaces)
    assert found.failed_at is not None


def test_what_is_filled_while_a_replacement_is_pending_counts_if_a_quantity_is_a_total(open_desk):
    desk = open_desk(replace_takes_s=2, replace_quantity_is_total=True)
    old = resting(desk)
    new = desk.replace(old, limit_price=149)
    desk.exchange.fill(str(old.id), D(1))
    desk.turn(2)

    assert ("1", "1") == (desk.get(old).filled_qty, desk.get(new).qty)


@pytest.mark.parametrize(("lost", "old_status", "filled"), [("fill", OrderStatus.FILLED, "2"), ("reject", OrderStatus.NEW, "0")])
def test_an_answer_of_200_does_not_mean_that_the_order_was_replaced(open_desk, lost, old_status, filled):
    desk = open_desk(replace_may_lose=lost)
    old = resting(desk)
    new = desk.replace(old, limit_price=151)

    assert (OrderStatus.PENDING_NEW, OrderStatus.REJECTED) == (new.status, desk.get(new).status)
    assert (old_status, filled) == (desk.get(old).status, desk.get(old).filled_qty)


@pytest.mark.parametrize("state", ["accepted", "pending_replace", "pending_new", "filled", "canceled"])
def test_an_order_that_cannot_be_replaced_is_refused(open_desk, state):
    desk = open_desk(accepted_for_s=1 if state == "accepted" else 0, replace_takes_s=9)
    order = resting(desk)
    if state == "pending_replace":
        desk.replace(order, limit_price=151)
    if state == "pending_new":
        order = desk.replace(order, limit_price=151)
    if state == "filled":
        desk.move("150")
    if state == "canceled":
        desk.client.cancel_order_by_id(order.id)
    before = desk.server.orders()

    assert (422, 42210000) == refusal(desk.replace, order, limit_price=152)
    assert before == desk.server.orders()


def test_an_accepted_order_can_be_replaced_once_it_is_new(open_desk):
    desk = open_desk(accepted_for_s=1)
    order = resting(desk)
    desk.turn(1)

    assert OrderStatus.PENDING_NEW is desk.replace(order, limit_price=151).status


def test_while_it_is_being_replaced_an_order_is_not_cancelled(open_desk):
    desk = open_desk(replace_takes_s=2)
    old = resting(desk)
    new = desk.replace(old, limit_price=151)

    assert [(422, 42210000)] * 2 == [refusal(desk.client.cancel_order_by_id, order.id) for order in (old, new)]
    desk.turn(2)
    desk.client.cancel_order_by_id(new.id)
    assert OrderStatus.CANCELED is desk.get(new).status


@pytest.mark.parametrize(
    "body",
    [
        {"notional": "10"},
        {"qty": "1.5"},
        {"qty": "x"},
        {"limit_price": "150.001"},
        {"qty": "100000"},
        {"client_order_id": "old"},
        {"client_order_id": "x" * 129},
        {"time_in_force": "gtd"},
        {"trail": "3"},
    ],
)
def test_a_replacement_that_is_refused_leaves_the_order(desk, body):
    old = resting(desk)
    answer = desk.send("PATCH", f"/v2/orders/{old.id}", **body)

    assert answer.status_code in {403, 422}
    assert (OrderStatus.NEW, 1) == (desk.get(old).status, len(desk.server.orders()))


def test_an_unknown_order_is_not_replaced(desk):
    assert 404 == desk.send("PATCH", "/v2/orders/none", limit_price="1").status_code


def test_an_order_by_notional_is_not_replaced(desk):
    desk.exchange.set_liquidity("AAPL", D(0))
    order = desk.client.submit_order(
        MarketOrderRequest(symbol="AAPL", notional=100, side=OrderSide.BUY, time_in_force=TimeInForce.DAY)
    )

    assert (422, 42210000) == refusal(desk.replace, order, time_in_force=TimeInForce.GTC)


def test_a_trail_can_be_replaced(desk):
    desk.own()
    order = desk.client.submit_order(TrailingStopOrderRequest(**SELL, trail_percent=10))

    assert "5" == desk.replace(order, trail=5).trail_percent


def test_the_legs_stay_with_the_order_that_replaces_their_entry(desk):
    entry = bracket(desk)
    new = desk.replace(entry, limit_price=186)
    desk.move("186")
    found = desk.get(new, nested=True)

    assert [leg.id for leg in entry.legs] == [leg.id for leg in found.legs]
    assert (OrderStatus.FILLED, [OrderStatus.NEW, OrderStatus.HELD]) == (found.status, [leg.status for leg in found.legs])


def test_a_leg_can_be_moved(desk):
    entry = bracket(desk)
    desk.move("185")
    moved = desk.replace(entry.legs[1], stop_price=183)
    desk.move("183")
    legs = desk.get(entry, nested=True).legs

    assert [entry.legs[0].id, moved.id] == [leg.id for leg in legs]
    assert [OrderStatus.CANCELED, OrderStatus.FILLED] == [leg.status for leg in legs]
