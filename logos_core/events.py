"""The bytes of an event and the hash that chains it. Pure.

Rules:

1. An event has one spelling: JSON with sorted keys, no spaces, ASCII (a venue may send half a character, which UTF-8 has no bytes
   for), numbers as strings, times in UTC with microseconds.
2. A float has no place in it: it would be spelled differently by another machine.
3. `hash = SHA-256(previous hash + bytes)`, so a changed, missing, moved or added event changes every later hash of its session.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from attrs import frozen

from logos_core.errors import ChainBrokenError
from logos_core.values import aware, plain

GENESIS = hashlib.sha256(b"logos event chain 1").digest()
"""What the first event of a session follows."""


@frozen(kw_only=True)
class StoredEvent:
    """One event as it is stored.

    Attributes:
        sequence: its place in the ledger.
        session_id: whose chain it belongs to.
        number: its place in that chain, from 1.
        body: the canonical bytes.
    """

    sequence: int
    session_id: str
    number: int
    kind: str
    body: bytes
    previous: bytes
    hash: bytes

    def fields(self) -> dict[str, Any]:
        """Return what the event says."""
        said: dict[str, Any] = json.loads(self.body)
        return said


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, check_circular=False)
_AS_THEY_ARE = frozenset({str, int, bool, type(None)})
_NAMES = frozenset({str})


def one_spelling(body: Mapping[str, Any]) -> str:
    """Return JSON with sorted keys, no spaces, and every number and time spelled the one way."""
    return _ENCODER.encode(spelled(body))


def canonical(body: Mapping[str, Any]) -> bytes:
    """Return the one spelling of an event."""
    return one_spelling(body).encode()


def spelled(value: Any) -> Any:
    """Return a value with every number and time spelled the one way; a float raises `TypeError`."""
    kind = type(value)
    if kind is dict:
        if _AS_THEY_ARE.issuperset(map(type, value.values())) and _NAMES.issuperset(map(type, value)):
            return value
        return {
            name if type(name) is str else str(name): item if type(item) in _AS_THEY_ARE else spelled(item)
            for name, item in value.items()
        }
    if kind in _AS_THEY_ARE or isinstance(value, str | int):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, Mapping):
        return spelled(dict(value))
    if isinstance(value, list | tuple):
        return [spelled(item) for item in value]
    raise TypeError(f"{kind.__name__} has no place in an event: {value!r}")


def stamp(moment: datetime) -> str:
    """Return the one spelling of a time.

    >>> from datetime import UTC
    >>> stamp(datetime(2026, 11, 23, 6, 31, tzinfo=UTC))
    '2026-11-23T06:31:00.000000Z'
    """
    if moment.tzinfo is not UTC:
        aware("time", moment)
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


def moment(text: str) -> datetime:
    """Return the time that `stamp` spelled."""
    return datetime.fromisoformat(text)


def step(previous: bytes, body: bytes) -> bytes:
    """Return the hash of an event that follows another."""
    return hashlib.sha256(previous + body).digest()


Heads = Mapping[str, tuple[int, bytes]]
"""How far the chain of each session goes: how many events, and the last hash."""


def verify(events: Iterable[StoredEvent], after: Heads | None = None) -> dict[str, tuple[int, bytes]]:
    """Check the chains of some complete ledger and return the head of each session: how many events, and the last hash.

    Args:
        after: the heads that the events go on from, where older ones were archived.

    Raises:
        ChainBrokenError: at the first event that is not what was written.
    """
    heads = dict(after or {})
    for event in events:
        number, head = heads.get(event.session_id, (0, GENESIS))
        expected = step(head, event.body)
        whole = event.number == number + 1 and event.previous == head and event.hash == expected
        if not whole or event.fields()["kind"] != event.kind:
            raise ChainBrokenError(event.sequence, expected.hex(), event.hash.hex())
        heads[event.session_id] = (event.number, event.hash)
    return heads
