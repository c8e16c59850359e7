"""Buy one share after each day that closed lower than the day before; one decision a day, under a name of its own.

    python strategy_loop.py PRESET PRICES

Run it again after a crash, or every evening: what was decided before is answered from the record, and only what is new is sent.
"""

import csv
import sys
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice, pairwise
from pathlib import Path

from logos_core import (
    Adapter,
    Order,
    OrderDeniedError,
    OrderInFlightError,
    OrderNotPlacedError,
    OrderRejectedError,
    OutcomeUnknownError,
    VenueUnavailableError,
)

MAX_DAYS = 250


def decisions(prices: Path) -> Iterator[Order]:
    with prices.open() as file:
        days = list(islice(csv.DictReader(file), MAX_DAYS))
    for before, day in pairwise(days):
        if Decimal(day["close"]) < Decimal(before["close"]):
            # The name says which decision it is, not when it was made: it is the same in every run.
            yield Order.limit("AAPL", "buy", quantity=1, price=day["close"], intent_id=f"dip-{day['day']}")


def place(adapter: Adapter, order: Order) -> bool:
    """Submit an order and say whether to go on to the next one."""
    try:
        report = adapter.submit(order)
    except OrderDeniedError as error:  # we refused, nothing was sent: mend the cause, and the next run submits it
        print(order.intent_id, "denied:", error)
    except (OrderRejectedError, OrderNotPlacedError) as error:  # final: this decision has no order
        print(order.intent_id, "no order:", error)
    except (VenueUnavailableError, OrderInFlightError) as error:  # not now: the next run submits it
        print(order.intent_id, "later:", error)
    except OutcomeUnknownError as error:  # it may be live: decide nothing more before that is known
        print(order.intent_id, "may be live:", error)
        return False
    else:
        print(order.intent_id, report.status, report.filled_quantity)
    return True
    # An OrderConflictError is a mistake in this program, and a LedgerError leaves nothing to go on with: both end it.


def main(preset: str, prices: str) -> int:
    with Adapter.open(preset) as adapter:
        for order in decisions(Path(prices)):
            if not place(adapter, order):
                break
        found = adapter.reconcile()
    print(found)
    return 0 if found.verdict == "agrees" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
