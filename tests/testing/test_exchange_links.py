from dataclasses import replace

import pytest

from logos_core.testing.exchange import BadPrice, InsufficientFunds, NotCancelable, OrderStatus, Side, TimeInForce
from tests.testing.exchanges import COIN, D, Hand, ask, held, kinds, make_exchange, states

BRACKET = {"take_profit": "110", "stop_loss": (D(90), None)}
ENTRY = ask("buy", "2", kind="limit", price="95", **BRACKET)


def legs_of(exchange, order):
    return [exchange.order(key) for key in exchange.order(order.order_id).leg_ids]


def test_the_legs_of_an_entry_are_held_until_it_is_filled():
    exchange = make_exchange()
    entry = exchange.submit(ENTRY)
    before = states(exchange)
    exchange.fill(entry.order_id, D("0.5"))
    partly = states(exchange)
    exchange.fill(entry.order_id, D("1.5"))

    assert ["new", "held", "held"] == before
    assert ["partially_filled", "held", "held"] == partly
    assert ["filled", "new", "new"] == states(exchange)


def test_orders_and_legs_name_one_another():
    exchange = make_exchange()
    entry = exchange.submit(ENTRY)
    profit, loss = legs_of(exchange, entry)

    assert (profit.order_id, loss.order_id) == entry.leg_ids
    assert [entry.order_id] * 2 == [leg.parent_id for leg in (profit, loss)]
    assert ((loss.order_id,), (profit.order_id,)) == (profit.linked_ids, loss.linked_ids)
    assert {entry.order_id} == {order.group_id for order in (entry, profit, loss)}
    assert [("limit", Side.SELL, D(110)), ("stop", Side.SELL, D(90))] == [
        (leg.request.type, leg.request.side, leg.request.price or leg.stop_price) for leg in (profit, loss)
    ]


def test_each_leg_is_a_transaction_of_its_own():
    exchange = make_exchange()
    exchange.submit(replace(ENTRY, price=D(100)))

    assert ["order", "order", "order", "fill", "activate", "activate"] == kinds(exchange)


@pytest.mark.parametrize(("price", "filled"), [("110", 1), ("90", 2), ("70", 2)])
def test_when_one_leg_fills_the_other_is_cancelled(price, filled):
    exchange = make_exchange(coin="0")
    exchange.submit(replace(ENTRY, price=D(100)))
    exchange.move_price("COIN/USD", D(price))
    expected = ["filled", "canceled", "canceled"]
    expected[filled] = "filled"

    assert expected == states(exchange)
    assert ({}, D(0)) == (held(exchange), exchange.position("COIN/USD"))


def test_both_legs_hold_the_position_once():
    exchange = make_exchange(coin="0")
    exchange.submit(replace(ENTRY, price=D(100)))

    assert {"COIN": D(2)} == held(exchange)
    with pytest.raises(InsufficientFunds):
        exchange.submit(ask("sell", "0.001"))


def test_the_legs_of_a_sale_hold_the_dearer_of_the_two():
    exchange = make_exchange()
    exchange.submit(ask("sell", "2", take_profit="90", stop_loss=(D(110), D(112))))

    assert {"USD": D(224)} == held(exchange)


def test_a_partial_take_profit_makes_the_stop_smaller():
    exchange = make_exchange(coin="0")
    entry = exchange.submit(replace(ENTRY, price=D(100)))
    profit, loss = legs_of(exchange, entry)
    exchange.fill(profit.order_id, D("0.5"))
    smaller = exchange.order(loss.order_id)
    cover = held(exchange)
    exchange.move_price("COIN/USD", D(90))

    assert (D("1.5"), {"COIN": D("1.5")}) == (smaller.quantity, cover)
    assert [D("0.5"), D("1.5")] == [leg.filled_quantity for leg in legs_of(exchange, entry)]
    assert (D(0), {}, "canceled") == (exchange.position("COIN/USD"), held(exchange), legs_of(exchange, entry)[0].status)


def test_a_stop_that_fills_in_part_makes_the_take_profit_smaller():
    exchange = make_exchange(replace(COIN, liquidity=D("2.5")), coin="0")
    entry = exchange.submit(replace(ENTRY, price=D(100)))
    exchange.move_price("COIN/USD", D(90))
    exchange.move_price("COIN/USD", D(110))
    exchange.set_liquidity("COIN/USD", None)

    assert D(2) == sum(leg.filled_quantity for leg in legs_of(exchange, entry))
    assert (D(0), {}) == (exchange.position("COIN/USD"), held(exchange))


def test_when_one_leg_is_cancelled_so_is_the_other():
    exchange = make_exchange(coin="0")
    entry = exchange.submit(replace(ENTRY, price=D(100)))
    exchange.cancel(entry.leg_ids[1])

    assert (["filled", "canceled", "canceled"], {}) == (states(exchange), held(exchange))
    assert ["client", "linked"] == [leg.reason for leg in reversed(legs_of(exchange, entry))]


@pytest.mark.parametrize("filled", ["0", "0.5"])
def test_the_end_of_an_entry_ends_the_legs_that_wait_for_it(filled):
    exchange = make_exchange()
    entry = exchange.submit(ENTRY)
    if D(filled):
        exchange.fill(entry.order_id, D(filled))
    exchange.cancel(entry.order_id)

    assert (["canceled"] * 3, {}) == (states(exchange), held(exchange))


def test_the_end_of_an_entry_by_time_ends_its_legs():
    now = Hand()
    exchange = make_exchange(now=now)
    exchange.submit(replace(ENTRY, time_in_force=TimeInForce.GTD, expires_at=now.time.replace(minute=1)))
    now.turn(60)

    assert ["expired", "canceled", "canceled"] == states(exchange)


def test_a_held_leg_neither_fills_nor_holds():
    exchange = make_exchange()
    entry = exchange.submit(ENTRY)
    exchange.move_price("COIN/USD", D(115))

    assert (["new", "held", "held"], {"USD": D(190)}) == (states(exchange), held(exchange))
    with pytest.raises(NotCancelable):
        exchange.fill(entry.leg_ids[0], D(1))


def test_one_leg_alone_follows_its_entry():
    exchange = make_exchange(coin="0")
    entry = exchange.submit(ask("buy", "2", stop_loss=(D(90), D(89))))
    exchange.move_price("COIN/USD", D(90))
    (loss,) = legs_of(exchange, entry)

    assert ((), OrderStatus.FILLED, D(90)) == (loss.linked_ids, loss.status, loss.average_price)


def test_legs_on_fill_are_made_for_each_fill_and_close_it():
    exchange = make_exchange(coin="0", legs="on_fill")
    entry = exchange.submit(ENTRY)
    before = len(exchange.orders())
    exchange.fill(entry.order_id, D("0.5"))
    exchange.cancel(entry.order_id)
    profit, loss = legs_of(exchange, entry)
    exchange.move_price("COIN/USD", D(110))

    assert (1, D("0.5"), D("0.5")) == (before, profit.quantity, loss.quantity)
    assert ["canceled", "filled", "canceled"] == states(exchange)
    assert ({}, D(0)) == (held(exchange), exchange.position("COIN/USD"))


def test_a_trailing_leg_starts_at_the_price_of_the_fill():
    exchange = make_exchange(coin="0")
    entry = exchange.submit(ask("buy", "1", kind="limit", price="95", trail_loss="5"))
    exchange.move_price("COIN/USD", D(150))
    exchange.move_price("COIN/USD", D(95))
    (loss,) = legs_of(exchange, entry)

    assert (OrderStatus.NEW, D(90)) == (loss.status, loss.stop_price)


def test_the_venue_finishes_the_request_of_a_leg():
    exchange = make_exchange(make_leg=lambda entry, leg: replace(leg, client_order_id=f"{entry.client_order_id}-{leg.type}"))
    exchange.submit(replace(ENTRY, client_order_id="a"))

    assert ["a", "a-limit", "a-stop"] == [order.client_order_id for order in exchange.orders()]
    assert 1 == len(exchange.orders_with("a-stop"))


# One cancels the other


def oco(quantity="2"):
    return ask("sell", quantity, kind="limit", price="110", stop_loss=(D(90), None), oco=True)


def test_an_oco_order_and_its_stop_both_work_and_hold_once():
    exchange = make_exchange()
    order = exchange.submit(oco())
    (stop,) = legs_of(exchange, order)

    assert (["new", "new"], {"COIN": D(2)}) == (states(exchange), held(exchange))
    assert ((stop.order_id,), (order.order_id,), order.order_id) == (order.linked_ids, stop.linked_ids, stop.parent_id)


@pytest.mark.parametrize(("price", "expected"), [("110", ["filled", "canceled"]), ("90", ["canceled", "filled"])])
def test_of_an_oco_pair_one_fills_and_the_other_is_cancelled(price, expected):
    exchange = make_exchange()
    exchange.submit(oco())
    exchange.move_price("COIN/USD", D(price))

    assert (expected, {}, D(-2)) == (states(exchange), held(exchange), exchange.position("COIN/USD"))


@pytest.mark.parametrize("which", [0, 1])
def test_a_cancel_of_either_order_of_a_pair_cancels_both(which):
    exchange = make_exchange()
    order = exchange.submit(oco())
    exchange.cancel([order.order_id, *order.leg_ids][which])

    assert (["canceled", "canceled"], {}) == (states(exchange), held(exchange))


def test_an_oco_order_needs_cover_for_one_of_the_two():
    exchange = make_exchange(coin="2")

    assert OrderStatus.NEW is exchange.submit(oco("2")).status
    with pytest.raises(InsufficientFunds):
        exchange.submit(oco("0.001"))


@pytest.mark.parametrize(
    "request_",
    [
        replace(ENTRY, take_profit=D(90)),
        replace(ENTRY, stop_loss=(D(110), None)),
        ask("sell", "1", take_profit="110", stop_loss=(D(90), None)),
        replace(oco(), stop_loss=(D(110), None)),
        replace(oco(), stop_loss=None),
        replace(oco(), take_profit=D(120)),
        replace(ENTRY, take_profit=D("110.001")),
        replace(ENTRY, stop_loss=(D("90.001"), None)),
        replace(ENTRY, stop_loss=(D(90), D("89.999"))),
    ],
)
def test_legs_that_lie_the_wrong_way_round_or_off_the_grid_are_refused(request_):
    exchange = make_exchange()
    with pytest.raises(BadPrice):
        exchange.submit(request_)

    assert ([], {}) == (exchange.orders(), held(exchange))


def test_a_venue_may_leave_a_leg_out():
    exchange = make_exchange(coin="0", legs="on_fill", make_leg=lambda _, leg: leg if leg.stop_price else None)
    entry = exchange.submit(replace(ENTRY, price=D(100)))
    (loss,) = legs_of(exchange, entry)

    assert ("stop", ()) == (loss.request.type, loss.linked_ids)


def test_a_venue_may_let_one_leg_work_on_when_the_other_is_cancelled():
    exchange = make_exchange(coin="0", linked_end_together=False)
    entry = exchange.submit(replace(ENTRY, price=D(100)))
    exchange.cancel(entry.leg_ids[0])
    alone = held(exchange)
    exchange.move_price("COIN/USD", D(90))

    assert (["filled", "canceled", "filled"], {"COIN": D(2)}, {}) == (states(exchange), alone, held(exchange))


def test_of_three_legs_one_fills_and_both_others_are_cancelled():
    exchange = make_exchange(coin="0")
    exchange.submit(replace(ENTRY, price=D(100), trail_loss=D(20)))
    exchange.move_price("COIN/USD", D(110))

    assert ["filled", "filled", "canceled", "canceled"] == states(exchange)
