"""Arguments read with the standard library alone, for the commands that may need nothing else."""

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from logos_core.errors import ConfigurationError


class _Parser(argparse.ArgumentParser):
    """Raises for what it does not take, instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise ConfigurationError(f"{message}; see `{self.prog} --help`")


def parser(name: str, function: Callable[..., Any]) -> argparse.ArgumentParser:
    """Return a parser for a command, which its docstring describes and which knows --json."""
    made = _Parser(prog=f"logos {name}", description=function.__doc__, allow_abbrev=False)
    made.add_argument("--json", action="store_true", help="print machine-readable output")
    return made
