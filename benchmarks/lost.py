"""Orders lost to kill -9, counted by the venue's own record.

A process that has everything imported is forked. The child opens a session, submits as fast as it can, and is killed at a random
microsecond: while it opens and recovers, between the commits, while the bytes leave, while the answer comes. The next child takes
the last intents of the dead one up again, as a restarted strategy would, so what was sent may not be sent a second time.
"""

import mmap
import os
import random
import signal
import struct
import time
import traceback
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen

from benchmarks import arms
from benchmarks.arms import DESKS, Simulator
from logos_core import Adapter
from logos_core.events import StoredEvent

RETAKEN = 3
LAST_US = 5_000
"""How long a child may live on after its last full order."""
EARLY_EVERY = 8
"""Each so-manieth child's life is counted from its birth, so that it may end while the child opens, recovers or takes up again."""
EARLY_LIFE_US = 2_500_000
ORDERS_WITHIN_S = 300.0
KILLS_MAX = 1_000


@frozen(kw_only=True)
class Lost:
    """What the venue's record and the ledger say of each other.

    Attributes:
        orders: what the venue holds.
        recovered: orders whose answer nobody lived to record, found by asking.
        unknown_here: orders of the venue that the ledger does not know, or not as they are.
        twice: client order ids under which the venue holds more than one order.
        missing_there: intents whose submit returned, of which the venue holds no order.
        unsettled: intents that are still open after recovery and the last retake.
    """

    kills: int
    orders: int
    recovered: int
    unknown_here: tuple[str, ...]
    twice: tuple[str, ...]
    missing_there: tuple[str, ...]
    unsettled: int
    seconds: float

    @property
    def lost(self) -> int:
        """Return how many orders nobody could account for."""
        return len(self.unknown_here) + len(self.twice) + len(self.missing_there)

    def __str__(self) -> str:
        return (
            f"{self.lost} of {self.orders} orders over {self.kills} kills (unknown here {len(self.unknown_here)}, twice "
            f"{len(self.twice)}, missing there {len(self.missing_there)}); {self.recovered} recovered, {self.unsettled} unsettled; "
            f"{self.seconds:.0f} s"
        )


class _Shared:
    """What a child tells its parent, and still tells when it is dead."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 16)

    def _get(self, place: int) -> int:
        found: int = struct.unpack_from("<q", self._memory, place * 8)[0]
        return found

    def _set(self, place: int, value: int) -> None:
        struct.pack_into("<q", self._memory, place * 8, value)

    begun = property(lambda self: self._get(0), lambda self, value: self._set(0, value))
    ended = property(lambda self: self._get(1), lambda self, value: self._set(1, value))


def kill(name: str, folder: Path, *, kills: int, orders: int) -> Lost:
    """Kill until there were enough kills and enough orders, then compare the venue's record with the ledger."""
    arms.pin_client()
    started_s = time.monotonic()
    desk = DESKS[name]
    shared = _Shared()
    shared.begun = shared.ended = -1
    with Simulator(name) as simulator:
        preset = arms.write_preset(desk, simulator.url, folder)
        desk.bare(simulator.url)  # The SDK is imported now; children inherit it.
        done = 0
        while done < kills or shared.ended + 1 < orders:
            if done >= KILLS_MAX:
                raise RuntimeError(f"{done} kills, and only {shared.ended + 1} orders")
            first = max(0, shared.begun - RETAKEN + 1)
            early = random.randrange(EARLY_LIFE_US) if done and done % EARLY_EVERY == 0 else None
            wanted = shared.ended + random.randrange(1, 2 * orders // kills + 2)
            _one(shared, partial(_submit_on, preset, name, first, shared), early, wanted)
            done += 1
        with arms.open_adapter(preset) as adapter:
            for number in range(max(0, shared.begun - RETAKEN + 1), shared.begun + 1):
                adapter.submit(arms.order(desk, _intent(number)))
            found = _compare(adapter, simulator.orders(), shared.begun + 1)
            recovered = sum(_is_recovered(event) for event in adapter.audit_log)
    return Lost(kills=done, seconds=time.monotonic() - started_s, recovered=recovered, **found)


def _submit_on(preset: Path, name: str, first: int, shared: _Shared) -> None:
    adapter = arms.open_adapter(preset)
    number, parent = first, os.getppid()
    while os.getppid() == parent:
        shared.begun = max(number, shared.begun)
        adapter.submit(arms.order(DESKS[name], _intent(number)))
        shared.ended = max(number, shared.ended)
        number += 1


def _one(shared: _Shared, work: Callable[[], None], early_us: int | None, wanted: int) -> None:
    """Fork, let it work, kill it."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    if early_us is None:
        _wait_for_orders(pid, shared, wanted)
        early_us = random.randrange(LAST_US)
    time.sleep(early_us / 1e6)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError("a worker ended by itself; what it said stands above")


def _wait_for_orders(pid: int, shared: _Shared, wanted: int) -> None:
    until_s = time.monotonic() + ORDERS_WITHIN_S
    while shared.ended < wanted:
        if time.monotonic() > until_s or os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise RuntimeError("a worker does not get on; what it said stands above")
        time.sleep(0.0002)


def _compare(adapter: Adapter, held: list[dict[str, Any]], intents: int) -> dict[str, Any]:
    ledger = adapter.ledger
    names = Counter(order["client_order_id"] for order in held)
    wanted = {adapter._parts.cache.client_order_id(_intent(number)) for number in range(intents)}
    unknown = []
    for order in held:
        recorded = ledger.find(order["client_order_id"])
        if recorded is None or recorded.report is None or recorded.report.venue_order_id != order["venue_order_id"]:
            unknown.append(order["venue_order_id"])
    return {
        "orders": len(held),
        "unknown_here": tuple(unknown),
        "twice": tuple({*ledger.duplicates(), *(name for name, count in names.items() if count > 1)}),
        "missing_there": tuple(wanted - set(names)),
        "unsettled": len(ledger.unsettled()),
    }


def _is_recovered(event: StoredEvent) -> bool:
    """Say whether the venue had to be asked what became of an attempt, and had its order."""
    return event.kind == "settled" and event.fields()["evidence"].get("source") == "lookup"


def _intent(number: int) -> str:
    return f"order-{number}"
