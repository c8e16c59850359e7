"""Orders, reports and ledgers to try things on."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import evolve

from logos_core import Adapter
from logos_core.capabilities import Features, Uniqueness
from logos_core.clock import ManualClock
from logos_core.hookspecs import PreparedOrder
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.orders import Order, OrderClass, OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from logos_core.rails.doubt import NOTHING, DoubtPolicy
from logos_core.records import Claim, LedgerIdentity
from logos_core.reports import Execution, ExecutionReport
from logos_core.testing import scripted
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from logos_core.testing.rehearsal.presets import CREDENTIAL, embedded
from logos_core.testing.rehearsal.scenario import price_at, unit_of
from logos_core.testing.rehearsal.simulator import application
from logos_core.testing.scripted import ScriptedSession, ScriptedVenue, capabilities
from logos_core.testing.server import HttpRequest, HttpResponse, LoopbackServer, WireEntry

HOLDING_NOTHING = scripted.Rails(unknown=DoubtPolicy(holds=NOTHING))
"""Rails under which orders go on beside an unknown one."""
OWNER = LedgerIdentity(venue="scripted", environment="simulator", account_id="ACCOUNT-1")


def order(intent_id: str = "one", **changes: Any) -> Order:
    """A limit order for the scripted venue."""
    given = {"quantity": "1", "price": "100", "intent_id": intent_id, **changes}
    return Order.limit(given.pop("symbol", scripted.SYMBOL), given.pop("side", "buy"), **given)


def request_of(name: str = "lgs1", **changes: Any) -> OrderRequest:
    """An order as a venue sees it."""
    made = OrderRequest(
        client_order_id=name,
        symbol=scripted.SYMBOL,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(1),
        price=Decimal(100),
        time_in_force=TimeInForce.GTC,
    )
    return evolve(made, **changes)


def report_of(name: str | None = "lgs1", **changes: Any) -> ExecutionReport:
    """What a venue says of `request_of(name)`."""
    made = ExecutionReport(
        client_order_id=name,
        venue_order_id="v1",
        symbol=scripted.SYMBOL,
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        quantity=Decimal(1),
        price=Decimal(100),
        time_in_force=TimeInForce.GTC,
        status=OrderStatus.NEW,
        filled_quantity=Decimal(0),
        average_price=None,
    )
    return evolve(made, **changes)


def execution_of(execution_id: str = "t1", venue_order_id: str = "v1", **changes: Any) -> Execution:
    """A trade of `report_of()`."""
    made = Execution(
        execution_id=execution_id,
        venue_order_id=venue_order_id,
        client_order_id="lgs1",
        symbol=scripted.SYMBOL,
        side=Side.BUY,
        quantity=Decimal("0.5"),
        price=Decimal(100),
        fees=(),
        executed_at=ManualClock().now(),
    )
    return evolve(made, **changes)


def bracketed(desk: Callable[..., ScriptedSession]) -> ScriptedSession:
    """A session with an order that the venue protects by two legs, one of them under an id of its own."""
    features = Features(linked={OrderClass.BRACKET: {OrderType.LIMIT: (TimeInForce.GTC,)}}, sources={"linked": "scripted"})
    session = desk(ScriptedVenue(evolve(capabilities(uniqueness=Uniqueness.OPEN), features=features)))
    entry = session.adapter.submit(order(take_profit=110, stop_loss=90))
    leg = evolve(entry, client_order_id=None, side=Side.SELL, leg_of=entry.client_order_id)
    profit = evolve(leg, client_order_id="theirs", venue_order_id="profit", price=Decimal(110))
    loss = evolve(leg, venue_order_id="loss", order_type=OrderType.STOP, price=None, stop_price=Decimal(90))
    session.venue.change(str(entry.client_order_id), legs=(profit, loss))
    return session


def end_leg(session: ScriptedSession, venue_order_id: str) -> None:
    """Let the venue end one leg of the one order it holds."""
    (held,) = session.venue.held
    legs = [evolve(leg, status=OrderStatus.CANCELED) if leg.venue_order_id == venue_order_id else leg for leg in held.legs]
    session.venue.change(str(held.client_order_id), legs=tuple(legs))


class Book:
    """A ledger with a session, and short words for what is done to it."""

    def __init__(self, path: Path, clock: ManualClock | None = None, session_id: str = "s1") -> None:
        self.path = path
        self.clock = clock or ManualClock()
        opened = path.exists()
        self.ledger = SqliteLedger.open(path, self.clock, OWNER) if opened else SqliteLedger.create(path, OWNER, self.clock)
        self.ledger.begin_session(session_id, "test", "host:1")

    def claim(self, name: str = "lgs1", *, again: bool | int = False, deny=lambda: None, request: OrderRequest | None = None):
        now = self.clock.now()
        prepared = PreparedOrder(request=request or request_of(name), wire={"id": name}, position="7")
        return self.ledger.claim(
            Claim(
                decision=order(name),
                strategy="test",
                prepared=prepared,
                send_by=now + timedelta(seconds=0.25),
                valid_until=now + timedelta(seconds=5),
                proven_attempt=self._proven(name, again),
            ),
            deny,
        )

    def _proven(self, name: str, again: bool | int) -> int | None:
        """Return the attempt that a proof is about: a given one, or the latest."""
        if again is True:
            found = self.ledger.find(name)
            return found.attempts[-1].number if found else None
        return again or None

    def settle(self, outcome, *, number: int = 1, name: str = "lgs1", report: ExecutionReport | None = None):
        return self.ledger.settle(name, number, outcome, report=report, evidence={"by": "test"})

    def apply(self, report: ExecutionReport):
        return self.ledger.apply_report(report, {"by": "test"})

    def state(self, name: str = "lgs1"):
        found = self.ledger.find(name)
        assert found is not None
        return found.state

    def kinds(self) -> list[str]:
        return [event.kind for event in self.ledger.events()]


class Loopback:
    """A simulated venue on the loopback interface, and sessions that reach it through the venue's real SDK."""

    def __init__(self, venue: str, folder: Path) -> None:
        self.name = venue
        self.folder = folder
        self.app = application(venue)
        self.server = LoopbackServer(self.app, hold_s=10)
        self.instrument = self.app.exchange.instruments()[0]
        self.processed: list[HttpRequest] = []
        handle = self.app.handle

        def note(request: HttpRequest) -> HttpResponse:
            self.processed.append(request)
            return handle(request)

        self.app.handle = note  # type: ignore[method-assign]

    def preset(self, **tables: dict[str, Any]) -> Path:
        """Write the venue's own simulator preset, for this simulator, with some tables of it replaced."""
        path = self.folder / "preset.toml"
        known = next(preset for preset in embedded() if preset.venue == self.name)
        known = evolve(known, body={**known.body, **tables})
        path.write_text(known.text(self.server.url, self.folder / "runs", timeout_s=2.0))
        return path

    def unbounded(self) -> dict[str, Any]:
        """Return what opens a session that no request budget holds back, on an account that is never short of money."""
        for asset in self.app.exchange.balances():
            self.app.exchange._books._book(asset, Decimal(10**15))
        path = self.preset(rate_limit={"requests": 100_000, "period_s": 1.0})
        return {"preset": path, "home": self.folder / "home", "environ": {CREDENTIAL: "k"}}

    def open(self, **tables: dict[str, Any]) -> Adapter:
        return Adapter.open(self.preset(**tables), home=self.folder / "home", environ={CREDENTIAL: "k"})

    def order(self, intent_id: str = "one", *, at: str = "0.95", quantity: str | None = None) -> Order:
        """An order at a share of the last price: below one it rests, above it fills."""
        wanted, price = quantity or unit_of(self.instrument), price_at(self.instrument, at)
        return Order.limit(self.instrument.symbol, "buy", quantity=wanted, price=price, intent_id=intent_id)

    def fault(self, kind: FaultKind, operation: str = "submit", **more: Any) -> None:
        """Let this go wrong from here on, besides what does already."""
        self.server.plan = FaultPlan([*self.server.plan.faults, Fault(kind=kind, operation=operation, **more)])

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        self.server.plan = FaultPlan()

    def sent(self, operation: str = "submit") -> list[WireEntry]:
        return [entry for entry in self.server.wire if entry.operation == operation]
