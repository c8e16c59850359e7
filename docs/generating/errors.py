"""The pages on what can go wrong: the errors, the exit codes, the reasons of a denial."""

import ast
import functools
import inspect
import pkgutil
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import logos_core
from generating.tables import code, no_stale, page, prose, said, section, table
from generating.words import DENIALS, EXITS
from logos_core import errors
from logos_core.cli import exits
from logos_core.cli.exits import Exit

CORE = Path(logos_core.__file__).parent
REASON = re.compile(r"(?!LOGOS_|XDG_|SQLITE_)[A-Z]{2,}(?:_[A-Z]+)+")
APART = {"testing", "__main__", "transport"}
"""Modules whose errors are not of the order path: test doubles, the process's own start, and what needs an SDK's requests."""


def errors_page() -> str:
    """Return the page on the errors."""
    public = [kind for kind in found_errors() if kind.__name__ in logos_core.__all__]
    others = [kind for kind in found_errors() if kind not in public]
    return page(
        "Errors",
        "Everything that logos raises on purpose is a `LogosError`. *Denied* is us, *rejected* is the venue, *unknown* is nobody yet; the "
        "three are never mixed. Errors of a venue carry `reference`, which `Adapter.lookup` takes.",
        code(tree(errors.LogosError), "text"),
        "## What a caller meets",
        *_entries(public),
        "## What a plugin raises, and what stays inside",
        "The command line's own, those of a venue's hooks, and those of the inside. A caller of `Adapter` meets them at most as the cause "
        "of one of the above.",
        table(("error", "where", "what it means"), [_row(kind) for kind in others]),
    )


def tree(kind: type[Any], depth: int = 0) -> str:
    """Return the public errors below one, indented."""
    line = f"{'  ' * depth}{kind.__name__}\n"
    below = sorted(
        (child for child in kind.__subclasses__() if child.__name__ in logos_core.__all__), key=lambda child: child.__name__
    )
    return line + "".join(tree(child, depth + 1) for child in below)


@functools.cache
def found_errors() -> tuple[type[Any], ...]:
    """Return every exception that the core defines, in the order of the modules."""
    found: dict[type[Any], None] = {}
    for module in (import_module(name) for name in _modules()):
        for thing in vars(module).values():
            if inspect.isclass(thing) and issubclass(thing, BaseException) and thing.__module__ == module.__name__:
                found[thing] = None
    return tuple(kind for kind in found if not kind.__name__.startswith("_"))


def _modules() -> Iterable[str]:
    walked = pkgutil.walk_packages([str(CORE)], "logos_core.")
    return [found.name for found in walked if not APART & set(found.name.split("."))]


def _entries(kinds: Iterable[type[Any]]) -> Iterator[str | list[str]]:
    for kind in kinds:
        code_ = exits.code_of(kind.__new__(kind))
        yield f"### `{kind.__name__}`"
        yield prose(kind)
        yield f"A kind of `{kind.__bases__[0].__name__}`; as the end of a command: exit {int(code_)}."
        attributes = section(kind, "Attributes")
        if attributes:
            yield [f"- `{name}`: {what}" for name, what in attributes.items()]


def _row(kind: type[Any]) -> tuple[str, str, str]:
    return f"`{kind.__name__}`", f"`{kind.__module__}`", " ".join(prose(kind).split())


def exits_page() -> str:
    """Return the page on the exit codes."""
    no_stale(EXITS, Exit, "exit codes")
    rows = []
    for member in Exit:
        means, then = said(EXITS, member, "exit code")
        of = ", ".join(f"`{kind.__name__}`" for kind, led in exits.CODES.items() if led is member)
        rows.append((str(int(member)), f"`{member.name}`", means, then, of or "–"))
    return page(
        "Exit codes",
        "Every command ends in one of these, and says on stderr what happened; with `--json` as one line of JSON.",
        table(("code", "name", "means", "do now", "errors that lead here"), rows),
        "The nearest class in an error's line of descent counts. A configuration that could not be checked because the venue did not "
        "answer ends in 7: it may be right, and nothing was sent.",
    )


def denials_page() -> str:
    """Return the page on the reasons of denials."""
    found = reasons()
    no_stale(DENIALS, found, "reasons of a denial")
    return page(
        "Reasons of a denial",
        "`OrderDeniedError.reason` is one of these, and so is the code in brackets behind the message. A denial leaves the intent free: "
        "nothing was sent, so mend the cause and submit the same intent again.",
        table(
            ("reason", "what to do", "decided in"),
            [(f"`{name}`", said(DENIALS, name, "reason of a denial"), where) for name, where in found.items()],
        ),
    )


@functools.cache
def reasons() -> dict[str, str]:
    """Return every reason that stands in the core's code, sorted, with the modules it stands in."""
    found: dict[str, set[str]] = {}
    for path in sorted(CORE.rglob("*.py")):
        where = path.relative_to(CORE)
        if where.parts[0] in {"testing", "cli"}:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and REASON.fullmatch(node.value):
                found.setdefault(node.value, set()).add(f"`{where.with_suffix('').as_posix().replace('/', '.')}`")
    return {name: ", ".join(sorted(found[name])) for name in sorted(found)}
