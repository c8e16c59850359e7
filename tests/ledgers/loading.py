"""Dumped ledgers, back in files."""

import json
from pathlib import Path
from typing import Any

import apsw

from logos_core.home import Home
from logos_core.orders import Order, OrderType
from logos_core.records import LedgerIdentity

FIRST_VERSION = Path(__file__).parent / "first_version"


def load(name: str, path: Path) -> Path:
    """Write a dumped ledger into a new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode=WAL").fetchall()  # as every version wrote it; the file remembers, a dump does not
    connection.execute((FIRST_VERSION / f"{name}.sql").read_text())
    connection.close()
    return path


def move_in(name: str, folder: Path) -> Path:
    """Put a dumped ledger, with the locks of its sessions, which are all dead, where sessions in a LOGOS_HOME will look for it."""
    home = Home(folder)
    venue, environment, account_id = then(name)["identity"]
    path = load(name, home.ledger_path(LedgerIdentity(venue=venue, environment=environment, account_id=account_id)))
    connection = apsw.Connection(str(path))
    for (session_id,) in connection.execute("SELECT session_id FROM sessions"):
        (folder / "sessions" / f"{session_id}.lock").touch()
    connection.close()
    return path


def then(name: str) -> dict[str, Any]:
    """Return what the ledger answered to the version that wrote it."""
    said: dict[str, Any] = json.loads((FIRST_VERSION / f"{name}.json").read_text())
    return said


def order_of(intent: dict[str, Any], **changes: Any) -> Order:
    """Return the order that a caller would submit again."""
    payload = {**intent["payload"], **changes}
    given = {
        "quantity": payload["quantity"],
        "intent_id": intent["intent_id"],
        "time_in_force": payload["time_in_force"],
        "round_to_grid": payload["round_to_grid"] == "yes",
    }
    if payload["order_type"] == OrderType.MARKET.value:
        return Order.market(payload["symbol"], payload["side"], **given)
    return Order.limit(payload["symbol"], payload["side"], price=payload["price"], **given)


def told(before: Any, now: Any) -> Any:
    """Return what is said now of all that was said before: what later versions add beside it is left out."""
    if isinstance(before, dict) and isinstance(now, dict):
        return {name: told(value, now[name]) for name, value in before.items() if name in now}
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [told(*pair) for pair in zip(before, now, strict=True)]
    return now
