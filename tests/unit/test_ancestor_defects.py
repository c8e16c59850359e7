"""Fourteen ways in which order adapters are known to fail, each planted nowhere here.

What the core could do wrong is tried on a scripted venue; what a plugin could, through each venue's real SDK.
"""

import re
import threading
from decimal import Decimal

import pytest
import stamina
from attrs import evolve

from logos_core import session as composition
from logos_core.capabilities import RateLimit, Uniqueness
from logos_core.cli import commands, main
from logos_core.clock import ManualClock, SystemClock
from logos_core.errors import (
    ConfigurationError,
    OrderDeniedError,
    OrderRejectedError,
    OutcomeUnknownError,
    PluginContractError,
    VenueUnavailableError,
)
from logos_core.home import EVERYTHING
from logos_core.hookspecs import Category, NotSeen, Operation, OrderReference, Outcome
from logos_core.orders import OrderStatus
from logos_core.presets import Preset, RateLimitConfig
from logos_core.rails.kill_switch import KillSwitch
from logos_core.rails.rate_limit import RateLimiter
from logos_core.rails.retry import RetryConfig, further_attempts
from logos_core.reconciliation import Agreement, ReconciliationReport
from logos_core.testing import scripted
from logos_core.testing.faults import FaultKind
from logos_core.testing.scripted import (
    ScriptedVenue,
    accept,
    capabilities,
    fail,
    first,
    hide,
    not_sent,
    raises,
    reject,
    take_cancel,
    time_out_after,
    time_out_before,
)
from logos_core.values import plain
from logos_core.venues import Host, bind
from tests.unit.making import HOLDING_NOTHING, order
from tests.unit.test_adapter_submit import kinds, outcomes, recorded

CAREFUL = capabilities(uniqueness=Uniqueness.OPEN)
ALPACA = pytest.mark.parametrize("loopback", ["alpaca"], indirect=True)
ENDS = pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])


def test_a_the_memory_of_an_order_is_durable_before_the_request_and_outlives_the_process(desk):
    """Planted: the memory of intents is a dictionary, filled after the answer."""
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(first(session.die, raises(KeyboardInterrupt())))
    with pytest.raises((KeyboardInterrupt, OutcomeUnknownError)):
        session.adapter.submit(order())
    for scope in session.home.halts():
        session.home.resume(scope)
    again = desk()
    with pytest.raises(OutcomeUnknownError):
        again.adapter.submit(order())

    assert 1 == again.venue.calls.count(Operation.SUBMIT)


def test_b_an_order_id_is_no_counter_that_a_restart_sets_back(desk):
    """Planted: ids are numbered per process."""
    session = desk()
    names = [session.adapter.submit(order(intent)).client_order_id for intent in ("one", "two")]
    session.die()
    again = desk()
    names.append(again.adapter.submit(order("three")).client_order_id)

    assert 3 == len(set(names))
    assert names[0] == again.adapter.submit(order("one")).client_order_id


def test_b_the_venue_holds_each_order_under_the_id_of_its_intent(loopback):
    """Planted: a plugin numbers the ids that it sends."""
    names = []
    for intent in ("one", "two", "one"):
        with loopback.open() as adapter:
            names.append(adapter.submit(loopback.order(intent)).client_order_id)

    assert names[:2] == [held["client_order_id"] for held in loopback.server.orders()]
    assert names[0] == names[2] != names[1]


def test_c_an_order_is_not_repeated_because_an_answer_did_not_come(desk):
    """Planted: a retry around the whole call, for every network error."""
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(time_out_before(), accept())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())

    assert 1 == session.venue.calls.count(Operation.SUBMIT)


@pytest.mark.parametrize("kind", [FaultKind.ANSWER_DROPPED, FaultKind.RESET_AFTER, FaultKind.STATUS_AFTER])
def test_c_no_sdk_and_no_plugin_repeats_an_order_either(loopback, kind):
    """Planted: the SDK's own retries are on, or the plugin has some."""
    loopback.fault(kind, status=504)
    with loopback.open() as adapter:
        adapter.submit(loopback.order())

    assert 1 == len(loopback.sent()) == len(loopback.server.orders())


def test_d_a_back_off_waits_in_production(monkeypatch):
    """Planted: the default sleep does nothing."""
    import types

    import stamina
    import tenacity.nap

    slept: list[float] = []
    stamina.set_testing(False)
    monkeypatch.setattr(tenacity.nap, "time", types.SimpleNamespace(sleep=slept.append))
    reference = OrderReference(client_order_id="a", symbol="b")
    with pytest.raises(VenueUnavailableError):
        for attempt in further_attempts(RetryConfig(), 5.0):
            with attempt:
                raise VenueUnavailableError("down", venue="v", reference=reference)
    monkeypatch.undo()
    began = SystemClock().monotonic_s()
    SystemClock().sleep(0.02)

    assert 2 == len(slept)
    assert min(slept) >= 0.1
    assert SystemClock().monotonic_s() - began >= 0.02


@ALPACA
def test_d_an_opened_session_waits_between_its_tries(loopback):
    """Planted: the session is composed with a sleep that does nothing, or nobody calls it."""
    stamina.set_testing(False)
    clock = SystemClock()
    with loopback.open(unknown={"holds": "none"}) as adapter:
        loopback.fault(FaultKind.STATUS_AFTER)
        loopback.fault(FaultKind.STATUS_BEFORE, "lookup")
        began = clock.monotonic_s()
        with pytest.raises(OutcomeUnknownError):
            adapter.submit(loopback.order("asked for three times"))
        asked = clock.monotonic_s()
        loopback.server.stop()
        with pytest.raises(VenueUnavailableError):
            adapter.submit(loopback.order("tried three times"))

    assert asked - began >= 0.4
    assert clock.monotonic_s() - asked >= 0.2


def test_e_the_rate_budget_waits_its_turn_and_every_attempt_pays(desk):
    """Planted: the budget raises instead of waiting, and is taken once around all attempts."""
    clock = ManualClock()
    limit = RateLimit(requests=10, period_s=1.0, sources={"requests": "test", "period_s": "test"})
    limiter = RateLimiter(limit, clock, RateLimitConfig().max_wait_s)

    assert [None] * 12 == [limiter.reserve_submit() for _ in range(12)]
    assert clock.monotonic_s() > 0.3
    session = desk()
    submits, others = _counted(session.parts.limiter, "reserve_submit"), _counted(session.parts.limiter, "take")
    session.venue.on_submit(not_sent(), not_sent(), accept(), time_out_after())
    session.venue.on_lookup(fail(), fail())
    for intent in ("tried three times", "asked for three times"):
        session.adapter.submit(order(intent))
    called = session.venue.calls

    assert 4 == len(submits) == called.count(Operation.SUBMIT)
    assert 4 == len(others) == called.count(Operation.LOOKUP) + called.count(Operation.INSTRUMENT)


def test_f_an_outage_is_never_an_empty_list(desk):
    """Planted: an error while listing orders is swallowed, so that every order is missing."""
    session = desk()
    session.adapter.submit(order())
    session.venue.script(Operation.RECONCILE, fail())
    report = session.adapter.reconcile()

    assert (Agreement.COULD_NOT_ASK, ()) == (report.verdict, report.missing_remote)

    session.venue.script(Operation.RECONCILE, lambda venue, _: evolve(venue.snapshot(), open_orders=()))
    session.venue.on_lookup(fail(), fail(), fail())
    report = session.adapter.reconcile()

    assert (Agreement.COULD_NOT_ASK, ()) == (report.verdict, report.missing_remote)


@pytest.mark.parametrize("ask", ["lookup", "reconcile"])
def test_f_no_request_of_a_question_fails_unnoticed(loopback, ask):
    """Planted: a plugin makes an empty answer of the error that one of its requests met."""
    with loopback.open() as adapter:
        adapter.submit(loopback.order())
        question = {"lookup": lambda: adapter.lookup("one"), "reconcile": adapter.reconcile}[ask]
        question()  # the first one also learns, for good, what the instrument is made of
        begun = len(loopback.server.wire)
        question()
        requests = len(loopback.server.wire) - begun
        for number in range(1, requests + 1):
            loopback.mend()
            loopback.fault(FaultKind.STATUS_BEFORE, "*", nth=number)

            assert (Agreement.COULD_NOT_ASK, ()) == _verdict(question)
    assert requests == len(loopback.server.faults_applied) > 0


def test_g_an_order_that_ended_is_not_missing(desk):
    """Planted: only open orders are compared, and none is ever taken off the list."""
    session = desk()
    for name, status in (("one", OrderStatus.FILLED), ("two", OrderStatus.CANCELED), ("three", OrderStatus.NEW)):
        session.venue.on_submit(accept(status))
        session.adapter.submit(order(name))
    session.venue.change(
        recorded(session, "three").client_order_id,
        status=OrderStatus.FILLED,
        filled_quantity=Decimal(1),
        average_price=Decimal(100),
    )

    for _ in range(2):
        report = session.adapter.reconcile()

        assert (Agreement.AGREES, ()) == (report.verdict, report.missing_remote)


def test_g_an_order_that_ended_is_read_back_through_each_sdk(loopback):
    """Planted: a plugin reads open orders only."""
    with loopback.open() as adapter:
        adapter.submit(loopback.order("fills at once", at="1.05"))
        adapter.submit(loopback.order("is cancelled"))
        adapter.cancel("is cancelled")
        adapter.submit(loopback.order("rests"))
        report = adapter.submit(loopback.order("fills while nobody looks"))
        loopback.app.exchange.fill(report.venue_order_id, report.quantity)
        for _ in range(2):
            found = adapter.reconcile()

            assert (Agreement.AGREES, ()) == (found.verdict, found.missing_remote)


def test_h_a_cancel_reports_what_the_order_is_not_what_was_asked_for(desk):
    """Planted: the answer to a cancel is made up as "canceled"."""
    session = desk()
    session.adapter.submit(order())
    session.venue.on_cancel(take_cancel(cancels=False))

    assert OrderStatus.NEW is session.adapter.cancel("one").status


@ALPACA
def test_h_a_cancel_that_alpaca_has_taken_and_not_carried_out_is_no_cancellation(loopback, monkeypatch):
    """Planted: `pending_cancel`, or the mere 204, is called "canceled"."""
    told = loopback.app._order
    with loopback.open() as adapter:
        adapter.submit(loopback.order())
        monkeypatch.setattr(loopback.app.exchange, "cancel", lambda _: None)

        assert OrderStatus.NEW is adapter.cancel("one").status
        monkeypatch.setattr(loopback.app, "_order", lambda held, _=None: told(held, "pending_cancel"))
        assert OrderStatus.PENDING_CANCEL is adapter.cancel("one").status

    assert [204, 204] == [entry.status for entry in loopback.sent("cancel")]


def test_i_a_cancel_works_after_a_restart(desk):
    """Planted: a cancel needs the memory of the process that submitted."""
    session = desk()
    session.adapter.submit(order())
    session.die()

    assert OrderStatus.CANCELED is desk().adapter.cancel("one").status


def test_i_a_plugin_that_never_saw_the_order_cancels_it(loopback):
    """Planted: the plugin keeps the ids of what it has sent itself."""
    with loopback.open() as adapter:
        adapter.submit(loopback.order())
    with loopback.open() as adapter:
        assert OrderStatus.CANCELED is adapter.cancel("one").status

    assert ["canceled"] == [held["status"] for held in loopback.server.orders()]


def test_j_failures_and_doubts_are_in_the_audit_log_and_outlive_the_process(desk):
    """Planted: the audit log is a list in memory, written after success."""
    session = desk(ScriptedVenue(CAREFUL), rails=HOLDING_NOTHING)
    session.venue.on_submit(reject(), time_out_before(), not_sent(), not_sent(), not_sent())
    for intent in ("one", "two", "three"):
        with pytest.raises((OrderRejectedError, OutcomeUnknownError, VenueUnavailableError)):
            session.adapter.submit(order(intent))
    with pytest.raises(OrderDeniedError):
        session.adapter.submit(order("four", quantity="0.0001"))
    session.adapter.submit(order("five"))
    session.venue.on_cancel(time_out_before())
    session.adapter.cancel("five")
    session.die()
    log = [(event.kind, event.fields()) for event in desk(recovers=False).adapter.audit_log]

    assert ["rejected", "unknown", "not_sent", "not_sent", "not_sent", "accepted"] == [
        fields["outcome"] for kind, fields in log if kind == "settled"
    ]
    assert ["one", "two", "three", "three", "three", "five"] == [fields["intent_id"] for kind, fields in log if kind == "attempt"]
    assert ["four"] == [fields["intent_id"] for kind, fields in log if kind == "denied"]
    assert [("sent", None)] == [(fields["phase"], fields["status"]) for kind, fields in log if kind == "cancel"]


@ENDS
def test_k_what_ends_the_process_is_no_order_error(desk, error):
    """Planted: `except BaseException` turns Ctrl-C into an error of the adapter."""
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(raises(error()))
    with pytest.raises(error):
        session.adapter.submit(order())

    assert ["unknown"] == [outcome.value for outcome in outcomes(session)]


@ENDS
@pytest.mark.parametrize("ask", ["cancel", "lookup", "recover", "reconcile"])
def test_k_what_ends_the_process_is_no_answer_to_a_question(desk, ask, error):
    """Planted: the same, around what is asked about an order that is unknown."""
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(time_out_before())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())
    session.venue.on_lookup(raises(error()))
    session.venue.script(Operation.RECONCILE, raises(error()))
    asked = getattr(session.adapter, ask)
    with pytest.raises(error):
        asked("one") if ask in {"cancel", "lookup"} else asked()


@ENDS
def test_k_what_ends_the_process_passes_through_the_plugin_and_its_sdk(loopback, monkeypatch, error):
    """Planted: the plugin makes a fatal error of whatever the SDK's call ends with."""

    def interrupt():
        raise error

    with loopback.open() as adapter:
        monkeypatch.setattr(adapter._parts.switch, "gate", lambda: interrupt)  # asked in the middle of the SDK's own call
        with pytest.raises(error):
            adapter.submit(loopback.order())

        assert [["unknown"]] == [[attempt.outcome for attempt in known.attempts] for known in adapter.ledger.unsettled()]
    assert [] == loopback.sent()


def test_l_a_venue_without_the_methods_it_needs_is_refused_before_any_order():
    """Planted: methods that nothing has are called, and only when an order is on its way."""

    class Hollow:
        """Answers to every name, as a stub does."""

        def __getattr__(self, name):
            return lambda *_, **__: None

    with pytest.raises(PluginContractError, match="expected exactly one implementation"):
        bind(scripted.declaration(Hollow(), capabilities()), scripted.settings(ManualClock()))


def test_l_every_hook_of_a_plugin_calls_what_its_sdk_has(loopback):
    """Planted: a call of a method that the SDK does not have."""
    with loopback.open() as adapter:
        rests, fills = loopback.order(), loopback.order("two", at="1.05")
        nothing = OrderReference(client_order_id="lgs0", symbol=rests.symbol, submitted_at=SystemClock().now())

        assert not adapter.submit(rests).status.is_final
        adapter.submit(fills)
        assert OrderStatus.FILLED is adapter.lookup("two").report.status
        assert isinstance(adapter.lookup(nothing), NotSeen)
        with pytest.raises(OrderDeniedError, match="does not list"):
            adapter.submit(evolve(loopback.order("three"), symbol="NONE/SUCH"))
        assert OrderStatus.CANCELED is adapter.cancel("one").status
        assert Agreement.AGREES is adapter.reconcile().verdict
    assert (2, 1) == (len(loopback.sent()), len(loopback.sent("cancel")))


def test_m_numbers_are_exact_and_a_throttled_order_is_unknown(desk):
    """Planted: quantities travel as floats; 429 is compared with a word; a 5xx is sent again."""
    with pytest.raises(TypeError):
        order(quantity=0.5)
    session = desk(ScriptedVenue(CAREFUL), rails=HOLDING_NOTHING)
    session.adapter.submit(order(quantity="0.123", price="60000.01"))
    (sent,) = session.venue.received
    assert (Decimal("0.123"), Decimal("60000.01")) == (sent.quantity, sent.price)
    for intent, step in (("two", scripted.answer_with(RuntimeError("502"), 502)), ("three", scripted.throttled(2.5))):
        session.venue.on_submit(step)
        session.venue.on_lookup(hide(), hide())
        with pytest.raises(OutcomeUnknownError):
            session.adapter.submit(order(intent))

        assert ["unknown"] == [outcome.value for outcome in outcomes(session, intent)]
    with pytest.raises(OrderDeniedError, match="RATE_BUDGET_SPENT"):
        session.adapter.submit(order("four"))


SENT = {
    "alpaca": lambda request: (request.json()["qty"], request.json()["limit_price"]),
    "ccxt:binance": lambda request: (request.form()["quantity"], request.form()["price"]),
    "ccxt:kraken": lambda request: (request.form()["volume"], request.form()["price"]),
    "oanda": lambda request: (request.json()["order"]["units"], request.json()["order"]["price"]),
}


@pytest.mark.parametrize(
    ("loopback", "quantity"),
    [("alpaca", "3"), ("ccxt:binance", "0.00009"), ("ccxt:kraken", "0.00009"), ("oanda", "100")],
    indirect=["loopback"],
)
def test_m_the_numbers_of_an_order_are_text_on_the_wire(loopback, quantity):
    """Planted: a float, which JSON writes without quotes and Python with an exponent."""
    with loopback.open() as adapter:
        report = adapter.submit(loopback.order(quantity=quantity))
    (request,) = [request for request in loopback.processed if loopback.app.operation(request) == "submit"]

    assert (quantity, plain(report.price)) == SENT[loopback.name](request)


@pytest.mark.parametrize(
    ("status", "category"), [(429, Category.RATE_LIMITED), (500, Category.VENUE_DOWN), (503, Category.VENUE_DOWN)]
)
def test_m_neither_a_429_nor_a_5xx_is_final_or_sent_again(loopback, status, category):
    """Planted: 429 is not recognised and counts as final; a 5xx is sent again although the order was taken."""
    loopback.fault(FaultKind.STATUS_AFTER, status=status, retry_after_s=30)
    with loopback.open() as adapter:
        adapter.submit(loopback.order())
        said = next(event for event in adapter.audit_log if event.kind == "settled").fields()["evidence"]["classified"]
        with pytest.raises(OrderDeniedError, match="RATE_BUDGET_SPENT"):
            adapter.submit(loopback.order("two"))

    assert (Outcome.UNKNOWN, category) == (said["outcome"], said["category"])
    assert 1 == len(loopback.sent()) == len(loopback.server.orders())


def test_n_no_flag_and_no_phrase_opens_a_live_session_and_a_halt_is_more_than_a_file(tmp_path):
    """Planted: a command-line flag and a typed phrase open the way to live orders; only a file's existence stops them."""
    preset = Preset(path=tmp_path / "live.toml", venue="scripted", environment="live", strategy="s")
    declared = scripted.declaration(ScriptedVenue(), environments={"live": Host(base_url="https://live", account_check="-")})
    with pytest.raises(ConfigurationError, match="signed permit"):
        composition._base_url(preset, declared.environments)
    kept: list[str] = []
    switch = KillSwitch((), lambda path: False, kept.append)
    switch.latch("a second order")

    assert switch.engaged()
    assert ["a second order"] == kept


@pytest.mark.parametrize("command", commands.COMMANDS)
@pytest.mark.parametrize("flag", ["--live", "--i-understand"])
def test_n_no_command_has_a_flag_for_live_orders(capsys, command, flag):
    """Planted: the flags."""
    assert 2 == main([*command.split(), flag])
    assert re.search(f"(No such option|unrecognized arguments): {flag}", capsys.readouterr().err)


def test_n_a_latch_is_lifted_neither_by_removing_a_file_nor_by_one_person(desk, monkeypatch):
    """Planted: whoever deletes the file resumes, and one name is enough."""
    session = desk()
    monkeypatch.setenv("LOGOS_HOME", str(session.home.path))
    session.ledger.latch("a second order")
    session.home.halt(EVERYTHING, "Ann", "a second order", session.clock.now())
    for names in (["--by", "Ann"], ["--by", "Ann", "--by", "ann "]):
        assert 2 == main(["resume", *names, "--because", "all clear"])
        assert [EVERYTHING] == list(session.home.halts())
    session.home.resume(EVERYTHING)
    session.die()
    with pytest.raises(OrderDeniedError, match="a second order"):
        desk().adapter.submit(order())
    assert [] == session.venue.received


def test_the_way_of_one_order_is_the_same_for_threads(desk):
    """The sum of the above: many callers, one order, one story."""
    session = desk()
    threads = [threading.Thread(target=lambda: _quietly(session)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == kinds(session).count("attempt") == len(session.venue.held)


def _counted(limiter, name):
    """Count the calls of one of the limiter's methods."""
    calls, real = [], getattr(limiter, name)

    def counted():
        calls.append(name)
        return real()

    setattr(limiter, name, counted)
    return calls


def _verdict(question):
    """Return what a question came to, and what it calls missing."""
    try:
        said = question()
    except OutcomeUnknownError:
        return Agreement.COULD_NOT_ASK, ()
    return (said.verdict, said.missing_remote) if isinstance(said, ReconciliationReport) else said


def _quietly(session):
    try:
        session.adapter.submit(order())
    except Exception:
        return
