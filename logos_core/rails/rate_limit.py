"""How many requests may leave, with a reserve that only safety may use.

A sliding window: the moments of the latest requests are kept, and no period, wherever it begins, ever holds more than the budget. A
token bucket would let a full burst and a period's refill fall into one period, which the venue answers with a ban. Submits stop short
of the full budget, so that a cancel or a lookup never waits behind them.
"""

import threading
from collections import deque

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
        self._period_s = limit.period_s
        self._submits = max(int(limit.requests * (1 - RESERVED_SHARE)), 1)
        self._max_wait_s = max_wait_s
        self._recent_s: deque[float] = deque(maxlen=limit.requests)
        self._blocked_until_s = float("-inf")
        self._lock = threading.Lock()

    def reserve_submit(self) -> Denial | None:
        """Take one submit's share, waiting at most the bound; or say that the budget is spent."""
        with self._lock:
            now = self._clock.monotonic_s()
            wait_s = max(self._turn_s(now) - now, self._blocked_until_s - now, 0.0)
            if wait_s <= self._max_wait_s:
                self._recent_s.append(now + wait_s)
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
        with self._lock:
            self._recent_s.append(self._clock.monotonic_s())

    def block(self, seconds: float) -> None:
        """Let no submit leave for a while, because the venue said so."""
        with self._lock:
            self._blocked_until_s = max(self._blocked_until_s, self._clock.monotonic_s() + seconds)

    def _turn_s(self, now: float) -> float:
        """Return when one more submit fits: when the request that fills the submits' part of the period has left it."""
        while self._recent_s and self._recent_s[0] <= now - self._period_s:
            self._recent_s.popleft()
        if len(self._recent_s) < self._submits:
            return now
        return self._recent_s[-self._submits] + self._period_s
