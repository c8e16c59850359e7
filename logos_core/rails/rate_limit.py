"""How many requests may leave, with a reserve that only safety may use.

The generic cell rate algorithm: one number, the theoretical arrival time, says all. Submits stop short of the full budget, so that a
cancel or a lookup never waits behind them.
"""

import threading

from logos_core.capabilities import RateLimit
from logos_core.clock import Clock
from logos_core.records import Denial

RESERVED_SHARE = 0.2
"""The part of the budget that submits leave to cancels, lookups and reconciliation."""


class RateLimiter:
    """The request budget of one session.

    Args:
        limit: what the venue allows.
        clock: the only source of time.
        max_wait_s: how long a submit may wait for its turn before it is denied.
    """

    def __init__(self, limit: RateLimit, clock: Clock, max_wait_s: float = 1.0) -> None:
        self._clock = clock
        self._interval_s = limit.period_s / limit.requests
        self._burst_s = limit.period_s
        self._max_wait_s = max_wait_s
        self._arrival_s = float("-inf")
        self._blocked_until_s = float("-inf")
        self._lock = threading.Lock()

    def reserve_submit(self) -> Denial | None:
        """Take one submit's share, waiting at most the bound; or say that the budget is spent."""
        wait_s = self._reserve(self._burst_s * (1 - RESERVED_SHARE), self._max_wait_s)
        if wait_s > self._max_wait_s:
            return Denial(
                reason="RATE_BUDGET_SPENT",
                message=f"the request budget is spent for {wait_s:.1f} s; the bound for waiting is {self._max_wait_s} s; submit it later",
            )
        if wait_s > 0:
            self._clock.sleep(wait_s)
        return None

    def take(self) -> None:
        """Take the share of a cancel or a question, at once and out of the reserve."""
        self._reserve(self._burst_s, float("inf"))

    def block(self, seconds: float) -> None:
        """Let no submit leave for a while, because the venue said so."""
        with self._lock:
            self._blocked_until_s = max(self._blocked_until_s, self._clock.monotonic_s() + seconds)

    def _reserve(self, burst_s: float, max_wait_s: float) -> float:
        """Return how long to wait for one share, and take it if that is within the bound."""
        with self._lock:
            now = self._clock.monotonic_s()
            arrival = max(self._arrival_s, now) + self._interval_s
            wait_s = max(arrival - burst_s - now, self._blocked_until_s - now, 0.0)
            if wait_s <= max_wait_s:
                self._arrival_s = arrival
            return wait_s
