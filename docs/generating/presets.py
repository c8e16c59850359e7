"""The page on the presets."""

from collections.abc import Iterator
from typing import Any

from attrs import NOTHING, Attribute, fields, has

from generating.tables import MissingWordsError, annotation, fields_said, page, prose, table
from logos_core import presets
from logos_core.presets import ENVIRONMENTS, SCHEMA, Preset

NOT_A_KEY = {"path"}


def presets_page() -> str:
    """Return the page."""
    plain = [item for item in fields(Preset) if item.name not in NOT_A_KEY and not _is_table(item)]
    tables = [item for item in fields(Preset) if _is_table(item)]
    return page(
        "Presets",
        "A preset is one TOML file that says which account, which strategy, which limits. `logos init VENUE` writes some. Unknown keys "
        "are errors that name the nearest one: a misspelt limit must not be a missing limit.",
        "Secrets are never in it. `[credentials]` holds references: `env:NAME`, `file:PATH` or `keyring:SERVICE/NAME`.",
        "## At the top",
        table(("key", "type", "default", "meaning"), [_schema(), *(_row(Preset, item) for item in plain)]),
        *(part for item in tables for part in _table(item)),
    )


def _is_table(item: "Attribute[Any]") -> bool:
    return isinstance(item.type, type) and has(item.type)


def _schema() -> tuple[str, str, str, str]:
    return "`schema`", "int", "required", f"The version of what may stand in a preset: {SCHEMA}."


def _table(item: "Attribute[Any]") -> Iterator[str | list[str]]:
    kind = item.type
    assert kind is not None
    yield f"## `[{item.name}]`"
    yield prose(kind)
    yield table(("key", "type", "default", "meaning"), [_row(kind, key) for key in fields(kind)])


def _row(kind: type[Any], item: "Attribute[Any]") -> tuple[str, str, str, str]:
    try:
        meaning = fields_said(kind)[item.name]
    except KeyError:
        raise MissingWordsError(
            f"{kind.__module__}.{kind.__name__}: the docstring says nothing of {item.name}; add it to Attributes"
        ) from None
    bounds = ", ".join(_bounds(item.validator))
    allowed = f" One of: {', '.join(ENVIRONMENTS)}." if item.name == "environment" else f" ({bounds})" if bounds else ""
    name = f"[{item.name}]" if item.name in presets._FREE_TABLES else item.name  # noqa: SLF001  the page is about what is in there
    return f"`{name}`", annotation(item.type), _default(item), meaning[0].upper() + meaning[1:] + allowed


def _default(item: "Attribute[Any]") -> str:
    if item.default is NOTHING:
        return "required"
    value = item.default.factory() if hasattr(item.default, "factory") else item.default
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    return "empty" if value in ({}, (), "") else f"`{value!r}`".replace("'", '"')


def _bounds(validator: Any) -> Iterator[str]:
    """Return the limits that a validator states."""
    inner = getattr(validator, "_validators", None) or getattr(validator, "validators", None)
    if inner is None and getattr(validator, "validator", None) is not None:
        inner = (validator.validator,)
    for each in inner or ():
        yield from _bounds(each)
    if hasattr(validator, "bound"):
        yield f"{validator.compare_op} {validator.bound}"
    options = getattr(validator, "options", None)
    if isinstance(options, range):
        yield f"{options.start} to {options.stop - 1}"
    elif options:
        yield "one of " + ", ".join(map(str, options))
