"""Alpaca for logos, on the official SDK alpaca-py.

Importing this package imports no SDK; that happens when a session opens.
"""

from typing import Any

from logos_alpaca.capabilities import CAPABILITIES
from logos_core.adapter import Adapter
from logos_core.capabilities import LOGOS_API
from logos_core.venues import Host, SdkRange, VenueDeclaration, VenueSettings

__version__ = "0.1.0"


class AlpacaAdapter(Adapter):
    """An `Adapter` that opens Alpaca presets and no others."""

    venue_name = "alpaca"


def _open(settings: VenueSettings) -> object:
    from logos_alpaca.venue import AlpacaVenue

    return AlpacaVenue(settings)


def _simulate(_variant: str) -> Any:
    from logos_alpaca.simulator import StreamingAlpaca

    return StreamingAlpaca()


VENUE = VenueDeclaration(
    name="alpaca",
    api=LOGOS_API,
    sdk=SdkRange(distribution="alpaca-py", minimum="0.44", below="0.45"),
    variants=(),
    environments={
        "simulator": Host(base_url=None, account_check="the loopback address that the preset names"),
        "paper": Host(base_url="https://paper-api.alpaca.markets", account_check="a paper key is refused by the live host"),
        "live": Host(base_url="https://api.alpaca.markets", account_check="a live key is refused by the paper host"),
    },
    capabilities={"": CAPABILITIES},
    credentials=("key_id", "secret_key"),
    options={},
    factory=_open,
    simulator=_simulate,
    presets="logos_alpaca:presets",
)
