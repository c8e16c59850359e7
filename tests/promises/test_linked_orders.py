"""Linked orders per venue that declares them: one intent, whose legs are known whatever happens, whoever listens.

The venue's own record is the judge of what works and what has traded; the ledger must say the same.
"""

from decimal import Decimal

import pytest

from logos_alpaca.simulator import app as alpaca_app
from logos_core import LogosError, OutcomeUnknownError
from logos_core.errors import OrderDeniedError
from logos_core.hookspecs import Found
from logos_core.orders import OrderStatus, OrderType
from logos_core.reconciliation import Agreement
from logos_core.replacing import ReplaceEnding
from logos_core.testing import exchange
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from tests.promises.conftest import adopt_into, lose_ledger
from tests.promises.kinds import CAPABILITIES, LINKS, QUANTITIES, able_to, order_of

pytestmark = pytest.mark.usefixtures("hasty")
S = OrderStatus
LINKED = [
    (venue, feature) for venue, able in CAPABILITIES.items() for feature in LINKS if OrderType.LIMIT in able_to(able, feature)
]
ENTRIES = [pair for pair in LINKED if not pair[1].startswith("oco")]
BRACKETS = [pair for pair in LINKED if pair[1] == "bracket"]
OCOS = [pair for pair in LINKED if pair[1].startswith("oco")]
WAYS = [(*pair, side) for pair in ENTRIES for side in ("buy", "sell") if side == "buy" or pair[0] == "oanda"]
"""Only OANDA's account sells what it does not have."""
LEGS = [
    (*pair, leg)
    for pair in ENTRIES
    for leg, other in (("profit", "stop_loss"), ("loss", "take_profit"))
    if not pair[1].startswith(other)
]
entries = pytest.mark.parametrize(("venue", "feature"), ENTRIES)
brackets = pytest.mark.parametrize(("venue", "feature"), BRACKETS)
ocos = pytest.mark.parametrize(("venue", "feature"), OCOS)
NEVER_PROCESSED = {
    FaultKind.REQUEST_DROPPED,
    FaultKind.STATUS_BEFORE,
    FaultKind.RATE_LIMITED,
    FaultKind.RESET_BEFORE,
    FaultKind.REDIRECT,
}


def group(desk, feature, **changes):
    return order_of(desk, OrderType.LIMIT, feature, None, "group", **changes)


def agrees(adapter):
    found = adapter.reconcile()
    return (Agreement.AGREES, (), []) == (found.verdict, found.foreign_remote, adapter.ledger.latched())


def known(adapter):
    """What the ledger holds of the group once the books are compared; there is no other intent in it."""
    assert agrees(adapter)
    (recorded,) = adapter.ledger.find_intent("group")
    return recorded.report


def legs_at(desk, parent=None):
    """The legs that the venue holds, whatever became of them."""
    return [order for order in desk.exchange.orders() if order.parent_id is not None and parent in {None, order.parent_id}]


def same_as_at(desk, adapter):
    """Whether the ledger says of every order and every trade of the group what the venue says."""
    report = known(adapter)
    told = {order.venue_order_id: order for order in (report, *report.legs)}
    held = {order.order_id: order for order in desk.exchange.orders()}
    assert held.keys() == told.keys()
    for order_id, order in held.items():
        assert order.filled_quantity == told[order_id].filled_quantity
        assert (order.leaves_quantity if order.is_open else 0) == told[order_id].leaves_quantity
        assert order.is_open != told[order_id].status.is_final
        assert (order.request.side, order.request.type) == (told[order_id].side, told[order_id].order_type)
    mine = [item.quantity for item in adapter.ledger.executions(report.client_order_id)]
    assert sorted(item.quantity for item in desk.exchange.executions()) == sorted(mine)
    return report


def count(feature):
    return 2 if feature.startswith("bracket") else 1


@pytest.mark.parametrize(("venue", "feature", "side"), WAYS)
def test_legs_work_once_the_entry_has_filled(make_desk, venue, feature, side):
    desk = make_desk(venue)
    with desk.open() as adapter:
        entry = adapter.submit(group(desk, feature, side=side))
        same_as_at(desk, adapter)
        desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue])
        report = same_as_at(desk, adapter)

        assert (S.FILLED, [S.NEW] * count(feature)) == (report.status, [leg.status for leg in report.legs])
        assert count(feature) == len(adapter.ledger.working_legs()) == len(desk.exchange.open_orders())
        assert {entry.client_order_id} == {leg.leg_of for leg in report.legs}
        assert 1 == desk.sent()


@pytest.mark.parametrize(("venue", "feature", "leg"), LEGS)
@pytest.mark.parametrize("listens", ["throughout", "to the entry", "to nothing"])
def test_a_leg_that_fills_ends_the_other_whoever_listens(make_desk, venue, feature, leg, listens):
    desk = make_desk(venue)
    with desk.open() as adapter:
        entry = adapter.submit(group(desk, feature))
        if listens != "to nothing":
            desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue])
            same_as_at(desk, adapter)
        if listens == "throughout":
            desk.move(1.2 if leg == "profit" else 0.8)
            same_as_at(desk, adapter)
    if listens == "to nothing":
        desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue])
    desk.move(1.2 if leg == "profit" else 0.8)
    with desk.open() as adapter:
        same_as_at(desk, adapter)
        report = same_as_at(desk, adapter)

        assert (S.FILLED, QUANTITIES[venue]) == (report.status, report.filled_quantity)
        assert sorted([S.FILLED, S.CANCELED][: count(feature)]) == sorted(item.status for item in report.legs)
        assert 2 == len(adapter.ledger.executions(entry.client_order_id))
        shown = adapter.lookup("group").report
        assert (S.FILLED, QUANTITIES[venue], count(feature)) == (shown.status, shown.filled_quantity, len(shown.legs))
        assert ([], 0) == (desk.exchange.open_orders(), desk.exchange.position(desk.symbol))
        assert report == adapter.submit(group(desk, feature))
    assert 1 == desk.sent()


@ocos
@pytest.mark.parametrize("leg", ["profit", "loss"])
@pytest.mark.parametrize("listens", [True, False])
def test_of_two_that_cancel_one_another_one_trades(make_desk, venue, feature, leg, listens):
    desk = make_desk(venue)
    desk.exchange.submit(bought(desk))
    with desk.open() as adapter:
        sent = adapter.submit(group(desk, feature))
        assert 2 == len(desk.exchange.open_orders())
        if listens:
            desk.move(1.1 if leg == "profit" else 0.8)
            assert agrees(adapter)
    desk.move(1.1 if leg == "profit" else 0.8)
    with desk.open() as adapter:
        report = known(adapter)
        filled = QUANTITIES[venue]

        assert (filled, 0) == tuple((report.filled_quantity, report.legs[0].filled_quantity)[:: 1 if leg == "profit" else -1])
        assert {S.FILLED, S.CANCELED} == {report.status, report.legs[0].status}
        assert ([], 0) == (desk.exchange.open_orders(), desk.exchange.position(desk.symbol))
        assert 1 == len(adapter.ledger.executions(sent.client_order_id)) == desk.sent()


def bought(desk):
    """A position that somebody has opened without logos."""
    return exchange.OrderRequest(
        symbol=desk.symbol, side=exchange.Side.BUY, type=exchange.OrderType.MARKET, quantity=QUANTITIES[desk.venue],
        client_order_id="theirs",
    )  # fmt: skip


@entries
def test_an_entry_that_fills_in_parts_has_legs_for_what_it_filled(make_desk, venue, feature):
    """Alpaca's legs wait for the whole of it; OANDA's come with each part, as many as there are parts."""
    desk, part = make_desk(venue), QUANTITIES[venue] * 3 / 10
    with desk.open() as adapter:
        entry = adapter.submit(group(desk, feature))
        desk.exchange.fill(entry.venue_order_id, part)
        report = same_as_at(desk, adapter)

        assert (S.PARTIALLY_FILLED, part) == (report.status, report.filled_quantity)
        desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue] - part)
        same_as_at(desk, adapter)
        desk.move(0.8 if feature.startswith("stop_loss") else 1.2)
        same_as_at(desk, adapter)
        report = same_as_at(desk, adapter)

        assert (S.FILLED, QUANTITIES[venue]) == (report.status, report.filled_quantity)
        assert ([], 0) == (desk.exchange.open_orders(), desk.exchange.position(desk.symbol))


@pytest.mark.parametrize(("venue", "feature"), [pair for pair in BRACKETS if pair[0] != "oanda"])
def test_a_leg_that_fills_in_parts_leaves_the_other_for_the_rest(make_desk, venue, feature):
    """OANDA's legs close their trade in one fill (specification, TakeProfitOrder and StopLossOrder)."""
    desk, part = make_desk(venue), QUANTITIES[venue] * 4 / 10
    with desk.open() as adapter:
        entry = adapter.submit(group(desk, feature))
        desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue])
        same_as_at(desk, adapter)
        profit, _ = legs_at(desk)
        desk.exchange.fill(profit.order_id, part)
        report = same_as_at(desk, adapter)

        assert {S.PARTIALLY_FILLED, S.NEW} == {leg.status for leg in report.legs}
        desk.exchange.fill(profit.order_id, QUANTITIES[venue] - part)
        report = same_as_at(desk, adapter)

        assert {S.FILLED, S.CANCELED} == {leg.status for leg in report.legs}
        assert QUANTITIES[venue] == report.filled_quantity


@entries
def test_cancelling_an_entry_that_has_not_filled_ends_all(make_desk, venue, feature):
    desk = make_desk(venue)
    with desk.open() as adapter:
        adapter.submit(group(desk, feature))

        assert S.CANCELED is adapter.cancel("group").status
        assert [] == desk.exchange.open_orders()
        assert all(leg.status is S.CANCELED for leg in same_as_at(desk, adapter).legs)


@entries
@pytest.mark.parametrize("fills", ["and is known to", "unheard", "before the cancel is read"])
def test_cancelling_an_entry_that_has_filled_ends_its_legs(make_desk, venue, feature, fills):
    desk = make_desk(venue)
    with desk.open() as adapter:
        entry = adapter.submit(group(desk, feature))
        if fills == "before the cancel is read":
            desk.before("cancel", lambda: desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue]))
        else:
            desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue])
        if fills == "and is known to":
            same_as_at(desk, adapter)
        report = adapter.cancel("group")

        assert (S.FILLED, {S.CANCELED}) == (report.status, {leg.status for leg in report.legs})
        assert count(feature) + (fills != "and is known to") == desk.sent("cancel")
        assert ([], QUANTITIES[venue]) == (desk.exchange.open_orders(), desk.exchange.position(desk.symbol))
        same_as_at(desk, adapter)


@ocos
def test_cancelling_one_of_two_ends_both(make_desk, venue, feature):
    desk = make_desk(venue)
    desk.exchange.submit(bought(desk))
    with desk.open() as adapter:
        adapter.submit(group(desk, feature))
        report = adapter.cancel("group")

        assert (S.CANCELED, [S.CANCELED]) == (report.status, [leg.status for leg in report.legs])
        assert [] == desk.exchange.open_orders()
        assert agrees(adapter)


@brackets
@pytest.mark.parametrize("kind", FaultKind)
def test_a_lost_answer_leaves_one_group_with_its_legs(make_desk, venue, feature, kind):
    desk = make_desk(venue)
    with desk.open(timeout_s=0.4) as adapter:
        desk.server.plan = FaultPlan(
            [Fault(kind=kind, operation="submit", nth=1, delay_s=0.05, status=504 if "status" in kind else None)]
        )
        for _ in range(2):
            submitted(adapter, desk, feature)
            desk.server.plan = FaultPlan()
        entries = [order for order in desk.exchange.orders() if order.parent_id is None]
        if kind in NEVER_PROCESSED and venue != "alpaca":
            assert [] == entries
            return

        assert 1 == len(entries)
        desk.exchange.fill(entries[0].order_id, QUANTITIES[venue])
        report = same_as_at(desk, adapter)

        assert (S.FILLED, [S.NEW, S.NEW]) == (report.status, [leg.status for leg in report.legs])


def submitted(adapter, desk, feature):
    try:
        adapter.submit(group(desk, feature))
    except LogosError as error:
        assert isinstance(error, OutcomeUnknownError), error


@ocos
@pytest.mark.parametrize("kind", [FaultKind.ANSWER_DROPPED, FaultKind.RESET_DURING, FaultKind.TRUNCATED])
def test_a_lost_answer_leaves_one_pair(make_desk, venue, feature, kind):
    desk = make_desk(venue)
    desk.exchange.submit(bought(desk))
    with desk.open(timeout_s=0.4) as adapter:
        desk.server.plan = FaultPlan([Fault(kind=kind, operation="submit", nth=1)])
        submitted(adapter, desk, feature)

        assert (S.NEW, [S.NEW]) == (known(adapter).status, [leg.status for leg in known(adapter).legs])
        assert 2 == len(desk.exchange.open_orders())


@brackets
def test_legs_that_a_list_shows_alone_are_no_strangers(make_desk, venue, feature, monkeypatch):
    """Alpaca's specification rolls legs up under their order where that is asked for; here it does not."""
    monkeypatch.setattr(alpaca_app, "_is_nested", lambda request: not request.path.endswith("/orders"))
    desk = make_desk(venue)
    with desk.open() as adapter:
        entry = adapter.submit(group(desk, feature))
        same_as_at(desk, adapter)
        desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue])
        same_as_at(desk, adapter)
        desk.move(1.2)
    with desk.open() as adapter:
        same_as_at(desk, adapter)
        report = same_as_at(desk, adapter)

        assert {S.FILLED, S.CANCELED} == {leg.status for leg in report.legs}


@brackets
def test_a_forgotten_group_is_one_adopted_order_with_its_legs(make_desk, venue, feature):
    desk = make_desk(venue)
    with desk.open() as adapter:
        entry = adapter.submit(group(desk, feature))
        desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue])
        path = lose_ledger(desk)

        assert 1 == adopt_into(desk, adapter, path)
    with desk.open() as adapter:
        assert entry.venue_order_id == adapter.submit(group(desk, feature)).venue_order_id
        assert [S.NEW, S.NEW] == [leg.status for leg in same_as_at(desk, adapter).legs]
    assert 1 == desk.sent()


KILLED = """
    import os, signal, sys
    from logos_core import Adapter, Order
    adapter = Adapter.open(sys.argv[1])
    symbol, quantity, price, profit, loss = sys.argv[2:]
    adapter.submit(Order.limit(symbol, "buy", quantity=quantity, price=price, take_profit=profit, stop_loss=loss, intent_id="group"))
    adapter.reconcile()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@brackets
def test_a_session_that_is_killed_finds_its_legs_again(make_desk, venue, feature):
    """Killed after the entry was accepted; the entry fills, another session is left without a word, a leg fills."""
    desk = make_desk(venue)
    order = group(desk, feature)
    numbers = (order.quantity, order.price, order.take_profit.price, order.stop_loss.stop_price)
    process = desk.spawn(KILLED, desk.symbol, *map(str, numbers))
    _, said = process.communicate(timeout=60)

    assert -9 == process.returncode, said
    desk.exchange.fill(desk.exchange.orders()[0].order_id, order.quantity)
    left = desk.open()
    same_as_at(desk, left)
    desk.move(0.8)
    with desk.open() as adapter:
        same_as_at(desk, adapter)
        report = same_as_at(desk, adapter)

        assert {S.FILLED, S.CANCELED} == {leg.status for leg in report.legs}
        assert report == adapter.submit(order)
    left.close()
    assert 1 == desk.sent()


@entries
def test_an_entry_that_is_replaced_keeps_its_legs(make_desk, venue, feature):
    desk = make_desk(venue)
    total, price = QUANTITIES[venue] * 8 / 10, desk.price(0.91)
    with desk.open() as adapter:
        entry = adapter.submit(group(desk, feature))
        found = adapter.replace("group", intent_id="other", quantity=total, price=price)
        new, old = (desk.exchange.order(report.venue_order_id).request for report in (found.report, entry))

        assert (ReplaceEnding.REPLACED, total, price) == (found.ending, new.quantity, new.price)
        assert (old.take_profit, old.stop_loss) == (new.take_profit, new.stop_loss)
        assert all(leg.parent_id == found.report.venue_order_id for leg in legs_at(desk) if leg.is_open)
        assert agrees(adapter)
        desk.exchange.fill(found.report.venue_order_id, total)

        assert agrees(adapter)
        legs = adapter.ledger.find_intent("other")[0].report.legs
        assert [S.NEW] * count(feature) == [leg.status for leg in legs]
        assert total == sum(order.filled_quantity for order in desk.exchange.orders())


@entries
def test_an_entry_that_has_traded_is_not_replaced_away_from_what_protects_it(make_desk, venue, feature):
    """At Alpaca its legs would end with it."""
    desk = make_desk(venue)
    with desk.open() as adapter:
        entry = adapter.submit(group(desk, feature))
        desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue] * 3 / 10)
        before = desk.exchange.orders()
        with pytest.raises(OrderDeniedError, match="REPLACE_LINKED"):
            adapter.replace("group", intent_id="other", price=desk.price(0.91))

        assert before == desk.exchange.orders()


@entries
def test_what_an_entry_trades_while_it_is_cancelled_gets_no_second_set_of_legs(make_desk, venue, feature):
    desk = make_desk(venue)
    with desk.open() as adapter:
        entry = adapter.submit(group(desk, feature))
        desk.before("cancel", lambda: desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue] * 3 / 10))
        found = adapter.replace("group", intent_id="other", price=desk.price(0.91))

        assert (ReplaceEnding.GONE_NOT_REPLACED, QUANTITIES[venue] * 3 / 10) == (found.ending, found.filled_quantity)
        assert "look at what protects that" in found.why
        assert 1 == desk.sent()


@brackets
def test_an_entry_that_has_filled_is_not_replaced_and_its_legs_work_on(make_desk, venue, feature):
    desk = make_desk(venue)
    with desk.open() as adapter:
        entry = adapter.submit(group(desk, feature))
        desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue])

        assert ReplaceEnding.GONE_NOT_REPLACED is adapter.replace("group", intent_id="other", price=desk.price(0.91)).ending
        assert [S.NEW, S.NEW] == [leg.status for leg in same_as_at(desk, adapter).legs]


@ocos
def test_a_pair_of_exits_is_not_replaced_since_either_may_trade_meanwhile(make_desk, venue, feature):
    desk = make_desk(venue)
    desk.exchange.submit(bought(desk))
    with desk.open() as adapter:
        adapter.submit(group(desk, feature))
        before = desk.exchange.orders()
        with pytest.raises(OrderDeniedError, match="REPLACE_LINKED"):
            adapter.replace("group", intent_id="other", price=desk.price(1.15))

        assert before == desk.exchange.orders()


@brackets
def test_a_lookup_shows_the_legs(make_desk, venue, feature):
    desk = make_desk(venue)
    with desk.open() as adapter:
        entry = adapter.submit(group(desk, feature))
        desk.exchange.fill(entry.venue_order_id, QUANTITIES[venue])
        shown = adapter.lookup("group")

        assert isinstance(shown, Found)
        assert {Decimal(desk.price(1.2)), None} == {leg.price for leg in shown.report.legs}
        assert {Decimal(desk.price(0.8)), None} == {leg.stop_price for leg in shown.report.legs}
