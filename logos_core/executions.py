"""What stands of the executions a venue has told: trades, less what was corrected or busted since. Pure.

Rules:

1. A trade and everything that refers to it, or to a correction of it, are one family. What stands is decided by the family as a
   whole, so neither the order of arrival nor a repetition changes it.
2. A bust anywhere in the family removes the trade for good.
3. What is referred to is superseded. Of several that supersede the same, the latest by the venue's time counts.
4. A corrected trade keeps its id, its order and its time; quantity, price and fees are the correction's.
5. A correction that came before its trade stands in for it. It says that there is a trade, and of how much.
"""

from collections.abc import Iterable
from decimal import Decimal

from attrs import evolve

from logos_core.reports import Execution, ExecutionKind, ExecutionReport

Key = tuple[str, str]
"""Symbol and execution id: what a venue never gives twice."""


def key_of(execution: Execution) -> Key:
    """Return what tells an execution from any other of its account."""
    return execution.symbol, execution.execution_id


def in_time(execution: Execution) -> tuple[str, int, str]:
    """Return what executions are put in order by: the venue's time, then its id, of which the longer number is the later.

    Two trades of one microsecond may have happened either way round; the id settles it, the same way on every machine.
    """
    return execution.executed_at.isoformat(timespec="microseconds"), len(execution.execution_id), execution.execution_id


def effective(executions: Iterable[Execution]) -> list[Execution]:
    """Return the executions that stand, with the numbers that hold now, in the order of the venue's time."""
    told = {key_of(execution): execution for execution in executions}
    families: dict[Key, list[Execution]] = {}
    for key, execution in told.items():
        families.setdefault(_root(key, told), []).append(execution)
    standing = [_standing(told.get(root), family) for root, family in families.items()]
    return sorted((execution for execution in standing if execution is not None), key=in_time)


def traded(executions: Iterable[Execution]) -> Decimal:
    """Return how much was traded, all told: the sum over what stands."""
    return sum((execution.quantity for execution in effective(executions)), Decimal(0))


def filled(report: ExecutionReport) -> Decimal:
    """Return how much has traded of an order, by its own word or by its executions: the more of the two, since either may lag."""
    return max(report.filled_quantity, traded(report.executions))


def _root(key: Key, told: dict[Key, Execution]) -> Key:
    """Return what a chain of references leads to, on record or not; the smallest member, should a venue make a ring of it."""
    seen = [key]
    while (execution := told.get(seen[-1])) is not None and execution.refers_to is not None:
        following = (execution.symbol, execution.refers_to)
        if following in seen:
            return min(seen[seen.index(following) :])
        seen.append(following)
    return seen[-1]


def _standing(root: Execution | None, family: list[Execution]) -> Execution | None:
    """Return what stands of one family, or None."""
    if any(member.kind is ExecutionKind.BUST for member in family):
        return None
    superseded = {member.refers_to for member in family}
    latest = [member for member in family if member.execution_id not in superseded] or family
    last = max(latest, key=in_time)
    if root is None or root is last:
        return last
    return evolve(root, quantity=last.quantity, price=last.price, fees=last.fees)
