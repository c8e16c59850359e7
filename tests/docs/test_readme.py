"""What the README shows runs as it stands."""

import json
import re
import shlex
import socket
import urllib.request
from collections.abc import Iterator

import pytest

from logos_ccxt.binance.simulator import BinanceSimulator
from logos_core.testing.server import LoopbackServer
from tests.docs.conftest import ROOT, Reader

README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
BY_HAND = README.partition("## Try it by hand")[2].partition("## ")[0]
COMMANDS = [line[2:].partition("#")[0].strip() for line in BY_HAND.splitlines() if line.startswith("$ ")]
SIMULATOR_PRESET = """
schema = 1
venue = "ccxt:binance"
environment = "simulator"
strategy = "example"
base_url = "{url}"

[credentials]
api_key = "env:LOGOS_SIMULATOR_KEY"
secret = "env:LOGOS_SIMULATOR_KEY"
"""


@pytest.fixture
def binance() -> Iterator[LoopbackServer]:
    with LoopbackServer(BinanceSimulator()) as server:
        yield server


def test_the_example_file_is_the_one_in_the_readme():
    formatted = re.sub(r" {2,}#", "  #", EXAMPLE)

    assert formatted == (ROOT / "examples" / "one_order.py").read_text(encoding="utf-8")


def test_the_example_run_twice_leaves_one_order(reader: Reader, binance: LoopbackServer):
    (reader.folder / "ccxt-binance-paper.toml").write_text(SIMULATOR_PRESET.format(url=binance.url))
    (reader.folder / "example.py").write_text(EXAMPLE)

    done = [reader.run("example.py") for _ in range(2)]

    assert [(0, ""), (0, "")] == [(run.returncode, run.stderr) for run in done]
    assert 1 == len(binance.orders())
    first_lines = [run.stdout.splitlines()[0] for run in done]
    assert first_lines[0] == first_lines[1]
    assert ["reconciliation: agrees; 0 open orders compared, no difference"] * 2 == [run.stdout.splitlines()[1] for run in done], (
        "it is filled"
    )


SECOND = "submit alpaca-simulator.toml buy 1 AAPL --limit 100 --intent-id second"


def test_the_commands_to_try_by_hand_do_what_they_say(reader: Reader):
    port = _free_port()
    simulator = None
    seen: dict[str, tuple[int, str]] = {}
    try:
        for command in COMMANDS:
            words = shlex.split(command.replace("8801", str(port)))
            if words[0] == "pip":
                continue
            if words[0] == "export":
                name, _, value = words[1].partition("=")
                reader.environ[name] = value
            elif words[-1] == "&":
                simulator = reader.start("-m", "logos_core.cli", *words[1:-1])
                assert simulator.stdout is not None

                assert f"http://127.0.0.1:{port}" == simulator.stdout.readline().strip()
            else:
                if words[1] == "resume":
                    denied = reader.run("-m", "logos_core.cli", *shlex.split(SECOND))
                done = reader.run("-m", "logos_core.cli", *words[1:])
                seen[words[1]] = done.returncode, done.stdout + done.stderr
                _point_to(reader, port)
        assert {"init": 0, "submit": 0, "show": 0, "halt": 0, "resume": 0} == {name: code for name, (code, _) in seen.items()}
        assert (reader.folder / "alpaca-paper.toml").exists()
        assert "first" in seen["show"][1]
        assert (3, True) == (denied.returncode, "KILL_SWITCH_HALTED" in denied.stderr)
        assert 1 == len(_orders(port))
        assert 0 == reader.run("-m", "logos_core.cli", *shlex.split(SECOND)).returncode
    finally:
        if simulator is not None:
            simulator.terminate()
            simulator.communicate(timeout=10)


def test_the_readme_stays_short_and_names_only_what_can_be_made():
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert 100 >= len(README.splitlines())
    assert set() == set(re.findall(r"\bmake ([a-z]+)`?", README)) - targets


def test_the_readme_links_to_files_that_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README)

    assert [] == [link for link in links if not link.startswith("http") and not (ROOT / link).exists()]


def _point_to(reader: Reader, port: int) -> None:
    """Let the preset name the free port that stands for 8801, which another program may have."""
    preset = reader.folder / "alpaca-simulator.toml"
    if preset.exists():
        preset.write_text(preset.read_text().replace("8801", str(port)))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _orders(port: int) -> list[object]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_logos/orders", timeout=5) as answer:
        held: list[object] = json.load(answer)
    return held
