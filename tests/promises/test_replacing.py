"""Replacing and cancelling against every fault and every race, with the venue's own record as the judge.

The venue is asked, not logos: what it holds open and what it has traded, in all, is never more than was decided, and it is what the
ledger says once the venue answers again.
"""

from decimal import Decimal
from functools import partial

import pytest
from attrs import evolve

from logos_core import LogosError, Order, OrderDeniedError
from logos_core.cancellation import Cancellation
from logos_core.orders import OrderStatus
from logos_core.replacing import ReplaceEnding
from logos_core.testing.faults import Fault, FaultKind, FaultPlan

pytestmark = pytest.mark.usefixtures("hasty")
TEN, THREE, FIVE, EIGHT = Decimal(10), Decimal(3), Decimal(5), Decimal(8)
NEVER_PROCESSED = {
    FaultKind.REQUEST_DROPPED,
    FaultKind.STATUS_BEFORE,
    FaultKind.RATE_LIMITED,
    FaultKind.RESET_BEFORE,
    FaultKind.REDIRECT,
}
"""Of an order that was lost on its way, only Alpaca's id lets it be sent again; elsewhere it stays unknown, for a person."""


class Judge:
    """What the venue's own record says, by code that shares nothing with logos."""

    def __init__(self, desk) -> None:
        self.exchange = desk.server.app.exchange

    @property
    def traded(self) -> Decimal:
        return sum((order.filled_quantity for order in self.exchange.orders()), Decimal(0))

    @property
    def working(self) -> Decimal:
        return sum((order.leaves_quantity for order in self.exchange.open_orders()), Decimal(0))

    def of(self, client_order_id: str):
        return self.exchange.orders_with(client_order_id)


@pytest.fixture
def judge(desk) -> Judge:
    return Judge(desk)


def resting(desk, quantity=TEN, intent_id="first") -> Order:
    return Order.limit(desk.symbol, "buy", quantity=quantity, price=desk.resting_price, intent_id=intent_id)


def better(desk) -> Decimal:
    return Decimal(desk.resting_price) * Decimal("1.01")


def agreed(adapter) -> bool:
    """Whether ledger and venue tell the same once everything is found out."""
    adapter.recover()
    found = adapter.reconcile()
    return not (found.missing_remote or found.untracked_remote or found.different or found.duplicates or adapter.ledger.latched())


def test_a_replacement_leaves_one_order_with_the_new_numbers(desk, judge):
    with desk.open() as adapter:
        first = adapter.submit(resting(desk))
        found = adapter.replace("first", intent_id="second", price=better(desk), quantity=EIGHT)

        assert (ReplaceEnding.REPLACED, EIGHT, better(desk)) == (found.ending, found.report.quantity, found.report.price)
        assert (EIGHT, Decimal(0)) == (judge.working, judge.traded)
        assert first.venue_order_id == found.original.venue_order_id != found.report.venue_order_id
        assert agreed(adapter)


def test_the_same_replacement_again_after_a_restart_is_the_same_order(desk, judge):
    with desk.open() as adapter:
        adapter.submit(resting(desk))
        first = adapter.replace("first", intent_id="second", price=better(desk))
    with desk.open() as adapter:
        again = adapter.replace("first", intent_id="second", price=better(desk))

    assert first.report.venue_order_id == again.report.venue_order_id
    assert TEN == judge.working


def test_what_has_traded_is_not_placed_again_over_a_chain_of_replacements(desk, judge):
    with desk.open() as adapter:
        first = adapter.submit(resting(desk))
        judge.exchange.fill(first.venue_order_id, THREE)
        second = adapter.replace("first", intent_id="second", price=better(desk))
        judge.exchange.fill(second.report.venue_order_id, Decimal(2))
        third = adapter.replace("second", intent_id="third", quantity=EIGHT)

        assert (Decimal(3), Decimal(5)) == (third.report.quantity, third.filled_quantity)
        assert (Decimal(3), Decimal(5)) == (judge.working, judge.traded)
        assert agreed(adapter)


def test_whoever_cancels_an_order_by_its_old_name_ends_the_one_that_took_its_place(desk, judge):
    with desk.open() as adapter:
        adapter.submit(resting(desk))
        adapter.replace("first", intent_id="second", price=better(desk))
        third = adapter.replace("second", intent_id="third", quantity=EIGHT).report
        ended = adapter.cancel("first")

        assert (third.client_order_id, "canceled") == (ended.client_order_id, ended.status.value)
        assert (Decimal(0), 3) == (judge.working, len(judge.exchange.orders()))
        assert agreed(adapter)


class Killed(BaseException):
    """The process ends here."""


def test_a_replacement_that_was_begun_ends_an_order_that_has_traded_all_that_was_decided(desk, judge, monkeypatch):
    with desk.open() as adapter:
        first = adapter.submit(resting(desk))
        judge.exchange.fill(first.venue_order_id, THREE)
        adapter.reconcile()
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Cancellation, "cancel", lambda *_: (_ for _ in ()).throw(Killed))
            adapter.replace("first", intent_id="second", quantity=FIVE)
        judge.exchange.fill(first.venue_order_id, THREE)
        found = adapter.replace("first", intent_id="second", quantity=FIVE)

        assert (ReplaceEnding.GONE_NOT_REPLACED, Decimal(6)) == (found.ending, found.filled_quantity)
        assert (Decimal(0), Decimal(6), 1) == (judge.working, judge.traded, len(judge.exchange.orders()))
        assert agreed(adapter)


def falsely_ended(desk, adapter, judge):
    """Let the ledger hold an order for cancelled that the venue works on: a stream told the wrong thing."""
    first = adapter.submit(resting(desk))
    judge.exchange.fill(first.venue_order_id, THREE)
    adapter.reconcile()
    recorded = adapter.ledger.find(first.client_order_id)
    adapter.ledger.apply_report(evolve(recorded.report, status=OrderStatus.CANCELED), {"source": "stream"})


def test_a_false_end_on_record_lets_no_replacement_stand_beside_the_order(desk, judge):
    with desk.open() as adapter:
        falsely_ended(desk, adapter, judge)
        adapter.replace("first", intent_id="second", quantity=EIGHT)

        assert (EIGHT - THREE, THREE, 1) == (judge.working, judge.traded, len(judge.exchange.open_orders()))


def test_a_cancel_returns_what_the_venue_shows_and_not_a_false_end_on_record(desk, judge):
    with desk.open() as adapter:
        falsely_ended(desk, adapter, judge)
        desk.server.plan = FaultPlan([Fault(kind=FaultKind.REQUEST_DROPPED, operation="cancel", nth=1)])

        assert not adapter.cancel("first").status.is_final
        assert adapter.cancel("first").status.is_final
        assert Decimal(0) == judge.working


def test_a_reconciliation_tells_of_an_order_that_works_on_although_it_ended_on_record(desk, judge):
    with desk.open() as adapter:
        falsely_ended(desk, adapter, judge)
        found = adapter.reconcile()

        assert ("differs", {"state"}) == (found.verdict.value, {row.field for row in found.different})
        assert adapter.ledger.latched()


def test_a_reference_with_another_symbol_moves_nothing(desk, judge):
    with desk.open() as adapter:
        adapter.submit(resting(desk))
        right = adapter.ledger.working()[0].reference()
        wrong = evolve(right, symbol="NO/SUCH")
        acts = (partial(adapter.replace, wrong, intent_id="second", quantity=EIGHT), partial(adapter.cancel, wrong))
        for act in acts:
            with pytest.raises(LookupError, match="the reference says 'NO/SUCH'"):
                act()

        assert (TEN, 1) == (judge.working, len(judge.exchange.orders()))
        assert adapter.cancel(right).status.is_final


def test_an_order_that_was_replaced_is_replaced_no_more_and_the_denial_names_the_one_in_its_place(desk, judge):
    with desk.open() as adapter:
        adapter.submit(resting(desk))
        adapter.replace("first", intent_id="second", quantity=EIGHT)
        with pytest.raises(OrderDeniedError, match=r"'second' took its place and is (pending_)?new; .*REPLACE_SUCCEEDED") as denied:
            adapter.replace("first", intent_id="third", price=better(desk))

        assert "REPLACE_SUCCEEDED" == denied.value.reason
        assert (EIGHT, 2) == (judge.working, len(judge.exchange.orders()))


def test_an_order_that_fills_first_is_gone_and_not_replaced(desk, judge):
    with desk.open() as adapter:
        first = adapter.submit(resting(desk))
        judge.exchange.fill(first.venue_order_id, TEN)

        assert ReplaceEnding.GONE_NOT_REPLACED is adapter.replace("first", intent_id="second", price=better(desk)).ending
        assert (Decimal(0), TEN) == (judge.working, judge.traded)
        assert agreed(adapter)


@pytest.mark.parametrize("operation", ["cancel", "submit"])
@pytest.mark.parametrize("kind", FaultKind)
def test_whatever_goes_wrong_no_quantity_is_freed_twice_and_it_is_found_out(desk, judge, kind, operation):
    """A part has traded, so the order is cancelled and placed anew; whichever step a fault hits, the books agree in the end."""
    with desk.open(timeout_s=0.4) as adapter:
        first = adapter.submit(resting(desk))
        judge.exchange.fill(first.venue_order_id, THREE)
        desk.server.plan = FaultPlan([Fault(kind=kind, operation=operation, nth=1, delay_s=0.05)])
        _replace(adapter, desk, EIGHT)

        assert judge.working + judge.traded <= EIGHT or (judge.working, judge.traded) == (Decimal(7), THREE)

        desk.server.plan = FaultPlan()
        ending = _replace(adapter, desk, EIGHT)
        lost_for_good = operation == "submit" and kind in NEVER_PROCESSED and desk.venue != "alpaca"

        assert lost_for_good == (ending is None)
        assert judge.working + judge.traded <= (EIGHT if ending is not ReplaceEnding.ORIGINAL_STANDS else TEN)
        assert 1 >= len(judge.exchange.open_orders())
        assert agreed(adapter)


def test_what_trades_before_the_venue_reads_the_request_is_not_placed_again(desk, judge):
    """Binance and OANDA are asked to replace, and refuse an order that trades; elsewhere it is cancelled, and what is left is placed."""
    native = desk.venue not in {"alpaca", "ccxt:kraken"}
    with desk.open() as adapter:
        first = adapter.submit(resting(desk))
        desk.before("replace" if native else "cancel", lambda: judge.exchange.fill(first.venue_order_id, THREE))
        found = adapter.replace("first", intent_id="second", price=better(desk), quantity=EIGHT)

        assert (ReplaceEnding.ORIGINAL_STANDS if native else ReplaceEnding.REPLACED) is found.ending
        assert (TEN if native else EIGHT, THREE) == (judge.working + judge.traded, judge.traded)
        assert agreed(adapter)


def test_alpacas_own_request_may_place_twice_what_trades_and_is_used_only_where_that_is_accepted(alpaca):
    judge = Judge(alpaca)
    with alpaca.open(extra=OVERLAP) as adapter:
        first = adapter.submit(resting(alpaca))
        alpaca.before("replace", lambda: judge.exchange.fill(first.venue_order_id, THREE))
        found = adapter.replace("first", intent_id="second", price=better(alpaca), quantity=EIGHT)

        assert (Decimal(0), THREE) == (judge.working, judge.traded)
        assert "traded while it was replaced" in found.why


OVERLAP = "[replace]\naccepts_overlap = true\n"


@pytest.mark.parametrize("kind", FaultKind)
def test_whatever_goes_wrong_with_the_venues_own_request_one_order_stands(desk, judge, kind):
    with desk.open(timeout_s=0.4, extra=OVERLAP) as adapter:
        adapter.submit(resting(desk))
        desk.server.plan = FaultPlan([Fault(kind=kind, operation="replace", nth=1, delay_s=0.05)])
        ending = _replace(adapter, desk, EIGHT)
        desk.server.plan = FaultPlan()

        assert (judge.working, judge.traded) in {(EIGHT, Decimal(0)), (TEN, Decimal(0))}
        assert 1 == len(judge.exchange.open_orders())
        if ending is None:
            _replace(adapter, desk, EIGHT)
        assert 1 >= sum(request.operation == "replace" for request in desk.server.wire)
        assert not adapter.ledger.latched()


def _replace(adapter, desk, quantity) -> ReplaceEnding | None:
    try:
        ending: ReplaceEnding = adapter.replace("first", intent_id="second", price=better(desk), quantity=quantity).ending
        return ending
    except LogosError:
        return None
