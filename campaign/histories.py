"""Seeded histories of several processes, an unreliable network and a venue, each judged when everything works again.

`python -m campaign.histories --count 2000` plays so many. In each, up to three sessions submit, repeat, cancel, replace, look up and
reconcile at the same time, in an order that the seed chooses between any two seams; processes die at any of them, also while they
recover; the operator halts and resumes; the host's clock is set; orders trade and expire. Then everything works again, somebody
recovers, and code that shares nothing with the way of an order compares the venue with the ledger's file.

The same seed plays the same history. What breaks is made shorter as long as it still breaks, and printed.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import apsw
import stamina.instrumentation
from attrs import define, field, frozen

from campaign.network import PRICE, World, as_held
from campaign.scheduler import BEGIN, Process, Scheduler
from campaign.sessions import Session, open_session
from logos_core.adapter import Adapter
from logos_core.capabilities import Capabilities, ExpiryKind, ReplaceKind, Uniqueness
from logos_core.errors import LogosError
from logos_core.home import EVERYTHING, Home
from logos_core.orders import Order
from logos_core.rails.doubt import INSTRUMENT, NOTHING
from logos_core.testing import replacing, scripted
from logos_core.testing.rehearsal import oracle

BESIDE = (
    "SELECT u.client_order_id FROM intents i JOIN intents u ON u.symbol = i.symbol AND u.id <> i.id AND u.state = 'unknown'"
    " WHERE i.client_order_id = ? AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.intent = i.id AND a.outcome IN ('unknown', 'absent'))"
)
"""What is unknown on the instrument of an order that leaves, unless that was in doubt itself."""
ENOUGH_S = 200.0
"""After so long, whatever was on its way has arrived and is shown."""
LENGTH = 36
SYMBOL = scripted.SYMBOL

PROFILES: dict[str, Capabilities] = {
    "ids for ever": scripted.capabilities(),
    "ids for ever, replaces": replacing.able(),
    "ids while open": scripted.capabilities(uniqueness=Uniqueness.OPEN),
    "ids while open, log": scripted.capabilities(uniqueness=Uniqueness.OPEN, transaction_log=True),
    "ids while open, gateway": scripted.capabilities(uniqueness=Uniqueness.OPEN, expiry=ExpiryKind.GATEWAY, window_s=5.0),
    "ids while open, deadline": scripted.capabilities(uniqueness=Uniqueness.OPEN, expiry=ExpiryKind.ENGINE, window_s=5.0),
    "ids while open, replaces": replacing.able(uniqueness=Uniqueness.OPEN),
    "ids while open, replaces in two": replacing.able(uniqueness=Uniqueness.OPEN, atomic=False, tells_successor=False),
}
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
class History:
    """One history while it is played.

    Attributes:
        holds: what waits while an outcome is unknown.
    """

    profile: str
    seed: int
    folder: Path
    scheduler: Scheduler = field(init=False)
    world: World = field(init=False)
    sessions: list[Session] = field(factory=list)
    orders: dict[str, Order] = field(factory=dict)
    replacements: dict[str, tuple[str, dict[str, Decimal]]] = field(factory=dict)
    words: dict[str, str] = field(factory=dict)
    broken: list[str] = field(factory=list)
    deaths: int = 0
    processes: int = 0
    books: oracle.Books = field(factory=oracle.Books)
    holds: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.scheduler = Scheduler(Random(f"schedule {self.seed}"))
        self.world = World(PROFILES[self.profile], self.scheduler, Random(f"world {self.seed}"))
        self.world.on_first_byte = self._check_first_byte
        self.holds = INSTRUMENT if self.seed // len(PROFILES) % 2 else NOTHING

    @property
    def home(self) -> Home:
        """The host's folder."""
        return Home(self.folder / "home")

    @property
    def path(self) -> Path | None:
        """The ledger's file, once there is one."""
        return next(iter((self.folder / "home" / "ledgers").glob("*.sqlite3")), None)

    def play(self, steps: Sequence[Step]) -> Told:
        """Do the steps, let everything work again, and judge."""
        for step in steps:
            random = Random(step.seed)
            getattr(self, f"_do_{step.kind}")(random)
            self.scheduler.run(random.randrange(60))
        unknown = self._heal()
        return Told(
            trace=self._trace(),
            broken=tuple(dict.fromkeys(self.broken)),
            faults=self.world.faults,
            deaths=self.deaths,
            seams=self.scheduler.seams,
            unknown=unknown,
        )

    # ---------------------------------------------------------------------------------------------------------- the steps

    def _do_open(self, random: Random) -> None:
        living = [session for session in self.sessions if not session.process.dead]
        if len(living) < 3:
            self.processes += 1
            process = Process(f"p{self.processes}")
            if random.random() < 0.2:
                process.dies_at = random.randint(1, 60)  # in the midst of its recovery
            self.scheduler.spawn(process, "opens", lambda: self._open(process))

    def _open(self, process: Process) -> None:
        session = open_session(self.folder, self.world, process, self.holds)
        self.sessions.append(session)

    def _do_submit(self, random: Random) -> None:
        name, size = f"i{len(self.orders)}", Decimal(random.randint(1, 9)) / 1000
        side = random.choice(("buy", "sell"))
        if random.random() < 0.4:
            order = Order.market(SYMBOL, side, quantity=size, intent_id=name)
        else:
            order = Order.limit(SYMBOL, side, quantity=size, price=PRICE + random.randint(-5, 5), intent_id=name)
        self.orders[name] = order
        self._let(random, f"submits {name}", lambda adapter: self._submit(adapter, name))

    def _do_again(self, random: Random) -> None:
        name = random.choice(list(self.orders))
        self._let(random, f"submits {name} again", lambda adapter: self._submit(adapter, name))

    def _submit(self, adapter: Adapter, name: str) -> None:
        try:
            adapter.submit(self.orders[name])
        except LogosError as error:
            self.words[name] = WORDS.get(type(error).__name__, "unknown")
        else:
            self.words[name] = "placed"

    def _do_cancel(self, random: Random) -> None:
        name = random.choice([*self.orders, *self.replacements])
        self._let(random, f"cancels {name}", lambda adapter: adapter.cancel(name))

    def _do_replace(self, random: Random) -> None:
        name = f"r{len(self.replacements)}"
        original = random.choice([*self.orders, *self.replacements])
        changes = {"quantity": Decimal(random.randint(1, 12)) / 1000}
        if random.random() < 0.5:
            changes["price"] = PRICE + random.randint(-5, 5)
        if self.replacements and random.random() < 0.4:
            name = random.choice(list(self.replacements))
            original, changes = self.replacements[name]
        self.replacements[name] = original, changes
        self._let(random, f"replaces {original} by {name}", lambda adapter: adapter.replace(original, intent_id=name, **changes))

    def _do_lookup(self, random: Random) -> None:
        name = random.choice(list(self.orders))
        self._let(random, f"looks up {name}", lambda adapter: adapter.lookup(name))

    def _do_reconcile(self, random: Random) -> None:
        self._let(random, "reconciles", lambda adapter: adapter.reconcile())

    def _do_recover(self, random: Random) -> None:
        self._let(random, "recovers", lambda adapter: adapter.recover())

    def _do_crash(self, random: Random) -> None:
        living = [session.process for session in self.sessions if not session.process.dead]
        if living:
            process = random.choice(living)
            if self.scheduler.is_busy(process):
                process.dies_at = process.seams + random.randint(1, 25)
            else:
                self._remember()
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
        living = [session for session in self.sessions if not session.process.dead]
        if not living:
            return
        session = random.choice(living)

        def do() -> None:
            try:
                act(session.adapter)
            except (LogosError, LookupError):
                return

        self.scheduler.spawn(session.process, what, do)

    # ---------------------------------------------------------------------------------------------------------- the judge

    def _check_first_byte(self, client_order_id: str) -> None:
        """Look, from outside, whether the attempt whose first byte leaves is durable, and nothing was halted before."""
        path = self.path
        assert path is not None, "an order leaves, so there is a ledger"
        connection = apsw.Connection(f"file:{path}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            found = connection.execute(
                "SELECT count(*) FROM attempts a JOIN intents i ON i.id = a.intent WHERE i.client_order_id = ? AND a.outcome IS NULL",
                (client_order_id,),
            ).fetchall()
            beside = connection.execute(BESIDE, (client_order_id,)).fetchall()
            latched = connection.execute("SELECT reason FROM latches WHERE released_at IS NULL").fetchall()
        finally:
            connection.close()
        if found != [(1,)]:
            self._broke("recorded before it left", client_order_id, f"{found[0][0]} attempts of it are in flight on record")
        if beside and self.holds == INSTRUMENT:
            self._broke(
                "what is under way is counted", client_order_id, f"leaves for the first time while {beside[0][0]} is unknown"
            )
        for stopped in (*self.home.halts(), *(f"a latch ({reason})" for (reason,) in latched)):
            self._broke("nothing leaves while stopped", client_order_id, f"leaves although there is {stopped}")

    def _broke(self, rule: str, subject: str, said: str) -> None:
        self.broken.append(str(oracle.Finding(rule, subject, said)))

    def _remember(self) -> None:
        """Hold what is on record against what was when it was last looked at."""
        path = self.path
        if path is not None:
            books = oracle.read(path)
            self.broken += map(str, oracle.vanished(self.books, books))
            self.books = books

    def _heal(self) -> int:
        """Let everything work again, find out what became of everything, and compare; return how many stay unknown for good."""
        self.world.fault_rate = 0.0
        self.scheduler.run()
        for session in self.sessions:
            session.process.die()
        self.scheduler.pause("everything arrives", ENOUGH_S)
        self._remember()
        self.home.resume(EVERYTHING)
        session = open_session(self.folder, self.world, Process("healer"), self.holds)
        adapter = session.adapter
        for name in self.orders:
            self._quietly(partial(self._submit, adapter, name))
        for name, (original, changes) in self.replacements.items():
            self._quietly(partial(adapter.replace, original, intent_id=name, **changes))
        self.scheduler.pause("shown", ENOUGH_S)
        self._quietly(adapter.recover)
        report = adapter.reconcile()
        for name in ("missing_remote", "untracked_remote", "different", "duplicates", "overfilled"):
            self.broken += [f"reconciliation: {name}: {found}" for found in getattr(report, name)]
        self._remember()
        path = self.path
        assert path is not None, "a session was open"
        books = oracle.read(path)
        unknown = {
            intent["client_order_id"]: intent["intent_id"] for intent in books.intents if intent["state"] in oracle.UNSETTLED
        }
        self.broken += [str(found) for found in self._compared(books) if not self._is_honest(found, unknown)]
        self.broken += [f"new orders are stopped: {reason}" for reason in books.latches]
        self.broken += map(str, oracle.told(self.words, self._held(), books))
        session.process.die()
        return len(unknown)

    def _quietly(self, act: Callable[[], object]) -> None:
        try:
            act()
        except (LogosError, LookupError):
            return

    def _compared(self, books: oracle.Books) -> list[oracle.Finding]:
        wire = [{"operation": "submit", "client_order_id": name} for name in self.world.submits]
        return oracle.compare(self._held(), wire, books)

    def _is_honest(self, found: oracle.Finding, unknown: Mapping[str, str]) -> bool:
        """Say whether a finding is that nobody can know: the venue holds nothing, and nothing proves that it never will.

        A replacement that the venue makes in one request may come as long as the order works that it is to replace.
        """
        able, held = self.world.able, {held.report.client_order_id for held in self.world.held}
        provable = able.expiry.kind is ExpiryKind.ENGINE or able.client_ids.uniqueness is Uniqueness.EVER
        may_come = able.replace.kind is ReplaceKind.NATIVE and unknown.get(found.subject) in self.replacements
        return found.rule == "nothing stays unknown" and found.subject not in held and (may_come or not provable)

    def _held(self) -> list[dict[str, Any]]:
        return [as_held(held.report) for held in self.world.held]

    def _trace(self) -> str:
        trace = self.scheduler.trace.copy()
        for held in self.world.held:
            trace.update(repr((held.report.client_order_id, held.report.status.value, held.report.filled_quantity)).encode())
        return trace.hexdigest()


WORDS = {
    "OrderDeniedError": "denied",
    "OrderRejectedError": "rejected",
    "OrderNotPlacedError": "not placed",
    "VenueUnavailableError": "unavailable",
}


def play(seed: int, steps: Sequence[Step] | None = None) -> Told:
    """Play a history in a folder of its own."""
    profile = list(PROFILES)[seed % len(PROFILES)]
    folder = Path(tempfile.mkdtemp(prefix="logos-history-", dir=_memory()))
    try:
        return History(profile=profile, seed=seed, folder=folder).play(script(seed) if steps is None else steps)
    finally:
        shutil.rmtree(folder)


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


def _breaks(seed: int, steps: Sequence[Step]) -> bool:
    try:
        return bool(play(seed, steps).broken)
    except (IndexError, ValueError):  # a step that needs another one
        return False


def _memory() -> str | None:
    """Return a folder in memory: what the power takes is another campaign's business."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main(arguments: list[str] | None = None) -> int:
    """Play histories, print what came of them, and return 0 if nothing broke."""
    parser = argparse.ArgumentParser(prog="python -m campaign.histories", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--shrink", action="store_true", help="make what breaks shorter")
    chosen = parser.parse_args(arguments)
    stamina.instrumentation.set_on_retry_hooks([])  # which would log each
    traces: set[str] = set()
    faults: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for seed in range(chosen.first, chosen.first + chosen.count):
        told = play(seed)
        traces.add(told.trace)
        faults += told.faults
        counts += Counter(deaths=told.deaths, seams=told.seams, unknown=told.unknown, broken=bool(told.broken))
        if told.broken:
            print(f"seed {seed}: {'; '.join(told.broken)}", flush=True)
            if chosen.shrink:
                print("   ", *shrink(seed), sep="\n    ", flush=True)
    print(json.dumps({"histories": chosen.count, "distinct": len(traces), "faults": sum(faults.values()), **counts}))
    return 1 if counts["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
