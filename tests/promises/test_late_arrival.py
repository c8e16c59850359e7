"""An order that arrives after it was looked for and not seen: whatever is concluded from that, there is at most one.

What the presets can take for proof is taken for proof throughout. Where that is more than a venue promises, and turns out wrong, the second
order is on record and everything stops.
"""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from attrs import fields

from logos_core import Adapter, LogosError, Order, OrderDeniedError, presets, session
from logos_core.clock import ManualClock
from logos_core.lifecycle import IntentState
from logos_core.rails.absence import AbsencePolicy
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from tests.promises.conftest import VENUES, Desk
from tests.promises.kinds import QUANTITIES

ARRIVES_S, TIMEOUT_S, WAIT_S = 0.5, 0.2, 10.0
BELIEVING = "[absence]\n" + "".join(f"{switch.name} = true\n" for switch in fields(AbsencePolicy))
"""Every switch of the preset in the position that concludes most, one that is added later included."""
LONG_VALID = "[retry]\nvalid_for_s = 300\n"
"""So that whatever is concluded to be absent may be sent again."""


class LateDesk(Desk):
    """A desk on a clock that only the test moves, whose first order is held up on its way.

    Kraken's nonces are not looked at, or they would refuse a late request before its deadline does.
    """

    def __init__(self, folder: Path, venue: str, **beliefs: Any) -> None:
        self.clock = ManualClock()
        beliefs |= {"nonce_enforced": False} if venue == "ccxt:kraken" else {}
        super().__init__(folder, venue, now=self.clock.now, **beliefs)

    def hold_up(self) -> None:
        """Let the next order arrive only when its sender has given up."""
        self.server.plan = FaultPlan([Fault(kind=FaultKind.LATE_ARRIVAL, operation="submit", nth=1, delay_s=ARRIVES_S)])

    def open_late(self) -> Adapter:
        preset = presets.load(self.preset(timeout_s=TIMEOUT_S, extra=BELIEVING + LONG_VALID))
        environ = {"LOGOS_SIMULATOR_KEY": "k"}
        home = session.home_of(self.home, environ)
        venue = session.bind(preset, environ, self.clock, home)
        return Adapter(session._compose(preset, venue, session.identify(venue, preset), home, self.clock))

    def order(self, *, rests: bool) -> Order:
        quantity = QUANTITIES[self.venue]
        if rests:
            return Order.limit(self.symbol, "buy", quantity=quantity, price=self.price("0.9"), intent_id="late")
        return Order.market(self.symbol, "buy", quantity=quantity, intent_id="late")

    def let_it_arrive(self) -> None:
        end_s = time.monotonic() + WAIT_S
        while not self.server.faults_applied[0].processed:
            assert time.monotonic() < end_s
            time.sleep(0.01)


def ask(adapter: Adapter, order: Order) -> None:
    """Submit it, whatever comes of that."""
    try:
        adapter.submit(order)
    except LogosError:
        return


@pytest.mark.parametrize("asks", ["before it arrives", "after it has arrived", "only hours later"])
@pytest.mark.parametrize("rests", [True, False])
@pytest.mark.parametrize("venue", VENUES)
def test_what_arrives_after_it_was_not_seen_is_at_most_one_order(venue, rests, asks, tmp_path):
    desk = LateDesk(tmp_path, venue)
    order = desk.order(rests=rests)
    desk.hold_up()
    with desk.server, desk.open_late() as adapter:
        ask(adapter, order)
        if asks == "only hours later":
            desk.clock.sleep(2 * 3600)
        if asks != "before it arrives":
            desk.let_it_arrive()
        for _ in range(3):
            ask(adapter, order)
            desk.clock.sleep(60)
        desk.let_it_arrive()
        ask(adapter, order)
        adapter.recover()
        adapter.reconcile()
        held = desk.exchange.orders()
        (state,) = (recorded.state for recorded in adapter.ledger.recorded(2))

        assert len(held) <= 1
        assert [] == adapter.ledger.duplicates() == adapter.ledger.latched()
        assert (not held) == (state in {IntentState.UNKNOWN, IntentState.NOT_PLACED})


@pytest.mark.parametrize("rests", [True, False])
def test_a_gateways_window_that_was_no_proof_makes_no_second_order_that_nobody_knows(rests, tmp_path):
    """Whoever takes it for proof has accepted that a request which passed the gateway in time may be matched later."""
    matched, first = threading.Event(), threading.Lock()
    desk = LateDesk(
        tmp_path, "ccxt:binance", engine_delay_s=60.0, wait=lambda _: first.acquire(blocking=False) and matched.wait(WAIT_S)
    )
    order = desk.order(rests=rests)
    with desk.server, desk.open_late() as adapter:
        ask(adapter, order)
        desk.clock.sleep(60)
        ask(adapter, order)
        known = len(desk.exchange.transactions())
        matched.set()
        end_s = time.monotonic() + WAIT_S
        while known == len(desk.exchange.transactions()):
            assert time.monotonic() < end_s
            time.sleep(0.01)
        adapter.reconcile()

        assert (1 if rests else 2) == len(desk.exchange.orders())  # an open order keeps its id; one that has filled does not
        assert rests == (not adapter.ledger.duplicates()) == (not adapter.ledger.latched())
        if not rests:
            with pytest.raises(OrderDeniedError):
                adapter.submit(Order.market(desk.symbol, "buy", quantity="0.01", intent_id="another"))
