"""How a command ends: the exit codes, and what is said of an error. The one place that knows both."""

import functools
import os
import re
import shlex
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import Any, TypeVar

from logos_core import errors

R = TypeVar("R")


class Exit(IntEnum):
    """What a command came to."""

    DONE = 0
    BUG = 1
    USAGE = 2
    DENIED = 3
    REJECTED = 4
    UNKNOWN = 5
    CONFLICT = 6
    UNAVAILABLE = 7
    CHECK_FAILED = 8


class CheckFailedError(errors.LogosError):
    """Something that had to hold does not. The message says what, and what to do."""


class ConflictError(errors.LogosError):
    """What was asked for does not fit what is on record. The message says what is."""


class InterruptedCommandError(errors.LogosError):
    """The command was interrupted, and what was under way may have happened. Run it again to find out."""


class UnreachableError(errors.LogosError):
    """The venue could not be asked. Nothing was sent; try again."""


CODES: dict[type[errors.LogosError], Exit] = {
    errors.ConfigurationError: Exit.USAGE,
    errors.PluginContractError: Exit.BUG,
    errors.OrderDeniedError: Exit.DENIED,
    errors.OrderConflictError: Exit.CONFLICT,
    errors.OrderInFlightError: Exit.CONFLICT,
    errors.VenueError: Exit.UNKNOWN,
    errors.OrderRejectedError: Exit.REJECTED,
    errors.OrderNotPlacedError: Exit.UNAVAILABLE,
    errors.VenueUnavailableError: Exit.UNAVAILABLE,
    errors.OutcomeUnknownError: Exit.UNKNOWN,
    errors.StreamNotReadyError: Exit.UNAVAILABLE,
    errors.LedgerError: Exit.USAGE,
    errors.AuditError: Exit.CHECK_FAILED,
    CheckFailedError: Exit.CHECK_FAILED,
    ConflictError: Exit.CONFLICT,
    InterruptedCommandError: Exit.UNKNOWN,
    UnreachableError: Exit.UNAVAILABLE,
    errors.LogosError: Exit.BUG,
}
"""The nearest class of an error's line of descent counts."""

REMEDIES: dict[type[errors.LogosError], str] = {
    errors.OrderRejectedError: "This intent is final; a new decision needs a new --intent-id.",
    errors.VenueUnavailableError: "Run the same command again, with the same --intent-id.",
    errors.OutcomeUnknownError: "It may be live. Run the same command again, or `logos recover PRESET`; never use another --intent-id.",
    errors.PluginContractError: "The plugin is at fault: tell its author, and use another version until then.",
}

_WORDS = {
    Exit.BUG: "bug",
    Exit.USAGE: "error",
    Exit.DENIED: "denied",
    Exit.REJECTED: "rejected",
    Exit.UNKNOWN: "UNKNOWN",
    Exit.CONFLICT: "conflict",
    Exit.UNAVAILABLE: "unavailable, nothing sent",
    Exit.CHECK_FAILED: "check failed",
}
_PASSING = {"network", "timeout", "venue down", "rate limited"}


def code_of(error: errors.LogosError) -> Exit:
    """Return the exit code of an error of ours."""
    category = getattr(getattr(error.__cause__, "classification", None), "category", None)
    if isinstance(error, errors.ConfigurationError) and category in _PASSING:
        return Exit.UNAVAILABLE  # the configuration may be right: the venue could not be asked, before anything could be sent
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def report(error: BaseException, *, as_json: bool, preset: str | None = None) -> int:
    """Say on stderr what was wrong and what to do, and return the exit code.

    Args:
        preset: the one that was given, to stand in the commands that are named, so that they can be pasted.
    """
    if isinstance(error, KeyboardInterrupt):
        error = InterruptedCommandError(
            "interrupted; what was under way may have happened. Run the same command again to find out."
        )
    if isinstance(error, BrokenPipeError):
        from logos_core.cli.output import silence_stdout

        silence_stdout()
        return Exit.DONE
    if isinstance(error, errors.LogosError):
        body = _body(error)
        return _say(error, code_of(error), {**body, "message": _pasted(body["message"], preset)}, as_json=as_json, preset=preset)
    if hasattr(error, "format_message"):  # typer's own, for arguments it does not take
        return _say(error, Exit.USAGE, {"error": "UsageError", "message": _usage(error)}, as_json=as_json)
    if os.environ.get("LOGOS_DEBUG") == "1":
        import traceback

        traceback.print_exception(error)
    return _say(error, Exit.BUG, {"error": type(error).__name__, "message": _bug(error)}, as_json=as_json)


def interruptible(function: Callable[..., R]) -> Callable[..., R]:
    """Turn Ctrl-C into an error of ours before typer makes an exit code of it that says nothing of what may have happened."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> R:
        try:
            return function(*args, **kwargs)
        except KeyboardInterrupt as error:
            raise InterruptedCommandError(
                "interrupted; what was under way may have happened. Run the same command again to find out."
            ) from error

    return run


def _pasted(text: str, preset: str | None) -> str:
    return text if preset is None else re.sub(r"\bPRESET\b", lambda _: shlex.quote(preset), text)


def _say(error: BaseException, code: Exit, body: dict[str, Any], *, as_json: bool, preset: str | None = None) -> int:
    if as_json:
        import json

        print(json.dumps({**body, "exit_code": int(code)}, ensure_ascii=False), file=sys.stderr)
    else:
        remedy = next((REMEDIES[kind] for kind in type(error).__mro__ if kind in REMEDIES), None)
        print(f"logos: {_WORDS[code]}: {body['message']}" + (f"\n{_pasted(remedy, preset)}" if remedy else ""), file=sys.stderr)
    return code


def _body(error: errors.LogosError) -> dict[str, Any]:
    body = {"error": type(error).__name__, "message": str(error)}
    for name in ("reason", "client_order_id", "venue_code", "venue_message", "retry_after_s"):
        value = getattr(error, name, None)
        if value:
            body[name] = value
    return body


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "logos"
    return f"{error.format_message().rstrip('.')}; see `{path} --help`"


def _bug(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "nowhere"
    words = " ".join(str(error).split())[:300]
    return f"this is a bug: {type(error).__name__}: {words} (at {where}); LOGOS_DEBUG=1 shows the way there. Please report it."
