"""A session opened for the sake of one intent: what is on record of it counts, even if the venue cannot be asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from logos_core import endings, presets
from logos_core.adapter import Adapter
from logos_core.cli.environment import home_path, open_home
from logos_core.cli.exits import Exit, code_of
from logos_core.cli.ledgers import named, opened
from logos_core.errors import ConfigurationError, OrderInFlightError
from logos_core.lifecycle import IntentState
from logos_core.recovery import is_abandoned


@contextmanager
def session_for(preset: Path, name: str) -> Iterator[Adapter]:
    """Open a session for one intent, given by its intent id or client order id.

    Raises:
        OutcomeUnknownError: the venue cannot be asked whose key this is, and the intent may be live.
        OrderInFlightError: the same, and a living session is sending it.
    """
    try:
        adapter = Adapter.open(preset, home=home_path())
    except ConfigurationError as error:
        if code_of(error) is Exit.UNAVAILABLE:
            _refuse_if_it_may_be_live(preset, name, error)
        raise
    with adapter:
        yield adapter


def _refuse_if_it_may_be_live(preset: Path, name: str, error: ConfigurationError) -> None:
    """Look for the intent in every ledger the preset may mean: which one it does mean, only the venue could tell."""
    home, wanted = open_home(), presets.load(preset)
    with opened(home, wanted) as (ledgers, _):
        for ledger, recorded in named(ledgers, name):
            if recorded.strategy != wanted.strategy and recorded.client_order_id != name:
                continue
            if recorded.state is IntentState.IN_FLIGHT and not is_abandoned(recorded, home.is_dead):
                raise OrderInFlightError(recorded.reference()) from error
            if recorded.state in {IntentState.IN_FLIGHT, IntentState.UNKNOWN}:
                endings.unknown(ledger.identity.venue, recorded.reference(), error, str(error))
