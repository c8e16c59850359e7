"""Say what came of it, as text."""

from collections.abc import Iterable, Iterator

from logos_core.cli.output import columned
from tools.spec_check.checking import Result
from tools.spec_check.findings import Finding, counted
from tools.spec_check.venues import Documented

_SUMMARY = ("venue", "operations", "requests", "answers", "violations", "accepted", "told", "stands")
_FOUND = ("count", "operation", "side", "what", "where", "the document says", "example")


def told(results: Iterable[Result], *, verbose: bool = False) -> str:
    """Return one table over all venues, and below it everything that keeps a venue from standing."""
    found = list(results)
    return "\n".join(
        [columned(_SUMMARY, [_row(result) for result in found]), *(part for result in found for part in _parts(result, verbose))]
    )


def skipped(documented: Iterable[Documented]) -> str:
    """Return what to fetch, in words that cannot be overlooked."""
    rows = [[item.file, item.title, item.source] for item in documented]
    reason = "SKIPPED: nothing was checked, because no documents were given."
    how = "Put these into one folder, under these names, and run: make spec-check SPECS=FOLDER"
    return "\n".join(["=" * len(reason), reason, "=" * len(reason), how, "", columned(("file", "what", "published at"), rows)])


def _row(result: Result) -> list[str]:
    seen, ours = len(result.operations), len(result.operations) + len(result.unseen)
    numbers = (result.requests, result.answers, len(counted(result.violations)), len(result.accepted), len(counted(result.told)))
    return [result.venue, f"{seen} of {ours}", *map(str, numbers), "yes" if result.stands else "NO"]


def _parts(result: Result, verbose: bool) -> Iterator[str]:  # noqa: FBT001 - there is one caller.
    for title, lines in (
        ("scenarios that failed", result.failed),
        ("our operations that no traffic exercised", result.unseen),
        ("operations in the traffic that are not listed as ours", result.foreign),
        ("accepted deviations that nothing fits any more", tuple(map(str, result.unused))),
    ):
        if lines:
            yield "\n".join([f"\n{result.venue}: {title}", *(f"  {line}" for line in lines)])
    if result.violations:
        yield f"\n{result.venue}: violations\n{_table(result.violations)}"
    if verbose and result.accepted:
        rows = [[str(count), str(item), item.reason, item.source] for item, count in result.accepted]
        yield f"\n{result.venue}: accepted deviations\n{columned(('count', 'deviation', 'reason', 'source'), rows)}"
    if verbose and result.told:
        yield f"\n{result.venue}: fields of answers that the document does not have, for information\n{_table(result.told)}"


def _table(findings: Iterable[Finding]) -> str:
    return columned(_FOUND, [_line(finding, count) for finding, count in counted(findings)])


def _line(finding: Finding, count: int) -> list[str]:
    side = finding.side.value if finding.status is None else f"{finding.side.value} {finding.status}"
    return [str(count), finding.operation, side, finding.kind.value, finding.where, finding.wants, finding.example]
