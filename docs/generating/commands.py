"""The page on the command line: what each command says of itself."""

import io
import os
from contextlib import redirect_stdout
from unittest import mock

from generating.tables import code, page
from logos_core import cli
from logos_core.cli.commands import COMMANDS

WIDTH = "100"


def commands_page() -> str:
    """Return the page."""
    parts: list[str | list[str]] = []
    for name in COMMANDS:
        parts += [f"## `logos {name}`", code(help_of(name), "text")]
    return page(
        "Commands",
        "This is what `logos COMMAND --help` says. Data goes to stdout, everything else to stderr; every command that prints data takes "
        "`--json`; how a command ends is in [its exit code](exit-codes.md).",
        *parts,
    )


def help_of(name: str) -> str:
    """Return a command's help, at a width of its own."""
    said = io.StringIO()
    with mock.patch.dict(os.environ, {"COLUMNS": WIDTH, "NO_COLOR": "1"}), redirect_stdout(said):
        ended = cli.main([*name.split(), "--help"])
    if ended:
        raise RuntimeError(f"logos {name} --help ended with {ended}: {said.getvalue()}")
    return "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())
