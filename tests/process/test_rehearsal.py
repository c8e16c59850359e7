"""A whole session in real processes, killed and recovered; and what a Ctrl-C leaves of it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from logos_core.errors import ConfigurationError
from logos_core.testing.faults import FaultKind
from logos_core.testing.rehearsal import presets
from logos_core.testing.rehearsal.engine import rehearse

SOME = (FaultKind.STATUS_AFTER, FaultKind.DUPLICATE_DELIVERY, FaultKind.RATE_LIMITED)


def alpaca():
    return next(preset for preset in presets.embedded() if preset.venue == "alpaca")


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_session_recovers_and_its_books_are_the_venues(tmp_path):
    (rehearsed,) = rehearse([alpaca()], 3, tmp_path, lambda *_: None, SOME)

    assert () == rehearsed.broken

    figures = rehearsed.figures

    assert (2, 2) == (figures["kills"], figures["recovered"])

    assert (0, 0) == (figures["duplicates"], figures["left"])

    assert figures["orders"] == figures["accepted"] > 15

    assert figures["requests"] == figures["attempts"]

    assert set(SOME) <= set(rehearsed.faults)


def test_the_same_seed_orders_the_same():
    from logos_core.testing.rehearsal.engine import _scenario

    assert _scenario(alpaca(), 5, SOME) == _scenario(alpaca(), 5, SOME)

    assert _scenario(alpaca(), 5, SOME) != _scenario(alpaca(), 6, SOME)


def test_every_installed_venue_has_a_simulator_preset():
    assert {"alpaca", "ccxt:binance", "ccxt:kraken", "oanda"} <= {preset.venue for preset in presets.embedded()}


def test_a_rehearsal_refuses_any_environment_but_the_simulator(tmp_path):
    path = tmp_path / "paper.toml"
    path.write_text('schema = 1\nvenue = "alpaca"\nenvironment = "paper"\nstrategy = "desk"\n')

    with pytest.raises(ConfigurationError, match="a rehearsal runs on a simulator only"):
        presets.given([path])


def test_ctrl_c_leaves_no_process_behind(tmp_path):
    path = tmp_path / "preset.toml"
    path.write_text(alpaca().text("http://127.0.0.1:1", tmp_path, 1.0))
    command = [sys.executable, "-m", "logos_core.cli", "rehearse", str(path), "--runs", str(tmp_path / "runs")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        watchdog = threading.Timer(20, process.kill)
        watchdog.start()
        assert process.stderr is not None

        pids: list[int] = []
        for line in process.stderr:
            pids += map(int, re.findall(r"process (\d+)", line))
            if "session" in line:
                process.send_signal(signal.SIGINT)
                break
        process.stderr.read()
        process.wait()
        watchdog.cancel()

    assert 2 == len(pids)

    assert [] == [pid for pid in pids if is_alive(pid)]

    assert process.returncode not in {0, -signal.SIGKILL}


def test_the_command_exits_with_8_and_says_what_did_not_hold(tmp_path, monkeypatch, capsys):
    from logos_core import cli
    from logos_core.cli import rehearse as command
    from logos_core.testing.rehearsal.engine import Rehearsed

    broken = ("one order per intent: rehearsal-1-01: the venue holds a, b",)
    failed = Rehearsed(venue="alpaca", source="", figures={"orders": 2}, faults={}, unknown=(), broken=broken, folder="")
    monkeypatch.setattr(command, "rehearse_all", lambda *_: [failed])
    code = cli.main(["rehearse", "--json", "--runs", str(tmp_path)])
    said = capsys.readouterr()

    assert 8 == code

    assert broken == tuple(json.loads(said.out)["venues"][0]["broken"])

    assert "the venue holds a, b" in said.err
