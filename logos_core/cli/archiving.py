"""`logos ledger archive`: old events leave the ledger for a segment file beside it. Asks no venue."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from logos_core import presets, session
from logos_core.cli.environment import open_home
from logos_core.cli.exits import Exit
from logos_core.cli.ledgers import opened
from logos_core.cli.options import Json
from logos_core.cli.output import emit
from logos_core.clock import SystemClock
from logos_core.errors import ConfigurationError
from logos_core.home import Home, new_id
from logos_core.ledger.archive import archive as move_out
from logos_core.ledger.archive import verify
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.records import Segment

STRATEGY = "logos ledger archive"
"""The chain's name in the events; no order is ever sent under it."""


def archive(
    which: Annotated[
        Path, typer.Argument(metavar="PRESET|LEDGER", help="A preset, or a ledger file.", show_default=False, readable=False)
    ],
    before: Annotated[
        str, typer.Option("--before", metavar="DATE", help="What is older moves: 2026-01-01, in UTC.", show_default=False)
    ],
    as_json: Json = False,
) -> int:
    """Move old events out of a ledger into a file beside it; every intent stays."""
    clock, home = SystemClock(), open_home()
    moment = _moment(before, clock.now())
    path = _ledger(which, home)
    with closing(SqliteLedger.open(path, clock)) as known:
        owner = known.identity
    with home.ledger_lock(owner, exclusive=True), closing(SqliteLedger.open(path, clock, owner)) as ledger:
        body = _archive(home, ledger, moment)
    emit(body, _text(body), as_json=as_json)
    return Exit.DONE


def _archive(home: Home, ledger: SqliteLedger, moment: datetime) -> dict[str, Any]:
    session_id = new_id()
    held = home.hold_session(session_id)
    try:
        ledger.begin_session(session_id, STRATEGY, session.process_name())
        segment = move_out(ledger, moment)
        ledger.end_session()
        _, missing = verify(ledger)
        if home.registered(ledger.identity) is not None:
            session.register(home, ledger)
        home.forget_session(session_id)
    finally:
        held.release()
    return {"ledger": str(ledger.path), "segment": _segment_body(ledger, segment), "missing": missing}


def _segment_body(ledger: SqliteLedger, segment: Segment | None) -> dict[str, Any] | None:
    if segment is None:
        return None
    path = str(ledger.path.with_name(segment.file))
    return {"path": path, "sha256": segment.sha256, "first": segment.first, "last": segment.last}


def _moment(text: str, now: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise ConfigurationError(f"--before is {text!r}; give a date such as 2026-01-01") from None
    if moment > now:
        raise ConfigurationError(f"--before is {text}, which has not come yet; give a date in the past")
    return moment


def _ledger(which: Path, home: Home) -> Path:
    """Return the ledger that is meant."""
    if which.suffix != ".toml":
        return which.expanduser().absolute()
    with opened(home, presets.load(which)) as (ledgers, troubles):
        found = [ledger.path for ledger in ledgers]
    if len(found) != 1:
        said = "; ".join(trouble.said for trouble in troubles) or f"{which} may mean {len(found)} ledgers of this host"
        raise ConfigurationError(f"{said}; give the path of the ledger (see `logos status`)")
    return found[0]


def _text(body: dict[str, Any]) -> str:
    segment = body["segment"]
    lines = ["nothing is that old; nothing was moved"]
    if segment is not None:
        lines = [f"events {segment['first']} to {segment['last']} moved to {segment['path']}", f"  sha256 {segment['sha256']}"]
        lines.append("  keep it with the ledger's copies; no order ever needs it, the audit does")
    lines += [f"  MISSING: segment {name} is not beside the ledger; restore it from a copy" for name in body["missing"]]
    return "\n".join(lines)
