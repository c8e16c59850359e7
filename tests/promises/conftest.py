"""A loopback venue in this process, and sessions on it in this one and in others."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from logos_alpaca.simulator import AlpacaSimulator
from logos_ccxt.binance.simulator import BinanceSimulator
from logos_ccxt.kraken.simulator import KrakenSimulator
from logos_core import Adapter
from logos_core.adoption import adopt
from logos_core.clock import SystemClock
from logos_core.home import Home
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.session import register
from logos_core.testing.exchange import Exchange
from logos_core.testing.server import HttpRequest, HttpResponse, LoopbackServer, VenueApp
from logos_oanda.simulator import ACCOUNT, OandaSimulator

VENUES = ("alpaca", "oanda", "ccxt:binance", "ccxt:kraken")
SYMBOLS = {"alpaca": "AAPL", "oanda": "EUR_USD", "ccxt:binance": "BTC/USDT", "ccxt:kraken": "BTC/USD"}
RESTING_PRICES = {"alpaca": "10", "oanda": "0.5", "ccxt:binance": "1000", "ccxt:kraken": "1000"}
LAST = {"alpaca": "190", "oanda": "1.1", "ccxt:binance": "60000", "ccxt:kraken": "60000"}
TICKS = {"alpaca": "0.01", "oanda": "0.00001", "ccxt:binance": "0.01", "ccxt:kraken": "0.1"}
_CREDENTIALS = {
    "alpaca": ("key_id", "secret_key"),
    "oanda": ("token",),
    "ccxt:binance": ("api_key", "secret"),
    "ccxt:kraken": ("api_key", "secret"),
}


class Desk:
    """One LOGOS_HOME, one simulator, and presets for it."""

    def __init__(self, folder: Path, venue: str, **beliefs: Any) -> None:
        self.folder = folder
        self.venue = venue
        self.symbol = SYMBOLS[venue]
        self.resting_price = RESTING_PRICES[venue]
        self.last = LAST[venue]
        self.server = LoopbackServer(_simulator(venue, **beliefs), hold_s=10)
        self.home = folder / "home"

    @property
    def exchange(self) -> Exchange:
        """What the venue itself knows."""
        return self.server.app.exchange

    def price(self, factor: float | str) -> Decimal:
        """Return a part of the price at which the market began, on the grid."""
        return (Decimal(self.last) * Decimal(str(factor))).quantize(Decimal(TICKS[self.venue]))

    def move(self, factor: float | str) -> None:
        """Let the market go to a part of the price at which it began."""
        self.exchange.move_price(self.symbol, self.price(factor))

    def sent(self, operation: str = "submit") -> int:
        """Return how many requests of a kind have left."""
        return sum(entry.operation == operation for entry in self.server.wire)

    def preset(self, *, strategy: str = "test", timeout_s: float = 2.0, extra: str = "") -> Path:
        credentials = "\n".join(f'{name} = "env:LOGOS_SIMULATOR_KEY"' for name in _CREDENTIALS[self.venue])
        options = f'[venue_options]\naccount = "{ACCOUNT}"\n' if self.venue == "oanda" else ""
        path = self.folder / f"{strategy}-{timeout_s}.toml"
        path.write_text(
            f'schema = 1\nvenue = "{self.venue}"\nenvironment = "simulator"\nstrategy = "{strategy}"\n'
            f'base_url = "{self.server.url}"\n[credentials]\n{credentials}\n{options}'
            f'[rate_limit]\nrequests = 100000\nperiod_s = 1.0\n[session]\nruns = "{self.folder / "runs"}"\n'
            f"timeout_s = {timeout_s}\n{extra}"
        )
        return path

    def open(self, *, home: Path | None = None, **preset: object) -> Adapter:
        return Adapter.open(self.preset(**preset), home=home or self.home, environ={"LOGOS_SIMULATOR_KEY": "k"})  # type: ignore[arg-type]

    def before(self, operation: str, act: Callable[[], object]) -> None:
        """Let something happen at the venue just before it reads the next request of a kind."""
        app, handle, done = self.server.app, self.server.app.handle, [False]

        def handled(request: HttpRequest) -> HttpResponse:
            if app.operation(request) == operation and not done[0]:
                done[0] = True
                act()
            return handle(request)

        app.handle = handled  # type: ignore[method-assign]

    def spawn(self, program: str, *arguments: str) -> "subprocess.Popen[str]":
        """Run a program in a process of its own, with this desk's home."""
        environ = {**os.environ, "LOGOS_HOME": str(self.home), "LOGOS_SIMULATOR_KEY": "k"}
        command = [sys.executable, "-c", textwrap.dedent(program), str(self.preset()), *arguments]
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _simulator(venue: str, **beliefs: Any) -> VenueApp:
    if venue == "alpaca":
        return AlpacaSimulator(requests_per_minute=None, **beliefs)
    if venue == "ccxt:kraken":
        return KrakenSimulator(counter_max=None, **beliefs)
    return OandaSimulator(fee_rate=Decimal("0.001"), **beliefs) if venue == "oanda" else BinanceSimulator(**beliefs)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less: the simulators show at once what they have accepted."""
    monkeypatch.setattr(SystemClock, "sleep", lambda _self, seconds: time.sleep(min(seconds, 0.02)))


@pytest.fixture
def make_desk(tmp_path: Path) -> Iterator[Callable[[str], Desk]]:
    """Makes the desk of a test that says itself at which venue."""
    with ExitStack() as stack:

        def make(venue: str) -> Desk:
            made = Desk(tmp_path, venue)
            stack.enter_context(made.server)
            return made

        yield make


@pytest.fixture(params=VENUES)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, request.param)
    with made.server:
        yield made


@pytest.fixture
def alpaca(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, "alpaca")
    with made.server:
        yield made


def lose_ledger(desk: Desk) -> Path:
    """Delete the one ledger of a desk; return where it was."""
    (entry,) = Home(desk.home).ledgers()
    for path in entry.path.parent.glob(entry.path.name + "*"):
        path.unlink()
    return entry.path


def adopt_into(desk: Desk, adapter_of_another_home: Adapter, path: Path) -> int:
    """What `logos ledger adopt` does, without its command line."""
    parts = adapter_of_another_home._parts
    ledger = SqliteLedger.create(path, parts.ledger.identity, SystemClock())
    ledger.begin_session("adoption", "adopt", "test")
    adopted = adopt(parts.venue, ledger, (desk.symbol,))
    ledger.end_session()
    register(Home(desk.home), ledger)
    ledger.close()
    return adopted
