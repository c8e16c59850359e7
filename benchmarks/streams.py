"""Listen to every installed venue's stream through its real SDK, with every fault mixed in, and compare the books.

`python -m benchmarks.streams --events 10000` lets so many things happen on each simulated venue: orders of ours that rest, fill in
parts or whole, end, and orders of somebody else. Its stream drops events, tells them twice or out of order, breaks, says what cannot
be read, falls silent and at times never says hello, as a seed has it. Then each fault strikes once more, the last thing that happens,
and must be healed before anything else does: a mixture hides a fault that is not healed behind the next one that is.

Where events are not numbered, nothing can show that one was dropped or put off, so there the venue is asked one last time. It exits
with 0 only if every trade of ours that the venue knows is on record once, no other is, and every order stands as the venue has it.
"""

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from attrs import evolve

from logos_core import Adapter, Order, StreamConfig
from logos_core.cli.output import columned
from logos_core.rails.idempotency import PREFIX
from logos_core.streaming import Listener
from logos_core.testing.exchange import Exchange, Refusal
from logos_core.testing.rehearsal.presets import CREDENTIAL, Rehearsable, embedded
from logos_core.testing.rehearsal.scenario import price_at, unit_of
from logos_core.testing.rehearsal.simulator import application
from logos_core.testing.server import LoopbackServer
from logos_core.testing.streaming import StreamFault, StreamPlan
from logos_core.values import plain
from logos_core.venues import declaration

CHANCES = {
    StreamFault.DROP: 0.02,
    StreamFault.DUPLICATE: 0.02,
    StreamFault.SWAP: 0.02,
    StreamFault.GARBAGE: 0.005,
    StreamFault.CUT: 0.005,
    StreamFault.SILENCE: 0.001,
    StreamFault.NO_HELLO: 0.1,
}
CONFIG = StreamConfig(
    hello_within_s=1.0, heartbeat_s=0.3, silent_beats=2, backoff_s=0.01, backoff_s_max=0.1, pace_s=0.2, ask_every_s=1000.0
)
HEARTBEAT_S = 0.1
OPEN_MAX = 20
HEAL_WITHIN_S = 120.0
LAST_WITHIN_S = 20.0
SETTLE_S = 0.5
UNSEEN = {StreamFault.DROP, StreamFault.SWAP}
"""What nothing shows where events are not numbered."""
PARTS = 5
COLUMNS = (
    "venue",
    "events",
    "faults",
    "connections",
    "gaps closed",
    "trades",
    "missing before",
    "missing",
    "twice",
    "foreign",
    "wrong",
    "s",
)


class Row(NamedTuple):
    """What came of one venue.

    `missing_before` counts the trades that were not on record when the faults ended; the rest is counted after healing.
    """

    venue: str
    events: int
    faults: int
    connections: int
    gaps_closed: int
    trades: int
    missing_before: int
    missing: int
    twice: int
    foreign: int
    wrong: tuple[str, ...]
    seconds: float

    @property
    def is_sound(self) -> bool:
        """Say whether ledger and venue hold the same."""
        return not (self.missing or self.twice or self.foreign or self.wrong) and self.trades > 0


def measure(preset: Rehearsable, events: int, seed: int, config: StreamConfig = CONFIG) -> Row:
    """Let things happen on one venue and listen to it."""
    app: Any = application(preset.venue)
    app.feed.heartbeat_s = HEARTBEAT_S
    instrument = app.exchange.instruments()[0]
    loose = evolve(preset, body={**preset.body, "rate_limit": {"requests": 1_000_000, "period_s": 1.0}})
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, LoopbackServer(app) as server:
        folder = Path(scratch)
        path = folder / "preset.toml"
        path.write_text(loose.text(server.url, folder / "runs", 5.0))
        with Adapter.open(path, home=folder / "home", environ={**os.environ, CREDENTIAL: "streams"}) as adapter:
            adapter.listen().close()  # some SDKs take long to load
            with adapter.listen(config) as stream:
                app.feed.plan = StreamPlan(CHANCES, seed)
                _happen(adapter, app.exchange, instrument, events, random.Random(seed))
                faults, app.feed.plan = app.feed.plan.applied.total(), StreamPlan()
                before = _compare(adapter, app.exchange)
                healed = stream.wait_until_whole(HEAL_WITHIN_S)
                gapless = adapter._parts.venue.capabilities.stream.gapless
                if not gapless:
                    adapter.reconcile()
                shown = [fault for fault in CHANCES if gapless or fault not in UNSEEN]
                unhealed = [fault.value for fault in shown if not _heals(adapter, stream, app, instrument, fault)]
                state = stream.state
            found = _compare(adapter, app.exchange)
            latched = tuple(f"latched: {reason}" for reason in adapter.ledger.latched())
    said = [f"not healed: {fault}" for fault in unhealed] + ([] if healed else [f"not whole in time: {state.trouble}"])
    wrong = (*found["wrong"], *latched, *said)
    return Row(
        preset.venue, app.exchange.last_transaction_id, faults, app.feed.connections, state.gaps_closed, found["trades"],
        before["missing"], found["missing"], found["twice"], found["foreign"], wrong, time.monotonic() - began_s,
    )  # fmt: skip


def _measured(preset: Rehearsable, events: int, seed: int) -> Row:
    """Measure one venue; what ends that is a finding, too."""
    try:
        return measure(preset, events, seed)
    except Exception as error:
        traceback.print_exc()
        return Row(preset.venue, 0, 0, 0, 0, 0, 0, 0, 0, 0, (f"{type(error).__name__}: {error}",), 0.0)


def _happen(adapter: Adapter, exchange: Exchange, instrument: Any, events: int, chance: random.Random) -> None:
    """Submit, fill and end orders until so much has happened."""
    unit = unit_of(instrument) * PARTS
    names = iter(range(events))
    while exchange.last_transaction_id < events:
        ours = [order for order in exchange.open_orders() if (order.client_order_id or "").startswith(PREFIX)]
        turn = chance.random()
        if len(ours) < OPEN_MAX // 2 or (turn < 0.15 and len(ours) < OPEN_MAX):
            sells = exchange.position(instrument.symbol) > unit * OPEN_MAX * 2  # so that the money lasts
            price = price_at(instrument, chance.choice(["1.4", "1.5"] if sells else ["0.6", "0.7"]))
            side = "sell" if sells else "buy"
            adapter.submit(Order.limit(instrument.symbol, side, quantity=unit, price=price, intent_id=f"order-{next(names)}"))
        elif turn < 0.25:
            exchange.cancel(chance.choice(ours).order_id)
        elif turn < 0.3:
            name, like = f"strange-{next(names)}", ours[0].request
            tags = {**like.tags, "clientExtensions": {"id": name}}
            with suppress(Refusal):  # somebody else may be out of money
                exchange.fill(exchange.submit(replace(like, client_order_id=name, tags=tags)).order_id, unit)
        else:
            order = chance.choice(ours)
            part = unit / PARTS * chance.randrange(1, PARTS)
            exchange.fill(order.order_id, min(part, order.leaves_quantity))


def _heals(adapter: Adapter, stream: Listener, app: Any, instrument: Any, fault: StreamFault) -> bool:
    """Let one trade happen under a fault and nothing after it; say whether it comes on record all the same."""
    unit = unit_of(instrument)
    order = Order.limit(instrument.symbol, "buy", quantity=unit, price=price_at(instrument, "0.5"), intent_id=f"last-{fault}")
    resting = adapter.submit(order)
    time.sleep(SETTLE_S)  # what was told of the order itself is not what the fault strikes,
    stream.wait_until_whole(LAST_WITHIN_S)  # and no earlier question is to find it by the way
    struck = {StreamFault.CUT: 1.0, fault: 1.0} if fault is StreamFault.NO_HELLO else {fault: 1.0}
    app.feed.plan = StreamPlan(struck)
    app.exchange.fill(resting.venue_order_id, unit)
    end_s = time.monotonic() + LAST_WITHIN_S
    while not app.feed.plan.applied[fault] and time.monotonic() < end_s:
        time.sleep(0.01)
    app.feed.plan = StreamPlan()
    while time.monotonic() < end_s:
        found = _compare(adapter, app.exchange)
        if not found["missing"] and not found["wrong"]:
            return True
        time.sleep(0.1)
    return False


def _compare(adapter: Adapter, exchange: Exchange) -> dict[str, Any]:
    """Compare the trades and the orders of ours on both sides, as multisets of what both call alike."""
    held, kept, wrong = Counter[tuple[str, ...]](), Counter[tuple[str, ...]](), []
    for order in exchange.orders():
        name = order.client_order_id or ""
        if not name.startswith(PREFIX):
            continue
        held.update((name, order.order_id, plain(trade.quantity), plain(trade.price)) for trade in order.executions)
        recorded = adapter.ledger.find(name)
        if recorded is None or recorded.report is None:
            wrong.append(f"{name} is not on record")
            continue
        kept.update(
            (name, trade.venue_order_id, plain(trade.quantity), plain(trade.price)) for trade in adapter.ledger.executions(name)
        )
        ours = (recorded.report.status.value, recorded.report.filled_quantity)
        theirs = (order.status.value, order.filled_quantity)
        if ours != theirs:
            wrong.append(f"{name} is {ours} here, {theirs} there")
    known = {trade for trade in kept if trade in held}
    return {
        "trades": held.total(),
        "missing": (held - kept).total(),
        "twice": sum(kept[trade] - held[trade] for trade in known if kept[trade] > held[trade]),
        "foreign": sum(count for trade, count in kept.items() if trade not in held),
        "wrong": tuple(wrong[:5]),
    }


def presets() -> list[Rehearsable]:
    """Return the simulator presets of the venues that have a stream."""
    found = []
    for preset in embedded():
        declared, variant = declaration(preset.venue)
        if declared.capabilities[variant].stream.is_declared:
            found.append(preset)
    return found


def main() -> int:
    """Measure every venue, each in a process of its own, and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streams", description=__doc__)
    parser.add_argument("venues", nargs="*", help="only these; default: every one that has a stream")
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    wanted = [preset for preset in presets() if not given.venues or preset.venue in given.venues]
    with multiprocessing.get_context("spawn").Pool(len(wanted) or 1) as pool:
        rows = pool.map(partial(_measured, events=given.events, seed=given.seed), wanted, chunksize=1)
    lines = [[*map(str, row[:10]), "; ".join(row.wrong) or "no", f"{row.seconds:.0f}"] for row in rows]
    print(columned(COLUMNS, lines))
    return 0 if rows and all(row.is_sound for row in rows) else 8


if __name__ == "__main__":
    sys.exit(main())
