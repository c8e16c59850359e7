"""What Alpaca can do, each fact with its source."""

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
from logos_core.orders import OrderClass, OrderType, TimeInForce

_SPEC = "Alpaca Trading API 2.0.1"
_PAGE = "https://docs.alpaca.markets/docs/orders-at-alpaca"
_RESTING = (TimeInForce.DAY, TimeInForce.GTC)
_ENTRIES = {OrderType.MARKET: _RESTING, OrderType.LIMIT: _RESTING}

CAPABILITIES = Capabilities(
    times_in_force={
        OrderType.MARKET: (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK),
        OrderType.LIMIT: (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK),
        OrderType.STOP: _RESTING,
        OrderType.STOP_LIMIT: _RESTING,
        OrderType.TRAILING_STOP: _RESTING,
    },
    client_ids=IdProfile(
        field_name="client_order_id",
        max_length=128,
        alphabet="[A-Za-z0-9_.-]",
        uniqueness=Uniqueness.EVER,
        queryable=True,
        visibility_lag_s=1.0,
        history_days=None,
        account_history=True,
        sources={
            "field_name": f"{_SPEC}, Order.client_order_id",
            "max_length": f"{_SPEC}, Order.client_order_id maxLength",
            "alphabet": "inferred: the API states none; the SDK quotes whatever is given",
            "uniqueness": "422 'client_order_id must be unique' observed for a filled order; alpaca-py #260 for a cancelled one",
            "queryable": f"{_SPEC}, GET /v2/orders:by_client_order_id",
            "visibility_lag_s": "inferred",
            "history_days": "not stated by the venue",
            "account_history": f"{_SPEC}, GET /v2/orders",
        },
    ),
    expiry=Expiry(
        kind=ExpiryKind.NONE,
        window_s=None,
        sources={"kind": f"{_SPEC}: POST /v2/orders has no deadline", "window_s": f"{_SPEC}: POST /v2/orders has no deadline"},
    ),
    rate_limit=RateLimit(
        requests=200,
        period_s=60,
        sources={"requests": "Alpaca support, usage limit of the Trading API", "period_s": "the same page"},
    ),
    transaction_log=False,
    paper=True,
    # A crypto pair is bought less its fee, which is booked apart and later, and positions spell pairs without the slash.
    positions=PositionView(
        kind=PositionKind.BY_SYMBOL,
        symbols="[^/]+",
        sources={
            "kind": f"{_SPEC}, Position.symbol and Position.qty",
            "symbols": f"{_SPEC}, ActivityType CFEE and FEE: crypto fees are activities of their own; fees of shares are in USD",
        },
    ),
    features=Features(
        notional={OrderType.MARKET: (TimeInForce.DAY,)},
        trail_amount={OrderType.TRAILING_STOP: _RESTING},
        trail_percent={OrderType.TRAILING_STOP: _RESTING},
        linked={OrderClass.BRACKET: _ENTRIES, OrderClass.OTO: _ENTRIES, OrderClass.OCO: {OrderType.LIMIT: _RESTING}},
        stop_loss_price=True,
        sources={
            "notional": f"{_SPEC}, POST /v2/orders, notional: market orders, for the day",
            "trail_amount": f"{_SPEC}, POST /v2/orders, trail_price; {_PAGE}, trailing stop orders: day or gtc",
            "trail_percent": f"{_SPEC}, POST /v2/orders, trail_percent; {_PAGE}, trailing stop orders: day or gtc",
            "linked": f"{_SPEC}, OrderClass; {_PAGE}, bracket, OCO and OTO orders: day or gtc",
            "stop_loss_price": f"{_SPEC}, POST /v2/orders, stop_loss.limit_price",
        },
    ),
    replace=Replace(
        kind=ReplaceKind.NATIVE,
        types=frozenset({OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT}),
        atomic=False,
        tells_successor=True,
        sources={
            "kind": f"{_SPEC}, PATCH /v2/orders/{{order_id}}",
            "types": f"{_SPEC}, PatchOrderRequest: qty, limit_price, stop_price",
            "atomic": "alpacahq/alpaca API #165: an order that had traded in part was replaced with its whole quantity",
            "tells_successor": f"{_SPEC}, Order.replaced_by",
        },
    ),
    stream=Stream(
        heartbeat_s=10.0,
        sources={
            "heartbeat_s": "alpaca-py 0.44, trading/stream.py: it pings every 10 s, and we twice as often; RFC 6455: a ping is answered",
            "gapless": "https://docs.alpaca.markets/docs/websocket-streaming: updates carry no number",
        },
    ),
    sources={
        "times_in_force": f"{_SPEC}, OrderType and TimeInForce; inferred that stop orders rest for the day or until cancelled, no more",
        "client_ids": "see its own sources",
        "expiry": "see its own sources",
        "rate_limit": "see its own sources",
        "transaction_log": f"{_SPEC}: no numbered log of the account",
        "paper": f"{_SPEC}, server paper-api.alpaca.markets",
    },
)
