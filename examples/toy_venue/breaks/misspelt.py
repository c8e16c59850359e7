from toy_venue.venue import ToyVenue
from watch import watch

from logos_core.hookspecs import OrderReference, venue_hook


class Misspelt(ToyVenue):
    @venue_hook
    def cancle(self, reference: OrderReference) -> None:
        """Cancel an order, if anybody ever called this."""


watch(Misspelt, "misspelt")
