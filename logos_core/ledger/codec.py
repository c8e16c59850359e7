"""Orders, reports and executions as the JSON that the ledger stores, and back."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from logos_core.events import moment, one_spelling
from logos_core.orders import (
    Execution,
    ExecutionKind,
    ExecutionReport,
    Fee,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)


def dump(body: Mapping[str, Any]) -> str:
    """Return stored JSON; numbers and times as the events spell them."""
    return one_spelling(body)


def request_body(request: OrderRequest) -> dict[str, Any]:
    """Return an order as stored."""
    return {
        "client_order_id": request.client_order_id,
        "symbol": request.symbol,
        "side": request.side.value,
        "order_type": request.order_type.value,
        "quantity": request.quantity,
        "price": request.price,
        "time_in_force": request.time_in_force.value,
    }


def request_from(text: str) -> OrderRequest:
    """Return a stored order."""
    body = json.loads(text)
    return OrderRequest(
        client_order_id=body["client_order_id"],
        symbol=body["symbol"],
        side=Side(body["side"]),
        order_type=OrderType(body["order_type"]),
        quantity=Decimal(body["quantity"]),
        price=_decimal(body["price"]),
        time_in_force=TimeInForce(body["time_in_force"]),
    )


def report_body(report: ExecutionReport) -> dict[str, Any]:
    """Return a report as stored: what it says, without its executions, which have rows of their own, and the raw answer."""
    return {
        "client_order_id": report.client_order_id,
        "venue_order_id": report.venue_order_id,
        "symbol": report.symbol,
        "side": report.side.value,
        "order_type": report.order_type.value,
        "quantity": report.quantity,
        "price": report.price,
        "time_in_force": None if report.time_in_force is None else report.time_in_force.value,
        "status": report.status.value,
        "filled_quantity": report.filled_quantity,
        "average_price": report.average_price,
        "venue_time": report.venue_time,
    }


def report_from(text: str, executions: tuple[Execution, ...]) -> ExecutionReport:
    """Return a stored report with the executions on record."""
    body = json.loads(text)
    return ExecutionReport(
        client_order_id=body["client_order_id"],
        venue_order_id=body["venue_order_id"],
        symbol=body["symbol"],
        side=Side(body["side"]),
        order_type=OrderType(body["order_type"]),
        quantity=Decimal(body["quantity"]),
        price=_decimal(body["price"]),
        time_in_force=None if body["time_in_force"] is None else TimeInForce(body["time_in_force"]),
        status=OrderStatus(body["status"]),
        filled_quantity=Decimal(body["filled_quantity"]),
        average_price=_decimal(body["average_price"]),
        executions=executions,
        venue_time=None if body["venue_time"] is None else moment(body["venue_time"]),
    )


def execution_body(execution: Execution) -> dict[str, Any]:
    """Return an execution as stored."""
    return {
        "execution_id": execution.execution_id,
        "venue_order_id": execution.venue_order_id,
        "client_order_id": execution.client_order_id,
        "symbol": execution.symbol,
        "side": execution.side.value,
        "quantity": execution.quantity,
        "price": execution.price,
        "fees": [{"amount": fee.amount, "asset": fee.asset} for fee in execution.fees],
        "executed_at": execution.executed_at,
        "kind": execution.kind.value,
        "refers_to": execution.refers_to,
    }


def execution_from(text: str) -> Execution:
    """Return a stored execution. The first ledgers knew trades only, and did not say so."""
    body = json.loads(text)
    return Execution(
        execution_id=body["execution_id"],
        venue_order_id=body["venue_order_id"],
        client_order_id=body["client_order_id"],
        symbol=body["symbol"],
        side=Side(body["side"]),
        quantity=Decimal(body["quantity"]),
        price=Decimal(body["price"]),
        fees=tuple(Fee(amount=Decimal(fee["amount"]), asset=fee["asset"]) for fee in body["fees"]),
        executed_at=moment(body["executed_at"]),
        kind=ExecutionKind(body.get("kind", ExecutionKind.TRADE)),
        refers_to=body.get("refers_to"),
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
