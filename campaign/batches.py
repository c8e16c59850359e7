"""Some processes killed one after the other on a simulator and a ledger of their own, and the books compared now and then."""

import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
from attrs import asdict, define, evolve, field, frozen

from campaign.failpoints import Failpoint, find
from campaign.processes import Ended, Process, Tell
from campaign.victims import (
    AFTER_A_DEATH,
    AT_A_LINE,
    AT_A_POINT,
    COLD,
    ENVIRON,
    FROM_OUTSIDE,
    LIVES,
    NO_ORDER,
    ORDERS,
    REPLACEMENT,
    Death,
    Lane,
    Victim,
    live,
    operation_of,
)
from logos_core import venues
from logos_core.events import StoredEvent
from logos_core.home import Home
from logos_core.testing.rehearsal import oracle
from logos_core.testing.rehearsal.admin import Admin
from logos_core.testing.rehearsal.presets import Rehearsable
from logos_core.testing.rehearsal.scenario import is_reusable, unit_of

TIMEOUT_S = 2.0
JUDGED_EVERY = 20
HEALERS = 3
"""How many processes may try to settle everything: one may be kept from it by a machine that is too busy."""
LEFT_BEHIND = ("C06", "C06", "C07", "C08", "C09", "C03", "C04")
"""Where a process dies that is to leave an attempt in flight: mostly with an order at the venue, at times with none."""
LINES: Mapping[str, int] = {"open": 4_000, "submit": 900, "doubt": 1_500, "cancel": 900, "replace": 1_500, "anew": 2_000,
                            "recover": 4_500, "reconcile": 900, "close": 900, "merge": 4_000}  # fmt: skip
"""How many lines an operation takes, about, until one has been counted."""
USUAL_S = 0.02
COLD_S = 1.2
"""How long an operation takes, and a whole program, until one has been timed."""
EVENTS = "SELECT sequence, session_id, number, kind, body, previous, hash FROM events WHERE sequence > ? ORDER BY sequence"
ENDED = frozenset({"filled", "canceled", "expired", "rejected"})


@frozen(kw_only=True)
class Plan:
    """One cycle.

    Attributes:
        kind: how the process is killed.
        failpoint: where, if it is at one; and when it is met for which time.
        share: else after which share of what the operation takes, in lines or in time.
        fault: what goes wrong on the network meanwhile.
    """

    operation: str
    kind: str
    failpoint: Failpoint | None = None
    nth: int = 1
    share: float = 0.0
    fault: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.operation} ({self.failpoint.number if self.failpoint else f'{self.kind} {self.share:.3f}'})"


@define(kw_only=True)
class Figures:
    """What became of some cycles.

    Attributes:
        cycles: how many processes were killed.
        judged: how often the books were compared.
        lived: how many that were to die had ended before.
        stumbled: what kept processes from what they were to do, such as a machine too busy to send in time, by the name of the error.
        deaths: by kind.
        failpoints: by number.
        missed: the failpoints that a process passed by, by number.
        lines: every line at which a process was killed.
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
    stumbled: Counter[str] = field(factory=Counter)
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
        said = asdict(self, recurse=False) | {"lines": len(self.lines)}
        return {name: dict(sorted(value.items())) if isinstance(value, Counter) else value for name, value in said.items()}


class Batch:
    """Some cycles on one lane."""

    def __init__(self, preset: Rehearsable, folder: Path, name: str, url: str, *, overlaps: bool) -> None:
        declared, variant = venues.declaration(preset.venue)
        able = declared.capabilities[variant]
        path = folder / "preset.toml"
        body = {**preset.body, "replace": {"accepts_overlap": overlaps}}
        path.write_text(evolve(preset, body=body).text(url, folder / "runs", TIMEOUT_S))
        self.lane = Lane(
            venue=preset.venue,
            preset=path,
            home=folder / "home",
            url=url,
            instrument=declared.simulator(variant).exchange.instruments()[0],
            asks_again=not is_reusable(able),
        )
        self.figures = Figures()
        self.name = name
        self.admin = Admin(url)
        self._events: list[StoredEvent] = []
        self._intents: list[str] = []
        self._words: dict[str, str] = {}
        self._lines = dict(LINES)
        self._usual_s: defaultdict[str, float] = defaultdict(lambda: USUAL_S, {COLD: COLD_S})

    def run(self, plans: Sequence[Plan]) -> Figures:
        """Do them all."""
        since = 0
        for number, plan in enumerate(plans):
            if plan.operation == "first":
                self._forget()
            if plan.operation in AFTER_A_DEATH:
                left = "C04" if plan.operation == "word" else LEFT_BEHIND[number % len(LEFT_BEHIND)]
                self._cycle(Plan(operation="submit", kind=AT_A_POINT, failpoint=find(left)), f"{number}before")
            self._cycle(plan, str(number))
            since += 1
            if plan.operation == "first" or since >= JUDGED_EVERY or number == len(plans) - 1:
                self._judge()
                since = 0
        return self.figures

    def _forget(self) -> None:
        """Begin with a home that knows nothing, while the account has not traded."""
        shutil.rmtree(self.lane.home, ignore_errors=True)
        self._events = []

    def _cycle(self, plan: Plan, number: str) -> None:
        """Let one process live until it is killed, and remember what is on record then."""
        name = f"{self.name}.{number}.{plan.operation}"
        if plan.kind != COLD:  # a whole program's order is its command's own
            self._intents += made_by(plan.operation, name)
        ended = self._killed_cold(plan, name) if plan.kind == COLD else self._killed(plan, name)
        self._count(plan, ended)
        self._words |= _words(ended)
        if plan.fault is not None:
            self.admin.plan({"faults": []})
        self._note_events()
        self._break(f"{number} {plan}: {word}" for word in ended.words("error"))

    def _killed(self, plan: Plan, name: str) -> Ended:
        number = max(1, round(plan.share * self._lines[plan.operation])) if plan.kind == AT_A_LINE else plan.nth
        death = Death(kind=plan.kind, failpoint=plan.failpoint, number=number)
        process = Process(lambda tell: live(self.lane, plan.operation, name, death, plan.fault, tell))
        if plan.kind == FROM_OUTSIDE and process.hears("begun") is not None:
            time.sleep(plan.share * self._usual_s[plan.operation])
            process.kill()
        return process.ended()

    def _killed_cold(self, plan: Plan, name: str) -> Ended:
        """Kill a whole program of its own."""
        instrument = self.lane.instrument
        command = ["submit", str(self.lane.preset), "buy", format(unit_of(instrument), "f"), instrument.symbol, "--intent-id", name]
        begun_s = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "logos_core.cli", *command],
            env={**ENVIRON, "LOGOS_HOME": str(self.lane.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(plan.share * self._usual_s[COLD])
            self._usual_s[COLD] = time.monotonic() - begun_s
        except subprocess.TimeoutExpired:
            process.kill()
        return Ended(process.wait() == -signal.SIGKILL, ())

    def _count(self, plan: Plan, ended: Ended) -> None:
        figures = self.figures
        figures.stumbled.update(word.partition(" ")[0] for word in ended.words("stumbled"))
        if not ended.is_killed:
            figures.lived += 1
            for lines, seconds in (word.split() for word in ended.words("lives")):
                self._usual_s[plan.operation] = float(seconds)
                self._lines[plan.operation] = int(lines) or self._lines.get(plan.operation, 0)
                figures.missed.update([plan.failpoint.number] if plan.failpoint else [])
            return
        figures.cycles += 1
        figures.deaths[plan.kind] += 1
        figures.operations[plan.operation] += 1
        figures.venues[self.lane.venue] += 1
        figures.lines.update(ended.words("line"))
        if plan.failpoint is not None:
            figures.failpoints[plan.failpoint.number] += 1
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
            with suppress(apsw.SQLError):  # whoever made the ledger was killed before it was one
                self._events += [StoredEvent(**dict(zip(names, row, strict=True))) for row in connection.execute(EVENTS, (last,))]
        finally:
            connection.close()

    # ------------------------------------------------------------------------------------------------------------ the judge

    def _judge(self) -> None:
        """Let a process live, which settles everything, and compare."""
        self.figures.judged += 1
        for _ in range(HEALERS):
            ended = Process(lambda tell: heal(self.lane, self._intents, tell)).ended()
            self._words |= _words(ended)
            if ended.words("verdict"):
                break
        said, path = [*ended.words("error"), *ended.words("stumbled"), *ended.words("verdict")], self.lane.ledger
        if said != ["agrees"]:
            self._break([f"everything works, and it is not healed: {'; '.join(said)}"])
        if path is None:
            return
        books, orders = oracle.read(path), [_as_canceled(order) for order in self.admin.orders()]
        self._break(map(str, oracle.compare(orders, _wire(self.admin), books)))
        self._break(map(str, oracle.lost(self._events, books.events)))
        self._break(f"new orders are stopped: {why}" for why in (*books.latches, *Home(self.lane.home).halts().values()))
        self._break(self._misplaced(orders, books))
        self._note_events()

    def _break(self, said: Iterator[str] | Sequence[str]) -> None:
        """Say what does not hold, once."""
        named = (f"{self.name}: {one}" for one in said)
        self.figures.broken += [one for one in named if one not in self.figures.broken]

    def _misplaced(self, orders: Sequence[Mapping[str, Any]], books: oracle.Books) -> Iterator[str]:
        """Say which intents have not the orders they must have come to."""
        names = {intent["intent_id"]: intent["client_order_id"] for intent in books.intents}
        held = {order["client_order_id"]: order["status"] for order in orders}
        for name, word in self._words.items():
            status = held.get(names.get(name, ""))
            if (status is None) != (word in NO_ORDER):
                yield f"{name}: the caller was told {word}, the venue holds {status or 'no order'}"
        for name in self._intents:
            status, new = held.get(names.get(name, ""), "nothing"), held.get(names.get(name + REPLACEMENT, ""))
            if name not in self._words:
                yield f"{name} was never decided"
            if operation_of(name) in {"cancel", "spool"} and status not in {"nothing", *ENDED}:
                yield f"{name}: it was cancelled, and is {status}"
            if new is not None and status not in ENDED:
                yield f"{name}: an order that is {new} has taken its place, and it is {status}"


def made_by(operation: str, name: str) -> list[str]:
    """Return the intents that an operation makes first of all, if it is given this name."""
    if operation == "checkpoint":
        return [f"{name.rpartition('.')[0]}{part}.checkpoint" for part in "abc"]
    return [name] if operation in ORDERS else []


def heal(lane: Lane, intents: Sequence[str], tell: Tell) -> None:
    """Be the one who lives: settle everything, decide every intent again, and reconcile."""
    victim = Victim(lane, LIVES, None, tell)
    victim.open()
    for _ in range(2):
        for name in intents:
            _decide_again(victim, name)
        victim.settle()
    report = victim.adapter.reconcile()
    for _ in range(3):
        if not report.in_motion and report.error is None:
            break
        report = victim.adapter.reconcile()
    tell(f"verdict {report.verdict.value if report.verdict.value == 'agrees' else report}")
    victim.close()


def _decide_again(victim: Victim, name: str) -> None:
    outcome, operation = victim.decide(name), operation_of(name)
    if outcome in NO_ORDER or outcome == "unknown":
        return
    if operation in {"cancel", "spool"}:
        victim.adapter.cancel(name)
    if operation in {"replace", "anew", "nothing-left"}:
        victim.decide(name + REPLACEMENT)


def _words(ended: Ended) -> dict[str, str]:
    return dict(word.split(" ", 1) for word in ended.words("word"))


def _as_canceled(order: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an order as one that was cancelled, if the venue says that another has taken its place."""
    return {**order, "status": "canceled"} if order["status"] == "replaced" else order


def _wire(admin: Admin) -> list[dict[str, Any]]:
    """Return the requests that arrived; one that puts an order in another's place is a submit of the new one."""
    return [{**entry, "operation": "submit"} if entry["operation"] == "replace" else entry for entry in admin.wire()]
