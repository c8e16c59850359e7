"""Forks a process for each command from one that has imported the commands and Alpaca's SDK, which is most of what starting one takes.

A request is a line of JSON on stdin, its answer the exit code on a line of stdout. The process of a command ends as any other does.
"""

import contextlib
import gc
import importlib
import io
import json
import os
import sys
from typing import Any

from logos_core import cli
from logos_core.cli import commands


def serve() -> None:
    """Run the commands that stdin asks for, one after the other."""
    for module in {command.module for command in commands.COMMANDS.values()}:
        importlib.import_module(f"logos_core.cli.{module}")
    for module in ("logos_core.session", "logos_alpaca.venue", "logos_alpaca.simulator"):
        importlib.import_module(module)
    with contextlib.redirect_stdout(io.StringIO()):
        cli.main(["status", "--help"])  # imports what typer puts off
    gc.freeze()
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            asked = json.loads(line)
            _become(asked)
            sys.exit(cli.main(asked["args"]))
        _, status = os.waitpid(process, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(asked: dict[str, Any]) -> None:
    """Take on the environment, the folder and the streams of a process of its own."""
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    streams = (
        (0, os.devnull, os.O_RDONLY),
        (1, asked["out"], os.O_WRONLY | os.O_CREAT),
        (2, asked["err"], os.O_WRONLY | os.O_CREAT),
    )
    for number, path, mode in streams:
        os.dup2(os.open(path, mode, 0o600), number)


if __name__ == "__main__":
    serve()
