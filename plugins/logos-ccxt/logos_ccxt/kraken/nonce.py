"""Whose turn it is under one API key, among all the sessions of this host.

Kraken takes a request only if its nonce is greater than every one before it (docs.kraken.com, guides/general/errors, Invalid nonce:
threads that share a key need a counter with a mutex). Two requests on two connections may overtake one another, so a request waits
until the one before it has been answered, whichever process sent it: a strategy, and the operator who cancels beside it. It does not
wait for ever: one that has not been answered within `PATIENCE_S` must not keep a cancel from leaving. If it is still on its way, it is
refused when it comes.

Turns and the latest nonce are in a small file. It survives nobody's death on purpose: a turn that is not given back ends by itself, and
nonces are times. Where the file cannot be used, requests leave without turns; one that is then overtaken is refused, which proves
nothing about an order and costs a lookup. The same is true between hosts, so give each host a key of its own, as Kraken advises.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define

from logos_core.clock import Clock
from logos_core.systems import take_lock
from logos_core.wire import WireRecord

PATIENCE_S = 0.1
"""How long the next request waits for an answer to the one before it: long beside what a network may change of an order, and short
beside the time within which an attempt must leave."""
PAUSE_S = 0.002
"""How often a request that waits looks again."""
LATEST_MS = 10_000_000_000_000
"""No nonce is beyond this, which is a time in the year 2286."""
WIDTH = 128
"""The file is always this long: writing it anew needs no room on a full disk."""


class TurnTimeoutError(Exception):
    """Others have used the key for as long as this operation may take. Nothing was sent."""


@define
class _State:
    """Who has the key, since when on the host's monotonic clock, and the latest nonce of all."""

    holder: str = ""
    since_s: float = 0.0
    latest: int = 0


class Turns:
    """The order of the requests under one key, and its latest nonce."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._alone = _State()

    @contextmanager
    def take(self, record: WireRecord) -> Iterator[None]:
        """Have the key to oneself until the block ends, or until others have been patient."""
        ticket = os.urandom(8).hex()
        while not self._begin(ticket, record.clock):
            if record.remaining_s() <= 0:
                raise TurnTimeoutError("the key was in use until the deadline of this operation")
            record.clock.sleep(PAUSE_S)
        try:
            yield
        finally:
            with self._state(record.clock) as state:
                if state.holder == ticket:
                    state.holder = ""

    def draw(self, clock: Clock) -> int:
        """Return the next nonce: the time in milliseconds, or one more than the last."""
        with self._state(clock) as state:
            state.latest = max(int(clock.now().timestamp() * 1000), state.latest + 1)
            return state.latest

    def _begin(self, ticket: str, clock: Clock) -> bool:
        with self._state(clock) as state:
            now_s = clock.monotonic_s()
            if state.holder and 0 <= now_s - state.since_s < PATIENCE_S:  # a time to come was written before the host started anew
                return False
            state.holder, state.since_s = ticket, now_s
            return True

    @contextmanager
    def _state(self, clock: Clock) -> Iterator[_State]:
        """Read what the host knows, and write it back, with nobody between if nobody is stopped in the middle of the same."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            yield self._alone
            return
        try:
            until_s = clock.monotonic_s() + PATIENCE_S
            while not take_lock(descriptor, exclusive=True) and clock.monotonic_s() < until_s:
                clock.sleep(PAUSE_S)
            state = _read(descriptor)
            yield state
            with suppress(OSError):
                os.pwrite(descriptor, json.dumps([state.holder, state.since_s, state.latest]).ljust(WIDTH).encode(), 0)
        finally:
            os.close(descriptor)


def _read(descriptor: int) -> _State:
    try:
        holder, since_s, latest = json.loads(os.pread(descriptor, WIDTH, 0))
        return _State(str(holder), float(since_s), int(latest) if latest < LATEST_MS else 0)
    except (OSError, ValueError, TypeError, OverflowError):  # new, or half written by whoever died
        return _State()


def turns_of(folder: Path, base_url: str, key: str) -> Turns:
    """Return the one order of turns of a key on this host."""
    return Turns(folder / f"{hashlib.sha256(f'{base_url} {key}'.encode()).hexdigest()[:32]}.turn")
