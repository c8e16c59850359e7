"""Recorded and published shapes of OANDA's JSON, and what must not be guessed."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from logos_core.hookspecs import BadAnswerError
from logos_core.orders import OrderStatus, Side, TimeInForce
from logos_core.reports import Fee
from logos_oanda import mapping, words

TIME = "2016-10-24T21:48:18.593753865Z"
CREATED = {
    "id": "2304",
    "type": "MARKET_ORDER",
    "instrument": "EUR_USD",
    "units": "-100",
    "timeInForce": "IOC",
    "time": TIME,
    "clientExtensions": {"id": "lgs1"},
}
FILL = {
    "id": "2305",
    "type": "ORDER_FILL",
    "orderID": "2304",
    "instrument": "EUR_USD",
    "units": "-100",
    "price": "1.2",
    "time": TIME,
}


def fill(**changes):
    return {**FILL, **changes}


def test_nine_digits_of_a_second_are_read():
    assert datetime(2016, 10, 24, 21, 48, 18, 593753, tzinfo=UTC) == words.timestamp(TIME)


def test_a_partial_fill_of_an_order_that_cannot_rest_ends_it_without_a_logged_cancel():
    report = mapping.history([CREATED, fill(units="-40")], "2304", "USD")

    assert (OrderStatus.CANCELED, Side.SELL, Decimal(40)) == (report.status, report.side, report.filled_quantity)


def test_a_market_order_without_a_time_in_force_is_read_and_does_not_rest():
    closeout = {key: value for key, value in CREATED.items() if key != "timeInForce"}

    report = mapping.history([closeout, fill(units="-40")], "2304", "USD")

    assert (None, OrderStatus.CANCELED) == (report.time_in_force, report.status)


def test_a_partial_fill_of_a_resting_order_leaves_it_open():
    created = {**CREATED, "type": "LIMIT_ORDER", "price": "1.2", "timeInForce": "GTC"}

    report = mapping.history([created, fill(units="-40")], "2304", "USD")

    assert (OrderStatus.PARTIALLY_FILLED, Decimal(60)) == (report.status, report.leaves_quantity)


def test_the_price_is_that_of_the_trades_not_the_deprecated_one():
    opened = {"tradeID": "2305", "units": "-100", "price": "1.19"}

    (execution,) = mapping.executions(fill(tradeOpened=opened), "USD")

    assert (Decimal("1.19"), Decimal(100), "2305") == (execution.price, execution.quantity, execution.execution_id)


def test_parts_of_one_price_are_one_execution_and_parts_of_two_are_two():
    one = fill(tradesClosed=[{"units": "-60", "price": "1.2"}], tradeOpened={"units": "-40", "price": "1.2"})
    two = fill(tradesClosed=[{"units": "-60", "price": "1.3"}], tradeReduced={"units": "-40", "price": "1.2"}, commission="1")

    assert [("2305", Decimal(100))] == [(item.execution_id, item.quantity) for item in mapping.executions(one, "USD")]
    assert [("2305", Decimal(40), Decimal("1.2"), 1), ("2305.1", Decimal(60), Decimal("1.3"), 0)] == [
        (item.execution_id, item.quantity, item.price, len(item.fees)) for item in mapping.executions(two, "USD")
    ]


def test_fees_are_commission_and_guaranteed_execution_and_nothing_that_is_in_the_price_already():
    charged = fill(commission="0.5", guaranteedExecutionFee="0.25", halfSpreadCost="9", financing="9", pl="9")

    assert (Fee(amount=Decimal("0.75"), asset="CHF"),) == mapping.executions(charged, "CHF")[0].fees
    assert () == mapping.executions(fill(commission="0.0000"), "CHF")[0].fees


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [fill()],
        [CREATED, fill(units="-101")],
        [CREATED, fill(tradeOpened={"units": "-99", "price": "1.2"})],
        [CREATED, fill(units="100.0x")],
        [CREATED, fill(units=-100)],
        [CREATED, fill(units="NaN")],
        [CREATED, fill(time="yesterday")],
        [CREATED, fill(time="2016-10-24T21:48:18")],
        [CREATED, {"id": "2306", "type": "ORDER_CANCEL", "orderID": "2304", "time": TIME}],
        [{**CREATED, "type": "FOO_ORDER"}],
        [{**CREATED, "timeInForce": "OPG"}],
        [{**CREATED, "units": "0"}],
        [{**CREATED, "type": "LIMIT_ORDER"}],
        [{**CREATED, "clientExtensions": "lgs1"}],
        [{key: value for key, value in CREATED.items() if key != "instrument"}],
    ],
)
def test_what_is_missing_unknown_or_impossible_is_a_bad_answer(rows):
    with pytest.raises(BadAnswerError):
        mapping.history(rows, "2304", "USD")


@pytest.mark.parametrize("state", ["FILLED", "TRIGGERED", "CANCELLED", "NEW", None])
def test_only_a_pending_order_is_resting(state):
    with pytest.raises(BadAnswerError):
        mapping.resting({**CREATED, "type": "MARKET", "createTime": TIME, "state": state})


def test_an_order_good_till_a_date_is_reported_as_such():
    recorded = {"type": "LIMIT", "price": "1.20000", "createTime": TIME, "state": "PENDING", "timeInForce": "GTD"}

    report = mapping.resting({**CREATED, **recorded})

    assert (TimeInForce.GTD, OrderStatus.NEW, Decimal("1.2")) == (report.time_in_force, report.status, report.price)


@pytest.mark.parametrize(("word", "ours"), [("GFD", TimeInForce.DAY), ("GTC", TimeInForce.GTC)])
def test_day_is_oandas_gfd(word, ours):
    assert ours == mapping.history([{**CREATED, "timeInForce": word}], "2304", "USD").time_in_force


def test_an_order_of_a_kind_we_never_send_under_our_id_does_not_go_unseen():
    with pytest.raises(BadAnswerError, match="is a MARKET_IF_TOUCHED_ORDER"):
        mapping.find([{**CREATED, "type": "MARKET_IF_TOUCHED_ORDER"}], "lgs1")


def test_an_answer_about_two_orders_is_none():
    with pytest.raises(BadAnswerError, match="another order"):
        mapping.created({"orderCreateTransaction": CREATED, "orderFillTransaction": fill(orderID="9")}, "USD")


def test_long_and_short_of_a_hedging_account_are_netted():
    held = {"instrument": "EUR_USD", "long": {"units": "100"}, "short": {"units": "-30"}}

    assert Decimal(70) == mapping.position(held).quantity


@pytest.mark.parametrize("precision", [None, "5", 5.0, True])
def test_a_precision_that_is_no_whole_number_makes_no_grid(precision):
    listed = {
        "name": "EUR_USD",
        "displayPrecision": precision,
        "tradeUnitsPrecision": 0,
        "minimumTradeSize": "1",
        "maximumOrderUnits": "100",
    }

    with pytest.raises(BadAnswerError):
        mapping.instrument(listed)
