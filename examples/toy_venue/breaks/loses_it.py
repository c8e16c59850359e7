from toy_venue.venue import ToyVenue
from watch import watch

from logos_core.hookspecs import PreparedOrder, venue_hook


class LosesIt(ToyVenue):
    @venue_hook
    def submit(self, prepared: PreparedOrder) -> None:
        record = self._wire.current()
        record.begin_request()
        record.first_byte_once()
        raise TimeoutError("no answer")  # it never arrived, but who is to know?


watch(LosesIt, "lost")
