"""`logos recover`, `logos reconcile` and `logos resolve`: find out, compare, settle."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict

from logos_core import presets
from logos_core.adapter import Adapter
from logos_core.cli import words
from logos_core.cli.environment import home_path, open_home
from logos_core.cli.exits import CheckFailedError, ConflictError, Exit
from logos_core.cli.ledgers import opened, the_one
from logos_core.cli.opening import session_for
from logos_core.cli.options import Json, PresetArgument
from logos_core.cli.output import emit
from logos_core.clock import SystemClock
from logos_core.errors import ConfigurationError
from logos_core.hookspecs import Found, NotSeen
from logos_core.lifecycle import IntentState
from logos_core.reconciliation import Agreement, ReconciliationReport
from logos_core.records import ClaimLostError, LedgerIdentity, Recorded
from logos_core.values import lasted

_AGREEMENTS = {
    Agreement.AGREES: Exit.DONE,
    Agreement.DIFFERS: Exit.CHECK_FAILED,
    Agreement.UNSETTLED: Exit.UNKNOWN,
    Agreement.COULD_NOT_ASK: Exit.UNAVAILABLE,
}


def recover(preset: PresetArgument, as_json: Json = False) -> int:
    """Find out what became of everything that dead sessions left open."""
    before = _unsettled(preset)
    with Adapter.open(preset, home=home_path()) as adapter:  # opening recovers
        names = dict.fromkeys(
            [*before.get(adapter.ledger.identity, []), *(known.client_order_id for known in adapter.ledger.unsettled())]
        )
        after = [recorded for name in names if (recorded := adapter.ledger.find(name)) is not None]
    body = {"verdict": "nothing was open" if not after else "see orders", "orders": [_outcome(recorded) for recorded in after]}
    open_still = [recorded for recorded in after if recorded.state is IntentState.UNKNOWN]
    in_flight = [recorded for recorded in after if recorded.state is IntentState.IN_FLIGHT]
    body["verdict"] = _verdict(len(after), len(open_still), len(in_flight))
    lines = [str(body["verdict"]), *map(_recovered_line, after)]
    if open_still:
        lines.append("`logos orders PRESET --unknown` says what is known of each, what waits for it, and what to do next.")
    emit(body, "\n".join(lines), as_json=as_json)
    if open_still:
        return Exit.UNKNOWN
    return Exit.CONFLICT if in_flight else Exit.DONE


def _unsettled(preset: Path) -> dict[LedgerIdentity, list[str]]:
    """Return what is open before the session opens, by account: which account the key belongs to, only the venue tells."""
    with opened(open_home(), presets.load(preset)) as (ledgers, _):
        return {ledger.identity: [recorded.client_order_id for recorded in ledger.unsettled()] for ledger in ledgers}


def _verdict(count: int, unknown: int, in_flight: int) -> str:
    if not count:
        return "recovery: nothing was open"
    parts = [f"{count - unknown - in_flight} now known", f"{unknown} still UNKNOWN" if unknown else ""]
    parts.append(f"{in_flight} being sent by a living session" if in_flight else "")
    return "recovery: " + ", ".join(part for part in parts if part)


def _recovered_line(recorded: Recorded) -> str:
    age = "" if recorded.open_since is None else f" for {lasted(recorded.open_since, SystemClock().now())}"
    return f"  {recorded.client_order_id}  {recorded.state.value}{age}: {words.order_words(recorded)}"


def _outcome(recorded: Recorded) -> dict[str, Any]:
    return {
        **words.intent_body(recorded),
        "since": recorded.open_since,
        "known": words.KNOWN[recorded.state],
        "next": words.next_step(recorded),
    }


def reconcile(preset: PresetArgument, as_json: Json = False) -> int:
    """Compare the ledger with the venue."""
    with Adapter.open(preset, home=home_path()) as adapter:
        found = adapter.reconcile()
    emit(asdict(found) | {"verdict": found.verdict.value}, _reconciliation_text(found), as_json=as_json)
    return _AGREEMENTS[found.verdict]


def _reconciliation_text(found: ReconciliationReport) -> str:
    lines = [str(found)]
    lists: dict[str, tuple[object, ...]] = {
        "missing at the venue": found.missing_remote,
        "ours, unknown to the ledger (new orders are stopped)": found.untracked_remote,
        "second orders of one intent (new orders are stopped)": found.duplicates,
        "more was traded than was ordered (new orders are stopped)": found.overfilled,
        "position moved otherwise than by our executions": found.positions_different,
        "position not compared, for information": found.positions_not_compared,
        "in motion": found.in_motion,
        "unsettled": tuple(map(_since, found.unsettled, found.unsettled_since)),
        "foreign, for information": found.foreign_remote,
    }
    lines += [f"  {said}: {name}" for said, names in lists.items() for name in names]
    lines += [f"  different: {row.client_order_id} {row.field}: ledger {row.ledger}, venue {row.venue}" for row in found.different]
    if found.untracked_remote:
        lines.append("`logos ledger adopt PRESET` takes over what the ledger does not know; find out first who sent it.")
    if found.positions_different:
        lines.append(
            "A deposit, a split or another's trading moves positions, too. Once you know what it was: `logos ledger baseline`."
        )
    if found.unsettled:
        lines.append(
            "`logos orders PRESET --unknown` says what waits for them and what to do; `logos show ID` tells the story of one."
        )
    return "\n".join(lines)


def _since(name: str, since: datetime) -> str:
    return f"{name}, for {lasted(since, SystemClock().now())}, since {since:%Y-%m-%d %H:%M:%SZ}"


def resolve(
    order: Annotated[str, typer.Argument(metavar="ID", help="The intent id, or the client order id.", show_default=False)],
    preset: Annotated[Path, typer.Option("--preset", help="The preset of its account.", show_default=False, readable=False)],
    state: Annotated[str, typer.Option("--as", help="not-placed: there is no such order, and never was.", show_default=False)],
    by: Annotated[str, typer.Option("--by", help="Your name.", show_default=False)],
    because: Annotated[str, typer.Option("--because", help="How you know.", show_default=False)],
    as_json: Json = False,
) -> int:
    """Close an unknown intent on a named person's word."""
    if state != "not-placed":
        raise ConfigurationError(
            f"--as is {state!r}; allowed: not-placed. That an order exists, only the venue can say: `logos recover`"
        )
    for name, value in (("--by", by), ("--because", because)):
        if not value.strip():
            raise ConfigurationError(f"{name} is empty; a decision needs a name and a reason")
    with session_for(preset, order) as adapter:
        _, recorded = the_one([adapter.ledger], order, presets.load(preset).strategy)
        if recorded.state is not IntentState.NOT_PLACED:
            evidence = _evidence(adapter, recorded)
            recorded = _closed(adapter, recorded, by.strip(), because.strip(), evidence)
    text = f"{recorded.client_order_id}: not placed, on the word of {by.strip()}. It is watched: if it appears, new orders stop."
    emit(words.intent_body(recorded), text, as_json=as_json)
    return Exit.DONE


def _closed(adapter: Adapter, recorded: Recorded, by: str, because: str, evidence: dict[str, Any]) -> Recorded:
    """Close it, unless it was sent once more since the evidence was looked for."""
    seen = max((attempt.number for attempt in recorded.attempts), default=0)
    try:
        return adapter.ledger.close_by_person(recorded.client_order_id, by, because, evidence, seen_attempt=seen)
    except ClaimLostError:
        message = f"{recorded.client_order_id} was sent once more while the venue was asked; run the same command again"
        raise ConflictError(message) from None


def _evidence(adapter: Adapter, recorded: Recorded) -> dict[str, Any]:
    """Return where the order was looked for in vain, or refuse: evidence beats anybody's word."""
    if recorded.state is IntentState.IN_FLIGHT:
        raise ConflictError(f"{recorded.client_order_id} is being sent by a living session; wait, then look again")
    if recorded.report is not None:
        raise CheckFailedError(f"refused: the order exists. The venue shows it as {words.report_line(recorded.report)}")
    if recorded.state is not IntentState.UNKNOWN:
        raise ConflictError(f"{recorded.client_order_id} is {recorded.state.value}, not unknown; there is nothing to resolve")
    now = SystemClock().now()
    latest = max((attempt.valid_until for attempt in recorded.attempts), default=now)
    if latest > now:
        raise CheckFailedError(
            f"refused: it may still arrive; it is valid until {latest.isoformat()}. Run the same command after that"
        )
    answer = adapter.lookup(recorded.reference())
    if isinstance(answer, Found):
        raise CheckFailedError(f"refused: the order exists. The venue shows it as {words.report_line(answer.report)}")
    assert isinstance(answer, NotSeen)
    return {"views": [{"source": view.source, "said": view.said} for view in answer.views], "venue_time": answer.venue_time}
