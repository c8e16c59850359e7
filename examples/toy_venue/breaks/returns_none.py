from toy_venue.venue import ToyVenue
from watch import watch

from logos_core.hookspecs import PreparedOrder, venue_hook


class ReturnsNone(ToyVenue):
    @venue_hook
    def submit(self, prepared: PreparedOrder) -> None:
        super().submit(prepared)  # accepted, and the `return` is forgotten


watch(ReturnsNone, "none")
