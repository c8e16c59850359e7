"""Whatever happens between here and OANDA: one request, an honest verdict, and a lookup that finds out."""

from decimal import Decimal

import pytest

from logos_core.hookspecs import Found, Outcome
from logos_core.testing.faults import FaultKind
from logos_core.testing.server import HttpResponse

ANSWERED = {FaultKind.DELAY_BEFORE: None, FaultKind.DELAY_AFTER: None, FaultKind.DUPLICATE_DELIVERY: None}
"""Faults after which the answer is a report; all others leave the outcome unknown."""


@pytest.mark.parametrize("kind", list(FaultKind))
def test_each_fault_costs_one_request_and_the_log_tells_what_came_of_it(open_desk, kind):
    desk = open_desk(timeout_s=0.4)
    prepared = desk.prepare()
    desk.fault(kind, nth=1)

    reply = desk.venue.submit(prepared, ())
    found = desk.venue.lookup(desk.reference(position=prepared.position))

    assert 1 == len(desk.sent())
    assert (None if kind in ANSWERED else Outcome.UNKNOWN) == (reply.classification and reply.classification.outcome)
    assert bool(desk.server.orders()) == isinstance(found, Found)


STATUSES = {
    200: Outcome.UNKNOWN,
    400: Outcome.REJECTED,
    401: Outcome.REJECTED,
    403: Outcome.REJECTED,
    404: Outcome.UNKNOWN,
    422: Outcome.UNKNOWN,
    429: Outcome.UNKNOWN,
    500: Outcome.UNKNOWN,
    502: Outcome.UNKNOWN,
    503: Outcome.UNKNOWN,
    504: Outcome.UNKNOWN,
    307: Outcome.UNKNOWN,
}


@pytest.mark.parametrize(("status", "outcome"), STATUSES.items())
def test_each_status_costs_one_request(desk, status, outcome):
    prepared = desk.prepare()
    desk.fault(FaultKind.STATUS_BEFORE, status=status)

    reply = desk.venue.submit(prepared, ())

    assert (1, outcome) == (len(desk.sent()), reply.classification.outcome)


@pytest.mark.parametrize("status", STATUSES)
def test_a_page_of_a_proxy_proves_nothing(desk, status):
    prepared = desk.prepare()
    desk.app.handle = lambda _request: HttpResponse(status, b"<html>Not here</html>", (("Content-Type", "text/html"),))

    reply = desk.venue.submit(prepared, ())

    assert Outcome.UNKNOWN == reply.classification.outcome


@pytest.mark.parametrize("status", [404, 503])
def test_a_lookup_that_a_proxy_answered_is_an_error_not_an_absence(desk, status):
    desk.app.handle = lambda _request: HttpResponse(status, b"<html>Not here</html>")

    with pytest.raises(Exception, match="lookup failed"):
        desk.venue.lookup(desk.reference())


@pytest.mark.parametrize("body", [b"<html>Not here</html>", b'{"errorMessage": "The resource specified does not exist"}'])
def test_a_404_without_oandas_code_for_an_order_is_not_an_absence(desk, body):
    desk.venue.identify()
    handle = desk.app.handle
    desk.app.handle = lambda request: HttpResponse(404, body) if "/orders/@" in request.path else handle(request)

    with pytest.raises(Exception, match="lookup failed"):
        desk.venue.lookup(desk.reference())


def test_retry_after_is_passed_on(desk):
    prepared = desk.prepare()
    desk.fault(FaultKind.RATE_LIMITED, retry_after_s=7)

    reply = desk.venue.submit(prepared, ())

    assert (Outcome.UNKNOWN, 7.0) == (reply.classification.outcome, reply.classification.retry_after_s)


def test_nobody_there_means_not_sent(open_desk):
    desk = open_desk()
    prepared = desk.prepare()
    desk.server.stop()

    reply = desk.venue.submit(prepared, ())

    assert Outcome.NOT_SENT == reply.classification.outcome


@pytest.mark.parametrize("kind", [FaultKind.REDIRECT, FaultKind.RESET_AFTER, FaultKind.STATUS_AFTER])
def test_a_cancel_is_one_request_too(desk, kind):
    desk.submit(price=Decimal("1.05"))
    desk.fault(kind, "cancel", nth=1)

    reply = desk.venue.cancel(desk.reference())

    assert (1, Outcome.UNKNOWN) == (len(desk.sent("cancel")), reply.classification.outcome)
