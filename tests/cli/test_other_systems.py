"""What differs on other systems, with the difference made on this one: see tests/unit/as_windows.py for what that covers."""

import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import TIMEOUT_S, Done, environ_of

AS_WINDOWS = Path(__file__).parents[1] / "unit" / "as_windows.py"
HOLD = """
import sys
from logos_core import Adapter, Order
with Adapter.open({preset!r}) as adapter:
    adapter.submit(Order.limit("AAPL", "buy", quantity="1", price="100", intent_id="held"))
    print("open", flush=True)
    sys.stdin.read()
"""
LOCKS = """
import os, sys
from logos_core.home import Home
home, names = Home(__import__("pathlib").Path(sys.argv[-1])), ("mine", "gone")
held = {name: home.hold_session(name) for name in names}
print(*(home.is_dead(name) for name in names))
held["gone"].release()
print(*(home.is_dead(name) for name in names))
"""


@pytest.fixture
def windows(new_desk):
    """A desk, and its commands where there is no `fcntl`, no `fork` and no `poll`."""
    desk = new_desk()

    def run(*args: object) -> Done:
        command = [sys.executable, str(AS_WINDOWS), *map(str, args)]
        done = subprocess.run(
            command, env=environ_of(desk.home), capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=desk.folder
        )
        return Done(done.returncode, done.stdout, done.stderr)

    desk.windows = run
    return desk


@pytest.fixture
def hold(windows):
    """Starts a session there that stays open, with one order."""
    running = []

    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, str(AS_WINDOWS), "-c", HOLD.format(preset=str(windows.preset))]
        running.append(
            subprocess.Popen(command, env=environ_of(windows.home), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        assert running[-1].stdout is not None
        assert "open\n" == running[-1].stdout.readline()
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate(timeout=20)


def test_the_difference_is_there(windows):
    program = (
        "import os, select, sys, logos_core.systems as s; print(s._fcntl, hasattr(os, 'fork'), hasattr(select, 'poll'), s._msvcrt)"
    )

    assert "None False False <module 'msvcrt'>\n" == windows.windows("-c", program).out


def test_without_fcntl_fork_and_poll_an_order_is_sent_once_found_again_and_cancelled(windows):
    order = ("submit", windows.preset, "buy", "1", "AAPL", "--limit", "100", "--intent-id", "first", "--json")
    first, again = windows.windows(*order), windows.windows(*order)
    cancelled = windows.windows("cancel", windows.preset, "first", "--json")
    reconciled = windows.windows("reconcile", windows.preset)

    assert (0, 0, 0, 0) == (first.code, again.code, cancelled.code, reconciled.code)
    assert first.data()["venue_order_id"] == again.data()["venue_order_id"]
    assert ["canceled"] == [cancelled.data()["status"]]
    assert 1 == len(windows.simulator.ask("orders"))


def test_where_folders_cannot_be_opened_old_events_are_archived(windows):
    windows.windows("submit", windows.preset, "buy", "1", "AAPL", "--limit", "100", "--intent-id", "first")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    done = windows.windows("ledger", "archive", windows.preset, "--before", now, "--json")

    assert 0 == done.code, done.err
    assert 1 == done.data()["segment"]["first"]


def test_locks_of_msvcrt_tell_a_living_session_from_a_dead_one(windows):
    assert "False False\nFalse True\n" == windows.windows("-c", LOCKS, windows.home).out


def test_an_account_takes_one_session_at_a_time_where_locks_are_exclusive(windows, hold):
    holder = hold()
    refused = windows.windows("submit", windows.preset, "buy", "1", "AAPL", "--limit", "100", "--intent-id", "second")
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=20)
    later = windows.windows("submit", windows.preset, "buy", "1", "AAPL", "--limit", "100", "--intent-id", "second")

    assert 2 == refused.code
    assert "a session has the ledger of" in refused.err and "close it first" in refused.err
    assert 0 == later.code, later.err
    assert 2 == len(windows.simulator.ask("orders"))
