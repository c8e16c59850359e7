"""Between logos' words and Kraken's JSON. Pure.

Kraken writes amounts as strings and times as seconds with a fraction. Times are the only numbers read from a float.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from logos_ccxt.reading import EPOCH, integer, json_object, known, number, text
from logos_core.hookspecs import BadAnswerError, Position
from logos_core.orders import (
    Execution,
    ExecutionReport,
    Fee,
    Instrument,
    OrderRequest,
    OrderStatus,
    OrderType,
    PriceBand,
    Side,
    plain,
)

Rows = dict[str, Mapping[str, Any]]
"""Orders or trades by Kraken's own id."""

TYPES = {
    "market": OrderType.MARKET,
    "stop-loss": OrderType.MARKET,
    "take-profit": OrderType.MARKET,
    "trailing-stop": OrderType.MARKET,
    "settle-position": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "iceberg": OrderType.LIMIT,
    "stop-loss-limit": OrderType.LIMIT,
    "take-profit-limit": OrderType.LIMIT,
    "trailing-stop-limit": OrderType.LIMIT,
}
"""Every type Kraken names, by what it is once it trades. From here only market and limit are sent; a person's stop order on the same
account must not make the account unreadable. `raw` keeps the venue's own word."""
AT_ITS_PRICE = frozenset({"limit", "iceberg"})
"""The types whose limit stands in `descr.price`; of the others that is what triggers them."""

SIDES = {"buy": Side.BUY, "sell": Side.SELL}
STATUSES = ("pending", "open", "closed", "canceled", "expired")

_CLIENT_ORDER_ID = re.compile(r"[!-~]{1,18}")
_ADDED = re.compile(r"(?P<type>buy|sell) (?P<vol>[0-9.]+) (?P<pair>\S+) @ (?P<ordertype>market|limit)(?: (?P<price>[0-9.]+))?")


def wire_fields(request: OrderRequest, market_id: str) -> dict[str, str]:
    """Return the parameters of AddOrder but for what the send adds: deadline, nonce and signature.

    `fciq` has the fee taken in the quote asset, in which Kraken tells it.
    """
    if not _CLIENT_ORDER_ID.fullmatch(request.client_order_id):
        raise ValueError(f"client_order_id is {request.client_order_id!r}; Kraken takes 1 to 18 ASCII characters")
    fields = {
        "pair": market_id,
        "type": request.side.value,
        "ordertype": request.order_type.value,
        "volume": plain(request.quantity),
        "cl_ord_id": request.client_order_id,
        "oflags": "fciq",
    }
    if request.order_type is OrderType.LIMIT:
        if request.price is None:
            raise ValueError("a limit order needs a price")
        fields["price"] = plain(request.price)
        fields["timeinforce"] = request.time_in_force.value.upper()
    return fields


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
    if found is None or found["pair"] != pair or (found["ordertype"] == "limit") is (found["price"] is None):
        raise BadAnswerError(f"the answer describes {words!r}")
    said = found.groupdict()
    return ExecutionReport(
        client_order_id=request.client_order_id,
        venue_order_id=ids[0],
        symbol=request.symbol,
        side=SIDES[said["type"]],
        order_type=TYPES[said["ordertype"]],
        quantity=number(said, "vol"),
        price=None if said["price"] is None else number(said, "price"),
        time_in_force=None,
        status=OrderStatus.PENDING_NEW,
        filled_quantity=Decimal(0),
        average_price=None,
        raw=result,
    )


def report(order_id: str, body: object, symbol_of: Callable[[str], str]) -> ExecutionReport:
    """Return what a row of OpenOrders or ClosedOrders says. Neither tells the time in force."""
    order = json_object(body)
    described = json_object(order.get("descr"))
    filled = number(order, "vol_exec")
    quantity = number(order, "vol")
    status = _status(order, quantity, filled)
    return ExecutionReport(
        client_order_id=client_order_id(order),
        venue_order_id=order_id,
        symbol=symbol_of(text(described, "pair")),
        side=known(SIDES, described, "type"),
        order_type=known(TYPES, described, "ordertype"),
        quantity=quantity,
        price=_price(order, described),
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


def _price(order: Mapping[str, Any], described: Mapping[str, Any]) -> Decimal | None:
    word = text(described, "ordertype")
    if word in AT_ITS_PRICE:
        return number(described, "price")
    # Until it is triggered, the limit of another type may stand there as a distance, such as +5%.
    return number(order, "limitprice") or None if TYPES.get(word) is OrderType.LIMIT else None


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
    held = {code_of(asset): number(json_object(row), "balance") for asset, row in json_object(body).items()}
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
