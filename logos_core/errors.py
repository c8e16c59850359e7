"""Everything logos raises, and what the caller should do about it.

::

    LogosError
      ConfigurationError            wrong before anything starts
      PluginContractError           the venue's plugin broke its promise
      OrderDeniedError              we refused; nothing left the process
      OrderConflictError            one intent id, two different orders
      OrderInFlightError            another caller is sending this very intent
      VenueError
        OrderRejectedError          the venue proved that it holds no such order
        OrderNotPlacedError         closed without an order; final
        VenueUnavailableError       provably nothing accepted; may be tried again
        OutcomeUnknownError         may be live; find out before anything else
          OutcomeNotRecordedError   the answer came, the ledger could not keep it
      StreamNotReadyError           the venue's stream does not say hello
      LedgerError                   the memory is not usable; new orders stop
        LedgerAdoptionError         this ledger does not know what the account has done
      AuditError
        ChainBrokenError            a recorded event is not what was written

*Denied* is us, *rejected* is the venue, *unknown* is nobody yet. The three are never mixed.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logos_core.hookspecs import OrderReference
    from logos_core.reports import ExecutionReport


class LogosError(Exception):
    """The base of every error this package raises on purpose. It reaches the caller from another process with all that it holds."""

    def __reduce__(self) -> "tuple[Any, ...]":
        return _anew, (type(self), self.args, vars(self))


def _anew(kind: type[LogosError], args: "tuple[Any, ...]", held: "dict[str, Any]") -> LogosError:
    """Return an error as it was in another process; the constructors take other things than they hold."""
    error = kind.__new__(kind, *args)
    vars(error).update(held)
    return error


class ConfigurationError(LogosError):
    """Something is wrong before anything starts. Correct what the message names; nothing was sent."""


class PluginContractError(LogosError):
    """A venue plugin broke the contract of `hookspecs`. Tell its author; use another version until then."""


class OrderDeniedError(LogosError):
    """We refused the order and nothing left the process. Mend the cause and submit the same intent again.

    Attributes:
        reason: a stable code, `CATEGORY_CONDITION`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{message} [{reason}]")
        self.reason = reason


class InvalidOrderError(OrderDeniedError, ValueError):
    """The order cannot mean anything. Correct the field that the message names; nothing was sent."""

    def __init__(self, message: str) -> None:
        super().__init__("ORDER_INVALID", message)


class OrderConflictError(LogosError):
    """The intent id was used for a different order. Give the new decision an intent id of its own.

    Attributes:
        recorded: the fields of the order on record that differ.
        given: the same fields as given now.
    """

    def __init__(self, intent_id: str, recorded: dict[str, str | None], given: dict[str, str | None]) -> None:
        differing = ", ".join(f"{name}: recorded {recorded[name]}, given {given[name]}" for name in sorted(given))
        super().__init__(f"intent id {intent_id!r} was used for another order ({differing}); use a new intent id")
        self.intent_id = intent_id
        self.recorded = recorded
        self.given = given


class OrderInFlightError(LogosError):
    """Another caller has sent this intent and waits for the answer. Wait, then submit again to get its result."""

    def __init__(self, reference: "OrderReference") -> None:
        super().__init__(
            f"{reference.client_order_id}: another caller is sending this intent; submit it again later for its result"
        )
        self.reference = reference


class VenueError(LogosError):
    """What came of an order after it was handed to the venue.

    Attributes:
        venue: the venue's name.
        reference: how to look the order up; `Adapter.lookup` takes it.
        venue_code: the venue's own code, if it gave one.
        venue_message: the venue's own words, if it gave any.
    """

    def __init__(
        self,
        message: str,
        *,
        venue: str,
        reference: "OrderReference",
        venue_code: str | None = None,
        venue_message: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.venue = venue
        self.reference = reference
        self.client_order_id = reference.client_order_id
        self.venue_code = venue_code
        self.venue_message = venue_message
        self.retry_after_s = retry_after_s


class OrderRejectedError(VenueError):
    """The venue proved that it did not accept the order. This intent is final; decide anew under a new intent id."""


class OrderNotPlacedError(VenueError):
    """The intent was closed without an order, by proof or by a named person. Final; decide anew under a new intent id."""


class VenueUnavailableError(VenueError):
    """Provably nothing was accepted and the tries are spent. Submit the same intent again when the venue is back.

    `retry_after_s` is the venue's own advice, if it gave any.
    """


class OutcomeUnknownError(VenueError):
    """The order may be live. Look it up or run recovery; never send the decision again under another intent id."""


class OutcomeNotRecordedError(OutcomeUnknownError):
    """The venue answered but the ledger could not record it. New orders stop; repair the ledger, then run recovery.

    Attributes:
        report: what the venue said, or None if its answer was not a report.
    """

    report: "ExecutionReport | None" = None


class StreamNotReadyError(LogosError):
    """The venue's stream did not confirm in time that it tells anything. Orders go on without it; reconcile, and listen again later."""


class LedgerError(LogosError):
    """The ledger cannot be used, so no order may leave. The message says what is wrong with which file and what to do."""


class LedgerAdoptionError(LedgerError):
    """The ledger does not hold what this account has already done. Run `logos ledger adopt` with the same preset."""


class AuditError(LogosError):
    """The evidence does not hold together."""


class ChainBrokenError(AuditError):
    """An event is not what was written. Keep the file as it is and compare it with its copies.

    Attributes:
        sequence: where the chain breaks.
        expected: the hash that the earlier events lead to.
        found: the hash on record.
    """

    def __init__(self, sequence: int, expected: str, found: str) -> None:
        super().__init__(f"the event chain breaks at event {sequence}: expected {expected}, found {found}")
        self.sequence = sequence
        self.expected = expected
        self.found = found
