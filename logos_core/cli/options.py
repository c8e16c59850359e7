"""The arguments that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

PresetArgument = Annotated[
    Path, typer.Argument(metavar="PRESET", help="The TOML preset; `logos init VENUE` writes some.", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable output.")]
