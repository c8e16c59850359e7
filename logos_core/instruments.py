"""The grid of an instrument, as its venue states it."""

from collections.abc import Mapping
from decimal import Decimal

from attrs import field, frozen

from logos_core.orders import OrderType, TimeInForce


@frozen(kw_only=True)
class PriceBand:
    """The price tick that holds from a price upwards."""

    at_least: Decimal
    tick: Decimal


@frozen(kw_only=True)
class Instrument:
    """The grid an order must lie on, as the venue states it.

    Attributes:
        symbol: as the venue's SDK spells it.
        base_asset: what is bought or sold.
        quote_asset: what it is paid with.
        price_bands: price ticks by price, ascending; the first must start at zero.
        quantity_step: the smallest difference between two quantities.
        min_quantity: the smallest quantity.
        max_quantity: the largest, if the venue has one.
        min_notional: the smallest price times quantity, if the venue has one.
        times_in_force: what this instrument allows where it is narrower than the venue; the first is the default.
    """

    symbol: str
    base_asset: str
    quote_asset: str
    price_bands: tuple[PriceBand, ...]
    quantity_step: Decimal
    min_quantity: Decimal
    max_quantity: Decimal | None = None
    min_notional: Decimal | None = None
    times_in_force: Mapping[OrderType, tuple[TimeInForce, ...]] = field(factory=dict)

    def tick_at(self, price: Decimal) -> Decimal:
        """Return the price tick that holds at this price."""
        return max((band for band in self.price_bands if band.at_least <= price), key=lambda band: band.at_least).tick
