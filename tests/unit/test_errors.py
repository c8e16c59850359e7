"""Errors say the same wherever they are caught."""

import pickle

import pytest

from logos_core.errors import (
    ChainBrokenError,
    InvalidOrderError,
    LogosError,
    OrderConflictError,
    OrderDeniedError,
    OrderInFlightError,
    OutcomeUnknownError,
    VenueUnavailableError,
)
from logos_core.hookspecs import OrderReference

WHERE = OrderReference(client_order_id="lgs1", symbol="BTC/USDT")


@pytest.mark.parametrize(
    "error",
    [
        OrderDeniedError("PRICE_OFF_GRID", "price is 1"),
        InvalidOrderError("side is 'hold'"),
        OrderConflictError("one", {"price": "1"}, {"price": "2"}),
        OrderInFlightError(WHERE),
        VenueUnavailableError("down", venue="alpaca", reference=WHERE, retry_after_s=2.0),
        OutcomeUnknownError("may be live", venue="alpaca", reference=WHERE, venue_code="504"),
        ChainBrokenError(7, "aa", "bb"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_reaches_the_caller_from_another_process_with_all_that_it_holds(error: LogosError):
    there = pickle.loads(pickle.dumps(error))

    assert (type(error), str(error), vars(error)) == (type(there), str(there), vars(there))
