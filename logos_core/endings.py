"""How a submit, a cancel or a lookup ends when it does not end with a report: one function for each word we keep apart."""

from typing import NoReturn

from logos_core.errors import OrderNotPlacedError, OrderRejectedError, OutcomeUnknownError, VenueUnavailableError
from logos_core.hookspecs import Classification, OrderReference
from logos_core.lifecycle import IntentState
from logos_core.records import Recorded


class SafeToResendError(VenueUnavailableError):
    """The order may be live, and sending it again under the same id cannot make it two."""


def unknown(
    venue: str, reference: OrderReference, cause: BaseException | None, why: str, *, what: str = "whether it exists"
) -> NoReturn:
    """Say what nobody knows yet of an order."""
    message = f"{reference.client_order_id}: nobody knows yet {what}: {why}"
    raise OutcomeUnknownError(message, venue=venue, reference=reference) from cause


def unavailable(
    venue: str, reference: OrderReference, why: str, cause: Exception | None = None, retry_after_s: float | None = None
) -> NoReturn:
    """Say that provably nothing was accepted, and that the same intent may be submitted again."""
    raise VenueUnavailableError(f"{venue}: {why}", venue=venue, reference=reference, retry_after_s=retry_after_s) from cause


def rejected(venue: str, reference: OrderReference, said: Classification, cause: Exception | None) -> NoReturn:
    """Say that the venue proved that it accepted nothing."""
    raise OrderRejectedError(
        f"{reference.client_order_id}: rejected by {venue}: {said.venue_message or said.category.value}",
        venue=venue,
        reference=reference,
        venue_code=said.venue_code,
        venue_message=said.venue_message,
    ) from cause


def settled(venue: str, recorded: Recorded) -> NoReturn:
    """Say that the intent was settled earlier, without an order."""
    name, reference = recorded.client_order_id, recorded.reference()
    if recorded.state is IntentState.REJECTED:
        raise OrderRejectedError(f"{name}: rejected by the venue, on record", venue=venue, reference=reference)
    message = f"{name}: closed without an order; use a new intent id if it is still wanted"
    raise OrderNotPlacedError(message, venue=venue, reference=reference)
