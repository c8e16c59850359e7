"""Orders, reports and events in words: for a person who has just been woken up."""

import shlex
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from logos_core.events import StoredEvent, moment
from logos_core.home import Home
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.lifecycle import IntentState
from logos_core.records import Recorded
from logos_core.replacing import ReplaceReport
from logos_core.reports import ExecutionReport
from logos_core.values import lasted, plain

S = IntentState
PRESET = "PRESET"
"""What stands for a preset that nobody knows here."""
ZERO = Decimal(0)

KNOWN: dict[IntentState, str] = {
    S.FRESH: "Nothing was ever sent.",
    S.IN_FLIGHT: "An attempt is on record and its outcome is not: it may be live.",
    S.NOT_SENT: "Provably nothing was sent. There is no order.",
    S.UNKNOWN: "Nobody has proof whether the order exists. Treat it as live.",
    S.REJECTED: "The venue proved that it did not accept it. There is no order.",
    S.NOT_PLACED: "Closed without an order, by proof or by a named person.",
    S.PENDING_NEW: "The venue has the order and is about to work it.",
    S.NEW: "The order is working at the venue.",
    S.PARTIALLY_FILLED: "The order is working at the venue and is partly filled.",
    S.PENDING_CANCEL: "The venue is about to cancel the order.",
    S.FILLED: "The order is filled. It is done.",
    S.CANCELED: "The order is cancelled. It is done.",
    S.EXPIRED: "The order has expired. It is done.",
}

UNLATCH = (
    "Find out how that could be; then two people allow new orders again: "
    "`logos resume --preset {preset} --by NAME --by NAME --because TEXT`"
)

_WORKING = "`logos reconcile {preset}` reads its latest state; `logos cancel {preset} {id}` asks for its end."
_TO_END = "3. To have it gone if it exists: `logos cancel {preset} {id}`, and repeat."
_TO_END_BOTH = (
    "3. To have both orders gone, it and the one that it was to replace: `logos cancel {preset} {replaces}`, and repeat;\n"
    "   what arrives after that finds nothing to replace. Until then either may be working."
)
_FINAL = "Nothing. A new decision needs a new intent id."
NEXT: dict[IntentState, str] = {
    S.FRESH: "Submit it, or leave it.",
    S.IN_FLIGHT: "If its session lives, wait. If it is dead: `logos recover {preset}`, which only asks and never sends.",
    S.NOT_SENT: "Submit the same intent again if it is still wanted, or leave it.",
    S.UNKNOWN: (
        "1. `logos recover {preset}` asks the venue again; it never sends.\n"
        "2. Never send the decision under another intent id. Under its own, unchanged, it may be sent again: that finds out, too.\n"
        f"{_TO_END}\n"
        "4. If the venue's support says in writing that there is none:\n"
        "   `logos resolve {id} --preset {preset} --as not-placed --by NAME --because TEXT`"
    ),
    S.REJECTED: _FINAL,
    S.NOT_PLACED: _FINAL,
    S.PENDING_NEW: _WORKING,
    S.NEW: _WORKING,
    S.PARTIALLY_FILLED: _WORKING,
    S.PENDING_CANCEL: "`logos reconcile {preset}` reads its latest state.",
    S.FILLED: _FINAL,
    S.CANCELED: _FINAL,
    S.EXPIRED: _FINAL,
}


_ASKED_TO_END = "`logos cancel {preset} {id}` asks again and says how it stands; repeat that until it has ended."


def next_step(recorded: Recorded, preset: str = PRESET, *, asked_to_end: bool = False) -> str:
    """Return what to do about an intent, one step a line, as commands that can be pasted.

    Args:
        preset: how the preset of its account is written in a command.
        asked_to_end: it was, and may still trade.
    """
    steps = _ASKED_TO_END if asked_to_end else NEXT[recorded.state]
    if recorded.request is not None and recorded.request.in_place_of is not None:
        steps = steps.replace(_TO_END, _TO_END_BOTH)
    return steps.format(id=recorded.client_order_id, preset=preset, replaces=recorded.replaces)


def indented(text: str, by: int) -> str:
    """Return lines of which all but the first stand further to the right."""
    return text.replace("\n", "\n" + " " * by)


def preset_word(ledger: SqliteLedger, recorded: Recorded, given: Path | None = None) -> str:
    """Return how to write an intent's preset in a command: as it was given, or as it is on record and still there."""
    known = given or ledger.preset_of(recorded)
    return PRESET if known is None or not known.is_file() else shlex.quote(str(known))


def report_body(report: ExecutionReport) -> dict[str, Any]:
    """Return a report for machines."""
    return {
        "client_order_id": report.client_order_id,
        "venue_order_id": report.venue_order_id,
        "symbol": report.symbol,
        "side": report.side.value,
        "order_type": report.order_type.value,
        "quantity": report.quantity,
        "price": report.price,
        "stop_price": report.stop_price,
        "trail_amount": report.trail_amount,
        "trail_percent": report.trail_percent,
        "notional": report.notional,
        "time_in_force": report.time_in_force.value if report.time_in_force else None,
        "status": report.status.value,
        "filled_quantity": report.filled_quantity,
        "leaves_quantity": report.leaves_quantity,
        "average_price": report.average_price,
        "fees": [{"amount": fee.amount, "asset": fee.asset} for fee in report.fees],
        "replaced_by": report.replaced_by,
        "legs": [report_body(leg) for leg in report.legs],
        "venue_time": report.venue_time,
    }


def report_line(report: ExecutionReport) -> str:
    """Return a report in one line."""
    ordered = (
        f"{plain(report.notional)} worth of" if report.quantity is None and report.notional else plain(report.quantity or ZERO)
    )
    filled = (
        f"{plain(report.filled_quantity)} of {ordered} filled" if report.quantity else f"{plain(report.filled_quantity)} filled"
    )
    average = "" if report.average_price is None else f" at {plain(report.average_price)}"
    legs = "".join(f"; leg {leg_line(leg)}" for leg in report.legs)
    return (
        f"{report.status.value}: {report.side.value} {ordered} {report.symbol} {_price_words(report_body(report))}, {filled}{average} "
        f"({report.client_order_id}, the venue's {report.venue_order_id}){legs}"
    )


def replace_body(found: ReplaceReport) -> dict[str, Any]:
    """Return what became of a replacement for machines."""
    return {
        "ending": found.ending.value,
        "why": found.why,
        "filled_quantity": found.filled_quantity,
        "original": report_body(found.original),
        "report": None if found.report is None else report_body(found.report),
    }


def replace_text(found: ReplaceReport) -> str:
    """Return what became of a replacement in a few lines."""
    lines = [f"{found.ending.value}: {found.why}", f"original: {report_line(found.original)}"]
    if found.report is not None:
        lines.append(f"new: {report_line(found.report)}")
    return "\n".join([*lines, f"{plain(found.filled_quantity)} traded in all"])


def leg_line(leg: ExecutionReport) -> str:
    """Return a leg in a few words."""
    return f"{leg.venue_order_id}: {leg.side.value} {_price_words(report_body(leg))}, {leg.status.value}, {plain(leg.filled_quantity)} filled"


def intent_body(recorded: Recorded) -> dict[str, Any]:
    """Return an intent for machines."""
    return {
        "client_order_id": recorded.client_order_id,
        "intent_id": recorded.intent_id,
        "strategy": recorded.strategy,
        "symbol": recorded.symbol,
        "state": recorded.state.value,
        "created_at": recorded.created_at,
        "updated_at": recorded.updated_at,
        "order": None if recorded.payload is None else dict(recorded.payload),
        "report": None if recorded.report is None else report_body(recorded.report),
        "attempts": [
            {
                "number": attempt.number,
                "session": attempt.session_id,
                "committed_at": attempt.committed_at,
                "outcome": attempt.outcome.value if attempt.outcome else None,
            }
            for attempt in recorded.attempts
        ],
        "duplicates": list(recorded.duplicates),
        "replaces": recorded.replaces,
    }


def order_words(recorded: Recorded) -> str:
    """Return what was ordered."""
    payload = recorded.payload or {}
    if "side" in payload:
        return _ordered(payload)
    if recorded.request is not None:
        request = recorded.request
        said: dict[str, Any] = {name: getattr(request, name) for name in ("symbol", "side", "quantity", "price")}
        return _ordered({**said, **request.spelled()})
    if recorded.report is not None:
        return _ordered(report_body(recorded.report))
    return _changes(payload) if payload else recorded.symbol


def standing_words(recorded: Recorded) -> str:
    """Return what was ordered, how its legs stand, and whose place it takes."""
    legs = [leg.status.value for leg in recorded.report.legs] if recorded.report else []
    shown = f"; legs: {', '.join(legs)}" if legs else ""
    return order_words(recorded) + shown + (f"; replaces {recorded.replaces}" if recorded.replaces else "")


def _ordered(said: Mapping[str, Any]) -> str:
    """Return the fields of an order in words."""
    by_worth = said.get("quantity") is None and said.get("notional") is not None
    amount = f"{_number(said['notional'])} worth of" if by_worth else _number(said.get("quantity"))
    return f"{said['side']} {amount} {said['symbol']} {_price_words(said)}{_terms_words(said)}"


def _price_words(said: Mapping[str, Any]) -> str:
    limit = "at market" if said.get("price") is None else f"at {_number(said['price'])}"
    if said.get("trail_percent") is not None:
        return f"{limit}, trailing by {_number(said['trail_percent'])} %"
    if said.get("trail_amount") is not None:
        return f"{limit}, trailing by {_number(said['trail_amount'])}"
    return limit if said.get("stop_price") is None else f"{limit} from {_number(said['stop_price'])} on"


def _terms_words(said: Mapping[str, Any]) -> str:
    limit = f" at {said['stop_loss_price']}" if said.get("stop_loss_price") else ""
    terms = {
        "post_only": "post only",
        "reduce_only": "reduce only",
        "expires_at": f"until {said.get('expires_at')}",
        "take_profit": f"take profit at {said.get('take_profit')}",
        "stop_loss": f"stop loss{limit} from {said.get('stop_loss')} on",
        "one_cancels_other": "one cancels the other",
    }
    return "".join(f", {text}" for name, text in terms.items() if said.get(name))


def _changes(said: Mapping[str, Any]) -> str:
    """Return in words what a replacement changes."""
    names = {"quantity": "quantity {}", "price": "at {}", "stop_price": "from {} on"}
    found = [words.format(said[name]) for name, words in names.items() if said.get(name) is not None]
    return f"{said['symbol']}, changed to {', '.join(found)}"


def _number(value: Any) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)


def event_body(event: StoredEvent) -> dict[str, Any]:
    """Return an event for machines."""
    return {"sequence": event.sequence, "session": event.session_id, **event.fields(), "said": event_line(event)}


def event_line(event: StoredEvent) -> str:
    """Return what happened, in one line."""
    fields = event.fields()
    speak = _EVENTS.get(event.kind)
    return speak(fields) if speak else event.kind.replace("_", " ")


def event_time(event: StoredEvent) -> datetime:
    """Return when an event was recorded."""
    return moment(event.fields()["at"])


def _attempt(said: dict[str, Any]) -> str:
    order, sent = said["payload"], said["sent"]
    what = _ordered({**order, **sent}) if "side" in order else f"{_changes({**order, **sent})}, in place of {said.get('replaces')}"
    return f"attempt {said['attempt']} recorded, then sent: {what}"


def _settled(said: dict[str, Any]) -> str:
    outcomes = {
        "accepted": "the venue has it",
        "rejected": "the venue rejected it",
        "not_sent": "provably not sent",
        "absent": "proven not to exist",
        "unknown": "outcome UNKNOWN",
    }
    line = f"attempt {said['attempt']}: {outcomes.get(said['outcome'], said['outcome'])}"
    evidence = said.get("evidence") or {}
    why = [str(evidence[name]) for name in ("why", "interrupted_by") if evidence.get(name)]
    why += _venue_words(evidence)
    if evidence.get("phase"):
        why.append(f"HTTP {evidence['status']}" if evidence.get("status") else str(evidence["phase"]))
    return line + (f" ({'; '.join(why)[:240]})" if why else "") + _state(said)


def _reported(said: dict[str, Any]) -> str:
    return f"the venue reports {_filled(said['report'])}" + _state(said)


def _leg_reported(said: dict[str, Any]) -> str:
    leg = said["report"]
    return f"leg {leg['venue_order_id']}, {leg['side']} {_price_words(leg)}: {_filled(leg)}"


def _filled(report: dict[str, Any]) -> str:
    of = "" if report.get("quantity") is None else f" of {report['quantity']}"
    return f"{report['status']}, {report['filled_quantity']}{of} filled"


def _not_seen(said: dict[str, Any]) -> str:
    return f"looked for, not seen{_unknown_for(said)} ({_views(said)}); {said.get('why', '')}"[:500]


def _views(said: dict[str, Any]) -> str:
    return ", ".join(f"{view['source']}: {view['said']}" for view in said.get("views", ()))


def _not_asked(said: dict[str, Any]) -> str:
    why = said.get("why", "")
    return f"looked for, and the venue could not be asked{_unknown_for(said)} ({said.get('trouble')})" + (
        "" if why == said.get("trouble") else f"; {why}"
    )


def _unknown_for(said: dict[str, Any]) -> str:
    """Return for how long the intent was unknown when it was looked for."""
    since = said.get("unknown_since")
    return "" if since is None else f", unknown for {lasted(moment(since), moment(said['at']))}"


def _cancel(said: dict[str, Any]) -> str:
    answered = f"HTTP {said['status']}" if said.get("status") else f"no answer, {said.get('phase')}"
    return f"cancel asked for ({'; '.join([answered, *_venue_words(said)])})"


def _venue_words(evidence: dict[str, Any]) -> list[str]:
    """Return what the venue said of an error, or what kind of error it was."""
    classified = evidence.get("classified") or {}
    found = classified.get("message") or evidence.get("not_believed") or evidence.get("error")
    code = classified.get("code")
    return [f"{code} {found}" if code and found else str(found)] if found else []


def _resolved(said: dict[str, Any]) -> str:
    evidence = said.get("evidence") or {}
    looked = f" (looked for once more, not seen: {_views(evidence)})" if evidence.get("views") else ""
    original = f" (to be replaced was: {evidence['original']})" if evidence.get("original") else ""
    return f"closed by {said['by']}: {said['because']}{looked}{original}" + _state(said)


def _execution(said: dict[str, Any]) -> str:
    fees = "".join(f", fee {fee['amount']} {fee['asset']}" for fee in said.get("fees", ()))
    if said.get("execution_kind") == "bust":
        return f"trade {said['refers_to']} does not count any more ({said['execution_id']})"
    if said.get("execution_kind") == "correction":
        return f"trade {said['refers_to']} was {said['quantity']} at {said['price']}{fees} ({said['execution_id']})"
    return f"executed {said['quantity']} at {said['price']}{fees} (trade {said['execution_id']})"


def _state(said: dict[str, Any]) -> str:
    return f" -> {said['state']}" if said.get("state") else ""


_EVENTS: dict[str, Callable[[dict[str, Any]], str]] = {
    "attempt": _attempt,
    "settled": _settled,
    "reported": _reported,
    "leg_reported": _leg_reported,
    "replacement_begun": lambda said: f"to take the place of {said['replaces']}",
    "replacement_closed": lambda said: f"not placed: {(said.get('evidence') or {}).get('why')}" + _state(said),
    "replaced_too_much": lambda said: str(said.get("why")),
    "not_seen": _not_seen,
    "not_asked": _not_asked,
    "cancel": _cancel,
    "resolved": _resolved,
    "execution": _execution,
    "overfilled": lambda said: f"ALARM: {said['filled']} of {said['quantity']} filled, {said['order']}; new orders stop",
    "overfill_ended": lambda said: f"no longer overfilled: {said['filled']} of {said['quantity']}, {said['order']}",
    "denied": lambda said: f"denied by us, nothing sent: {said.get('message')} [{said.get('reason')}]",
    "adopted": lambda said: "taken over from the venue" + _state(said),
    "claimed": lambda said: f"claimed by strategy {said['strategy']} as intent {said['intent_id']}",
}


def in_flight_words(recorded: Recorded, home: Home) -> list[str]:
    """Return what is known of the sessions that an intent in flight belongs to."""
    return [
        f"session {attempt.session_id} is " + ("dead" if home.is_dead(attempt.session_id) else "alive, or of another host")
        for attempt in recorded.attempts
        if attempt.outcome is None
    ]
