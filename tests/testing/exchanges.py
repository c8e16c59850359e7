"""Make the exchange, the requests and the clock that the tests of the exchange share."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from logos_core.testing.exchange import Exchange, OrderRequest, OrderType, Side, SimulatedInstrument

D = Decimal
COIN = SimulatedInstrument(
    symbol="COIN/USD", base_asset="COIN", quote_asset="USD", price_tick=D("0.01"), quantity_step=D("0.001"), last=D(100),
)  # fmt: skip


class Hand:
    """A clock that moves by hand."""

    def __init__(self) -> None:
        self.time = datetime(2026, 1, 5, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def turn(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def make_exchange(instrument=COIN, usd="10000", coin="100", **settings):
    return Exchange([instrument], {"USD": D(usd), "COIN": D(coin)}, **settings)


def ask(side="buy", quantity="1", kind="market", **more):
    """Make a request; numbers are written as text."""
    given: dict[str, Any] = {"quantity": quantity} | more
    for name, value in given.items():
        if type(value) is str and name != "client_order_id":  # A member of an enumeration is no number.
            given[name] = D(value)
    return OrderRequest(symbol="COIN/USD", side=Side(side), type=OrderType(kind), **given)


def held(exchange):
    """Return what open orders hold of each asset."""
    return {asset: balance.reserved for asset, balance in exchange.balances().items() if balance.reserved}


def kinds(exchange, since=0):
    return [entry.kind for entry in exchange.transactions(since)]


def states(exchange):
    return [order.status.value for order in exchange.orders()]
