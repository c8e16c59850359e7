"""The whole view of the account: complete, repeatable, and not blinded by what others trade."""

import json
from decimal import Decimal

import pytest

from logos_core.hookspecs import Position
from logos_core.orders import OrderStatus, Side
from logos_core.testing.faults import FaultKind
from logos_core.venues import VenueAskError

D = Decimal


def names(reports):
    return [report.client_order_id for report in reports]


def with_last(**changes):
    """Change the newest order of a list."""
    return lambda orders: [*orders[:-1], orders[-1] | changes] if orders else []


def test_a_snapshot_holds_orders_executions_and_positions(desk):
    desk.submit("lgs1")
    desk.submit("lgs2", symbol="BTC/USD", quantity=D("0.5"), price=D(70_000))
    resting = desk.rest("lgs3")
    desk.app.exchange.fill(resting, D(1))

    snapshot = desk.reconcile()

    assert ["lgs3"] == names(snapshot.open_orders)
    assert [("lgs1", OrderStatus.FILLED), ("lgs2", OrderStatus.FILLED), ("lgs3", OrderStatus.PARTIALLY_FILLED)] == [
        (report.client_order_id, report.status) for report in snapshot.changed_orders
    ]
    assert [("AAPL", Side.BUY, D(3), D(190)), ("BTC/USD", Side.BUY, D("0.5"), D(60_000)), ("AAPL", Side.BUY, D(1), D(150))] == [
        (execution.symbol, execution.side, execution.quantity, execution.price) for execution in snapshot.executions
    ]
    assert [report.venue_order_id for report in snapshot.changed_orders] == [
        execution.venue_order_id for execution in snapshot.executions
    ]
    assert {Position(symbol="AAPL", quantity=D(4)), Position(symbol="BTCUSD", quantity=D("0.5"))} == set(snapshot.positions)


def test_an_empty_account_gives_an_empty_snapshot_that_can_be_gone_on_from(desk):
    empty = desk.reconcile()
    desk.submit()

    assert ((), (), (), ()) == (empty.open_orders, empty.changed_orders, empty.executions, empty.positions)
    assert ["lgs1"] == names(desk.reconcile(empty.cursor).changed_orders)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_every_page_of_orders_is_read(desk, monkeypatch, count):
    monkeypatch.setattr("logos_alpaca.venue.PAGE", 2)
    expected = [f"lgs{index}" for index in range(count)]
    for name in expected:
        desk.rest(name)

    snapshot = desk.reconcile()

    assert (expected, expected) == (names(snapshot.open_orders), names(snapshot.changed_orders))
    assert {("asc", "2")} == {(query["direction"], query["limit"]) for query in desk.queries("/orders") if query}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_every_page_of_fills_is_read(desk, monkeypatch, count):
    monkeypatch.setattr("logos_alpaca.venue.FILL_PAGE", 2)
    for index in range(count):
        desk.submit(f"lgs{index}", quantity=D(index + 1))

    snapshot = desk.reconcile()

    assert [D(index + 1) for index in range(count)] == [execution.quantity for execution in snapshot.executions]
    assert () == desk.reconcile(snapshot.cursor).executions


def test_a_page_is_as_long_as_alpaca_allows(desk):
    desk.reconcile()

    assert [{"500"}, {"100"}] == [
        {query["limit"] for query in desk.queries("/orders")},
        {query["page_size"] for query in desk.queries("/account/activities/FILL")},
    ]


def test_more_pages_than_the_bound_are_an_error_and_not_half_a_view(desk, monkeypatch):
    monkeypatch.setattr("logos_alpaca.venue.PAGE", 1)
    monkeypatch.setattr("logos_alpaca.venue.MAX_PAGES", 3)
    for index in range(3):
        desk.rest(f"lgs{index}")

    with pytest.raises(VenueAskError, match="more than 3 pages"):
        desk.reconcile()


def test_the_same_cursor_gives_the_same_snapshot(desk):
    first = desk.reconcile()
    desk.submit("lgs1")
    desk.rest("lgs2")

    assert desk.reconcile(first.cursor) == desk.reconcile(first.cursor)
    assert desk.reconcile() == desk.reconcile()


def test_a_cursor_is_gone_on_from_and_repeats_nothing_that_has_ended(desk):
    desk.submit("lgs1")
    first = desk.reconcile()
    desk.submit("lgs2")
    second = desk.reconcile(first.cursor)
    third = desk.reconcile(second.cursor)

    assert (["lgs2"], 1) == (names(second.changed_orders), len(second.executions))
    assert ((), (), second.cursor) == (third.changed_orders, third.executions, third.cursor)


def test_an_order_that_ends_long_after_the_cursor_could_have_passed_it_is_told(desk):
    desk.submit("lgs1")
    resting = desk.rest("lgs2")
    cursor = desk.reconcile().cursor
    for index in range(3, 8):
        desk.submit(f"lgs{index}")
        cursor = desk.reconcile(cursor).cursor
    desk.app.exchange.cancel(resting)

    snapshot = desk.reconcile(cursor)
    after = desk.reconcile(snapshot.cursor)

    assert ("lgs2", OrderStatus.CANCELED) == (snapshot.changed_orders[0].client_order_id, snapshot.changed_orders[0].status)
    assert ((), ()) == (snapshot.open_orders, after.changed_orders)


@pytest.mark.parametrize("status", ["pending_new", "accepted", "held", "suspended", "calculated", "done_for_day", "pending_cancel"])
def test_the_cursor_does_not_pass_an_order_that_may_still_change(desk, status):
    desk.submit("lgs1")
    desk.change_json("GET", "/orders", lambda orders: [order | {"status": status} for order in orders])

    snapshot = desk.reconcile(desk.reconcile().cursor)

    assert ["lgs1"] == names(snapshot.changed_orders)


def test_an_open_order_that_was_seen_too_late_for_the_cursor_is_shown_all_the_same(desk):
    desk.rest("lgs1")
    desk.submit("lgs2")
    desk.change_json("GET", "/orders", lambda orders: [order for order in orders if order["client_order_id"] != "lgs1"])
    cursor = desk.reconcile().cursor
    desk.app.changes.clear()

    assert ["lgs1"] == names(desk.reconcile(cursor).open_orders)


def test_an_order_that_ends_while_the_snapshot_is_read_is_not_listed_as_open(desk):
    filling, resting = desk.rest("lgs1"), desk.rest("lgs2")

    def fill_afterwards(request, answer):
        if request.query["status"] == "open":
            desk.app.exchange.fill(filling, D(3))
            desk.app.exchange.fill(resting, D(1))
        return answer

    desk.change("GET", "/orders", fill_afterwards)
    snapshot = desk.reconcile()

    assert [("lgs2", D(1))] == [(report.client_order_id, report.filled_quantity) for report in snapshot.open_orders]
    assert [OrderStatus.FILLED, OrderStatus.PARTIALLY_FILLED] == [report.status for report in snapshot.changed_orders]


FOREIGN = [
    {"qty": None, "notional": None},
    {"type": "limit_on_close"},
    {"time_in_force": "opg"},
    {"side": ""},
    {"symbol": None},
    {"status": "invented"},
    {"status": None},
    {"filled_qty": "NaN"},
    {"updated_at": "yesterday"},
]


@pytest.mark.parametrize("changes", FOREIGN, ids=str)
def test_a_foreign_order_that_logos_cannot_read_blinds_it_to_nothing(desk, changes):
    desk.rest("lgs1")
    desk.rest("another")
    desk.change_json("GET", "/orders", with_last(**changes))

    snapshot = desk.reconcile()

    assert (["lgs1"], ["lgs1"]) == (names(snapshot.open_orders), names(snapshot.changed_orders))


@pytest.mark.parametrize("changes", FOREIGN, ids=str)
def test_an_order_of_ours_that_logos_cannot_read_is_never_left_out(desk, changes):
    desk.rest("another")
    desk.rest("lgs1")
    desk.change_json("GET", "/orders", with_last(**changes))

    with pytest.raises(VenueAskError, match="reconcile failed"):
        desk.reconcile()


def test_an_unreadable_foreign_order_at_a_pages_end_does_not_end_the_list(desk, monkeypatch):
    monkeypatch.setattr("logos_alpaca.venue.PAGE", 2)
    for name in ("lgs1", "another", "lgs2"):
        desk.rest(name)
    foreign = {"qty": None, "notional": None}
    desk.change_json(
        "GET",
        "/orders",
        lambda orders: [order | (foreign if order["client_order_id"] == "another" else {}) for order in orders],
    )

    assert ["lgs1", "lgs2"] == names(desk.reconcile().changed_orders)


def test_a_foreign_order_that_was_replaced_has_ended(desk):
    desk.rest("lgs1")
    desk.rest("another")
    desk.change_json("GET", "/orders", with_last(status="replaced"))

    snapshot = desk.reconcile()

    assert ["lgs1"] == names(snapshot.open_orders)
    assert [("lgs1", OrderStatus.NEW), ("another", OrderStatus.CANCELED)] == [
        (report.client_order_id, report.status) for report in snapshot.changed_orders
    ]


def test_a_short_position_is_negative_and_a_short_sale_is_a_sale(desk):
    desk.submit()
    desk.change_json("GET", "/positions", lambda held: [held[0] | {"qty": "-3", "side": "short"}])
    desk.change_json("GET", "/account/activities/FILL", lambda fills: [fill | {"side": "sell_short"} for fill in fills])

    snapshot = desk.reconcile()

    assert (Position(symbol="AAPL", quantity=D(-3)),) == snapshot.positions
    assert [Side.SELL] == [execution.side for execution in snapshot.executions]


@pytest.mark.parametrize("path", ["/orders", "/account/activities/FILL", "/positions"])
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"null"),
        (200, b"{}"),
        (200, b"[1]"),
        (200, b"<html>"),
        (200, b"[{}]"),
        (206, b"[]"),
        (404, b"[]"),
        (503, b""),
    ],
)
def test_a_part_that_cannot_be_had_fails_the_whole(desk, path, status, body):
    if path == "/orders" and body == b"[{}]":
        body = b'[{"client_order_id": "lgs1"}]'
    desk.answer("GET", path, status, body)

    with pytest.raises(VenueAskError, match="reconcile failed"):
        desk.reconcile()


def test_a_fault_on_a_later_page_fails_the_whole(desk, monkeypatch):
    monkeypatch.setattr("logos_alpaca.venue.PAGE", 2)
    for index in range(5):
        desk.rest(f"lgs{index}")
    desk.fault(FaultKind.STATUS_BEFORE, "reconcile", nth=2, status=504)

    with pytest.raises(VenueAskError, match="venue down"):
        desk.reconcile()


@pytest.mark.parametrize("cursor", ["x", "[]", "{}", '{"order": null}', "1"])
def test_a_cursor_of_another_shape_is_never_read_as_the_beginning(desk, cursor):
    with pytest.raises(VenueAskError):
        desk.reconcile(cursor)


def test_a_cursor_is_text_that_names_the_last_ended_order_and_the_last_fill(desk):
    desk.submit()
    snapshot = desk.reconcile()

    assert {"order": snapshot.changed_orders[0].venue_order_id, "fill": snapshot.executions[0].execution_id} == json.loads(
        snapshot.cursor
    )
