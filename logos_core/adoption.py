"""A ledger must know what its account has done, or say that it does not.

An order the ledger has forgotten is an order it would send again. So a ledger that is new, deleted or restored opens only for an
account that has not traded through logos; otherwise a person runs `logos ledger adopt`, which reads the venue's orders with our
prefix. Where a venue lists nothing without a symbol, the same holds symbol by symbol, before the first order of each.
"""

from logos_core.errors import LedgerAdoptionError
from logos_core.hookspecs import ReconcileRequest, VenueSnapshot
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.rails.idempotency import PREFIX
from logos_core.rails.rate_limit import RateLimiter
from logos_core.reports import ExecutionReport
from logos_core.venues import BoundVenue


def require_complete(venue: BoundVenue, ledger: SqliteLedger) -> VenueSnapshot:
    """Refuse a ledger that does not know an order of ours which the venue shows since it was last read; return what was shown.

    A new ledger is read from the beginning. An older copy, or one whose last commits were lost, gives itself away here, whatever the
    host remembers of it.
    """
    snapshot = venue.reconcile(ReconcileRequest(cursor=ledger.cursor("reconcile"), symbols=ledger.symbols(), prefix=PREFIX))
    _refuse_strangers(ledger, snapshot)
    return snapshot


def require_symbol_history(venue: BoundVenue, ledger: SqliteLedger, limiter: RateLimiter, symbol: str) -> None:
    """Before a symbol's first order, read its history where the venue lists none without a symbol."""
    read = f"history:{symbol}"
    if venue.capabilities.client_ids.account_history or ledger.cursor(read) is not None:
        return
    limiter.take()
    snapshot = venue.reconcile(ReconcileRequest(cursor=None, symbols=(symbol,), prefix=PREFIX))
    _refuse_strangers(ledger, snapshot, f" --symbol {symbol}")
    ledger.set_cursor(read, "read")


def adopt(venue: BoundVenue, ledger: SqliteLedger, symbols: tuple[str, ...]) -> int:
    """Take over every order of ours that the venue shows; return how many were new."""
    known = tuple(sorted({*symbols, *ledger.symbols()}))
    snapshot = venue.reconcile(ReconcileRequest(cursor=None, symbols=known, prefix=PREFIX))
    adopted = ledger.adopt(_ours(snapshot), snapshot)
    if not venue.capabilities.client_ids.account_history:
        for symbol in known:
            ledger.set_cursor(f"history:{symbol}", "read")
    return adopted


def _ours(snapshot: VenueSnapshot) -> list[ExecutionReport]:
    """Return every order of ours, those that began something before their legs."""
    found = {(report.symbol, report.venue_order_id): report for report in (*snapshot.changed_orders, *snapshot.open_orders)}
    ours = [report for report in found.values() if _name(report).startswith(PREFIX)]
    return sorted(ours, key=lambda report: report.leg_of is not None)


def _name(report: ExecutionReport) -> str:
    """Return under which id the ledger knows an order; a leg is known by the order that began it."""
    return report.leg_of or report.client_order_id or ""


def _refuse_strangers(ledger: SqliteLedger, snapshot: VenueSnapshot, option: str = "") -> None:
    unknown = [report for report in _ours(snapshot) if not ledger.knows(_name(report))]
    if unknown:
        raise LedgerAdoptionError(
            f"the venue holds {len(unknown)} order(s) of ours that the ledger {ledger.path} does not know, such as "
            f"{unknown[0].client_order_id} ({unknown[0].symbol}); run: logos ledger adopt PRESET{option}"
        )
