"""What differs between operating systems, made to differ on this one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from logos_alpaca.simulator import AlpacaSimulator
from logos_core import systems
from logos_core.clock import SystemClock
from logos_core.errors import ConfigurationError
from logos_core.ledger.connection import Connection
from logos_core.session import bind
from logos_core.testing.server import LoopbackServer

WINDOWS = '''
"""As on Windows: no fcntl, no fork, no poll, no folder that can be opened, no open file that can be removed; `msvcrt` locks bytes."""

import importlib.abc, os, pathlib, select, sys, types
import subprocess  # it looks for msvcrt to find out where it is
import fcntl as own

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "fcntl":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

del sys.modules["fcntl"]
sys.meta_path.insert(0, Missing())
del os.fork, os.register_at_fork, os.O_CLOEXEC, select.poll

def locking(descriptor, mode, size):
    assert (0, 1, 2) == (os.lseek(descriptor, 0, os.SEEK_CUR), size, mode)
    own.flock(descriptor, own.LOCK_EX | own.LOCK_NB)  # raises OSError where another has it, as msvcrt does

sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=locking)

plain_open, plain_unlink = os.open, pathlib.Path.unlink

def open_file(path, flags, *rest, **named):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", path)
    return plain_open(path, flags, *rest, **named)

def unlink(self, missing_ok=False):
    if self.suffix == ".lock":
        raise PermissionError(13, "it is being used by another process", self)
    plain_unlink(self, missing_ok=missing_ok)

os.open, pathlib.Path.unlink = open_file, unlink
'''
ORDER = """
from logos_core import Adapter, LedgerError, Order
with Adapter.open("preset.toml") as adapter:
    print(adapter.submit(Order.limit("AAPL", "buy", quantity=1, price=95, intent_id="first")).status)
    try:
        Adapter.open("preset.toml")
    except LedgerError as error:
        print("a second session:", "close it first" in str(error))
    print(adapter.reconcile().verdict)
"""
DIE = """
import os
from logos_core.home import Home
from pathlib import Path
Home(Path("home")).hold_session("dead")
print(Home(Path("home")).is_dead("dead"), flush=True)
os._exit(1)
"""
LOOK = """
from logos_core.home import Home
from pathlib import Path
print(Home(Path("home")).is_dead("dead"), Home(Path("home")).is_dead("never was"))
"""
ARCHIVE = """
from logos_core.cli import main
from logos_core.home import Home
from pathlib import Path
raise SystemExit(main(["ledger", "archive", str(Home(Path("home")).ledgers()[0].path), "--before", {before!r}]))
"""
PRESET = """
schema = 1
venue = "alpaca"
environment = "simulator"
strategy = "example"
base_url = "{url}"

[credentials]
key_id = "env:KEY"
secret_key = "env:KEY"
"""


@pytest.fixture
def on_windows(tmp_path: Path):
    """Runs a program as it would run there."""
    (tmp_path / "sitecustomize.py").write_text(WINDOWS)

    def run(program: str, *, windows: bool = True) -> "subprocess.CompletedProcess[str]":
        environ = {"PYTHONPATH": str(tmp_path) if windows else "", "LOGOS_HOME": str(tmp_path / "home"), "KEY": "any"}
        return subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_an_order_is_sent_and_found_where_there_is_neither_fcntl_nor_fork(on_windows, tmp_path: Path):
    with LoopbackServer(AlpacaSimulator()) as server:
        (tmp_path / "preset.toml").write_text(PRESET.format(url=server.url))

        done = [on_windows(ORDER) for _ in range(2)]

        assert (["", ""], 1) == ([run.stderr for run in done], len(server.orders()))
    assert ["a second session: True", "agrees"] == done[0].stdout.splitlines()[1:]
    assert 3 == len(done[1].stdout.splitlines())


def test_old_events_are_archived_where_no_folder_can_be_opened(on_windows, tmp_path: Path):
    with LoopbackServer(AlpacaSimulator()) as server:
        (tmp_path / "preset.toml").write_text(PRESET.format(url=server.url))
        on_windows(ORDER)
    done = on_windows(ARCHIVE.format(before=SystemClock().now().strftime("%Y-%m-%dT%H:%M:%S.%f")))

    assert ("", 0) == (done.stderr, done.returncode)
    assert "events 1 to " in done.stdout
    assert 1 == len(list((tmp_path / "home" / "ledgers").glob("*.segment-0001.jsonl.gz")))


def test_a_dead_session_is_told_from_a_living_one_there(on_windows):
    died, looked = on_windows(DIE), on_windows(LOOK)

    assert ("False\n", "") == (died.stdout, died.stderr)
    assert ("True False\n", "") == (looked.stdout, looked.stderr)


@pytest.mark.parametrize("name", ["logos_core", "logos_core.home", "logos_core.session", "logos_core.cli", "logos_core.transport"])
def test_a_module_is_imported_there(on_windows, name: str):
    done = on_windows(f"import {name}, sys; print('fcntl' in sys.modules)")

    assert ("False\n", "") == (done.stdout, done.stderr)


def test_the_made_up_system_is_another_one(on_windows):
    ask = "import os, select, importlib.util as u\nprint(hasattr(os, 'fork'), hasattr(select, 'poll'))"

    assert ("False False\n", "True True\n") == (on_windows(ask).stdout, on_windows(ask, windows=False).stdout)


def test_a_system_without_any_locks_is_refused_and_named(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(systems, "_fcntl", None)
    monkeypatch.setattr(systems, "_msvcrt", None)
    with (
        (tmp_path / "lock").open("w") as file,
        pytest.raises(ConfigurationError, match=f"{sys.platform} has neither flock nor msvcrt"),
    ):
        systems.take_lock(file.fileno(), exclusive=True)


def pragma(path: Path, name: str) -> object:
    connection = Connection(path, create=True)
    try:
        return connection.rows(f"PRAGMA {name}")[0][0]
    finally:
        connection.close()


@pytest.mark.parametrize(("platform", "full"), [("darwin", 1), ("linux", 0), ("win32", 0)])
def test_a_commit_reaches_the_disk_itself_on_macos(monkeypatch, tmp_path: Path, platform: str, full: int):
    """There a plain sync leaves the data in the disk's own cache; see fsync(2) of macOS and SQLite's PRAGMA fullfsync."""
    monkeypatch.setattr(sys, "platform", platform)

    assert full == pragma(tmp_path / "ledger", "fullfsync")


class Live:
    """As much of a live preset as is looked at before it is refused."""

    environment = "live"
    path = Path("live.toml")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_a_live_order_is_refused_off_linux_before_anything_else_is_looked_at(monkeypatch, platform: str):
    monkeypatch.setattr(sys, "platform", platform)
    live: object = Live()
    with pytest.raises(ConfigurationError, match=rf"live\.toml: environment is 'live', and this system is '{platform}'"):
        bind(live, {}, None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("platform", "why"), [("linux", "signed permit"), ("darwin", "'linux' only")])
def test_the_command_line_refuses_live_and_says_why(monkeypatch, tmp_path: Path, capsys, platform: str, why: str):
    from logos_core.cli import main

    preset = tmp_path / "live.toml"
    preset.write_text(PRESET.format(url="x").replace("simulator", "live").replace('base_url = "x"\n', ""))
    monkeypatch.setattr(sys, "platform", platform)

    code = main(["submit", str(preset), "buy", "1", "AAPL", "--limit", "95", "--intent-id", "x", "--json"])

    said = json.loads(capsys.readouterr().err)
    assert (2, "ConfigurationError", True) == (code, said["error"], why in said["message"])
