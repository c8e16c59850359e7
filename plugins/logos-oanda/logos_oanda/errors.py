"""What an error of oandapyV20 proves.

Rules:

1. The verdict rests on the operation, the phase and the HTTP answer on record, never on the SDK's exception class: `V20Error`
   keeps no headers, an answer of an unexpected status is a bare ValueError, and a page that is not UTF-8 a UnicodeDecodeError.
2. A refused order is believed only if the answer carries OANDA's own reject transaction with a reason on the list below, or says
   which field of the order could not be read. Reasons that are not listed, INTERNAL_SERVER_ERROR among them, are UNKNOWN, and
   the account's log tells.
3. CLIENT_ORDER_ID_ALREADY_EXISTS says that an order under our id is pending. It is never a rejection.
4. A body that is not OANDA's JSON (a proxy's page) proves nothing, whatever its status.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from logos_core.hookspecs import Category, Classification, Operation, Outcome, Phase
from logos_core.wire import Answer

DUPLICATE = "CLIENT_ORDER_ID_ALREADY_EXISTS"

_SPEC = "OANDA v20 REST API 3.0.25"
_REASON = f"{_SPEC}, TransactionRejectReason"


@frozen
class Refusal:
    """One answer to an order that proves that none was accepted.

    Attributes:
        reason: the reject reason in the reject transaction.
        category: what kind of trouble it is.
        source: where it is known from.
    """

    reason: str
    category: Category
    source: str


REFUSALS = (
    Refusal("ACCOUNT_NOT_ACTIVE", Category.AUTHENTICATION, _REASON),
    Refusal("ACCOUNT_LOCKED", Category.AUTHENTICATION, _REASON),
    Refusal("ACCOUNT_ORDER_CREATION_LOCKED", Category.AUTHENTICATION, _REASON),
    Refusal("INSUFFICIENT_MARGIN", Category.INSUFFICIENT_FUNDS, _REASON),
    Refusal("INSTRUMENT_NOT_TRADEABLE", Category.MARKET_CLOSED, _REASON),
    Refusal("INSTRUMENT_PRICE_UNKNOWN", Category.MARKET_CLOSED, _REASON),
    Refusal("PENDING_ORDERS_ALLOWED_EXCEEDED", Category.INVALID_ORDER, _REASON),
    Refusal("INSTRUMENT_MISSING", Category.INVALID_ORDER, _REASON),
    Refusal("INSTRUMENT_UNKNOWN", Category.INVALID_ORDER, _REASON),
    Refusal("UNITS_MISSING", Category.INVALID_ORDER, _REASON),
    Refusal("UNITS_INVALID", Category.INVALID_ORDER, f"{_REASON}; recorded in oanda-api-v20 #187"),
    Refusal("UNITS_PRECISION_EXCEEDED", Category.INVALID_ORDER, _REASON),
    Refusal("UNITS_LIMIT_EXCEEDED", Category.INVALID_ORDER, _REASON),
    Refusal("UNITS_MIMIMUM_NOT_MET", Category.INVALID_ORDER, f"{_REASON}, misspelt there"),
    Refusal("UNITS_MINIMUM_NOT_MET", Category.INVALID_ORDER, "inferred: the same, should OANDA ever mend the spelling"),
    Refusal("PRICE_MISSING", Category.INVALID_ORDER, _REASON),
    Refusal("PRICE_INVALID", Category.INVALID_ORDER, _REASON),
    Refusal("PRICE_PRECISION_EXCEEDED", Category.INVALID_ORDER, _REASON),
    Refusal("TIME_IN_FORCE_MISSING", Category.INVALID_ORDER, _REASON),
    Refusal("TIME_IN_FORCE_INVALID", Category.INVALID_ORDER, _REASON),
    Refusal("CLIENT_ORDER_ID_INVALID", Category.INVALID_ORDER, _REASON),
    Refusal("ORDER_FILL_POSITION_ACTION_MISSING", Category.INVALID_ORDER, _REASON),
    Refusal("ORDER_FILL_POSITION_ACTION_INVALID", Category.INVALID_ORDER, _REASON),
)

UNREADABLE = re.compile(r"Invalid value specified for 'order(\.[A-Za-z.]+)?'")
"""The 400 to an order that was not even read, without code or transaction; recorded in the documentation of oanda-api-v20."""

NOT_AUTHORISED = {
    401: f"{_SPEC}, response 401: the token is invalid or missing",
    403: f"{_SPEC}, response 403: the token does not authorise the action",
}
"""The statuses that refuse the token before an order is looked at, with their sources."""

NO_SUCH_ORDER = {
    "NO_SUCH_ORDER": "recorded in oanda-api-v20 #204, GET of an order",
    "ORDER_DOESNT_EXIST": f"{_REASON}; of a cancel, it means that no such order is pending",
}
"""The codes of a 404 about one order, with their sources."""

CREATED = frozenset({"orderCreateTransaction", "orderFillTransaction", "orderReissueTransaction"})
"""What cannot stand beside a reject; an answer that has both contradicts itself."""

_CATEGORIES = {refusal.reason: refusal.category for refusal in REFUSALS}


def classify(
    error: Exception, operation: Operation, phase: Phase, answer: Answer | None, about: str | None = None
) -> Classification:
    """Return what an error proves, given how far the operation got and what was answered.

    Args:
        about: the client order id that was sent; a reject of another order proves nothing about it.
    """
    if phase is Phase.NOTHING_SENT:
        return Classification(outcome=Outcome.NOT_SENT, category=_silence(error), venue_message=_name(error))
    if phase is Phase.SENT or answer is None:
        return Classification(outcome=Outcome.UNKNOWN, category=_silence(error), venue_message=_name(error))
    body = said(answer)
    outcome, category = _verdict(operation, answer.status, body)
    if outcome is Outcome.REJECTED and about is not None and body is not None and _is_anothers(body, about):
        outcome, category = Outcome.UNKNOWN, Category.BAD_ANSWER
    return Classification(
        outcome=outcome,
        category=category,
        venue_code=(body and code_of(body)) or f"HTTP {answer.status}",
        venue_message=(body and body["errorMessage"]) or _name(error),
        retry_after_s=_retry_after_s(answer),
    )


def _verdict(operation: Operation, status: int, body: Mapping[str, Any] | None) -> tuple[Outcome, Category]:
    if body is not None and status in NOT_AUTHORISED:
        return Outcome.REJECTED, Category.AUTHENTICATION
    if body is not None and status in {400, 404}:
        if operation is Operation.REPLACE and status == 404:
            return _not_there(body)
        return _refusal(status, body) if operation in {Operation.SUBMIT, Operation.REPLACE} else _question(status, body)
    if status == 429:
        return Outcome.UNKNOWN, Category.RATE_LIMITED
    if status >= 500:
        return Outcome.UNKNOWN, Category.VENUE_DOWN
    return Outcome.UNKNOWN, Category.UNLISTED if body is not None else Category.BAD_ANSWER


def _refusal(status: int, body: Mapping[str, Any]) -> tuple[Outcome, Category]:
    code, reason = body.get("errorCode"), _reject_reason(body)
    if DUPLICATE in {code, reason}:
        return Outcome.DUPLICATE, Category.DUPLICATE
    if reason == "INTERNAL_SERVER_ERROR":
        return Outcome.UNKNOWN, Category.VENUE_DOWN
    if reason in _CATEGORIES and code in {None, reason} and not set(body) & CREATED:
        return Outcome.REJECTED, _CATEGORIES[reason]
    if status == 400 and set(body) == {"errorMessage"} and UNREADABLE.fullmatch(body["errorMessage"]):
        return Outcome.REJECTED, Category.INVALID_ORDER
    return Outcome.UNKNOWN, Category.UNLISTED


def _not_there(body: Mapping[str, Any]) -> tuple[Outcome, Category]:
    """Return what a 404 to a replacement says: there was nothing to replace.

    Specification, PUT /accounts/{accountID}/orders/{orderSpecifier}, response 404 with orderCancelRejectTransaction.
    """
    if "orderCancelRejectTransaction" in body and code_of(body) in NO_SUCH_ORDER and not set(body) & CREATED:
        return Outcome.ABSENT, Category.NOT_FOUND
    return Outcome.UNKNOWN, Category.UNLISTED


def _is_anothers(body: Mapping[str, Any], about: str) -> bool:
    """Say whether a reject transaction is there and does not carry the id that was sent."""
    transaction = body.get("orderRejectTransaction")
    if not isinstance(transaction, dict):
        return False
    extensions = transaction.get("clientExtensions")
    return not isinstance(extensions, dict) or extensions.get("id") != about


def _question(status: int, body: Mapping[str, Any]) -> tuple[Outcome, Category]:
    if status == 404 and code_of(body) in NO_SUCH_ORDER:
        return Outcome.ABSENT, Category.NOT_FOUND
    return Outcome.UNKNOWN, Category.UNLISTED


def said(answer: Answer) -> Mapping[str, Any] | None:
    """Return OANDA's JSON error, or None for anything else."""
    try:
        body: Any = json.loads(answer.body)
    except ValueError:
        return None
    return body if isinstance(body, dict) and isinstance(body.get("errorMessage"), str) else None


def code_of(body: Mapping[str, Any]) -> str | None:
    """Return the venue's own code, if the answer carries one; OANDA leaves it out of some."""
    code = body.get("errorCode") or _reject_reason(body)
    return code if isinstance(code, str) else None


def _reject_reason(body: Mapping[str, Any]) -> str | None:
    for name in ("orderRejectTransaction", "orderCancelRejectTransaction"):
        transaction = body.get(name)
        if isinstance(transaction, dict) and isinstance(transaction.get("rejectReason"), str):
            return str(transaction["rejectReason"])
    return None


def _retry_after_s(answer: Answer) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdigit() else None


def _silence(error: Exception) -> Category:
    return Category.TIMEOUT if "timeout" in type(error).__name__.lower() else Category.NETWORK


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
