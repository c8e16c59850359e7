"""The safety case: what is promised, what is not, and what stands behind it, from the evidence of the last whole search."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from campaign import planted
from campaign.failpoints import EXCLUDED, FAILPOINTS
from generating.tables import page, table
from logos_core.testing.rehearsal.oracle import INVARIANTS

EVIDENCE = planted.TREE / "campaign" / "evidence.json"

PROMISED = (
    ("At most one send per intent without new proof.", "always: it is a property of this program alone", "I3 I7 I11"),
    (
        "At most one order per intent at the venue.",
        "always. Where a venue takes an id again, that is bought by not sending again: the intent stays unknown until there is proof",
        "I1 I2 I5",
    ),
    ("Every order that a venue accepted becomes known.", "once the venue answers questions again", "I4"),
    ("Nothing is called rejected, absent, cancelled or filled without evidence that is on record.", "always", "I4 I8"),
    (
        "What is unknown stays unknown until evidence, or a named person with a reason, settles it.",
        "always; no timer does",
        "I4 I8",
    ),
    (
        "Nothing that was recorded is lost: not by a killed process, not by a power cut.",
        "while the disk keeps what it has synced",
        "I7 I8",
    ),
    ("No order leaves while new orders are stopped.", "from the first byte on which the stop was there", "I6"),
)
NOT_PROMISED = (
    "**Exactly once.** A lost request and a lost answer look the same to whoever sent it; no program can tell them apart.",
    "**That an unknown order becomes known while its venue is silent.** It stays unknown, and holds back new risk beside it.",
    "**A disk that lies.** One that says it has synced and has not may lose what was recorded; no program on it can see that.",
    "**Two ledgers of one account.** Two hosts, or two `LOGOS_HOME`s, know nothing of each other; each may place its own order of an intent.",
    "**Somebody else with the key.** What others place is reported by a reconciliation, not prevented.",
    "**That a venue keeps its own word.** [What each venue can do](../venues.md) says where each rule is known from, and which are inferred.",
)
LIMITS = (
    "The simulated venues are made by the people who made the adapter, and share what they believe of the real ones.",
    "A rate below 3/N says that nothing was found in N runs drawn as these were. What no run can draw, none can find.",
    "In the histories and the matrix, processes are simulated. Real ones end in the kills, and a disk forgets in the power cuts.",
    "None of it has met a real venue. Before real money: a soak on paper.",
)


def safety_page() -> str:
    """Return the page."""
    evidence: dict[str, Any] = json.loads(EVIDENCE.read_text())
    return page(
        "Safety case",
        "What logos promises about an order, what it does not, and what stands behind it. The figures are those of the search named below; "
        "`make campaign` is the whole of it, and a slice runs with every change.",
        "## What is promised",
        table(("promise", "holds", "decided by"), PROMISED),
        "## What is not",
        [f"* {said}" for said in NOT_PROMISED],
        "## What was played",
        _circumstances(evidence),
        table(("part", "what", "runs", "distinct", "faults", "broken", "rate of breaches below"), _played(evidence["parts"])),
        "A rate is the rule of three: if nothing broke in N independent runs, it is below 3/N, with 95 % confidence.",
        "## What went wrong on the way",
        table(("fault", "how often"), _faults(evidence["parts"])),
        "## What is looked at",
        "By code that shares nothing with the way of an order: it reads the venue's own side, the wire, the ledger's file and what else a "
        "session leaves.",
        table(("", "must hold", "decided by", "beyond it"), _invariants()),
        "## Where a process is stopped",
        "Points numbered C are those that any durable submit has; L are what this program adds. Each is met in a run; besides, processes "
        "are stopped at lines and at moments that a seed chooses.",
        table(("", "point", "where"), [(point.number, point.name, point.where) for point in FAILPOINTS]),
        [f"* {number}: {reason}" for number, reason in EXCLUDED.items()],
        "## Would the tests notice?",
        f"`make mutants` plants each of these {len(planted.read(planted.TREE / 'campaign/mutants'))} bugs in a copy of the code, one at a "
        "time, and fails if the tests that are named for it pass all the same.",
        table(("bug", "what it does", "caught by"), _bugs()),
        "## What stands against it",
        [f"* {said}" for said in LIMITS],
    )


def _circumstances(evidence: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in evidence["packages"].items())
    commit = f"commit `{evidence['commit']}`" + (", with changes that were not committed," if evidence["changed"] else "")
    lacks = f" It lacks: {'; '.join(evidence['lacks'])}." if evidence["lacks"] else ""
    made_on = f"Python {evidence['python']}, SQLite {evidence['sqlite']}, {evidence['system']}; {packages}"
    took = f"{evidence['took_s'] / 60:.0f} minutes on {evidence['processors']} processors"
    return f"{evidence['scale']}, begun {evidence['began_at']} on {commit} in {took}: {made_on}.{lacks}"


def _played(parts: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, told in parts.items():
        bound = "" if told["bound"] is None else f"{told['bound']:.1g}"
        numbers = (f"{told[key]:,}" for key in ("runs", "distinct", "faults", "breaches"))
        yield name, told["what"], *numbers, bound


def _faults(parts: Mapping[str, Any]) -> list[tuple[str, str]]:
    counts: Counter[str] = Counter()
    for told in parts.values():
        counts.update(told["faults_by_kind"])
    return [(kind, f"{count:,}") for kind, count in sorted(counts.items())]


def _invariants() -> Iterator[tuple[str, ...]]:
    for number, invariant in INVARIANTS.items():
        yield number, invariant.says, ", ".join(f"`{name}`" for name in invariant.decided_by), invariant.beyond


def _bugs() -> Iterator[tuple[str, ...]]:
    for mutant in planted.read(planted.TREE / "campaign" / "mutants"):
        yield mutant.name, mutant.description, f"`{mutant.tests[0]}`"
