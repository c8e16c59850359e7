import random
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest

from logos_core.testing.exchange import (
    BadPrice,
    BadQuantity,
    Balance,
    DuplicateClientOrderId,
    Exchange,
    InsufficientFunds,
    NotCancelable,
    OrderNotFound,
    OrderRequest,
    OrderStatus,
    OrderType,
    Refusal,
    Side,
    SimulatedInstrument,
    SimulatedOrder,
    TimeInForce,
    UnknownSymbol,
)

D = Decimal
COIN = SimulatedInstrument(
    symbol="COIN/USD",
    base_asset="COIN",
    quote_asset="USD",
    price_tick=D("0.01"),
    quantity_step=D("0.001"),
    last=D(100),
    min_quantity=D("0.01"),
    min_notional=D(5),
)


def make_exchange(instrument=COIN, usd="1000", coin="10", **settings):
    return Exchange([instrument], {"USD": D(usd), "COIN": D(coin)}, **settings)


def buy(quantity="1", price=None, *, side=Side.BUY, tif=TimeInForce.GTC, client_order_id=None, symbol="COIN/USD"):
    kind = OrderType.MARKET if price is None else OrderType.LIMIT
    return OrderRequest(
        symbol=symbol,
        side=side,
        type=kind,
        quantity=D(quantity),
        price=None if price is None else D(price),
        time_in_force=tif,
        client_order_id=client_order_id,
    )


def sell(quantity="1", price=None, **more):
    return buy(quantity, price, side=Side.SELL, **more)


def test_a_market_order_fills_at_the_last_price():
    order = make_exchange().submit(buy("2"))

    assert (OrderStatus.FILLED, D(2), D(100)) == (order.status, order.filled_quantity, order.average_price)


def test_a_trade_moves_both_assets():
    exchange = make_exchange()
    exchange.submit(buy("2"))

    assert {"USD": Balance(D(800)), "COIN": Balance(D(12))} == exchange.balances()


@pytest.mark.parametrize(("request_", "price"), [(buy("1", "90"), "90"), (sell("1", "110"), "110")])
def test_a_resting_order_fills_at_its_limit_when_the_price_gets_there(request_, price):
    exchange = make_exchange()
    resting = exchange.submit(request_)
    changed = exchange.move_price("COIN/USD", D(price))

    assert OrderStatus.NEW is resting.status
    assert [(resting.order_id, OrderStatus.FILLED, D(price))] == [
        (order.order_id, order.status, order.average_price) for order in changed
    ]


def test_a_price_that_does_not_reach_the_limit_changes_nothing():
    exchange = make_exchange()
    exchange.submit(buy("1", "90"))

    assert [] == exchange.move_price("COIN/USD", D("90.01"))


def test_a_limit_order_through_the_market_fills_at_the_better_price():
    assert D(100) == make_exchange().submit(buy("1", "120")).average_price


@pytest.mark.parametrize(
    ("tif", "status", "filled"),
    [
        (TimeInForce.GTC, OrderStatus.PARTIALLY_FILLED, "0.4"),
        (TimeInForce.DAY, OrderStatus.PARTIALLY_FILLED, "0.4"),
        (TimeInForce.IOC, OrderStatus.CANCELED, "0.4"),
        (TimeInForce.FOK, OrderStatus.CANCELED, "0"),
    ],
)
def test_what_liquidity_does_not_cover_rests_or_ends_by_time_in_force(tif, status, filled):
    exchange = make_exchange(replace(COIN, liquidity=D("0.4")))
    order = exchange.submit(buy("1", "100", tif=tif))

    assert (status, D(filled)) == (order.status, order.filled_quantity)


def test_new_liquidity_fills_what_was_waiting_for_it():
    exchange = make_exchange(replace(COIN, liquidity=D("0.4")))
    order = exchange.submit(buy("1"))
    exchange.set_liquidity("COIN/USD", None)

    assert [D("0.4"), D("0.6")] == [execution.quantity for execution in exchange.order(order.order_id).executions]


def test_liquidity_is_used_up_by_trades():
    exchange = make_exchange(replace(COIN, liquidity=D(1)))
    exchange.submit(buy("0.7"))

    assert D("0.3") == exchange.instrument("COIN/USD").liquidity


def test_an_open_order_reserves_and_a_cancel_releases():
    exchange = make_exchange(fee_rate=D("0.01"))
    order = exchange.submit(buy("2", "90"))
    held = exchange.balance("USD")
    exchange.cancel(order.order_id)

    assert Balance(D("818.2"), D("181.8")) == held
    assert Balance(D(1000)) == exchange.balance("USD")


def test_a_partial_fill_and_a_cancel_leave_nothing_reserved():
    exchange = make_exchange(fee_rate=D("0.001"))
    order = exchange.submit(buy("2", "90"))
    exchange.fill(order.order_id, D("0.5"))
    ended = exchange.cancel(order.order_id)

    assert (OrderStatus.CANCELED, D("0.5"), "client") == (ended.status, ended.filled_quantity, ended.reason)
    assert Balance(D("954.955")) == exchange.balance("USD")


def test_reserved_money_cannot_be_spent_twice():
    exchange = make_exchange()
    exchange.submit(buy("10", "90"))
    with pytest.raises(InsufficientFunds):
        exchange.submit(buy("2", "90"))


def test_without_the_funds_check_a_position_can_be_short():
    exchange = make_exchange(coin="0", check_funds=False)
    exchange.submit(sell("3"))

    assert Balance(D(-3)) == exchange.balance("COIN")


@pytest.mark.parametrize(("fee_in", "fee"), [("quote", (D("0.2"), "USD")), ("received", (D("0.002"), "COIN"))])
def test_a_fee_is_an_amount_of_an_asset(fee_in, fee):
    exchange = make_exchange(fee_rate=D("0.001"), fee_in=fee_in)

    assert fee == exchange.submit(buy("2")).executions[0].fee


@pytest.mark.parametrize(
    ("request_", "kind", "rule"),
    [
        (buy(symbol="NONE"), UnknownSymbol, "symbol"),
        (buy("0"), BadQuantity, "positive"),
        (buy("-1"), BadQuantity, "positive"),
        (buy("NaN"), BadQuantity, "positive"),
        (buy("0.001", "1000"), BadQuantity, "min_quantity"),
        (buy("0.0105"), BadQuantity, "quantity_step"),
        (buy("1e40"), BadQuantity, "quantity_step"),
        (buy("0.01"), BadQuantity, "min_notional"),
        (buy("1", "0"), BadPrice, "positive"),
        (buy("1", "Infinity"), BadPrice, "positive"),
        (buy("1", "99.999"), BadPrice, "price_tick"),
        (replace(buy("1"), type=OrderType.LIMIT), BadPrice, "missing"),
        (replace(buy("1", "90"), type=OrderType.MARKET), BadPrice, "not_allowed"),
        (buy("11"), InsufficientFunds, "USD"),
        (sell("11"), InsufficientFunds, "COIN"),
    ],
)
def test_a_refusal_names_its_rule_and_leaves_only_a_reject(request_, kind, rule):
    exchange = make_exchange()
    with pytest.raises(kind) as caught:
        exchange.submit(request_)

    assert rule == caught.value.rule
    assert ([], [("reject", rule)]) == (
        exchange.orders(),
        [(entry.kind, entry.reason) for entry in exchange.transactions()],
    )
    assert {"USD": Balance(D(1000)), "COIN": Balance(D(10))} == exchange.balances()


@pytest.mark.parametrize("field", ["quantity", "price"])
def test_a_float_is_no_number(field):
    with pytest.raises(TypeError):
        replace(buy("1", "90"), **{field: 0.5})


def test_a_float_does_not_move_the_price():
    with pytest.raises(TypeError):
        make_exchange().move_price("COIN/USD", 90.0)


@pytest.mark.parametrize(
    ("rule", "while_open", "after_fill"), [("ever", False, False), ("open", False, True), ("none", True, True)]
)
def test_a_client_order_id_is_taken_as_long_as_the_rule_says(rule, while_open, after_fill):
    exchange = make_exchange(client_ids=rule)
    first = exchange.submit(buy("1", "90", client_order_id="a"))

    assert while_open == is_accepted(exchange, buy("1", "90", client_order_id="a"))

    exchange.fill(first.order_id, D(1))
    for order in exchange.open_orders():
        exchange.cancel(order.order_id)

    assert after_fill == is_accepted(exchange, buy("1", "90", client_order_id="a"))


def is_accepted(exchange, request):
    try:
        exchange.submit(request)
    except DuplicateClientOrderId:
        return False
    return True


def test_a_duplicate_names_the_order_that_holds_the_id():
    exchange = make_exchange()
    first = exchange.submit(buy(client_order_id="a"))
    with pytest.raises(DuplicateClientOrderId) as caught:
        exchange.submit(buy(client_order_id="a"))

    assert first == caught.value.existing
    assert [first] == exchange.orders_with("a")


def test_every_change_is_one_transaction_with_the_next_id():
    exchange = make_exchange()
    resting = exchange.submit(buy("1", "90"))
    with pytest.raises(Refusal):
        exchange.submit(buy("1000"))
    exchange.cancel(resting.order_id)
    exchange.submit(buy("1"))
    kinds = ["order", "reject", "cancel", "order", "fill"]

    assert list(enumerate(kinds, 1)) == [(entry.id, entry.kind) for entry in exchange.transactions()]
    assert (5, kinds[3:]) == (exchange.last_transaction_id, [entry.kind for entry in exchange.transactions(3)])


def test_by_default_an_id_is_the_id_of_the_transaction_that_made_it():
    exchange = make_exchange()
    order = exchange.submit(buy("1"))

    assert ("1", "2") == (order.order_id, order.executions[0].trade_id)


def test_the_history_keeps_every_state():
    exchange = make_exchange()
    order = exchange.submit(buy("1", "90"))
    exchange.fill(order.order_id, D("0.5"))
    exchange.expire(order.order_id)
    expected = [OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED, OrderStatus.EXPIRED]

    assert expected == [state.status for state in exchange.history(order.order_id)]


def test_an_order_once_handed_out_does_not_change():
    exchange = make_exchange()
    order = exchange.submit(buy("1", "90"))
    exchange.fill(order.order_id, D(1))

    assert OrderStatus.NEW is order.status


@pytest.mark.parametrize("act", [Exchange.cancel, Exchange.expire, lambda exchange, key: exchange.fill(key, D(1))])
def test_an_order_that_ended_stays_ended(act):
    exchange = make_exchange()
    order = exchange.submit(buy("1"))
    with pytest.raises(NotCancelable) as caught:
        act(exchange, order.order_id)

    assert "filled" == caught.value.rule


@pytest.mark.parametrize("act", [Exchange.order, Exchange.history, Exchange.cancel])
def test_an_order_nobody_made_is_not_found(act):
    with pytest.raises(OrderNotFound):
        act(make_exchange(), "7")


def test_a_forced_fill_cannot_exceed_what_is_left():
    exchange = make_exchange()
    order = exchange.submit(buy("1", "90"))
    with pytest.raises(BadQuantity):
        exchange.fill(order.order_id, D("1.001"))


def test_what_is_described_is_json_able():
    exchange = make_exchange(fee_rate=D("0.001"))
    described = exchange.submit(buy("1", client_order_id="a")).to_dict()
    del described["created_at"], described["updated_at"], described["executions"][0]["time"]
    nothing = ("expires_at", "notional", "parent_id", "replaced_by", "replaces", "stop_price", "trail_amount", "trail_percent")

    assert (
        dict.fromkeys(nothing)
        | {
            "venue_order_id": "1",
            "client_order_id": "a",
            "symbol": "COIN/USD",
            "side": "buy",
            "type": "market",
            "time_in_force": "gtc",
            "quantity": "1",
            "price": None,
            "post_only": False,
            "reduce_only": False,
            "status": "filled",
            "triggered": False,
            "filled_quantity": "1",
            "leg_ids": [],
            "executions": [
                {
                    "trade_id": "2",
                    "kind": "trade",
                    "refers_to": None,
                    "quantity": "1",
                    "price": "100",
                    "fee": {"amount": "0.1", "asset": "USD"},
                },
            ],
        }
        == described
    )


@pytest.fixture
def eager_threads():
    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual_s)


def test_of_many_threads_with_one_id_one_gets_the_order(eager_threads):
    exchange = make_exchange()
    ids = [str(number // 8) for number in range(400)]
    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(lambda key: is_accepted(exchange, buy("0.05", client_order_id=key)), ids))

    assert (50, 50) == (sum(accepted), len(exchange.orders()))
    assert list(range(1, 451)) == [entry.id for entry in exchange.transactions()]


@pytest.mark.parametrize("seed", range(20))
def test_money_is_neither_made_nor_lost(seed):
    chance = random.Random(seed)
    exchange = make_exchange(replace(COIN, liquidity=D(1)), fee_rate=D("0.001"), fee_in=chance.choice(["quote", "received"]))
    for _ in range(100):
        step(exchange, chance)
    expected = {"USD": D(1000), "COIN": D(10)}
    for execution in exchange.executions():
        sign = 1 if execution.side is Side.BUY else -1
        expected["COIN"] += sign * execution.quantity
        expected["USD"] -= sign * execution.quantity * execution.price
        expected[execution.fee[1]] -= execution.fee[0]

    assert len(exchange.executions()) > 5
    assert expected == {asset: held.free + held.reserved for asset, held in exchange.balances().items()}

    for order in exchange.open_orders():
        exchange.cancel(order.order_id)

    assert [0, 0] == [held.reserved for held in exchange.balances().values()]


def step(exchange: Exchange, chance: random.Random) -> None:
    price = str(chance.randint(95, 105))
    act = chance.randrange(4)
    orders: list[SimulatedOrder] = exchange.open_orders()
    try:
        if act == 0:
            exchange.move_price("COIN/USD", D(price))
        elif act == 1:
            exchange.set_liquidity("COIN/USD", D(chance.randint(0, 3)))
        elif act == 2 and orders:
            exchange.cancel(chance.choice(orders).order_id)
        else:
            tif, limit = chance.choice([tif for tif in TimeInForce if tif is not TimeInForce.GTD]), chance.choice([price, None])
            exchange.submit(buy(f"{chance.randint(60, 900) / 1000}", limit, side=chance.choice(list(Side)), tif=tif))
    except InsufficientFunds:
        pass
