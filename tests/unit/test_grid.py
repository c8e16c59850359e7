from decimal import ROUND_FLOOR, Decimal, localcontext

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from logos_core.clock import ManualClock
from logos_core.instruments import PriceBand
from logos_core.orders import Order, OrderRequest, TimeInForce
from logos_core.rails.grid import place
from logos_core.records import Denial
from logos_core.testing.scripted import INSTRUMENT
from tests.unit.making import order

NOW = ManualClock().now()
TIMES = (TimeInForce.GTC, TimeInForce.IOC)
STEPS = st.sampled_from([Decimal(text) for text in ("1", "0.1", "0.001", "0.00000001", "5", "0.25", "100")])
NUMBERS = st.integers(1, 10**18).map(lambda digits: Decimal(digits).scaleb(-10))


def placed(given_order, instrument=INSTRUMENT, times=TIMES):
    return place(given_order, "lgs1", instrument, times, NOW)


@given(NUMBERS, NUMBERS, STEPS, STEPS, st.sampled_from(["buy", "sell"]))
def test_rounding_never_gives_a_bigger_quantity_or_a_more_aggressive_price(quantity, price, step, tick, side):
    instrument = evolve(INSTRUMENT, quantity_step=step, min_quantity=step, price_bands=(PriceBand(at_least=Decimal(0), tick=tick),))
    found = placed(order(quantity=quantity, price=price, side=side, round_to_grid=True), instrument)
    if isinstance(found, Denial):
        assert quantity < step or price < tick
        return

    assert quantity - step < found.quantity <= quantity
    assert (found.quantity % step, found.price % tick) == (0, 0)
    assert price - tick < found.price <= price if side == "buy" else price <= found.price < price + tick


@given(NUMBERS, NUMBERS, STEPS, STEPS)
def test_without_rounding_an_order_is_sent_as_given_or_not_at_all(quantity, price, step, tick):
    instrument = evolve(INSTRUMENT, quantity_step=step, min_quantity=step, price_bands=(PriceBand(at_least=Decimal(0), tick=tick),))
    found = placed(order(quantity=quantity, price=price), instrument)
    on_grid = quantity >= step and not quantity % step and not price % tick

    assert on_grid == isinstance(found, OrderRequest)
    if on_grid:
        assert (quantity, price) == (found.quantity, found.price)


@pytest.mark.parametrize(
    ("change", "limits", "reason"),
    [
        ({"quantity": "0.0015"}, {}, "QUANTITY_OFF_GRID"),
        ({"quantity": "0.0005"}, {}, "QUANTITY_BELOW_MINIMUM"),
        ({"quantity": "0.0009", "round_to_grid": True}, {}, "QUANTITY_BELOW_MINIMUM"),
        ({"quantity": "11"}, {"max_quantity": Decimal(10)}, "QUANTITY_ABOVE_MAXIMUM"),
        ({"price": "100.001"}, {}, "PRICE_OFF_GRID"),
        ({"price": "0.001", "round_to_grid": True}, {}, "PRICE_OFF_GRID"),
        ({"quantity": "0.099"}, {"min_notional": Decimal(10)}, "NOTIONAL_BELOW_MINIMUM"),
        ({"time_in_force": "day"}, {}, "ORDER_TIME_IN_FORCE"),
    ],
)
def test_an_order_off_the_grid_is_denied_with_its_reason(change, limits, reason):
    found = placed(order(**change), evolve(INSTRUMENT, **limits))

    assert isinstance(found, Denial)
    assert reason == found.reason


def test_limits_themselves_are_allowed():
    instrument = evolve(INSTRUMENT, max_quantity=Decimal(1), min_quantity=Decimal(1), min_notional=Decimal(100))

    assert isinstance(placed(order(), instrument), OrderRequest)


def test_the_first_time_in_force_is_the_default():
    assert [TimeInForce.GTC, TimeInForce.IOC] == [placed(order()).time_in_force, placed(order(time_in_force="ioc")).time_in_force]


def test_a_price_rounded_into_the_next_band_must_lie_on_its_grid_too():
    bands = (PriceBand(at_least=Decimal(0), tick=Decimal("0.1")), PriceBand(at_least=Decimal(10), tick=Decimal("0.3")))
    instrument = evolve(INSTRUMENT, price_bands=bands)

    assert isinstance(placed(order(price="9.95", side="sell", round_to_grid=True), instrument), Denial)
    assert Decimal("9.9") == placed(order(price="9.95", side="buy", round_to_grid=True), instrument).price


def test_a_number_of_many_digits_is_not_rounded_up():
    quantity = "0." + "9" * 32
    found = placed(
        order(quantity=quantity, round_to_grid=True), evolve(INSTRUMENT, quantity_step=Decimal("0.5"), min_quantity=Decimal("0.5"))
    )

    assert Decimal("0.5") == found.quantity


def test_the_callers_own_decimal_context_changes_nothing():
    with localcontext() as context:
        context.prec = 4
        found = placed(order(quantity="1.23456", round_to_grid=True), evolve(INSTRUMENT, quantity_step=Decimal("0.00001")))

    assert Decimal("1.23456") == found.quantity


def test_a_quantity_beyond_all_bounds_is_denied_and_does_not_crash():
    assert isinstance(placed(order(quantity="1e35")), OrderRequest | Denial)


def test_a_quantity_rounded_down_to_nothing_is_denied():
    instrument = evolve(INSTRUMENT, quantity_step=Decimal(1), min_quantity=Decimal(0))

    assert isinstance(placed(order(quantity="0.4", round_to_grid=True), instrument), Denial)


def test_rounding_is_towards_zero_exactly():
    found = placed(order(quantity="1.2345", price="100.019", round_to_grid=True))

    assert (Decimal("1.234"), Decimal("100.01")) == (found.quantity, found.price)
    assert Decimal("1.2345").quantize(Decimal("0.001"), ROUND_FLOOR) == found.quantity


def test_of_an_order_by_notional_nothing_is_rounded_and_no_quantity_denied():
    found = placed(Order.market(INSTRUMENT.symbol, "buy", notional="50.001", intent_id="one", round_to_grid=True))

    assert isinstance(found, OrderRequest)
    assert (None, Decimal("50.001")) == (found.quantity, found.notional)


def test_a_leg_whose_price_rounds_down_to_nothing_is_denied_and_does_not_crash():
    found = placed(order(side="sell", take_profit="0.001", round_to_grid=True))

    assert isinstance(found, Denial)
    assert "PRICE_OFF_GRID" == found.reason
    assert "take_profit is 0.001" in found.message
