import random
from contextlib import nullcontext, suppress
from dataclasses import replace

import pytest

from logos_core.testing.exchange import (
    BadPrice,
    BadQuantity,
    DuplicateClientOrderId,
    ExecutionKind,
    InsufficientFunds,
    NotCancelable,
    OrderStatus,
    Refusal,
    Side,
    TradeNotFound,
)
from tests.testing.exchanges import COIN, D, ask, held, kinds, make_exchange, states

RESTING = ask("buy", "2", kind="limit", price="90", client_order_id="a")


def test_a_replaced_order_ends_and_both_name_one_another():
    exchange = make_exchange()
    old = exchange.submit(RESTING)
    new = exchange.replace(old.order_id, price=D(91), client_order_id="b")
    old = exchange.order(old.order_id)

    assert (OrderStatus.REPLACED, new.order_id, old.order_id) == (old.status, old.replaced_by, new.replaces)
    assert ("b", D(91), D(2)) == (new.client_order_id, new.request.price, new.quantity)
    assert ["order", "replace", "order"] == kinds(exchange)
    assert {"USD": D(182)} == held(exchange)


@pytest.mark.parametrize(
    ("total", "quantity", "expected"), [(False, None, "1.5"), (True, None, "1.5"), (False, "2", "2"), (True, "2", "1.5")]
)
def test_a_new_quantity_is_the_new_orders_own_or_a_total(total, quantity, expected):
    exchange = make_exchange()
    old = exchange.submit(RESTING)
    exchange.fill(old.order_id, D("0.5"))
    new = exchange.replace(old.order_id, total=total, price=D(91), **({} if quantity is None else {"quantity": D(quantity)}))

    assert (D(expected), D(0)) == (new.quantity, new.filled_quantity)
    assert {"USD": D(expected) * 91} == held(exchange)


def test_a_total_that_is_filled_already_is_refused():
    exchange = make_exchange()
    old = exchange.submit(RESTING)
    exchange.fill(old.order_id, D("0.5"))
    with pytest.raises(BadQuantity):
        exchange.replace(old.order_id, total=True, quantity=D("0.5"))

    assert ["partially_filled"] == states(exchange)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"price": D("90.001")}, BadPrice),
        ({"quantity": D(1000)}, InsufficientFunds),
        ({"quantity": D(0)}, BadQuantity),
        ({"client_order_id": "other"}, DuplicateClientOrderId),
        ({"price": D(101), "post_only": True}, Refusal),
    ],
)
@pytest.mark.parametrize("change", ["replace", "amend"])
def test_a_refused_change_leaves_the_order_as_it_was(change, changes, kind):
    exchange = make_exchange()
    order = exchange.submit(RESTING)
    exchange.submit(ask("buy", "1", kind="limit", price="1", client_order_id="other"))
    before = exchange.balances()
    with pytest.raises(kind):
        getattr(exchange, change)(order.order_id, **changes)

    assert (order, before) == (exchange.order(order.order_id), exchange.balances())
    assert "reject" == kinds(exchange)[-1]


def test_a_refused_change_of_a_leg_leaves_the_pair_its_cover():
    exchange = make_exchange(coin="0")
    entry = exchange.submit(ask("buy", "2", take_profit="110", stop_loss=(D(90), None)))
    with pytest.raises(BadPrice):
        exchange.replace(entry.leg_ids[1], stop_price=D("90.001"))
    with pytest.raises(InsufficientFunds):
        exchange.replace(entry.leg_ids[1], quantity=D(3))

    assert {"COIN": D(2)} == held(exchange)
    exchange.cancel(entry.leg_ids[0])
    assert {} == held(exchange)


def test_money_that_the_original_held_covers_its_replacement():
    exchange = make_exchange(usd="180")
    old = exchange.submit(RESTING)

    assert OrderStatus.NEW is exchange.replace(old.order_id, quantity=D(2)).status


def test_a_replacement_can_fill_at_once():
    exchange = make_exchange()
    old = exchange.submit(RESTING)

    assert OrderStatus.FILLED is exchange.replace(old.order_id, price=D(100)).status
    assert ({}, D(2)) == (held(exchange), exchange.position("COIN/USD"))


@pytest.mark.parametrize(("rule", "accepted"), [("open", True), ("none", True), ("ever", False)])
def test_a_replacement_may_keep_the_client_id_if_an_ended_order_gives_it_up(rule, accepted):
    exchange = make_exchange(client_ids=rule)
    old = exchange.submit(RESTING)
    if not accepted:
        with pytest.raises(DuplicateClientOrderId):
            exchange.replace(old.order_id, client_order_id="a")
        return

    assert "a" == exchange.replace(old.order_id, client_order_id="a").client_order_id


@pytest.mark.parametrize("change", ["replace", "amend"])
def test_what_has_ended_is_neither_replaced_nor_amended(change):
    exchange = make_exchange()
    order = exchange.submit(ask())
    with pytest.raises(NotCancelable):
        getattr(exchange, change)(order.order_id, quantity=D(2))


def test_the_legs_follow_the_order_that_replaces_their_entry():
    exchange = make_exchange(coin="0")
    old = exchange.submit(replace(RESTING, take_profit=D(110), stop_loss=(D(80), None)))
    new = exchange.replace(old.order_id, quantity=D(3))
    legs = [exchange.order(key) for key in new.leg_ids]

    assert [(new.order_id, D(3), "held")] * 2 == [(leg.parent_id, leg.quantity, leg.status) for leg in legs]

    exchange.move_price("COIN/USD", D(90))
    exchange.move_price("COIN/USD", D(80))

    assert (["replaced", "canceled", "filled", "filled"], {}) == (states(exchange), held(exchange))


def test_the_other_leg_follows_the_order_that_replaces_one():
    exchange = make_exchange(coin="0")
    entry = exchange.submit(ask("buy", "2", take_profit="110", stop_loss=(D(90), None)))
    profit, loss = entry.leg_ids
    moved = exchange.replace(loss, stop_price=D(95))
    exchange.move_price("COIN/USD", D(95))

    assert ((profit, moved.order_id), entry.order_id) == (exchange.order(entry.order_id).leg_ids, moved.parent_id)
    assert (["filled", "canceled", "replaced", "filled"], {}) == (states(exchange), held(exchange))


def test_a_held_leg_that_is_replaced_stays_held():
    exchange = make_exchange(coin="0")
    entry = exchange.submit(replace(RESTING, stop_loss=(D(80), None)))
    moved = exchange.replace(entry.leg_ids[0], stop_price=D(85))
    exchange.move_price("COIN/USD", D(90))

    assert (OrderStatus.HELD, OrderStatus.NEW) == (moved.status, exchange.order(moved.order_id).status)


def test_an_amended_order_keeps_its_id_and_what_it_filled():
    exchange = make_exchange()
    order = exchange.submit(RESTING)
    exchange.fill(order.order_id, D("0.5"))
    after = exchange.amend(order.order_id, quantity=D(3), price=D(91))

    assert (order.order_id, "a", D(3), D("2.5")) == (
        after.order_id, after.client_order_id, after.quantity, after.leaves_quantity,
    )  # fmt: skip
    assert ({"USD": D("227.5")}, "amend") == (held(exchange), kinds(exchange)[-1])


@pytest.mark.parametrize("quantity", ["0.5", "0.4"])
def test_an_amendment_must_leave_something(quantity):
    exchange = make_exchange()
    order = exchange.submit(RESTING)
    exchange.fill(order.order_id, D("0.5"))
    with pytest.raises(BadQuantity):
        exchange.amend(order.order_id, quantity=D(quantity))

    assert {"USD": D(135)} == held(exchange)


# In two steps


def begin(exchange, **changes):
    old = exchange.submit(RESTING)
    return old.order_id, exchange.begin_replace(old.order_id, **changes).order_id


def test_until_a_replacement_is_finished_the_original_works_and_the_dearer_one_is_covered():
    exchange = make_exchange()
    old, new = begin(exchange, price=D(91), quantity=D(3))

    assert (["new", "held"], {"USD": D(273)}) == (states(exchange), held(exchange))
    assert OrderStatus.NEW is exchange.finish_replace(new).status
    assert (["replaced", "new"], {"USD": D(273)}) == (states(exchange), held(exchange))
    assert (new, old) == (exchange.order(old).replaced_by, exchange.order(new).replaces)


def test_if_the_original_fills_first_the_replacement_is_rejected():
    exchange = make_exchange()
    old, new = begin(exchange, price=D(89))
    exchange.move_price("COIN/USD", D(90))
    lost = exchange.finish_replace(new)

    assert ("rejected", "replace_rejected", ["filled", "rejected"]) == (lost.status, lost.reason, states(exchange))
    assert ({}, D(2)) == (held(exchange), exchange.position("COIN/USD"))
    assert exchange.order(old).replaced_by is None


def test_a_rejected_replacement_leaves_the_original_and_its_cover():
    exchange = make_exchange()
    _, new = begin(exchange, quantity=D(3))
    exchange.finish_replace(new, rejected=True)

    assert (["new", "rejected"], {"USD": D(180)}) == (states(exchange), held(exchange))


@pytest.mark.parametrize(("quantity", "status"), [("1.5", "new"), ("0", "rejected")])
def test_what_the_original_fills_meanwhile_can_be_taken_off(quantity, status):
    exchange = make_exchange()
    old, new = begin(exchange)
    exchange.fill(old, D("0.5"))
    after = exchange.finish_replace(new, D(quantity))

    assert (status, {"USD": D(135)}) == (after.status, held(exchange))


def test_a_leg_that_is_replaced_in_two_steps_keeps_its_pair():
    exchange = make_exchange(coin="0")
    entry = exchange.submit(ask("buy", "2", take_profit="110", stop_loss=(D(90), None)))
    new = exchange.begin_replace(entry.leg_ids[1], stop_price=D(95)).order_id
    exchange.fill(entry.leg_ids[0], D("0.5"))
    exchange.finish_replace(new, D("1.5"))
    exchange.move_price("COIN/USD", D(95))

    assert (["filled", "canceled", "replaced", "filled"], {}) == (states(exchange), held(exchange))


def test_an_order_that_is_being_replaced_is_not_replaced_again():
    exchange = make_exchange()
    old, _ = begin(exchange)
    with pytest.raises(NotCancelable) as caught:
        exchange.begin_replace(old)

    assert "pending_replace" == caught.value.rule


def test_what_cannot_replace_is_refused_at_once():
    exchange = make_exchange()
    old = exchange.submit(RESTING)
    with pytest.raises(InsufficientFunds):
        exchange.begin_replace(old.order_id, quantity=D(1000))

    assert (["new"], {"USD": D(180)}, "reject") == (states(exchange), held(exchange), kinds(exchange)[-1])


# Corrections


def test_a_correction_replaces_what_a_trade_said_and_moves_the_money():
    exchange = make_exchange(fee_rate=D("0.01"))
    order = exchange.submit(ask(quantity="2"))
    trade = order.executions[0]
    after = exchange.correct(trade.trade_id, price=D(99))

    assert (D(2), D(99), OrderStatus.FILLED) == (after.filled_quantity, after.average_price, after.status)
    assert (ExecutionKind.CORRECTION, trade.trade_id) == (after.executions[-1].kind, after.executions[-1].refers_to)
    assert D("9800.02") == exchange.balance("USD").free
    assert "correction" == kinds(exchange)[-1]


def test_a_correction_can_be_corrected_and_busted():
    exchange = make_exchange()
    trade = exchange.submit(ask(quantity="2")).executions[0]
    exchange.correct(trade.trade_id, price=D(99))
    twice = exchange.correct(trade.trade_id, quantity=D(1), price=D(98))
    busted = exchange.bust(twice.executions[-1].refers_to or "")

    assert (D(98), D(0)) == (twice.average_price, busted.filled_quantity)
    assert (D(10000), D(100)) == (exchange.balance("USD").free, exchange.balance("COIN").free)


def test_a_bust_takes_a_trade_back_and_the_ended_order_stays_ended():
    exchange = make_exchange()
    order = exchange.submit(ask(quantity="2"))
    after = exchange.bust(order.executions[0].trade_id)

    assert (OrderStatus.FILLED, D(0), None) == (after.status, after.filled_quantity, after.average_price)
    assert ("bust", D(0), D(10000)) == (kinds(exchange)[-1], exchange.position("COIN/USD"), exchange.balance("USD").free)


def test_an_open_order_gets_back_what_was_busted_with_its_cover():
    exchange = make_exchange()
    order = exchange.submit(RESTING)
    trade = exchange.fill(order.order_id, D("0.5")).executions[0]
    after = exchange.bust(trade.trade_id)

    assert (OrderStatus.NEW, D(2), {"USD": D(180)}) == (after.status, after.leaves_quantity, held(exchange))


def test_a_correction_can_fill_an_open_order():
    exchange = make_exchange()
    order = exchange.submit(replace(RESTING, stop_loss=(D(80), None)))
    trade = exchange.fill(order.order_id, D("0.5")).executions[0]
    after = exchange.correct(trade.trade_id, quantity=D(2))

    assert (OrderStatus.FILLED, ["filled", "new"], {"COIN": D(2)}) == (after.status, states(exchange), held(exchange))


@pytest.mark.parametrize("again", ["correct", "bust"])
def test_what_was_busted_is_gone(again):
    exchange = make_exchange()
    trade = exchange.submit(ask()).executions[0]
    exchange.bust(trade.trade_id)
    with pytest.raises(TradeNotFound):
        getattr(exchange, again)(trade.trade_id)


def test_a_trade_is_not_corrected_to_more_than_its_order():
    exchange = make_exchange()
    trade = exchange.submit(ask()).executions[0]
    with pytest.raises(BadQuantity):
        exchange.correct(trade.trade_id, quantity=D(2))


# Whatever happens


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("legs", ["held", "on_fill"])
def test_whatever_happens_money_is_neither_made_nor_lost_nor_held_for_nothing(seed, legs):
    chance = random.Random(seed)
    exchange = make_exchange(replace(COIN, liquidity=D(1)), fee_rate=D("0.001"), legs=legs, client_ids="none")
    for _ in range(120):
        step(exchange, chance)
        check(exchange)

    assert {"trigger", "amend", "replace", "bust"} <= set(kinds(exchange))

    for order in exchange.open_orders():
        if exchange.order(order.order_id).is_open:
            exchange.cancel(order.order_id)

    assert {} == held(exchange)


def step(exchange, chance):
    orders, price = exchange.open_orders(), D(chance.randint(90, 110))
    trades = [trade for order in exchange.orders() for trade in order.trades]
    quantity, side = D(chance.randint(1, 900)) / 1000, chance.choice(list(Side))
    up, down = (price + 5, price - 5) if side is Side.BUY else (price - 5, price + 5)
    order = chance.choice(orders).order_id if orders else ""
    acts = {
        "price": lambda: exchange.move_price("COIN/USD", price),
        "liquidity": lambda: exchange.set_liquidity("COIN/USD", D(chance.randint(0, 3))),
        "bracket": lambda: exchange.submit(
            ask(side, quantity, "limit", price=price, take_profit=up, stop_loss=(down, None), trail_loss=D(7))
        ),
        "oco": lambda: exchange.submit(
            ask(side, quantity, "limit", price=price, stop_loss=(down if side is Side.SELL else price + 5, None), oco=True)
        ),
        "stop": lambda: exchange.submit(ask(side, quantity, "stop_limit", stop_price=price, price=price + 1)),
        "trail": lambda: exchange.submit(ask(side, quantity, "trailing_stop", trail_amount=D(3))),
        "replace": lambda: exchange.replace(order, quantity=quantity),
        "begin": lambda: exchange.begin_replace(order, quantity=quantity),
        "finish": lambda: exchange.finish_replace(waiting(exchange)[0].order_id),
        "amend": lambda: exchange.amend(order, quantity=quantity),
        "cancel": lambda: exchange.cancel(order),
        "fill": lambda: exchange.fill(order, exchange.order(order).leaves_quantity / 2),
        "correct": lambda: exchange.correct(chance.choice(trades).trade_id, quantity / 10, price),
        "bust": lambda: exchange.bust(chance.choice(trades).trade_id),
    }
    act = chance.choice(list(acts))
    with nullcontext() if act in {"price", "liquidity"} else suppress(Refusal, IndexError):  # The market is never refused.
        acts[act]()


def waiting(exchange):
    return [order for order in exchange.open_orders() if order.status is OrderStatus.HELD and order.replaces is not None]


def check(exchange):
    expected, position = {"USD": D(10000), "COIN": D(100)}, D(0)
    for order in exchange.orders():
        for trade in order.trades:
            sign = 1 if trade.side is Side.BUY else -1
            position += sign * trade.quantity
            expected["COIN"] += sign * trade.quantity
            expected["USD"] -= sign * trade.quantity * trade.price + trade.fee[0]
        assert D(0) <= order.leaves_quantity or not order.is_open
    assert position == exchange.position("COIN/USD")
    assert list(range(1, exchange.last_transaction_id + 1)) == [entry.id for entry in exchange.transactions()]
    assert expected == {asset: balance.free + balance.reserved for asset, balance in exchange.balances().items()}
    assert all(balance.reserved >= 0 for balance in exchange.balances().values())
    spare = exchange.balance("COIN").reserved - needed_cover(exchange)
    assert spare >= 0 if waiting(exchange) else spare == 0


def needed_cover(exchange):
    """Return what open sales need: of those that are linked, only the largest can fill."""
    awake = {order.order_id: order for order in exchange.open_orders() if order.status is not OrderStatus.HELD}
    cover = D(0)
    while awake:
        _, first = awake.popitem()
        linked = [awake.pop(key) for key in first.linked_ids if key in awake]
        if first.request.side is Side.SELL:
            cover += max(order.leaves_quantity for order in (first, *linked))
    return cover
