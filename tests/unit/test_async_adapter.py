"""Awaiting a call may be cancelled; the call may not."""

import asyncio
import inspect
import threading
from contextlib import suppress
from typing import Any

import pytest

from logos_core import Adapter, AsyncAdapter, ConfigurationError, NotSeen
from logos_core.capabilities import Uniqueness
from logos_core.errors import OrderDeniedError, OrderInFlightError, OrderRejectedError, OutcomeUnknownError, VenueUnavailableError
from logos_core.events import StoredEvent, verify
from logos_core.lifecycle import IntentState as S
from logos_core.orders import OrderStatus
from logos_core.recovery import RecoveryReport
from logos_core.testing.faults import FaultKind
from logos_core.testing.scripted import ScriptedVenue, accept, capabilities, first, hide, reject, time_out_before
from tests.unit.making import order


@pytest.fixture
def session(desk):
    return desk()


def awaited(session, *, threads=4):
    """An AsyncAdapter around a scripted session."""
    return AsyncAdapter(lambda: session.adapter, threads)


def before_end(session, act):
    """Look at the ledger when the session ends, and before it does."""
    end_session = session.ledger.end_session

    def end():
        act()
        end_session()

    session.ledger.end_session = end


class Held:
    """A step of the venue that waits to be let go."""

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def wait(self):
        self.begun.set()
        assert self.go.wait(10)

    async def until_begun(self):
        await asyncio.to_thread(self.begun.wait, 10)


def test_calls_are_those_of_the_adapter(loopback):
    async def trade():
        async with AsyncAdapter.open(**loopback.unbounded()) as adapter:
            placed = await adapter.submit(loopback.order("one"))
            found = await adapter.lookup("one")
            cancelled = await adapter.cancel("one")
            return placed, found, cancelled, await adapter.reconcile(), await adapter.recover(), adapter.adapter.identity

    placed, found, cancelled, reconciled, recovered, identity = asyncio.run(trade())

    assert OrderStatus.CANCELED is cancelled.status
    assert placed.venue_order_id == found.report.venue_order_id == cancelled.venue_order_id
    assert ("agrees", "simulator") == (reconciled.verdict.value, identity.environment)
    assert isinstance(recovered, RecoveryReport)


def test_whatever_asks_the_venue_can_be_awaited_with_the_same_arguments():
    asked = {
        name: inspect.signature(call)
        for name, call in vars(Adapter).items()
        if inspect.isfunction(call) and not name.startswith("_") and name != "close"
    }

    assert asked == {name: inspect.signature(getattr(AsyncAdapter, name)) for name in asked}
    assert {"submit", "replace", "cancel", "lookup", "recover", "reconcile"} <= set(asked)


def test_every_call_reaches_the_adapter_as_it_was_made_and_its_result_comes_back():
    """Each argument is its own name, so that none can take another's place."""
    calls = [name for name, call in vars(Adapter).items() if inspect.isfunction(call) and name[0] != "_" and name != "close"]

    class Noting:
        def __getattr__(self, name):
            return lambda *given, **named: (name, inspect.signature(getattr(Adapter, name)).bind(self, *given, **named).arguments)

        def close(self):
            pass

    noting: Any = Noting()

    def made(name):
        _, *given = inspect.signature(getattr(Adapter, name)).parameters.values()
        named = {argument.name: argument.name for argument in given if argument.kind is argument.KEYWORD_ONLY}
        return [argument.name for argument in given if argument.name not in named], named

    async def call_all():
        async with AsyncAdapter(lambda: noting, 1) as adapter:
            return [await getattr(adapter, name)(*made(name)[0], **made(name)[1]) for name in calls]

    expected: list[Any] = [(name, {"self": noting, **{word: word for words in made(name) for word in words}}) for name in calls]
    without_result = calls.index("accept_positions")
    expected[without_result] = None

    assert expected == asyncio.run(call_all())


def test_a_hundred_submits_at_once_are_a_hundred_orders(loopback):
    async def trade():
        async with AsyncAdapter.open(**loopback.unbounded()) as adapter:
            reports = await asyncio.gather(*[_sent(adapter, loopback.order(f"order-{number}")) for number in range(100)])
            verify(adapter.adapter.audit_log)
        return reports

    reports = asyncio.run(trade())
    held = {placed["venue_order_id"]: placed["client_order_id"] for placed in loopback.server.orders()}

    assert {report.venue_order_id: report.client_order_id for report in reports} == held
    assert 100 == len(held)


async def _sent(adapter, order):
    """Submit, and again where a first byte came too late on a busy machine: then nothing was sent."""
    for _ in range(20):
        with suppress(VenueUnavailableError):
            return await adapter.submit(order)
    raise AssertionError("it never leaves in time")


def test_a_cancelled_await_leaves_one_order_that_is_known(session):
    held = Held()
    session.venue.on_submit(first(held.wait, accept()))

    async def trade():
        async with awaited(session) as adapter:
            task = asyncio.create_task(adapter.submit(order()))
            await held.until_begun()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            before = adapter.adapter.ledger.recorded(9)[0].state
            held.go.set()
            again = await _submitted(adapter)
            return before, again, adapter.adapter.ledger.recorded(9)

    before, again, recorded = asyncio.run(trade())

    assert (S.IN_FLIGHT, OrderStatus.NEW, [S.NEW]) == (before, again.status, [known.state for known in recorded])
    assert 1 == len(session.venue.received)


async def _submitted(adapter):
    """Submit again until the first call has ended; meanwhile it is in flight."""
    for _ in range(1000):
        try:
            return await adapter.submit(order())
        except OrderInFlightError:
            await asyncio.sleep(0.005)
    raise AssertionError("it stays in flight")


def test_a_call_that_waits_for_its_thread_is_made_although_its_await_was_cancelled(session):
    held = Held()
    session.venue.on_submit(first(held.wait, accept()), accept())

    async def trade():
        async with awaited(session, threads=1) as adapter:
            running = asyncio.create_task(adapter.submit(order("one")))
            await held.until_begun()
            waiting = asyncio.create_task(adapter.submit(order("two")))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            held.go.set()
            await running

    asyncio.run(trade())

    assert 2 == len(session.venue.received)


def test_leaving_waits_for_calls_that_nobody_awaits_any_more(session):
    held = Held()
    session.venue.on_submit(first(held.wait, accept()))

    async def trade():
        async with awaited(session) as adapter:
            task = asyncio.create_task(adapter.submit(order()))
            await held.until_begun()
            task.cancel()
            asyncio.get_running_loop().call_later(0.05, held.go.set)
        return [event.kind for event in events]

    events: list[StoredEvent] = []
    before_end(session, lambda: events.extend(session.ledger.events()))

    assert ["session_opened", "attempt", "settled"] == asyncio.run(trade())


def test_a_program_that_is_stopped_by_its_loop_ends_with_its_order_known(session):
    """`asyncio.run` cancels whatever is awaited when its main task is cancelled, as Ctrl-C does."""
    held = Held()
    session.venue.on_submit(first(held.wait, accept()))
    states: list[S] = []
    before_end(session, lambda: states.extend(known.state for known in session.ledger.recorded(9)))

    async def trade():
        async with awaited(session) as adapter:
            await adapter.submit(order())

    async def stopped():
        task = asyncio.create_task(trade())
        await held.until_begun()
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, held.go.set)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(stopped())

    assert [S.NEW] == states


@pytest.mark.parametrize(
    ("step", "error"), [(reject(), OrderRejectedError), (time_out_before(), OutcomeUnknownError), (None, OrderDeniedError)]
)
def test_errors_pass_unchanged(desk, step, error):
    session = desk(ScriptedVenue(capabilities(uniqueness=Uniqueness.OPEN)))
    if step is None:
        session.adapter._parts.switch.latch("a test")
    else:
        session.venue.on_submit(step)
        session.venue.on_lookup(hide(), hide())

    async def trade():
        async with awaited(session) as adapter:
            with pytest.raises(error) as caught:
                await adapter.submit(order())
            with pytest.raises(TypeError, match="submit takes an Order"):
                await adapter.submit("no order")
            with pytest.raises(LookupError):
                await adapter.cancel("nobody's")
            return caught.value

    assert error is type(asyncio.run(trade()))


def test_a_cancel_does_not_wait_behind_submits(loopback):
    async def trade():
        async with AsyncAdapter.open(**loopback.unbounded(), threads=2) as adapter:
            await adapter.submit(loopback.order("one"))
            loopback.fault(FaultKind.DELAY_BEFORE, delay_s=0.5)
            submits = [asyncio.create_task(adapter.submit(loopback.order(f"late-{number}"))) for number in range(6)]
            await asyncio.sleep(0.05)
            cancelled = await adapter.cancel("one")
            ended = sum(task.done() for task in submits)
            results = await asyncio.gather(*submits, return_exceptions=True)
            return cancelled.status, ended, [result for result in results if isinstance(result, Exception)]

    *found, failed = asyncio.run(trade())

    assert [OrderStatus.CANCELED, 0] == found
    # Kraken refuses a request that a later one has overtaken; whether it made an order is found out later.
    assert loopback.name == "ccxt:kraken" or [] == failed


def test_a_cancel_does_not_wait_behind_questions(loopback):
    async def trade():
        async with AsyncAdapter.open(**loopback.unbounded()) as adapter:
            await adapter.submit(loopback.order("one"))
            loopback.fault(FaultKind.DELAY_BEFORE, "lookup", delay_s=0.2)
            questions = [asyncio.create_task(adapter.lookup("one")) for _ in range(20)]
            await asyncio.sleep(0.05)
            cancelled = await adapter.cancel("one")
            ended = sum(task.done() for task in questions)
            await asyncio.gather(*questions, return_exceptions=True)
            return cancelled.status, ended < len(questions)

    assert (OrderStatus.CANCELED, True) == asyncio.run(trade())


def test_it_belongs_to_one_loop_and_to_the_time_between_entering_and_leaving(session):
    adapter = awaited(session)

    async def enter():
        await adapter.__aenter__()
        with pytest.raises(RuntimeError, match="entered before"):
            await adapter.__aenter__()

    async def use():
        await adapter.submit(order())

    async def enter_and_leave(another):
        async with another:
            pass
        await another.close()
        with pytest.raises(RuntimeError, match="closed; open a new one"):
            await another.submit(order())

    with pytest.raises(RuntimeError, match="not open; enter it"):
        asyncio.run(use())
    asyncio.run(enter())
    with pytest.raises(RuntimeError, match="another event loop"):
        asyncio.run(use())
    asyncio.run(enter_and_leave(awaited(session)))

    assert [] == session.venue.received
    adapter._stop(wait=True)


def test_what_cannot_be_opened_raises_on_entering_and_leaves_no_thread(tmp_path):
    async def enter():
        async with AsyncAdapter.open(tmp_path / "missing.toml"):
            raise AssertionError("it is not there")

    with pytest.raises(ConfigurationError):
        asyncio.run(enter())
    for thread in threading.enumerate():
        if thread.name.startswith("logos-"):
            thread.join(10)

    assert [] == [thread.name for thread in threading.enumerate() if thread.name.startswith("logos-")]


def test_an_opening_that_is_cancelled_is_closed_when_it_is_done(session):
    held = Held()
    closed = threading.Event()
    close = session.adapter.close

    def close_and_say():
        close()
        closed.set()

    session.adapter.close = close_and_say

    def slowly():
        held.wait()
        return session.adapter

    async def enter():
        task = asyncio.create_task(AsyncAdapter(slowly, 1).__aenter__())
        await held.until_begun()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.go.set()

    asyncio.run(enter())

    assert closed.wait(10)


def test_not_seen_is_an_answer(session):
    session.venue.on_lookup(hide())

    async def trade():
        async with awaited(session) as adapter:
            await adapter.submit(order())
            return await adapter.lookup("one")

    assert isinstance(asyncio.run(trade()), NotSeen)
