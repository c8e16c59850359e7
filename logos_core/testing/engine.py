"""Match, trigger, link and end orders; `Exchange` holds the lock and sweeps what has expired first."""

from __future__ import annotations

from collections.abc import Callable
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
    ClientIdRule,
    DuplicateClientOrderId,
    FeeRule,
    LegRule,
    NotCancelable,
    OrderStatus,
    ReduceRule,
    Refusal,
    Side,
    SimulatedInstrument,
    TimeInForce,
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
    make_leg: Callable[[SimulatedOrder, OrderRequest], OrderRequest | None]
    linked_end_together: bool
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
        order = self.draft(request, number)
        legs: list[SimulatedOrder] = []
        try:
            order = self.admit(order)
            if request.oco or self.rules.legs == "held":
                legs = self._draft_legs(order, number + 1, order.quantity)
            self.hold(order, *(legs if request.oco else ()))
        except Refusal as refusal:
            self.reject(order, refusal)
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

    def draft(self, request: OrderRequest, number: int) -> SimulatedOrder:
        time, quantity = self.rules.now(), request.quantity or ZERO
        return SimulatedOrder(self.rules.order_ids(number), request, OrderStatus.NEW, time, time, quantity=quantity)

    def _draft_legs(self, entry: SimulatedOrder, number: int, quantity: Decimal) -> list[SimulatedOrder]:
        asked = [self.rules.make_leg(entry, replace(leg, quantity=quantity)) for leg in leg_requests(entry.request)]
        requests = [request for request in asked if request is not None]
        drafts = [self.draft(request, number + place) for place, request in enumerate(requests)]
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

    def admit(self, order: SimulatedOrder, instead_of: str | None = None) -> SimulatedOrder:
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
        return self._admit_reduction(order) if request.reduce_only and self.rules.reduce_only != "at_fill" else order

    def check(self, request: OrderRequest) -> None:
        """Raise what the instrument itself refuses in a request; nothing is held or recorded."""
        instrument = self.instrument(request.symbol)
        check_terms(request, instrument, self.rules.now())
        check_quantity(sized(request, instrument), request, instrument)

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

    def hold(self, *orders: SimulatedOrder, check: bool = True) -> None:
        """Hold what the orders may cost, together: only one of them can spend it."""
        quantity = max(order.leaves_quantity for order in orders)
        costs = [self._cost(order) for order in orders]
        each = max(each for _, each in costs)
        check = check and self.rules.check_funds
        self.books.hold([order.order_id for order in orders], costs[0][0], each, quantity, check=check)

    def rehold(self, order_id: str, *, without: bool = False) -> None:
        """Hold what an order and those that share its hold still need; or only those, `without` the order itself."""
        keys = [key for key in self.books.sharers(order_id) if not (without and key == order_id)]
        if without:
            self.books.leave(order_id)
        if keys:
            self.hold(*(self.journal.latest(key) for key in keys), check=False)

    def _cost(self, order: SimulatedOrder) -> tuple[str, Decimal]:
        request, instrument = order.request, self.instrument(order.symbol)
        if request.side is Side.SELL:
            return instrument.base_asset, Decimal(1)
        fee = self.rules.fee_rate if self.rules.fee_in == "quote" else ZERO
        return instrument.quote_asset, (request.price or order.stop_price or instrument.last) * (1 + fee)

    def reject(self, order: SimulatedOrder, refusal: Refusal) -> None:
        refused = replace(order, status=OrderStatus.REJECTED, reason=refusal.rule)
        self.journal.append("reject", refused, reason=refusal.rule)

    def working(self, order_ids: tuple[str, ...]) -> list[SimulatedOrder]:
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
            order = self.record("trail", after)
        return self.record("trigger", order, triggered=True) if is_reached(order, last) else order

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
            order = self.record("trigger", order, triggered=True)
        trade = self.execution(order, quantity, price)
        self.books.release(order_id, quantity)
        self.books.move(self.instrument(order.symbol), trade)
        order = self.record("fill", executed(order, trade), trade)
        self.follow_fill(order, quantity)
        return self.journal.latest(order_id)

    def execution(self, order: SimulatedOrder, quantity: Decimal, price: Decimal, **more: Any) -> SimulatedExecution:
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

    def follow_fill(self, order: SimulatedOrder, quantity: Decimal) -> None:
        if not order.is_open:
            self.rehold(order.order_id, without=True)
        for linked in self.working(order.linked_ids):
            if not order.is_open:
                if self.journal.latest(linked.order_id).is_open:  # Unless the end of one has ended the next.
                    self.end(linked.order_id, OrderStatus.CANCELED, "linked")
            elif linked.leaves_quantity > order.leaves_quantity:
                self.record("amend", linked, quantity=linked.filled_quantity + order.leaves_quantity)
        if order.is_open and len(self.books.sharers(order.order_id)) > 1:
            self.rehold(order.order_id)
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
        self.record("link", entry, leg_ids=(*entry.leg_ids, *(leg.order_id for leg in legs)))
        self._start(legs)

    def _activate_legs(self, entry: SimulatedOrder) -> None:
        """Let legs work for what their entry has filled."""
        legs = []
        for leg in (self.journal.latest(order_id) for order_id in entry.leg_ids):
            if leg.status is OrderStatus.HELD:
                awake = replace(leg, quantity=entry.filled_quantity, status=OrderStatus.NEW, high_water_mark=None)
                legs.append(self.record("activate", followed(awake, self.instrument(leg.symbol).last)))
        if legs:
            self._start(legs)

    def _start(self, legs: list[SimulatedOrder]) -> None:
        self.hold(*legs, check=False)  # Their cover came with the entry's fill.
        for leg in legs:
            self.advance(leg.order_id, takes=True)

    # Ending

    def end(self, order_id: str, status: OrderStatus, reason: str) -> SimulatedOrder:
        """End an open order, with the legs that wait for it and what it is linked with."""
        order = self.open(order_id)
        self.rehold(order_id, without=True)
        kind: TransactionKind = "expire" if status is OrderStatus.EXPIRED else "cancel"
        ended = self.record(kind, order, reason=reason, status=status)
        legs = [self.journal.latest(key) for key in order.leg_ids]
        linked = [self.journal.latest(key) for key in order.linked_ids if self.rules.linked_end_together]
        for other in (*linked, *(leg for leg in legs if leg.status is OrderStatus.HELD)):
            if self.journal.latest(other.order_id).is_open:
                self.end(other.order_id, OrderStatus.CANCELED, "linked")
        return ended

    def record(
        self,
        kind: TransactionKind,
        order: SimulatedOrder,
        execution: SimulatedExecution | None = None,
        **changes: Any,
    ) -> SimulatedOrder:
        after = replace(order, updated_at=self.rules.now(), **changes)
        return self.journal.append(kind, after, execution, changes.get("reason"))


def executed(order: SimulatedOrder, execution: SimulatedExecution) -> SimulatedOrder:
    """Return an order with one more execution; an ended one keeps its status."""
    after = replace(order, executions=(*order.executions, execution))
    if not order.is_open:
        return after
    if not after.filled_quantity:
        return replace(after, status=OrderStatus.NEW)
    return replace(after, status=OrderStatus.PARTIALLY_FILLED if after.leaves_quantity else OrderStatus.FILLED)
