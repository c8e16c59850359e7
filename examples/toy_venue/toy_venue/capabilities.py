"""What the toy exchange can do, each fact with its source."""

from logos_core.capabilities import Capabilities, Expiry, ExpiryKind, IdProfile, RateLimit, Uniqueness
from logos_core.orders import OrderType, TimeInForce

_CODE = "toy_venue/exchange.py"

CAPABILITIES = Capabilities(
    times_in_force={OrderType.LIMIT: (TimeInForce.GTC,)},
    client_ids=IdProfile(
        field_name="id",
        max_length=36,
        alphabet="[a-z0-9]",
        uniqueness=Uniqueness.NONE,  # the worst case: whatever is sent twice is bought twice
        queryable=True,
        visibility_lag_s=0.05,
        history_days=None,
        account_history=True,
        sources={
            "field_name": _CODE,
            "max_length": "inferred",
            "alphabet": "inferred",
            "uniqueness": f"{_CODE}: `place` never looks",
            "queryable": f"{_CODE}: `find`",
            "visibility_lag_s": "inferred",
            "history_days": "not stated",
            "account_history": f"{_CODE}: `orders`",
        },
    ),
    expiry=Expiry(kind=ExpiryKind.NONE, window_s=None, sources={"kind": _CODE, "window_s": _CODE}),
    rate_limit=RateLimit(requests=100, period_s=1, sources={"requests": "inferred", "period_s": "inferred"}),
    transaction_log=False,
    paper=False,
    sources={
        "times_in_force": "inferred",
        "client_ids": "see its own sources",
        "expiry": "see its own sources",
        "rate_limit": "see its own sources",
        "transaction_log": _CODE,
        "paper": _CODE,
    },
)
