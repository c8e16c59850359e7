"""What dead sessions left behind: in flight becomes known, or UNKNOWN. Recovery never sends.

It touches only attempts of sessions that are proven dead: their lock, held for the session's life, can be taken. Every outcome is
compare-and-set, so recovery may itself be killed anywhere and run again, by several processes at once.
"""

from collections.abc import Callable
from datetime import datetime

from attrs import evolve, frozen

from logos_core.errors import LedgerError
from logos_core.lifecycle import IntentState
from logos_core.records import Recorded
from logos_core.resolution import Resolution, Resolver, Standing


@frozen(kw_only=True)
class RecoveryReport:
    """What recovery found.

    Attributes:
        found: orders that exist after all.
        closed: intents proven to have no order, and past their validity.
        unknown: intents whose outcome nobody can prove yet.
        unknown_since: since when, for each of them.
        left_alone: intents that a living session is still sending.
    """

    found: tuple[str, ...]
    closed: tuple[str, ...]
    unknown: tuple[str, ...]
    unknown_since: tuple[datetime, ...]
    left_alone: tuple[str, ...]

    def __str__(self) -> str:
        counts = {"found": self.found, "closed": self.closed, "unknown": self.unknown, "in flight elsewhere": self.left_alone}
        said = ", ".join(f"{len(rows)} {name}" for name, rows in counts.items() if rows)
        oldest = f"; the oldest unknown since {min(self.unknown_since):%Y-%m-%d %H:%M:%SZ}" if self.unknown_since else ""
        return f"recovery: {said or 'nothing was open'}{oldest}"


def recover(
    resolver: Resolver, unsettled: list[Recorded], is_dead: Callable[[str], bool], now: Callable[[], datetime]
) -> RecoveryReport:
    """Find out what became of every unsettled intent that no living session is sending."""
    found, closed, left_alone = [], [], []
    unknown: list[tuple[str, datetime]] = []
    for recorded in unsettled:
        name, since = recorded.client_order_id, recorded.open_since or recorded.updated_at
        if not is_abandoned(recorded, is_dead):
            left_alone.append(name)
            continue
        try:
            resolution = settle_one(resolver, recorded, now())
        except LedgerError:
            raise
        except Exception:  # noqa: BLE001  one intent that cannot be read must not keep the others, or the session, from going on
            unknown.append((name, since))
            continue
        if resolution.standing is Standing.FOUND:
            found.append(name)
        elif resolution.recorded.state is IntentState.NOT_PLACED:
            closed.append(name)
        else:
            unknown.append((name, since))
    return RecoveryReport(
        found=tuple(found),
        closed=tuple(closed),
        unknown=tuple(name for name, _ in unknown),
        unknown_since=tuple(since for _, since in unknown),
        left_alone=tuple(left_alone),
    )


def settle_one(resolver: Resolver, recorded: Recorded, now: datetime) -> Resolution:
    """Find out what became of one intent, and close it if it provably has no order and its validity has passed."""
    resolution = resolver.find_out(recorded)
    expired = all(attempt.valid_until < now for attempt in recorded.attempts)
    if resolution.standing is Standing.PROVEN_ABSENT and expired and resolution.recorded.state is not IntentState.NOT_PLACED:
        closed = resolver.close_as_absent(resolution)
        return evolve(resolution, recorded=closed)
    return resolution


def is_abandoned(recorded: Recorded, is_dead: Callable[[str], bool]) -> bool:
    """Say whether nobody can still be sending an unsettled intent."""
    open_attempts = [attempt for attempt in recorded.attempts if attempt.outcome is None]
    return all(is_dead(attempt.session_id) for attempt in open_attempts)
