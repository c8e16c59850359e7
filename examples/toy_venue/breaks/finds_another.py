from attrs import evolve
from toy_venue.venue import ToyVenue
from watch import watch

from logos_core.hookspecs import Found, NotSeen, OrderReference, PreparedOrder, venue_hook


class FindsAnother(ToyVenue):
    @venue_hook
    def submit(self, prepared: PreparedOrder) -> None:
        super().submit(prepared)

    @venue_hook
    def lookup(self, reference: OrderReference) -> Found | NotSeen:
        found = super().lookup(reference)
        return Found(evolve(found.report, symbol="TAY")) if isinstance(found, Found) else found


watch(FindsAnother, "found")
