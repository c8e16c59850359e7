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
    for text in (listed.out, status.out):
        assert re.search(r"UNKNOWN for \d+ s, since \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ: at night \(lgs", text)
        assert all(f"  {name}  " in text for name in ("order", "known", "last", "waits", "next"))
        assert "looked for, not seen (" in text and "new orders on AAPL wait" in text and "logos recover PRESET" in text
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
