"""OANDA's transaction stream, over the real oandapyV20.

Rules:

1. Every transaction of the account is told, and each has the log's next number; a heartbeat tells the last one. So a gap shows.
2. An order is reported only if the connection has told all of it, from its creation on and without a gap: then the log says of it
   what it says to a question. Of any other order only the trades are handed over, and the core is told to ask.
3. The SDK begins when its generator is first read, and ends it in silence with the connection. So the first record is the hello.
"""

import re
from collections.abc import Iterator

from oandapyV20 import API
from oandapyV20.endpoints import transactions
from oandapyV20.oandapyV20 import TRADING_ENVIRONMENTS

from logos_core.hookspecs import BadAnswerError, Inlet
from logos_core.reports import Execution, ExecutionReport
from logos_core.stream_transport import StreamSession
from logos_oanda import legs, mapping, words
from logos_oanda.words import Row

CONNECT_WITHIN_S = 10.0
SILENT_BEATS = 3
ORDERS_MAX = 10_000
"""How many orders are followed at a time; of further ones the oldest is asked about instead."""


def listen(client: API, account: str, currency: str, inlet: Inlet) -> None:
    """Hand over what the stream tells, until it ends.

    Args:
        client: of the SDK; its session is replaced by one that can listen.
        currency: of the account, for the fees.
    """
    session = StreamSession(CONNECT_WITHIN_S, SILENT_BEATS * inlet.heartbeat_s)
    session.headers.update(client.client.headers)
    client.client.close()
    client.client = session
    inlet.on_stop(session.close)
    transcript = Transcript(currency)
    greeted = False
    for record in client.request(transactions.TransactionsStream(account)):
        if not greeted:
            inlet.hello()
            greeted = True
        _hand_over(words.row(record), transcript, inlet)


def _hand_over(record: Row, transcript: "Transcript", inlet: Inlet) -> None:
    if record.get("type") == "HEARTBEAT":
        inlet.alive(words.log_id(record, "lastTransactionID") if "lastTransactionID" in record else None)
        return
    inlet.heard(words.log_id(record, "id"))
    try:
        for told in transcript.take(record):
            if isinstance(told, Execution):
                inlet.execution(told)
            else:
                inlet.report(told)
    except BadAnswerError as error:
        inlet.unreadable(str(error))


class Transcript:
    """What one connection has told without a gap, by order."""

    def __init__(self, currency: str) -> None:
        self._currency = currency
        self._last: int | None = None
        self._orders: dict[str, list[Row]] = {}

    def take(self, transaction: Row) -> Iterator[Execution | ExecutionReport]:
        """Return what a transaction tells.

        Raises:
            BadAnswerError: it tells of an order of which not all was told here; after the trades, which need nothing else.
        """
        number, kind = words.log_id(transaction, "id"), words.text(transaction, "type")
        if self._last is not None and number <= self._last:
            return  # told before, or late: then the gap was asked about
        if self._last is not None and number > self._last + 1:
            self._orders.clear()
        self._last = number
        if re.fullmatch(r"[A-Z_]+_ORDER", kind):
            self._follow(transaction)
            yield from self._report(str(number))
        elif kind in {"ORDER_FILL", "ORDER_CANCEL"}:
            order_id = words.text(transaction, "orderID")
            if order_id in self._orders:
                self._orders[order_id].append(transaction)
                yield from self._report(order_id)
                return
            if kind == "ORDER_FILL":
                yield from mapping.executions(transaction, self._currency)
            if transaction.get("clientOrderID") is not None:  # without an id it is nobody's who could have sent it from here
                raise BadAnswerError(f"transaction {number} is about order {order_id}, which did not begin in this connection")

    def _follow(self, creation: Row) -> None:
        self._orders[words.text(creation, "id")] = [creation]
        while len(self._orders) > ORDERS_MAX:
            self._orders.pop(next(iter(self._orders)))

    def _report(self, order_id: str) -> Iterator[ExecutionReport]:
        own = self._orders[order_id]
        if legs.parent_of(own[0]) is not None:
            del self._orders[order_id]
            raise BadAnswerError(f"order {order_id} is a leg, whose instrument only its trade tells")
        if words.text(own[0], "type").removesuffix("_ORDER") in mapping.TYPES:
            report = mapping.history(own, order_id, self._currency)
            if report.status.is_final:
                del self._orders[order_id]
            yield report


def client_for(token: str, base_url: str) -> API:
    """Return the SDK's client for an address and its stream.

    Its addresses are a table of the module that all clients of the process share, so ours gets a row of its own per address.
    """
    key = f"logos {base_url}"
    TRADING_ENVIRONMENTS[key] = {"api": base_url, "stream": stream_url(base_url)}
    return API(access_token=token, environment=key)


def stream_url(base_url: str) -> str:
    """Return where an environment streams: the SDK's own table tells it. A simulator streams where it answers."""
    return next((str(row["stream"]) for row in TRADING_ENVIRONMENTS.values() if row["api"] == base_url), base_url)
