"""The page on the public Python API."""

import inspect
from collections.abc import Iterator
from enum import Enum
from typing import Any

from attrs import NOTHING, fields, has

import logos_core
from generating.tables import annotation, code, fields_said, page, prose, section, signature, table

FIRST = ("Adapter", "AsyncAdapter", "Order")
"""What most readers look for; the rest follows by name."""


def api_page() -> str:
    """Return the page."""
    names = [name for name in logos_core.__all__ if not _is_error(getattr(logos_core, name))]
    ordered = [*(name for name in FIRST if name in names), *(name for name in names if name not in FIRST)]
    return page(
        "Python API",
        "Everything here is imported from `logos_core`. Errors have [a page of their own](errors.md). Whatever is not on these pages may "
        "change without notice. Values are frozen; numbers are `Decimal`, times are aware and in UTC.",
        *(part for name in ordered for part in _entry(name, getattr(logos_core, name))),
    )


def _is_error(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, BaseException)


def _entry(name: str, thing: Any) -> Iterator[str | list[str]]:
    yield f"## `{name}`"
    yield prose(thing)
    if inspect.isclass(thing) and issubclass(thing, Enum):
        yield "Members: " + ", ".join(f"`{member.name}`" for member in thing) + "."
        return
    if inspect.isclass(thing) and has(thing):
        yield from _fields(thing)
    elif inspect.isclass(thing):
        taken = section(thing, "Args")
        if taken:
            yield [f"- `{argument}`: {what}" for argument, what in taken.items()]
    if inspect.isclass(thing):
        for member in public_members(thing):
            yield from _member(name, member, inspect.getattr_static(thing, member))


def public_members(kind: type[Any]) -> list[str]:
    """Return the methods and properties that a class of ours defines, in the order in which they stand."""
    own = [base for base in kind.__mro__ if base.__module__.startswith("logos_core")]
    held = {item.name for item in fields(kind)} if has(kind) else set()
    seen = (name for base in own for name, thing in vars(base).items() if isinstance(thing, _KINDS) and name not in held)
    return [name for name in dict.fromkeys(seen) if not name.startswith("_")]


_KINDS = (type(lambda: None), classmethod, staticmethod, property)


def _fields(kind: type[Any]) -> Iterator[list[str]]:
    said = fields_said(kind)
    rows = [(f"`{item.name}`", annotation(item.type), _default(item), said.get(item.name, "")) for item in fields(kind)]
    if rows:
        yield table(("field", "type", "default", "meaning"), rows)


def _default(item: Any) -> str:
    if item.default is NOTHING:
        return "required"
    if hasattr(item.default, "factory"):
        return "empty"
    return "–" if item.default is None else f"`{item.default}`"


def _member(owner: str, name: str, thing: Any) -> Iterator[str | list[str]]:
    if isinstance(thing, property):
        returns = inspect.signature(thing.fget).return_annotation if thing.fget else inspect.Signature.empty
        shown, documented = f"{owner}.{name}: {annotation(returns)}", thing.fget
    else:
        documented = thing.__func__ if isinstance(thing, classmethod | staticmethod) else thing
        shown = signature(
            documented, f"{owner}.{name}" if isinstance(thing, classmethod | staticmethod) else f"{owner.lower()}.{name}"
        )
    yield f"### `{owner}.{name}`"
    yield code(shown)
    yield prose(documented)
    for heading in ("Args", "Returns", "Raises"):
        entries = section(documented, heading)
        if entries:
            yield [
                f"{heading if heading != 'Args' else 'Arguments'}:",
                "",
                *(f"- `{key}`: {what}" for key, what in entries.items()),
            ]
