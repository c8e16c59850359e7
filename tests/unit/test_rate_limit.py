import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_core.capabilities import RateLimit
from logos_core.clock import ManualClock
from logos_core.rails.rate_limit import RateLimiter


def limiter(clock, requests=10, period_s=10.0, max_wait_s=0.0):
    limit = RateLimit(requests=requests, period_s=period_s, sources={"requests": "test", "period_s": "test"})
    return RateLimiter(limit, clock, max_wait_s)


def test_submits_stop_at_four_fifths_of_the_budget():
    rate = limiter(ManualClock())
    answers = [rate.reserve_submit() for _ in range(10)]

    assert [None] * 8 == answers[:8]
    assert ["RATE_BUDGET_SPENT"] * 2 == [denial.reason for denial in answers[8:] if denial]


def test_a_refused_submit_takes_nothing_from_the_budget():
    clock = ManualClock()
    rate = limiter(clock)
    while rate.reserve_submit() is None:
        pass
    clock.sleep(5)
    for _ in range(50):
        rate.reserve_submit()
    clock.sleep(5)

    assert [None] * 8 == [rate.reserve_submit() for _ in range(8)]
    assert rate.reserve_submit() is not None


def test_a_submit_waits_for_its_turn_within_the_bound():
    clock = ManualClock()
    rate = limiter(clock, max_wait_s=1.0)
    answers = [rate.reserve_submit() for _ in range(8)]
    clock.sleep(9.5)
    answers.append(rate.reserve_submit())

    assert [None] * 9 == answers
    assert pytest.approx(10.0) == clock.monotonic_s()


def test_a_cancel_never_waits_and_what_it_takes_submits_pay_for():
    clock = ManualClock()
    rate = limiter(clock)
    for _ in range(30):
        rate.take()

    assert 0.0 == clock.monotonic_s()
    clock.sleep(9)
    assert rate.reserve_submit() is not None
    clock.sleep(1)
    assert rate.reserve_submit() is None


def test_the_venues_own_advice_holds_submits_back_and_cancels_not():
    clock = ManualClock()
    rate = limiter(clock)
    rate.block(5)
    rate.block(2)
    rate.take()

    assert rate.reserve_submit() is not None
    assert 0.0 == clock.monotonic_s()
    clock.sleep(5)
    assert rate.reserve_submit() is None


def test_the_budget_holds_between_threads():
    rate = limiter(ManualClock())
    granted = []
    threads = [threading.Thread(target=lambda: granted.append(rate.reserve_submit())) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 8 == granted.count(None)


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_no_period_wherever_it_begins_holds_more_than_the_submits_part(pauses):
    clock = ManualClock()
    rate = limiter(clock)
    granted = []
    for pause in pauses:
        clock.sleep(pause)
        if rate.reserve_submit() is None:
            granted.append(clock.monotonic_s())

    assert all(later - first >= 10.0 for first, later in zip(granted, granted[8:], strict=False))


def test_no_period_sees_more_submits_than_the_venue_takes():
    clock = ManualClock()
    rate = limiter(clock)
    granted = 0
    for _ in range(99):
        granted += rate.reserve_submit() is None
        clock.sleep(0.1)

    assert granted <= 10


def test_a_budget_of_one_request_lets_the_first_submit_go():
    assert limiter(ManualClock(), requests=1).reserve_submit() is None
