"""What the simulated OANDA believes, and that each belief can be held the other way."""

import json
from decimal import Decimal

import pytest

from logos_core.testing.server import HttpRequest
from logos_oanda.simulator import ACCOUNT, OandaSimulator

LIMIT = {"type": "LIMIT", "instrument": "EUR_USD", "units": "100", "price": "1.05", "timeInForce": "GTC"}


class Caller:
    def __init__(self, **beliefs):
        self.app = OandaSimulator(**beliefs)

    def __call__(self, method, path, body=None, *, account=ACCOUNT, token="token"):
        headers = {"authorization": f"Bearer {token}"}
        sent = b"" if body is None else json.dumps(body).encode()
        answer = self.app.handle(HttpRequest(method, f"/v3/accounts/{account}/{path}", headers, sent))
        return answer.status, json.loads(answer.body), dict(answer.headers)

    def order(self, client_id="a", **changes):
        return self("POST", "orders", {"order": {**LIMIT, "clientExtensions": {"id": client_id}, **changes}})


@pytest.mark.parametrize(("belief", "statuses"), [("pending", [400, 201]), ("ever", [400, 400]), ("none", [201, 201])])
def test_for_how_long_a_client_id_is_taken_is_a_belief(belief, statuses):
    call = Caller(id_unique_among=belief)
    call.order()
    pending, _, _ = call.order()
    for order in call.app.exchange.open_orders():
        call.app.exchange.cancel(order.order_id)
    ended, _, _ = call.order()

    assert statuses == [pending, ended]


@pytest.mark.parametrize(("belief", "status"), [(False, 404), (True, 200)])
def test_whether_an_ended_order_is_found_by_our_id_is_a_belief(belief, status):
    call = Caller(lookup_finds_closed=belief)
    call.order()
    call("PUT", "orders/@a/cancel")

    assert status == call("GET", "orders/@a")[0]


def test_the_log_has_no_gaps_and_holds_rejects_too():
    call = Caller()
    call.order("a")
    call.order("a")
    call.order("b", units="0.5")
    call("PUT", "orders/4/cancel")

    log = call("GET", "transactions/idrange?from=1&to=7")[1]["transactions"]

    assert [str(number) for number in range(1, 8)] == [item["id"] for item in log]
    assert ["LIMIT_ORDER", "LIMIT_ORDER_REJECT", "LIMIT_ORDER_REJECT", "ORDER_CANCEL"] == [item["type"] for item in log[3:]]
    assert ["CLIENT_ORDER_ID_ALREADY_EXISTS", "UNITS_MIMIMUM_NOT_MET"] == [item["rejectReason"] for item in log[4:6]]


def test_an_order_id_is_the_id_of_the_transaction_that_created_it():
    call = Caller()
    status, body, headers = call.order()

    assert (201, "4", "4") == (status, body["orderCreateTransaction"]["id"], body["lastTransactionID"])
    assert f"/v3/accounts/{ACCOUNT}/orders/4" == headers["Location"]
    assert headers["RequestID"]
    assert "4" == call("GET", "orders/@a")[1]["order"]["id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"units": 100},
        {"units": None},
        {"units": "many"},
        {"units": "Infinity"},
        {"price": 1.05},
        {"type": "MARKET_IF_TOUCHED"},
        {"type": "MARKET", "price": None},
        {"timeInForce": "GTX"},
        {"clientExtensions": {"id": ""}},
        {"clientExtensions": {"id": "a" * 129}},
    ],
)
def test_an_order_that_cannot_be_read_creates_nothing_and_is_not_logged(changes):
    call = Caller()

    status, body, _ = call.order(**changes)

    assert (400, ["errorMessage"]) == (status, list(body))
    assert 0 == call.app.exchange.last_transaction_id


@pytest.mark.parametrize(("path", "status"), [("sinceid?id=4", 200), ("sinceid?id=5", 416), ("idrange?from=4&to=5", 416)])
def test_what_lies_behind_the_end_of_the_log_is_out_of_range(path, status):
    call = Caller()
    call.order()

    assert status == call("GET", f"transactions/{path}")[0]


def test_only_the_tokens_own_account_answers():
    call = Caller(token="right")

    assert [401, 403, 200] == [
        call("GET", "summary")[0],
        call("GET", "summary", account="101-001-7654321-001", token="right")[0],
        call("GET", "summary", token="right")[0],
    ]


def test_a_position_that_was_closed_is_not_listed():
    call = Caller()
    for units in ("100", "-40", "-60"):
        call.order(type="MARKET", price=None, timeInForce="FOK", units=units)

    assert [] == call("GET", "openPositions")[1]["positions"]


def test_a_commission_is_charged_in_the_home_currency():
    call = Caller(fee_rate=Decimal("0.0001"))
    dollars = call.order(type="MARKET", price=None, timeInForce="FOK")[1]
    yen = call.order(type="MARKET", price=None, timeInForce="FOK", instrument="USD_JPY")[1]

    assert ["0.0110", "0.0100"] == [body["orderFillTransaction"]["commission"] for body in (dollars, yen)]
