"""A venue over the real alpaca-py, talking to a simulated Alpaca on the loopback interface."""

import json
import tempfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import stamina
from attrs import evolve

from logos_alpaca import VENUE
from logos_alpaca.simulator import AlpacaSimulator
from logos_alpaca.venue import AlpacaVenue
from logos_core.clock import SystemClock
from logos_core.hookspecs import OrderReference, PreparedOrder, ReconcileRequest, VenueSnapshot
from logos_core.orders import OrderRequest, OrderType, Side, TimeInForce
from logos_core.secrets import Secret
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from logos_core.testing.server import HttpRequest, HttpResponse, LoopbackServer, WireEntry
from logos_core.venues import BoundVenue, Reply, VenueSettings, bind
from logos_core.wire import Gate, Wire

Change = Callable[[HttpRequest, HttpResponse], HttpResponse]


class ScriptedAlpaca(AlpacaSimulator):
    """The simulator, but for the paths whose answer a test has written or changes; it keeps every request."""

    def __init__(self, **beliefs: Any) -> None:
        super().__init__(requests_per_minute=None, **beliefs)
        self.requests: list[HttpRequest] = []
        self.answers: dict[tuple[str, str], HttpResponse] = {}
        self.changes: dict[tuple[str, str], Change] = {}

    def handle(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        key = request.method, request.path
        if key in self.answers:
            return self.answers[key]
        answer = super().handle(request)
        return self.changes[key](request, answer) if key in self.changes else answer


class Desk:
    """One session's venue, the simulated Alpaca behind it, and short words for what tests do with them."""

    def __init__(self, *, timeout_s: float = 5.0, key_id: str = "key", **beliefs: Any) -> None:
        self.app = ScriptedAlpaca(**beliefs)
        self.server = LoopbackServer(self.app, hold_s=2.0).start()
        clock = SystemClock()
        self.settings = VenueSettings(
            variant="",
            environment="simulator",
            base_url=self.server.url,
            credentials={"key_id": Secret(key_id), "secret_key": Secret("secret")},
            options={},
            wire=Wire(clock, timeout_s),
            clock=clock,
            host_folder=Path(tempfile.gettempdir()),
        )
        self.venue: BoundVenue = bind(VENUE, self.settings)

    def close(self) -> None:
        self.client._session.close()
        self.server.stop()
        assert [] == [entry.failure for entry in self.server.wire if entry.failure]

    @property
    def client(self) -> Any:
        """The real SDK object behind the façade."""
        plugin = self.venue.hooks.submit.get_hookimpls()[0].plugin
        assert isinstance(plugin, AlpacaVenue)
        return plugin._client

    def order(self, client_order_id: str = "lgs1", **changes: Any) -> OrderRequest:
        market = OrderRequest(
            client_order_id=client_order_id,
            symbol="AAPL",
            side=Side.BUY,
            order_type=OrderType.LIMIT if "price" in changes else OrderType.MARKET,
            quantity=Decimal(3),
            price=None,
            time_in_force=TimeInForce.GTC if "price" in changes else TimeInForce.DAY,
        )
        return evolve(market, **changes)

    def prepare(self, client_order_id: str = "lgs1", **changes: Any) -> PreparedOrder:
        return self.venue.prepare(self.order(client_order_id, **changes))

    def submit(self, client_order_id: str = "lgs1", *, gates: tuple[Gate, ...] = (), **changes: Any) -> Reply:
        return self.venue.submit(self.prepare(client_order_id, **changes), gates)

    def rest(self, client_order_id: str = "lgs1", **changes: Any) -> str:
        """Submit an order that rests, and return Alpaca's id of it."""
        return str(self.submit(client_order_id, price=Decimal(150), **changes).result.venue_order_id)

    def reference(self, client_order_id: str = "lgs1", **known: Any) -> OrderReference:
        return OrderReference(client_order_id=client_order_id, symbol="AAPL", **known)

    def reconcile(self, cursor: str | None = None) -> VenueSnapshot:
        return self.venue.reconcile(ReconcileRequest(cursor=cursor, symbols=(), prefix="lgs"))

    def fault(self, kind: FaultKind, operation: str = "submit", **more: Any) -> None:
        self.server.plan = FaultPlan([Fault(kind=kind, operation=operation, **more)])

    def answer(self, method: str, path: str, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        """Answer every such request so, and let the venue never see it."""
        self.app.answers[method, f"/v2{path}"] = HttpResponse(status, body, headers)

    def change(self, method: str, path: str, change: Change) -> None:
        """Let the venue process such requests, and change what it answers."""
        self.app.changes[method, f"/v2{path}"] = change

    def change_json(self, method: str, path: str, change: Callable[[Any], Any]) -> None:
        """Let the venue process such requests, and change the JSON it answers."""
        self.change(method, path, lambda _, answer: HttpResponse.json(answer.status, change(json.loads(answer.body))))

    def sent(self, operation: str = "submit") -> list[WireEntry]:
        return [entry for entry in self.server.wire if entry.operation == operation]

    def queries(self, path: str) -> list[dict[str, str]]:
        return [request.query for request in self.app.requests if request.path == f"/v2{path}"]


@pytest.fixture
def open_desk() -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def open_one(**settings: Any) -> Desk:
        desks.append(Desk(**settings))
        return desks[-1]

    yield open_one
    for desk in desks:
        desk.close()


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    return open_desk()


@pytest.fixture(autouse=True)
def _retries_do_not_wait() -> Iterator[None]:
    """Let the pauses between tries take no time; the number of tries stays the one that was asked for."""
    stamina.set_testing(True, attempts=20, cap=True)
    yield
    stamina.set_testing(False)
