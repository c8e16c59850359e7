"""Whatever happens between here and Alpaca: one request, how far it got, an honest verdict, and a lookup that finds out."""

import time

import pytest

from logos_core.hookspecs import Category, Found, Outcome, Phase
from logos_core.testing.faults import FaultKind
from logos_core.testing.server import HttpResponse

UNKNOWN = Outcome.UNKNOWN
PAGE = b"<html><body>Forbidden</body></html>"

FAULTS = {
    FaultKind.REQUEST_DROPPED: (UNKNOWN, Phase.SENT, 0),
    FaultKind.ANSWER_DROPPED: (UNKNOWN, Phase.SENT, 1),
    FaultKind.STATUS_BEFORE: (UNKNOWN, Phase.ANSWERED, 0),
    FaultKind.STATUS_AFTER: (UNKNOWN, Phase.ANSWERED, 1),
    FaultKind.RATE_LIMITED: (UNKNOWN, Phase.ANSWERED, 0),
    FaultKind.RESET_BEFORE: (UNKNOWN, Phase.SENT, 0),
    FaultKind.RESET_DURING: (UNKNOWN, Phase.SENT, 1),
    FaultKind.RESET_AFTER: (UNKNOWN, Phase.SENT, 1),
    FaultKind.TRUNCATED: (UNKNOWN, Phase.SENT, 1),
    FaultKind.EMPTY: (UNKNOWN, Phase.ANSWERED, 1),
    FaultKind.HTML: (UNKNOWN, Phase.ANSWERED, 1),
    FaultKind.REDIRECT: (UNKNOWN, Phase.ANSWERED, 0),
    FaultKind.DUPLICATE_DELIVERY: (Outcome.DUPLICATE, Phase.ANSWERED, 1),
    FaultKind.SLOW_DRIP: (UNKNOWN, Phase.SENT, 1),
    FaultKind.LATE_ARRIVAL: (UNKNOWN, Phase.SENT, 1),
    FaultKind.DELAY_BEFORE: (None, Phase.ANSWERED, 1),
    FaultKind.DELAY_AFTER: (None, Phase.ANSWERED, 1),
}
"""What a submit comes to, how far it got, and how many orders there are afterwards."""

STATUSES = {
    200: (UNKNOWN, Category.BAD_ANSWER),
    201: (UNKNOWN, Category.BAD_ANSWER),
    202: (UNKNOWN, Category.BAD_ANSWER),
    301: (UNKNOWN, Category.BAD_ANSWER),
    302: (UNKNOWN, Category.BAD_ANSWER),
    307: (UNKNOWN, Category.BAD_ANSWER),
    308: (UNKNOWN, Category.BAD_ANSWER),
    400: (UNKNOWN, Category.UNLISTED),
    401: (Outcome.REJECTED, Category.AUTHENTICATION),
    403: (Outcome.REJECTED, Category.AUTHENTICATION),
    404: (UNKNOWN, Category.UNLISTED),
    408: (UNKNOWN, Category.UNLISTED),
    409: (UNKNOWN, Category.UNLISTED),
    418: (UNKNOWN, Category.UNLISTED),
    422: (Outcome.REJECTED, Category.INVALID_ORDER),
    425: (UNKNOWN, Category.UNLISTED),
    429: (UNKNOWN, Category.RATE_LIMITED),
    500: (UNKNOWN, Category.VENUE_DOWN),
    502: (UNKNOWN, Category.VENUE_DOWN),
    503: (UNKNOWN, Category.VENUE_DOWN),
    504: (UNKNOWN, Category.VENUE_DOWN),
    524: (UNKNOWN, Category.VENUE_DOWN),
}
"""What the API's own JSON of a status comes to when an order is answered with it."""


def test_the_table_names_every_fault():
    assert set(FaultKind) == set(FAULTS)


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_costs_one_request_and_a_lookup_tells_what_came_of_it(open_desk, kind):
    outcome, phase, orders = FAULTS[kind]
    desk = open_desk(timeout_s=1.0)
    desk.fault(kind, nth=1)

    reply = desk.submit()
    found = desk.venue.lookup(desk.reference())

    assert (1, 1, phase) == (len(desk.sent()), reply.record.requests, reply.record.phase)
    assert outcome == (reply.classification and reply.classification.outcome)
    assert (orders, bool(orders)) == (len(desk.server.orders()), isinstance(found, Found))


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_costs_one_request(desk, status):
    desk.fault(FaultKind.STATUS_BEFORE, status=status)
    reply = desk.submit()

    assert (1, Phase.ANSWERED) == (len(desk.sent()), reply.record.phase)
    assert STATUSES[status] == (reply.classification.outcome, reply.classification.category)


@pytest.mark.parametrize("status", [status for status, (outcome, _) in STATUSES.items() if outcome is UNKNOWN])
def test_an_order_that_was_taken_behind_an_error_is_unknown_and_then_found(desk, status):
    desk.fault(FaultKind.STATUS_AFTER, status=status)
    reply = desk.submit()

    assert UNKNOWN is reply.classification.outcome
    assert isinstance(desk.venue.lookup(desk.reference()), Found)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("body", [PAGE, b"", b"null", b"[]", b'"forbidden."', b'{"error": "forbidden."}', b'{"message": 7}'])
def test_a_body_that_is_not_the_apis_proves_nothing_whatever_its_status(desk, status, body):
    desk.answer("POST", "/orders", status, body)
    reply = desk.submit()

    assert (1, UNKNOWN) == (len(desk.sent()), reply.classification.outcome)
    assert f"HTTP {status}" == reply.classification.venue_code


@pytest.mark.parametrize("code", ["40310000", 40310000.0, True, [40310000], {}])
@pytest.mark.parametrize("status", [401, 403])
def test_a_code_of_another_kind_is_not_the_same_as_no_code(desk, status, code):
    desk.app.answers["POST", "/v2/orders"] = HttpResponse.json(status, {"code": code, "message": "forbidden."})

    assert UNKNOWN is desk.submit().classification.outcome


@pytest.mark.parametrize(
    "body",
    [b'{"id": "61e69015-8549', b"", PAGE, b"null", b"true", b"1", b'"accepted"', b"[]", b"{}", b"\xff\xfe", b"[" * 9000],
    ids=lambda body: repr(body[:24]),
)
def test_success_without_an_order_is_never_a_report(desk, body):
    desk.answer("POST", "/orders", 200, body)
    reply = desk.submit()

    assert (None, Phase.ANSWERED) == (reply.result, reply.record.phase)
    assert (UNKNOWN, Category.BAD_ANSWER) == (reply.classification.outcome, reply.classification.category)


@pytest.mark.parametrize("status", [201, 202, 203, 206, 307])
def test_an_order_under_another_status_than_200_is_no_report(desk, status):
    desk.change("POST", "/orders", lambda _, answer: HttpResponse(status, answer.body))
    reply = desk.submit()

    assert (None, UNKNOWN) == (reply.result, reply.classification.outcome)
    assert isinstance(desk.venue.lookup(desk.reference()), Found)


@pytest.mark.parametrize(
    "change",
    [
        {"id": None},
        {"client_order_id": ""},
        {"symbol": None},
        {"status": "invented"},
        {"side": "hold"},
        {"type": "limit_on_close"},
        {"order_class": "simple", "qty": None, "notional": None},
        {"filled_qty": None},
        {"qty": 3.0},
        {"qty": "NaN"},
    ],
    ids=str,
)
def test_an_order_that_logos_cannot_read_is_unknown(desk, change):
    desk.change_json("POST", "/orders", lambda order: order | change)
    reply = desk.submit()

    assert (UNKNOWN, Category.BAD_ANSWER) == (reply.classification.outcome, reply.classification.category)


def test_nobody_there_means_not_sent(desk):
    desk.server.stop()
    reply = desk.submit()

    assert (Outcome.NOT_SENT, Category.NETWORK, Phase.NOTHING_SENT) == (
        reply.classification.outcome,
        reply.classification.category,
        reply.record.phase,
    )


def test_a_silent_venue_is_a_timeout(open_desk):
    desk = open_desk(timeout_s=0.3)
    desk.fault(FaultKind.REQUEST_DROPPED)

    assert Category.TIMEOUT is desk.submit().classification.category


@pytest.mark.parametrize(("said", "expected"), [(7, 7.0), (0, 0.0), (None, None)])
def test_retry_after_is_passed_on(desk, said, expected):
    desk.fault(FaultKind.RATE_LIMITED, retry_after_s=said)

    assert expected == desk.submit().classification.retry_after_s


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.LATE_ARRIVAL])
def test_a_cancel_is_one_request_whatever_goes_wrong(open_desk, kind):
    desk = open_desk(timeout_s=0.4)
    venue_order_id = desk.rest()
    desk.fault(kind, "cancel", nth=1)
    reply = desk.venue.cancel(desk.reference(venue_order_id=venue_order_id))

    expected = {
        FaultKind.DELAY_BEFORE: None,
        FaultKind.DELAY_AFTER: None,
        FaultKind.DUPLICATE_DELIVERY: Outcome.REJECTED,  # The second finds an order that has ended.
    }
    assert 1 == len(desk.sent("cancel"))
    assert expected.get(kind, UNKNOWN) == (reply.classification and reply.classification.outcome)


def test_a_dripping_answer_is_left_at_the_total_deadline(open_desk):
    desk = open_desk(timeout_s=0.4)
    desk.fault(FaultKind.SLOW_DRIP, delay_s=0.1)

    began = time.monotonic()
    reply = desk.submit()

    assert time.monotonic() - began < 1.2
    assert (UNKNOWN, Phase.SENT) == (reply.classification.outcome, reply.record.phase)
