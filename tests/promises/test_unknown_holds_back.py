"""Beside an order of which nobody knows whether it exists nothing new is sent, at any venue; the venue's own record is the judge."""

import time

import pytest

from logos_core import Order, OrderDeniedError, OutcomeUnknownError
from logos_core.lifecycle import IntentState as S
from logos_core.testing.faults import Fault, FaultKind, FaultPlan

pytestmark = pytest.mark.usefixtures("hasty")
ACCOUNT = '[unknown]\nholds = "account"\n'
NOTHING = '[unknown]\nholds = "none"\n'
OTHERS = {"alpaca": "MSFT", "oanda": "USD_JPY", "ccxt:binance": "ETH/USDT", "ccxt:kraken": "ETH/USD"}


def resting(desk, intent_id, **changes):
    return Order.limit(desk.symbol, "buy", **{"quantity": 10, "price": desk.resting_price, "intent_id": intent_id, **changes})


def lose(desk, adapter, *, accepted, intent_id="lost"):
    """Submit an order whose answer never comes, at a venue that cannot be asked until later."""
    kind = FaultKind.RESET_AFTER if accepted else FaultKind.RESET_BEFORE
    desk.server.plan = FaultPlan([Fault(kind=kind, operation="submit"), Fault(kind=FaultKind.RESET_BEFORE, operation="lookup")])
    with pytest.raises(OutcomeUnknownError):
        adapter.submit(resting(desk, intent_id))
    desk.server.plan = FaultPlan()


def held():
    return pytest.raises(OrderDeniedError, match="UNKNOWN_OUTCOME_OPEN")


@pytest.mark.parametrize("accepted", [True, False])
def test_nothing_new_leaves_beside_an_unknown_order_in_any_session(desk, accepted):
    with desk.open(timeout_s=0.5) as adapter, desk.open(strategy="another") as other:
        lose(desk, adapter, accepted=accepted)
        before = desk.sent()
        for session in (adapter, other):
            with held() as caught:
                session.submit(resting(desk, "two"))

        assert before == desk.sent()
        assert "'lost'" in str(caught.value) and desk.symbol in str(caught.value)
        assert int(accepted) == len(desk.exchange.open_orders())


def test_once_it_is_found_the_others_go(desk):
    with desk.open(timeout_s=0.5) as adapter:
        lose(desk, adapter, accepted=True)
        adapter.submit(resting(desk, "lost"))
        adapter.submit(resting(desk, "two"))

        assert 2 == len(desk.exchange.open_orders())


def test_a_restart_forgets_no_doubt(desk):
    with desk.open(timeout_s=0.5) as adapter:
        lose(desk, adapter, accepted=False)
    with desk.open() as adapter:  # which recovers, and does not find it
        assert ["lost"] == [recorded.intent_id for recorded in adapter.ledger.unsettled() if recorded.state is S.UNKNOWN]
        with held():
            adapter.submit(resting(desk, "two"))


DIES = """
    import sys
    from logos_core import Adapter, Order
    adapter = Adapter.open(sys.argv[1])
    adapter.submit(Order.limit(sys.argv[2], "buy", quantity=10, price=sys.argv[3], intent_id="lost"))
"""


@pytest.mark.parametrize("kind", [FaultKind.REQUEST_DROPPED, FaultKind.ANSWER_DROPPED])
def test_what_a_session_died_over_holds_back_one_that_lives_before_anybody_recovers(desk, kind):
    with desk.open(timeout_s=2.0, strategy="lives") as adapter:
        desk.server.plan = FaultPlan([Fault(kind=kind, operation="submit")])
        dies = desk.spawn(DIES, desk.symbol, desk.resting_price)
        while not desk.sent():
            time.sleep(0.01)
        dies.kill()
        dies.communicate(timeout=10)
        desk.server.plan = FaultPlan()
        with held() as caught:
            adapter.submit(resting(desk, "two"))

        assert "'lost'" in str(caught.value)
        assert 1 == desk.sent()
        adapter.recover()
        if kind is FaultKind.ANSWER_DROPPED:
            assert not adapter.submit(resting(desk, "two")).status.is_final


def test_a_working_order_is_not_lost_to_a_replacement_that_would_be_denied(desk):
    with desk.open(timeout_s=0.5) as adapter:
        adapter.submit(resting(desk, "works"))
        lose(desk, adapter, accepted=False)
        with held():
            adapter.replace("works", intent_id="more", quantity=12)

        assert [10] == [order.leaves_quantity for order in desk.exchange.open_orders()]
        assert 0 == desk.sent("cancel") + desk.sent("replace")
        assert adapter.cancel("works").status.is_final


def test_what_the_preset_says_waits_and_no_more(desk):
    other = resting(desk, "elsewhere")
    with desk.open(timeout_s=0.5, strategy="careful", extra=ACCOUNT) as careful, desk.open(strategy="free", extra=NOTHING) as free:
        lose(desk, careful, accepted=False)
        with held():
            careful.submit(other)
        free.submit(other)

        assert 1 == len(desk.exchange.open_orders())


def test_a_replacement_in_doubt_is_finished_under_its_own_name(desk):
    with desk.open(timeout_s=0.5) as adapter:
        adapter.submit(resting(desk, "works"))
        faults = [Fault(kind=FaultKind.RESET_AFTER, operation=operation) for operation in ("submit", "replace")]
        desk.server.plan = FaultPlan([*faults, Fault(kind=FaultKind.RESET_BEFORE, operation="lookup", nth=None)])
        with pytest.raises(OutcomeUnknownError):
            adapter.replace("works", intent_id="less", quantity=8)
        desk.server.plan = FaultPlan()
        found = adapter.replace("works", intent_id="less", quantity=8)

        assert ["8"] == [f"{order.leaves_quantity:f}" for order in desk.exchange.open_orders()]
        assert found.report is not None and not found.report.status.is_final
