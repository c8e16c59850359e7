"""Show what the exchange holds in OANDA's shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from logos_core.testing.exchange import OrderStatus, Side, SimulatedInstrument, SimulatedOrder, Transaction
from logos_oanda.simulator.trades import Effect, OpenedTrade

Json: TypeAlias = dict[str, Any]

STATES = {
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELLED",
    OrderStatus.EXPIRED: "CANCELLED",
    OrderStatus.REPLACED: "CANCELLED",
}
REASONS = {
    "symbol": "INSTRUMENT_UNKNOWN",
    "client_order_id": "CLIENT_ORDER_ID_ALREADY_EXISTS",
    "positive": "UNITS_INVALID",
    "quantity_step": "UNITS_INVALID",  # recorded: 0.1 units of an instrument of whole units
    "min_quantity": "UNITS_MIMIMUM_NOT_MET",  # misspelt in the specification
    "missing": "PRICE_MISSING",
    "not_allowed": "PRICE_INVALID",
    "price_tick": "PRICE_PRECISION_EXCEEDED",
    "trail": "PRICE_DISTANCE_INVALID",
    "legs": "TAKE_PROFIT_ON_FILL_PRICE_INVALID",
    "replacing": "REPLACING_ORDER_INVALID",
}
"""Reject reasons by the exchange's broken rule; which of OANDA's fits is *inferred* where nothing else is said."""

# What an account's log begins with, so that its first order is never its first transaction.
OPENING = ({"type": "CREATE"}, {"type": "CLIENT_CONFIGURE"}, {"type": "TRANSFER_FUNDS", "fundingReason": "ADJUSTMENT"})


def asked(order: SimulatedOrder) -> Json:
    """Show what an order asks for; a dependent order names its trade instead of an instrument and units (specification)."""
    request, tags = order.request, order.request.tags
    data: Json = {"timeInForce": tags["timeInForce"]}
    if "tradeID" in tags:
        data["tradeID"] = tags["tradeID"]
    else:
        units = plain(order.quantity if request.side is Side.BUY else -order.quantity)
        data |= {"instrument": request.symbol, "units": units, "positionFill": tags["positionFill"], **tags["onFill"]}
    price = request.price if request.stop_price is None else request.stop_price
    if request.trail_amount is not None:
        data["distance"] = plain(request.trail_amount)
    elif price is not None and tags["type"] != "MARKET":
        data["price"] = plain(price)
    optional = {
        "gtdTime": tags["gtdTime"],
        "priceBound": tags.get("priceBound"),
        "clientExtensions": tags["clientExtensions"] or None,
        "replacesOrderID": order.replaces,
    }
    return data | {name: value for name, value in optional.items() if value is not None}


def rejected(transaction: Transaction) -> Json:
    """Show why an order was refused."""
    request, rule = transaction.order.request, transaction.reason or ""
    reason = REASONS.get(rule, "INTERNAL_SERVER_ERROR")
    if rule == "expires_at":
        reason = "TIME_IN_FORCE_GTD_TIMESTAMP_" + ("MISSING" if request.expires_at is None else "IN_PAST")
    return {"type": f"{request.tags['type']}_ORDER_REJECT", "reason": "CLIENT_ORDER", "rejectReason": reason}


def created(order: SimulatedOrder, transaction: Transaction) -> Json:
    """Show an order as its creation does."""
    data = {"type": f"{order.request.tags['type']}_ORDER", "reason": "CLIENT_ORDER"}
    if order.replaces is not None:
        return data | {"reason": "REPLACEMENT", "cancellingTransactionID": venue_id(transaction.id - 1)}
    if "tradeID" in order.request.tags:
        return data | {"reason": "ON_FILL", "orderFillTransactionID": order.request.tags["tradeID"]}
    return data


def filled(transaction: Transaction, effect: Effect, commission: Decimal) -> Json:
    """Show a fill, with the trades it opened, reduced and closed."""
    trade = transaction.execution
    assert trade is not None
    price = plain(trade.price)
    data: Json = {
        "type": "ORDER_FILL",
        "instrument": trade.symbol,
        "units": plain(trade.quantity if trade.side is Side.BUY else -trade.quantity),
        "price": price,
        "fullVWAP": price,
        "reason": f"{transaction.order.request.tags['type']}_ORDER",
        "pl": "0.0000",
        "financing": "0.0000",
        "commission": f"{commission:.4f}",
        "guaranteedExecutionFee": "0.0000",
        "halfSpreadCost": "0.0000",
    }
    parts = [(_part(one.trade_id, units, price), closed) for one, units, closed in effect.reduced]
    if effect.opened:
        data["tradeOpened"] = _part(trade.trade_id, effect.opened, price)
    if closing := [part for part, closed in parts if closed]:
        data["tradesClosed"] = closing
    for part, closed in parts:
        if not closed:
            data["tradeReduced"] = part
    return data


def _part(trade_id: str, units: Decimal, price: str) -> Json:
    return {"tradeID": trade_id, "units": plain(units), "price": price, "halfSpreadCost": "0.0000"}


def ended(order: SimulatedOrder, last: Transaction, effect: Effect | None) -> Json:
    """Show how an order ended; nothing if it has not."""
    state = STATES.get(order.status, "PENDING")
    if state == "CANCELLED":
        data: Json = {"cancellingTransactionID": venue_id(last.id), "cancelledTime": timestamp(last.time)}
        return data if order.replaced_by is None else data | {"replacedByOrderID": order.replaced_by}
    if state != "FILLED" or effect is None or last.execution is None:
        return {}
    data = {"fillingTransactionID": venue_id(last.id), "filledTime": timestamp(last.time)}
    if effect.opened:
        data["tradeOpenedID"] = last.execution.trade_id
    for trade, _, closed in effect.reduced:
        if closed:
            data.setdefault("tradeClosedIDs", []).append(trade.trade_id)
        else:
            data["tradeReducedID"] = trade.trade_id
    return data


def trade_object(trade: OpenedTrade) -> Json:
    """Show one trade, without the orders that depend on it."""
    data: Json = {
        "id": trade.trade_id,
        "instrument": trade.symbol,
        "price": plain(trade.price),
        "openTime": timestamp(trade.opened_at),
        "state": "OPEN" if trade.closed_at is None else "CLOSED",
        "initialUnits": plain(trade.initial_units),
        "currentUnits": plain(trade.units),
        "closingTransactionIDs": list(trade.closing_ids),
    }
    return data if trade.closed_at is None else data | {"closeTime": timestamp(trade.closed_at)}


def instrument_object(item: SimulatedInstrument) -> Json:
    """Show one instrument."""
    return {
        "name": item.symbol,
        "type": "CURRENCY",
        "displayName": item.symbol.replace("_", "/"),
        "pipLocation": int(item.price_tick.adjusted()) + 1,
        "displayPrecision": -item.price_tick.adjusted(),
        "tradeUnitsPrecision": -item.quantity_step.adjusted(),
        "minimumTradeSize": plain(item.min_quantity),
        "maximumOrderUnits": "100000000",
        "maximumPositionSize": "0",
        "marginRate": "0.02",
    }


def venue_id(number: int) -> str:
    """Return OANDA's id of one of the exchange's transactions."""
    return str(number + len(OPENING))


def timestamp(moment: datetime) -> str:
    """Write a time with nine digits (recorded); Python's datetime has six."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}789Z"


def plain(number: Decimal) -> str:
    """Write a number without exponent."""
    return format(number, "f")
