"""Generated bugs in the code that keeps the promises: does a test notice each?

`python -m campaign.generated` makes small changes to the files below (see `campaign.mutations`), one at a time, and runs for each the
tests that reach the changed statement: first those that have noticed other changes, then the quickest. The first that fails has killed it.
Which tests reach what is measured before, in a run without any change, in which all of them must pass.

A change that no test notices has survived. `survivors.toml` says of some why that is right; any other makes the command end with 1.
An explanation is told to be stale if what it explains is killed, or is no longer made.

If there are more changes than are wanted, the same share of each file is drawn by a seed, and the figures say how many. For each change
run as many of the quickest tests as take `TESTS_S` in all, so that one change cannot cost minutes.
"""

import argparse
import importlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import coverage
import pytest
from attrs import asdict, frozen

from campaign import planted
from campaign.mutations import Mutation, mutations

TREE = planted.TREE
FILES = (
    "logos_core/lifecycle.py",
    "logos_core/resolution.py",
    "logos_core/recovery.py",
    "logos_core/rails/*.py",
    "logos_core/adoption.py",
    "logos_core/submission.py",
    "logos_core/ledger/*.py",
    "logos_core/adapter.py",
    "logos_core/cancellation.py",
    "logos_core/replacing.py",
    "logos_core/reconciliation.py",
    "logos_core/bookkeeping.py",
)
TESTS = ("tests/unit", "tests/ledgers", "tests/promises")
SURVIVORS = "campaign/survivors.toml"
WORKERS = 2
SEED = 1
MOST = 3_000
"""How many changes are tried unless something else is asked for; two quiet processors have an hour and a half to do with them."""
TESTS_S = 40.0
FEW = 40
"""So many tests run before the others are even collected; most changes are noticed by them."""
LIMIT_S, LIMIT_FACTOR = 20.0, 5.0
"""A change may make its tests, and each of them, take longer by so much; one that makes them hang is noticed by that."""
NO_START, NO_END = "no start", "no end"
PRELOADED = ("alpaca.trading.client", "apsw", "ccxt", "hypothesis", "oandapyV20", "requests", "rich", "stamina", "typer", "vcr")
"""What takes long to import is imported once, before each change gets a process of its own."""

_QUIETLY = ("-q", "-x", "--tb=short", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
_NOTHING_RAN = 5

Reach = dict[str, dict[int, list[str]]]
"""By file and line, the tests that reach it."""


class GeneratedError(Exception):
    """What was to be tried cannot be, so it would prove nothing."""


@frozen
class Tests:
    """What a run without any change has shown.

    Attributes:
        seconds: how long each test takes.
    """

    reach: Reach
    seconds: Mapping[str, float]

    def of(self, mutation: Mutation) -> list[str]:
        """Return the tests for a change, the quickest first.

        What runs at import, or in another process only, no test is seen to reach: there it is all that lie beside one that reaches
        anything in the file.
        """
        lines = self.reach.get(mutation.file, {})
        reaching = {test for line in mutation.lines for test in lines.get(line, ())}
        if not reaching:
            beside = {_file(test) for tests in lines.values() for test in tests}
            reaching = {test for test in self.seconds if _file(test) in beside}
        chosen: list[str] = []
        left_s = TESTS_S
        for test in sorted(reaching, key=lambda test: (self.seconds[test], test)):
            left_s -= self.seconds[test]
            if left_s < 0 and chosen:
                break
            chosen.append(test)
        return chosen


@frozen
class Tried:
    """What became of a change; `killed_by` is a test, `NO_START` or `NO_END`, and None if it survived."""

    mutation: Mutation
    killed_by: str | None


@frozen(kw_only=True)
class Explanation:
    """Why a change may survive, or all changes to a line.

    Attributes:
        becomes: what the line becomes; None for whatever it becomes.
    """

    file: str
    function: str
    was: str
    becomes: str | None = None
    because: str

    def holds_for(self, mutation: Mutation) -> bool:
        """Tell whether a change is the one that is explained."""
        same = (self.file, self.function, self.was) == (mutation.file, mutation.function, mutation.was)
        return same and self.becomes in {None, mutation.becomes}


def _file(test: str) -> str:
    return test.partition("::")[0]


def files(tree: Path, only: str | None = None) -> list[str]:
    """Return the files in which something is changed, or those whose names end so."""
    paths = [path for pattern in FILES for path in sorted(tree.glob(pattern)) if path.name != "__init__.py"]
    names = [path.relative_to(tree).as_posix() for path in paths]
    chosen = [name for name in names if only is None or f"/{name}".endswith(f"/{only.removesuffix('.py')}.py")]
    if not chosen:
        raise GeneratedError(f"nothing is changed in {only}, only in: {', '.join(names)}")
    return chosen


def drawn(made: Mapping[str, Sequence[Mutation]], most: int, seed: int) -> list[Mutation]:
    """Return at most about so many changes, the same share of each file."""
    share = min(1.0, most / max(1, sum(map(len, made.values()))))
    return [
        mutation
        for file, its_own in made.items()
        for mutation in random.Random(f"{seed} {file}").sample(its_own, round(len(its_own) * share))
    ]


def explanations(tree: Path) -> list[Explanation]:
    """Return what is said of the survivors."""
    path = tree / SURVIVORS
    return [Explanation(**entry) for entry in tomllib.loads(path.read_text())["survivor"]] if path.exists() else []


# ------------------------------------------------------------------------------------------------- what runs beside us


def _begun(copy: Path, work: Callable[..., Any], *arguments: Any) -> tuple[ForkProcess, Connection]:
    """Let a process of its own do some work in a copy, and answer with what that returns."""
    answers, answer = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_work, args=(copy, answer, work, *arguments))
    process.start()
    answer.close()
    return process, answers


def _work(copy: Path, answer: Connection, work: Callable[..., Any], *arguments: Any) -> None:
    os.setsid()
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a command in the background ignores it, and so would whatever it starts
    os.chdir(copy)
    told = os.open(_told(copy), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(told, 1)
    os.dup2(told, 2)
    tempfile.tempdir = tempfile.mkdtemp(dir=copy.parent)
    os.environ.clear()
    os.environ.update(planted.environment(copy), TMPDIR=tempfile.tempdir)
    sys.path[:0] = os.environ["PYTHONPATH"].split(os.pathsep)
    packages = {path.name for path in (*copy.glob("*"), *copy.glob("plugins/*/*"))}
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]
    try:
        answer.send(work(copy, *arguments))
    finally:
        shutil.rmtree(tempfile.tempdir, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)


def _told(copy: Path) -> Path:
    return copy.parent / "told"


class _Watched:
    """Tells coverage which test runs, and notes how long each takes."""

    def __init__(self, watch: coverage.Coverage) -> None:
        self._watch = watch
        self.seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._watch.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration


def _watch(copy: Path, paths: Sequence[str], names: Sequence[str]) -> tuple[int, Reach, dict[str, float]]:
    """Run tests, and return how pytest ended, which lines each test reaches, and how long it takes."""
    watch = coverage.Coverage(data_file=None, config_file=False, include=[str(copy / name) for name in names])
    watched = _Watched(watch)
    watch.start()
    code = int(pytest.main([*_QUIETLY, f"--rootdir={copy}", *paths], plugins=[watched])) if paths else 0
    watch.stop()
    found = {name: watch.get_data().contexts_by_lineno(str(copy / name)) for name in names}
    return (
        code,
        {name: {line: [test for test in of if test] for line, of in lines.items()} for name, lines in found.items()},
        watched.seconds,
    )


class _Chosen:
    """Lets pytest run some tests, in an order, and notes the first that fails."""

    def __init__(self, tests: Sequence[str]) -> None:
        self._order = {test: place for place, test in enumerate(tests)}
        self.failed: str | None = None

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self._order), key=lambda item: self._order[item.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid


def _first_failing(copy: Path, tests: Sequence[str], limit_s: float) -> str | None:
    """Run tests until one fails, or takes too long, and return which."""
    sys.dont_write_bytecode = True
    for share in (tests[:FEW], tests[FEW:]):
        chosen = _Chosen(share)
        paths = sorted({_file(test) for test in share})
        code = int(pytest.main([*_QUIETLY, f"--rootdir={copy}", f"--timeout={limit_s}", *paths], plugins=[chosen])) if share else 0
        if code not in {0, _NOTHING_RAN}:
            return chosen.failed or NO_START
    return None


# ------------------------------------------------------------------------------------------------------------ the trials


def _longest_s(usual_s: float) -> float:
    return LIMIT_S + LIMIT_FACTOR * usual_s


def measured(copies: Sequence[Path], names: Sequence[str], tests: Sequence[str] = TESTS) -> Tests:
    """Run all tests without any change, and return what each reaches."""
    paths = sorted(path.relative_to(copies[0]).as_posix() for test in tests for path in (copies[0] / test).rglob("test_*.py"))
    reach: Reach = defaultdict(lambda: defaultdict(list))
    seconds: dict[str, float] = {}
    begun = [_begun(copy, _watch, paths[place :: len(copies)], names) for place, copy in enumerate(copies)]
    for copy, (process, answers) in zip(copies, begun, strict=True):
        code, found, took = answers.recv()
        process.join()
        if code:
            raise GeneratedError(f"the tests fail without any change:\n{_told(copy).read_text()[-2_000:]}")
        for name, lines in found.items():
            for line, of_line in lines.items():
                reach[name][line] += of_line
        seconds |= took
    return Tests(reach, seconds)


class _Lane:
    """A copy of the tree, in which one change at a time is tried."""

    def __init__(self, copy: Path) -> None:
        self._copy = copy
        self._changes = 0
        self.mutation: Mutation | None = None

    def begin(self, mutation: Mutation, tests: Mapping[str, float]) -> None:
        """Make a change, and let its tests run, each of which takes so long without it."""
        self.mutation, self._path = mutation, self._copy / mutation.file
        self._plain, self._stat = self._path.read_text(), self._path.stat()
        self._path.write_text(mutation.source)
        self._changes += 1
        # Python takes bytecode for that of a file with the same size and the same second.
        os.utime(self._path, (self._stat.st_atime, self._stat.st_mtime + self._changes))
        self._process, self._answers = _begun(self._copy, _first_failing, list(tests), _longest_s(max(tests.values())))
        self._until_s = time.monotonic() + _longest_s(sum(tests.values()))

    def ended(self) -> Tried | None:
        """Return what came of the change and undo it, if that is known by now."""
        late = time.monotonic() > self._until_s
        if self.mutation is None or not (late or self._answers.poll()):
            return None
        killed_by: str | None = NO_END
        if self._answers.poll():
            try:
                killed_by = self._answers.recv()
            except EOFError:
                killed_by = NO_START
        with suppress(ProcessLookupError):
            os.killpg(self._process.ident or 0, signal.SIGKILL)
        self._process.join()
        self._answers.close()
        self._path.write_text(self._plain)
        os.utime(self._path, (self._stat.st_atime, self._stat.st_mtime))
        tried, self.mutation = Tried(self.mutation, killed_by), None
        return tried


def trials(copies: Sequence[Path], wanted: Sequence[Mutation], tests: Tests) -> Iterator[Tried]:
    """Try each change, and tell what became of it as soon as that is known."""
    lanes, waiting = [_Lane(copy) for copy in copies], list(reversed(wanted))
    kills: dict[str, Counter[str | None]] = defaultdict(Counter)
    while waiting or any(lane.mutation for lane in lanes):
        for lane in lanes:
            if lane.mutation is not None and (tried := lane.ended()) is not None:
                kills[tried.mutation.file][tried.killed_by] += 1
                yield tried
            if lane.mutation is None and waiting:
                mutation = waiting.pop()
                its_own = tests.of(mutation)
                if not its_own:
                    yield Tried(mutation, None)
                    continue
                its_own.sort(key=lambda test: -kills[mutation.file][test])
                lane.begin(mutation, {test: tests.seconds[test] for test in its_own})
        time.sleep(0.02)


def campaign(tree: Path, made: Mapping[str, Sequence[Mutation]], wanted: Sequence[Mutation]) -> list[Tried]:
    """Try changes, and tell on the way which survive."""
    for name in PRELOADED:
        importlib.import_module(name)
    with ExitStack() as stack:
        copies = [stack.enter_context(planted.scratch(tree)) for _ in range(WORKERS)]
        tests = measured(copies, list(made))
        results = []
        for tried in trials(copies, wanted, tests):
            results.append(tried)
            if tried.killed_by is None:
                print(f"[{len(results)}/{len(wanted)}] survived: {_shown(tried.mutation)}", flush=True)
        return results


def _shown(mutation: Mutation) -> str:
    return f"{mutation.file} {mutation.function}\n    {mutation.was}\n    {mutation.becomes}"


def figures(made: Mapping[str, Sequence[Mutation]], results: Sequence[Tried], said: Sequence[Explanation]) -> dict[str, Any]:
    """Return what came of the changes, by file, and what remains to be said or no longer holds."""
    explained = {tried.mutation for tried in results if any(entry.holds_for(tried.mutation) for entry in said)}
    by_file = {}
    for name, its_own in made.items():
        tried = [result for result in results if result.mutation.file == name]
        survived = [result.mutation for result in tried if result.killed_by is None]
        no_start, no_end = (sum(result.killed_by == how for result in tried) for how in (NO_START, NO_END))
        by_file[name] = {
            "made": len(its_own),
            "tried": len(tried),
            "killed": len(tried) - len(survived) - no_start - no_end,
            "no_start": no_start,
            "no_end": no_end,
            "survived": len(survived),
            "explained": sum(mutation in explained for mutation in survived),
        }
    stale = [entry for entry in said if entry.file in made and _is_stale(entry, made[entry.file], results)]
    unexplained = [result.mutation for result in results if result.killed_by is None and result.mutation not in explained]
    return {
        "files": by_file,
        "unexplained": [{"file": it.file, "function": it.function, "was": it.was, "becomes": it.becomes} for it in unexplained],
        "stale": [asdict(entry) for entry in stale],
    }


def _is_stale(entry: Explanation, made: Sequence[Mutation], results: Sequence[Tried]) -> bool:
    """Tell whether all that is explained was killed, or is no longer made; what was not tried may still survive."""
    killed = {result.mutation for result in results if result.killed_by is not None}
    return all(mutation in killed for mutation in made if entry.holds_for(mutation))


def table(told: Mapping[str, Any]) -> str:
    """Return what came of the changes, for people."""
    rows = {**told["files"], "all": Counter()}
    for row in told["files"].values():
        rows["all"].update(row)
    columns = list(next(iter(told["files"].values())))
    lines = ["".join([f"{'':32}", *(f"{column:>10}" for column in columns)])]
    lines += ["".join([f"{name:32}", *(f"{row[column]:10}" for column in columns)]) for name, row in rows.items()]
    lines += [f"stale: {entry['file']} {entry['function']}: {entry['was']}: {entry['because']}" for entry in told["stale"]]
    return "\n".join(lines)


def main(arguments: list[str] | None = None, tree: Path = TREE) -> int:
    """Try changes, write the figures, and return 0 if each was noticed or is explained, 1 if not, 2 if nothing can be said."""
    parser = argparse.ArgumentParser(prog="python -m campaign.generated", description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="change only this file")
    parser.add_argument("--most", type=int, default=MOST, help="try so many changes at most")
    parser.add_argument("--seed", type=int, default=SEED, help="what draws them, if there are more")
    parser.add_argument("--out", type=Path, default=TREE / "build" / "generated.json", help="where the figures go")
    given = parser.parse_args(arguments)
    began_s = time.monotonic()
    try:
        made = {name: mutations(tree, name) for name in files(tree, given.only)}
        wanted = drawn(made, given.most, given.seed)
        told = figures(made, campaign(tree, made, wanted), explanations(tree))
    except (GeneratedError, planted.PlantedError) as error:
        print(error, file=sys.stderr)
        return 2
    told = {"seed": given.seed, "most": given.most, "took_s": round(time.monotonic() - began_s), **told}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(told, indent=1) + "\n")
    print(table(told))
    return 1 if told["unexplained"] else 0


if __name__ == "__main__":
    sys.exit(main())
