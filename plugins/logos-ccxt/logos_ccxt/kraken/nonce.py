"""Whose turn it is under one API key.

Kraken takes a request only if its nonce is greater than every one before it (docs.kraken.com, guides/general/errors, Invalid nonce:
threads that share a key need a counter with a mutex). Two requests on two connections may overtake one another, so within this process
a request waits until the one before it has been answered. It does not wait for ever: one that has not been answered within `PATIENCE_S`
must not keep a cancel from leaving. If it is still on its way, it is refused when it comes.

Between processes nobody keeps the order. What then arrives out of turn is refused, which proves nothing about an order and costs a
lookup. So give each process a key of its own, as Kraken advises.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from logos_core.wire import WireRecord

PATIENCE_S = 0.1
"""How long the next request waits for an answer to the one before it: long beside what a network may change of an order, and short
beside the time within which an attempt must leave."""


class TurnTimeoutError(Exception):
    """Others have used the key for as long as this operation may take. Nothing was sent."""


class Turns:
    """The order of the requests under one key, and its latest nonce."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holder: object = None
        self._since_s = 0.0
        self._last = 0

    @contextmanager
    def take(self, record: WireRecord) -> Iterator[None]:
        """Have the key to oneself until the block ends, or until others have been patient."""
        ticket = object()
        self._begin(ticket, record)
        try:
            yield
        finally:
            with self._changed:
                if self._holder is ticket:
                    self._holder = None
                    self._changed.notify()

    def draw(self, now_ms: int) -> int:
        """Return the next nonce: the time, or one more than the last."""
        with self._changed:
            self._last = max(now_ms, self._last + 1)
            return self._last

    def _begin(self, ticket: object, record: WireRecord) -> None:
        with self._changed:
            while self._holder is not None:
                patient_s = self._since_s + PATIENCE_S - record.clock.monotonic_s()
                left_s = record.remaining_s()
                if patient_s <= 0:
                    break
                if left_s <= 0:
                    raise TurnTimeoutError("the key was in use until the deadline of this operation")
                self._changed.wait(min(patient_s, left_s))
            self._holder, self._since_s = ticket, record.clock.monotonic_s()


_TURNS: dict[bytes, Turns] = {}
_TURNS_LOCK = threading.Lock()


def turns_of(base_url: str, key: str) -> Turns:
    """Return the one order of turns of a key in this process."""
    digest = hashlib.sha256(f"{base_url} {key}".encode()).digest()
    with _TURNS_LOCK:
        return _TURNS.setdefault(digest, Turns())
