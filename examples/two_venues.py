"""Send two orders to two venues at the same time.

    python two_venues.py PRESET PRESET

Each venue has a session, a ledger and a rate budget of its own; nothing of one waits for the other.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

from logos_core import Adapter, Order, OrderDeniedError, OrderRejectedError, OutcomeUnknownError


def place(adapter: Adapter, order: Order) -> str:
    try:
        report = adapter.submit(order)
    except (OrderDeniedError, OrderRejectedError) as error:
        return f"{adapter.venue}: no order: {error}"
    except OutcomeUnknownError as error:
        return f"{adapter.venue}: may be live: {error}"
    return f"{adapter.venue}: {report.status}"


def main(shares: str, coins: str) -> None:
    orders = (
        Order.limit("AAPL", "buy", quantity=1, price="95", intent_id="pair-2026-11-23-shares"),
        Order.limit("BTC/USDT", "buy", quantity="0.001", price="30000", intent_id="pair-2026-11-23-coins"),
    )
    with Adapter.open(shares) as first, Adapter.open(coins) as second, ThreadPoolExecutor(2) as threads:
        for said in threads.map(place, (first, second), orders):
            print(said)
        for adapter in (first, second):
            print(f"{adapter.venue}: {adapter.reconcile()}")


if __name__ == "__main__":
    main(*sys.argv[1:])
