"""Say which orders belong to an entry: what takes the profit, and what stops the loss."""

from __future__ import annotations

from decimal import Decimal

from logos_core.testing.market import OrderType, Side, TimeInForce
from logos_core.testing.records import OrderRequest


def leg_requests(entry: OrderRequest) -> list[OrderRequest]:
    """Return the legs an order asks for; those of an entry close it, that of an OCO order stands beside it."""
    side = entry.side if entry.oco else _opposite(entry.side)
    legs: list[OrderRequest] = []
    if entry.take_profit is not None:
        legs.append(_leg(entry, side, OrderType.LIMIT, price=entry.take_profit))
    if entry.stop_loss is not None:
        stop_price, price = entry.stop_loss
        kind = OrderType.STOP if price is None else OrderType.STOP_LIMIT
        legs.append(_leg(entry, side, kind, price=price, stop_price=stop_price))
    if entry.trail_loss is not None:
        legs.append(_leg(entry, side, OrderType.TRAILING_STOP, trail_amount=entry.trail_loss))
    return legs


def _leg(
    entry: OrderRequest,
    side: Side,
    kind: OrderType,
    *,
    price: Decimal | None = None,
    stop_price: Decimal | None = None,
    trail_amount: Decimal | None = None,
) -> OrderRequest:
    waits = entry.time_in_force not in {TimeInForce.IOC, TimeInForce.FOK}
    return OrderRequest(
        symbol=entry.symbol, side=side, type=kind, quantity=entry.quantity, price=price, stop_price=stop_price,
        trail_amount=trail_amount, time_in_force=entry.time_in_force if waits else TimeInForce.GTC,
        expires_at=entry.expires_at, tags=entry.tags,
    )  # fmt: skip


def _opposite(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY
