"""What each answer proves, walked over the list, over what looks like it, and over the SDK's exceptions."""

import json
import re

import ccxt
import pytest

from logos_ccxt.kraken.errors import REFUSALS, classify
from logos_core.hookspecs import BadAnswerError, Category, Operation, Outcome, Phase
from logos_core.wire import Answer

LISTED = [
    "EAPI:Invalid key",
    "EAPI:Invalid signature",
    "EGeneral:Permission denied",
    "EGeneral:Invalid arguments",
    "EGeneral:Invalid arguments:ordertype",
    "EGeneral: Invalid arguments:deadline",
    "EQuery:Unknown asset pair",
    "EService:Market in cancel_only mode",
    "EService:Market in post_only mode",
    "EOrder:Insufficient funds",
    "EOrder:Order minimum not met",
    "EOrder:Cost minimum not met",
    "EOrder:Tick size check failed",
    "EOrder:Invalid price",
    "EOrder:Invalid price:Invalid price argument",
    "EOrder:Orders limit exceeded",
    "EOrder:Post only order",
    "EOrder:Cannot open opposing position",
    "EOrder:Margin level too low",
    "EOrder:Insufficient margin",
]
UNPROVEN = {
    "EAPI:Invalid nonce": Category.DUPLICATE,
    "EOrder:Duplicate client order id": Category.DUPLICATE,
    "EGeneral:Invalid arguments:cl_ord_id already in use": Category.DUPLICATE,
    "EGeneral:Invalid arguments:cl_ord_id": Category.DUPLICATE,
    "EService:Deadline elapsed": Category.TIMEOUT,
    "EService:Timeout": Category.TIMEOUT,
    "EService:Unavailable": Category.VENUE_DOWN,
    "EService:Busy": Category.VENUE_DOWN,
    "EGeneral:Internal error": Category.VENUE_DOWN,
    "EGeneral:Internal error:17": Category.VENUE_DOWN,
    "EDatabase:Internal error": Category.VENUE_DOWN,
    "EAPI:Rate limit exceeded": Category.RATE_LIMITED,
    "EOrder:Rate limit exceeded": Category.RATE_LIMITED,
    "EOrder:Domain rate limit exceeded": Category.RATE_LIMITED,
    "EGeneral:Too many requests": Category.RATE_LIMITED,
    "EGeneral:Temporary lockout": Category.RATE_LIMITED,
    "EService: Throttled: 1700000000": Category.RATE_LIMITED,
    "EOrder:Unknown order": Category.UNLISTED,
    "EOrder:Something new": Category.UNLISTED,
    "WOrder:Insufficient funds": Category.UNLISTED,
    "eorder:insufficient funds": Category.UNLISTED,
    "EOrder:Insufficient funds. Maybe": Category.UNLISTED,
}


def said(*errors, status=200, **more):
    return Answer(status=status, headers={}, body=json.dumps({"error": list(errors), **more}))


def judge(answer, operation=Operation.SUBMIT, error=None, phase=Phase.ANSWERED):
    return classify(error or ccxt.ExchangeError("kraken"), operation, phase, answer)


def test_every_refusal_on_the_list_has_an_example_and_a_source():
    unused = [refusal.error for refusal in REFUSALS if not any(re.fullmatch(refusal.error, word) for word in LISTED)]

    assert [] == unused
    assert all(refusal.source for refusal in REFUSALS)


@pytest.mark.parametrize("word", LISTED)
def test_a_listed_refusal_is_a_rejection_with_http_200_only(word):
    rejected = {status for status in range(200, 600) if judge(said(word, status=status)).outcome is Outcome.REJECTED}
    verdict = judge(said(word))

    assert {200} == rejected
    assert (word, word) == (verdict.venue_code, verdict.venue_message)
    assert Outcome.UNKNOWN is judge(said(word), Operation.LOOKUP).outcome


@pytest.mark.parametrize(("word", "category"), UNPROVEN.items())
def test_what_looks_final_and_is_not(word, category):
    verdict = judge(said(word))

    assert (Outcome.UNKNOWN, category) == (verdict.outcome, verdict.category)


def test_one_unlisted_error_beside_a_listed_one_makes_it_unknown():
    assert Outcome.REJECTED is judge(said("EOrder:Insufficient funds", "EOrder:Cost minimum not met")).outcome
    assert Outcome.UNKNOWN is judge(said("EOrder:Insufficient funds", "EService:Timeout")).outcome
    assert Outcome.UNKNOWN is judge(said("EService:Timeout", "EOrder:Insufficient funds")).outcome


def test_a_refusal_that_comes_with_an_order_is_none():
    assert Outcome.UNKNOWN is judge(said("EOrder:Insufficient funds", result={"txid": ["O1"]})).outcome
    assert Outcome.REJECTED is judge(said("EOrder:Insufficient funds", result={})).outcome


def test_a_cancel_of_an_order_that_is_not_open_is_refused():
    verdict = judge(said("EOrder:Unknown order"), Operation.CANCEL)

    assert (Outcome.REJECTED, Category.NOT_FOUND) == (verdict.outcome, verdict.category)


@pytest.mark.parametrize("body", ["", "null", "[]", "<html>EOrder</html>", '{"error":"x"}', '{"error":[1]}', '{"error":[]}', "{}"])
def test_a_body_without_the_venues_errors_proves_nothing(body):
    verdict = judge(Answer(status=200, headers={}, body=body))

    assert (Outcome.UNKNOWN, Category.BAD_ANSWER, "HTTP 200") == (verdict.outcome, verdict.category, verdict.venue_code)


def test_a_429_is_unknown_with_its_advice():
    verdict = judge(Answer(status=429, headers={"retry-after": "7"}, body="<html></html>"))

    assert (Outcome.UNKNOWN, Category.RATE_LIMITED, 7.0) == (verdict.outcome, verdict.category, verdict.retry_after_s)


def _exceptions(of=ccxt.BaseError):
    return [of, *(found for child in of.__subclasses__() for found in _exceptions(child))]


@pytest.mark.parametrize("exception", sorted({*_exceptions()}, key=str))
def test_the_class_of_the_sdk_alone_proves_nothing(exception):
    error = exception("kraken EOrder:Insufficient funds")

    assert Outcome.UNKNOWN is judge(None, error=error, phase=Phase.SENT).outcome
    assert Outcome.UNKNOWN is judge(said("EService:Timeout"), error=error).outcome
    assert Outcome.REJECTED is judge(said("EOrder:Insufficient funds"), error=error).outcome
    assert Outcome.NOT_SENT is judge(None, error=error, phase=Phase.NOTHING_SENT).outcome


def test_words_of_the_sdk_are_kept_out_and_our_own_kept():
    spoken = judge(None, error=ccxt.NetworkError("kraken POST https://x signature"), phase=Phase.SENT)
    own = judge(Answer(status=200, headers={}, body=""), error=BadAnswerError("expected an object, got str"))

    assert "NetworkError" == spoken.venue_message
    assert "BadAnswerError: expected an object, got str" == own.venue_message
