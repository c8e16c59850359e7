"""The simulated Binance, with its user data stream.

*Quoted* is what ccxt 4.5.90 quotes in `pro/binance.py`. That the trade id of an event is another than the one by which `myTrades`
knows the trade is *inferred* as the worse case.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from logos_ccxt.binance.simulator import BinanceSimulator
from logos_core.testing.exchange import Transaction
from logos_core.testing.server import HttpRequest
from logos_core.testing.streaming import Feed, Wire
from logos_core.testing.wires import WebSocketMessages

WEBSOCKET_API = "/ws-api/v3"  # quoted
SUBSCRIBE = "userDataStream.subscribe.signature"  # quoted
EVENTS = {"order": "NEW", "fill": "TRADE", "cancel": "CANCELED", "expire": "EXPIRED"}
OTHER_TRADE_IDS = 10**9
_LETTERS = {
    "symbol": "s", "orderId": "i", "clientOrderId": "c", "side": "S", "type": "o", "timeInForce": "f", "origQty": "q", "price": "p",
    "stopPrice": "P", "icebergQty": "F", "orderListId": "g", "status": "X", "executedQty": "z", "cummulativeQuoteQty": "Z",
    "updateTime": "T", "trailingDelta": "d", "origQuoteOrderQty": "Q", "time": "O",
}  # fmt: skip


class StreamingBinance(BinanceSimulator):
    """Answer as `BinanceSimulator` does, and stream."""

    @cached_property
    def feed(self) -> Feed:
        """Return what is told, and what goes wrong with it."""
        return Feed(self.exchange)

    def stream(self, request: HttpRequest) -> Callable[[socket.socket, threading.Event], None] | None:
        """Return what takes a connection over, or None for a request like any other."""
        if request.path != WEBSOCKET_API or request.headers.get("upgrade", "").lower() != "websocket":
            return None

        def tell(connection: socket.socket, stopping: threading.Event) -> None:
            wire = WebSocketMessages(connection)
            wire.begin(request.headers)
            self.feed.serve(wire, self, stopping)

        return tell

    # The voice.

    def greet(self, wire: Wire, stopping: threading.Event) -> bool:
        """Confirm one signed subscription, or refuse it."""
        while not stopping.is_set():
            for said in wire.attend(0.02):
                message = json.loads(said)
                answer: dict[str, Any] = {"id": message.get("id")}
                let_in = message.get("method") == SUBSCRIBE and self._lets_in(message.get("params", {}))
                if let_in:
                    answer |= {"status": 200, "result": {"subscriptionId": 0}}
                else:
                    refused = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
                    answer |= {"status": 401, "error": refused}
                wire.send(json.dumps(answer).encode())
                return let_in
        return False

    def _lets_in(self, params: Mapping[str, Any]) -> bool:
        key, signature = str(params.get("apiKey", "")), str(params.get("signature", ""))
        payload = urlencode(sorted((name, value) for name, value in params.items() if name != "signature"))
        expected = hmac.new((self._secret or key).encode(), payload.encode(), hashlib.sha256).hexdigest()
        return bool(key) and self._api_key in {None, key} and hmac.compare_digest(signature, expected)

    def tell(self, transaction: Transaction) -> list[bytes]:
        """Tell of one change: the whole order as it was then, and of a trade its own numbers."""
        if transaction.kind not in EVENTS:
            return []
        with self.exchange.lock:
            order = self._order(transaction.order)
            trade = {} if transaction.execution is None else self._trade(transaction.execution)
        event = {letter: order[name] for name, letter in _LETTERS.items() if name in order}
        event |= {"e": "executionReport", "E": order["updateTime"], "x": EVENTS[transaction.kind], "r": "NONE", "C": ""}
        event |= {"l": trade.get("qty", "0.00000000"), "L": trade.get("price", "0.00000000")}
        event |= {"n": trade.get("commission", "0"), "N": trade.get("commissionAsset")}
        event["t"] = trade["id"] + OTHER_TRADE_IDS if trade else -1
        if transaction.kind == "cancel":  # quoted: c is the cancel's own id then
            event |= {"C": event["c"], "c": f"cancel-{transaction.id}"}
        return [json.dumps({"subscriptionId": 0, "event": event}, separators=(",", ":")).encode()]

    def beat(self, last: int) -> bytes | None:
        return None

    def garbage(self) -> bytes:
        return b'{"subscriptionId":0,"event":{"e":"executionRep'
