"""Keep every state of every order, and the log of what changed them; the exchange's lock guards it."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from logos_core.testing.market import OrderNotFound
from logos_core.testing.records import SimulatedExecution, SimulatedOrder, Transaction, TransactionKind


class Journal:
    """Append states and transactions; nothing is ever taken back.

    Args:
        silent: Changes that are no transactions at this venue: the state is kept, the log says nothing of it.
    """

    def __init__(self, silent: frozenset[TransactionKind] = frozenset()) -> None:
        self.log: list[Transaction] = []
        self.states: dict[str, list[SimulatedOrder]] = {}
        self.expiring: dict[str, datetime] = {}
        self._silent = silent
        self._by_client_id: defaultdict[str, list[str]] = defaultdict(list)

    @property
    def next_id(self) -> int:
        """Return the id of the transaction that comes next."""
        return len(self.log) + 1

    def append(
        self,
        kind: TransactionKind,
        order: SimulatedOrder,
        execution: SimulatedExecution | None = None,
        reason: str | None = None,
    ) -> SimulatedOrder:
        """Record one change of one order, and return the order."""
        if kind == "order":
            self.states[order.order_id] = []
            if order.client_order_id is not None:
                self._by_client_id[order.client_order_id].append(order.order_id)
        if kind != "reject":
            self.states[order.order_id].append(order)
            self._remember_expiry(order)
        if kind not in self._silent:
            self.log.append(Transaction(self.next_id, kind, order.updated_at, order, execution, reason))
        return order

    def _remember_expiry(self, order: SimulatedOrder) -> None:
        self.expiring.pop(order.order_id, None)
        if order.is_open and order.request.expires_at is not None:
            self.expiring[order.order_id] = order.request.expires_at

    def history(self, order_id: str) -> list[SimulatedOrder]:
        """Return every state of an order, or raise `OrderNotFound`."""
        if order_id not in self.states:
            raise OrderNotFound(f"no order {order_id!r}", "order_id")
        return self.states[order_id]

    def latest(self, order_id: str) -> SimulatedOrder:
        """Return an order as it is now, or raise `OrderNotFound`."""
        return self.history(order_id)[-1]

    def orders(self) -> list[SimulatedOrder]:
        """Return every order as it is now, oldest first."""
        return [states[-1] for states in self.states.values()]

    def orders_with(self, client_order_id: str) -> list[SimulatedOrder]:
        """Return every order with this client order id, oldest first."""
        return [self.states[key][-1] for key in self._by_client_id.get(client_order_id, ())]
