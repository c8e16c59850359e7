"""What each answer proves, walked over the list, over everything off the list, and over the SDK's exceptions."""

import json

import ccxt
import pytest

from logos_ccxt.errors import REFUSALS, classify
from logos_core.hookspecs import BadAnswerError, Category, Operation, Outcome, Phase
from logos_core.wire import Answer

EXAMPLES = {
    r"Market is closed\.": "Market is closed.",
    r"Account has insufficient balance for requested action\.": "Account has insufficient balance for requested action.",
    r"This action is disabled on this account\.": "This action is disabled on this account.",
    r"This account may not place or cancel orders\.": "This account may not place or cancel orders.",
    r"This symbol is (restricted|not permitted) for this account\.": "This symbol is restricted for this account.",
    r"Rest API trading is not enabled\.": "Rest API trading is not enabled.",
    r"Price \* QTY is zero or less\.": "Price * QTY is zero or less.",
    r"Order would immediately match and take\.": "Order would immediately match and take.",
    r"Order would trigger immediately\.": "Order would trigger immediately.",
    r"Filter failure: MAX_POSITION": "Filter failure: MAX_POSITION",
    r".*": "Filter failure: LOT_SIZE",
}
LISTED = {refusal.code for refusal in REFUSALS}
UNKNOWN_BY_NAME = (-1000, -1001, -1003, -1006, -1007, -1008, -1015, -1016, -2011, -2013, -2021, -2026, -5028)


def said(code, message="…", status=400):
    return Answer(status=status, headers={}, body=json.dumps({"code": code, "msg": message}))


def judge(answer, operation=Operation.SUBMIT, error=None, phase=Phase.ANSWERED):
    return classify(error or ccxt.ExchangeError("binance"), operation, phase, answer)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: f"{refusal.code} {refusal.message}")
def test_a_listed_refusal_is_a_rejection_with_400_and_401_only(refusal):
    message = EXAMPLES[refusal.message]
    rejected = {status for status in range(200, 600) if judge(said(refusal.code, message, status)).outcome is Outcome.REJECTED}
    verdict = judge(said(refusal.code, message))

    assert {400, 401} == rejected
    assert (refusal.category, str(refusal.code), message) == (verdict.category, verdict.venue_code, verdict.venue_message)
    assert refusal.source


@pytest.mark.parametrize("operation", [Operation.IDENTIFY, Operation.INSTRUMENT, Operation.LOOKUP, Operation.RECONCILE])
def test_a_refused_question_says_nothing_of_an_order(operation):
    outcomes = {judge(said(refusal.code, EXAMPLES[refusal.message]), operation).outcome for refusal in REFUSALS}

    assert {Outcome.UNKNOWN} == outcomes


@pytest.mark.parametrize("operation", list(Operation))
def test_every_code_off_the_list_is_unknown(operation):
    proved = {
        (code, status)
        for code in range(-10_000, 1)
        if code not in LISTED
        for status in (400, 401, 403, 429, 500)
        if judge(said(code, status=status), operation).outcome is not Outcome.UNKNOWN
    }
    expected = {Operation.LOOKUP: {(-2013, 400), (-2013, 401)}, Operation.CANCEL: {(-2011, 400), (-2011, 401)}}

    assert expected.get(operation, set()) == proved


@pytest.mark.parametrize("code", UNKNOWN_BY_NAME)
def test_codes_that_look_final_and_are_not(code):
    assert Outcome.UNKNOWN is judge(said(code)).outcome


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Order would immediately match and take. Maybe.",
        "Account has insufficient balance for requested action. Maybe.",
        "duplicate order sent.",
        "Unknown order sent.",
    ],
)
def test_a_new_order_reject_in_unlisted_words_is_unknown(message):
    assert Outcome.UNKNOWN is judge(said(-2010, message)).outcome


def test_a_duplicate_is_an_order_that_exists():
    assert Outcome.DUPLICATE is judge(said(-2010, "Duplicate order sent.")).outcome
    assert Outcome.UNKNOWN is judge(said(-2010, "Duplicate order sent."), Operation.CANCEL).outcome


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        "<html>-2010</html>",
        '{"code":"-1013","msg":"x"}',
        '{"code":-1013}',
        '{"msg":"x"}',
        '{"code":true,"msg":"x"}',
    ],
)
def test_a_body_that_is_not_the_venues_error_proves_nothing(body):
    verdict = judge(Answer(status=400, headers={}, body=body))

    assert (Outcome.UNKNOWN, Category.BAD_ANSWER, "HTTP 400") == (verdict.outcome, verdict.category, verdict.venue_code)


@pytest.mark.parametrize("status", [418, 429])
def test_a_limit_is_unknown_with_the_venues_advice(status):
    answer = Answer(status=status, headers={"retry-after": "7"}, body='{"code":-1003,"msg":"Too many requests."}')
    verdict = judge(answer)

    assert (Outcome.UNKNOWN, Category.RATE_LIMITED, 7.0) == (verdict.outcome, verdict.category, verdict.retry_after_s)


def _exceptions(of=ccxt.BaseError):
    return [of, *(found for child in of.__subclasses__() for found in _exceptions(child))]


@pytest.mark.parametrize("exception", sorted({*_exceptions()}, key=str))
def test_the_class_of_the_sdk_alone_proves_nothing(exception):
    error = exception("binance Account has insufficient balance for requested action.")

    assert Outcome.UNKNOWN is judge(None, error=error, phase=Phase.SENT).outcome
    assert Outcome.UNKNOWN is judge(said(-1013, "x", 503), error=error).outcome
    assert Outcome.REJECTED is judge(said(-1013, "x"), error=error).outcome
    assert Outcome.NOT_SENT is judge(None, error=error, phase=Phase.NOTHING_SENT).outcome


def test_the_walk_meets_the_whole_hierarchy():
    exported = {found for found in vars(ccxt).values() if isinstance(found, type) and issubclass(found, ccxt.BaseError)}

    assert exported <= {*_exceptions()}
    assert len(exported) > 30


def test_words_of_the_sdk_are_kept_out_and_our_own_kept():
    spoken = judge(None, error=ccxt.NetworkError("binance GET https://x?signature=abc"), phase=Phase.SENT)
    own = judge(Answer(status=200, headers={}, body=""), error=BadAnswerError("expected an object, got str"))

    assert "NetworkError" == spoken.venue_message
    assert "BadAnswerError: expected an object, got str" == own.venue_message
