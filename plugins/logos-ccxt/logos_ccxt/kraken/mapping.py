"""Between logos' words and Kraken's JSON. Pure.

Kraken writes amounts as strings and times as seconds with a fraction. Times are the only numbers read from a float.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from logos_ccxt.reading import EPOCH, integer, json_object, known, milliseconds, number, text
from logos_core.hookspecs import BadAnswerError, Position
from logos_core.instruments import Instrument, PriceBand
from logos_core.orders import OrderRequest, OrderStatus, OrderType, Side
from logos_core.reports import Execution, ExecutionReport, Fee
from logos_core.values import plain

Rows = dict[str, Mapping[str, Any]]
"""Orders or trades by Kraken's own id."""

WIRE_TYPES = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP: "stop-loss",
    OrderType.STOP_LIMIT: "stop-loss-limit",
    OrderType.TRAILING_STOP: "trailing-stop",
}
"""What each type of order is called when it is sent."""
TYPES = {
    **{word: kind for kind, word in WIRE_TYPES.items()},
    "take-profit": OrderType.MARKET,
    "settle-position": OrderType.MARKET,
    "iceberg": OrderType.LIMIT,
    "take-profit-limit": OrderType.LIMIT,
    "trailing-stop-limit": OrderType.TRAILING_STOP,
}
"""Every type Kraken names. Some are never sent from here: what a person has ordered on the same account must not make it unreadable.
`raw` keeps the venue's own word."""

SIDES = {"buy": Side.BUY, "sell": Side.SELL}
STATUSES = ("pending", "open", "closed", "canceled", "expired")

_CLIENT_ORDER_ID = re.compile(r"[!-~]{1,18}")
_ADDED = re.compile(
    r"(?P<type>buy|sell) (?P<volume>[0-9.]+) (?P<pair>\S+) @ "
    r"(?:market|limit (?P<price>[0-9.]+)|stop loss (?P<stop>[0-9.]+)(?: -> limit (?P<then>[0-9.]+))?"
    r"|trailing stop \+(?P<trail>[0-9.]+)(?P<percent>%?))"
)
"""How Kraken describes an order (docs.kraken.com, rest-api/add-order; ccxt 4.5.90, kraken.py, parse_order)."""
_TRAIL = re.compile(r"\+(?P<trail>[0-9.]+)(?P<percent>%?)")
_ABSOLUTE = re.compile(r"[0-9]+(\.[0-9]+)?")


def wire_fields(request: OrderRequest, market_id: str) -> dict[str, str]:
    """Return the parameters of AddOrder but for what the send adds: deadline, nonce and signature.

    `fciq` has the fee taken in the quote asset, in which Kraken tells it.
    """
    if not _CLIENT_ORDER_ID.fullmatch(request.client_order_id):
        raise ValueError(f"client_order_id is {request.client_order_id!r}; Kraken takes 1 to 18 ASCII characters")
    if request.quantity is None:
        raise ValueError("an order by notional is not sent from here")
    fields = {
        "pair": market_id,
        "type": request.side.value,
        "ordertype": WIRE_TYPES[request.order_type],
        "volume": plain(request.quantity),
        "cl_ord_id": request.client_order_id,
        "oflags": "fciq,post" if request.post_only else "fciq",
        **_prices(request),
    }
    if request.order_type is OrderType.LIMIT:
        fields["timeinforce"] = request.time_in_force.value.upper()
    if request.expires_at is not None:
        fields["expiretm"] = str(milliseconds(request.expires_at) // 1000)
    return fields


def _prices(request: OrderRequest) -> dict[str, str]:
    """Return the one or two prices of an order: of a triggered one, the first is what triggers it."""
    first, second = request.price, None
    if request.stop_price is not None:
        first, second = request.stop_price, request.price
    if request.trail_amount is not None:
        return {"price": f"+{plain(request.trail_amount)}"}
    if request.trail_percent is not None:
        return {"price": f"+{plain(request.trail_percent)}%"}
    given = {"price": first, "price2": second}
    return {name: plain(value) for name, value in given.items() if value is not None}


def rfc3339(moment: datetime) -> str:
    """Return a time as a deadline is written: to the millisecond, rounded down, so that it never comes later than meant."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def added(body: object, request: OrderRequest, pair: str) -> ExecutionReport:
    """Return what the answer to AddOrder says.

    It names the order's new id and describes the order in words. It repeats neither the client order id nor says what became of the
    order, so the report says no more than that the venue has it.

    Args:
        pair: the other name of the market, under which the words speak of it.
    """
    result = json_object(body)
    ids = result.get("txid")
    if not isinstance(ids, list) or len(ids) != 1 or not isinstance(ids[0], str) or not ids[0]:
        raise BadAnswerError(f"txid is {ids!r}, not one id")
    words = text(json_object(result.get("descr")), "order")
    found = _ADDED.fullmatch(words)
    if found is None or found["pair"] != pair:
        raise BadAnswerError(f"the answer describes {words!r}")
    said = {name: value for name, value in found.groupdict().items() if value is not None}
    trail_amount, trail_percent = _trail(said)
    limit = "then" if "then" in said else "price"
    return ExecutionReport(
        client_order_id=request.client_order_id,
        venue_order_id=ids[0],
        symbol=request.symbol,
        side=SIDES[said["type"]],
        order_type=_described_type(said),
        quantity=number(said, "volume"),
        price=number(said, limit) if limit in said else None,
        stop_price=number(said, "stop") if "stop" in said else None,
        trail_amount=trail_amount,
        trail_percent=trail_percent,
        time_in_force=None,
        status=OrderStatus.PENDING_NEW,
        filled_quantity=Decimal(0),
        average_price=None,
        raw=result,
    )


def _described_type(said: Mapping[str, str]) -> OrderType:
    if "trail" in said:
        return OrderType.TRAILING_STOP
    if "stop" in said:
        return OrderType.STOP_LIMIT if "then" in said else OrderType.STOP
    return OrderType.LIMIT if "price" in said else OrderType.MARKET


def _trail(said: Mapping[str, str]) -> tuple[Decimal | None, Decimal | None]:
    """Return how far a trailing stop follows: by an amount, or by a percentage."""
    if "trail" not in said:
        return None, None
    distance = number(said, "trail")
    return (None, distance) if said["percent"] else (distance, None)


def report(order_id: str, body: object, symbol_of: Callable[[str], str]) -> ExecutionReport:
    """Return what a row of OpenOrders or ClosedOrders says. Neither tells the time in force."""
    order = json_object(body)
    described = json_object(order.get("descr"))
    filled = number(order, "vol_exec")
    quantity = number(order, "vol")
    status = _status(order, quantity, filled)
    order_type = known(TYPES, described, "ordertype")
    price, stop_price = _priced(order, described, order_type)
    trailing = _TRAIL.fullmatch(text(described, "price")) if order_type is OrderType.TRAILING_STOP else None
    trail_amount, trail_percent = _trail(trailing.groupdict() if trailing else {})
    return ExecutionReport(
        client_order_id=client_order_id(order),
        venue_order_id=order_id,
        symbol=symbol_of(text(described, "pair")),
        side=known(SIDES, described, "type"),
        order_type=order_type,
        quantity=quantity,
        price=price,
        stop_price=stop_price,
        trail_amount=trail_amount,
        trail_percent=trail_percent,
        time_in_force=None,
        status=status,
        filled_quantity=filled,
        average_price=number(order, "price") if filled else None,
        venue_time=moment(order, "closetm" if status.is_final else "opentm"),
        raw=order,
    )


def client_order_id(order: Mapping[str, Any]) -> str | None:
    """Return the id a client gave an order; not every one has."""
    value = order.get("cl_ord_id")
    if value is not None and not isinstance(value, str):
        raise BadAnswerError(f"cl_ord_id is {value!r}")
    return value or None


def _status(order: Mapping[str, Any], quantity: Decimal, filled: Decimal) -> OrderStatus:
    """Return the status: `open` says nothing of a partial fill, and `closed` is only as good as the amounts."""
    word = text(order, "status")
    if word not in STATUSES:
        raise BadAnswerError(f"status is {word!r}, which logos does not know")
    if word == "closed":
        return OrderStatus.FILLED if filled == quantity else OrderStatus.CANCELED
    if word == "open":
        return OrderStatus.PARTIALLY_FILLED if filled else OrderStatus.NEW
    return {"pending": OrderStatus.PENDING_NEW, "canceled": OrderStatus.CANCELED, "expired": OrderStatus.EXPIRED}[word]


def _priced(order: Mapping[str, Any], described: Mapping[str, Any], order_type: OrderType) -> tuple[Decimal | None, Decimal | None]:
    """Return the limit and the stop price of an order.

    Somebody else may have given a price as a distance, such as +5%; then what it has come to stands in the order itself.
    """
    if text(described, "ordertype") in {"limit", "iceberg"}:
        return number(described, "price"), None
    limit = _absolute(described, "price2", order, "limitprice") if text(described, "ordertype").endswith("limit") else None
    if order_type is OrderType.TRAILING_STOP:
        return limit, None  # it moves, and an order does not tell when; what is kept of it would be old
    if order_type in {OrderType.STOP, OrderType.STOP_LIMIT}:
        return limit, _absolute(described, "price", order, "stopprice")
    return limit, None


def _absolute(described: Mapping[str, Any], name: str, order: Mapping[str, Any], otherwise: str) -> Decimal | None:
    value = described.get(name)
    if isinstance(value, str) and _ABSOLUTE.fullmatch(value):
        return Decimal(value) or None
    return number(order, otherwise) or None


def execution(trade_id: str, body: object, market_of: Callable[[str], tuple[str, str]], client_order_id: str | None) -> Execution:
    """Return what a row of TradesHistory says. It names the order by Kraken's id only.

    Args:
        market_of: returns the symbol and the quote asset of a market.
    """
    trade = json_object(body)
    symbol, quote = market_of(text(trade, "pair"))
    return Execution(
        execution_id=trade_id,
        venue_order_id=text(trade, "ordertxid"),
        client_order_id=client_order_id,
        symbol=symbol,
        side=known(SIDES, trade, "type"),
        quantity=number(trade, "vol"),
        price=number(trade, "price"),
        fees=(Fee(amount=number(trade, "fee"), asset=quote),),
        executed_at=moment(trade, "time"),
    )


def instrument(body: object, symbol: str, base: str, quote: str) -> Instrument:
    """Return the grid of one entry of AssetPairs."""
    market = json_object(body)
    if integer(market, "lot_multiplier") != 1:
        raise BadAnswerError(f"{symbol} is counted in lots of {market['lot_multiplier']}, which logos does not know")
    step = Decimal(1).scaleb(-integer(market, "lot_decimals"))
    tick = number(market, "tick_size") if "tick_size" in market else Decimal(1).scaleb(-integer(market, "pair_decimals"))
    return Instrument(
        symbol=symbol,
        base_asset=base,
        quote_asset=quote,
        price_bands=(PriceBand(at_least=Decimal(0), tick=tick),),
        quantity_step=step,
        min_quantity=number(market, "ordermin"),
        min_notional=number(market, "costmin") if "costmin" in market else None,
    )


def positions(body: object, code_of: Callable[[str], str]) -> tuple[Position, ...]:
    """Return what an account holds, free or held for orders."""
    held: dict[str, Decimal] = {}
    for asset, row in json_object(body).items():
        # What earns by itself is traded under the plain name (docs.kraken.com, rest-api/get-extended-balance).
        code = code_of(asset.removesuffix(".F"))
        held[code] = held.get(code, Decimal(0)) + number(json_object(row), "balance")
    return tuple(Position(symbol=asset, quantity=quantity) for asset, quantity in sorted(held.items()) if quantity)


def account_id(body: object) -> str:
    """Return the number of the account that a key belongs to, or say why the key will not do.

    With a window behind the latest nonce a request delivered twice would be two orders. A key that sees only part of the history
    would show an order's absence where there is none.
    """
    key = json_object(body)
    if key.get("nonceWindow") not in {0, "0"}:
        raise BadAnswerError(
            f"the key's nonce window is {key.get('nonceWindow')!r}; set it to 0, or one request could make two orders"
        )
    for name in ("queryFrom", "queryTo"):
        if key.get(name) not in {0, "0"}:
            raise BadAnswerError(f"the key's {name} is {key.get(name)!r}; use a key that sees the whole history of the account")
    return text(key, "iban").replace(" ", "")


def rows(result: object, name: str) -> Rows:
    """Return the orders or trades of an answer, by their ids."""
    found = json_object(json_object(result).get(name))
    return {key: json_object(row) for key, row in found.items()}


def count(result: object) -> int:
    """Return how many rows there are on all pages together."""
    return integer(json_object(result), "count")


def moment(body: Mapping[str, Any], name: str) -> datetime:
    """Return a time that is given in seconds."""
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadAnswerError(f"{name} is {value!r}, not a time")
    try:
        return EPOCH + timedelta(seconds=value)
    except (OverflowError, ValueError):
        raise BadAnswerError(f"{name} is no time") from None
