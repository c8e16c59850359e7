"""From a preset to an open session, through the real composition root, on a plugin made for the test."""

import hashlib
import json
from contextlib import ExitStack, suppress

import pytest

from logos_core import Adapter
from logos_core.clock import ManualClock
from logos_core.errors import ConfigurationError, LedgerAdoptionError, LedgerError, OutcomeNotRecordedError
from logos_core.events import verify
from logos_core.home import Home
from logos_core.hookspecs import Operation
from logos_core.ledger.connection import Connection
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.orders import OrderStatus
from logos_core.testing.scripted import ScriptedVenue, capabilities, fail, hide
from tests.unit.making import OWNER, order, report_of
from tests.unit.test_adapter_submit import break_commits

SOURCE = """
from logos_core.testing import scripted
from logos_core.venues import Host
SHARED = scripted.ScriptedVenue()
MADE_WITH = []

def factory(settings):
    MADE_WITH.append(settings)
    SHARED.wire = settings.wire
    return SHARED.seen_by(settings.wire)

VENUE = scripted.declaration(
    SHARED,
    factory=factory,
    credentials=("key",),
    options={"account": "which"},
    environments={"simulator": Host(base_url=None, account_check="-"), "paper": Host(base_url="https://paper.example", account_check="-"),
                  "live": Host(base_url="https://live.example", account_check="-")},
)
"""


@pytest.fixture
def shop(distribution, tmp_path):
    """A plugin, a preset for it, and a way to open it."""
    module = __import__(distribution("logos-scripted", "logos.venues", "scripted", SOURCE))

    class Shop:
        venue: ScriptedVenue = module.SHARED
        made_with = module.MADE_WITH
        home = tmp_path / "home"
        adapter_class = Adapter

        def preset(self, extra="", **changes):
            texts = {
                "venue": '"scripted"', "environment": '"simulator"', "strategy": '"s"', "base_url": '"http://127.0.0.1:9/"', **changes,
            }  # fmt: skip
            path = tmp_path / "preset.toml"
            lines = [f"{name} = {value}" for name, value in texts.items() if value is not None]
            if "[credentials]" not in extra:
                extra += '\n[credentials]\nkey = "env:KEY"\n'
            if "[session]" not in extra:
                extra += f'[session]\nruns = "{tmp_path / "runs"}"\n'
            path.write_text("schema = 1\n" + "\n".join(lines) + "\n" + extra)
            return path

        def open(self, extra="", environ=None, **changes):
            return self.adapter_class.open(self.preset(extra, **changes), home=self.home, environ=environ or {"KEY": "sk-canary"})

    return Shop()


def test_a_session_orders_and_leaves_its_evidence(shop):
    with shop.open() as adapter:
        assert adapter.submit(order()).status is OrderStatus.NEW
        folder = adapter.run_folder
    files = {path.name: path.read_text() for path in folder.iterdir()}

    assert {"run.json", "audit.jsonl", "metrics.json", "retries.jsonl", "session.md", "seal.json"} == set(files)
    assert ["session_opened", "attempt", "settled", "session_closed"] == [
        json.loads(json.loads(line)["body"])["kind"] for line in files["audit.jsonl"].splitlines()
    ]
    assert not [name for name, text in files.items() if "sk-canary" in text]
    assert {"events": 4, "by_kind": {"attempt": 1, "session_closed": 1, "session_opened": 1, "settled_accepted": 1}} == json.loads(
        files["metrics.json"]
    )


def test_the_plugin_gets_what_it_declared_and_nothing_else(shop):
    shop.open('[venue_options]\naccount = "7"\n').close()
    (given,) = shop.made_with

    assert ("", "simulator", "http://127.0.0.1:9", {"account": "7"}) == (
        given.variant,
        given.environment,
        given.base_url,
        given.options,
    )
    assert "sk-canary" == given.credentials["key"].reveal()


def test_runs_are_chained_and_a_changed_file_shows(shop):
    folders = []
    for _ in range(2):
        with shop.open() as adapter:
            folders.append(adapter.run_folder)

    seals = [json.loads((folder / "seal.json").read_text()) for folder in folders]
    assert seals[0]["previous"] is None
    assert {"run": folders[0].name, "seal": hashlib.sha256((folders[0] / "seal.json").read_bytes()).hexdigest()} == seals[1][
        "previous"
    ]
    assert seals[1]["files"]["run.json"] == hashlib.sha256((folders[1] / "run.json").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("changes", "extra", "word"),
    [
        ({"environment": '"live"'}, "", "live orders need a signed permit"),
        ({"environment": '"shadow"'}, "", "has no environment 'shadow'"),
        ({"environment": '"paper"'}, "", "base_url is for environment 'simulator' only"),
        ({"base_url": None}, "", "base_url is missing"),
        ({"base_url": '"http://example.com"'}, "", "on this machine"),
        ({"base_url": '"http://127.0.0.1@example.com"'}, "", "on this machine"),
        ({"base_url": '"http://127.0.0.1.example.com"'}, "", "on this machine"),
        ({"base_url": '"https://127.0.0.1"'}, "", "on this machine"),
        ({"account_id": '"other"'}, "", "the key belongs to 'ACCOUNT-1'"),
        ({}, '[credentials]\nkey = "sk-canary"\n', "stands here as a literal"),
        ({}, "[credentials]\n", "credentials.key is missing"),
        ({}, '[credentials]\nkey = "env:KEY"\nkeyy = "env:KEY"\n', "credentials.keyy is not known"),
        ({}, "[venue_options]\nacount = '7'\n", "venue_options"),
        ({}, "[session]\nextensions = ['none-such']\n", "none-such"),
    ],
)
def test_a_preset_that_does_not_fit_opens_nothing(shop, changes, extra, word):
    with pytest.raises(ConfigurationError, match=word) as caught:
        shop.open(extra, **changes)

    assert "sk-canary" not in str(caught.value)
    assert [] == shop.venue.received


def test_a_key_of_another_environment_opens_nothing(shop):
    with pytest.raises(ConfigurationError, match="environment is 'paper', the venue says 'simulator'"):
        shop.open(environment='"paper"', base_url=None)

    assert not list((shop.home / "ledgers").glob("*")) if shop.home.exists() else True


def test_a_venue_that_cannot_say_whose_key_it_is_opens_nothing(shop):
    shop.venue.script(Operation.IDENTIFY, fail())
    with pytest.raises(ConfigurationError, match="cannot be asked whose key this is"):
        shop.open()


def test_an_adapter_of_one_venue_opens_no_other(shop):
    shop.adapter_class = type("Other", (Adapter,), {"venue_name": "alpaca"})
    with pytest.raises(ConfigurationError, match="this adapter opens 'alpaca'"):
        shop.open()


def test_a_budget_above_the_venues_own_is_refused_where_it_counts(shop):
    with shop.open("[rate_limit]\nrequests = 1000000\nperiod_s = 1.0\n"):
        pass
    shop.venue.identity = type(shop.venue.identity)(account_id="ACCOUNT-1", environment="paper")
    with pytest.raises(ConfigurationError, match="tighten it"):
        shop.open("[rate_limit]\nrequests = 1000000\nperiod_s = 1.0\n", environment='"paper"', base_url=None)


def test_a_failed_opening_holds_nothing(shop):
    with pytest.raises(ConfigurationError):
        shop.open("[session]\nextensions = ['none-such']\n")
    home = Home(shop.home)

    with home.ledger_lock(OWNER, exclusive=True):
        pass


def test_a_session_that_ended_well_leaves_no_lock_behind(shop):
    shop.open().close()

    assert [] == list((shop.home / "sessions").iterdir())


# --------------------------------------------------------------------------------------------- what the ledger must know


def test_a_new_ledger_for_an_account_that_has_traded_is_refused(shop):
    shop.venue.held.append(report_of("lgsbefore", status=OrderStatus.FILLED))
    for _ in range(2):
        with pytest.raises(LedgerAdoptionError, match="lgsbefore"):
            shop.open()


def test_foreign_orders_do_not_make_an_account_one_that_has_traded(shop):
    shop.venue.held += [report_of("somebody"), report_of(None, venue_order_id="v2")]
    shop.open().close()


def test_two_orders_of_two_symbols_under_one_venue_number_are_two(shop):
    shop.venue.held += [report_of("lgsbefore"), report_of("somebody", symbol="ETH/USDT", venue_order_id="v1")]
    with pytest.raises(LedgerAdoptionError, match="lgsbefore"):
        shop.open()


@pytest.mark.parametrize("loss", ["deleted", "restored", "replaced"])
def test_a_lost_ledger_is_not_a_fresh_one(shop, loss, tmp_path):
    with shop.open() as adapter:
        path = adapter.ledger.path
    old = path.read_bytes()
    with shop.open() as adapter:
        adapter.submit(order())
    for extra in path.parent.glob(f"{path.name}-*"):
        extra.unlink()
    if loss == "deleted":
        path.unlink()
    elif loss == "restored":
        path.write_bytes(old)
    else:
        path.unlink()
        other = SqliteLedger.create(path, OWNER, ManualClock())
        other.close()
    with pytest.raises(LedgerAdoptionError, match="logos ledger adopt"):
        shop.open()


@pytest.mark.parametrize(("loss", "said"), [("deleted", "is gone"), ("restored", "an older copy")])
def test_a_ledger_that_forgot_what_no_venue_shows_is_refused(shop, loss, said):
    with shop.open() as adapter:
        path = adapter.ledger.path
    old = path.read_bytes()
    with shop.open() as adapter:
        adapter.ledger.latch("look at it first")
    path.unlink()
    if loss == "restored":
        path.write_bytes(old)
    with pytest.raises(LedgerAdoptionError, match=said):
        shop.open()


def emptied(shop):
    """Leave of a ledger what is there when whoever makes it is killed before the first commit."""
    path = shop.open().ledger.path
    for old in path.parent.glob(f"{path.stem}*"):
        old.unlink()
    Connection(path, create=True).close()
    return path


def test_a_ledger_that_nobody_finished_making_is_made(shop):
    registered = emptied(shop).with_suffix(".json")

    assert not registered.exists()

    with shop.open() as adapter:
        assert adapter.submit(order()).status is OrderStatus.NEW


def test_a_ledger_that_holds_nothing_is_not_made_anew_for_an_account_that_has_traded(shop):
    emptied(shop)
    shop.venue.held.append(report_of("lgsbefore", status=OrderStatus.FILLED))
    with pytest.raises(LedgerAdoptionError, match="lgsbefore"):
        shop.open()


def test_a_known_ledger_that_holds_nothing_is_lost(shop):
    with shop.open() as adapter:
        path = adapter.ledger.path
    path.unlink()
    Connection(path, create=True).close()
    with pytest.raises(LedgerError, match="logos ledger adopt"):
        shop.open()

    assert SqliteLedger.is_unfinished(path)


def test_one_account_has_one_ledger(shop, tmp_path):
    shop.open().close()
    with pytest.raises(LedgerAdoptionError, match="moves it"):
        shop.open(f'[session]\nledger = "{tmp_path / "elsewhere.sqlite3"}"\nruns = "{tmp_path}"\n')


def test_a_venue_that_cannot_say_what_was_traded_opens_nothing(shop):
    shop.venue.script(Operation.RECONCILE, fail())
    with pytest.raises(ConfigurationError, match="cannot be asked what this account has traded"):
        shop.open()


def test_before_the_first_order_of_a_symbol_its_history_is_read_where_the_venue_lists_none(shop, desk):
    venue = ScriptedVenue(capabilities(account_history=False))
    session, asked = desk(venue), []
    venue.script(Operation.RECONCILE, lambda v, request: [asked.append(request.symbols), v.snapshot()][1])  # type: ignore[func-returns-value]
    session.adapter.submit(order())
    session.adapter.submit(order("two"))
    desk().adapter.submit(order("three"))

    assert [("BTC/USDT",)] == asked
    assert 1 == venue.calls.count(Operation.RECONCILE), "once for all sessions"


def test_a_symbol_with_orders_of_ours_that_nobody_knows_is_not_ordered(desk):
    venue = ScriptedVenue(capabilities(account_history=False))
    session = desk(venue)
    venue.held.append(report_of("lgsbefore"))
    with pytest.raises(LedgerAdoptionError, match="lgsbefore"):
        session.adapter.submit(order())

    assert [] == venue.received


def test_an_adopted_ledger_asks_before_it_sends_and_answers_from_what_it_finds(desk):
    session = desk()
    session.ledger.adopt([], session.venue.snapshot())
    name = session.parts.cache.client_order_id("one")
    session.venue.held.append(report_of(name, status=OrderStatus.FILLED))

    assert OrderStatus.FILLED is session.adapter.submit(order()).status
    assert ([], "one") == (session.venue.received, session.ledger.find(name).intent_id)
    assert OrderStatus.NEW is session.adapter.submit(order("two")).status


def test_an_adopted_ledger_does_not_believe_the_first_word_that_there_is_no_such_order(desk):
    session = desk()
    session.ledger.adopt([], session.venue.snapshot())
    session.venue.held.append(report_of(session.parts.cache.client_order_id("one"), status=OrderStatus.FILLED))
    session.venue.on_lookup(hide())

    assert OrderStatus.FILLED is session.adapter.submit(order()).status
    assert [] == session.venue.received


def test_what_was_spooled_is_merged_by_the_next_session_once(shop):
    adapter = shop.open()
    adapter.submit(order())
    real = adapter.ledger._db.begin
    break_commits(adapter._parts and type("S", (), {"ledger": adapter.ledger}))
    adapter.cancel("one")
    adapter.ledger._db.begin, adapter.ledger._db.broken = real, None
    adapter.close()
    for scope in Home(shop.home).halts():
        Home(shop.home).resume(scope)
    for _ in range(2):
        with shop.open() as again:
            found = [event.fields() for event in again.audit_log if event.kind == "spooled"]
            verify(again.audit_log)

    assert [(True, "cancel")] == [(event["intact"], event["event"]["kind"]) for event in found]


def test_leaving_a_session_on_a_broken_ledger_keeps_the_error_that_matters(shop):
    with pytest.raises(OutcomeNotRecordedError), shop.open() as adapter:
        break_commits(type("S", (), {"ledger": adapter.ledger}), after=1)
        adapter.submit(order())
    assert "The ledger failed" in (adapter.run_folder / "session.md").read_text()


def test_after_an_unclean_end_the_file_is_checked_and_the_dead_session_named(shop):
    adapter = shop.open()
    dead = adapter.ledger.session_id
    adapter.ledger.close()
    _let_go(adapter)
    with shop.open() as again:
        said = [event.fields() for event in again.audit_log if event.kind == "session_died"]

    assert [dead] == [event["died"] for event in said]


def _let_go(adapter):
    """Release the session's locks as the end of its process would."""
    for cell in adapter._parts.on_close.__closure__:
        if isinstance(cell.cell_contents, ExitStack):
            with suppress(Exception):
                cell.cell_contents.close()


def test_a_ledger_that_is_removed_or_replaced_while_in_use_stops_new_orders(desk):
    session = desk()
    session.adapter.submit(order())
    session.ledger.path.rename(session.ledger.path.with_suffix(".away"))
    with pytest.raises(LedgerError, match="removed or replaced"):
        session.adapter.submit(order("two"))
    session.ledger.path.write_bytes(b"")
    with pytest.raises(LedgerError):
        session.adapter.submit(order("three"))

    assert 1 == len(session.venue.received)


def test_one_process_at_a_time_makes_an_accounts_ledger(shop):
    clock = ManualClock()
    home = Home(shop.home)
    with home.opening(OWNER, clock), pytest.raises(LedgerError, match="has been opening"), home.opening(OWNER, clock):
        pass
    assert clock.monotonic_s() > 60
    with home.opening(OWNER, clock):
        pass
