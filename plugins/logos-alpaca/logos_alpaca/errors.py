"""What an error of alpaca-py proves.

Rules:

1. The verdict rests on the operation, the phase and the HTTP answer on record, never on the SDK's exception class: `APIError`
   reads its own body lazily and raises while doing so, and transport errors come as bare requests exceptions.
2. A refusal is believed only if it is on the list below, with its source. Everything else is UNKNOWN.
3. 422 about the client_order_id says that the order exists, whatever the exact wording. It is never a rejection.
4. A body that is not the API's own JSON (a proxy's page) proves nothing, whatever its status.
"""

import json
import re
from typing import Any

from attrs import frozen

from logos_core.hookspecs import Category, Classification, Operation, Outcome, Phase
from logos_core.wire import Answer

_ABOUT_OUR_ID = re.compile(r"client.?order.?id", re.IGNORECASE)
_SPEC = "Alpaca Trading API 2.0.1, POST /v2/orders"
_NOT_FOUND = 40410000


@frozen
class Refusal:
    """One answer to an order that proves that none was accepted.

    Attributes:
        status: the HTTP status.
        code: the code in the body; None for a body without one.
        category: what kind of trouble it is.
        source: where it is known from.
    """

    status: int
    code: int | None
    category: Category
    source: str


REFUSALS = (
    Refusal(401, None, Category.AUTHENTICATION, "recorded: {'message': 'unauthorized.'} without a code"),
    Refusal(403, None, Category.AUTHENTICATION, f"{_SPEC}, 403 forbidden; recorded without a code"),
    Refusal(403, 40310000, Category.INSUFFICIENT_FUNDS, f"{_SPEC}, 403 buying power or shares not sufficient; recorded"),
    Refusal(403, 40310100, Category.INVALID_ORDER, "third-party statement: pattern day trading protection"),
    Refusal(422, 40010001, Category.INVALID_ORDER, f"{_SPEC}, 422 input parameters not recognised; recorded"),
    Refusal(422, 42210000, Category.INVALID_ORDER, f"{_SPEC}, 422 input parameters not recognised; recorded"),
)


def classify(error: Exception, operation: Operation, phase: Phase, answer: Answer | None) -> Classification:
    """Return what an error proves, given how far the operation got and what was answered."""
    if phase is Phase.NOTHING_SENT:
        return Classification(outcome=Outcome.NOT_SENT, category=Category.NETWORK, venue_message=_name(error))
    if phase is Phase.SENT or answer is None:
        return Classification(outcome=Outcome.UNKNOWN, category=_silence(error), venue_message=_name(error))
    said = _said(answer)
    code, message = said or (None, "")
    if said is None and answer.status < 500 and answer.status != 429:
        outcome, category = Outcome.UNKNOWN, Category.BAD_ANSWER
    else:
        outcome, category = _verdict(operation, answer.status, code, message)
    return Classification(
        outcome=outcome,
        category=category,
        venue_code=str(code) if code is not None else f"HTTP {answer.status}",
        venue_message=message or _name(error),
        retry_after_s=_retry_after_s(answer),
    )


def _verdict(operation: Operation, status: int, code: int | None, message: str) -> tuple[Outcome, Category]:
    if status == 422 and _ABOUT_OUR_ID.search(message):
        return Outcome.DUPLICATE, Category.DUPLICATE
    if (status, code) == (404, _NOT_FOUND) and operation is not Operation.SUBMIT:
        return Outcome.ABSENT, Category.NOT_FOUND
    for refusal in REFUSALS:
        if (refusal.status, refusal.code) == (status, code):
            if operation is Operation.REPLACE and status == 422:  # "no longer replaceable" bears the same codes as a wrong number
                return Outcome.ABSENT, Category.NOT_FOUND
            return Outcome.REJECTED, refusal.category
    if operation is Operation.CANCEL and status == 422:
        return Outcome.REJECTED, Category.INVALID_ORDER
    if status == 429:
        return Outcome.UNKNOWN, Category.RATE_LIMITED
    if status >= 500:
        return Outcome.UNKNOWN, Category.VENUE_DOWN
    return Outcome.UNKNOWN, Category.BAD_ANSWER if status < 400 else Category.UNLISTED


def is_absent(answer: Answer) -> bool:
    """Say whether the API itself, not something in front of it, answered that there is no such order or asset."""
    said = _said(answer)
    return answer.status == 404 and said is not None and said[0] == _NOT_FOUND


def _said(answer: Answer) -> tuple[int | None, str] | None:
    """Return code and message of the API's JSON error, or None for anything else."""
    try:
        body: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not isinstance(body.get("message"), str):
        return None
    code = body.get("code")
    if code is not None and type(code) is not int:
        return None  # not the same as a body without a code, which is believed for 401 and 403
    return code, body["message"]


def _retry_after_s(answer: Answer) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else None


def _silence(error: Exception) -> Category:
    return Category.TIMEOUT if "timeout" in type(error).__name__.lower() else Category.NETWORK


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]
