"""Named bugs, each planted in a copy of its own: does a test catch it?

`python -m campaign.planted --folder campaign/mutants` takes each patch of a folder, puts it into a copy of the tree, and runs there the
tests that the patch names under `Caught by:`; where it names none, the fast tests of the promise. The first test that fails has caught
the bug. A bug that no test catches has survived, and says that a test is missing.

A test that fails without any bug proves nothing, and neither does one that imports another tree than the one with the bug in it: both
are errors, and so is a patch that does not fit.
"""

import argparse
import difflib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from attrs import asdict, frozen

TREE = Path(__file__).parent.parent
FAST = ("tests/unit", "tests/campaign", "tests/promises")
"""What is run for a patch that names no test."""
ABOUT_PATCHES = "tests/campaign/test_planted.py"
"""Is never run with a bug: that every patch fits fails of itself in a tree which has one already."""
JOBS = 2
LIMIT_S = 900.0
"""How long the tests of one bug may take; a bug that makes them hang is caught by that."""

_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "dist", "build", "runs", "*.egg-info")
_TEST = re.compile(r"[^\s,\[]+(?:\[[^\]]*\])?")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
_FAILURES, _NOT_RUN = 1, {2: "the tests cannot be imported with it", 4: "a test is not there", 5: "a test is not there"}
_ORIGINS = "import importlib.util, sys; print(*(importlib.util.find_spec(name).origin for name in sys.argv[1:]), sep='\\n')"


class PlantedError(Exception):
    """What was to be tried cannot be, so it would prove nothing."""


@frozen
class Mutant:
    """One bug.

    Attributes:
        tests: which catch it, by its own word; none if it does not say.
    """

    name: str
    path: Path
    description: str
    tests: tuple[str, ...]

    @property
    def tried_with(self) -> tuple[str, ...]:
        """Return what is run with it."""
        return self.tests or FAST


@frozen
class Tried:
    """What became of a bug; `caught_by` is None if it survived."""

    mutant: str
    caught_by: str | None
    seconds: float


def read(folder: Path) -> list[Mutant]:
    """Return the bugs of a folder, by name."""
    found = [_mutant(path) for path in sorted(folder.glob("*.patch"))]
    if not found:
        raise PlantedError(f"{folder} holds no *.patch")
    return found


def _mutant(path: Path) -> Mutant:
    lines = path.read_text().splitlines()
    above = lines[: next((place for place, line in enumerate(lines) if line.startswith(("diff ", "--- "))), len(lines))]
    said = [line.removeprefix("Caught by:") for line in above if line.startswith("Caught by:")]
    words = [line for line in above if line.strip() and not line.startswith("Caught by:")]
    tests = tuple(test for line in said for test in _TEST.findall(line))
    return Mutant(path.stem, path.resolve(), words[0].strip() if words else "", tests)


def chosen(mutants: Sequence[Mutant], only: str | None) -> list[Mutant]:
    """Return the one of a name, or all."""
    if only is None:
        return list(mutants)
    named = [mutant for mutant in mutants if mutant.name == only.removesuffix(".patch")]
    if not named:
        near = difflib.get_close_matches(only, [mutant.name for mutant in mutants], n=3)
        raise PlantedError(f"no bug is named {only!r}; near are: {', '.join(near) or 'none'}")
    return named


@contextmanager
def scratch(tree: Path) -> Iterator[Path]:
    """Have a copy of the tree for a while, in which nothing is compiled yet."""
    with tempfile.TemporaryDirectory(prefix="logos-planted-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder).resolve() / "tree"
        shutil.copytree(tree, copy, ignore=_LEFT_OUT)
        require_own(copy)
        yield copy


def require_own(copy: Path) -> None:
    """Refuse to go on if what is imported in a copy is not what stands in it."""
    packages = [path.parent.name for path in (*copy.glob("*/__init__.py"), *copy.glob("plugins/*/*/__init__.py"))]
    names = sorted({name for name in packages if name != "tests"})
    asked = subprocess.run(
        [sys.executable, "-c", _ORIGINS, *names], cwd=copy, env=environment(copy), check=True, capture_output=True, text=True
    )
    elsewhere = [origin for origin in asked.stdout.split("\n") if origin and not Path(origin).is_relative_to(copy)]
    if elsewhere or not names:
        raise PlantedError(f"the copy imports what is not its own: {', '.join(elsewhere) or 'it has no package'}")


def environment(copy: Path) -> dict[str, str]:
    """Return an environment in which a copy's packages come before the installed ones, in every process that its tests start."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "PYTEST_", "PYTHON"))}
    paths = (copy, *sorted(copy.glob("plugins/*")))
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, paths)), "GIT_CEILING_DIRECTORIES": str(copy.parent)}


def misfit(copy: Path, mutant: Mutant) -> str | None:
    """Return why a patch does not fit, or None."""
    return _apply(copy, mutant, "--check")


def _apply(copy: Path, mutant: Mutant, *options: str) -> str | None:
    command = ["git", "apply", "-p1", "--whitespace=nowarn", *options, str(mutant.path)]
    done = subprocess.run(command, cwd=copy, env=environment(copy), check=False, capture_output=True, text=True)
    return None if done.returncode == 0 else f"{mutant.name} does not apply: {'; '.join(done.stderr.splitlines())}"


def failing(copy: Path, tests: Sequence[str]) -> str | None:
    """Run tests in a copy and return the first that fails, or None."""
    made = tempfile.mkdtemp(dir=copy.parent)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-rfE", "--tb=no", "-p", "no:cacheprovider"]
    command += [f"--basetemp={made}", f"--ignore={ABOUT_PATCHES}", *tests]
    try:
        code, told = _ended(command, copy)
    except subprocess.TimeoutExpired:
        return f"no end within {LIMIT_S:.0f} s"
    if code == 0:
        return None
    found = _FAILED.search(told)
    if code == _FAILURES and found is not None:
        return found[1]
    raise PlantedError(f"{_NOT_RUN.get(code, f'pytest ended with {code}')}: {' '.join(tests)}\n{told[-1_000:]}")


def _ended(command: Sequence[str], copy: Path) -> tuple[int, str]:
    """Run a command to its end, or end it with all that it has started."""
    process = subprocess.Popen(
        command,
        cwd=copy,
        env=environment(copy),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        told, _ = process.communicate(timeout=LIMIT_S)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return process.returncode, told


def require_sound(tree: Path, mutants: Sequence[Mutant]) -> None:
    """Refuse to plant anything unless every patch fits, and every test passes without one."""
    with scratch(tree) as copy:
        misfits = [why for mutant in mutants if (why := misfit(copy, mutant)) is not None]
        if misfits:
            raise PlantedError("\n".join(misfits))
        tests = sorted({test for mutant in mutants for test in mutant.tried_with})
        shares = [share for share in (tests[job::JOBS] for job in range(JOBS)) if share]
        with ThreadPoolExecutor(JOBS) as pool:
            failed = [found for found in pool.map(partial(failing, copy), shares) if found is not None]
    if failed:
        raise PlantedError(f"{failed[0]} fails without any bug, so it catches none")


def tried(tree: Path, mutant: Mutant) -> Tried:
    """Plant one bug, and return what catches it."""
    with scratch(tree) as copy:
        why = _apply(copy, mutant)
        if why is not None:
            raise PlantedError(why)
        begun_s = time.monotonic()
        try:
            caught_by = failing(copy, mutant.tried_with)
        except PlantedError as error:
            raise PlantedError(f"{mutant.name}: {error}") from error
        return Tried(mutant.name, caught_by, round(time.monotonic() - begun_s, 1))


def campaign(tree: Path, mutants: Sequence[Mutant]) -> list[Tried]:
    """Plant every bug, a few at a time."""
    require_sound(tree, mutants)
    with ThreadPoolExecutor(JOBS) as pool:
        return list(pool.map(partial(tried, tree), mutants))


def table(results: Sequence[Tried]) -> str:
    """Return what became of each bug, for people."""
    width = max(len(result.mutant) for result in results)
    rows = [f"{result.mutant:{width}}  {result.seconds:6.1f} s  {result.caught_by or 'SURVIVED'}" for result in results]
    survived = sum(result.caught_by is None for result in results)
    return "\n".join([*rows, "", f"{len(results)} planted, {len(results) - survived} caught, {survived} survived"])


def main(arguments: list[str] | None = None, tree: Path = TREE) -> int:
    """Plant bugs, print what caught each, and return 0 if every one was caught, 1 if one survived, 2 if nothing can be said."""
    parser = argparse.ArgumentParser(prog="python -m campaign.planted", description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=TREE / "campaign" / "mutants", help="where the patches are")
    parser.add_argument("--only", help="the name of one of them")
    parser.add_argument("--json", action="store_true", help="tell it to a program")
    given = parser.parse_args(arguments)
    try:
        results = campaign(tree, chosen(read(given.folder), given.only))
    except PlantedError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps([asdict(result) for result in results], indent=1) if given.json else table(results))
    return 1 if any(result.caught_by is None for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
