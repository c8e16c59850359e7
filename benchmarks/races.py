"""Race fills, faults and restarts against cancels and replacements, with the venue's own record as the judge.

`python -m benchmarks.races --seeds 200` plays many short stories per venue, each told by its seed alone: one order, replaced and cancelled
again and again through the real SDK, while fills arrive before, during and after each request, answers are lost, and the session dies.
After each step the simulator is asked, never logos:

1. what it holds open and what it has traded together are never more than was decided;
2. it never holds two open orders of the one decision;
3. when everything is healed and found out, the ledger says what the venue says, order for order and trade for trade.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import define, field

from logos_core.adapter import Adapter
from logos_core.clock import SystemClock
from logos_core.errors import LogosError
from logos_core.orders import Order
from logos_core.replacing import ReplaceEnding
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from logos_core.testing.rehearsal.presets import CREDENTIAL, embedded
from logos_core.testing.rehearsal.scenario import price_at, unit_of
from logos_core.testing.rehearsal.simulator import application
from logos_core.testing.server import HttpRequest, HttpResponse, LoopbackServer

TIMEOUT_S = 0.25
LATE_S = 0.15
STEPS = 6
WAITS_S = 0.01
OPERATIONS = ("replace", "cancel", "submit", "lookup", "reconcile")


@define
class Story:
    """One venue, one order and what happens to it.

    Attributes:
        unit: the smallest quantity the instrument takes; all quantities are multiples of it.
        allowed: the most that may trade and work together, given what was decided and what nobody knows yet.
        intents: the orders in turn, the latest last.
        told: what happened, for a failing seed.
    """

    server: LoopbackServer
    preset: Path
    home: Path
    symbol: str
    unit: Decimal
    price: Decimal
    random: random.Random
    allowed: Decimal = Decimal(0)
    intents: list[str] = field(factory=list)
    told: list[str] = field(factory=list)
    pending: tuple[str, dict[str, Any]] | None = None
    surprise: Callable[[], None] | None = None

    def open(self) -> Adapter:
        return Adapter.open(self.preset, home=self.home, environ={CREDENTIAL: "k"})

    @property
    def exchange(self) -> Any:
        return self.server.app.exchange

    def trade(self) -> None:
        """Let a random part of what is open trade."""
        for order in self.exchange.open_orders():
            units = int(order.leaves_quantity / self.unit)
            part = self.random.randint(1, units) * self.unit
            self.exchange.fill(order.order_id, part)
            self.told.append(f"traded {part} of {order.client_order_id}")

    def breaches(self) -> Iterator[str]:
        """Return what the venue holds that was never decided."""
        working = self.exchange.open_orders()
        traded = sum((order.filled_quantity for order in self.exchange.orders()), Decimal(0))
        held = traded + sum((order.leaves_quantity for order in working), Decimal(0))
        if held > self.allowed:
            yield f"{held} traded or working, {self.allowed} decided"
        if len(working) > 1:
            yield f"{len(working)} open orders of one decision"


def play(venue: str, seed: int, folder: Path) -> tuple[list[str], Counter[str], list[str]]:
    """Tell one story; return what broke, what happened how often, and the story."""
    app = application(venue)
    if hasattr(app, "_limiter"):
        app._limiter = None
    server = LoopbackServer(app, hold_s=TIMEOUT_S * 2)
    known = next(item for item in embedded() if item.venue == venue)
    instrument = app.exchange.instruments()[0]
    with server, _hasty():
        preset = folder / f"{seed}.toml"
        preset.write_text(known.text(server.url, folder / "runs", timeout_s=TIMEOUT_S))
        story = Story(
            server, preset, folder / f"home{seed}", instrument.symbol, Decimal(unit_of(instrument)),
            Decimal(price_at(instrument, "0.80")), random.Random(seed),
        )  # fmt: skip
        _interrupt(story)
        broken, happened = [], Counter[str]()
        adapter = story.open()
        try:
            story.allowed = 10 * story.unit
            story.intents.append("i0")
            adapter.submit(Order.limit(story.symbol, "buy", quantity=story.allowed, price=story.price, intent_id="i0"))
            for number in range(1, STEPS + 1):
                adapter = _step(story, adapter, number, happened)
                broken += [f"step {number}: {breach}" for breach in story.breaches()]
            broken += _healed(story, adapter, happened)
        finally:
            adapter.close()
    return broken, happened, story.told


def _step(story: Story, adapter: Adapter, number: int, happened: Counter[str]) -> Adapter:
    """Let one thing be done and, mostly, another go wrong."""
    story.server.plan = _plan(story, happened)
    story.surprise = story.trade if story.random.random() < 0.4 else None
    act = story.random.choice(("replace", "replace", "replace", "cancel", "trade", "restart"))
    happened[act] += 1
    if act == "trade":
        story.trade()
    elif act == "restart":
        story.server.plan = FaultPlan()
        adapter.close()
        adapter = story.open()
    elif act == "cancel":
        _quietly(story, lambda: adapter.cancel(story.intents[-1]).status)
    else:
        _replace(story, adapter, number)
    return adapter


def _plan(story: Story, happened: Counter[str]) -> FaultPlan:
    if story.random.random() < 0.3:
        return FaultPlan()
    kind, operation = story.random.choice(list(FaultKind)), story.random.choice(OPERATIONS)
    happened[f"fault {kind.value}"] += 1
    story.told.append(f"{kind.value} on {operation}")
    return FaultPlan([Fault(kind=kind, operation=operation, nth=1, delay_s=LATE_S)])


def _replace(story: Story, adapter: Adapter, number: int) -> None:
    """Replace the latest order, or ask again for a replacement of which nobody knows."""
    if story.pending is None:
        steps = story.random.randint(1, 14)
        changes = {"quantity": steps * story.unit, "price": story.price + number * _tick(story)}
        story.pending = (f"i{number}", changes)
    intent, changes = story.pending
    before, wanted = story.allowed, changes["quantity"]
    story.allowed = max(before, wanted)  # until it is known which of the two it is
    ending = _quietly(
        story, lambda: adapter.replace(story.intents[-1], intent_id=intent, **changes).ending, f"{intent} for {wanted}"
    )
    if ending is None:
        return
    story.pending = None
    if ending is ReplaceEnding.REPLACED:
        story.intents.append(intent)
    story.allowed = before if ending is ReplaceEnding.ORIGINAL_STANDS else max(wanted, _traded(story))


def _healed(story: Story, adapter: Adapter, happened: Counter[str]) -> Iterator[str]:
    """Let everything work again, find everything out, and compare the books."""
    story.server.plan, story.surprise = FaultPlan(), None
    time.sleep(LATE_S * 2)  # for what was on its way
    if story.pending is not None:
        _replace(story, adapter, STEPS + 1)
    yield from (f"healed: {breach}" for breach in story.breaches())
    adapter.recover()
    found = adapter.reconcile()
    happened["unknown for good"] += len(found.unsettled)
    for name in ("missing_remote", "untracked_remote", "different", "duplicates"):
        if getattr(found, name):
            yield f"reconciliation: {name}: {getattr(found, name)}"
    yield from (f"latched: {reason}" for reason in adapter.ledger.latched())
    for order in story.exchange.orders():
        recorded = adapter.ledger.find(order.client_order_id)
        if recorded is None or recorded.report is None:
            yield f"{order.client_order_id} is at the venue and not on record"
        elif recorded.report.filled_quantity != order.filled_quantity or recorded.report.status.is_final == order.is_open:
            yield f"{order.client_order_id} is {order.status.value} {order.filled_quantity}, on record {recorded.report.status.value}"
    traded = sum((trade.quantity for order in story.exchange.orders() for trade in order.trades), Decimal(0))
    booked = sum((trade.quantity for known in adapter.ledger.recorded(100) for trade in _trades(adapter, known)), Decimal(0))
    if traded != booked:
        yield f"{traded} traded at the venue, {booked} on record"


def _trades(adapter: Adapter, recorded: Any) -> Any:
    return adapter.ledger.executions(recorded.client_order_id)


def _traded(story: Story) -> Decimal:
    return sum((order.filled_quantity for order in story.exchange.orders()), Decimal(0))


def _tick(story: Story) -> Decimal:
    return Decimal(story.exchange.instrument(story.symbol).price_tick)


def _quietly(story: Story, act: Callable[[], Any], what: str = "cancel") -> Any:
    try:
        said = act()
    except LogosError as error:
        story.told.append(f"{what}: {type(error).__name__}: {error}")
        return None
    story.told.append(f"{what}: {said}")
    return said


def _interrupt(story: Story) -> None:
    """Let a surprise happen just before the venue reads a request that moves an order, or just after."""
    handle = story.server.app.handle

    def handled(request: HttpRequest) -> HttpResponse:
        moves = story.server.app.operation(request) in {"replace", "cancel", "submit"}
        surprise = story.surprise if moves else None
        before = story.random.random() < 0.5
        if surprise and before:
            story.surprise = None
            surprise()
        answer: HttpResponse = handle(request)
        if surprise and not before:
            story.surprise = None
            surprise()
        return answer

    story.server.app.handle = handled


@contextmanager
def _hasty() -> Iterator[None]:
    """Wait less: the simulators show at once what they have accepted."""
    patient = SystemClock.sleep
    SystemClock.sleep = lambda _self, seconds: time.sleep(min(seconds, WAITS_S))  # type: ignore[method-assign]
    try:
        yield
    finally:
        SystemClock.sleep = patient  # type: ignore[method-assign]


def main(arguments: list[str] | None = None) -> int:
    """Tell the stories, print what came of them, and return 0 if nothing broke."""
    venues = [item.venue for item in embedded()]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.races", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=200, help="stories per venue")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--venue", nargs="+", choices=venues, default=venues)
    chosen = parser.parse_args(arguments)
    broken = 0
    for venue in chosen.venue:
        happened = Counter[str]()
        for seed in range(chosen.first, chosen.first + chosen.seeds):
            with tempfile.TemporaryDirectory(prefix="logos-races-") as folder:
                found, counts, told = play(venue, seed, Path(folder))
            happened += counts
            if found:
                broken += 1
                print(f"{venue}, seed {seed}: {'; '.join(found)}", *told, sep="\n    ", flush=True)
        print(f"{venue}: {chosen.seeds} stories, {dict(sorted(happened.items()))}", flush=True)
    print(f"{broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
