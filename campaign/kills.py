"""SIGKILL real processes in the midst of what they do, thousands of times, and compare the books after each few.

`python -m campaign.kills --cycles 10000` kills so many: real files, real HTTP, the venues' own SDKs and their simulators. A cycle is a
process that opens a session, which recovers what the one before it left, does something, and dies: at each failpoint in turn, at any
line of the product, or from outside after a random time; some are whole programs of their own, started cold. For a share of them the
network fails too. So a recovery is itself killed, and the next one, and so on.

After each few deaths one process lives. It opens a session, decides every intent again, closes as an operator would what cannot be
proved, and reconciles. Then the oracle compares: at most one order per intent, ledger and venue agree, no event of before a death is
lost or changed, the chains verify, and every order that has to exist does.

Lanes are killed in side by side, since most of the time of a killed order is waiting until a venue must show it. The same seed kills in
the same places; how far a request has come by then is the system's choice.
"""

import argparse
import json
import math
import multiprocessing
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from pathlib import Path
from random import Random
from typing import Any

import apsw
import stamina.instrumentation
from attrs import asdict, define, evolve, field, frozen

from campaign.failpoints import FAILPOINTS, Failpoint, checkpointing
from campaign.victims import (
    AFTER_A_DEATH,
    AT_A_LINE,
    AT_A_POINT,
    COLD,
    ENVIRON,
    FROM_OUTSIDE,
    LIVES,
    OPERATIONS,
    ORDERS,
    REPLACEMENT,
    Death,
    Lane,
    Victim,
    live,
    operation_of,
)
from logos_core import presets, session, venues
from logos_core.capabilities import Capabilities, PositionKind, ReplaceKind
from logos_core.clock import SystemClock
from logos_core.events import StoredEvent
from logos_core.home import Home
from logos_core.testing.rehearsal import oracle
from logos_core.testing.rehearsal.admin import Admin
from logos_core.testing.rehearsal.presets import Rehearsable, embedded
from logos_core.testing.rehearsal.scenario import is_reusable, unit_of
from logos_core.testing.rehearsal.simulator import application
from logos_core.testing.server import LoopbackServer

FORK = multiprocessing.get_context("fork")
TIMEOUT_S = 2.0
HOLD_S = 3.0
HANGS_S = 90.0
"""How long a process may take; a recovery may have to wait for a venue's visibility lag a few times."""
BATCH = 60
"""How many cycles a simulator and a ledger see, so that nothing grows."""
JUDGED_EVERY = 20
LANES = 24
KINDS = {AT_A_POINT: 0.56, AT_A_LINE: 0.27, FROM_OUTSIDE: 0.15, COLD: 0.02}
DOES = {
    "submit": 4,
    "doubt": 2,
    "cancel": 2,
    "replace": 2,
    "anew": 1,
    "open": 2,
    "recover": 2,
    "reconcile": 1,
    "close": 1,
    "merge": 0.3,
}
"""What is done by those who do not die at a point, and how often."""
FAULTY = 0.3
"""The share of those for whom the network fails too."""
FAULTS: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "submit": (
        {"kind": "status_after", "status": 504},
        {"kind": "answer_dropped"},
        {"kind": "reset_after"},
        {"kind": "reset_during"},
        {"kind": "truncated"},
        {"kind": "html"},
        {"kind": "request_dropped"},
        {"kind": "status_before"},
        {"kind": "reset_before"},
        {"kind": "delay_before", "delay_s": 0.2},
        {"kind": "delay_after", "delay_s": 0.2},
    ),
    "cancel": ({"kind": "answer_dropped"}, {"kind": "status_before"}, {"kind": "reset_during"}, {"kind": "status_after"}),
    "replace": ({"kind": "answer_dropped"}, {"kind": "status_after", "status": 504}, {"kind": "reset_during"}, {"kind": "html"}),
    "lookup": ({"kind": "status_before"}, {"kind": "reset_after"}, {"kind": "html"}, {"kind": "truncated"}),
    "reconcile": ({"kind": "status_before"}, {"kind": "reset_after"}),
}
LEAVES_DOUBT = 5
"""So many of the first faults of a submit leave it without an answer, for certain, and with an order."""
FAULT_OF = {"doubt": "submit", "anew": "cancel", "open": "reconcile", "recover": "lookup", "merge": "reconcile", "close": "lookup"}
LEFT_BEHIND = ("C06", "C06", "C07", "C08", "C09", "C03", "C04")
"""Where a process dies that is to leave an attempt in flight: mostly with an order at the venue, at times with none."""
LINES = {"open": 4_000, "submit": 900, "doubt": 1_500, "cancel": 900, "replace": 1_500, "anew": 2_000, "recover": 4_500,
         "reconcile": 900, "close": 900, "merge": 4_000}  # fmt: skip
"""How many lines an operation takes, about, until one has been counted."""
USUAL_S = 0.02
COLD_S = 1.2
EVENTS = "SELECT sequence, session_id, number, kind, body, previous, hash FROM events WHERE sequence > ? ORDER BY sequence"
NO_ORDER = frozenset({"not placed", "rejected", "denied", "OrderDeniedError", "OrderRejectedError", "OrderNotPlacedError"})
ENDED = frozenset({"filled", "canceled", "expired", "rejected"})


@define(kw_only=True)
class Figures:
    """What became of some cycles.

    Attributes:
        cycles: how many processes were killed.
        deaths: by kind.
        failpoints: by number.
        lines: every line at which a process died.
        lived: how many that were to die outran it.
        missed: the failpoints that a process passed by.
        broken: what did not hold.
    """

    cycles: int = 0
    judged: int = 0
    lived: int = 0
    deaths: Counter[str] = field(factory=Counter)
    failpoints: Counter[str] = field(factory=Counter)
    operations: Counter[str] = field(factory=Counter)
    venues: Counter[str] = field(factory=Counter)
    faults: Counter[str] = field(factory=Counter)
    missed: Counter[str] = field(factory=Counter)
    lines: set[str] = field(factory=set)
    broken: list[str] = field(factory=list)

    def add(self, other: "Figures") -> None:
        """Count another's in."""
        for name, value in asdict(other, recurse=False).items():
            mine = getattr(self, name)
            if isinstance(mine, set | Counter):
                mine.update(value)
            else:
                setattr(self, name, mine + value)

    def told(self) -> dict[str, Any]:
        """Return them in a form that can be written down."""
        counts = {
            name: dict(sorted(value.items())) for name, value in asdict(self, recurse=False).items() if isinstance(value, Counter)
        }
        return {
            "cycles": self.cycles,
            "judged": self.judged,
            "lived": self.lived,
            **counts,
            "lines": len(self.lines),
            "broken": self.broken,
        }


# ------------------------------------------------------------------------------------------------------------- processes


@frozen
class Ended:
    """How a process ended, and what it had said."""

    is_killed: bool
    said: tuple[str, ...]

    def words(self, kind: str) -> list[str]:
        """Return what it said of one kind."""
        return [line.partition(" ")[2] for line in self.said if line.partition(" ")[0] == kind]


class Process:
    """A forked process that says lines through a pipe; None of what it does when it ends but that is left to it."""

    def __init__(self, act: Callable[[Callable[[str], None]], None]) -> None:
        self._reading, writing = os.pipe()
        self._heard = b""
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reading)
            _be(act, writing)
        os.close(writing)

    def kill(self) -> None:
        """Kill it."""
        os.kill(self.pid, signal.SIGKILL)

    def hears(self, word: str) -> str | None:
        """Wait until it says something of one kind; return what, or None if it ended before."""
        while not (found := [line for line in self._lines() if line.partition(" ")[0] == word]):
            if not self._listen(HANGS_S):
                return None
        return found[0].partition(" ")[2]

    def ended(self, within_s: float = HANGS_S) -> Ended:
        """Wait for its end."""
        latest_s = time.monotonic() + within_s
        hangs = False
        while self._listen(max(latest_s - time.monotonic(), 0.0)):
            pass
        if time.monotonic() >= latest_s:
            hangs = True
            self.kill()
        _, status = os.waitpid(self.pid, 0)
        os.close(self._reading)
        said = (*self._lines(), *(["error it hangs"] if hangs else []))
        return Ended(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and not hangs, said)

    def _lines(self) -> list[str]:
        return self._heard[: self._heard.rfind(b"\n") + 1].decode().splitlines()

    def _listen(self, within_s: float) -> bool:
        """Hear more; say whether there was more, before the end and in time."""
        if not select.select([self._reading], [], [], within_s)[0]:
            return False
        more = os.read(self._reading, 65_536)
        self._heard += more
        return bool(more)


def _be(act: Callable[[Callable[[str], None]], None], writing: int) -> None:
    def tell(line: str) -> None:
        os.write(writing, line.replace("\n", " ").encode() + b"\n")

    try:
        act(tell)
    except BaseException as error:  # noqa: BLE001  whatever it is, whoever waits must be told
        where = traceback.extract_tb(error.__traceback__)[-1]
        tell(f"error {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"[:2_000])
    finally:
        os._exit(0)


def simulate(venue: str, tell: Callable[[str], None], until: int) -> None:
    """Serve a venue until whoever started it is gone."""
    with LoopbackServer(application(venue), hold_s=HOLD_S) as server:
        tell(f"url {server.url}")
        os.read(until, 1)


@contextmanager
def simulator(venue: str) -> Iterator[str]:
    """Have a venue simulated, and return where."""
    until, open_end = os.pipe()

    def serve(tell: Callable[[str], None]) -> None:
        os.close(open_end)
        simulate(venue, tell, until)

    process = Process(serve)
    os.close(until)
    try:
        url = process.hears("url")
        if url is None:
            raise RuntimeError(f"the simulator of {venue} does not start")
        yield url
    finally:
        os.close(open_end)
        process.kill()
        process.ended()


# ---------------------------------------------------------------------------------------------------------------- a batch


@frozen(kw_only=True)
class Plan:
    """One cycle."""

    operation: str
    death: Death
    fault: Mapping[str, Any] | None = None


def exists_at(failpoint: Failpoint, able: Capabilities, *, overlaps: bool) -> bool:
    """Say whether a venue has a failpoint, and an operation here that meets it; `overlaps` as in the preset."""
    if not failpoint.operations & OPERATIONS.keys():
        return False
    if failpoint.name.startswith("baseline"):
        return able.positions.kind is not PositionKind.NONE
    if failpoint.name.startswith(("replace-", "replaced-")):
        return able.replace.kind is ReplaceKind.NATIVE and (able.replace.atomic or overlaps)
    return True


def points(able: Capabilities, seed: int, first: int, count: int, *, overlaps: bool = False) -> list[Failpoint]:
    """Return some of a venue's failpoints in turn, from a place in a row in which each comes as often as any other."""
    known = [failpoint for failpoint in FAILPOINTS if exists_at(failpoint, able, overlaps=overlaps)]
    Random(f"points {seed}").shuffle(known)
    return [known[(first + index) % len(known)] for index in range(count)]


def accepts_overlap(batch: int) -> bool:
    """Say whether the preset of a batch lets a venue replace by its own request an order that may trade meanwhile."""
    return batch % 2 == 1


def plans(able: Capabilities, seed: int, batch: int, venue: str, cycles: int) -> list[Plan]:
    """Return what is done in a batch; what needs a new account comes first."""
    random = Random(f"plans {venue} {seed} {batch}")
    kinds = random.choices(list(KINDS), list(KINDS.values()), k=cycles)
    at_points = round(BATCH * KINDS[AT_A_POINT])
    known = iter(points(able, seed, batch * at_points, cycles, overlaps=accepts_overlap(batch)))
    found = [_plan(kind, known, random) for kind in kinds]
    return sorted(found, key=lambda plan: plan.operation != "first")


def _plan(kind: str, known: Iterator[Failpoint], random: Random) -> Plan:
    if kind == AT_A_POINT:
        failpoint = next(known)
        operation = random.choice(sorted(failpoint.operations & OPERATIONS.keys()))
        number = random.randint(1, 3) if failpoint.needs is checkpointing else 1
        fault = _fault("submit", random.choice(FAULTS["submit"][:LEAVES_DOUBT])) if operation == "doubt" else None
        return Plan(operation=operation, death=Death(kind=kind, failpoint=failpoint, number=number), fault=fault)
    if kind == COLD:
        return Plan(operation="submit", death=Death(kind=kind, after_s=random.uniform(0.2, 1.1)))
    operation = random.choices(list(DOES), list(DOES.values()))[0]
    wrong = FAULT_OF.get(operation, operation)
    fault = _fault(wrong, random.choice(FAULTS[wrong])) if operation == "doubt" or random.random() < FAULTY else None
    share = random.random()
    return Plan(
        operation=operation,
        death=Death(kind=kind, after_s=share)
        if kind == FROM_OUTSIDE
        else Death(kind=kind, number=max(1, int(share * LINES[operation]))),
        fault=fault,
    )


def _fault(operation: str, what: Mapping[str, Any]) -> dict[str, Any]:
    return {**what, "operation": operation, "nth": 1}


class Batch:
    """Some cycles on a simulator and a ledger of their own."""

    def __init__(self, preset: Rehearsable, folder: Path, name: str, url: str, *, overlaps: bool = False) -> None:
        declared, variant = venues.declaration(preset.venue)
        self.able = declared.capabilities[variant]
        path = folder / "preset.toml"
        body = {**preset.body, "replace": {"accepts_overlap": overlaps}}
        path.write_text(evolve(preset, body=body).text(url, folder / "runs", TIMEOUT_S))
        self.lane = Lane(
            venue=preset.venue,
            preset=path,
            home=folder / "home",
            url=url,
            instrument=declared.simulator(variant).exchange.instruments()[0],
            asks_again=not is_reusable(self.able),
        )
        self.figures = Figures()
        self.name = name
        self.admin = Admin(url)
        self._events: list[StoredEvent] = []
        self._intents: list[str] = []
        self._words: dict[str, str] = {}
        self._usual_s: defaultdict[str, float] = defaultdict(lambda: USUAL_S)

    def run(self, work: Sequence[Plan]) -> Figures:
        """Do them all."""
        since = 0
        for number, plan in enumerate(work):
            if plan.operation == "first":
                self._forget()
            if plan.operation in AFTER_A_DEATH:
                left = next(point for point in FAILPOINTS if point.number == LEFT_BEHIND[number % len(LEFT_BEHIND)])
                word = "C04" if plan.operation == "word" else left.number
                self._cycle(Plan(operation="submit", death=Death(kind=AT_A_POINT, failpoint=_numbered(word))), f"{number}l")
            self._cycle(plan, str(number))
            since += 1
            if plan.operation == "first" or since >= JUDGED_EVERY or number == len(work) - 1:
                self._judge()
                since = 0
        return self.figures

    def _forget(self) -> None:
        """Begin with a home that knows nothing, while the account has not traded."""
        shutil.rmtree(self.lane.home, ignore_errors=True)
        self._events = []

    def _cycle(self, plan: Plan, number: str) -> None:
        """Let one process live until it is killed, and see that nothing that was on record is lost."""
        name = f"{self.name}.{number}.{plan.operation}"
        if plan.operation in ORDERS:
            self._intents.append(name)
        if plan.operation == "checkpoint":
            self._intents += [f"{name.rpartition('.')[0]}{part}.checkpoint" for part in "abc"]
        ended = self._killed_cold(plan, name) if plan.death.kind == COLD else self._killed(plan, name)
        self._count(plan, ended)
        self._words |= dict(word.split(" ", 1) for word in ended.words("word"))
        if plan.fault is not None:
            self.admin.plan({"faults": []})
        self._note_events()
        self.figures.broken += [f"{name} {_said(plan.death)}: {word}" for word in ended.words("error")]

    def _killed(self, plan: Plan, name: str) -> Ended:
        process = Process(lambda tell: live(self.lane, plan.operation, name, plan.death, plan.fault, tell))
        if plan.death.after_s is not None and process.hears("begun") is not None:
            time.sleep(plan.death.after_s * self._usual_s[plan.operation])
            process.kill()
        return process.ended()

    def _killed_cold(self, plan: Plan, name: str) -> Ended:
        """Kill a whole program of its own."""
        assert plan.death.after_s is not None, "it is killed from outside"
        order, environ = f"{format(unit_of(self.lane.instrument), 'f')}", {**ENVIRON, "LOGOS_HOME": str(self.lane.home)}
        self._intents.remove(name)  # its terms are the command's own
        command = [
            sys.executable,
            "-m",
            "logos_core.cli",
            "submit",
            str(self.lane.preset),
            "buy",
            order,
            self.lane.instrument.symbol,
        ]
        process = subprocess.Popen(
            [*command, "--intent-id", name],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(plan.death.after_s * self._usual_s.get(COLD, COLD_S))
        except subprocess.TimeoutExpired:
            process.kill()
        return Ended(process.wait() == -signal.SIGKILL, ())

    def _count(self, plan: Plan, ended: Ended) -> None:
        figures, death = self.figures, plan.death
        if not ended.is_killed:
            figures.lived += 1
            for lines, seconds in (word.split() for word in ended.words("lives")):
                self._usual_s[plan.operation] = float(seconds)
                LINES[plan.operation] = int(lines) or LINES.get(plan.operation, 0)
            if death.failpoint is not None and not ended.words("error"):
                figures.missed[death.failpoint.number] += 1
            return
        figures.cycles += 1
        figures.deaths[death.kind] += 1
        figures.operations[plan.operation] += 1
        figures.venues[self.lane.venue] += 1
        figures.lines |= set(ended.words("line"))
        if death.failpoint is not None:
            figures.failpoints[death.failpoint.number] += 1
        if plan.fault is not None:
            figures.faults[plan.fault["kind"]] += 1

    def _note_events(self) -> None:
        """Remember every event that is durable now."""
        path = self.lane.ledger
        if path is None:
            return
        connection = apsw.Connection(f"file:{path}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            last = self._events[-1].sequence if self._events else 0
            names = ("sequence", "session_id", "number", "kind", "body", "previous", "hash")
            with suppress(apsw.SQLError):  # a ledger that was killed before it was made
                self._events += [StoredEvent(**dict(zip(names, row, strict=True))) for row in connection.execute(EVENTS, (last,))]
        finally:
            connection.close()

    # ------------------------------------------------------------------------------------------------------------ the judge

    def _judge(self) -> None:
        """Let one process live, which settles everything, and compare."""
        intents = list(self._intents)
        ended = Process(lambda tell: heal(self.lane, intents, tell)).ended()
        self.figures.judged += 1
        self._words |= dict(word.split(" ", 1) for word in ended.words("word"))
        broken = [
            *ended.words("error"),
            *(f"the reconciliation says {word}" for word in ended.words("verdict") if word != "agrees"),
        ]
        path = self.lane.ledger
        if path is None or not ended.words("verdict"):
            self._broken([f"nobody could recover: {'; '.join(broken)}"])
            return
        books, orders = oracle.read(path), [_as_canceled(order) for order in self.admin.orders()]
        broken += map(str, oracle.compare(orders, _wire(self.admin), books))
        broken += map(str, oracle.lost(self._events, books.events))
        broken += map(str, oracle.told({name: word for name, word in self._words.items() if word in NO_ORDER}, orders, books))
        broken += [f"new orders are stopped: {reason}" for reason in (*books.latches, *Home(self.lane.home).halts().values())]
        broken += self._misplaced(orders, books)
        self._broken(broken)
        self._note_events()

    def _broken(self, said: Sequence[str]) -> None:
        """Say what does not hold, once."""
        named = (f"{self.name}: {one}" for one in said)
        self.figures.broken += [one for one in named if one not in self.figures.broken]

    def _misplaced(self, orders: Sequence[Mapping[str, Any]], books: oracle.Books) -> Iterator[str]:
        """Say which intents have not the orders they must have come to."""
        names = {intent["intent_id"]: intent["client_order_id"] for intent in books.intents}
        held = {order["client_order_id"]: order["status"] for order in orders}
        for name in self._intents:
            word, status = self._words.get(name, "never decided"), held.get(names.get(name, ""))
            if (status is None) != (word in NO_ORDER):
                yield f"{name}: the caller was told {word}, the venue holds {status or 'nothing'}"
            new = held.get(names.get(name + REPLACEMENT, ""))
            if operation_of(name) in {"cancel", "spool"} and status is not None and status not in ENDED:
                yield f"{name}: it was cancelled, and is {status}"
            if new is not None and status not in ENDED:
                yield f"{name}: it was replaced by an order that is {new}, and is {status}"


def heal(lane: Lane, intents: Sequence[str], tell: Callable[[str], None]) -> None:
    """Be the one who lives: settle everything, decide every intent again, and reconcile."""
    victim = Victim(lane, LIVES, None, tell)
    victim.open()
    for name in intents:
        _decide_again(victim, name)
    victim.settle()
    for name in intents:
        _decide_again(victim, name)
    report = victim.adapter.reconcile()
    for _ in range(3):
        if not report.in_motion and report.error is None:
            break
        report = victim.adapter.reconcile()
    tell(f"verdict {report.verdict.value}{'' if report.verdict.value == 'agrees' else f': {report}'}")
    victim.close()


def _decide_again(victim: Victim, name: str) -> None:
    outcome, operation = victim.decide(name), operation_of(name)
    if outcome in NO_ORDER or outcome == "unknown":
        return
    if operation in {"cancel", "spool"}:
        victim.adapter.cancel(name)
    if operation in {"replace", "anew", "nothing-left"}:
        victim.decide(name + REPLACEMENT)


def _as_canceled(order: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an order as one that was cancelled, if the venue says that another has taken its place."""
    return {**order, "status": "canceled"} if order["status"] == "replaced" else order


def _wire(admin: Admin) -> list[dict[str, Any]]:
    """Return the requests that arrived; one that puts an order in another's place is a submit of the new one."""
    return [{**entry, "operation": "submit"} if entry["operation"] == "replace" else entry for entry in admin.wire()]


def _numbered(number: str) -> Failpoint:
    return next(failpoint for failpoint in FAILPOINTS if failpoint.number == number)


def _said(death: Death) -> str:
    return f"({death.failpoint.number})" if death.failpoint else f"({death.kind} {death.number})"


# ----------------------------------------------------------------------------------------------------------- everything


def warm(preset: Rehearsable, folder: Path) -> None:
    """Import a venue's SDK, without asking it anything, so that no forked process has to."""
    path = folder / "warm.toml"
    path.write_text(preset.text("http://127.0.0.1:1", folder, TIMEOUT_S))
    session.bind(presets.load(path), ENVIRON, SystemClock(), Home(folder))


def run_batch(preset: Rehearsable, seed: int, batch: int, cycles: int, folder: Path) -> Figures:
    """Do one batch."""
    name = f"{preset.venue}.{seed}.{batch}"
    own = Path(tempfile.mkdtemp(prefix=f"{name.replace(':', '-')}.", dir=folder))
    try:
        with simulator(preset.venue) as url:
            work = Batch(preset, own, name, url, overlaps=accepts_overlap(batch))
            return work.run(plans(work.able, seed, batch, preset.venue, cycles))
    finally:
        shutil.rmtree(own, ignore_errors=True)


Job = tuple[Rehearsable, int, int]
"""A venue, the number of the batch, and how many cycles it has."""


def jobs(chosen: Sequence[Rehearsable], cycles: int, first: int) -> list[Job]:
    """Spread cycles over batches, and those over the venues, in turn."""
    count = max(math.ceil(cycles / BATCH), min(len(chosen), cycles))
    shares = [cycles // count + (index < cycles % count) for index in range(count)]
    return [(chosen[index % len(chosen)], first + index // len(chosen), share) for index, share in enumerate(shares)]


def _work(queue: Any, seed: int, folder: Path, pipe: Pipe) -> None:
    """Do batches until none is left."""
    stamina.instrumentation.set_on_retry_hooks([])  # which would log each
    while (job := queue.get()) is not None:
        preset, batch, cycles = job
        try:
            pipe.send(run_batch(preset, seed, batch, cycles, folder))
        except Exception as error:  # noqa: BLE001  whatever it is, whoever counts must be told
            pipe.send(Figures(broken=[f"{preset.venue}.{seed}.{batch}: {type(error).__name__}: {error}"]))
    pipe.close()


def campaign(
    cycles: int,
    seed: int = 1,
    *,
    first: int = 0,
    names: Sequence[str] = (),
    lanes: int = LANES,
    say: Callable[[str], None] = lambda _: None,
) -> Figures:
    """Kill so many times, and return what became of it.

    Args:
        first: the number of the first batch of each venue; the batches from there on are what a longer campaign does there.
        names: the venues; none are all that are installed.
        lanes: how many batches are done side by side.
        say: is told how it goes, now and then.
    """
    chosen = [preset for preset in embedded() if not names or preset.venue in names]
    total, queue = Figures(), FORK.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="logos-kills-", dir=_memory()) as scratch:
        for preset in chosen:
            warm(preset, Path(scratch))
        work = jobs(chosen, cycles, first)
        pipes = []
        for _ in range(min(lanes, len(work))):
            pipe, other = FORK.Pipe(duplex=False)
            FORK.Process(target=_work, args=(queue, seed, Path(scratch), other)).start()
            other.close()
            pipes.append(pipe)
        for job in (*work, *([None] * len(pipes))):
            queue.put(job)
        for found in _gathered(pipes):
            total.add(found)
            for said in found.broken:
                say(f"BROKEN {said}")
            say(f"{total.cycles} of {cycles} killed, {total.judged} times judged, {len(total.broken)} broken")
        for process in multiprocessing.active_children():
            process.join()
    return total


def _gathered(pipes: list[Pipe]) -> Iterator[Figures]:
    """Listen to every lane until it ends."""
    while pipes:
        for pipe in wait(pipes):
            assert isinstance(pipe, Pipe)
            try:
                yield pipe.recv()
            except EOFError:
                pipes.remove(pipe)


def _memory() -> str | None:
    """Return a folder in memory where there is one: what a process wrote outlives it there, too."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main(arguments: list[str] | None = None) -> int:
    """Kill, print what came of it, and return 0 if nothing broke."""
    parser = argparse.ArgumentParser(prog="python -m campaign.kills", description=__doc__.splitlines()[0])
    parser.add_argument("venues", nargs="*", help="only these; default: every installed one")
    parser.add_argument("--cycles", type=int, default=2_000, help="how many processes are killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first batch of each venue")
    parser.add_argument("--lanes", type=int, default=LANES, help="how many batches are done side by side")
    given = parser.parse_args(arguments)
    installed = {preset.venue for preset in embedded()}
    if unknown := sorted(set(given.venues) - installed):
        parser.error(f"no such venue: {', '.join(unknown)}; there are {', '.join(sorted(installed))}")
    if given.cycles < 1 or given.lanes < 1 or given.first < 0:
        parser.error("--cycles and --lanes are at least 1, --first is not below 0")
    begun_s = time.monotonic()
    found = campaign(
        given.cycles, given.seed, first=given.first, names=given.venues, lanes=given.lanes,
        say=lambda line: print(f"{time.monotonic() - begun_s:6.0f} s  {line}", flush=True),
    )  # fmt: skip
    print(json.dumps({**found.told(), "seed": given.seed, "seconds": round(time.monotonic() - begun_s)}))
    return 1 if found.broken else 0


if __name__ == "__main__":
    sys.exit(main())
