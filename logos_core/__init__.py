"""Send an order once, know what became of it, and be able to show it.

The README tells the story; `Adapter` is where it begins. Each name is imported when it is first asked for, so that the kill switch,
which lives in this package too, works when everything else in it is broken.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logos_core.adapter import Adapter
    from logos_core.async_adapter import AsyncAdapter
    from logos_core.errors import (
        AuditError,
        ChainBrokenError,
        ConfigurationError,
        InvalidOrderError,
        LedgerAdoptionError,
        LedgerError,
        LogosError,
        OrderConflictError,
        OrderDeniedError,
        OrderInFlightError,
        OrderNotPlacedError,
        OrderRejectedError,
        OutcomeNotRecordedError,
        OutcomeUnknownError,
        PluginContractError,
        StreamNotReadyError,
        VenueError,
        VenueUnavailableError,
    )
    from logos_core.hookspecs import Found, NotSeen, OrderReference
    from logos_core.instruments import Instrument
    from logos_core.orders import Order, OrderClass, OrderStatus, OrderType, Side, StopLoss, TakeProfit, TimeInForce
    from logos_core.positions import Book, DayResult, InstrumentPosition
    from logos_core.rails.idempotency import IdempotentCache
    from logos_core.rails.rate_limit import RateLimiter
    from logos_core.rails.retry import RetryConfig
    from logos_core.reconciliation import ReconciliationReport
    from logos_core.replacing import ReplaceEnding, ReplaceReport
    from logos_core.reports import Execution, ExecutionKind, ExecutionReport, Fee
    from logos_core.streaming import StreamConfig, StreamState

__version__ = "0.1.0"

__all__ = [
    "Adapter",
    "AsyncAdapter",
    "AuditError",
    "Book",
    "ChainBrokenError",
    "ConfigurationError",
    "DayResult",
    "Execution",
    "ExecutionKind",
    "ExecutionReport",
    "Fee",
    "Found",
    "IdempotentCache",
    "Instrument",
    "InstrumentPosition",
    "InvalidOrderError",
    "LedgerAdoptionError",
    "LedgerError",
    "LogosError",
    "NotSeen",
    "Order",
    "OrderClass",
    "OrderConflictError",
    "OrderDeniedError",
    "OrderInFlightError",
    "OrderNotPlacedError",
    "OrderReference",
    "OrderRejectedError",
    "OrderStatus",
    "OrderType",
    "OutcomeNotRecordedError",
    "OutcomeUnknownError",
    "PluginContractError",
    "RateLimiter",
    "ReconciliationReport",
    "ReplaceEnding",
    "ReplaceReport",
    "RetryConfig",
    "Side",
    "StopLoss",
    "StreamConfig",
    "StreamNotReadyError",
    "StreamState",
    "TakeProfit",
    "TimeInForce",
    "VenueError",
    "VenueUnavailableError",
]

_HOMES = {
    "logos_core.adapter": ("Adapter",),
    "logos_core.async_adapter": ("AsyncAdapter",),
    "logos_core.errors": (
        "AuditError",
        "ChainBrokenError",
        "ConfigurationError",
        "InvalidOrderError",
        "LedgerAdoptionError",
        "LedgerError",
        "LogosError",
        "OrderConflictError",
        "OrderDeniedError",
        "OrderInFlightError",
        "OrderNotPlacedError",
        "OrderRejectedError",
        "OutcomeNotRecordedError",
        "OutcomeUnknownError",
        "PluginContractError",
        "StreamNotReadyError",
        "VenueError",
        "VenueUnavailableError",
    ),
    "logos_core.hookspecs": (
        "Found",
        "NotSeen",
        "OrderReference",
    ),
    "logos_core.instruments": ("Instrument",),
    "logos_core.orders": (
        "Order",
        "OrderClass",
        "OrderStatus",
        "OrderType",
        "Side",
        "StopLoss",
        "TakeProfit",
        "TimeInForce",
    ),
    "logos_core.positions": (
        "Book",
        "DayResult",
        "InstrumentPosition",
    ),
    "logos_core.rails.idempotency": ("IdempotentCache",),
    "logos_core.rails.rate_limit": ("RateLimiter",),
    "logos_core.rails.retry": ("RetryConfig",),
    "logos_core.reconciliation": ("ReconciliationReport",),
    "logos_core.replacing": ("ReplaceEnding", "ReplaceReport"),
    "logos_core.reports": ("Execution", "ExecutionKind", "ExecutionReport", "Fee"),
    "logos_core.streaming": ("StreamConfig", "StreamState"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
