"""Load one venue as a session would, short of the network, and print what came of it; run in a process of its own."""

import json
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from logos_core.cli.templates import templates
from logos_core.clock import SystemClock
from logos_core.secrets import Secret
from logos_core.venues import VenueDeclaration, VenueSettings, bind, declaration, installed
from logos_core.wire import Wire

NOWHERE = "http://127.0.0.1:9"


def probe(name: str) -> dict[str, Any]:
    """Return the variants of a plugin that load, and the first error."""
    loaded: list[str] = []
    try:
        for declared, variant in _variants(name):
            bind(declared, _settings(declared, variant))
            loaded.append(f"{name}:{variant}" if variant else name)
    except Exception as error:  # noqa: BLE001  that is what is asked for
        return {"variants": loaded, "error": f"{type(error).__name__}: {error}"}
    return {"variants": loaded, "error": None}


def _variants(name: str) -> list[tuple[VenueDeclaration, str]]:
    found = next(venue for venue in installed() if venue.name == name).entry_point.load()
    names = [f"{name}:{variant}" for variant in getattr(found, "variants", ())] or [name]
    return [declaration(venue) for venue in names]


def _settings(declared: VenueDeclaration, variant: str) -> VenueSettings:
    clock = SystemClock()
    return VenueSettings(
        variant=variant,
        environment="simulator",
        base_url=NOWHERE,
        credentials=dict.fromkeys(declared.credentials, Secret("none")),
        options=_options(declared, variant),
        wire=Wire(clock, 1.0),
        clock=clock,
        host_folder=Path(tempfile.gettempdir()),
    )


def _options(declared: VenueDeclaration, variant: str) -> dict[str, str]:
    """Return the options of the plugin's own simulator preset, so that they are of the form it demands."""
    bodies = [tomllib.loads(template.read_text(encoding="utf-8")) for template in templates(declared, variant)]
    return next((body.get("venue_options", {}) for body in bodies if body.get("environment") == "simulator"), {})


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1])))
