"""The command line: `logos`, or `python -m logos_core.cli`.

The only place that prints and that reads the environment. Rules:

1. Help, the list of venues and the kill switch need neither typer nor rich nor anything that could be broken or slow.
2. A command's module is imported when the command runs, and not before.
3. Data goes to stdout, everything else to stderr. Every end has its exit code in `exits`, and no error of ours shows a traceback.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from logos_core.cli import commands, exits


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(args)
        sys.stdout.flush()
        return code
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 0
    except BaseException as error:  # noqa: BLE001  whatever it is, it ends in one message and one exit code
        preset = next((text for text in args if text.endswith(".toml")), None)
        return exits.report(error, as_json="--json" in args, preset=preset)


def _dispatch(args: list[str]) -> int:
    if not args or args[0] in {"-h", "--help", "help"}:
        print(commands.overview())
        return 0
    if args[0] == "--version":
        from logos_core import __version__

        print(__version__)
        return 0
    name, rest = commands.split(args)
    if name in commands.GROUPS:
        return _group(name, rest)
    known = commands.COMMANDS.get(name)
    target: Any = commands.load(name, known) if known else commands.load_external(name)
    if known and known.plain:
        return int(target(rest))
    return _run(name, target, [_shielded(text) for text in rest])


def _group(name: str, rest: list[str]) -> int:
    if rest and not rest[0].startswith("-"):
        raise commands.unknown(f"{name} {rest[0]}")
    print(commands.overview(name))
    return 0


def _run(name: str, target: Any, args: list[str]) -> int:
    """Let typer read the arguments and call the command."""
    import typer

    app = target if isinstance(target, typer.Typer) else _app(name, target)
    command = typer.main.get_command(app)
    result = command.main(args=args, prog_name=f"logos {name}", standalone_mode=False, help_option_names=["-h", "--help"])
    return result if isinstance(result, int) else 0


def _app(name: str, function: Callable[..., Any]) -> Any:
    import typer

    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command(name)(exits.interruptible(function))
    return app


def _shielded(text: str) -> str:
    """Keep a negative number from being taken for an option; numbers may have spaces around them."""
    return f" {text}" if len(text) > 1 and text[0] == "-" and (text[1].isdigit() or text[1] == ".") else text
