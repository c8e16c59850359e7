"""What is not settled, for a person who has just been woken up: since when, what is known, what waits for it, and what to do next."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from logos_core.cli import words
from logos_core.events import StoredEvent
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.lifecycle import IntentState
from logos_core.rails.doubt import ACCOUNT, INSTRUMENT, DoubtPolicy
from logos_core.records import Recorded
from logos_core.values import lasted

_WAITS = {
    INSTRUMENT: "new orders on {symbol} wait; cancels, questions, and what only reduces pass",
    ACCOUNT: "new orders of this account wait; cancels, questions, and what only reduces pass",
}
_AS_PRESET = (
    "new orders on {symbol} wait, or those of the account, or none, as `[unknown] holds` of each preset says; "
    "cancels, questions, and what only reduces pass"
)
_NOTHING = "nothing waits for it"


def doubt_body(ledger: SqliteLedger, recorded: Recorded, now: datetime, policy: DoubtPolicy | None) -> dict[str, Any]:
    """Return what is to be known of one unsettled intent.

    Args:
        policy: what the preset says waits for it; None where none was named.
    """
    since = recorded.open_since or recorded.updated_at
    return {
        "client_order_id": recorded.client_order_id,
        "intent_id": recorded.intent_id,
        "state": recorded.state.value,
        "symbol": recorded.symbol,
        "order": words.order_words(recorded),
        "since": since,
        "age": lasted(since, now),
        "known": words.KNOWN[recorded.state],
        "evidence": _evidence(ledger.last_evidence(recorded.client_order_id)),
        "holds_back": _holds_back(recorded, policy),
        "next": words.next_step(recorded),
    }


def _holds_back(recorded: Recorded, policy: DoubtPolicy | None) -> str:
    """Return what waits until an intent is settled."""
    if recorded.state is not IntentState.UNKNOWN and len(recorded.attempts) < 2:  # noqa: PLR2004  it is on its first way
        return _NOTHING
    said = _AS_PRESET if policy is None else _WAITS.get(policy.holds, _NOTHING)
    return said.format(symbol=recorded.symbol)


def _evidence(event: StoredEvent | None) -> dict[str, Any] | None:
    """Return where an intent was looked for last, what was said there, and when."""
    if event is None:
        return None
    said = event.fields()
    evidence = said if event.kind == "not_seen" else said.get("evidence") or {}
    return {"at": words.event_time(event), "said": words.event_line(event), "views": evidence.get("views", [])}


def doubt_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return the same for a person, one paragraph each."""
    return "\n\n".join("\n".join(_lines(row)) for row in rows)


def _lines(row: Mapping[str, Any]) -> list[str]:
    evidence = row["evidence"]
    asked = "nothing is on record since it was sent" if evidence is None else f"{_at(evidence['at'])}  {evidence['said']}"
    return [
        f"{row['state'].upper()} for {row['age']}, since {_at(row['since'])}: {row['intent_id'] or '-'} ({row['client_order_id']})",
        f"  order  {row['order']}",
        f"  known  {row['known']}",
        f"  last   {asked}",
        f"  waits  {row['holds_back']}",
        f"  next   {row['next'].replace(chr(10) + '      ', chr(10) + '         ')}",
    ]


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"
