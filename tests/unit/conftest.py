"""Sessions on a scripted venue, and ledgers without any."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from logos_core.clock import ManualClock
from logos_core.testing import scripted
from logos_core.testing.scripted import ScriptedSession, ScriptedVenue
from tests.unit.making import Book


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
