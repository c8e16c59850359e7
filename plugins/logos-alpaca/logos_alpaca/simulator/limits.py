"""Count requests against the rate limit."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime


class Limiter:
    """Count requests per calendar minute; when the real window starts is *inferred*."""

    def __init__(self, limit: int, now: Callable[[], datetime]) -> None:
        self._limit, self._now = limit, now
        self._minute, self._used = 0, 0
        self._lock = threading.Lock()

    def count(self) -> tuple[bool, tuple[tuple[str, str], ...]]:
        with self._lock:
            minute = int(self._now().timestamp()) // 60
            if minute != self._minute:
                self._minute, self._used = minute, 0
            self._used += 1
            left = self._limit - self._used
        return left >= 0, (
            ("X-RateLimit-Limit", str(self._limit)),
            ("X-RateLimit-Remaining", str(max(left, 0))),
            ("X-RateLimit-Reset", str((minute + 1) * 60)),
        )
