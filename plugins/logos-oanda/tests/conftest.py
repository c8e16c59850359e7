"""A venue over the real SDK, talking to a simulated OANDA on the loopback interface."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from logos_core.clock import SystemClock
from logos_core.hookspecs import OrderReference, PreparedOrder, ReconcileRequest, VenueSnapshot
from logos_core.orders import OrderRequest, OrderType, Side, TimeInForce
from logos_core.secrets import Secret
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from logos_core.testing.server import HttpRequest, HttpResponse, LoopbackServer, WireEntry
from logos_core.venues import BoundVenue, Reply, VenueSettings, bind
from logos_core.wire import Gate, Wire
from logos_oanda import VENUE
from logos_oanda.simulator import ACCOUNT, OandaSimulator


def connect(url: str, *, token: str = "token", timeout_s: float = 5.0, account: str = ACCOUNT) -> BoundVenue:
    clock = SystemClock()
    settings = VenueSettings(
        variant="",
        environment="simulator",
        base_url=url,
        credentials={"token": Secret(token)},
        options={"account": account},
        wire=Wire(clock, timeout_s),
        clock=clock,
        host_folder=Path(tempfile.gettempdir()),
    )
    return bind(VENUE, settings)


@define
class Desk:
    """One session's venue and the simulated OANDA behind it."""

    app: OandaSimulator
    server: LoopbackServer
    venue: BoundVenue

    def order(self, client_order_id: str = "lgs1", **changes: Any) -> OrderRequest:
        fields: dict[str, Any] = {
            "symbol": "EUR_USD",
            "side": Side.BUY,
            "order_type": OrderType.LIMIT if "price" in changes else OrderType.MARKET,
            "quantity": Decimal(100),
            "price": None,
            "time_in_force": TimeInForce.GTC if "price" in changes else TimeInForce.FOK,
        }
        return OrderRequest(client_order_id=client_order_id, **{**fields, **changes})

    def prepare(self, client_order_id: str = "lgs1", **changes: Any) -> PreparedOrder:
        return self.venue.prepare(self.order(client_order_id, **changes))

    def submit(self, client_order_id: str = "lgs1", *, gates: tuple[Gate, ...] = (), **changes: Any) -> Reply:
        return self.venue.submit(self.prepare(client_order_id, **changes), gates)

    def reference(self, client_order_id: str = "lgs1", position: str | None = "3", **more: Any) -> OrderReference:
        return OrderReference(client_order_id=client_order_id, symbol="EUR_USD", position=position, **more)

    def reconcile(self, cursor: str | None = None) -> VenueSnapshot:
        return self.venue.reconcile(ReconcileRequest(cursor=cursor, symbols=(), prefix="lgs"))

    def fault(self, kind: FaultKind, operation: str = "submit", **more: Any) -> None:
        self.server.plan = FaultPlan([Fault(kind=kind, operation=operation, **more)])

    def requests(self) -> list[HttpRequest]:
        """Return the requests from here on, a list that grows."""
        seen: list[HttpRequest] = []
        handle = self.app.handle

        def note(request: HttpRequest) -> HttpResponse:
            seen.append(request)
            return handle(request)

        self.app.handle = note  # type: ignore[method-assign]
        return seen

    def sent(self, operation: str = "submit") -> list[WireEntry]:
        return [entry for entry in self.server.wire if entry.operation == operation]

    def targets(self, since: int = 0) -> list[str]:
        prefix = f"/v3/accounts/{ACCOUNT}/"
        return [entry.target.removeprefix(prefix) for entry in self.server.wire[since:]]


@pytest.fixture
def open_desk() -> Iterator[Callable[..., Desk]]:
    with ExitStack() as stack:

        def open_one(*, timeout_s: float = 5.0, token: str = "token", **beliefs: Any) -> Desk:
            app = OandaSimulator(**beliefs)
            server = stack.enter_context(LoopbackServer(app, hold_s=5))
            return Desk(app, server, connect(server.url, token=token, timeout_s=timeout_s))

        yield open_one


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    return open_desk()


@pytest.fixture
def connected() -> Callable[..., BoundVenue]:
    return connect
