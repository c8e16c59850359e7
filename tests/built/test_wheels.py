"""The packages as users get them: built wheels in a clean environment, outside any clone, one venue at a time.

On the oldest Python that the packages name and on the newest of this machine; a missing one fails, with the remedy.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.built.pythons import WHY_ONE, both_ends, pythons

ROOT = Path(__file__).parents[2]
UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
OTHER_SDKS = {
    "alpaca": ("ccxt", "oandapyV20", "logos_ccxt", "logos_oanda"),
    "oanda": ("ccxt", "alpaca", "logos_ccxt", "logos_alpaca"),
    "ccxt": ("alpaca", "oandapyV20", "logos_alpaca", "logos_oanda"),
}
ORDERS = {
    "alpaca": ("alpaca", "alpaca-simulator.toml", "1", "AAPL", "10"),
    "oanda": ("oanda", "oanda-simulator.toml", "1", "EUR_USD", "0.5"),
    "ccxt": ("ccxt:binance", "ccxt-binance-simulator.toml", "1", "BTC/USDT", "1000"),
}
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "UV_"))}


def _run(*command: str | Path, cwd: Path, timeout: float = 240, check: bool = True) -> "subprocess.CompletedProcess[str]":
    environ = {**ENVIRON, "LOGOS_HOME": str(cwd / "home"), "LOGOS_SIMULATOR_KEY": "k"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environ, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def ends() -> list[Path]:
    found = pythons()
    try:
        return [found[version] for version in both_ends(found, os.environ.get(WHY_ONE))]
    except LookupError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    _run(UV, "build", "--all-packages", "--wheel", "--out-dir", folder, cwd=ROOT)
    return folder


@pytest.mark.parametrize("end", [0, -1], ids=["oldest", "newest"])
@pytest.mark.parametrize("plugin", sorted(ORDERS))
@pytest.mark.timeout(400)
def test_one_venue_alone_from_its_wheel_sends_one_order(plugin: str, end: int, ends: list[Path], wheels: Path, tmp_path: Path):
    python = tmp_path / "venv" / "bin" / "python"
    logos = python.with_name("logos")
    _run(UV, "venv", "--python", ends[end], tmp_path / "venv", cwd=tmp_path)
    _run(UV, "pip", "install", "--python", python, "--find-links", wheels, f"logos-{plugin}", cwd=tmp_path)
    version = "import sys; print(sys.version_info[:2])"
    asked = [_run(path, "-I", "-c", version, cwd=tmp_path).stdout for path in (ends[end], python)]
    missing = "import importlib.util, json, sys; print(json.dumps([n for n in sys.argv[1:] if importlib.util.find_spec(n)]))"
    found = json.loads(_run(python, "-I", "-c", missing, *OTHER_SDKS[plugin], cwd=tmp_path).stdout)
    venue, preset, quantity, symbol, price = ORDERS[plugin]
    _run(logos, "init", venue, cwd=tmp_path)
    environ = {**ENVIRON, "LOGOS_SIMULATOR_KEY": "k"}
    simulator = subprocess.Popen(
        [str(logos), "simulate", venue, "--port", "0"], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True
    )
    try:
        assert simulator.stdout is not None
        url = simulator.stdout.readline().strip()
        text = (tmp_path / preset).read_text()
        written = "\n".join(f'base_url = "{url}"' if line.startswith("base_url") else line for line in text.splitlines())
        (tmp_path / preset).write_text(written + "\n")
        said = [
            json.loads(
                _run(
                    logos,
                    "submit",
                    preset,
                    "buy",
                    quantity,
                    symbol,
                    "--limit",
                    price,
                    "--intent-id",
                    "first",
                    "--json",
                    cwd=tmp_path,
                ).stdout
            )
            for _ in range(2)
        ]
    finally:
        simulator.terminate()
        simulator.communicate(timeout=10)

    assert asked[0] == asked[1]
    assert [] == found
    assert said[0]["venue_order_id"] == said[1]["venue_order_id"]
