"""What was traded, what it came to, and whether the venue agrees."""

import json
import sqlite3
import urllib.request

import pytest

from logos_core.home import Home


@pytest.fixture
def traded(new_desk):
    """A desk that has bought three shares and sold one."""
    desk = new_desk()
    for side, quantity in (("buy", "3"), ("sell", "1")):
        done = desk.logos("submit", desk.preset, side, quantity, "AAPL", "--intent-id", side)
        assert (0, "") == (done.code, done.err)
    assert 0 == desk.logos("reconcile", desk.preset).code
    return desk


def test_positions_are_read_from_the_record_with_whose_they_are(traded):
    (held,) = traded.logos("positions", traded.preset, "--json", fresh=True).data()
    lines = traded.logos("positions").out.splitlines()

    assert ("alpaca", "AAPL", "AAPL", "USD", "2") == tuple(
        held[name] for name in ("venue", "symbol", "base_asset", "quote_asset", "quantity")
    )
    assert ["VENUE", "ACCOUNT", "INSTRUMENT", "QUANTITY"] == lines[0].split()[:4]
    assert ["AAPL", "2"] == lines[1].split()[3:5]


def test_what_is_no_longer_held_is_shown_on_demand(traded):
    traded.logos("submit", traded.preset, "sell", "2", "AAPL", "--intent-id", "rest")
    traded.logos("reconcile", traded.preset)

    assert "nothing is held\n" == traded.logos("positions").out
    assert ["0"] == [held["quantity"] for held in traded.logos("positions", "--flat", "--json").data()]


def test_the_profit_of_a_day_is_read_from_the_record(traded):
    (day,) = traded.logos("pnl", traded.preset, "--json", fresh=True).data()
    of_day = traded.logos("pnl", "--day", day["day"], "--json").data()

    assert ({"USD": "0"}, {}, {}) == (day["realised"], day["fees"], day["fees_apart"])
    assert [day] == of_day
    assert "nothing was realised\n" == traded.logos("pnl", "--day", "2001-01-01").out
    assert ["DAY", "REALISED", "CURRENCY"] == traded.logos("pnl").out.split()[2:5]


def test_a_day_that_is_none_is_a_usage_error(traded):
    done = traded.logos("pnl", "--day", "yesterday")

    assert (2, "") == (done.code, done.out)
    assert "--day is 'yesterday'; give one such as 2026-11-23" in done.err


def test_show_lists_executions_with_their_sums(traded):
    shown, data = traded.logos("show", "buy").out, traded.logos("show", "buy", "--json").data()

    assert "Executions:" in shown and "  in all buy 3 at " in shown
    assert ("3", [], []) == (data["executed"]["buy"]["quantity"], data["fees"], data["overfilled"])
    assert [("trade", None, "buy", "3")] == [
        (done["kind"], done["refers_to"], done["side"], done["quantity"]) for done in data["executions"]
    ]


def test_more_than_was_ordered_is_an_alarm_wherever_one_looks(traded):
    """The venue tells of a further trade of an order that was filled already."""
    tell_another_fill(traded)
    reconciled = traded.logos("reconcile", traded.preset)

    assert 8 == reconciled.code
    assert "more was traded than was ordered (new orders are stopped): order " in reconciled.out
    assert "ALARM: more was traded than was ordered: order " in traded.logos("show", "buy").out
    assert "  OVERFILLED order " in traded.logos("status").out
    assert 3 == traded.submit("next").code


def tell_another_fill(desk) -> None:
    """Write into the ledger's copy what the venue would have told: one more trade of the first order."""
    path = Home(desk.home).ledgers()[0].path
    with sqlite3.connect(path) as connection:
        body = json.loads(connection.execute("SELECT body FROM executions ORDER BY id LIMIT 1").fetchone()[0])
        connection.execute("DELETE FROM executions WHERE execution_id = ?", (body["execution_id"],))
        connection.execute(
            "INSERT INTO executions (symbol, execution_id, venue_order_id, intent, body)"
            " SELECT symbol, 'again', venue_order_id, intent, ? FROM venue_orders WHERE number = 0 AND intent = 1",
            (json.dumps({**body, "execution_id": "again"}),),
        )
        connection.execute("UPDATE cursors SET value = json_set(value, '$.fill', NULL) WHERE name = 'reconcile'")
    connection.close()


def test_a_position_that_others_moved_differs_until_a_person_says_why(traded):
    foreign = {"symbol": "AAPL", "side": "buy", "type": "market", "qty": "5", "time_in_force": "day", "client_order_id": "somebody"}
    keys = {"APCA-API-KEY-ID": "k", "APCA-API-SECRET-KEY": "k", "Content-Type": "application/json"}
    url = f"{traded.simulator.url}/v2/orders"
    urllib.request.urlopen(urllib.request.Request(url, data=json.dumps(foreign).encode(), headers=keys), timeout=10).close()
    differs = traded.logos("reconcile", traded.preset)
    nobody = traded.logos("ledger", "baseline", traded.preset, "--by", " ", "--because", "x")
    taken = traded.logos("ledger", "baseline", traded.preset, "--by", "Ada", "--because", "bought by hand")

    assert 8 == differs.code
    assert "AAPL: ours come to 2, the venue holds 7; orders that are not ours moved it by 5, which explains it" in differs.out
    assert "`logos ledger baseline`" in differs.out
    assert (2, 0) == (nobody.code, taken.code)
    assert 0 == traded.logos("reconcile", traded.preset).code


def test_a_baseline_needs_a_venue_that_can_be_asked(traded):
    traded.simulator.break_down(reconcile="reset_before")
    done = traded.logos("ledger", "baseline", traded.preset, "--by", "Ada", "--because", "x")

    assert (7, "") == (done.code, done.out)
