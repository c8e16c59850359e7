"""Seeded power cuts: nothing is lost without a bug, and something is with one."""

from contextlib import suppress
from random import Random

import apsw
import pytest

from campaign.folders import Folders
from campaign.power import CUTS, moments, plan, play
from campaign.storage import SECTOR, Disk, Fate, Plan, Platter, PowerCut
from logos_core import home, spool
from logos_core.ledger.connection import Connection
from logos_core.rails import kill_switch

ENOUGH = 150
"""How many runs it takes at most to find a bug."""


@pytest.mark.parametrize("seed", [3, 16, 29])
def test_a_seed_plays_the_same_run_again_and_again(seed):
    first = play(seed)

    assert [first] * 4 == [play(seed) for _ in range(4)]


def test_the_moments_of_a_script_are_all_in_reach():
    found = [plan(seed) for seed in range(40 * CUTS)]

    assert all(1 <= (chosen.trouble_at or chosen.cut_at or 0) <= moments(seed // CUTS)[1] for seed, chosen in enumerate(found))
    assert {True, False} == {chosen.after for chosen in found}


class Choosing(Fate):
    """A fate that is as it is said to be."""

    def __init__(self, keeps, tears=0.0):
        super().__init__(Random(1))
        self._keeps, self._tears = keeps, tears


def test_what_was_synced_is_there_and_what_was_not_is_kept_dropped_or_torn():
    platter = Platter()
    platter.change(0, b"a" * SECTOR)
    platter.sync()
    platter.change(SECTOR, b"b" * 8 * SECTOR)
    platter.change(SECTOR // 2, None)

    assert b"a" * SECTOR == platter.after(Choosing(0.0))
    assert b"a" * (SECTOR // 2) == platter.after(Choosing(1.0))
    torn = Platter()
    torn.change(100, b"b" * 8 * SECTOR)
    held = torn.after(Choosing(0.5, tears=1.0)).ljust(9 * SECTOR, b"\0")
    sectors = [held[at : at + SECTOR] for at in range(SECTOR, 8 * SECTOR, SECTOR)]
    assert {b"b" * SECTOR, bytes(SECTOR)} == set(sectors)


def test_what_a_sync_failed_to_write_stays_in_doubt_whatever_is_synced_later():
    platter = Platter()
    platter.change(0, b"a")
    platter.fail_to_sync()
    platter.change(1, b"b")
    platter.sync()

    assert (b"\0b", b"ab") == (platter.after(Choosing(0.0)), platter.after(Choosing(1.0)))


def test_a_new_name_is_there_only_once_its_folder_was_synced(tmp_path):
    folders = Folders(tmp_path)
    (tmp_path / "old").write_text("old")
    with (tmp_path / "old").open() as file:
        folders.note(file.fileno())
    folders.note_folder(tmp_path)
    (tmp_path / "new").write_text("new")
    (tmp_path / "old").write_text("changed")
    (tmp_path / "folder").mkdir()
    folders.settle(Choosing(0.0))

    assert ["old"] == [path.name for path in tmp_path.iterdir()]
    assert "old" == (tmp_path / "old").read_text()


def _written(folder, plan):
    """Write a row over a disk that loses all it may, and return how many are there and how many moments it took."""
    folder.mkdir()
    disk = Disk(plan, Random(1))
    try:
        connection = apsw.Connection(str(folder / "file"))
        connection.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (a)").fetchall()
        with suppress(PowerCut):
            connection.execute("INSERT INTO t VALUES (1)")
    finally:
        disk.settle(folder, Choosing(0.0))
    connection = apsw.Connection(str(folder / "file"))
    [[rows]] = connection.execute("SELECT count(*) FROM t")
    connection.close()
    return rows, disk.moments


def test_a_commit_is_there_if_its_sync_came_to_an_end(tmp_path):
    rows, last = _written(tmp_path / "whole", Plan())

    assert 1 == rows
    assert (1, last) == _written(tmp_path / "after", Plan(cut_at=last, after=True))
    assert (0, last) == _written(tmp_path / "amid", Plan(cut_at=last))


def _synchronous(level):
    def plant(monkeypatch):
        configure = Connection._configure

        def configured(self):
            configure(self)
            self._connection.execute(f"PRAGMA synchronous={level}")

        monkeypatch.setattr(Connection, "_configure", configured)

    plant.__name__ = f"synchronous_{level}"
    return plant


def _tell_before_the_commit(monkeypatch):
    """Leave each transaction open until the next one begins."""
    begin, commit = Connection.begin, Connection.commit

    def late_begin(self):
        if self._connection.in_transaction:
            commit(self)
        begin(self)

    monkeypatch.setattr(Connection, "begin", late_begin)
    monkeypatch.setattr(Connection, "commit", lambda self: setattr(self, "_inside", None))


def _a_disk_that_lies(monkeypatch):
    monkeypatch.setattr(Platter, "sync", lambda _self: None)


def _go_on_after_a_failure(monkeypatch):
    monkeypatch.setattr(Connection, "broken", property(lambda _self: None, lambda *_: None), raising=False)


def _no_latch(monkeypatch):
    monkeypatch.setattr(kill_switch.KillSwitch, "latch", lambda *_: None)


def _forget_the_lock_of_a_session(monkeypatch):
    monkeypatch.setattr(home, "sync_folder", lambda _: None)


def _forget_the_folders(monkeypatch):
    monkeypatch.setattr(home, "make_folder", lambda path: path.mkdir(parents=True, exist_ok=True))


def _forget_the_spool(monkeypatch):
    monkeypatch.setattr(spool, "sync_folder", lambda _: None)


@pytest.mark.parametrize(
    "plant",
    [
        _synchronous("OFF"),
        _synchronous("NORMAL"),
        _tell_before_the_commit,
        _a_disk_that_lies,
        _go_on_after_a_failure,
        _no_latch,
        _forget_the_lock_of_a_session,
        _forget_the_folders,
        _forget_the_spool,
    ],
    ids=lambda plant: plant.__name__.strip("_"),
)
def test_a_planted_bug_loses_something(plant, monkeypatch):
    for seed in range(0, ENOUGH, CUTS):
        moments(seed // CUTS)  # counted without the bug, which may change them
    plant(monkeypatch)

    assert any(play(seed).broken for seed in range(ENOUGH))
