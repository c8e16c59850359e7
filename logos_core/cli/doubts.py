"""What is not settled, for a person who has just been woken up: since when, what is known, what waits for it, and what to do next.

That is what is in flight or unknown, and what was asked to end and is not known to have ended.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import frozen

from logos_core.cli import words
from logos_core.events import StoredEvent
from logos_core.home import Home
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.lifecycle import IntentState
from logos_core.presets import Preset
from logos_core.rails.doubt import ACCOUNT, INSTRUMENT
from logos_core.records import Recorded
from logos_core.recovery import is_abandoned
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
_ASKED_TO_END = "It was asked to end, and may still trade: the cancel did not work, or what came of it was not seen."


@frozen(kw_only=True)
class Doubts:
    """Tells what is not settled in the ledgers of a host.

    Attributes:
        preset: the one that was named, or None: then what waits is said of every one, and what is on record is put into commands.
    """

    home: Home
    now: datetime
    preset: Preset | None = None

    def of(self, ledger: SqliteLedger) -> list[tuple[Recorded, dict[str, Any]]]:
        """Return what is to be known of each order of a ledger that is not settled."""
        unsettled = [(recorded, self._body(ledger, recorded)) for recorded in ledger.unsettled()]
        return unsettled + [(recorded, self._body(ledger, recorded, asked_at)) for recorded, asked_at in ledger.asked_to_end()]

    def _body(self, ledger: SqliteLedger, recorded: Recorded, asked_at: datetime | None = None) -> dict[str, Any]:
        since = asked_at or recorded.open_since or recorded.updated_at
        preset = words.preset_word(ledger, recorded, self.preset.path if self.preset else None)
        return {
            "client_order_id": recorded.client_order_id,
            "intent_id": recorded.intent_id,
            "state": recorded.state.value,
            "asked_to_end": asked_at is not None,
            "symbol": recorded.symbol,
            "order": words.standing_words(recorded),
            "since": since,
            "age": lasted(since, self.now),
            "known": _ASKED_TO_END if asked_at else words.KNOWN[recorded.state],
            "in_flight": words.in_flight_words(recorded, self.home),
            "evidence": _evidence(ledger.last_evidence(recorded.client_order_id)),
            "holds_back": _NOTHING if asked_at else self._holds_back(recorded),
            "next": words.next_step(recorded, preset, asked_to_end=asked_at is not None),
        }

    def _holds_back(self, recorded: Recorded) -> str:
        """Return what waits until an intent is settled."""
        on_its_way = recorded.state is not IntentState.UNKNOWN and not is_abandoned(recorded, self.home.is_dead)
        if on_its_way and len(recorded.attempts) < 2:  # noqa: PLR2004  it is on its first way
            return _NOTHING
        said = _AS_PRESET if self.preset is None else _WAITS.get(self.preset.unknown.holds, _NOTHING)
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
    state = "ASKED TO END" if row["asked_to_end"] else row["state"].upper()
    return [
        f"{state} for {row['age']}, since {_at(row['since'])}: {row['intent_id'] or '-'} ({row['client_order_id']})",
        f"  order  {row['order']}",
        f"  known  {' '.join([row['known'], *(f'Its {said}.' for said in row['in_flight'])])}",
        f"  last   {asked}",
        f"  waits  {row['holds_back']}",
        f"  next   {words.indented(row['next'], 9)}",
    ]


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"
