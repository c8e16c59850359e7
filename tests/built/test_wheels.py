"""The packages as users get them: built wheels in a clean environment, outside any clone, one venue at a time.

On the oldest Python that the packages name and on the newest of this machine; a missing one fails, with the remedy. Where
LOGOS_EVERY_PYTHON is set, on those between them too, with a rehearsal on each (`make platforms`).
"""

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from logos_core.systems import take_lock
from tests.built.pythons import WHY_ONE, Version, both_ends, pythons

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
SDKS = {"alpaca": "alpaca", "oanda": "oandapyV20", "ccxt": "ccxt"}
ORDERS = {
    "alpaca": ("alpaca", "alpaca-simulator.toml", "1", "AAPL", "10"),
    "oanda": ("oanda", "oanda-simulator.toml", "1", "EUR_USD", "0.5"),
    "ccxt": ("ccxt:binance", "ccxt-binance-simulator.toml", "1", "BTC/USDT", "1000"),
}
ENVIRON = {
    name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "UV_", "LOGOS_", "PYENV"))
}
FIND = (
    "import importlib, importlib.util, json, sys; {}; print(json.dumps([n for n in sys.argv[1:] if importlib.util.find_spec(n)]))"
)
EVERY = "LOGOS_EVERY_PYTHON" in os.environ
MIDDLE = [f"{major}.{minor}" for major, minor in list(pythons())[1:-1]] if EVERY else []


class Desk:
    """A folder with an environment that has one plugin, from its wheel, and nothing else of ours than the core."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        self.environ = {**ENVIRON, "LOGOS_HOME": str(folder / "home"), "LOGOS_SIMULATOR_KEY": "k"}

    def install(self, interpreter: Path, wheels: Path, package: str) -> None:
        self.run(UV, "venv", "--python", interpreter, self.folder / "venv")
        self.run(UV, "pip", "install", "--python", self.python, "--find-links", wheels, package)

    def run(self, *command: str | Path, timeout: float = 240) -> str:
        """Run a program that must end well; return what it printed."""
        done = subprocess.run(
            list(map(str, command)), cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=timeout, check=False
        )
        assert 0 == done.returncode, done.stdout + done.stderr
        assert UV == command[0] or "Warning" not in done.stderr, done.stderr  # an SDK's mistakes are not for whoever trades
        return done.stdout

    def logos(self, *arguments: str | Path) -> str:
        return self.run(self.python.with_name("logos"), *arguments)

    def data(self, *arguments: str) -> Any:
        return json.loads(self.logos(*arguments, "--json"))

    @contextmanager
    def simulating(self, venue: str, preset: str) -> Iterator[None]:
        """Serve the venue to this desk, and write its address into the preset."""
        command = [str(self.python.with_name("logos")), "simulate", venue, "--port", "0"]
        simulator = subprocess.Popen(command, cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, text=True)
        try:
            assert simulator.stdout is not None
            url, path = simulator.stdout.readline().strip(), self.folder / preset
            lines = path.read_text().splitlines()
            path.write_text("".join(f'base_url = "{url}"\n' if line.startswith("base_url") else f"{line}\n" for line in lines))
            yield
        finally:
            simulator.terminate()
            simulator.communicate(timeout=10)


@pytest.fixture(scope="session")
def known() -> dict[Version, Path]:
    return pythons()


@pytest.fixture(params=["oldest", "newest", *MIDDLE])
def interpreter(request: pytest.FixtureRequest, known: dict[Version, Path]) -> Path:
    """One of this machine's Pythons; where an end is not here the test fails, or is skipped for the reason that somebody gave."""
    why = os.environ.get(WHY_ONE)
    try:
        ends = both_ends(known, why)
    except LookupError as error:
        pytest.fail(str(error))
    if request.param in MIDDLE:
        return next(path for (major, minor), path in known.items() if f"{major}.{minor}" == request.param)
    if request.param == "newest" and len(ends) == 1:
        pytest.skip(f"{WHY_ONE}: {why}")
    return known[ends[0] if request.param == "oldest" else ends[-1]]


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every package, built once, whatever number of workers waits for it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, lock = shared / "wheels", shared / "wheels.lock"
    with lock.open("w") as file:
        end_s = time.monotonic() + 300
        while not take_lock(file.fileno(), exclusive=True):
            assert time.monotonic() < end_s, "another worker builds, and does not come to an end"
            time.sleep(0.2)
        if not folder.exists():
            building = shared / "wheels.building"
            command = [UV, "build", "--all-packages", "--wheel", "--out-dir", str(building)]
            subprocess.run(command, cwd=ROOT, env=ENVIRON, capture_output=True, timeout=240, check=True)
            building.rename(folder)
    return folder


@pytest.mark.parametrize("plugin", sorted(ORDERS))
@pytest.mark.timeout(400)
def test_one_venue_alone_from_its_wheel_trades(plugin: str, interpreter: Path, wheels: Path, tmp_path: Path):
    venue, preset, quantity, symbol, price = ORDERS[plugin]
    others = [name for other in SDKS if other != plugin for name in (SDKS[other], f"logos_{other}")]
    desk = Desk(tmp_path)
    desk.install(interpreter, wheels, f"logos-{plugin}")
    own = f"importlib.import_module({SDKS[plugin]!r}); importlib.import_module('logos_{plugin}')"
    version = "import sys; print(sys.version_info[:2])"
    assert desk.run(interpreter, "-I", "-c", version) == desk.run(desk.python, "-I", "-c", version)
    listed = desk.logos("venues")
    desk.logos("init", venue)
    order = ("submit", preset, "buy", quantity, symbol, "--limit", price, "--intent-id", "first")
    with desk.simulating(venue, preset):
        first, again = desk.data(*order), desk.data(*order)
        cancelled = desk.data("cancel", preset, "first")
        over = desk.data(*order)
    strangers = json.loads(desk.run(desk.python, "-I", "-c", FIND.format(own), *others))
    if EVERY:
        desk.logos("rehearse", preset)

    assert [] == strangers
    assert [plugin] == [line.split()[0] for line in listed.splitlines()]
    assert ("canceled", "canceled") == (cancelled["status"], over["status"])
    assert {first["venue_order_id"]} == {again["venue_order_id"], cancelled["venue_order_id"], over["venue_order_id"]}


def test_every_package_claims_the_same_pythons_from_the_oldest_on():
    claims = []
    for path in (ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))):
        project = tomllib.loads(path.read_text())["project"]
        assert ">=3.11" == project["requires-python"]
        claims.append([name for name in project["classifiers"] if name.startswith("Programming Language :: Python :: 3.")])

    newest = 11 + len(claims[0])
    assert [[f"Programming Language :: Python :: 3.{minor}" for minor in range(11, newest)]] * len(claims) == claims
