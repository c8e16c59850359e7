"""Give Alpaca's status, code and words for what is refused."""

from __future__ import annotations

from logos_core.testing.exchange import (
    BadPrice,
    BadQuantity,
    DuplicateClientOrderId,
    InsufficientFunds,
    Refusal,
    Side,
    UnknownSymbol,
)


class RefusedError(Exception):
    """Carry a refusal to the one place that makes an answer of it."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def unreadable(message: str) -> RefusedError:
    """Refuse what cannot be read: 422 with the code that was recorded for it."""
    return RefusedError(422, 40010001, message)


def unprocessable(message: str) -> RefusedError:
    """Refuse what can be read and not be done; the code is *inferred*."""
    return RefusedError(422, 42210000, message)


# What a status answers when nothing more is known. 401 and 403 have no code (recorded); 42910000 is third-party
# knowledge; 50010000 is *inferred*.
ERRORS: dict[int, tuple[int | None, str]] = {
    401: (None, "unauthorized."),
    403: (None, "forbidden."),
    404: (40410000, "order not found"),
    422: (42210000, "unprocessable request"),
    429: (42910000, "rate limit exceeded"),
    500: (50010000, "internal server error occurred"),
}


def explain(refusal: Refusal, side: Side) -> RefusedError:
    """Give Alpaca's code; recorded for duplicates and funds, *inferred* for the rest."""
    match refusal:
        case DuplicateClientOrderId():
            return unreadable("client_order_id must be unique")
        case InsufficientFunds():
            short = "buying power" if side is Side.BUY else "qty available for order"
            return RefusedError(403, 40310000, f"insufficient {short}")
        case BadPrice():
            return unprocessable(f"invalid limit_price: {refusal}")
        case BadQuantity() | UnknownSymbol():
            return unprocessable(f"invalid order: {refusal}")
    return unprocessable(str(refusal))
