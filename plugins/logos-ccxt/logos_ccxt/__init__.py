"""Crypto exchanges for logos, through ccxt: Binance spot as `ccxt:binance`, Kraken spot as `ccxt:kraken`.

Importing this package imports no SDK; that happens when a session opens.
"""

from logos_ccxt.binance.capabilities import BINANCE
from logos_ccxt.kraken.capabilities import KRAKEN
from logos_core.adapter import Adapter
from logos_core.capabilities import LOGOS_API
from logos_core.venues import Host, SdkRange, VenueDeclaration, VenueSettings

__version__ = "0.1.0"


class CCXTHardenedAdapter(Adapter):
    """An `Adapter` that opens ccxt presets and no others."""

    venue_name = "ccxt"


def _open(settings: VenueSettings) -> object:
    # The SDK comes in here and nowhere else.
    if settings.variant == "kraken":
        from logos_ccxt.kraken.venue import KrakenVenue

        return KrakenVenue(settings)
    from logos_ccxt.binance.venue import BinanceVenue

    return BinanceVenue(settings)


def _simulate(variant: str) -> object:
    if variant == "kraken":
        from logos_ccxt.kraken.simulator import KrakenSimulator

        return KrakenSimulator()
    from logos_ccxt.binance.simulator_stream import StreamingBinance

    return StreamingBinance()


_SIMULATOR = {"simulator": Host(base_url=None, account_check="the loopback address that the preset names")}
VENUE = VenueDeclaration(
    name="ccxt",
    api=LOGOS_API,
    sdk=SdkRange(distribution="ccxt", minimum="4.5.90", below="4.6"),
    variants=("binance", "kraken"),
    environments=_SIMULATOR,
    environments_by_variant={
        "binance": {
            **_SIMULATOR,
            # ccxt/binance.py, urls['test'] and urls['api']; a test compares them with the installed release.
            "paper": Host(base_url="https://testnet.binance.vision", account_check="a testnet key is refused by the live host"),
            "live": Host(base_url="https://api.binance.com", account_check="a live key is refused by the testnet"),
        },
        "kraken": {
            **_SIMULATOR,
            # ccxt/kraken.py, urls['api']; a test compares it. There is no other place, so nothing to tell apart.
            "live": Host(base_url="https://api.kraken.com", account_check="the only host there is"),
        },
    },
    capabilities={"binance": BINANCE, "kraken": KRAKEN},
    credentials=("api_key", "secret"),
    options={},
    factory=_open,
    simulator=_simulate,
    presets="logos_ccxt:presets",
)
