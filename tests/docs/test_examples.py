"""The examples are run as a reader runs them, twice, and the orders at the venue are counted."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from logos_alpaca.simulator import AlpacaSimulator
from logos_ccxt.binance.simulator import BinanceSimulator
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from logos_core.testing.server import LoopbackServer
from tests.docs.conftest import ROOT, Reader
from tests.docs.following import blocks_of

PRESET = """
schema = 1
venue = "{venue}"
environment = "simulator"
strategy = "example"
base_url = "{url}"

[credentials]
{first} = "env:LOGOS_SIMULATOR_KEY"
{second} = "env:LOGOS_SIMULATOR_KEY"

[session]
{session}
"""
PRICES = next(block.text for block in blocks_of((ROOT / "docs/how-to/programs.md").read_text()) if block.more == "prices.csv")


@pytest.fixture
def shares() -> Iterator[LoopbackServer]:
    with LoopbackServer(AlpacaSimulator()) as server:
        yield server


@pytest.fixture
def coins() -> Iterator[LoopbackServer]:
    with LoopbackServer(BinanceSimulator()) as server:
        yield server


def alpaca(server: LoopbackServer, session: str = "") -> str:
    return PRESET.format(venue="alpaca", url=server.url, first="key_id", second="secret_key", session=session)


def loop(reader: Reader, prices: str) -> tuple[int, list[str], str]:
    (reader.folder / "prices.csv").write_text(prices)
    done = reader.run(str(ROOT / "examples/strategy_loop.py"), "alpaca.toml", "prices.csv")
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_the_strategy_that_is_run_again_sends_nothing_again(reader: Reader, shares: LoopbackServer):
    (reader.folder / "alpaca.toml").write_text(alpaca(shares))

    code, said, trouble = loop(reader, PRICES)
    again, said_again, _ = loop(reader, PRICES)

    assert (0, 0, "") == (code, again, trouble)
    assert ["dip-2026-11-19", "dip-2026-11-23"] == [line.split()[0] for line in said[:2]]
    assert [line.split()[0] for line in said] == [line.split()[0] for line in said_again]
    assert 2 == len(shares.orders())


def test_the_strategy_that_goes_on_sends_what_is_new(reader: Reader, shares: LoopbackServer):
    (reader.folder / "alpaca.toml").write_text(alpaca(shares))
    loop(reader, PRICES)

    code, said, _ = loop(reader, PRICES + "2026-11-24,97.00\n")

    assert (0, 3) == (code, len(shares.orders()))
    assert said[2].startswith("dip-2026-11-24")


def test_the_strategy_stops_deciding_while_an_outcome_is_unknown(reader: Reader):
    lost = Fault(kind=FaultKind.RESET_AFTER, operation="submit"), Fault(kind=FaultKind.RESET_BEFORE, operation="lookup")
    with LoopbackServer(AlpacaSimulator(), FaultPlan(lost)) as shares:
        (reader.folder / "alpaca.toml").write_text(alpaca(shares))

        code, said, _ = loop(reader, PRICES)

        assert (0, 1) == (code, len(shares.orders()))
    assert said[0].startswith("dip-2026-11-19 may be live")
    assert said[-1].startswith("reconciliation: agrees"), "the comparison at the end has found the order"
    assert ["dip-2026-11-19"] == [line.split()[0] for line in said if line.startswith("dip-")]


def test_two_venues_get_one_order_each_however_often_they_are_asked(reader: Reader, shares: LoopbackServer, coins: LoopbackServer):
    (reader.folder / "shares.toml").write_text(alpaca(shares))
    binance = PRESET.format(venue="ccxt:binance", url=coins.url, first="api_key", second="secret", session="")
    (reader.folder / "coins.toml").write_text(binance)

    done = [reader.run(str(ROOT / "examples/two_venues.py"), "shares.toml", "coins.toml") for _ in range(2)]

    assert [(0, ""), (0, "")] == [(run.returncode, run.stderr) for run in done]
    assert ["alpaca", "ccxt"] == [line.split(":")[0] for line in done[0].stdout.splitlines()[:2]]
    assert (1, 1) == (len(shares.orders()), len(coins.orders()))


def test_the_extension_denies_what_the_desk_does_not_trade_and_notes_the_rest(desk_reader: Reader, shares: LoopbackServer):
    (desk_reader.folder / "alpaca.toml").write_text(alpaca(shares, 'extensions = ["desk-limits"]'))
    (desk_reader.folder / "desk.py").write_text(
        "from logos_core import Adapter, Order, OrderDeniedError\n"
        "with Adapter.open('alpaca.toml') as adapter:\n"
        "    for symbol, quantity in (('AAPL', 1), ('AAPL', 101), ('BTC/USD', 1)):\n"
        "        try:\n"
        "            adapter.submit(Order.limit(symbol, 'buy', quantity=quantity, price=95, intent_id=f'{symbol} {quantity}'))\n"
        "        except OrderDeniedError as error:\n"
        "            print(error)\n"
    )

    done = desk_reader.run("desk.py")

    assert (0, "") == (done.returncode, done.stderr)
    assert ["100 at most", "AAPL and MSFT"] == [
        line.partition("trades ")[2].partition(" [")[0] for line in done.stdout.splitlines()
    ]
    assert 1 == len(shares.orders())
    assert "settled" in {json.loads(line)["kind"] for line in (desk_reader.folder / "desk.jsonl").read_text().splitlines()}


def test_every_program_among_the_examples_is_run_by_a_test():
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    programs = {path.name for path in (ROOT / "examples").glob("*.py")}

    assert set() == {name for name in programs if name not in tests}
