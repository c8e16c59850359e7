"""`logos orders`, `logos show` and `logos status`: what is on record. No network, no plugin, and nothing is changed."""

from pathlib import Path
from typing import Annotated, Any

import typer
from attrs import evolve

from logos_core import presets
from logos_core.cli import executed, words
from logos_core.cli.doubts import Doubts, doubt_text
from logos_core.cli.environment import open_home
from logos_core.cli.exits import Exit
from logos_core.cli.ledgers import Trouble, opened, refuse_if_unread, the_one
from logos_core.cli.options import Json
from logos_core.cli.output import emit, emit_table
from logos_core.clock import SystemClock
from logos_core.errors import ConfigurationError
from logos_core.events import StoredEvent
from logos_core.home import Home, key_of
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.records import LedgerIdentity, Recorded

_OWNER_COLUMNS = ("VENUE", "ACCOUNT")
_COLUMNS = ("STATE", "ORDER", "INTENT", "STRATEGY", "UPDATED", "CLIENT ORDER ID")
OptionalPreset = Annotated[
    Path | None, typer.Argument(metavar="[PRESET]", help="Only the account of this preset.", show_default=False, readable=False)
]


def orders(
    preset: OptionalPreset = None,
    only_unknown: Annotated[
        bool, typer.Option("--unknown", help="Only what is in flight or unknown, or was asked to end and may still trade.")
    ] = False,
    last: Annotated[int, typer.Option("--last", min=1, help="How many per ledger.")] = 50,
    as_json: Json = False,
) -> int:
    """List the orders on record; asks no venue."""
    wanted = None if preset is None else presets.load(preset)
    home = open_home()
    with opened(home, wanted) as (ledgers, troubles):
        several = len(ledgers) > 1
        doubts = Doubts(home=home, now=SystemClock().now(), preset=wanted)
        found = [
            (ledger.identity, recorded, detail)
            for ledger in ledgers
            for recorded, detail in (doubts.of(ledger) if only_unknown else [(each, {}) for each in ledger.recorded(last)])
        ]
        rows = [(*(_owner(account) if several else ()), *_row(recorded)) for account, recorded, _ in found]
        body = [{**words.intent_body(recorded), **_account_body(account), **detail} for account, recorded, detail in found]
    columns = (*_OWNER_COLUMNS, *_COLUMNS) if several else _COLUMNS
    emit_table(columns, rows, body, as_json=as_json, empty=_nothing(only_unknown, troubles))
    if only_unknown and rows and not as_json:
        emit(None, "\n" + doubt_text(detail for _, _, detail in found), as_json=False)
    refuse_if_unread(troubles)
    return Exit.DONE


def _nothing(only_unknown: bool, troubles: list[Trouble]) -> str:
    """Say that a list is empty, and of what that is true."""
    said = "nothing is unknown" if only_unknown else "no order is on record"
    return f"{said} in what can be read" if troubles else said


def _owner(account: LedgerIdentity) -> tuple[str, ...]:
    return (f"{account.venue} {account.environment}", account.account_id)


def _account_body(account: LedgerIdentity) -> dict[str, Any]:
    return {"venue": account.venue, "environment": account.environment, "account_id": account.account_id}


def _row(recorded: Recorded) -> tuple[str, ...]:
    return (
        recorded.state.value,
        words.standing_words(recorded),
        recorded.intent_id or "-",
        recorded.strategy or "-",
        recorded.updated_at.strftime("%Y-%m-%d %H:%M:%SZ"),
        recorded.client_order_id,
    )


def show(
    order: Annotated[str, typer.Argument(metavar="ID", help="The intent id, or the client order id.", show_default=False)],
    preset: Annotated[
        Path | None, typer.Option("--preset", help="Only the account of this preset.", show_default=False, readable=False)
    ] = None,
    as_json: Json = False,
) -> int:
    """Tell the whole story of one intent; asks no venue."""
    home = open_home()
    wanted = None if preset is None else presets.load(preset)
    with opened(home, wanted) as (ledgers, troubles):
        denials = [] if _is_known(ledgers, order) else _denials(ledgers, order)
        if denials:
            _show_denied(order, denials, as_json=as_json)
        else:
            ledger, recorded = _found(ledgers, troubles, order, wanted.strategy if wanted else None)
            _show(home, ledger, recorded, words.preset_word(ledger, recorded, preset), as_json=as_json)
    return Exit.DONE


def _is_known(ledgers: list[SqliteLedger], name: str) -> bool:
    return any(ledger.knows(name) or ledger.find_intent(name) for ledger in ledgers)


def _found(ledgers: list[SqliteLedger], troubles: list[Trouble], name: str, strategy: str | None) -> tuple[SqliteLedger, Recorded]:
    try:
        return the_one(ledgers, name, strategy)
    except ConfigurationError:
        refuse_if_unread(troubles)
        raise


def _denials(ledgers: list[SqliteLedger], name: str) -> list[StoredEvent]:
    """Return the denials of an intent that never got further."""
    return [
        event
        for ledger in ledgers
        for event in ledger.denials()
        if name in {event.fields().get("intent_id"), event.fields().get("client_order_id")}
    ]


def _show_denied(name: str, denials: list[StoredEvent], *, as_json: bool) -> None:
    body = {"intent_id": name, "state": "denied", "timeline": [words.event_body(event) for event in denials]}
    text = (
        f"{name}\n\nKnown: Denied by us each time. Nothing was sent, there is no order.\n"
        f"Next:  Mend the cause and submit the same intent again.\n\n{_timeline(denials)}"
    )
    emit(body, text, as_json=as_json)


def _show(home: Home, ledger: SqliteLedger, recorded: Recorded, preset: str, *, as_json: bool) -> None:
    events = list(ledger.events(recorded.client_order_id))
    sessions = words.in_flight_words(recorded, home)
    account = ledger.identity
    body = {
        **words.intent_body(recorded),
        **_account_body(account),
        "known": words.KNOWN[recorded.state],
        "next": _next(ledger, recorded, preset),
        "alarms": _alarms(ledger, recorded),
        "in_flight": sessions,
        "replacements": ledger.replacements(recorded.client_order_id),
        **executed.body(ledger, recorded),
        "timeline": [words.event_body(event) for event in events],
    }
    emit(body, _story(ledger, recorded, body, events), as_json=as_json)


def _story(ledger: SqliteLedger, recorded: Recorded, body: dict[str, Any], events: list[StoredEvent]) -> str:
    account = ledger.identity
    head = [
        f"{recorded.intent_id or 'adopted order'}: {words.order_words(recorded)}",
        f"{account.venue} {account.environment}, account {account.account_id}, strategy {recorded.strategy or '-'}, {recorded.client_order_id}",
        "",
        f"State: {recorded.state.value.upper()}",
        f"Known: {body['known']}",
        *(f"       {line}" for line in body["in_flight"]),
    ]
    if recorded.report is not None:
        head.append(f"Venue: {words.report_line(evolve(recorded.report, legs=()))}")
        head += [f"Leg:   {words.leg_line(leg)}" for leg in recorded.report.legs]
    if recorded.replaces is not None:
        head.append(f"{'Was to take' if recorded.report is None else 'Takes'} the place of {recorded.replaces}")
    head += [f"Its place is taken by {name}" for name in ledger.replacements(recorded.client_order_id)]
    head += [f"ALARM: {said}" for said in body["alarms"]]
    return "\n".join([*head, f"Next:  {words.indented(body['next'], 7)}", *executed.lines(ledger, recorded), "", _timeline(events)])


def _alarms(ledger: SqliteLedger, recorded: Recorded) -> list[str]:
    """Return what is wrong with an intent that should never be, and why new orders are stopped because of it."""
    second = [f"a second order exists: {', '.join(recorded.duplicates)}"] if recorded.duplicates else []
    latches = [f"new orders are stopped: {reason}" for reason in ledger.latched() if recorded.client_order_id in reason]
    return [*second, *executed.alarms(ledger, recorded), *latches]


def _next(ledger: SqliteLedger, recorded: Recorded, preset: str) -> str:
    """Return what to do about an intent; of one whose place another took, about that one."""
    placed = ledger.replacements(recorded.client_order_id)
    if placed and recorded.report is not None and recorded.report.status.is_final:
        return f"See `logos show {placed[-1]}`, which took its place; cancelling this one cancels that one."
    asked = any(found.client_order_id == recorded.client_order_id for found, _ in ledger.asked_to_end())
    return words.next_step(recorded, preset, asked_to_end=asked)


def _timeline(events: list[StoredEvent]) -> str:
    lines = []
    for event in events:
        at = words.event_time(event)
        lines.append(f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d}Z  {words.event_line(event)}")
    return "\n".join(lines)


def status(as_json: Json = False) -> int:
    """Say what is halted, unknown and running; asks no venue."""
    home = open_home()
    doubts = Doubts(home=home, now=SystemClock().now())
    with opened(home) as (ledgers, troubles):
        body = {
            "home": str(home.path),
            "halts": home.halts(),
            "ledgers": [_ledger_body(ledger, doubts) for ledger in ledgers],
            "unreadable": [{"path": str(trouble.path), "error": trouble.said} for trouble in troubles],
            "sessions": _sessions(home),
        }
    emit(body, _status_text(body), as_json=as_json)
    refuse_if_unread(troubles)
    return Exit.DONE


def _ledger_body(ledger: SqliteLedger, doubts: Doubts) -> dict[str, Any]:
    account = ledger.identity
    return {
        "key": key_of(account),
        **_account_body(account),
        "path": str(ledger.path),
        "events": ledger.last_sequence(),
        "adopted": ledger.adopted(),
        "counts": {state.value: count for state, count in sorted(ledger.counts().items())},
        "latches": ledger.latched(),
        "next": words.UNLATCH.format(preset=_latest_preset(ledger)) if ledger.latched() else None,
        "duplicates": ledger.duplicates(),
        "overfilled": [str(found) for found in ledger.executed.overfills()],
        "unsettled": [detail for _, detail in doubts.of(ledger)],
    }


def _latest_preset(ledger: SqliteLedger) -> str:
    return next((words.preset_word(ledger, recorded) for recorded in ledger.recorded(1)), words.PRESET)


def _sessions(home: Home) -> dict[str, list[str]]:
    names = sorted(path.stem for path in (home.path / "sessions").glob("*.lock"))
    dead = [name for name in names if home.is_dead(name)]
    return {"alive": [name for name in names if name not in dead], "dead": dead}


def _status_text(body: dict[str, Any]) -> str:
    lines = [f"LOGOS_HOME  {body['home']}"]
    lines += [f"HALTED      {scope}: {said}" for scope, said in body["halts"].items()] or ["halts       none"]
    alive, dead = body["sessions"]["alive"], body["sessions"]["dead"]
    lines.append(f"sessions    {len(alive)} alive, {len(dead)} ended or dead")
    for ledger in body["ledgers"]:
        lines += [
            "",
            f"{ledger['venue']} {ledger['environment']}, account {ledger['account_id']}  ({ledger['key']})",
            f"  {ledger['path']}",
        ]
        counts = ", ".join(f"{count} {state}" for state, count in ledger["counts"].items())
        lines.append(f"  orders    {counts or 'none'}")
        lines += [f"  LATCHED   {reason}" for reason in ledger["latches"]]
        lines += [f"  next      {ledger['next']}"] if ledger["next"] else []
        lines += [f"  DUPLICATE {venue_order_id}" for venue_order_id in ledger["duplicates"]]
        lines += [f"  OVERFILLED {said}" for said in ledger["overfilled"]]
        if ledger["unsettled"]:
            lines += ["", *(f"  {line}".rstrip() for line in doubt_text(ledger["unsettled"]).splitlines())]
    lines += ["", *(f"UNREADABLE  {row['error']}" for row in body["unreadable"])] if body["unreadable"] else []
    return "\n".join(lines)
