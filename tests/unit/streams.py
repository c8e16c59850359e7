"""A scripted venue that tells, and what is told."""

import queue
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import evolve

from logos_core.capabilities import Stream
from logos_core.clock import SystemClock
from logos_core.hookspecs import Inlet, venue_hook
from logos_core.streaming import StreamConfig
from logos_core.testing import scripted
from logos_core.testing.scripted import ScriptedSession, ScriptedVenue

STREAM = Stream(heartbeat_s=60.0, gapless=True, sources=dict.fromkeys(("heartbeat_s", "gapless"), "scripted"))
QUICK = StreamConfig(
    hello_within_s=0.6, heartbeat_s=30.0, silent_beats=1, backoff_s=0.01, backoff_s_max=0.05, pace_s=0.02, end_within_s=0.5
)
Event = Callable[[Inlet], Any]


class TellingVenue(ScriptedVenue):
    """A venue whose stream tells what a test puts into it; `None` ends the connection."""

    def __init__(self, *, greets: bool = True, visibility_lag_s: float = 0.05) -> None:
        super().__init__(evolve(scripted.capabilities(visibility_lag_s=visibility_lag_s), stream=STREAM))
        self.events: queue.Queue[Event | None] = queue.Queue()
        self.inlets: list[Inlet] = []
        self.greets = [greets]

    @venue_hook
    def listen(self, inlet: Inlet) -> None:
        self.inlets.append(inlet)
        if self.greets[0]:
            inlet.hello()
        while not inlet.stopped:
            with suppress(queue.Empty):
                event = self.events.get(timeout=0.005)
                if event is None:
                    return
                event(inlet)

    def tell(self, *events: Event | None) -> None:
        for event in events:
            self.events.put(event)


def reports(report: Any) -> Event:
    return lambda inlet: inlet.report(report)


def trades(execution: Any) -> Event:
    return lambda inlet: inlet.execution(execution)


def compose(folder: Path, venue: ScriptedVenue, **more: Any) -> ScriptedSession:
    clock: Any = SystemClock()
    return scripted.compose(folder, venue, clock=clock, **more)
