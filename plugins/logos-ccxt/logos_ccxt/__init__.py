"""Crypto exchanges for logos, through ccxt. So far one of them: Binance spot, as `ccxt:binance`.

Importing this package imports no SDK; that happens when a session opens.
"""

from logos_ccxt.capabilities import BINANCE
from logos_core.adapter import Adapter
from logos_core.capabilities import LOGOS_API
from logos_core.venues import Host, SdkRange, VenueDeclaration, VenueSettings

__version__ = "0.1.0"


class CCXTHardenedAdapter(Adapter):
    """An `Adapter` that opens ccxt presets and no others."""

    venue_name = "ccxt"


def _open(settings: VenueSettings) -> object:
    from logos_ccxt.venue import BinanceVenue  # The SDK comes in here and nowhere else.

    return BinanceVenue(settings)


def _simulate(_variant: str) -> object:
    from logos_ccxt.simulator_stream import StreamingBinance

    return StreamingBinance()


VENUE = VenueDeclaration(
    name="ccxt",
    api=LOGOS_API,
    sdk=SdkRange(distribution="ccxt", minimum="4.5.90", below="4.6"),
    variants=("binance",),
    environments={
        "simulator": Host(base_url=None, account_check="the loopback address that the preset names"),
        # ccxt/binance.py, urls['test'] and urls['api']; a test compares them with the installed release.
        "paper": Host(base_url="https://testnet.binance.vision", account_check="a testnet key is refused by the live host"),
        "live": Host(base_url="https://api.binance.com", account_check="a live key is refused by the testnet"),
    },
    capabilities={"binance": BINANCE},
    credentials=("api_key", "secret"),
    options={},
    factory=_open,
    simulator=_simulate,
    presets="logos_ccxt:presets",
)
