"""Serve the requests of a client of OANDA's."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, ClassVar, Literal, TypeAlias

from logos_core.testing.exchange import (
    ClientIdRule,
    Exchange,
    OrderNotFound,
    OrderRequest,
    Refusal,
    SimulatedInstrument,
    SimulatedOrder,
    Transaction,
)
from logos_core.testing.records import TransactionKind
from logos_core.testing.server import HttpRequest, HttpResponse
from logos_oanda.simulator.answers import (
    OPENING,
    STATES,
    Json,
    asked,
    created,
    ended,
    filled,
    instrument_object,
    plain,
    rejected,
    timestamp,
    trade_object,
    venue_id,
)
from logos_oanda.simulator.reading import (
    ACCOUNT,
    RefusedError,
    dependent_request,
    read_body,
    read_dependent,
    read_id,
    read_order,
    sent_client_id,
)
from logos_oanda.simulator.trades import Effect, OpenedTrade, TradeBook

RANGE_MAX = 1000  # specification: the largest pageSize, whose pages are id ranges
IDS: dict[str, ClientIdRule] = {"pending": "open", "ever": "ever", "none": "none"}
# What changes without a transaction of its own: OANDA logs creations, fills, cancels and rejects.
SILENT: tuple[TransactionKind, ...] = ("amend", "activate", "trigger", "trail", "link")

_Method: TypeAlias = "Callable[[OandaSimulator, HttpRequest, str], HttpResponse]"


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
        reduce_only_clips: A REDUCE_ONLY order larger than the position fills for the position and is cancelled for the rest;
            False refuses it. Which is *inferred*: the specification says only that nothing but a reduction is allowed.
        replaces_what_traded: True replaces an order that has traded in part. False answers that it is not there: by the
            specification, what such an order leaves is reissued under another id. The reissue itself is not simulated.
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
        reduce_only_clips: bool = True,
        replaces_what_traded: bool = False,
        halted: Iterable[str] = (),
        now: Callable[[], datetime] = lambda: datetime.fromtimestamp(time.time(), UTC),  # noqa: TID251 - the default.
    ) -> None:
        self.account, self.currency, self.halted = account, currency, set(halted)
        self.lookup_finds_closed, self.replaces_what_traded = lookup_finds_closed, replaces_what_traded
        self.visible_after_s = visible_after_s
        self.since_page, self.since_satisfiable = since_page, since_satisfiable
        self._token, self._mt4_account_id, self._now, self._opened_at = token, mt4_account_id, now, now()
        self._request_ids = count(1)
        self._trades, self._followed, self._ended = TradeBook(), 0, 0
        self.exchange = Exchange(
            default_instruments() if instruments is None else instruments,
            {currency: Decimal(100_000)}, client_ids=IDS[id_unique_among], fee_rate=fee_rate, check_funds=False,
            legs="on_fill", make_leg=self._make_leg, linked_end_together=False,
            reduce_only="at_fill" if reduce_only_clips else "refuse", silent=SILENT,
            order_ids=venue_id, trade_ids=venue_id, now=now,
        )  # fmt: skip
        for symbol in self.halted:
            self.exchange.set_liquidity(symbol, Decimal(0))

    def operation(self, request: HttpRequest) -> str:
        found = self._route(request)
        return "other" if found is None else found[0]

    def client_order_id(self, request: HttpRequest) -> str | None:
        operation = self.operation(request)
        if operation in {"submit", "replace"}:  # Of a replacement, the id of the new order.
            return sent_client_id(request)
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
            self._end_dependents()
            try:
                return self._sign(found[1](self, request, found[2]))
            except RefusedError as refused:
                return self._sign(HttpResponse.json(refused.status, refused.body))

    def error_body(self, status: int) -> HttpResponse:
        return HttpResponse.json(status, {"errorMessage": _MESSAGES.get(status, f"HTTP {status}")})

    def admin_orders(self) -> list[dict[str, Any]]:
        return [order.to_dict() for order in self.exchange.orders()]

    def _sign(self, answer: HttpResponse) -> HttpResponse:
        return HttpResponse(answer.status, answer.body, (*answer.headers, ("RequestID", str(next(self._request_ids)))))

    # Orders

    def _submit(self, request: HttpRequest, _: str) -> HttpResponse:
        wanted, before = read_order(read_body(request)), self.exchange.last_transaction_id
        try:
            order = self.exchange.submit(wanted)
        except Refusal:
            return self._reject(self.exchange.transactions(before)[0])
        return self._changed(order, self.exchange.transactions(before))

    def _changed(self, order: SimulatedOrder, transactions: list[Transaction]) -> HttpResponse:
        """Answer with what a request did to its order, and the ids of all it did."""
        answer: Json = {}
        for transaction in transactions:
            if transaction.order.order_id == order.order_id:
                names = {"order": "orderCreateTransaction", "fill": "orderFillTransaction"}
                cancel = "orderCancelTransaction" if order.replaces is None else "replacingOrderCancelTransaction"
                answer[names.get(transaction.kind, cancel)] = self._transaction(transaction)
            elif transaction.kind == "replace":
                answer["orderCancelTransaction"] = self._transaction(transaction)
        answer["relatedTransactionIDs"] = [venue_id(transaction.id) for transaction in transactions]
        location = f"/v3/accounts/{self.account}/orders/{order.order_id}"
        return self._answer(answer, 201, (("Location", location),))

    def _reject(self, transaction: Transaction, replaces: str | None = None) -> HttpResponse:
        refused = self._transaction(transaction)
        if replaces is not None:
            refused |= {"reason": "REPLACEMENT", "intendedReplacesOrderID": replaces}
        reason = refused["rejectReason"]
        answer = {"orderRejectTransaction": refused, "relatedTransactionIDs": [refused["id"]], "errorCode": reason}
        return self._answer({**answer, "errorMessage": reason.replace("_", " ").capitalize()}, 400)

    def _replace(self, request: HttpRequest, specifier: str) -> HttpResponse:
        """Cancel an order and create another in one step; the new one has the type of the old (specification)."""
        data, original = read_body(request), self._find(specifier)
        if original is None or not original.is_open or (original.executions and not self.replaces_what_traded):
            return self._reject_cancel(original)
        before, tags = self.exchange.last_transaction_id, original.request.tags
        wanted = read_dependent(data, original) if "tradeID" in tags else read_order(data)
        if data.get("type") != tags["type"]:
            return self._reject(self.exchange.refuse(wanted, "replacing"), original.order_id)
        try:
            order = self.exchange.replace(original.order_id, wanted)
        except Refusal:
            return self._reject(self.exchange.transactions(before)[0], original.order_id)
        return self._changed(order, self.exchange.transactions(before))

    def _reject_cancel(self, order: SimulatedOrder | None) -> HttpResponse:
        """Refuse to replace what is not pending; the log says nothing of it, nor of the refused cancel (left out)."""
        refused: Json = {"type": "ORDER_CANCEL_REJECT", "rejectReason": "ORDER_DOESNT_EXIST", "accountID": self.account}
        if order is not None:
            refused["orderID"] = order.order_id
        answer = {"orderCancelRejectTransaction": refused, "errorCode": "ORDER_DOESNT_EXIST", "relatedTransactionIDs": []}
        return self._answer({**answer, "errorMessage": "The Order specified does not exist"}, 404)

    def _make_leg(self, entry: SimulatedOrder, leg: OrderRequest) -> OrderRequest | None:
        """Create a dependent order for what a fill has opened, if it has opened anything."""
        self._follow()
        trade = self._trades.trades.get(entry.executions[-1].trade_id)
        if trade is None:
            return None
        return dependent_request(replace(leg, quantity=abs(trade.units)), trade.trade_id, entry.request.tags["onFill"])

    def _end_dependents(self) -> None:
        """End the orders of trades that something else has closed, and cut those of trades it has reduced."""
        since, self._ended = self._ended, self.exchange.last_transaction_id
        if not any(item.execution or "tradeID" in item.order.request.tags for item in self.exchange.transactions(since)):
            return
        self._follow()
        for order in self.exchange.open_orders():
            trade = self._trades.trades.get(order.request.tags.get("tradeID", ""))
            if trade is None or not self.exchange.order(order.order_id).is_open:
                continue
            if trade.closed_at is not None:
                self.exchange.cancel(order.order_id, "linked")
            elif abs(trade.units) < order.leaves_quantity:
                self.exchange.amend(order.order_id, quantity=order.filled_quantity + abs(trade.units))

    def _follow(self) -> None:
        new = self.exchange.transactions(self._followed)
        self._followed += len(new)
        self._trades.follow(new)

    def _cancel(self, request: HttpRequest, _: str) -> HttpResponse:
        order = self._find(request.segments[4])
        if order is None or not order.is_open:
            raise RefusedError(404, "The Order specified does not exist", "ORDER_DOESNT_EXIST", self._last())
        before = self.exchange.last_transaction_id
        self.exchange.cancel(order.order_id)
        canceled = self._transaction(self.exchange.transactions(before)[0])
        return self._answer({"orderCancelTransaction": canceled, "relatedTransactionIDs": [canceled["id"]]})

    def _get(self, request: HttpRequest, specifier: str) -> HttpResponse:
        order = self._find(specifier)
        if order is None or not self._is_visible(order.created_at):
            raise RefusedError(404, "The order ID specified does not exist", "NO_SUCH_ORDER", self._last())  # recorded
        return self._answer({"order": self._order(order)})

    def _find(self, specifier: str) -> SimulatedOrder | None:
        if specifier.startswith("@"):
            found = self.exchange.orders_with(specifier[1:])
            return next((order for order in reversed(found) if order.is_open or self.lookup_finds_closed), None)
        return next((order for order in self.exchange.orders() if order.order_id == specifier), None)

    def _pending(self, request: HttpRequest, _: str) -> HttpResponse:
        pending = [order for order in self.exchange.open_orders() if self._is_visible(order.created_at)]
        return self._answer({"orders": [self._order(order) for order in reversed(pending)]})

    def _order(self, order: SimulatedOrder) -> Json:
        last = [item for item in self.exchange.transactions() if item.order.order_id == order.order_id][-1]
        effect = None if last.execution is None else self._effect(last)
        data = {
            **asked(order),
            "id": order.order_id,
            "createTime": timestamp(order.created_at),
            "type": order.request.tags["type"],
            "state": STATES.get(order.status, "PENDING"),
            **ended(order, last, effect),
        }
        if order.stop_price is not None and order.request.trail_amount is not None:
            data["trailingStopValue"] = plain(order.stop_price)
        return data

    def _effect(self, transaction: Transaction) -> Effect:
        assert transaction.execution is not None
        self._follow()
        return self._trades.effect(transaction.execution)

    # Trades

    def _trade(self, request: HttpRequest, specifier: str) -> HttpResponse:
        self._follow()
        if specifier not in self._trades.trades:
            raise RefusedError(404, "The trade ID specified does not exist", "NO_SUCH_TRADE", self._last())
        return self._answer({"trade": self._trade_object(self._trades.trades[specifier])})

    def _open_trades(self, request: HttpRequest, _: str) -> HttpResponse:
        self._follow()
        found = [self._trade_object(trade) for trade in self._trades.trades.values() if trade.closed_at is None]
        return self._answer({"trades": found[::-1]})

    def _trade_object(self, trade: OpenedTrade) -> Json:
        names = {"TAKE_PROFIT": "takeProfitOrder", "STOP_LOSS": "stopLossOrder", "TRAILING_STOP_LOSS": "trailingStopLossOrder"}
        own = [order for order in self.exchange.open_orders() if order.request.tags.get("tradeID") == trade.trade_id]
        return trade_object(trade) | {names[order.request.tags["type"]]: self._order(order) for order in own}

    # The log

    def _since(self, request: HttpRequest, _: str) -> HttpResponse:
        log, since = self._log(), read_id(request.query, "id")
        if not self.since_satisfiable or since > len(log):
            raise RefusedError(416, _MESSAGES[416])
        return self._answer({"transactions": log[since:][: self.since_page]})

    def _range(self, request: HttpRequest, _: str) -> HttpResponse:
        log, first, last = self._log(), read_id(request.query, "from"), read_id(request.query, "to")
        if not 1 <= first <= last <= len(log) or last - first >= RANGE_MAX:
            raise RefusedError(416, _MESSAGES[416])
        return self._answer({"transactions": log[first - 1 : last]})

    def _one(self, request: HttpRequest, transaction_id: str) -> HttpResponse:
        for transaction in self._log():
            if transaction["id"] == transaction_id:
                return self._answer({"transaction": transaction})
        raise RefusedError(404, "The transaction ID specified does not exist", "NO_SUCH_TRANSACTION")  # inferred

    def _log(self) -> list[Json]:
        opening = [
            {"id": str(index), "time": timestamp(self._opened_at), "accountID": self.account, **data}
            for index, data in enumerate(OPENING, 1)
        ]
        return opening + [self._transaction(item) for item in self.exchange.transactions() if self._is_visible(item.time)]

    def _transaction(self, transaction: Transaction) -> Json:
        order = transaction.order
        data = {
            "id": venue_id(transaction.id),
            "time": timestamp(transaction.time),
            "accountID": self.account,
            "userID": 1234567,
            "batchID": (order.parent_id if transaction.kind == "order" else None) or order.order_id,
        }
        if transaction.kind == "order":
            return data | asked(order) | created(order, transaction)
        if transaction.kind == "reject":
            return data | asked(order) | rejected(transaction)
        data["orderID"] = order.order_id
        if order.client_order_id is not None:
            data["clientOrderID"] = order.client_order_id
        trade = transaction.execution
        if trade is not None:
            return data | filled(transaction, self._effect(transaction), self._in_home_currency(trade.fee, trade.price))
        if order.replaced_by is not None:
            data["replacedByOrderID"] = order.replaced_by
        return data | {"type": "ORDER_CANCEL", "reason": self._cancel_reason(transaction)}

    def _in_home_currency(self, fee: tuple[Decimal, str], price: Decimal) -> Decimal:
        amount, asset = fee
        return amount if asset == self.currency or not amount else amount / price

    def _cancel_reason(self, transaction: Transaction) -> str:
        """Give OANDA's word; which of them fits is *inferred*, but for a client's request and a halted market."""
        request, word = transaction.order.request, transaction.order.request.tags["type"]
        known = {
            "client": "CLIENT_REQUEST",
            "replaced": "CLIENT_REQUEST_REPLACED",
            "linked": "LINKED_TRADE_CLOSED",
            "expired": "TIME_IN_FORCE_EXPIRED",
            "reduce_only": "LINKED_TRADE_CLOSED" if "tradeID" in request.tags else "POSITION_CLOSEOUT_FAILED",
        }
        if transaction.reason in known:
            return known[transaction.reason or ""]
        if request.symbol in self.halted:
            return "MARKET_HALTED"
        if request.tags.get("priceBound") is not None:
            return "BOUNDS_VIOLATION"
        # An order without a price fails for want of liquidity, one with a price for want of time.
        return "INSUFFICIENT_LIQUIDITY" if word == "MARKET" else "TIME_IN_FORCE_EXPIRED"

    # Everything else

    def _accounts(self, request: HttpRequest, _: str) -> HttpResponse:
        own: Json = {"id": self.account, "tags": []}
        if self._mt4_account_id is not None:
            own["mt4AccountID"] = self._mt4_account_id
        return HttpResponse.json(200, {"accounts": [own]})

    def _summary(self, request: HttpRequest, _: str) -> HttpResponse:
        balance = plain(self.exchange.balance(self.currency).free)
        pending = len(self.exchange.open_orders())
        account = {
            "id": self.account,
            "currency": self.currency,
            "balance": balance,
            "NAV": balance,
            "hedgingEnabled": False,
            "pendingOrderCount": pending,
            "openPositionCount": len(self._held()),
            "createdTime": timestamp(self._opened_at),
            "lastTransactionID": self._last(),
        }
        return self._answer({"account": account})

    def _instruments(self, request: HttpRequest, _: str) -> HttpResponse:
        wanted = [name for name in request.query.get("instruments", "").split(",") if name]
        known = {item.symbol: item for item in self.exchange.instruments()}
        if any(name not in known for name in wanted):
            raise RefusedError(400, "Invalid value specified for 'instruments'")  # recorded
        return self._answer({"instruments": [instrument_object(known[name]) for name in wanted or known]})

    def _positions(self, request: HttpRequest, _: str) -> HttpResponse:
        found = [
            {
                "instrument": symbol,
                "long": {"units": plain(max(units, Decimal(0)))},
                "short": {"units": plain(min(units, Decimal(0)))},
            }
            for symbol, units in self._held().items()
        ]
        return self._answer({"positions": found})

    def _held(self) -> dict[str, Decimal]:
        held = {item.symbol: self.exchange.position(item.symbol) for item in self.exchange.instruments()}
        return {symbol: units for symbol, units in held.items() if units}

    def _is_visible(self, moment: datetime) -> bool:
        return not self.visible_after_s or moment <= self._now() - timedelta(seconds=self.visible_after_s)

    def _last(self) -> str:
        return str(len(self._log()))

    def _answer(self, data: Json, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> HttpResponse:
        last = venue_id(self.exchange.last_transaction_id) if status != 200 else self._last()
        return HttpResponse.json(status, {**data, "lastTransactionID": last}, headers)

    def _route(self, request: HttpRequest) -> tuple[str, _Method, str] | None:
        for method, pattern, operation, function in self._ROUTES:
            if method == request.method and re.fullmatch(pattern, request.path):
                return operation, function, request.segments[-1]
        return None

    _ROUTES: ClassVar[list[tuple[str, str, str, _Method]]] = [
        ("POST", r"/v3/accounts/[^/]+/orders", "submit", _submit),
        ("GET", r"/v3/accounts/[^/]+/orders/[^/]+", "lookup", _get),
        ("PUT", r"/v3/accounts/[^/]+/orders/[^/]+", "replace", _replace),
        ("PUT", r"/v3/accounts/[^/]+/orders/[^/]+/cancel", "cancel", _cancel),
        ("GET", r"/v3/accounts/[^/]+/trades/[^/]+", "reconcile", _trade),
        ("GET", r"/v3/accounts/[^/]+/openTrades", "reconcile", _open_trades),
        ("GET", r"/v3/accounts/[^/]+/pendingOrders", "reconcile", _pending),
        ("GET", r"/v3/accounts/[^/]+/openPositions", "reconcile", _positions),
        ("GET", r"/v3/accounts/[^/]+/transactions/sinceid", "lookup", _since),
        ("GET", r"/v3/accounts/[^/]+/transactions/idrange", "reconcile", _range),
        ("GET", r"/v3/accounts/[^/]+/transactions/[0-9]+", "reconcile", _one),
        ("GET", r"/v3/accounts/[^/]+/instruments", "instrument", _instruments),
        ("GET", r"/v3/accounts/[^/]+/summary", "identify", _summary),
        ("GET", r"/v3/accounts", "identify", _accounts),
    ]


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
