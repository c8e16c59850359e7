"""Show what the exchange holds in Alpaca's shapes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from logos_core.testing.exchange import (
    OrderStatus,
    Side,
    SimulatedExecution,
    SimulatedInstrument,
    SimulatedOrder,
    TimeInForce,
)

NULL_FIELDS = (
    "expired_at", "failed_at", "hwm", "legs", "notional", "ratio_qty", "replaced_at", "replaced_by", "replaces",
    "source", "stop_price", "subtag", "trail_percent", "trail_price",
)  # fmt: skip
# Timestamps carry nanoseconds (recorded); Python's datetime does not, so every one ends in these.
NANOSECONDS = 789


def order_object(order: SimulatedOrder, instrument: SimulatedInstrument, status: str) -> dict[str, Any]:
    """Show one order under one of Alpaca's words for its status, without its legs."""
    request, average = order.request, order.average_price
    lasts = timedelta(days=90 if request.time_in_force is TimeInForce.GTC else 1)
    return dict.fromkeys(NULL_FIELDS) | _moments(order) | _prices(order, instrument) | {
        "id": order.order_id,
        "client_order_id": order.client_order_id,
        "expires_at": timestamp(order.created_at + lasts),
        "asset_id": asset_id(instrument),
        "asset_class": asset_class(instrument),
        "symbol": order.symbol,
        # specification: qty of an order by notional is null
        "qty": plain(order.quantity) if request.notional is None else None,
        "notional": _plain_or_none(request.notional),
        "filled_qty": plain(order.filled_quantity),
        "filled_avg_price": None if average is None else plain(round(average, 9)),
        "order_class": request.tags.get("order_class", ""),  # recorded: an empty word means simple
        "order_type": request.type.value,
        "type": request.type.value,
        "side": request.side.value,
        "position_intent": "buy_to_open" if request.side is Side.BUY else "sell_to_close",
        "time_in_force": request.time_in_force.value,
        "status": status,
        "replaces": order.replaces,
        "replaced_by": order.replaced_by,
        "extended_hours": request.tags.get("extended_hours", False),
    }  # fmt: skip


def _moments(order: SimulatedOrder) -> dict[str, Any]:
    ended_at, done = timestamp(order.updated_at), order.status
    names = {
        "filled_at": OrderStatus.FILLED,
        "canceled_at": OrderStatus.CANCELED,
        "expired_at": OrderStatus.EXPIRED,
        "replaced_at": OrderStatus.REPLACED,
        "failed_at": OrderStatus.REJECTED,
    }
    began = dict.fromkeys(("created_at", "submitted_at"), timestamp(order.created_at))
    return began | {"updated_at": ended_at} | {name: ended_at if done is status else None for name, status in names.items()}


def _prices(order: SimulatedOrder, instrument: SimulatedInstrument) -> dict[str, Any]:
    request, stop = order.request, order.stop_price
    on_grid = None if stop is None else stop.quantize(instrument.price_tick, ROUND_HALF_EVEN)
    return {
        "limit_price": _plain_or_none(request.price),
        "stop_price": _plain_or_none(on_grid),
        "trail_price": _plain_or_none(request.trail_amount),
        "trail_percent": _plain_or_none(request.trail_percent),
        "hwm": _plain_or_none(order.high_water_mark),
    }


def activity_object(execution: SimulatedExecution, order: SimulatedOrder) -> dict[str, Any]:
    """Show one trade, with its order as the trade left it."""
    return {
        "id": activity_id(execution),
        "activity_type": "FILL",
        "transaction_time": timestamp(execution.time),
        "type": "fill" if order.status is OrderStatus.FILLED else "partial_fill",
        "price": plain(execution.price),
        "qty": plain(execution.quantity),
        "side": execution.side.value,
        "symbol": execution.symbol,
        "leaves_qty": plain(order.leaves_quantity),
        "order_id": execution.order_id,
        "cum_qty": plain(order.filled_quantity),
        "order_status": order.status.value,
    }


def asset_object(instrument: SimulatedInstrument) -> dict[str, Any]:
    """Show one asset."""
    is_share = asset_class(instrument) == "us_equity"
    data: dict[str, Any] = {
        "id": asset_id(instrument),
        "class": asset_class(instrument),
        "exchange": "NASDAQ" if is_share else "CRYPTO",
        "symbol": instrument.symbol,
        "name": instrument.symbol,
        "status": "active",
        "tradable": True,
        "marginable": is_share,
        "shortable": is_share,
        "easy_to_borrow": is_share,
        "fractionable": True,
        "attributes": [],
    }
    if not is_share:
        data["min_order_size"] = plain(instrument.min_quantity)
        data["min_trade_increment"] = plain(instrument.quantity_step)
        data["price_increment"] = plain(instrument.price_tick)
    return data


def timestamp(moment: datetime) -> str:
    """Write a time, with the nanoseconds Alpaca has and the clock has not."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}{NANOSECONDS}Z"


def _new_york() -> tzinfo:
    try:
        return ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:  # A system without a time zone database: nothing reads this prefix as a time.
        return timezone(timedelta(hours=-5))


def activity_id(execution: SimulatedExecution) -> str:
    """Write the id of a FILL activity."""
    local = execution.time.astimezone(_new_york())  # recorded: the prefix is New York's local time
    return f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03d}::{execution.trade_id}"


def position(instrument: SimulatedInstrument, quantity: Decimal) -> dict[str, Any]:
    """Show one position, as one bought at the last price, which has not moved since: the exchange keeps no cost basis."""
    unmoved = ("unrealized_pl", "unrealized_plpc", "unrealized_intraday_pl", "unrealized_intraday_plpc", "change_today")
    return dict.fromkeys(unmoved, "0") | {
        "asset_id": asset_id(instrument),
        "symbol": instrument.symbol.replace("/", ""),  # specification: positions spell pairs without a slash
        "exchange": "NASDAQ" if asset_class(instrument) == "us_equity" else "CRYPTO",
        "asset_class": asset_class(instrument),
        "asset_marginable": asset_class(instrument) == "us_equity",
        "avg_entry_price": plain(instrument.last),
        "qty": plain(quantity),
        "qty_available": plain(quantity),
        "side": "long" if quantity > 0 else "short",
        "market_value": plain(quantity * instrument.last),
        "cost_basis": plain(quantity * instrument.last),
        "current_price": plain(instrument.last),
        "lastday_price": plain(instrument.last),
    }


def asset_class(instrument: SimulatedInstrument) -> str:
    """Return what an asset is; a slash makes it a coin."""
    return "crypto" if "/" in instrument.symbol else "us_equity"


def asset_id(instrument: SimulatedInstrument) -> str:
    """Return the id of an asset."""
    return str(uuid5(NAMESPACE_URL, f"asset/{instrument.symbol}"))


def plain(number: Decimal) -> str:
    """Write a number without exponent or trailing zeros."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _plain_or_none(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)
