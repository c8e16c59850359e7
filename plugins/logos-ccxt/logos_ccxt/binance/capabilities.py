"""What Binance spot can do, each fact with its source."""

from logos_core.capabilities import (
    Capabilities,
    Expiry,
    ExpiryKind,
    Features,
    IdProfile,
    PositionKind,
    PositionView,
    RateLimit,
    Replace,
    ReplaceKind,
    Stream,
    Uniqueness,
)
from logos_core.orders import OrderType, TimeInForce

RECV_WINDOW_MS = 5000
"""For how long after it was signed the gateway takes a request. Fixed, so that what is declared below is what is sent."""

_SPEC = "Binance Public Spot API (OpenAPI, 1.0)"

BINANCE = Capabilities(
    # A market order carries no time in force on the wire: it trades what is there and the rest expires, which is IOC.
    times_in_force={
        OrderType.MARKET: (TimeInForce.IOC,),
        OrderType.LIMIT: (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK),
        OrderType.STOP: (TimeInForce.GTC,),
        OrderType.STOP_LIMIT: (TimeInForce.GTC,),
        OrderType.TRAILING_STOP: (TimeInForce.GTC,),
    },
    client_ids=IdProfile(
        field_name="newClientOrderId",
        max_length=36,
        alphabet="[A-Za-z0-9_-]",
        uniqueness=Uniqueness.OPEN,
        queryable=True,
        visibility_lag_s=5.0,
        history_days=90,
        account_history=False,
        sources={
            "field_name": f"{_SPEC}, POST /api/v3/order",
            "max_length": "third-party statement: ^[.A-Z:/a-z0-9_-]{1,36}$ on Binance futures; inferred for spot",
            "alphabet": "inferred: the common part of what is reported for futures and for spot",
            "uniqueness": f"{_SPEC}, POST /api/v3/order: taken again once the previous order is filled",
            "queryable": f"{_SPEC}, GET /api/v3/order, origClientOrderId with symbol",
            "visibility_lag_s": "inferred: the venue calls a delay normal and gives no figure",
            "history_days": "ccxt 4.5.90, binance.py, -2026: archived 90 days after an end without a trade",
            "account_history": f"{_SPEC}, GET /api/v3/allOrders and /api/v3/myTrades: symbol is required",
        },
    ),
    # The window is measured when the request reaches the gateway. What passed it may be matched at any time after.
    expiry=Expiry(
        kind=ExpiryKind.GATEWAY,
        window_s=RECV_WINDOW_MS / 1000,
        sources={
            "kind": f"{_SPEC}, recvWindow and timestamp; inferred that only the gateway looks at them",
            "window_s": "the recvWindow this plugin sends",
        },
    ),
    rate_limit=RateLimit(
        requests=50,
        period_s=10,
        sources={
            "requests": "inferred: half of ORDERS 100 per 10 s in the exchangeInfo that ccxt 4.5.90 quotes; "
            "300 lookups of weight 4 a minute also stay within its REQUEST_WEIGHT of 1200",
            "period_s": "the same",
        },
    ),
    transaction_log=False,
    paper=True,
    positions=PositionView(
        kind=PositionKind.BY_ASSET,
        sources={
            "kind": f"{_SPEC}, GET /api/v3/account, balances: free and locked, by asset",
            "symbols": f"{_SPEC}, GET /api/v3/myTrades, commissionAsset; inferred that each commission is taken from that balance at once",
        },
    ),
    features=Features(
        post_only={OrderType.LIMIT: (TimeInForce.GTC,)},
        notional={OrderType.MARKET: (TimeInForce.IOC,)},
        trail_percent={OrderType.TRAILING_STOP: (TimeInForce.GTC,)},
        sources={
            "post_only": f"{_SPEC}, POST /api/v3/order: LIMIT_MAKER, which carries no time in force",
            "notional": f"{_SPEC}, POST /api/v3/order: quoteOrderQty of a MARKET order",
            "trail_percent": f"{_SPEC}, POST /api/v3/order: trailingDelta of a STOP_LOSS order, in basis points",
        },
    ),
    replace=Replace(
        kind=ReplaceKind.NATIVE,
        types=frozenset({OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT}),
        atomic=True,
        tells_successor=False,
        sources={
            "kind": f"{_SPEC}, POST /api/v3/order/cancelReplace with STOP_ON_FAILURE and ONLY_NEW",
            "types": f"{_SPEC}, the same; a market order is never open, and a trailing stop has no price to change",
            "atomic": f"{_SPEC}, the same: ONLY_NEW fails the cancel of an order that has traded, STOP_ON_FAILURE then places nothing",
            "tells_successor": f"{_SPEC}: an order does not say what took its place",
        },
    ),
    stream=Stream(
        heartbeat_s=20.0,
        sources={
            "heartbeat_s": "ours: ccxt is told to ping twice as often; RFC 6455, 5.5.2: a ping is answered",
            "gapless": "ccxt 4.5.90, pro/binance.py, handle_order_update: an executionReport carries no number",
        },
    ),
    sources={
        "times_in_force": f"{_SPEC}, parameter timeInForce: GTC, IOC, FOK; inferred that an order with a stop rests until cancelled",
        "client_ids": "see its own sources",
        "expiry": "see its own sources",
        "rate_limit": "see its own sources",
        "transaction_log": f"{_SPEC}: order and trade ids are numbered per symbol, not per account",
        "paper": f"{_SPEC}, server testnet.binance.vision",
    },
)
