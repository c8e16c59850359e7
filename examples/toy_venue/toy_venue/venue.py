"""The hooks: they ask the exchange and report. What follows from an answer is the core's business."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from logos_core.hookspecs import (
    CancelReceipt,
    Category,
    Classification,
    Found,
    NotSeen,
    Operation,
    OrderReference,
    Outcome,
    Phase,
    PreparedOrder,
    ReconcileRequest,
    UnknownSymbolError,
    VenueIdentity,
    VenueSnapshot,
    View,
    venue_hook,
)
from logos_core.instruments import Instrument, PriceBand
from logos_core.orders import OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from logos_core.reports import ExecutionReport
from logos_core.values import plain
from logos_core.venues import VenueSettings
from logos_core.wire import Answer
from toy_venue.exchange import Exchange, Refused


class ToyVenue:
    def __init__(self, settings: VenueSettings) -> None:
        self._wire = settings.wire
        self._exchange = Exchange(Path(settings.options.get("file", "exchange.json")))

    @venue_hook
    def identify(self) -> VenueIdentity:
        return VenueIdentity(account_id="TOY-1", environment="simulator")

    @venue_hook
    def instrument(self, symbol: str) -> Instrument:
        if symbol != "TOY":
            raise UnknownSymbolError(symbol)
        ticks = (PriceBand(at_least=Decimal(0), tick=Decimal("0.01")),)
        one = Decimal(1)
        return Instrument(symbol="TOY", base_asset="TOY", quote_asset="USD", price_bands=ticks, quantity_step=one, min_quantity=one)

    @venue_hook
    def prepare(self, request: OrderRequest) -> PreparedOrder:
        assert request.price is not None, "limit orders are all that we declare"
        fields = {"id": request.client_order_id, "symbol": request.symbol, "side": request.side.value}
        return PreparedOrder(request=request, wire={**fields, "quantity": plain(request.quantity), "price": plain(request.price)})

    @venue_hook
    def submit(self, prepared: PreparedOrder) -> ExecutionReport:
        return _report(self._ask(self._exchange.place, dict(prepared.wire)))

    @venue_hook
    def cancel(self, reference: OrderReference) -> CancelReceipt:
        self._ask(self._exchange.cancel, reference.client_order_id)
        return CancelReceipt()

    @venue_hook
    def lookup(self, reference: OrderReference) -> Found | NotSeen:
        order = self._ask(self._exchange.find, reference.client_order_id)
        return Found(_report(order)) if order else NotSeen(views=(View("find", "nothing"),))

    @venue_hook
    def reconcile(self, request: ReconcileRequest) -> VenueSnapshot:
        reports = [_report(order) for order in self._ask(self._exchange.orders)]
        working = tuple(report for report in reports if not report.status.is_final)
        ended = tuple(report for report in reports if report.status.is_final)
        return VenueSnapshot(open_orders=working, changed_orders=ended, executions=(), positions=(), cursor="all")

    @venue_hook
    def classify_error(self, error: Exception, operation: Operation, phase: Phase) -> Classification:
        if phase is Phase.NOTHING_SENT:
            return Classification(outcome=Outcome.NOT_SENT, category=Category.NETWORK)
        if isinstance(error, Refused):  # our one refusal with a source: `place` raises it before it keeps anything
            return Classification(outcome=Outcome.REJECTED, category=Category.INVALID_ORDER, venue_message=str(error))
        said = f"{type(error).__name__}: {error}"
        return Classification(outcome=Outcome.UNKNOWN, category=Category.UNLISTED, venue_message=said)

    def _ask(self, call: Any, *arguments: Any) -> Any:
        """Do by hand what `transport.GuardedSession` does for an SDK that is built on requests."""
        record = self._wire.current()
        record.begin_request()  # counts: a second order request is refused here
        record.first_byte_once()  # the gates: the kill switch and the send window
        try:
            answer = call(*arguments)
        except Refused as refusal:
            record.answered(Answer(status=400, headers={}, body=str(refusal)))
            raise
        record.answered(Answer(status=200, headers={}, body=json.dumps(answer)))
        return answer


def _report(order: dict[str, str]) -> ExecutionReport:
    return ExecutionReport(
        client_order_id=order["id"],
        venue_order_id=order["number"],
        symbol=order["symbol"],
        side=Side(order["side"]),
        order_type=OrderType.LIMIT,
        quantity=Decimal(order["quantity"]),
        price=Decimal(order["price"]),
        time_in_force=TimeInForce.GTC,
        status=OrderStatus(order["status"]),
        filled_quantity=Decimal(0),
        average_price=None,
    )
