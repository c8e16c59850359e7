"""Judge a venue's traffic, and say whether it stands."""

import tempfile
import traceback
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

from logos_core.testing.server import HttpRequest
from tools.spec_check.deviations import Accepted
from tools.spec_check.documents import read
from tools.spec_check.findings import Finding
from tools.spec_check.scenarios import SCENARIOS, Scenario
from tools.spec_check.traffic import Desk
from tools.spec_check.validating import Call, Judge
from tools.spec_check.venues import Documented


@frozen(kw_only=True)
class Result:
    """What came of checking one venue.

    Attributes:
        operations: the operations that were seen.
        unseen: the operations that are ours and were not seen.
        foreign: the operations that were seen and are not ours.
        failed: the scenarios that did not come to what they are for, and why.
        violations: what counts, apart from what is accepted.
        accepted: how often each accepted deviation was found.
        told: fields of answers that the document does not have.
        unused: accepted deviations that were not found.
    """

    venue: str
    requests: int
    answers: int
    operations: tuple[str, ...]
    unseen: tuple[str, ...]
    foreign: tuple[str, ...]
    failed: tuple[str, ...]
    violations: tuple[Finding, ...]
    accepted: tuple[tuple[Accepted, int], ...]
    told: tuple[Finding, ...]
    unused: tuple[Accepted, ...]

    @property
    def stands(self) -> bool:
        """Say whether all was seen, and all that was seen is as the document says or as is accepted."""
        return bool(self.requests) and not (self.unseen or self.foreign or self.failed or self.violations or self.unused)


def check(documented: Documented, specs: Path, accepted: Iterable[Accepted]) -> Result:
    """Read a venue's document, make its traffic, and judge it."""
    document = documented.narrow(read(specs / documented.file))
    judge = Judge(documented.venue, document, form_is_query=documented.form_is_query)
    calls, failed = traffic(documented, SCENARIOS)
    return judged(documented, judge, calls, failed, [item for item in accepted if item.venue == documented.venue])


def traffic(documented: Documented, scenarios: Iterable[Scenario]) -> tuple[list[Call], list[str]]:
    """Return all that was said in the scenarios, and what became of those that failed."""
    calls: list[Call] = []
    failed = []
    for scenario in scenarios:
        with tempfile.TemporaryDirectory() as folder:
            desk = Desk(documented, Path(folder))
            try:
                with desk:
                    scenario(desk)
            except Exception as error:  # noqa: BLE001 - whatever it is, the other scenarios are still worth judging.
                at = traceback.extract_tb(error.__traceback__)[-1]
                failed.append(f"{scenario.__name__}: {type(error).__name__} in {Path(at.filename).name}:{at.lineno}: {error}"[:600])
            calls += desk.calls
    return calls, failed


def judged(documented: Documented, judge: Judge, calls: list[Call], failed: list[str], accepted: list[Accepted]) -> Result:
    """Return what a judge says of calls."""
    findings = [finding for call in calls for finding in judge.judge(call)]
    counting = [finding for finding in findings if finding.is_violation]
    seen = {_name(judge, call.request) for call in calls}
    ours = set(documented.operations)
    counts = [(item, sum(item.fits(finding) for finding in counting)) for item in accepted]
    return Result(
        venue=documented.venue,
        requests=len(calls),
        answers=len(calls),
        operations=tuple(sorted(seen)),
        unseen=tuple(sorted(ours - seen)),
        foreign=tuple(sorted(seen - ours)),
        failed=tuple(failed),
        violations=tuple(finding for finding in counting if not any(item.fits(finding) for item in accepted)),
        accepted=tuple((item, count) for item, count in counts if count),
        told=tuple(finding for finding in findings if not finding.is_violation),
        unused=tuple(item for item, count in counts if not count),
    )


def _name(judge: Judge, request: HttpRequest) -> str:
    return judge.operation(request) or f"{request.method} {request.path}"
