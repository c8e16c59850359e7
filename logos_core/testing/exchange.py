"""Match orders in memory, and remember exactly what happened.

1. Numbers are Decimal; a float raises `TypeError`.
2. A refusal raises and leaves no order behind, only a `reject` transaction; a refused change leaves the order as it was.
3. What is handed out is frozen: a later fill makes a new `SimulatedOrder`.
4. Every change of an order is one transaction with the next id; the log has no gaps. Only what the venue itself is
   `silent` about is kept in the order's history alone.
5. There is one price per instrument. A taker trades at it, a resting limit order at its own limit. A stop order becomes
   a taker when the price reaches it.
6. Orders that close the same position hold their cover together, and never fill for more than it: what one fills, the
   others lose.
7. An order that is over by its own time ends before anything else is done or read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any

from logos_core.testing.books import Books
from logos_core.testing.engine import Engine, Rules
from logos_core.testing.journal import Journal
from logos_core.testing.market import (
    ZERO,
    BadExpiry,
    BadPrice,
    BadQuantity,
    Balance,
    ClientIdRule,
    DuplicateClientOrderId,
    ExecutionKind,
    FeeRule,
    InsufficientFunds,
    LegRule,
    NotCancelable,
    OrderNotFound,
    OrderStatus,
    OrderType,
    ReduceRule,
    Refusal,
    Side,
    SimulatedInstrument,
    TimeInForce,
    TradeNotFound,
    UnknownSymbol,
    WouldIncrease,
    WouldTake,
    finite,
)
from logos_core.testing.records import OrderRequest, SimulatedExecution, SimulatedOrder, Transaction, TransactionKind
from logos_core.testing.revisions import Revisions

__all__ = [
    "ZERO",
    "BadExpiry",
    "BadPrice",
    "BadQuantity",
    "Balance",
    "ClientIdRule",
    "DuplicateClientOrderId",
    "Exchange",
    "ExecutionKind",
    "InsufficientFunds",
    "NotCancelable",
    "OrderNotFound",
    "OrderRequest",
    "OrderStatus",
    "OrderType",
    "Refusal",
    "Side",
    "SimulatedExecution",
    "SimulatedInstrument",
    "SimulatedOrder",
    "TimeInForce",
    "TradeNotFound",
    "Transaction",
    "UnknownSymbol",
    "WouldIncrease",
    "WouldTake",
]


def _utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the default, and it can be replaced.


def _same_leg(_: SimulatedOrder, leg: OrderRequest) -> OrderRequest:
    return leg


class Exchange:
    """Hold instruments, balances and orders, and match them; every method is atomic.

    Hold `lock` around several calls that must be seen as one. `order_ids` and `trade_ids` make an id
    from the id of the transaction that creates the order or the trade, so that both can be the same.

    Args:
        instruments: What can be traded.
        balances: What the account owns at the start.
        client_ids: Whether a client order id is taken for `ever`, while its order is `open`, or `none`.
        fee_rate: The part of each trade's worth taken as fee.
        fee_in: Take the fee in the `quote` asset, or in the asset `received`.
        check_funds: Refuse what the free balance does not cover; False allows it to become negative.
        legs: Accept the legs of an entry with it and have them `held` until all of it is filled, or create them
            `on_fill`, for each fill its own.
        make_leg: Finish the request of a leg, given its entry: its client order id, its tags, how long it lasts; None
            leaves the leg out.
        linked_end_together: The end of an order without a fill ends what is linked with it; False lets that work on.
        reduce_only: Refuse a reduce-only order that is larger than the position, or clip it, or look only `at_fill`.
        stops_may_trigger_at_once: Accept a stop order that the last price has reached already; False refuses it.
        silent: Kinds of changes that are no transactions at this venue.
        order_ids: Make an order id from a transaction id.
        trade_ids: Make a trade id from a transaction id.
        now: Tell the time.
    """

    def __init__(
        self,
        instruments: Iterable[SimulatedInstrument],
        balances: Mapping[str, Decimal] | None = None,
        *,
        client_ids: ClientIdRule = "ever",
        fee_rate: Decimal = ZERO,
        fee_in: FeeRule = "quote",
        check_funds: bool = True,
        legs: LegRule = "held",
        make_leg: Callable[[SimulatedOrder, OrderRequest], OrderRequest | None] = _same_leg,
        linked_end_together: bool = True,
        reduce_only: ReduceRule = "refuse",
        stops_may_trigger_at_once: bool = True,
        silent: Iterable[TransactionKind] = (),
        order_ids: Callable[[int], str] = str,
        trade_ids: Callable[[int], str] = str,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.lock = threading.RLock()
        self.check_funds = check_funds
        self._now = now
        self._entered = False
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._books, self._journal = Books(balances or {}), Journal(frozenset(silent))
        rules = Rules(
            client_ids=client_ids, fee_rate=fee_rate, fee_in=fee_in, check_funds=check_funds, legs=legs, make_leg=make_leg,
            linked_end_together=linked_end_together, reduce_only=reduce_only, stops_may_trigger_at_once=stops_may_trigger_at_once,
            order_ids=order_ids, trade_ids=trade_ids, now=now,
        )  # fmt: skip
        self._engine = Engine(self._instruments, self._books, self._journal, rules)
        self._revisions = Revisions(self._engine)

    # Reading

    def instrument(self, symbol: str) -> SimulatedInstrument:
        """Return the instrument with its last price, or raise `UnknownSymbol`."""
        with self.lock:
            return self._engine.instrument(symbol)

    def instruments(self) -> list[SimulatedInstrument]:
        """Return all instruments."""
        with self.lock:
            return list(self._instruments.values())

    def balance(self, asset: str) -> Balance:
        """Return one asset's balance, zero if it was never held."""
        with self._swept():
            return self._books.balance(asset)

    def balances(self) -> dict[str, Balance]:
        """Return every asset's balance."""
        with self._swept():
            return dict(self._books.balances)

    def position(self, symbol: str) -> Decimal:
        """Return what was bought more than sold of an instrument; below zero it is short."""
        with self._swept():
            return self._books.positions.get(symbol, ZERO)

    def order(self, order_id: str) -> SimulatedOrder:
        """Return the order as it is now, or raise `OrderNotFound`."""
        return self.history(order_id)[-1]

    def history(self, order_id: str) -> list[SimulatedOrder]:
        """Return every state the order has been in, oldest first."""
        with self._swept():
            return list(self._journal.history(order_id))

    def orders(self) -> list[SimulatedOrder]:
        """Return every order ever accepted, oldest first."""
        with self._swept():
            return self._journal.orders()

    def open_orders(self) -> list[SimulatedOrder]:
        """Return the orders that can still fill, oldest first."""
        return [order for order in self.orders() if order.is_open]

    def orders_with(self, client_order_id: str) -> list[SimulatedOrder]:
        """Return every order with this client order id, oldest first; two are a duplicate."""
        with self._swept():
            return self._journal.orders_with(client_order_id)

    def executions(self) -> list[SimulatedExecution]:
        """Return every trade, and what was said of it later, oldest first."""
        return [entry.execution for entry in self.transactions() if entry.execution is not None]

    def transactions(self, since: int = 0) -> list[Transaction]:
        """Return what happened after transaction `since`; ids count from 1 without gaps."""
        with self._swept():
            return self._journal.log[max(since, 0) :]

    @property
    def last_transaction_id(self) -> int:
        """Return the id of the newest transaction, 0 before the first."""
        with self._swept():
            return len(self._journal.log)

    # Trading

    def submit(self, request: OrderRequest) -> SimulatedOrder:
        """Accept and match an order, or raise the `Refusal` that says why not."""
        with self._swept():
            return self._engine.submit(request)

    def check(self, request: OrderRequest) -> None:
        """Raise the `Refusal` of a request that its instrument would refuse whatever the account holds; record nothing."""
        with self._swept():
            self._engine.check(request)

    def refuse(self, request: OrderRequest, rule: str) -> Transaction:
        """Record that the venue refuses a request for a reason of its own, and return the `reject` transaction."""
        with self._swept():
            self._engine.reject(self._engine.draft(request, self._journal.next_id), Refusal(rule, rule))
            return self._journal.log[-1]

    def cancel(self, order_id: str, reason: str = "client") -> SimulatedOrder:
        """Cancel an open order, its held legs and what is linked with it, or raise `OrderNotFound` or `NotCancelable`."""
        with self._swept():
            return self._engine.end(order_id, OrderStatus.CANCELED, reason)

    def expire(self, order_id: str) -> SimulatedOrder:
        """End an open order because its time is over."""
        with self._swept():
            return self._engine.end(order_id, OrderStatus.EXPIRED, "expired")

    def replace(
        self,
        order_id: str,
        request: OrderRequest | None = None,
        *,
        total: bool = False,
        **changes: Any,
    ) -> SimulatedOrder:
        """End an open order as replaced and return the new one in its place, in one step; a refusal changes neither.

        Args:
            order_id: The order to replace.
            request: The new order; by default the original one with what is left of its quantity and no client id.
            total: The new quantity includes what the original has filled; otherwise it is the new order's own.
            **changes: Fields of `OrderRequest` to change.
        """
        with self._swept():
            return self._revisions.replace(order_id, self._replacement(order_id, request, changes, total=total))

    def begin_replace(
        self,
        order_id: str,
        request: OrderRequest | None = None,
        *,
        total: bool = False,
        **changes: Any,
    ) -> SimulatedOrder:
        """Accept an order as `replace` does, but hold it while the original works on, until `finish_replace`."""
        with self._swept():
            return self._revisions.begin(order_id, self._replacement(order_id, request, changes, total=total))

    def finish_replace(self, order_id: str, quantity: Decimal | None = None, *, rejected: bool = False) -> SimulatedOrder:
        """Put the order that `begin_replace` returned in the original's place, and return it.

        It is rejected instead if the original has ended, or if the new `quantity` is used up, or because the venue says so.
        """
        with self._swept():
            return self._revisions.finish(order_id, quantity, rejected=rejected)

    def amend(self, order_id: str, **changes: Any) -> SimulatedOrder:
        """Change fields of an open order that keeps its id; its quantity includes what was filled."""
        with self._swept():
            return self._revisions.amend(order_id, changes=changes)

    # What time and venue do

    def expire_due(self) -> list[SimulatedOrder]:
        """End every order whose `expires_at` has come, and return them; every other method does so first."""
        with self.lock:
            now, ended = self._now(), []
            for order_id, moment in sorted(self._journal.expiring.items(), key=itemgetter(1)):
                if moment <= now and self._journal.latest(order_id).is_open:
                    ended.append(self._engine.end(order_id, OrderStatus.EXPIRED, "expired"))
            return ended

    def correct(self, trade_id: str, quantity: Decimal | None = None, price: Decimal | None = None) -> SimulatedOrder:
        """Say what a trade really was; an order that has ended keeps its status, whatever it has filled now."""
        for value in (quantity, price):
            if value is not None and not (finite(value) and value > ZERO):
                raise BadQuantity(f"{value} is not above zero", "positive")
        with self._swept():
            return self._revisions.revise(trade_id, ExecutionKind.CORRECTION, quantity, price)

    def bust(self, trade_id: str) -> SimulatedOrder:
        """Say that a trade never was; an order that has ended keeps its status and is not reopened."""
        with self._swept():
            return self._revisions.revise(trade_id, ExecutionKind.BUST, None, None)

    # Moving the market

    def move_price(self, symbol: str, price: Decimal) -> list[SimulatedOrder]:
        """Set the last price and fill what it reaches; return the orders that changed."""
        if not (finite(price) and price > ZERO):
            raise BadPrice(f"price {price} is not above zero", "positive")
        with self._swept():
            return self._rematch(replace(self.instrument(symbol), last=price))

    def set_liquidity(self, symbol: str, quantity: Decimal | None) -> list[SimulatedOrder]:
        """Set how much can trade at the last price, and fill what was waiting for it."""
        if quantity is not None and not (finite(quantity) and quantity >= ZERO):
            raise BadQuantity(f"liquidity {quantity} is below zero", "positive")
        with self._swept():
            return self._rematch(replace(self.instrument(symbol), liquidity=quantity))

    def fill(self, order_id: str, quantity: Decimal, price: Decimal | None = None) -> SimulatedOrder:
        """Fill an open order by force, whatever the market is, and return it; a leg must be active."""
        with self._swept():
            order = self._engine.open(order_id)
            if order.status is OrderStatus.HELD:
                raise NotCancelable(f"order {order_id} waits for its entry", "held")
            if not (finite(quantity) and ZERO < quantity <= order.leaves_quantity):
                raise BadQuantity(f"{order.leaves_quantity} is left, not {quantity}", "leaves_quantity")
            last = self.instrument(order.symbol).last
            return self._engine.execute(order_id, quantity, price or order.request.price or last)

    # Inside the lock

    @contextmanager
    def _swept(self) -> Iterator[None]:
        """Hold the lock; end what is due first, but not in the middle of another step."""
        with self.lock:
            if self._entered:
                yield
                return
            self._entered = True
            try:
                self.expire_due()
                yield
            finally:
                self._entered = False

    def _replacement(self, order_id: str, request: OrderRequest | None, changes: Mapping[str, Any], *, total: bool) -> OrderRequest:
        original = self._engine.open(order_id)
        if request is None:
            left = original.quantity if total else original.leaves_quantity
            request = replace(original.request, quantity=left, notional=None, client_order_id=None)
        request = replace(request, **changes)
        if total and request.quantity is not None:
            request = replace(request, quantity=request.quantity - original.filled_quantity)
        return request

    def _rematch(self, instrument: SimulatedInstrument) -> list[SimulatedOrder]:
        self._instruments[instrument.symbol] = instrument
        waiting = [order for order in self.open_orders() if order.symbol == instrument.symbol]
        for order in waiting:
            self._engine.advance(order.order_id)
        after = [self._journal.latest(order.order_id) for order in waiting]
        return [now for now, before in zip(after, waiting, strict=True) if now is not before]
