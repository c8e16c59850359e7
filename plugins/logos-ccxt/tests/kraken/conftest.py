"""A bound Kraken venue on the real ccxt client, in front of its simulator."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from logos_ccxt import VENUE
from logos_ccxt.kraken.simulator import KrakenSimulator
from logos_ccxt.kraken.venue import KrakenVenue
from logos_core.clock import SystemClock
from logos_core.hookspecs import OrderReference, ReconcileRequest
from logos_core.orders import OrderRequest, OrderType, Side, TimeInForce
from logos_core.secrets import Secret
from logos_core.testing.faults import Fault, FaultPlan
from logos_core.testing.server import HttpRequest, HttpResponse, LoopbackServer
from logos_core.venues import BoundVenue, Reply, VenueSettings, bind
from logos_core.wire import Wire


class ScriptedSimulator(KrakenSimulator):
    """The simulator, but for the methods whose answer a test has written; it keeps every request."""

    def __init__(self, **options) -> None:
        super().__init__(**{"counter_max": None, **options})
        self.requests: list[HttpRequest] = []
        self.answers: dict[str, HttpResponse] = {}

    def handle(self, request):
        self.requests.append(request)
        return self.answers.get(request.path.rpartition("/")[2]) or super().handle(request)


class Desk:
    """One venue, the server behind it, and short words for what tests do with them."""

    def __init__(self, *, timeout_s: float = 5.0, secret: str = "key", clock=None, **options) -> None:
        self.app = ScriptedSimulator(**options)
        self.server = LoopbackServer(self.app, hold_s=2.0).start()
        self.clock = clock or SystemClock()
        self.settings = VenueSettings(
            variant="kraken",
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
    def plugin(self) -> KrakenVenue:
        """The plugin's own object behind the façade."""
        plugin = self.venue.hooks.submit.get_hookimpls()[0].plugin
        assert isinstance(plugin, KrakenVenue)
        return plugin

    @property
    def exchange(self):
        """The real SDK object."""
        return self.plugin._exchange

    def order(self, order_type: str = "limit", client_order_id: str = "lgsorder1", **more) -> OrderRequest:
        given = {"symbol": "BTC/USD", "side": Side.BUY, "quantity": Decimal("0.01"), "price": None}
        lasts = TimeInForce.IOC if order_type == "market" else TimeInForce.GTC
        return OrderRequest(
            client_order_id=client_order_id, order_type=OrderType(order_type), **{"time_in_force": lasts, **given, **more}
        )

    def market(self, client_order_id="lgsorder1", **more) -> OrderRequest:
        return self.order("market", client_order_id, **more)

    def limit(self, client_order_id="lgsorder1", price="50000", **more) -> OrderRequest:
        return self.order("limit", client_order_id, price=Decimal(price), **more)

    def submit(self, request: OrderRequest) -> Reply:
        return self.venue.submit(self.venue.prepare(request), ())

    def reference(self, client_order_id="lgsorder1", **known) -> OrderReference:
        fields = {"symbol": "BTC/USD", "submitted_at": datetime.now(UTC), **known}
        return OrderReference(client_order_id=client_order_id, **fields)

    def reconcile(self, cursor=None):
        return self.venue.reconcile(ReconcileRequest(cursor=cursor, symbols=(), prefix="lgs"))

    def fault(self, kind, operation="submit", **more) -> None:
        self.server.plan = FaultPlan([Fault(kind=kind, operation=operation, **more)])

    def answer(self, method: str, body: bytes, status: int = 200, content_type: str = "application/json") -> None:
        self.app.answers[method] = HttpResponse(status, body, (("Content-Type", content_type),))

    def sent(self, method: str) -> list[dict[str, str]]:
        """The parameters of every such request that reached the venue, as they stood on the wire."""
        found = [request for request in self.app.requests if request.path.endswith(f"/{method}")]
        return [request.form() if b"{" not in request.body else request.json() for request in found]

    def asked(self) -> list[str]:
        return [request.path.rpartition("/")[2] for request in self.app.requests]

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
