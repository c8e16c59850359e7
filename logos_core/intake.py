"""From what a stream tells into the ledger. A stream is a hint, so it goes the same way as every answer of the venue, and no other.

Rules:

1. Every fact is written once, however often and in whatever order it is told; the ledger sees to that.
2. An intent in flight belongs to the session that sent it. A trade of it is kept at once; a report of it waits here until the
   sender has recorded its answer, and is never lost: where one had no room to wait, the venue is asked then.
3. What does not add up, trades against what the order says was traded, is not corrected here. The venue is asked.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from logos_core.executions import traded
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.lifecycle import IntentState
from logos_core.records import Recorded
from logos_core.reports import Execution, ExecutionReport

WAITING_MAX = 100
"""How many reports of one intent wait for it to have landed: the latest, each of which says all that the earlier ones said."""
SOURCE = {"source": "stream"}


class Intake:
    """Writes what a stream tells. Thread-safe.

    Attributes:
        applied: how often something on record changed.
    """

    def __init__(self, ledger: SqliteLedger, observe: Callable[[Mapping[str, Any]], None]) -> None:
        self._ledger = ledger
        self._observe = observe
        self._waiting: dict[str, deque[ExecutionReport]] = {}
        self._lock = threading.RLock()
        self.applied = 0

    @property
    def waiting(self) -> int:
        """Return how many intents in flight were told of."""
        return len(self._waiting)

    def report(self, report: ExecutionReport) -> bool:
        """Record what the venue says of an order; say whether all that is known of it adds up."""
        with self._lock:
            return self._report(report)

    def _report(self, report: ExecutionReport) -> bool:
        executions = (*report.executions, *(trade for leg in report.legs for trade in leg.executions))
        if executions:
            self._ledger.apply_executions(executions)
        name = report.client_order_id
        before = self._ledger.find(name) if name else None
        if name and before is not None and before.state is IntentState.IN_FLIGHT:
            return self._wait(name, report)
        after = self._ledger.apply_report(report, SOURCE)
        if after is not None and after.state is IntentState.IN_FLIGHT:  # it took off in between
            return self._wait(after.client_order_id, report)
        return after is None or self._noted(before, after)

    def execution(self, execution: Execution) -> bool:
        """Record a trade; say whether all that is known of its order adds up. Of whose order it is, the trade itself may not tell."""
        with self._lock:
            return self._execution(execution)

    def _execution(self, execution: Execution) -> bool:
        name = execution.client_order_id
        before = self._ledger.find(name) if name else None
        owners = self._ledger.apply_executions((execution,))
        if name is None and not owners:
            return self._ledger.knows_order(execution.symbol, execution.venue_order_id)
        if before is not None and before.state is IntentState.IN_FLIGHT:
            return self._wait(before.client_order_id)
        if before is not None and before.report is None:  # a trade of an order of ours that nobody has shown yet
            return False
        after = [recorded for recorded in map(self._ledger.find, owners) if recorded is not None]
        whole = [self._noted(before, recorded) for recorded in after]
        return all(whole)

    def landed(self) -> bool:
        """Record what waited for intents that are no longer in flight; say whether all that is known of them adds up."""
        with self._lock:
            whole = [self._landed(name) for name in tuple(self._waiting)]
            return all(whole)

    def _landed(self, name: str) -> bool:
        before = self._ledger.find(name)
        if before is None or before.state is IntentState.IN_FLIGHT:
            return True
        reports = self._waiting[name]
        for report in reports:
            self._ledger.apply_report(report, SOURCE)
        del self._waiting[name]  # only now: had the ledger failed, they would wait on
        after = self._ledger.find(name)
        return after is None or (self._noted(before, after) and len(reports) < WAITING_MAX)

    def _wait(self, name: str, *reports: ExecutionReport) -> bool:
        self._waiting.setdefault(name, deque(maxlen=WAITING_MAX)).extend(reports)
        return True

    def _noted(self, before: Recorded | None, after: Recorded) -> bool:
        """Tell the observers of a change; say whether what was traded adds up."""
        if before is None or (before.state, before.report) != (after.state, after.report):
            self.applied += 1
            self._observe({"kind": "streamed", "client_order_id": after.client_order_id})
        return adds_up(after)


def adds_up(recorded: Recorded) -> bool:
    """Say whether the trades on record are what the venue says was traded, for an order and its legs."""
    if recorded.report is None:
        return False
    reports = (recorded.report, *recorded.report.legs)
    return all(report.filled_quantity == traded(report.executions) for report in reports)
