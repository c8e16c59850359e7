from attrs import evolve
from toy_venue.venue import ToyVenue
from watch import watch

from logos_core import ExecutionReport
from logos_core.hookspecs import PreparedOrder, venue_hook


class AnotherOrder(ToyVenue):
    @venue_hook
    def submit(self, prepared: PreparedOrder) -> ExecutionReport:
        return evolve(super().submit(prepared), quantity=10 * prepared.request.quantity)


watch(AnotherOrder, "another")
