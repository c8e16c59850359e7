"""One order at a time, and what is told of it afterwards."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest


def test_an_order_is_sent_once_however_often_it_is_submitted(desk):
    first, second = desk.submit("once", "--json", fresh=True), desk.submit("once", "--json")

    assert (0, 0) == (first.code, second.code)
    assert first.data()["venue_order_id"] == second.data()["venue_order_id"]
    assert 1 == [order["client_order_id"] for order in desk.simulator.ask("orders")].count(first.data()["client_order_id"])


def test_an_intent_id_used_for_another_order_is_a_conflict(desk):
    desk.submit("reused")
    done = desk.submit("reused", quantity="2")

    assert (6, "") == (done.code, done.out)
    assert "intent id 'reused' was used for another order (quantity: recorded 1, given 2); use a new intent id" in done.err


def test_rounding_is_done_only_where_it_was_asked_for(desk):
    done = desk.submit("rounded", "--limit", "100.009", "--round-to-grid", "--json")

    assert (0, "100") == (done.code, done.data()["price"])


def test_a_cancelled_order_is_shown_as_such_and_cancelling_again_is_harmless(desk):
    desk.submit("cancelled")
    first, second = (
        desk.logos("cancel", desk.preset, "cancelled", "--json", fresh=True),
        desk.logos("cancel", desk.preset, "cancelled", "--json"),
    )

    assert (0, "canceled") == (first.code, first.data()["status"])
    assert (0, "canceled") == (second.code, second.data()["status"])


def test_cancelling_an_order_that_nobody_knows_is_a_usage_error(desk):
    done = desk.logos("cancel", desk.preset, "nobody")

    assert (2, "") == (done.code, done.out)
    assert "no order of strategy 'desk' has the intent id 'nobody'" in done.err


def test_the_reading_commands_need_no_venue_and_no_plugin(desk, tmp_path):
    """The SDKs and the plugins are hidden behind packages that cannot be imported."""
    for name in ("alpaca", "ccxt", "oandapyV20", "logos_alpaca", "logos_ccxt", "logos_oanda", "requests"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('hidden')")
    desk.submit("read")
    hidden = {"PYTHONPATH": str(tmp_path)}

    orders = desk.logos("orders", desk.preset, "--json", env=hidden)
    shown = desk.logos("show", "read", "--preset", desk.preset, "--json", env=hidden)
    status = desk.logos("status", "--json", env=hidden)

    assert [0, 0, 0] == [orders.code, shown.code, status.code]
    assert "read" in [order["intent_id"] for order in orders.data()]
    assert ["attempt", "settled"] == [event["kind"] for event in shown.data()["timeline"]][:2]
    assert "PA3SIMULATED" == status.data()["ledgers"][0]["account_id"]


def test_the_orders_of_several_ledgers_say_whose_they_are(new_desk, new_simulator):
    desk, oanda = new_desk(), new_simulator(venue="oanda")
    desk.submit("shares")
    alone = desk.logos("orders")
    desk.logos("init", "oanda", "--into", desk.folder)
    preset = desk.folder / "oanda-simulator.toml"
    preset.write_text(re.sub(r'base_url = ".*"', f'base_url = "{oanda.url}"', preset.read_text()))
    sent = desk.logos("submit", preset, "buy", "10", "EUR_USD", "--limit", "1", "--intent-id", "currency")
    oanda.stop()
    listed, of_one, data = desk.logos("orders"), desk.logos("orders", desk.preset), desk.logos("orders", "--json").data()

    assert 0 == sent.code
    expected = {("shares", "alpaca", "simulator", "PA3SIMULATED"), ("currency", "oanda", "simulator", "101-001-1234567-001")}
    assert expected == {(row["intent_id"], row["venue"], row["environment"], row["account_id"]) for row in data}
    assert ["VENUE", "ACCOUNT", "STATE"] == listed.out.split()[:3]
    assert {("alpaca simulator", "PA3SIMULATED"), ("oanda simulator", "101-001-1234567-001")} == {
        tuple(re.split(" {2,}", line)[:2]) for line in listed.out.splitlines()[1:]
    }
    assert "STATE" == alone.out.split()[0] == of_one.out.split()[0]


def test_a_piped_table_has_no_colour_and_loses_no_character(desk):
    client_order_id = desk.submit("piped", "--json").data()["client_order_id"]
    done = desk.logos("orders", env={"FORCE_COLOR": "1", "COLUMNS": "20"})

    assert "\x1b" not in done.out
    assert client_order_id in done.out


def test_a_denied_intent_is_shown_with_its_reason(desk):
    desk.submit("denied", "--limit", "100.001")
    done = desk.logos("show", "denied")

    assert 0 == done.code
    assert "Nothing was sent, there is no order." in done.out and "[PRICE_OFF_GRID]" in done.out


def test_an_unknown_order_is_told_as_unknown_with_what_to_do(desk):
    done = desk.make_unknown("lost answer", accepted=True)
    shown = desk.logos("show", "lost answer")
    listed = desk.logos("orders", "--unknown", "--json")

    assert (5, "") == (done.code, done.out)
    assert done.err.startswith("logos: UNKNOWN: ")
    assert "State: UNKNOWN" in shown.out and "Treat it as live" in shown.out and f"logos recover {desk.preset}" in shown.out
    assert ["lost answer"] == [order["intent_id"] for order in listed.data()]
    assert "unknown" == desk.logos("status", "--json").data()["ledgers"][0]["unsettled"][0]["state"]

    recovered = desk.logos("recover", desk.preset, "--json", fresh=True)

    assert (0, ["new"]) == (recovered.code, [order["state"] for order in recovered.data()["orders"]])
    assert "recovery: nothing was open\n" == desk.logos("recover", desk.preset).out


def test_what_cannot_be_asked_for_stays_unknown_until_a_person_closes_it(desk):
    preset = desk.write("short.toml", retry__valid_for_s="2.0")
    lost = desk.make_unknown("never arrived", accepted=False, preset=preset)
    desk.simulator.break_down(lookup="reset_before")
    try:
        recovered, compared = desk.logos("recover", preset), desk.logos("reconcile", preset)
    finally:
        desk.simulator.break_down()
    asked = ("resolve", "never arrived", "--preset", preset, "--as", "not-placed", "--by", "Ann", "--because", "support says so")
    while "it may still arrive" in (resolved := desk.logos(*asked, "--json", fresh=True)).err:
        time.sleep(0.1)
    events = desk.logos("show", "never arrived", "--json").data()["timeline"]

    assert (5, 5, 5) == (lost.code, recovered.code, compared.code)
    assert "1 still UNKNOWN" in recovered.out and re.search(r"unknown for \d+ s: buy 1 AAPL", recovered.out)
    assert "reconciliation: unsettled" in compared.out and re.search(r"unsettled: lgs\w+, for \d+ s, since \d{4}-", compared.out)
    assert (0, "not_placed") == (resolved.code, resolved.data()["state"])
    assert [("Ann", "support says so")] == [(event["by"], event["because"]) for event in events if event["kind"] == "resolved"]
    assert 7 == desk.submit("never arrived").code


def test_nobody_s_word_closes_an_order_that_the_venue_shows(desk):
    desk.make_unknown("it is there", accepted=True)
    done = desk.logos(
        "resolve", "it is there", "--preset", desk.preset, "--as", "not-placed", "--by", "Ann", "--because", "I think so"
    )

    assert (8, "") == (done.code, done.out)
    assert "refused: the order exists. The venue shows it, as of " in done.err and ", as new: buy 1 AAPL at 100" in done.err


def test_an_unknown_order_stays_unknown_while_its_venue_is_down(desk):
    """Nobody may read "nothing sent" of an order that may be live; of one that is not on record, it is true."""
    nowhere = '"http://127.0.0.1:9"'
    down = desk.write("down.toml", base_url=nowhere)
    desk.make_unknown("venue down", accepted=True)
    client_order_id = desk.logos("show", "venue down", "--json").data()["client_order_id"]
    because = ("--as", "not-placed", "--by", "Ann", "--because", "I think so")

    submitted = desk.submit("venue down", preset=down)
    others = [
        desk.logos("cancel", down, "venue down"),
        desk.logos("cancel", down, client_order_id, "--json"),
        desk.logos("resolve", "venue down", "--preset", down, *because),
    ]

    assert [(5, "")] * 4 == [(done.code, done.out) for done in (submitted, *others)]
    assert submitted.err.startswith(f"logos: UNKNOWN: {client_order_id}: nobody knows yet whether it exists: ")
    assert "cannot be asked whose key this is" in submitted.err and "It may be live." in submitted.err
    assert ("OutcomeUnknownError", 5) == (others[1].error()["error"], others[1].error()["exit_code"])
    assert 7 == desk.submit("not on record", preset=down).code
    assert 7 == desk.submit("venue down", preset=desk.write("other.toml", base_url=nowhere, strategy='"other"')).code
    assert 0 == desk.logos("recover", desk.preset).code
    assert 7 == desk.submit("venue down", preset=down).code


def test_an_order_in_flight_is_unknown_once_its_session_is_dead_even_if_its_venue_is_down(desk):
    down = desk.write("down.toml", base_url='"http://127.0.0.1:9"')
    try:
        process = in_flight(desk, "cut off")
        alive = desk.submit("cut off", preset=down)
        process.kill()
        process.communicate(timeout=30)
    finally:
        desk.simulator.break_down()
    dead = desk.submit("cut off", preset=down)
    desk.logos("recover", desk.preset)

    assert (6, "") == (alive.code, alive.out)
    assert (5, "") == (dead.code, dead.out)


def test_reconciliation_agrees_and_says_when_it_could_not_ask(desk):
    agreed = desk.logos("reconcile", desk.preset, "--json", fresh=True)
    desk.simulator.break_down(reconcile="status_before")
    try:
        failed = desk.logos("reconcile", desk.preset)
    finally:
        desk.simulator.break_down()

    assert (0, "agrees") == (agreed.code, agreed.data()["verdict"])
    assert (7, True) == (failed.code, failed.out.startswith("reconciliation: could not ask the venue"))


def in_flight(desk, intent_id):
    """Start a submit that the venue accepts and does not answer; return its process."""
    known = len(desk.simulator.ask("orders"))
    desk.simulator.break_down(submit="answer_dropped")
    process = subprocess.Popen(
        [sys.executable, "-m", "logos_core.cli", "submit", desk.preset, "buy", "1", "AAPL", "--intent-id", intent_id],
        env={**os.environ, "LOGOS_HOME": str(desk.home), "LOGOS_SIMULATOR_KEY": "k"},
        cwd=desk.folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and len(desk.simulator.ask("orders")) == known:
        time.sleep(0.02)
    return process


def test_an_order_that_is_interrupted_ends_as_unknown(desk):
    try:
        process = in_flight(desk, "interrupted")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        desk.simulator.break_down()

    assert 5 == process.returncode
    assert "UNKNOWN" in said and "Traceback" not in said
    assert "unknown" == desk.logos("show", "interrupted", "--json").data()["state"]
    assert 0 == desk.logos("recover", desk.preset).code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_simulator_prints_its_address_first_and_ends_in_peace(number, new_simulator):
    simulator = new_simulator("--verbose")
    health = simulator.ask("health")
    code, said = simulator.stop(number)

    assert ("ok", 0) == (health["status"], code)
    assert simulator.first_line.startswith("http://127.0.0.1:")
    assert "Traceback" not in said


def test_the_presets_that_are_written_work_as_they_stand_and_are_never_overwritten(desk, run):
    first = run("init", "alpaca", "--into", "here", "--json")
    second = run("init", "alpaca", "--into", "here", "--json")

    expected = ["here/alpaca-paper.toml", "here/alpaca-simulator.toml"]
    assert (expected, []) == (first.data()["written"], first.data()["kept"])
    assert ([], expected) == (second.data()["written"], second.data()["kept"])


def test_presets_of_a_variant_bear_its_name(run):
    done = run("init", "ccxt:binance", "--json")

    assert ["ccxt-binance-paper.toml", "ccxt-binance-simulator.toml"] == done.data()["written"]
