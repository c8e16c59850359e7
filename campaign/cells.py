"""The cells of the matrix: every deed, every crash point that it or its recovery passes, every fault of each request.

They are made from `campaign.failpoints`, `campaign.faults` and the deeds below. Which of them cannot be is said by the rules in
`IMPOSSIBLE`, each with its reason.
"""

from collections import Counter
from collections.abc import Callable

from attrs import frozen

from campaign.failpoints import FAILPOINTS, Failpoint
from campaign.faults import FAULTS, LATE
from campaign.scene import PROFILES
from logos_core.capabilities import ReplaceKind
from logos_core.hookspecs import Operation

NATIVE = tuple(name for name, able in PROFILES.items() if able.replace.kind is ReplaceKind.NATIVE and able.replace.atomic)
OTHERS = tuple(name for name in PROFILES if name not in NATIVE)


@frozen(kw_only=True)
class Deed:
    """Something that a person or a program does.

    Attributes:
        kinds: which failpoints it passes by itself, by their `operations`.
        requests: what it asks of the venue, in order.
        profiles: the venues at which it is done like this.
        is_recovered_from: whether the recovery after it is stopped as well, at each point of its own.
    """

    name: str
    kinds: frozenset[str]
    requests: tuple[Operation, ...]
    profiles: tuple[str, ...] = tuple(PROFILES)
    is_recovered_from: bool = True


DEEDS = (
    Deed(name="submit", kinds=frozenset({"submit", "doubt", "deny", "first"}), requests=(Operation.SUBMIT,)),
    Deed(name="cancel", kinds=frozenset({"cancel"}), requests=(Operation.CANCEL,)),
    Deed(name="replace", kinds=frozenset({"replace", "doubt"}), requests=(Operation.REPLACE,), profiles=NATIVE),
    Deed(
        name="anew",
        kinds=frozenset({"anew", "nothing-left", "cancel", "submit", "doubt"}),
        requests=(Operation.CANCEL, Operation.SUBMIT),
        profiles=OTHERS,
    ),
    Deed(name="reconcile", kinds=frozenset({"reconcile"}), requests=(Operation.RECONCILE,), is_recovered_from=False),
    Deed(name="stop", kinds=frozenset({"halt", "latch", "latch-on-record"}), requests=(Operation.SUBMIT,), is_recovered_from=False),
)
RECOVERY = frozenset({"open", "recover", "reconcile", "close"})
"""The failpoints that whoever comes after passes."""
ASKED_IN_RECOVERY = (Operation.IDENTIFY, Operation.LOOKUP, Operation.RECONCILE)
RECOVERED_FROM = {Operation.SUBMIT: "answer-understood", Operation.REPLACE: "replace-answer-read", Operation.CANCEL: "cancel-answer-read",
                  Operation.RECONCILE: "before-a-snapshot"}  # fmt: skip
"""Where a process ends so that others have to recover from it: its request is answered, and nothing of that recorded."""
MET_HERE_ONLY = frozenset({"L01", "L02", "L52", "L53", "L58", "L59", "L60"})
"""The points that simulated sessions meet here and not in the histories: these make their ledger, are closed, and are latched."""
POINTS = tuple(point for point in FAILPOINTS if point.simulated or point.number in MET_HERE_ONLY)
RECOVERY_POINTS = tuple(point for point in POINTS if point.operations & RECOVERY)


@frozen(kw_only=True)
class Cell:
    """One deed, where a process ends, and what goes wrong with which request."""

    deed: Deed
    failpoint: Failpoint
    request: Operation | None = None
    fault: str | None = None

    @property
    def is_own(self) -> bool:
        """Say whether the deed itself passes the point; else whoever recovers from it."""
        return bool(self.failpoint.operations & self.deed.kinds)

    def __str__(self) -> str:
        wrong = "nothing goes wrong" if self.request is None else f"{self.request.value}: {self.fault}"
        return f"{self.deed.name}, {self.failpoint.number} {self.failpoint.name}, {wrong}"


KNOWN_AT_ONCE = {None, "refused", "rejected", "denied key", "key revoked", "clock set", "twice", "told twice"}
NO_ANSWER = {"refused", "lost", "late", "answer lost", "slow drip", "reset before", "reset after", "reset, late"}
NOT_TAKEN = {"refused", "lost", "reset before", "500 before", "429", "503", "rejected", "denied key", "key revoked", "filled first"}
ALL_TRADED = {"filled first", "filled instead"}


def _has_nothing_to_find(cell: Cell) -> bool:
    cancels = cell.deed.name == "cancel" or (cell.deed.name == "anew" and cell.request is Operation.CANCEL)
    return cancels and cell.failpoint.inside == "logos_core.recovery:settle_one"


def _is_never_in_doubt(cell: Cell) -> bool:
    return "doubt" in cell.failpoint.operations and (cell.fault in KNOWN_AT_ONCE or cell.request is Operation.CANCEL)


def _leaves_something(cell: Cell) -> bool:
    return "nothing-left" in cell.failpoint.operations and cell.fault not in ALL_TRADED


IMPOSSIBLE: tuple[tuple[str, Callable[[Cell], bool]], ...] = (
    ("a cancel leaves nothing in flight, so whoever recovers has nothing to find out", _has_nothing_to_find),
    ("what became of the order is known at once, so nobody finds it out", _is_never_in_doubt),
    ("something is left to be placed, so the replacement is not closed", _leaves_something),
    (
        "no answer comes, so none is read",
        lambda cell: cell.failpoint.name == "answer-read" and cell.request is Operation.SUBMIT and cell.fault in NO_ANSWER,
    ),
    (
        "the venue takes no replacement, so nobody asks which order stands",
        lambda cell: cell.failpoint.name == "replaced-unseen" and cell.fault in NOT_TAKEN,
    ),
    (
        "the replacement comes late, and it is chance whether anybody still asks which order stands",
        lambda cell: cell.failpoint.name == "replaced-unseen" and cell.fault in LATE,
    ),
    (
        "the cancel comes too late for whoever waits for the order's end",
        lambda cell: cell.failpoint.name == "between-two-orders" and cell.request is Operation.CANCEL and cell.fault in LATE,
    ),
)
"""Why a cell cannot be, and which these are."""


def why_not(cell: Cell) -> str | None:
    """Return why a cell cannot be, or None."""
    return next((why for why, is_impossible in IMPOSSIBLE if is_impossible(cell)), None)


def generated() -> list[Cell]:
    """Return every cell, possible or not."""
    found = []
    for deed in DEEDS:
        for point in POINTS:
            own = bool(point.operations & deed.kinds)
            after = deed.is_recovered_from and bool(point.operations & RECOVERY)
            if not (own or after):
                continue
            requests = deed.requests if own else (*deed.requests, *ASKED_IN_RECOVERY)
            found.append(Cell(deed=deed, failpoint=point))
            found += [
                Cell(deed=deed, failpoint=point, request=request, fault=fault) for request in requests for fault in FAULTS[request]
            ]
    return found


def cells() -> tuple[list[Cell], Counter[str]]:
    """Return the cells that can be, and how many cannot, by reason."""
    possible, excluded = [], Counter[str]()
    for cell in generated():
        why = why_not(cell)
        if why is None:
            possible.append(cell)
        else:
            excluded[why] += 1
    return possible, excluded
