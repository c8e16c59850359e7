"""What a venue says the account holds, beside what our executions come to. Pure.

Rules:

1. An account may have held something before logos, so *changes* since a baseline are compared, never holdings.
2. Only what we trade is compared: by symbol, every instrument an intent was recorded for; by asset, what such instruments buy and
   sell. An asset that anything we trade is paid with is money, which deposits and interest move too, and is left out.
3. By asset, a fee that was charged in the asset has been taken out of it.
4. A difference is a difference whoever caused it. What executions on record of other people's orders moved stands beside it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from logos_core.capabilities import PositionKind, PositionView
from logos_core.events import moment, one_spelling
from logos_core.hookspecs import Position
from logos_core.positions import Assets, Book
from logos_core.values import plain

_ZERO = Decimal(0)
Holdings = Mapping[str, Decimal]
"""Quantities by symbol or asset; what is not in it is nothing."""


@frozen(kw_only=True)
class PositionDifference:
    """A position that moved otherwise than by executions of ours.

    Attributes:
        name: the symbol or asset.
        ledger: what it would be: the baseline, and what our executions moved since.
        venue: what the venue says.
        foreign: what executions on record of orders that are not ours moved since.
    """

    name: str
    ledger: Decimal
    venue: Decimal
    foreign: Decimal = _ZERO

    @property
    def is_explained(self) -> bool:
        """Say whether foreign trading on record is all of it."""
        return self.ledger + self.foreign == self.venue

    def __str__(self) -> str:
        why = ""
        if self.foreign:
            rest = "which explains it" if self.is_explained else "which does not explain it"
            why = f"; orders that are not ours moved it by {plain(self.foreign)}, {rest}"
        return f"{self.name}: ours come to {plain(self.ledger)}, the venue holds {plain(self.venue)}{why}"


@frozen(kw_only=True)
class Baseline:
    """What positions are counted from.

    Attributes:
        at: when it was taken.
        row: the last execution on record then.
        venue: what the venue said.
        ours: what our executions had come to.
    """

    at: datetime
    row: int
    venue: Holdings
    ours: Holdings

    def text(self) -> str:
        """Return it as stored."""
        return one_spelling(self.body())

    def body(self) -> dict[str, Any]:
        """Return it as an event tells it."""
        return {"taken_at": self.at, "row": self.row, "venue": dict(self.venue), "ours": dict(self.ours)}

    @classmethod
    def read(cls, text: str) -> "Baseline":
        """Return what was stored."""
        body = json.loads(text)
        return cls(at=moment(body["taken_at"]), row=body["row"], venue=_numbers(body["venue"]), ours=_numbers(body["ours"]))


@frozen(kw_only=True)
class Compared:
    """What a comparison of positions came to."""

    different: tuple[PositionDifference, ...] = ()
    in_motion: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = field(default=())
    error: str | None = None


def held(positions: Iterable[Position]) -> dict[str, Decimal]:
    """Return what the venue says, one sum per name."""
    found: dict[str, Decimal] = {}
    for position in positions:
        found[position.symbol] = found.get(position.symbol, _ZERO) + position.quantity
    return {name: quantity for name, quantity in found.items() if quantity}


def moved(book: Book, view: PositionView) -> dict[str, Decimal]:
    """Return what executions moved, in the venue's own counting."""
    if view.kind is PositionKind.BY_SYMBOL:
        return {symbol: position.quantity for symbol, position in book.positions.items()}
    found: dict[str, Decimal] = {}
    for position in book.positions.values():
        if position.assets is not None:
            found[position.assets.base] = found.get(position.assets.base, _ZERO) + position.quantity
        for fee in position.fees:
            found[fee.asset] = found.get(fee.asset, _ZERO) - fee.amount
    return found


def comparable(symbols: Iterable[str], assets: Mapping[str, Assets], view: PositionView) -> tuple[set[str], tuple[str, ...]]:
    """Return what can be compared, and what of our instruments cannot."""
    ours = set(symbols)
    silent = {symbol for symbol in ours if not re.fullmatch(view.symbols, symbol)}
    if view.kind is PositionKind.BY_SYMBOL:
        return ours - silent, tuple(sorted(silent))
    if ours - assets.keys():  # what it is paid with may be any asset, so none can be told apart from money
        return set(), tuple(sorted(ours))
    money = {assets[symbol].quote for symbol in ours}
    return {assets[symbol].base for symbol in ours - silent} - money, tuple(sorted(silent))


def differences(names: Iterable[str], baseline: Baseline, ours: Holdings, venue: Holdings) -> dict[str, PositionDifference]:
    """Return every position whose change is not that of our executions."""
    found = {}
    for name in sorted(names):
        expected = baseline.venue.get(name, _ZERO) + ours.get(name, _ZERO) - baseline.ours.get(name, _ZERO)
        if expected != venue.get(name, _ZERO):
            found[name] = PositionDifference(name=name, ledger=expected, venue=venue.get(name, _ZERO))
    return found


def _numbers(body: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(quantity) for name, quantity in body.items()}
