"""One SIGKILL per phase of an order's way, on one venue; `make kills` does more of them, on all."""

import re
import subprocess
import sys
from pathlib import Path

from benchmarks.kills import EVERY_PHASE, PHASES, jobs

ROOT = Path(__file__).parents[2]


def test_a_kill_in_any_phase_leaves_one_order_and_one_history():
    kills = sum(map(len, EVERY_PHASE))
    command = [sys.executable, "-m", "benchmarks.kills", "alpaca", "--minimum", str(kills)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=False)

    assert (0, "") == (done.returncode, done.stderr), done.stdout

    met = {phase: int(count) for phase, count in re.findall(r"^(.{36})\s+(\d+)\s+\d+  #", done.stdout, re.MULTILINE)}

    assert {phase.ljust(36) for phase in PHASES} == set(met)

    assert f"{kills} kills, 0 broken" in done.stdout


def test_every_phase_is_met_before_it_goes_deeper():
    assert set(PHASES) == {phase for job in jobs(sum(map(len, EVERY_PHASE))) for phase in job}
