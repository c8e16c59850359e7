"""Every kind of order that a venue declares, through its real SDK; what is not declared never leaves.

The venue's own record says what was ordered, by code that shares nothing with logos.
"""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from logos_core import Order, OrderDeniedError, OrderRejectedError
from logos_core.errors import InvalidOrderError
from logos_core.hookspecs import Found
from logos_core.orders import OrderStatus, OrderType, TimeInForce
from logos_core.reconciliation import Agreement
from logos_core.reports import mismatches
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
    """What the venue was asked for. Binance and Kraken know a time in force of orders with a limit only, Binance none of a maker's."""
    request = at_venue(desk, report).request
    found = {name: getattr(request, name) for name in wanted_of(Order.market("X", "buy", quantity=1, intent_id="x"), T.GTC)}
    untimed = desk.venue.startswith("ccxt:") and (request.price is None or (request.post_only and desk.venue == "ccxt:binance"))
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


@pytest.fixture
def tokyo():
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_a_time_to_end_arrives_in_utc_whatever_zone_the_process_lives_in(make_desk, side, tokyo):
    for venue in [name for name, able in CAPABILITIES.items() if T.GTD in able.times_in_force[OrderType.LIMIT]]:
        desk = make_desk(venue)
        with desk.open() as adapter:
            order = order_of(desk, OrderType.LIMIT, "plain", T.GTD, side, side=side)
            body = adapter.submit(order).raw

        assert order.expires_at == desk.exchange.orders()[-1].request.expires_at
        if venue == "oanda":
            assert order.expires_at.isoformat(timespec="microseconds").replace("+00:00", "Z") in str(body)


def test_what_is_not_declared_is_denied_before_anything_leaves_naming_what_can_be_had(desk):
    able = CAPABILITIES[desk.venue]
    with desk.open() as adapter:
        with_a_position(desk, adapter)
        before, denied = len(desk.server.wire), 0
        for order_type, feature, lasts in undeclared(desk.venue):
            try:
                order = order_of(desk, order_type, feature, lasts, f"{order_type}-{feature}-{lasts}")
            except (InvalidOrderError, TypeError):
                continue  # it means nothing anywhere
            if order.order_type is not order_type:
                continue  # an OCO is a limit order
            with pytest.raises(OrderDeniedError) as caught:
                adapter.submit(order)
            can = able_to(able, feature) if able.times_in_force.get(order.order_type) else able.times_in_force
            denied += 1

            assert caught.value.reason in DENIALS, (order_type, feature, lasts)
            assert all(kind.value in str(caught.value) for kind in can) or caught.value.reason == "ORDER_TIME_IN_FORCE"
        assert before == len(desk.server.wire)
        assert denied > 20


def test_a_coin_at_alpaca_has_no_linked_orders_and_nothing_is_asked_of_the_venue(alpaca):
    with alpaca.open() as adapter:
        order = Order.limit("BTC/USD", "buy", quantity=1, price=50000, time_in_force="gtc", stop_loss=40000, intent_id="linked")
        with pytest.raises(OrderDeniedError, match="coin has no linked orders"):
            adapter.submit(order)

        assert (0, []) == (alpaca.sent(), alpaca.exchange.orders())


def stops(*features):
    return [
        pytest.param(venue, kind, feature, id=f"{venue}-{kind}-{feature}")
        for venue, able in CAPABILITIES.items()
        for kind in (OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TRAILING_STOP)
        for feature in features
        if able_to(able, feature).get(kind)
    ]


def known(adapter, intent_id):
    """What the ledger holds once the books are compared."""
    assert agrees(adapter)
    return adapter.ledger.find_intent(intent_id)[0].report


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(("venue", "kind", "feature"), stops("plain"))
def test_a_stop_waits_for_its_price_and_then_trades(make_desk, venue, kind, feature, side):
    desk = make_desk(venue)
    with desk.open() as adapter:
        with_a_position(desk, adapter)
        adapter.submit(order_of(desk, kind, feature, None, "stop", side=side))
        desk.move(1.04 if side == "buy" else 0.96)

        assert (S.NEW, 0) == (known(adapter, "stop").status, known(adapter, "stop").filled_quantity)

        desk.move(1.05 if side == "buy" else 0.95)
        report = known(adapter, "stop")

        assert (S.FILLED, QUANTITIES[venue], desk.price(1.05 if side == "buy" else 0.95)) == (
            report.status, report.filled_quantity, report.average_price,
        )  # fmt: skip
        assert 1 == len(adapter.ledger.executions(report.client_order_id))


@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize(("venue", "kind", "feature"), stops("trail_amount", "trail_percent"))
def test_a_trailing_stop_follows_the_market_and_trades_when_it_turns(make_desk, venue, kind, feature, side):
    """It follows by 2 or by 2.5 percent; so after a good 10 percent it must not turn at 1, and must at 5."""
    desk, away = make_desk(venue), Decimal(1) if side == "sell" else Decimal(-1)
    with desk.open() as adapter:
        with_a_position(desk, adapter)
        report = adapter.submit(order_of(desk, kind, feature, None, "trail", side=side))
        known(adapter, "trail")
        desk.move(1 + away * Decimal("0.10"))
        desk.move(1 + away * Decimal("0.09"))

        assert S.NEW is known(adapter, "trail").status
        assert known(adapter, "trail").stop_price in {None, at_venue(desk, report).stop_price.quantize(desk.price(1))}
        assert (report.trail_amount, report.trail_percent) == (
            known(adapter, "trail").trail_amount,
            known(adapter, "trail").trail_percent,
        )

        desk.move(1 + away * Decimal("0.05"))

        assert (S.FILLED, QUANTITIES[venue]) == (known(adapter, "trail").status, known(adapter, "trail").filled_quantity)


def having(feature):
    return [venue for venue, able in CAPABILITIES.items() if able_to(able, feature)]


@pytest.mark.parametrize("venue", having("post_only"))
def test_a_maker_that_would_take_trades_nothing(make_desk, venue):
    desk = make_desk(venue)
    with desk.open() as adapter:
        order = order_of(desk, OrderType.LIMIT, "post_only", None, "maker", price=desk.price(1.1))
        try:
            assert S.CANCELED is adapter.submit(order).status
        except OrderRejectedError as error:
            assert error.venue_code

        assert not desk.exchange.open_orders() and not desk.exchange.executions()
        assert agrees(adapter)


@pytest.mark.parametrize("venue", having("reduce_only"))
@pytest.mark.parametrize("time", [T.FOK, T.IOC])
def test_an_order_that_may_only_reduce_opens_nothing(make_desk, venue, time):
    desk = make_desk(venue)
    with desk.open() as adapter:
        try:
            assert S.CANCELED is adapter.submit(order_of(desk, OrderType.MARKET, "reduce_only", time, "nothing to reduce")).status
        except OrderRejectedError as error:
            assert error.venue_code

        assert (0, []) == (desk.exchange.position(desk.symbol), desk.exchange.open_orders())
        assert agrees(adapter)


@pytest.mark.parametrize("venue", having("reduce_only"))
def test_an_order_that_may_only_reduce_closes_a_position_and_no_more(make_desk, venue):
    desk = make_desk(venue)
    with desk.open() as adapter:
        adapter.submit(Order.market(desk.symbol, "buy", quantity=4, intent_id="position"))
        order = order_of(desk, OrderType.MARKET, "reduce_only", T.IOC, "too much")
        try:
            assert 4 == adapter.submit(order).filled_quantity
        except OrderRejectedError:
            assert 4 == desk.exchange.position(desk.symbol)
        else:
            assert 0 == desk.exchange.position(desk.symbol)
        assert agrees(adapter)


@pytest.mark.parametrize("venue", [name for name, able in CAPABILITIES.items() if T.GTD in able.times_in_force[OrderType.LIMIT]])
def test_an_order_good_till_a_date_expires_at_it_while_nobody_listens(make_desk, venue):
    desk = make_desk(venue)
    with desk.open() as adapter:
        expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)  # Kraken counts whole seconds
        first = adapter.submit(order_of(desk, OrderType.LIMIT, "plain", T.GTD, "dated", expires_at=expires_at))

        assert first.status in {S.NEW, S.PENDING_NEW}
    while datetime.now(UTC) < expires_at:
        desk.exchange.expire_due()
    with desk.open() as adapter:
        assert (S.EXPIRED, 0) == (known(adapter, "dated").status, known(adapter, "dated").filled_quantity)


def test_a_date_that_is_over_is_denied_before_anything_leaves(desk):
    with desk.open() as adapter:
        expires_at = datetime.now(UTC) - timedelta(seconds=1)
        with pytest.raises(OrderDeniedError):
            adapter.submit(order_of(desk, OrderType.LIMIT, "plain", T.GTD, "over", expires_at=expires_at))

        assert (0, []) == (desk.sent(), desk.exchange.orders())


@pytest.mark.parametrize("venue", having("notional"))
def test_an_order_by_notional_fills_and_its_quantity_becomes_known(make_desk, venue):
    desk = make_desk(venue)
    with desk.open() as adapter:
        adapter.submit(order_of(desk, OrderType.MARKET, "notional", None, "worth"))
        report = known(adapter, "worth")
        at_the_venue = at_venue(desk, report)

        assert (S.FILLED, Decimal(500)) == (report.status, report.notional)
        assert 0 < at_the_venue.filled_quantity == report.filled_quantity
        assert report.quantity in {None, report.filled_quantity}
        assert 0 == report.leaves_quantity
        assert report.filled_quantity == sum(item.quantity for item in adapter.ledger.executions(report.client_order_id))
    with desk.open() as adapter:
        assert report == adapter.submit(order_of(desk, OrderType.MARKET, "notional", None, "worth"))


@pytest.mark.parametrize(("venue", "kind", "feature"), stops("plain"))
def test_an_order_with_a_stop_price_goes_on_with_another(make_desk, venue, kind, feature):
    desk = make_desk(venue)
    with desk.open() as adapter:
        adapter.submit(order_of(desk, kind, feature, None, "first"))
        numbers = {"stop_price": desk.price(1.08)} | ({"price": desk.price(1.09)} if kind is OrderType.STOP_LIMIT else {})
        found = adapter.replace("first", intent_id="second", quantity=QUANTITIES[venue] / 2, **numbers)

        (standing,) = desk.exchange.open_orders()
        assert (kind.value, desk.price(1.08), QUANTITIES[venue] / 2, "buy") == (
            standing.request.type, standing.request.stop_price, standing.quantity, standing.request.side,
        )  # fmt: skip
        assert (standing.order_id, desk.price(1.08)) == (found.report.venue_order_id, found.report.stop_price)
        assert agrees(adapter)

        desk.move(1.08)

        assert S.FILLED is known(adapter, "second").status
        assert QUANTITIES[venue] / 2 == sum(order.filled_quantity for order in desk.exchange.orders())


@pytest.mark.parametrize(("venue", "kind", "feature"), stops("plain"))
def test_a_stop_on_the_wrong_side_of_the_market_trades_at_once_or_is_refused(make_desk, venue, kind, feature):
    desk = make_desk(venue)
    with desk.open() as adapter:
        changes = {"stop_price": desk.price(0.99)} | ({"price": desk.price(1.01)} if kind is OrderType.STOP_LIMIT else {})
        try:
            adapter.submit(order_of(desk, kind, feature, None, "late", **changes))
            assert QUANTITIES[venue] == known(adapter, "late").filled_quantity
        except OrderRejectedError as error:
            assert error.venue_code and not desk.exchange.orders()
        assert agrees(adapter)
