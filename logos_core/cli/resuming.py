"""`logos resume`: allow new orders again. Away from safety, so it takes two people and a reason."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from logos_core.adapter import Adapter
from logos_core.cli.environment import home_path, open_home
from logos_core.cli.exits import CheckFailedError, Exit
from logos_core.cli.ledgers import opened
from logos_core.cli.options import Json
from logos_core.cli.output import emit, say
from logos_core.errors import ConfigurationError, LedgerError
from logos_core.home import EVERYTHING, Home, folder_name, new_id
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.reconciliation import Agreement
from logos_core.session import process_name, register

STRATEGY = "logos resume"


def resume(
    by: Annotated[list[str], typer.Option("--by", help="Your name; give it twice, for two people.", show_default=False)],
    because: Annotated[str, typer.Option("--because", help="Why it is safe again.", show_default=False)],
    scope: Annotated[str, typer.Argument(help="everything, a venue, or an account's key.")] = EVERYTHING,
    preset: Annotated[
        list[Path] | None,
        typer.Option("--preset", help="Demand a clean reconciliation of this account first; may be repeated.", readable=False),
    ] = None,
    as_json: Json = False,
) -> int:
    """Allow new orders again, on the word of two people."""
    names = _two_people(by)
    if not because.strip():
        raise ConfigurationError("--because is empty; say why it is safe again")
    home = open_home()
    for path in preset or ():
        _demand_agreement(path)
    if not preset:
        say("logos: the accounts were NOT reconciled with their venues; name them with --preset to have that checked")
    released = _release_latches(home, scope, " and ".join(names), because.strip())
    was_halted = home.resume(scope)
    remaining = home.halts()
    body = {
        "scope": scope,
        "was_halted": was_halted,
        "latches_released": released,
        "still_halted": remaining,
        "by": names,
        "because": because.strip(),
        "reconciled": [str(path) for path in preset or ()],
    }
    emit(body, _text(scope, was_halted, released, remaining), as_json=as_json)
    return Exit.DONE if was_halted or released or not remaining else Exit.CHECK_FAILED


def _two_people(by: list[str]) -> list[str]:
    names = [name.strip() for name in by if name.strip()]
    if len({name.casefold() for name in names}) < 2:  # noqa: PLR2004  two people
        raise ConfigurationError(f"--by names {', '.join(names) or 'nobody'}; two different people are needed: --by NAME --by NAME")
    return names


def _demand_agreement(preset: Path) -> None:
    with Adapter.open(preset, home=home_path()) as adapter:
        found = adapter.reconcile()
    if found.verdict is not Agreement.AGREES:
        raise CheckFailedError(f"NOT resumed: {preset}: {found}; `logos reconcile {preset}` shows the details")


def _release_latches(home: Home, scope: str, by: str, because: str) -> dict[str, int]:
    """Release the latches of the scope's ledgers; the halt itself goes last, when nothing can fail any more."""
    with opened(home) as (ledgers, troubles):
        if troubles:
            raise LedgerError(f"NOT resumed: {troubles[0].said}")
        covered = [ledger for ledger in ledgers if str(home.path / "halt" / folder_name(scope)) in home.halt_paths(ledger.identity)]
        return {ledger.identity.account_id: _release(home, ledger, by, because) for ledger in covered if ledger.latched()}


def _release(home: Home, ledger: SqliteLedger, by: str, because: str) -> int:
    with ExitStack() as holding:
        holding.enter_context(home.ledger_lock(ledger.identity, exclusive=False))
        session_id = new_id()
        held = home.hold_session(session_id)
        holding.callback(held.release)
        ledger.begin_session(session_id, STRATEGY, process_name())
        released = ledger.release(by, because)
        ledger.end_session()
        register(home, ledger)
        home.forget_session(session_id)
    return released


def _text(scope: str, was_halted: bool, released: dict[str, int], remaining: dict[str, str]) -> str:
    lines = [f"resumed: {scope}" if was_halted else f"{scope} was not halted"]
    lines += [f"  {count} latch(es) of account {account} released" for account, count in released.items()]
    lines += [f"  STILL HALTED: {name}: {said}; end it with: logos resume {name} …" for name, said in remaining.items()]
    return "\n".join(lines)
