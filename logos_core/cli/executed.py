"""The executions of one order, with what they cost and what they come to."""

from decimal import Decimal
from typing import Any

from logos_core.executions import effective
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.orders import Side
from logos_core.records import Recorded
from logos_core.reports import Execution, ExecutionKind, total_fees
from logos_core.values import plain


def body(ledger: SqliteLedger, recorded: Recorded) -> dict[str, Any]:
    """Return the executions of an intent for machines: all that were told, and the sums of what stands."""
    told = ledger.executions(recorded.client_order_id)
    standing = tuple(effective(told))
    return {
        "executions": [_row(execution) for execution in told],
        "executed": {side.value: {"quantity": quantity, "worth": worth} for side, (quantity, worth) in _sums(standing).items()},
        "fees": [{"amount": fee.amount, "asset": fee.asset} for fee in total_fees(standing)],
        "overfilled": [str(found) for found in ledger.executed.overfills() if found.client_order_id == recorded.client_order_id],
    }


def _row(execution: Execution) -> dict[str, Any]:
    return {
        "execution_id": execution.execution_id,
        "venue_order_id": execution.venue_order_id,
        "kind": execution.kind.value,
        "refers_to": execution.refers_to,
        "side": execution.side.value,
        "quantity": execution.quantity,
        "price": execution.price,
        "fees": [{"amount": fee.amount, "asset": fee.asset} for fee in execution.fees],
        "executed_at": execution.executed_at,
    }


def alarms(ledger: SqliteLedger, recorded: Recorded) -> list[str]:
    """Return a line for each of the intent's orders of which more was traded than was ordered."""
    return [f"more was traded than was ordered: {said}" for said in body(ledger, recorded)["overfilled"]]


def lines(ledger: SqliteLedger, recorded: Recorded) -> list[str]:
    """Return the executions of an intent for people; nothing if there are none."""
    told = ledger.executions(recorded.client_order_id)
    if not told:
        return []
    standing = tuple(effective(told))
    fees = "".join(f", {_fee(fee.amount, fee.asset)}" for fee in total_fees(standing))
    sums = [
        f"{side.value} {plain(quantity)} at {worth / quantity:.8g} on average"
        for side, (quantity, worth) in _sums(standing).items()
    ]
    return ["", "Executions:", *(f"  {_line(execution)}" for execution in told), f"  in all {', '.join(sums) or 'nothing'}{fees}"]


def _line(execution: Execution) -> str:
    if execution.kind is ExecutionKind.BUST:
        return f"{execution.execution_id}: {execution.refers_to} does not count any more"
    fees = "".join(f", {_fee(fee.amount, fee.asset)}" for fee in execution.fees)
    instead = f", in place of {execution.refers_to}" if execution.refers_to else ""
    return (
        f"{execution.execution_id}: {execution.side.value} {plain(execution.quantity)} at {plain(execution.price)}{fees}{instead}"
    )


def _fee(amount: Decimal, asset: str) -> str:
    return f"fee {plain(amount)} {asset}" if amount >= 0 else f"rebate {plain(-amount)} {asset}"


def _sums(standing: tuple[Execution, ...]) -> dict[Side, tuple[Decimal, Decimal]]:
    """Return quantity and worth by side: the legs of an order trade the other way."""
    sums: dict[Side, tuple[Decimal, Decimal]] = {}
    for done in standing:
        quantity, worth = sums.get(done.side, (Decimal(0), Decimal(0)))
        sums[done.side] = (quantity + done.quantity, worth + done.quantity * done.price)
    return sums
