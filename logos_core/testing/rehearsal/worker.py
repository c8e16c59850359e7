"""A trader as a process: `python -m logos_core.testing.rehearsal.worker JOB.json`.

It opens an Adapter, submits a list of intents from its beginning, and says what came of each. It may be killed at any time; the next
one does the same again. Asked to settle, it then finds out every outcome that is still unknown, and reconciles.
"""

import json
import sys
from pathlib import Path
from typing import Any

from logos_core.adapter import Adapter
from logos_core.errors import (
    LogosError,
    OrderConflictError,
    OrderDeniedError,
    OrderInFlightError,
    OrderNotPlacedError,
    OrderRejectedError,
    OutcomeUnknownError,
    VenueUnavailableError,
)
from logos_core.hookspecs import Found, NotSeen
from logos_core.orders import Order
from logos_core.records import Recorded
from logos_core.reports import ExecutionReport
from logos_core.testing.rehearsal.processes import end_with_parent, say
from logos_core.testing.rehearsal.scenario import Planned

OPERATOR = "rehearsal operator"
TRIES = 3
_NAMES: tuple[tuple[type[LogosError], str], ...] = (
    (OrderDeniedError, "denied"),
    (OrderRejectedError, "rejected"),
    (OrderNotPlacedError, "not placed"),
    (OutcomeUnknownError, "unknown"),
    (VenueUnavailableError, "unavailable"),
    (OrderInFlightError, "in flight"),
    (OrderConflictError, "conflict"),
)


def order_of(planned: Planned) -> Order:
    """Return the order of a planned intent."""
    if planned.price is None:
        return Order.market(planned.symbol, planned.side, quantity=planned.quantity, intent_id=planned.intent_id)
    return Order.limit(
        planned.symbol,
        planned.side,
        quantity=planned.quantity,
        price=planned.price,
        intent_id=planned.intent_id,
        time_in_force=planned.time_in_force,
    )


def submit(adapter: Adapter, order: Order) -> tuple[str, ExecutionReport | None, str]:
    """Submit an order and return what came of it in a word, the report, and what was said."""
    try:
        report = adapter.submit(order)
    except LogosError as error:
        return next((name for kind, name in _NAMES if isinstance(error, kind)), type(error).__name__), None, str(error)
    return report.status.value, report, ""


def main(arguments: list[str]) -> None:
    """Do one job and say `done`."""
    end_with_parent()
    job = json.loads(Path(arguments[0]).read_text())
    intents = [Planned(**body) for body in job["intents"]]
    with Adapter.open(job["preset"], home=job["home"]) as adapter:
        say(event="open", session=adapter.ledger.session_id, unknown=len(adapter.ledger.unsettled()), run=str(adapter.run_folder))
        for planned in intents:
            _trade(adapter, planned)
        if job["settle"]:
            for recorded in adapter.ledger.unsettled():
                _show(recorded)
            _settle(adapter, intents, resend=job["resend"])
            _reconcile(adapter)
        said: dict[str, Any] = {"ledger": str(adapter.ledger.path), "latched": adapter.ledger.latched()}
    say(event="done", **said)


def _trade(adapter: Adapter, planned: Planned) -> None:
    order = order_of(planned)
    for _ in range(planned.times):
        outcome, report, said = submit(adapter, order)
        say(event="submitted", intent=planned.intent_id, why=planned.why, outcome=outcome, said=said)
    if planned.cancel and report is not None:
        _cancel(adapter, planned.intent_id)


def _cancel(adapter: Adapter, intent_id: str) -> None:
    for _ in range(TRIES):
        try:
            report = adapter.cancel(intent_id)
        except LogosError as error:
            say(event="cancelled", intent=intent_id, outcome="unknown", said=str(error))
            continue
        say(event="cancelled", intent=intent_id, outcome=report.status.value, said="")
        if report.status.is_final:
            return


def _show(recorded: Recorded) -> None:
    """Say all that is known of an outcome that nobody knows."""
    last = recorded.attempts[-1]
    say(
        event="unknown",
        intent=recorded.intent_id,
        client_order_id=recorded.client_order_id,
        symbol=recorded.symbol,
        attempts=len(recorded.attempts),
        sent_by=last.send_by.isoformat(),
        position=last.position,
    )


def _settle(adapter: Adapter, intents: list[Planned], *, resend: bool) -> None:
    """Settle what is unknown: by sending it again where that cannot make a second order, else as an operator would."""
    orders = {planned.intent_id: order_of(planned) for planned in intents}
    for _ in range(TRIES):
        for recorded in adapter.ledger.unsettled():
            assert recorded.intent_id is not None
            if resend:
                outcome, _report, said = submit(adapter, orders[recorded.intent_id])
                say(event="settled", intent=recorded.intent_id, by="submitting it again", outcome=outcome, said=said)
            else:
                _look_and_close(adapter, recorded)


def _look_and_close(adapter: Adapter, recorded: Recorded) -> None:
    try:
        answer = adapter.lookup(recorded.reference())
    except LogosError as error:
        say(event="settled", intent=recorded.intent_id, by="looking it up", outcome="unknown", said=str(error))
        return
    if isinstance(answer, Found):
        said, outcome = "the venue shows it", answer.report.status.value
    else:
        said, outcome = _close(adapter, recorded, answer), "not placed"
    say(event="settled", intent=recorded.intent_id, by=OPERATOR, outcome=outcome, said=said)


def _close(adapter: Adapter, recorded: Recorded, answer: NotSeen) -> str:
    """Close it on the operator's word, with what the venue showed."""
    views = [{"source": view.source, "said": view.said} for view in answer.views]
    because = "; ".join(f"{view.source}: {view.said}" for view in answer.views)
    adapter.ledger.close_by_person(recorded.client_order_id, by=OPERATOR, because=because, evidence={"views": views})
    return because


def _reconcile(adapter: Adapter) -> None:
    report = adapter.reconcile()
    for _ in range(TRIES):
        if not report.in_motion and report.error is None:
            break
        report = adapter.reconcile()
    say(event="reconciled", verdict=report.verdict.value, said=str(report))


if __name__ == "__main__":
    main(sys.argv[1:])
