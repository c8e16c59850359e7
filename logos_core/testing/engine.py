"""Match, trigger, link and end orders; `Exchange` holds the lock and sweeps what has expired first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from logos_core.testing.books import Books
from logos_core.testing.checks import check_quantity, check_terms, sized
from logos_core.testing.journal import Journal
from logos_core.testing.legs import leg_requests
from logos_core.testing.market import (
    ZERO,
    BadPrice,
    BadQuantity,
    ClientIdRule,
    DuplicateClientOrderId,
    ExecutionKind,
    FeeRule,
    LegRule,
    NotCancelable,
    OrderStatus,
    ReduceRule,
    Refusal,
    Side,
    SimulatedInstrument,
    TimeInForce,
    TradeNotFound,
    UnknownSymbol,
    WouldIncrease,
)
from logos_core.testing.records import OrderRequest, SimulatedExecution, SimulatedOrder, TransactionKind
from logos_core.testing.stops import crosses, followed, is_reached

AT_ONCE = frozenset({TimeInForce.IOC, TimeInForce.FOK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Hold what differs between venues; `Exchange` says what each means."""

    client_ids: ClientIdRule
    fee_rate: Decimal
    fee_in: FeeRule
    check_funds: bool
    legs: LegRule
    make_leg: Callable[[SimulatedOrder, OrderRequest], OrderRequest]
    reduce_only: ReduceRule
    stops_may_trigger_at_once: bool
    order_ids: Callable[[int], str]
    trade_ids: Callable[[int], str]
    now: Callable[[], datetime]


class Engine:
    """Change orders, books and journal together, so that they always agree."""

    def __init__(self, instruments: dict[str, SimulatedInstrument], books: Books, journal: Journal, rules: Rules) -> None:
        self.instruments, self.books, self.journal, self.rules = instruments, books, journal, rules

    def instrument(self, symbol: str) -> SimulatedInstrument:
        """Return the instrument, or raise `UnknownSymbol`."""
        if symbol not in self.instruments:
            raise UnknownSymbol(f"no instrument {symbol!r}", "symbol")
        return self.instruments[symbol]

    def open(self, order_id: str) -> SimulatedOrder:
        """Return an order that has not ended, or raise `OrderNotFound` or `NotCancelable`."""
        order = self.journal.latest(order_id)
        if not order.is_open:
            raise NotCancelable(f"order {order_id} is {order.status}", order.status.value)
        return order

    # Accepting

    def submit(self, request: OrderRequest) -> SimulatedOrder:
        """Accept and match an order with its legs, or raise what refuses it."""
        number = self.journal.next_id
        order = self._draft(request, number)
        legs: list[SimulatedOrder] = []
        try:
            order = self._admit(order)
            if request.oco or self.rules.legs == "held":
                legs = self._draft_legs(order, number + 1, order.quantity)
            self._hold(order, *(legs if request.oco else ()))
        except Refusal as refusal:
            self._reject(order, refusal)
            raise
        ids = tuple(leg.order_id for leg in legs)
        group_id = order.order_id if request.oco or leg_requests(request) else None
        linked_ids = ids if request.oco else ()
        self.journal.append("order", replace(order, leg_ids=ids, linked_ids=linked_ids, group_id=group_id))
        for leg in legs:
            self.journal.append("order", leg)
        for order_id in (order.order_id, *(ids if request.oco else ())):
            self.advance(order_id, takes=True)
        return self.journal.latest(order.order_id)

    def _draft(self, request: OrderRequest, number: int) -> SimulatedOrder:
        time, quantity = self.rules.now(), request.quantity or ZERO
        return SimulatedOrder(self.rules.order_ids(number), request, OrderStatus.NEW, time, time, quantity=quantity)

    def _draft_legs(self, entry: SimulatedOrder, number: int, quantity: Decimal) -> list[SimulatedOrder]:
        requests = [self.rules.make_leg(entry, leg) for leg in leg_requests(entry.request)]
        drafts = [self._draft(replace(request, quantity=quantity), number + place) for place, request in enumerate(requests)]
        ids = (*((entry.order_id,) if entry.request.oco else ()), *(leg.order_id for leg in drafts))
        waits = self.rules.legs == "held" and not entry.request.oco
        return [
            replace(
                leg if waits else followed(leg, self.instrument(leg.symbol).last),
                status=OrderStatus.HELD if waits else OrderStatus.NEW, parent_id=entry.order_id,
                group_id=entry.group_id or entry.order_id, linked_ids=tuple(key for key in ids if key != leg.order_id),
            )
            for leg in drafts
        ]  # fmt: skip

    def _admit(self, order: SimulatedOrder, instead_of: str | None = None) -> SimulatedOrder:
        """Return the order with its quantity and its first trail, or raise what refuses it."""
        request, instrument = order.request, self.instrument(order.symbol)
        self._check_client_id(order, instead_of)
        check_terms(request, instrument, self.rules.now())
        quantity = sized(request, instrument)
        check_quantity(quantity, request, instrument)
        order = followed(replace(order, quantity=quantity), instrument.last)
        awake = order.awaits_trigger and order.status is not OrderStatus.HELD
        if awake and not self.rules.stops_may_trigger_at_once and is_reached(order, instrument.last):
            raise BadPrice("the order would trigger at once", "would_trigger")
        return self._admit_reduction(order) if request.reduce_only else order

    def _check_client_id(self, order: SimulatedOrder, instead_of: str | None) -> None:
        client_order_id, keeps_id = order.client_order_id, order.order_id == instead_of
        if client_order_id is None or self.rules.client_ids == "none":
            return
        for other in self.journal.orders_with(client_order_id):
            gives_it = other.order_id == instead_of and (keeps_id or self.rules.client_ids == "open")
            if not gives_it and (self.rules.client_ids == "ever" or other.is_open):
                raise DuplicateClientOrderId(other)

    def _admit_reduction(self, order: SimulatedOrder) -> SimulatedOrder:
        reducible = self._reducible(order)
        if not reducible or (reducible < order.quantity and self.rules.reduce_only == "refuse"):
            raise WouldIncrease(f"{reducible} can be reduced, not {order.quantity}", "reduce_only")
        return replace(order, quantity=min(order.quantity, reducible))

    def _reducible(self, order: SimulatedOrder) -> Decimal:
        position = self.books.positions.get(order.symbol, ZERO)
        return max(-position if order.request.side is Side.BUY else position, ZERO)

    def _hold(self, *orders: SimulatedOrder, check: bool = True) -> None:
        """Hold what the orders may cost, together: only one of them can spend it."""
        quantity = max(order.leaves_quantity for order in orders)
        costs = [self._cost(order) for order in orders]
        each = max(each for _, each in costs)
        check = check and self.rules.check_funds
        self.books.hold([order.order_id for order in orders], costs[0][0], each, quantity, check=check)

    def _cost(self, order: SimulatedOrder) -> tuple[str, Decimal]:
        request, instrument = order.request, self.instrument(order.symbol)
        if request.side is Side.SELL:
            return instrument.base_asset, Decimal(1)
        fee = self.rules.fee_rate if self.rules.fee_in == "quote" else ZERO
        return instrument.quote_asset, (request.price or order.stop_price or instrument.last) * (1 + fee)

    def _reject(self, order: SimulatedOrder, refusal: Refusal) -> None:
        refused = replace(order, status=OrderStatus.REJECTED, reason=refusal.rule)
        self.journal.append("reject", refused, reason=refusal.rule)

    # Changing

    def replace(self, order_id: str, request: OrderRequest) -> SimulatedOrder:
        """End an order and put a new one in its place, or raise what refuses that and change neither."""
        original = self.open(order_id)
        order = self._revised(original, request, self._draft(request, self.journal.next_id + 1))
        order = self._change(original, replace(order, replaces=original.order_id))
        self._record("replace", original, status=OrderStatus.REPLACED, reason="replaced", replaced_by=order.order_id)
        self.journal.append("order", order)
        self._relink(original, order)
        return self.advance(order.order_id, takes=True)

    def amend(self, order_id: str, *, changes: Mapping[str, Any]) -> SimulatedOrder:
        """Change an order that keeps its id; a quantity includes what was filled."""
        original = self.open(order_id)
        request = replace(original.request, **{"quantity": original.quantity, "notional": None, **changes})
        revised = replace(self._revised(original, request, original), updated_at=self.rules.now())
        revised = self._change(original, revised)
        self.journal.append("amend", revised)
        return self.advance(order_id, takes=True)

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
        books = self.books.snapshot()
        try:
            self.books.leave(original.order_id)
            revised = self._admit(revised, instead_of=original.order_id)
            if revised.leaves_quantity <= ZERO:
                raise BadQuantity(f"{revised.filled_quantity} is filled already", "positive")
            if revised.status is not OrderStatus.HELD:
                self._hold(revised, *self._working(original.linked_ids))
        except Refusal as refusal:
            self.books.restore(books)
            self._reject(revised, refusal)
            raise
        return revised

    def _relink(self, old: SimulatedOrder, new: SimulatedOrder) -> None:
        """Let every order that named the old one name the new one; legs that wait take its quantity."""
        for order_id in (*old.linked_ids, *old.leg_ids, *((old.parent_id,) if old.parent_id else ())):
            order = self.journal.latest(order_id)
            linked_ids, leg_ids = (
                tuple(new.order_id if key == old.order_id else key for key in keys) for keys in (order.linked_ids, order.leg_ids)
            )
            parent_id = new.order_id if order.parent_id == old.order_id else order.parent_id
            quantity = new.quantity if order.status is OrderStatus.HELD and order_id in old.leg_ids else order.quantity
            after = replace(order, linked_ids=linked_ids, leg_ids=leg_ids, parent_id=parent_id, quantity=quantity)
            if after != order:
                self._record("link", after)

    def _working(self, order_ids: tuple[str, ...]) -> list[SimulatedOrder]:
        orders = [self.journal.latest(order_id) for order_id in order_ids]
        return [order for order in orders if order.is_open and order.status is not OrderStatus.HELD]

    # Matching

    def advance(self, order_id: str, *, takes: bool = False) -> SimulatedOrder:
        """Let the market act on an order, if it is open and awake, and return it."""
        order = self.journal.latest(order_id)
        if not order.is_open or order.status is OrderStatus.HELD:
            return order
        last = self.instrument(order.symbol).last
        if order.awaits_trigger:
            order, takes = self._watch(order, last), True
            if order.awaits_trigger:
                return order
        return self._match(order, last if takes else order.request.price or last)

    def _watch(self, order: SimulatedOrder, last: Decimal) -> SimulatedOrder:
        after = followed(order, last)
        if after is not order:
            order = self._record("trail", after)
        return self._record("trigger", order, triggered=True) if is_reached(order, last) else order

    def _match(self, order: SimulatedOrder, price: Decimal) -> SimulatedOrder:
        quantity = self._available(order)
        if order.request.reduce_only:
            if not (reducible := self._reducible(order)):
                return self.end(order.order_id, OrderStatus.CANCELED, "reduce_only")
            quantity = min(quantity, reducible)
        if order.request.time_in_force is TimeInForce.FOK and quantity < order.leaves_quantity:
            quantity = ZERO
        if quantity > ZERO:
            self._take_liquidity(order.symbol, quantity)
            order = self.execute(order.order_id, quantity, price)
        if order.is_open and order.request.time_in_force in AT_ONCE:
            return self.end(order.order_id, OrderStatus.CANCELED, "time_in_force")
        return order

    def _available(self, order: SimulatedOrder) -> Decimal:
        instrument = self.instrument(order.symbol)
        if not crosses(order.request, instrument.last):
            return ZERO
        leaves = order.leaves_quantity
        return leaves if instrument.liquidity is None else min(leaves, instrument.liquidity)

    def _take_liquidity(self, symbol: str, quantity: Decimal) -> None:
        instrument = self.instrument(symbol)
        if instrument.liquidity is not None:
            self.instruments[symbol] = replace(instrument, liquidity=instrument.liquidity - quantity)

    def execute(self, order_id: str, quantity: Decimal, price: Decimal) -> SimulatedOrder:
        """Trade a part of an order, and do to its legs and to what it is linked with what follows."""
        order = self.journal.latest(order_id)
        if order.awaits_trigger:
            order = self._record("trigger", order, triggered=True)
        trade = self._execution(order, quantity, price)
        self.books.release(order_id, quantity)
        self.books.move(self.instrument(order.symbol), trade)
        order = self._record("fill", _executed(order, trade), trade)
        self._follow_fill(order, quantity)
        return self.journal.latest(order_id)

    def _execution(self, order: SimulatedOrder, quantity: Decimal, price: Decimal, **more: Any) -> SimulatedExecution:
        return SimulatedExecution(
            self.rules.trade_ids(self.journal.next_id), order.order_id, order.symbol, order.request.side, quantity, price,
            self._fee(order, quantity, price), self.rules.now(), **more,
        )  # fmt: skip

    def _fee(self, order: SimulatedOrder, quantity: Decimal, price: Decimal) -> tuple[Decimal, str]:
        instrument = self.instrument(order.symbol)
        if self.rules.fee_in == "received" and order.request.side is Side.BUY:
            return quantity * self.rules.fee_rate, instrument.base_asset
        return quantity * price * self.rules.fee_rate, instrument.quote_asset

    # Linked orders

    def _follow_fill(self, order: SimulatedOrder, quantity: Decimal) -> None:
        if not order.is_open:
            self.books.leave(order.order_id)
        for linked in self._working(order.linked_ids):
            if not order.is_open:
                self.end(linked.order_id, OrderStatus.CANCELED, "linked")
            elif linked.leaves_quantity > order.leaves_quantity:
                self._record("amend", linked, quantity=linked.filled_quantity + order.leaves_quantity)
        if order.is_open and order.linked_ids:
            self._hold(order, *self._working(order.linked_ids), check=False)
        if self.rules.legs == "on_fill" and not order.request.oco:
            self._create_legs(order, quantity)
        elif not order.is_open:
            self._activate_legs(order)

    def _create_legs(self, entry: SimulatedOrder, quantity: Decimal) -> None:
        legs = self._draft_legs(entry, self.journal.next_id, quantity)
        if not legs:
            return
        for leg in legs:
            self.journal.append("order", leg)
        self._record("link", entry, leg_ids=(*entry.leg_ids, *(leg.order_id for leg in legs)))
        self._start(legs)

    def _activate_legs(self, entry: SimulatedOrder) -> None:
        """Let legs work for what their entry has filled."""
        legs = []
        for leg in (self.journal.latest(order_id) for order_id in entry.leg_ids):
            if leg.status is OrderStatus.HELD:
                awake = replace(leg, quantity=entry.filled_quantity, status=OrderStatus.NEW, high_water_mark=None)
                legs.append(self._record("activate", followed(awake, self.instrument(leg.symbol).last)))
        if legs:
            self._start(legs)

    def _start(self, legs: list[SimulatedOrder]) -> None:
        self._hold(*legs, check=False)  # Their cover came with the entry's fill.
        for leg in legs:
            self.advance(leg.order_id, takes=True)

    # Ending

    def end(self, order_id: str, status: OrderStatus, reason: str) -> SimulatedOrder:
        """End an open order, with the legs that wait for it and what it is linked with."""
        order = self.open(order_id)
        self.books.leave(order_id)
        kind: TransactionKind = "expire" if status is OrderStatus.EXPIRED else "cancel"
        ended = self._record(kind, order, reason=reason, status=status)
        legs = [self.journal.latest(key) for key in order.leg_ids]
        linked = [self.journal.latest(key) for key in order.linked_ids]
        for other in (*linked, *(leg for leg in legs if leg.status is OrderStatus.HELD)):
            if self.journal.latest(other.order_id).is_open:
                self.end(other.order_id, OrderStatus.CANCELED, "linked")
        return ended

    # What a venue says later of a trade

    def revise(self, trade_id: str, kind: ExecutionKind, quantity: Decimal | None, price: Decimal | None) -> SimulatedOrder:
        """Correct or bust a trade and its money; what is left of an open order changes, an ended one stays ended."""
        order, trade = self._trade(trade_id)
        quantity, price = quantity or trade.quantity, price or trade.price
        if quantity > trade.quantity + order.leaves_quantity:
            raise BadQuantity(f"order {order.order_id} is for {order.quantity} in all", "leaves_quantity")
        said = self._execution(order, quantity, price, kind=kind, refers_to=trade.refers_to or trade.trade_id)
        instrument = self.instrument(order.symbol)
        self.books.move(instrument, trade, -1)
        if kind is ExecutionKind.CORRECTION:
            self.books.move(instrument, said)
        after = _executed(order, said)
        after = self._record("bust" if kind is ExecutionKind.BUST else "correction", after, said)
        if after.is_open:
            self._hold(after, *self._working(after.linked_ids), check=False)
        elif order.is_open:
            self._follow_fill(after, quantity)
        return self.journal.latest(order.order_id)

    def _trade(self, trade_id: str) -> tuple[SimulatedOrder, SimulatedExecution]:
        for order in self.journal.orders():
            for trade in order.trades:
                if trade_id in {trade.trade_id, trade.refers_to}:
                    return order, trade
        raise TradeNotFound(f"no trade {trade_id!r} stands", "trade_id")

    def _record(
        self,
        kind: TransactionKind,
        order: SimulatedOrder,
        execution: SimulatedExecution | None = None,
        **changes: Any,
    ) -> SimulatedOrder:
        after = replace(order, updated_at=self.rules.now(), **changes)
        return self.journal.append(kind, after, execution, changes.get("reason"))


def _executed(order: SimulatedOrder, execution: SimulatedExecution) -> SimulatedOrder:
    after = replace(order, executions=(*order.executions, execution))
    if not order.is_open:
        return after
    if not after.filled_quantity:
        return replace(after, status=OrderStatus.NEW)
    return replace(after, status=OrderStatus.PARTIALLY_FILLED if after.leaves_quantity else OrderStatus.FILLED)
