"""Tell listeners what happens on a simulated exchange, in the venue's own words, with faults on the way.

1. What is told is the exchange's log from the moment of the subscription on; the log itself is what really happened.
2. A fault keeps something back or tells it wrongly. It never changes what happened.
3. A seed decides every fault, so a run can be repeated as far as threads allow.
"""

from __future__ import annotations

import random  # noqa: TID251 - a plan owns its own generator.
import threading
import time
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol

from logos_core.testing.exchange import Exchange, Transaction

POLL_S = 0.002
HOLD_S_MAX = 60.0


class StreamFault(StrEnum):
    """Name what goes wrong with one event, or with a connection."""

    DROP = "drop"  # It is never told.
    DUPLICATE = "duplicate"  # It is told twice.
    SWAP = "swap"  # It is told after the next one.
    GARBAGE = "garbage"  # Something is told in its place that cannot be read.
    CUT = "cut"  # The connection breaks; it is never told.
    SILENCE = "silence"  # From here on nothing is told, no sign of life either, and the connection stays open.
    NO_HELLO = "no_hello"  # The subscription is never confirmed.


class StreamPlan:
    """Decide what goes wrong; safe to ask from many threads.

    Args:
        chances: The chance of each fault, per event, and for `NO_HELLO` per connection.
        seed: Decides all of them.
    """

    def __init__(self, chances: Mapping[StreamFault, float] | None = None, seed: int = 0) -> None:
        self.chances = dict(chances or {})
        self.applied: Counter[StreamFault] = Counter()
        self._chance = random.Random(seed)  # noqa: S311 - must repeat, need not be secret.
        self._lock = threading.Lock()

    def draw(self, *, connection: bool = False) -> StreamFault | None:
        """Return what goes wrong with the next event, or with a connection that begins."""
        with self._lock:
            left = self._chance.random()
            for fault, chance in self.chances.items():
                if (fault is StreamFault.NO_HELLO) is not connection:
                    continue
                left -= chance
                if left < 0:
                    self.applied[fault] += 1
                    return fault
        return None


class Wire(Protocol):
    """Carry messages to one listener. Every method raises `OSError` once it has left."""

    def send(self, message: bytes) -> None:
        """Send one message."""

    def attend(self, timeout_s: float) -> list[bytes]:
        """Wait for so long, answer what the protocol itself asks for, and return what the listener said."""

    def hold(self, timeout_s: float) -> bool:
        """Wait for so long and answer nothing; say whether the listener is still there."""


class Voice(Protocol):
    """Speak one venue's stream."""

    def greet(self, wire: Wire, stopping: threading.Event) -> bool:
        """Let the listener in and confirm its subscription; say whether there is one."""

    def tell(self, transaction: Transaction) -> list[bytes]:
        """Return the messages that tell of a transaction."""

    def beat(self, last: int) -> bytes | None:
        """Return a sign of life after so many transactions, or None where the protocol has its own."""

    def garbage(self) -> bytes:
        """Return something that cannot be read."""


class Feed:
    """Tell what happens on an exchange.

    Args:
        exchange: What happens.
        plan: What goes wrong; nothing by default. Assign `plan` to change it while running.
        heartbeat_s: The distance between two signs of life.
    """

    def __init__(self, exchange: Exchange, plan: StreamPlan | None = None, heartbeat_s: float = 5.0) -> None:
        self.exchange = exchange
        self.plan = plan or StreamPlan()
        self.heartbeat_s = heartbeat_s
        self.connections = 0

    def serve(self, wire: Wire, voice: Voice, stopping: threading.Event) -> None:
        """Tell one listener, until it leaves, a fault ends it or the server stops."""
        self.connections += 1
        try:
            if self.plan.draw(connection=True) is StreamFault.NO_HELLO:
                _keep_silent(wire, stopping)
            elif voice.greet(wire, stopping):
                self._talk(wire, voice, stopping)
        except OSError:
            return  # The listener has left, which is not the venue's problem.

    def _talk(self, wire: Wire, voice: Voice, stopping: threading.Event) -> None:
        told, late = self.exchange.last_transaction_id, list[bytes]()
        next_beat_s = _monotonic_s() + self.heartbeat_s
        while not stopping.is_set():
            for transaction in self.exchange.transactions(told):
                told = transaction.id
                messages, fault = voice.tell(transaction), self.plan.draw()
                if fault is StreamFault.CUT:
                    return
                if fault is StreamFault.SILENCE:
                    _keep_silent(wire, stopping)
                    return
                if fault is StreamFault.SWAP:
                    late += messages
                    continue
                for message in _altered(messages, fault, voice) + late:
                    wire.send(message)
                late.clear()
            if _monotonic_s() >= next_beat_s:
                next_beat_s = _monotonic_s() + self.heartbeat_s
                beat = voice.beat(told)
                for message in [*late, *([] if beat is None else [beat])]:
                    wire.send(message)
                late.clear()
            wire.attend(POLL_S)


def _altered(messages: list[bytes], fault: StreamFault | None, voice: Voice) -> list[bytes]:
    if fault is StreamFault.DROP:
        return []
    if fault is StreamFault.GARBAGE:
        return [voice.garbage()]
    return messages * 2 if fault is StreamFault.DUPLICATE else messages


def _keep_silent(wire: Wire, stopping: threading.Event) -> None:
    end_s = _monotonic_s() + HOLD_S_MAX
    while not stopping.is_set() and _monotonic_s() < end_s:
        if not wire.hold(0.02):
            return


# The simulator shares nothing with the code it tests, its clock included.
def _monotonic_s() -> float:
    return time.monotonic()  # noqa: TID251
