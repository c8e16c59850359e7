"""Every command by name: where it is, and what one line of help says of it. Nothing is imported to list them."""

from typing import Any, NamedTuple

from logos_core.errors import ConfigurationError

GROUP = "logos.commands"
"""The entry points through which other packages add commands: a function or a `typer.Typer`."""


class Command(NamedTuple):
    """One command.

    Attributes:
        module: the module of `logos_core.cli` it is in.
        function: its name there; the first line of its docstring is `help`.
        plain: it reads its own arguments with the standard library alone.
    """

    module: str
    function: str
    help: str
    plain: bool = False


COMMANDS: dict[str, Command] = {
    "venues": Command("venues", "venues", "List the installed venues, without importing them.", plain=True),
    "init": Command("starting", "init", "Write a venue's simulator and paper presets."),
    "simulate": Command("simulator", "simulate", "Serve a venue on this computer, over the venue's own HTTP."),
    "rehearse": Command("rehearse", "rehearse", "Run a whole guarded session, kill it in the middle, recover and reconcile."),
    "submit": Command("orders", "submit", "Send one order, at most once."),
    "cancel": Command("orders", "cancel", "Ask the venue to cancel an order; may be repeated."),
    "replace": Command("orders", "replace", "Let an order go on with other numbers; the same name never makes a second one."),
    "orders": Command("reading", "orders", "List the orders on record; asks no venue."),
    "show": Command("reading", "show", "Tell the whole story of one intent; asks no venue."),
    "positions": Command("positions", "positions", "Say what our executions come to, by instrument; asks no venue."),
    "pnl": Command("positions", "pnl", "Say what each UTC day realised, by currency; asks no venue."),
    "recover": Command("settling", "recover", "Find out what became of everything that dead sessions left open."),
    "reconcile": Command("settling", "reconcile", "Compare the ledger with the venue."),
    "resolve": Command("settling", "resolve", "Close an unknown intent on a named person's word."),
    "ledger adopt": Command(
        "adopting", "adopt", "Take over what the venue holds, for a ledger that is new, lost, restored or moved."
    ),
    "ledger baseline": Command("rebasing", "baseline", "Count the venue's positions from now on, on a named person's word."),
    "ledger archive": Command("archiving", "archive", "Move old events out of a ledger into a file beside it; every intent stays."),
    "halt": Command("halting", "halt", "Stop new orders, at once; works whatever else is broken.", plain=True),
    "resume": Command("resuming", "resume", "Allow new orders again, on the word of two people."),
    "status": Command("reading", "status", "Say what is halted, unknown and running; asks no venue."),
}

GROUPS = frozenset(name.partition(" ")[0] for name in COMMANDS if " " in name)

_HEAD = "Usage: logos COMMAND [ARGUMENTS]\n\nSend an order once, know what became of it, and be able to show it.\n"
_TAIL = """
Run `logos COMMAND --help` for one command. Every command that prints data takes --json.

Exit codes: 0 done and known · 1 a bug · 2 usage or configuration · 3 denied · 4 rejected · 5 unknown
            6 conflict or in flight · 7 unavailable, nothing sent · 8 a check did not hold
"""


def overview(group: str | None = None) -> str:
    """Return the help of all commands, or of one group."""
    if group is not None:
        rows = {name: command.help for name, command in COMMANDS.items() if name.startswith(f"{group} ")}
        return f"Usage: logos {group} COMMAND [ARGUMENTS]\n\nCommands:\n{_rows(rows)}"
    own = {name: command.help for name, command in COMMANDS.items()}
    others = {name: f"From the package {package}." for name, package in externals().items()}
    return f"{_HEAD}\nCommands:\n{_rows(own | others)}{_TAIL}"


def _rows(rows: dict[str, str]) -> str:
    width = max(map(len, rows))
    return "".join(f"  {name:<{width}}  {said}\n" for name, said in rows.items())


def split(args: list[str]) -> tuple[str, list[str]]:
    """Return the command's name, of one word or two, and what follows it."""
    two = " ".join(args[:2])
    return (two, args[2:]) if two in COMMANDS else (args[0], args[1:])


def externals() -> dict[str, str]:
    """Return the commands of other packages, each with its package; nothing of them is imported."""
    from importlib import metadata

    found = {point.name: point.dist.name if point.dist else "?" for point in metadata.entry_points(group=GROUP)}
    return {name: package for name, package in sorted(found.items()) if name not in COMMANDS}


def load(name: str, command: Command) -> Any:
    """Import a command's module and return its function."""
    import importlib

    wanted = f"logos_core.cli.{command.module}"
    try:
        return getattr(importlib.import_module(wanted), command.function)
    except ModuleNotFoundError as error:
        if error.name != wanted:
            raise
        raise ConfigurationError(f"the command {name!r} is not part of this installation; reinstall logos-core") from error


def load_external(name: str) -> Any:
    """Import another package's command.

    Raises:
        ConfigurationError: for a command that nobody brings, naming the nearest one; or one that cannot be imported.
    """
    from importlib import metadata

    points = [point for point in metadata.entry_points(group=GROUP) if point.name == name]
    if not points:
        raise unknown(name)
    try:
        return points[0].load()
    except Exception as error:
        raise ConfigurationError(
            f"the command {name!r} cannot be imported from {points[0].value} ({type(error).__name__}: {error}); reinstall its package"
        ) from error


def unknown(name: str) -> ConfigurationError:
    """Return the error for a command that does not exist."""
    import difflib

    near = difflib.get_close_matches(name, [*COMMANDS, *GROUPS, *externals()], n=1)
    hint = f"did you mean `logos {near[0]}`?" if near else "`logos --help` lists them"
    return ConfigurationError(f"unknown command {name!r}; {hint}")
