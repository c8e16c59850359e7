"""One simulated world and the sessions in it, and the judge of what becomes of them.

While it goes on, the judge looks from outside at every first byte of an order. When everything works again, somebody submits all
that was decided once more, recovers and reconciles, and the oracle compares the venue with the ledger's file.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import apsw
from attrs import define, field

from campaign.scheduler import Process, Scheduler
from campaign.sessions import Session, open_session
from campaign.world import World, as_held
from logos_core.adapter import Adapter
from logos_core.capabilities import Capabilities, ExpiryKind, ReplaceKind, Uniqueness
from logos_core.errors import ConfigurationError, LogosError
from logos_core.home import EVERYTHING, Home
from logos_core.orders import Order
from logos_core.rails.doubt import INSTRUMENT
from logos_core.testing import replacing, scripted
from logos_core.testing.rehearsal import oracle

IN_FLIGHT = "SELECT count(*) FROM attempts a JOIN intents i ON i.id = a.intent WHERE i.client_order_id = ? AND a.outcome IS NULL"
BESIDE = """
SELECT u.client_order_id FROM intents i JOIN intents u ON u.symbol = i.symbol AND u.id <> i.id AND u.state = 'unknown'
LEFT JOIN intents o ON o.id = i.parent_intent AND json_extract(i.request, '$.in_place_of') IS NOT NULL
  AND json_extract(i.request, '$.price') IS json_extract(o.request, '$.price')
  AND CAST(json_extract(i.request, '$.quantity') AS REAL) <= CAST(json_extract(o.request, '$.quantity') AS REAL)
WHERE i.client_order_id = ? AND o.id IS NULL
  AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.intent = i.id AND a.outcome IN ('unknown', 'absent'))
"""
"""What is unknown on the instrument of an order that leaves, unless that was in doubt itself, or can only make less of another one."""
ENOUGH_S = 200.0
"""After so long, whatever was on its way has arrived and is shown."""
OPENS, OPENS_AGAIN_S = 8, 4.0
"""How often a session is opened before it is given up, and how long after one another."""
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
WORDS = {
    "OrderDeniedError": "denied",
    "OrderRejectedError": "rejected",
    "OrderNotPlacedError": "not placed",
    "VenueUnavailableError": "unavailable",
}


@define(kw_only=True)
class Scene:
    """A world while it goes on.

    Attributes:
        holds: what waits while an outcome is unknown.
        orders: what was decided, by intent.
        replacements: what was to take another order's place, by intent: whose, and with which changes.
        words: what the latest submit of each intent came to.
        books: what was on record when it was last looked at.
    """

    profile: str
    seed: object
    folder: Path
    holds: str
    home: Home = field(init=False)
    scheduler: Scheduler = field(init=False)
    world: World = field(init=False)
    sessions: list[Session] = field(factory=list)
    orders: dict[str, Order] = field(factory=dict)
    replacements: dict[str, tuple[str, dict[str, Decimal]]] = field(factory=dict)
    words: dict[str, str] = field(factory=dict)
    broken: list[str] = field(factory=list)
    books: oracle.Books = field(factory=oracle.Books)

    def __attrs_post_init__(self) -> None:
        self.home = Home(self.folder / "home")
        self.scheduler = Scheduler(Random(f"schedule {self.seed}"))
        self.world = World(PROFILES[self.profile], self.scheduler, Random(f"world {self.seed}"))
        self.world.on_first_byte = self._check_first_byte
        self.world.is_on_record = self._is_on_record

    @property
    def path(self) -> Path | None:
        """The ledger's file, once there is one."""
        return next(iter((self.folder / "home" / "ledgers").glob("*.sqlite3")), None)

    def living(self) -> list[Session]:
        """Return the sessions whose processes live."""
        return [session for session in self.sessions if not session.process.dead]

    def open(self, process: Process) -> Session | None:
        """Open a session in a process. One that is told of another account ends, and is begun again a few times."""
        for _ in range(OPENS):
            try:
                session = open_session(self.folder, self.world, process, self.holds)
            except ConfigurationError:
                self.scheduler.pause("opens again", OPENS_AGAIN_S)
                continue
            self.sessions.append(session)
            return session
        process.die()
        return None

    def submit(self, adapter: Adapter, name: str) -> None:
        """Submit an intent, whatever comes of it."""
        try:
            adapter.submit(self.orders[name])
        except LogosError as error:
            self.words[name] = WORDS.get(type(error).__name__, "unknown")
        else:
            self.words[name] = "placed"

    def replace(self, adapter: Adapter, name: str) -> None:
        """Replace an order as an intent says."""
        original, changes = self.replacements[name]
        adapter.replace(original, intent_id=name, **changes)

    # ---------------------------------------------------------------------------------------------------------- the judge

    def _ask(self, sql: str, *bindings: str) -> list[tuple[Any, ...]]:
        """Ask the ledger's file, from outside."""
        connection = apsw.Connection(f"file:{self.path}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            return connection.execute(sql, bindings).fetchall()
        finally:
            connection.close()

    def _is_on_record(self, venue_order_id: str) -> bool:
        return bool(self._ask("SELECT 1 FROM venue_orders WHERE venue_order_id = ?", venue_order_id))

    def _check_first_byte(self, client_order_id: str) -> None:
        """Look, from outside, whether the attempt whose first byte leaves is durable, and nothing was halted before."""
        found = self._ask(IN_FLIGHT, client_order_id)
        beside = self._ask(BESIDE, client_order_id)
        latched = self._ask("SELECT reason FROM latches WHERE released_at IS NULL")
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

    def remember(self) -> None:
        """Hold what is on record against what was when it was last looked at."""
        path = self.path
        if path is not None and self._ask("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):  # else it was never finished
            books = oracle.read(path)
            self.broken += map(str, oracle.vanished(self.books, books))
            self.books = books

    def heal(self) -> int:
        """Let everything work again, find out what became of everything, and compare; return how many stay unknown for good."""
        self.world.faults.end()
        self.scheduler.run()
        for session in self.sessions:
            session.process.die()
        self.scheduler.pause("everything arrives", ENOUGH_S)
        self.remember()
        self.home.resume(EVERYTHING)
        session = open_session(self.folder, self.world, Process("healer"), self.holds)
        adapter = session.adapter
        for name in self.orders:
            self._quietly(partial(self.submit, adapter, name))
        for name in self.replacements:
            self._quietly(partial(self.replace, adapter, name))
        self.scheduler.pause("shown", ENOUGH_S)
        self._quietly(adapter.recover)
        report = adapter.reconcile()
        for name in ("missing_remote", "untracked_remote", "different", "duplicates", "overfilled"):
            self.broken += [f"reconciliation: {name}: {found}" for found in getattr(report, name)]
        self.remember()
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


@contextmanager
def scratch() -> Iterator[Path]:
    """Have a folder for a while, in memory: what the power takes is another campaign's business."""
    folder = Path(tempfile.mkdtemp(prefix="logos-scene-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
