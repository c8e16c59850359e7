"""What happens at the venue while nobody listens is on record once, after the return."""

from decimal import Decimal

from logos_core import Order, OrderStatus

FEES_WITH_THE_EXECUTION = {"alpaca": False, "oanda": True, "ccxt:binance": True, "ccxt:kraken": True}
"""Alpaca books its fees as activities of their own, without the order they belong to."""


def test_a_resting_order_that_fills_while_we_are_down_appears_once(desk):
    order = Order.limit(desk.symbol, "buy", quantity="2", price=desk.resting_price, intent_id="resting")
    with desk.open() as adapter:
        resting = adapter.submit(order)
    desk.server.app.exchange.fill(resting.venue_order_id, Decimal(2))
    for _ in range(3):
        with desk.open() as adapter:
            adapter.reconcile()
            executions = adapter.ledger.executions(resting.client_order_id)
            again = adapter.submit(order)

    assert OrderStatus.FILLED == again.status
    assert [Decimal(2)] == [execution.quantity for execution in executions]
    assert executions == again.executions
    assert FEES_WITH_THE_EXECUTION[desk.venue] == bool(again.fees)


def test_a_partial_fill_and_a_further_one_are_two_executions(desk):
    order = Order.limit(desk.symbol, "buy", quantity="3", price=desk.resting_price, intent_id="in parts")
    with desk.open() as adapter:
        resting = adapter.submit(order)
        desk.server.app.exchange.fill(resting.venue_order_id, Decimal(1))
        adapter.reconcile()
        partly = adapter.submit(order)
        desk.server.app.exchange.fill(resting.venue_order_id, Decimal(2))
        adapter.reconcile()
        whole = adapter.submit(order)

    assert (OrderStatus.PARTIALLY_FILLED, Decimal(1)) == (partly.status, partly.filled_quantity)
    assert (OrderStatus.FILLED, Decimal(3)) == (whole.status, whole.filled_quantity)
    assert [Decimal(1), Decimal(2)] == [execution.quantity for execution in whole.executions]
