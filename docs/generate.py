"""Write what the documentation takes from the code, so that the two cannot differ.

    python docs/generate.py            writes
    python docs/generate.py --check    writes nothing; says what differs and ends with 1

* `lifecycle.md` and `lifecycle.svg` from the table in `logos_core.lifecycle`
* `how-to/VENUE.md` for each variant of each plugin of this repository, and everything in `reference/`: see the package `generating`
* `venues.md` from what the plugins of this repository declare
* the code blocks of `tutorial.md` and of other pages that stand below a line `<!-- from: PATH -->`
* the words "(fails today)" in `specs/009-adapters/spec.md`, behind each test that is marked as an expected failure
"""

import argparse
import ast
import functools
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import asdict, fields, has
from generating import api, commands, errors, hooks, picture, presets, safety
from generating import venues as how_to
from generating.tables import MissingWordsError

from logos_core import venues
from logos_core.lifecycle import CONTRADICTIONS, MAY_ATTEMPT, TABLE, UNSETTLED, WORKING, IntentState, Move, diagram
from logos_core.venues import InstalledVenue

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
NOTICE = "<!-- Written by docs/generate.py; change the code instead. -->"

STATES = {
    IntentState.FRESH: "Nothing of it is on record. Also where an order read back from the venue begins.",
    IntentState.IN_FLIGHT: "Its attempt is durable, its outcome is not. Only the session that sent it may settle it while it lives.",
    IntentState.NOT_SENT: "The attempt provably never left. The intent is free: submit it again.",
    IntentState.UNKNOWN: "It may or may not exist. It waits for evidence from the venue, or for a named person.",
    IntentState.REJECTED: "The venue proved that it did not accept it. Final for this intent.",
    IntentState.NOT_PLACED: "Closed without an order, by proof or by a named person. Final, and still watched.",
    IntentState.PENDING_NEW: "The venue has it and has not yet put it to work.",
    IntentState.NEW: "It works at the venue.",
    IntentState.PARTIALLY_FILLED: "A part of it has traded, the rest works.",
    IntentState.PENDING_CANCEL: "The venue is cancelling it. It may still fill.",
    IntentState.FILLED: "All of it has traded.",
    IntentState.CANCELED: "The venue ended it before it was filled; a part may have traded.",
    IntentState.EXPIRED: "Its time in force ended it; a part may have traded.",
}
MOVES = {
    Move.ATTEMPT: "An attempt becomes durable: the first of the two commits. Bytes may leave from here on.",
    Move.PROVED_NOT_SENT: "The transport's record proves that no byte of the attempt left.",
    Move.LEFT_UNKNOWN: "The attempt ended and nobody can prove how: a timeout, a reset, an answer that is none, a dead process.",
    Move.PROVED_REJECTED: "The venue refused in words that are on the plugin's list, each with its source; or it reports the order as rejected.",
    Move.PROVED_ABSENT: "The venue would refuse a late copy by now, two views do not show the order, and its validity has passed.",
    Move.CLOSED_BY_PERSON: "A named person gave a reason (`logos resolve`). If the order appears all the same, the switch latches.",
    Move.REPORT_PENDING_NEW: "The venue reports it as accepted, not yet working.",
    Move.REPORT_NEW: "The venue reports it as working.",
    Move.REPORT_PARTIALLY_FILLED: "The venue reports a part as traded.",
    Move.REPORT_PENDING_CANCEL: "The venue reports that it is cancelling it.",
    Move.REPORT_FILLED: "The venue reports it as filled.",
    Move.REPORT_CANCELED: "The venue reports it as cancelled.",
    Move.REPORT_EXPIRED: "The venue reports it as expired.",
}
KINDS = {
    "nobody knows yet": UNSETTLED,
    "there is no order, we believe": CONTRADICTIONS,
    "may be attempted": MAY_ATTEMPT,
    "works at the venue": WORKING,
}


def lifecycle() -> str:
    """Return the page on the life of an intent."""
    states = [
        (f"`{state.value}`", STATES[state], ", ".join(kind for kind, members in KINDS.items() if state in members) or "ended")
        for state in IntentState
    ]
    moves = [(f"`{move.value}`", _ways(move), MOVES[move]) for move in Move]
    return "\n".join([
        "# The life of an intent",
        "",
        NOTICE,
        "",
        "An *intent* is one decision to trade, under the caller's own stable name for it. An *attempt* is one request of it that may",
        "have left. This is the whole table; a move that is not in it is refused and changes nothing. No timer is among the moves.",
        "",
        "```mermaid",
        diagram().rstrip(),
        "```",
        "",
        "A report that would move an order backwards came late and is left aside. A report of an order that we believed not to exist",
        "is taken, because it is the truth; it also latches the kill switch, because a belief of ours was wrong.",
        "",
        "## States",
        "",
        *_table(("state", "what it means", "kind"), states),
        "",
        "## Moves",
        "",
        *_table(("move", "from → to", "what has happened"), moves),
        "",
    ])  # fmt: skip


def _ways(move: Move) -> str:
    """Return from where to where a move leads, grouped by where it leads."""
    targets: dict[IntentState, list[str]] = {}
    for state, moves in TABLE.items():
        if move in moves:
            targets.setdefault(moves[move], []).append(state.value)
    return "; ".join(f"{', '.join(sources)} → **{target.value}**" for target, sources in targets.items())


def venue_page() -> str:
    """Return the page on what each venue of this repository can do."""
    own = [venue for venue in venues.installed() if (ROOT / "plugins" / venue.distribution).is_dir()]
    parts = [part for venue in own for part in _venue(venue)]
    return "\n".join([
        "# What each venue can do",
        "",
        NOTICE,
        "",
        "Every fact carries the source that its plugin names for it, or the word *inferred*. What is inferred is built for the worse",
        "case. These are the plugins' own declarations: the core decides by them, and the tests hold the simulators to them.",
        "",
        *parts,
    ])  # fmt: skip


def _venue(installed: InstalledVenue) -> Iterable[str]:
    declared, _ = venues.declaration(installed.name + _variant(installed.name))
    sdk = declared.sdk
    for variant, capabilities in declared.capabilities.items():
        name = f"{installed.name}:{variant}" if variant else installed.name
        yield from (f"## `{name}`", "")
        yield from _table(
            ("", ""),
            [
                ("package", f"`{installed.distribution}`"),
                ("SDK", f"`{sdk.distribution}` from {sdk.minimum}, below {sdk.below}"),
                ("secrets", _listed(declared.credentials)),
                ("options", "; ".join(f"`{key}`: {what}" for key, what in declared.options.items()) or "none"),
                (
                    "environments",
                    "; ".join(
                        f"{key} ({host.base_url or 'named by the preset'})"
                        for key, host in declared.environments_of(variant).items()
                    ),
                ),
            ],
        )
        yield from ("", *_table(("fact", "value", "source"), list(_facts(capabilities))), "")
        package = declared.presets.partition(":")[0]
        yield from _refusals(f"{package}.{variant}" if variant else package)


def _variant(name: str) -> str:
    """Return a variant that may stand behind a plugin's name, whichever it is: its declaration lists them all."""
    point = next(venue.entry_point for venue in venues.installed() if venue.name == name)
    variants = point.load().variants
    return f":{variants[0]}" if variants else ""


def _facts(capabilities: Any, prefix: str = "") -> Iterable[tuple[str, str, str]]:
    for item in fields(type(capabilities)):
        value = getattr(capabilities, item.name)
        if item.name == "sources":
            continue
        if has(type(value)):
            yield from _facts(value, f"{item.name}.")
        else:
            yield f"`{prefix}{item.name}`", _spoken(value), capabilities.sources.get(item.name, "not declared")


def _refusals(package: str) -> Iterable[str]:
    refusals = import_module(f"{package}.errors").REFUSALS
    names = [item.name for item in fields(type(refusals[0])) if item.name not in {"category", "source"}]
    rows = [(*(_spoken(asdict(refusal)[name]) for name in names), refusal.category.value, refusal.source) for refusal in refusals]
    yield "Answers to an order that are believed to refuse it. Everything else is unknown."
    yield from ("", *_table((*names, "category", "source"), rows), "")


def _spoken(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_spoken(item)}" for key, item in value.items()) or "none"
    if isinstance(value, tuple | frozenset):
        return ", ".join(sorted(map(_spoken, value)) if isinstance(value, frozenset) else map(_spoken, value)) or "none"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"`{text}`" if re.search(r"[\\\[*_]", text) else text


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


FENCE = re.compile(r"(<!-- from: (\S+)(?: (\S+))? -->\n```\w+\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)


def with_examples(name: str) -> str:
    """Return a page with its code blocks as the files in `examples` have them now."""
    page = ROOT / name
    return FENCE.sub(lambda found: found[1] + _excerpt(ROOT / found[2], found[3]) + "\n", page.read_text(encoding="utf-8"))


def _excerpt(path: Path, name: str | None) -> str:
    """Return a file, or the one class or function of it that is named, with its decorators."""
    text = path.read_text(encoding="utf-8").strip()
    if name is None:
        return text
    found = re.search(
        rf"^([ ]*)((?:@\w+\n\1)*(?:class|def) {name}\b.*?)(?=\n+\1\S|\n+[ ]{{0,3}}\S|\Z)", text, re.DOTALL | re.MULTILINE
    )
    if found is None:
        raise LookupError(f"{path}: there is no {name}")
    return textwrap.dedent(found[1] + found[2]).rstrip()


SPEC = "specs/009-adapters/spec.md"
NAMED_TEST = re.compile(r"(`([^`\s]+\.py)::(\w+)`)( \(fails today\))?")


def specification() -> str:
    """Return the specification with its tests marked that are known to fail."""

    def marked(found: re.Match[str]) -> str:
        failures = _expected_failures(ROOT / found[2])
        return found[0] if failures is None else found[1] + (" (fails today)" if found[3] in failures else "")

    return NAMED_TEST.sub(marked, (ROOT / SPEC).read_text(encoding="utf-8"))


@functools.cache
def _expected_failures(path: Path) -> frozenset[str] | None:
    """Return the tests of a file that are marked as expected failures; None for a file that cannot be read as one."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return None
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(node.name for node in functions if any("xfail" in ast.unparse(mark) for mark in node.decorator_list))


WITH_EXAMPLES = ("docs/tutorial.md", "docs/first-order.md", "docs/how-to/programs.md")
PAGES: dict[str, Callable[[], str]] = {
    "docs/lifecycle.md": lifecycle,
    "docs/venues.md": venue_page,
    **{name: functools.partial(with_examples, name) for name in WITH_EXAMPLES},
    SPEC: specification,
    "docs/lifecycle.svg": picture.lifecycle_svg,
    "docs/reference/api.md": api.api_page,
    "docs/reference/commands.md": commands.commands_page,
    "docs/reference/denials.md": errors.denials_page,
    "docs/reference/errors.md": errors.errors_page,
    "docs/reference/exit-codes.md": errors.exits_page,
    "docs/reference/hooks.md": hooks.hooks_page,
    "docs/reference/presets.md": presets.presets_page,
    "docs/reference/safety-case.md": safety.safety_page,
    **{venue.path: functools.partial(how_to.venue_how_to, venue) for venue in how_to.variants()},
}


def main(arguments: list[str]) -> int:
    """Write the pages, or say which of them differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 if a page differs")
    check = parser.parse_args(arguments).check
    try:
        made = {name: make() for name, make in PAGES.items()}
    except MissingWordsError as error:
        print(error)
        return 1
    differing = [name for name, text in made.items() if not _same(ROOT / name, text)]
    for name in differing:
        print(f"{name} {'differs; run: python docs/generate.py' if check else 'written'}")
        if not check:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(made[name], encoding="utf-8")
    return 1 if check and differing else 0


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
