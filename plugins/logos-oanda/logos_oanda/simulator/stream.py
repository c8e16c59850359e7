"""The simulated OANDA, with its transaction stream.

Sources: as in the package. That the first heartbeat comes only after its five seconds is *inferred* as the worse case.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from functools import cached_property

from logos_core.testing.exchange import Transaction
from logos_core.testing.server import HttpRequest
from logos_core.testing.streaming import Feed, Wire
from logos_core.testing.wires import ChunkedLines
from logos_oanda.simulator.answers import Json, timestamp, venue_id
from logos_oanda.simulator.app import OandaSimulator

HEARTBEAT_S = 5.0  # specification


class StreamingOanda(OandaSimulator):
    """Answer as `OandaSimulator` does, and stream."""

    @cached_property
    def feed(self) -> Feed:
        """Return what is told, and what goes wrong with it."""
        return Feed(self.exchange, heartbeat_s=HEARTBEAT_S)

    @cached_property
    def _written(self) -> dict[int, Json]:
        """The log as it was told once; what is logged does not change, and a long log is read often."""
        return {}

    def _transaction(self, transaction: Transaction) -> Json:
        if transaction.id not in self._written:
            self._written[transaction.id] = super()._transaction(transaction)
        return dict(self._written[transaction.id])

    def stream(self, request: HttpRequest) -> Callable[[socket.socket, threading.Event], None] | None:
        """Return what takes a connection over, or None for a request like any other, one that is not let in included."""
        if not re.fullmatch(r"/v3/accounts/[^/]+/transactions/stream", request.path) or request.method != "GET":
            return None
        if not self.lets_in(request):
            return None

        def tell(connection: socket.socket, stopping: threading.Event) -> None:
            wire = ChunkedLines(connection)
            wire.begin()
            self.feed.serve(wire, self, stopping)

        return tell

    def lets_in(self, request: HttpRequest) -> bool:
        """Say whether a request may see the account."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and bool(token) and self._token in {None, token} and request.segments[2] == self.account

    # The voice.

    def greet(self, wire: Wire, stopping: threading.Event) -> bool:
        return True

    def tell(self, transaction: Transaction) -> list[bytes]:
        with self.exchange.lock:
            return [_line(self._transaction(transaction))]

    def beat(self, last: int) -> bytes | None:
        return _line({"type": "HEARTBEAT", "lastTransactionID": venue_id(last), "time": timestamp(self._now())})

    def garbage(self) -> bytes:
        return b'{"type":"ORDER_FILL","id":"12'


def _line(data: Json) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
