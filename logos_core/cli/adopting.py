"""`logos ledger adopt`: give an account a ledger that knows what the account has done.

Rules:

1. No session may be on the ledger: its lock is taken exclusively, before anything is touched.
2. No file is deleted or overwritten. What cannot be used is moved aside, with its write-ahead log.
3. What an earlier ledger still knows is kept: one that can be read is used, wherever the registry said it was.
4. An attempt in flight whose session nobody can prove dead or alive any more becomes UNKNOWN.
"""

import os
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from logos_core import adoption, presets, session
from logos_core.cli.environment import open_home
from logos_core.cli.exits import CheckFailedError, ConflictError, Exit, UnreachableError
from logos_core.cli.options import Json, PresetArgument
from logos_core.cli.output import emit
from logos_core.clock import SystemClock
from logos_core.errors import AuditError, LedgerError
from logos_core.events import verify
from logos_core.home import Home, new_id
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.presets import Preset
from logos_core.records import AttemptOutcome, LedgerIdentity, Segment
from logos_core.venues import BoundVenue, VenueAskError

STRATEGY = "logos ledger adopt"
"""The chain's name in the events; no order is ever sent under it."""

_DAMAGE = {"CorruptError", "NotADBError", "SQLError"}
_FILES = ("", "-wal", "-shm")


def adopt(
    preset: PresetArgument,
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", help="A symbol traded before, where the venue lists nothing without; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Take over what the venue holds, for a ledger that is new, lost, restored or moved."""
    checked = presets.load(preset)
    clock = SystemClock()
    home = open_home()
    venue = session.bind(checked, os.environ, clock, home)
    identity = session.identify(venue, checked)
    owner = LedgerIdentity(venue=venue.name, environment=identity.environment, account_id=identity.account_id)
    with home.ledger_lock(owner, exclusive=True):
        ledger, moved = _ledger(home, owner, checked, clock)
        try:
            body = _adopt(home, venue, ledger, tuple(symbol or ()), clock)
        finally:
            ledger.close()
    body["moved_aside"] = [str(path) for path in moved]
    emit(body, _text(body, venue, symbol), as_json=as_json)
    return Exit.DONE


def _ledger(home: Home, owner: LedgerIdentity, preset: Preset, clock: SystemClock) -> tuple[SqliteLedger, list[Path]]:
    """Return the account's ledger, open and readable, and what had to be moved aside for it."""
    path = session.ledger_path(owner, preset, home)
    _bring(_remembered(home, owner), path, owner, clock)
    moved: list[Path] = []
    if path.exists():
        try:
            return _opened(path, owner, clock), []
        except LedgerError as error:
            if not _is_damage(error):
                raise
        moved = _move(path, path.with_name(f"{path.name}.replaced-{clock.now():%Y%m%dT%H%M%SZ}"))
    return SqliteLedger.create(path, owner, clock), moved


def _remembered(home: Home, owner: LedgerIdentity) -> Path | None:
    try:
        known = home.registered(owner)
    except LedgerError:
        return None  # an entry that cannot be read is written anew
    return known.path if known else None


def _bring(old: Path | None, path: Path, owner: LedgerIdentity, clock: SystemClock) -> None:
    """Move a readable ledger to where the preset wants it now; what it knows must not be lost on the way."""
    if old is None or old == path or not old.exists():
        return
    try:
        before = _opened(old, owner, clock)
    except LedgerError as error:
        if _is_damage(error):
            return
        raise
    known, segments = (before.ledger_id(), before.last_sequence()), before.segments()
    before.close()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _move_segments(segments, old.parent, path.parent, clock)  # first: cut off in between, the next run still finds the ledger
        _move(old, path)
        return
    now = _opened(path, owner, clock)
    found = (now.ledger_id(), now.last_sequence())
    now.close()
    if found[0] != known[0] or found[1] < known[1]:
        raise ConflictError(
            f"two ledgers of {owner.account_id} exist: {old}, which this host used last, and {path}, which does not hold all of it; "
            "name the first in the preset, or move one of them away yourself"
        )


def _opened(path: Path, owner: LedgerIdentity, clock: SystemClock) -> SqliteLedger:
    """Open a ledger and read it from end to end.

    Raises:
        LedgerError: it cannot be read.
        AuditError: it can be read, and is not what was written.
    """
    ledger = SqliteLedger.open(path, clock, owner)
    try:
        verify(ledger.events(), ledger.archived_heads())
        ledger.recorded(-1)
    except AuditError as error:
        ledger.close()
        raise CheckFailedError(
            f"{path} has been tampered with: {error}. Nothing was changed; keep it for the record, move it away yourself, and run this again"
        ) from error
    except LedgerError:
        ledger.close()
        raise
    return ledger


def _is_damage(error: BaseException | None) -> bool:
    """Say whether the file itself is at fault, not who may read it, who holds it or which version wrote it."""
    while error is not None:
        if type(error).__name__ in _DAMAGE:
            return True
        error = error.__cause__
    return False


def _move(old: Path, new: Path) -> list[Path]:
    """Move a ledger with the files SQLite keeps beside it; return what is where now."""
    moved = []
    for ending in _FILES:
        source, target = old.with_name(old.name + ending), new.with_name(new.name + ending)
        if not source.exists():
            continue
        try:
            shutil.move(source, target)
        except OSError as error:
            raise LedgerError(f"{source} cannot be moved to {target} ({error}); make both folders writable") from error
        moved.append(target)
    return moved


def _move_segments(segments: list[Segment], old: Path, new: Path, clock: SystemClock) -> None:
    """Move what was archived from one folder to another. It keeps its name, by which the ledger knows it."""
    for segment in segments:
        source, target = old / segment.file, new / segment.file
        if source == target or not source.exists():
            continue
        if target.exists():
            target.replace(target.with_name(f"{target.name}.replaced-{clock.now():%Y%m%dT%H%M%SZ}"))
        _move(source, target)


def _adopt(home: Home, venue: BoundVenue, ledger: SqliteLedger, symbols: tuple[str, ...], clock: SystemClock) -> dict[str, Any]:
    with ExitStack() as holding:
        session_id = new_id()
        held = home.hold_session(session_id)
        holding.callback(held.release)
        ledger.begin_session(session_id, STRATEGY, session.process_name())
        unknown = _settle_open_attempts(ledger)
        clock.sleep(venue.capabilities.client_ids.visibility_lag_s)  # what was accepted a moment ago must be visible by now
        try:
            adopted = adoption.adopt(venue, ledger, symbols)
        except VenueAskError as error:
            raise UnreachableError(
                f"NOT adopted: {venue.name} cannot be asked what the account holds: {error}; run it again later"
            ) from error
        ledger.end_session()
        session.register(home, ledger)
        home.forget_session(session_id)
    return {
        "ledger": str(ledger.path),
        "account_id": ledger.identity.account_id,
        "adopted": adopted,
        "made_unknown": unknown,
        "unknown": [recorded.client_order_id for recorded in ledger.unsettled()],
    }


def _settle_open_attempts(ledger: SqliteLedger) -> list[str]:
    """Call unknown what is in flight: nobody else can be on this ledger, so nobody waits for its answer any more."""
    found = []
    for recorded in ledger.unsettled():
        for attempt in recorded.attempts:
            if attempt.outcome is None:
                evidence = {"why": f"its session {attempt.session_id} was gone when the ledger was adopted"}
                ledger.settle(recorded.client_order_id, attempt.number, AttemptOutcome.UNKNOWN, evidence=evidence)
                found.append(recorded.client_order_id)
    return found


def _text(body: dict[str, Any], venue: BoundVenue, symbols: list[str] | None) -> str:
    lines = [f"adopted: {body['adopted']} order(s) of account {body['account_id']} are new in {body['ledger']}"]
    lines += [f"  moved aside: {path}" for path in body["moved_aside"]]
    lines += [f"  UNKNOWN: {name}; `logos recover PRESET` asks for it" for name in body["unknown"]]
    if not venue.capabilities.client_ids.account_history and not symbols:
        lines.append(f"  {venue.name} lists no history without a symbol: name with --symbol what was traded before")
    return "\n".join(lines)
