"""A bound Binance venue on the real ccxt client, in front of its simulator."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from logos_ccxt import VENUE
from logos_ccxt.binance.simulator import BinanceSimulator
from logos_ccxt.binance.venue import BinanceVenue
from logos_core.clock import SystemClock
from logos_core.hookspecs import OrderReference, ReconcileRequest
from logos_core.orders import OrderRequest, OrderType, Side, TimeInForce
from logos_core.secrets import Secret
from logos_core.testing.faults import Fault, FaultPlan
from logos_core.testing.server import HttpRequest, HttpResponse, LoopbackServer
from logos_core.venues import BoundVenue, Reply, VenueSettings, bind
from logos_core.wire import Wire


class ScriptedSimulator(BinanceSimulator):
    """The simulator, but for the paths whose answer a test has written; it keeps every request."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.requests: list[HttpRequest] = []
        self.answers: dict[tuple[str, str], HttpResponse] = {}

    def handle(self, request):
        self.requests.append(request)
        path = request.path.removeprefix("/api/v3/")
        return self.answers.get((request.method, path)) or super().handle(request)


class Desk:
    """One venue, the server behind it, and short words for what tests do with them."""

    def __init__(self, *, timeout_s: float = 5.0, secret: str = "key", clock=None, **options) -> None:
        self.app = ScriptedSimulator(**options)
        self.server = LoopbackServer(self.app, hold_s=2.0).start()
        self.clock = clock or SystemClock()
        self.settings = VenueSettings(
            variant="binance",
            environment="simulator",
            base_url=self.server.url,
            credentials={"api_key": Secret("key"), "secret": Secret(secret)},
            options={},
            wire=Wire(self.clock, timeout_s),
            clock=self.clock,
            host_folder=Path(tempfile.gettempdir()),
        )
        self.venue: BoundVenue = bind(VENUE, self.settings)

    @property
    def plugin(self) -> BinanceVenue:
        """The plugin's own object behind the façade."""
        plugin = self.venue.hooks.submit.get_hookimpls()[0].plugin
        assert isinstance(plugin, BinanceVenue)
        return plugin

    @property
    def exchange(self):
        """The real SDK object."""
        return self.plugin._exchange

    def market(self, client_order_id="order1", side="buy", quantity="0.01", symbol="BTC/USDT") -> OrderRequest:
        return OrderRequest(
            client_order_id=client_order_id, symbol=symbol, side=Side(side), order_type=OrderType.MARKET,
            quantity=Decimal(quantity), price=None, time_in_force=TimeInForce.IOC,
        )  # fmt: skip

    def limit(
        self, client_order_id="order1", side="buy", quantity="0.01", price="50000", time_in_force="gtc", symbol="BTC/USDT"
    ) -> OrderRequest:
        return OrderRequest(
            client_order_id=client_order_id, symbol=symbol, side=Side(side), order_type=OrderType.LIMIT,
            quantity=Decimal(quantity), price=Decimal(price), time_in_force=TimeInForce(time_in_force),
        )  # fmt: skip

    def submit(self, request: OrderRequest) -> Reply:
        return self.venue.submit(self.venue.prepare(request), ())

    def reference(self, client_order_id="order1", **known) -> OrderReference:
        fields = {"symbol": "BTC/USDT", "submitted_at": datetime.now(UTC), **known}
        return OrderReference(client_order_id=client_order_id, **fields)

    def reconcile(self, cursor=None, symbols=("BTC/USDT",)):
        return self.venue.reconcile(ReconcileRequest(cursor=cursor, symbols=symbols, prefix="order"))

    def fault(self, kind, operation="submit", **more) -> None:
        self.server.plan = FaultPlan([Fault(kind=kind, operation=operation, **more)])

    def answer(self, method: str, path: str, status: int, body: bytes, content_type: str = "application/json") -> None:
        self.app.answers[method, path] = HttpResponse(status, body, (("Content-Type", content_type),))

    def sent(self, method: str, path: str) -> list[dict[str, str]]:
        """The parameters of every such request that reached the venue, as they stood on the wire."""
        return [
            dict(parse_qsl(request.target.partition("?")[2] + request.body.decode()))
            for request in self.app.requests
            if (request.method, request.path) == (method, f"/api/v3/{path}")
        ]

    def submits(self) -> int:
        return sum(entry.operation == "submit" for entry in self.server.wire)


@pytest.fixture
def make_desk() -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def make(**options) -> Desk:
        desks.append(Desk(**options))
        return desks[-1]

    yield make
    for desk in desks:
        desk.exchange.close()
        desk.server.stop()
        assert [] == [entry.failure for entry in desk.server.wire if entry.failure]


@pytest.fixture
def desk(make_desk):
    return make_desk()
