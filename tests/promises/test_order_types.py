"""Every kind of order that a venue declares, through its real SDK; what is not declared never leaves.

The venue's own record says what was ordered, by code that shares nothing with logos.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from logos_core import Order, OrderDeniedError, OrderRejectedError
from logos_core.hookspecs import Found
from logos_core.orders import InvalidOrderError, OrderStatus, OrderType, TimeInForce, mismatches
from logos_core.reconciliation import Agreement
from tests.promises.kinds import CAPABILITIES, QUANTITIES, able_to, declared, order_of, undeclared

pytestmark = pytest.mark.usefixtures("hasty")
S, T = OrderStatus, TimeInForce
DENIALS = {"ORDER_TYPE_UNSUPPORTED", "ORDER_FEATURE_UNSUPPORTED", "ORDER_TIME_IN_FORCE"}
TERMS = ("notional", "stop_price", "trail_amount", "trail_percent")


def at_venue(desk, report):
    return desk.exchange.order(report.venue_order_id)


def wanted_of(order, time):
    """What the venue must have been asked for, in the exchange's own words."""
    profit, loss = order.take_profit, order.stop_loss
    return {
        "side": order.side.value,
        "type": order.order_type.value,
        "quantity": order.quantity,
        "price": order.price,
        "time_in_force": time.value,
        **{name: getattr(order, name) for name in TERMS},
        "expires_at": order.expires_at,
        "post_only": order.post_only,
        "reduce_only": order.reduce_only,
        "take_profit": profit and profit.price,
        "stop_loss": loss and (loss.stop_price, loss.price),
        "oco": order.one_cancels_other,
    }


def asked_of(desk, report):
    """What the venue was asked for. Binance knows a time in force of orders with a limit only, and none of a maker's."""
    request = at_venue(desk, report).request
    found = {name: getattr(request, name) for name in wanted_of(Order.market("X", "buy", quantity=1, intent_id="x"), T.GTC)}
    untimed = desk.venue == "ccxt:binance" and (request.price is None or request.post_only)
    return {name: value for name, value in found.items() if name != "time_in_force" or not untimed}


def agrees(adapter):
    found = adapter.reconcile()
    return (Agreement.AGREES, (), []) == (found.verdict, found.foreign_remote, adapter.ledger.latched())


def with_a_position(desk, adapter):
    adapter.submit(Order.market(desk.symbol, "buy", quantity=QUANTITIES[desk.venue] * 9, intent_id="position"))


@pytest.mark.parametrize("kind", list(declared()), ids=str)
def test_what_is_declared_arrives_as_it_was_ordered_and_is_found_again(kind, make_desk):
    desk = make_desk(kind.venue)
    with desk.open() as adapter:
        with_a_position(desk, adapter)
        before = desk.sent()
        orders = {time: order_of(desk, kind.order_type, kind.feature, time, time.value) for time in kind.times}
        reports = {time: adapter.submit(order) for time, order in orders.items()}

        for time, order in orders.items():
            report, request = reports[time], adapter.ledger.find(reports[time].client_order_id).request
            wanted, asked = wanted_of(order, time), asked_of(desk, report)
            assert {name: wanted[name] for name in asked} == asked
            assert [] == mismatches(request, report)
            assert report.time_in_force in {time, None}
            assert (order.terms(), order.price, order.quantity, time) == (
                request.terms(), request.price, request.quantity, request.time_in_force,
            )  # fmt: skip
            shown = adapter.lookup(time.value)
            assert isinstance(shown, Found) and [] == mismatches(request, shown.report)
        assert agrees(adapter)
    with desk.open() as adapter:
        again = {time: adapter.submit(order) for time, order in orders.items()}

        assert [report.venue_order_id for report in reports.values()] == [report.venue_order_id for report in again.values()]
        assert all(at_venue(desk, report).is_open != report.status.is_final for report in again.values())
        assert all(at_venue(desk, report).filled_quantity == report.filled_quantity for report in again.values())
        assert agrees(adapter)
    assert len(kind.times) == desk.sent() - before


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_time_to_end_arrives_in_utc_whatever_zone_the_process_lives_in(make_desk, side, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    for venue in [name for name, able in CAPABILITIES.items() if T.GTD in able.times_in_force[OrderType.LIMIT]]:
        desk = make_desk(venue)
        with desk.open() as adapter:
            order = order_of(desk, OrderType.LIMIT, "plain", T.GTD, side, side=side)
            body = adapter.submit(order).raw

    assert order.expires_at == desk.exchange.orders()[-1].request.expires_at
    assert order.expires_at.isoformat(timespec="microseconds").replace("+00:00", "Z") in str(body)


def test_what_is_not_declared_is_denied_before_anything_leaves_naming_what_can_be_had(desk):
    able = CAPABILITIES[desk.venue]
    with desk.open() as adapter:
        with_a_position(desk, adapter)
        before, denied = len(desk.server.wire), 0
        for order_type, feature, time in undeclared(desk.venue):
            try:
                order = order_of(desk, order_type, feature, time, f"{order_type}-{feature}-{time}")
            except (InvalidOrderError, TypeError):
                continue  # it means nothing anywhere
            if order.order_type is not order_type:
                continue  # an OCO is a limit order
            with pytest.raises(OrderDeniedError) as caught:
                adapter.submit(order)
            can = able_to(able, feature) if able.times_in_force.get(order.order_type) else able.times_in_force
            denied += 1

            assert caught.value.reason in DENIALS, (order_type, feature, time)
            assert all(kind.value in str(caught.value) for kind in can) or caught.value.reason == "ORDER_TIME_IN_FORCE"
        assert before == len(desk.server.wire)
        assert denied > 20
