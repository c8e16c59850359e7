"""The kill switch: easy to throw, whatever is broken; two people to release it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from logos_core.cli import halting


@pytest.fixture
def broken(tmp_path: Path):
    """Everything third-party, the plugins and the ledger fail to import."""
    names = [
        "apsw",
        "attr",
        "attrs",
        "ccxt",
        "h11",
        "logos_alpaca",
        "logos_ccxt",
        "logos_oanda",
        "loguru",
        "platformdirs",
        "pluggy",
    ]
    folder = tmp_path / "broken"
    folder.mkdir()
    for name in [*names, "requests", "rich", "stamina", "typer"]:
        (folder / f"{name}.py").write_text("raise ImportError('broken on purpose')")
    return {"PYTHONPATH": str(folder)}


def test_halting_needs_nothing_but_the_standard_library(run, tmp_path, broken):
    done = run("halt", "--because", "all is broken", env=broken)

    assert 0 == done.code
    assert "all is broken" in (tmp_path / "home" / "halt" / "everything").read_text()


def test_a_halt_written_without_anything_stops_orders_all_the_same(desk, broken):
    desk.logos("halt", "alpaca", env=broken)
    denied = desk.submit("halted")
    words = ("resume", "alpaca", "--by", "Ann", "--by", "Bob", "--because", "test", "--preset", desk.preset, "--json")
    resumed = desk.logos(*words, fresh=True)

    assert 3 == denied.code
    assert "new orders are stopped" in denied.err
    assert (0, True, {}) == (resumed.code, resumed.data()["was_halted"], resumed.data()["still_halted"])
    assert 0 == desk.submit("halted").code


def test_without_a_scope_everything_is_halted_and_the_status_says_who_and_why(run):
    done = run("halt", "--by", "Ann", "--because", "odd fills", "--json")
    halts = run("status", "--json").data()["halts"]

    assert (0, "everything") == (done.code, done.data()["scope"])
    assert ["everything"] == list(halts)
    assert halts["everything"].startswith("odd fills (by Ann at ")


def test_a_halt_that_covers_nothing_known_is_engaged_and_is_an_error(desk):
    done = desk.logos("halt", "alpca")
    desk.logos("resume", "alpca", "--by", "Ann", "--by", "Bob", "--because", "misspelt")

    assert 2 == done.code
    assert "'alpca' covers no account this host knows" in done.err


def test_an_option_that_is_wrong_says_that_nothing_was_halted(run, tmp_path):
    done = run("halt", "--becuase", "x")

    assert 2 == done.code
    assert "NOT halted" in done.err and "`logos halt` alone stops everything" in done.err
    assert not (tmp_path / "home" / "halt" / "everything").exists()


def test_resuming_without_reconciling_says_so(run):
    run("halt")
    done = run("resume", "--by", "Ann", "--by", "Bob", "--because", "all clear")

    assert (0, "resumed: everything\n") == (done.code, done.out)
    assert "were NOT reconciled" in done.err


def test_an_account_that_does_not_reconcile_is_not_resumed(desk):
    desk.logos("recover", desk.preset)
    desk.logos("halt")
    desk.simulator.break_down(reconcile="status_before")
    try:
        done = desk.logos("resume", "--by", "Ann", "--by", "Bob", "--because", "hope", "--preset", desk.preset)
    finally:
        desk.simulator.break_down()
    halts = desk.logos("status", "--json").data()["halts"]
    desk.logos("resume", "--by", "Ann", "--by", "Bob", "--because", "test")

    assert 8 == done.code
    assert "NOT resumed" in done.err
    assert ["everything"] == list(halts)


@pytest.mark.parametrize("given", [{}, {"XDG_DATA_HOME": "/elsewhere"}, {"LOGOS_HOME": "/given"}])
def test_the_plain_home_is_the_home_that_everybody_else_finds(monkeypatch, given):
    for name in ("LOGOS_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    expected = Path(given.get("LOGOS_HOME") or platformdirs.user_data_dir("logos", appauthor=False))
    assert expected == halting.plain_home()


def test_a_relative_home_is_refused_and_halts_all_the_same_in_plain_words(run, tmp_path):
    relative = {"LOGOS_HOME": os.path.relpath(tmp_path / "rel-home")}
    shown, halted = run("status", env=relative), run("halt", "--because", "x", "--json", env=relative)
    written = Path(json.loads(halted.out)["path"])

    assert (2, 0) == (shown.code, halted.code)
    assert "is another folder in each working folder; give the whole path, such as /" in shown.err
    assert "is another folder in each working folder" in halted.err
    assert written.is_absolute()
    assert written.exists()


def test_the_kill_switch_imports_no_command_line_library():
    code = "import sys; import logos_core.cli.halting; print([m for m in ('typer', 'rich', 'pluggy', 'apsw') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")

    assert "[]" == done.stdout.strip()
