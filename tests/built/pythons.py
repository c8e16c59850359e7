"""The Pythons of this machine: named `python3.N` on the path, in pyenv's folder, and the one that runs."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
WHY_ONE = "LOGOS_ONE_PYTHON"
"""The variable that says why this machine has only one of the two Pythons; without it, one that is missing fails."""
Version = tuple[int, int]
LATEST_LOOKED_FOR = 40
_ASK = "import sys; print(*sys.version_info[:2], sys.version_info.releaselevel, sys.implementation.name)"


def oldest_wanted() -> Version:
    """Return the oldest Python that the packages say they run on."""
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    major, minor = said.removeprefix(">=").split(".")
    return int(major), int(minor)


def pythons(candidates: Iterable[Path] | None = None) -> dict[Version, Path]:
    """Return one working release of CPython per version that we run on, from the oldest to the newest."""
    found: dict[Version, Path] = {}
    for path in _candidates() if candidates is None else candidates:
        version = _version(path)
        if version is not None and version >= oldest_wanted():
            found.setdefault(version, path)
    return dict(sorted(found.items()))


def both_ends(found: dict[Version, Path], why_one: str | None) -> list[Version]:
    """Return the oldest and the newest; raise with the remedy where one of them is missing and nobody said why."""
    wanted = oldest_wanted()
    ends = list(dict.fromkeys((min(found), max(found))))
    if (len(ends) == 2 and ends[0] == wanted) or why_one:
        return ends
    names = ", ".join(f"{major}.{minor}" for major, minor in found)
    raise LookupError(
        f"the packages are tried on Python {wanted[0]}.{wanted[1]} and on a newer one; this machine has {names}. Put another "
        f"`python3.N` on the path or into pyenv's folder, or set {WHY_ONE} to the reason why it has no other"
    )


def _candidates() -> Iterable[Path]:
    yield Path(sys.executable)
    for minor in range(oldest_wanted()[1], LATEST_LOOKED_FOR):
        path = shutil.which(f"python3.{minor}")
        if path is not None:
            yield Path(path)
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(root.glob("versions/3.*/bin/python"))


def _version(path: Path) -> Version | None:
    """Return an interpreter's version; None for a shim that leads nowhere, a preview, or another Python than CPython."""
    try:
        done = subprocess.run([str(path), "-I", "-c", _ASK], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor, level, name = done.stdout.split()
    return (int(major), int(minor)) if (level, name) == ("final", "cpython") else None
