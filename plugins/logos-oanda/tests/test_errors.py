"""The classification table, and that nothing outside of it is believed."""

import json

import pytest
from oandapyV20.definitions import transactions
from oandapyV20.exceptions import V20Error

from logos_core.hookspecs import Category, Operation, Outcome, Phase
from logos_core.wire import Answer
from logos_oanda.errors import NO_SUCH_ORDER, NOT_AUTHORISED, REFUSALS, classify

ERROR = V20Error(400, "whatever the SDK kept")
ELSEWHERE = [operation for operation in Operation if operation is not Operation.SUBMIT]


def answer(status, **body):
    return Answer(status=status, headers={}, body=json.dumps({"errorMessage": "said", **body}))


def reject(reason, status=400, **more):
    return answer(status, orderRejectTransaction={"rejectReason": reason}, errorCode=reason, **more)


def verdict(given, operation=Operation.SUBMIT, phase=Phase.ANSWERED):
    return classify(ERROR, operation, phase, given).outcome


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.reason)
def test_each_listed_refusal_is_a_rejection_with_a_source(refusal):
    found = classify(ERROR, Operation.SUBMIT, Phase.ANSWERED, reject(refusal.reason))

    assert (Outcome.REJECTED, refusal.category, refusal.reason) == (found.outcome, found.category, found.venue_code)
    assert refusal.source


def test_every_reason_that_is_not_listed_is_unknown():
    listed = {refusal.reason for refusal in REFUSALS} | {"CLIENT_ORDER_ID_ALREADY_EXISTS"}
    unlisted = set(transactions.definitions["TransactionRejectReason"]) - listed

    assert len(unlisted) > 100
    assert {Outcome.UNKNOWN} == {verdict(reject(reason)) for reason in unlisted}


@pytest.mark.parametrize("reason", [refusal.reason for refusal in REFUSALS])
def test_a_reason_without_its_transaction_is_not_believed(reason):
    assert Outcome.UNKNOWN == verdict(answer(400, errorCode=reason))


@pytest.mark.parametrize("status", [200, 201, 202, 307, 405, 409, 422, 429, 500, 502, 503])
def test_a_reason_under_another_status_is_not_believed(status):
    assert Outcome.UNKNOWN == verdict(reject("INSUFFICIENT_MARGIN", status))


def test_a_404_with_a_reject_transaction_is_as_good_as_a_400():
    assert Outcome.REJECTED == verdict(reject("ACCOUNT_NOT_ACTIVE", 404))


def test_a_code_that_contradicts_the_transaction_is_not_believed():
    contradiction = answer(400, orderRejectTransaction={"rejectReason": "UNITS_INVALID"}, errorCode="SOMETHING_ELSE")

    assert Outcome.UNKNOWN == verdict(contradiction)


def test_a_reject_beside_a_created_order_is_not_believed():
    assert Outcome.UNKNOWN == verdict(reject("UNITS_INVALID", orderCreateTransaction={"id": "7"}))


@pytest.mark.parametrize(
    "given",
    [
        answer(400, errorCode="CLIENT_ORDER_ID_ALREADY_EXISTS"),
        answer(404, errorCode="CLIENT_ORDER_ID_ALREADY_EXISTS"),
        answer(400, orderRejectTransaction={"rejectReason": "CLIENT_ORDER_ID_ALREADY_EXISTS"}),
        answer(400, orderRejectTransaction={"rejectReason": "CLIENT_ORDER_ID_ALREADY_EXISTS"}, errorCode="UNITS_INVALID"),
    ],
)
def test_a_taken_id_is_a_duplicate_wherever_it_stands(given):
    assert Outcome.DUPLICATE == verdict(given)


def test_a_field_that_could_not_be_read_is_a_rejection():
    given = Answer(status=400, headers={}, body='{"errorMessage": "Invalid value specified for \'order.units\'"}')

    assert Outcome.REJECTED == verdict(given)


@pytest.mark.parametrize(
    "given",
    [
        answer(400),
        Answer(status=400, headers={}, body='{"errorMessage": "Insufficient authorization to perform request."}'),
        Answer(status=400, headers={}, body='{"errorMessage": "Invalid value specified for \'accountID\'"}'),
        Answer(status=500, headers={}, body='{"errorMessage": "Invalid value specified for \'order.units\'"}'),
    ],
)
def test_any_other_message_without_a_transaction_is_unknown(given):
    assert Outcome.UNKNOWN == verdict(given)


@pytest.mark.parametrize("status", NOT_AUTHORISED)
@pytest.mark.parametrize("operation", Operation)
def test_a_refused_token_is_believed_from_oanda_only(operation, status):
    page = Answer(status=status, headers={}, body="<html>Forbidden</html>")

    assert Outcome.REJECTED == verdict(answer(status), operation)
    assert Outcome.UNKNOWN == verdict(page, operation)


@pytest.mark.parametrize("code", NO_SUCH_ORDER)
def test_an_order_that_is_not_there_is_absent_except_for_its_own_submit(code):
    asked = [operation for operation in ELSEWHERE if operation is not Operation.REPLACE]

    assert {Outcome.UNKNOWN} == {
        verdict(answer(404, errorCode=code), operation) for operation in (Operation.SUBMIT, Operation.REPLACE)
    }
    assert {Outcome.ABSENT} == {verdict(answer(404, errorCode=code), operation) for operation in asked}
    assert {Outcome.UNKNOWN} == {verdict(answer(status, errorCode=code), Operation.LOOKUP) for status in (400, 410, 500)}


@pytest.mark.parametrize("code", NO_SUCH_ORDER)
def test_where_there_was_nothing_to_replace_that_is_all_it_says(code):
    logged = {"errorCode": code, "orderCancelRejectTransaction": {"rejectReason": code}}

    assert Outcome.ABSENT == verdict(answer(404, **logged), Operation.REPLACE)
    assert Outcome.UNKNOWN == verdict(answer(404, **logged, orderCreateTransaction={}), Operation.REPLACE)
    assert Outcome.UNKNOWN == verdict(answer(404, errorCode=code), Operation.REPLACE)


def test_a_logged_refusal_to_cancel_names_its_reason():
    given = answer(404, orderCancelRejectTransaction={"rejectReason": "ORDER_DOESNT_EXIST"})

    assert (Outcome.ABSENT, "ORDER_DOESNT_EXIST") == (
        verdict(given, Operation.CANCEL),
        classify(ERROR, Operation.CANCEL, Phase.ANSWERED, given).venue_code,
    )


@pytest.mark.parametrize("operation", Operation)
def test_the_phase_decides_before_the_answer_does(operation):
    old = reject("UNITS_INVALID")

    assert Outcome.NOT_SENT == verdict(old, operation, Phase.NOTHING_SENT)
    assert Outcome.UNKNOWN == verdict(old, operation, Phase.SENT)


def test_5xx_and_429_say_what_kind_of_trouble_it_is():
    assert [Category.RATE_LIMITED, Category.VENUE_DOWN, Category.VENUE_DOWN] == [
        classify(ERROR, Operation.SUBMIT, Phase.ANSWERED, given).category
        for given in (answer(429), answer(503), reject("INTERNAL_SERVER_ERROR"))
    ]


def test_the_error_of_the_sdk_never_decides():
    walked = [V20Error(400, "INSUFFICIENT_MARGIN"), ValueError("201"), UnicodeDecodeError("utf-8", b"", 0, 1, ""), KeyError("x")]

    outcomes = {classify(error, Operation.SUBMIT, Phase.ANSWERED, answer(503)).outcome for error in walked}
    assert {Outcome.UNKNOWN} == outcomes


def test_a_reject_of_another_order_proves_nothing_about_ours():
    def verdict(extensions, about="lgs1"):
        transaction = {"rejectReason": "UNITS_INVALID", **extensions}
        found = answer(400, orderRejectTransaction=transaction, errorCode="UNITS_INVALID")
        return classify(ValueError(), Operation.SUBMIT, Phase.ANSWERED, found, about).outcome

    assert Outcome.REJECTED == verdict({"clientExtensions": {"id": "lgs1"}})
    assert [Outcome.UNKNOWN] * 2 == [verdict({"clientExtensions": {"id": "somebody"}}), verdict({})]
