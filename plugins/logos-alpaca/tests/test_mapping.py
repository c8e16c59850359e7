"""Between logos' words and Alpaca's JSON: exact, and strict about what is missing or unknown."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from alpaca.trading.enums import OrderStatus as AlpacaStatus

from logos_alpaca import mapping
from logos_core.hookspecs import BadAnswerError, Position
from logos_core.orders import OrderRequest, OrderStatus, OrderType, Side, TimeInForce

D = Decimal
ORDER = {
    "id": "61e69015-8549-4bfd-b9c3-01e75843f47d",
    "client_order_id": "lgs1",
    "created_at": "2026-03-02T15:00:00.123456789Z",
    "updated_at": "2026-03-02T15:00:01.123456789Z",
    "symbol": "AAPL",
    "qty": "15",
    "notional": None,
    "filled_qty": "5",
    "filled_avg_price": "106.9999999",
    "order_class": "",
    "type": "limit",
    "side": "buy",
    "time_in_force": "day",
    "limit_price": "107.00",
    "status": "partially_filled",
}
FILL = {
    "id": "20220202135509981::2d7be4ff-d1f3-43e9-856a-0f5cf5c5088e",
    "activity_type": "FILL",
    "transaction_time": "2022-02-02T18:55:09.981482Z",
    "type": "fill",
    "price": "174.78",
    "qty": "2",
    "side": "buy",
    "symbol": "AAPL",
    "leaves_qty": "0",
    "order_id": "b5abe576-6a8a-49f3-a353-46b72c1ccae9",
    "cum_qty": "2",
    "order_status": "filled",
}
"""The specification's own example."""
POSITION = {"symbol": "AAPL", "qty": "5", "side": "long"}
NO_NUMBERS: list[object] = [
    None,
    "",
    "many",
    "NaN",
    "sNaN",
    "Infinity",
    "-inf",
    "0x1",
    "1,5",
    True,
    False,
    0.1,
    float("nan"),
    [],
    {},
]
NO_TEXTS: list[object] = [None, "", 0, 7, True, [], {}]


def without(body, name):
    return {key: value for key, value in body.items() if key != name}


def test_an_order_is_read_in_full():
    found = mapping.report(ORDER)

    assert ("lgs1", ORDER["id"], "AAPL", Side.BUY, OrderType.LIMIT, TimeInForce.DAY, OrderStatus.PARTIALLY_FILLED) == (
        found.client_order_id, found.venue_order_id, found.symbol, found.side, found.order_type, found.time_in_force, found.status,
    )  # fmt: skip
    assert (D(15), D("107.00"), D(5), D("106.9999999")) == (
        found.quantity, found.price, found.filled_quantity, found.average_price,
    )  # fmt: skip
    assert (datetime(2026, 3, 2, 15, 0, 1, 123456, UTC), ORDER) == (found.venue_time, found.raw)


@pytest.mark.parametrize("name", ["limit_price", "filled_avg_price", "updated_at"])
def test_what_the_specification_lets_be_null_may_be_null(name):
    found = mapping.report(ORDER | {name: None})

    assert None is {"limit_price": found.price, "filled_avg_price": found.average_price, "updated_at": found.venue_time}[name]


@pytest.mark.parametrize(
    "name", ["id", "client_order_id", "symbol", "qty", "filled_qty", "type", "side", "time_in_force", "status"]
)
def test_a_field_that_is_missing_is_a_bad_answer(name):
    with pytest.raises(BadAnswerError):
        mapping.report(without(ORDER, name))


@pytest.mark.parametrize("name", ["id", "client_order_id", "symbol", "type", "side", "time_in_force", "status"])
@pytest.mark.parametrize("value", NO_TEXTS, ids=repr)
def test_a_text_that_is_none_is_a_bad_answer(name, value):
    with pytest.raises(BadAnswerError):
        mapping.report(ORDER | {name: value})


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize("name", ["qty", "filled_qty", "limit_price", "filled_avg_price"])
def test_a_number_that_is_none_is_a_bad_answer(name, value):
    if value is None and name in {"limit_price", "filled_avg_price"}:
        value = ""  # Null has a meaning of its own.
    with pytest.raises(BadAnswerError):
        mapping.report(ORDER | {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "limit_on_close"),
        ("type", "STOP"),
        ("type", "LIMIT"),
        ("side", "sell_short"),
        ("time_in_force", "opg"),
        ("time_in_force", "cls"),
        ("time_in_force", "gtd"),
        ("status", "invented"),
        ("status", "FILLED"),
        ("updated_at", "yesterday"),
        ("updated_at", 1646233200),
    ],
)
def test_a_word_that_logos_does_not_know_is_a_bad_answer(name, value):
    with pytest.raises(BadAnswerError):
        mapping.report(ORDER | {name: value})


def test_an_order_by_notional_has_no_quantity_before_it_trades():
    found = mapping.report(ORDER | {"qty": None, "notional": "10"})

    assert (None, Decimal(10)) == (found.quantity, found.notional)


def test_an_order_by_nothing_is_a_bad_answer_that_says_so():
    with pytest.raises(BadAnswerError, match="neither qty nor notional"):
        mapping.report(ORDER | {"qty": None, "notional": None})


@pytest.mark.parametrize("body", [None, [], "order", 1, True, [ORDER]])
@pytest.mark.parametrize("read", [mapping.report, mapping.execution, mapping.position, mapping.instrument])
def test_what_is_no_object_is_a_bad_answer(read, body):
    with pytest.raises(BadAnswerError, match="expected an object"):
        read(body)


@pytest.mark.parametrize("text", ["0.123456789", "12345678901234567890.123456789", "3", "0.10"])
def test_numbers_stay_exact(text):
    assert D(text) == mapping.report(ORDER | {"qty": text}).quantity


def test_every_status_of_the_sdk_is_known():
    assert {status.value for status in AlpacaStatus} == set(mapping.STATUSES)


def test_only_what_can_never_trade_again_is_final():
    assert {"filled", "canceled", "expired", "rejected", "replaced"} == {
        name for name, status in mapping.STATUSES.items() if status.is_final
    }


@pytest.mark.parametrize(("status", "meaning"), mapping.STATUSES.items())
def test_a_status_is_read_as_the_table_says(status, meaning):
    assert meaning is mapping.report(ORDER | {"status": status}).status


def test_a_fill_is_read_in_full():
    found = mapping.execution(FILL)

    assert (FILL["id"], FILL["order_id"], None, "AAPL", Side.BUY, D(2), D("174.78"), ()) == (
        found.execution_id, found.venue_order_id, found.client_order_id, found.symbol,
        found.side, found.quantity, found.price, found.fees,
    )  # fmt: skip
    assert datetime(2022, 2, 2, 18, 55, 9, 981482, UTC) == found.executed_at


def test_a_short_sale_is_a_sale():
    assert Side.SELL is mapping.execution(FILL | {"side": "sell_short"}).side


@pytest.mark.parametrize("name", ["id", "order_id", "symbol", "side", "qty", "price", "transaction_time"])
@pytest.mark.parametrize("value", [None, "", True, 0.5])
def test_a_fill_with_a_field_that_cannot_be_read_is_a_bad_answer(name, value):
    with pytest.raises(BadAnswerError):
        mapping.execution(FILL | {name: value})


@pytest.mark.parametrize("name", ["side", "qty", "price", "transaction_time"])
def test_a_fill_with_a_word_that_logos_does_not_know_is_a_bad_answer(name):
    with pytest.raises(BadAnswerError):
        mapping.execution(FILL | {name: "invented"})


@pytest.mark.parametrize("text", ["5", "-5", "0.123456789"])
def test_a_position_keeps_its_sign(text):
    assert Position(symbol="AAPL", quantity=D(text)) == mapping.position(POSITION | {"qty": text})


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_a_position_without_a_quantity_is_a_bad_answer(value):
    with pytest.raises(BadAnswerError):
        mapping.position(POSITION | {"qty": value})


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-03-02T15:00:00Z", 0),
        ("2026-03-02T15:00:00.1Z", 100_000),
        ("2026-03-02T15:00:00.123456Z", 123_456),
        ("2026-03-02T15:00:00.1234567Z", 123_456),
        ("2026-03-02T15:00:00.12345678Z", 123_456),
        ("2026-03-02T15:00:00.123456789Z", 123_456),
        ("2026-03-02T15:00:00.999999999Z", 999_999),
        ("2026-03-02T10:00:00.123456789-05:00", 123_456),
        ("2026-03-02T20:30:00.1234567+05:30", 123_456),
    ],
)
def test_a_time_of_any_precision_is_the_same_moment_in_utc(text, microsecond):
    found = mapping.timestamp(text)

    assert (datetime(2026, 3, 2, 15, 0, 0, microsecond, UTC), UTC) == (found, found.tzinfo)


@pytest.mark.parametrize(
    "text", ["", "now", "2026-03-02", "2026-03-02T15:00:00", "2026-03-02T15:00:00.123456789", "2026-02-30T00:00:00Z"]
)
def test_a_time_without_a_zone_or_sense_is_a_bad_answer(text):
    with pytest.raises(BadAnswerError):
        mapping.timestamp(text)


def request(**changes):
    fields = {
        "client_order_id": "lgs1",
        "symbol": "AAPL",
        "side": Side.SELL,
        "order_type": OrderType.LIMIT,
        "quantity": D("1E+2"),
        "price": D("150.10"),
        "time_in_force": TimeInForce.GTC,
    }
    return OrderRequest(**{**fields, **changes})


def test_every_value_that_goes_out_is_text():
    fields = mapping.wire_fields(request())

    assert {"qty": "100", "limit_price": "150.1"} == {name: fields[name] for name in ("qty", "limit_price")}
    assert {str} == {type(value) for value in fields.values()}


def test_a_market_order_carries_no_price():
    assert "limit_price" not in mapping.wire_fields(request(order_type=OrderType.MARKET, price=None))


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("kind", OrderType)
@pytest.mark.parametrize("time_in_force", TimeInForce)
def test_words_go_out_as_alpaca_spells_them(side, kind, time_in_force):
    fields = mapping.wire_fields(request(side=side, order_type=kind, time_in_force=time_in_force))

    assert (side.value, kind.value, time_in_force.value) == (fields["side"], fields["type"], fields["time_in_force"])


@pytest.mark.parametrize("kind", [None, "trade_bust", "trade_correct"])
def test_an_activity_that_is_no_fill_is_not_taken_for_a_trade(kind):
    with pytest.raises(BadAnswerError, match="activity a::1"):
        mapping.execution({"id": "a::1", "activity_type": "FILL", "type": kind})
