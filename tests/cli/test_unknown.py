"""What is told of an unknown order at night, and who may close it."""

import re
import time

import pytest


def test_an_unknown_order_is_told_with_its_age_its_evidence_what_waits_and_what_to_do(desk):
    preset = desk.write("waits.toml", retry__valid_for_s="1.0")
    desk.make_unknown("at night", accepted=False, preset=preset)
    desk.logos("recover", preset)
    waiting = desk.submit("waits for it", preset=preset)
    listed, status = desk.logos("orders", preset, "--unknown"), desk.logos("status")
    (row,) = desk.logos("orders", preset, "--unknown", "--json").data()
    (known,) = desk.logos("status", "--json").data()["ledgers"][0]["unsettled"]
    asked = ("resolve", "at night", "--preset", preset, "--as", "not-placed", "--by", "Ann", "--because", "support says so")
    while "it may still arrive" in (resolved := desk.logos(*asked)).err:
        time.sleep(0.1)

    assert (3, True) == (waiting.code, "[UNKNOWN_OUTCOME_OPEN]" in waiting.err and "'at night'" in waiting.err)
    assert f"`logos recover {preset}`" in waiting.err
    for text in (listed.out, status.out):
        assert re.search(r"UNKNOWN for \d+ s, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: at night \(lgs", text)
        assert all(f"  {name}  " in text for name in ("order", "known", "last", "waits", "next"))
        assert (
            "looked for, not seen, unknown for " in text
            and "new orders on AAPL wait" in text
            and f"`logos recover {preset}`" in text
        )
        assert f"`logos resolve {row['client_order_id']} --preset {preset} --as not-placed" in text
    assert row["evidence"]["views"] and row["evidence"] == known["evidence"]
    assert ("AAPL", row["since"]) == (known["symbol"], known["since"])
    assert "new orders on AAPL wait; cancels, questions, and what only reduces pass" == row["holds_back"]
    assert 0 == resolved.code
    assert "nothing is unknown\n" == desk.logos("orders", preset, "--unknown").out
    assert 0 == desk.submit("waits for it", preset=preset).code


@pytest.mark.parametrize(("by", "because", "names"), [(" ", "said so", "--by"), ("Ann", " ", "--because")])
def test_nobody_closes_an_intent_without_a_name_and_a_reason(desk, by, because, names):
    done = desk.logos("resolve", "any", "--preset", desk.preset, "--as", "not-placed", "--by", by, "--because", because)

    assert (2, True) == (done.code, f"{names} is empty" in done.err)


def test_a_look_that_could_not_be_made_is_on_record_with_its_reason_and_the_age(desk):
    desk.make_unknown("in an outage", accepted=False)
    desk.simulator.break_down(lookup="reset_before")
    recovered = desk.logos("recover", desk.preset)
    desk.simulator.break_down()
    shown = desk.logos("show", "in an outage")
    desk.submit("in an outage")

    assert (5, True) == (recovered.code, "UNKNOWN for " in recovered.out and "could not be asked, unknown for " in recovered.out)
    assert re.search(r"looked for, and the venue could not be asked, unknown for \d+ s \(lookup failed: network", shown.out)


def test_an_order_that_was_asked_to_end_is_told_until_it_is_known_to_have_ended(desk):
    desk.submit("to end")
    desk.simulator.break_down(cancel="request_dropped", lookup="reset_before")
    canceled = desk.logos("cancel", desk.preset, "to end")
    desk.simulator.break_down()
    told = [desk.logos(*args) for args in (("orders", "--unknown"), ("status",), ("recover", desk.preset))]
    (row,) = desk.logos("orders", "--unknown", "--json").data()
    declared = desk.logos(
        "resolve", "to end", "--preset", desk.preset, "--as", "canceled", "--by", "Ann", "--because", "they say so"
    )
    shown = desk.logos("show", "to end")
    again = desk.logos("cancel", desk.preset, "to end")

    assert (5, True) == (canceled.code, "nobody knows yet whether it has ended" in canceled.err)
    for done in told:
        assert re.search(r"ASKED TO END for \d+ s, since \d{4}-[^:]+:\d\d:\d\dZ: to end \(lgs", done.out)
        assert f"`logos cancel {desk.preset} {row['client_order_id']}` asks again" in done.out
    assert (True, "new", "nothing waits for it") == (row["asked_to_end"], row["state"], row["holds_back"])
    assert "could not be asked" in row["evidence"]["said"]
    assert "cancel asked for (no answer, sent;" in shown.out and "asks again and says how it stands" in shown.out
    assert (2, True) == (declared.code, f"`logos cancel {desk.preset} to end`".replace("to end", "'to end'") in declared.err)
    assert 0 == again.code
    assert "nothing is unknown\n" == desk.logos("orders", "--unknown").out


def test_what_a_person_closed_and_appears_is_told_by_whoever_looks(new_desk):
    desk = new_desk()
    preset = desk.write("short.toml", retry__valid_for_s="1.0")
    desk.make_unknown("closed", accepted=False, preset=preset)
    asked = ("resolve", "closed", "--preset", preset, "--as", "not-placed", "--because", "ticket 4711", "--by")
    while "it may still arrive" in (closed := desk.logos(*asked, "Ann")).err:
        time.sleep(0.1)
    again = desk.logos(*asked, "Bob")
    name = desk.logos("show", "closed", "--json").data()["client_order_id"]
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "limit_price": "100", "time_in_force": "day"}
    desk.simulator.send("POST", "/v2/orders", {**order, "client_order_id": name})
    compared, shown, status = desk.logos("reconcile", preset), desk.logos("show", "closed"), desk.logos("status")
    resolved = desk.logos(*asked, "Ann")

    assert (0, True) == (closed.code, "closed by Ann: ticket 4711 (looked for once more, not seen: GET " in closed.out)
    assert (0, True) == (again.code, "was closed before: closed by Ann" in again.out and "Bob" not in again.out)
    reason = f"of {name} exists although it was recorded as not_placed"
    assert "new orders are stopped: order" in compared.out and reason in compared.out
    assert "State: NEW" in shown.out and "ALARM: new orders are stopped: order" in shown.out
    assert "LATCHED" in status.out and f"`logos resume --preset {preset} --by NAME --by NAME --because TEXT`" in status.out
    assert (8, True) == (resolved.code, "refused: the order exists. The venue shows it, as of 20" in resolved.err)
    assert 3 == desk.submit("another", preset=preset).code


def test_of_a_ledger_that_cannot_be_read_nobody_says_that_nothing_is_unknown(new_desk):
    desk = new_desk()
    desk.submit("known")
    (path,) = (desk.home / "ledgers").glob("*.sqlite3")
    path.write_bytes(b"no ledger, and long enough to be looked at " * 20)
    listed = desk.logos("orders", "--unknown")

    assert (2, "nothing is unknown in what can be read\n", True) == (listed.code, listed.out, "is not a ledger" in listed.err)
