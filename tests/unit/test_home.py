"""What belongs to the host: halts, locks, the registry."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from logos_core import home as homes
from logos_core import spool as spools
from logos_core import systems
from logos_core.clock import ManualClock
from logos_core.errors import ConfigurationError, LedgerError
from logos_core.home import EVERYTHING, Home, Registered, is_present, key_of, new_id
from logos_core.rails.kill_switch import HOW_TO_RESUME, KillSwitch
from logos_core.records import LedgerIdentity
from logos_core.wire import GateClosedError
from tests.unit.making import OWNER

NOW = ManualClock().now()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def switch_of(home, owner=OWNER):
    return KillSwitch(home.halt_paths(owner), is_present, lambda reason: None)


@pytest.mark.parametrize("scope", [EVERYTHING, "scripted", key_of(OWNER)])
def test_a_halt_stops_what_it_covers_at_the_claim_and_at_the_first_byte(home, scope):
    switch = switch_of(home)
    assert (None, None, None) == (switch.engaged(), switch.decide(), switch.gate()())
    home.halt(scope, "ann", "drill", NOW)

    assert "KILL_SWITCH_HALTED" == switch.decide().reason
    with pytest.raises(GateClosedError) as caught:
        switch.gate()()
    assert caught.value.denies
    assert home.resume(scope)
    assert not home.resume(scope)
    assert switch.engaged() is None


@pytest.mark.parametrize("scope", [EVERYTHING, "scripted", key_of(OWNER)])
def test_a_denial_says_how_new_orders_go_on_again(home, scope):
    switch = switch_of(home)
    home.halt(scope, "ann", "drill", NOW)

    assert switch.decide().message.endswith(f"; find out why, then: logos resume {scope} --by NAME --by NAME --because TEXT")


def test_where_no_halt_names_a_scope_the_denial_says_who_does(home):
    switch = switch_of(home)
    switch.latch("two orders")

    assert f"new orders are stopped: two orders; {HOW_TO_RESUME}" == switch.decide().message


def test_a_gate_reads_the_halt_anew_each_time(home):
    gate = switch_of(home).gate()
    gate()
    home.halt(EVERYTHING, "ann", "now", NOW)
    with pytest.raises(GateClosedError):
        gate()


@pytest.mark.parametrize("other", [{"venue": "oanda"}, {"account_id": "ACCOUNT-2"}, {"environment": "paper"}])
def test_a_halt_of_one_account_leaves_the_others(home, other):
    neighbour = LedgerIdentity(**{"venue": OWNER.venue, "environment": OWNER.environment, "account_id": OWNER.account_id, **other})
    home.halt(key_of(OWNER), "ann", "drill", NOW)

    assert switch_of(home, neighbour).engaged() is None


def test_a_halt_says_who_and_why_and_an_unreadable_one_halts_all_the_same(home):
    home.halt(EVERYTHING, "ann", "drill", NOW)
    (home.path / "halt" / "scripted").write_bytes(b"\xff\x00")

    assert "drill (by ann at 2026-01-01T00:00:00.000000Z)" == home.halts()[EVERYTHING]
    assert "cannot be read; it halts all the same" == home.halts()["scripted"]


def test_an_empty_file_made_by_hand_halts(home):
    (home.path / "halt" / EVERYTHING).touch()

    assert switch_of(home).engaged()


def test_a_halt_that_cannot_be_looked_at_counts_as_there(tmp_path, monkeypatch):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert is_present(str(loop))
    assert is_present(str(tmp_path / ("x" * 300)))
    monkeypatch.setattr(os, "lstat", lambda path: (_ for _ in ()).throw(PermissionError(13, "no", path)))
    assert is_present("anything")


def test_what_is_not_there_is_not_there(tmp_path):
    assert not is_present(str(tmp_path / "nothing"))


def test_a_halt_that_is_a_link_to_nowhere_halts(tmp_path):
    (tmp_path / "everything").symlink_to(tmp_path / "gone")

    assert is_present(str(tmp_path / "everything"))


def test_a_folder_of_halts_that_became_a_file_halts(home):
    (home.path / "halt").rmdir()
    (home.path / "halt").touch()

    assert switch_of(home).engaged()


def test_a_latch_holds_whatever_fails_and_is_kept_for_later(home):
    kept: list[str] = []
    switch = KillSwitch((), is_present, kept.append)
    switch.latch("two orders")
    assert (["two orders"], "two orders") == (kept, switch.engaged())

    def full(reason):
        raise OSError(28, "no space")

    broken = KillSwitch((), is_present, full)
    with pytest.raises(OSError):
        broken.latch("stop")
    assert "stop" == broken.engaged()


@pytest.mark.parametrize("scope", ["", "../everything", "a b", "a/b", ".hidden", "everything\n"])
def test_a_scope_that_is_no_name_is_refused(home, scope):
    with pytest.raises(ConfigurationError):
        home.halt(scope, "ann", "drill", NOW)
    with pytest.raises(ConfigurationError):
        home.resume(scope)


def test_a_halt_of_a_plugin_covers_its_variants(home):
    home.halt("ccxt", "ann", "drill", NOW)

    assert switch_of(home, LedgerIdentity(venue="ccxt:binance", environment="paper", account_id="1")).engaged()


def test_a_halt_of_a_variant_is_spelled_as_the_venue_is(home):
    home.halt("ccxt:binance", "ann", "drill", NOW)

    assert switch_of(home, LedgerIdentity(venue="ccxt:binance", environment="paper", account_id="1")).engaged()


def test_a_full_disk_does_not_keep_orders_running(tmp_path):
    program = f"""
    import resource
    from logos_core.home import Home
    from logos_core.clock import ManualClock
    home = Home(__import__("pathlib").Path({str(tmp_path)!r}))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        home.halt("everything", "ann", "now", ManualClock().now())
    except Exception:
        pass
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=60)

    assert switch_of(Home(tmp_path)).engaged()


# ------------------------------------------------------------------------------------------------------------------ locks


def hold_in_child(home, session_id):
    """Hold a session's lock in another process until it is told to end."""
    program = f"""
    import sys
    from pathlib import Path
    from logos_core.home import Home
    lock = Home(Path({str(home.path)!r})).hold_session({session_id!r})
    print("held", flush=True)
    sys.stdin.read()
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert b"held\n" == child.stdout.readline()
    return child


def test_a_session_is_dead_only_once_its_process_ended_however_it_ended(home):
    child = hold_in_child(home, "s1")
    try:
        assert not home.is_dead("s1")
    finally:
        child.kill()
        child.communicate()

    assert home.is_dead("s1")
    assert home.is_dead("s1"), "to ask does not change the answer"


def test_a_session_of_this_very_process_is_not_dead(home):
    held = home.hold_session("s1")
    assert not home.is_dead("s1")
    held.release()

    assert home.is_dead("s1")


def test_without_a_lock_to_take_there_is_no_proof(home):
    home.hold_session("s1").release()
    home.forget_session("s1")
    home.forget_session("s1")

    assert not home.is_dead("s1")
    assert not home.is_dead("never")


def test_sessions_share_a_ledger_and_adoption_has_it_alone(home):
    with home.ledger_lock(OWNER, exclusive=False), home.ledger_lock(OWNER, exclusive=False):
        with pytest.raises(LedgerError, match="open"), home.ledger_lock(OWNER, exclusive=True):
            pass
    with home.ledger_lock(OWNER, exclusive=True):
        with pytest.raises(LedgerError), home.ledger_lock(OWNER, exclusive=False):
            pass


def test_a_lock_survives_no_error(home):
    with pytest.raises(ZeroDivisionError), home.ledger_lock(OWNER, exclusive=True):
        raise ZeroDivisionError
    with home.ledger_lock(OWNER, exclusive=True):
        pass


# --------------------------------------------------------------------------------------------------------------- registry


def test_the_registry_remembers_what_it_was_told_last(home):
    assert home.registered(OWNER) is None
    for sequence in (1, 7):
        entry = Registered(path=home.ledger_path(OWNER), ledger_id="ab", sequence=sequence)
        home.register(OWNER, entry)

    assert entry == home.registered(OWNER)
    assert [entry] == home.ledgers()
    assert not [path for path in (home.path / "ledgers").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"path": "x"}', '{"path": "x", "ledger_id": "a", "sequence": "many"}'])
def test_a_damaged_registry_is_no_empty_one(home, text):
    (home.path / "ledgers" / f"{key_of(OWNER)}.json").write_text(text)
    with pytest.raises(LedgerError, match="cannot be read"):
        home.registered(OWNER)


def test_accounts_that_a_file_name_cannot_tell_apart_have_names_of_their_own():
    owners = [
        LedgerIdentity(venue="v", environment="paper", account_id=account)
        for account in ("a b", "a-b", "a/b", "A-b", "x" * 80, "x" * 81)
    ] + [
        LedgerIdentity(venue="v_paper", environment="paper", account_id="a"),
        LedgerIdentity(venue="v", environment="paper_paper", account_id="a"),
    ]

    assert len(owners) == len({key_of(owner) for owner in owners})
    assert all("/" not in key_of(owner) and len(key_of(owner)) < 80 for owner in owners)
    assert len({new_id() for _ in range(100)}) == 100


def test_a_home_that_cannot_be_made_says_so(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="make it writable"):
        Home(tmp_path / "file" / "home")


# ------------------------------------------------------------------------------------------------------------------ spool


def test_what_waits_in_the_spool_is_chained_and_a_change_shows(home):
    spool = home.spool(OWNER)
    assert [] == spool.read()
    for number in range(3):
        spool.append("cancel", {"number": number})
    assert [(True, 0), (True, 1), (True, 2)] == [(entry["intact"], entry["event"]["number"]) for entry in spool.read()]
    lines = spool.path.read_text().splitlines()
    spool.path.write_text("\n".join([lines[0], lines[1].replace('\\"number\\":1', '\\"number\\":9'), lines[2]]) + "\n")
    assert [True, False, True] == [entry["intact"] for entry in spool.read()]
    spool.path.write_text("\n".join([lines[0], lines[2]]) + "\n")
    assert [True, False] == [entry["intact"] for entry in spool.read()]
    spool.clear()
    spool.clear()
    assert [] == spool.read()


def test_what_waits_in_the_spool_and_what_the_registry_remembers_is_durable_at_once(home, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    spool = home.spool(OWNER)
    spool.append("cancel", {"number": 0})
    home.register(OWNER, Registered(path=home.ledger_path(OWNER), ledger_id="a", sequence=1))
    folder = home.path / "ledgers"

    durable = (spool.path, spool.path.parent, folder / f"{key_of(OWNER)}.json", folder)
    assert [path.stat().st_ino for path in durable] == synced


def test_a_torn_last_line_does_not_count(home):
    spool = home.spool(OWNER)
    spool.append("cancel", {"number": 0})
    with spool.path.open("a") as file:
        file.write('{"body": "{')

    assert 1 == len(spool.read())


def test_what_follows_a_torn_line_is_not_lost(home):
    spool = home.spool(OWNER)
    spool.append("cancel", {"number": 0})
    with spool.path.open("a") as file:
        file.write('{"body": "{')
    spool.append("cancel", {"number": 1})

    assert [0, 1] == [entry["event"]["number"] for entry in spool.read()]


@pytest.fixture
def synced(monkeypatch):
    """The folders that were synced, in order."""
    found: list[Path] = []
    for module in (homes, systems, spools):
        monkeypatch.setattr(module, "sync_folder", found.append)
    return found


def test_a_folder_that_is_made_survives_the_power(synced, tmp_path):
    home = Home(tmp_path / "own" / "home")
    made = list(synced)
    Home(home.path)

    assert {tmp_path, tmp_path / "own", home.path} == set(made)
    assert made == synced


def test_the_lock_of_a_session_survives_the_power(synced, home):
    home.hold_session("s1").release()

    assert home.path / "sessions" == synced[-1]


def test_the_first_line_of_a_spool_survives_the_power(synced, home):
    spool = home.spool(OWNER)
    synced.clear()
    for number in range(2):
        spool.append("cancel", {"number": number})

    assert [home.path / "spool"] == synced
