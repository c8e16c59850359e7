"""Real processes all the way: the command line, and a simulated venue over loopback."""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    def data(self) -> Any:
        return json.loads(self.out)

    def error(self) -> Any:
        return json.loads(self.err.splitlines()[-1])


TIMEOUT_S = 60
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def environ_of(home: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a command."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LOGOS_")}
    given = dict(env or {})
    if "PYTHONPATH" in given and "PYTHONPATH" in inherited:
        given["PYTHONPATH"] += os.pathsep + inherited["PYTHONPATH"]
    return {**inherited, "LOGOS_HOME": str(home), "LOGOS_SIMULATOR_KEY": "k", **given}


def logos(*args: object, home: Path, env: Mapping[str, str] | None = None, **options: Any) -> Done:
    """Run one command in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "logos_core.cli", *map(str, args)],
        env=environ_of(home, env),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        cwd=home.parent,
        **options,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def bow_to_modes() -> None:
    """Let root's process obey the modes of files, as anybody's does."""
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            assert 0 == ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


class Forker:
    """Runs commands in processes of their own that need not import anything first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def logos(self, *args: object, home: Path, fresh: bool = False, **options: Any) -> Done:
        """Run one command: in an interpreter of its own where that is asked for, or where the process is to start in another way."""
        if fresh or options:
            return logos(*args, home=home, **options)
        assert self.process.stdin is not None and self.process.stdout is not None
        out, err = self.folder / "out", self.folder / "err"
        for path in (out, err):
            path.write_text("")
        words = [str(arg) for arg in args]
        asked = {"args": words, "environ": environ_of(home), "folder": str(home.parent), "out": str(out), "err": str(err)}
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        if not select.select([self.process.stdout], [], [], TIMEOUT_S)[0]:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(words, TIMEOUT_S, out.read_text(), err.read_text())
        return Done(int(self.process.stdout.readline()), out.read_text(), err.read_text())

    def stop(self) -> None:
        self.process.communicate(timeout=20)


class Simulator:
    """A simulated venue in a process of its own."""

    def __init__(self, *args: str, venue: str = "alpaca") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "logos_core.cli", "simulate", venue, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        self.url = self.first_line.strip()

    def ask(self, name: str, body: object = None, method: str = "GET") -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_logos/{name}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def send(self, method: str, path: str, body: object) -> None:
        """Do what a person does past logos, with the same account."""
        headers = {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "k", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data=json.dumps(body).encode(), method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def break_down(self, **kinds: str) -> None:
        """Let every call of these operations meet a fault; none clears all."""
        faults = [{"kind": kind, "operation": operation} for operation, kind in kinds.items()]
        self.ask("faults", {"seed": 1, "faults": faults}, "PUT")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said


class Desk:
    """A LOGOS_HOME, a preset and the venue it names."""

    def __init__(self, folder: Path, simulator: Simulator, forker: Forker) -> None:
        self.folder, self.simulator, self.forker = folder, simulator, forker
        self.home = folder / "home"
        self.preset = self.write()

    def write(self, name: str = "desk.toml", **changes: str) -> Path:
        """Write a preset, with some lines of it changed or added: `session__ledger="'/x'"` is [session] ledger = '/x'."""
        tables: dict[str, dict[str, str]] = {
            "": {
                "schema": "1",
                "venue": '"alpaca"',
                "environment": '"simulator"',
                "strategy": '"desk"',
                "base_url": f'"{self.simulator.url}"',
            },
            "credentials": {"key_id": '"env:LOGOS_SIMULATOR_KEY"', "secret_key": '"env:LOGOS_SIMULATOR_KEY"'},
            "retry": {"attempts": "3", "valid_for_s": "5.0"},
            "session": {"runs": f'"{self.folder}/runs"', "timeout_s": "3.0"},
        }
        for key, value in changes.items():
            table, _, last = key.rpartition("__")
            tables[table][last] = value
        path = self.folder / name
        text = "".join(
            f"[{table}]\n" * bool(table) + "".join(f"{k} = {v}\n" for k, v in rows.items()) for table, rows in tables.items()
        )
        path.write_text(text)
        return path

    def logos(self, *args: object, **options: Any) -> Done:
        return self.forker.logos(*args, home=self.home, **options)

    def submit(self, intent_id: str, *more: str, quantity: str = "1", preset: Path | None = None, fresh: bool = False) -> Done:
        given = ("--limit", "100", *more) if "--limit" not in more else more
        return self.logos("submit", preset or self.preset, "buy", quantity, "AAPL", "--intent-id", intent_id, *given, fresh=fresh)

    def make_unknown(self, intent_id: str, *, accepted: bool, preset: Path | None = None) -> Done:
        """Submit an order whose answer is lost, at a venue that then cannot be asked."""
        self.simulator.break_down(submit="reset_after" if accepted else "reset_before", lookup="reset_before")
        try:
            return self.submit(intent_id, preset=preset)
        finally:
            self.simulator.break_down()


@pytest.fixture(scope="session")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    """Runs the commands whose start is not what is tested."""
    running = Forker(tmp_path_factory.mktemp("forker"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, forker: Forker) -> Iterator[Desk]:
    """A desk that a whole module shares; its tests keep to intents of their own."""
    simulator = Simulator()
    yield Desk(tmp_path_factory.mktemp("desk"), simulator, forker)
    simulator.stop()


@pytest.fixture
def new_desk(tmp_path: Path, forker: Forker) -> Iterator[Callable[[], Desk]]:
    """Makes desks with a venue of their own, for tests that break something for good."""
    running: list[Simulator] = []

    def make() -> Desk:
        running.append(Simulator())
        return Desk(tmp_path, running[-1], forker)

    yield make
    for simulator in running:
        simulator.stop()


@pytest.fixture
def new_simulator() -> type[Simulator]:
    """Starts a venue; whoever starts it stops it."""
    return Simulator


@pytest.fixture
def run(tmp_path: Path, forker: Forker) -> Callable[..., Done]:
    """Runs commands on a LOGOS_HOME of their own."""

    def go(*args: object, **options: Any) -> Done:
        return forker.logos(*args, home=tmp_path / "home", **options)

    return go
