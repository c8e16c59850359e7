"""A process that is stopped between its commit and its send, and wakes up after a halt, sends nothing."""

import json
import os
import signal
import time

from logos_core.clock import SystemClock
from logos_core.home import EVERYTHING, Home

STOPPED_AFTER_COMMIT = """
    import json, os, signal, sys
    from logos_core import Adapter, LogosError, Order
    from logos_core.ledger.sqlite import SqliteLedger

    claim = SqliteLedger.claim
    def claim_then_stop(self, *arguments):
        number = claim(self, *arguments)
        if os.environ.get("STOP", "yes") == "yes":
            os.environ["STOP"] = "no"
            os.kill(os.getpid(), signal.SIGSTOP)
        return number
    SqliteLedger.claim = claim_then_stop
    with Adapter.open(sys.argv[1]) as adapter:
        try:
            print(json.dumps(adapter.submit(Order.limit(sys.argv[2], "buy", quantity="1", price=sys.argv[3], intent_id="stopped")).status))
        except LogosError as error:
            print(json.dumps([type(error).__name__, getattr(error, "reason", None)]))
        print(json.dumps([recorded.state for recorded in adapter.ledger.recorded(9)]))
"""


def _submits(desk):
    return [entry for entry in desk.server.wire if entry.operation == "submit"]


def _until_stopped(worker) -> None:
    _, status = os.waitpid(worker.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), worker.communicate()


def test_a_halt_while_the_process_is_stopped_keeps_the_order_in(desk):
    worker = desk.spawn(STOPPED_AFTER_COMMIT, desk.symbol, desk.resting_price)
    _until_stopped(worker)
    Home(desk.home).halt(EVERYTHING, "the operator", "drill", SystemClock().now())
    os.kill(worker.pid, signal.SIGCONT)
    out, err = worker.communicate(timeout=30)
    lines = [json.loads(line) for line in out.splitlines()]

    assert [] == _submits(desk)
    assert [["OrderDeniedError", "KILL_SWITCH_HALTED"], ["not_sent"]] == lines, err


def test_a_process_that_wakes_up_too_late_does_not_send_that_attempt(alpaca):
    worker = alpaca.spawn(STOPPED_AFTER_COMMIT, alpaca.symbol, alpaca.resting_price)
    _until_stopped(worker)
    time.sleep(0.4)
    os.kill(worker.pid, signal.SIGCONT)
    out, err = worker.communicate(timeout=30)
    (submit,) = _submits(alpaca)

    assert '"new"' in out or '"pending_new"' in out, (out, err)
    assert 1 == len(alpaca.server.orders())
    assert "submit" == submit.operation
