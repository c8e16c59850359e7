"""What an error of ccxt on Binance proves.

Rules:

1. The verdict rests on the operation, the phase, the HTTP status and Binance's own code on record, never on ccxt's exception class:
   one class holds both refusals and unknown outcomes, and its choice depends on the host and on what was called before.
2. A refusal is believed only if it is on the list below, with its source, and came with HTTP 400 or 401. All else is UNKNOWN.
3. "Duplicate order sent." says that an order under our id is open. It is never a rejection.
4. 429 and 418 prove nothing about an order: no page of the venue says that they do.
5. ccxt's messages hold the signed URL, so they are never repeated.
"""

import json
import re
from typing import Any

from attrs import frozen

from logos_core.hookspecs import Category, Classification, Operation, Outcome, Phase
from logos_core.wire import Answer

_ERRORS = "Binance Spot API, page Errors"
_REQUEST = f"{_ERRORS}, 11xx: the request itself is wrong"
_BALANCE = r"Account has insufficient balance for requested action\."
_NOT_ALLOWED = (
    r"This action is disabled on this account\.",
    r"This account may not place or cancel orders\.",
    r"This symbol is (restricted|not permitted) for this account\.",
    r"Rest API trading is not enabled\.",
)
_AT_ONCE = (r"Order would immediately match and take\.", r"Order would trigger immediately\.")
"""Why a maker or a stop order is refused (`POST /api/v3/order`); both are also among the messages in ccxt 4.5.90, binance.py."""

DUPLICATE = "Duplicate order sent."
NO_SUCH_ORDER = -2013
CANCEL_REFUSED = -2011
HALF_DONE = frozenset({(409, -2021), (400, -2022)})
"""Binance Spot API, page Errors, -2021 and -2022: a cancelReplace failed in part, or wholly."""
LIMITED = frozenset({-1003, -1015})
REFUSAL_STATUSES = frozenset({400, 401})


@frozen
class Refusal:
    """One answer that proves that no order was accepted.

    Attributes:
        code: Binance's code.
        category: what kind of trouble it is.
        source: where it is known from.
        message: a regular expression for the whole message, where the code alone proves nothing.
    """

    code: int
    category: Category
    source: str
    message: str = r".*"


REFUSALS = (
    Refusal(-1013, Category.MARKET_CLOSED, f"{_ERRORS}, -1013: did not reach the matching engine", r"Market is closed\."),
    Refusal(-1013, Category.INVALID_ORDER, f"{_ERRORS}, -1013: did not reach the matching engine"),
    Refusal(-1021, Category.INVALID_ORDER, f"{_ERRORS}, -1021: outside of recvWindow, refused at the gateway"),
    Refusal(-1022, Category.AUTHENTICATION, f"{_ERRORS}, -1022: the signature is not valid"),
    Refusal(-1100, Category.INVALID_ORDER, f"{_REQUEST}, illegal characters"),
    Refusal(-1102, Category.INVALID_ORDER, f"{_REQUEST}, mandatory parameter missing"),
    Refusal(-1106, Category.INVALID_ORDER, f"{_REQUEST}, parameter sent when not required"),
    Refusal(-1111, Category.INVALID_ORDER, f"{_REQUEST}, too precise for the asset"),
    Refusal(-1115, Category.INVALID_ORDER, f"{_REQUEST}, timeInForce"),
    Refusal(-1116, Category.INVALID_ORDER, f"{_REQUEST}, type"),
    Refusal(-1117, Category.INVALID_ORDER, f"{_REQUEST}, side"),
    Refusal(-1121, Category.INVALID_ORDER, f"{_REQUEST}, symbol"),
    Refusal(-1130, Category.INVALID_ORDER, f"{_REQUEST}, invalid data in a parameter"),
    Refusal(-1131, Category.INVALID_ORDER, f"{_REQUEST}, recvWindow above 60000"),
    Refusal(-2010, Category.INSUFFICIENT_FUNDS, f"{_ERRORS}, messages of -2010", _BALANCE),
    Refusal(-2010, Category.MARKET_CLOSED, f"{_ERRORS}, messages of -2010", r"Market is closed\."),
    *(Refusal(-2010, Category.AUTHENTICATION, f"{_ERRORS}, messages of -2010", text) for text in _NOT_ALLOWED),
    Refusal(-2010, Category.INVALID_ORDER, f"{_ERRORS}, messages of -2010", r"Price \* QTY is zero or less\."),
    *(Refusal(-2010, Category.INVALID_ORDER, f"{_ERRORS}, messages of -2010", text) for text in _AT_ONCE),
    Refusal(-2010, Category.INVALID_ORDER, "ccxt 4.5.90, binance.py quotes it", r"Filter failure: MAX_POSITION"),
    Refusal(-2014, Category.AUTHENTICATION, f"{_ERRORS}, -2014: format of the key"),
    Refusal(-2015, Category.AUTHENTICATION, f"{_ERRORS}, -2015: key, address or permissions"),
)


def classify(error: Exception, operation: Operation, phase: Phase, answer: Answer | None) -> Classification:
    """Return what an error proves, given how far the operation got and what was answered."""
    if phase is Phase.NOTHING_SENT:
        return Classification(outcome=Outcome.NOT_SENT, category=_silence(error), venue_message=_name(error))
    if phase is Phase.SENT or answer is None:
        return Classification(outcome=Outcome.UNKNOWN, category=_silence(error), venue_message=_name(error))
    code, message = said(answer) or (None, "")
    if operation is Operation.REPLACE and (answer.status, code) in HALF_DONE:
        outcome, category = _half_done(answer)
    else:
        outcome, category = _verdict(operation, answer.status, code, message)
    return Classification(
        outcome=outcome,
        category=category,
        venue_code=str(code) if code is not None else f"HTTP {answer.status}",
        venue_message=message or _name(error),
        retry_after_s=_retry_after_s(answer),
    )


def _half_done(answer: Answer) -> tuple[Outcome, Category]:
    """Return what a failed cancelReplace proves of its new order; the old one's end is for a lookup to tell.

    With STOP_ON_FAILURE, a cancel that failed means that there was nothing to replace, and that the new order was not attempted. One
    that succeeded leaves the new order's own refusal, which is read like any other.
    """
    body = json.loads(answer.body)
    data = body.get("data")
    if not isinstance(data, dict):
        return Outcome.UNKNOWN, Category.UNLISTED
    if data.get("cancelResult") == "FAILURE" and data.get("newOrderResult") == "NOT_ATTEMPTED":
        return Outcome.ABSENT, Category.NOT_FOUND
    new = data.get("newOrderResponse")
    if data.get("cancelResult") != "SUCCESS" or data.get("newOrderResult") != "FAILURE" or not isinstance(new, dict):
        return Outcome.UNKNOWN, Category.UNLISTED
    code, message = new.get("code"), new.get("msg")
    if type(code) is not int or not isinstance(message, str):
        return Outcome.UNKNOWN, Category.UNLISTED
    return _refusal(Operation.SUBMIT, code, message)


def _verdict(operation: Operation, status: int, code: int | None, message: str) -> tuple[Outcome, Category]:
    if status in REFUSAL_STATUSES and code is not None:
        outcome, category = _refusal(operation, code, message)
        if category is not Category.UNLISTED:
            return outcome, category
    if status in {418, 429} or code in LIMITED:
        return Outcome.UNKNOWN, Category.RATE_LIMITED
    if status >= 500:
        return Outcome.UNKNOWN, Category.VENUE_DOWN
    return Outcome.UNKNOWN, Category.BAD_ANSWER if code is None else Category.UNLISTED


def _refusal(operation: Operation, code: int, message: str) -> tuple[Outcome, Category]:
    """Return what one of the venue's codes proves. Only an answer to a submit or a cancel refuses an order or a cancel."""
    moves = operation in {Operation.SUBMIT, Operation.REPLACE, Operation.CANCEL}
    if code == -2010 and message == DUPLICATE:
        return (Outcome.DUPLICATE if operation is Operation.SUBMIT else Outcome.UNKNOWN), Category.DUPLICATE
    if operation is Operation.CANCEL and code == CANCEL_REFUSED:
        return Outcome.REJECTED, Category.NOT_FOUND
    if operation is Operation.LOOKUP and code == NO_SUCH_ORDER:
        return Outcome.ABSENT, Category.NOT_FOUND
    for refusal in REFUSALS:
        if refusal.code == code and re.fullmatch(refusal.message, message, re.DOTALL):
            return (Outcome.REJECTED if moves else Outcome.UNKNOWN), refusal.category
    return Outcome.UNKNOWN, Category.UNLISTED


def said(answer: Answer) -> tuple[int, str] | None:
    """Return code and message of Binance's JSON error, or None for anything else."""
    try:
        body: Any = json.loads(answer.body)
    except ValueError:
        return None
    if not isinstance(body, dict) or type(body.get("code")) is not int or not isinstance(body.get("msg"), str):
        return None
    return body["code"], body["msg"]


def _retry_after_s(answer: Answer) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


def _silence(error: Exception) -> Category:
    if _ours(error):
        return Category.PROGRAM
    return Category.TIMEOUT if "timeout" in type(error).__name__.lower() else Category.NETWORK


def _name(error: Exception) -> str:
    """Return the error's class, its cause's class, and the text only where it is our own."""
    cause = f" from {type(error.__cause__).__name__}" if error.__cause__ else ""
    text = f": {error}" if _ours(error) else ""
    return f"{type(error).__name__}{cause}{text}"[:300]


def _ours(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in {"logos_core", "logos_ccxt"}
