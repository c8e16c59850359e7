"""A loopback venue in this process, and sessions on it in this one and in others."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from logos_alpaca.simulator import AlpacaSimulator
from logos_ccxt.binance.simulator import BinanceSimulator
from logos_ccxt.kraken.simulator import KrakenSimulator
from logos_core import Adapter
from logos_core.testing.server import HttpRequest, HttpResponse, LoopbackServer, VenueApp
from logos_oanda.simulator import ACCOUNT, OandaSimulator

VENUES = ("alpaca", "oanda", "ccxt:binance", "ccxt:kraken")
SYMBOLS = {"alpaca": "AAPL", "oanda": "EUR_USD", "ccxt:binance": "BTC/USDT", "ccxt:kraken": "BTC/USD"}
RESTING_PRICES = {"alpaca": "10", "oanda": "0.5", "ccxt:binance": "1000", "ccxt:kraken": "1000"}
_CREDENTIALS = {
    "alpaca": ("key_id", "secret_key"),
    "oanda": ("token",),
    "ccxt:binance": ("api_key", "secret"),
    "ccxt:kraken": ("api_key", "secret"),
}


class Desk:
    """One LOGOS_HOME, one simulator, and presets for it."""

    def __init__(self, folder: Path, venue: str) -> None:
        self.folder = folder
        self.venue = venue
        self.symbol = SYMBOLS[venue]
        self.resting_price = RESTING_PRICES[venue]
        self.server = LoopbackServer(_simulator(venue), hold_s=10)
        self.home = folder / "home"

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


def _simulator(venue: str) -> VenueApp:
    if venue == "alpaca":
        return AlpacaSimulator(requests_per_minute=None)
    if venue == "ccxt:kraken":
        return KrakenSimulator(counter_max=None)
    return OandaSimulator(fee_rate=Decimal("0.001")) if venue == "oanda" else BinanceSimulator()


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
