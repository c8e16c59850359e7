from toy_venue.venue import ToyVenue
from watch import watch

from logos_core import ExecutionReport
from logos_core.hookspecs import PreparedOrder, venue_hook


class SendsTwice(ToyVenue):
    @venue_hook
    def submit(self, prepared: PreparedOrder) -> ExecutionReport:
        super().submit(prepared)
        return super().submit(prepared)  # an SDK's retry, or a careless author


watch(SendsTwice, "twice")
