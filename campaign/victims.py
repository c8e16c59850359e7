"""What a process does until it is killed, and the ways in which it is.

A victim is forked with everything imported. It opens a session, which recovers what the one before it left; puts in order what an
operator would; makes ready what its operation needs; begins; and from there on it may die. What it says goes through a pipe, at once,
so that it outlives it.
"""

import functools
import os
import re
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from decimal import Decimal
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from attrs import frozen

from campaign.failpoints import Failpoint, armed, kill
from campaign.processes import Tell
from logos_core.adapter import Adapter
from logos_core.cli import resuming
from logos_core.clock import SystemClock
from logos_core.errors import LogosError, OrderDeniedError, OrderNotPlacedError, OrderRejectedError
from logos_core.home import EVERYTHING, Home
from logos_core.hookspecs import NotSeen
from logos_core.orders import Order, Replacement
from logos_core.records import Recorded
from logos_core.replacing import ReplaceEnding
from logos_core.reports import ExecutionReport
from logos_core.testing.exchange import SimulatedInstrument
from logos_core.testing.rehearsal.admin import Admin
from logos_core.testing.rehearsal.presets import CREDENTIAL
from logos_core.testing.rehearsal.scenario import price_at, unit_of
from logos_core.testing.rehearsal.worker import submit

DRILL = "a drill of the kills"
"""The word by which a halt or a latch of ours is known."""
OPERATOR = "the operator of the kills"
TRIES = 5
REPLACEMENT = ".r"
"""The end of the name of an intent that takes another's place."""
REFUSED = {OrderDeniedError: "denied", OrderRejectedError: "rejected", OrderNotPlacedError: "not placed", LookupError: "denied"}
NO_ORDER = frozenset({*REFUSED.values(), ReplaceEnding.ORIGINAL_STANDS.value, ReplaceEnding.GONE_NOT_REPLACED.value})
"""What a caller is told of an intent that has no order."""
ENVIRON = {**os.environ, CREDENTIAL: "kills"}
_OURS = re.compile(r".*[/\\](logos_\w+[/\\](?!.*(?:testing|simulator)[/\\]).*)")
"""The file of a line of the product: of the core or a plugin, and of no simulator or test double."""


@frozen(kw_only=True)
class Lane:
    """One simulator, one account, one ledger.

    Attributes:
        asks_again: whether submitting an intent again may settle it: the venue never takes its id twice.
    """

    venue: str
    preset: Path
    home: Path
    url: str
    instrument: SimulatedInstrument
    asks_again: bool

    @property
    def ledger(self) -> Path | None:
        """The ledger's file, once there is one."""
        return next((self.home / "ledgers").glob("*.sqlite3"), None)


# -------------------------------------------------------------------------------------------------------------- ways to die


@frozen(kw_only=True)
class Death:
    """How a victim dies.

    Attributes:
        kind: what `Figures` counts it as.
        failpoint: where; None where it is not at a point.
        number: how often the failpoint is met until then, or how many lines are run.
    """

    kind: str
    failpoint: Failpoint | None = None
    number: int = 1


LIVES = Death(kind="lives")
AT_A_POINT, AT_A_LINE, FROM_OUTSIDE, COLD = "failpoint", "line", "outside", "cold"


class Lines:
    """Counts the lines of the product that this thread runs, and ends the process at one of them."""

    def __init__(self, deadly: int | None, tell: Tell) -> None:
        self.count = 0
        self._deadly = deadly
        self._tell = tell

    def begin(self) -> None:
        """Count from here on."""
        sys.settrace(self._enter)

    def _enter(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        return self._line if _place(frame.f_code.co_filename) else None

    def _line(self, frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            self.count += 1
            if self.count == self._deadly:
                self._tell(f"line {_place(frame.f_code.co_filename)}:{frame.f_lineno}")
                kill()
        return self._line


@functools.cache
def _place(filename: str) -> str | None:
    """Return where in the product a file is, or None."""
    found = _OURS.fullmatch(filename)
    return found[1] if found else None


# -------------------------------------------------------------------------------------------------------------- the victim


class Victim:
    """One process, from its fork to its death."""

    def __init__(self, lane: Lane, death: Death, fault: Mapping[str, Any] | None, tell: Tell) -> None:
        self.lane = lane
        self._death = death
        self._fault = fault
        self._tell = tell
        self._lines = Lines(death.number if death.kind == AT_A_LINE else None, tell)
        self._arms = ExitStack()
        self._begun_s = 0.0
        self._adapter: Adapter | None = None

    @property
    def adapter(self) -> Adapter:
        """The open session."""
        assert self._adapter is not None, "it was opened"
        return self._adapter

    @property
    def admin(self) -> Admin:
        """The simulator's own side."""
        return Admin(self.lane.url)

    def begin(self) -> None:
        """From here on it may die, and what is to go wrong goes wrong."""
        if self._fault is not None:
            self.admin.plan({"faults": [self._fault]})
        if self._death.failpoint is not None:
            self._arms.enter_context(armed(self._death.failpoint, kill, self._death.number))
        self._begun_s = SystemClock().monotonic_s()
        self._tell("begun")
        if self._death.kind == AT_A_LINE:
            self._lines.begin()

    def end(self) -> None:
        """Say that it lives on, and how long that took."""
        sys.settrace(None)
        self._tell(f"lives {self._lines.count} {SystemClock().monotonic_s() - self._begun_s:.6f}")

    def open(self) -> None:
        """Open the session, which recovers, and put in order what an operator would."""
        self._adapter = Adapter.open(self.lane.preset, home=self.lane.home, environ=ENVIRON)
        self.resume()
        self.settle()

    def close(self) -> None:
        """End the session."""
        if self._adapter is not None:
            self._adapter.close()

    def resume(self) -> None:
        """Let orders go on that a drill has stopped; what anything else stops stays so, and is found."""
        home = Home(self.lane.home)
        for scope, words in home.halts().items():
            if DRILL in words or "cannot be read" in words:
                home.resume(scope)
        latched = self.adapter.ledger.latched()
        if latched and all(DRILL in reason for reason in latched):
            self.adapter.ledger.release(OPERATOR, DRILL)

    def settle(self) -> None:
        """Find out, or close, what is unknown."""
        for tried in range(TRIES):
            for recorded in self.adapter.ledger.unsettled():
                assert recorded.intent_id is not None, "every intent here has a name"
                may_help = self.lane.asks_again or Random(recorded.client_order_id).random() < 0.25
                if not may_help or (self.decide(recorded.intent_id) == "unknown" and tried):
                    self.close_by_word(recorded)

    def close_by_word(self, recorded: Recorded) -> None:
        """Look for an order once more, and close it on a person's word if it is not there."""
        seen = max((attempt.number for attempt in recorded.attempts), default=0)
        with suppress(LogosError):
            answer = self.adapter.lookup(recorded.reference())
            if isinstance(answer, NotSeen):
                because = "; ".join(f"{view.source}: {view.said}" for view in answer.views)
                self.adapter.ledger.close_by_person(
                    recorded.client_order_id, by=OPERATOR, because=because or "not shown", evidence={}, seen_attempt=seen
                )

    def decide(self, name: str) -> str:
        """Submit an intent, or replace by it, for the first time or again; return and tell what came of it."""
        outcome = self._replaced(name) if name.endswith(REPLACEMENT) else submit(self.adapter, self.order(name))[0]
        self._tell(f"word {name} {outcome}")
        return outcome

    def _replaced(self, name: str) -> str:
        try:
            return self.adapter.replace(name.removesuffix(REPLACEMENT), intent_id=name, **self.changes(name)).ending.value
        except (LogosError, LookupError) as error:
            return REFUSED.get(type(error), "unknown")

    def order(self, name: str) -> Order:
        """Return the order that an intent's name stands for: always the same."""
        random, instrument = Random(name), self.lane.instrument
        unit, operation = unit_of(instrument), operation_of(name)
        if operation == "deny":
            price = price_at(instrument, "0.5") + instrument.price_tick / 2
            return Order.limit(instrument.symbol, "buy", quantity=unit, price=price, intent_id=name)
        if operation in RESTING or random.random() < 0.4:
            price = price_at(instrument, f"0.{random.randint(80, 94)}")
            return Order.limit(instrument.symbol, "buy", quantity=unit * 2, price=price, intent_id=name)
        return Order.market(instrument.symbol, "buy", quantity=unit, intent_id=name)

    def changes(self, name: str) -> dict[str, Decimal]:
        """Return what a replacement changes."""
        return {"quantity": unit_of(self.lane.instrument) * (2 if operation_of(name) == "nothing-left" else 3)}

    def rest(self, name: str) -> ExecutionReport:
        """Place an order that rests."""
        report = self.adapter.submit(self.order(name))
        self._tell(f"word {name} {report.status.value}")
        return report

    def fill(self, report: ExecutionReport, units: int) -> None:
        """Let an order that rests trade."""
        self.admin.fill(report.venue_order_id, format(unit_of(self.lane.instrument) * units, "f"))


def operation_of(name: str) -> str:
    """Return what an intent was made for."""
    return name.removesuffix(REPLACEMENT).rpartition(".")[2]


# ---------------------------------------------------------------------------------------------------------- the operations


def _opens(victim: Victim, _name: str) -> None:
    victim.begin()
    victim.open()


def _submits(victim: Victim, name: str) -> None:
    victim.open()
    victim.begin()
    victim.decide(name)


def _cancels(victim: Victim, name: str) -> None:
    victim.open()
    victim.rest(name)
    victim.begin()
    with suppress(LogosError):
        victim.adapter.cancel(name)


def _replaces(victim: Victim, name: str) -> None:
    victim.open()
    victim.rest(name)
    victim.begin()
    victim.decide(name + REPLACEMENT)


def _places_anew(victim: Victim, name: str) -> None:
    """Replace an order that has begun to trade: it is cancelled, and what it leaves is placed."""
    victim.open()
    victim.fill(victim.rest(name), 1)
    victim.begin()
    victim.decide(name + REPLACEMENT)


def _places_nothing(victim: Victim, name: str) -> None:
    """Replace an order that trades everything once its replacement has begun."""
    victim.open()
    report, ledger = victim.rest(name), victim.adapter.ledger
    original = ledger.find(str(report.client_order_id))
    assert original is not None, "it was placed"
    new = name + REPLACEMENT
    decision = Replacement.of(replaces=original.client_order_id, symbol=original.symbol, intent_id=new, **victim.changes(new))
    parts = victim.adapter._parts
    ledger.begin_replacement(parts.cache.client_order_id(new), parts.strategy, decision, original.client_order_id)
    victim.fill(report, 2)
    victim.begin()
    victim.decide(new)


def _reconciles(victim: Victim, _name: str) -> None:
    victim.open()
    victim.begin()
    victim.adapter.reconcile()


def _closes(victim: Victim, _name: str) -> None:
    victim.open()
    victim.begin()
    victim.close()


def _folds(victim: Victim, name: str) -> None:
    """Write enough for the log to be folded in, and close, where that is done for the last time."""
    victim.begin()
    victim.open()
    for part in "abc":
        victim.decide(f"{name.rpartition('.')[0]}{part}.checkpoint")
    victim.close()


def _gives_a_word(victim: Victim, _name: str) -> None:
    """Close on a person's word what the one before has left."""
    victim._adapter = Adapter.open(victim.lane.preset, home=victim.lane.home, environ=ENVIRON)
    victim.begin()
    for recorded in victim.adapter.ledger.unsettled():
        victim.close_by_word(recorded)


def _halts(victim: Victim, _name: str) -> None:
    victim.begin()
    Home(victim.lane.home).halt(EVERYTHING, OPERATOR, DRILL, SystemClock().now())


def _latches(victim: Victim, _name: str) -> None:
    victim.open()
    victim.begin()
    victim.adapter._parts.switch.latch(DRILL)


def _latches_on_record(victim: Victim, _name: str) -> None:
    victim.open()
    victim.begin()
    victim.adapter.ledger.latch(DRILL)


def _resumes(victim: Victim, _name: str) -> None:
    victim.open()
    victim.adapter.ledger.latch(DRILL)
    victim.close()
    victim.begin()
    resuming._release_latches(Home(victim.lane.home), EVERYTHING, OPERATOR, DRILL)


def _spools(victim: Victim, name: str) -> None:
    """Cancel while the ledger cannot be written."""
    victim.open()
    victim.rest(name)
    victim.adapter.ledger._db.broken = f"the disk is full: {DRILL}"
    victim.begin()
    with suppress(LogosError):
        victim.adapter.cancel(name)


def _merges(victim: Victim, _name: str) -> None:
    """Open a session that finds what went out while the ledger could not be written."""
    victim.open()
    spool = Home(victim.lane.home).spool(victim.adapter.ledger.identity)
    victim.close()
    spool.append("cancel", {"at": SystemClock().now(), "drill": DRILL})
    victim.begin()
    victim.open()


OPERATIONS: Mapping[str, Callable[[Victim, str], None]] = {
    "first": _opens,
    "open": _opens,
    "recover": _opens,
    "submit": _submits,
    "doubt": _submits,
    "deny": _submits,
    "cancel": _cancels,
    "replace": _replaces,
    "anew": _places_anew,
    "nothing-left": _places_nothing,
    "reconcile": _reconciles,
    "close": _closes,
    "checkpoint": _folds,
    "word": _gives_a_word,
    "halt": _halts,
    "latch": _latches,
    "latch-on-record": _latches_on_record,
    "resume": _resumes,
    "spool": _spools,
    "merge": _merges,
}
"""What a victim can do, by the words of `Failpoint.operations`; the rest of those words have tests of their own."""
ORDERS = frozenset({"submit", "doubt", "deny", "cancel", "replace", "anew", "nothing-left", "spool"})
"""What makes an order of the name that it is given."""
RESTING = frozenset({"cancel", "replace", "anew", "nothing-left", "spool"})
AFTER_A_DEATH = frozenset({"recover", "word"})
"""What needs that the victim before has left an attempt in flight."""


def live(lane: Lane, operation: str, name: str, death: Death, fault: Mapping[str, Any] | None, tell: Tell) -> None:
    """Be a victim."""
    victim = Victim(lane, death, fault, tell)
    OPERATIONS[operation](victim, name)
    victim.end()
