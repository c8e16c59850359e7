"""What Kraken spot can do, each fact with its source."""

from logos_core.capabilities import (
    Capabilities,
    Expiry,
    ExpiryKind,
    Features,
    IdProfile,
    PositionKind,
    PositionView,
    RateLimit,
    Uniqueness,
)
from logos_core.orders import OrderType, TimeInForce

DEADLINE_S = 5.0
"""How far ahead the deadline of each order lies: Kraken's own default, well inside what it takes, and short enough to wait for."""

_DOCS = "docs.kraken.com"
_ADD_ORDER = f"{_DOCS}, rest-api/add-order"
_CLIENT_IDS = f"{_DOCS}, guides/spot-clordid"

KRAKEN = Capabilities(
    # A market order carries no time in force on the wire: it trades what is there and the rest ends, which is IOC.
    times_in_force={
        OrderType.MARKET: (TimeInForce.IOC,),
        OrderType.LIMIT: (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.GTD),
        OrderType.STOP: (TimeInForce.GTC,),
        OrderType.STOP_LIMIT: (TimeInForce.GTC,),
        OrderType.TRAILING_STOP: (TimeInForce.GTC,),
    },
    client_ids=IdProfile(
        field_name="cl_ord_id",
        max_length=18,
        alphabet="[!-~]",
        uniqueness=Uniqueness.OPEN,
        queryable=True,
        visibility_lag_s=5.0,
        history_days=None,
        account_history=True,
        sources={
            "field_name": f"{_ADD_ORDER}, cl_ord_id",
            "max_length": f"{_CLIENT_IDS}: free text up to 18 characters; 32 or 36 characters must be a UUID",
            "alphabet": f"{_CLIENT_IDS}: free format ASCII text; the space is left out",
            "uniqueness": f"{_CLIENT_IDS}: verified across the open orders of a client",
            "queryable": f"{_DOCS}, rest-api/get-open-orders and get-closed-orders, cl_ord_id; verified in each answer",
            "visibility_lag_s": "inferred: no page gives a figure",
            "history_days": "not stated by the venue",
            "account_history": f"{_DOCS}, rest-api/get-open-orders, get-closed-orders and get-trade-history: no pair is asked for",
        },
    ),
    # Two pages differ on the nearest deadline: 2 s (REST) and 0.5 s (WebSocket v2). Both take 60 s at most.
    expiry=Expiry(
        kind=ExpiryKind.ENGINE,
        window_s=DEADLINE_S,
        sources={
            "kind": f"{_ADD_ORDER}, deadline: after it the matching engine should reject the request, in presence of latency or "
            f"queueing; {_DOCS}, websocket-v2/add_order: the engine will prevent it from matching",
            "window_s": "the deadline this plugin sends with each order, counted from its own clock just before the send",
        },
    ),
    rate_limit=RateLimit(
        requests=60,
        period_s=60,
        sources={
            "requests": "docs.kraken.com, guides/spot-ratelimits: trading counter of the lowest tier, 60 per pair, one per new order; "
            "inferred that it holds for lookups, which count on another counter (15, one back in 3 s) and may be refused earlier",
            "period_s": "the same: that counter falls by one a second",
        },
    ),
    transaction_log=False,
    paper=False,
    # Reducing a position, which exists on margin only, and linked orders have no counterpart in the spot account.
    features=Features(
        post_only={OrderType.LIMIT: (TimeInForce.GTC, TimeInForce.GTD)},
        trail_amount={OrderType.TRAILING_STOP: (TimeInForce.GTC,)},
        trail_percent={OrderType.TRAILING_STOP: (TimeInForce.GTC,)},
        sources={
            "post_only": f"{_ADD_ORDER}, oflags: post, available when ordertype = limit",
            "trail_amount": f"{_ADD_ORDER}, price of a trailing-stop: relative, with the prefix +",
            "trail_percent": f"{_ADD_ORDER}, the same with the suffix %",
        },
    ),
    positions=PositionView(
        kind=PositionKind.BY_ASSET,
        sources={
            "kind": f"{_DOCS}, rest-api/get-extended-balance: the balance by asset, what orders hold of it included",
            "symbols": "inferred that fees are booked at once; interest of Kraken Rewards shows as a difference",
        },
    ),
    sources={
        "times_in_force": f"{_ADD_ORDER}, timeinforce: GTC, IOC, GTD; inferred that an order with a trigger rests until cancelled",
        "client_ids": "see its own sources",
        "expiry": "see its own sources",
        "rate_limit": "see its own sources",
        "transaction_log": f"{_DOCS}, rest-api: order and trade ids are not numbered",
        "paper": "ccxt 4.5.90, kraken.py: there is no test address; a spot order can be tried with validate=true only",
    },
)
