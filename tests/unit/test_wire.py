"""What one operation may do on the wire, and how far it got."""

import threading

import pytest

from logos_core.clock import ManualClock
from logos_core.errors import PluginContractError
from logos_core.hookspecs import Operation, Phase
from logos_core.wire import MAX_REQUESTS, Answer, GateClosedError, Wire

OK = Answer(status=200, headers={}, body="{}")


@pytest.fixture
def wire():
    return Wire(ManualClock(), 10.0)


def closed():
    raise GateClosedError("HALTED", "stop", denies=True)


@pytest.mark.parametrize("operation", [Operation.SUBMIT, Operation.CANCEL])
def test_what_moves_an_order_makes_one_request(wire, operation):
    with wire.operation(operation) as record:
        record.begin_request()
        with pytest.raises(PluginContractError, match=r"may make 1 request\(s\)"):
            record.begin_request()

    assert 1 == record.requests


def test_a_question_may_make_many_requests_and_not_without_end(wire):
    with wire.operation(Operation.RECONCILE) as record:
        for _ in range(MAX_REQUESTS):
            record.begin_request()
        with pytest.raises(PluginContractError):
            record.begin_request()


def test_the_phase_never_claims_less_than_what_may_have_left(wire):
    seen = []
    with wire.operation(Operation.SUBMIT, (lambda: seen.append(wire.current().phase),)) as record:
        seen.append(record.phase)
        record.begin_request()
        record.first_byte_once()
        seen.append(record.phase)
        record.first_byte_once()
        record.answered(OK)
        record.first_byte_once()
        seen.append(record.phase)

    assert [Phase.NOTHING_SENT, Phase.NOTHING_SENT, Phase.SENT, Phase.ANSWERED] == seen


def test_a_closed_gate_leaves_everything_unsent_and_is_remembered(wire):
    ran = []
    with wire.operation(Operation.SUBMIT, (closed, lambda: ran.append(1))) as record:
        record.begin_request()
        with pytest.raises(GateClosedError):
            record.first_byte_once()

    assert (Phase.NOTHING_SENT, "HALTED", []) == (record.phase, record.closed_by.reason, ran)


def test_a_venues_own_gate_stands_behind_those_of_the_rails_and_closes_like_them(wire):
    ran = []
    with wire.operation(Operation.SUBMIT, (lambda: ran.append("rails"),)) as record:
        record.ask_also(lambda: ran.append("venue"))
        record.ask_also(closed)
        record.begin_request()
        with pytest.raises(GateClosedError):
            record.first_byte_once(lambda: ran.append("connection"))

    assert (["rails", "venue"], Phase.NOTHING_SENT, "HALTED") == (ran, record.phase, record.closed_by.reason)


def test_gates_run_before_each_request_of_an_operation_again(wire):
    ran = []
    with wire.operation(Operation.LOOKUP, (lambda: ran.append(1),)) as record:
        for _ in range(2):
            record.begin_request()
            record.first_byte_once()
            record.answered(OK)

    assert [1, 1] == ran


def test_outside_of_a_hook_nothing_is_sent(wire):
    with pytest.raises(PluginContractError, match="outside of a venue's hook"):
        wire.current()
    with pytest.raises(ZeroDivisionError), wire.operation(Operation.LOOKUP):
        raise ZeroDivisionError
    with pytest.raises(PluginContractError):
        wire.current()


def test_each_thread_has_an_operation_of_its_own(wire):
    caught = []

    def other():
        try:
            wire.current()
        except PluginContractError as error:
            caught.append(error)

    with wire.operation(Operation.LOOKUP):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    assert 1 == len(caught)


def test_the_deadline_holds_for_the_whole_operation(wire):
    with wire.operation(Operation.RECONCILE) as record:
        record.begin_request()
        wire.clock.sleep(6)
        record.begin_request()

        assert 4.0 == record.remaining_s()
