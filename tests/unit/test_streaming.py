"""What a stream tells comes into the ledger once; what it keeps back is asked for; and no submit notices."""

import threading
import time
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from logos_core.errors import ConfigurationError, OutcomeUnknownError, StreamNotReadyError
from logos_core.hookspecs import Operation, StreamStoppedError, extension_hook
from logos_core.lifecycle import IntentState as S
from logos_core.orders import OrderStatus
from logos_core.testing.scripted import Rails, ScriptedVenue, accept, fail, time_out_before
from tests.unit.making import execution_of, order, report_of
from tests.unit.streams import QUICK, TellingVenue, compose, reports, trades
from tests.unit.test_adapter_submit import recorded

WITHIN_S = 5.0


@pytest.fixture
def notes():
    """An observer."""
    return Notes()


@pytest.fixture
def telling(tmp_path, notes):
    """A session on a venue that tells."""
    session: Any = compose(tmp_path, TellingVenue(), rails=Rails(extensions={"notes": notes}))
    yield session
    session.adapter.close()


class Notes:
    def __init__(self):
        self.seen: list[dict[str, Any]] = []

    @extension_hook
    def observe(self, event):
        self.seen.append(dict(event))


def until(holds, within_s=WITHIN_S):
    end_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end_s, "it did not come to be"
        time.sleep(0.005)
    return True


def filled(report, quantity="1", status=OrderStatus.FILLED, **changes):
    done = Decimal(quantity)
    return evolve(report, status=status, filled_quantity=done, average_price=Decimal(100) if done else None, **changes)


def trade(report, name="t1", quantity="1", **changes):
    return execution_of(name, report.venue_order_id, client_order_id=report.client_order_id, quantity=Decimal(quantity), **changes)


def happen(session, report, trades):
    """Let it happen at the venue, whether or not anybody is told."""
    session.venue.executions += trades
    return session.venue.change(
        report.client_order_id, **{name: getattr(report, name) for name in ("status", "filled_quantity", "average_price")}
    )


# ------------------------------------------------------------------------------------------------------------ it is told


def test_a_fill_that_is_told_is_on_record_without_a_question(telling, notes):
    resting = telling.adapter.submit(order())
    with telling.adapter.listen(QUICK) as stream:
        stream.wait_until_whole(WITHIN_S)
        asked = telling.venue.calls.count(Operation.RECONCILE)
        report = filled(resting, executions=(trade(resting),))
        telling.venue.tell(reports(report))
        until(lambda: stream.state.applied == 1)

        assert S.FILLED is recorded(telling).state
        assert asked == telling.venue.calls.count(Operation.RECONCILE)
    assert {"kind": "streamed", "client_order_id": resting.client_order_id} == notes.seen[-1]


def test_what_is_told_ten_times_is_on_record_once(telling):
    resting = telling.adapter.submit(order())
    with telling.adapter.listen(QUICK) as stream:
        stream.wait_until_whole(WITHIN_S)
        report = filled(resting, executions=(trade(resting),))
        telling.venue.tell(*[reports(report), trades(trade(resting))] * 10)
        telling.venue.tell(None)
        until(lambda: len(telling.venue.inlets) > 1)

        assert 1 == stream.state.applied
    assert 1 == len(telling.ledger.executions(resting.client_order_id))
    assert 1 == sum(event.kind == "reported" for event in telling.ledger.events())


def test_a_report_that_comes_late_moves_nothing_backwards(telling):
    resting = telling.adapter.submit(order())
    with telling.adapter.listen(QUICK):
        whole = filled(resting, executions=(trade(resting, "t1", "0.4"), trade(resting, "t2", "0.6")))
        partly = filled(resting, "0.4", OrderStatus.PARTIALLY_FILLED, executions=(trade(resting, "t1", "0.4"),))
        happen(telling, whole, whole.executions)
        telling.venue.tell(reports(whole), reports(partly), reports(resting))
        until(telling.venue.events.empty)
        until(lambda: recorded(telling).state is S.FILLED)
    assert (S.FILLED, Decimal(1)) == (recorded(telling).state, recorded(telling).report.filled_quantity)
    assert [] == telling.ledger.latched()


def test_what_a_person_closed_is_adopted_and_latches_when_the_stream_tells_of_it(telling):
    telling.venue.on_submit(time_out_before())
    telling.venue.on_lookup(fail(), fail(), fail())
    with pytest.raises(OutcomeUnknownError):
        telling.adapter.submit(order("lost"))
    closed = telling.ledger.close_by_person(recorded(telling, "lost").client_order_id, "ann", "support said so", {})
    with telling.adapter.listen(QUICK):
        telling.venue.tell(reports(report_of(closed.client_order_id)))
        until(telling.ledger.latched)

    assert S.NEW is recorded(telling, "lost").state
    assert ["not_placed" in reason for reason in telling.ledger.latched()] == [True]


def test_what_is_somebody_elses_is_nobodys_business(telling):
    resting = telling.adapter.submit(order())
    with telling.adapter.listen(QUICK) as stream:
        stream.wait_until_whole(WITHIN_S)
        telling.venue.tell(reports(evolve(resting, client_order_id="somebody", venue_order_id="v9")))
        telling.venue.tell(reports(filled(resting, executions=(trade(resting),))))
        until(lambda: stream.state.applied == 1)
    assert not telling.ledger.knows("somebody")


# --------------------------------------------------------------------------------------------------- it was kept back


def test_after_the_hello_the_venue_is_asked_for_what_happened_before_it(telling):
    resting = telling.adapter.submit(order())
    happen(telling, filled(resting), [trade(resting)])
    with telling.adapter.listen(QUICK) as stream:
        assert stream.wait_until_whole(WITHIN_S)
        assert S.FILLED is recorded(telling).state


@pytest.mark.parametrize(
    "sign",
    [
        lambda inlet: inlet.heard(12),
        lambda inlet: inlet.alive(11),
        lambda inlet: inlet.unreadable("half a line"),
        lambda inlet: inlet.hello(),
        lambda inlet: inlet.report(None),
        None,
    ],
    ids=["a number passed over", "a heartbeat ahead", "an unreadable event", "a reconnect by the SDK", "no report", "the end"],
)
def test_what_was_kept_back_is_asked_for(telling, sign):
    resting = telling.adapter.submit(order())
    with telling.adapter.listen(QUICK) as stream:
        telling.venue.tell(lambda inlet: inlet.heard(10))
        stream.wait_until_whole(WITHIN_S)
        happen(telling, filled(resting), [trade(resting)])
        telling.venue.tell(sign)
        until(lambda: recorded(telling).state is S.FILLED)
        assert stream.wait_until_whole(WITHIN_S)
        assert 1 <= stream.state.gaps_closed


def test_silence_ends_the_connection_and_is_asked_about(telling):
    resting = telling.adapter.submit(order())
    with telling.adapter.listen(evolve(QUICK, heartbeat_s=0.15, silent_beats=2)) as stream:
        stream.wait_until_whole(WITHIN_S)
        happen(telling, filled(resting), [trade(resting)])
        until(lambda: recorded(telling).state is S.FILLED)
        until(lambda: stream.state.reconnects > 0)

        assert "nothing heard for 0.3 s" == stream.state.trouble
    assert len(telling.venue.inlets) > 1


def test_a_report_whose_trades_are_not_told_is_asked_about(telling):
    resting = telling.adapter.submit(order())
    with telling.adapter.listen(QUICK) as stream:
        stream.wait_until_whole(WITHIN_S)
        happen(telling, filled(resting), [trade(resting)])
        telling.venue.tell(reports(filled(resting)))
        until(lambda: telling.ledger.executions(resting.client_order_id))

        assert stream.wait_until_whole(WITHIN_S)


def test_a_trade_whose_order_is_not_told_is_asked_about(telling):
    resting = telling.adapter.submit(order())
    with telling.adapter.listen(QUICK) as stream:
        stream.wait_until_whole(WITHIN_S)
        happen(telling, filled(resting), [trade(resting)])
        telling.venue.tell(trades(trade(resting)))
        until(lambda: recorded(telling).state is S.FILLED)

        assert stream.wait_until_whole(WITHIN_S)
    assert 1 == len(telling.ledger.executions(resting.client_order_id))


def test_what_the_venue_shows_only_later_is_asked_for_once_more(tmp_path):
    session: Any = compose(tmp_path, TellingVenue(visibility_lag_s=0.5))
    resting = session.adapter.submit(order())
    with session.adapter.listen(QUICK) as stream:
        stream.wait_until_whole(WITHIN_S)
        asked = session.venue.calls.count(Operation.RECONCILE)
        session.venue.tell(lambda inlet: inlet.heard(1), lambda inlet: inlet.heard(3))
        until(lambda: session.venue.calls.count(Operation.RECONCILE) > asked)
        time.sleep(0.1)
        happen(session, filled(resting), [trade(resting)])

        assert stream.wait_until_whole(WITHIN_S)
        assert S.FILLED is recorded(session).state
    session.adapter.close()


def test_a_venue_that_cannot_be_asked_is_asked_until_it_answers(telling):
    resting = telling.adapter.submit(order())
    with telling.adapter.listen(QUICK) as stream:
        stream.wait_until_whole(WITHIN_S)
        happen(telling, filled(resting), [trade(resting)])
        telling.venue.script(Operation.RECONCILE, *[_broken] * 3)
        telling.venue.tell(lambda inlet: inlet.unreadable("?"))
        until(lambda: recorded(telling).state is S.FILLED)

        assert stream.wait_until_whole(WITHIN_S)


def _broken(_venue, _request):
    raise RuntimeError("down")


def test_what_a_stream_asks_takes_the_place_of_no_whole_reconciliation(telling):
    """It compares no positions, so it must not stand where somebody looks for them."""
    telling.adapter.submit(order())
    telling.adapter.reconcile()
    kept = (telling.parts.run_folder / "reconciliation.json").read_bytes()
    with telling.adapter.listen(QUICK) as stream:
        assert stream.wait_until_whole(WITHIN_S)

    assert kept == (telling.parts.run_folder / "reconciliation.json").read_bytes()
    assert 2 <= sum(event.kind == "reconciled" for event in telling.ledger.events())


# ------------------------------------------------------------------------------------------------------------- in flight


def test_a_fill_told_while_its_order_is_in_flight_is_kept_and_applied_when_it_has_landed(telling):
    """The stream is often faster than the answer: a market order fills milliseconds after it was accepted, and the answer says new."""
    told, seen = threading.Event(), {}

    def answer(venue, request):
        report = accept()(venue, request)
        fill = filled(report, executions=(trade(report),))
        venue.tell(reports(fill), lambda _: told.set())
        assert told.wait(WITHIN_S)
        seen["in flight"] = telling.ledger.find(request.client_order_id).state
        return report

    telling.venue.on_submit(answer)
    with telling.adapter.listen(QUICK) as stream:
        stream.wait_until_whole(WITHIN_S)
        asked = telling.venue.calls.count(Operation.RECONCILE)
        submitted = telling.adapter.submit(order())
        until(lambda: recorded(telling).state is S.FILLED)

        assert S.IN_FLIGHT is seen["in flight"]
        assert [Decimal(1)] == [item.quantity for item in submitted.executions]
        assert asked == telling.venue.calls.count(Operation.RECONCILE)
        assert stream.wait_until_whole(WITHIN_S)
    assert 1 == len(telling.ledger.executions(submitted.client_order_id))
    assert [] == telling.ledger.latched()


def test_a_trade_told_while_its_order_is_in_flight_is_asked_about_when_it_has_landed(telling):
    told = threading.Event()

    def answer(venue, request):
        report = accept()(venue, request)
        happen(telling, filled(report), [trade(report)])
        venue.tell(trades(trade(report)), lambda _: told.set())
        assert told.wait(WITHIN_S)
        return report

    telling.venue.on_submit(answer)
    with telling.adapter.listen(QUICK) as stream:
        stream.wait_until_whole(WITHIN_S)
        telling.adapter.submit(order())
        until(lambda: recorded(telling).state is S.FILLED)

        assert stream.wait_until_whole(WITHIN_S)


# ------------------------------------------------------------------------------------------------------ begin and end


def test_a_venue_without_a_stream_is_not_listened_to(tmp_path):
    session: Any = compose(tmp_path, ScriptedVenue())
    with session.adapter, pytest.raises(ConfigurationError, match="scripted has no stream"):
        session.adapter.listen()


def test_a_stream_that_never_says_hello_is_an_error_early(tmp_path):
    session: Any = compose(tmp_path, TellingVenue(greets=False))
    began_s = time.monotonic()
    with session.adapter, pytest.raises(StreamNotReadyError, match=r"no hello within 0\.6 s"):
        session.adapter.listen(QUICK)

    assert time.monotonic() - began_s < 2.0
    assert 1 == len(session.venue.inlets)


def test_a_stream_that_ends_before_its_hello_is_an_error_at_once(tmp_path):
    session: Any = compose(tmp_path, TellingVenue(greets=False))
    session.venue.tell(None)
    began_s = time.monotonic()
    with session.adapter, pytest.raises(StreamNotReadyError, match="the stream ended"):
        session.adapter.listen(evolve(QUICK, hello_within_s=30.0))

    assert time.monotonic() - began_s < 2.0


def test_a_session_listens_once_and_may_listen_again(telling):
    with telling.adapter.listen(QUICK), pytest.raises(RuntimeError, match="listens already"):
        telling.adapter.listen(QUICK)
    with telling.adapter.listen(QUICK) as stream:
        assert stream.wait_until_whole(WITHIN_S)


def test_closing_the_session_ends_the_stream_and_leaves_no_thread(telling):
    stream = telling.adapter.listen(QUICK)
    telling.adapter.close()

    assert not stream.is_open
    assert [] == [thread.name for thread in threading.enumerate() if thread.name.startswith("logos-stream")]


def test_a_listening_thread_that_does_not_end_is_not_followed_by_another(tmp_path):
    stuck = threading.Event()
    session: Any = compose(tmp_path, TellingVenue())
    resting = session.adapter.submit(order())
    with session.adapter.listen(evolve(QUICK, heartbeat_s=0.1, end_within_s=0.05)) as stream:
        session.venue.tell(lambda _: stuck.wait(WITHIN_S))
        until(lambda: stream.state.trouble == "the listening thread does not end")
        happen(session, filled(resting), [trade(resting)])
        until(lambda: recorded(session).state is S.FILLED)  # asked for, as nothing is told

        assert 1 == len(session.venue.inlets)
        stuck.set()
        until(lambda: len(session.venue.inlets) == 2)
    session.adapter.close()


def test_what_goes_wrong_in_the_stream_reaches_no_submit(telling):
    def bang(_inlet):
        raise SystemExit(3)

    with telling.adapter.listen(QUICK) as stream:
        for number in range(20):
            telling.venue.tell(bang)
            assert OrderStatus.NEW == telling.adapter.submit(order(f"one-{number}")).status
        until(lambda: stream.state.reconnects >= 1)
        assert "SystemExit" == stream.state.trouble
    assert [] == telling.ledger.latched()


def test_connections_that_do_not_last_come_at_a_longer_and_longer_distance(telling):
    telling.venue.tell(*[None] * 50)
    with telling.adapter.listen(evolve(QUICK, backoff_s=0.05, backoff_s_max=10.0)):
        time.sleep(1.0)
        connections = len(telling.venue.inlets)

    assert 3 <= connections <= 6


def test_a_late_event_of_a_connection_that_is_over_is_refused(telling):
    resting = telling.adapter.submit(order())
    with telling.adapter.listen(QUICK):
        pass
    (inlet,) = telling.venue.inlets
    for call in (inlet.hello, inlet.alive, lambda: inlet.heard(1), lambda: inlet.unreadable("?"), lambda: inlet.report(resting)):
        with pytest.raises(StreamStoppedError):
            call()
