"""Keep what the account owns, what its open orders hold of it, and its positions.

Orders that close the same position hold it together: one hold, shared by all of them, given back when the last
one has left it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from itertools import count
from typing import NamedTuple, TypeAlias

from logos_core.testing.market import ZERO, Balance, InsufficientFunds, Side, SimulatedInstrument
from logos_core.testing.records import SimulatedExecution


class Hold(NamedTuple):
    """Say what is held: `each` of an asset for one of the quantity, `total` as yet."""

    asset: str
    each: Decimal
    total: Decimal


Snapshot: TypeAlias = tuple[dict[str, Balance], dict[int, Hold], dict[str, int]]


class Books:
    """Book holds and trades; the sum of free and reserved changes by trades and fees only."""

    def __init__(self, balances: Mapping[str, Decimal]) -> None:
        self.balances = {asset: Balance(free=amount) for asset, amount in balances.items()}
        self.positions: dict[str, Decimal] = {}
        self._holds: dict[int, Hold] = {}
        self._holders: dict[str, int] = {}  # order → the number of its hold, which it may share
        self._numbers = count()

    def balance(self, asset: str) -> Balance:
        """Return one asset's balance, zero if it was never held."""
        return self.balances.get(asset, Balance())

    def hold(self, order_ids: list[str], asset: str, each: Decimal, quantity: Decimal, *, check: bool) -> None:
        """Hold an amount for orders that share it, instead of what they held before, or raise `InsufficientFunds`."""
        for order_id in order_ids:
            self.leave(order_id)
        total, free = quantity * each, self.balance(asset).free
        if check and free < total:
            raise InsufficientFunds(f"{total} {asset} needed, {free} free", asset)
        self._book(asset, -total, total)
        number = next(self._numbers)
        self._holds[number] = Hold(asset, each, total)
        self._holders |= dict.fromkeys(order_ids, number)

    def release(self, order_id: str, quantity: Decimal) -> None:
        """Give back what is held for a part of the quantity."""
        number = self._holders[order_id]
        hold = self._holds[number]
        amount = min(quantity * hold.each, hold.total)
        self._book(hold.asset, amount, -amount)
        self._holds[number] = hold._replace(total=hold.total - amount)

    def sharers(self, order_id: str) -> list[str]:
        """Return the orders that share an order's hold, itself among them; none if it holds nothing."""
        number = self._holders.get(order_id)
        return [] if number is None else [key for key, other in self._holders.items() if other == number]

    def leave(self, order_id: str) -> None:
        """Take an order out of its hold, if it has one; the last one to leave gives back all that is left."""
        number = self._holders.pop(order_id, None)
        if number is None or number in self._holders.values():
            return
        hold = self._holds.pop(number)
        self._book(hold.asset, hold.total, -hold.total)

    def move(self, instrument: SimulatedInstrument, execution: SimulatedExecution, times: int = 1) -> None:
        """Book a trade; with -1 for `times`, take it back."""
        quantity = execution.quantity * times * (1 if execution.side is Side.BUY else -1)
        self._book(instrument.base_asset, quantity)
        self._book(instrument.quote_asset, -quantity * execution.price)
        self._book(execution.fee[1], -execution.fee[0] * times)
        self.positions[instrument.symbol] = self.positions.get(instrument.symbol, ZERO) + quantity

    def snapshot(self) -> Snapshot:
        """Return what `restore` needs to undo every hold since."""
        return dict(self.balances), dict(self._holds), dict(self._holders)

    def restore(self, snapshot: Snapshot) -> None:
        """Undo every hold since the snapshot; there must have been no trade."""
        self.balances, self._holds, self._holders = snapshot

    def _book(self, asset: str, free: Decimal, reserved: Decimal = ZERO) -> None:
        held = self.balance(asset)
        self.balances[asset] = Balance(held.free + free, held.reserved + reserved)
