from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from logos_core.errors import InvalidOrderError, OrderDeniedError
from logos_core.instruments import PriceBand
from logos_core.orders import Order, OrderStatus, TimeInForce
from logos_core.reports import Fee, mismatches, total_fees
from logos_core.testing.scripted import INSTRUMENT
from logos_core.values import aware, exact, plain
from tests.unit.making import execution_of, order, report_of, request_of


@pytest.mark.parametrize("number", [0.1, 1.0, float("nan"), True, None, b"1", [1], 1j])
@pytest.mark.parametrize("name", ["quantity", "price"])
def test_a_number_of_another_type_is_a_type_error_or_missing(name, number):
    with pytest.raises((TypeError, InvalidOrderError)) as caught:
        order(**{name: number})

    assert (number is None) == isinstance(caught.value, InvalidOrderError)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "number", ["nan", "sNaN", "inf", "-Infinity", "", "one", "1,5", "0x10", "--1", "1" * 41, "0." + "1" * 41, "1e41"]
)
@pytest.mark.parametrize("name", ["quantity", "price"])
def test_text_that_is_no_finite_number_of_forty_digits_is_denied(name, number):
    with pytest.raises(InvalidOrderError) as caught:
        order(**{name: number})

    assert "ORDER_INVALID" == caught.value.reason


@pytest.mark.parametrize("number", ["0", "-1", 0, -1, Decimal("-0"), "0e5", "-1e-40"])
def test_a_quantity_or_price_must_be_above_zero(number):
    for name in ("quantity", "price"):
        with pytest.raises(InvalidOrderError, match=name):
            order(**{name: number})


def test_forty_digits_pass_and_no_more():
    assert Decimal("1" * 40) == exact("n", "1" * 40)
    with pytest.raises(InvalidOrderError):
        exact("n", 10**40)


@pytest.mark.parametrize("text", ["", " ", " a", "a ", "a\n", "a\nb", "a\tb", "a\0", "x" * 201, "\u200b", "\ud800"])
@pytest.mark.parametrize("name", ["symbol", "intent_id"])
def test_a_name_is_one_to_two_hundred_printable_characters_without_spaces_at_the_ends(name, text):
    with pytest.raises(InvalidOrderError, match=name):
        order(**{name: text})


def test_a_name_of_two_hundred_characters_passes():
    assert "x" * 200 == order("x" * 200).intent_id


@pytest.mark.parametrize("value", [1, None, b"a"])
def test_a_name_that_is_no_text_is_a_mistake_in_the_program(value):
    with pytest.raises(TypeError, match="intent_id"):
        order(value)


def test_a_denied_order_is_a_denial_of_ours():
    with pytest.raises(OrderDeniedError, match="side is 'hold'; allowed: buy, sell"):
        order(side="hold")
    with pytest.raises(OrderDeniedError, match="allowed: day, gtc, gtd, ioc, fok"):
        order(time_in_force="good")


def test_a_market_order_has_no_price():
    made = Order.market("BTC/USDT", "sell", quantity=1, intent_id="one", time_in_force="ioc")

    assert (None, TimeInForce.IOC) == (made.price, made.time_in_force)


@given(st.decimals(min_value=Decimal("1e-15"), max_value=Decimal("1e15"), allow_nan=False, places=10).filter(lambda n: n > 0))
def test_equal_numbers_make_one_payload_however_they_are_spelled(number):
    spellings = {plain(number), str(number), format(number, "e"), format(number, "f") + "0"}

    assert 1 == len({order(quantity=text).payload()["quantity"] for text in spellings})
    assert number == Decimal(plain(number))
    assert "e" not in plain(number).lower()


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "ETH/USDT"},
        {"side": "sell"},
        {"quantity": "2"},
        {"price": "101"},
        {"time_in_force": "ioc"},
        {"round_to_grid": True},
    ],
)
def test_every_choice_of_the_caller_is_in_the_payload(change):
    assert order().payload() != order(**change).payload()


def test_the_payload_tells_market_from_limit():
    market = Order.market("BTC/USDT", "buy", quantity=1, intent_id="one")

    assert ("market", "limit") == (market.payload()["order_type"], order().payload()["order_type"])


@pytest.mark.parametrize(
    "change",
    [
        {"client_order_id": "lgs2"},
        {"client_order_id": None},
        {"symbol": "ETH/USDT"},
        {"side": "sell"},
        {"order_type": "market"},
        {"quantity": Decimal("1.001")},
        {"price": Decimal("100.01")},
        {"price": None},
        {"time_in_force": TimeInForce.IOC},
        {"filled_quantity": Decimal("-0.1")},
        {"filled_quantity": Decimal("1.1")},
    ],
)
def test_an_answer_that_differs_in_anything_is_not_about_our_order(change):
    assert 1 == len(mismatches(request_of(), report_of(**change)))


def test_an_answer_may_leave_the_time_in_force_out_and_spell_numbers_its_way():
    said = report_of(time_in_force=None, quantity=Decimal("1.000"), price=Decimal("1E+2"))

    assert [] == mismatches(request_of(), said)


def test_nothing_leaves_a_final_order():
    said = report_of(filled_quantity=Decimal("0.4"))

    assert Decimal("0.6") == said.leaves_quantity
    assert Decimal(0) == evolve(said, status=OrderStatus.CANCELED).leaves_quantity
    finals = {status for status in OrderStatus if status.is_final}
    assert {OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED} == finals


def test_fees_are_summed_per_asset_and_never_across():
    trades = (
        execution_of("t1", fees=(Fee(amount=Decimal("0.1"), asset="BNB"),)),
        execution_of("t2", fees=(Fee(amount=Decimal("-0.3"), asset="BNB"), Fee(amount=Decimal(2), asset="ACE"))),
    )

    assert (Fee(amount=Decimal(2), asset="ACE"), Fee(amount=Decimal("-0.2"), asset="BNB")) == total_fees(trades)


@pytest.mark.parametrize("moment", [datetime(2026, 1, 1), datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))])
def test_a_time_that_is_not_utc_is_a_mistake_in_the_program(moment):
    with pytest.raises(TypeError):
        aware("at", moment)
    with pytest.raises(TypeError):
        execution_of(executed_at=moment)


def test_utc_passes():
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    assert moment == aware("at", moment)


def test_the_tick_is_the_one_of_the_highest_band_that_the_price_reaches():
    banded = evolve(
        INSTRUMENT,
        price_bands=(PriceBand(at_least=Decimal(10), tick=Decimal(1)), PriceBand(at_least=Decimal(0), tick=Decimal("0.1"))),
    )

    assert [Decimal("0.1"), Decimal(1), Decimal(1)] == [banded.tick_at(Decimal(price)) for price in ("9.9", "10", "11")]


@pytest.mark.parametrize(
    ("build", "given", "said"),
    [
        (Order.limit, {"price": 9, "stop_los": 8}, "did you mean stop_loss"),
        (Order.limit, {"price": 9, "stop_price": 8}, "stop_price is no option of this limit order"),
        (Order.market, {"price": 9}, "price is no option of this market order"),
        (Order.stop, {"stop_price": 9, "tif": "ioc"}, "it takes time_in_force"),
        (Order.oco, {"take_profit": 9, "stop_loss": 8, "stop_loss_limit": 7}, "stop_loss_limit is no option"),
        (Order.market, {"reduce_only": 1}, "reduce_only is 1; give True or False"),
        (Order.limit, {"price": 9, "post_only": "yes"}, "post_only is 'yes'"),
        (Order.limit, {"price": 9, "round_to_grid": None}, "round_to_grid is None"),
    ],
)
def test_an_option_that_no_such_order_has_is_never_left_out_in_silence(build: Any, given, said):
    with pytest.raises(TypeError, match=said):
        build("X", "sell", quantity=1, intent_id="i", **given)
