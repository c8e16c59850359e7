"""Between logos' words and OANDA's JSON. Pure; a field that is missing or unknown is a `BadAnswerError`, never a guess.

Rules:

1. An order's id is the id of the transaction that created it; its fills and its end are transactions that name it. So what an
   order is now is told from the log alone, the same way for the answer to an order, a lookup and a snapshot.
2. `units` carries the side: positive buys, negative sells.
3. An order that cannot rest (market, FOK, IOC) and has traded less than it asked for is over, whether or not a cancel is logged.
4. TIME_IN_FORCE_EXPIRED is EXPIRED for an order that rested until its time was over. What could not rest and did not fill is
   CANCELED, as in FIX, and so is everything that ended for another reason.
5. What an execution cost is `commission` and `guaranteedExecutionFee`, in the account's currency. `halfSpreadCost` is part of the
   price already, `financing` and `pl` belong to the position (specification, OrderFillTransaction; that the half spread is not
   charged besides is inferred from its description as a value that may be negative).
6. A fill stands once it is logged: no type of transaction corrects or busts one (specification, TransactionType).
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from attrs import frozen

from logos_core.hookspecs import BadAnswerError, Position
from logos_core.instruments import Instrument, PriceBand
from logos_core.orders import OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from logos_core.reports import Execution, ExecutionReport, Fee
from logos_core.values import plain
from logos_oanda import legs
from logos_oanda.errors import DUPLICATE
from logos_oanda.words import TO_WIRE, Row, client_id, number, row, rows, side_of, text, time_in_force, timestamp

TYPES = {"MARKET": OrderType.MARKET, "LIMIT": OrderType.LIMIT, "STOP": OrderType.STOP}
OTHER_TYPES = frozenset(
    {
        "MARKET_IF_TOUCHED",
        "TAKE_PROFIT",
        "STOP_LOSS",
        "GUARANTEED_STOP_LOSS",
        "TRAILING_STOP_LOSS",
        "FIXED_PRICE",
        "ONE_CANCELS_ALL",
    }
)
"""Orders that logos never sends. Some have neither instrument nor units, so they cannot be reported; their fills are."""

_ZERO = Decimal(0)


@frozen
class Traded:
    """What an order has traded so far."""

    quantity: Decimal = _ZERO
    notional: Decimal = _ZERO

    def plus(self, executions: Iterable[Execution]) -> "Traded":
        """Return the sum with some more executions."""
        for execution in executions:
            self = Traded(self.quantity + execution.quantity, self.notional + execution.quantity * execution.price)  # noqa: PLW0642
        return self


def wire_fields(request: OrderRequest) -> dict[str, Any]:
    """Return the `order` of `POST /v3/accounts/{accountID}/orders`; the SDK's own models would round the numbers."""
    if request.quantity is None:
        raise ValueError("OANDA takes no order by notional")
    units = request.quantity if request.side is Side.BUY else -request.quantity
    fields: dict[str, Any] = {
        "type": request.order_type.name,
        "instrument": request.symbol,
        "units": plain(units),
        "timeInForce": TO_WIRE[request.time_in_force],
        "positionFill": "REDUCE_ONLY" if request.reduce_only else "DEFAULT",
        "clientExtensions": {"id": request.client_order_id},
        **legs.on_fill(request),
    }
    price = request.stop_price if request.order_type is OrderType.STOP else request.price
    if price is not None:
        fields["price"] = plain(price)
    if request.expires_at is not None:
        fields["gtdTime"] = request.expires_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return fields


def created(body: object, currency: str) -> ExecutionReport:
    """Return what the 201 to an order says."""
    answer = row(body)
    if "orderReissueTransaction" in answer or "orderReissueRejectTransaction" in answer:
        raise BadAnswerError("the order was filled in part and reissued under another id, which logos does not follow")
    names = ("orderCreateTransaction", "orderFillTransaction", "orderCancelTransaction")
    transactions = [row(answer[name]) for name in names if name in answer]
    if "orderCreateTransaction" not in answer:
        raise BadAnswerError("the answer to an order has no orderCreateTransaction")
    creation, *followed = transactions
    number(creation, "id")
    if any(text(item, "orderID") != text(creation, "id") for item in followed):
        raise BadAnswerError(f"the answer to order {creation['id']} is about another order, too")
    return history(transactions, text(creation, "id"), currency, raw=answer)


def replaced(body: object, original: str, currency: str) -> ExecutionReport:
    """Return what the 201 to a replacement says of the new order, once it is sure that it ended the original one."""
    answer = dict(row(body))
    ended = row(answer.pop("orderCancelTransaction", None))
    if ended.get("orderID") != original:
        raise BadAnswerError(f"asked to replace {original}, the answer is about {ended.get('orderID')}")
    if "replacingOrderCancelTransaction" in answer:
        answer["orderCancelTransaction"] = answer.pop("replacingOrderCancelTransaction")
    return created(answer, currency)


def history(
    transactions: Sequence[Row], order_id: str, currency: str, *, before: Traded = Traded(), raw: Row | None = None
) -> ExecutionReport:
    """Return what the log says of one order.

    Args:
        transactions: the log, from the order's creation on, or the creation and what followed `before`.
        order_id: the id of the order, which is that of its creation.
        currency: of the account, for the fees.
        before: what it had traded earlier.
        raw: what to keep as evidence, if not the order's own transactions.
    """
    own = [item for item in transactions if order_id in {item.get("id"), item.get("orderID")}]
    if not own or own[0].get("id") != order_id:
        raise BadAnswerError(f"the log does not show the creation of order {order_id}")
    creation = own[0]
    order_type = _type(text(creation, "type").removesuffix("_ORDER"))
    done = [item for item in own if item.get("type") == "ORDER_FILL"]
    fills = tuple(execution for item in done for execution in executions(item, currency))
    ends = [item for item in own if item.get("type") == "ORDER_CANCEL"]
    traded, units = before.plus(fills), number(creation, "units")
    rests_for = time_in_force(creation)
    return ExecutionReport(
        client_order_id=client_id(creation),
        venue_order_id=order_id,
        symbol=text(creation, "instrument"),
        side=side_of(units),
        order_type=order_type,
        quantity=abs(units),
        price=_limit(creation, order_type),
        stop_price=_trigger(creation, order_type),
        time_in_force=rests_for,
        status=_status(traded.quantity, abs(units), ends, rests=_rests(order_type, rests_for)),
        filled_quantity=traded.quantity,
        average_price=_average(traded),
        replaced_by=ends[-1].get("replacedByOrderID") if ends else None,
        legs=_legs(transactions, creation, done),
        executions=fills,
        venue_time=timestamp(text(own[-1], "time")),
        raw=raw if raw is not None else {"transactions": own},
    )


def rejected(transaction: Row) -> ExecutionReport:
    """Return what a reject transaction says; the order it names never existed, so its own id stands for one."""
    order_type = _type(text(transaction, "type").removesuffix("_ORDER_REJECT"))
    units = number(transaction, "units")
    return ExecutionReport(
        client_order_id=client_id(transaction),
        venue_order_id=text(transaction, "id"),
        symbol=text(transaction, "instrument"),
        side=side_of(units),
        order_type=order_type,
        quantity=abs(units),
        price=_limit(transaction, order_type),
        stop_price=_trigger(transaction, order_type),
        time_in_force=time_in_force(transaction),
        status=OrderStatus.REJECTED,
        filled_quantity=_ZERO,
        average_price=None,
        venue_time=timestamp(text(transaction, "time")),
        raw=transaction,
    )


def resting(order: Row, traded: Traded = Traded()) -> ExecutionReport:
    """Return what a pending Order object says; it does not tell what it has traded."""
    if text(order, "state") != "PENDING":
        raise BadAnswerError(f"order {order.get('id')} is listed as pending and has the state {order['state']!r}")
    units, order_type = number(order, "units"), _type(text(order, "type"))
    return ExecutionReport(
        client_order_id=client_id(order),
        venue_order_id=text(order, "id"),
        symbol=text(order, "instrument"),
        side=side_of(units),
        order_type=order_type,
        quantity=abs(units),
        price=_limit(order, order_type),
        stop_price=_trigger(order, order_type),
        time_in_force=time_in_force(order),
        status=OrderStatus.PARTIALLY_FILLED if traded.quantity else OrderStatus.NEW,
        filled_quantity=traded.quantity,
        average_price=_average(traded),
        venue_time=timestamp(text(order, "createTime")),
        raw=order,
    )


def executions(fill: Row, currency: str) -> tuple[Execution, ...]:
    """Return the trades of an ORDER_FILL: one, unless its parts have different prices.

    The price stands in the trades that were opened, reduced and closed; the transaction's own is deprecated.
    """
    units = number(fill, "units")
    prices: dict[Decimal, Decimal] = {}
    for part in _parts(fill):
        price = number(part, "price")
        prices[price] = prices.get(price, _ZERO) + abs(number(part, "units"))
    if not prices:
        prices = {number(fill, "price"): abs(units)}
    if sum(prices.values()) != abs(units):
        raise BadAnswerError(f"fill {fill.get('id')} is of {units} units, its parts are of {sum(prices.values())}")
    identity, fees = text(fill, "id"), _fees(fill, currency)
    return tuple(
        Execution(
            execution_id=identity if index == 0 else f"{identity}.{index}",
            venue_order_id=text(fill, "orderID"),
            client_order_id=fill.get("clientOrderID"),
            symbol=text(fill, "instrument"),
            side=side_of(units),
            quantity=quantity,
            price=price,
            fees=fees if index == 0 else (),
            executed_at=timestamp(text(fill, "time")),
        )
        for index, (price, quantity) in enumerate(prices.items())
    )


def by_order(transactions: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the orders that the log begins, fills or ends, each with its transactions."""
    found: dict[str, list[Row]] = {}
    for item in transactions:
        kind = text(item, "type")
        if kind.endswith("_ORDER"):
            found.setdefault(text(item, "id"), []).append(item)
        elif kind in {"ORDER_FILL", "ORDER_CANCEL"}:
            found.setdefault(text(item, "orderID"), []).append(item)
    return found


def reportable(order: Row, prefix: str) -> bool:
    """Say whether logos has words for an order or its creation.

    One that it has none for was not sent from here; if it bears our prefix all the same, it must not go unseen.
    """
    kind, identity = text(order, "type").removesuffix("_ORDER"), client_id(order)
    if kind in TYPES:
        return True
    if kind not in OTHER_TYPES or (identity or "").startswith(prefix):
        raise BadAnswerError(f"order {order.get('id')} of the id {identity} is a {kind!r}, which logos does not send")
    return False


def find(transactions: Iterable[Row], client_order_id: str) -> tuple[str | None, Row | None]:
    """Return the id of the order that the log shows under our id, and the last reject of it.

    A reject in the log proves that its request created no order, whatever its reason, except that of a duplicate: that one says
    that another request did. Of two orders under one id, the older is the one that was asked for; the other comes to light as an
    order of its own in the next snapshot.
    """
    found: list[str] = []
    reject = None
    for item in transactions:
        if client_id(item) != client_order_id:
            continue
        kind = text(item, "type")
        if kind.removesuffix("_ORDER") in TYPES:
            found.append(text(item, "id"))
        elif kind.removesuffix("_ORDER_REJECT") in TYPES:
            reject = item if item.get("rejectReason") != DUPLICATE else reject
        else:
            raise BadAnswerError(f"transaction {item.get('id')} carries our id {client_order_id} and is a {kind}")
    return next(iter(found), None), reject


def position(body: object) -> Position:
    """Return what a position says, long and short together; OANDA signs the short side."""
    held = row(body)
    quantity = number(row(held.get("long")), "units") + number(row(held.get("short")), "units")
    return Position(symbol=text(held, "instrument"), quantity=quantity)


def instrument(body: object) -> Instrument:
    """Return the grid of an instrument. That prices may have `displayPrecision` digits is inferred."""
    listed = row(body)
    symbol = text(listed, "name")
    base, separator, quote = symbol.partition("_")
    if not separator:
        raise BadAnswerError(f"{symbol!r} is not a base and a quote")
    largest = number(listed, "maximumOrderUnits")
    return Instrument(
        symbol=symbol,
        base_asset=base,
        quote_asset=quote,
        price_bands=(PriceBand(at_least=_ZERO, tick=_step(listed, "displayPrecision")),),
        quantity_step=_step(listed, "tradeUnitsPrecision"),
        min_quantity=number(listed, "minimumTradeSize"),
        max_quantity=largest if largest > 0 else None,
    )


def _rests(order_type: OrderType, time_in_force: TimeInForce | None) -> bool:
    return order_type is not OrderType.MARKET and time_in_force not in {TimeInForce.FOK, TimeInForce.IOC}


def _limit(order: Row, order_type: OrderType) -> Decimal | None:
    """Return an order's limit. OANDA calls it the price, as it calls where a stop order begins to work."""
    return number(order, "price") if order_type is OrderType.LIMIT else None


def _trigger(order: Row, order_type: OrderType) -> Decimal | None:
    return number(order, "price") if order_type is OrderType.STOP else None


def _legs(transactions: Sequence[Row], creation: Row, fills: list[Row]) -> tuple[ExecutionReport, ...]:
    """Return the legs that an order's fills made, as far as the log shows them."""
    opened = {text(item, "id"): number(row(item["tradeOpened"]), "units") for item in fills if item.get("tradeOpened") is not None}
    found = []
    for item in transactions:
        if item.get("orderFillTransactionID") in opened and legs.parent_of(item) == client_id(creation):
            followed = [later for later in transactions if later.get("orderID") == item.get("id")]
            units = opened[text(item, "orderFillTransactionID")]
            found.append(legs.report(item, followed, symbol=text(creation, "instrument"), opened=units))
    return tuple(found)


def _status(traded: Decimal, quantity: Decimal, ends: Sequence[Row], *, rests: bool) -> OrderStatus:
    if traded > quantity:
        raise BadAnswerError(f"{traded} units were traded of {quantity}")
    if traded == quantity:
        return OrderStatus.FILLED
    if ends:
        expired = text(ends[-1], "reason") == "TIME_IN_FORCE_EXPIRED"
        return OrderStatus.EXPIRED if expired and rests else OrderStatus.CANCELED
    if not traded:
        return OrderStatus.NEW
    return OrderStatus.PARTIALLY_FILLED if rests else OrderStatus.CANCELED


def _parts(fill: Row) -> list[Row]:
    parts = [row(fill[name]) for name in ("tradeOpened", "tradeReduced") if fill.get(name) is not None]
    return parts + (rows(fill, "tradesClosed") if fill.get("tradesClosed") is not None else [])


def _fees(fill: Row, currency: str) -> tuple[Fee, ...]:
    names = ("commission", "guaranteedExecutionFee")
    amount = sum((number(fill, name) for name in names if fill.get(name) is not None), _ZERO)
    return (Fee(amount=amount, asset=currency),) if amount else ()


def _average(traded: Traded) -> Decimal | None:
    return traded.notional / traded.quantity if traded.quantity else None


def _type(word: str) -> OrderType:
    if word not in TYPES:
        raise BadAnswerError(f"the order is a {word!r}, which logos does not send")
    return TYPES[word]


def _step(body: Row, name: str) -> Decimal:
    digits = body.get(name)
    if isinstance(digits, bool) or not isinstance(digits, int):
        raise BadAnswerError(f"{name} is {digits!r}, not a number of digits")
    return Decimal(1).scaleb(-digits)
