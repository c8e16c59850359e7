"""What is printed: JSON for machines, text for people, and tables that are plain when nobody looks."""

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from logos_core.events import spelled


def emit(body: Any, text: str, *, as_json: bool) -> None:
    """Print the result of a command on stdout."""
    _put(json.dumps(spelled(body), indent=2, ensure_ascii=False) if as_json else text)


def emit_table(columns: Sequence[str], rows: Sequence[Sequence[str]], body: Any, *, as_json: bool, empty: str) -> None:
    """Print rows: as JSON, as a table for a terminal, or in plain columns for a pipe."""
    if as_json or not rows:
        emit(body, empty, as_json=as_json)
    elif sys.stdout.isatty():
        _print_rich(columns, rows)
    else:
        _put(columned(columns, rows))


def _put(text: str) -> None:
    """Print on stdout; that nobody reads it any more changes nothing of what was done."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        silence_stdout()


def silence_stdout() -> None:
    """Let the interpreter's last flush find nobody either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: str) -> None:
    """Print something about the work, not its result, on stderr."""
    print(text, file=sys.stderr, flush=True)


def columned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows in columns, without colour and without losing a character."""
    lines = [tuple(columns), *(tuple(row) for row in rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
