"""Kill real processes in the midst of an order, phase by phase, and compare the books after each.

`python -m benchmarks.kills --minimum 60` spreads at least so many SIGKILLs over every phase of an order's way, and over every installed
venue. The phases are met by composition: the killed session is an Adapter whose ledger, venue or switch is wrapped by something that
kills its own process. Only a request under way at the simulator is killed from outside.

After each kill a session recovers, the same intent is submitted again, and what cannot be proved is closed as an operator would. Then
the oracle compares. It exits with 0 only if there is at most one order per intent, ledger and venue agree, no event of before the kill
is lost or changed, every chain verifies, and every order that has to exist does.
"""

import argparse
import itertools
import math
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from attrs import evolve

from logos_core import presets, session, venues
from logos_core.adapter import Adapter
from logos_core.clock import SystemClock
from logos_core.errors import LogosError
from logos_core.home import Home
from logos_core.hookspecs import NotSeen
from logos_core.orders import Order
from logos_core.parts import Parts
from logos_core.testing.rehearsal import oracle
from logos_core.testing.rehearsal.admin import Admin
from logos_core.testing.rehearsal.presets import CREDENTIAL, Rehearsable, embedded
from logos_core.testing.rehearsal.scenario import is_reusable, price_at, unit_of
from logos_core.testing.rehearsal.simulator import application
from logos_core.testing.rehearsal.worker import submit
from logos_core.testing.server import LoopbackServer

FORK = multiprocessing.get_context("fork")
TIMEOUT_S = 1.2
HOLD_S = 3.0
STEP_S_MAX = 45.0
LAG_OF_A_SLOW_VENUE_S = 3.0

BEFORE_5 = "before commit 5"
IN_5 = "inside commit 5"
AFTER_5 = "after commit 5"
FIRST_BYTE = "before the first byte"
ARRIVED = "mid-request, before the venue acts"
ACTED = "mid-request, after the venue acted"
ANSWERED = "after the answer, before commit 8"
IN_8 = "inside commit 8"
AFTER_8 = "after commit 8"
RECOVERY_LOOK = "recovery, before the lookup"
RECOVERY_SEEN = "recovery, after the lookup"
RECOVERY_IN = "recovery, inside its commit"
RECOVERY_DONE = "recovery, after its commit"

SENDING = (BEFORE_5, IN_5, AFTER_5, FIRST_BYTE, ARRIVED, ACTED, ANSWERED, IN_8, AFTER_8)
RECOVERING = (RECOVERY_LOOK, RECOVERY_SEEN, RECOVERY_IN, RECOVERY_DONE)
PHASES = (*SENDING, *RECOVERING)
NEVER_LEFT = frozenset({AFTER_5, FIRST_BYTE})
"""A send killed there is durable and never left: nobody outside can know that."""
UNDER_WAY: dict[str, dict[str, Any]] = {ARRIVED: {"kind": "delay_before", "delay_s": 0.6}, ACTED: {"kind": "answer_dropped"}}

Job = tuple[str, ...]
"""The phase in which a sender is killed, and then those in which recoveries are."""


EVERY_PHASE: tuple[Job, ...] = (*((phase,) for phase in SENDING), *((ACTED, phase) for phase in RECOVERING))
DEEPER: tuple[Job, ...] = (
    (ANSWERED, RECOVERY_LOOK, RECOVERY_SEEN),
    (AFTER_5, RECOVERY_IN, RECOVERY_LOOK),
    (ARRIVED, RECOVERY_SEEN, RECOVERY_IN, RECOVERY_LOOK),
    *((AFTER_5, phase) for phase in RECOVERING),
)


def jobs(kills: int) -> list[Job]:
    """Return jobs with at least so many kills, in an order that meets every phase before it goes deeper."""
    found: list[Job] = []
    for job in itertools.cycle((*EVERY_PHASE, *DEEPER)):
        if sum(map(len, found)) >= kills:
            return found
        found.append(job)
    raise AssertionError("a cycle has no end")


# ------------------------------------------------------------------------------------------------- traps: die at a seam


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives SIGKILL")


class Around:
    """Something that is used as what it wraps."""

    def __init__(self, inner: Any, phase: str) -> None:
        self._inner = inner
        self._phase = phase

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class DeadlyLedger(Around):
    def claim(self, *args: Any) -> Any:
        if self._phase == BEFORE_5:
            die()
        made = self._inner.claim(*args)
        if self._phase == AFTER_5:
            die()
        return made

    def settle(self, *args: Any, **kwargs: Any) -> Any:
        if self._phase == RECOVERY_SEEN:
            die()
        recorded = self._inner.settle(*args, **kwargs)
        if self._phase in {AFTER_8, RECOVERY_DONE}:
            die()
        return recorded

    def accept(self, *args: Any) -> Any:
        written = self._inner.accept(*args)
        if self._phase == AFTER_8:
            die()
        return written


class DeadlySwitch(Around):
    def gate(self) -> Callable[[], None]:
        check = self._inner.gate()

        def deadly() -> None:
            check()
            if self._phase == FIRST_BYTE:
                die()

        return deadly


class DeadlyVenue(Around):
    def submit(self, prepared: Any, gates: Any) -> Any:
        reply = self._inner.submit(prepared, gates)
        if self._phase == ANSWERED:
            die()
        return reply

    def lookup(self, reference: Any) -> Any:
        if self._phase == RECOVERY_LOOK:
            die()
        return self._inner.lookup(reference)


def die_in_transaction(connection: Any, kind: str) -> None:
    """Let the process die when the event of this kind is written, and its transaction is not committed yet."""
    write = connection.write

    def deadly(sql: str, *bindings: Any) -> Any:
        result = write(sql, *bindings)
        if sql.startswith("INSERT INTO events") and kind in bindings:
            die()
        return result

    connection.write = deadly


def trapped(parts: Parts, phase: str) -> Parts:
    """Return the parts of an Adapter that dies in a phase."""
    if phase in {IN_5, IN_8, RECOVERY_IN}:
        die_in_transaction(parts.ledger._db, "attempt" if phase == IN_5 else "settled")
    ledger: Any = DeadlyLedger(parts.ledger, phase)
    venue: Any = DeadlyVenue(parts.venue, phase)
    switch: Any = DeadlySwitch(parts.switch, phase)
    return evolve(parts, ledger=ledger, venue=venue, switch=switch, resolver=evolve(parts.resolver, ledger=ledger, venue=venue))


# ------------------------------------------------------------------------------------------------------------ processes


class Lane(NamedTuple):
    """One simulator, one account, one ledger."""

    name: str
    preset: Path
    home: Path
    resend: bool


def simulate(venue: str, pipe: Pipe) -> None:
    """Serve a venue until whoever started it is gone."""
    with LoopbackServer(application(venue), hold_s=HOLD_S) as server:
        pipe.send(server.url)
        try:
            pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return


def open_adapter(lane: Lane, phase: str | None) -> Adapter:
    environ = {**os.environ, CREDENTIAL: "kills"}
    if phase is None:
        return Adapter.open(lane.preset, home=lane.home, environ=environ)
    return Adapter(trapped(session.open_parts(lane.preset, None, lane.home, environ), phase))


def send(lane: Lane, phase: str, order: Order) -> None:
    """Be a sender that dies in a phase."""
    with open_adapter(lane, phase) as adapter:
        submit(adapter, order)


def recover(lane: Lane, phase: str, pipe: Pipe) -> None:
    """Be a recovery that dies in a phase: open while nothing is unsettled, then wait for somebody's death."""
    with open_adapter(lane, phase) as adapter:
        pipe.send("ready")
        pipe.recv()
        adapter.recover()


def finish(lane: Lane, order: Order, pipe: Pipe) -> None:
    """Recover, submit the same intent again, close what cannot be proved, reconcile."""
    with open_adapter(lane, None) as adapter:
        outcome, _, said = submit(adapter, order)
        for _ in range(3):
            if outcome != "unknown":
                break
            if not lane.resend:
                outcome = _close(adapter, order)
            else:
                outcome, _, said = submit(adapter, order)
        verdict = adapter.reconcile().verdict.value
        pipe.send((outcome, said, verdict, str(adapter.ledger.path)))


def _close(adapter: Adapter, order: Order) -> str:
    for recorded in adapter.ledger.unsettled():
        try:
            answer = adapter.lookup(recorded.reference())
        except LogosError:
            return "unknown"
        if isinstance(answer, NotSeen):
            because = "; ".join(f"{view.source}: {view.said}" for view in answer.views)
            adapter.ledger.close_by_person(recorded.client_order_id, by="operator of the kills", because=because, evidence={})
    return submit(adapter, order)[0]


# --------------------------------------------------------------------------------------------------------------- a lane


class Desk:
    """Kill and compare on one lane, one job after the other."""

    def __init__(self, preset: Rehearsable, folder: Path, name: str) -> None:
        pipe, other = FORK.Pipe()
        FORK.Process(target=simulate, args=(preset.venue, other), daemon=True).start()
        url = pipe.recv()
        self._pipe = pipe
        self.admin = Admin(url)
        declared, variant = venues.declaration(preset.venue)
        path = folder / "preset.toml"
        path.write_text(preset.text(url, folder / "runs", TIMEOUT_S))
        resend = not is_reusable(declared.capabilities[variant])
        self.lane = Lane(name, path, folder / "home", resend)
        self.instrument = declared.simulator(variant).exchange.instruments()[0]
        self.ledger: Path | None = None
        self.count = 0

    def run(self, job: Job) -> tuple[dict[str, int], list[str]]:
        """Do one job and return how often each phase was met, and what did not hold."""
        self.count += 1
        order = self._order()
        self.admin.plan({"faults": []})
        before = self._events()
        recoveries = [self._start_recovery(phase) for phase in job[1:]]
        met, broken = self._kill_sender(job[0], order)
        self._go_on_without()
        for phase, (process, pipe) in zip(job[1:], recoveries, strict=True):
            pipe.send("go")
            broken += self._expect_death(process, phase, met)
        at_death = self._events()
        broken += map(str, oracle.lost(before, at_death))
        broken += self._finish(job, order, at_death)
        return met, [f"{self.lane.name} {' + '.join(job)}: {said}" for said in broken]

    def _order(self) -> Order:
        name, unit = f"{self.lane.name}-{self.count}", unit_of(self.instrument)
        if self.count % 2:
            return Order.market(self.instrument.symbol, "buy", quantity=unit, intent_id=name)
        price = price_at(self.instrument, "0.9")
        return Order.limit(self.instrument.symbol, "buy", quantity=unit * 2, price=price, intent_id=name)

    def _events(self) -> tuple[Any, ...]:
        ledgers = [self.ledger] if self.ledger else list(self.lane.home.glob("ledgers/*.sqlite3"))
        return oracle.read(ledgers[0]).events if ledgers else ()

    def _start_recovery(self, phase: str) -> tuple[Any, Pipe]:
        pipe, other = FORK.Pipe()
        process = FORK.Process(target=recover, args=(self.lane, phase, other), daemon=True)
        process.start()
        other.close()
        pipe.recv()
        return process, pipe

    def _kill_sender(self, phase: str, order: Order) -> tuple[Counter[str], list[str]]:
        met: Counter[str] = Counter()
        if phase in UNDER_WAY:
            self.admin.plan({"faults": [{**UNDER_WAY[phase], "operation": "submit", "nth": 1}]})
        submits = self._submits()
        process = FORK.Process(target=send, args=(self.lane, phase, order), daemon=True)
        process.start()
        if phase in UNDER_WAY:
            self._await_request(len(submits))
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
        return met, self._expect_death(process, phase, met)

    def _submits(self) -> list[dict[str, Any]]:
        return [entry for entry in self.admin.wire() if entry["operation"] == "submit"]

    def _await_request(self, before: int) -> None:
        latest_s = time.monotonic() + STEP_S_MAX
        while len(self._submits()) <= before and time.monotonic() < latest_s:
            time.sleep(0.01)

    def _expect_death(self, process: Any, phase: str, met: Counter[str]) -> list[str]:
        process.join(STEP_S_MAX)
        if process.exitcode == -signal.SIGKILL:
            met[phase] += 1
            return []
        code, _ = process.exitcode, process.kill()
        return [f"the phase {phase!r} was never met; the process ended with {code}"]

    def _go_on_without(self) -> None:
        """Now and then, let what rests fill in part before anybody recovers."""
        resting = [order for order in self.admin.orders() if order["status"] == "new"]
        if self.count % 4 == 2 and resting:
            self.admin.fill(resting[-1]["venue_order_id"], format(unit_of(self.instrument), "f"))

    def _finish(self, job: Job, order: Order, at_death: tuple[Any, ...]) -> list[str]:
        pipe, other = FORK.Pipe()
        process = FORK.Process(target=finish, args=(self.lane, order, other), daemon=True)
        process.start()
        other.close()
        if not pipe.poll(STEP_S_MAX):
            process.kill()
            return ["nobody could recover in time"]
        try:
            outcome, said, verdict, ledger = pipe.recv()
        except EOFError:
            process.join()
            return [f"recovery failed; the process ended with {process.exitcode}"]
        process.join(STEP_S_MAX)
        self.ledger = Path(ledger)
        books = oracle.read(self.ledger)
        orders = self.admin.orders()
        findings = [*oracle.compare(orders, self.admin.wire(), books), *oracle.lost(at_death, books.events)]
        broken = [*map(str, findings), *(f"new orders are stopped: {reason}" for reason in books.latches)]
        broken += [] if verdict == "agrees" else [f"the reconciliation says {verdict}"]
        return broken + self._misplaced(job[0], order, books, outcome, said)

    def _misplaced(self, phase: str, order: Order, books: oracle.Books, outcome: str, said: str) -> list[str]:
        """Say if the intent has not the number of orders it must have come to."""
        names = [intent["client_order_id"] for intent in books.intents if intent["intent_id"] == order.intent_id]
        held = sum(row["client_order_id"] in names for row in self.admin.orders())
        wanted = 0 if phase in NEVER_LEFT and not self.lane.resend else 1
        if held == wanted and (held == 1) != (outcome in {"not placed", "unknown", "rejected", "denied", "unavailable"}):
            return []
        return [f"{wanted} order(s) expected, the venue holds {held}, the caller was told {outcome} {said}"]


def run_lane(preset: Rehearsable, name: str, work: list[Job], folder: Path, pipe: Pipe) -> None:
    """Do a lane's jobs and tell what came of each."""
    folder.mkdir()
    desk = Desk(preset, folder, name)
    for job in work:
        try:
            pipe.send((preset.venue, job, *desk.run(job)))
        except KeyboardInterrupt:
            return
    pipe.close()


# ----------------------------------------------------------------------------------------------------------- everything


def warm(preset: Rehearsable, folder: Path) -> None:
    """Import a venue's SDK, without asking it anything, so that no forked process has to."""
    path = folder / "warm.toml"
    path.write_text(preset.text("http://127.0.0.1:1", folder, TIMEOUT_S))
    session.bind(presets.load(path), {CREDENTIAL: "warm"}, SystemClock(), Home(folder))


def lanes_of(preset: Rehearsable) -> int:
    """Return on how many lanes a venue's kills are spread: where an order may stay invisible for long, most of the time is waiting."""
    declared, variant = venues.declaration(preset.venue)
    return 3 if declared.capabilities[variant].client_ids.visibility_lag_s > LAG_OF_A_SLOW_VENUE_S else 1


def start(chosen: list[Rehearsable], minimum: int, seed: int, folder: Path) -> list[Pipe]:
    """Start every lane and return where each tells what it does."""
    pipes = []
    for preset in chosen:
        work = jobs(math.ceil(minimum / len(chosen)))
        random.Random(f"{preset.venue} {seed}").shuffle(work)
        count = lanes_of(preset)
        for index in range(count):
            name = f"{preset.venue}-{seed}-{index}"
            pipe, other = FORK.Pipe(duplex=False)
            arguments = (preset, name, work[index::count], folder / name.replace(":", "-"), other)
            FORK.Process(target=run_lane, args=arguments).start()
            other.close()
            pipes.append(pipe)
    return pipes


def gather(pipes: list[Pipe]) -> tuple[dict[str, Counter[str]], list[str]]:
    """Listen to every lane until it ends."""
    met: defaultdict[str, Counter[str]] = defaultdict(Counter)
    broken: list[str] = []
    while pipes:
        for pipe in wait(pipes):
            assert isinstance(pipe, Pipe)
            try:
                venue, job, found, said = pipe.recv()
            except EOFError:
                pipes.remove(pipe)
                continue
            met[venue].update(found)
            broken += said
            total = sum(counts.total() for counts in met.values())
            print(
                f"{total:4d} kills  {venue:<12}  {' + '.join(job)}" + (f"  BROKEN: {'; '.join(said)}" if said else ""), flush=True
            )
    return met, broken


def histogram(met: dict[str, Counter[str]]) -> str:
    """Return how often each phase was met on each venue."""
    names = sorted(met)
    head = f"{'phase':<36}" + "".join(f"{name:>14}" for name in names) + f"{'all':>6}"
    lines = []
    for phase in PHASES:
        counts = [met[name][phase] for name in names]
        lines.append(f"{phase:<36}" + "".join(f"{count:>14}" for count in counts) + f"{sum(counts):>6}  {'#' * sum(counts)}")
    return "\n".join([head, *lines])


def main(argv: list[str] | None = None) -> int:
    """Kill, compare, and say what did not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("venues", nargs="*", help="only these; default: every installed one")
    parser.add_argument("--minimum", type=int, default=60, help="how many kills at least")
    parser.add_argument("--seed", type=int, default=1, help="the same seed kills in the same order")
    given = parser.parse_args(argv)
    chosen = [preset for preset in embedded() if not given.venues or preset.venue in given.venues]
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="logos-kills-") as scratch:
        for preset in chosen:
            warm(preset, Path(scratch))
        met, broken = gather(start(chosen, given.minimum, given.seed, Path(scratch)))
        for process in multiprocessing.active_children():
            process.join()
    total = sum(counts.total() for counts in met.values())
    missed = [phase for phase in PHASES if not all(counts[phase] for counts in met.values())]
    print(f"\n{histogram(met)}\n\n{total} kills, {len(broken)} broken, {len(met)} venues, {time.monotonic() - started_s:.0f} s")
    for said in broken:
        print(f"BROKEN {said}")
    if missed and given.minimum >= len(chosen) * sum(map(len, EVERY_PHASE)):
        broken.append(f"never met: {', '.join(missed)}")
        print(f"BROKEN {broken[-1]}")
    return 8 if broken or total < given.minimum else 0


if __name__ == "__main__":
    sys.exit(main())
