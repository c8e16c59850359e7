"""A session in a simulated process: the real Adapter, over a ledger and a venue that stop working when the process dies."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

from attrs import evolve, frozen

from campaign.network import NetworkedVenue, ReplacingVenue
from campaign.scheduler import Process
from campaign.world import World
from logos_core.adapter import Adapter
from logos_core.capabilities import ReplaceKind
from logos_core.home import HeldLock, Home
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.rails.absence import AbsencePolicy
from logos_core.rails.doubt import DoubtPolicy
from logos_core.records import LedgerIdentity
from logos_core.session import identify
from logos_core.testing import scripted
from logos_core.venues import BoundVenue
from logos_core.wire import Wire

TIMEOUT_S = 10.0
_BOUND: dict[int, list[tuple[NetworkedVenue, BoundVenue]]] = {}


@frozen
class Session:
    """An open Adapter and the process it lives in."""

    process: Process
    adapter: Adapter


def open_session(folder: Path, world: World, process: Process, holds: str) -> Session:
    """Open a session, which recovers first. Its process may die on the way.

    Raises:
        ConfigurationError: the venue says that the key is another account's, or does not say whose it is.
    """
    home = Home(folder / "home")
    venue, facade = _bind(world)
    own = venue.identity
    clock: Any = world.clock
    preset: Any = SimpleNamespace(path="preset.toml", environment=own.environment, account_id=own.account_id, credentials={})
    identify(facade, preset)
    owner = LedgerIdentity(venue=scripted.NAME, environment=own.environment, account_id=own.account_id)
    process.at_death.append(lambda: _let_go(home, process.name))
    home.hold_session(process.name)
    path = home.ledger_path(owner)
    is_there = path.exists() and not SqliteLedger.is_unfinished(path)
    ledger = SqliteLedger.open(path, clock, owner) if is_there else SqliteLedger.create(path, owner, clock)
    process.at_death.append(ledger.close)
    _seams(ledger, world, process)
    ledger.begin_session(process.name, "strategy", f"host:{process.name}")
    parts = scripted.assemble(
        ledger,
        facade,
        venue.identity,
        home,
        scripted.Rails(policy=AbsencePolicy(), unknown=DoubtPolicy(holds=holds)),
        strategy="strategy",
        clock=clock,
        folder=folder,
    )
    ledger.bury(home.is_dead)
    adapter = Adapter(parts)
    adapter.recover()
    return Session(process, adapter)


def _bind(world: World) -> tuple[NetworkedVenue, BoundVenue]:
    """Bind a venue for one more session of a world: one that an earlier world has left, since binding takes longer than a session does."""
    kind = ReplacingVenue if world.able.replace.kind is ReplaceKind.NATIVE else NetworkedVenue
    known = _BOUND.setdefault(id(world.able), [])
    if len(known) == world.sessions:
        venue = kind(world)
        known.append((venue, scripted.bound(venue, world.clock)))
    venue, bound = known[world.sessions]
    world.sessions += 1
    venue.__init__(world)  # type: ignore[misc]  # nothing is left of what it was before
    venue.wire = Wire(world.clock, TIMEOUT_S)
    return venue, evolve(bound, wire=venue.wire, lock=Lock())


def _let_go(home: Home, session_id: str) -> None:
    """Let go of a session's lock as a system does, which asks nobody whether it had come to be known."""
    for lock in list(HeldLock._held):
        if lock.path == home._session_path(session_id):
            lock.release()


def _seams(ledger: SqliteLedger, world: World, process: Process) -> None:
    """Let others go on before and after each transaction and each read, and let the process die there or just before a commit."""
    connection: Any = ledger._db
    run, transaction, commit, rows = connection.run, connection.transaction, connection.commit, connection.rows
    pause = world.scheduler.pause

    def seamed_run(work: Callable[[], Any], *more: Any) -> Any:
        pause("before a transaction")
        result = run(work, *more)
        pause("committed")
        return result

    @contextmanager
    def seamed_transaction(*more: Any) -> Iterator[None]:
        pause("before a transaction")
        with transaction(*more):
            yield
        pause("committed")

    def seamed_commit() -> None:
        world.scheduler.brush("before the commit")
        commit()

    def seamed_rows(sql: str, *bindings: Any) -> Any:
        process.require_alive()
        if connection._inside is None and not connection.lock._is_owned():
            pause("before a read")
        return rows(sql, *bindings)

    connection.run, connection.transaction, connection.commit, connection.rows = (
        seamed_run,
        seamed_transaction,
        seamed_commit,
        seamed_rows,
    )
