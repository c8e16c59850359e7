"""The way of an order at OANDA, over the real SDK."""

import json
from decimal import Decimal

import pytest

from logos_core.errors import ConfigurationError
from logos_core.hookspecs import (
    Category,
    Found,
    NotSeen,
    Outcome,
    Phase,
    Position,
    ReconcileRequest,
    UnknownSymbolError,
    VenueIdentity,
)
from logos_core.instruments import PriceBand
from logos_core.orders import OrderStatus, Side, TimeInForce
from logos_core.reports import Fee
from logos_core.testing.faults import FaultKind
from logos_core.testing.server import HttpResponse
from logos_core.venues import VenueAskError
from logos_core.wire import GateClosedError
from logos_oanda.simulator import ACCOUNT


def test_the_venue_says_whose_account_it_is(desk):
    found = desk.venue.identify()

    assert VenueIdentity(account_id=ACCOUNT, environment="simulator") == found


def test_a_token_of_another_account_does_not_open(desk, connected):
    stranger = connected(desk.server.url, account="101-001-7654321-001")

    with pytest.raises(VenueAskError, match="does not belong to account 101-001-7654321-001"):
        stranger.identify()


@pytest.mark.parametrize("account", ["", "1234567", "101-001-1234567-001/orders"])
def test_an_account_id_of_another_shape_is_refused_before_anything_is_sent(desk, connected, account):
    with pytest.raises(ConfigurationError, match="v20 account id"):
        connected(desk.server.url, account=account)


def test_an_account_of_the_practice_site_never_opens_as_live():
    import tempfile
    from pathlib import Path

    from attrs import evolve

    from logos_core.clock import SystemClock
    from logos_core.secrets import Secret
    from logos_core.venues import VenueSettings
    from logos_core.wire import Wire
    from logos_oanda import VENUE

    clock = SystemClock()
    live = VenueSettings(
        variant="",
        environment="live",
        base_url="https://api-fxtrade.oanda.com",
        credentials={"token": Secret("t")},
        options={"account": "101-001-1234567-001"},
        wire=Wire(clock, 1),
        clock=clock,
        host_folder=Path(tempfile.gettempdir()),
    )

    with pytest.raises(ConfigurationError, match="does not belong to the environment 'live'"):
        VENUE.factory(live)
    with pytest.raises(ConfigurationError, match="does not belong to the environment 'paper'"):
        VENUE.factory(evolve(live, environment="paper", options={"account": "001-001-1234567-001"}))


def test_the_grid_is_the_instruments_own(desk):
    found = desk.venue.instrument("USD_JPY")

    assert ("USD", "JPY") == (found.base_asset, found.quote_asset)
    assert (PriceBand(at_least=Decimal(0), tick=Decimal("0.001")),) == found.price_bands
    assert (Decimal(1), Decimal(1), Decimal(100_000_000)) == (found.quantity_step, found.min_quantity, found.max_quantity)


def test_a_symbol_that_oanda_does_not_list_is_unknown(desk):
    with pytest.raises(UnknownSymbolError):
        desk.venue.instrument("EUR_XXX")


def test_a_refused_question_about_a_symbol_does_not_make_it_unknown(desk):
    body = {"errorMessage": "Insufficient authorization to perform request."}
    desk.app.handle = lambda _request: HttpResponse.json(400, body)

    with pytest.raises(VenueAskError, match="Insufficient authorization"):
        desk.venue.instrument("EUR_USD")


def test_a_market_order_fills(desk):
    report = desk.submit(side=Side.SELL).result

    assert ("lgs1", "4") == (report.client_order_id, report.venue_order_id)
    assert (Side.SELL, Decimal(100)) == (report.side, report.quantity)
    assert (OrderStatus.FILLED, Decimal(100), Decimal("1.1")) == (report.status, report.filled_quantity, report.average_price)
    assert ["5"] == [execution.execution_id for execution in report.executions]


def test_a_limit_order_rests(desk):
    report = desk.submit(price=Decimal("1.05")).result

    assert (OrderStatus.NEW, Decimal("1.05"), Decimal(100)) == (report.status, report.price, report.leaves_quantity)


def test_numbers_go_out_as_exact_decimal_strings(desk):
    requests = desk.requests()

    desk.submit("lgs1", symbol="USD_JPY", side=Side.SELL, quantity=Decimal("1E+2"), price=Decimal("150.1230"))
    desk.submit("lgs2", price=Decimal("1.09"), time_in_force=TimeInForce.DAY)

    sent = [request.json()["order"] for request in requests if request.body]
    assert {
        "type": "LIMIT",
        "instrument": "USD_JPY",
        "units": "-100",
        "price": "150.123",
        "timeInForce": "GTC",
        "positionFill": "DEFAULT",
        "clientExtensions": {"id": "lgs1"},
    } == sent[0]
    assert ("100", "1.09", "GFD") == (sent[1]["units"], sent[1]["price"], sent[1]["timeInForce"])


def test_what_is_recorded_before_the_send_is_what_is_sent(desk):
    prepared = desk.prepare(price=Decimal("1.05"))
    requests = desk.requests()

    desk.venue.submit(prepared, ())

    assert [{"order": prepared.wire}] == [request.json() for request in requests]


def test_the_position_is_asked_for_only_until_an_answer_has_told_it(desk):
    first = desk.prepare()
    desk.venue.submit(first, ())
    asked = len(desk.server.wire)

    second = desk.prepare("lgs2")

    assert ("3", "5") == (first.position, second.position)
    assert asked == len(desk.server.wire)


def test_an_order_that_was_not_prepared_does_not_leave(desk, connected):
    prepared = desk.prepare()
    fresh = connected(desk.server.url)

    reply = fresh.submit(prepared, ())

    assert (Outcome.NOT_SENT, Phase.NOTHING_SENT) == (reply.classification.outcome, reply.record.phase)
    assert [] == desk.sent()


def test_a_closed_gate_means_not_sent(desk):
    def closed():
        raise GateClosedError("SWITCH_HALTED", "halted", denies=True)

    reply = desk.submit(gates=(closed,))

    assert Outcome.NOT_SENT == reply.classification.outcome
    assert [] == desk.server.orders()


def test_an_ioc_order_keeps_what_it_got_and_ends(desk):
    desk.app.exchange.set_liquidity("EUR_USD", Decimal(40))

    report = desk.submit(time_in_force=TimeInForce.IOC).result

    assert (OrderStatus.CANCELED, Decimal(40), Decimal(0)) == (report.status, report.filled_quantity, report.leaves_quantity)


@pytest.mark.parametrize("changes", [{}, {"price": Decimal("1.05"), "time_in_force": TimeInForce.FOK}])
def test_a_fok_order_that_does_not_fill_is_a_known_non_fill(desk, changes):
    desk.app.exchange.set_liquidity("EUR_USD", Decimal(40))

    reply = desk.submit(**changes)

    assert 201 == reply.record.answer.status
    assert (OrderStatus.CANCELED, Decimal(0)) == (reply.result.status, reply.result.filled_quantity)


def test_an_order_of_the_day_that_is_over_has_expired(desk):
    desk.submit(price=Decimal("1.05"), time_in_force=TimeInForce.DAY)
    desk.app.exchange.expire("4")

    assert OrderStatus.EXPIRED == desk.venue.lookup(desk.reference()).report.status


def test_a_halted_market_cancels_the_order_it_created(open_desk):
    report = open_desk(halted=["EUR_USD"]).submit().result

    assert OrderStatus.CANCELED == report.status
    assert "MARKET_HALTED" == report.raw["orderCancelTransaction"]["reason"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": Decimal("0.5")}, "UNITS_MIMIMUM_NOT_MET"),
        ({"quantity": Decimal("1.5")}, "UNITS_INVALID"),
        ({"price": Decimal("1.050001")}, "PRICE_PRECISION_EXCEEDED"),
        ({"symbol": "EUR_XXX"}, "INSTRUMENT_UNKNOWN"),
    ],
)
def test_a_logged_reject_is_a_rejection(desk, changes, code):
    reply = desk.submit(**changes)

    assert (Outcome.REJECTED, code) == (reply.classification.outcome, reply.classification.venue_code)


def test_an_order_that_oanda_cannot_read_is_a_rejection(desk):
    reply = desk.submit(time_in_force=TimeInForce.GTC)

    assert (Outcome.REJECTED, "HTTP 400") == (reply.classification.outcome, reply.classification.venue_code)


def test_a_second_order_under_a_pending_id_is_a_duplicate_not_a_rejection(desk):
    desk.submit(price=Decimal("1.05"))

    reply = desk.submit(price=Decimal("1.05"))

    assert (Outcome.DUPLICATE, Category.DUPLICATE) == (reply.classification.outcome, reply.classification.category)


def test_an_order_whose_answer_was_lost_is_found_through_the_log(open_desk):
    desk = open_desk(timeout_s=0.4)
    prepared = desk.prepare()
    desk.fault(FaultKind.ANSWER_DROPPED)

    reply = desk.venue.submit(prepared, ())
    found = desk.venue.lookup(desk.reference(position=prepared.position))

    assert (Outcome.UNKNOWN, Phase.SENT) == (reply.classification.outcome, reply.record.phase)
    assert (OrderStatus.FILLED, Decimal(100)) == (found.report.status, found.report.filled_quantity)
    assert ["transactions/sinceid?id=3"] == desk.targets(len(desk.server.wire) - 1)


def test_an_order_that_never_arrived_is_not_seen_and_the_views_say_where(open_desk):
    desk = open_desk(timeout_s=0.4)
    prepared = desk.prepare()
    desk.fault(FaultKind.REQUEST_DROPPED, nth=1)
    desk.venue.submit(prepared, ())
    desk.submit("lgs2")

    found = desk.venue.lookup(desk.reference(position=prepared.position))

    assert isinstance(found, NotSeen)
    assert ["no order of this id after 3, up to 5", "404 NO_SUCH_ORDER"] == [view.said for view in found.views]
    assert "5" == found.position


def test_a_reject_in_the_log_is_found_as_rejected(desk):
    desk.submit(quantity=Decimal("1.5"))

    found = desk.venue.lookup(desk.reference())

    assert (OrderStatus.REJECTED, "4", Decimal("1.5")) == (
        found.report.status,
        found.report.venue_order_id,
        found.report.quantity,
    )


def test_the_reject_of_a_duplicate_does_not_hide_the_order_it_speaks_of(desk):
    desk.submit(price=Decimal("1.05"))
    desk.submit(price=Decimal("1.05"))

    found = desk.venue.lookup(desk.reference(position="4"))

    assert (OrderStatus.NEW, "4") == (found.report.status, found.report.venue_order_id)


def test_the_reject_of_a_duplicate_alone_proves_nothing(desk):
    desk.submit(price=Decimal("1.05"))
    desk.submit(price=Decimal("1.05"))
    desk.app.exchange.cancel("4")

    found = desk.venue.lookup(desk.reference(position="4"))

    assert isinstance(found, NotSeen)


def test_of_two_orders_under_one_id_the_first_is_found_and_the_next_snapshot_shows_both(desk):
    desk.submit()
    desk.submit(quantity=Decimal(7))

    assert "4" == desk.venue.lookup(desk.reference()).report.venue_order_id
    assert "6" == desk.venue.lookup(desk.reference(venue_order_id="6")).report.venue_order_id
    assert [("4", "lgs1"), ("6", "lgs1")] == [
        (report.venue_order_id, report.client_order_id) for report in desk.reconcile().changed_orders
    ]


def test_a_lookup_without_a_position_reads_the_whole_log(desk):
    desk.submit()

    found = desk.venue.lookup(desk.reference(position=None))

    assert "4" == found.report.venue_order_id
    assert ["summary", "transactions/idrange?from=1&to=5"] == desk.targets(len(desk.server.wire) - 2)


def test_an_older_order_under_our_id_is_found_by_the_second_view(desk):
    desk.submit(price=Decimal("1.05"))
    desk.app.exchange.fill("4", Decimal(30))
    desk.submit("lgs2")

    found = desk.venue.lookup(desk.reference(position="7"))

    assert ("4", OrderStatus.PARTIALLY_FILLED, Decimal(30)) == (
        found.report.venue_order_id,
        found.report.status,
        found.report.filled_quantity,
    )


def test_an_accepted_order_may_stay_invisible_for_a_while(open_desk):
    desk = open_desk(visible_after_s=0.3)
    desk.submit(price=Decimal("1.05"))
    before = desk.venue.lookup(desk.reference())

    desk.app.visible_after_s = 0.0

    assert isinstance(before, NotSeen)
    assert isinstance(desk.venue.lookup(desk.reference()), Found)


@pytest.mark.parametrize("by", ["venue id", "our id"])
def test_a_pending_order_is_cancelled_in_one_request(desk, by):
    desk.submit(price=Decimal("1.05"))

    reply = desk.venue.cancel(desk.reference(venue_order_id="4" if by == "venue id" else None))

    assert "CLIENT_REQUEST" == reply.result.raw["orderCancelTransaction"]["reason"]
    assert 1 == len(desk.sent("cancel"))
    assert OrderStatus.CANCELED == desk.venue.lookup(desk.reference()).report.status


def test_the_cancel_of_an_order_that_has_ended_is_absent_and_rejects_nothing(desk):
    desk.submit()

    reply = desk.venue.cancel(desk.reference())

    assert (Outcome.ABSENT, "ORDER_DOESNT_EXIST") == (reply.classification.outcome, reply.classification.venue_code)


def test_an_answer_about_another_order_is_no_receipt(desk):
    desk.submit(price=Decimal("1.05"))
    other = {"orderCancelTransaction": {"orderID": "99", "type": "ORDER_CANCEL"}}
    desk.app.handle = lambda _request: HttpResponse.json(200, other)

    reply = desk.venue.cancel(desk.reference(venue_order_id="4"))

    assert Outcome.UNKNOWN == reply.classification.outcome


def test_a_snapshot_holds_orders_executions_fees_and_positions(open_desk):
    desk = open_desk(fee_rate=Decimal("0.0001"))
    desk.submit("lgs1")
    desk.submit("lgs2", side=Side.SELL, quantity=Decimal(300), symbol="USD_JPY")
    desk.submit("lgs3", price=Decimal("1.05"))

    snapshot = desk.reconcile()

    assert ["lgs3"] == [report.client_order_id for report in snapshot.open_orders]
    assert [("lgs1", OrderStatus.FILLED), ("lgs2", OrderStatus.FILLED), ("lgs3", OrderStatus.NEW)] == [
        (report.client_order_id, report.status) for report in snapshot.changed_orders
    ]
    assert [
        ("5", "lgs1", (Fee(amount=Decimal("0.0110"), asset="USD"),)),
        ("7", "lgs2", (Fee(amount=Decimal("0.0300"), asset="USD"),)),
    ] == [(execution.execution_id, execution.client_order_id, execution.fees) for execution in snapshot.executions]
    assert {Position(symbol="EUR_USD", quantity=Decimal(100)), Position(symbol="USD_JPY", quantity=Decimal(-300))} == set(
        snapshot.positions
    )


def test_a_cursor_is_gone_on_from_and_repeats_nothing(desk):
    desk.submit("lgs1")
    first = desk.reconcile()
    desk.submit("lgs2")

    second = desk.reconcile(first.cursor)

    assert ["7"] == [execution.execution_id for execution in second.executions]
    assert ["lgs2"] == [report.client_order_id for report in second.changed_orders]
    assert () == desk.reconcile(second.cursor).executions


def test_the_same_cursor_gives_the_same_executions(desk):
    desk.submit("lgs1")
    desk.submit("lgs2")

    assert desk.reconcile().executions == desk.reconcile().executions


def test_an_order_that_fills_over_three_snapshots_keeps_its_sum(desk):
    desk.submit(price=Decimal("1.05"))
    desk.app.exchange.fill("4", Decimal(30))
    first = desk.reconcile()
    desk.app.exchange.fill("4", Decimal(20))
    second = desk.reconcile(first.cursor)
    third = desk.reconcile(second.cursor)
    desk.app.exchange.fill("4", Decimal(50))
    last = desk.reconcile(third.cursor)

    assert [Decimal(30), Decimal(50), Decimal(50)] == [
        snapshot.open_orders[0].filled_quantity for snapshot in (first, second, third)
    ]
    assert [(OrderStatus.FILLED, Decimal(100))] == [(report.status, report.filled_quantity) for report in last.changed_orders]
    assert () == last.open_orders
    assert {} == json.loads(last.cursor)["traded"]


def test_an_order_that_ends_while_the_snapshot_is_read_is_not_listed_as_open(desk):
    desk.submit(price=Decimal("1.05"))
    first = desk.reconcile()
    handle = desk.app.handle

    def fill_after_pending(request):
        answer = handle(request)
        if request.path.endswith("/pendingOrders"):
            desk.app.exchange.fill("4", Decimal(100))
        return answer

    desk.app.handle = fill_after_pending
    snapshot = desk.reconcile(first.cursor)

    assert () == snapshot.open_orders
    assert [OrderStatus.FILLED] == [report.status for report in snapshot.changed_orders]


def test_orders_that_logos_has_no_words_for_are_left_out_unless_they_are_new_to_it_or_bear_our_prefix(desk):
    def with_a_stop(identity, kind="TAKE_PROFIT"):
        stop = {"id": "9", "type": kind, "state": "PENDING", "tradeID": "5", "clientExtensions": {"id": identity}}
        return lambda request: (
            HttpResponse.json(200, {"orders": [stop], "lastTransactionID": "3"})
            if request.path.endswith("/pendingOrders")
            else handle(request)
        )

    handle = desk.app.handle
    desk.app.handle = with_a_stop("another")
    snapshot = desk.reconcile()
    desk.app.handle = with_a_stop("lgs7")

    assert () == snapshot.open_orders
    with pytest.raises(VenueAskError, match="is a 'TAKE_PROFIT'"):
        desk.reconcile()
    desk.app.handle = with_a_stop("another", "INVENTED")
    with pytest.raises(VenueAskError, match="is a 'INVENTED'"):
        desk.reconcile()


def test_a_long_log_is_read_in_pages(open_desk):
    desk = open_desk(since_page=2)
    for index in range(4):
        desk.submit(f"lgs{index}")
    asked = len(desk.server.wire)

    found = desk.venue.lookup(desk.reference("lgs3"))

    assert "10" == found.report.venue_order_id
    assert ["transactions/sinceid?id=3", "transactions/idrange?from=6&to=11"] == desk.targets(asked)


def test_a_log_of_more_than_one_range_is_read_to_its_end(desk, monkeypatch):
    monkeypatch.setattr("logos_oanda.venue.PAGE", 3)
    for index in range(4):
        desk.submit(f"lgs{index}")

    snapshot = desk.reconcile()

    assert ["lgs0", "lgs1", "lgs2", "lgs3"] == [report.client_order_id for report in snapshot.changed_orders]


def test_416_is_answered_with_ranges(open_desk):
    desk = open_desk(since_satisfiable=False)
    desk.submit()

    found = desk.venue.lookup(desk.reference())

    assert "4" == found.report.venue_order_id


def test_a_log_that_ends_before_our_position_is_not_our_accounts(desk):
    desk.submit()

    with pytest.raises(VenueAskError, match="is it the same account"):
        desk.venue.lookup(desk.reference(position="99"))


def _doctored(desk, change):
    handle = desk.app.handle

    def doctor(request):
        answer = handle(request)
        if "/transactions/" not in request.path:
            return answer
        body = json.loads(answer.body)
        change(body["transactions"])
        return HttpResponse.json(answer.status, body)

    desk.app.handle = doctor


def test_a_log_with_a_gap_is_never_taken_for_the_whole(desk):
    desk.submit("lgs1")
    desk.submit("lgs2")
    _doctored(desk, lambda log: log.pop(0))

    with pytest.raises(VenueAskError, match="gap"):
        desk.venue.lookup(desk.reference("lgs3"))


def test_a_log_that_stops_early_is_never_taken_for_the_whole(desk):
    desk.submit("lgs1")
    _doctored(desk, lambda log: log.clear())

    with pytest.raises(VenueAskError, match="before its last transaction"):
        desk.venue.lookup(desk.reference("lgs3"))


def test_an_unreadable_cursor_is_never_read_as_the_beginning(desk):
    with pytest.raises(VenueAskError):
        desk.venue.reconcile(ReconcileRequest(cursor="", symbols=(), prefix="lgs"))


def _answering(desk, part, body):
    handle = desk.app.handle
    desk.app.handle = lambda request: HttpResponse.json(200, body) if part in request.path else handle(request)


def test_the_summary_of_another_account_is_refused(desk):
    _answering(desk, "/summary", {"account": {"id": "101-001-7654321-001", "currency": "USD"}, "lastTransactionID": "3"})

    with pytest.raises(VenueAskError, match="got 101-001-7654321-001"):
        desk.venue.identify()


def test_a_lookup_that_gives_another_order_is_refused(desk):
    desk.submit("other", price=Decimal("1.05"))
    _answering(desk, "/orders/@", {"order": {"id": "4", "clientExtensions": {"id": "other"}}})

    with pytest.raises(VenueAskError, match="got an order of the id other"):
        desk.venue.lookup(desk.reference())


def test_the_creation_of_another_order_is_refused(desk):
    desk.submit(price=Decimal("1.05"))
    first = desk.reconcile()
    desk.app.exchange.fill("4", Decimal(100))
    _answering(desk, "/transactions/4", {"transaction": {"id": "44"}})

    with pytest.raises(VenueAskError, match="asked for transaction 4, got 44"):
        desk.reconcile(first.cursor)
