import pytest

from logos_core.testing.exchange import (
    BadExpiry,
    BadPrice,
    BadQuantity,
    InsufficientFunds,
    NotCancelable,
    OrderStatus,
    Refusal,
    TimeInForce,
    WouldIncrease,
    WouldTake,
)
from tests.testing.exchanges import COIN, D, Hand, ask, held, kinds, make_exchange


@pytest.mark.parametrize(("side", "near", "at"), [("buy", "109.99", "110"), ("sell", "90.01", "90")])
def test_a_stop_order_sleeps_until_the_price_reaches_it_and_then_takes(side, near, at):
    exchange = make_exchange()
    order = exchange.submit(ask(side, kind="stop", stop_price=at))

    assert [] == exchange.move_price("COIN/USD", D(near))
    assert [OrderStatus.FILLED] == [changed.status for changed in exchange.move_price("COIN/USD", D(at))]
    assert (True, D(at)) == (exchange.order(order.order_id).triggered, exchange.order(order.order_id).average_price)


def test_a_stop_order_trades_at_the_price_of_the_gap_not_at_its_own():
    exchange = make_exchange()
    order = exchange.submit(ask("sell", kind="stop", stop_price="90"))
    exchange.move_price("COIN/USD", D(70))

    assert D(70) == exchange.order(order.order_id).average_price


def test_a_stop_limit_order_that_is_jumped_over_rests_at_its_limit():
    exchange = make_exchange()
    order = exchange.submit(ask("sell", kind="stop_limit", stop_price="90", price="89"))
    exchange.move_price("COIN/USD", D(80))
    resting = exchange.order(order.order_id)
    exchange.move_price("COIN/USD", D(95))

    assert (OrderStatus.NEW, True) == (resting.status, resting.triggered)
    assert D(89) == exchange.order(order.order_id).average_price


def test_a_trigger_is_a_transaction_of_its_own():
    exchange = make_exchange()
    exchange.submit(ask("sell", kind="stop", stop_price="90"))
    exchange.move_price("COIN/USD", D(90))

    assert ["order", "trigger", "fill"] == kinds(exchange)


def test_time_in_force_begins_when_a_stop_triggers():
    exchange = make_exchange()
    order = exchange.submit(ask("sell", kind="stop_limit", stop_price="90", price="89", time_in_force=TimeInForce.IOC))
    exchange.move_price("COIN/USD", D(80))

    assert OrderStatus.NEW is order.status
    assert (OrderStatus.CANCELED, "time_in_force") == (
        exchange.order(order.order_id).status,
        exchange.order(order.order_id).reason,
    )


@pytest.mark.parametrize(("at_once", "accepted"), [(True, True), (False, False)])
def test_whether_a_stop_the_price_has_reached_is_accepted_is_the_venues_choice(at_once, accepted):
    exchange = make_exchange(stops_may_trigger_at_once=at_once)
    try:
        order = exchange.submit(ask("sell", kind="stop", stop_price="100"))
    except BadPrice as refusal:
        assert (False, "would_trigger") == (accepted, refusal.rule)
    else:
        assert (True, OrderStatus.FILLED) == (accepted, order.status)


@pytest.mark.parametrize(
    ("side", "trail", "prices", "stop"),
    [
        ("sell", {"trail_amount": "5"}, ["108", "104"], "103"),
        ("sell", {"trail_percent": "10"}, ["120", "110"], "108"),
        ("buy", {"trail_amount": "5"}, ["92", "96"], "97"),
        ("buy", {"trail_percent": "10"}, ["80", "85"], "88"),
    ],
)
def test_a_trailing_stop_follows_the_best_price_and_never_goes_back(side, trail, prices, stop):
    exchange = make_exchange()
    order = exchange.submit(ask(side, kind="trailing_stop", **trail))
    for price in prices:
        exchange.move_price("COIN/USD", D(price))
    waiting = exchange.order(order.order_id)
    exchange.move_price("COIN/USD", D(stop))

    assert (D(prices[0]), D(stop), OrderStatus.NEW) == (waiting.high_water_mark, waiting.stop_price, waiting.status)
    assert OrderStatus.FILLED is exchange.order(order.order_id).status
    assert ["order", "trail", "trigger", "fill"] == kinds(exchange)


def test_what_a_venue_is_silent_about_leaves_no_gap_in_its_log():
    exchange = make_exchange(silent=["trail", "trigger"])
    order = exchange.submit(ask("sell", kind="trailing_stop", trail_amount="5"))
    exchange.move_price("COIN/USD", D(108))
    exchange.move_price("COIN/USD", D(103))

    assert [(1, "order"), (2, "fill")] == [(entry.id, entry.kind) for entry in exchange.transactions()]
    assert [D(100), D(108), D(108), D(108)] == [state.high_water_mark for state in exchange.history(order.order_id)]


def test_a_sleeping_order_is_not_filled_by_its_limit():
    exchange = make_exchange()
    order = exchange.submit(ask("buy", kind="stop_limit", stop_price="110", price="112"))
    exchange.move_price("COIN/USD", D(105))

    assert D(0) == exchange.order(order.order_id).filled_quantity


def test_a_stop_order_holds_its_cover_from_the_start_and_gives_back_what_is_left():
    exchange = make_exchange(fee_rate=D("0.01"))
    order = exchange.submit(ask("buy", "2", kind="stop", stop_price="110"))
    first = held(exchange)
    exchange.cancel(order.order_id)

    assert ({"USD": D("222.2")}, {}) == (first, held(exchange))


def test_what_a_sleeping_order_holds_cannot_be_spent():
    exchange = make_exchange(coin="1")
    exchange.submit(ask("sell", kind="stop", stop_price="90"))
    with pytest.raises(InsufficientFunds):
        exchange.submit(ask("sell"))


def test_a_forced_fill_wakes_a_stop_order():
    exchange = make_exchange()
    order = exchange.submit(ask("sell", kind="stop", stop_price="90"))
    filled = exchange.fill(order.order_id, D(1))

    assert (True, D(100)) == (filled.triggered, filled.average_price)


@pytest.mark.parametrize(
    ("request_", "rule"),
    [
        (ask(kind="stop"), "missing"),
        (ask(kind="stop_limit", stop_price="110"), "missing"),
        (ask(kind="stop", stop_price="110", price="110"), "not_allowed"),
        (ask(kind="market", stop_price="110"), "not_allowed"),
        (ask(kind="stop", stop_price="110.001"), "price_tick"),
        (ask(kind="stop", stop_price="0"), "positive"),
        (ask(kind="trailing_stop"), "trail"),
        (ask(kind="trailing_stop", trail_amount="1", trail_percent="1"), "trail"),
        (ask(kind="trailing_stop", trail_percent="100"), "trail"),
        (ask(kind="trailing_stop", trail_amount="-1"), "trail"),
        (ask(kind="limit", price="90", trail_amount="1"), "trail"),
        (ask(kind="stop", stop_price="110", post_only=True), "post_only"),
    ],
)
def test_terms_that_do_not_fit_are_refused(request_, rule):
    exchange = make_exchange()
    with pytest.raises(Refusal) as caught:
        exchange.submit(request_)

    assert (rule, ["reject"], {}) == (caught.value.rule, kinds(exchange), held(exchange))


# How long


def test_a_gtd_order_is_over_when_its_time_has_come_whoever_looks():
    now = Hand()
    exchange = make_exchange(now=now)
    until = now.time.replace(minute=1)
    order = exchange.submit(ask(kind="limit", price="90", time_in_force=TimeInForce.GTD, expires_at=until))
    now.turn(59.9)
    before = exchange.order(order.order_id).status
    now.turn(0.1)

    assert (OrderStatus.NEW, OrderStatus.EXPIRED) == (before, exchange.order(order.order_id).status)
    assert {} == held(exchange)


def test_a_gtd_order_is_over_before_the_price_reaches_it():
    now = Hand()
    exchange = make_exchange(now=now)
    order = exchange.submit(ask(kind="limit", price="90", time_in_force=TimeInForce.GTD, expires_at=now.time.replace(minute=1)))
    now.turn(60)

    assert [] == exchange.move_price("COIN/USD", D(80))
    assert D(0) == exchange.order(order.order_id).filled_quantity
    with pytest.raises(NotCancelable) as caught:
        exchange.cancel(order.order_id)
    assert "expired" == caught.value.rule


def test_what_is_due_expires_in_one_explicit_step_in_the_order_of_time():
    now = Hand()
    exchange = make_exchange(now=now)
    orders = [
        exchange.submit(ask(kind="limit", price="90", time_in_force=TimeInForce.GTD, expires_at=now.time.replace(minute=minute)))
        for minute in (2, 1, 9)
    ]
    now.turn(180)

    assert [orders[1].order_id, orders[0].order_id] == [order.order_id for order in exchange.expire_due()]
    assert [] == exchange.expire_due()


@pytest.mark.parametrize("more", [{"time_in_force": TimeInForce.GTD}, {"expires_at": Hand().time.replace(hour=13)}])
def test_gtd_and_its_end_belong_together(more):
    with pytest.raises(BadExpiry):
        make_exchange(now=Hand()).submit(ask(kind="limit", price="90", **more))


def test_an_end_that_is_over_is_refused():
    now = Hand()
    with pytest.raises(BadExpiry):
        make_exchange(now=now).submit(ask(kind="limit", price="90", time_in_force=TimeInForce.GTD, expires_at=now.time))


# How much, and on which conditions


def test_a_notional_buys_what_the_last_price_allows_rounded_down_to_the_grid():
    exchange = make_exchange()
    exchange.move_price("COIN/USD", D(70))
    order = exchange.submit(ask(quantity=None, notional="100"))

    assert (D("1.428"), D("1.428"), None) == (order.quantity, order.filled_quantity, order.request.quantity)


@pytest.mark.parametrize(
    ("request_", "rule"),
    [
        (ask(quantity=None), "missing"),
        (ask(quantity="1", notional="100"), "not_allowed"),
        (ask(quantity=None, kind="limit", price="90", notional="100"), "not_allowed"),
        (ask(quantity=None, notional="0.05"), "positive"),
        (ask(quantity=None, notional="-1"), "positive"),
        (ask(quantity=None, notional="NaN"), "positive"),
    ],
)
def test_a_notional_stands_alone_in_a_market_order_and_buys_something(request_, rule):
    with pytest.raises(BadQuantity) as caught:
        make_exchange().submit(request_)

    assert rule == caught.value.rule


@pytest.mark.parametrize(
    ("side", "price", "rests"), [("buy", "99.99", True), ("buy", "100", False), ("sell", "100.01", True), ("sell", "100", False)]
)
def test_a_post_only_order_never_takes(side, price, rests):
    exchange = make_exchange()
    request = ask(side, kind="limit", price=price, post_only=True)
    if rests:
        assert OrderStatus.NEW is exchange.submit(request).status
        return
    with pytest.raises(WouldTake):
        exchange.submit(request)


@pytest.mark.parametrize(
    ("bought", "side", "quantity", "rule", "sold"),
    [
        ("2", "sell", "2", "refuse", "2"),
        ("2", "sell", "3", "refuse", None),
        ("2", "sell", "3", "clip", "2"),
        ("2", "buy", "1", "clip", None),
        (None, "sell", "1", "clip", None),
    ],
)
def test_a_reduce_only_order_is_no_larger_than_the_position(bought, side, quantity, rule, sold):
    exchange = make_exchange(reduce_only=rule)
    if bought:
        exchange.submit(ask(quantity=bought))
    request = ask(side, quantity, reduce_only=True)
    if sold is None:
        with pytest.raises(WouldIncrease):
            exchange.submit(request)
        return

    assert D(sold) == exchange.submit(request).filled_quantity
    assert D(bought) - D(sold) == exchange.position("COIN/USD")


def test_a_resting_reduce_only_order_ends_when_there_is_nothing_left_to_reduce():
    exchange = make_exchange()
    exchange.submit(ask(quantity="2"))
    order = exchange.submit(ask("sell", "2", kind="limit", price="110", reduce_only=True))
    exchange.submit(ask("sell", "2"))
    exchange.move_price("COIN/USD", D(110))

    assert (OrderStatus.CANCELED, "reduce_only") == (
        exchange.order(order.order_id).status,
        exchange.order(order.order_id).reason,
    )
    assert (D(0), {}) == (exchange.position("COIN/USD"), held(exchange))


def test_a_position_counts_what_was_sold_as_less_than_nothing():
    exchange = make_exchange(COIN)
    exchange.submit(ask("sell", "3"))

    assert D(-3) == exchange.position("COIN/USD")


def test_a_venue_may_look_at_the_position_only_when_a_reduce_only_order_fills():
    exchange = make_exchange(reduce_only="at_fill")
    alone = exchange.submit(ask("sell", "1", reduce_only=True))
    exchange.submit(ask(quantity="2"))
    larger = exchange.submit(ask("sell", "3", reduce_only=True, time_in_force=TimeInForce.IOC))
    whole = exchange.submit(ask("sell", "3", reduce_only=True, time_in_force=TimeInForce.FOK))

    assert [(OrderStatus.CANCELED, D(0)), (OrderStatus.CANCELED, D(2)), (OrderStatus.CANCELED, D(0))] == [
        (order.status, order.filled_quantity) for order in (alone, larger, whole)
    ]


def test_a_refusal_of_the_venues_own_is_a_transaction():
    exchange = make_exchange()

    assert ("reject", "house", 1) == (
        exchange.refuse(ask(), "house").kind,
        exchange.transactions()[0].reason,
        exchange.last_transaction_id,
    )
    assert [] == exchange.orders()
