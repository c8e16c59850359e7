"""What goes wrong with a request, by kind: drawn from a seed, or forced on one of them, and counted."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from random import Random
from typing import Any

from attrs import evolve

from campaign.scheduler import SimulatedClock
from logos_core.hookspecs import Category, Classification, Found, NotSeen, Operation, Outcome
from logos_core.reports import ExecutionReport
from logos_core.testing.scripted import ScriptedError

LATE_S = 25.0
"""How long a request may be on its way at most."""
REVOKED_S = 6.0
"""How long a key may be refused at most."""
ANYWHERE = ("clock set", "key revoked")
"""What may go wrong with the first request as with the last: the host's clock jumps, the key is refused for a while."""
MOVING = (
    "refused",
    "lost",
    "late",
    "answer lost",
    "reset before",
    "reset after",
    "reset, late",
    "500 before",
    "504 after",
    "504, late",
    "429",
    "503",
    "garbled",
    "slow drip",
    "rejected",
    "denied key",
    "twice",
    *ANYWHERE,
)
ASKING = ("refused", "lost", "answer lost", "500 before", "429", "garbled", "stale", "told twice", *ANYWHERE)
FAULTS: dict[Operation, tuple[str, ...]] = {
    Operation.IDENTIFY: ("another account", "answer lost", "key revoked"),
    Operation.SUBMIT: (*MOVING, "another order", "told twice"),
    Operation.REPLACE: (*MOVING, "another order", "told twice", "filled first"),
    Operation.CANCEL: (*MOVING, "filled first", "filled instead"),
    Operation.LOOKUP: (*ASKING, "flickers"),
    Operation.RECONCILE: (*ASKING, "page skipped", "page repeated"),
}
"""What may go wrong with a request of each kind.

`filled first`: the order trades before the request to end it arrives. `filled instead`: that request is taken, and the order trades.
`told twice`: each trade is told twice in one answer. `flickers`: an order that is on record is not shown this once.
"""
RARELY = {Operation.IDENTIFY: 0.15, Operation.LOOKUP: 0.75, Operation.RECONCILE: 0.75}
"""How much less goes wrong with some requests: who never learns anything, or is told of another account, goes no further."""
HTTP = {
    "500 before": 500,
    "504 after": 504,
    "504, late": 504,
    "429": 429,
    "503": 503,
    "denied key": 401,
    "key revoked": 401,
    "rejected": 422,
    "garbled": 200,
}
NEVER_ACTS = {"lost", "reset before", "500 before", "429", "503", "rejected", "denied key", "key revoked"}
_CATEGORIES = {"429": Category.RATE_LIMITED, "garbled": Category.BAD_ANSWER}
LATE = {"late", "reset, late", "504, late"}
NO_ANSWER = {"lost", "late", "answer lost", "slow drip"}


class Faults:
    """What goes wrong in one world.

    Attributes:
        rate: how much of what is sent goes wrong.
        counts: how often each kind did.
        revoked_until_s: until when the key is refused.
    """

    def __init__(self, random: Random, clock: SimulatedClock) -> None:
        self.rate = 0.6
        self.counts: Counter[str] = Counter()
        self.revoked_until_s = 0.0
        self._random = random
        self._clock = clock
        self._forced: dict[Operation, tuple[str, int]] = {}

    def force(self, operation: Operation, fault: str, nth: int = 1) -> None:
        """Let this go wrong with the nth request of a kind, counted from now on."""
        self._forced[operation] = fault, nth

    def is_forced(self) -> bool:
        """Say whether something that was forced has not come to pass yet."""
        return bool(self._forced)

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Let what was forced wait for a while."""
        waiting, self._forced = self._forced, {}
        try:
            yield
        finally:
            self._forced = waiting

    def end(self) -> None:
        """Let nothing go wrong any more."""
        self.rate = self.revoked_until_s = 0.0
        self._forced.clear()

    def of(self, operation: Operation) -> str | None:
        """Return what goes wrong with a request, and count it."""
        found, left = self._forced.pop(operation, (None, 0))
        if left > 1 and found is not None:
            self._forced[operation] = found, left - 1
        if left != 1:
            found = "denied key" if self._clock.monotonic_s() < self.revoked_until_s else self._drawn(operation)
        if found is None:
            return None
        self.counts[f"{operation.value}: {found}"] += 1
        if found == "clock set":
            self._clock.off_by = timedelta(seconds=self._random.uniform(-8, 8))
        if found == "key revoked":
            self.revoked_until_s = self._clock.monotonic_s() + self._random.uniform(1, REVOKED_S)
        return found

    def _drawn(self, operation: Operation) -> str | None:
        if self._random.random() >= self.rate * RARELY.get(operation, 1.0):
            return None
        return self._random.choice(FAULTS[operation])


def twisted(fault: str | None, answer: Any) -> Any:
    """Return what an answer has become on its way."""
    if fault == "another account":
        return evolve(answer, account_id="somebody else's", environment="elsewhere")
    if fault == "another order" and isinstance(answer, ExecutionReport):
        return evolve(answer, price=None if answer.price is None else answer.price * 3, symbol="ETH/USDT")
    if fault == "told twice" and isinstance(answer, Found):
        return Found(twisted(fault, answer.report))
    if fault == "told twice" and not isinstance(answer, NotSeen):
        return evolve(answer, executions=answer.executions * 2)
    if fault == "page repeated":
        return evolve(
            answer, open_orders=answer.open_orders * 2, changed_orders=answer.changed_orders * 2, executions=answer.executions * 2
        )
    return answer


def says(fault: str, operation: Operation) -> tuple[Outcome, Category]:
    """Return what a plugin makes of an answer that is an error."""
    moves = operation in {Operation.SUBMIT, Operation.REPLACE, Operation.CANCEL}
    if fault == "rejected":
        return Outcome.REJECTED, Category.INSUFFICIENT_FUNDS
    if fault in {"denied key", "key revoked"}:
        return Outcome.REJECTED if moves else Outcome.UNKNOWN, Category.AUTHENTICATION
    return Outcome.UNKNOWN, _CATEGORIES.get(fault, Category.VENUE_DOWN)


def error(outcome: Outcome, category: Category, message: str) -> ScriptedError:
    """Return an error as a plugin would raise it, with what it proves."""
    return ScriptedError(message, Classification(outcome=outcome, category=category, venue_message=message))
