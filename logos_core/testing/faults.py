"""Plan what goes wrong between a client and a venue, reproducibly.

1. A plan with the same seed makes the same decisions for the same order of calls.
2. The first fault that fires wins; every fault counts all calls of its operation.
3. A key or a value nobody knows is an error that names the nearest one: a fault that silently never
   fires would make a test pass for nothing.
"""

from __future__ import annotations

import difflib
import json
import random  # noqa: TID251 - seeded, and never shared.
import threading
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

OPERATIONS = (
    "submit", "cancel", "replace", "lookup", "reconcile", "instrument", "identify", "other",
)  # fmt: skip


COUNT_MAX = 1_000_000_000
# What a number in a plan must be: its type, its least and its greatest value.
_BOUNDS: dict[str, tuple[Any, int, int]] = {
    "nth": (int, 1, COUNT_MAX),
    "every": (int, 1, COUNT_MAX),
    "probability": (int | float, 0, 1),
    "status": (int, 200, 599),
    "retry_after_s": (int, 0, COUNT_MAX),
    "delay_s": (int | float, 0, 3600),
}


class FaultKind(StrEnum):
    """Name what goes wrong; *processed* means that the venue acted on the request."""

    REQUEST_DROPPED = "request_dropped"  # Never processed, never answered.
    ANSWER_DROPPED = "answer_dropped"  # Processed, never answered.
    STATUS_BEFORE = "status_before"  # That status, not processed.
    STATUS_AFTER = "status_after"  # Processed, then that status.
    RATE_LIMITED = "rate_limited"  # 429 with Retry-After, not processed.
    RESET_BEFORE = "reset_before"  # Connection reset, not processed.
    RESET_DURING = "reset_during"  # Processed, reset in the middle of the answer.
    RESET_AFTER = "reset_after"  # Processed, reset before the first byte of the answer.
    TRUNCATED = "truncated"  # Processed, the body ends early and the connection closes.
    EMPTY = "empty"  # Processed, 200 without a body.
    HTML = "html"  # Processed, 200 with a page for people.
    REDIRECT = "redirect"  # 307 to the same path, not processed.
    DUPLICATE_DELIVERY = "duplicate_delivery"  # Processed twice; the second answer is returned.
    SLOW_DRIP = "slow_drip"  # Processed, the answer comes byte by byte, `delay_s` apart.
    LATE_ARRIVAL = "late_arrival"  # Processed `delay_s` later, never answered.
    DELAY_BEFORE = "delay_before"  # Processed and answered `delay_s` later.
    DELAY_AFTER = "delay_after"  # Processed at once, answered `delay_s` later.


class FaultPlanError(ValueError):
    """Refuse a plan that cannot mean what its author wanted; correct the named key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Describe one fault and when it fires.

    At most one of `nth` (only that call, from 1), `every` (each so-manieth call) and `probability` may
    be given; without any of them it fires on every call of its operation.

    Args:
        kind: What goes wrong.
        operation: The operation it applies to, or `*`.
        nth: Fire on this call only.
        every: Fire on every so-manieth call.
        probability: Fire with this chance.
        status: The HTTP status of a status fault; by default 503, and 429 when rate-limited.
        retry_after_s: What Retry-After says; None leaves the header out.
        delay_s: How long a delay, a late arrival or one byte of a slow answer takes.
    """

    kind: FaultKind
    operation: str = "*"
    nth: int | None = None
    every: int | None = None
    probability: float | None = None
    status: int | None = None
    retry_after_s: int | None = None
    delay_s: float = 0.05

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", FaultKind(_known(self.kind, list(FaultKind), "kind")))
        _known(self.operation, ["*", *OPERATIONS], "operation")
        given = [name for name in ("nth", "every", "probability") if getattr(self, name) is not None]
        if len(given) > 1:
            raise FaultPlanError(f"{' and '.join(given)} exclude one another: give one")
        for name, (kind, low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if value is None and name != "delay_s":
                continue
            if not isinstance(value, kind) or isinstance(value, bool):
                raise FaultPlanError(f"{name}: a number is needed, not {value!r}")
            if not low <= value <= high:
                raise FaultPlanError(f"{name}: {value} is not between {low} and {high}")

    def matches(self, operation: str) -> bool:
        """Tell whether the fault applies to this operation."""
        return self.operation in {"*", operation}

    def fires(self, count: int, chance: float) -> bool:
        """Tell whether the fault fires on its `count`-th call, given a number in [0, 1)."""
        if self.nth is not None:
            return count == self.nth
        if self.every is not None:
            return count % self.every == 0
        return self.probability is None or chance < self.probability


class FaultPlan:
    """Decide for each call which fault it meets, if any; safe to ask from many threads."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        self.faults = tuple(faults)
        self.seed = seed
        self._lock = threading.Lock()
        self._counts = [0] * len(self.faults)
        # A generator per fault, so that adding one fault does not change when the others fire.
        self._chances = [
            random.Random(f"{seed}:{index}")  # noqa: S311 - must repeat, need not be secret.
            for index in range(len(self.faults))
        ]

    def draw(self, operation: str) -> Fault | None:
        """Count one call and return the fault it meets."""
        with self._lock:
            fired = [fault for index, fault in enumerate(self.faults) if self._fires(index, operation)]
        return fired[0] if fired else None

    def _fires(self, index: int, operation: str) -> bool:
        fault = self.faults[index]
        if not fault.matches(operation):
            return False
        self._counts[index] += 1
        return fault.fires(self._counts[index], self._chances[index].random())

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as data that `from_dict` reads again."""
        return {"seed": self.seed, "faults": [_without_none(asdict(fault)) for fault in self.faults]}

    @classmethod
    def from_dict(cls, data: Any) -> FaultPlan:
        """Read a plan from `{"seed": …, "faults": [{"kind": …, …}]}`, or raise `FaultPlanError`."""
        plan = _table(data, "the plan", ["seed", "faults"])
        seed, faults = plan.get("seed", 0), plan.get("faults", [])
        if not isinstance(seed, int) or isinstance(seed, bool):
            raise FaultPlanError(f"seed: a whole number is needed, not {seed!r}")
        if not isinstance(faults, list):
            raise FaultPlanError("faults: a list is needed")
        return cls([_fault(fault, f"faults[{index}]") for index, fault in enumerate(faults)], seed)

    @classmethod
    def load(cls, path: Path, seed: int | None = None) -> FaultPlan:
        """Read a plan from a JSON or TOML file, told apart by its ending; `seed` overrides the file's."""
        readers = {".json": json.loads, ".toml": tomllib.loads}
        if path.suffix not in readers:
            raise FaultPlanError(f"{path}: a fault plan ends in .json or .toml")
        try:
            plan = cls.from_dict(readers[path.suffix](path.read_text(encoding="utf-8")))
        except ValueError as error:  # Both decoders, and FaultPlanError, are ValueErrors.
            raise FaultPlanError(f"{path}: {error}") from error
        return plan if seed is None else cls(plan.faults, seed)


def _fault(data: Any, where: str) -> Fault:
    table = _table(data, where, [field.name for field in fields(Fault)])
    if "kind" not in table:
        raise FaultPlanError(f"{where}: kind is missing")
    try:
        return Fault(**table)
    except FaultPlanError as error:
        raise FaultPlanError(f"{where}: {error}") from error


def _table(data: Any, where: str, known: list[str]) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise FaultPlanError(f"{where}: a table of keys is needed")
    for key in data:
        _known(key, known, f"{where}: key")
    return data


def _known(value: object, known: list[str], what: str) -> str:
    if isinstance(value, str) and value in known:
        return value
    nearest = difflib.get_close_matches(str(value), known, n=1, cutoff=0)
    raise FaultPlanError(f"{what} {value!r} is unknown; did you mean {str(nearest[0])!r}?")


def _without_none(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value is not None}
