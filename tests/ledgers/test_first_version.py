"""What the first version wrote is read by every later one, and means the same.

The dumps never change. A test that fails here says that ledgers in the field would be read differently.
"""

import json
from typing import Any

import pytest
from attrs import evolve

from logos_core import (
    LogosError,
    OrderConflictError,
    OrderDeniedError,
    OrderNotPlacedError,
    OrderRejectedError,
    OutcomeUnknownError,
)
from logos_core.capabilities import ExpiryKind, Uniqueness
from logos_core.clock import ManualClock, SystemClock
from logos_core.ledger import codec
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.lifecycle import IntentState as S
from logos_core.rails.doubt import DoubtPolicy
from logos_core.reconciliation import Agreement
from logos_core.reports import ExecutionReport
from logos_core.testing import scripted
from logos_core.testing.scripted import Rails, ScriptedVenue
from tests.ledgers.loading import FIRST_VERSION, load, move_in, order_of, then, told
from tests.ledgers.venues import NAMES, Venue, diary_of
from tests.ledgers.write import answers

LEDGERS = ("alpaca", "oanda", "ccxt-binance", "scripted")
CLAIMED = ("open", "partly filled", "filled", "cancelled", "at market", "sold at market", "adopted and claimed")


def intents(name):
    return {intent["intent_id"]: intent for intent in then(name)["intents"]}


def ended(submit, order):
    """Return how a submit ended: the report, or the kind of error."""
    try:
        return submit(order)
    except LogosError as error:
        return type(error)


def body(report):
    """Return a report as the ledgers spell it, with its executions."""
    assert isinstance(report, ExecutionReport), report
    executions = [codec.execution_body(execution) for execution in report.executions]
    return json.loads(codec.dump({"report": codec.report_body(report), "executions": executions}))


@pytest.fixture(params=NAMES)
def venue(request, tmp_path):
    """A venue as it was when its ledger was dumped, and a LOGOS_HOME with that ledger."""
    dumped = request.param.replace(":", "-")
    made: Any = Venue.again(request.param, tmp_path, diary_of(FIRST_VERSION / f"{dumped}.venue.json"))
    made.intents = intents(dumped)
    move_in(dumped, made.home)
    with made.server:
        yield made


@pytest.mark.parametrize("name", LEDGERS)
def test_an_old_ledger_says_what_it_said(name, tmp_path):
    """States, reports, executions, attempts, who is unsettled and working, latches, and the head of every chain of events."""
    ledger = SqliteLedger.open(load(name, tmp_path / "ledger.sqlite3"), SystemClock())
    now = json.loads(codec.dump(answers(ledger)))
    ledger.close()

    assert then(name) == told(then(name), now)


@pytest.mark.parametrize("name", LEDGERS)
def test_an_old_payload_is_what_the_same_order_has_today(name):
    """Else the same decision, submitted again after an update, would be another one."""
    for intent in then(name)["intents"]:
        if intent["payload"] is not None:
            assert intent["payload"] == order_of(intent).payload()


def test_what_dead_sessions_left_is_found_out_at_the_venue(venue):
    with venue.open() as adapter:
        state = {recorded.intent_id: recorded.state for recorded in adapter.ledger.recorded(100)}
        report = adapter.reconcile()

    assert [S.NEW, S.NEW] == [state["unknown, accepted"], state["in flight, accepted"]]
    assert [S.UNKNOWN, S.UNKNOWN] == [state["unknown, lost"], state["in flight, lost"]]
    assert Agreement.UNSETTLED == report.verdict
    assert ((), (), (), ()) == (report.missing_remote, report.untracked_remote, report.different, report.duplicates)
    assert 2 == len(report.unsettled)


def test_an_old_intent_submitted_again_is_answered_from_the_record(venue):
    orders = len(venue.server.orders())
    with venue.open() as adapter:
        again = {name: ended(adapter.submit, order_of(venue.intents[name])) for name in (*CLAIMED, "rejected")}
        other = {name: ended(adapter.submit, order_of(venue.intents[name], quantity="7")) for name in (*CLAIMED, "rejected")}
        accepted = [ended(adapter.submit, order_of(venue.intents[f"{left}, accepted"])) for left in ("unknown", "in flight")]
        lost = ended(adapter.submit, order_of(venue.intents["unknown, lost"]))

    for name in CLAIMED:
        was = {key: venue.intents[name][key] for key in ("report", "executions")}
        assert was == told(was, body(again[name])), name
    assert OrderRejectedError == again["rejected"]
    assert {OrderConflictError} == set(other.values())
    assert [isinstance(report, ExecutionReport) for report in accepted] == [True, True]
    assert OutcomeUnknownError == lost
    assert orders == len(venue.server.orders())


def test_an_old_adopted_order_can_be_claimed_and_an_old_latch_holds_until_it_is_released(venue):
    (adopted,) = [intent for name, intent in venue.intents.items() if name is None]
    of_today = order_of(venue.intents["open"] | {"intent_id": "of today"})
    with venue.open('[unknown]\nholds = "none"\n') as adapter:  # an old unknown order is another matter
        claimed = adapter.submit(order_of(venue.intents["adopted and claimed"] | {"intent_id": "adopted"}))
        denied = ended(adapter.submit, of_today)
        adapter.ledger.release("somebody", "the test goes on")
        placed = adapter.submit(of_today)
        recorded = adapter.ledger.find(adopted["client_order_id"])

    assert (adopted["report"]["venue_order_id"], "adopted") == (claimed.venue_order_id, recorded.intent_id)
    assert OrderDeniedError == denied
    assert 1 == sum(held["client_order_id"] == placed.client_order_id for held in venue.server.orders())


def test_old_ends_that_no_simulator_gives_stand(tmp_path):
    venue = ScriptedVenue(scripted.capabilities(uniqueness=Uniqueness.OPEN, expiry=ExpiryKind.ENGINE, window_s=5.0))
    path = move_in("scripted", tmp_path / "home")
    known = intents("scripted")
    clock = ManualClock()
    clock.sleep(3_600.0)
    session: Any = scripted.compose(
        tmp_path, venue, clock=clock, strategy="first", recovers=False, rails=Rails(unknown=DoubtPolicy(holds="none"))
    )
    settled = ("pending_new", "new", "filled", "expired", "pending_cancel", "partially_filled", "twice")
    again = {name: ended(session.adapter.submit, order_of(known[name])) for name in known if not name.startswith("unknown")}
    request = session.ledger.find(known["unknown, accepted"]["client_order_id"]).request
    foreign = venue.report(request)
    venue.held += [evolve(foreign, client_order_id=f"foreign-{number}", venue_order_id=f"f{number}") for number in range(20)]
    venue.process(request)
    found = session.adapter.submit(order_of(known["unknown, accepted"]))
    session.adapter.ledger.release("somebody", "the test goes on")
    sent = session.adapter.submit(order_of(known["not_sent"]))
    session.close()

    assert path == session.ledger.path
    for name in settled:
        was = {key: known[name][key] for key in ("report", "executions")}
        assert was == told(was, body(again[name])), name
    assert (OrderRejectedError, OrderNotPlacedError) == (again["rejected"], again["not_placed"])
    assert OrderNotPlacedError == again["closed by a person"]
    assert OrderDeniedError == again["not_sent"], "it is free, and a latch is set"
    assert [known[name]["client_order_id"] for name in ("unknown, accepted", "not_sent")] == [
        found.client_order_id,
        sent.client_order_id,
    ]
    assert 1 == len(venue.received)
