"""How Kraken writes what a simulated exchange holds. Shapes and examples are those of docs.kraken.com and of ccxt 4.5.90, kraken.py."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from logos_core.testing.exchange import (
    OrderRequest,
    OrderStatus,
    OrderType,
    SimulatedExecution,
    SimulatedInstrument,
    SimulatedOrder,
)

WIRE_TYPES = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop-loss": OrderType.STOP,
    "stop-loss-limit": OrderType.STOP_LIMIT,
    "trailing-stop": OrderType.TRAILING_STOP,
}
"""The types of order that are simulated."""

NAMES = {"BTC": ("XXBT", "XBT"), "ETH": ("XETH", "ETH"), "USD": ("ZUSD", "USD"), "EUR": ("ZEUR", "EUR")}
"""What ccxt calls an asset, what Kraken calls it, and Kraken's other name."""
REASONS = {"client": "User requested", "time_in_force": "Immediate or cancel"}  # the first is quoted; the second is inferred


def kraken_id(letter: str, number: int) -> str:
    """Return an id of the form that Kraken gives orders and trades."""
    digits = f"{letter}{number:016d}"
    return f"{digits[:6]}-{digits[6:11]}-{digits[11:]}"


def asset(name: str) -> str:
    """Return Kraken's own name of an asset."""
    return NAMES.get(name, (name, name))[0]


def pair_id(instrument: SimulatedInstrument) -> str:
    """Return Kraken's id of a market."""
    return asset(instrument.base_asset) + asset(instrument.quote_asset)


def altname(instrument: SimulatedInstrument) -> str:
    """Return Kraken's other name of a market, which orders are described with."""
    return "".join(NAMES.get(name, (name, name))[1] for name in (instrument.base_asset, instrument.quote_asset))


def decimals(step: Decimal) -> int:
    """Return how many digits stand behind the point of a step."""
    return max(-int(step.normalize().as_tuple().exponent), 0)


def amount(number: Decimal) -> str:
    """Return an amount of an asset."""
    return f"{number:.10f}"


def _volume(number: Decimal, instrument: SimulatedInstrument) -> str:
    return f"{number:.{decimals(instrument.quantity_step)}f}"


def _price(number: Decimal, instrument: SimulatedInstrument) -> str:
    return f"{number:.{decimals(instrument.price_tick)}f}"


def description(request: OrderRequest, instrument: SimulatedInstrument) -> str:
    """Return an order in words (quoted, of parse_order)."""
    volume = _volume(request.quantity or Decimal(0), instrument)
    first, second = prices(request, instrument)
    words = {
        OrderType.MARKET: "market",
        OrderType.LIMIT: f"limit {first}",
        OrderType.STOP: f"stop loss {first}",
        OrderType.STOP_LIMIT: f"stop loss {first} -> limit {second}",
        OrderType.TRAILING_STOP: f"trailing stop {first}",
    }
    return f"{request.side.value} {volume} {altname(instrument)} @ {words[request.type]}"


def prices(request: OrderRequest, instrument: SimulatedInstrument) -> tuple[str, str]:
    """Return an order's first and second price, as they were given."""
    if request.trail_amount is not None:
        return f"+{_price(request.trail_amount, instrument)}", "0"
    if request.trail_percent is not None:
        return f"+{request.trail_percent:.4f}%", "0"
    given = [value for value in (request.stop_price, request.price) if value is not None]
    first, second = ([_price(value, instrument) for value in given] + ["0", "0"])[:2]
    return first, second


def order(held: SimulatedOrder, instrument: SimulatedInstrument) -> dict[str, Any]:
    """Return one row of OpenOrders or ClosedOrders."""
    request, filled = held.request, held.filled_quantity
    first, second = prices(request, instrument)
    word = next(word for word, kind in WIRE_TYPES.items() if kind is request.type)
    row: dict[str, Any] = {
        "refid": None,
        "userref": None,
        "cl_ord_id": request.client_order_id,
        "status": _status(held),
        "opentm": seconds(held.created_at),
        "starttm": 0,
        "expiretm": 0 if request.expires_at is None else int(request.expires_at.timestamp()),
        "descr": {
            "pair": altname(instrument),
            "type": request.side.value,
            "ordertype": word,
            "price": first,
            "price2": second,
            "leverage": "none",
            "order": description(request, instrument),
            "close": "",
        },
        "vol": _volume(held.quantity, instrument),
        "vol_exec": _volume(filled, instrument),
        "cost": f"{held.filled_notional:.5f}",
        "fee": f"{sum((item.fee[0] for item in held.executions), Decimal(0)):.5f}",
        "price": _price(held.average_price or Decimal(0), instrument),
        "stopprice": _price(held.stop_price or Decimal(0), instrument),
        "limitprice": "0.00000",
        "misc": "stopped" if held.triggered else "",
        "oflags": "fciq,post" if request.post_only else "fciq",
    }
    if not held.is_open:
        row |= {"closetm": seconds(held.updated_at), "reason": REASONS.get(held.reason or "", held.reason)}
    return row


def _status(held: SimulatedOrder) -> str:
    if held.is_open:
        return "open"
    return {OrderStatus.FILLED: "closed", OrderStatus.EXPIRED: "expired"}.get(held.status, "canceled")


def trade(item: SimulatedExecution, of: SimulatedOrder, instrument: SimulatedInstrument) -> dict[str, Any]:
    """Return one row of TradesHistory; its fee is in the quote asset."""
    return {
        "ordertxid": item.order_id,
        "postxid": kraken_id("T", 0),
        "pair": pair_id(instrument),
        "time": seconds(item.time),
        "type": item.side.value,
        "ordertype": of.request.type.value,
        "price": _price(item.price, instrument),
        "cost": f"{item.quantity * item.price:.5f}",
        "fee": f"{item.fee[0]:f}",
        "vol": _volume(item.quantity, instrument),
        "margin": "0.00000",
        "leverage": "0",
        "misc": "",
        "trade_id": int(item.trade_id.replace("-", "")[1:]),
        "maker": of.request.type is OrderType.LIMIT,
    }


def listing(instrument: SimulatedInstrument) -> dict[str, Any]:
    """Return one entry of AssetPairs."""
    return {
        "altname": altname(instrument),
        "wsname": instrument.symbol,
        "aclass_base": "currency",
        "base": asset(instrument.base_asset),
        "aclass_quote": "currency",
        "quote": asset(instrument.quote_asset),
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": decimals(instrument.price_tick),
        "lot_decimals": decimals(instrument.quantity_step),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "ordermin": f"{instrument.min_quantity:f}",
        "costmin": f"{instrument.min_notional:f}",
        "tick_size": f"{instrument.price_tick:f}",
        "status": "online",
    }


def asset_listing(name: str) -> dict[str, Any]:
    """Return one entry of Assets."""
    return {
        "aclass": "currency",
        "altname": NAMES.get(name, (name, name))[1],
        "decimals": 10,
        "display_decimals": 5,
        "status": "enabled",
    }


def seconds(moment: datetime) -> float:
    """Return a time as Kraken writes it."""
    return round(moment.timestamp(), 6)
