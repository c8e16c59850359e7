"""One intent, one order: the id that never changes, and what a second submit means.

Rules:

1. The client order id is a function of account, strategy and intent id alone. Same intent, same id: on every machine, after every
   restart.
2. A second submit never reaches the venue unless the record proves that the first did not.
3. The same intent id with another payload is a mistake of the caller's, found before the network.
"""

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum

from logos_core.capabilities import IdProfile
from logos_core.errors import OrderConflictError, PluginContractError
from logos_core.lifecycle import IntentState
from logos_core.orders import Order, OrderType
from logos_core.records import Ledger, Recorded
from logos_core.reports import ExecutionReport
from logos_core.values import plain

PREFIX = "lgs"
"""What every client order id of ours begins with: a venue order that bears it and has no row is ours and unaccounted for."""

ID_LENGTH = 32
_DIGEST_BYTES = 20
"""As many as `ID_LENGTH` characters can show, in whole groups of five."""
_NAMES = json.JSONEncoder(ensure_ascii=False)
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
MIN_ID_LENGTH = 18
"""Fifteen characters of digest: at a thousand million intents the chance of any collision is below one in ten thousand."""


def client_order_id(account_id: str, strategy: str, intent_id: str, profile: IdProfile) -> str:
    """Return the id under which the venue will know an intent.

    Lower-case letters and digits, so that a venue that folds case or cuts the id at its own limit cannot merge two of them.
    """
    length = _usable_length(profile.max_length, profile.alphabet)
    named = _NAMES.encode([account_id, strategy, intent_id]).encode()
    digest = base64.b32hexencode(hashlib.sha256(named).digest()[:_DIGEST_BYTES]).decode().lower()
    return (PREFIX + digest)[:length]


@functools.cache
def _usable_length(max_length: int, alphabet: str) -> int:
    """Return how long an id may be, once it is sure that the venue admits every character one can hold."""
    length = min(max_length, ID_LENGTH)
    if length < MIN_ID_LENGTH:
        raise PluginContractError(
            f"client order ids of {length} characters cannot be told apart safely; {MIN_ID_LENGTH} are needed"
        )
    refused = [character for character in PREFIX + _DIGITS if not re.fullmatch(alphabet, character)]
    if refused:
        raise PluginContractError(f"the venue's alphabet {alphabet} does not admit {''.join(refused)!r} in a client order id")
    return length


class Verdict(StrEnum):
    """What a recorded intent means for a new submit of it."""

    SEND = "send"
    REPLAY = "replay"
    IN_FLIGHT = "in flight"
    FIND_OUT = "find out"
    REJECTED = "rejected"
    NOT_PLACED = "not placed"


_VERDICTS = {
    IntentState.FRESH: Verdict.SEND,
    IntentState.NOT_SENT: Verdict.SEND,
    IntentState.IN_FLIGHT: Verdict.IN_FLIGHT,
    IntentState.UNKNOWN: Verdict.FIND_OUT,
    IntentState.REJECTED: Verdict.REJECTED,
    IntentState.NOT_PLACED: Verdict.NOT_PLACED,
}


def decide(order: Order, recorded: Recorded | None) -> Verdict:
    """Return what to do with an order, given what is on record under its id.

    Raises:
        OrderConflictError: the id was used for another order.
    """
    if recorded is None:
        return Verdict.SEND
    if recorded.payload is not None:
        same_decision(order.intent_id, recorded.payload, order.payload())
    else:
        assert recorded.report is not None, "what nobody here decided was read back from the venue"
        shown = _of_report(recorded.report)
        same_decision(order.intent_id, shown, {name: value for name, value in order.payload().items() if name in shown})
    return _VERDICTS.get(recorded.state, Verdict.REPLAY)


def _of_report(report: ExecutionReport) -> dict[str, str | None]:
    """Return what an adopted order shows of the payload it was made from."""
    numbers = {"price": report.price, "stop_price": report.stop_price, "notional": report.notional}
    if report.notional is None:  # the venue finds the quantity of an order by notional
        numbers["quantity"] = report.quantity
    if report.order_type is OrderType.TRAILING_STOP:  # its stop price is the venue's, and moves
        del numbers["stop_price"]
    return {
        "symbol": report.symbol,
        "side": report.side.value,
        "order_type": report.order_type.value,
        **{name: None if number is None else plain(number) for name, number in numbers.items()},
    }


def same_decision(intent_id: str, known: Mapping[str, str | None], given: Mapping[str, str | None]) -> None:
    """Refuse an intent id that was used for something else; a term that one side leaves out is not set there."""
    differing = [name for name in {**known, **given} if known.get(name) != given.get(name)]
    if differing:
        raise OrderConflictError(
            intent_id, {name: known.get(name) for name in differing}, {name: given.get(name) for name in differing}
        )


class IdempotentCache:
    """The durable memory of what was submitted, seen from the caller's side.

    It holds nothing itself: the ledger does, so a restart forgets nothing.
    """

    def __init__(self, ledger: Ledger, account_id: str, strategy: str, profile: IdProfile) -> None:
        self._ledger = ledger
        self._account_id = account_id
        self._strategy = strategy
        self._profile = profile

    def client_order_id(self, intent_id: str) -> str:
        """Return the id under which the venue knows an intent of this session's strategy."""
        return client_order_id(self._account_id, self._strategy, intent_id, self._profile)

    def recall(self, order: Order, client_order_id: str) -> tuple[Verdict, Recorded | None]:
        """Return what to do with an order and what is on record under its id.

        Raises:
            OrderConflictError: the intent id was used for another order.
        """
        recorded = self._ledger.find(client_order_id)
        return decide(order, recorded), recorded
