"""Match orders in memory, and remember exactly what happened.

1. Numbers are Decimal; a float raises `TypeError`.
2. A refusal raises and leaves no order behind, only a `reject` transaction.
3. What is handed out is frozen: a later fill makes a new `SimulatedOrder`.
4. Every change is one transaction with the next id; the log has no gaps.
5. There is one price per instrument. A taker trades at it, a resting limit order at its own limit.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from logos_core.testing.market import (
    ZERO,
    BadPrice,
    BadQuantity,
    Balance,
    ClientIdRule,
    DuplicateClientOrderId,
    FeeRule,
    InsufficientFunds,
    NotCancelable,
    OrderNotFound,
    OrderRequest,
    OrderStatus,
    OrderType,
    Refusal,
    Side,
    SimulatedExecution,
    SimulatedInstrument,
    SimulatedOrder,
    TimeInForce,
    Transaction,
    TransactionKind,
    UnknownSymbol,
    finite,
)

__all__ = [
    "ZERO",
    "BadPrice",
    "BadQuantity",
    "Balance",
    "ClientIdRule",
    "DuplicateClientOrderId",
    "Exchange",
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
    "Transaction",
    "UnknownSymbol",
]


def _utc_now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the default, and it can be replaced.


def _on_grid(value: Decimal, step: Decimal) -> bool:
    try:
        return value % step == ZERO
    except InvalidOperation:  # More steps than the context has digits: no venue lists that.
        return False


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
        order_ids: Callable[[int], str] = str,
        trade_ids: Callable[[int], str] = str,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.lock = threading.RLock()
        self.client_ids = client_ids
        self.fee_rate = fee_rate
        self.fee_in = fee_in
        self.check_funds = check_funds
        self._order_id, self._trade_id, self._now = order_ids, trade_ids, now
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._balances = {asset: Balance(free=amount) for asset, amount in (balances or {}).items()}
        self._history: dict[str, list[SimulatedOrder]] = {}
        self._by_client_id: defaultdict[str, list[str]] = defaultdict(list)
        self._reserved: dict[str, tuple[str, Decimal, Decimal]] = {}  # order → asset, each, in total
        self._log: list[Transaction] = []

    # Reading

    def instrument(self, symbol: str) -> SimulatedInstrument:
        """Return the instrument with its last price, or raise `UnknownSymbol`."""
        with self.lock:
            if symbol not in self._instruments:
                raise UnknownSymbol(f"no instrument {symbol!r}", "symbol")
            return self._instruments[symbol]

    def instruments(self) -> list[SimulatedInstrument]:
        """Return all instruments."""
        with self.lock:
            return list(self._instruments.values())

    def balance(self, asset: str) -> Balance:
        """Return one asset's balance, zero if it was never held."""
        with self.lock:
            return self._balances.get(asset, Balance())

    def balances(self) -> dict[str, Balance]:
        """Return every asset's balance."""
        with self.lock:
            return dict(self._balances)

    def order(self, order_id: str) -> SimulatedOrder:
        """Return the order as it is now, or raise `OrderNotFound`."""
        return self.history(order_id)[-1]

    def history(self, order_id: str) -> list[SimulatedOrder]:
        """Return every state the order has been in, oldest first."""
        with self.lock:
            if order_id not in self._history:
                raise OrderNotFound(f"no order {order_id!r}", "order_id")
            return list(self._history[order_id])

    def orders(self) -> list[SimulatedOrder]:
        """Return every order ever accepted, oldest first."""
        with self.lock:
            return [states[-1] for states in self._history.values()]

    def open_orders(self) -> list[SimulatedOrder]:
        """Return the orders that can still fill, oldest first."""
        return [order for order in self.orders() if order.is_open]

    def orders_with(self, client_order_id: str) -> list[SimulatedOrder]:
        """Return every order with this client order id, oldest first; two are a duplicate."""
        with self.lock:
            return [self._history[key][-1] for key in self._by_client_id.get(client_order_id, ())]

    def executions(self) -> list[SimulatedExecution]:
        """Return every trade, oldest first."""
        return [entry.execution for entry in self.transactions() if entry.execution is not None]

    def transactions(self, since: int = 0) -> list[Transaction]:
        """Return what happened after transaction `since`; ids count from 1 without gaps."""
        with self.lock:
            return self._log[max(since, 0) :]

    @property
    def last_transaction_id(self) -> int:
        """Return the id of the newest transaction, 0 before the first."""
        with self.lock:
            return len(self._log)

    # Trading

    def submit(self, request: OrderRequest) -> SimulatedOrder:
        """Accept and match an order, or raise the `Refusal` that says why not."""
        with self.lock:
            time, order_id = self._now(), self._order_id(len(self._log) + 1)
            order = SimulatedOrder(order_id, request, OrderStatus.NEW, time, time)
            try:
                self._check(request)
                self._reserve(order)
            except Refusal as refusal:
                refused = replace(order, status=OrderStatus.REJECTED, reason=refusal.rule)
                self._append("reject", refused, reason=refusal.rule)
                raise
            self._history[order_id] = []
            if request.client_order_id is not None:
                self._by_client_id[request.client_order_id].append(order_id)
            self._append("order", order)
            return self._match(order, self.instrument(request.symbol).last)

    def cancel(self, order_id: str, reason: str = "client") -> SimulatedOrder:
        """Cancel an open order, or raise `OrderNotFound` or `NotCancelable`."""
        with self.lock:
            return self._end(self._open(order_id), OrderStatus.CANCELED, reason)

    def expire(self, order_id: str) -> SimulatedOrder:
        """End an open order because its time is over."""
        with self.lock:
            return self._end(self._open(order_id), OrderStatus.EXPIRED, "expired")

    # Moving the market

    def move_price(self, symbol: str, price: Decimal) -> list[SimulatedOrder]:
        """Set the last price and fill what it reaches; return the orders that changed."""
        if not (finite(price) and price > ZERO):
            raise BadPrice(f"price {price} is not above zero", "positive")
        with self.lock:
            return self._rematch(replace(self.instrument(symbol), last=price))

    def set_liquidity(self, symbol: str, quantity: Decimal | None) -> list[SimulatedOrder]:
        """Set how much can trade at the last price, and fill what was waiting for it."""
        if quantity is not None and not (finite(quantity) and quantity >= ZERO):
            raise BadQuantity(f"liquidity {quantity} is below zero", "positive")
        with self.lock:
            return self._rematch(replace(self.instrument(symbol), liquidity=quantity))

    def fill(self, order_id: str, quantity: Decimal, price: Decimal | None = None) -> SimulatedOrder:
        """Fill an open order by force, whatever the market is, and return it."""
        with self.lock:
            order = self._open(order_id)
            if not (finite(quantity) and ZERO < quantity <= order.leaves_quantity):
                raise BadQuantity(f"{order.leaves_quantity} is left, not {quantity}", "leaves_quantity")
            last = self.instrument(order.symbol).last
            return self._execute(order, quantity, price or order.request.price or last)

    # Inside the lock

    def _open(self, order_id: str) -> SimulatedOrder:
        order = self.order(order_id)
        if not order.is_open:
            raise NotCancelable(f"order {order_id} is {order.status}", order.status.value)
        return order

    def _rematch(self, instrument: SimulatedInstrument) -> list[SimulatedOrder]:
        self._instruments[instrument.symbol] = instrument
        waiting = [order for order in self.open_orders() if order.symbol == instrument.symbol]
        after = [self._match(order, order.request.price or instrument.last) for order in waiting]
        return [now for now, before in zip(after, waiting, strict=True) if now is not before]

    def _check(self, request: OrderRequest) -> None:
        instrument = self.instrument(request.symbol)
        self._check_client_id(request.client_order_id)
        self._check_price(request, instrument)
        quantity, worth = request.quantity, request.price or instrument.last
        if not (finite(quantity) and quantity > ZERO):
            raise BadQuantity(f"quantity {quantity} is not above zero", "positive")
        if quantity < instrument.min_quantity:
            raise BadQuantity(f"quantity {quantity} is below {instrument.min_quantity}", "min_quantity")
        if not _on_grid(quantity, instrument.quantity_step):
            raise BadQuantity(f"quantity {quantity} is off {instrument.quantity_step}", "quantity_step")
        if quantity * worth < instrument.min_notional:
            raise BadQuantity(f"{quantity * worth} is below {instrument.min_notional}", "min_notional")

    def _check_client_id(self, client_order_id: str | None) -> None:
        if client_order_id is None or self.client_ids == "none":
            return
        for order in self.orders_with(client_order_id):
            if self.client_ids == "ever" or order.is_open:
                raise DuplicateClientOrderId(order)

    @staticmethod
    def _check_price(request: OrderRequest, instrument: SimulatedInstrument) -> None:
        price = request.price
        if price is None:
            if request.type is OrderType.LIMIT:
                raise BadPrice("a limit order needs a price", "missing")
            return
        if request.type is OrderType.MARKET:
            raise BadPrice("a market order has no price", "not_allowed")
        if not (finite(price) and price > ZERO):
            raise BadPrice(f"price {price} is not above zero", "positive")
        if not _on_grid(price, instrument.price_tick):
            raise BadPrice(f"price {price} is off {instrument.price_tick}", "price_tick")

    def _reserve(self, order: SimulatedOrder) -> None:
        request, instrument = order.request, self.instrument(order.symbol)
        asset, each = instrument.base_asset, Decimal(1)
        if request.side is Side.BUY:
            fee = self.fee_rate if self.fee_in == "quote" else ZERO
            asset, each = instrument.quote_asset, (request.price or instrument.last) * (1 + fee)
        total, free = request.quantity * each, self.balance(asset).free
        if self.check_funds and free < total:
            raise InsufficientFunds(f"{total} {asset} needed, {free} free", asset)
        self._book(asset, -total, total)
        self._reserved[order.order_id] = (asset, each, total)

    def _release(self, order_id: str, quantity: Decimal | None) -> None:
        asset, each, total = self._reserved[order_id]
        amount = total if quantity is None else min(quantity * each, total)
        self._book(asset, amount, -amount)
        self._reserved[order_id] = (asset, each, total - amount)

    def _book(self, asset: str, free: Decimal, reserved: Decimal = ZERO) -> None:
        held = self.balance(asset)
        self._balances[asset] = Balance(held.free + free, held.reserved + reserved)

    def _match(self, order: SimulatedOrder, price: Decimal) -> SimulatedOrder:
        quantity = self._available(order)
        if order.request.time_in_force is TimeInForce.FOK and quantity < order.leaves_quantity:
            quantity = ZERO
        if quantity > ZERO:
            self._take_liquidity(order.symbol, quantity)
            order = self._execute(order, quantity, price)
        if order.is_open and order.request.time_in_force in {TimeInForce.IOC, TimeInForce.FOK}:
            return self._end(order, OrderStatus.CANCELED, "time_in_force")
        return order

    def _available(self, order: SimulatedOrder) -> Decimal:
        instrument, limit = self.instrument(order.symbol), order.request.price
        if limit is not None:
            bought = order.request.side is Side.BUY
            if (instrument.last > limit) if bought else (instrument.last < limit):
                return ZERO
        leaves = order.leaves_quantity
        return leaves if instrument.liquidity is None else min(leaves, instrument.liquidity)

    def _take_liquidity(self, symbol: str, quantity: Decimal) -> None:
        instrument = self.instrument(symbol)
        if instrument.liquidity is not None:
            left = instrument.liquidity - quantity
            self._instruments[symbol] = replace(instrument, liquidity=left)

    def _execute(self, order: SimulatedOrder, quantity: Decimal, price: Decimal) -> SimulatedOrder:
        time, side = self._now(), order.request.side
        execution = SimulatedExecution(
            self._trade_id(len(self._log) + 1), order.order_id, order.symbol, side, quantity, price,
            self._fee(order, quantity, price), time,
        )  # fmt: skip
        self._settle(order, execution)
        filled = quantity == order.leaves_quantity
        status = OrderStatus.FILLED if filled else OrderStatus.PARTIALLY_FILLED
        executions = (*order.executions, execution)
        order = replace(order, status=status, executions=executions, updated_at=time)
        if filled:
            self._release(order.order_id, None)
        self._append("fill", order, execution)
        return order

    def _fee(self, order: SimulatedOrder, quantity: Decimal, price: Decimal) -> tuple[Decimal, str]:
        instrument = self.instrument(order.symbol)
        if self.fee_in == "received" and order.request.side is Side.BUY:
            return quantity * self.fee_rate, instrument.base_asset
        return quantity * price * self.fee_rate, instrument.quote_asset

    def _settle(self, order: SimulatedOrder, execution: SimulatedExecution) -> None:
        instrument = self.instrument(order.symbol)
        sign = 1 if execution.side is Side.BUY else -1
        self._release(order.order_id, execution.quantity)
        self._book(instrument.base_asset, sign * execution.quantity)
        self._book(instrument.quote_asset, -sign * execution.quantity * execution.price)
        self._book(execution.fee[1], -execution.fee[0])

    def _end(self, order: SimulatedOrder, status: OrderStatus, reason: str) -> SimulatedOrder:
        ended = replace(order, status=status, reason=reason, updated_at=self._now())
        self._release(order.order_id, None)
        kind: TransactionKind = "expire" if status is OrderStatus.EXPIRED else "cancel"
        self._append(kind, ended, reason=reason)
        return ended

    def _append(
        self,
        kind: TransactionKind,
        order: SimulatedOrder,
        execution: SimulatedExecution | None = None,
        reason: str | None = None,
    ) -> None:
        if kind != "reject":
            self._history[order.order_id].append(order)
        time = order.updated_at
        self._log.append(Transaction(len(self._log) + 1, kind, time, order, execution, reason))
