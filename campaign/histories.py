"""Seeded histories of several processes, an unreliable network and a venue, each judged when everything works again.

`python -m campaign.histories --count 2000` plays so many. In each, up to three sessions submit, repeat, cancel, replace, look up and
reconcile at the same time, in an order that the seed chooses between any two seams; processes die at any of them, also while they
recover; the operator halts and resumes; the host's clock is set; orders trade and expire. Then everything works again, somebody
recovers, and code that shares nothing with the way of an order compares the venue with the ledger's file.

The same seed plays the same history. What breaks is made shorter as long as it still breaks, and kept.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from random import Random

import stamina.instrumentation
from attrs import asdict, define, frozen

from campaign.figures import Figures
from campaign.scene import PROFILES, SYMBOL, Scene, scratch
from campaign.scheduler import BEGIN, Process
from campaign.world import PRICE
from logos_core.adapter import Adapter
from logos_core.errors import LogosError
from logos_core.home import EVERYTHING
from logos_core.orders import Order
from logos_core.rails.doubt import INSTRUMENT, NOTHING

KEPT = Path(__file__).parent / "kept"
"""Where histories are that once broke."""
LENGTH = 36

KINDS = {"submit": 6, "again": 4, "cancel": 3, "replace": 3, "lookup": 1, "reconcile": 1, "recover": 1, "crash": 3, "open": 3,
         "move": 4, "halt": 0.5, "clock": 0.7, "settle": 2}  # fmt: skip


@frozen
class Step:
    """One thing that is done, with a seed of its own: taking another away changes nothing about it."""

    kind: str
    seed: int


def script(seed: int) -> tuple[Step, ...]:
    """Return the steps of a history."""
    random = Random(f"script {seed}")
    kinds = random.choices(list(KINDS), list(KINDS.values()), k=LENGTH)
    return tuple(Step(kind, random.getrandbits(32)) for kind in ("open", "submit", *kinds))


@frozen(kw_only=True)
class Told:
    """What became of a history.

    Attributes:
        trace: the hash of everything that was chosen and done.
        broken: what did not hold.
        faults: what went wrong on the way, by kind.
    """

    trace: str
    broken: tuple[str, ...]
    faults: Counter[str]
    deaths: int
    seams: int
    unknown: int


@define(kw_only=True)
class History(Scene):
    """One history while it is played."""

    deaths: int = 0
    processes: int = 0

    def play(self, steps: Sequence[Step]) -> Told:
        """Do the steps, let everything work again, and judge."""
        for step in steps:
            random = Random(step.seed)
            getattr(self, f"_do_{step.kind}")(random)
            self.scheduler.run(random.randrange(60))
        unknown = self.heal()
        return Told(
            trace=self._trace(),
            broken=tuple(dict.fromkeys(self.broken)),
            faults=self.world.faults.counts,
            deaths=self.deaths,
            seams=self.scheduler.seams,
            unknown=unknown,
        )

    # ---------------------------------------------------------------------------------------------------------- the steps

    def _do_open(self, random: Random) -> None:
        if len(self.living()) < 3:
            self.processes += 1
            process = Process(f"p{self.processes}")
            if random.random() < 0.2:
                process.dies_at = random.randint(1, 60)  # in the midst of its recovery
            self.scheduler.spawn(process, "opens", lambda: self.open(process))

    def _do_submit(self, random: Random) -> None:
        name, size = f"i{len(self.orders)}", Decimal(random.randint(1, 9)) / 1000
        side = random.choice(("buy", "sell"))
        if random.random() < 0.3:
            order = Order.market(SYMBOL, side, quantity=size, intent_id=name)
        else:
            order = Order.limit(SYMBOL, side, quantity=size, price=PRICE + random.randint(-5, 5), intent_id=name)
        self.orders[name] = order
        self._let(random, f"submits {name}", lambda adapter: self.submit(adapter, name))

    def _do_again(self, random: Random) -> None:
        name = random.choice(list(self.orders))
        self._let(random, f"submits {name} again", lambda adapter: self.submit(adapter, name))

    def _do_cancel(self, random: Random) -> None:
        name = self._some_order(random)
        self._let(random, f"cancels {name}", lambda adapter: adapter.cancel(name))

    def _do_replace(self, random: Random) -> None:
        name = f"r{len(self.replacements)}"
        original = self._some_order(random)
        changes = {"quantity": Decimal(random.randint(1, 12)) / 1000}
        if random.random() < 0.5:
            changes["price"] = PRICE + random.randint(-5, 5)
        if self.replacements and random.random() < 0.4:
            name = random.choice(list(self.replacements))
            original, changes = self.replacements[name]
        self.replacements[name] = original, changes
        self._let(random, f"replaces {original} by {name}", lambda adapter: self.replace(adapter, name))

    def _some_order(self, random: Random) -> str:
        """Return the name of an order, mostly of one that works at the venue."""
        working = [name for name, word in self.words.items() if word == "placed" and self.orders[name].price is not None]
        return random.choice(working if working and random.random() < 0.8 else [*self.orders, *self.replacements])

    def _do_lookup(self, random: Random) -> None:
        name = random.choice(list(self.orders))
        self._let(random, f"looks up {name}", lambda adapter: adapter.lookup(name))

    def _do_reconcile(self, random: Random) -> None:
        self._let(random, "reconciles", lambda adapter: adapter.reconcile())

    def _do_recover(self, random: Random) -> None:
        self._let(random, "recovers", lambda adapter: adapter.recover())

    def _do_crash(self, random: Random) -> None:
        living = [session.process for session in self.living()]
        if living:
            process = random.choice(living)
            if self.scheduler.is_busy(process):
                process.dies_at = process.seams + random.randint(1, 25)
            else:
                self.remember()
                process.die()
            self.deaths += 1

    def _do_move(self, _random: Random) -> None:
        self.world.move()

    def _do_halt(self, random: Random) -> None:
        self.home.halt(EVERYTHING, "operator", "drill", BEGIN)
        self.scheduler.after(random.random() * 3, lambda: self.home.resume(EVERYTHING))

    def _do_clock(self, random: Random) -> None:
        self.world.clock.off_by = timedelta(seconds=random.uniform(-8, 8))

    def _do_settle(self, _random: Random) -> None:
        self.scheduler.run()

    def _let(self, random: Random, what: str, act: Callable[[Adapter], object]) -> None:
        """Have a living session do something, whatever it comes to."""
        living = self.living()
        if not living:
            return
        session = random.choice(living)

        def do() -> None:
            try:
                act(session.adapter)
            except (LogosError, LookupError):
                return

        self.scheduler.spawn(session.process, what, do)

    def _trace(self) -> str:
        trace = self.scheduler.trace.copy()
        for held in self.world.held:
            trace.update(repr((held.report.client_order_id, held.report.status.value, held.report.filled_quantity)).encode())
        return trace.hexdigest()


def play(seed: int, steps: Sequence[Step] | None = None) -> Told:
    """Play a history in a folder of its own."""
    profile = list(PROFILES)[seed % len(PROFILES)]
    holds = INSTRUMENT if seed // len(PROFILES) % 2 else NOTHING
    with scratch() as folder:
        return History(profile=profile, seed=seed, folder=folder, holds=holds).play(script(seed) if steps is None else steps)


def shrink(seed: int) -> tuple[Step, ...]:
    """Take steps away as long as it still breaks."""
    steps = list(script(seed))
    place = len(steps) - 1
    while place >= 0:
        fewer = steps[:place] + steps[place + 1 :]
        if _breaks(seed, fewer):
            steps = fewer
        place -= 1
    return tuple(steps)


def keep(seed: int) -> Path:
    """Write a history that breaks, made shorter, where every later search plays it again, and return where that is."""
    steps = shrink(seed)
    path = KEPT / f"{seed}.json"
    path.parent.mkdir(exist_ok=True)
    kept = {"seed": seed, "broken": play(seed, steps).broken, "steps": [asdict(step) for step in steps]}
    path.write_text(json.dumps(kept, indent=1) + "\n")
    return path


def kept() -> dict[str, Told]:
    """Play every history that once broke again, and return what becomes of it now."""
    found = {}
    for path in sorted(KEPT.glob("*.json")):
        told = json.loads(path.read_text())
        found[path.stem] = play(told["seed"], [Step(**step) for step in told["steps"]])
    return found


def _breaks(seed: int, steps: Sequence[Step]) -> bool:
    try:
        return bool(play(seed, steps).broken)
    except (IndexError, ValueError):  # a step that needs another one
        return False


def some(first: int, count: int) -> Figures:
    """Play the histories of so many seeds; those that break are made shorter and kept."""
    stamina.instrumentation.set_on_retry_hooks([])  # which would log each
    figures = Figures()
    for seed in range(first, first + count):
        told = play(seed)
        figures.runs += 1
        figures.traces.add(told.trace)
        figures.faults.update(told.faults)
        figures.counts.update(deaths=told.deaths, seams=told.seams, unknown=told.unknown)
        if told.broken:
            figures.broken.append(f"seed {seed}: {'; '.join(told.broken)}; shorter in {keep(seed)}")
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Play histories, print what came of them, and return 0 if nothing broke."""
    parser = argparse.ArgumentParser(prog="python -m campaign.histories", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    chosen = parser.parse_args(arguments)
    figures = some(chosen.first, chosen.count)
    print(*figures.broken, json.dumps(figures.told()), sep="\n")
    return 1 if figures.broken else 0


if __name__ == "__main__":
    sys.exit(main())
