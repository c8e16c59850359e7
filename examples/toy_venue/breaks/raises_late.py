from toy_venue.venue import ToyVenue
from watch import watch

from logos_core.hookspecs import PreparedOrder, venue_hook


class RaisesLate(ToyVenue):
    @venue_hook
    def submit(self, prepared: PreparedOrder) -> None:
        super().submit(prepared)
        raise KeyError("order_id")  # the exchange has it; the parser does not understand the answer


watch(RaisesLate, "late")
