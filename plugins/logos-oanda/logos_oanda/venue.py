"""OANDA's hooks over the real oandapyV20 client.

The SDK's request classes are given raw dictionaries on purpose: its own models format prices with five digits, whatever the
instrument. Its addresses, signing and status checks are used as they are. What stands in a path is quoted here; it is not there.

The account's transaction log tells the truth. It is numbered without gaps, which is checked each time it is read, so its position
before a send bounds from below where the order can stand in it. An order that is looked up by id is a second view only.
"""

import json
import re
import threading
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from oandapyV20 import API
from oandapyV20.endpoints import accounts, orders, positions, trades, transactions

from logos_core.errors import ConfigurationError
from logos_core.hookspecs import (
    BadAnswerError,
    CancelReceipt,
    Classification,
    Found,
    Inlet,
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
from logos_core.instruments import Instrument
from logos_core.orders import OrderRequest
from logos_core.reports import Execution, ExecutionReport
from logos_core.transport import GuardedSession
from logos_core.values import plain
from logos_core.venues import VenueSettings
from logos_oanda import errors, legs, mapping, stream, words
from logos_oanda.mapping import Traded
from logos_oanda.words import Row

PAGE = 1000
"""The largest page of transactions that OANDA documents."""

FOREIGN_SITE = {"paper": "001", "live": "101"}
"""The first part of an account id that belongs to the other environment; inferred from all ids ever recorded."""


class OandaVenue:
    """One v20 account.

    Its calls may overlap. The client keeps nothing of a request but what it returns (a request object is made for each), the currency
    never changes, and of two positions noted at once either bounds an order that is sent later. What is being sent is known per thread.
    """

    concurrent = True

    def __init__(self, settings: VenueSettings) -> None:
        self._account = _account_id(settings)
        self._environment = settings.environment
        self._wire = settings.wire
        self._settings = settings
        self._client = guarded_client(settings)
        self._currency: str | None = None
        self._position: int | None = None
        self._sending = threading.local()

    @venue_hook
    def identify(self) -> VenueIdentity:
        listed = words.rows(self._ask(accounts.AccountList()), "accounts")
        own = next((item for item in listed if item.get("id") == self._account), None)
        if own is None:
            raise BadAnswerError(f"the token does not belong to account {self._account}; correct the account or the token")
        if "mt4AccountID" in own:
            raise BadAnswerError(f"account {self._account} is linked to MT4, where an order must not carry an id; use another")
        self._summary()
        return VenueIdentity(account_id=words.text(own, "id"), environment=self._environment)

    @venue_hook
    def instrument(self, symbol: str) -> Instrument:
        try:
            answer = self._ask(accounts.AccountInstruments(self._account, params={"instruments": symbol}))
        except Exception as error:
            if self._refused(400, "'instruments'"):
                raise UnknownSymbolError(symbol) from error
            raise
        listed = [item for item in words.rows(answer, "instruments") if item.get("name") == symbol]
        if not listed:
            raise UnknownSymbolError(symbol)
        return mapping.instrument(listed[0])

    @venue_hook
    def prepare(self, request: OrderRequest) -> PreparedOrder:
        """Return what will be sent, and the log's position.

        Every answer tells the position, so it is asked for only when none has come yet. An older one is as good a lower bound.
        """
        if self._position is None or self._currency is None:
            self._summary()
        return PreparedOrder(request=request, wire=mapping.wire_fields(request), position=str(self._position))

    @venue_hook
    def submit(self, prepared: PreparedOrder) -> ExecutionReport:
        currency = self._known_currency()
        self._sending.name = prepared.request.client_order_id
        answer = self._ask(orders.OrderCreate(self._account, data={"order": dict(prepared.wire)}))
        return mapping.created(answer, currency)

    @venue_hook
    def replace(self, reference: OrderReference, prepared: PreparedOrder) -> ExecutionReport:
        currency, original = self._known_currency(), reference.venue_order_id
        if original is None:
            raise BadAnswerError("an order is replaced by the venue's own id, which is not known")
        self._sending.name = prepared.request.client_order_id
        wire = {"order": dict(prepared.wire)}
        answer = self._ask(orders.OrderReplace(self._account, orderID=_specifier(reference), data=wire))
        return mapping.replaced(answer, original, currency)

    @venue_hook
    def cancel(self, reference: OrderReference) -> CancelReceipt:
        answer = self._ask(orders.OrderCancel(self._account, orderID=_specifier(reference)))
        ended = words.row(answer.get("orderCancelTransaction"))
        if reference.venue_order_id not in {None, ended.get("orderID")}:
            raise BadAnswerError(f"asked to cancel {reference.venue_order_id}, the answer is about {ended.get('orderID')}")
        return CancelReceipt(raw=answer)

    @venue_hook
    def lookup(self, reference: OrderReference) -> Found | NotSeen:
        currency = self._asked_currency()
        log, last = self._log(_since(reference))
        order_id, reject = mapping.find(log, reference.client_order_id)
        if order_id is not None:
            return Found(report=mapping.history(log, order_id, currency))
        second = self._second_view(reference)
        if isinstance(second, str):
            log, _ = self._log(int(second) - 1)
            return Found(report=mapping.history(log, second, currency))
        if reject is not None:
            return Found(report=mapping.rejected(reject))
        first = View(
            source="GET /v3/accounts/{accountID}/transactions", said=f"no order of this id after {_since(reference)}, up to {last}"
        )
        return NotSeen(views=(first, second), position=str(last))

    @venue_hook
    def reconcile(self, request: ReconcileRequest) -> VenueSnapshot:
        """Return open orders and positions, then the log up to now.

        The log is read last, so that it knows at least as much as what was read before; what ended in between is left out of the
        open orders.
        """
        currency = self._asked_currency()
        cursor, traded = _cursor(request.cursor)
        pending = words.rows(self._ask(orders.OrdersPending(self._account)), "orders")
        held = words.rows(self._ask(positions.OpenPositions(self._account)), "positions")
        log, last = self._log(cursor)
        executions = [item for row in log if row.get("type") == "ORDER_FILL" for item in mapping.executions(row, currency)]
        changed = self._changed(log, traded, currency, request.prefix)
        total = _sum(traded, executions)
        ended = {report.venue_order_id for report in changed if report.status.is_final}
        waiting = [order for order in pending if order.get("id") not in ended]
        own_legs = [order for order in waiting if legs.parent_of(order) is not None]
        plain_ones = [order for order in waiting if order not in own_legs and mapping.reportable(order, request.prefix)]
        open_orders = [mapping.resting(order, total.get(words.text(order, "id"), Traded())) for order in plain_ones]
        open_orders += self._waiting_legs(own_legs)
        working = {report.venue_order_id for report in (*open_orders, *changed)} - ended
        return VenueSnapshot(
            open_orders=tuple(open_orders),
            changed_orders=tuple(changed),
            executions=tuple(executions),
            positions=tuple(mapping.position(item) for item in held),
            cursor=_next_cursor(last, {key: value for key, value in total.items() if key in working}),
        )

    @venue_hook
    def listen(self, inlet: Inlet) -> None:
        client = stream.client_for(self._settings.credentials["token"].reveal(), self._settings.base_url)
        stream.listen(client, self._account, self._known_currency(), inlet)

    @venue_hook
    def classify_error(self, error: Exception, operation: Operation, phase: Phase) -> Classification:
        about = getattr(self._sending, "name", None) if operation in {Operation.SUBMIT, Operation.REPLACE} else None
        return errors.classify(error, operation, phase, self._wire.current().answer, about)

    def _changed(self, log: list[Row], traded: Mapping[str, Traded], currency: str, prefix: str) -> list[ExecutionReport]:
        """Return every order that the log begins, fills or ends; the creation of one that is older than it is asked for."""
        reports = []
        for order_id, own in mapping.by_order(log).items():
            full = own if own[0]["id"] == order_id else [self._transaction(order_id), *own]
            if legs.parent_of(full[0]) is not None:
                reports.append(self._leg(full, log))
            elif mapping.reportable(full[0], prefix):
                before = traded.get(order_id, Traded())
                reports.append(mapping.history(full, order_id, currency, before=before))
        return reports

    def _leg(self, own: list[Row], log: list[Row]) -> ExecutionReport:
        """Return what became of a leg; the fill that made it is asked for if it is older than the log."""
        creation, *followed = own
        made_by = words.text(creation, "orderFillTransactionID")
        fill = next((item for item in log if item.get("id") == made_by), None) or self._transaction(made_by)
        opened = words.number(words.row(fill.get("tradeOpened")), "units")
        return legs.report(creation, followed, symbol=words.text(fill, "instrument"), opened=opened)

    def _waiting_legs(self, pending: list[Row]) -> list[ExecutionReport]:
        """Return the legs that still wait, with the instrument and the side that only their trades tell."""
        if not pending:
            return []
        listed = words.rows(self._ask(trades.OpenTrades(self._account)), "trades")
        known = {words.text(trade, "id"): trade for trade in listed}
        found = []
        for order in pending:
            trade = known.get(words.text(order, "tradeID"))
            if trade is not None:  # closed meanwhile, and the leg with it; the log will tell
                opened = words.number(trade, "initialUnits")
                found.append(legs.report(order, (), symbol=words.text(trade, "instrument"), opened=opened))
        return found

    def _second_view(self, reference: OrderReference) -> str | View:
        """Return the id of the order that a lookup by our id finds, or that it finds none."""
        source = "GET /v3/accounts/{accountID}/orders/{orderSpecifier}"
        specifier = "@" + quote(reference.client_order_id, safe="")
        try:
            answer = self._ask(orders.OrderDetails(self._account, orderID=specifier))
        except Exception as error:
            record = self._wire.current()
            found = errors.classify(error, Operation.LOOKUP, record.phase, record.answer)
            if found.outcome is Outcome.ABSENT:
                return View(source=source, said=f"404 {found.venue_code}")
            raise
        order = words.row(answer.get("order"))
        if words.client_id(order) != reference.client_order_id:
            raise BadAnswerError(f"asked for {reference.client_order_id}, got an order of the id {words.client_id(order)}")
        return str(words.log_id(order, "id"))

    def _log(self, since: int) -> tuple[list[Row], int]:
        """Return every transaction behind `since`, and the id of the last; fail rather than return half of them."""
        found, last = self._log_since(since)
        while (reached := _end(found, since)) < last:
            span = {"from": str(reached + 1), "to": str(min(reached + PAGE, last))}
            page = self._ask(transactions.TransactionIDRange(self._account, params=span))
            found += _gapless(words.rows(page, "transactions"), reached)
            if _end(found, since) == reached:
                raise BadAnswerError(f"the log ends at {reached}, before its last transaction {last}")
        return found, last

    def _log_since(self, since: int) -> tuple[list[Row], int]:
        """Return what `sinceid` gives: all, or the first part; nothing when all is asked for, or too much (416)."""
        answer: Row = {"transactions": []}
        try:
            if since:
                answer = self._ask(transactions.TransactionsSinceID(self._account, params={"id": str(since)}))
        except Exception:
            if not self._refused(416):
                raise
        if "lastTransactionID" not in answer:
            answer = {**answer, "lastTransactionID": self._summary()}
        last = words.log_id(answer, "lastTransactionID")
        if last < since:
            raise BadAnswerError(f"the log ends at {last}, before the known position {since}; is it the same account?")
        return _gapless(words.rows(answer, "transactions"), since), last

    def _transaction(self, transaction_id: str) -> Row:
        answer = self._ask(transactions.TransactionDetails(self._account, transactionID=quote(transaction_id, safe="")))
        found = words.row(answer.get("transaction"))
        if found.get("id") != transaction_id:
            raise BadAnswerError(f"asked for transaction {transaction_id}, got {found.get('id')}")
        return found

    def _summary(self) -> str:
        """Return the log's position, and take note of the account's currency."""
        answer = self._ask(accounts.AccountSummary(self._account))
        account = words.row(answer.get("account"))
        if words.text(account, "id") != self._account:
            raise BadAnswerError(f"asked for account {self._account}, got {account['id']}")
        self._currency = words.text(account, "currency")
        return str(words.log_id(answer, "lastTransactionID"))

    def _known_currency(self) -> str:
        if self._currency is None:
            raise BadAnswerError("the account's currency is not known; an order is prepared before it is sent")
        return self._currency

    def _asked_currency(self) -> str:
        if self._currency is None:
            self._summary()
        return self._known_currency()

    def _ask(self, endpoint: object) -> dict[str, Any]:
        """Make one request through the SDK, which refuses all but the expected status, and take note of the log's position."""
        body = self._client.request(endpoint)
        if not isinstance(body, dict):
            raise BadAnswerError(f"expected an object, got {type(body).__name__}")
        if "lastTransactionID" in body:
            self._position = max(self._position or 0, words.log_id(body, "lastTransactionID"))
        return body

    def _refused(self, status: int, about: str = "") -> bool:
        """Say whether OANDA itself answered with this status, and named what it is about."""
        record = self._wire.current()
        if record.phase is not Phase.ANSWERED or record.answer is None or record.answer.status != status:
            return False
        body = errors.said(record.answer)
        return body is not None and about in body["errorMessage"]


def guarded_client(settings: VenueSettings) -> API:
    """Return the SDK's client without its freedom to follow a redirect or to wait for ever."""
    client = stream.client_for(settings.credentials["token"].reveal(), settings.base_url)
    session = GuardedSession(settings.wire)
    session.headers.update(client.client.headers)
    client.client.close()
    client.client = session
    return client


def _account_id(settings: VenueSettings) -> str:
    account = settings.options.get("account", "")
    if not re.fullmatch(r"\d+-\d+-\d+-\d+", account):
        raise ConfigurationError(f"[venue_options] account is {account!r}; give the v20 account id, such as 101-001-1234567-001")
    if account.partition("-")[0] == FOREIGN_SITE.get(settings.environment):
        raise ConfigurationError(f"account {account} does not belong to the environment {settings.environment!r}; correct either")
    return account


def _specifier(reference: OrderReference) -> str:
    """Return how an order is named in a path, quoted: the SDK would cut an id off at its first `?` or `#`."""
    if reference.venue_order_id is not None:
        return quote(reference.venue_order_id, safe="")
    return "@" + quote(reference.client_order_id, safe="")


def _since(reference: OrderReference) -> int:
    """Return the position behind which the order must stand in the log; 0 reads all of it."""
    for known, before in ((reference.venue_order_id, 1), (reference.position, 0)):
        if known is not None:
            return max(words.log_id({"position": known}, "position") - before, 0)
    return 0


def _gapless(found: list[Row], since: int) -> list[Row]:
    for expected, transaction in enumerate(found, since + 1):
        if words.log_id(transaction, "id") != expected:
            raise BadAnswerError(f"the log has a gap: expected transaction {expected}, found {transaction['id']}")
    return found


def _end(found: list[Row], since: int) -> int:
    return words.log_id(found[-1], "id") if found else since


def _sum(traded: Mapping[str, Traded], executions: Iterable[Execution]) -> dict[str, Traded]:
    total = dict(traded)
    for execution in executions:
        order_id = execution.venue_order_id
        total[order_id] = total.get(order_id, Traded()).plus([execution])
    return total


def _cursor(cursor: str | None) -> tuple[int, dict[str, Traded]]:
    """Return the log's position and what the orders open there had traded, which OANDA does not tell again."""
    if cursor is None:
        return 0, {}
    state = json.loads(cursor)
    return int(state["log"]), {key: Traded(Decimal(value[0]), Decimal(value[1])) for key, value in state["traded"].items()}


def _next_cursor(last: int, traded: Mapping[str, Traded]) -> str:
    state = {key: [plain(value.quantity), plain(value.notional)] for key, value in traded.items()}
    return json.dumps({"log": str(last), "traded": state}, sort_keys=True)
