"""The executions of a ledger: read in the order in which they were written, by instrument, and held against what was ordered.

What an order was overfilled by is kept as a value under `overfilled:…` beside the cursors, so that asking for it reads no history.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from attrs import evolve, frozen

from logos_core.executions import traded
from logos_core.ledger import codec
from logos_core.ledger.connection import Connection
from logos_core.positions import Assets
from logos_core.records import Overfill
from logos_core.reports import Execution
from logos_core.values import plain

OVERFILLED = "overfilled:"
RELINKED = "relinked:"
ASSETS = "assets:"
_ZERO = Decimal(0)

_CHAIN = """
WITH RECURSIVE
  older (id, parent) AS (
    SELECT id, parent_intent FROM intents WHERE id = ?1
    UNION SELECT i.id, i.parent_intent FROM intents i JOIN older ON i.id = older.parent),
  chain (id) AS (
    SELECT id FROM older WHERE parent IS NULL
    UNION SELECT i.id FROM intents i JOIN chain ON i.parent_intent = chain.id)
SELECT v.symbol, v.venue_order_id, v.report, i.client_order_id, i.payload FROM chain
JOIN venue_orders v ON v.intent = chain.id JOIN intents i ON i.id = chain.id
WHERE v.role <> 'leg' OR json_extract(v.report, '$.side') = (
  SELECT json_extract(p.report, '$.side') FROM venue_orders p WHERE p.intent = v.intent AND p.role = 'primary')
ORDER BY v.intent, v.number
"""
"""The orders of an intent and of all that it replaces or is replaced by.

The second of a pair of exits is one of them: either may trade what was decided, not both. A leg that trades the other way is not.
"""


@frozen(kw_only=True)
class Filling:
    """How much of an order was traded, by all that stands.

    Attributes:
        key: where its overfill is kept.
        intent: whose order it is.
        overfill: what is known of it; one whose `filled` is within `quantity` is none.
    """

    key: str
    intent: int
    overfill: Overfill

    @property
    def is_over(self) -> bool:
        """Say whether more was traded than was ordered."""
        return self.overfill.filled > self.overfill.quantity


class Executed:
    """Reads the executions of one ledger."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other thread of this process away from the ledger; whoever holds it may hold it again."""
        with self._db.lock:
            yield

    def after(self, row: int, limit: int) -> tuple[int, list[Execution]]:
        """Return executions of our orders written behind a row, and the last row that was looked at; the same row when all is read."""
        rows = self._db.rows("SELECT id, intent, body FROM executions WHERE id > ? ORDER BY id LIMIT ?", row, limit)
        ours = [codec.execution_from(body) for _, intent, body in rows if intent is not None]
        return (int(rows[-1][0]) if rows else row), ours

    def last_row(self) -> int:
        """Return the row that was written last."""
        found = self._db.row("SELECT max(id) FROM executions")
        return int(found[0] or 0) if found else 0

    def of_symbol(self, symbol: str, up_to: int) -> list[Execution]:
        """Return all executions of our orders in one instrument, as far as they were written up to a row."""
        rows = self._db.rows("SELECT body FROM executions WHERE symbol = ? AND id <= ? AND intent IS NOT NULL", symbol, up_to)
        return [codec.execution_from(body) for (body,) in rows]

    def foreign(self, symbol: str, after: int) -> list[Execution]:
        """Return executions of orders that are not ours in one instrument, written behind a row."""
        rows = self._db.rows("SELECT body FROM executions WHERE symbol = ? AND id > ? AND intent IS NULL", symbol, after)
        return [codec.execution_from(body) for (body,) in rows]

    def relinked(self) -> dict[str, str]:
        """Return when executions of an instrument last turned out to be ours after they had been written; by symbol."""
        return self._named(RELINKED)

    def assets(self) -> dict[str, Assets]:
        """Return what the instruments are made of, as far as a venue has told."""
        return {symbol: Assets(*json.loads(value)) for symbol, value in self._named(ASSETS).items()}

    def overfills(self) -> tuple[Overfill, ...]:
        """Return every order of which more was traded than was ordered."""
        return tuple(_overfill_from(value) for value in self._named(OVERFILLED).values() if value)

    def fillings(self, symbol: str, venue_order_id: str) -> list[Filling]:
        """Return how far an order of ours is filled, and all orders of its intent together if there are several."""
        row = self._db.row(
            "SELECT v.intent, v.report, i.client_order_id FROM venue_orders v JOIN intents i ON i.id = v.intent"
            " WHERE v.symbol = ? AND v.venue_order_id = ?", symbol, venue_order_id,
        )  # fmt: skip
        if row is None:
            return []
        intent, report, name = row
        one = Overfill(client_order_id=name, order=f"order {venue_order_id}", quantity=_ZERO, filled=_ZERO)
        found = [_filling(f"order:{symbol}:{venue_order_id}", intent, one, [report], self._of_order(symbol, venue_order_id))]
        orders = self._db.rows(_CHAIN, intent)
        if len(orders) > 1:
            done = [execution for symbol, order, *_ in orders for execution in self._of_order(symbol, order)]
            symbol, order, _, name, _ = orders[0]
            all_of_them = Overfill(client_order_id=name, order="all orders", quantity=_ZERO, filled=_ZERO)
            found.append(
                _filling(
                    f"intent:{symbol}:{order}",
                    intent,
                    all_of_them,
                    [text for row in orders for text in (row[2], row[4]) if text],
                    done,
                )
            )
        return [filling for filling in found if filling is not None]

    def _of_order(self, symbol: str, venue_order_id: str) -> list[Execution]:
        rows = self._db.rows("SELECT body FROM executions WHERE symbol = ? AND venue_order_id = ?", symbol, venue_order_id)
        return [codec.execution_from(body) for (body,) in rows]

    def _named(self, prefix: str) -> dict[str, str]:
        rows = self._db.rows("SELECT name, value FROM cursors WHERE name >= ? AND name < ?", prefix, prefix[:-1] + ";")
        return {name.removeprefix(prefix): value for name, value in rows}


def assets_text(assets: Assets) -> str:
    """Return the assets of an instrument as stored."""
    return json.dumps([assets.base, assets.quote])


def overfill_text(overfill: Overfill) -> str:
    """Return an overfill as stored."""
    return json.dumps([overfill.client_order_id, overfill.order, plain(overfill.quantity), plain(overfill.filled)])


def _overfill_from(text: str) -> Overfill:
    name, order, quantity, filled = json.loads(text)
    return Overfill(client_order_id=name, order=order, quantity=Decimal(quantity), filled=Decimal(filled))


def _filling(key: str, intent: int, of: Overfill, told: list[str], executions: list[Execution]) -> Filling | None:
    """Return how far something is filled, against the largest quantity that was ordered; None for an order by notional.

    What takes an order's place may be placed for the rest alone, while its decision states the new total; so both are looked at.
    The quantity of an order by notional is the venue's estimate, and nothing is held against it.
    """
    bodies = [json.loads(text) for text in told]
    stated = [Decimal(body["quantity"]) for body in bodies if body.get("quantity") is not None]
    if not stated or any(body.get("notional") is not None for body in bodies):
        return None
    return Filling(key=OVERFILLED + key, intent=intent, overfill=evolve(of, quantity=max(stated), filled=traded(executions)))
