"""The presets a rehearsal runs on: the caller's, or those in the wheels of the installed venues."""

import json
import tomllib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from attrs import frozen

from logos_core import presets, venues
from logos_core.errors import ConfigurationError

CREDENTIAL = "LOGOS_SIMULATOR_KEY"
"""The variable that every simulator preset takes its key from."""
CANARY = "canary-2b7e151628aed2a6abf7158809cf4f3c"
"""The key of a rehearsal; whatever file it is found in afterwards leaks secrets."""


@frozen(kw_only=True)
class Rehearsable:
    """A simulator preset.

    Attributes:
        venue: the venue, with its variant.
        source: where the preset came from.
        body: what it says.
    """

    venue: str
    source: str
    body: dict[str, Any]

    def text(self, base_url: str, runs: Path, timeout_s: float) -> str:
        """Return the preset for a simulator that listens elsewhere and leaves its evidence elsewhere."""
        session = {**self.body.get("session", {}), "runs": str(runs), "timeout_s": timeout_s}
        session.pop("ledger", None)
        return _toml({**self.body, "base_url": base_url, "session": session})


def given(paths: list[Path]) -> list[Rehearsable]:
    """Return the caller's presets.

    Raises:
        ConfigurationError: for one that cannot be read, is not as it must be, or is not for a simulator.
    """
    found = []
    for path in paths:
        checked = presets.load(path)
        if checked.environment != "simulator":
            raise ConfigurationError(f"{path}: environment is {checked.environment!r}; a rehearsal runs on a simulator only")
        venues.declaration(checked.venue)
        found.append(Rehearsable(venue=checked.venue, source=str(path), body=presets.read(path)))
    return found


def embedded() -> list[Rehearsable]:
    """Return the simulator presets of every installed venue."""
    found = []
    for venue in venues.installed():
        package, _, folder = venue.entry_point.load().presets.partition(":")
        for name, body in _templates(package, folder):
            if body.get("environment") == "simulator":
                found.append(Rehearsable(venue=body["venue"], source=f"{venue.distribution}: {name}", body=body))
    return found


def _templates(package: str, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for entry in sorted(resources.files(package).joinpath(folder).iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".toml"):
            yield entry.name, tomllib.loads(entry.read_text(encoding="utf-8"))


def _toml(body: dict[str, Any]) -> str:
    plain = [_line(name, value) for name, value in body.items() if not isinstance(value, dict)]
    tables = [[f"\n[{name}]", *(_line(*item) for item in value.items())] for name, value in body.items() if isinstance(value, dict)]
    return "\n".join([*plain, *(line for table in tables for line in table)]) + "\n"


def _line(name: str, value: Any) -> str:
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"
