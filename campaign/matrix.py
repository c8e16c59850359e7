"""Every operation, stopped at every crash point, with every fault: each cell a small history that a seed plays.

`python -m campaign.matrix` plays them all. In each cell something goes wrong with a request of the operation, and its process ends at a
crash point. Two recoveries after it end at points of their own; where the request had not left yet, somebody does the same again, and
meets the fault then. Then everything works again, and the judge of `campaign.scene` compares the venue with the ledger's file.

The cells, and why some cannot be, are in `campaign.cells`. A cell that was played without meeting its point, or without its fault, has
not been tried, and counts as broken.
"""

import argparse
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from random import Random

import stamina.instrumentation
from attrs import define, field, frozen

from campaign.cells import ALL_TRADED, ASKED_IN_RECOVERY, RECOVERED_FROM, RECOVERY_POINTS, Cell, cells
from campaign.failpoints import Failpoint, armed, find
from campaign.figures import Figures
from campaign.scene import SYMBOL, Scene, scratch
from campaign.scheduler import BEGIN, Death, Process
from campaign.world import PRICE
from logos_core.adapter import Adapter
from logos_core.errors import LogosError
from logos_core.home import EVERYTHING
from logos_core.hookspecs import Operation
from logos_core.orders import Order
from logos_core.rails.doubt import INSTRUMENT, NOTHING

SEEDS = 3
LOOKS = 1_000
"""How often whoever stops new orders looks whether one is about to leave."""


@frozen(kw_only=True)
class Played:
    """What became of a cell with one seed.

    Attributes:
        is_met: whether a process ended at the point.
        is_injected: whether what was to go wrong did.
        hit: what met the fault: the deed itself, a recovery, the same again, or the next of its kind.
        deaths: how many processes ended at a point of theirs.
    """

    is_met: bool
    is_injected: bool
    hit: str
    deaths: int
    faults: Counter[str]
    broken: tuple[str, ...]
    trace: str


@define(kw_only=True)
class Play:
    """A cell while it is played."""

    cell: Cell
    scene: Scene
    random: Random
    turn: int
    processes: int = 0
    deaths: int = 0
    is_met: bool = field(init=False, default=False)
    hit: str = field(init=False, default="nothing")

    def run(self) -> Played:
        """Play it, and judge."""
        cell, scene = self.cell, self.scene
        scene.world.faults.rate = 0.0
        if "first" not in cell.failpoint.operations:
            self._live(None, lambda adapter: self._prepare(adapter, 0))
        if "deny" in cell.failpoint.operations:
            scene.home.halt(EVERYTHING, "operator", "drill", BEGIN)
        self._force(cell.deed.requests)
        self._be_stopped()
        self._note_hit("the deed itself")
        for scope in scene.home.halts():
            scene.home.resume(scope)
        self._force(ASKED_IN_RECOVERY)
        self._recover_twice()
        self._note_hit("a recovery")
        if cell.deed.name == "stop":
            self._live(None, lambda adapter: adapter.ledger.release("operator", "the drill is over"))
        self._come_back()
        is_injected = not scene.world.faults.is_forced()
        scene.heal()
        return Played(
            is_met=self.is_met,
            is_injected=is_injected,
            hit=self.hit,
            deaths=self.deaths,
            faults=scene.world.faults.counts,
            broken=tuple(dict.fromkeys(scene.broken)),
            trace=scene.scheduler.trace.hexdigest(),
        )

    def _force(self, requests: Sequence[Operation]) -> None:
        request, fault = self.cell.request, self.cell.fault
        if request in requests and request is not None and fault is not None and not self.scene.world.faults.counts:
            self.scene.world.faults.force(request, fault)

    def _note_hit(self, by: str) -> None:
        """Note who met the fault, once it has come to pass."""
        if self.hit == "nothing" and self.scene.world.faults.counts:
            self.hit = by

    def _be_stopped(self) -> None:
        """Let a process do the deed, and end at the point, or where the recovery will have something to find."""
        cell = self.cell
        if cell.is_own:
            self.is_met = self._live(cell.failpoint, self._do)
        else:
            request = cell.request if cell.request in cell.deed.requests else cell.deed.requests[-1]
            self._live(find(RECOVERED_FROM[request]), self._do)

    def _recover_twice(self) -> None:
        """Let two recoveries end at points of theirs, at the cell's first if it is one of recovery's."""
        for step in (0, 5):
            point = RECOVERY_POINTS[(self.turn + step) % len(RECOVERY_POINTS)]
            if self.cell.is_own or self.is_met:
                self._live(point, self._recover)
            else:
                self.is_met = self._live(self.cell.failpoint, self._recover)

    def _come_back(self) -> None:
        """Do the same again where the point was not met or the request had not left, and what comes next, until the fault was met."""
        world = self.scene.world
        if world.faults.is_forced() or not self.is_met:
            self.scene.scheduler.pause(
                "the key is taken again", max(world.faults.revoked_until_s - self.scene.scheduler.now_s, 0.0)
            )
            point = None if self.is_met else self.cell.failpoint
            self.is_met |= self._live(point, self._again)
            self._note_hit("the same again")
        if world.faults.is_forced():
            self.scene.holds = NOTHING  # what may be unknown of the first order is not to stop the next
            self._live(None, self._next)
            self._note_hit("the next of its kind")

    def _live(self, point: Failpoint | None, act: Callable[[Adapter], object]) -> bool:
        """Let a new process open a session and do something; say whether it met its point and ended there."""
        scene, is_met = self.scene, False
        self.processes += 1
        process = Process(f"p{self.processes}")

        def die() -> None:
            nonlocal is_met
            if scene.scheduler.process is process:
                is_met = True
                process.die()
                raise Death

        def live() -> None:
            session = scene.open(process)
            if session is not None:
                with suppress(LogosError, LookupError):
                    act(session.adapter)

        if point is None:
            scene.scheduler.spawn(process, "lives", live)
            scene.scheduler.run()
        else:
            with armed(point, die):
                scene.scheduler.spawn(process, "lives", live)
                scene.scheduler.run()
        process.die()
        self.deaths += is_met
        self._between()
        return is_met

    def _between(self) -> None:
        """Let some time pass, in which what was late arrives, and orders trade."""
        scene = self.scene
        scene.scheduler.pause("in between", self.random.choice((0.0, 1.0, 40.0)))
        if self.is_met and not scene.world.faults.is_forced() and self.random.random() < 0.3:
            scene.world.move()
        scene.remember()

    # ------------------------------------------------------------------------------------------------------ what is done

    def _prepare(self, adapter: Adapter, number: int) -> None:
        """Place what is to be cancelled or replaced, of which a part may have traded."""
        world, name = self.scene.world, f"o{number}"
        if self.cell.deed.name in {"submit", "stop"}:
            return
        usual, world.at_once = world.at_once, 0.0
        self.scene.orders[name] = Order.limit(SYMBOL, "buy", quantity=Decimal("0.009"), price=PRICE, intent_id=name)
        self.scene.submit(adapter, name)
        world.at_once = usual
        if self.cell.deed.name in {"cancel", "anew"} and self.random.random() < 0.3:
            world.trade(world.held[-1], Decimal("0.3"))

    def _do(self, adapter: Adapter, number: int = 0) -> None:
        getattr(self, f"_do_{self.cell.deed.name}")(adapter, number)

    def _do_submit(self, adapter: Adapter, number: int) -> None:
        name = f"i{number}"
        if name not in self.scene.orders:
            size = Decimal(self.random.randint(1, 9)) / 1000
            market = Order.market(SYMBOL, "buy", quantity=size, intent_id=name)
            limit = Order.limit(SYMBOL, "buy", quantity=size, price=PRICE, intent_id=name)
            self.scene.orders[name] = self.random.choice((market, limit))
        self.scene.submit(adapter, name)

    def _do_cancel(self, adapter: Adapter, number: int) -> None:
        adapter.cancel(f"o{number}")

    def _do_replace(self, adapter: Adapter, number: int) -> None:
        name = f"r{number}"
        if name not in self.scene.replacements:
            least, most = (10, 12) if self.cell.fault in ALL_TRADED else (5, 12)
            if "nothing-left" in self.cell.failpoint.operations:
                least, most = 5, 9
            changes = {"quantity": Decimal(self.random.randint(least, most)) / 1000, "price": PRICE + self.random.randint(-5, 5)}
            self.scene.replacements[name] = f"o{number}", changes
        self.scene.replace(adapter, name)

    def _do_anew(self, adapter: Adapter, number: int) -> None:
        self._do_replace(adapter, number)

    def _do_reconcile(self, adapter: Adapter, _number: int) -> None:
        adapter.reconcile()

    def _do_stop(self, adapter: Adapter, number: int) -> None:
        """Stop new orders while one is under way, each in its own manner."""
        trader = Process(f"trader {number}")

        def trade() -> None:
            session = self.scene.open(trader)
            if session is not None:
                self._do_submit(session.adapter, number)

        self.scene.scheduler.spawn(trader, "trades", trade)
        begun, looks = self.scene.world.asked[Operation.SUBMIT], 0
        while looks < LOOKS and self.scene.world.asked[Operation.SUBMIT] == begun:
            self.scene.scheduler.pause("looks on")
            looks += 1
        kinds = self.cell.failpoint.operations
        if "halt" in kinds:
            self.scene.home.halt(EVERYTHING, "operator", "drill", BEGIN)
        elif "latch" in kinds:
            adapter._parts.switch.latch("drill")
        else:
            adapter.ledger.latch("drill")

    def _recover(self, adapter: Adapter) -> None:
        adapter.recover()
        adapter.reconcile()
        adapter.ledger.end_session()

    def _again(self, adapter: Adapter, number: int = 0) -> None:
        with suppress(LogosError, LookupError):
            if self.cell.deed.name == "stop":
                self._do_submit(adapter, number)
            else:
                self._do(adapter, number)
        self._recover(adapter)

    def _next(self, adapter: Adapter) -> None:
        with self.scene.world.faults.calm():
            self._prepare(adapter, 1)
        self._again(adapter, 1)


def play(cell: Cell, seed: int, turn: int) -> Played:
    """Play a cell at one of its venues.

    Args:
        turn: which of the venues, and which points the recoveries end at.
    """
    name, profiles = f"{cell}, {seed}", cell.deed.profiles
    with scratch() as folder:
        scene = Scene(
            profile=profiles[turn % len(profiles)],
            seed=name,
            folder=folder,
            holds=INSTRUMENT if turn // len(profiles) % 2 else NOTHING,
        )
        return Play(cell=cell, scene=scene, random=Random(name), turn=turn).run()


def spread(count: int) -> Iterator[int]:
    """Return the numbers below a count in an order in which those that follow one another lie far apart."""
    step = next(step for step in range(round(count * 0.618), count + 1) if math.gcd(step, count) == 1)
    return (index * step % count for index in range(count))


def some(first: int, count: int, only: str = "") -> Figures:
    """Play so many runs, from a first one on: every cell once with one seed, spread far apart, then with the next."""
    stamina.instrumentation.set_on_retry_hooks([])  # which would log each
    chosen = [(number, cell) for number, cell in enumerate(cells()[0]) if only in str(cell)]
    order = list(spread(len(chosen)))
    figures = Figures()
    for run in range(first, first + count):
        seed, (number, cell) = run // len(order), chosen[order[run % len(order)]]
        told = play(cell, seed, number + seed)
        why = [*told.broken, *(["its crash point was not met"] if not told.is_met else [])]
        why += ["its fault was not met"] if not told.is_injected else []
        figures.runs += 1
        figures.traces.add(told.trace)
        figures.faults.update(told.faults)
        figures.counts["deaths"] += told.deaths
        figures.counts[f"fault met by {told.hit}"] += cell.fault is not None
        figures.broken += [f"{cell}, seed {seed}: {'; '.join(why)}"] if why else []
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Play the matrix, print what came of it, and return 0 if nothing broke."""
    parser = argparse.ArgumentParser(prog="python -m campaign.matrix", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how often each cell is played")
    parser.add_argument("--only", default="", help="cells whose name contains this")
    given = parser.parse_args(arguments)
    possible, excluded = cells()
    count = sum(given.only in str(cell) for cell in possible)
    if not count or given.seeds < 1:
        parser.error(f"no cell's name contains {given.only!r}" if not count else "--seeds is at least 1")
    figures = some(0, count * given.seeds, given.only)
    told = {"generated": len(possible) + excluded.total(), "excluded": dict(excluded), **figures.told()}
    print(*figures.broken, json.dumps(told), sep="\n")
    return 1 if figures.broken else 0


if __name__ == "__main__":
    sys.exit(main())
