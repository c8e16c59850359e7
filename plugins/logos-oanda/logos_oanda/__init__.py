"""OANDA v20 for logos, on the SDK oandapyV20.

Importing this package imports no SDK; that happens when a session opens.
"""

import warnings

from logos_core.adapter import Adapter
from logos_core.capabilities import LOGOS_API
from logos_core.venues import Host, SdkRange, VenueDeclaration, VenueSettings
from logos_oanda.capabilities import CAPABILITIES

__version__ = "0.1.0"


class OandaAdapter(Adapter):
    """An `Adapter` that opens OANDA presets and no others."""

    venue_name = "oanda"


def _open(settings: VenueSettings) -> object:
    # oandapyV20 0.7.2 spells its regular expressions without raw strings, of which Python tells from 3.12 on when it compiles them.
    warnings.filterwarnings("ignore", r"(?s).*invalid escape sequence", SyntaxWarning, r".*\boandapyV20\b")
    from logos_oanda.venue import OandaVenue  # the SDK comes in here and nowhere else

    return OandaVenue(settings)


def _simulate(_variant: str) -> object:
    from logos_oanda.simulator import StreamingOanda  # only who simulates needs it

    return StreamingOanda()


VENUE = VenueDeclaration(
    name="oanda",
    api=LOGOS_API,
    sdk=SdkRange(distribution="oandapyV20", minimum="0.7.2", below="0.7.3"),
    variants=(),
    environments={
        "simulator": Host(base_url=None, account_check="the loopback address that the preset names"),
        "paper": Host(
            base_url="https://api-fxpractice.oanda.com",
            account_check="the practice host lists the account among the token's own, and its id is not of the live site (001-…)",
        ),
        "live": Host(
            base_url="https://api-fxtrade.oanda.com",
            account_check="the live host lists the account among the token's own, and its id is not of the practice site (101-…)",
        ),
    },
    capabilities={"": CAPABILITIES},
    credentials=("token",),
    options={"account": "the v20 account id, such as 101-001-1234567-001"},
    factory=_open,
    simulator=_simulate,
    presets="logos_oanda:presets",
)
