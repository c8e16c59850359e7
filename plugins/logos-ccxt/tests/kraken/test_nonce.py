"""Requests under one key take turns, also between the sessions of one host."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from logos_ccxt import VENUE
from logos_ccxt.kraken import nonce
from logos_ccxt.kraken.nonce import Turns, TurnTimeoutError, turns_of
from logos_core.clock import ManualClock, SystemClock
from logos_core.hookspecs import Category, Operation, Outcome
from logos_core.rails.retry import SEND_WITHIN
from logos_core.testing.faults import FaultKind
from logos_core.venues import VenueAskError, bind
from logos_core.wire import WireRecord


def record(*, timeout_s=5.0, clock=None):
    clock = clock or SystemClock()
    return WireRecord(operation=Operation.LOOKUP, clock=clock, deadline_s=clock.monotonic_s() + timeout_s)


@pytest.fixture
def turns(tmp_path):
    return Turns(tmp_path / "key.turn")


def at(milliseconds):
    return ManualClock(datetime.fromtimestamp(milliseconds / 1000, UTC))


def test_a_nonce_is_the_time_and_never_the_same_twice_even_if_the_clock_goes_back(turns):
    assert [1000, 1001, 1002, 2000] == [turns.draw(at(now)) for now in (1000, 1000, 500, 2000)]


def test_a_key_has_one_order_of_nonces_on_a_host_and_another_key_another(tmp_path):
    assert 1000 == turns_of(tmp_path, "http://here", "a").draw(at(1000))
    assert 1001 == turns_of(tmp_path, "http://here", "a").draw(at(1000))
    assert 1000 == turns_of(tmp_path, "http://here", "b").draw(at(1000))
    assert 1000 == turns_of(tmp_path, "http://there", "a").draw(at(1000))


def test_a_process_waits_for_another_that_has_the_key_and_not_for_one_that_died_with_it(turns, tmp_path):
    program = """
import sys, time
from pathlib import Path
from logos_ccxt.kraken.nonce import Turns
from logos_core.clock import SystemClock
from logos_core.hookspecs import Operation
from logos_core.wire import WireRecord
clock = SystemClock()
with Turns(Path(sys.argv[1])).take(WireRecord(operation=Operation.LOOKUP, clock=clock, deadline_s=clock.monotonic_s() + 5)):
    print("mine", flush=True)
    time.sleep(60)
"""
    other = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "key.turn")], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and "mine\n" == other.stdout.readline()
        with pytest.raises(TurnTimeoutError), turns.take(record(timeout_s=0.0)):
            pass
    finally:
        other.kill()
        other.communicate()
    with turns.take(record(timeout_s=nonce.PATIENCE_S * 20)):
        pass


def test_a_file_that_cannot_be_used_or_read_lets_requests_leave(tmp_path):
    with Turns(tmp_path / "missing" / "key.turn").take(record(timeout_s=0.0)):
        pass
    for said in ("no turn at all", '["", 0, Infinity]', '["", 0, 1e400]', f'["", 0, {2**64}]', '["", NaN, NaN]', "[]", '{"a": 1}'):
        turns = Turns(tmp_path / "key.turn")
        (tmp_path / "key.turn").write_text(said)
        with turns.take(record(timeout_s=0.0)):
            assert [1000, 1001] == [turns.draw(at(1000)), turns.draw(at(1000))]


def test_without_a_file_nonces_rise_all_the_same(tmp_path):
    turns = Turns(tmp_path / "missing" / "key.turn")

    assert [1000, 1001] == [turns.draw(at(1000)), turns.draw(at(1000))]


def test_two_sessions_on_one_key_send_their_nonces_in_order(desk, monkeypatch):
    """Each is bound anew, with a client of its own, as a second session in the process is."""
    monkeypatch.setattr(nonce, "PATIENCE_S", 5.0)  # a busy machine must not let two of them overlap
    sessions = [desk.venue, bind(VENUE, desk.settings)]
    for session in sessions:
        session.identify()
    handle, arrived, inside = desk.app.handle, [], []

    def watched(request):
        if request.method == "POST":
            inside.append(1)
            arrived.append((int(request.form()["nonce"]), len(inside)))
            answer = handle(request)
            inside.pop()
            return answer
        return handle(request)

    desk.app.handle = watched
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda number: sessions[number % 2].lookup(desk.reference()), range(40)))

    assert 40 == len(done)
    assert sorted(set(arrived)) == arrived
    assert {1} == {count for _, count in arrived}


def test_others_are_patient_for_less_than_an_attempt_may_wait():
    assert nonce.PATIENCE_S * 2 < SEND_WITHIN.total_seconds()


def test_a_request_without_an_answer_does_not_keep_a_cancel_from_leaving(make_desk):
    desk = make_desk(timeout_s=3.0)
    desk.submit(desk.limit())
    other = bind(VENUE, desk.settings)
    desk.fault(FaultKind.REQUEST_DROPPED, "lookup")

    def look():
        with pytest.raises(VenueAskError):
            desk.venue.lookup(desk.reference())

    hanging = threading.Thread(target=look)
    hanging.start()
    while not desk.server.faults_applied:
        time.sleep(0.01)
    reply = other.cancel(desk.reference())
    still = hanging.is_alive()
    desk.server.stop()
    hanging.join()

    assert {"count": 1} == reply.result.raw
    assert still


def test_whoever_cannot_have_a_turn_in_its_time_has_sent_nothing(turns):
    with turns.take(record()), pytest.raises(TurnTimeoutError), turns.take(record(timeout_s=0.05)):
        pass
    with turns.take(record(timeout_s=0.05)):
        pass


def test_a_turn_that_others_have_taken_over_is_not_given_back_by_its_first_owner(turns):
    clock = ManualClock()
    first, second = turns.take(record(clock=clock)), turns.take(record(clock=clock))
    first.__enter__()
    clock.sleep(nonce.PATIENCE_S)
    second.__enter__()
    first.__exit__(None, None, None)

    with pytest.raises(TurnTimeoutError), turns.take(record(timeout_s=0.0, clock=clock)):
        pass
    second.__exit__(None, None, None)
    with turns.take(record(clock=clock)):
        pass


def test_trap_a_request_delivered_twice_is_answered_with_an_invalid_nonce_and_is_no_rejection(desk):
    prepared = desk.venue.prepare(desk.limit())
    desk.fault(FaultKind.DUPLICATE_DELIVERY)
    reply = desk.venue.submit(prepared, ())

    assert (Outcome.UNKNOWN, Category.DUPLICATE, "EAPI:Invalid nonce") == (
        reply.classification.outcome,
        reply.classification.category,
        reply.classification.venue_code,
    )
    assert "lgsorder1" == desk.venue.lookup(desk.reference()).report.client_order_id


def test_a_request_that_comes_after_a_later_one_is_refused(desk):
    desk.submit(desk.limit())
    late = next(request for request in desk.app.requests if request.path.endswith("AddOrder"))
    desk.venue.lookup(desk.reference())

    assert b"EAPI:Invalid nonce" in desk.app.handle(late).body
    assert 1 == len(desk.server.orders())
