"""Seeded power cuts and disk failures in the midst of orders, each judged by what the disk holds afterwards.

`python -m campaign.power --runs 2000` plays so many. In each, a session submits, repeats, cancels, looks up and reconciles, is closed
or killed and opened again, over a disk that remembers what was not synced. At a moment that the seed chooses, the power goes, or the
disk is full, or a write or a sync fails, and the power goes later. What the caller was told, and every first byte that left, is noted
where no disk can lose it. Then a new session recovers on what is left, and every intent is submitted again.

The same seed plays the same run.
"""

import argparse
import functools
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import apsw
import stamina.instrumentation
from attrs import define, field, frozen

from campaign.figures import Figures
from campaign.folders import Folders
from campaign.scene import WORDS
from campaign.storage import Disk, Fate, Plan, PowerCut, Trouble
from campaign.world import as_held
from logos_core.adapter import Adapter
from logos_core.capabilities import Capabilities, Uniqueness
from logos_core.clock import ManualClock
from logos_core.errors import LogosError, OutcomeNotRecordedError
from logos_core.home import Home
from logos_core.hookspecs import Operation, OrderReference
from logos_core.ledger import connection as connections
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.orders import Order, OrderRequest, OrderStatus
from logos_core.parts import Parts
from logos_core.records import LedgerIdentity
from logos_core.reports import ExecutionReport
from logos_core.session import _merge
from logos_core.testing import scripted
from logos_core.testing.rehearsal import oracle
from logos_core.testing.scripted import ScriptedVenue, Step
from logos_core.wire import WireRecord

CUTS = 10
"""How many runs cut the same script, each at another moment."""
LENGTH = 9
ENOUGH_S = 200.0
PROFILES: dict[str, Capabilities] = {
    "ids for ever": scripted.capabilities(),
    "ids while open, log": scripted.capabilities(uniqueness=Uniqueness.OPEN, transaction_log=True),
}
WAL_PAGES = (8, 40, connections.WAL_PAGES)
"""After how many pages the log is folded in; a script has too few orders for the usual number."""
KINDS = {"submit": 8, "again": 2, "cancel": 3, "lookup": 1, "reconcile": 1, "close": 1, "kill": 1}
HOW: dict[str, Callable[[], Step]] = {
    "accepted": scripted.accept,
    "filled": lambda: scripted.accept(OrderStatus.FILLED),
    "filled in part": lambda: scripted.accept(OrderStatus.PARTIALLY_FILLED, Decimal("0.001")),
    "answer lost": scripted.time_out_after,
    "lost": scripted.time_out_before,
    "rejected": scripted.reject,
    "not sent": scripted.not_sent,
}


@frozen
class Script:
    """What the caller does, at which venue, and how often the log is folded in."""

    profile: str
    wal_pages: int
    steps: tuple[str, ...]


@functools.cache
def script(number: int) -> Script:
    """Return one of the scripts."""
    random = Random(f"power script {number}")
    kinds = random.choices(list(KINDS), list(KINDS.values()), k=LENGTH)
    hows = random.choices(list(HOW), (5, 3, 2, 3, 1, 1, 1), k=LENGTH)
    steps = tuple(f"{kind} {how}" if kind == "submit" else kind for kind, how in zip(kinds, hows, strict=True))
    return Script(random.choice(list(PROFILES)), random.choice(WAL_PAGES), ("submit accepted", *steps))


@functools.cache
def moments(number: int) -> tuple[int, int]:
    """Return at which moment a script's ledger was there, and how many moments there are, while nothing goes wrong."""
    told = play_plan(Plan(), number, f"power moments {number}")
    return told.born_at, told.moments


def plan(seed: int) -> Plan:
    """Return what goes wrong in a run."""
    random = Random(f"power plan {seed}")
    born_at, last = moments(seed // CUTS)
    at = random.randint(born_at, last) if random.random() < 0.9 else random.randint(1, born_at)
    after = random.random() < 0.5
    trouble = random.choice((None, None, None, *Trouble))
    if trouble is None:
        return Plan(cut_at=at, after=after)
    cut_at = at + random.randint(1, 30) if random.random() < 0.5 else None
    return Plan(cut_at=cut_at, after=after, trouble=trouble, trouble_at=at, lasting=random.random() < 0.5)


@frozen(kw_only=True)
class Told:
    """What became of a run.

    Attributes:
        kind: what went wrong.
        trace: the hash of everything that was asked of the disk, and what became of it.
        born_at: the moment at which there was a ledger.
        broken: what did not hold.
        fates: how many things that were not synced were kept, dropped and torn.
    """

    kind: str
    trace: str
    moments: int
    born_at: int
    broken: tuple[str, ...]
    fates: Counter[str]


class PoweredVenue(ScriptedVenue):
    """A venue that no dead process reaches."""

    def __init__(self, able: Capabilities, run: "Run") -> None:
        super().__init__(able)
        self.run = run

    def begin(self) -> WireRecord:
        """Begin a request."""
        self.run.require_power()
        return super().begin()

    def send(self, request: OrderRequest | None = None) -> WireRecord:
        """Let a first byte leave, and look whether it may."""
        record = super().send(request)
        if request is not None:
            self.run.check_first_byte(request.client_order_id)
        return record


@define
class Session:
    """An open Adapter and what is around it."""

    adapter: Adapter
    parts: Parts
    failed_inside: bool = False


@define(kw_only=True)
class Run:
    """One run while it is played."""

    script: Script
    disk: Disk
    fate: Fate
    folder: Path
    clock: ManualClock = field(factory=ManualClock)
    venue: PoweredVenue = field(init=False)
    folders: Folders = field(init=False)
    session: Session | None = None
    sessions: int = 0
    orders: dict[str, Order] = field(factory=dict)
    words: dict[str, str] = field(factory=dict)
    reports: dict[str, ExecutionReport] = field(factory=dict)
    cancels: Counter[str] = field(factory=Counter)
    events: list[oracle.Event] = field(factory=list)
    broken: list[str] = field(factory=list)
    is_over: bool = False
    born_at: int = 0
    at_death: list[Callable[[], None]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.venue = PoweredVenue(PROFILES[self.script.profile], self)
        self.folders = Folders(self.folder)
        self.disk.on_folder_sync = self.folders.note_folder
        self.disk.on_failure = self._note_failure

    @property
    def home(self) -> Home:
        """The host's folder."""
        return Home(self.folder / "home")

    @property
    def owner(self) -> LedgerIdentity:
        """Whose ledger it is."""
        identity = self.venue.identity
        return LedgerIdentity(venue=scripted.NAME, environment=identity.environment, account_id=identity.account_id)

    @property
    def path(self) -> Path:
        """The ledger's file."""
        return self.folder / "home" / "ledgers" / self.home.ledger_path(self.owner).name

    def require_power(self) -> None:
        """Raise `PowerCut` in a process that has ended."""
        if not self.is_over and not self.disk.has_power:
            raise PowerCut

    # ------------------------------------------------------------------------------------------------------- until the cut

    def play(self) -> None:
        """Do the steps until the power goes; at the end it goes in any case."""
        with suppress(PowerCut), self.folders.watched(self._python_syncs):
            self._do("open")
            for step in self.script.steps:
                self._do(step)
            if self.disk.met is not None:
                self._do("get out")
            self.disk.cut()

    def _python_syncs(self, note: Callable[[], None]) -> None:
        self.disk.begin("sync", "of Python")
        self.disk.half()
        note()
        self.disk.end()

    def _do(self, step: str) -> None:
        kind, _, how = step.partition(" ")
        if self.session is not None or kind == "open":
            getattr(self, f"_do_{kind}")(how)
        self.require_power()
        session = self.session
        if session is not None and session.failed_inside and session.parts.ledger.broken is None:
            self.broken.append(f"the disk failed inside a transaction ({self.disk.met}), and the ledger is not broken")

    def _note_failure(self) -> None:
        if self.session is not None and self.session.parts.ledger._db._inside is not None:
            self.session.failed_inside = True

    def _do_open(self, _how: str) -> None:
        with suppress(LogosError):
            self.session = self._open()
        if self.session is None:
            self._end()

    def _open(self) -> Session:
        self.sessions += 1
        name, home = f"s{self.sessions}", self.home
        self.at_death.append(home.hold_session(name).release)
        path = home.ledger_path(self.owner)
        ledger = (
            SqliteLedger.open(path, self.clock, self.owner) if path.exists() else SqliteLedger.create(path, self.owner, self.clock)
        )
        self.at_death.append(ledger.close)
        self.born_at = self.born_at or self.disk.moments
        self._note_commits(ledger)
        ledger.begin_session(name, "strategy", f"host:{name}")
        parts = scripted.assemble(
            ledger,
            scripted.bound(self.venue, self.clock),
            self.venue.identity,
            home,
            scripted.Rails(),
            strategy="strategy",
            clock=self.clock,
            folder=self.folder,
        )
        ledger.bury(home.is_dead)
        _merge(parts.spool, ledger)
        adapter = Adapter(parts)
        adapter.recover()
        return Session(adapter, parts)

    def _note_commits(self, ledger: SqliteLedger) -> None:
        """Note each event whose commit has returned."""
        connection: Any = ledger._db
        commit = connection.commit

        def noted() -> None:
            commit()
            self.require_power()
            last = self.events[-1].sequence if self.events else 0
            names = ("sequence", "session_id", "number", "kind", "intent", "body", "previous", "hash")
            rows = connection._connection.execute(f"SELECT {', '.join(names)} FROM events WHERE sequence > ?", (last,))
            self.events += [oracle.Event(**dict(zip(names, row, strict=True))) for row in rows]

        connection.commit = noted

    def _end(self) -> None:
        """Let go of what the system would of a process that has ended."""
        self.session = None
        while self.at_death:
            with suppress(LogosError, apsw.Error, PowerCut):
                self.at_death.pop()()

    def _do_close(self, _how: str) -> None:
        assert self.session is not None, "there is one"
        with suppress(LogosError):
            self.session.parts.ledger.end_session()
        self._do_kill("")

    def _do_kill(self, _how: str) -> None:
        self._end()
        self._do_open("")

    def _do_submit(self, how: str) -> None:
        name = f"i{len(self.orders)}"
        size, side = Decimal(len(self.orders) + 2) / 1000, "sell" if len(self.orders) % 3 else "buy"
        self.orders[name] = Order.limit(scripted.SYMBOL, side, quantity=size, price=100, intent_id=name)
        self.venue.on_submit(HOW[how]())
        self._submit(name)
        self.venue._scripts[Operation.SUBMIT].clear()

    def _do_again(self, _how: str) -> None:
        self._submit(self._one_of())

    def _one_of(self) -> str:
        """Return one of the intents, in turn."""
        return list(self.orders)[self.disk.moments % len(self.orders)]

    def _submit(self, name: str) -> None:
        assert self.session is not None, "there is one"
        try:
            report = self.session.adapter.submit(self.orders[name])
        except LogosError as error:
            self.require_power()
            self.words[name] = WORDS.get(type(error).__name__, "unknown")
            if isinstance(error, OutcomeNotRecordedError) and self.session.parts.switch.engaged() is None:
                self.broken.append(f"{name}: its outcome is not on record, and new orders are not stopped")
        else:
            self.require_power()
            self.words[name], self.reports[name] = "placed", report

    def _do_cancel(self, _how: str) -> None:
        self._cancel(self._one_of())

    def _cancel(self, order: str | OrderReference) -> None:
        assert self.session is not None, "there is one"
        before = len(self.venue.cancels)
        with suppress(LogosError, LookupError):
            self.session.adapter.cancel(order)
        self.require_power()
        self.cancels += Counter(reference.client_order_id for reference in self.venue.cancels[before:])

    def _do_lookup(self, _how: str) -> None:
        assert self.session is not None, "there is one"
        with suppress(LogosError, LookupError):
            self.session.adapter.lookup(self._one_of())

    def _do_reconcile(self, _how: str) -> None:
        assert self.session is not None, "there is one"
        with suppress(LogosError):
            self.session.adapter.reconcile()

    def _do_get(self, _out: str) -> None:
        """On a disk that has failed, cancel every order that is known; after that, try a new one."""
        for report in self.reports.values():
            name = str(report.client_order_id)
            self._cancel(OrderReference(client_order_id=name, symbol=report.symbol, venue_order_id=report.venue_order_id))
            self.broken += [f"{name}: its cancel did not go out" for held in self.venue.orders_of(name) if not held.status.is_final]
        self._do_submit("accepted")

    def check_first_byte(self, client_order_id: str) -> None:
        """Look whether a session whose ledger is broken lets an order leave."""
        ledger = None if self.session is None else self.session.parts.ledger
        if ledger is not None and ledger.broken is not None:
            self.broken.append(f"{client_order_id} leaves although the ledger is broken: {ledger.broken}")

    # -------------------------------------------------------------------------------------------------------- after the cut

    def judge(self) -> None:
        """See what the disk holds, recover on it, and compare."""
        self._end()
        self.disk.settle(self.folder, self.fate)
        self.folders.settle(self.fate)
        self.is_over = True
        if self._is_unborn():
            return
        self._check_file()
        self._resume()
        try:
            self._heal()
        except Exception as error:  # noqa: BLE001  whatever it is, nobody could go on
            self.broken.append(f"no session can go on: {type(error).__name__}: {error}")
        finally:
            self._end()

    def _is_unborn(self) -> bool:
        """Say whether the power went before there was a ledger, so that nobody was told anything."""
        return not self.events and not self.venue.received

    def _check_file(self) -> None:
        """Look into the file as it is."""
        try:
            books, integrity = oracle.read(self.path), _integrity(self.path)
            self.broken += map(str, (*oracle.on_record(books), *oracle.lost(self.events, books.events)))
        except Exception as error:  # noqa: BLE001  whatever is amiss with the file
            self.broken.append(f"the ledger cannot be read: {type(error).__name__}: {error}")
            return
        self.broken += [f"integrity_check: {said}" for said in integrity if said != "ok"]
        known = books.by_client_order_id()
        for name, count in Counter(request.client_order_id for request in self.venue.received).items():
            attempts = len(known[name]["attempts"]) if name in known else 0
            if attempts < count:
                self.broken.append(f"{name} left {count} times, and {attempts} attempts are on record")
        for report in self.reports.values():
            self.broken += _forgotten(report, known)
        self.broken += self._forgotten_cancels(books)

    def _forgotten_cancels(self, books: oracle.Books) -> Iterator[str]:
        said = [json.loads(event.body) for event in books.events if event.kind in {"cancel", "spooled"}]
        waiting = [entry["event"] for entry in self.home.spool(self.owner).read()]
        noted = Counter(body.get("event", body)["client_order_id"] for body in (*said, *waiting))
        for name, count in self.cancels.items():
            if noted[name] < count:
                yield f"{name}: {count} cancels went out, {noted[name]} are on record"

    def _resume(self) -> None:
        for scope in self.home.halts():
            if self.disk.met is None:
                self.broken.append(f"{scope} is halted although no disk failed")
            self.home.resume(scope)

    def _heal(self) -> None:
        """Recover, submit every intent again, and compare what there is."""
        self.session = self._open()
        adapter = self.session.adapter
        for _ in range(2):
            for name in self.orders:
                self._submit(name)
            self.clock.sleep(ENOUGH_S)
            adapter.recover()
        report = adapter.reconcile()
        for name in ("missing_remote", "untracked_remote", "different", "duplicates", "overfilled"):
            self.broken += [f"reconciliation: {name}: {found}" for found in getattr(report, name)]
        books = oracle.read(self.path)
        held = list(map(as_held, self.venue.held))
        wire = [{"operation": "submit", "client_order_id": request.client_order_id} for request in self.venue.received]
        self.broken += [str(found) for found in oracle.compare(held, wire, books) if not self._is_honest(found)]
        self.broken += [f"new orders are stopped: {reason}" for reason in books.latches]
        self.broken += map(str, oracle.told(self.words, held, books))
        self.broken += map(str, oracle.lost(self.events, books.events))
        self.broken += map(str, oracle.left_behind(self.folder / "runs", self.home.path / "spool", books))

    def _is_honest(self, found: oracle.Finding) -> bool:
        """Say whether a finding is that nobody can know: the venue holds nothing, and nothing proves that it never will."""
        return found.rule == "nothing stays unknown" and found.said == "is unknown" and not self.venue.orders_of(found.subject)


def _integrity(path: Path) -> list[str]:
    connection = apsw.Connection(f"file:{path}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        return [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    finally:
        connection.close()


def _forgotten(report: ExecutionReport, known: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Return what the caller was told of an order that is not on record."""
    name = str(report.client_order_id)
    rows = known[name]["orders"] if name in known else []
    said = [json.loads(row["report"]) for row in rows if row["venue_order_id"] == report.venue_order_id]
    if not said:
        yield f"{name}: the caller was told of order {report.venue_order_id}, which is not on record"
    elif Decimal(said[0]["filled_quantity"]) < report.filled_quantity:
        yield f"{name}: the caller was told that {report.filled_quantity} was filled, on record is {said[0]['filled_quantity']}"


def _pass_over(unraisable: Any) -> None:
    """Keep quiet where SQLite itself passes over what its disk says; a dead disk says it again when it is next written to."""
    assert unraisable.exc_type in {PowerCut, apsw.IOError, apsw.FullError}, unraisable


@contextmanager
def _set_up(script: Script) -> Iterator[Path]:
    """Give a run a folder of its own, and fold the log in as often as it says."""
    folder = Path(tempfile.mkdtemp(prefix="logos-power-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    usual, connections.WAL_PAGES = connections.WAL_PAGES, script.wal_pages
    tell, sys.unraisablehook = sys.unraisablehook, _pass_over
    try:
        yield folder
    finally:
        connections.WAL_PAGES, sys.unraisablehook = usual, tell
        shutil.rmtree(folder)


def play_plan(plan: Plan, number: int, name: str) -> Told:
    """Play a script with what goes wrong in it."""
    chosen = script(number)
    with _set_up(chosen) as folder:
        disk = Disk(plan, Random(f"disk {name}"))
        try:
            run = Run(script=chosen, disk=disk, fate=Fate(Random(f"fate {name}")), folder=folder)
            run.play()
            run.judge()
        finally:
            disk.unregister()
    trace = run.disk.trace
    trace.update(repr((run.fate.counts, run.words, sorted(run.cancels.items()), run.broken)).encode())
    return Told(
        kind="cut" if plan.trouble is None else plan.trouble.value,
        trace=trace.hexdigest(),
        moments=run.disk.moments,
        born_at=run.born_at,
        broken=tuple(dict.fromkeys(run.broken)),
        fates=run.fate.counts,
    )


def play(seed: int) -> Told:
    """Play a run."""
    return play_plan(plan(seed), seed // CUTS, str(seed))


def some(first: int, count: int) -> Figures:
    """Play so many runs, from a first seed on."""
    stamina.instrumentation.set_on_retry_hooks([])  # which would log each
    figures = Figures()
    for seed in range(first, first + count):
        told = play(seed)
        figures.runs += 1
        figures.traces.add(told.trace)
        figures.faults[told.kind] += 1
        figures.counts.update(told.fates)
        if told.broken:
            figures.broken.append(f"seed {seed} ({told.kind}): {'; '.join(told.broken)}")
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Play runs, print what came of them, and return 0 if nothing broke."""
    parser = argparse.ArgumentParser(prog="python -m campaign.power", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    chosen = parser.parse_args(arguments)
    figures = some(chosen.first, chosen.runs)
    print(*figures.broken, json.dumps(figures.told()), sep="\n")
    return 1 if figures.broken else 0


if __name__ == "__main__":
    sys.exit(main())
