"""What a venue cannot do is denied before anything leaves, and the denial names what it can."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from logos_core.capabilities import Features
from logos_core.clock import ManualClock
from logos_core.errors import InvalidOrderError, OrderConflictError, OrderDeniedError
from logos_core.hookspecs import Operation, UnsupportedOrderError
from logos_core.orders import Order, OrderClass, OrderType, StopLoss, TakeProfit, TimeInForce
from logos_core.rails.features import times_in_force
from logos_core.records import Denial
from logos_core.testing.scripted import INSTRUMENT, SYMBOL, ScriptedVenue, capabilities

T, K = TimeInForce, OrderType
NOTHING: Any = None
RESTING = (T.GTC, T.DAY)
NOW = ManualClock().now()


def able(**features):
    """A venue with every type of order, and these features."""
    sources = dict.fromkeys(features, "scripted")
    times = dict.fromkeys(OrderType, (T.GTC, T.DAY, T.GTD, T.IOC))
    return evolve(capabilities(), times_in_force=times, features=Features(**features, sources=sources))


def limit(**more):
    return Order.limit(SYMBOL, "buy", **{"quantity": 1, "price": 100, "intent_id": "one", **more})


def trailing(**more):
    return Order.trailing_stop(SYMBOL, "sell", quantity=1, intent_id="one", **more)


CASES = [
    (limit(post_only=True), {"post_only": {K.LIMIT: RESTING}}),
    (limit(reduce_only=True), {"reduce_only": {K.LIMIT: RESTING}}),
    (Order.market(SYMBOL, "buy", notional=50, intent_id="one"), {"notional": {K.MARKET: RESTING}}),
    (trailing(trail_amount=5), {"trail_amount": {K.TRAILING_STOP: RESTING}}),
    (trailing(trail_percent=5), {"trail_percent": {K.TRAILING_STOP: RESTING}}),
    (limit(take_profit=110), {"linked": {OrderClass.OTO: {K.LIMIT: RESTING}}}),
    (limit(stop_loss=90), {"linked": {OrderClass.OTO: {K.LIMIT: RESTING}}}),
    (limit(take_profit=110, stop_loss=90), {"linked": {OrderClass.BRACKET: {K.LIMIT: RESTING}}}),
    (
        Order.oco(SYMBOL, "sell", quantity=1, take_profit=110, stop_loss=90, intent_id="one"),
        {"linked": {OrderClass.OCO: {K.LIMIT: RESTING}}},
    ),
]


@pytest.mark.parametrize(("order", "features"), CASES)
def test_what_is_declared_is_taken_with_the_times_in_force_it_is_declared_for(order, features):
    assert RESTING == times_in_force(order, INSTRUMENT, able(**features), "v")


@pytest.mark.parametrize(("order", "features"), CASES)
def test_what_is_not_declared_is_denied(order, features):
    found = times_in_force(order, INSTRUMENT, able(), "v")

    assert isinstance(found, Denial)
    assert "ORDER_FEATURE_UNSUPPORTED" == found.reason
    assert "v cannot, with any order" in found.message


@pytest.mark.parametrize(("order", "features"), CASES)
def test_a_time_in_force_that_a_feature_does_not_have_is_denied_with_those_it_has(order, features):
    found = times_in_force(evolve(order, time_in_force=T.IOC), INSTRUMENT, able(**features), "v")

    assert isinstance(found, Denial)
    assert "gtc, day" in found.message


def test_an_order_with_several_features_has_the_times_in_force_that_all_have():
    order = limit(post_only=True, reduce_only=True)

    assert (T.DAY,) == times_in_force(order, INSTRUMENT, able(post_only={K.LIMIT: RESTING}, reduce_only={K.LIMIT: (T.DAY,)}), "v")
    assert isinstance(
        times_in_force(order, INSTRUMENT, able(post_only={K.LIMIT: (T.GTC,)}, reduce_only={K.LIMIT: (T.DAY,)}), "v"), Denial
    )


def test_a_stop_loss_with_a_limit_needs_a_venue_that_has_them():
    order = limit(stop_loss=StopLoss(90, 89))
    linked = {OrderClass.OTO: {K.LIMIT: RESTING}}

    assert isinstance(times_in_force(order, INSTRUMENT, able(linked=linked), "v"), Denial)
    assert RESTING == times_in_force(order, INSTRUMENT, able(linked=linked, stop_loss_price=True), "v")


def test_a_type_the_instrument_does_not_have_is_denied_although_the_venue_has_it():
    coin = evolve(INSTRUMENT, times_in_force={K.STOP: ()})
    found = times_in_force(Order.stop(SYMBOL, "sell", quantity=1, stop_price=90, intent_id="one"), coin, able(), "v")

    assert isinstance(found, Denial)
    assert "ORDER_TYPE_UNSUPPORTED" == found.reason
    assert "limit" in found.message
    assert "stop," not in found.message


def test_a_feature_is_declared_with_its_source():
    with pytest.raises(ValueError, match="no source for post_only"):
        Features(post_only={K.LIMIT: RESTING})


def test_a_combination_the_venue_cannot_do_is_denied_before_anything_leaves(desk):
    session = desk()

    with pytest.raises(OrderDeniedError, match="ORDER_FEATURE_UNSUPPORTED"):
        session.adapter.submit(limit(take_profit=110))
    with pytest.raises(OrderDeniedError, match="ORDER_TYPE_UNSUPPORTED"):
        session.adapter.submit(Order.stop(SYMBOL, "sell", quantity=1, stop_price=90, intent_id="two"))

    assert [] == session.venue.received


def test_a_rule_that_only_the_plugin_knows_is_a_denial_too(desk):
    session = desk(ScriptedVenue())

    def refuse(venue, request):
        raise UnsupportedOrderError("not on a Sunday")

    session.venue.script(Operation.PREPARE, refuse)
    with pytest.raises(OrderDeniedError, match="not on a Sunday"):
        session.adapter.submit(limit())

    assert [] == session.venue.received


def test_an_order_that_has_expired_is_denied(desk):
    session = desk(ScriptedVenue(able()))
    gone = session.clock.now() - timedelta(seconds=1)

    with pytest.raises(OrderDeniedError, match="ORDER_EXPIRED"):
        session.adapter.submit(limit(expires_at=gone))
    assert T.GTD is session.adapter.submit(limit(expires_at=gone + timedelta(days=1))).time_in_force


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: limit(quantity=None), "give either quantity or notional"),
        (lambda: limit(notional=50), "both given"),
        (lambda: limit(time_in_force="gtd"), "needs expires_at"),
        (lambda: limit(time_in_force="gtc", expires_at=NOW), "needs expires_at"),
        (lambda: limit(post_only=True, time_in_force="ioc"), "contradict"),
        (lambda: limit(take_profit=99), "take_profit must be above the entry"),
        (lambda: limit(take_profit=100), "take_profit must be above the entry"),
        (lambda: limit(stop_loss=101), "the entry must be above stop_loss"),
        (
            lambda: Order.market(SYMBOL, "buy", quantity=1, intent_id="one", take_profit=90, stop_loss=91),
            "take_profit must be above stop_loss",
        ),
        (
            lambda: Order.limit(SYMBOL, "sell", quantity=1, price=100, intent_id="one", stop_loss=99),
            "the entry must be below stop_loss",
        ),
        (
            lambda: Order.oco(SYMBOL, "sell", quantity=1, take_profit=90, stop_loss=91, intent_id="one"),
            "take_profit must be above stop_loss",
        ),
        (
            lambda: Order.oco(SYMBOL, "buy", quantity=1, take_profit=110, stop_loss=91, intent_id="one"),
            "take_profit must be below stop_loss",
        ),
        (trailing, "either trail_amount or trail_percent"),
        (lambda: trailing(trail_amount=1, trail_percent=1), "either trail_amount or trail_percent"),
        (lambda: trailing(trail_percent=100), "below 100"),
        (lambda: Order.stop(SYMBOL, "buy", quantity=1, stop_price=NOTHING, intent_id="one"), "stop_price is missing"),
        (lambda: TakeProfit("-1"), "take_profit.price"),
        (lambda: StopLoss(1, "x"), "stop_loss.price"),
    ],
)
def test_what_contradicts_itself_is_denied_when_it_is_built(build, word):
    with pytest.raises(InvalidOrderError, match=word):
        build()


def test_a_float_is_no_price_of_a_leg():
    with pytest.raises(TypeError, match="take_profit"):
        limit(take_profit=110.5)


def test_an_expiry_without_a_time_zone_is_a_mistake_in_the_program():
    with pytest.raises(TypeError, match="aware UTC"):
        limit(expires_at=NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    "change",
    [
        {"post_only": True}, {"reduce_only": True}, {"expires_at": NOW}, {"take_profit": 110}, {"take_profit": 111}, {"stop_loss": 90},
        {"stop_loss": StopLoss(90, 89)}, {"quantity": None, "notional": 1},
    ],
)  # fmt: skip
def test_every_term_is_part_of_the_decision(change):
    assert limit().payload() != limit(**change).payload()
    assert len({str(limit(**change).payload()), str(limit(**change, round_to_grid=True).payload())}) == 2


def test_a_plain_order_is_the_decision_it_was_before_there_were_terms():
    assert {"symbol", "side", "order_type", "quantity", "price", "time_in_force", "round_to_grid"} == set(limit().payload())


def test_an_order_is_not_taken_for_one_without_its_legs(desk):
    session = desk(ScriptedVenue(able(linked={OrderClass.OTO: {K.LIMIT: RESTING}})))
    session.adapter.submit(limit(take_profit=110))

    with pytest.raises(OrderConflictError, match="take_profit: recorded 110, given None"):
        session.adapter.submit(limit())


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (
            Order.stop(SYMBOL, "buy", quantity=1, stop_price="100.007", intent_id="one", round_to_grid=True),
            {"stop_price": "100.00"},
        ),
        (
            Order.stop(SYMBOL, "sell", quantity=1, stop_price="100.003", intent_id="one", round_to_grid=True),
            {"stop_price": "100.01"},
        ),
        (limit(take_profit="110.003", stop_loss="90.003", round_to_grid=True), {"take_profit": "110.01", "stop_loss": "90.01"}),
    ],
)
def test_rounding_triggers_a_stop_sooner_and_takes_a_profit_later(order, expected, desk):
    session = desk(ScriptedVenue(able(linked={OrderClass.BRACKET: {K.LIMIT: RESTING}})))
    session.adapter.submit(order)
    sent = session.venue.received[0]
    legs = (sent.take_profit and sent.take_profit.price, sent.stop_loss and sent.stop_loss.stop_price)
    prices = dict(zip(("stop_price", "take_profit", "stop_loss"), (sent.stop_price, *legs), strict=True))

    assert {name: Decimal(price) for name, price in expected.items()} == {name: price for name, price in prices.items() if price}


@pytest.mark.parametrize("name", ["stop_price", "take_profit", "stop_loss"])
def test_every_price_must_lie_on_the_grid(desk, name):
    session = desk(ScriptedVenue(able(linked={OrderClass.OTO: {K.LIMIT: RESTING}})))
    off = {"take_profit": "110.001", "stop_loss": "90.001"}
    order = (
        limit(**{name: off[name]}) if name in off else Order.stop(SYMBOL, "buy", quantity=1, stop_price="1.001", intent_id="one")
    )

    with pytest.raises(OrderDeniedError, match=f"{name} is .*PRICE_OFF_GRID"):
        session.adapter.submit(order)


@pytest.mark.parametrize(
    ("order", "features", "instead"),
    [
        (limit(take_profit=110, stop_loss=90), {"linked": {OrderClass.OTO: {K.LIMIT: RESTING}}}, "it can do oto"),
        (limit(take_profit=110), {}, "submit the entry, and its exit once it has filled"),
        (Order.market(SYMBOL, "buy", notional=50, intent_id="one"), {}, "give a quantity"),
        (trailing(trail_amount=5), {"trail_percent": {K.TRAILING_STOP: RESTING}}, "give trail_percent"),
        (trailing(trail_percent=5), {"trail_amount": {K.TRAILING_STOP: RESTING}}, "give trail_amount"),
        (limit(reduce_only=True), {}, "give the quantity that is held"),
    ],
)
def test_a_denial_says_what_can_be_done_instead(order, features, instead):
    found = times_in_force(order, INSTRUMENT, able(**features), "v")

    assert isinstance(found, Denial)
    assert found.message.endswith(f"v cannot, with any order; {instead}")
