"""Write ledgers as a version leaves them: `python -m tests.ledgers.write FOLDER`, in a clone of that version.

Every ledger is written by sessions: on three simulated venues through their real SDKs, and on a scripted one for what is hard to come
by there. Two of the sessions are killed while their orders are in flight. Beside each dump lie what the code of that version answered
when it was asked (`NAME.json`) and what its venue was told (`NAME.venue.json`).
"""

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import apsw
import apsw.shell

from logos_core import Adapter, LogosError, Order
from logos_core.adoption import adopt
from logos_core.capabilities import ExpiryKind, Uniqueness
from logos_core.clock import ManualClock, SystemClock
from logos_core.events import one_spelling, verify
from logos_core.home import Home
from logos_core.hookspecs import Operation
from logos_core.ledger import codec
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.orders import OrderStatus
from logos_core.records import Recorded
from logos_core.session import register
from logos_core.testing import scripted
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from logos_core.testing.scripted import ScriptedVenue
from tests.ledgers.venues import NAMES, Venue

ROOT = Path(__file__).parents[2]
DEADLINE_S = 30.0
TRADER = """
import sys
from pathlib import Path
from logos_core import Adapter, Order
preset, home, symbol, price, intent_id = sys.argv[1:]
with Adapter.open(preset, home=home, environ={"LOGOS_SIMULATOR_KEY": "k"}) as adapter:
    print("open", flush=True)
    sys.stdin.readline()
    adapter.submit(Order.limit(symbol, "buy", quantity="1", price=price, intent_id=intent_id))
"""


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        with tempfile.TemporaryDirectory() as scratch:
            venue = Venue(name, Path(scratch))
            with venue.server:
                path = _trade(venue)
            _leave(path, folder, name.replace(":", "-"))
            _write(folder / f"{name.replace(':', '-')}.venue.json", venue.diary)
    with tempfile.TemporaryDirectory() as scratch:
        _leave(_script(Path(scratch)), folder, "scripted")


def _trade(venue: Venue) -> Path:
    """Let everything happen that can happen to an order, and return the ledger."""
    _lose_and_adopt(venue)
    with venue.open() as adapter:
        _submit(adapter, _resting(venue, "adopted and claimed"))
        _settled_orders(venue, adapter)
        adapter.ledger.latch("a latch that was released")
        adapter.ledger.release("somebody", "it was for the record")
        with _killed(venue):
            _unknown(venue, adapter)
        path = adapter.ledger.path
    ledger = SqliteLedger.open(path, SystemClock())
    ledger.begin_session("operator", "operator", "host:1")
    ledger.latch("a latch that is set")
    ledger.end_session()
    ledger.close()
    return path


def _lose_and_adopt(venue: Venue) -> None:
    """Trade, lose the ledger, and begin a new one with what the venue shows."""
    with venue.open() as adapter:
        for name in ("adopted", "adopted and claimed"):
            _submit(adapter, _resting(venue, name))
        path = adapter.ledger.path
        for lost in path.parent.glob(f"{path.name}*"):
            lost.unlink()
        ledger = SqliteLedger.create(path, adapter.ledger.identity, SystemClock())
        ledger.begin_session("adoption", "adoption", "host:1")
        assert 2 == adopt(adapter._parts.venue, ledger, (venue.symbol,))
        ledger.end_session()
        register(Home(venue.home), ledger)
        ledger.close()
        with suppress(LogosError):
            adapter.close()


def _settled_orders(venue: Venue, adapter: Adapter) -> None:
    for name in ("open", "partly filled", "filled", "cancelled"):
        _submit(adapter, _resting(venue, name, quantity="3"))
    _submit(adapter, Order.market(venue.symbol, "buy", quantity="1", intent_id="at market"))
    _submit(adapter, Order.market(venue.symbol, "sell", quantity="1", intent_id="sold at market"))
    venue.server.plan = FaultPlan([Fault(kind=FaultKind.STATUS_BEFORE, operation="submit", status=401)])
    _submit(adapter, _resting(venue, "rejected"))
    venue.server.plan = FaultPlan()
    _submit(adapter, Order.limit(venue.symbol, "buy", quantity="1", price="10.123456789", intent_id="denied"))
    venue.fill(_venue_order(adapter, "partly filled"), 1)
    venue.fill(_venue_order(adapter, "filled"), 1)
    venue.fill(_venue_order(adapter, "filled"), 2)
    adapter.cancel("cancelled")
    adapter.reconcile()


class _Deaf(FaultPlan):
    """Meets the next submit with a fault, and answers no question after it."""

    def __init__(self, kind: FaultKind) -> None:
        super().__init__()
        self._fault = Fault(kind=kind, operation="submit")
        self.submits = 0

    def draw(self, operation: str) -> Fault | None:
        if operation == "submit":
            self.submits += 1
            return self._fault
        asks = operation in {"lookup", "reconcile"} and self.submits
        return Fault(kind=FaultKind.STATUS_BEFORE, operation=operation, status=503) if asks else None


_LOST = {"accepted": FaultKind.ANSWER_DROPPED, "lost": FaultKind.REQUEST_DROPPED}


def _unknown(venue: Venue, adapter: Adapter) -> None:
    """Lose two orders, one on its way back and one on its way there, and find out nothing."""
    for name, kind in _LOST.items():
        venue.server.plan = _Deaf(kind)
        _submit(adapter, _resting(venue, f"unknown, {name}"))
    venue.server.plan = FaultPlan()


@contextmanager
def _killed(venue: Venue) -> Iterator[None]:
    """Open two traders, run a block, and kill them while the outcomes of their orders are on their way."""
    traders = {name: _trader(venue, f"in flight, {name}") for name in _LOST}
    try:
        yield
        for name, kind in _LOST.items():
            venue.server.plan = plan = _Deaf(kind)
            _let_go(traders[name])
            end_s = monotonic() + DEADLINE_S
            while not plan.submits:
                assert monotonic() < end_s, "the trader never sent its order"
                sleep(0.01)
            sleep(0.2)  # the venue has processed what it will
    finally:
        for trader in traders.values():
            os.kill(trader.pid, signal.SIGKILL)
            trader.wait()
        venue.server.plan = FaultPlan()


def _let_go(trader: "subprocess.Popen[str]") -> None:
    assert trader.stdin is not None
    trader.stdin.write("go\n")
    trader.stdin.flush()


def _trader(venue: Venue, intent_id: str) -> "subprocess.Popen[str]":
    arguments = [str(venue.preset(timeout_s=20.0)), str(venue.home), venue.symbol, venue.resting_price, intent_id]
    started = subprocess.Popen(
        [sys.executable, "-c", TRADER, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    assert "open\n" == started.stdout.readline()
    return started


def _script(folder: Path) -> Path:
    """Let happen what is hard to come by at a simulated venue."""
    clock = ManualClock()
    venue = ScriptedVenue(scripted.capabilities(uniqueness=Uniqueness.OPEN, expiry=ExpiryKind.ENGINE, window_s=5.0))
    session = scripted.compose(folder, venue, clock=clock, strategy="first")
    adapter = session.adapter
    for status in (OrderStatus.PENDING_NEW, OrderStatus.NEW, OrderStatus.FILLED, OrderStatus.EXPIRED, OrderStatus.PENDING_CANCEL):
        venue.on_submit(scripted.accept(status))
        _submit(adapter, _order(status.value))
    venue.on_submit(scripted.accept(OrderStatus.PARTIALLY_FILLED, Decimal("0.25")))
    _submit(adapter, _order("partially_filled"))
    venue.on_submit(scripted.reject())
    _submit(adapter, _order("rejected"))
    venue.on_submit(*[scripted.not_sent()] * 10)
    _submit(adapter, _order("not_sent"))
    venue._scripts[Operation.SUBMIT].clear()
    venue.on_submit(scripted.time_out_before())
    venue.on_lookup(*[scripted.fail()] * 3)
    _submit(adapter, _order("not_placed"))
    clock.sleep(timedelta(minutes=2).total_seconds())
    adapter.recover()
    for name in ("unknown", "closed by a person"):
        venue.on_submit(scripted.time_out_before())
        venue.on_lookup(*[scripted.fail()] * 3)
        _submit(adapter, _order(name))
    name = adapter._parts.cache.client_order_id("closed by a person")
    session.ledger.close_by_person(name, by="somebody", because="the venue's support says so", evidence={"ticket": "1"})
    venue.on_submit(scripted.time_out_after())
    venue.on_lookup(*[scripted.fail()] * 3)
    _submit(adapter, _order("unknown, accepted"))
    venue.script(Operation.RECONCILE, scripted.fail())
    adapter.reconcile()
    _submit(adapter, _order("twice"))
    twin = venue.report(venue.received[-1])
    session.ledger.apply_report(twin, {"source": "fixture"})
    session.close()
    return session.ledger.path


def _order(intent_id: str) -> Order:
    return Order.limit(scripted.SYMBOL, "buy", quantity="1", price="100", intent_id=intent_id)


def _resting(venue: Venue, intent_id: str, quantity: str = "1") -> Order:
    return Order.limit(venue.symbol, "buy", quantity=quantity, price=venue.resting_price, intent_id=intent_id, time_in_force="gtc")


def _submit(adapter: Adapter, order: Order) -> None:
    """Submit; how it ended is in the ledger."""
    with suppress(LogosError):
        adapter.submit(order)


def _venue_order(adapter: Adapter, intent_id: str) -> str:
    (found,) = adapter.ledger.find_intent(intent_id)
    assert found.report is not None
    return found.report.venue_order_id


def _leave(path: Path, folder: Path, name: str) -> None:
    """Write a ledger as SQL, and what it answers."""
    ledger = SqliteLedger.open(path, SystemClock())
    _write(folder / f"{name}.json", answers(ledger))
    ledger.close()
    text = io.StringIO()
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    apsw.shell.Shell(db=connection, stdout=text).process_command(".dump")
    (folder / f"{name}.sql").write_text("".join(line for line in text.getvalue().splitlines(keepends=True) if _is_sql(line)))


def _is_sql(line: str) -> bool:
    return not line.startswith("-- ") or line.startswith("-- The ledger")


def answers(ledger: SqliteLedger) -> dict[str, Any]:
    """Return all that a ledger answers."""
    events = list(ledger.events())
    return {
        "identity": [ledger.identity.venue, ledger.identity.environment, ledger.identity.account_id],
        "ledger_id": ledger.ledger_id(),
        "adopted": ledger.adopted(),
        "events": len(events),
        "heads": {session: [number, head.hex()] for session, (number, head) in sorted(verify(events).items())},
        "counts": {state.value: count for state, count in sorted(ledger.counts().items())},
        "symbols": list(ledger.symbols()),
        "latched": ledger.latched(),
        "duplicates": ledger.duplicates(),
        "unsettled": _names(ledger.unsettled()),
        "working": _names(ledger.working()),
        "intents": [intent_body(recorded) for recorded in reversed(ledger.recorded(1_000))],
    }


def _names(found: Iterable[Recorded]) -> list[str]:
    return [recorded.client_order_id for recorded in found]


def intent_body(recorded: Recorded) -> dict[str, Any]:
    """Return all that is known of an intent."""
    report = recorded.report
    body = {
        "client_order_id": recorded.client_order_id,
        "strategy": recorded.strategy,
        "intent_id": recorded.intent_id,
        "payload": recorded.payload,
        "symbol": recorded.symbol,
        "state": recorded.state.value,
        "request": None if recorded.request is None else codec.request_body(recorded.request),
        "report": None if report is None else codec.report_body(report),
        "executions": [] if report is None else [codec.execution_body(execution) for execution in report.executions],
        "attempts": [[attempt.number, attempt.session_id, attempt.outcome] for attempt in recorded.attempts],
        "duplicates": recorded.duplicates,
    }
    spelled: dict[str, Any] = json.loads(one_spelling(body))
    return spelled


def _write(path: Path, body: Any) -> None:
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
