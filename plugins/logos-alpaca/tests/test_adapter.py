"""The whole way: preset, ledger, rails, plugin, the real SDK and one request."""

import pytest

from logos_alpaca import AlpacaAdapter
from logos_core import Order, OrderRejectedError, OutcomeUnknownError
from logos_core.errors import OrderDeniedError
from logos_core.hookspecs import Found
from logos_core.orders import OrderStatus
from logos_core.reconciliation import Agreement
from logos_core.testing.faults import FaultKind
from logos_core.testing.server import HttpResponse

ORDER = Order.limit("AAPL", "buy", quantity="3", price="150", intent_id="rebalance")


@pytest.fixture
def adapter(desk, tmp_path):
    preset = tmp_path / "preset.toml"
    preset.write_text(
        f'schema = 1\nvenue = "alpaca"\nenvironment = "simulator"\nstrategy = "test"\nbase_url = "{desk.server.url}"\n'
        '[credentials]\nkey_id = "env:KEY"\nsecret_key = "env:KEY"\n'
        f'[session]\nruns = "{tmp_path / "runs"}"\ntimeout_s = 2.0\n'
        "[rate_limit]\nrequests = 10000\nperiod_s = 1.0\n"
    )
    with AlpacaAdapter.open(preset, home=tmp_path / "home", environ={"KEY": "k"}) as opened:
        yield opened


def kinds(adapter):
    return [event.kind for event in adapter.audit_log]


def test_an_order_is_placed_once_and_told_again(desk, adapter):
    first, second = adapter.submit(ORDER), adapter.submit(ORDER)

    assert (1, first) == (len(desk.sent()), second)
    assert Agreement.AGREES is adapter.reconcile().verdict


def test_a_504_after_acceptance_is_one_request_and_the_order_is_adopted(desk, adapter):
    desk.fault(FaultKind.STATUS_AFTER, status=504)
    report = adapter.submit(ORDER)

    assert (OrderStatus.NEW, 1) == (report.status, len(desk.server.orders()))
    assert report == adapter.submit(ORDER)
    assert [504] == [entry.status for entry in desk.sent()]
    assert Agreement.AGREES is adapter.reconcile().verdict


@pytest.mark.parametrize("message", ["client_order_id must be unique", "duplicate client order ID"])
def test_a_422_about_our_id_is_looked_up_and_never_called_rejected(desk, adapter, message):
    desk.change("POST", "/orders", lambda *_: HttpResponse.json(422, {"code": 40010001, "message": message}))
    report = adapter.submit(ORDER)

    assert (OrderStatus.NEW, 1) == (report.status, len(desk.server.orders()))
    assert [422] == [entry.status for entry in desk.sent()]
    assert desk.sent("lookup")
    assert "rejected" not in " ".join(kinds(adapter))


def test_an_order_whose_lookup_a_proxy_answered_stays_unknown_until_alpaca_is_asked(desk, adapter):
    desk.fault(FaultKind.STATUS_AFTER, status=504)
    desk.answer("GET", "/orders:by_client_order_id", 404, b"<html>Not here</html>")
    with pytest.raises(OutcomeUnknownError):
        adapter.submit(ORDER)

    assert 1 == len(desk.sent())

    desk.app.answers.clear()
    report = adapter.submit(ORDER)

    assert (OrderStatus.NEW, 1, 1) == (report.status, len(desk.sent()), len(desk.server.orders()))


def test_a_refusal_on_the_list_is_final_and_not_sent_again(desk, adapter):
    order = Order.market("AAPL", "sell", quantity="1", intent_id="no shares")
    for _ in range(2):
        with pytest.raises(OrderRejectedError) as caught:
            adapter.submit(order)

    assert (1, []) == (len(desk.sent()), desk.server.orders())
    assert "rejected" in str(caught.value)


def test_a_401_that_is_a_proxys_page_is_not_a_rejection(desk, adapter):
    desk.change("POST", "/orders", lambda *_: HttpResponse(401, b"<html>Who are you?</html>"))

    assert OrderStatus.NEW is adapter.submit(ORDER).status


@pytest.mark.parametrize(("symbol", "price"), [("NONE", "1"), ("BTCUSD", "1"), ("AAPL", "150.001")])
def test_what_cannot_be_traded_here_is_denied_before_anything_is_sent(desk, adapter, symbol, price):
    with pytest.raises(OrderDeniedError):
        adapter.submit(Order.limit(symbol, "buy", quantity="1", price=price, intent_id="off"))

    assert [] == desk.sent()


def test_an_order_is_cancelled_and_what_it_is_afterwards_is_told(desk, adapter):
    adapter.submit(ORDER)
    report = adapter.cancel("rebalance")

    assert (OrderStatus.CANCELED, 1) == (report.status, len(desk.sent("cancel")))
    assert isinstance(adapter.lookup("rebalance"), Found)


def test_an_order_that_fills_while_the_account_is_read_is_no_difference(desk, adapter):
    adapter.submit(ORDER)

    def fill_afterwards(request, answer):
        if request.query["status"] == "open":
            desk.app.exchange.fill(desk.server.orders()[0]["venue_order_id"], ORDER.quantity)
        return answer

    desk.change("GET", "/orders", fill_afterwards)
    report = adapter.reconcile()

    assert (Agreement.AGREES, ()) == (report.verdict, report.different)
    assert OrderStatus.FILLED is adapter.submit(ORDER).status
