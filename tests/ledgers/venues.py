"""Simulated venues that write down what changed them, and can be brought back to where they were.

What a ledger says is right only beside the venue it is about. So beside each ledger lies what that venue was told, request by request,
and what happened at it; `Venue.again` tells a new simulator the same, at the same times, and it then holds the same orders under the
same ids.
"""

import base64
import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from logos_alpaca.simulator import AlpacaSimulator
from logos_ccxt.binance.simulator import BinanceSimulator
from logos_core import Adapter
from logos_core.testing.server import HttpRequest, HttpResponse, LoopbackServer, VenueApp
from logos_oanda.simulator import ACCOUNT, OandaSimulator

NAMES = ("alpaca", "oanda", "ccxt:binance")
SYMBOLS = {"alpaca": "AAPL", "oanda": "EUR_USD", "ccxt:binance": "BTC/USDT"}
RESTING = {"alpaca": "10", "oanda": "0.5", "ccxt:binance": "1000"}
STRATEGY = "first"
_CREDENTIALS = {"alpaca": ("key_id", "secret_key"), "oanda": ("token",), "ccxt:binance": ("api_key", "secret")}
_HEADERS = {"authorization", "content-type", "apca-api-key-id", "apca-api-secret-key", "x-mbx-apikey"}


class Venue:
    """One simulated venue on the loopback interface, its diary, and a LOGOS_HOME for sessions on it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.symbol = SYMBOLS[name]
        self.resting_price = RESTING[name]
        self.home = folder / "home"
        self.diary: list[dict[str, Any]] = []
        self._folder = folder
        self._at: datetime | None = None
        self.app = _application(name, self._now)
        self._handle = self.app.handle
        self.app.handle = self._noting  # type: ignore[method-assign]
        self.server = LoopbackServer(self.app, hold_s=30)

    @classmethod
    def again(cls, name: str, folder: Path, diary: list[dict[str, Any]]) -> Self:
        """Return a venue to which all of this has happened."""
        made = cls(name, folder)
        for entry in diary:
            made._at = datetime.fromisoformat(entry["at"])
            if "fill" in entry:
                made.app.exchange.fill(entry["fill"], Decimal(entry["quantity"]))
            else:
                body = base64.b64decode(entry["body"])
                made._handle(HttpRequest(entry["method"], entry["target"], entry["headers"], body))
        made._at = None
        return made

    def fill(self, venue_order_id: str, quantity: int) -> None:
        """Let an order trade."""
        self.diary.append({"at": self._now().isoformat(), "fill": venue_order_id, "quantity": str(quantity)})
        self.app.exchange.fill(venue_order_id, Decimal(quantity))

    def preset(self, timeout_s: float = 1.0, extra: str = "") -> Path:
        """Write a preset for it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        options = f'[venue_options]\naccount = "{ACCOUNT}"\n' if self.name == "oanda" else ""
        credentials = "\n".join(f'{name} = "env:LOGOS_SIMULATOR_KEY"' for name in _CREDENTIALS[self.name])
        path = self._folder / f"preset-{timeout_s}.toml"
        path.write_text(
            f'schema = 1\nvenue = "{self.name}"\nenvironment = "simulator"\nstrategy = "{STRATEGY}"\n'
            f'base_url = "{self.server.url}"\n[credentials]\n{credentials}\n{options}'
            f'[rate_limit]\nrequests = 100000\nperiod_s = 1.0\n[session]\nruns = "{self._folder / "runs"}"\n'
            f"timeout_s = {timeout_s}\n{extra}"
        )
        return path

    def open(self, extra: str = "") -> Adapter:
        """Open a session on it."""
        return Adapter.open(self.preset(extra=extra), home=self.home, environ={"LOGOS_SIMULATOR_KEY": "k"})

    def _now(self) -> datetime:
        return self._at or datetime.now(UTC)

    def _noting(self, request: HttpRequest) -> HttpResponse:
        if request.method != "GET":
            self.diary.append(
                {
                    "at": self._now().isoformat(),
                    "method": request.method,
                    "target": request.target,
                    "headers": {name: value for name, value in request.headers.items() if name in _HEADERS},
                    "body": base64.b64encode(request.body).decode(),
                }
            )
        return self._handle(request)


def _application(name: str, now: Callable[[], datetime]) -> VenueApp:
    numbers = itertools.count(1)
    if name == "alpaca":
        return AlpacaSimulator(requests_per_minute=None, now=now, new_id=lambda: UUID(int=next(numbers)))
    if name == "oanda":
        return OandaSimulator(fee_rate=Decimal("0.001"), now=now)
    return BinanceSimulator(weight_per_minute=None, orders_per_10_s=None, now=now, new_id=lambda: UUID(int=next(numbers)))


def diary_of(path: Path) -> list[dict[str, Any]]:
    """Read what a venue was told."""
    diary: list[dict[str, Any]] = json.loads(path.read_text())
    return diary
