"""One rehearsal per preset, in processes: trade, be killed, recover, trade on, settle, compare.

Rules:

1. A trader is killed while a request of its is under way at the simulator, and only then.
2. While it is dead the venue goes on: what rests there fills.
3. What held is decided by the oracle and by counting, never by what a trader said of itself.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, field, frozen

from logos_core import venues
from logos_core.clock import Clock, SystemClock
from logos_core.rails.doubt import NOTHING
from logos_core.testing.faults import FaultKind
from logos_core.testing.rehearsal import oracle
from logos_core.testing.rehearsal.admin import Admin
from logos_core.testing.rehearsal.presets import CANARY, CREDENTIAL, Rehearsable
from logos_core.testing.rehearsal.processes import Child, Children
from logos_core.testing.rehearsal.scenario import Scenario, compose, may_be_asked_again

TIMEOUT_S = 1.2
LOOK_EVERY_S = 0.03
TRADER_S_MAX = 150.0
AT_ONCE = 3

Progress = Callable[[str, Mapping[str, Any]], None]
"""Takes the venue and what just happened there."""


class RehearsalError(Exception):
    """The rehearsal itself could not go on; its log says why."""


@frozen(kw_only=True)
class Rehearsed:
    """What one rehearsal came to.

    Attributes:
        figures: the closing table's row.
        faults: how often each kind of fault was injected.
        unknown: every outcome that was unknown at the end, with what was known of it, and how it was settled.
        broken: what did not hold; empty when everything did.
    """

    venue: str
    source: str
    figures: Mapping[str, int]
    faults: Mapping[str, int]
    unknown: tuple[Mapping[str, Any], ...]
    broken: tuple[str, ...]
    folder: str

    def body(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)


def rehearse(
    presets: list[Rehearsable], seed: int, folder: Path, progress: Progress, kinds: Collection[FaultKind] = tuple(FaultKind)
) -> list[Rehearsed]:
    """Rehearse every preset, some at once, and leave the evidence in a folder.

    No process outlives the call, however it ends.

    Args:
        kinds: the kinds of fault that a submit must meet.
    """
    with Children() as children, ThreadPoolExecutor(AT_ONCE, thread_name_prefix="rehearsal") as pool:
        try:
            folders = [_folder(folder, preset) for preset in presets]
            pairs = zip(presets, folders, strict=True)
            waiting = [pool.submit(_one, preset, seed, own, children, progress, kinds) for preset, own in pairs]
            return [future.result() for future in waiting]
        finally:
            children.close()
            pool.shutdown(cancel_futures=True)


def _one(
    preset: Rehearsable, seed: int, own: Path, children: Children, progress: Progress, kinds: Collection[FaultKind]
) -> Rehearsed:
    scenario = _scenario(preset, seed, kinds)
    play = _Play(preset=preset, folder=own, children=children, progress=progress, scenario=scenario, kinds=kinds)
    try:
        rehearsed = play.run()
    except (RehearsalError, OSError, ValueError) as error:
        rehearsed = play.failed(error)
    (own / "rehearsal.json").write_text(json.dumps(rehearsed.body(), indent=2, sort_keys=True, default=str) + "\n")
    return rehearsed


def _folder(folder: Path, preset: Rehearsable) -> Path:
    """Make a rehearsal's own folder; two presets may name the same venue and strategy."""
    own = folder / f"{preset.venue.replace(':', '-')}_{preset.body.get('strategy', '')}"
    while own.exists():
        own = own.with_name(f"{own.name}-again")
    own.mkdir(parents=True)
    return own


def _scenario(preset: Rehearsable, seed: int, kinds: Collection[FaultKind]) -> Scenario:
    declared, variant = venues.declaration(preset.venue)
    return compose(preset.venue, declared.capabilities[variant], declared.simulator(variant).exchange, seed, kinds)


@frozen(kw_only=True)
class _Play:
    """One rehearsal under way."""

    preset: Rehearsable
    folder: Path
    children: Children
    progress: Progress
    scenario: Scenario
    kinds: Collection[FaultKind]
    clock: Clock = field(factory=SystemClock)
    said: list[dict[str, Any]] = field(factory=list)
    killed: list[dict[str, Any]] = field(factory=list)

    def run(self) -> Rehearsed:
        simulator = self._start("simulator", [self.preset.venue, *self.scenario.thin])
        first = simulator.read()
        if first is None:
            raise RehearsalError(f"the simulator did not start; see {self.folder / 'simulator.log'}")
        admin = Admin(first["url"])
        self._tell("simulator", url=admin.url, pid=simulator.pid)
        admin.plan(self.scenario.plan)
        preset = self.folder / "preset.toml"
        # Each order is to meet its own fault, and not to wait for what the one before it leaves unknown.
        free = evolve(self.preset, body={**self.preset.body, "unknown": {"holds": NOTHING}})
        preset.write_text(free.text(admin.url, self.folder / "sessions", TIMEOUT_S))
        for number, nth in enumerate(self.scenario.kills, 1):
            self._trade_and_be_killed(admin, number, nth)
            self._go_on_without(admin)
        self._trade_to_the_end()
        return self._conclude(admin)

    def failed(self, error: Exception) -> Rehearsed:
        """Return a rehearsal that could not go on."""
        broken = (f"the rehearsal could not go on: {type(error).__name__}: {error}",)
        return self._rehearsed({}, Counter(), broken)

    def _start(self, name: str, arguments: list[str], log: str | None = None) -> Child:
        environ = {**os.environ, CREDENTIAL: CANARY, "PYTHONUNBUFFERED": "1"}
        module = f"logos_core.testing.rehearsal.{name}"
        return self.children.start([module, *arguments], self.folder / f"{log or name}.log", environ)

    def _trader(self, number: int, *, settle: bool) -> Child:
        declared, variant = venues.declaration(self.preset.venue)
        job = self.folder / f"trader-{number}.json"
        body = {
            "preset": str(self.folder / "preset.toml"),
            "home": str(self.folder / "home"),
            "intents": self.scenario.bodies(),
            "settle": settle,
            "resend": may_be_asked_again(declared.capabilities[variant]),
        }
        job.write_text(json.dumps(body, indent=2) + "\n")
        return self._start("worker", [str(job)], job.stem)

    def _trade_and_be_killed(self, admin: Admin, number: int, nth: int) -> None:
        """Start a trader and kill it while the simulator holds a request of its that has no answer yet."""
        trader = self._trader(number, settle=False)
        self._tell("trader", number=number, pid=trader.pid)
        reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        listening = reader.submit(self._listen, trader)
        try:
            under_way = self._await_request(admin, trader, nth)
            trader.kill()
        finally:
            trader.end()
            listening.result()
            reader.shutdown()
        self.killed.append(under_way)
        self._tell("killed", number=number, client_order_id=under_way["client_order_id"], fault=under_way["fault"])

    def _await_request(self, admin: Admin, trader: Child, nth: int) -> dict[str, Any]:
        latest_s = self.clock.monotonic_s() + TRADER_S_MAX
        while self.clock.monotonic_s() < latest_s and trader.is_alive():
            submits = [entry for entry in admin.wire() if entry["operation"] == "submit"]
            if len(submits) >= nth and submits[-1]["status"] is None and submits[-1]["fault"] is not None:
                return submits[-1]
            self.clock.sleep(LOOK_EVERY_S)
        if not trader.is_alive():
            raise RehearsalError(f"the trader ended by itself; see {self.folder}/trader-*.log")
        raise RehearsalError(f"no request was under way to be killed in, at submit {nth} or after")

    def _go_on_without(self, admin: Admin) -> None:
        """Let one resting order fill and another fill in part."""
        resting = [order for order in admin.orders() if order["status"] == "new"]
        for order, parts in zip(resting, (1, 4), strict=False):
            quantity = _share(order["quantity"], parts)
            admin.fill(order["venue_order_id"], quantity)
            self._tell("filled", client_order_id=order["client_order_id"], quantity=quantity, of=order["quantity"])

    def _trade_to_the_end(self) -> None:
        trader = self._trader(len(self.scenario.kills) + 1, settle=True)
        self._tell("trader", number=len(self.scenario.kills) + 1, pid=trader.pid)
        try:
            self._listen(trader)
        finally:
            trader.end()
        if not any(said["event"] == "done" for said in self.said):
            raise RehearsalError(f"the last trader did not come to its end; see {self.folder}/trader-*.log")

    def _listen(self, trader: Child) -> None:
        while (said := trader.read()) is not None:
            self.said.append(said)
            self.progress(self.preset.venue, said)

    def _tell(self, event: str, **body: Any) -> None:
        self.progress(self.preset.venue, {"event": event, **body})

    def _conclude(self, admin: Admin) -> Rehearsed:
        orders, wire = admin.orders(), admin.wire()
        for name, rows in (("orders", orders), ("wire", wire), ("traders", self.said)):
            (self.folder / f"{name}.json").write_text(json.dumps(rows, indent=1, default=str) + "\n")
        ledger = next(said["ledger"] for said in self.said if said["event"] == "done")
        books = oracle.read(Path(ledger))
        last_words = {said["intent"]: said["outcome"] for said in self.said if said["event"] == "submitted"}
        findings = [
            *oracle.compare(orders, wire, books),
            *oracle.told(last_words, orders, books),
            *oracle.left_behind(self.folder / "sessions", self.folder / "home" / "spool", books),
            *oracle.leaks([CANARY], [self.folder]),
        ]
        faults = Counter(entry["fault"] for entry in wire if entry["fault"] is not None and entry["operation"] == "submit")
        broken = [*map(str, findings), *self._undone(faults, books)]
        figures = {**oracle.figures(books), **self._counted(orders, wire)}
        return self._rehearsed(figures, faults, tuple(broken))

    def _undone(self, faults: Counter[str], books: oracle.Books) -> list[str]:
        """Return what the rehearsal was to do and did not."""
        undone = [f"every kind of fault meets a submit: {kind.value} did not" for kind in self.kinds if not faults[kind.value]]
        if len(self.killed) != len(self.scenario.kills):
            undone.append(f"every kill happens: {len(self.killed)} of {len(self.scenario.kills)} did")
        recovered = books.by_client_order_id()
        for entry in self.killed:
            intent = recovered.get(entry["client_order_id"])
            if intent is None or intent["state"] in oracle.UNSETTLED:
                undone.append(f"every kill is recovered from: {entry['client_order_id']} is not settled")
        undone += [f"nothing stops new orders: {reason}" for reason in books.latches]
        verdicts = [said["verdict"] for said in self.said if said["event"] == "reconciled"]
        if verdicts != ["agrees"]:
            undone.append(f"the last reconciliation agrees: it says {', '.join(verdicts) or 'nothing'}")
        return undone

    def _counted(self, orders: list[dict[str, Any]], wire: list[dict[str, Any]]) -> dict[str, int]:
        held = Counter(order["client_order_id"] for order in orders)
        denied = {said["intent"] for said in self.said if said["event"] == "submitted" and said["outcome"] == "denied"}
        return {
            "intents": len(self.scenario.intents),
            "denied": len(denied),
            "requests": sum(entry["operation"] == "submit" for entry in wire),
            "orders": len(orders),
            "duplicates": sum(count - 1 for count in held.values()),
            "kills": len(self.killed),
            "recovered": sum(said["event"] == "open" for said in self.said) - 1,
        }

    def _rehearsed(self, figures: Mapping[str, int], faults: Mapping[str, int], broken: tuple[str, ...]) -> Rehearsed:
        return Rehearsed(
            venue=self.preset.venue,
            source=self.preset.source,
            figures=dict(figures),
            faults=dict(faults),
            unknown=tuple(said for said in self.said if said["event"] in {"unknown", "settled"}),
            broken=broken,
            folder=str(self.folder),
        )


def _share(quantity: str, parts: int) -> str:
    return format(Decimal(quantity) / parts, "f")
