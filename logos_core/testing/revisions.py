"""Change what stands: replace or amend an order, correct or bust a trade. A refused change changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from logos_core.testing.engine import Engine, executed
from logos_core.testing.market import ZERO, BadQuantity, ExecutionKind, NotCancelable, OrderStatus, Refusal, TradeNotFound
from logos_core.testing.records import OrderRequest, SimulatedExecution, SimulatedOrder


class Revisions:
    """Revise an engine's orders and trades."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # Orders

    def replace(self, order_id: str, request: OrderRequest) -> SimulatedOrder:
        """End an order and put a new one in its place, or raise what refuses that and change neither."""
        original = self._standing(order_id)
        order = self._revised(original, request, self._engine.draft(request, self._engine.journal.next_id + 1))
        order = self._change(original, replace(order, replaces=original.order_id))
        self._engine.record("replace", original, status=OrderStatus.REPLACED, reason="replaced", replaced_by=order.order_id)
        self._engine.journal.append("order", order)
        self._relink(original, order)
        return self._engine.advance(order.order_id, takes=True)

    def begin(self, order_id: str, request: OrderRequest) -> SimulatedOrder:
        """Accept an order that is to take the place of another, which works until `finish`; the dearer one is covered."""
        original = self._standing(order_id)
        order = self._engine.draft(request, self._engine.journal.next_id)
        books = self._engine.books.snapshot()
        try:
            order = self._engine.admit(order, instead_of=order_id)
            if original.status is not OrderStatus.HELD:
                self._engine.hold(original, order, *self._engine.working(original.linked_ids))
        except Refusal as refusal:
            self._engine.books.restore(books)
            self._engine.reject(order, refusal)
            raise
        return self._engine.journal.append("order", replace(order, status=OrderStatus.HELD, replaces=order_id))

    def finish(self, order_id: str, quantity: Decimal | None, *, rejected: bool) -> SimulatedOrder:
        """Let the order that waits take the other's place, unless that has ended, or it is itself rejected."""
        order = self._engine.open(order_id)
        if not self._is_pending(order):
            raise NotCancelable(f"order {order_id} does not wait to replace another", order.status.value)
        original = self._engine.journal.latest(order.replaces or "")
        order = replace(order, quantity=order.quantity if quantity is None else quantity, status=OrderStatus.NEW)
        if rejected or not original.is_open or order.quantity <= ZERO:
            return self._lose(order)
        self._engine.record("replace", original, status=OrderStatus.REPLACED, reason="replaced", replaced_by=order_id)
        order = self._engine.record("activate", self._revised(original, order.request, order))
        others = [key for key in self._engine.books.sharers(original.order_id) if key not in {original.order_id, order_id}]
        self._engine.books.leave(original.order_id)
        if order.status is not OrderStatus.HELD:
            self._engine.hold(order, *map(self._engine.journal.latest, others), check=False)
        self._relink(original, order)
        return self._engine.advance(order_id, takes=True)

    def _lose(self, order: SimulatedOrder) -> SimulatedOrder:
        self._engine.rehold(order.order_id, without=True)
        return self._engine.record("lose", order, status=OrderStatus.REJECTED, reason="replace_rejected")

    def amend(self, order_id: str, *, changes: Mapping[str, Any]) -> SimulatedOrder:
        """Change an order that keeps its id; a quantity includes what was filled."""
        original = self._standing(order_id)
        request = replace(original.request, **{"quantity": original.quantity, "notional": None, **changes})
        revised = replace(self._revised(original, request, original), updated_at=self._engine.rules.now())
        revised = self._change(original, revised)
        self._engine.journal.append("amend", revised)
        return self._engine.advance(order_id, takes=True)

    def _standing(self, order_id: str) -> SimulatedOrder:
        """Return an open order that neither waits to take another one's place nor is about to lose its own."""
        order = self._engine.open(order_id)
        if self._is_pending(order):
            raise NotCancelable(f"order {order_id} does not stand yet", "pending_new")
        if any(other.replaces == order_id and self._is_pending(other) for other in self._engine.journal.orders()):
            raise NotCancelable(f"order {order_id} is being replaced", "pending_replace")
        return order

    def _is_pending(self, order: SimulatedOrder) -> bool:
        if order.status is not OrderStatus.HELD or order.replaces is None:
            return False
        return self._engine.journal.latest(order.replaces).replaced_by != order.order_id

    @staticmethod
    def _revised(original: SimulatedOrder, request: OrderRequest, order: SimulatedOrder) -> SimulatedOrder:
        """Let what the original was to other orders, and what its stop has seen, pass to the changed order."""
        return replace(
            order, request=request, status=OrderStatus.HELD if original.status is OrderStatus.HELD else order.status,
            parent_id=original.parent_id, leg_ids=original.leg_ids, linked_ids=original.linked_ids, group_id=original.group_id,
            triggered=original.triggered and request.stop_price == original.request.stop_price,
            high_water_mark=original.high_water_mark,
        )  # fmt: skip

    def _change(self, original: SimulatedOrder, revised: SimulatedOrder) -> SimulatedOrder:
        books = self._engine.books.snapshot()
        others = [key for key in self._engine.books.sharers(original.order_id) if key != original.order_id]
        try:
            self._engine.books.leave(original.order_id)
            revised = self._engine.admit(revised, instead_of=original.order_id)
            if revised.leaves_quantity <= ZERO:
                raise BadQuantity(f"{revised.filled_quantity} is filled already", "positive")
            if revised.status is not OrderStatus.HELD:
                self._engine.hold(revised, *map(self._engine.journal.latest, others))
        except Refusal as refusal:
            self._engine.books.restore(books)
            self._engine.reject(revised, refusal)
            raise
        return revised

    def _relink(self, old: SimulatedOrder, new: SimulatedOrder) -> None:
        """Let every order that named the old one name the new one; legs that wait take its quantity."""
        for order_id in (*old.linked_ids, *old.leg_ids, *((old.parent_id,) if old.parent_id else ())):
            order = self._engine.journal.latest(order_id)
            linked_ids, leg_ids = (
                tuple(new.order_id if key == old.order_id else key for key in keys) for keys in (order.linked_ids, order.leg_ids)
            )
            parent_id = new.order_id if order.parent_id == old.order_id else order.parent_id
            quantity = new.quantity if order.status is OrderStatus.HELD and order_id in old.leg_ids else order.quantity
            after = replace(order, linked_ids=linked_ids, leg_ids=leg_ids, parent_id=parent_id, quantity=quantity)
            if after != order:
                self._engine.record("link", after)

    # Trades

    def revise(self, trade_id: str, kind: ExecutionKind, quantity: Decimal | None, price: Decimal | None) -> SimulatedOrder:
        """Correct or bust a trade and its money; what is left of an open order changes, an ended one stays ended."""
        order, trade = self._trade(trade_id)
        quantity, price = quantity or trade.quantity, price or trade.price
        if quantity > trade.quantity + order.leaves_quantity:
            raise BadQuantity(f"order {order.order_id} is for {order.quantity} in all", "leaves_quantity")
        said = self._engine.execution(order, quantity, price, kind=kind, refers_to=trade.refers_to or trade.trade_id)
        instrument = self._engine.instrument(order.symbol)
        self._engine.books.move(instrument, trade, -1)
        if kind is ExecutionKind.CORRECTION:
            self._engine.books.move(instrument, said)
        after = executed(order, said)
        after = self._engine.record("bust" if kind is ExecutionKind.BUST else "correction", after, said)
        if after.is_open:
            self._engine.rehold(after.order_id)
        elif order.is_open:
            self._engine.follow_fill(after, quantity)
        return self._engine.journal.latest(order.order_id)

    def _trade(self, trade_id: str) -> tuple[SimulatedOrder, SimulatedExecution]:
        for order in self._engine.journal.orders():
            for trade in order.trades:
                if trade_id in {trade.trade_id, trade.refers_to}:
                    return order, trade
        raise TradeNotFound(f"no trade {trade_id!r} stands", "trade_id")
