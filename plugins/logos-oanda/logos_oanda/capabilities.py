"""What OANDA v20 can do, each fact with its source."""

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

_SPEC = "OANDA v20 REST API 3.0.25"
_ALL = {
    OrderType.MARKET: (TimeInForce.FOK, TimeInForce.IOC),
    OrderType.LIMIT: (TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD, TimeInForce.IOC, TimeInForce.FOK),
    OrderType.STOP: (TimeInForce.GTC, TimeInForce.DAY, TimeInForce.GTD),
}

CAPABILITIES = Capabilities(
    times_in_force=_ALL,
    client_ids=IdProfile(
        field_name="clientExtensions.id",
        max_length=128,
        alphabet="[A-Za-z0-9_.-]",
        uniqueness=Uniqueness.OPEN,
        queryable=True,
        visibility_lag_s=2.0,
        history_days=None,
        account_history=True,
        sources={
            "field_name": f"{_SPEC}, ClientExtensions.id; not to be used on accounts linked to MT4, which `identify` refuses",
            "max_length": "oandapyV20 0.7.2, types.ClientID",
            "alphabet": "inferred: OANDA states none; what stands in a path is quoted here",
            "uniqueness": "oandapyV20 0.7.2, definitions: CLIENT_ORDER_ID_ALREADY_EXISTS is about another pending order",
            "queryable": f"{_SPEC}, OrderSpecifier '@' + id; undocumented for an order that has ended, so the log decides",
            "visibility_lag_s": "oanda-api-v20 #204: NO_SUCH_ORDER for 0.25 to 0.5 s after the order was acknowledged; times four",
            "history_days": "not stated by the venue",
            "account_history": f"{_SPEC}, GET /accounts/{{accountID}}/transactions/idrange",
        },
    ),
    expiry=Expiry(
        kind=ExpiryKind.NONE,
        window_s=None,
        sources={
            "kind": f"{_SPEC}: POST /accounts/{{accountID}}/orders has no deadline; GTD ends an order, not a request",
            "window_s": f"{_SPEC}: POST /accounts/{{accountID}}/orders has no deadline",
        },
    ),
    rate_limit=RateLimit(
        requests=100,
        period_s=1,
        sources={"requests": "OANDA developer pages, best practices, connection limits", "period_s": "the same page"},
    ),
    transaction_log=True,
    paper=True,
    positions=PositionView(
        kind=PositionKind.BY_SYMBOL,
        sources={
            "kind": f"{_SPEC}, Position.instrument, long.units and short.units",
            "symbols": f"{_SPEC}, OrderFillTransaction: units are traded whole; every charge is in the home currency",
        },
    ),
    features=Features(
        reduce_only=_ALL,
        linked={OrderClass.OTO: _ALL, OrderClass.BRACKET: _ALL},
        sources={
            "reduce_only": f"{_SPEC}, OrderPositionFill REDUCE_ONLY",
            "linked": f"{_SPEC}, takeProfitOnFill and stopLossOnFill of MarketOrderRequest, LimitOrderRequest and StopOrderRequest",
        },
    ),
    replace=Replace(
        kind=ReplaceKind.NATIVE,
        types=frozenset({OrderType.LIMIT, OrderType.STOP}),
        atomic=True,
        tells_successor=True,
        sources={
            "kind": f"{_SPEC}, PUT /accounts/{{accountID}}/orders/{{orderSpecifier}}: cancels and creates simultaneously",
            "types": f"{_SPEC}, the same: the new order is an OrderRequest of any type; a market order is never pending",
            "atomic": f"{_SPEC}, OrderState: an order that has traded is pending no longer; what it leaves is reissued under another id",
            "tells_successor": f"{_SPEC}, OrderCancelTransaction.replacedByOrderID",
        },
    ),
    stream=Stream(
        heartbeat_s=5.0,
        gapless=True,
        sources={
            "heartbeat_s": f"{_SPEC}, GET /accounts/{{accountID}}/transactions/stream: heartbeats are sent every 5 seconds",
            "gapless": f"{_SPEC}, the same: every transaction of the account; TransactionHeartbeat.lastTransactionID. "
            "That the ids have no gaps is checked wherever the log is read",
        },
    ),
    sources={
        "times_in_force": f"{_SPEC}, MarketOrderRequest, LimitOrderRequest and StopOrderRequest; DAY is OANDA's GFD; "
        "inferred that a stop order rests, no more",
        "client_ids": "see its own sources",
        "expiry": "see its own sources",
        "rate_limit": "see its own sources",
        "transaction_log": f"{_SPEC}, GET /accounts/{{accountID}}/transactions/sinceid; each reading checks that it has no gaps",
        "paper": "OANDA developer pages: fxTrade Practice at api-fxpractice.oanda.com",
    },
)
