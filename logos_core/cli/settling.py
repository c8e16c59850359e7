"""`logos recover`, `logos reconcile` and `logos resolve`: find out, compare, settle."""

import shlex
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import asdict

from logos_core import presets
from logos_core.adapter import Adapter
from logos_core.cli import words
from logos_core.cli.doubts import Doubts, doubt_text
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
from logos_core.reports import ExecutionReport
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
        doubts = [
            said for _, said in Doubts(home=open_home(), now=SystemClock().now(), preset=presets.load(preset)).of(adapter.ledger)
        ]
    body: dict[str, Any] = {"orders": [_outcome(recorded, shlex.quote(str(preset))) for recorded in after], "unsettled": doubts}
    open_still = [recorded for recorded in after if recorded.state is IntentState.UNKNOWN]
    in_flight = [recorded for recorded in after if recorded.state is IntentState.IN_FLIGHT]
    body["verdict"] = _verdict(len(after), len(open_still), len(in_flight))
    lines = [str(body["verdict"]), *map(_recovered_line, after)]
    if doubts:
        lines += ["", doubt_text(doubts)]
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


def _outcome(recorded: Recorded, preset: str) -> dict[str, Any]:
    return {
        **words.intent_body(recorded),
        "since": recorded.open_since,
        "known": words.KNOWN[recorded.state],
        "next": words.next_step(recorded, preset),
    }


def reconcile(preset: PresetArgument, as_json: Json = False) -> int:
    """Compare the ledger with the venue."""
    with Adapter.open(preset, home=home_path()) as adapter:
        found = adapter.reconcile()
        latches = adapter.ledger.latched()
    text = _reconciliation_text(found, latches, shlex.quote(str(preset)))
    emit(asdict(found) | {"verdict": found.verdict.value, "latches": latches}, text, as_json=as_json)
    return _AGREEMENTS[found.verdict]


def _reconciliation_text(found: ReconciliationReport, latches: list[str], preset: str) -> str:
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
        "new orders are stopped": tuple(latches),
    }
    lines += [f"  {said}: {name}" for said, names in lists.items() for name in names]
    lines += [f"  different: {row.client_order_id} {row.field}: ledger {row.ledger}, venue {row.venue}" for row in found.different]
    if found.untracked_remote:
        lines.append(f"`logos ledger adopt {preset}` takes over what the ledger does not know; find out first who sent it.")
    if found.positions_different:
        lines.append(
            "A deposit, a split or another's trading moves positions, too. Once you know what it was: `logos ledger baseline`."
        )
    if found.unsettled:
        lines.append(
            f"`logos orders {preset} --unknown` says what waits for them and what to do; `logos show ID` tells the story of one."
        )
    if latches:
        lines.append(words.UNLATCH.format(preset=preset))
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
    word = shlex.quote(str(preset))
    if state != "not-placed":
        raise ConfigurationError(
            f"--as is {state!r}; allowed: not-placed. That an order exists, and how it stands or ended, only the venue can say: "
            f"`logos recover {word}`; of a cancel that nobody knows the end of, `logos cancel {word} {shlex.quote(order)}`"
        )
    for name, value in (("--by", by), ("--because", because)):
        if not value.strip():
            raise ConfigurationError(f"{name} is empty; a decision needs a name and a reason")
    with session_for(preset, order) as adapter:
        _, recorded = the_one([adapter.ledger], order, presets.load(preset).strategy)
        was = "was closed before: " if recorded.state is IntentState.NOT_PLACED else ""
        if not was:
            evidence = _evidence(adapter, recorded)
            recorded = _closed(adapter, recorded, by.strip(), because.strip(), evidence)
        on_record = adapter.ledger.last_evidence(recorded.client_order_id)
    said = words.event_line(on_record) if on_record else "not placed"
    text = f"{recorded.client_order_id}: {was}{said}\nIt is watched: if it appears, it is taken over and new orders stop."
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
        raise _refused(recorded.report)
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
        raise _refused(answer.report)
    assert isinstance(answer, NotSeen)
    views = [{"source": view.source, "said": view.said} for view in answer.views]
    return {"views": views, "venue_time": answer.venue_time, **_original(adapter, recorded)}


def _original(adapter: Adapter, recorded: Recorded) -> dict[str, Any]:
    """Return how the order stands that this one was to replace; refuse if the venue says that something took its place."""
    replaced = None if recorded.replaces is None else adapter.ledger.find(recorded.replaces)
    answer = None if replaced is None else adapter.lookup(replaced.reference())
    if not isinstance(answer, Found):
        return {}
    shown, known = answer.report, adapter.ledger.replacements(answer.report.client_order_id or "")
    if shown.replaced_by is not None and known == [recorded.client_order_id]:
        raise CheckFailedError(
            f"refused: the venue says that its order {shown.replaced_by} took the place of {recorded.replaces}, and no other "
            f"replacement of that is on record. It shows {words.report_line(shown)}"
        )
    return {"original": words.report_line(shown)}


def _refused(report: ExecutionReport) -> CheckFailedError:
    return CheckFailedError(
        f"refused: the order exists. The venue shows it, as of {report.venue_time:%Y-%m-%d %H:%M:%SZ}, as {words.report_line(report)}"
        if report.venue_time
        else f"refused: the order exists. The venue shows it as {words.report_line(report)}"
    )
