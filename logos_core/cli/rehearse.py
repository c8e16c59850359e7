"""`logos rehearse`: whole guarded sessions on simulated venues, killed in the middle, recovered, and compared with what the venue holds."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from logos_core.cli.exits import CheckFailedError
from logos_core.cli.options import Json
from logos_core.cli.output import emit_table
from logos_core.clock import Clock, SystemClock
from logos_core.errors import ConfigurationError
from logos_core.testing.faults import FaultKind
from logos_core.testing.rehearsal import presets
from logos_core.testing.rehearsal.engine import Progress, Rehearsed
from logos_core.testing.rehearsal.engine import rehearse as rehearse_all

Presets = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[PRESET]...",
        help="Simulator presets; default: those of every installed venue.",
        show_default=False,
        readable=False,
    ),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same orders and the same faults.")]
Runs = Annotated[Path, typer.Option(metavar="DIR", help="The folder that gets a folder with the evidence.")]

COLUMNS = {
    "intents": "intents",
    "denied": "denied",
    "rejected": "rejected",
    "accepted": "accepted",
    "filled": "filled",
    "unknown": "unknown met",
    "left": "left",
    "requests": "requests",
    "orders": "venue holds",
    "duplicates": "duplicates",
    "kills": "kills",
    "recovered": "recovered",
}
"""The figures of the closing table, and what each is called there."""


def rehearse(given: Presets = None, seed: Seed = 1, runs: Runs = Path("runs"), as_json: Json = False) -> None:
    """Run a whole guarded session, kill it in the middle, recover and reconcile.

    On simulators of this computer only, each started for the purpose: nothing reaches a venue, and no ledger of yours is touched.
    """
    chosen = presets.given(given) if given else presets.embedded()
    if not chosen:
        raise ConfigurationError("no venue is installed, so there is nothing to rehearse; run: pip install logos-alpaca")
    clock = SystemClock()
    folder = runs.absolute() / f"{clock.now():%Y%m%dT%H%M%S.%fZ}_rehearsal_{seed}"
    folder.mkdir(parents=True)
    results = rehearse_all(chosen, seed, folder, _progress(clock))
    body = {"seed": seed, "folder": str(folder), "venues": [result.body() for result in results]}
    (folder / "rehearsal.json").write_text(json.dumps(body, indent=2, sort_keys=True) + "\n")
    _conclude(results, body, folder, as_json=as_json)


def _conclude(results: Sequence[Rehearsed], body: Mapping[str, Any], folder: Path, *, as_json: bool) -> None:
    rows = [[result.venue, *(str(result.figures.get(name, "-")) for name in COLUMNS), _held(result)] for result in results]
    emit_table(["venue", *COLUMNS.values(), "ledger = venue"], rows, body, as_json=as_json, empty="")
    if not as_json:
        print()
        injected = [[kind.value, *(str(result.faults.get(kind.value, 0)) for result in results)] for kind in FaultKind]
        emit_table(["fault on submit", *(result.venue for result in results)], injected, body, as_json=False, empty="")
        print(f"\nThe evidence is in {folder}")
    broken = [f"{result.venue}: {said}" for result in results for said in result.broken]
    if broken:
        raise CheckFailedError(f"{len(broken)} thing(s) did not hold; the evidence is in {folder}\n  " + "\n  ".join(broken))


def _held(result: Rehearsed) -> str:
    return "no" if result.broken else "yes"


def _progress(clock: Clock) -> Progress:
    """Return what tells on stderr how it goes: every event in plain lines, in colour for a terminal."""
    started_s = clock.monotonic_s()
    write = _coloured() if sys.stderr.isatty() else _plainly

    def tell(venue: str, said: Mapping[str, Any]) -> None:
        line = _line(said)
        if line is not None:
            write(f"{clock.monotonic_s() - started_s:6.1f} s  {venue:<12}  {line[1]}", line[0])

    return tell


def _plainly(text: str, _style: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _coloured() -> Any:
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False)

    def write(text: str, style: str) -> None:
        console.print(text, style=style or None, overflow="ellipsis", no_wrap=True)

    return write


_STYLES = {"unknown": "bold yellow", "denied": "dim", "rejected": "magenta", "not placed": "yellow"}


def _line(said: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return an event's colour and words, or None for one that is not worth a line."""
    event = said["event"]
    words: dict[str, tuple[str, str]] = {
        "simulator": ("", "simulator at {url}, process {pid}"),
        "trader": ("", "trader {number}, process {pid}"),
        "open": ("", "session {session} is open; {unknown} unknown after recovery"),
        "killed": ("bold red", "KILLED trader {number} while {client_order_id} was under way ({fault})"),
        "filled": ("cyan", "meanwhile the venue fills {quantity} of {of} of {client_order_id}"),
        "submitted": (_STYLES.get(said.get("outcome", ""), ""), "{intent}  {outcome:<16}  {why}"),
        "cancelled": ("", "{intent}  {outcome:<16}  after the cancel"),
        "unknown": ("bold yellow", "UNKNOWN {intent} {client_order_id} {symbol}: sent {attempts} time(s), the last by {sent_by}"),
        "settled": ("bold", "{intent}  {outcome:<16}  settled by {by}  {said}"),
        "reconciled": ("bold", "{said}"),
        "done": ("", "the trader is done"),
    }
    if event not in words:
        return None
    style, text = words[event]
    return style, text.format_map(said)
