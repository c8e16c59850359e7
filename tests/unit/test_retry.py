import types

import pytest
import stamina
import tenacity.nap

from logos_core.errors import OrderRejectedError, OutcomeUnknownError, VenueUnavailableError
from logos_core.hookspecs import OrderReference
from logos_core.rails.retry import RetryConfig, advice, further_attempts

REFERENCE = OrderReference(client_order_id="lgs1", symbol="BTC/USDT")


def unavailable(retry_after_s=None):
    return VenueUnavailableError("down", venue="v", reference=REFERENCE, retry_after_s=retry_after_s)


@pytest.fixture
def slept(monkeypatch):
    """Let stamina reckon its real pauses, and only note them."""
    pauses: list[float] = []
    stamina.set_testing(False)
    monkeypatch.setattr(tenacity.nap, "time", types.SimpleNamespace(sleep=pauses.append))
    return pauses


def run(config, errors):
    tried = 0
    for attempt in further_attempts(config, config.valid_for_s):
        with attempt:
            tried += 1
            raise errors[min(tried, len(errors)) - 1]


def test_only_what_was_provably_not_accepted_is_tried_again():
    assert advice(unavailable(), 5.0) is True
    for error in (
        OutcomeUnknownError("u", venue="v", reference=REFERENCE),
        OrderRejectedError("r", venue="v", reference=REFERENCE),
    ):
        assert advice(error, 5.0) is False
    assert advice(ValueError("bug"), 5.0) is False


def test_the_venues_advice_wins_over_our_back_off(slept):
    with pytest.raises(VenueUnavailableError):
        run(RetryConfig(attempts=3, backoff_s=0.1, backoff_s_max=0.2), [unavailable(1.5), unavailable(0.0)])

    assert [1.5, 0.0] == slept


def test_our_own_back_off_stays_within_its_bounds(slept):
    with pytest.raises(VenueUnavailableError):
        run(RetryConfig(attempts=6, backoff_s=0.5, backoff_s_max=1.0), [unavailable()])

    assert 5 == len(slept)
    assert all(0.5 <= pause <= 1.0 for pause in slept)


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_no_more_attempts_than_configured(attempts):
    tried = []
    with pytest.raises(VenueUnavailableError):
        for attempt in further_attempts(RetryConfig(attempts=attempts), 5.0):
            with attempt:
                tried.append(1)
                raise unavailable()

    assert attempts == len(tried)


def test_what_is_not_retried_leaves_at_once(slept):
    with pytest.raises(OutcomeUnknownError):
        run(RetryConfig(), [OutcomeUnknownError("u", venue="v", reference=REFERENCE)])

    assert [] == slept


def test_advice_to_wait_beyond_the_validity_is_handed_to_the_caller_instead_of_slept(slept):
    with pytest.raises(VenueUnavailableError):
        run(RetryConfig(valid_for_s=5.0), [unavailable(3600.0)])

    assert sum(slept) <= 5.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attempts", 0), ("attempts", 21), ("attempts", 1.5), ("valid_for_s", 0), ("valid_for_s", 301), ("valid_for_s", float("nan")),
        ("backoff_s", -1), ("backoff_s", 61), ("backoff_s_max", -1), ("backoff_s_max", 61), ("backoff_s_max", float("inf")),
    ],
)  # fmt: skip
def test_every_bound_of_the_settings_holds(name, value):
    with pytest.raises((ValueError, TypeError)):
        RetryConfig(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attempts", 20),
        ("valid_for_s", 0.5),
        ("valid_for_s", 300),
        ("backoff_s", 0),
        ("backoff_s", 60),
        ("backoff_s_max", 0),
        ("backoff_s_max", 60),
    ],
)
def test_the_bounds_themselves_are_allowed(name, value):
    assert value == getattr(RetryConfig(**{name: value}), name)
