"""Speak OANDA's v20 REST API over an in-memory exchange.

Sources: *specification* is OANDA's published OpenAPI document of the v20 REST API, 3.0.25; *recorded* is what the practice
environment was seen to answer, mostly in the documentation and the threads of oandapyV20; *inferred* is a belief that neither
confirms. A belief that could cost money is a constructor argument, so that a test can hold the opposite one.

Left out: stop, take-profit and trailing orders, replacing, reissues, streams, financing, the spread, margin, and what the log would say
of a cancel that was refused. Each is refused or absent, never half done. A resting order that fills in part stays the same order.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import count
from typing import Any, ClassVar, Literal, TypeAlias

from logos_core.testing.exchange import (
    ClientIdRule,
    Exchange,
    OrderNotFound,
    OrderRequest,
    OrderStatus,
    OrderType,
    Refusal,
    Side,
    SimulatedInstrument,
    SimulatedOrder,
    TimeInForce,
    Transaction,
)
from logos_core.testing.server import HttpRequest, HttpResponse

ACCOUNT = "101-001-1234567-001"
CLIENT_ID_LENGTH_MAX = 128  # oandapyV20, types.ClientID
RANGE_MAX = 1000  # specification: the largest pageSize, whose pages are id ranges

_Method: TypeAlias = "Callable[[OandaSimulator, HttpRequest, str], HttpResponse]"
_Json: TypeAlias = dict[str, Any]

_TYPES = {"MARKET": OrderType.MARKET, "LIMIT": OrderType.LIMIT}
_TIMES = {"GTC": TimeInForce.GTC, "GFD": TimeInForce.DAY, "FOK": TimeInForce.FOK, "IOC": TimeInForce.IOC}
_IDS: dict[str, ClientIdRule] = {"pending": "open", "ever": "ever", "none": "none"}
_STATES = {OrderStatus.FILLED: "FILLED", OrderStatus.CANCELED: "CANCELLED", OrderStatus.EXPIRED: "CANCELLED"}
_REASONS = {
    "symbol": "INSTRUMENT_UNKNOWN",
    "client_order_id": "CLIENT_ORDER_ID_ALREADY_EXISTS",
    "positive": "UNITS_INVALID",
    "quantity_step": "UNITS_INVALID",  # recorded: 0.1 units of an instrument of whole units
    "min_quantity": "UNITS_MIMIMUM_NOT_MET",  # misspelt in the specification
    "missing": "PRICE_MISSING",
    "not_allowed": "PRICE_INVALID",
    "price_tick": "PRICE_PRECISION_EXCEEDED",
}
"""Reject reasons by the exchange's broken rule; which of OANDA's fits is *inferred* where nothing else is said."""

# What an account's log begins with, so that its first order is never its first transaction.
_OPENING = ({"type": "CREATE"}, {"type": "CLIENT_CONFIGURE"}, {"type": "TRANSFER_FUNDS", "fundingReason": "ADJUSTMENT"})


def default_instruments() -> list[SimulatedInstrument]:
    """Return three currency pairs, one of them with three decimals, and one metal."""
    rows = [("EUR_USD", "1.10000", "0.00001"), ("GBP_USD", "1.30000", "0.00001"), ("USD_JPY", "150.000", "0.001"),
            ("XAU_USD", "2400.000", "0.001")]  # fmt: skip
    return [
        SimulatedInstrument(
            symbol=symbol, base_asset=symbol[:3], quote_asset=symbol[4:], price_tick=Decimal(tick),
            quantity_step=Decimal(1), last=Decimal(last), min_quantity=Decimal(1),
        )
        for symbol, last, tick in rows
    ]  # fmt: skip


class OandaSimulator:
    """Answer as OANDA's practice environment does; serve it with `LoopbackServer`.

    Args:
        instruments: What can be traded. By default `default_instruments`.
        token: The only token that is let in; None lets every non-empty one in.
        account: The account's id.
        currency: Its home currency, in which fees are charged; one side of every instrument that has fees.
        mt4_account_id: Set, it links the account to MT4.
        fee_rate: The commission, as a part of each trade's worth; OANDA's standard accounts have none.
        id_unique_among: For which orders a client id is taken: `pending` ones (recorded in OANDA's own words for the reject), all
            `ever` accepted, or `none`.
        lookup_finds_closed: GET of `@` and a client id still finds an order that has ended. Undocumented; False is the worse case.
        visible_after_s: Reads miss an order, and what the log says of it, for so long after it was accepted. 0.25 to 0.5 s were
            reported for GET of an order; that the log lags as well is *inferred* as the worse case. 0 means no lag.
        since_page: How many transactions `sinceid` returns at most; None for all. Undocumented.
        since_satisfiable: False makes `sinceid` answer 416 whatever is asked, which the specification allows it to.
        halted: Symbols whose market is halted: what must fill at once is created and at once cancelled. Recorded.
        now: Tell the time.
    """

    def __init__(
        self,
        instruments: Iterable[SimulatedInstrument] | None = None,
        *,
        token: str | None = None,
        account: str = ACCOUNT,
        currency: str = "USD",
        mt4_account_id: int | None = None,
        fee_rate: Decimal = Decimal(0),
        id_unique_among: Literal["pending", "ever", "none"] = "pending",
        lookup_finds_closed: bool = False,
        visible_after_s: float = 0.0,
        since_page: int | None = None,
        since_satisfiable: bool = True,
        halted: Iterable[str] = (),
        now: Callable[[], datetime] = lambda: datetime.fromtimestamp(time.time(), UTC),  # noqa: TID251 - the default.
    ) -> None:
        self.account, self.currency, self.halted = account, currency, set(halted)
        self.lookup_finds_closed = lookup_finds_closed
        self.visible_after_s = visible_after_s
        self.since_page, self.since_satisfiable = since_page, since_satisfiable
        self._token, self._mt4_account_id, self._now, self._opened_at = token, mt4_account_id, now, now()
        self._request_ids = count(1)
        self.exchange = Exchange(
            default_instruments() if instruments is None else instruments,
            {currency: Decimal(100_000)}, client_ids=_IDS[id_unique_among], fee_rate=fee_rate, check_funds=False,
            order_ids=_venue_id, trade_ids=_venue_id, now=now,
        )  # fmt: skip
        for symbol in self.halted:
            self.exchange.set_liquidity(symbol, Decimal(0))

    def operation(self, request: HttpRequest) -> str:
        found = self._route(request)
        return "other" if found is None else found[0]

    def client_order_id(self, request: HttpRequest) -> str | None:
        operation = self.operation(request)
        if operation == "submit":
            return _sent_client_id(request)
        if operation in {"lookup", "cancel"} and "orders" in request.segments:
            specifier = request.segments[4]
            if specifier.startswith("@"):
                return specifier[1:]
            try:
                return self.exchange.order(specifier).client_order_id
            except OrderNotFound:
                return None
        return None

    def handle(self, request: HttpRequest) -> HttpResponse:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token or self._token not in {None, token}:
            return self._sign(self.error_body(401))
        found = self._route(request)
        if found is None:
            return self._sign(self.error_body(404))
        if len(request.segments) > 2 and request.segments[2] != self.account:
            return self._sign(self.error_body(403))  # inferred
        with self.exchange.lock:  # One request is one step, however many calls it makes.
            try:
                return self._sign(found[1](self, request, found[2]))
            except _RefusedError as refused:
                return self._sign(HttpResponse.json(refused.status, refused.body))

    def error_body(self, status: int) -> HttpResponse:
        return HttpResponse.json(status, {"errorMessage": _MESSAGES.get(status, f"HTTP {status}")})

    def admin_orders(self) -> list[dict[str, Any]]:
        return [order.to_dict() for order in self.exchange.orders()]

    def _sign(self, answer: HttpResponse) -> HttpResponse:
        return HttpResponse(answer.status, answer.body, (*answer.headers, ("RequestID", str(next(self._request_ids)))))

    # Orders

    def _submit(self, request: HttpRequest, _: str) -> HttpResponse:
        wanted, before = _read_order(request), self.exchange.last_transaction_id
        try:
            order = self.exchange.submit(wanted)
        except Refusal:
            return self._reject(self.exchange.transactions(before)[0])
        answer: _Json = {}
        names = {"order": "orderCreateTransaction", "fill": "orderFillTransaction"}
        for transaction in self.exchange.transactions(before):
            answer[names.get(transaction.kind, "orderCancelTransaction")] = self._transaction(transaction)
        answer["relatedTransactionIDs"] = [item["id"] for item in answer.values()]
        location = f"/v3/accounts/{self.account}/orders/{order.order_id}"
        return self._answer(answer, 201, (("Location", location),))

    def _reject(self, transaction: Transaction) -> HttpResponse:
        rejected = self._transaction(transaction)
        reason = rejected["rejectReason"]
        answer = {"orderRejectTransaction": rejected, "relatedTransactionIDs": [rejected["id"]], "errorCode": reason}
        return self._answer({**answer, "errorMessage": reason.replace("_", " ").capitalize()}, 400)

    def _cancel(self, request: HttpRequest, _: str) -> HttpResponse:
        order = self._find(request.segments[4])
        if order is None or not order.is_open:
            raise _RefusedError(404, "The Order specified does not exist", "ORDER_DOESNT_EXIST", self._last())
        before = self.exchange.last_transaction_id
        self.exchange.cancel(order.order_id)
        canceled = self._transaction(self.exchange.transactions(before)[0])
        return self._answer({"orderCancelTransaction": canceled, "relatedTransactionIDs": [canceled["id"]]})

    def _get(self, request: HttpRequest, specifier: str) -> HttpResponse:
        order = self._find(specifier)
        if order is None or not self._is_visible(order.created_at):
            raise _RefusedError(404, "The order ID specified does not exist", "NO_SUCH_ORDER", self._last())  # recorded
        return self._answer({"order": self._order(order)})

    def _find(self, specifier: str) -> SimulatedOrder | None:
        if specifier.startswith("@"):
            found = self.exchange.orders_with(specifier[1:])
            return next((order for order in reversed(found) if order.is_open or self.lookup_finds_closed), None)
        return next((order for order in self.exchange.orders() if order.order_id == specifier), None)

    def _pending(self, request: HttpRequest, _: str) -> HttpResponse:
        pending = [order for order in self.exchange.open_orders() if self._is_visible(order.created_at)]
        return self._answer({"orders": [self._order(order) for order in reversed(pending)]})

    def _order(self, order: SimulatedOrder) -> _Json:
        done = [item for item in self.exchange.transactions() if item.order.order_id == order.order_id]
        data = {
            **self._asked(order),
            "id": order.order_id,
            "createTime": _timestamp(order.created_at),
            "type": order.request.type.name,
            "state": _STATES.get(order.status, "PENDING"),
        }
        if data["state"] == "FILLED":
            data |= {"fillingTransactionID": _venue_id(done[-1].id), "filledTime": _timestamp(done[-1].time)}
        if data["state"] == "CANCELLED":
            data |= {"cancellingTransactionID": _venue_id(done[-1].id), "cancelledTime": _timestamp(done[-1].time)}
        return data

    # The log

    def _since(self, request: HttpRequest, _: str) -> HttpResponse:
        log, since = self._log(), _read_id(request.query, "id")
        if not self.since_satisfiable or since > len(log):
            raise _RefusedError(416, _MESSAGES[416])
        return self._answer({"transactions": log[since:][: self.since_page]})

    def _range(self, request: HttpRequest, _: str) -> HttpResponse:
        log, first, last = self._log(), _read_id(request.query, "from"), _read_id(request.query, "to")
        if not 1 <= first <= last <= len(log) or last - first >= RANGE_MAX:
            raise _RefusedError(416, _MESSAGES[416])
        return self._answer({"transactions": log[first - 1 : last]})

    def _one(self, request: HttpRequest, transaction_id: str) -> HttpResponse:
        for transaction in self._log():
            if transaction["id"] == transaction_id:
                return self._answer({"transaction": transaction})
        raise _RefusedError(404, "The transaction ID specified does not exist", "NO_SUCH_TRANSACTION")  # inferred

    def _log(self) -> list[_Json]:
        opening = [
            {"id": str(index), "time": _timestamp(self._opened_at), "accountID": self.account, **data}
            for index, data in enumerate(_OPENING, 1)
        ]
        return opening + [self._transaction(item) for item in self.exchange.transactions() if self._is_visible(item.time)]

    def _transaction(self, transaction: Transaction) -> _Json:
        order, request = transaction.order, transaction.order.request
        data = {
            "id": _venue_id(transaction.id),
            "time": _timestamp(transaction.time),
            "accountID": self.account,
            "userID": 1234567,
            "batchID": order.order_id,
        }
        if transaction.kind == "order":
            return data | self._asked(order) | {"type": f"{request.type.name}_ORDER", "reason": "CLIENT_ORDER"}
        if transaction.kind == "reject":
            reason = _REASONS.get(transaction.reason or "", "INTERNAL_SERVER_ERROR")
            kind = f"{request.type.name}_ORDER_REJECT"
            return data | self._asked(order) | {"type": kind, "reason": "CLIENT_ORDER", "rejectReason": reason}
        data["orderID"] = order.order_id
        if order.client_order_id is not None:
            data["clientOrderID"] = order.client_order_id
        if transaction.kind == "fill":
            return data | self._filled(transaction)
        return data | {"type": "ORDER_CANCEL", "reason": self._cancel_reason(transaction)}

    def _asked(self, order: SimulatedOrder) -> _Json:
        request, tags = order.request, order.request.tags
        data = {
            "instrument": request.symbol,
            "units": _plain(order.quantity if request.side is Side.BUY else -order.quantity),
            "timeInForce": tags["timeInForce"],
            "positionFill": "DEFAULT",
        }
        if request.price is not None:
            data["price"] = _plain(request.price)
        return data | ({"clientExtensions": tags["clientExtensions"]} if tags["clientExtensions"] else {})

    def _filled(self, transaction: Transaction) -> _Json:
        trade = transaction.execution
        assert trade is not None
        units = _plain(trade.quantity if trade.side is Side.BUY else -trade.quantity)
        price = _plain(trade.price)
        opened = {"tradeID": trade.trade_id, "units": units, "price": price, "halfSpreadCost": "0.0000"}
        return {
            "type": "ORDER_FILL",
            "instrument": trade.symbol,
            "units": units,
            "price": price,
            "fullVWAP": price,
            "reason": f"{transaction.order.request.type.name}_ORDER",
            "pl": "0.0000",
            "financing": "0.0000",
            "commission": f"{self._in_home_currency(trade.fee, trade.price):.4f}",
            "guaranteedExecutionFee": "0.0000",
            "halfSpreadCost": "0.0000",
            "tradeOpened": opened,
        }

    def _in_home_currency(self, fee: tuple[Decimal, str], price: Decimal) -> Decimal:
        amount, asset = fee
        return amount if asset == self.currency or not amount else amount / price

    def _cancel_reason(self, transaction: Transaction) -> str:
        request = transaction.order.request
        if transaction.reason == "client":
            return "CLIENT_REQUEST"
        if request.symbol in self.halted:
            return "MARKET_HALTED"
        # inferred: an order without a price fails for want of liquidity, one with a price for want of time
        return "INSUFFICIENT_LIQUIDITY" if request.type is OrderType.MARKET else "TIME_IN_FORCE_EXPIRED"

    # Everything else

    def _accounts(self, request: HttpRequest, _: str) -> HttpResponse:
        own: _Json = {"id": self.account, "tags": []}
        if self._mt4_account_id is not None:
            own["mt4AccountID"] = self._mt4_account_id
        return HttpResponse.json(200, {"accounts": [own]})

    def _summary(self, request: HttpRequest, _: str) -> HttpResponse:
        balance = _plain(self.exchange.balance(self.currency).free)
        pending = len(self.exchange.open_orders())
        account = {
            "id": self.account,
            "currency": self.currency,
            "balance": balance,
            "NAV": balance,
            "hedgingEnabled": False,
            "pendingOrderCount": pending,
            "openPositionCount": len(self._held()),
            "createdTime": _timestamp(self._opened_at),
            "lastTransactionID": self._last(),
        }
        return self._answer({"account": account})

    def _instruments(self, request: HttpRequest, _: str) -> HttpResponse:
        wanted = [name for name in request.query.get("instruments", "").split(",") if name]
        known = {item.symbol: item for item in self.exchange.instruments()}
        if any(name not in known for name in wanted):
            raise _RefusedError(400, "Invalid value specified for 'instruments'")  # recorded
        return self._answer({"instruments": [_instrument(known[name]) for name in wanted or known]})

    def _positions(self, request: HttpRequest, _: str) -> HttpResponse:
        found = [
            {
                "instrument": symbol,
                "long": {"units": _plain(max(units, Decimal(0)))},
                "short": {"units": _plain(min(units, Decimal(0)))},
            }
            for symbol, units in self._held().items()
        ]
        return self._answer({"positions": found})

    def _held(self) -> dict[str, Decimal]:
        held: dict[str, Decimal] = {}
        for trade in self.exchange.executions():
            units = trade.quantity if trade.side is Side.BUY else -trade.quantity
            held[trade.symbol] = held.get(trade.symbol, Decimal(0)) + units
        return {symbol: units for symbol, units in held.items() if units}

    def _is_visible(self, moment: datetime) -> bool:
        return not self.visible_after_s or moment <= self._now() - timedelta(seconds=self.visible_after_s)

    def _last(self) -> str:
        return str(len(self._log()))

    def _answer(self, data: _Json, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> HttpResponse:
        last = _venue_id(self.exchange.last_transaction_id) if status != 200 else self._last()
        return HttpResponse.json(status, {**data, "lastTransactionID": last}, headers)

    def _route(self, request: HttpRequest) -> tuple[str, _Method, str] | None:
        for method, pattern, operation, function in self._ROUTES:
            if method == request.method and re.fullmatch(pattern, request.path):
                return operation, function, request.segments[-1]
        return None

    _ROUTES: ClassVar[list[tuple[str, str, str, _Method]]] = [
        ("POST", r"/v3/accounts/[^/]+/orders", "submit", _submit),
        ("GET", r"/v3/accounts/[^/]+/orders/[^/]+", "lookup", _get),
        ("PUT", r"/v3/accounts/[^/]+/orders/[^/]+/cancel", "cancel", _cancel),
        ("GET", r"/v3/accounts/[^/]+/pendingOrders", "reconcile", _pending),
        ("GET", r"/v3/accounts/[^/]+/openPositions", "reconcile", _positions),
        ("GET", r"/v3/accounts/[^/]+/transactions/sinceid", "lookup", _since),
        ("GET", r"/v3/accounts/[^/]+/transactions/idrange", "reconcile", _range),
        ("GET", r"/v3/accounts/[^/]+/transactions/[0-9]+", "reconcile", _one),
        ("GET", r"/v3/accounts/[^/]+/instruments", "instrument", _instruments),
        ("GET", r"/v3/accounts/[^/]+/summary", "identify", _summary),
        ("GET", r"/v3/accounts", "identify", _accounts),
    ]


class _RefusedError(Exception):
    """Carry a refusal to the one place that makes an answer of it."""

    def __init__(self, status: int, message: str, code: str | None = None, last: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        given = {"errorCode": code, "lastTransactionID": last, "errorMessage": message}
        self.body = {name: value for name, value in given.items() if value is not None}


# 401 is recorded without a code; the other texts are *inferred*.
_MESSAGES = {
    400: "Invalid value specified for 'order'",
    401: "Insufficient authorization to perform request.",
    403: "Insufficient authorization to perform request.",
    404: "The resource specified does not exist",
    416: "The range specified cannot be satisfied",
    429: "Too many requests",
    503: "Service temporarily unavailable",
}


def _read_order(request: HttpRequest) -> OrderRequest:
    try:
        data = request.json()["order"]
        assert isinstance(data, dict)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise _RefusedError(400, "Invalid value specified for 'order'") from error
    units, price = _read_number(data, "units"), _read_number(data, "price")
    if units is None:
        raise _unreadable("units")
    kind, word = _TYPES.get(str(data.get("type"))), data.get("timeInForce", "FOK" if data.get("type") == "MARKET" else "GTC")
    if kind is None:
        raise _unreadable("type")
    if word not in _TIMES or (kind is OrderType.MARKET and word not in {"FOK", "IOC"}):  # specification
        raise _unreadable("timeInForce")
    extensions = data.get("clientExtensions") or {}
    client_id = extensions.get("id")
    if client_id is not None and not (isinstance(client_id, str) and 0 < len(client_id) <= CLIENT_ID_LENGTH_MAX):
        raise _unreadable("clientExtensions.id")
    return OrderRequest(
        symbol=str(data.get("instrument")), side=Side.BUY if units >= 0 else Side.SELL, type=kind, quantity=abs(units),
        price=price, time_in_force=_TIMES[word], client_order_id=client_id,
        tags={"timeInForce": word, "clientExtensions": extensions},
    )  # fmt: skip


def _read_number(data: Mapping[str, Any], name: str) -> Decimal | None:
    value = data.get(name)
    if value is None:
        return None
    try:
        number = Decimal(value) if isinstance(value, str) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise _unreadable(name)  # specification: numbers are strings
    return number


def _read_id(query: Mapping[str, str], name: str) -> int:
    value = query.get(name, "")
    if not value.isdecimal():
        raise _RefusedError(400, f"Invalid value specified for '{name}'")
    return int(value)


def _unreadable(name: str) -> _RefusedError:
    return _RefusedError(400, f"Invalid value specified for 'order.{name}'")  # recorded


def _instrument(item: SimulatedInstrument) -> _Json:
    return {
        "name": item.symbol,
        "type": "CURRENCY",
        "displayName": item.symbol.replace("_", "/"),
        "pipLocation": int(item.price_tick.adjusted()) + 1,
        "displayPrecision": -item.price_tick.adjusted(),
        "tradeUnitsPrecision": -item.quantity_step.adjusted(),
        "minimumTradeSize": _plain(item.min_quantity),
        "maximumOrderUnits": "100000000",
        "maximumPositionSize": "0",
        "marginRate": "0.02",
    }


def _venue_id(number: int) -> str:
    return str(number + len(_OPENING))


def _timestamp(moment: datetime) -> str:
    # Nine digits (recorded); Python's datetime has six.
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}789Z"


def _plain(number: Decimal) -> str:
    return format(number, "f")


def _sent_client_id(request: HttpRequest) -> str | None:
    try:
        given = request.json()["order"]["clientExtensions"]["id"]
    except (KeyError, TypeError, ValueError):
        return None
    return given if isinstance(given, str) else None
