"""Which document speaks for which venue, which of its operations are ours, and what it says in prose only."""

from collections.abc import Callable

from attrs import frozen

from tools.spec_check.documents import Json, narrowed_by_type, replaced


@frozen(kw_only=True)
class Documented:
    """A venue and its document.

    Attributes:
        venue: the venue, with its variant.
        file: what the document is called in the folder that is given.
        title: what it is.
        source: where it is published.
        operations: every operation that the adapter uses, as the document spells it. All of them must be seen in the traffic, and
            no other.
        statuses: the errors that are answered to each kind of request, beside those that come of themselves.
        page: how many rows the venue lists at most at once.
        narrow: says to the validator what the document says in prose only.
        form_is_query: the venue takes parameters in a form as well as in the query.
        keyless: the kinds of request that need no key, so that 401 is no answer to them.
    """

    venue: str
    file: str
    title: str
    source: str
    operations: tuple[str, ...]
    statuses: tuple[int, ...]
    page: int
    narrow: Callable[[Json], Json] = lambda document: document
    form_is_query: bool = False
    keyless: tuple[str, ...] = ()


def _alpaca(document: Json) -> Json:
    """Let the activities of a type be of that type: the description of the answer says that the type in the path decides."""
    fills = "/v2/account/activities/{activity_type}"
    place = ("paths", fills, "get", "responses", "200", "content", "application/json", "schema", "items")
    return replaced(document, place, {"$ref": "#/components/schemas/TradingActivities"})


def _binance(document: Json) -> Json:
    """Let the answer to an order be the full one: the adapter asks for it with `newOrderRespType`, whose description says so."""
    place = ("paths", "/api/v3/order", "post", "responses", "200", "content", "application/json", "schema")
    return replaced(document, place, {"$ref": "#/components/schemas/orderResponseFull"})


def _oanda(document: Json) -> Json:
    """Let the type decide: the description of each base says that the others extend it."""
    return narrowed_by_type(document, ("Order", "OrderRequest", "Transaction"))


DOCUMENTED = (
    Documented(
        venue="alpaca",
        file="alpaca-trading.json",
        title="Alpaca Trading API 2.0.1, OpenAPI 3.0",
        source="github.com/alpacahq/alpaca-mcp-server, src/alpaca_mcp_server/specs/trading-api.json",
        operations=(
            "GET /v2/account",
            "GET /v2/account/activities/{activity_type}",
            "GET /v2/assets/{symbol_or_asset_id}",
            "GET /v2/orders",
            "GET /v2/orders:by_client_order_id",
            "GET /v2/positions",
            "GET /v2/orders/{order_id}",
            "POST /v2/orders",
            "PATCH /v2/orders/{order_id}",
            "DELETE /v2/orders/{order_id}",
        ),
        statuses=(401, 403, 429, 500),
        page=500,
        narrow=_alpaca,
    ),
    Documented(
        venue="ccxt:binance",
        file="binance-spot.yaml",
        title="Binance Public Spot API 1.0, OpenAPI 3.0",
        source="github.com/binance/binance-api-swagger, spot_api.yaml",
        operations=(
            "GET /api/v3/account",
            "GET /api/v3/allOrders",
            "GET /api/v3/exchangeInfo",
            "GET /api/v3/myTrades",
            "GET /api/v3/openOrders",
            "GET /api/v3/order",
            "GET /api/v3/time",
            "POST /api/v3/order",
            "POST /api/v3/order/cancelReplace",
            "DELETE /api/v3/order",
        ),
        statuses=(401, 403, 418, 429, 503, 504),
        page=1000,
        narrow=_binance,
        form_is_query=True,
        keyless=("instrument",),
    ),
    Documented(
        venue="oanda",
        file="oanda-v20.json",
        title="OANDA v20 REST API 3.0.25, OpenAPI 2.0",
        source="github.com/oanda/v20-openapi, json/v20.json",
        operations=(
            "GET /accounts",
            "GET /accounts/{accountID}/instruments",
            "GET /accounts/{accountID}/openPositions",
            "GET /accounts/{accountID}/orders/{orderSpecifier}",
            "GET /accounts/{accountID}/pendingOrders",
            "GET /accounts/{accountID}/summary",
            "GET /accounts/{accountID}/transactions/idrange",
            "GET /accounts/{accountID}/transactions/sinceid",
            "GET /accounts/{accountID}/transactions/{transactionID}",
            "POST /accounts/{accountID}/orders",
            "PUT /accounts/{accountID}/orders/{orderSpecifier}",
            "PUT /accounts/{accountID}/orders/{orderSpecifier}/cancel",
        ),
        statuses=(401, 403, 429, 503),
        page=1000,
        narrow=_oanda,
    ),
)
