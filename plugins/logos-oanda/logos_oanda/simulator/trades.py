"""Tell which trades the fills have opened, reduced and closed, the oldest one first; there is no hedging."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from logos_core.testing.exchange import ExecutionKind, Side, SimulatedExecution, SimulatedOrder, Transaction

ZERO = Decimal(0)


@dataclass(slots=True)
class OpenedTrade:
    """Hold one trade; units below zero are short."""

    trade_id: str
    order_id: str
    symbol: str
    price: Decimal
    opened_at: datetime
    initial_units: Decimal
    units: Decimal
    closing_ids: list[str] = field(default_factory=list)
    closed_at: datetime | None = None


@dataclass(slots=True)
class Effect:
    """Say what one fill did: the units it opened, and the units by which it made each trade smaller."""

    opened: Decimal = ZERO
    reduced: list[tuple[OpenedTrade, Decimal, bool]] = field(default_factory=list)  # trade, units, closed


class TradeBook:
    """Follow the fills of an exchange, each once and in order."""

    def __init__(self) -> None:
        self.trades: dict[str, OpenedTrade] = {}
        self._effects: dict[str, Effect] = {}

    def effect(self, execution: SimulatedExecution) -> Effect:
        """Return what a fill did, which the book has followed."""
        return self._effects[execution.trade_id]

    def follow(self, transactions: list[Transaction]) -> None:
        """Take in every fill that is new."""
        for transaction in transactions:
            execution = transaction.execution
            new = execution is not None and execution.trade_id not in self._effects
            if execution is not None and new and execution.kind is ExecutionKind.TRADE:
                self._effects[execution.trade_id] = self._fill(transaction.order, execution)

    def _fill(self, order: SimulatedOrder, execution: SimulatedExecution) -> Effect:
        effect = Effect()
        left = execution.quantity if execution.side is Side.BUY else -execution.quantity
        for trade in self._against(order, execution.symbol, left):
            part = min(abs(left), abs(trade.units)).copy_sign(left)
            if not part:
                break
            left, trade.units = left - part, trade.units + part
            trade.closing_ids.append(execution.trade_id)
            trade.closed_at = execution.time if not trade.units else None
            effect.reduced.append((trade, part, not trade.units))
        if left:
            effect.opened = left
            self.trades[execution.trade_id] = OpenedTrade(
                execution.trade_id, order.order_id, execution.symbol, execution.price, execution.time, left, left
            )
        return effect

    def _against(self, order: SimulatedOrder, symbol: str, units: Decimal) -> list[OpenedTrade]:
        """Return the trades a fill can reduce: a dependent order's own first, then the oldest."""
        own = order.request.tags.get("tradeID")
        against = [trade for trade in self.trades.values() if trade.symbol == symbol and trade.units * units < 0]
        return sorted(against, key=lambda trade: trade.trade_id != own)
