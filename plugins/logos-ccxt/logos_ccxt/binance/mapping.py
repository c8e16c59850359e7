"""Between logos' words and Binance's JSON. Pure. Binance writes amounts as strings and ids and times as whole numbers."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from logos_ccxt.reading import EPOCH, integer, json_object, known, number, objects, text
from logos_core.hookspecs import BadAnswerError, Position
from logos_core.instruments import Instrument, PriceBand
from logos_core.orders import OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from logos_core.reports import Execution, ExecutionReport, Fee
from logos_core.values import plain

SymbolOf = Callable[[str], str]
"""Returns the unified symbol of a market id, or raises `BadAnswerError`."""

STATUSES = {
    "PENDING_NEW": OrderStatus.PENDING_NEW,
    "NEW": OrderStatus.NEW,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "PENDING_CANCEL": OrderStatus.PENDING_CANCEL,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}

TYPES = {
    "MARKET": OrderType.MARKET,
    "STOP_LOSS": OrderType.STOP,
    "TAKE_PROFIT": OrderType.MARKET,
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "STOP_LOSS_LIMIT": OrderType.STOP_LIMIT,
    "TAKE_PROFIT_LIMIT": OrderType.LIMIT,
}
"""Every type of the specification. The two TAKE_PROFIT ones are not sent from here and stand by what they are once they trade: a
person's order on the same account must not make the account unreadable. `raw` keeps the venue's own word."""

WIRE_TYPES = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP: "STOP_LOSS",
    OrderType.STOP_LIMIT: "STOP_LOSS_LIMIT",
    OrderType.TRAILING_STOP: "STOP_LOSS",
}
BASIS_POINTS = 100
"""How many of them are one percent."""

SIDES = {"BUY": Side.BUY, "SELL": Side.SELL}
TIMES_IN_FORCE = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}

_CLIENT_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")


def wire_fields(request: OrderRequest, market_id: str) -> dict[str, str]:
    """Return the parameters of `POST /api/v3/order` but for what signing adds: timestamp, recvWindow and signature.

    Without a newClientOrderId ccxt would invent one, so it is checked here and never left out.
    """
    if not _CLIENT_ORDER_ID.fullmatch(request.client_order_id):
        raise ValueError(f"client_order_id is {request.client_order_id!r}; Binance takes 1 to 36 of A-Z a-z 0-9 _ -")
    fields = {
        "symbol": market_id,
        "side": request.side.value.upper(),
        "type": "LIMIT_MAKER" if request.post_only else WIRE_TYPES[request.order_type],
        "newClientOrderId": request.client_order_id,
        "newOrderRespType": "FULL",
    }
    numbers = {
        "quantity": request.quantity,
        "quoteOrderQty": request.notional,
        "price": request.price,
        "stopPrice": request.stop_price,
        "trailingDelta": None if request.trail_percent is None else request.trail_percent * BASIS_POINTS,
    }
    fields |= {name: plain(value) for name, value in numbers.items() if value is not None}
    if request.order_type in {OrderType.LIMIT, OrderType.STOP_LIMIT}:
        if request.price is None:
            raise ValueError("a limit order needs a price")
        if not request.post_only:
            fields["timeInForce"] = request.time_in_force.value.upper()
    if request.in_place_of is not None:  # refused if the order has traded, or has ended: then nothing new is placed
        fields |= {"cancelOrderId": request.in_place_of, "cancelReplaceMode": "STOP_ON_FAILURE", "cancelRestrictions": "ONLY_NEW"}
    return fields


def report(body: object, symbol_of: SymbolOf) -> ExecutionReport:
    """Return what an order says: the answer to a submit in its FULL form, or an order that was asked for."""
    order = json_object(body)
    order_type = known(TYPES, order, "type")
    trails = integer(order, "trailingDelta") if order.get("trailingDelta") is not None else 0
    if order_type is OrderType.STOP and trails > 0:
        order_type = OrderType.TRAILING_STOP
    filled, worth = number(order, "executedQty"), number(order, "cummulativeQuoteQty")
    symbol = symbol_of(text(order, "symbol"))
    side = known(SIDES, order, "side")
    return ExecutionReport(
        client_order_id=text(order, "clientOrderId"),
        venue_order_id=str(integer(order, "orderId")),
        symbol=symbol,
        side=side,
        order_type=order_type,
        quantity=number(order, "origQty"),
        price=number(order, "price") if order_type in _LIMITED else None,
        stop_price=number(order, "stopPrice") if order_type in _STOPPED else None,
        trail_percent=Decimal(trails) / BASIS_POINTS if trails > 0 else None,
        notional=_notional(order),
        # Of an order without a limit Binance says GTC, which means nothing.
        time_in_force=known(TIMES_IN_FORCE, order, "timeInForce") if order_type in _LIMITED else None,
        status=known(STATUSES, order, "status"),
        filled_quantity=filled,
        # A negative sum is Binance's word for "no longer known".
        average_price=worth / filled if filled > 0 and worth >= 0 else None,
        executions=_fills(order, symbol, side),
        venue_time=timestamp(order, "transactTime" if "transactTime" in order else "updateTime"),
        raw=order,
    )


_LIMITED = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_STOPPED = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})


def _notional(order: Mapping[str, Any]) -> Decimal | None:
    """Return what an order was for in the quote asset; zero is Binance's word for "by quantity"."""
    if order.get("origQuoteOrderQty") is None:
        return None
    return number(order, "origQuoteOrderQty") or None


def _fills(order: Mapping[str, Any], symbol: str, side: Side) -> tuple[Execution, ...]:
    """Return the trades an answer in the FULL form carries. The specification does not promise their ids; then a lookup tells."""
    fills = objects(order.get("fills", []))
    if any("tradeId" not in fill for fill in fills):
        return ()
    return tuple(
        Execution(
            execution_id=_execution_id(order, integer(fill, "tradeId")),
            venue_order_id=str(integer(order, "orderId")),
            client_order_id=text(order, "clientOrderId"),
            symbol=symbol,
            side=side,
            quantity=number(fill, "qty"),
            price=number(fill, "price"),
            fees=_fees(fill),
            executed_at=timestamp(order, "transactTime"),
        )
        for fill in fills
    )


def execution(body: object, symbol_of: SymbolOf, client_order_id: str | None) -> Execution:
    """Return what a row of `GET /api/v3/myTrades` says. It names the order by the venue's id only.

    A row stands once it is there: the specification knows neither a corrected nor a busted trade.
    """
    trade = json_object(body)
    buyer = trade.get("isBuyer")
    if not isinstance(buyer, bool):
        raise BadAnswerError(f"isBuyer is {buyer!r}")
    return Execution(
        execution_id=_execution_id(trade, integer(trade, "id")),
        venue_order_id=str(integer(trade, "orderId")),
        client_order_id=client_order_id,
        symbol=symbol_of(text(trade, "symbol")),
        side=Side.BUY if buyer else Side.SELL,
        quantity=number(trade, "qty"),
        price=number(trade, "price"),
        fees=_fees(trade),
        executed_at=timestamp(trade, "time"),
    )


def _execution_id(body: Mapping[str, Any], number_of_trade: int) -> str:
    """Return an id that is unique for the account: Binance numbers trades per market."""
    return f"{text(body, 'symbol')}:{number_of_trade}"


def _fees(trade: Mapping[str, Any]) -> tuple[Fee, ...]:
    return (Fee(amount=number(trade, "commission"), asset=text(trade, "commissionAsset")),)


def successor(body: object) -> object:
    """Return the new order of an answer to cancelReplace, if both of its halves succeeded."""
    answer = json_object(body)
    done = (answer.get("cancelResult"), answer.get("newOrderResult"))
    if done != ("SUCCESS", "SUCCESS"):
        raise BadAnswerError(f"cancelReplace was answered with {done[0]} and {done[1]}")
    return answer.get("newOrderResponse")


def instrument(body: object, symbol: str) -> Instrument:
    """Return the grid of one entry of `GET /api/v3/exchangeInfo`."""
    market = json_object(body)
    filters = {text(item, "filterType"): item for item in objects(market.get("filters"))}
    try:
        prices, lots = filters["PRICE_FILTER"], filters["LOT_SIZE"]
    except KeyError as error:
        raise BadAnswerError(f"{symbol} has no filter {error}") from None
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL")
    step = number(lots, "stepSize") or _smallest(market, "baseAssetPrecision")
    return Instrument(
        symbol=symbol,
        base_asset=text(market, "baseAsset"),
        quote_asset=text(market, "quoteAsset"),
        price_bands=(PriceBand(at_least=Decimal(0), tick=number(prices, "tickSize") or _smallest(market, "quoteAssetPrecision")),),
        quantity_step=step,
        min_quantity=number(lots, "minQty") or step,
        max_quantity=number(lots, "maxQty") or None,
        min_notional=number(notional, "minNotional") if notional else None,
    )


def _smallest(market: Mapping[str, Any], name: str) -> Decimal:
    """Return the unit of an asset; a step of zero means that only this holds."""
    return Decimal(1).scaleb(-integer(market, name))


def positions(body: object) -> tuple[Position, ...]:
    """Return what an account holds, free or locked."""
    held = objects(json_object(body).get("balances"))
    found = [Position(symbol=text(row, "asset"), quantity=number(row, "free") + number(row, "locked")) for row in held]
    return tuple(position for position in found if position.quantity)


def account_id(body: object) -> str:
    """Return the number that names an account."""
    return str(integer(json_object(body), "uid"))


def timestamp(body: object, name: str) -> datetime:
    """Return a time that is given in milliseconds."""
    try:
        return EPOCH + timedelta(milliseconds=integer(json_object(body), name))
    except OverflowError:
        raise BadAnswerError(f"{name} is no time") from None
