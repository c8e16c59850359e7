"""Whatever a stream keeps back, tells twice or tells wrongly: in the end every trade is on record once.

The short run of `python -m benchmarks.streams`, which is where the long one is.
"""

import pytest

from benchmarks.streams import measure, presets

PRESETS = {preset.venue: preset for preset in presets()}
EVENTS = 250


def test_every_venue_streams():
    assert {"alpaca", "ccxt:binance", "oanda"} == set(PRESETS)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("venue", PRESETS)
def test_after_all_faults_every_trade_is_on_record_once(venue):
    row = measure(PRESETS[venue], EVENTS, seed=5)

    assert ((), 0, 0, 0) == (row.wrong, row.missing, row.twice, row.foreign)
    assert row.trades > EVENTS // 4
    assert row.faults > 0
