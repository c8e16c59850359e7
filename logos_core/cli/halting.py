"""`logos halt`: the kill switch.

Rules:

1. It needs the standard library. Whatever else is broken, the file gets written; its existence is what counts.
2. It never asks back, and asks nobody's permission.
3. It says what it stops. A halt that stops nothing this host knows is an error, and the file stays.
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from logos_core.cli.plainly import parser
from logos_core.errors import ConfigurationError

EVERYTHING = "everything"


def halt(args: list[str]) -> int:
    """Stop new orders, at once; works whatever else is broken."""
    scope, by, because, as_json = _read(args)
    path, trouble = _engage(scope, by, because)
    if trouble:
        print(f"logos: halted all the same, although something is broken: {trouble}", file=sys.stderr)
    _tell({"scope": scope, "path": str(path), "by": by, "because": because}, as_json=as_json)
    stops = None if trouble else _covers(path)
    if scope == EVERYTHING or stops is None or stops:
        return 0
    print(
        f"logos: error: {scope!r} covers no account this host knows; if it should cover one, "
        "run `logos halt`, which stops everything, and see `logos status` for the accounts",
        file=sys.stderr,
    )
    return 2


def _read(args: list[str]) -> tuple[str, str, str, bool]:
    made = parser("halt", halt)
    made.add_argument(
        "scope", nargs="?", default=EVERYTHING, help="everything, a venue such as alpaca, or an account's key; default: everything"
    )
    made.add_argument("--because", default="not said", help="why; for the people who have to resume")
    made.add_argument("--by", default=None, help="who; default: the user of this process")
    try:
        given: argparse.Namespace = made.parse_args(args)
        if not re.fullmatch(r"[A-Za-z0-9_:-]+", given.scope):
            raise ConfigurationError(f"scope {given.scope!r} is not one")
    except ConfigurationError as error:
        raise ConfigurationError(f"NOT halted: {error}. `logos halt` alone stops everything") from None
    return given.scope, given.by or _user(), given.because, given.json


def _engage(scope: str, by: str, because: str) -> tuple[Path, str | None]:
    """Write the halt file, by the simplest means that works; return it and what was broken."""
    try:
        from logos_core.cli.environment import open_home
        from logos_core.clock import SystemClock

        return open_home().halt(scope, by, because, SystemClock().now()), None
    except Exception as error:  # noqa: BLE001  nothing may keep the switch from being thrown
        return _write_plainly(scope, by, because), f"{type(error).__name__}: {error}"


def _write_plainly(scope: str, by: str, because: str) -> Path:
    folder = plain_home() / "halt"
    path = folder / scope.replace(":", "-")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.touch()  # a full disk may still have room for a name
    except OSError as error:
        raise ConfigurationError(
            f"NOT halted: {path} cannot be written ({error.strerror}); make it writable, or stop the processes"
        ) from error
    try:
        path.write_text(json.dumps({"scope": scope, "by": by, "because": because, "at": _now()}))
    except OSError as error:
        print(f"logos: the reason could not be written down ({error.strerror}); the file is there and halts", file=sys.stderr)
    return path


def plain_home() -> Path:
    """Return LOGOS_HOME as `logos_core.home` would, without anything that could be missing."""
    given = os.environ.get("LOGOS_HOME")
    if given:
        return Path(given).expanduser().absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/logos"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "logos"
    return Path(os.environ.get("XDG_DATA_HOME", "").strip() or Path.home() / ".local/share") / "logos"


def _covers(path: Path) -> list[str] | None:
    """Return the known accounts that the file stops; None if that cannot be told, or if there is none to stop."""
    try:
        from logos_core.cli.environment import open_home
        from logos_core.cli.ledgers import accounts

        known = accounts(open_home())
        plugin = path.name.split("-")[0]
        if plugin in _venue_names() and not any(identity.venue.split(":")[0] == plugin for identity, _ in known):
            return None
        return [identity.account_id for identity, paths in known if str(path) in paths]
    except Exception:  # noqa: BLE001  it is halted; what it covers is a courtesy
        return None


def _venue_names() -> set[str]:
    from importlib import metadata

    return {point.name for point in metadata.entry_points(group="logos.venues")}


def _tell(body: dict[str, Any], *, as_json: bool) -> None:
    how = f"logos resume {body['scope']} --by NAME --by NAME --because TEXT"
    text = f"halted: {body['scope']}; no new order of it leaves ({body['path']})\nCancels still go out. `{how}` ends it."
    print(json.dumps(body, ensure_ascii=False) if as_json else text, flush=True)


def _user() -> str:
    try:
        import getpass

        return getpass.getuser()
    except Exception:  # noqa: BLE001  a process without a name may halt, too
        return "unknown"


def _now() -> str:
    from logos_core.clock import SystemClock

    return SystemClock().now().isoformat()
