"""Let the adapters speak through the venues' real SDKs to simulators on the loopback interface, and keep every word."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from logos_core import Adapter, presets, session
from logos_core.capabilities import Capabilities
from logos_core.clock import SystemClock
from logos_core.home import Home
from logos_core.hookspecs import OrderReference, ReconcileRequest, VenueSnapshot
from logos_core.orders import OrderRequest, OrderType, Side, TimeInForce
from logos_core.testing.exchange import SimulatedInstrument
from logos_core.testing.rehearsal.presets import CREDENTIAL, embedded
from logos_core.testing.rehearsal.scenario import price_at, unit_of
from logos_core.testing.rehearsal.simulator import application
from logos_core.testing.server import HttpRequest, HttpResponse, LoopbackServer
from logos_core.venues import BoundVenue, Reply
from tools.spec_check.validating import Call
from tools.spec_check.venues import Documented

TIMEOUT_S = 20.0


class Desk:
    """A simulated venue, sessions on it, and everything that was said; also a context manager."""

    def __init__(self, documented: Documented, folder: Path) -> None:
        self.documented = documented
        self.folder = folder
        self.app = application(documented.venue)
        self.server = LoopbackServer(self.app)
        self.calls: list[Call] = []
        self._kept, self._dated, self._refusals = True, True, list[int]()
        self._lock = threading.Lock()
        self._handle = self.app.handle
        self.app.handle = self._note  # type: ignore[method-assign]

    def __enter__(self) -> Self:
        """Serve, and bind the venue: the plugin behind its typed façade, without the guards of a session."""
        self.server.start()
        preset = next(known for known in embedded() if known.venue == self.documented.venue)
        self.preset = self.folder / "preset.toml"
        self.preset.write_text(preset.text(self.server.url, self.folder / "runs", TIMEOUT_S), encoding="utf-8")
        environ, home = {**os.environ, CREDENTIAL: "k"}, Home(self.folder / "home")
        self.venue: BoundVenue = session.bind(presets.load(self.preset), environ, SystemClock(), home)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop serving. A simulator's own bug is no answer to judge."""
        self.server.stop()
        failures = [entry.failure for entry in self.server.wire if entry.failure]
        assert not failures, failures

    def open(self) -> Adapter:
        """Open a guarded session."""
        return Adapter.open(self.preset, home=self.folder / "home", environ={**os.environ, CREDENTIAL: "k"})

    @property
    def capabilities(self) -> Capabilities:
        """What the venue declares."""
        return self.venue.capabilities

    @property
    def main(self) -> SimulatedInstrument:
        """The first instrument."""
        return self.app.exchange.instruments()[0]

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """Keep nothing meanwhile: what only fills the books is like what was kept before."""
        self._kept = False
        try:
            yield
        finally:
            self._kept = True

    @contextmanager
    def undated(self) -> Iterator[None]:
        """Let answers tell no time, so that it is asked for."""
        self._dated = False
        try:
            yield
        finally:
            self._dated = True

    def refuse_next(self, status: int) -> None:
        """Let the next request be refused with a status, as the venue words it, and not be processed."""
        self._refusals.append(status)

    def mend(self) -> None:
        """Let nothing be refused any more."""
        self._refusals.clear()

    def limit(self, client_order_id: str, at: str = "0.95", side: Side = Side.BUY, **changes: object) -> OrderRequest:
        """Return a limit order at a share of the last price: a bid rests below one, and fills above."""
        made = {"quantity": unit_of(self.main), "price": price_at(self.main, at), **changes}
        return self._request(client_order_id, OrderType.LIMIT, side, made)

    def market(self, client_order_id: str, side: Side = Side.BUY, **changes: object) -> OrderRequest:
        """Return a market order."""
        return self._request(client_order_id, OrderType.MARKET, side, {"quantity": unit_of(self.main), "price": None, **changes})

    def submit(self, request: OrderRequest) -> Reply:
        """Send an order, once."""
        return self.venue.submit(self.venue.prepare(request), ())

    def placed(self, request: OrderRequest) -> OrderReference:
        """Send an order that is accepted, and return how to find it."""
        reply = self.submit(request)
        assert reply.error is None, repr(reply.error)
        return self.reference(request.client_order_id, reply.result.venue_order_id)

    def reference(self, client_order_id: str, venue_order_id: str | None = None) -> OrderReference:
        """Return how to find an order of the first instrument."""
        return OrderReference(client_order_id=client_order_id, symbol=self.main.symbol, venue_order_id=venue_order_id)

    def snapshot(self, cursor: str | None = None) -> VenueSnapshot:
        """Return the venue's view since a cursor."""
        return self.venue.reconcile(ReconcileRequest(cursor=cursor, symbols=(self.main.symbol,), prefix="lgs"))

    def _request(self, client_order_id: str, kind: OrderType, side: Side, made: dict[str, object]) -> OrderRequest:
        lasts: TimeInForce = self.capabilities.times_in_force[kind][0]
        if kind is OrderType.LIMIT and TimeInForce.GTC in self.capabilities.times_in_force[kind]:
            lasts = TimeInForce.GTC
        given = {"symbol": self.main.symbol, "time_in_force": lasts, **made}
        return OrderRequest(client_order_id=client_order_id, side=side, order_type=kind, **given)  # type: ignore[arg-type]

    def _note(self, request: HttpRequest) -> HttpResponse:
        answer = self.app.error_body(self._refusals.pop(0)) if self._refusals else self._handle(request)
        if not self._dated:
            kept = tuple(header for header in answer.headers if header[0].lower() != "date")
            answer = HttpResponse(answer.status, answer.body, kept)
        with self._lock:
            if self._kept:
                self.calls.append(Call(request, answer))
        return answer
