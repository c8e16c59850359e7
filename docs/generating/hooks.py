"""The page on the hooks."""

import ast
import functools
from collections.abc import Iterable, Iterator
from inspect import isfunction
from pathlib import Path
from typing import Any

from generating.tables import code, no_stale, page, prose, said, signature
from generating.words import HOOKS_NONE, HOOKS_NONE_VENUE, HOOKS_RETURN, HOOKS_WHEN
from logos_core.hookspecs import ExtensionHooks, VenueHooks
from logos_core.venues import OPTIONAL

ROOT = Path(__file__).resolve().parents[2]
MARKS = {"venue_hook", "extension_hook"}


def hooks_page() -> str:
    """Return the page."""
    no_stale(HOOKS_WHEN, [*_names(VenueHooks), *_names(ExtensionHooks)], "hooks")
    return page(
        "Hooks",
        "A venue is one object with these methods, each marked with `venue_hook`; [the tutorial](../tutorial.md) builds one. The core binds "
        "exactly one venue per session and asks it alone. A hook may block on the network, and may not retry. Each takes its arguments by "
        "name and may leave out those it does not need.",
        "## Hooks of a venue",
        *_hooks(VenueHooks),
        "## Hooks of an extension",
        "An extension is named by the preset's `session.extensions`. It may deny an order and take note of events, and nothing else.",
        *_hooks(ExtensionHooks),
    )


def _names(specification: type[Any]) -> list[str]:
    return [name for name, thing in vars(specification).items() if isfunction(thing) and not name.startswith("_")]


def _hooks(specification: type[Any]) -> Iterator[str | list[str]]:
    for name in _names(specification):
        hook = getattr(specification, name)
        none = HOOKS_NONE.get(name) or HOOKS_NONE_VENUE
        needed = " By capability: a venue that does not declare it must not have it." if name in OPTIONAL else ""
        yield f"### `{name}`"
        yield code(f"def {signature(hook)}: ...")
        yield prose(hook)
        yield [
            f"- **Called:** {said(HOOKS_WHEN, name, 'hook')}{needed}",
            f"- **Returns:** {said(HOOKS_RETURN, name, 'hook')}",
            f"- **None:** {none}",
            f"- **In use:** {_in_use(name)}",
        ]


def _in_use(name: str) -> str:
    """Return where the plugins and examples of this repository have the hook."""
    return ", ".join(f"`{where}`" for where in used(name)) or "by nobody yet"


def used(name: str) -> list[str]:
    """Return `path::Class.method` of every implementation of a hook, the plugins' ahead of the examples'."""
    return [f"{path}::{owner}.{name}".replace("::.", "::") for path, owner, function in _implementations() if function == name]


@functools.cache
def _implementations() -> tuple[tuple[str, str, str], ...]:
    return tuple(found for path in _sources() for found in _in_file(path))


def _sources() -> Iterable[Path]:
    plugins = sorted((ROOT / "plugins").glob("*/logos_*/**/*.py"))
    examples = sorted((ROOT / "examples").glob("*/*/*.py"))
    return [*plugins, *(path for path in examples if path.parent.name != "breaks")]


def _in_file(path: Path) -> Iterator[tuple[str, str, str]]:
    """Return a file's hooks, each with the class it stands in; as a module's own function with nothing."""
    text = path.read_text(encoding="utf-8")
    if not any(mark in text for mark in MARKS):
        return
    tree = ast.parse(text)
    for owner in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]:
        for function in (node for node in owner.body if isinstance(node, ast.FunctionDef)):
            if any(getattr(mark, "id", getattr(mark, "attr", None)) in MARKS for mark in function.decorator_list):
                yield path.relative_to(ROOT).as_posix(), getattr(owner, "name", ""), function.name
