"""The simulated Alpaca, with its trade updates.

*Documented* is Alpaca's page on WebSocket streaming. That the `execution_id` of an update is another than the id by which the list
of fills knows the trade is *inferred* as the worse case.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from functools import cached_property
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from logos_alpaca.simulator.answers import plain, timestamp
from logos_alpaca.simulator.app import AlpacaSimulator
from logos_core.testing.exchange import OrderStatus, Transaction
from logos_core.testing.server import HttpRequest
from logos_core.testing.streaming import Feed, Wire
from logos_core.testing.wires import WebSocketMessages

EVENTS = {"order": "new", "fill": "partial_fill", "cancel": "canceled", "expire": "expired", "replace": "replaced"}  # documented


class StreamingAlpaca(AlpacaSimulator):
    """Answer as `AlpacaSimulator` does, and stream."""

    @cached_property
    def feed(self) -> Feed:
        """Return what is told, and what goes wrong with it."""
        return Feed(self.exchange)

    def stream(self, request: HttpRequest) -> Callable[[socket.socket, threading.Event], None] | None:
        """Return what takes a connection over, or None for a request like any other."""
        if request.path != "/stream" or request.headers.get("upgrade", "").lower() != "websocket":
            return None

        def tell(connection: socket.socket, stopping: threading.Event) -> None:
            wire = WebSocketMessages(connection, binary=True)  # documented, of the paper environment
            wire.begin(request.headers)
            self.feed.serve(wire, self, stopping)

        return tell

    # The voice.

    def greet(self, wire: Wire, stopping: threading.Event) -> bool:
        """Let the listener in and confirm what it asks to listen to, both as documented."""
        while not stopping.is_set():
            for said in wire.attend(0.02):
                message = json.loads(said)
                data = message.get("data", {})
                if message.get("action") == "authenticate":
                    keys = {"apca-api-key-id": data.get("key_id", ""), "apca-api-secret-key": data.get("secret_key", "")}
                    let_in = self._is_authorised(HttpRequest("GET", "/stream", keys))
                    status = "authorized" if let_in else "unauthorized"
                    wire.send(_line("authorization", {"status": status, "action": "authenticate"}))
                    if not let_in:
                        return False
                elif message.get("action") == "listen":
                    streams = [name for name in data.get("streams", []) if name == "trade_updates"]
                    wire.send(_line("listening", {"streams": streams}))
                    return bool(streams)
        return False

    def tell(self, transaction: Transaction) -> list[bytes]:
        """Tell of one change: the event, the whole order as it was then, and of a trade its own numbers."""
        order, trade = transaction.order, transaction.execution
        if transaction.kind not in EVENTS:
            return []
        event = EVENTS[transaction.kind]
        if transaction.kind == "fill" and order.status is OrderStatus.FILLED:
            event = "fill"
        with self.exchange.lock:
            data: dict[str, Any] = {"event": event, "timestamp": timestamp(transaction.time), "order": self._order(order)}
        if trade is not None:
            data |= {"execution_id": str(uuid5(NAMESPACE_URL, trade.trade_id))}
            data |= {"price": plain(trade.price), "qty": plain(trade.quantity)}
        return [_line("trade_updates", data)]

    def beat(self, last: int) -> bytes | None:
        return None

    def garbage(self) -> bytes:
        return b'{"stream":"trade_updates","data":{"event":"fi'


def _line(stream: str, data: dict[str, Any]) -> bytes:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()
