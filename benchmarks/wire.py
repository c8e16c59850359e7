"""Count the requests that really leave, per order and per fault, through every installed venue's real SDK.

`python -m benchmarks.wire` submits one market order per fault with a single attempt allowed, and asks the simulator what arrived and
what it holds. It exits with 0 only if every attempt on record is exactly one request on the wire, and nothing that was recorded or said
is unsafe, given what the venue really holds.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from attrs import evolve

from logos_core.adapter import Adapter
from logos_core.cli.output import columned
from logos_core.errors import LogosError
from logos_core.orders import Order
from logos_core.rails.doubt import NOTHING
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from logos_core.testing.rehearsal import oracle
from logos_core.testing.rehearsal.presets import CREDENTIAL, Rehearsable, embedded
from logos_core.testing.rehearsal.scenario import unit_of
from logos_core.testing.rehearsal.simulator import application
from logos_core.testing.server import LoopbackServer

TIMEOUT_S = 0.8
REFUSED = (400, 401, 403, 404, 422, 429, 500, 502, 503, 504)
PROCESSED = (429, 500, 502, 503, 504)
COLUMNS = ("venue", "fault", "requests", "attempts", "venue holds", "classified", "on record", "the caller got", "safe")

NO_ORDER = {"rejected", "not_sent", "absent"}
SAID_NO_ORDER = {"OrderRejectedError", "OrderDeniedError", "VenueUnavailableError", "OrderNotPlacedError"}


class Case(NamedTuple):
    """One submit and what happens to it."""

    name: str
    fault: Fault | None


class Row(NamedTuple):
    """What came of one case."""

    venue: str
    case: str
    requests: int
    attempts: int
    held: int
    classified: str
    outcome: str
    got: str
    unsafe: tuple[str, ...]


def _fault(kind: FaultKind, **more: Any) -> Fault:
    return Fault(kind=kind, operation="submit", nth=1, **more)


def cases() -> list[Case]:
    """Return every case, the undisturbed one first."""
    return [
        Case("200", None),
        *(Case(f"{status}", _fault(FaultKind.STATUS_BEFORE, status=status, retry_after_s=0)) for status in REFUSED),
        *(Case(f"{status}, yet processed", _fault(FaultKind.STATUS_AFTER, status=status, retry_after_s=0)) for status in PROCESSED),
        Case("307", _fault(FaultKind.REDIRECT)),
        Case("reset before", _fault(FaultKind.RESET_BEFORE)),
        Case("reset after", _fault(FaultKind.RESET_AFTER)),
        Case("reset in the answer", _fault(FaultKind.RESET_DURING)),
        Case("read timeout", _fault(FaultKind.ANSWER_DROPPED)),
        Case("read timeout, never processed", _fault(FaultKind.REQUEST_DROPPED)),
        Case("truncated", _fault(FaultKind.TRUNCATED)),
        Case("empty", _fault(FaultKind.EMPTY)),
        Case("HTML body", _fault(FaultKind.HTML)),
    ]


def measure(preset: Rehearsable) -> list[Row]:
    """Submit every case on one venue."""
    app = application(preset.venue)
    instrument = app.exchange.instruments()[0]
    # Each case is looked at alone: the order of the next one is not to wait for what this one leaves unknown.
    once = evolve(preset, body={**preset.body, "retry": {"attempts": 1}, "unknown": {"holds": NOTHING}})
    with tempfile.TemporaryDirectory() as scratch, LoopbackServer(app, hold_s=TIMEOUT_S * 2) as server:
        folder = Path(scratch)
        path = folder / "preset.toml"
        path.write_text(once.text(server.url, folder / "runs", TIMEOUT_S))
        got: dict[str, str] = {}
        with Adapter.open(path, home=folder / "home", environ={**os.environ, CREDENTIAL: "wire"}) as adapter:
            for case in cases():
                server.plan = FaultPlan([case.fault] if case.fault else [])
                order = Order.market(instrument.symbol, "buy", quantity=unit_of(instrument), intent_id=case.name)
                got[case.name] = _submit(adapter, order)
            adapter.reconcile()
            ledger = adapter.ledger.path
        return _rows(preset.venue, got, server, oracle.read(ledger))


def _submit(adapter: Adapter, order: Order) -> str:
    try:
        return adapter.submit(order).status.value
    except LogosError as error:
        return type(error).__name__


def _rows(venue: str, got: dict[str, str], server: LoopbackServer, books: oracle.Books) -> list[Row]:
    intents = {intent["intent_id"]: intent for intent in books.intents}
    arrived = Counter(entry.client_order_id for entry in server.wire if entry.operation == "submit")
    held = Counter(order["client_order_id"] for order in server.orders())
    rows = []
    for name, said in got.items():
        intent = intents.get(name, {"client_order_id": None, "attempts": [], "state": "not on record"})
        key = intent["client_order_id"]
        outcome = intent["attempts"][-1]["outcome"] if intent["attempts"] else "none"
        row = Row(venue, name, arrived[key], len(intent["attempts"]), held[key], _classified(books, key), outcome, said, ())
        rows.append(row._replace(unsafe=tuple(_unsafe(row))))
    unasked = {"nothing stays unknown"}
    findings = [finding for finding in oracle.compare(server.orders(), _wire(server), books) if finding.rule not in unasked]
    return [*rows, *(Row(venue, "afterwards", 0, 0, 0, "", "", "", (str(finding),)) for finding in findings)]


def _wire(server: LoopbackServer) -> list[dict[str, Any]]:
    return [{"operation": entry.operation, "client_order_id": entry.client_order_id} for entry in server.wire]


def _classified(books: oracle.Books, client_order_id: str | None) -> str:
    """Return what the plugin said of the error, as the attempt's own event recorded it."""
    for event in books.events:
        said = event.fields()
        if event.kind == "settled" and said["client_order_id"] == client_order_id:
            evidence = said["evidence"]
            classified = evidence.get("classified")
            if classified is None:
                return f"answer, phase {evidence.get('phase')}"
            return f"{classified['outcome']}: {classified['category']}"
    return "not recorded"


def _unsafe(row: Row) -> list[str]:
    """Return why what was recorded or said is not safe, given what the venue really holds."""
    why = []
    if row.attempts != 1 or row.requests != row.attempts:
        why.append(f"{row.attempts} attempt(s) on record, {row.requests} request(s) on the wire")
    if row.held > 1:
        why.append(f"the venue holds {row.held} orders")
    if row.held and (row.outcome in NO_ORDER or row.got in SAID_NO_ORDER):
        why.append("the venue holds an order, and it was taken for none")
    if not row.held and (row.outcome == "accepted" or not row.got.endswith("Error")):
        why.append("the venue holds no order, and it was taken for one")
    if row.requests and (row.outcome == "not_sent" or row.classified.startswith("not sent")):
        why.append("a request arrived, and it was taken for not sent")
    return why


def main() -> int:
    """Measure every venue, each in a process of its own, and print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wire", description=__doc__)
    parser.add_argument("venues", nargs="*", help="only these; default: every installed one")
    wanted = parser.parse_args().venues
    presets = [preset for preset in embedded() if not wanted or preset.venue in wanted]
    started_s = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(len(presets) or 1) as pool:
        rows = [row for found in pool.map(measure, presets, chunksize=1) for row in found]
    lines = [[row.venue, row.case, *map(str, row[2:8]), "; ".join(row.unsafe) or "yes"] for row in rows]
    print(columned(COLUMNS, lines))
    unsafe = [row for row in rows if row.unsafe]
    requests, attempts = sum(row.requests for row in rows), sum(row.attempts for row in rows)
    print(
        f"\n{attempts} attempts, {requests} requests, {len(unsafe)} unsafe, {len(presets)} venues, {time.monotonic() - started_s:.0f} s"
    )
    return 8 if unsafe or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
