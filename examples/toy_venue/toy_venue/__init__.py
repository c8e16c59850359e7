"""A toy venue: what the entry point names. Importing it imports no SDK."""

from typing import NoReturn

from logos_core.capabilities import LOGOS_API
from logos_core.errors import ConfigurationError
from logos_core.venues import Host, SdkRange, VenueDeclaration, VenueSettings
from toy_venue.capabilities import CAPABILITIES


def _open(settings: VenueSettings) -> object:
    from toy_venue.venue import ToyVenue

    return ToyVenue(settings)


def _simulate(_variant: str) -> NoReturn:
    raise ConfigurationError("the toy exchange is a file; there is nothing to simulate")


VENUE = VenueDeclaration(
    name="toy",
    api=LOGOS_API,
    sdk=SdkRange(distribution="toy-venue", minimum="0.1", below="0.2"),
    variants=(),
    environments={"simulator": Host(base_url="a file", account_check="there is one account")},
    capabilities={"": CAPABILITIES},
    credentials=(),
    options={"file": "where the exchange keeps its orders"},
    factory=_open,
    simulator=_simulate,
    presets="toy_venue:presets",
)
