"""Whose turn it is under one API key.

Kraken takes a request only if its nonce is greater than every one before it (docs.kraken.com, guides/general/errors, Invalid nonce:
threads that share a key need a counter with a mutex). Two requests on two connections may overtake one another, so within this process
the next nonce is drawn only when the request before it has been answered, or given up.

Between processes nobody keeps the order. What then arrives out of turn is refused, which proves nothing about an order and costs a
lookup. So give each process a key of its own, as Kraken advises.
"""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from logos_core.wire import WireRecord


class TurnTimeoutError(Exception):
    """Another session of this process has held the key for as long as this operation may take. Nothing was sent."""


class Turns:
    """The order of the requests under one key, and its latest nonce."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    @contextmanager
    def take(self, record: WireRecord) -> Iterator[None]:
        """Have the key to oneself, waiting no longer than the operation may take."""
        if not self._lock.acquire(timeout=max(record.remaining_s(), 0)):
            raise TurnTimeoutError("the key was in use by another session until the deadline of this one")
        try:
            yield
        finally:
            self._lock.release()

    def draw(self, now_ms: int) -> int:
        """Return the next nonce: the time, or one more than the last."""
        self._last = max(now_ms, self._last + 1)
        return self._last


_TURNS: dict[bytes, Turns] = {}
_TURNS_LOCK = threading.Lock()


def turns_of(base_url: str, key: str) -> Turns:
    """Return the one order of turns of a key in this process."""
    digest = hashlib.sha256(f"{base_url} {key}".encode()).digest()
    with _TURNS_LOCK:
        return _TURNS.setdefault(digest, Turns())
