"""What each operating system does in its own way, told by what Python says of it. tests/cli/test_other_systems.py goes further."""

import sys

import pytest

from logos_core import systems
from logos_core.clock import ManualClock
from logos_core.errors import ConfigurationError
from logos_core.home import Home
from logos_core.ledger.connection import Connection
from logos_core.ledger.sqlite import SqliteLedger
from tests.unit.making import OWNER
from tests.unit.test_session import shop

__all__ = ["shop"]


@pytest.mark.parametrize(("platform", "full"), [("darwin", 1), ("linux", 0), ("win32", 0)])
def test_on_macos_a_sync_asks_the_disk_to_write_its_own_cache(tmp_path, monkeypatch, platform, full):
    """A plain sync leaves it there: https://www.sqlite.org/pragma.html#pragma_fullfsync."""
    monkeypatch.setattr(sys, "platform", platform)
    path = tmp_path / "ledger.sqlite3"
    made = SqliteLedger.create(path, OWNER, ManualClock())
    opened = SqliteLedger.open(path, ManualClock(), OWNER)
    connections = [made._db, opened._db, *(db.aside for db in (made._db, opened._db) if db.aside is not None), Connection(path)]
    said, sync = ({db.rows(f"PRAGMA {name}")[0][0] for db in connections} for name in ("fullfsync", "synchronous"))
    for connection in connections:
        connection.close()

    assert ({full}, {2}) == (said, sync)


@pytest.mark.parametrize("platform", ["darwin", "win32", "freebsd14"])
@pytest.mark.parametrize("wrong", [{}, {"venue": '"none-such"'}, {"base_url": None}, {"account_id": '"other"'}])
def test_off_linux_live_orders_are_refused_naming_the_platform_before_anything_else_is_looked_at(
    shop, monkeypatch, platform, wrong
):
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(ConfigurationError, match=f"environment is 'live', and this system is '{platform}'") as caught:
        shop.open(environment='"live"', environ={"NONE": "of the keys"}, **wrong)

    assert "'linux' only" in str(caught.value)
    assert ([], []) == (shop.made_with, shop.venue.received)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_off_linux_a_simulator_trades(shop, monkeypatch, platform):
    monkeypatch.setattr(sys, "platform", platform)
    with shop.open() as adapter:
        assert "simulator" == adapter.identity.environment


def test_on_linux_live_orders_still_need_a_permit(shop, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(ConfigurationError, match="live orders need a signed permit, and none can be given yet"):
        shop.open(environment='"live"')

    assert [] == shop.made_with


def test_a_system_without_locks_opens_no_session(tmp_path, monkeypatch):
    monkeypatch.setattr(systems, "_fcntl", None)
    monkeypatch.setattr(systems, "_msvcrt", None)
    with pytest.raises(ConfigurationError, match="neither flock nor msvcrt locks"):
        Home(tmp_path / "home").hold_session("s1")
