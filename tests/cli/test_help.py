"""Help, the list of venues and what they may cost."""

import importlib
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from logos_core.cli import commands
from logos_core.cli.venues import listed
from logos_core.venues import installed

PAIRS = 15


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_the_help_line_of_a_command_is_the_first_line_of_its_docstring(name):
    command = commands.COMMANDS[name]
    function = getattr(importlib.import_module(f"logos_core.cli.{command.module}"), command.function)

    assert command.help == function.__doc__.strip().splitlines()[0]


def test_help_names_every_command_and_every_exit_code(run):
    done = run("--help", fresh=True)

    assert (0, "") == (done.code, done.err)
    assert set() == {name for name in commands.COMMANDS if f"  {name} " not in done.out}
    assert [f"{code}" for code in range(9)] == re.findall(r"(?<![\w-])(\d) [a-z]", done.out.partition("Exit codes:")[2])


def test_no_arguments_at_all_is_a_question_for_help(run):
    assert run("--help") == run()


def test_version_is_printed(run):
    from logos_core import __version__

    assert (0, f"{__version__}\n", "") == run("--version")


@pytest.mark.parametrize("name", [*commands.COMMANDS, *sorted(commands.GROUPS)])
def test_every_command_explains_itself(run, name):
    done = run(*name.split(), "--help", fresh=True)

    assert (0, "") == (done.code, done.err)
    assert f"logos {name}" in done.out


@pytest.mark.parametrize("name", ["", *commands.COMMANDS, *sorted(commands.GROUPS)])
def test_the_short_option_for_help_is_the_long_one(run, name):
    assert run(*name.split(), "--help") == run(*name.split(), "-h")


def test_an_unknown_command_is_refused_with_the_nearest_one(run):
    done = run("reconcil")

    assert (2, "") == (done.code, done.out)
    assert "logos: error: unknown command 'reconcil'; did you mean `logos reconcile`?\n" == done.err


def test_an_unknown_command_of_a_group_is_refused_with_the_nearest_one(run):
    assert "logos: error: unknown command 'ledger adop'; did you mean `logos ledger adopt`?\n" == run("ledger", "adop").err


def test_an_unknown_option_is_refused_with_the_nearest_one(run):
    done = run("submit", "x.toml", "buy", "1", "AAPL", "--limt", "1", "--intent-id", "a")

    assert 2 == done.code
    assert "--limit" in done.err and "logos submit --help" in done.err


def test_a_usage_error_is_an_object_where_json_was_asked_for(run):
    error = run("submit", "--json").error()

    assert ("UsageError", 2) == (error["error"], error["exit_code"])


def test_the_plain_list_is_what_the_core_finds():
    expected = [(venue.name, venue.distribution, venue.version, venue.target) for venue in installed()]

    assert expected == [tuple(row.values()) for row in listed()]


def test_loading_tries_each_venue_and_says_which_variants_load(run):
    done = run("venues", "--load", "--json", fresh=True)

    expected = {venue.name: None for venue in installed()}
    assert expected == {row["name"]: row["error"] for row in done.data()}
    assert 0 == done.code


def test_a_venue_that_cannot_be_loaded_is_named_with_its_error_and_harms_no_other(run, tmp_path: Path):
    """The stand-in kills its process, as a broken native library would."""
    fake = tmp_path / "path"
    (fake / "broken-9.dist-info").mkdir(parents=True)
    (fake / "broken-9.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 9\n")
    (fake / "broken-9.dist-info" / "entry_points.txt").write_text("[logos.venues]\nbroken = broken_venue:VENUE\n")
    (fake / "broken_venue.py").write_text("import os\nos._exit(9)\n")

    done = run("venues", "--load", "--json", env={"PYTHONPATH": str(fake)})
    rows = {row["name"]: row["error"] for row in done.data()}

    assert 8 == done.code
    assert "the process ended with 9: nothing was said" == rows.pop("broken")
    assert {None} == set(rows.values())


@pytest.mark.parametrize("words", [["--help"], ["venues"]])
def test_what_has_to_answer_at_once_imports_nothing_heavy(words):
    """Counted, not timed: whatever is not imported cannot be slow, and cannot be broken."""
    heavy = [
        "typer",
        "rich",
        "attrs",
        "pluggy",
        "apsw",
        "stamina",
        "requests",
        "alpaca",
        "ccxt",
        "oandapyV20",
        "logos_core.adapter",
    ]
    code = f"import sys; from logos_core.cli import main; main({words!r}); print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")

    assert "[]" == done.stdout.splitlines()[-1]


@pytest.mark.parametrize("words", [["--help"], ["venues"]])
def test_what_has_to_answer_at_once_costs_at_most_ten_bare_interpreters(words):
    ratios = []
    for _ in range(PAIRS):
        bare_s = _wall_s("-c", "pass")
        ratios.append(_wall_s("-m", "logos_core.cli", *words) / bare_s)

    assert 10 >= statistics.median(ratios)


def _wall_s(*args: str) -> float:
    begun_s = time.perf_counter()
    subprocess.run([sys.executable, *args], stdout=subprocess.DEVNULL, check=True, cwd="/")
    return time.perf_counter() - begun_s
