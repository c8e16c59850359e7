"""What is measured: per SDK a simulated venue in a process of its own, a bare client and a guarded Adapter.

The bare client is the SDK's own class with its own plain session, its retries and limiters off. Its call is the one its
documentation shows for an order: what somebody would write who had no guard. On both sides the order object is made beforehand.

`python -m benchmarks.arms NAME` serves a venue until its standard input closes.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

from attrs import frozen

from logos_core import Adapter, Order
from logos_core.orders import TimeInForce

ROOT = Path(__file__).resolve().parent.parent
KEY = "bench"
PLENTY = Decimal(10**15)

Bare = Callable[[str], Callable[[], object]]
"""Makes the call that sends a resting order under a client order id through the SDK, unguarded."""


@frozen(kw_only=True)
class Desk:
    """One SDK with its venue.

    Attributes:
        price: far from the market, so that an order rests and none pays for executions.
        module: the plugin's package.
        simulator: the class and its arguments: no rate limit, no shortage of money.
        bare: makes the bare client for an address.
    """

    venue: str
    sdk: str
    symbol: str
    quantity: str
    price: str
    module: str
    simulator: tuple[str, Mapping[str, Any]]
    credentials: tuple[str, ...]
    options: Mapping[str, str]
    bare: Callable[[str], Bare]


def _bare_alpaca(url: str) -> Bare:
    from alpaca.trading.client import TradingClient
    from alpaca.trading.requests import LimitOrderRequest

    client = TradingClient(KEY, KEY, paper=True, url_override=url)
    client._retry = 0
    client._retry_codes = []
    desk = DESKS["alpaca"]

    def made(client_order_id: str) -> Callable[[], object]:
        order = LimitOrderRequest(
            symbol=desk.symbol, qty=float(desk.quantity), limit_price=float(desk.price), side="buy", time_in_force="gtc",
            client_order_id=client_order_id,
        )  # fmt: skip
        return lambda: client.submit_order(order)

    return made


def _bare_oanda(url: str) -> Bare:
    from oandapyV20 import API
    from oandapyV20.contrib.requests import LimitOrderRequest
    from oandapyV20.endpoints.orders import OrderCreate
    from oandapyV20.oandapyV20 import TRADING_ENVIRONMENTS

    name = f"bare {url}"
    TRADING_ENVIRONMENTS[name] = {"api": url, "stream": url}
    client = API(access_token=KEY, environment=name)
    desk = DESKS["oanda"]

    def made(client_order_id: str) -> Callable[[], object]:
        order = LimitOrderRequest(desk.symbol, units=desk.quantity, price=desk.price, clientExtensions={"id": client_order_id})
        return lambda: client.request(OrderCreate(desk.options["account"], data=order.data))

    return made


def _bare_binance(url: str) -> Bare:
    import ccxt

    options = {"maxRetriesOnFailure": 0, "fetchMarkets": {"types": ["spot"]}, "fetchMargins": False, "fetchCurrencies": False}
    client = ccxt.binance({"apiKey": KEY, "secret": KEY, "enableRateLimit": False, "options": options})
    client.urls["api"] = dict.fromkeys(("public", "private"), f"{url}/api/v3")
    client.load_markets()
    desk = DESKS["binance"]

    def made(client_order_id: str) -> Callable[[], object]:
        more = {"newClientOrderId": client_order_id}
        return lambda: client.create_order(desk.symbol, "limit", "buy", float(desk.quantity), float(desk.price), more)

    return made


DESKS = {
    "alpaca": Desk(
        venue="alpaca",
        sdk="alpaca-py",
        symbol="AAPL",
        quantity="1",
        price="100",
        module="logos_alpaca",
        simulator=("AlpacaSimulator", {"requests_per_minute": None, "balances": {"USD": PLENTY}}),
        credentials=("key_id", "secret_key"),
        options={},
        bare=_bare_alpaca,
    ),
    "oanda": Desk(
        venue="oanda",
        sdk="oandapyV20",
        symbol="EUR_USD",
        quantity="100",
        price="1.05",
        module="logos_oanda",
        simulator=("OandaSimulator", {}),
        credentials=("token",),
        options={"account": "101-001-1234567-001"},
        bare=_bare_oanda,
    ),
    "binance": Desk(
        venue="ccxt:binance",
        sdk="ccxt binance",
        symbol="BTC/USDT",
        quantity="0.01",
        price="50000",
        module="logos_ccxt.binance",
        simulator=(
            "BinanceSimulator",
            {"weight_per_minute": None, "orders_per_10_s": None, "balances": {"USDT": PLENTY, "BTC": PLENTY}},
        ),
        credentials=("api_key", "secret"),
        options={},
        bare=_bare_binance,
    ),
}


def _cores() -> tuple[int, int] | None:
    own = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (own[0], own[-1]) if len(own) > 1 else None


CORES = _cores()
"""The client's core and the venue's; None where there are not two, or they cannot be chosen. Looked up before anything is pinned."""


def pin_client() -> None:
    """Keep this process on the client's core."""
    if CORES:
        os.sched_setaffinity(0, {CORES[0]})


class Simulator:
    """A simulated venue in another process, on the other core."""

    def __init__(self, desk: str, **more: Any) -> None:
        self.desk = DESKS[desk]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.arms", desk, json.dumps({"core": CORES and CORES[1], **more})],
            cwd=ROOT if not (Path.cwd() / "benchmarks").is_dir() else None,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"the simulator of {desk} did not start")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def orders(self) -> list[dict[str, Any]]:
        """Return what the venue really holds."""
        with urlopen(f"{self.url}/_logos/orders") as answer:
            held: list[dict[str, Any]] = json.load(answer)
        return held


def write_preset(desk: Desk, url: str, folder: Path) -> Path:
    """Write a preset whose rate budget never throttles, and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, dict[str, Any]] = {
        "credentials": dict.fromkeys(desk.credentials, "env:LOGOS_BENCH_KEY"),
        "venue_options": dict(desk.options),
        "rate_limit": {"requests": 1_000_000, "period_s": 1.0},
        "session": {"runs": str(folder / "runs")},
    }
    top = {"schema": 1, "venue": desk.venue, "environment": "simulator", "strategy": "bench", "base_url": url}
    lines = [f"{key} = {json.dumps(value)}" for key, value in top.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    path = folder / "preset.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def open_adapter(preset: Path) -> Adapter:
    """Open a session with its LOGOS_HOME beside the preset."""
    return Adapter.open(preset, home=preset.parent / "home", environ={"LOGOS_BENCH_KEY": KEY})


def order(desk: Desk, intent_id: str) -> Order:
    """Return an order that will rest."""
    return Order.limit(
        desk.symbol, "buy", quantity=desk.quantity, price=desk.price, intent_id=intent_id, time_in_force=TimeInForce.GTC
    )


@contextmanager
def guarded(simulator: Simulator, folder: Path) -> Iterator[Adapter]:
    """Open a guarded Adapter on a simulated venue."""
    with open_adapter(write_preset(simulator.desk, simulator.url, folder)) as adapter:
        yield adapter


def serve(name: str, *, core: int | None, **more: Any) -> None:
    """Serve a venue until the standard input closes."""
    from logos_core.testing.server import LoopbackServer

    if core is not None:
        os.sched_setaffinity(0, {core})
    desk = DESKS[name]
    kind, arguments = desk.simulator
    app = getattr(importlib.import_module(f"{desk.module}.simulator"), kind)(**{**arguments, **more})
    with LoopbackServer(app) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    serve(sys.argv[1], **json.loads(sys.argv[2]))
