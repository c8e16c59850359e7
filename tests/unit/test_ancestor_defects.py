"""Fourteen ways in which order adapters are known to fail, each planted nowhere here."""

import threading
from decimal import Decimal

import pytest

from logos_core import session as composition
from logos_core.capabilities import RateLimit, Uniqueness
from logos_core.clock import ManualClock, SystemClock
from logos_core.errors import (
    ConfigurationError,
    OrderRejectedError,
    OutcomeUnknownError,
    PluginContractError,
    VenueUnavailableError,
)
from logos_core.hookspecs import Operation, OrderReference
from logos_core.orders import OrderStatus
from logos_core.presets import Preset
from logos_core.rails.kill_switch import KillSwitch
from logos_core.rails.rate_limit import RateLimiter
from logos_core.rails.retry import RetryConfig, further_attempts
from logos_core.reconciliation import Agreement
from logos_core.testing import scripted
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
    time_out_before,
)
from logos_core.venues import Host, bind
from tests.unit.making import order
from tests.unit.test_adapter_submit import kinds, outcomes, recorded

CAREFUL = capabilities(uniqueness=Uniqueness.OPEN)


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


def test_c_an_order_is_not_repeated_because_an_answer_did_not_come(desk):
    """Planted: a retry around the whole call, for every network error."""
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(time_out_before(), accept())
    with pytest.raises(OutcomeUnknownError):
        session.adapter.submit(order())

    assert 1 == session.venue.calls.count(Operation.SUBMIT)


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


def test_e_the_rate_budget_waits_its_turn_and_every_attempt_pays(desk):
    """Planted: the budget raises instead of waiting, and is taken once around all attempts."""
    clock = ManualClock()
    limit = RateLimit(requests=10, period_s=1.0, sources={"requests": "test", "period_s": "test"})
    limiter = RateLimiter(limit, clock, max_wait_s=1.0)

    assert [None] * 12 == [limiter.reserve_submit() for _ in range(12)]
    assert clock.monotonic_s() > 0.3
    session, reserved = desk(), []
    real = session.parts.limiter.reserve_submit
    session.parts.limiter.reserve_submit = lambda: [reserved.append(1), real()][1]  # type: ignore[func-returns-value]
    session.venue.on_submit(not_sent(), not_sent())
    session.adapter.submit(order())
    assert 3 == len(reserved)


def test_f_an_outage_is_never_an_empty_list(desk):
    """Planted: an error while listing orders is swallowed, so that every order is missing."""
    session = desk()
    session.adapter.submit(order())
    session.venue.script(Operation.RECONCILE, fail())
    report = session.adapter.reconcile()

    assert (Agreement.COULD_NOT_ASK, ()) == (report.verdict, report.missing_remote)


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

    assert (Agreement.AGREES, ()) == (session.adapter.reconcile().verdict, session.adapter.reconcile().missing_remote)


def test_h_a_cancel_reports_what_the_order_is_not_what_was_asked_for(desk):
    """Planted: the answer to a cancel is made up as "canceled"."""
    session = desk()
    session.adapter.submit(order())
    session.venue.on_cancel(take_cancel(cancels=False))

    assert OrderStatus.NEW is session.adapter.cancel("one").status


def test_i_a_cancel_works_after_a_restart(desk):
    """Planted: a cancel needs the memory of the process that submitted."""
    session = desk()
    session.adapter.submit(order())
    session.die()

    assert OrderStatus.CANCELED is desk().adapter.cancel("one").status


def test_j_failures_and_doubts_are_in_the_audit_log_and_outlive_the_process(desk):
    """Planted: the audit log is a list in memory, written after success."""
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(reject(), time_out_before(), not_sent(), not_sent(), not_sent())
    for intent in ("one", "two", "three"):
        with pytest.raises((OrderRejectedError, OutcomeUnknownError, VenueUnavailableError)):
            session.adapter.submit(order(intent))
    session.die()
    said = [event.fields()["outcome"] for event in desk(recovers=False).adapter.audit_log if event.kind == "settled"]

    assert ["rejected", "unknown", "not_sent", "not_sent", "not_sent"] == said


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_k_what_ends_the_process_is_no_order_error(desk, error):
    """Planted: `except BaseException` turns Ctrl-C into an error of the adapter."""
    session = desk(ScriptedVenue(CAREFUL))
    session.venue.on_submit(raises(error()))
    with pytest.raises(error):
        session.adapter.submit(order())

    assert ["unknown"] == [outcome.value for outcome in outcomes(session)]


def test_l_a_venue_without_the_methods_it_needs_is_refused_before_any_order():
    """Planted: methods that nothing has are called, and only when an order is on its way."""

    class Hollow:
        """Answers to every name, as a stub does."""

        def __getattr__(self, name):
            return lambda *_, **__: None

    with pytest.raises(PluginContractError, match="expected exactly one implementation"):
        bind(scripted.declaration(Hollow(), capabilities()), scripted.settings(ManualClock()))


def test_m_numbers_are_exact_and_a_throttled_order_is_unknown(desk):
    """Planted: quantities travel as floats; 429 is compared with a word; a 5xx is sent again."""
    with pytest.raises(TypeError):
        order(quantity=0.1)
    session = desk(ScriptedVenue(CAREFUL))
    session.adapter.submit(order(quantity="0.123", price="60000.01"))
    (sent,) = session.venue.received
    assert (Decimal("0.123"), Decimal("60000.01")) == (sent.quantity, sent.price)
    for intent, step in (("two", scripted.throttled(2.5)), ("three", scripted.answer_with(RuntimeError("502"), 502))):
        session.venue.on_submit(step)
        session.venue.on_lookup(hide(), hide())
        with pytest.raises(OutcomeUnknownError):
            session.adapter.submit(order(intent))

        assert ["unknown"] == [outcome.value for outcome in outcomes(session, intent)]
        session.clock.sleep(3)


def test_n_no_flag_and_no_phrase_opens_a_live_session_and_a_halt_is_more_than_a_file(tmp_path):
    """Planted: a command-line flag and a typed phrase open the way to live orders; only a file's existence stops them."""
    preset = Preset(path=tmp_path / "live.toml", venue="scripted", environment="live", strategy="s")
    declared = scripted.declaration(ScriptedVenue(), environments={"live": Host(base_url="https://live", account_check="-")})
    with pytest.raises(ConfigurationError, match="signed permit"):
        composition._base_url(preset, declared)
    kept: list[str] = []
    switch = KillSwitch((), lambda path: False, kept.append)
    switch.latch("a second order")

    assert switch.engaged()
    assert ["a second order"] == kept


def test_the_way_of_one_order_is_the_same_for_threads(desk):
    """The sum of the above: many callers, one order, one story."""
    session = desk()
    threads = [threading.Thread(target=lambda: _quietly(session)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == kinds(session).count("attempt") == len(session.venue.held)


def _quietly(session):
    try:
        session.adapter.submit(order())
    except Exception:
        return
