"""Speak OANDA's v20 REST API over an in-memory exchange.

Sources: *specification* is OANDA's published OpenAPI document of the v20 REST API, 3.0.25; *recorded* is what the practice
environment was seen to answer, mostly in the documentation and the threads of oandapyV20; *inferred* is a belief that neither
confirms. A belief that could cost money is a constructor argument, so that a test can hold the opposite one.

Left out: market-if-touched and guaranteed orders, dependent orders that are not created on a fill, distances of a stop loss,
hedging, reissues, the stream of prices, financing, the spread, margin, profit and loss, the checks of a dependent order against the price of
its fill, and what the log would say of a cancel that was refused. Each is refused or absent, never half done. A resting order
that fills in part stays the same order, and each of its fills opens a trade.
"""

from logos_oanda.simulator.app import OandaSimulator, default_instruments
from logos_oanda.simulator.reading import ACCOUNT
from logos_oanda.simulator.stream import StreamingOanda

__all__ = ["ACCOUNT", "OandaSimulator", "StreamingOanda", "default_instruments"]
