"""What the simulated OANDA does with stops, dependent orders and replacements."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from logos_core.testing.exchange import Side
from logos_core.testing.server import HttpRequest
from logos_oanda.simulator import ACCOUNT, OandaSimulator

D = Decimal
LIMIT = {"type": "LIMIT", "instrument": "EUR_USD", "units": "100", "price": "1.05", "timeInForce": "GTC"}
MARKET = {"type": "MARKET", "instrument": "EUR_USD", "units": "100", "timeInForce": "FOK"}
STOP = {"type": "STOP", "instrument": "EUR_USD", "units": "100", "price": "1.15", "timeInForce": "GTC"}
LEGS = {"takeProfitOnFill": {"price": "1.2", "clientExtensions": {"id": "tp"}}, "stopLossOnFill": {"price": "1.0"}}


class Caller:
    def __init__(self, **beliefs):
        self.time = datetime(2026, 1, 5, 12, tzinfo=UTC)
        self.app = OandaSimulator(now=lambda: self.time, **beliefs)

    def __call__(self, method, path, body=None):
        sent = b"" if body is None else json.dumps(body).encode()
        headers = {"authorization": "Bearer token"}
        answer = self.app.handle(HttpRequest(method, f"/v3/accounts/{ACCOUNT}/{path}", headers, sent))
        return answer.status, json.loads(answer.body)

    def order(self, base=LIMIT, client_id="a", **changes):
        return self("POST", "orders", {"order": {**base, "clientExtensions": {"id": client_id}, **changes}})

    def replace(self, specifier="@a", base=LIMIT, **changes):
        return self("PUT", f"orders/{specifier}", {"order": {**base, **changes}})

    def move(self, price):
        self.app.exchange.move_price("EUR_USD", D(price))

    def log(self, since=3):
        return self("GET", f"transactions/sinceid?id={since}")[1]["transactions"]

    def got(self, order_id):
        return self("GET", f"orders/{order_id}")[1]["order"]


@pytest.fixture
def call():
    return Caller()


def test_a_stop_order_waits_and_its_fill_says_so(call):
    call.order(STOP)
    before = call.got("4")
    call.move("1.16")
    fill = call.log()[-1]

    assert ("STOP", "1.15", "PENDING") == (before["type"], before["price"], before["state"])
    assert ("ORDER_FILL", "STOP_ORDER", "1.16", "5") == (fill["type"], fill["reason"], fill["price"], fill["id"])
    assert ("FILLED", "5", "5") == tuple(call.got("4")[name] for name in ("state", "fillingTransactionID", "tradeOpenedID"))


@pytest.mark.parametrize(("price", "reason"), [("1.16", "STOP_ORDER"), ("1.18", "BOUNDS_VIOLATION")])
def test_a_stop_order_is_cancelled_by_a_gap_beyond_its_bound(call, price, reason):
    call.order(STOP, priceBound="1.17")
    call.move(price)

    assert ("1.17", reason) == (call.got("4")["priceBound"], call.log()[-1]["reason"])


@pytest.mark.parametrize(("bound", "reason"), [("1.2", "MARKET_ORDER"), ("1.0", "BOUNDS_VIOLATION")])
def test_a_market_order_does_not_trade_beyond_its_bound(call, bound, reason):
    status, _ = call.order(MARKET, priceBound=bound)

    assert (201, "MARKET_ORDER", reason) == (status, call.log()[0]["type"], call.log()[-1]["reason"])


@pytest.mark.parametrize("base", [LIMIT, STOP])
@pytest.mark.parametrize("moment", ["2026-01-05T12:01:00.000000000Z", "1767614460.000000000"])
def test_an_order_good_till_a_time_is_cancelled_then(call, base, moment):
    call.order(base, timeInForce="GTD", gtdTime=moment)
    call.time += timedelta(seconds=59)
    before = call.got("4")
    call.time += timedelta(seconds=1)
    cancel = call.log()[-1]

    assert ("PENDING", "GTD", moment) == (before["state"], before["timeInForce"], before["gtdTime"])
    assert ("ORDER_CANCEL", "TIME_IN_FORCE_EXPIRED") == (cancel["type"], cancel["reason"])


@pytest.mark.parametrize(("gtd", "reason"), [(None, "MISSING"), ("2026-01-05T12:00:00Z", "IN_PAST")])
def test_an_order_good_till_nothing_is_rejected(call, gtd, reason):
    status, body = call.order(timeInForce="GTD", gtdTime=gtd)

    assert (400, f"TIME_IN_FORCE_GTD_TIMESTAMP_{reason}") == (status, body["errorCode"])


@pytest.mark.parametrize(
    "changes",
    [
        {"gtdTime": "soon", "timeInForce": "GTD"},
        {"gtdTime": "2026-01-05T12:01:00", "timeInForce": "GTD"},
        {"positionFill": "OPEN_ONLY"},
        {"priceBound": "1.2"},
        {"takeProfitOnFill": {}},
        {"takeProfitOnFill": "1.2"},
        {"takeProfitOnFill": {"price": 1.2}},
        {"takeProfitOnFill": {"price": "1.2", "timeInForce": "FOK"}},
        {"stopLossOnFill": {"distance": "0.1"}},
        {"stopLossOnFill": {"price": "1.0", "clientExtensions": {"id": ""}}},
        {"trailingStopLossOnFill": {"price": "1.0"}},
        {"type": "TAKE_PROFIT", "tradeID": "5"},
    ],
)
def test_what_is_left_out_or_unreadable_creates_nothing(call, changes):
    status, body = call.order(**changes)

    assert (400, ["errorMessage"], 0) == (status, list(body), call.app.exchange.last_transaction_id)


@pytest.mark.parametrize(("units", "filled"), [("-40", "60"), ("-100", "0"), ("-150", "0")])
@pytest.mark.parametrize("clips", [True, False])
def test_a_reduce_only_order_never_turns_the_position(clips, units, filled):
    call = Caller(reduce_only_clips=clips)
    call.order(MARKET)
    status, _ = call.order(MARKET, "b", units=units, positionFill="REDUCE_ONLY", timeInForce="IOC")
    refused = units == "-150" and not clips

    assert 400 if refused else 201 == status
    assert D("100" if refused else filled) == call.app.exchange.position("EUR_USD")


def test_a_reduce_only_order_without_a_position_is_created_and_cancelled(call):
    _, body = call.order(MARKET, positionFill="REDUCE_ONLY")

    assert {"orderCreateTransaction", "orderCancelTransaction", "relatedTransactionIDs", "lastTransactionID"} == set(body)
    assert D(0) == call.app.exchange.position("EUR_USD")


# Dependent orders


def test_a_fill_creates_the_dependent_orders_of_the_trade_it_opens(call):
    _, body = call.order(MARKET, **LEGS, trailingStopLossOnFill={"distance": "0.05"})
    log = call.log()

    assert LEGS["takeProfitOnFill"] == body["orderCreateTransaction"]["takeProfitOnFill"]
    assert (["4", "5", "6", "7", "8"], "8") == (body["relatedTransactionIDs"], body["lastTransactionID"])
    assert [
        ("TAKE_PROFIT_ORDER", "ON_FILL", "5", "5", "GTC"),
        ("STOP_LOSS_ORDER", "ON_FILL", "5", "5", "GTC"),
        ("TRAILING_STOP_LOSS_ORDER", "ON_FILL", "5", "5", "GTC"),
    ] == [tuple(item[name] for name in ("type", "reason", "tradeID", "orderFillTransactionID", "timeInForce")) for item in log[2:]]
    assert ({"id": "tp"}, "1.2", "1.0", "0.05") == (
        log[2]["clientExtensions"], log[2]["price"], log[3]["price"], log[4]["distance"],
    )  # fmt: skip
    assert not {"instrument", "units"} & set(log[2])


def test_an_order_that_rests_has_no_dependent_orders_yet(call):
    call.order(LIMIT, **LEGS)
    pending = call("GET", "pendingOrders")[1]["orders"]
    call.move("1.05")

    assert (["4"], ["7", "6"]) == (
        [order["id"] for order in pending],
        [order["id"] for order in call("GET", "pendingOrders")[1]["orders"]],
    )


@pytest.mark.parametrize(("price", "filled", "reason"), [("1.2", "6", "TAKE_PROFIT_ORDER"), ("1.0", "7", "STOP_LOSS_ORDER")])
def test_a_dependent_order_closes_its_trade_and_the_other_ends(call, price, filled, reason):
    call.order(MARKET, **LEGS)
    call.move(price)
    fill, cancel = call.log()[-2:]
    trade = call("GET", "trades/5")[1]["trade"]

    assert (filled, reason, ["5"]) == (fill["orderID"], fill["reason"], [part["tradeID"] for part in fill["tradesClosed"]])
    assert ("ORDER_CANCEL", "LINKED_TRADE_CLOSED") == (cancel["type"], cancel["reason"])
    assert ("CLOSED", "0", [fill["id"]]) == (trade["state"], trade["currentUnits"], trade["closingTransactionIDs"])
    assert "tradeOpened" not in fill
    assert ["5"] == call.got(filled)["tradeClosedIDs"]


def test_a_trade_shows_its_dependent_orders(call):
    call.order(MARKET, **LEGS)
    trade = call("GET", "trades/5")[1]["trade"]

    assert ("OPEN", "100", "100") == (trade["state"], trade["initialUnits"], trade["currentUnits"])
    assert ("6", "7") == (trade["takeProfitOrder"]["id"], trade["stopLossOrder"]["id"])
    assert ["5"] == [item["id"] for item in call("GET", "openTrades")[1]["trades"]]
    assert 404 == call("GET", "trades/4")[0]


def test_a_trailing_dependent_order_follows_without_a_transaction(call):
    call.order(MARKET, trailingStopLossOnFill={"distance": "0.05"})
    call.move("1.2")
    following = call.got("6")["trailingStopValue"], len(call.log())
    call.move("1.15")

    assert ("1.15", 3) == following
    assert ("ORDER_FILL", "TRAILING_STOP_LOSS_ORDER", "7") == tuple(call.log()[-1][name] for name in ("type", "reason", "id"))


def test_when_something_else_closes_the_trade_its_dependent_orders_end(call):
    call.order(MARKET, **LEGS)
    call.order(MARKET, "b", units="-100")

    assert ["LINKED_TRADE_CLOSED"] * 2 == [item["reason"] for item in call.log()[-2:]]
    assert [] == call("GET", "pendingOrders")[1]["orders"]


def test_when_something_else_reduces_the_trade_its_dependent_orders_close_the_rest(call):
    call.order(MARKET, **LEGS)
    reduced = call.order(MARKET, "b", units="-40")[1]["orderFillTransaction"]["tradeReduced"]
    call.move("1.0")

    assert ("5", "-40") == (reduced["tradeID"], reduced["units"])
    assert D(0) == call.app.exchange.position("EUR_USD")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_dependent_order_whose_trade_is_closed_opens_nothing_even_before_it_is_cancelled(call, replaced):
    call.order(MARKET, **LEGS)
    if replaced:
        call("PUT", "orders/7", {"order": {"type": "STOP_LOSS", "tradeID": "5", "price": "1.01"}})
    exchange = call.app.exchange
    market = exchange.order("4").request
    exchange.submit(
        replace(market, side=Side.SELL, client_order_id=None, tags={**market.tags, "onFill": {}}, take_profit=None, stop_loss=None)
    )
    call.move("1.0")

    assert D(0) == exchange.position("EUR_USD")
    assert ["LINKED_TRADE_CLOSED"] * 2 == [item["reason"] for item in call.log()[-2:]]


def test_a_fill_that_opens_nothing_has_no_dependent_orders(call):
    call.order(MARKET)
    call.order(MARKET, "b", units="-100", takeProfitOnFill={"price": "1.0"})

    assert [] == call("GET", "pendingOrders")[1]["orders"]


def test_a_fill_that_turns_the_position_closes_and_opens(call):
    call.order(MARKET)
    fill = call.order(MARKET, "b", units="-150", takeProfitOnFill={"price": "1.0"})[1]["orderFillTransaction"]
    call.move("1.0")

    assert ("-100", "-50", "7") == (
        fill["tradesClosed"][0]["units"], fill["tradeOpened"]["units"], fill["tradeOpened"]["tradeID"],
    )  # fmt: skip
    assert D(0) == call.app.exchange.position("EUR_USD")


def test_a_cancelled_take_profit_leaves_the_stop_loss(call):
    call.order(MARKET, **LEGS)
    call("PUT", "orders/@tp/cancel")

    assert ["7"] == [order["id"] for order in call("GET", "pendingOrders")[1]["orders"]]


# Replacing


def test_a_replacement_cancels_and_creates_in_one_step(call):
    call.order()
    status, body = call.replace(price="1.06", clientExtensions={"id": "b"})
    cancel, create = body["orderCancelTransaction"], body["orderCreateTransaction"]

    assert (201, ["5", "6"], "6") == (status, body["relatedTransactionIDs"], body["lastTransactionID"])
    assert ("ORDER_CANCEL", "4", "a", "CLIENT_REQUEST_REPLACED", "6") == tuple(
        cancel[name] for name in ("type", "orderID", "clientOrderID", "reason", "replacedByOrderID")
    )
    assert ("LIMIT_ORDER", "REPLACEMENT", "4", "5", "1.06", {"id": "b"}) == tuple(
        create[name] for name in ("type", "reason", "replacesOrderID", "cancellingTransactionID", "price", "clientExtensions")
    )
    assert ("CANCELLED", "6", "5") == tuple(
        call.got("4")[name] for name in ("state", "replacedByOrderID", "cancellingTransactionID")
    )
    assert ("PENDING", "4") == tuple(call.got("6")[name] for name in ("state", "replacesOrderID"))


def test_a_replacement_may_keep_the_client_id(call):
    call.order()

    assert 201 == call.replace(clientExtensions={"id": "a"})[0]
    assert "6" == call.got("@a")["id"]


def test_a_replacement_can_fill_at_once(call):
    call.order()
    _, body = call.replace(price="1.2")

    assert ("6", ["5", "6", "7"]) == (body["orderFillTransaction"]["orderID"], body["relatedTransactionIDs"])


def test_a_replacement_in_a_halted_market_can_be_cancelled_at_once():
    call = Caller(halted=["EUR_USD"])
    call.order()
    _, body = call.replace(timeInForce="IOC")

    assert ("4", "6") == (body["orderCancelTransaction"]["orderID"], body["replacingOrderCancelTransaction"]["orderID"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price": "1.000001"}, "PRICE_PRECISION_EXCEEDED"),
        ({"units": "0.5"}, "UNITS_MIMIMUM_NOT_MET"),
        ({"type": "STOP"}, "REPLACING_ORDER_INVALID"),
    ],
)
def test_a_rejected_replacement_leaves_the_order(call, changes, reason):
    call.order()
    status, body = call.replace(**changes)
    rejected = body["orderRejectTransaction"]

    assert (400, reason, reason) == (status, body["errorCode"], rejected["rejectReason"])
    assert ("REPLACEMENT", "4") == (rejected["reason"], rejected["intendedReplacesOrderID"])
    assert ("PENDING", "1.05") == (call.got("4")["state"], call.got("4")["price"])


@pytest.mark.parametrize("specifier", ["4", "99", "@a", "@none"])
def test_what_is_not_pending_is_not_replaced(call, specifier):
    call.order()
    call("PUT", "orders/4/cancel")
    status, body = call.replace(specifier)

    assert (404, "ORDER_DOESNT_EXIST") == (status, body["orderCancelRejectTransaction"]["rejectReason"])
    assert 2 == call.app.exchange.last_transaction_id


def test_a_dependent_order_can_be_replaced(call):
    call.order(MARKET, **LEGS)
    body = {"type": "STOP_LOSS", "tradeID": "5", "price": "1.05", "clientExtensions": {"id": "sl"}}
    status, answer = call("PUT", "orders/7", {"order": body})
    call.move("1.05")

    assert (201, "5", "REPLACEMENT") == (
        status, answer["orderCreateTransaction"]["tradeID"], answer["orderCreateTransaction"]["reason"],
    )  # fmt: skip
    assert ("STOP_LOSS_ORDER", "LINKED_TRADE_CLOSED") == tuple(item["reason"] for item in call.log()[-2:])
    assert D(0) == call.app.exchange.position("EUR_USD")


@pytest.mark.parametrize(
    "body", [{"type": "STOP_LOSS", "tradeID": "9", "price": "1.05"}, {"type": "STOP_LOSS", "tradeID": "5", "distance": "1"}]
)
def test_a_dependent_order_stays_with_its_trade(call, body):
    call.order(MARKET, **LEGS)

    assert 400 == call("PUT", "orders/7", {"order": body})[0]
    assert "PENDING" == call.got("7")["state"]


def test_a_replacement_is_an_operation_of_its_own_under_the_new_id(call):
    body = json.dumps({"order": LIMIT | {"clientExtensions": {"id": "b"}}}).encode()
    request = HttpRequest("PUT", f"/v3/accounts/{ACCOUNT}/orders/@a", {}, body)

    assert ("replace", "b") == (call.app.operation(request), call.app.client_order_id(request))
