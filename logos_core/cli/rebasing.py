"""`logos ledger baseline`: count the venue's positions from now on."""

from typing import Annotated

import typer

from logos_core.adapter import Adapter
from logos_core.baselines import PositionsMovingError
from logos_core.cli.environment import home_path
from logos_core.cli.exits import CheckFailedError, Exit, UnreachableError
from logos_core.cli.options import Json, PresetArgument
from logos_core.cli.output import emit
from logos_core.errors import ConfigurationError
from logos_core.venues import VenueAskError


def baseline(
    preset: PresetArgument,
    by: Annotated[str, typer.Option("--by", help="Your name.", show_default=False)],
    because: Annotated[str, typer.Option("--because", help="What moved the positions, and how you know.", show_default=False)],
    as_json: Json = False,
) -> int:
    """Count the venue's positions from now on, on a named person's word."""
    for name, value in (("--by", by), ("--because", because)):
        if not value.strip():
            raise ConfigurationError(f"{name} is empty; a decision needs a name and a reason")
    with Adapter.open(preset, home=home_path()) as adapter:
        try:
            adapter.accept_positions(by.strip(), because.strip())
        except PositionsMovingError as error:
            raise CheckFailedError("refused: the positions changed while they were read twice; try again") from error
        except LookupError as error:
            raise ConfigurationError(str(error)) from error
        except VenueAskError as error:
            raise UnreachableError(str(error)) from error
    emit({"baseline": "taken", "by": by.strip(), "because": because.strip()}, "positions are counted from now on", as_json=as_json)
    return Exit.DONE
