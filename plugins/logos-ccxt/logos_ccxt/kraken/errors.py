"""What an error of ccxt on Kraken proves.

Rules:

1. Kraken answers HTTP 200 and tells errors in a list. Any other status means that the request had trouble to reach Kraken, or its
   answer to reach us, so it proves nothing.
2. A refusal is believed only if every error of the answer is on the list below, with its source, and no result came with them.
3. "EAPI:Invalid nonce" is never a refusal of an order: it is what the second copy of a request gets that was delivered twice.
4. "EService:Deadline elapsed" and "EService:Timeout" say that somebody stopped waiting. What the engine did before, they do not say.
5. An error that speaks of the client order id may mean that an order under it is open. It is never a refusal either.
6. Rate limits prove nothing: no page of the venue says that they do.
7. ccxt's exception classes are not looked at, and its messages are not repeated.
"""

import json
import re
from typing import Any

from attrs import frozen

from logos_ccxt.trouble import name, retry_after_s, silence
from logos_core.hookspecs import Category, Classification, Operation, Outcome, Phase
from logos_core.wire import Answer

_PAGE = "docs.kraken.com, guides/spot-errors"
_MARGIN = f"{_PAGE}: not eligible, or not able, to trade on margin"
_NOT_ABOUT_AN_ID = r"(?!.*(?:cl_?ord|client|duplicate|userref))"

UNKNOWN_ORDER = ("EOrder:Unknown order",)
LIMITED = re.compile(r"(?i)E\w+: ?(.*rate limit exceeded|too many requests|temporary lockout|throttled.*)")
WAITED = re.compile(r"EService: ?(Deadline elapsed|Timeout)")
DOWN = re.compile(r"(EService|EDatabase): ?.*|EGeneral: ?Internal error.*")
AGAIN = re.compile(r"EAPI: ?Invalid nonce|(?i:.*(cl_?ord|client order|duplicate).*)")


@frozen
class Refusal:
    """One error that proves that no order was accepted.

    Attributes:
        error: a regular expression for the whole error.
        category: what kind of trouble it is.
        source: where it is known from.
    """

    error: str
    category: Category
    source: str


REFUSALS = (
    Refusal("EAPI:Invalid key", Category.AUTHENTICATION, f"{_PAGE}: an invalid API-Key header"),
    Refusal("EAPI:Invalid signature", Category.AUTHENTICATION, f"{_PAGE}: an invalid API-Sign header"),
    Refusal("EGeneral:Permission denied", Category.AUTHENTICATION, f"{_PAGE}: the key may not do this"),
    Refusal(f"EGeneral: ?Invalid arguments(:{_NOT_ABOUT_AN_ID}.*)?", Category.INVALID_ORDER, f"{_PAGE}: malformed or ambiguous"),
    Refusal("EQuery:(Unknown|Invalid) asset pair", Category.INVALID_ORDER, "support.kraken.com, API error messages; ccxt 4.5.90"),
    Refusal("EService:Market in (cancel_only|post_only) mode", Category.MARKET_CLOSED, f"{_PAGE}: cannot be made at this time"),
    Refusal("EOrder:Insufficient funds", Category.INSUFFICIENT_FUNDS, f"{_PAGE}: not the necessary funds"),
    Refusal("EOrder:Order minimum not met", Category.INVALID_ORDER, f"{_PAGE}: below ordermin"),
    Refusal("EOrder:Cost minimum not met", Category.INVALID_ORDER, f"{_PAGE}: below costmin"),
    Refusal("EOrder:Tick size check failed", Category.INVALID_ORDER, f"{_PAGE}: no multiple of tick_size"),
    Refusal("EOrder:Invalid price(:.*)?", Category.INVALID_ORDER, f"{_PAGE}; ccxt 4.5.90, kraken.py"),
    Refusal("EOrder:Orders limit exceeded", Category.INVALID_ORDER, f"{_PAGE}: too many open orders"),
    Refusal("EOrder:Post only order", Category.INVALID_ORDER, "third-party statements: a post-only order that would trade"),
    Refusal("EOrder:Cannot open (opposing )?position", Category.INVALID_ORDER, _MARGIN),
    Refusal("EOrder:Margin (allowance exceeded|level too low|position size exceeded)", Category.INVALID_ORDER, _MARGIN),
    Refusal("EOrder:Insufficient margin", Category.INVALID_ORDER, _MARGIN),
)


def classify(error: Exception, operation: Operation, phase: Phase, answer: Answer | None) -> Classification:
    """Return what an error proves, given how far the operation got and what was answered."""
    if phase is Phase.NOTHING_SENT:
        return Classification(outcome=Outcome.NOT_SENT, category=silence(error), venue_message=name(error))
    if phase is Phase.SENT or answer is None:
        return Classification(outcome=Outcome.UNKNOWN, category=silence(error), venue_message=name(error))
    errors = said(answer)
    outcome, category = _verdict(operation, answer.status, errors)
    return Classification(
        outcome=outcome,
        category=category,
        venue_code=errors[0] if errors else f"HTTP {answer.status}",
        venue_message="; ".join(errors) or name(error),
        retry_after_s=retry_after_s(answer),
    )


def _verdict(operation: Operation, status: int, errors: tuple[str, ...]) -> tuple[Outcome, Category]:
    if status == 429:
        return Outcome.UNKNOWN, Category.RATE_LIMITED
    if status >= 500:
        return Outcome.UNKNOWN, Category.VENUE_DOWN
    if status != 200 or not errors:
        return Outcome.UNKNOWN, Category.BAD_ANSWER
    if operation is Operation.CANCEL and errors == UNKNOWN_ORDER:
        return Outcome.REJECTED, Category.NOT_FOUND
    listed = [_listed(word) for word in errors]
    if listed[0] is not None and None not in listed:
        moves = operation in {Operation.SUBMIT, Operation.CANCEL}
        return (Outcome.REJECTED if moves else Outcome.UNKNOWN), listed[0].category
    return Outcome.UNKNOWN, _kind(errors)


def _listed(word: str) -> Refusal | None:
    return next((refusal for refusal in REFUSALS if re.fullmatch(refusal.error, word)), None)


def _kind(errors: tuple[str, ...]) -> Category:
    """Return what kind of trouble it is that proves nothing."""
    kinds = (
        (AGAIN, Category.DUPLICATE),
        (LIMITED, Category.RATE_LIMITED),
        (WAITED, Category.TIMEOUT),
        (DOWN, Category.VENUE_DOWN),
    )
    for pattern, category in kinds:
        if any(pattern.fullmatch(word) for word in errors):
            return category
    return Category.UNLISTED


def said(answer: Answer) -> tuple[str, ...]:
    """Return the errors of Kraken's JSON; none for anything else, and none where a result came with them."""
    try:
        body: Any = json.loads(answer.body)
    except ValueError:
        return ()
    errors = body.get("error") if isinstance(body, dict) else None
    if not isinstance(errors, list) or not all(isinstance(word, str) for word in errors) or body.get("result"):
        return ()
    return tuple(errors)
