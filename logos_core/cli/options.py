"""The arguments that several commands share.

A file is declared with `readable=False`: that it cannot be read is said by who reads it, in the same words as anything else that is
wrong with it.
"""

from pathlib import Path
from typing import Annotated

import typer

PresetArgument = Annotated[
    Path,
    typer.Argument(metavar="PRESET", help="The TOML preset; `logos init VENUE` writes some.", show_default=False, readable=False),
]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable output.")]
