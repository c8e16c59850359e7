"""What the simulated Binance does with stops, quote quantities and cancel-replace, by plain requests."""

import hashlib
import hmac
import json
from decimal import Decimal
from urllib.parse import urlencode

import pytest

from logos_ccxt.binance.simulator import BinanceSimulator
from logos_core.testing.server import HttpRequest

D = Decimal
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "price": "50000"}
BASE = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.1"}
STOP = BASE | {"type": "STOP_LOSS", "stopPrice": "55000"}
STOP_LIMIT = BASE | {"type": "STOP_LOSS_LIMIT", "stopPrice": "55000", "price": "54000", "timeInForce": "GTC"}
TRAILING = BASE | {"type": "STOP_LOSS", "trailingDelta": "1000"}
MAKER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.01", "price": "50000"}
REPLACE = LIMIT | {
    "price": "51000",
    "newClientOrderId": "new",
    "cancelOrigClientOrderId": "old",
    "cancelReplaceMode": "STOP_ON_FAILURE",
}


class Caller:
    def __init__(self, **options):
        self.app = BinanceSimulator(**options)
        self.exchange = self.app.exchange

    def request(self, method, path, fields):
        stamp = int(self.app._now().timestamp() * 1000)
        query = urlencode({**fields, "timestamp": stamp})
        query += "&signature=" + hmac.new(b"key", query.encode(), hashlib.sha256).hexdigest()
        headers, target = {"x-mbx-apikey": "key"}, f"/api/v3/{path}"
        if method == "POST":
            return HttpRequest(method, target, headers, query.encode())
        return HttpRequest(method, f"{target}?{query}", headers)

    def __call__(self, method, path, fields, **more):
        answer = self.app.handle(self.request(method, path, {**fields, **more}))
        self.headers = dict(answer.headers)
        return answer.status, json.loads(answer.body)

    def get(self, order_id):
        return self("GET", "order", {"symbol": "BTCUSDT", "orderId": order_id})[1]

    def move(self, price):
        self.exchange.move_price("BTC/USDT", D(price))

    def statuses(self):
        return [order.status.value for order in self.exchange.orders()]


@pytest.fixture
def call():
    return Caller()


def test_a_stop_loss_sleeps_and_then_takes(call):
    _, sent = call("POST", "order", STOP)
    sleeping = call.get(sent["orderId"])
    call.move("54900")
    done = call.get(sent["orderId"])

    assert ("NEW", "STOP_LOSS", "55000.00000000", False, -1) == tuple(
        sleeping[name] for name in ("status", "type", "stopPrice", "isWorking", "workingTime")
    )
    assert ("FILLED", "5490.00000000", True) == (done["status"], done["cummulativeQuoteQty"], done["isWorking"])


def test_a_stop_loss_limit_rests_at_its_limit(call):
    _, sent = call("POST", "order", STOP_LIMIT)
    call.move("53000")
    resting = call.get(sent["orderId"])
    call.move("54000")

    assert ("NEW", True, "54000.00000000", "GTC") == tuple(
        resting[name] for name in ("status", "isWorking", "price", "timeInForce")
    )
    assert "FILLED" == call.get(sent["orderId"])["status"]


def test_a_trailing_delta_counts_basis_points(call):
    _, sent = call("POST", "order", TRAILING)
    call.move("70000")
    call.move("63001")
    following = call.get(sent["orderId"])
    call.move("63000")

    assert ("NEW", 1000) == (following["status"], following["trailingDelta"])
    assert "FILLED" == call.get(sent["orderId"])["status"]


def test_a_quote_quantity_buys_what_it_pays_for(call):
    fields = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quoteOrderQty": "100"}
    _, sent = call("POST", "order", fields)

    assert ("FILLED", "0.00166000", "0.00166000", "100.00000000") == tuple(
        sent[name] for name in ("status", "origQty", "executedQty", "origQuoteOrderQty")
    )


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        (STOP | {"stopPrice": "60000"}, -2010, "Order would trigger immediately."),
        (STOP | {"side": "BUY"}, -2010, "Order would trigger immediately."),
        (MAKER | {"price": "60000"}, -2010, "Order would immediately match and take."),
        (STOP | {"stopPrice": "55000.001"}, -1013, "Filter failure: PRICE_FILTER"),
        (TRAILING | {"trailingDelta": "0"}, -1013, "Filter failure: TRAILING_DELTA"),
        (MAKER | {"timeInForce": "GTC"}, -1106, "Parameter 'timeInForce' sent when not required."),
        (STOP | {"price": "1"}, -1106, "Parameter 'price' sent when not required."),
        (LIMIT | {"trailingDelta": "1"}, -1106, "Parameter 'trailingDelta' sent when not required."),
        (LIMIT | {"quoteOrderQty": "1"}, -1106, "Parameter 'quoteOrderQty' sent when not required."),
        (STOP | {"trailingDelta": "100"}, -1128, "Combination of optional parameters invalid."),
        (BASE | {"type": "MARKET", "quoteOrderQty": "1"}, -1128, "Combination of optional parameters invalid."),
        (BASE | {"type": "STOP_LOSS"}, -1102, "Mandatory parameter 'stopPrice' was not sent, was empty/null, or malformed."),
        (STOP | {"type": "TAKE_PROFIT"}, -1116, "Invalid orderType."),
    ],
)
def test_what_binance_refuses_is_refused_with_its_code(call, fields, code, message):
    status, body = call("POST", "order", fields)

    assert (400, code, message, []) == (status, body["code"], body["msg"], call.exchange.orders())


def test_a_maker_order_rests(call):
    _, sent = call("POST", "order", MAKER)

    assert ("NEW", "LIMIT_MAKER") == (sent["status"], sent["type"])


@pytest.mark.parametrize(
    ("filled", "restriction", "code"),
    [("0", "ONLY_NEW", None), ("0.005", "ONLY_NEW", -2011), ("0.005", "ONLY_PARTIALLY_FILLED", None),
     ("0", "ONLY_PARTIALLY_FILLED", -2011), ("0", "ONLY_OLD", -1145)],
)  # fmt: skip
def test_a_cancel_can_be_restricted(call, filled, restriction, code):
    call("POST", "order", LIMIT, newClientOrderId="old")
    if D(filled):
        call.exchange.fill("1", D(filled))
    _, body = call("DELETE", "order", {"symbol": "BTCUSDT", "origClientOrderId": "old"}, cancelRestrictions=restriction)

    assert code == body.get("code")
    assert (code is None) == (call.statuses() == ["canceled"])


# Cancel and replace


def old(call, **changes):
    call("POST", "order", LIMIT | {"newClientOrderId": "old"} | changes)


@pytest.mark.parametrize("mode", ["STOP_ON_FAILURE", "ALLOW_FAILURE"])
def test_both_halves_can_succeed(call, mode):
    old(call)
    status, body = call("POST", "order/cancelReplace", REPLACE, cancelReplaceMode=mode)
    cancelled, new = body["cancelResponse"], body["newOrderResponse"]

    assert (200, "SUCCESS", "SUCCESS") == (status, body["cancelResult"], body["newOrderResult"])
    assert ("old", "CANCELED") == (cancelled["origClientOrderId"], cancelled["status"])
    assert ("new", "NEW", "51000.00000000", []) == (new["clientOrderId"], new["status"], new["price"], new["fills"])
    assert ["canceled", "new"] == call.statuses()


def test_money_of_the_cancelled_order_is_there_for_the_new_one():
    call = Caller(balances={"USDT": D(500)})
    old(call)

    assert 200 == call("POST", "order/cancelReplace", REPLACE, price="50000")[0]


def test_if_the_new_order_fails_the_old_one_is_gone(call):
    old(call)
    status, body = call("POST", "order/cancelReplace", REPLACE, quantity="100")
    data = body["data"]

    assert (409, -2021, "Order cancel-replace partially failed.") == (status, body["code"], body["msg"])
    assert ("SUCCESS", "FAILURE") == (data["cancelResult"], data["newOrderResult"])
    assert ("CANCELED", -2010) == (data["cancelResponse"]["status"], data["newOrderResponse"]["code"])
    assert ["canceled"] == call.statuses()


def test_if_the_cancel_fails_the_new_order_is_not_attempted(call):
    old(call)
    call.exchange.fill("1", D("0.01"))
    status, body = call("POST", "order/cancelReplace", REPLACE)

    assert (400, -2022, "Order cancel-replace failed.") == (status, body["code"], body["msg"])
    assert {
        "cancelResult": "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
        "newOrderResponse": None,
    } == body["data"]
    assert ["filled"] == call.statuses()
    assert "2" == call.headers["X-MBX-ORDER-COUNT-10S"]


def test_if_failures_are_allowed_both_orders_can_trade(call):
    old(call)
    call.exchange.fill("1", D("0.01"))
    status, body = call("POST", "order/cancelReplace", REPLACE, cancelReplaceMode="ALLOW_FAILURE")

    assert (409, -2021, "FAILURE", "SUCCESS") == (
        status, body["code"], body["data"]["cancelResult"], body["data"]["newOrderResult"],
    )  # fmt: skip
    assert ["filled", "new"] == call.statuses()


def test_if_both_halves_fail_nothing_has_changed(call):
    status, body = call("POST", "order/cancelReplace", REPLACE, cancelReplaceMode="ALLOW_FAILURE", quantity="100")

    assert (400, -2022, "FAILURE", "FAILURE", []) == (
        status, body["code"], body["data"]["cancelResult"], body["data"]["newOrderResult"], call.statuses(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": "51000.001"}, -1013),
        ({"quantity": "0.000001"}, -1013),
        ({"quantity": "0.00001", "price": "100"}, -1013),
        ({"type": "ICEBERG"}, -1116),
        ({"cancelReplaceMode": "SOMETIMES"}, -1130),
        ({"cancelReplaceMode": ""}, -1102),
        ({"cancelOrigClientOrderId": "", "cancelOrderId": "x"}, -1100),
    ],
)
def test_filters_and_parameters_come_before_the_cancel(call, changes, code):
    old(call)
    status, body = call("POST", "order/cancelReplace", REPLACE, **changes)

    assert (400, code, ["new"]) == (status, body["code"], call.statuses())


def test_one_of_the_two_ids_is_needed(call):
    fields = {name: value for name, value in REPLACE.items() if name != "cancelOrigClientOrderId"}

    assert -1102 == call("POST", "order/cancelReplace", fields)[1]["code"]


def test_the_order_id_takes_precedence(call):
    old(call)
    old(call, newClientOrderId="other")
    call("POST", "order/cancelReplace", REPLACE, cancelOrderId="2")

    assert ["new", "canceled", "new"] == call.statuses()


@pytest.mark.parametrize(
    ("restriction", "statuses"), [("ONLY_NEW", ["partially_filled"]), ("ONLY_PARTIALLY_FILLED", ["canceled", "new"])]
)
def test_a_restriction_holds_for_the_cancel(call, restriction, statuses):
    old(call)
    call.exchange.fill("1", D("0.005"))
    call("POST", "order/cancelReplace", REPLACE, cancelRestrictions=restriction)

    assert statuses == call.statuses()


@pytest.mark.parametrize(("refuses", "status", "statuses"), [("cancel", 400, ["new"]), ("new", 409, ["canceled"])])
def test_either_half_can_be_made_to_fail(refuses, status, statuses):
    call = Caller(replace_refuses=refuses)
    old(call)

    assert (status, statuses) == (call("POST", "order/cancelReplace", REPLACE)[0], call.statuses())


def test_a_maker_order_that_would_take_fails_after_the_cancel(call):
    old(call)
    fields = {name: value for name, value in REPLACE.items() if name != "timeInForce"}
    status, body = call("POST", "order/cancelReplace", fields, type="LIMIT_MAKER", price="60000")

    assert (409, -2010, ["canceled"]) == (status, body["data"]["newOrderResponse"]["code"], call.statuses())


def test_a_cancel_replace_is_an_operation_of_its_own_under_the_new_id(call):
    request = call.request("POST", "order/cancelReplace", REPLACE)

    assert ("replace", "new") == (call.app.operation(request), call.app.client_order_id(request))
