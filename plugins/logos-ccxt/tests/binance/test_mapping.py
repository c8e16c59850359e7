"""Binance's JSON in logos' words; whatever is not plainly said is refused."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from logos_ccxt import reading
from logos_ccxt.binance import mapping
from logos_core.hookspecs import BadAnswerError
from logos_core.orders import OrderStatus, OrderType, TimeInForce

ORDER = {
    "symbol": "BTCUSDT",
    "orderId": 28,
    "clientOrderId": "order1",
    "price": "50000.00000000",
    "origQty": "0.30000000",
    "executedQty": "0.10000000",
    "cummulativeQuoteQty": "5000.00000000",
    "status": "PARTIALLY_FILLED",
    "timeInForce": "GTC",
    "type": "LIMIT",
    "side": "BUY",
    "updateTime": 1_499_827_319_559,
}
FILL = {"price": "50000.0", "qty": "0.1", "commission": "0.0001", "commissionAsset": "BTC", "tradeId": 7}
TRADE = {
    "symbol": "BTCUSDT",
    "id": 7,
    "orderId": 28,
    "price": "50000.0",
    "qty": "0.1",
    "commission": "0.0001",
    "commissionAsset": "BTC",
    "time": 1_499_827_319_559,
    "isBuyer": True,
}
LISTED: dict[str, Any] = {
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "baseAssetPrecision": 8,
    "quoteAssetPrecision": 6,
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.0", "maxQty": "100.0", "stepSize": "0.0"},
        {"filterType": "NOTIONAL", "minNotional": "5.0"},
    ],
}


def symbol_of(market_id):
    return {"BTCUSDT": "BTC/USDT", "ETHUSDT": "ETH/USDT"}[market_id]


def report(**changes):
    return mapping.report({**ORDER, **changes}, symbol_of)


def test_an_order_is_read_to_the_last_digit():
    read = report()

    assert (Decimal("0.3"), Decimal("0.1"), Decimal(50000), TimeInForce.GTC) == (
        read.quantity,
        read.filled_quantity,
        read.average_price,
        read.time_in_force,
    )
    assert datetime(2017, 7, 12, 2, 41, 59, 559000, tzinfo=UTC) == read.venue_time


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("PENDING_NEW", OrderStatus.PENDING_NEW),
        ("NEW", OrderStatus.NEW),
        ("PARTIALLY_FILLED", OrderStatus.PARTIALLY_FILLED),
        ("PENDING_CANCEL", OrderStatus.PENDING_CANCEL),
        ("FILLED", OrderStatus.FILLED),
        ("CANCELED", OrderStatus.CANCELED),
        ("REJECTED", OrderStatus.REJECTED),
        ("EXPIRED", OrderStatus.EXPIRED),
        ("EXPIRED_IN_MATCH", OrderStatus.EXPIRED),
    ],
)
def test_every_status_has_its_word(word, status):
    assert status is report(status=word).status


@pytest.mark.parametrize("word", ["", "new", "CANCELLED", None, 1])
def test_an_unknown_status_is_no_answer(word):
    with pytest.raises(BadAnswerError, match="status"):
        report(status=word)


@pytest.mark.parametrize("name", sorted(ORDER))
def test_a_missing_field_is_no_answer(name):
    with pytest.raises(BadAnswerError, match=name):
        mapping.report({key: value for key, value in ORDER.items() if key != name}, symbol_of)


@pytest.mark.parametrize("value", [0.1, 1, "1e3", "NaN", "", " 1", "1.", None, "0x1", "١"])
def test_an_amount_is_a_plain_number_in_a_string(value):
    with pytest.raises(BadAnswerError, match="executedQty"):
        report(executedQty=value)


@pytest.mark.parametrize("value", ["28", 28.0, True, None])
def test_an_id_is_a_whole_number(value):
    with pytest.raises(BadAnswerError, match="orderId"):
        report(orderId=value)


def test_trap_a_negative_quote_sum_means_that_it_is_no_longer_known():
    assert report(cummulativeQuoteQty="-1.00000000").average_price is None


def test_a_market_order_has_neither_price_nor_the_time_in_force_that_is_said_of_it():
    read = report(type="MARKET", price="0.00000000")

    assert (OrderType.MARKET, None, None) == (read.order_type, read.price, read.time_in_force)


def test_a_stop_order_of_somebody_else_does_not_make_the_account_unreadable():
    assert OrderType.LIMIT is report(type="TAKE_PROFIT_LIMIT").order_type


def test_a_stop_order_begins_at_its_stop_price_and_a_trailing_one_has_none_of_ours():
    limited = report(type="STOP_LOSS_LIMIT", stopPrice="49000.00000000")
    trailing = report(type="STOP_LOSS", trailingDelta=150, stopPrice="0.00000000")

    assert (OrderType.STOP_LIMIT, Decimal(49000), Decimal(50000)) == (limited.order_type, limited.stop_price, limited.price)
    assert (OrderType.TRAILING_STOP, Decimal("1.5"), None, None) == (
        trailing.order_type,
        trailing.trail_percent,
        trailing.price,
        trailing.stop_price,
    )


def test_a_fill_without_an_id_is_left_to_the_list_of_trades():
    nameless = {key: value for key, value in FILL.items() if key != "tradeId"}

    assert () == report(transactTime=1, fills=[nameless, FILL]).executions
    assert ("BTCUSDT:7",) == tuple(fill.execution_id for fill in report(transactTime=1, fills=[FILL]).executions)


def test_trap_trade_ids_are_counted_per_market():
    first = mapping.execution(TRADE, symbol_of, None)
    second = mapping.execution({**TRADE, "symbol": "ETHUSDT"}, symbol_of, None)

    assert first.execution_id != second.execution_id


@pytest.mark.parametrize("name", sorted(TRADE))
def test_a_trade_with_a_missing_field_is_no_answer(name):
    with pytest.raises(BadAnswerError, match=name):
        mapping.execution({key: value for key, value in TRADE.items() if key != name}, symbol_of, None)


def test_the_grid_is_that_of_the_filters():
    grid = mapping.instrument(LISTED, "BTC/USDT")

    assert (Decimal("0.01"), Decimal("0.00001"), Decimal("0.00001"), Decimal(9000), Decimal(5)) == (
        grid.tick_at(Decimal(1)),
        grid.quantity_step,
        grid.min_quantity,
        grid.max_quantity,
        grid.min_notional,
    )


def test_a_filter_of_zero_leaves_the_precision_of_the_asset():
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.00000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.0", "maxQty": "0.0", "stepSize": "0.0"},
        {"filterType": "MIN_NOTIONAL", "minNotional": "10"},
    ]
    grid = mapping.instrument({**LISTED, "filters": filters}, "BTC/USDT")

    assert (Decimal("1E-6"), Decimal("1E-8"), Decimal("1E-8"), None, Decimal(10)) == (
        grid.tick_at(Decimal(1)),
        grid.quantity_step,
        grid.min_quantity,
        grid.max_quantity,
        grid.min_notional,
    )


@pytest.mark.parametrize("missing", ["PRICE_FILTER", "LOT_SIZE"])
def test_a_market_without_its_grid_is_no_answer(missing):
    filters = [item for item in LISTED["filters"] if item["filterType"] != missing]

    with pytest.raises(BadAnswerError, match=missing):
        mapping.instrument({**LISTED, "filters": filters}, "BTC/USDT")


def test_holdings_are_what_is_free_and_what_is_locked():
    balances = [
        {"asset": "BTC", "free": "0.10", "locked": "0.20"},
        {"asset": "ETH", "free": "0.00", "locked": "0.00"},
    ]

    assert [("BTC", Decimal("0.3"))] == [(held.symbol, held.quantity) for held in mapping.positions({"balances": balances})]


@pytest.mark.parametrize("text", [None, "", "yesterday", "Mon, 23 Nov 2026 07:03:32 -0000"])
def test_a_date_that_names_no_time_zone_is_no_time(text):
    assert reading.http_date(text) is None
