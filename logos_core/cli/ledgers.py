"""The ledgers of this host, opened without network and without any plugin."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from logos_core.cli.exits import ConflictError
from logos_core.clock import SystemClock
from logos_core.errors import ConfigurationError, LedgerError, LogosError
from logos_core.home import Home, Registered
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.presets import Preset
from logos_core.records import LedgerIdentity, Recorded


@frozen
class Trouble:
    """A ledger that cannot be read, and why."""

    path: Path
    said: str


@contextmanager
def opened(home: Home, preset: Preset | None = None) -> Iterator[tuple[list[SqliteLedger], list[Trouble]]]:
    """Open the registered ledgers, or those that a preset may mean, and close them again."""
    ledgers: list[SqliteLedger] = []
    troubles: list[Trouble] = []
    try:
        for entry in _registered(home, troubles):
            found = _open(entry)
            if isinstance(found, Trouble):
                troubles.append(found)
            elif preset is None or is_meant(preset, found):
                ledgers.append(found)
            else:
                found.close()
        yield ledgers, troubles
    finally:
        for ledger in ledgers:
            ledger.close()


def _registered(home: Home, troubles: list[Trouble]) -> list[Registered]:
    try:
        return home.ledgers()
    except LedgerError as error:
        troubles.append(Trouble(home.path / "ledgers", str(error)))
        return []


def _open(entry: Registered) -> SqliteLedger | Trouble:
    ledger: SqliteLedger | None = None
    try:
        ledger = SqliteLedger.open(entry.path, SystemClock())
        ledger.recorded(1)
    except LogosError as error:
        if ledger is not None:
            ledger.close()
        return Trouble(entry.path, str(error))
    return ledger


def is_meant(preset: Preset, ledger: SqliteLedger) -> bool:
    """Say whether a preset may mean this ledger; without account_id, only the venue could tell for sure."""
    own = ledger.identity
    named = preset.session.ledger
    return (
        own.venue == preset.venue
        and own.environment == preset.environment
        and preset.account_id in {None, own.account_id}
        and (named is None or Path(named).expanduser().absolute() == ledger.path.absolute())
    )


def accounts(home: Home) -> list[tuple[LedgerIdentity, tuple[str, ...]]]:
    """Return the accounts of this host, each with the halt files that would stop it."""
    with opened(home) as (ledgers, _):
        return [(ledger.identity, home.halt_paths(ledger.identity)) for ledger in ledgers]


def named(ledgers: list[SqliteLedger], name: str) -> list[tuple[SqliteLedger, Recorded]]:
    """Return the intents that have this client order id or intent id."""
    found: list[tuple[SqliteLedger, Recorded]] = []
    for ledger in ledgers:
        by_id = ledger.find(name)
        found += [(ledger, recorded) for recorded in ([by_id] if by_id else ledger.find_intent(name))]
    return found


def the_one(ledgers: list[SqliteLedger], name: str, strategy: str | None = None) -> tuple[SqliteLedger, Recorded]:
    """Return the only intent of this name.

    Raises:
        ConfigurationError: for a name that nobody or several have.
    """
    found = named(ledgers, name)
    if strategy is not None and len(found) > 1:
        found = [(ledger, recorded) for ledger, recorded in found if recorded.strategy == strategy] or found
    if not found:
        raise ConfigurationError(f"no intent is recorded as {name!r}; `logos orders` lists what is")
    if len(found) > 1:
        rows = "; ".join(f"{recorded.client_order_id} (strategy {recorded.strategy})" for _, recorded in found)
        raise ConflictError(f"{name!r} is the name of {len(found)} intents: {rows}; give the client order id")
    return found[0]


def refuse_if_unread(troubles: list[Trouble]) -> None:
    """Say that something is missing from what was printed."""
    if troubles:
        raise LedgerError("; ".join(trouble.said for trouble in troubles))
