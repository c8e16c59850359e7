"""When an order may be tried again: only what provably was not sent, within its validity, with the server's advice before ours.

stamina waits and counts; it comes in from the second attempt on, because setting it up costs more than a first attempt does.
"""

from collections.abc import Iterable
from datetime import timedelta

import stamina
from attrs import field, frozen, validators

from logos_core.errors import VenueUnavailableError

SEND_WITHIN = timedelta(milliseconds=250)
"""How long after its commit an attempt may still begin to leave."""


@frozen(kw_only=True)
class RetryConfig:
    """How often and how long a provably unsent order is tried again.

    Attributes:
        attempts: how many there may be, the first included.
        valid_for_s: no attempt starts later than this after the submit; a price decided long ago is another decision.
        backoff_s: the first pause; each further one doubles, with jitter.
        backoff_s_max: the longest pause.
    """

    attempts: int = field(default=3, validator=validators.and_(validators.instance_of(int), validators.in_(range(1, 21))))
    valid_for_s: float = field(default=5.0, converter=float, validator=validators.and_(validators.gt(0), validators.le(300)))
    backoff_s: float = field(default=0.1, converter=float, validator=validators.and_(validators.ge(0), validators.le(60)))
    backoff_s_max: float = field(default=2.0, converter=float, validator=validators.and_(validators.ge(0), validators.le(60)))


def advice(error: Exception, left_s: float) -> bool | float:
    """Return whether to try again, or the seconds the venue asked us to wait first; never beyond the order's validity."""
    if not isinstance(error, VenueUnavailableError):
        return False
    if error.retry_after_s is None:
        return True
    return error.retry_after_s if error.retry_after_s < left_s else False


def further_attempts(config: RetryConfig, left_s: float) -> Iterable[stamina.Attempt]:
    """Return stamina's attempts, the first of which repeats the failure that is already known.

    Args:
        left_s: how long the order is still valid.
    """
    return stamina.retry_context(
        on=lambda error: advice(error, left_s),
        attempts=config.attempts,
        timeout=max(left_s, 0.001),
        wait_initial=config.backoff_s,
        wait_max=config.backoff_s_max,
        wait_jitter=config.backoff_s,
    )
