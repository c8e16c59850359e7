"""The classification table, and that nothing outside of it is believed."""

import itertools
import json

import pytest
import requests
import urllib3
from alpaca.common import exceptions as alpaca_errors

from logos_alpaca.errors import REFUSALS, classify, is_absent
from logos_core.hookspecs import BadAnswerError, Category, Operation, Outcome, Phase
from logos_core.wire import Answer

ERROR = alpaca_errors.APIError("<html>")
LISTED = {(refusal.status, refusal.code) for refusal in REFUSALS}
STATUSES = (200, 201, 202, 204, 301, 302, 307, 308, 400, 401, 402, 403, 404, 405, 408, 409, 410, 413, 415, 418, 422, 423, 425, 429)
OUTAGES = (500, 501, 502, 503, 504, 520, 524, 529, 599)
CODES = (
    None, 0, -1, 400, 403, 422, 40010000, 40010001, 40010002, 40110000, 40310000, 40310001, 40310100, 40410000,
    42210000, 42210001, 42910000, 50010000,
)  # fmt: skip
PAGES = (
    "<html>Forbidden</html>",
    "",
    "null",
    "[]",
    '"forbidden."',
    "403",
    '{"code": 40310000}',
    '{"message": null, "code": 40310000}',
)
EVERYWHERE = list(Operation)
ELSEWHERE = [operation for operation in Operation if operation is not Operation.SUBMIT]


def answer(status, code=None, message="said", **headers):
    body = {"message": message} if code is None else {"code": code, "message": message}
    return Answer(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()}, body=json.dumps(body))


def verdict(given, operation=Operation.SUBMIT, phase=Phase.ANSWERED):
    return classify(ERROR, operation, phase, given).outcome


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: f"{refusal.status}-{refusal.code}")
def test_each_listed_refusal_is_a_rejection_with_a_source(refusal):
    found = classify(ERROR, Operation.SUBMIT, Phase.ANSWERED, answer(refusal.status, refusal.code))

    assert (Outcome.REJECTED, refusal.category, "said") == (found.outcome, found.category, found.venue_message)
    assert (str(refusal.code) if refusal.code else f"HTTP {refusal.status}") == found.venue_code
    assert refusal.source


def test_the_list_is_the_one_that_was_argued_for():
    assert {(401, None), (403, None), (403, 40310000), (403, 40310100), (422, 40010001), (422, 42210000)} == LISTED


def test_every_combination_that_is_not_listed_is_unknown():
    unlisted = set(itertools.product((*STATUSES, *OUTAGES), CODES)) - LISTED

    assert len(unlisted) > 500
    assert {Outcome.UNKNOWN} == {verdict(answer(status, code)) for status, code in unlisted}


@pytest.mark.parametrize("operation", EVERYWHERE)
@pytest.mark.parametrize("status", [401, 403, 404, 422, 429, 500])
@pytest.mark.parametrize("body", PAGES)
def test_a_page_that_is_not_the_apis_proves_nothing(operation, status, body):
    assert Outcome.UNKNOWN is verdict(Answer(status=status, headers={}, body=body), operation)


@pytest.mark.parametrize("code", ["40310000", 40310000.0, True, False, "", [], {}])
def test_a_code_that_is_no_number_is_not_a_missing_code(code):
    given = Answer(status=403, headers={}, body=json.dumps({"code": code, "message": "forbidden."}))

    assert {Outcome.UNKNOWN} == {verdict(given, operation) for operation in EVERYWHERE}


def test_a_body_that_was_cut_is_not_believed():
    whole = answer(403, 40310000, "insufficient buying power").body

    assert {Outcome.UNKNOWN} == {verdict(Answer(status=403, headers={}, body=whole[:length])) for length in range(len(whole))}


@pytest.mark.parametrize("status", [status for status in (*STATUSES, *OUTAGES) if status != 422])
def test_words_about_our_id_under_another_status_are_no_duplicate(status):
    assert Outcome.DUPLICATE is not verdict(answer(status, 40010001, "client_order_id must be unique"))


def test_words_about_another_id_are_no_duplicate():
    assert Outcome.REJECTED is verdict(answer(422, 40010001, "asset_id is invalid"))


def test_an_order_that_is_not_there_is_absent_except_for_its_own_submit():
    given = answer(404, 40410000)

    assert (Outcome.UNKNOWN, {Outcome.ABSENT}) == (verdict(given), {verdict(given, operation) for operation in ELSEWHERE})


def test_any_other_404_is_not_an_absence():
    others = [answer(404, code) for code in CODES if code != 40410000]

    assert {Outcome.UNKNOWN} == {verdict(given, operation) for given in others for operation in EVERYWHERE}
    assert {False} == {is_absent(given) for given in others}


@pytest.mark.parametrize("status", [status for status in (*STATUSES, *OUTAGES) if status != 404])
def test_the_code_of_absence_under_another_status_is_none(status):
    given = answer(status, 40410000)

    assert not is_absent(given)
    assert Outcome.ABSENT not in {verdict(given, operation) for operation in EVERYWHERE}


@pytest.mark.parametrize("code", CODES)
def test_a_refused_cancel_says_that_the_order_has_ended_whatever_its_code(code):
    assert Outcome.REJECTED is verdict(answer(422, code, "the order status is not cancelable"), Operation.CANCEL)


@pytest.mark.parametrize("operation", EVERYWHERE)
@pytest.mark.parametrize("given", [None, answer(403, 40310000), answer(404, 40410000), answer(200)])
def test_the_phase_decides_before_the_answer_does(operation, given):
    assert Outcome.NOT_SENT is verdict(given, operation, Phase.NOTHING_SENT)
    assert Outcome.UNKNOWN is verdict(given, operation, Phase.SENT)


def test_no_answer_on_record_is_unknown():
    assert {Outcome.UNKNOWN} == {verdict(None, operation) for operation in EVERYWHERE}


def test_429_and_5xx_say_what_kind_of_trouble_it_is_even_as_a_page():
    pages = [Answer(status=status, headers={}, body="<html>") for status in (429, *OUTAGES)]

    assert [Category.RATE_LIMITED, *len(OUTAGES) * [Category.VENUE_DOWN]] == [
        classify(ERROR, Operation.SUBMIT, Phase.ANSWERED, given).category for given in pages
    ]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("0", 0.0), ("", None), ("-1", None), ("1.5", None), ("²", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
def test_retry_after_is_a_count_of_seconds_or_nothing(text, seconds):
    assert seconds == classify(ERROR, Operation.SUBMIT, Phase.ANSWERED, answer(429, 42910000, retry_after=text)).retry_after_s


def exported(module):
    found = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert found
    return found


WALKED = [
    *exported(alpaca_errors),
    *exported(requests.exceptions),
    *exported(urllib3.exceptions),
    *(ValueError, TypeError, KeyError, AttributeError, OSError, TimeoutError, RecursionError, BadAnswerError),
]


@pytest.mark.parametrize("kind", WALKED, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_no_error_class_of_the_sdk_or_its_transport_decides(kind):
    error = type(kind.__name__, (kind,), {"__init__": lambda self: None, "__str__": lambda self: "whatever the SDK kept"})()

    assert [Outcome.NOT_SENT, Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.REJECTED] == [
        classify(error, Operation.SUBMIT, phase, given).outcome
        for phase, given in [
            (Phase.NOTHING_SENT, None),
            (Phase.SENT, None),
            (Phase.ANSWERED, answer(503)),
            (Phase.ANSWERED, answer(403, 40310000)),
        ]
    ]


@pytest.mark.parametrize("kind", [requests.ReadTimeout, requests.ConnectTimeout, TimeoutError])
def test_silence_that_ended_by_the_clock_is_a_timeout(kind):
    assert Category.TIMEOUT is classify(kind(), Operation.SUBMIT, Phase.SENT, None).category
