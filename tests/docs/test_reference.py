"""Whatever the code has, the reference has: an omission is a failure, by name.

These tests iterate over the code itself, not over what the generator found in it.
"""

import enum
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import fields, has

import logos_core
from logos_core import presets, venues
from logos_core.capabilities import Capabilities
from logos_core.cli import commands
from logos_core.cli.exits import Exit
from logos_core.errors import LogosError
from logos_core.hookspecs import ExtensionHooks, VenueHooks
from tests.docs.conftest import ROOT

CORE = ROOT / "logos_core"
PROMISES = ("**Called:**", "**Returns:**", "**None:**", "**In use:**")
ROOTS = {"LogosError", "VenueError", "AuditError"}
"""Errors that only gather others: what to do is said by each of those."""


def read(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def entries(page: str, level: int = 3) -> dict[str, str]:
    """Return what stands under each heading of a level that is one name in code."""
    return dict(re.findall(rf"^{'#' * level} `(.+?)`\n(.*?)(?=^#|\Z)", read(page), re.DOTALL | re.MULTILINE))


def hooks() -> list[str]:
    return [
        name
        for kind in (VenueHooks, ExtensionHooks)
        for name in vars(kind)
        if inspect.isfunction(vars(kind)[name]) and name[0] != "_"
    ]


@pytest.mark.parametrize("name", hooks())
def test_a_hook_says_when_it_is_called_what_it_returns_what_none_means_and_who_uses_it(name: str):
    said = entries("reference/hooks.md").get(name, "")

    assert [] == [promise for promise in PROMISES if promise not in said], f"docs/reference/hooks.md says too little of {name}"
    assert "by nobody yet" not in said, f"no plugin and no example uses {name}"


def errors() -> list[type[Exception]]:
    walked = pkgutil.walk_packages([str(CORE)], "logos_core.")
    modules = [
        importlib.import_module(found.name) for found in walked if ".testing" not in found.name and "__main__" not in found.name
    ]
    found = {
        thing for module in modules for thing in vars(module).values() if inspect.isclass(thing) and issubclass(thing, Exception)
    }
    own = (kind for kind in found if kind.__module__.startswith("logos_core") and not kind.__name__.startswith("_"))
    return sorted(own, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", errors(), ids=lambda kind: kind.__name__)
def test_an_error_is_on_the_page_of_errors(kind: type[Exception]):
    page = read("reference/errors.md")

    assert re.search(rf"^(### |\| )`{kind.__name__}`", page, re.MULTILINE), (
        f"docs/reference/errors.md says nothing of {kind.__name__}"
    )


@pytest.mark.parametrize("kind", [kind for kind in errors() if kind.__name__ in logos_core.__all__], ids=lambda kind: kind.__name__)
def test_a_public_error_says_what_it_means_and_what_its_caller_does(kind: type[Exception]):
    if kind.__name__ in ROOTS:
        return
    said = inspect.cleandoc(kind.__doc__ or "").split("Attributes:")[0]

    assert issubclass(kind, LogosError)
    assert 2 <= len(re.findall(r"[.;](?:\s|$)", said)), f"{kind.__name__} does not say what its caller does"


@pytest.mark.parametrize("member", Exit, ids=lambda member: member.name)
def test_an_exit_code_is_on_its_page_in_the_primer_and_in_the_help(member: Exit):
    rows = re.findall(rf"^\| {int(member)} \| `{member.name}` \| (.+?) \| (.+?) \|", read("reference/exit-codes.md"), re.MULTILINE)

    assert 1 == len(rows), f"docs/reference/exit-codes.md has no row of {member.name}"
    assert re.search(rf"^\| {int(member)} \|", read("ADAPTER_HARDENING.md"), re.MULTILINE)
    assert re.search(rf"\b{int(member)} \w", commands.overview().partition("Exit codes:")[2])


def preset_keys() -> Iterator[tuple[str, str]]:
    for item in fields(presets.Preset):
        if item.name == "path":
            continue
        kind = item.type if isinstance(item.type, type) and has(item.type) else None
        if kind is None:
            yield "", item.name
        else:
            yield from ((item.name, key.name) for key in fields(kind))


@pytest.mark.parametrize(("table", "key"), list(preset_keys()))
def test_a_key_of_a_preset_has_its_type_its_default_and_its_meaning(table: str, key: str):
    page = read("reference/presets.md")
    part = re.split(r"^## ", page.partition(f"## `[{table}]`" if table else "## At the top")[2], flags=re.MULTILINE)[0]
    row = re.search(rf"^\| `\[?{key}\]?` \| (.+?) \| (.+?) \| (.{{10,}}?) \|$", part, re.MULTILINE)

    assert row, f"docs/reference/presets.md has no row of {table}.{key}"


def facts(kind: type = Capabilities, prefix: str = "") -> Iterator[str]:
    for item in fields(kind):
        if isinstance(item.type, type) and has(item.type):
            yield from facts(item.type, f"{item.name}.")
        elif item.name != "sources":
            yield f"{prefix}{item.name}"


def variants() -> list[tuple[str, str]]:
    own = [venue for venue in venues.installed() if (ROOT / "plugins" / venue.distribution).is_dir()]
    return [(venue.name, variant) for venue in own for variant in venue.entry_point.load().variants or ("",)]


@pytest.mark.parametrize(("name", "variant"), variants())
@pytest.mark.parametrize("fact", list(facts()))
def test_a_capability_of_a_venue_stands_in_its_table_with_a_source(name: str, variant: str, fact: str):
    full = f"{name}:{variant}" if variant else name
    part = re.split(r"^## ", read("venues.md").partition(f"## `{full}`\n")[2], flags=re.MULTILINE)[0]

    assert re.search(rf"^\| `{re.escape(fact)}` \| .+? \| .{{3,}} \|$", part, re.MULTILINE), (
        f"docs/venues.md: {full} does not say {fact}"
    )


@pytest.mark.parametrize(("name", "variant"), variants())
def test_a_venue_has_a_page_and_a_place_in_the_site(name: str, variant: str):
    page = f"how-to/{name}-{variant}.md" if variant else f"how-to/{name}.md"

    assert (ROOT / "docs" / page).exists(), f"docs/{page} is missing; run: python docs/generate.py"
    assert f": {page}\n" in (ROOT / "mkdocs.yml").read_text(), f"mkdocs.yml has no place for {page}; add it to nav"


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_a_command_is_on_the_page_of_commands(name: str):
    assert f"\n## `logos {name}`\n" in read("reference/commands.md"), f"docs/reference/commands.md says nothing of logos {name}"


def reasons() -> set[str]:
    sources = [path.read_text() for path in CORE.rglob("*.py") if path.relative_to(CORE).parts[0] not in {"testing", "cli"}]
    found = re.findall(
        r'(?:Denial\(\s*reason=|REASON = |Error\(\s*|__init__\(|_off\(\s*)"([A-Z]+(?:_[A-Z]+)+)"', "\n".join(sources)
    )
    return set(found)


@pytest.mark.parametrize("reason", sorted(reasons()))
def test_a_reason_of_a_denial_is_on_its_page(reason: str):
    assert re.search(rf"^\| `{reason}` \| .{{10,}} \|", read("reference/denials.md"), re.MULTILINE), (
        f"docs/reference/denials.md says nothing of {reason}"
    )


def test_the_reasons_are_found_in_the_code():
    assert {"KILL_SWITCH_HALTED", "ORDER_INVALID", "PRICE_OFF_GRID", "RATE_BUDGET_SPENT", "SEND_WINDOW_PASSED"} <= reasons()


@pytest.mark.parametrize("name", logos_core.__all__)
def test_a_public_name_has_an_entry(name: str):
    thing = getattr(logos_core, name)
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return

    assert name in entries("reference/api.md", level=2), f"docs/reference/api.md says nothing of {name}"


def methods() -> list[str]:
    classes = [(name, getattr(logos_core, name)) for name in logos_core.__all__ if inspect.isclass(getattr(logos_core, name))]
    plain = [(name, kind) for name, kind in classes if not issubclass(kind, (Exception, enum.Enum))]
    return [
        f"{name}.{member}"
        for name, kind in plain
        for member, thing in vars(kind).items()
        if not member.startswith("_") and (inspect.isfunction(thing) or isinstance(thing, classmethod | property))
    ]


@pytest.mark.parametrize("name", methods())
def test_a_public_method_has_an_entry_that_says_something(name: str):
    said = re.sub(r"```.*?```", "", entries("reference/api.md").get(name, ""), flags=re.DOTALL)

    assert 10 <= len(said.strip()), f"docs/reference/api.md says nothing of {name}"


def hand_written() -> list[Path]:
    return [page for page in (ROOT / "docs").rglob("*.md") if "Written by docs/generate.py" not in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", hand_written(), ids=lambda page: page.name)
def test_a_page_names_only_methods_that_exist(page: Path):
    named = set(re.findall(r"`(AsyncAdapter|Adapter|Order)\.(\w+)", page.read_text(encoding="utf-8")))

    assert [] == sorted(f"{kind}.{name}" for kind, name in named if not hasattr(getattr(logos_core, kind, None), name))


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "adr").glob("0*.md")), ids=lambda page: page.stem)
def test_a_decision_says_what_pulled_what_the_options_were_and_what_it_costs(page: Path):
    text = page.read_text(encoding="utf-8")

    assert ["Context", "Drivers", "Options", "Outcome", "Costs"] == re.findall(r"^\*\*(\w+)\.\*\*", text, re.MULTILINE)
    assert f"({page.name})" in read("adr/index.md")
