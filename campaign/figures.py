"""What a part of the campaign comes to, in numbers that can be added up."""

from collections import Counter
from typing import Any

from attrs import define, field

TOLD_MAX = 20
"""How many breaches are told in full; one is enough to fail."""
RULE_OF_THREE = 3.0
"""If nothing broke in N independent runs, the rate of breaches is below 3/N, with 95 % confidence."""


@define(kw_only=True)
class Figures:
    """How often a part of the campaign was run, and what came of it.

    Attributes:
        runs: how many histories, cells, cycles or cuts.
        traces: a hash of all that was chosen and done in each run; as many as there are different ones.
        faults: what was made to go wrong, by kind.
        counts: whatever else a part counts, by name.
        broken: what did not hold, with the seed that shows it again.
        independent: whether each run is another one, so that many of them bound the rate of breaches.
    """

    runs: int = 0
    traces: set[str] = field(factory=set)
    faults: Counter[str] = field(factory=Counter)
    counts: Counter[str] = field(factory=Counter)
    broken: list[str] = field(factory=list)
    independent: bool = True

    def add(self, other: "Figures") -> None:
        """Take in what another worker did."""
        self.runs += other.runs
        self.traces |= other.traces
        self.faults.update(other.faults)
        self.counts.update(other.counts)
        self.broken += other.broken
        self.independent &= other.independent

    def told(self) -> dict[str, Any]:
        """Return the figures as JSON has them.

        `bound` is the rate of breaches that can be ruled out; none if anything broke, or if the runs say nothing of others.
        """
        return {
            "runs": self.runs,
            "distinct": len(self.traces),
            "faults": sum(self.faults.values()),
            "faults_by_kind": dict(sorted(self.faults.items())),
            **dict(sorted(self.counts.items())),
            "breaches": len(self.broken),
            "broken": self.broken[:TOLD_MAX],
            "bound": RULE_OF_THREE / self.runs if self.independent and self.runs and not self.broken else None,
        }
