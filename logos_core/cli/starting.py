"""`logos init`: the presets that come with a venue."""

import tomllib
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from logos_core.cli.exits import Exit
from logos_core.cli.options import Json
from logos_core.cli.output import emit
from logos_core.cli.templates import templates
from logos_core.errors import ConfigurationError
from logos_core.venues import declaration


def init(
    venue: Annotated[str, typer.Argument(help="Such as alpaca or ccxt:binance; `logos venues` lists them.", show_default=False)],
    into: Annotated[Path, typer.Option("--into", help="The folder to write into.")] = Path(),
    as_json: Json = False,
) -> int:
    """Write a venue's simulator and paper presets."""
    declared, variant = declaration(venue)
    written: list[Path] = []
    kept: list[Path] = []
    for template in templates(declared, variant):
        path = into / f"{declared.name}-{template.name}"
        (written if _write(path, template.read_text(encoding="utf-8")) else kept).append(path)
    body = {"written": [str(path) for path in written], "kept": [str(path) for path in kept]}
    emit(body, _text(venue, into, written, kept), as_json=as_json)
    return Exit.DONE


def _write(path: Path, text: str) -> bool:
    """Write a new file; say whether it was not there before."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        if path.is_file():
            return False
        raise ConfigurationError(
            f"{path} cannot be written: {path.parent} is no folder, or the name is taken; give another --into"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}); give another --into") from error
    return True


def _port(preset: Path) -> int:
    """Return the port that a simulator's preset expects its venue at."""
    body = tomllib.loads(preset.read_text(encoding="utf-8")) if preset.is_file() else {}
    return urlsplit(body.get("base_url", "")).port or 0


def _text(venue: str, into: Path, written: list[Path], kept: list[Path]) -> str:
    lines = [f"wrote {path}" for path in written] + [f"kept  {path}, which was there already" for path in kept]
    simulator = next((path for path in (*written, *kept) if path.name.endswith("simulator.toml")), into)
    return "\n".join(
        [
            *lines,
            "",
            "Next:",
            f"  logos simulate {venue} --port {_port(simulator)}       # in a second terminal",
            "  export LOGOS_SIMULATOR_KEY=any",
            f"  logos reconcile {simulator}",
        ]
    )
