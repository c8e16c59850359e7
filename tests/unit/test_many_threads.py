"""Many threads on one session, through each venue's real SDK: calls overlap, and nobody gets another's answer."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from attrs import evolve

from logos_core import Adapter, LogosError, OrderRejectedError, VenueUnavailableError
from logos_core.events import verify
from logos_core.lifecycle import IntentState as S
from logos_core.testing.rehearsal.scenario import unit_of
from logos_core.values import plain

THREADS, EACH = 25, 20
TRIES = 20
"""On a busy machine a first byte may come too late. Then nothing was sent, and the intent is submitted again."""
QUANTITY = {
    "alpaca": (rb'("qty": ?")[^"]+', rb"\g<1>0"),
    "oanda": (rb'("units": ?")[^"]+', rb"\g<1>1.5"),
    "ccxt:binance": (rb"(quantity=)[0-9.]+", rb"\g<1>0"),
    "ccxt:kraken": (rb"(volume=)[0-9.]+", rb"\g<1>0"),
}
"""Where an order's quantity stands on the wire, and one that the venue refuses."""
IN_TURNS = {"ccxt:kraken"}
"""Where requests under one key must arrive in order, so that there is one of them at a time."""


class Watched:
    """Lets a venue refuse some orders, and counts how many of them it has before it at once."""

    def __init__(self, loopback):
        self.doomed: set[str] = set()
        self.most = self._inside = 0
        self._lock = threading.Lock()
        self._app, self._handle = loopback.app, loopback.app.handle
        self._quantity = QUANTITY[loopback.name]
        loopback.app.handle = self.handle

    def handle(self, request):
        if self._app.client_order_id(request) in self.doomed:
            request = replace(request, body=re.sub(*self._quantity, request.body))
        order = self._app.operation(request) == "submit"
        with self._lock:
            self._inside += order
            self.most = max(self.most, self._inside)
        time.sleep(0.002)
        answer = self._handle(request)
        with self._lock:
            self._inside -= order
        return answer


def outcome(adapter, order):
    try:
        return adapter.submit(order)
    except LogosError as error:
        return error


def test_no_answer_is_mixed_up_between_threads(loopback, monkeypatch):
    """Each thread's orders have a quantity of their own, and every fourth is refused: answers and refusals both come back to their own."""
    monkeypatch.setattr("logos_ccxt.kraken.nonce.PATIENCE_S", 5.0)  # a busy machine must not let two of them overlap
    watched = Watched(loopback)
    unit = unit_of(loopback.instrument)
    with Adapter.open(**loopback.unbounded()) as adapter:

        def submit(number):
            intent_id = f"order-{number}"
            order = evolve(loopback.order(intent_id, at="0.5"), quantity=unit * (1 + number % THREADS))
            name = adapter._parts.cache.client_order_id(intent_id)
            if number % 4 == 0:
                watched.doomed.add(name)
            for _ in range(TRIES):
                result = outcome(adapter, order)
                if not isinstance(result, VenueUnavailableError):
                    break
            return name, order.quantity, result

        with ThreadPoolExecutor(THREADS) as pool:
            done = list(pool.map(submit, range(THREADS * EACH)))
        rejected = {name for name, _, _ in done if (found := adapter.ledger.find(name)) and found.state is S.REJECTED}
        verify(adapter.audit_log)
    accepted = [entry for entry in done if not isinstance(entry[2], LogosError)]
    held = {order["venue_order_id"]: order for order in loopback.server.orders()}

    assert THREADS * EACH // 4 == len(watched.doomed)
    assert [] == [error for _, _, error in done if isinstance(error, LogosError) and not isinstance(error, OrderRejectedError)]
    assert watched.doomed == {name for name, _, result in done if isinstance(result, OrderRejectedError)}
    assert watched.doomed == rejected
    assert [(name, quantity) for name, quantity, _ in accepted] == [
        (report.client_order_id, report.quantity) for _, _, report in accepted
    ]
    assert [(name, plain(quantity)) for name, quantity, _ in accepted] == [
        (held[report.venue_order_id]["client_order_id"], held[report.venue_order_id]["quantity"]) for _, _, report in accepted
    ]
    assert len(accepted) == len(held)
    assert (loopback.name in IN_TURNS) == (watched.most == 1), "orders overlap, but for a venue that asks for turns"
