"""The example with asyncio runs as it stands, and twice is once."""

from logos_ccxt.binance.simulator import BinanceSimulator
from logos_core.testing.server import LoopbackServer
from tests.docs.conftest import ROOT, Reader
from tests.docs.test_readme import SIMULATOR_PRESET

EXAMPLE = ROOT / "examples" / "async_orders.py"


def test_the_example_run_twice_leaves_ten_orders(reader: Reader):
    with LoopbackServer(BinanceSimulator()) as binance:
        (reader.folder / "ccxt-binance-paper.toml").write_text(SIMULATOR_PRESET.format(url=binance.url))

        done = [reader.run(str(EXAMPLE)) for _ in range(2)]

        assert [(0, ""), (0, "")] == [(run.returncode, run.stderr) for run in done]
        assert 10 == len(binance.orders())
    placed = sorted(f"{number} new 0" for number in range(10))

    assert [placed, placed] == [sorted(run.stdout.splitlines()[:10]) for run in done]
    assert ["reconciliation: agrees; 10 open orders compared, no difference"] * 2 == [run.stdout.splitlines()[10] for run in done]
