"""Sessions on a scripted venue, and ledgers without any."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logos_core.clock import ManualClock
from logos_core.testing import scripted
from logos_core.testing.scripted import ScriptedSession, ScriptedVenue
from tests.unit.making import Book, Loopback


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    made = Book(tmp_path / "ledger.sqlite3")
    yield made
    made.ledger.close()


@pytest.fixture
def desk(tmp_path: Path):
    """Open scripted sessions, all of them on one LOGOS_HOME and one clock."""
    opened: list[ScriptedSession] = []
    clock = ManualClock()

    def start(venue: ScriptedVenue | None = None, **more: Any) -> ScriptedSession:
        if venue is None:
            venue = opened[0].venue if opened and not more.pop("other_venue", False) else ScriptedVenue()
        opened.append(scripted.compose(tmp_path, venue, clock=more.pop("clock", clock), **more))
        return opened[-1]

    yield start
    for session in opened:
        session.die()


@pytest.fixture(params=["alpaca", "ccxt:binance", "ccxt:kraken", "oanda"])
def loopback(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Loopback]:
    """Each venue in turn, behind its real SDK."""
    made = Loopback(request.param, tmp_path)
    with made.server:
        yield made


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install made-up distributions with one entry point each, on a path of their own; return what each was made of."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    made: list[str] = []

    def install(name: str, group: str, entry: str, source: str, version: str = "1.0") -> str:
        module = name.replace("-", "_")
        info = site / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[{group}]\n{entry} = {module}:VENUE\n")
        (site / f"{module}.py").write_text(source)
        importlib.invalidate_caches()
        made.append(module)
        return module

    yield install
    for module in made:
        sys.modules.pop(module, None)
