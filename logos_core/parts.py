"""What an open session is made of. `session` puts the parts together; everything on the path of an order takes them as they are."""

from collections.abc import Callable
from pathlib import Path

from attrs import field, frozen

from logos_core.clock import Clock
from logos_core.extensions import Extensions
from logos_core.hookspecs import OrderReference, VenueIdentity
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.rails.doubt import DoubtPolicy
from logos_core.rails.idempotency import IdempotentCache
from logos_core.rails.kill_switch import KillSwitch
from logos_core.rails.rate_limit import RateLimiter
from logos_core.rails.replace import ReplacePolicy
from logos_core.rails.retry import RetryConfig
from logos_core.resolution import Resolver
from logos_core.spool import Spool
from logos_core.venues import BoundVenue


@frozen(kw_only=True)
class Parts:
    """One session on one account.

    Attributes:
        is_dead: says whether another session is proven dead.
        on_close: leaves the evidence and lets go of the locks.
        spool: keeps what had to go out while the ledger could not record it.
        run_folder: where the session leaves its evidence.
        replace: what the preset accepts when an order is replaced.
        unknown: what waits while an outcome is unknown.
        verified: whether the venue was asked, at open, for orders that the ledger does not know.
    """

    venue: BoundVenue
    identity: VenueIdentity
    ledger: SqliteLedger
    strategy: str
    cache: IdempotentCache
    retry: RetryConfig
    limiter: RateLimiter
    switch: KillSwitch
    resolver: Resolver
    extensions: Extensions
    clock: Clock
    is_dead: Callable[[str], bool]
    on_close: Callable[[], None]
    spool: Spool
    run_folder: Path
    verified: bool = True
    replace: ReplacePolicy = field(factory=ReplacePolicy)
    unknown: DoubtPolicy = field(factory=DoubtPolicy)

    def reference(self, client_order_id: str, symbol: str) -> OrderReference:
        """Return how to find an order, with all that is on record of it."""
        recorded = self.ledger.find(client_order_id)
        return OrderReference(client_order_id=client_order_id, symbol=symbol) if recorded is None else recorded.reference()
