"""A how-to page for every variant of every plugin of this repository. A plugin that lands has its page as soon as this is run."""

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from attrs import frozen

from generating.tables import NOTICE, MissingWordsError, code
from logos_core import venues
from logos_core.home import folder_name
from logos_core.testing.rehearsal.scenario import price_at, unit_of
from logos_core.values import plain
from logos_core.venues import InstalledVenue, VenueDeclaration

ROOT = Path(__file__).resolve().parents[2]
ELSEWHERE = {"Install", "Use", "Links"}
"""Sections of a plugin's README that this page says in its own way."""


@frozen(kw_only=True)
class Variant:
    """One venue as a preset names it."""

    name: str
    installed: InstalledVenue
    declared: VenueDeclaration
    variant: str

    @property
    def path(self) -> str:
        return f"docs/how-to/{folder_name(self.name)}.md"


def variants() -> list[Variant]:
    """Return every variant of the plugins of this repository."""
    own = [venue for venue in venues.installed() if (ROOT / "plugins" / venue.distribution).is_dir()]
    found = []
    for installed in own:
        declared: VenueDeclaration = installed.entry_point.load()
        for variant in declared.variants or ("",):
            name = f"{installed.name}:{variant}" if variant else installed.name
            found.append(Variant(name=name, installed=installed, declared=declared, variant=variant))
    return found


def venue_how_to(venue: Variant) -> str:
    """Return one venue's page."""
    preset = f"{folder_name(venue.name)}-simulator.toml"
    order = _example(venue)
    secrets = ", ".join(f"`{name}`" for name in venue.declared.credentials) or "none"
    return "\n".join([
        f"# Trade on {_title(venue)}",
        "",
        NOTICE,
        "",
        f"The package is `{venue.installed.distribution}`, the venue's name in a preset `{venue.name}`. It stands on the SDK",
        f"`{venue.declared.sdk.distribution}` from {venue.declared.sdk.minimum}, below {venue.declared.sdk.below}.",
        f"All that it can do, with sources, is in [the table of venues](../venues.md#{_anchor(venue.name)}).",
        "",
        "## On the simulator",
        "",
        "The simulator speaks the venue's own HTTP on this computer. It needs no account, and takes any key.",
        "",
        *code(
            "\n".join([
                f"$ pip install {venue.installed.distribution}",
                f"$ logos init {venue.name}  # writes the presets below",
                f"$ logos rehearse {preset}  # a whole session, killed in the middle and recovered",
                "$ export LOGOS_SIMULATOR_KEY=any",
                f"$ logos simulate {venue.name} --port {_port(venue)} &",
                f"$ logos submit {preset} {order} --intent-id first",
                f"$ logos reconcile {preset}",
            ]),
            "console",
        ),
        "",
        "## On the paper account",
        "",
        f"Secrets: {secrets}. A preset refers to them, such as `env:NAME`; it never holds them. When a session opens, the venue is asked",
        "whose key it is, and any other environment than the preset's is refused.",
        "",
        *_templates(venue),
        *_options(venue),
        *_known(venue),
    ])  # fmt: skip


def _title(venue: Variant) -> str:
    names = {"oanda": "OANDA"}
    word = venue.variant or venue.installed.name
    return names.get(word, word.capitalize()) + (f" (`{venue.name}`)" if venue.variant else "")


def _anchor(name: str) -> str:
    return re.sub(r"[^a-z0-9-]", "", name.lower())


def _example(venue: Variant) -> str:
    """Return an order that the simulator takes, as `logos submit` reads it: far below the market, so that it rests."""
    application: Any = venue.declared.simulator(venue.variant)
    instrument = next(iter(application.exchange.instruments()))
    return f"buy {plain(unit_of(instrument))} {instrument.symbol} --limit {plain(price_at(instrument, '0.5'))}"


def _port(venue: Variant) -> str:
    found = re.search(r'^base_url = "http://127\.0\.0\.1:(\d+)"', _template(venue, "simulator"), re.MULTILINE)
    if found is None:
        raise MissingWordsError(f"{venue.installed.distribution}: the simulator preset of {venue.name} names no port")
    return found[1]


def _template(venue: Variant, environment: str) -> str:
    package, _, folder = venue.declared.presets.partition(":")
    name = f"{venue.variant}-{environment}.toml" if venue.variant else f"{environment}.toml"
    entry = resources.files(package).joinpath(folder, name)
    if not entry.is_file():
        return ""
    return entry.read_text(encoding="utf-8")


def _templates(venue: Variant) -> Iterator[str]:
    for environment in ("paper", "simulator"):
        text = _template(venue, environment)
        if not text:
            yield from (f"There is no {environment} preset: the venue has no such environment.", "")
            continue
        yield from (f"`{folder_name(venue.name)}-{environment}.toml`:", "", *code(text, "toml"), "")


def _options(venue: Variant) -> Iterator[str]:
    if venue.declared.options:
        yield from ("Keys of `[venue_options]`:", "")
        yield from (f"- `{name}`: {what}" for name, what in venue.declared.options.items())
        yield ""


def _known(venue: Variant) -> Iterator[str]:
    """Return what the plugin's README says besides, of this variant or of all."""
    readme = (ROOT / "plugins" / venue.installed.distribution / "README.md").read_text(encoding="utf-8")
    others = [other for other in venue.declared.variants if other != venue.variant]
    for heading, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", readme, re.DOTALL | re.MULTILINE):
        if heading not in ELSEWHERE and not any(other in heading.lower() for other in others):
            yield from (f"## {heading}", "", *body.strip().split("\n"), "")
