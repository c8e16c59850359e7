"""Send an order once, know what became of it, and be able to show it.

The README tells the story; `Adapter` is where it begins.
"""

from logos_core.adapter import Adapter
from logos_core.errors import (
    AuditError,
    ChainBrokenError,
    ConfigurationError,
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
    VenueError,
    VenueUnavailableError,
)
from logos_core.hookspecs import Found, NotSeen, OrderReference
from logos_core.orders import (
    Execution,
    ExecutionReport,
    Fee,
    Instrument,
    InvalidOrderError,
    Order,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from logos_core.rails.idempotency import IdempotentCache
from logos_core.rails.rate_limit import RateLimiter
from logos_core.rails.retry import RetryConfig
from logos_core.reconciliation import ReconciliationReport

__version__ = "0.1.0"

__all__ = [
    "Adapter",
    "AuditError",
    "ChainBrokenError",
    "ConfigurationError",
    "Execution",
    "ExecutionReport",
    "Fee",
    "Found",
    "IdempotentCache",
    "Instrument",
    "InvalidOrderError",
    "LedgerAdoptionError",
    "LedgerError",
    "LogosError",
    "NotSeen",
    "Order",
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
    "RetryConfig",
    "Side",
    "TimeInForce",
    "VenueError",
    "VenueUnavailableError",
]
