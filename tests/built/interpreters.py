"""Which Pythons this machine has: those that the packages say they run on, tried by running them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

Version = tuple[int, int]

OLDEST: Version = (3, 11)
NAMES = [f"python3.{minor}" for minor in range(OLDEST[1], 16)]
TELL = "import json, sys; print(json.dumps([*sys.version_info[:2], sys.version_info.releaselevel, sys.implementation.name]))"
ONE_PYTHON = "LOGOS_ONE_PYTHON"
"""Why this machine has only one Python; who sets it takes the tests on the other end for not run."""


def found() -> dict[Version, Path]:
    """Return a released CPython of each version, the oldest first; of several, the running one or the first on PATH."""
    known: dict[Version, Path] = {}
    for path in _candidates():
        version = _version(path)
        if version is not None and version >= OLDEST:
            known.setdefault(version, path)
    return dict(sorted(known.items()))


def lacking(known: Mapping[Version, Path]) -> str | None:
    """Say what to install where the oldest Python, or any newer one, is not here."""
    if OLDEST not in known:
        return f"python{OLDEST[0]}.{OLDEST[1]} is not here: install it (pyenv install {OLDEST[0]}.{OLDEST[1]})"
    if len(known) < 2:
        return "no Python newer than the oldest is here: install the newest one (pyenv install 3.13)"
    return None


def _candidates() -> Iterator[Path]:
    yield Path(sys.executable)
    for name in NAMES:
        for folder in os.get_exec_path():
            if path := shutil.which(name, path=folder):
                yield Path(path)
    for name in NAMES:
        yield from sorted(Path("~/.pyenv/versions").expanduser().glob(f"*/bin/{name}"))


def _version(path: Path) -> Version | None:
    """Return what a program says it is; a name without a Python behind it, as pyenv leaves them, says nothing."""
    try:
        done = subprocess.run([path, "-I", "-c", TELL], capture_output=True, text=True, timeout=20, check=False)
        major, minor, level, name = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return (major, minor) if (level, name) == ("final", "cpython") else None
