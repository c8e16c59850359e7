"""What the ledger promises about attempts, outcomes and the venue's orders."""

import threading
from decimal import Decimal
from typing import Any

import apsw
import pytest
from attrs import evolve

from logos_core.clock import ManualClock
from logos_core.errors import LedgerError
from logos_core.events import verify
from logos_core.hookspecs import VenueSnapshot
from logos_core.ledger import reading
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.lifecycle import IllegalMoveError
from logos_core.lifecycle import IntentState as S
from logos_core.orders import OrderStatus
from logos_core.records import AttemptOutcome as A
from logos_core.records import ClaimLostError, Denial
from tests.unit.making import OWNER, Book, execution_of, order, report_of, request_of


def snapshot(*, open_orders=(), changed=(), executions=(), cursor="c1"):
    return VenueSnapshot(open_orders=open_orders, changed_orders=changed, executions=executions, positions=(), cursor=cursor)


def raw(book, sql, *bindings):
    """Write as a buggy caller would, past all checks but the file's own."""
    connection = apsw.Connection(str(book.path))
    try:
        connection.execute("PRAGMA foreign_keys=ON")
        return connection.execute(sql, bindings).fetchall()
    finally:
        connection.close()


# ------------------------------------------------------------------------------------------------------------------ claims


def test_a_claim_is_the_whole_story_of_the_attempt(book):
    number = book.claim()
    found = book.ledger.find("lgs1")

    assert 1 == number
    assert (S.IN_FLIGHT, "test", "lgs1", order("lgs1").payload()) == (found.state, found.strategy, found.intent_id, found.payload)
    assert request_of() == found.request
    (attempt,) = found.attempts
    assert ("s1", "7", None, 0.25, 5.0) == (
        attempt.session_id,
        attempt.position,
        attempt.outcome,
        (attempt.send_by - attempt.committed_at).total_seconds(),
        (attempt.valid_until - attempt.committed_at).total_seconds(),
    )
    (event,) = book.ledger.events("lgs1")
    said = event.fields()
    assert ("attempt", 1, {"id": "lgs1"}, "7") == (said["kind"], said["attempt"], said["wire"], said["position"])


def test_a_denied_claim_leaves_no_trace(book):
    before = book.kinds()

    assert Denial(reason="NO", message="no") == book.claim(deny=lambda: Denial(reason="NO", message="no"))
    assert book.ledger.find("lgs1") is None
    assert before == book.kinds()


def test_a_denial_is_asked_for_inside_the_transaction(book):
    other = SqliteLedger.open(book.path, book.clock)
    other._db._connection.set_busy_timeout(0)

    def deny():
        with pytest.raises(LedgerError, match="locked by another process"):
            other.set_cursor("x", "y")

    assert 1 == book.claim(deny=deny)
    other.close()


def test_a_latch_denies_until_a_person_releases_it(book):
    book.ledger.latch("two orders")
    denial = book.claim()

    assert "KILL_SWITCH_LATCHED" == denial.reason
    assert "two orders" in denial.message
    assert 1 == book.ledger.release("ann", "looked")
    assert 0 == book.ledger.release("ann", "again")
    (released,) = [event.fields() for event in book.ledger.events() if event.kind == "latch_released"]
    assert ("ann", "looked") == (released["by"], released["because"])
    assert 1 == book.claim()
    assert ["session_opened", "latched", "latch_released", "attempt"] == book.kinds()


@pytest.mark.parametrize("outcome", [None, A.REJECTED, A.ABSENT, A.ACCEPTED, A.UNKNOWN])
def test_an_intent_that_is_not_free_cannot_be_claimed(book, outcome):
    book.claim()
    if outcome is not None:
        book.settle(outcome, report=report_of() if outcome is A.ACCEPTED else None)
    before = book.kinds()

    with pytest.raises(ClaimLostError):
        book.claim()

    assert before == book.kinds()
    assert 1 == len(book.ledger.find("lgs1").attempts)


@pytest.mark.parametrize("outcome", [None, A.REJECTED, A.ABSENT, A.ACCEPTED])
def test_not_even_a_proof_about_an_unknown_attempt_frees_any_other_intent(book, outcome):
    book.claim()
    if outcome is not None:
        book.settle(outcome, report=report_of() if outcome is A.ACCEPTED else None)

    with pytest.raises(ClaimLostError):
        book.claim(again=True)


def test_an_attempt_that_was_not_sent_leaves_the_intent_free(book):
    book.claim()
    book.settle(A.NOT_SENT)

    assert 2 == book.claim()
    assert [A.NOT_SENT, None] == [attempt.outcome for attempt in book.ledger.find("lgs1").attempts]


def test_of_two_connections_that_race_for_an_intent_one_wins(tmp_path):
    path = tmp_path / "ledger.sqlite3"
    Book(path, session_id="s0").ledger.close()
    start, won, lost = threading.Barrier(6), [], []

    def race(session):
        book = Book(path, session_id=session)
        start.wait()
        try:
            won.append(book.claim())
        except ClaimLostError:
            lost.append(session)
        book.ledger.close()

    threads = [threading.Thread(target=race, args=(f"r{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ([1], 5) == (won, len(lost))


def test_a_proof_that_is_older_than_the_latest_attempt_allows_nothing(tmp_path, book):
    """Two sessions prove attempt 1 absent; the first sends attempt 2 and loses its answer; the second still holds its proof."""
    other = Book(book.path, book.clock, session_id="s2")
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=True)
    book.settle(A.UNKNOWN, number=2)
    try:
        with pytest.raises(ClaimLostError):
            other.claim(again=1)
    finally:
        other.ledger.close()


# ---------------------------------------------------------------------------------------------------------------- outcomes


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(A.NOT_SENT, S.NOT_SENT), (A.REJECTED, S.REJECTED), (A.UNKNOWN, S.UNKNOWN), (A.ABSENT, S.NOT_PLACED)],
)
def test_an_outcome_moves_the_intent_and_is_an_event_of_the_same_transaction(book, outcome, state):
    book.claim()
    found = book.settle(outcome)
    last = list(book.ledger.events("lgs1"))[-1].fields()

    assert state == found.state == book.state()
    assert ("settled", 1, outcome.value, state.value) == (last["kind"], last["attempt"], last["outcome"], last["state"])
    assert {"by": "test"} == last["evidence"]


@pytest.mark.parametrize("status", [status for status in OrderStatus if status is not OrderStatus.REJECTED])
def test_an_accepted_attempt_takes_the_state_of_its_order(book, status):
    book.claim()
    said = report_of(status=status)
    found = book.settle(A.ACCEPTED, report=said)

    assert status.value == found.state.value
    assert said == found.report


FIRST_OUTCOMES = [A.NOT_SENT, A.REJECTED, A.ABSENT, A.ACCEPTED]


@pytest.mark.parametrize("first", FIRST_OUTCOMES)
@pytest.mark.parametrize("second", A)
def test_an_outcome_is_written_once_and_a_later_one_changes_nothing(book, first, second):
    book.claim()
    book.settle(first, report=report_of() if first is A.ACCEPTED else None)
    before, events = book.ledger.find("lgs1"), book.kinds()
    book.clock.sleep(1)

    assert before == book.settle(second, report=report_of(venue_order_id="v2") if second is A.ACCEPTED else None)
    assert events == book.kinds()


@pytest.mark.parametrize(("better", "state"), [(A.REJECTED, S.REJECTED), (A.ABSENT, S.NOT_PLACED), (A.ACCEPTED, S.NEW)])
def test_unknown_gives_way_to_evidence_and_never_comes_back(book, better, state):
    book.claim()
    book.settle(A.UNKNOWN)
    book.settle(better, report=report_of() if better is A.ACCEPTED else None)

    assert state == book.state()
    book.settle(A.UNKNOWN)
    assert state == book.state()


def test_unknown_twice_is_one_event(book):
    book.claim()
    book.settle(A.UNKNOWN)
    before = book.kinds()
    book.settle(A.UNKNOWN)

    assert before == book.kinds()


@pytest.mark.parametrize("outcome", [A.REJECTED, A.NOT_SENT, A.UNKNOWN])
def test_a_refusal_of_a_further_attempt_leaves_an_earlier_doubt_standing(book, outcome):
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=True)
    found = book.settle(outcome, number=2)

    assert S.UNKNOWN == found.state
    assert [A.UNKNOWN, outcome] == [attempt.outcome for attempt in found.attempts]


def test_a_refusal_that_comes_as_a_report_leaves_an_earlier_doubt_standing_too(book):
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=True)
    found = book.settle(A.REJECTED, number=2, report=report_of(status=OrderStatus.REJECTED))

    assert S.UNKNOWN == found.state
    assert [A.UNKNOWN, A.REJECTED] == [attempt.outcome for attempt in found.attempts]


def test_a_refused_order_that_is_seen_again_leaves_the_doubt_standing(book):
    """Of which of two attempts it is the end, nobody can tell."""
    refused = report_of(status=OrderStatus.REJECTED)
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=1)
    book.settle(A.REJECTED, number=2, report=refused)
    found = book.apply(refused)

    assert (S.UNKNOWN, [A.UNKNOWN, A.REJECTED]) == (found.state, [attempt.outcome for attempt in found.attempts])
    assert ["lgs1"] == [intent.client_order_id for intent in book.ledger.unsettled()]


def test_a_refused_order_settles_the_one_attempt_that_can_have_arrived(book):
    book.claim()
    book.settle(A.NOT_SENT)
    book.claim(again=1)
    book.settle(A.UNKNOWN, number=2)

    assert S.REJECTED == book.apply(report_of(status=OrderStatus.REJECTED)).state


def test_a_second_refused_order_of_a_doubtful_intent_still_latches(book):
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=1)
    book.settle(A.UNKNOWN, number=2)
    for venue_order_id in ("v1", "v2"):
        book.apply(report_of(status=OrderStatus.REJECTED, venue_order_id=venue_order_id))

    assert (S.UNKNOWN, ["v2"]) == (book.state(), book.ledger.duplicates())
    assert book.ledger.latched()


def test_a_late_refusal_of_the_first_attempt_does_not_settle_a_second_in_doubt(book):
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=1)
    book.settle(A.REJECTED, report=report_of(status=OrderStatus.REJECTED))

    assert S.UNKNOWN == book.settle(A.UNKNOWN, number=2).state
    assert ["lgs1"] == [intent.client_order_id for intent in book.ledger.unsettled()]


def test_a_refusal_settles_once_every_earlier_attempt_is_settled(book):
    book.claim()
    book.settle(A.NOT_SENT)
    book.claim()

    assert S.REJECTED == book.settle(A.REJECTED, number=2).state


def test_acceptance_of_any_attempt_ends_all_doubt(book):
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=True)
    found = book.settle(A.ACCEPTED, number=2, report=report_of())

    assert (S.NEW, [A.ACCEPTED, A.ACCEPTED]) == (found.state, [attempt.outcome for attempt in found.attempts])


def test_proven_absence_closes_every_unknown_attempt(book):
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=True)
    book.settle(A.UNKNOWN, number=2)
    found = book.settle(A.ABSENT, number=2)

    assert (S.NOT_PLACED, [A.ABSENT, A.ABSENT]) == (found.state, [attempt.outcome for attempt in found.attempts])


def test_a_proof_about_an_earlier_attempt_closes_no_later_one(book):
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=True)
    book.settle(A.UNKNOWN, number=2)
    found = book.settle(A.ABSENT, number=1)

    assert (S.UNKNOWN, [A.ABSENT, A.UNKNOWN]) == (found.state, [attempt.outcome for attempt in found.attempts])


@pytest.mark.parametrize(("late", "said"), [(A.ABSENT, None), (A.REJECTED, None), (A.ACCEPTED, report_of())])
def test_a_late_word_on_an_old_attempt_leaves_the_one_in_flight_to_its_sender(book, late, said):
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=True)
    book.settle(late, number=1, report=said)

    assert S.IN_FLIGHT == book.state()


def test_the_senders_own_outcome_is_always_recorded(book):
    """Another process took attempt 1 for accepted while attempt 2 was on its way; then attempt 2 ends without an answer."""
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=True)
    book.settle(A.ACCEPTED, number=1, report=report_of())
    found = book.settle(A.UNKNOWN, number=2)

    assert (S.NEW, A.UNKNOWN) == (found.state, found.attempts[1].outcome)


def test_a_second_order_leaves_the_intent_with_its_first_and_nothing_in_flight(book):
    """Attempt 1 is unknown, attempt 2 is on its way; then both turn out to have made an order."""
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=True)
    book.settle(A.ACCEPTED, number=1, report=report_of())

    assert [S.IN_FLIGHT] == [recorded.state for recorded in book.ledger.unsettled()]
    found = book.settle(A.ACCEPTED, number=2, report=report_of(venue_order_id="v2"))
    assert (S.NEW, ("v2",)) == (found.state, found.duplicates)
    assert book.ledger.latched()


def test_an_outcome_for_nothing_on_record_is_an_error(book):
    with pytest.raises(LedgerError, match="no intent lgs9"):
        book.settle(A.UNKNOWN, name="lgs9")


# ----------------------------------------------------------------------------------------------------------------- reports


def accepted(book, **changes):
    book.claim()
    return book.settle(A.ACCEPTED, report=report_of(**changes))


def test_a_report_for_an_intent_in_flight_is_left_to_its_sender(book):
    book.claim()
    before = book.kinds()
    found = book.apply(report_of())

    assert (S.IN_FLIGHT, None, None) == (found.state, found.report, found.attempts[0].outcome)
    assert before == book.kinds()


def test_a_report_for_nothing_of_ours_is_no_record(book):
    assert book.apply(report_of("someone")) is None
    assert book.apply(report_of(None)) is None


def test_a_report_settles_an_unknown_intent(book):
    book.claim()
    book.settle(A.UNKNOWN)
    found = book.apply(report_of(status=OrderStatus.FILLED, filled_quantity=Decimal(1), average_price=Decimal(100)))

    assert (S.FILLED, A.ACCEPTED) == (found.state, found.attempts[0].outcome)


def test_the_same_report_twice_is_one_event(book):
    accepted(book)
    before = book.kinds()
    book.apply(report_of())

    assert before == book.kinds()


def test_a_report_that_tells_less_came_late_and_is_left_aside(book):
    accepted(book, status=OrderStatus.PARTIALLY_FILLED, filled_quantity=Decimal("0.5"), average_price=Decimal(100))
    before = book.ledger.find("lgs1")

    assert before == book.apply(report_of())


@pytest.mark.parametrize("status", [OrderStatus.NEW, OrderStatus.PENDING_CANCEL, OrderStatus.PENDING_NEW])
def test_a_late_report_of_a_cancelled_order_leaves_state_and_report_as_they_were(book, status):
    accepted(book, status=OrderStatus.CANCELED)
    found = book.apply(report_of(status=status))

    assert (S.CANCELED, OrderStatus.CANCELED) == (found.state, found.report.status)


def test_a_fill_after_the_end_is_the_truth_or_stops_new_orders(book):
    accepted(book, status=OrderStatus.CANCELED)
    found = book.apply(report_of(status=OrderStatus.FILLED, filled_quantity=Decimal(1), average_price=Decimal(100)))

    assert found.state.value == found.report.status.value or book.ledger.latched()


@pytest.mark.parametrize("outcome", [A.NOT_SENT, A.REJECTED, A.ABSENT])
def test_an_order_that_was_settled_as_absent_and_appears_is_the_truth_and_latches(book, outcome):
    book.claim()
    book.settle(outcome)
    found = book.apply(report_of())

    assert S.NEW == found.state
    assert "exists although it was recorded as" in book.ledger.latched()[0]


def test_a_second_primary_is_recorded_and_latches(book):
    accepted(book)
    found = book.apply(report_of(venue_order_id="v2"))

    assert (("v2",), ["v2"], "v1") == (found.duplicates, book.ledger.duplicates(), found.report.venue_order_id)
    assert "a second order v2 exists for lgs1" in book.ledger.latched()[0]


def test_a_report_without_our_id_is_known_by_the_venues(book):
    accepted(book)
    book.apply(report_of(None, status=OrderStatus.CANCELED))

    assert (S.CANCELED, []) == (book.state(), book.ledger.latched())


def test_a_report_about_another_order_under_our_id_latches_and_is_not_believed(book):
    accepted(book)
    before = book.ledger.find("lgs1")

    assert before == book.apply(report_of(quantity=Decimal(2), status=OrderStatus.FILLED, filled_quantity=Decimal(2)))
    assert "another order under lgs1: quantity: sent 1, answered 2" in book.ledger.latched()[0]


def test_a_venue_order_id_that_comes_twice_does_not_overwrite_another_intents_order(book):
    accepted(book)
    book.claim("lgs2")
    book.settle(A.ACCEPTED, name="lgs2", report=report_of("lgs2"))

    assert "lgs1" == book.ledger.find("lgs1").report.client_order_id
    assert book.ledger.latched()


def test_venue_order_ids_are_told_apart_by_symbol(book):
    accepted(book)
    book.claim("lgs2", request=request_of("lgs2", symbol="ETH/USDT"))
    book.settle(A.ACCEPTED, name="lgs2", report=report_of("lgs2", symbol="ETH/USDT"))

    assert [] == book.ledger.latched()
    assert "ETH/USDT" == book.ledger.find("lgs2").report.symbol


# -------------------------------------------------------------------------------------------------------------- executions


def test_an_execution_is_recorded_once_however_often_it_is_told(book):
    trade = execution_of()
    accepted(book, executions=(trade,))
    book.ledger.apply_snapshot(snapshot(executions=(trade, trade)))
    book.ledger.apply_snapshot(snapshot(executions=(evolve(trade, price=Decimal(1)),)))

    assert (trade,) == book.ledger.executions("lgs1") == book.ledger.find("lgs1").report.executions
    assert 1 == book.kinds().count("execution")


def test_an_execution_that_comes_before_its_order_is_linked_later(book):
    trade = execution_of()
    book.ledger.apply_snapshot(snapshot(executions=(trade,)))
    book.claim()

    assert () == book.ledger.executions("lgs1")
    book.settle(A.ACCEPTED, report=report_of(filled_quantity=Decimal("0.5")))
    assert (trade,) == book.ledger.executions("lgs1")


def test_an_accepted_order_is_answered_with_what_is_on_record_of_its_executions(book):
    trade = execution_of()
    book.ledger.apply_snapshot(snapshot(executions=(trade,)))
    book.claim()

    assert (trade,) == book.ledger.accept("lgs1", 1, report_of(), {"by": "test"}).executions


def test_each_event_says_of_which_session_it_is(book):
    accepted(book)

    assert [("s1", event.kind) for event in book.ledger.events()] == [
        (event.fields()["session"], event.fields()["kind"]) for event in book.ledger.events()
    ]


def test_an_attempt_on_record_says_what_was_decided_and_what_was_sent(book):
    book.claim()
    (said,) = [event.fields() for event in book.ledger.events() if event.kind == "attempt"]

    assert ("lgs1", 1, "test", "lgs1") == (said["client_order_id"], said["attempt"], said["strategy"], said["intent_id"])
    assert (order("lgs1").payload(), {"quantity": "1", "price": "100"}) == (said["payload"], said["sent"])
    assert ({"id": "lgs1"}, "7") == (said["wire"], said["position"])


def test_more_trades_of_an_order_that_ended_are_taken_and_alarm_nobody(book):
    accepted(book)
    for filled in ("0.1", "0.4"):
        book.apply(report_of(status=OrderStatus.CANCELED, filled_quantity=Decimal(filled)))

    assert (S.CANCELED, Decimal("0.4"), []) == (
        book.state(),
        book.ledger.find("lgs1").report.filled_quantity,
        book.ledger.latched(),
    )


def test_an_execution_of_another_symbol_is_not_linked(book):
    book.ledger.apply_snapshot(snapshot(executions=(execution_of(symbol="ETH/USDT"),)))
    accepted(book)

    assert () == book.ledger.executions("lgs1")


def test_a_snapshot_is_applied_whole_or_not_at_all(book):
    accepted(book)
    broken: Any = evolve(execution_of(), price=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        book.ledger.apply_snapshot(snapshot(changed=(report_of(status=OrderStatus.CANCELED),), executions=(broken,)))

    assert (S.NEW, None) == (book.state(), book.ledger.cursor("reconcile"))
    book.ledger.apply_snapshot(snapshot(changed=(report_of(status=OrderStatus.CANCELED),)))
    assert (S.CANCELED, "c1") == (book.state(), book.ledger.cursor("reconcile"))


# ---------------------------------------------------------------------------------------------------- adoption, persons, reads


def test_adopted_orders_are_known_and_claimed_once(book):
    trade = execution_of()
    assert 1 == book.ledger.adopt([report_of(filled_quantity=Decimal("0.5"))], snapshot(executions=(trade,), cursor="c9"))
    assert 0 == book.ledger.adopt([report_of()], None)
    found = book.ledger.find("lgs1")

    assert (S.NEW, None, (), (trade,)) == (found.state, found.payload, found.attempts, found.report.executions)
    assert book.ledger.adopted()
    assert "c9" == book.ledger.cursor("reconcile")
    book.ledger.claim_adopted("lgs1", "test", "mine", {"symbol": "BTC/USDT"})
    book.ledger.claim_adopted("lgs1", "test", "stolen", {"symbol": "ETH/USDT"})
    assert ("mine", {"symbol": "BTC/USDT"}) == (book.ledger.find("lgs1").intent_id, book.ledger.find("lgs1").payload)
    assert 1 == book.kinds().count("claimed")


def test_what_is_known_keeps_nothing_else_from_being_adopted(book):
    accepted(book)

    assert 1 == book.ledger.adopt([report_of(), report_of("lgs2", venue_order_id="v2")], snapshot())
    assert (S.NEW, S.NEW) == (book.state("lgs1"), book.state("lgs2"))


def test_adopting_one_order_does_not_make_the_ledger_a_complete_one(book):
    book.ledger.adopt([report_of()], None)

    assert not book.ledger.adopted()


def test_an_adopted_order_that_was_rejected_is_rejected(book):
    book.ledger.adopt([report_of(status=OrderStatus.REJECTED)], snapshot())

    assert S.REJECTED == book.state()


def test_adoption_overlooks_no_duplicate(book):
    book.ledger.adopt([report_of(), report_of(venue_order_id="v2")], snapshot())

    assert ["v2"] == book.ledger.duplicates()
    assert book.ledger.latched()


def test_a_person_closes_an_unknown_intent_with_a_reason_and_it_stays_watched(book):
    book.claim()
    book.settle(A.UNKNOWN)
    found = book.ledger.close_by_person("lgs1", "ann", "venue support said so", {"mail": "42"})
    last = list(book.ledger.events("lgs1"))[-1].fields()

    assert (S.NOT_PLACED, A.ABSENT) == (found.state, found.attempts[0].outcome)
    assert ("resolved", "ann", "venue support said so") == (last["kind"], last["by"], last["because"])
    book.apply(report_of())
    assert book.ledger.latched()


def test_a_person_closes_no_attempt_that_the_evidence_is_older_than(book):
    book.claim()
    book.settle(A.UNKNOWN)
    book.claim(again=True)
    book.settle(A.UNKNOWN, number=2)
    before = book.kinds()

    with pytest.raises(ClaimLostError):
        book.ledger.close_by_person("lgs1", "ann", "not seen", {}, seen_attempt=1)

    assert before == book.kinds()
    assert S.NOT_PLACED is book.ledger.close_by_person("lgs1", "ann", "not seen", {}, seen_attempt=2).state


@pytest.mark.parametrize("outcome", [None, A.NOT_SENT, A.REJECTED, A.ACCEPTED])
def test_a_person_closes_nothing_that_is_not_unknown(book, outcome):
    book.claim()
    if outcome is not None:
        book.settle(outcome, report=report_of() if outcome is A.ACCEPTED else None)
    before = book.kinds()

    with pytest.raises(IllegalMoveError):
        book.ledger.close_by_person("lgs1", "ann", "because", {})

    assert before == book.kinds()


def test_lists_show_what_is_open_and_what_works(book):
    for name, outcome in (("lgs1", A.UNKNOWN), ("lgs2", None), ("lgs3", A.REJECTED), ("lgs4", A.ACCEPTED)):
        book.claim(name)
        if outcome is not None:
            book.settle(outcome, name=name, report=report_of(name, venue_order_id=name) if outcome is A.ACCEPTED else None)
    names = [recorded.client_order_id for recorded in book.ledger.unsettled()]

    assert ["lgs1", "lgs2"] == names
    assert ["lgs4"] == [recorded.client_order_id for recorded in book.ledger.working()]
    assert ["lgs4", "lgs3"] == [recorded.client_order_id for recorded in book.ledger.recorded(2)]
    assert ["lgs3"] == [recorded.client_order_id for recorded in book.ledger.find_intent("lgs3")]
    assert {S.UNKNOWN: 1, S.IN_FLIGHT: 1, S.REJECTED: 1, S.NEW: 1} == book.ledger.counts()
    assert ("BTC/USDT",) == book.ledger.symbols()


def test_a_reference_leads_back_to_before_the_first_send(book):
    book.claim()
    book.settle(A.UNKNOWN)
    first = book.ledger.find("lgs1").attempts[0].committed_at
    book.clock.sleep(9)
    book.claim(again=True)
    reference = book.ledger.find("lgs1").reference()

    assert (first, "7", None) == (reference.submitted_at, reference.position, reference.venue_order_id)


# ---------------------------------------------------------------------------------------------- what holds against bugs


_INTENT = (
    "INSERT INTO intents SELECT 99, client_order_id, strategy, intent_id, payload, market_type, symbol, group_id, parent_intent,"
    " state, request, valid_until, created_at, updated_at, watched FROM intents"
)
_ATTEMPT = (
    "INSERT INTO attempts SELECT intent, {number}, session_id, committed_at, send_by, valid_until, position, NULL, {outcome}, NULL"
    " FROM attempts"
)


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("UPDATE events SET body = x'00'", "append-only"),
        ("DELETE FROM events", "append-only"),
        (_INTENT, "UNIQUE constraint failed: intents"),
        (_ATTEMPT.format(number=2, outcome="NULL"), "UNIQUE constraint failed: attempts"),
        (_ATTEMPT.format(number=1, outcome="'unknown'"), "UNIQUE constraint failed: attempts"),
        ("INSERT INTO attempts VALUES (1, 3, 'nobody', 'a', 'b', 'c', NULL, NULL, 'unknown', NULL)", "FOREIGN KEY"),
        (
            "INSERT INTO venue_orders VALUES (2, 0, 'BTC/USDT', 'v9', 'primary', '{}')",
            "UNIQUE constraint failed: venue_orders.intent",
        ),
        ("INSERT INTO venue_orders VALUES (2, 1, 'BTC/USDT', 'v9', 'primary', '{}')", "CHECK"),
        ("INSERT INTO venue_orders VALUES (2, 1, 'BTC/USDT', 'v9', 'chief', '{}')", "CHECK"),
        ("UPDATE intents SET created_at = x'00'", "cannot store BLOB value in TEXT column"),
    ],
)
def test_the_file_itself_refuses_what_would_break_the_promise(book, sql, what):
    book.claim()
    book.ledger.adopt([report_of("lgs2")], None)
    with pytest.raises(apsw.Error, match=what):
        raw(book, sql)


def test_every_transition_is_one_link_of_a_chain_that_verifies(book):
    book.claim()
    book.settle(A.UNKNOWN)
    book.apply(report_of())
    other = Book(book.path, book.clock, session_id="s2")
    other.claim("lgs2")
    other.settle(A.REJECTED, name="lgs2")
    other.ledger.end_session()
    other.ledger.close()
    events = list(book.ledger.events())

    assert ["session_opened", "attempt", "settled", "reported", "session_opened", "attempt", "settled", "session_closed"] == [
        event.kind for event in events
    ]
    assert {"s1", "s2"} == set(verify(events))
    assert {"s1": f"4:{events[3].hash.hex()}", "s2": f"3:{events[6].hash.hex()}"} == events[-1].fields()["checkpoint"]
    assert len(events) == book.ledger.last_sequence()


def test_a_change_that_fails_leaves_no_half(book):
    book.claim()
    before, events = book.ledger.find("lgs1"), book.kinds()
    with pytest.raises(TypeError):
        book.ledger.settle("lgs1", 1, A.ACCEPTED, report=report_of(), evidence={"a": 0.5})

    assert (before, events) == (book.ledger.find("lgs1"), book.kinds())
    assert S.NEW == book.settle(A.ACCEPTED, report=report_of()).state


def test_two_ledgers_never_have_one_name(tmp_path):
    made = [SqliteLedger.create(tmp_path / f"{name}.sqlite3", OWNER, ManualClock()) for name in "ab"]

    assert made[0].ledger_id() != made[1].ledger_id()
    for ledger in made:
        ledger.close()


def test_the_first_byte_does_not_wait_for_another_threads_write(book):
    told = []
    asking = threading.Thread(target=lambda: told.append(book.ledger.first_latch()))
    with book.ledger._db.lock:
        asking.start()
        asking.join(2)
        assert [None] == told


def test_an_event_that_was_undone_leaves_no_gap_in_the_chain(book):
    with pytest.raises(RuntimeError), book.ledger._transaction():
        book.ledger._event("undone", None, {})
        raise RuntimeError
    book.ledger.note("denied", {"reason": "TEST"})

    events = list(book.ledger.events())
    verify(events)
    assert "undone" not in [event.kind for event in events]


def test_each_checkpoint_goes_on_where_the_last_one_stopped_and_together_they_cover_every_chain(tmp_path):
    """A chain that is complete is not told again by every later session."""
    path = tmp_path / "ledger.sqlite3"
    dead = Book(path, session_id="dead")
    for number in range(3):
        book = Book(path, session_id=f"s{number}")
        book.claim(f"lgs{number}")
        book.ledger.end_session()
        book.ledger.close()
    dead.claim("lgs9")
    last = Book(path, session_id="last")
    last.ledger.end_session()
    closed = [event for event in last.ledger.events() if event.kind == "session_closed"]
    heads = verify(last.ledger.events())
    told = {name: head for event in closed for name, head in event.fields()["checkpoint"].items()}

    assert [["dead", "s0"], ["s0", "s1"], ["s1", "s2"], ["dead", "last", "s2"]] == [
        sorted(event.fields()["checkpoint"]) for event in closed
    ]
    assert [1, *(event.sequence for event in closed[:-1])] == [event.fields()["since"] for event in closed]
    assert {name: f"{number}:{head.hex()}" for name, (number, head) in heads.items() if name != "last"} == {
        name: head for name, head in told.items() if name != "last"
    }
    dead.ledger.close()
    last.ledger.close()


def test_a_ledger_is_read_page_by_page_and_loses_no_event(book, monkeypatch):
    monkeypatch.setattr(reading, "EVENTS_AT_ONCE", 3)
    for number in range(4):
        book.claim(f"lgs{number}")
        book.settle(A.UNKNOWN, name=f"lgs{number}")
    other = Book(book.path, session_id="s2")
    other.claim("lgs9")
    other.ledger.close()

    assert list(range(1, 12)) == [event.sequence for event in book.ledger.events()]
    assert list(range(1, 10)) == [event.number for event in book.ledger.session_events()]
    assert ["attempt", "settled"] == [event.kind for event in book.ledger.events("lgs2")]


def test_an_attempt_in_flight_admits_no_other_even_if_the_intent_says_that_it_is_free(book):
    """The unique key holds the promise also against a mistake of ours."""
    book.claim()
    with book.ledger._transaction():
        book.ledger._db.write("UPDATE intents SET state = 'not_sent'")
    with pytest.raises(ClaimLostError):
        book.claim()

    assert (1, None) == (len(book.ledger.find("lgs1").attempts), book.ledger.broken)


def test_a_latch_that_is_set_already_for_a_reason_is_not_set_for_it_again(book):
    for reason in ("it smells", "it smells", "it burns"):
        book.ledger.latch(reason)

    assert ["it smells", "it burns"] == book.ledger.latched()
    assert 2 == book.kinds().count("latched")


def test_what_another_session_recorded_of_an_attempt_outranks_a_later_answer(book):
    """It was settled while its sender still waited; the sender is told what is on record."""
    book.claim()
    filled = report_of(status=OrderStatus.FILLED, filled_quantity=Decimal(1), average_price=Decimal(100))
    book.settle(A.ACCEPTED, report=filled)
    told = book.ledger.accept("lgs1", 1, report_of(), {})

    assert (S.FILLED, OrderStatus.FILLED) == (told.state, told.report.status)
    assert 1 == book.kinds().count("settled")


def test_the_latest_evidence_is_where_an_intent_was_looked_for_or_how_its_attempt_ended(book):
    book.claim()
    before = book.ledger.last_evidence("lgs1")
    book.settle(A.UNKNOWN)
    book.ledger.note("denied", {}, "lgs1")
    ended = book.ledger.last_evidence("lgs1")
    book.ledger.note("not_seen", {"why": "404"}, "lgs1")
    looked_for = book.ledger.last_evidence("lgs1")

    assert (None, "settled", "not_seen") == (before, ended and ended.kind, looked_for and looked_for.kind)


def test_what_was_asked_to_end_is_told_with_when_that_was_last_until_it_has_ended(book):
    book.claim()
    book.settle(A.ACCEPTED, report=report_of())
    before = book.ledger.asked_to_end()
    for _ in range(2):
        book.clock.sleep(1)
        book.ledger.note("cancel", {}, "lgs1")
        asked_at = book.clock.now()
    [(recorded, at)] = book.ledger.asked_to_end()
    book.apply(report_of(status=OrderStatus.CANCELED))

    assert ([], "lgs1", asked_at, []) == (before, recorded.client_order_id, at, book.ledger.asked_to_end())


def test_the_preset_of_an_order_is_that_of_the_session_that_sent_it_last(book, tmp_path):
    book.claim()
    without = book.ledger.preset_of(book.ledger.find("lgs1"))
    book.ledger.begin_session("s2", "test", "host:2", tmp_path / "two.toml")
    book.claim("lgs2")
    sent = book.ledger.find("lgs2")

    assert (None, tmp_path / "two.toml") == (without, book.ledger.preset_of(sent))
    assert None is book.ledger.preset_of(evolve(sent, attempts=()))


def test_denials_are_all_told_and_nothing_else(book):
    book.claim()
    for reason in ("ONE", "TWO"):
        book.ledger.note("denied", {"reason": reason})

    assert ["ONE", "TWO"] == [event.fields()["reason"] for event in book.ledger.denials()]
