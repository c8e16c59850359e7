"""A venue, and what it really holds.

It keeps its own promises, as its capabilities state them: the rule for ids, an engine's deadline, how soon it shows an order. The
client's beliefs are not asked.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

from attrs import define, evolve

from campaign.faults import Faults, error
from campaign.scheduler import Scheduler, SimulatedClock
from logos_core.capabilities import Capabilities, ExpiryKind, Uniqueness
from logos_core.hookspecs import CancelReceipt, Category, Operation, Outcome
from logos_core.orders import OrderRequest, OrderStatus, OrderType
from logos_core.reports import Execution, ExecutionReport, Fee
from logos_core.testing.scripted import ScriptedError

PRICE = Decimal(100)


@define
class Held:
    """What the venue really has of one order.

    Attributes:
        shown_at_s: from when on it is shown.
    """

    report: ExecutionReport
    created_at: datetime
    shown_at_s: float


class World:
    """What is outside of every process.

    Attributes:
        held: the venue's orders, oldest first.
        asked: how many requests of each kind were begun.
        submits: the client order ids of every request for an order whose first byte left, in order.
        faults: what goes wrong with what is sent.
        at_once: how many limit orders trade as soon as they come.
        is_on_record: says whether some ledger knows a venue's order.
        sessions: how many were begun.
    """

    def __init__(self, able: Capabilities, scheduler: Scheduler, random: Random) -> None:
        self.able = able
        self.scheduler = scheduler
        self.clock = SimulatedClock(scheduler)
        self.random = random
        self.held: list[Held] = []
        self.executions: list[Execution] = []
        self.asked: Counter[Operation] = Counter()
        self.submits: list[str] = []
        self.faults = Faults(random, self.clock)
        self.at_once = 0.2
        self.sessions = 0
        self.on_first_byte: Callable[[str], None] = lambda _: None
        self.is_on_record: Callable[[str], bool] = lambda _: False

    # -------------------------------------------------------------------------------------------------- what the venue does

    def place(self, request: OrderRequest, deadline: datetime) -> ExecutionReport | ScriptedError:
        """Take an order, or refuse it."""
        if self.able.expiry.kind is ExpiryKind.ENGINE and self.clock.true_time() > deadline:
            return error(Outcome.REJECTED, Category.INVALID_ORDER, "deadline elapsed")
        if self._is_taken(request.client_order_id):
            return error(Outcome.DUPLICATE, Category.DUPLICATE, "the id is taken")
        report = _report(request, f"v{len(self.held) + 1}", self.clock.true_time())
        lag_s = self.random.random() * self.able.client_ids.visibility_lag_s
        self.held.append(Held(report, self.clock.now(), self.scheduler.now_s + lag_s))
        if request.order_type is OrderType.MARKET:
            self.trade(self.held[-1], Decimal(1))
        elif self.random.random() < self.at_once:
            self.trade(self.held[-1], self.random.choice((Decimal("0.5"), Decimal(1))))
        return self.held[-1].report

    def replace(self, request: OrderRequest, deadline: datetime) -> ExecutionReport | ScriptedError:
        """Put an order in another's place."""
        original = next((held for held in self.held if held.report.venue_order_id == request.in_place_of), None)
        gone = error(Outcome.ABSENT, Category.NOT_FOUND, "there is no such order to replace")
        if original is None or original.report.status.is_final:
            return gone
        if original.report.filled_quantity and self.able.replace.atomic:
            return gone
        new = self.place(request, deadline)
        if isinstance(new, ExecutionReport) and not original.report.status.is_final:
            successor = new.venue_order_id if self.able.replace.tells_successor else None
            original.report = evolve(
                original.report, status=OrderStatus.CANCELED, replaced_by=successor, venue_time=self.clock.true_time()
            )
        return new

    def cancel(self, venue_order_id: str | None, client_order_id: str) -> CancelReceipt | ScriptedError:
        """End an order that is open."""
        for held in reversed(self.held):
            report = held.report
            named = report.venue_order_id == venue_order_id if venue_order_id else report.client_order_id == client_order_id
            if named and not report.status.is_final:
                held.report = evolve(report, status=OrderStatus.CANCELED, venue_time=self.clock.true_time())
                return CancelReceipt()
        return error(Outcome.REJECTED, Category.NOT_FOUND, "there is no open order like that")

    def trade(self, held: Held, share: Decimal) -> None:
        """Let a share of what is left of an order trade."""
        report, quantity = held.report, held.report.quantity
        assert quantity is not None, "every order here has one"
        if report.status.is_final:
            return
        left = quantity - report.filled_quantity
        done = left if share == 1 else max((left * share).quantize(Decimal("0.001")), Decimal("0.001"))
        execution = Execution(
            execution_id=f"t{len(self.executions) + 1}",
            venue_order_id=report.venue_order_id,
            client_order_id=report.client_order_id,
            symbol=report.symbol,
            side=report.side,
            quantity=done,
            price=report.price or PRICE,
            fees=(Fee(amount=Decimal("0.01"), asset="USDT"),),
            executed_at=self.clock.true_time(),
        )
        self.executions.append(execution)
        filled = report.filled_quantity + done
        held.report = evolve(
            report,
            filled_quantity=filled,
            average_price=report.price or PRICE,
            status=OrderStatus.FILLED if filled == quantity else OrderStatus.PARTIALLY_FILLED,
            executions=(*report.executions, execution),
            venue_time=self.clock.true_time(),
        )

    def repeat(self, act: Callable[[], object], order: OrderRequest | None) -> None:
        """Let a request arrive a second time, unless the venue itself would make a second order of it: nothing here can help that."""
        if order is None or self._is_taken(order.client_order_id):
            act()

    def move(self) -> None:
        """Let something happen to an open order of its own accord."""
        open_orders = [held for held in self.held if not held.report.status.is_final]
        if open_orders:
            held = self.random.choice(open_orders)
            if self.random.random() < 0.8:
                self.trade(held, self.random.choice((Decimal("0.3"), Decimal("0.5"), Decimal(1))))
            else:
                held.report = evolve(held.report, status=OrderStatus.EXPIRED, venue_time=self.clock.true_time())

    def shown(self, *, stale: bool = False) -> list[ExecutionReport]:
        """Return the orders that the venue shows by now; stale, those that it must show."""
        lag_s = self.able.client_ids.visibility_lag_s
        now_s = self.scheduler.now_s
        return [
            held.report for held in self.held if held.shown_at_s <= now_s and not (stale and now_s < self._arrived_s(held) + lag_s)
        ]

    def _arrived_s(self, held: Held) -> float:
        return (held.created_at - self.clock.off_by - self.clock.true_time()).total_seconds() + self.scheduler.now_s

    def _is_taken(self, client_order_id: str) -> bool:
        same = [held.report for held in self.held if held.report.client_order_id == client_order_id]
        ever = self.able.client_ids.uniqueness is Uniqueness.EVER
        return bool(same) if ever else any(not report.status.is_final for report in same)


def as_held(report: ExecutionReport) -> dict[str, Any]:
    """Return a venue's order as the oracle takes it. That it was recorded before is looked at when its first byte leaves."""
    return {
        "client_order_id": report.client_order_id,
        "venue_order_id": report.venue_order_id,
        "symbol": report.symbol,
        "side": report.side.value,
        "status": report.status.value,
        "quantity": f"{report.quantity:f}",
        "filled_quantity": f"{report.filled_quantity:f}",
        "created_at": "9999-01-01T00:00:00+00:00",
        "executions": [
            {"trade_id": item.execution_id, "quantity": str(item.quantity), "price": str(item.price),
             "fee": {"asset": item.fees[0].asset, "amount": str(item.fees[0].amount)}}
            for item in report.executions
        ],
    }  # fmt: skip


def _report(request: OrderRequest, venue_order_id: str, now: datetime) -> ExecutionReport:
    return ExecutionReport(
        client_order_id=request.client_order_id,
        venue_order_id=venue_order_id,
        symbol=request.symbol,
        side=request.side,
        order_type=request.order_type,
        quantity=request.quantity,
        price=request.price,
        time_in_force=request.time_in_force,
        status=OrderStatus.NEW,
        filled_quantity=Decimal(0),
        average_price=None,
        venue_time=now,
    )
