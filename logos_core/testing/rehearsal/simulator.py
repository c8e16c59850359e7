"""A simulated venue as a process: `python -m logos_core.testing.rehearsal.simulator VENUE [THIN_SYMBOL QUANTITY]`.

The venue's own request budgets are off: a rehearsal injects its refusals where it wants them. What a symbol named as thin can trade at
its last price is bounded, so that orders fill in part.
"""

import inspect
import sys
import threading
from decimal import Decimal

from logos_core.testing.rehearsal.processes import end_with_parent, say
from logos_core.testing.server import LoopbackServer, VenueApp
from logos_core.venues import declaration

HOLD_S = 4.0
BUDGETS = ("requests_per_minute", "weight_per_minute", "orders_per_10_s", "counter_max")


def application(venue: str) -> VenueApp:
    """Return a venue's simulator without its request budgets."""
    declared, variant = declaration(venue)
    app: VenueApp = declared.simulator(variant)
    kind = type(app)
    unbounded = {name: None for name in inspect.signature(kind).parameters if name in BUDGETS}
    return kind(**unbounded) if unbounded else app


def main(arguments: list[str]) -> None:
    """Serve until standard input closes; say the URL first."""
    end_with_parent()
    app = application(arguments[0])
    if len(arguments) == 3:
        app.exchange.set_liquidity(arguments[1], Decimal(arguments[2]))
    with LoopbackServer(app, hold_s=HOLD_S) as server:
        say(url=server.url)
        threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1:])
