"""Orders, reports and executions as the JSON that the ledger stores, and back."""

import json
from collections.abc import Mapping
from decimal import Decimal
from operator import attrgetter
from typing import Any

from logos_core.events import Heads, moment, one_spelling
from logos_core.orders import OrderRequest, OrderStatus, OrderType, Side, StopLoss, TakeProfit, TimeInForce
from logos_core.reports import Execution, ExecutionKind, ExecutionReport, Fee


def dump(body: Mapping[str, Any]) -> str:
    """Return stored JSON; numbers and times as the events spell them."""
    return one_spelling(body)


def request_body(request: OrderRequest) -> dict[str, Any]:
    """Return an order as stored; a term that is not set is left out."""
    return {
        "client_order_id": request.client_order_id,
        "symbol": request.symbol,
        "side": request.side.value,
        "order_type": request.order_type.value,
        "quantity": request.quantity,
        "price": request.price,
        "time_in_force": request.time_in_force.value,
        **request.spelled(),
        **({} if request.in_place_of is None else {"in_place_of": request.in_place_of}),
    }


def request_from(text: str) -> OrderRequest:
    """Return a stored order."""
    body = json.loads(text)
    profit, loss = body.get("take_profit"), body.get("stop_loss")
    terms: dict[str, Any] = {name: _decimal(body.get(name)) for name in ("notional", "stop_price", "trail_amount", "trail_percent")}
    terms |= {name: name in body for name in ("post_only", "reduce_only", "one_cancels_other")}
    return OrderRequest(
        client_order_id=body["client_order_id"],
        symbol=body["symbol"],
        side=Side(body["side"]),
        order_type=OrderType(body["order_type"]),
        quantity=_decimal(body["quantity"]),
        price=_decimal(body["price"]),
        time_in_force=TimeInForce(body["time_in_force"]),
        expires_at=moment(body["expires_at"]) if "expires_at" in body else None,
        take_profit=None if profit is None else TakeProfit(profit),
        stop_loss=None if loss is None else StopLoss(loss, body.get("stop_loss_price")),
        in_place_of=body.get("in_place_of"),
        **terms,
    )


_OPTIONAL_NUMBERS = ("stop_price", "trail_amount", "trail_percent", "notional")
_OPTIONAL_WORDS = ("leg_of", "replaced_by")
_OPTIONAL = (*_OPTIONAL_NUMBERS, *_OPTIONAL_WORDS)
_optional = attrgetter(*_OPTIONAL)
_NOT_SET = (None,) * len(_OPTIONAL)
_TIME = ',"venue_time":'
"""Begins the last part of a stored report: the keys are sorted."""
_PLAIN = (
    '{"average_price":%s,"client_order_id":"%s","filled_quantity":"%s","order_type":"%s","price":%s,"quantity":%s,"side":"%s",'
    '"status":"%s","symbol":"%s","time_in_force":%s,"venue_order_id":"%s"' + _TIME
)


def report_body(report: ExecutionReport) -> dict[str, Any]:
    """Return a report as stored: what it says, without its legs and executions, which have rows of their own, and the raw answer."""
    more = {name: getattr(report, name) for name in _OPTIONAL}
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
        **{name: value for name, value in more.items() if value is not None},
    }


def says_the_same(text: str, report: ExecutionReport) -> bool:
    """Say whether a stored report says what a report says, the time at which it is said apart.

    An order of a plain kind is spelled here at once; if that is not what is stored, it is spelled as it would be stored.
    """
    if _optional(report) == _NOT_SET:
        average, price, quantity, time_in_force = report.average_price, report.price, report.quantity, report.time_in_force
        quick = _PLAIN % (
            "null" if average is None else f'"{average!s}"',
            report.client_order_id,
            report.filled_quantity,
            report.order_type._value_,
            "null" if price is None else f'"{price!s}"',
            "null" if quantity is None else f'"{quantity!s}"',
            report.side._value_,
            report.status._value_,
            report.symbol,
            "null" if time_in_force is None else f'"{time_in_force._value_}"',
            report.venue_order_id,
        )
        if text.startswith(quick):
            return True
    untimed, _, _ = dump(report_body(report)).rpartition(_TIME)
    return text.rpartition(_TIME)[0] == untimed


def report_from(text: str, executions: tuple[Execution, ...], legs: tuple[ExecutionReport, ...] = ()) -> ExecutionReport:
    """Return a stored report with the legs and executions on record."""
    body = json.loads(text)
    more: dict[str, Any] = {name: _decimal(body.get(name)) for name in _OPTIONAL_NUMBERS}
    more |= {name: body.get(name) for name in _OPTIONAL_WORDS}
    return ExecutionReport(
        client_order_id=body["client_order_id"],
        venue_order_id=body["venue_order_id"],
        symbol=body["symbol"],
        side=Side(body["side"]),
        order_type=OrderType(body["order_type"]),
        quantity=_decimal(body["quantity"]),
        price=_decimal(body["price"]),
        time_in_force=None if body["time_in_force"] is None else TimeInForce(body["time_in_force"]),
        status=OrderStatus(body["status"]),
        filled_quantity=Decimal(body["filled_quantity"]),
        average_price=_decimal(body["average_price"]),
        legs=legs,
        executions=executions,
        venue_time=None if body["venue_time"] is None else moment(body["venue_time"]),
        **more,
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
        "execution_kind": execution.kind.value,  # `kind` is the event's own
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
        kind=ExecutionKind(body.get("execution_kind", ExecutionKind.TRADE)),
        refers_to=body.get("refers_to"),
    )


def heads_body(heads: Heads) -> dict[str, str]:
    """Return the heads of chains as stored."""
    return {session: f"{number}:{hashed.hex()}" for session, (number, hashed) in heads.items()}


def heads_from(text: str) -> dict[str, tuple[int, bytes]]:
    """Return stored heads."""
    parts = {session: said.partition(":") for session, said in json.loads(text).items()}
    return {session: (int(number), bytes.fromhex(hashed)) for session, (number, _, hashed) in parts.items()}


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
