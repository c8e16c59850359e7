"""Speak the Alpaca paper trading API over an in-memory exchange.

Sources: *specification* is Alpaca's published OpenAPI document of the Trading API, 2.0.1; *recorded* is
what the paper environment was seen to answer; *inferred* is a belief that neither confirms. A belief
that could cost money is a constructor argument, so that a test can hold the opposite one.

Left out: multi-leg options, auction orders, fees and closed markets; and what Alpaca's lists say of a trade that was
corrected or busted, beyond the order's own numbers. Each is refused or absent, never half done.
"""

from logos_alpaca.simulator.app import AlpacaSimulator, default_instruments
from logos_alpaca.simulator.stream import StreamingAlpaca

__all__ = ["AlpacaSimulator", "StreamingAlpaca", "default_instruments"]
