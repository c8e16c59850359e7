"""Tables, and docstrings taken apart."""

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, Unpack, get_args, get_origin

NOTICE = "<!-- Written by docs/generate.py; change the code instead. -->"

_ENTRY = re.compile(r"^    (\w+(?:, \w+)*): (.*?)(?=^    \w+(?:, \w+)*: |\Z)", re.DOTALL | re.MULTILINE)
_SECTION = r"^{}:\n(.*?)(?=^\w+:\n|\Z)"


class MissingWordsError(LookupError):
    """Something of the code has no words in the documentation. The message says where to write them."""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a table's lines."""
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def page(title: str, *parts: str | list[str]) -> str:
    """Return a page of paragraphs and tables."""
    lines = [f"# {title}", "", NOTICE, ""]
    for part in parts:
        lines += [part] if isinstance(part, str) else part
        lines.append("")
    return "\n".join(lines)


def said(words: Mapping[Any, str], key: Any, what: str) -> str:
    """Return what `words.py` says of something, or say that it says nothing."""
    try:
        return words[key]
    except KeyError:
        raise MissingWordsError(f"docs/generating/words.py says nothing of the {what} {key}; add a line for it") from None


def no_stale(words: Iterable[Any], known: Iterable[Any], what: str) -> None:
    """Refuse words about something that the code no longer has."""
    stale = sorted(map(str, set(words) - set(known)))
    if stale:
        raise MissingWordsError(f"docs/generating/words.py speaks of the {what} {', '.join(stale)}, which the code does not have")


def documented(thing: Any) -> str:
    """Return the docstring that a class, function or method has itself."""
    text = thing.__doc__
    if not text:
        raise MissingWordsError(f"{getattr(thing, '__module__', '?')}.{getattr(thing, '__qualname__', thing)} has no docstring")
    return inspect.cleandoc(text)


def prose(thing: Any) -> str:
    """Return what a docstring says ahead of its sections: one line per paragraph, and its example as code."""
    ahead = re.split(r"^(?:Args|Attributes|Returns|Raises):$", documented(thing), maxsplit=1, flags=re.MULTILINE)[0]
    paragraphs = [paragraph for paragraph in re.split(r"\n\n(?!    )", ahead.strip()) if paragraph]
    return "\n\n".join(filter(None, map(_paragraph, paragraphs)))


def _paragraph(text: str) -> str:
    """Return a paragraph, and the example behind it as code."""
    words, marked, example = text.partition("::\n\n    ")
    said = " ".join(words.split()) + (":" if marked and words.strip() else "")
    return "\n\n".join(filter(None, [said, *(["\n".join(code(inspect.cleandoc("    " + example)))] if marked else [])]))


def section(thing: Any, name: str) -> dict[str, str]:
    """Return the entries of a section of a docstring, such as `Attributes`."""
    text = inspect.cleandoc(thing.__doc__ or "")
    found = re.search(_SECTION.format(name), text, re.DOTALL | re.MULTILINE)
    entries = _ENTRY.findall(found[1]) if found else []
    return {single: " ".join(what.split()) for names, what in entries for single in names.split(", ")}


def fields_said(kind: type[Any]) -> dict[str, str]:
    """Return what the docstrings of a class and its bases say of their fields."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        found |= section(base, "Attributes")
    return found


def code(text: str, language: str = "python") -> list[str]:
    """Return a code block's lines."""
    return [f"```{language}", *text.rstrip().split("\n"), "```"]


def annotation(value: Any) -> str:
    """Return a type as people write it."""
    value = get_args(value)[0] if get_origin(value) is Unpack else value
    text = value if isinstance(value, str) else value.__name__ if isinstance(value, type) and not get_args(value) else str(value)
    return re.sub(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])", "", text)


def signature(function: Any, name: str | None = None) -> str:
    """Return how a function is called, without `self`, one argument a line where it would be long."""
    found = inspect.signature(function)
    parts, named_only = [], False
    for parameter in found.parameters.values():
        if parameter.name in {"self", "cls"}:
            continue
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and not named_only:
            parts.append("*")
            named_only = True
        stars = "**" if parameter.kind is inspect.Parameter.VAR_KEYWORD else ""
        default = "" if parameter.default is inspect.Parameter.empty else f" = {parameter.default!r}"
        parts.append(f"{stars}{parameter.name}: {annotation(parameter.annotation)}{default}")
    returns = "" if found.return_annotation is inspect.Signature.empty else f" -> {annotation(found.return_annotation)}"
    shown = name or function.__name__
    line = f"{shown}({', '.join(parts)}){returns}"
    return line if len(line) <= 100 else f"{shown}(\n    " + ",\n    ".join(parts) + f",\n){returns}"
