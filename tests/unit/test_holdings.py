"""The venue's positions beside what our executions come to."""

from dataclasses import replace
from decimal import Decimal

import pytest
from attrs import evolve

from logos_core import holdings
from logos_core.baselines import PositionsMovingError
from logos_core.capabilities import PositionKind, PositionView
from logos_core.clock import ManualClock
from logos_core.holdings import Baseline, PositionDifference
from logos_core.hookspecs import Operation, Position
from logos_core.orders import OrderStatus, Side
from logos_core.positions import Assets, book_of
from logos_core.reconciliation import Agreement, ReconciliationReport, verdict
from logos_core.records import Overfill
from logos_core.reports import Fee
from logos_core.testing.scripted import INSTRUMENT, ScriptedVenue, accept, capabilities, fail
from tests.unit.making import execution_of, order

ASSETS = {"BTC/USDT": Assets("BTC", "USDT"), "ETH/BTC": Assets("ETH", "BTC")}


def view(kind: PositionKind, symbols: str = ".*") -> PositionView:
    return PositionView(kind=kind, symbols=symbols, sources={"kind": "a test", "symbols": "a test"})


BY_SYMBOL, BY_ASSET = view(PositionKind.BY_SYMBOL), view(PositionKind.BY_ASSET)


def baseline(**changes) -> Baseline:
    made = Baseline(at=ManualClock().now(), row=0, venue={"BTC": Decimal(5)}, ours={"BTC": Decimal(1)})
    return evolve(made, **changes)


def test_only_the_change_since_the_baseline_counts():
    ours = {"BTC": Decimal(3)}

    assert {} == holdings.differences(["BTC"], baseline(), ours, {"BTC": Decimal(7)})
    found = holdings.differences(["BTC"], baseline(), ours, {"BTC": Decimal(3)})
    assert {"BTC": PositionDifference(name="BTC", ledger=Decimal(7), venue=Decimal(3))} == found


def test_what_the_venue_no_longer_shows_is_nothing():
    assert ["BTC"] == list(holdings.differences(["BTC"], baseline(), {"BTC": Decimal(1)}, {}))
    assert {} == holdings.differences(["BTC"], baseline(), {"BTC": Decimal(-4)}, {})


def test_a_fee_taken_out_of_the_asset_counts_by_asset_and_not_by_symbol():
    fees = (Fee(amount=Decimal("0.001"), asset="BTC"), Fee(amount=Decimal("0.2"), asset="BNB"))
    book = book_of([execution_of(quantity=Decimal(1), fees=fees)], ASSETS)

    assert {"BTC": Decimal("0.999"), "BNB": Decimal("-0.2")} == holdings.moved(book, BY_ASSET)
    assert {"BTC/USDT": Decimal(1)} == holdings.moved(book, BY_SYMBOL)


def test_an_instrument_of_which_nobody_knows_what_it_is_made_of_moves_its_fees_alone():
    book = book_of([execution_of(quantity=Decimal(1), fees=(Fee(amount=Decimal("0.2"), asset="BNB"),))], {})

    assert {"BNB": Decimal("-0.2")} == holdings.moved(book, BY_ASSET)


def test_one_asset_of_two_instruments_is_one_sum():
    told = [execution_of(quantity=Decimal(1)), execution_of("t2", symbol="BTC/EUR", quantity=Decimal(2), side=Side.SELL)]
    book = book_of(told, {**ASSETS, "BTC/EUR": Assets("BTC", "EUR")})

    assert {"BTC": Decimal(-1)} == holdings.moved(book, BY_ASSET)


@pytest.mark.parametrize(
    ("symbols", "how", "expected"),
    [
        (["BTC/USDT"], BY_ASSET, ({"BTC"}, ())),
        (["BTC/USDT", "ETH/BTC"], BY_ASSET, ({"ETH"}, ())),
        (["BTC/USDT", "NEW/COIN"], BY_ASSET, (set(), ("BTC/USDT", "NEW/COIN"))),
        (["AAPL", "BTC/USDT"], view(PositionKind.BY_SYMBOL, "[^/]+"), ({"AAPL"}, ("BTC/USDT",))),
        ([], BY_SYMBOL, (set(), ())),
    ],
)
def test_what_is_money_or_not_known_is_not_compared(symbols, how, expected):
    assert expected == holdings.comparable(symbols, ASSETS, how)


def test_a_baseline_is_read_as_it_was_stored():
    assert baseline() == Baseline.read(baseline().text())


def test_a_difference_says_what_foreign_trading_has_to_do_with_it():
    found = PositionDifference(name="AAPL", ledger=Decimal(10), venue=Decimal(15), foreign=Decimal(5))

    assert "AAPL: ours come to 10, the venue holds 15; orders that are not ours moved it by 5, which explains it" == str(found)
    assert str(evolve(found, foreign=Decimal(4))).endswith("by 4, which does not explain it")
    assert "AAPL: ours come to 10, the venue holds 15" == str(evolve(found, foreign=Decimal(0)))


@pytest.mark.parametrize(
    "found",
    [
        {"positions_different": (PositionDifference(name="AAPL", ledger=Decimal(1), venue=Decimal(2)),)},
        {"overfilled": (Overfill(client_order_id="lgs1", order="v1", quantity=Decimal(1), filled=Decimal(2)),)},
    ],
)
def test_a_position_that_differs_and_an_order_that_is_overfilled_differ(found):
    report = ReconciliationReport(verdict=Agreement.DIFFERS, **found)

    assert Agreement.DIFFERS == verdict(report)
    assert ("1 positions different" in str(report)) is ("positions_different" in found)


# -------------------------------------------------------------------------------------------------- a session that compares


@pytest.fixture
def session(desk):
    """Sessions on a venue that counts by symbol."""
    return desk(ScriptedVenue(capabilities(positions=BY_SYMBOL)))


def hold(session, quantity: str, symbol: str = "BTC/USDT") -> None:
    session.venue.positions[:] = [Position(symbol=symbol, quantity=Decimal(quantity))]


def holding(quantity: str):
    """A reading in which the venue holds this from now on."""

    def step(venue, _request):
        venue.positions[:] = [Position(symbol="BTC/USDT", quantity=Decimal(quantity))]
        return venue.snapshot()

    return step


def fill(session, intent_id: str = "one") -> None:
    session.venue.on_submit(accept(OrderStatus.FILLED))
    session.adapter.submit(order(intent_id))


def test_the_first_reconciliation_takes_the_baseline_and_the_next_agree(session):
    hold(session, "7")
    first = session.adapter.reconcile()
    fill(session)
    hold(session, "8")

    assert (Agreement.AGREES, Agreement.AGREES) == (first.verdict, session.adapter.reconcile().verdict)
    assert 1 == [event.kind for event in session.ledger.events()].count("baseline")


def test_a_position_that_moved_without_our_executions_differs(session):
    session.adapter.reconcile()
    fill(session)
    hold(session, "3")
    report = session.adapter.reconcile()

    assert Agreement.DIFFERS == report.verdict
    assert (PositionDifference(name="BTC/USDT", ledger=Decimal(1), venue=Decimal(3)),) == report.positions_different


def test_foreign_trading_on_the_account_differs_and_is_named(session):
    session.adapter.reconcile()
    fill(session)
    session.venue.executions.append(execution_of("t9", "somebody's", quantity=Decimal(2)))
    hold(session, "3")
    (found,) = session.adapter.reconcile().positions_different

    assert (Decimal(2), True) == (found.foreign, found.is_explained)


def test_foreign_trading_before_the_baseline_explains_nothing(session):
    session.venue.executions.append(execution_of("t9", "somebody's", quantity=Decimal(2)))
    session.adapter.reconcile()
    fill(session)
    hold(session, "3")
    (found,) = session.adapter.reconcile().positions_different

    assert Decimal(0) == found.foreign


def test_what_we_do_not_trade_is_not_compared(session):
    session.adapter.reconcile()
    hold(session, "100", "ETH/USDT")

    assert Agreement.AGREES == session.adapter.reconcile().verdict


@pytest.mark.parametrize("first", ["the position", "the execution"])
def test_an_execution_that_arrives_while_it_is_read_is_no_difference(session, first):
    """Whichever of the two the venue shows first: the second reading has both."""
    session.adapter.reconcile()
    session.adapter.submit(order())
    before = session.venue.snapshot()
    session.venue.executions.append(execution_of("t9", "v1"))
    hold(session, "0.5")
    after = session.venue.snapshot()
    torn = evolve(before, positions=after.positions) if first == "the position" else evolve(after, positions=before.positions)
    session.venue.script(Operation.RECONCILE, lambda venue, request: torn)

    assert Agreement.AGREES == session.adapter.reconcile().verdict
    assert Decimal("0.5") == session.adapter.book().quantity("BTC/USDT")


def test_a_position_that_still_changes_between_two_readings_is_in_motion(session):
    session.adapter.reconcile()
    fill(session)
    for quantity in ("2", "3"):
        positions = (Position(symbol="BTC/USDT", quantity=Decimal(quantity)),)
        session.venue.script(Operation.RECONCILE, lambda venue, request, said=positions: evolve(venue.snapshot(), positions=said))
    report = session.adapter.reconcile()

    assert (Agreement.UNSETTLED, ("position BTC/USDT",)) == (report.verdict, report.in_motion)


def test_a_position_that_lags_behind_is_read_again_after_the_visibility_lag(session):
    session.adapter.reconcile()
    fill(session)
    session.venue.script(Operation.RECONCILE, lambda venue, request: venue.snapshot())
    session.venue.script(Operation.RECONCILE, holding("1"))
    before = session.clock.now()

    assert Agreement.AGREES == session.adapter.reconcile().verdict
    assert 1.0 <= (session.clock.now() - before).total_seconds()


def test_no_baseline_is_taken_from_positions_that_move(session):
    fill(session)
    session.venue.script(Operation.RECONCILE, lambda venue, request: venue.snapshot())
    session.venue.script(Operation.RECONCILE, holding("1"))
    report = session.adapter.reconcile()

    assert (Agreement.UNSETTLED, ("positions",)) == (report.verdict, report.in_motion)
    assert session.ledger.cursor("baseline") is None
    assert Agreement.AGREES == session.adapter.reconcile().verdict
    assert session.ledger.cursor("baseline") is not None


def test_a_second_reading_that_fails_could_not_ask(session):
    session.adapter.reconcile()
    fill(session)
    hold(session, "3")
    session.venue.script(Operation.RECONCILE, lambda venue, request: venue.snapshot(), fail())
    report = session.adapter.reconcile()

    assert (Agreement.COULD_NOT_ASK, ()) == (report.verdict, report.positions_different)


def test_a_person_takes_a_new_baseline_with_a_reason(session):
    session.adapter.reconcile()
    fill(session)
    hold(session, "3")
    session.adapter.accept_positions("somebody", "a deposit of 2")
    said = [event.fields() for event in session.ledger.events() if event.kind == "baseline"][-1]

    assert Agreement.AGREES == session.adapter.reconcile().verdict
    assert ("somebody", "a deposit of 2") == (said["by"], said["because"])


def test_no_person_can_take_a_baseline_from_positions_that_move(session):
    session.venue.script(Operation.RECONCILE, lambda venue, request: venue.snapshot())
    session.venue.script(Operation.RECONCILE, holding("1"))
    with pytest.raises(PositionsMovingError):
        session.adapter.accept_positions("somebody", "in a hurry")


def test_a_venue_that_declares_no_positions_is_not_compared_and_not_asked_twice(desk):
    session = desk()
    session.adapter.reconcile()
    fill(session)
    session.venue.calls.clear()

    assert Agreement.AGREES == session.adapter.reconcile().verdict
    assert 1 == session.venue.calls.count(Operation.RECONCILE)
    assert Operation.INSTRUMENT not in session.venue.calls
    with pytest.raises(LookupError, match="no positions"):
        session.adapter.accept_positions("somebody", "none are shown")


def test_by_asset_the_venue_is_asked_once_what_an_instrument_is_made_of(desk):
    session = desk(ScriptedVenue(capabilities(positions=BY_ASSET)))
    hold(session, "7", "BTC")
    session.adapter.reconcile()
    fill(session)
    hold(session, "8", "BTC")
    session.venue.calls.clear()

    assert [Agreement.AGREES] * 2 == [session.adapter.reconcile().verdict for _ in range(2)]
    assert 1 == session.venue.calls.count(Operation.INSTRUMENT)
    assert {"BTC/USDT": Assets("BTC", "USDT")} == session.ledger.executed.assets()
    hold(session, "9", "BTC")
    assert ["BTC"] == [found.name for found in session.adapter.reconcile().positions_different]


def test_a_comparison_that_lacks_a_name_could_not_ask(desk):
    """Not even once the session has asked in vain: an outage is never an agreement."""
    session = desk(ScriptedVenue(capabilities(positions=BY_ASSET)))
    session.adapter.reconcile()
    fill(session)
    session.venue.script(Operation.INSTRUMENT, fail(), fail())

    assert ("BTC/USDT",) == session.adapter.book().unnamed
    assert [Agreement.COULD_NOT_ASK, Agreement.DIFFERS] == [session.adapter.reconcile().verdict for _ in range(2)]


def test_an_instrument_that_can_no_longer_be_asked_about_leaves_its_currency_unnamed(session):
    fill(session)
    session.venue.instruments.clear()
    book = session.adapter.book()

    assert (("BTC/USDT",), Decimal(1)) == (book.unnamed, book.quantity("BTC/USDT"))
    session.venue.instruments["BTC/USDT"] = INSTRUMENT
    assert ("BTC/USDT",) == session.adapter.book().unnamed, "asked once per session"


def test_the_book_of_a_session_has_names_and_profits(session):
    fill(session)
    session.venue.on_submit(accept(OrderStatus.FILLED))
    session.adapter.submit(order("two", side="sell", price="110"))
    book = session.adapter.book()

    assert () == book.unnamed
    assert {"USDT": Decimal("9.98")} == book.realised(session.clock.now().date())


# ------------------------------------------------------------------------------------------------------ each venue's own SDK


def test_each_venue_agrees_with_its_own_positions_and_notices_anothers(loopback):
    """Real SDKs over the simulators: what was held before, our fills with their fees, then somebody else's trade."""
    with loopback.open() as adapter:
        adapter.submit(loopback.order("buys", at="1.05"))
        agrees = adapter.reconcile()
        adapter.submit(loopback.order("rests"))
        again = adapter.reconcile()
        stranger(loopback)
        differs = adapter.reconcile()

    assert (Agreement.AGREES, Agreement.AGREES) == (agrees.verdict, again.verdict), (agrees, again)
    assert () == agrees.positions_not_compared
    assert (Agreement.DIFFERS, [True]) == (differs.verdict, [found.is_explained for found in differs.positions_different])


def test_what_moved_since_the_ledger_began_differs_in_the_first_reconciliation(loopback):
    with loopback.open() as adapter:
        adapter.submit(loopback.order("buys", at="1.05"))
        stranger(loopback)
        report = adapter.reconcile()

    assert (Agreement.DIFFERS, 1) == (report.verdict, len(report.positions_different))


def stranger(loopback) -> None:
    """Let somebody else at the same account do what the first order did."""
    exchange = loopback.app.exchange
    request = exchange.orders()[0].request
    tags = {**request.tags, **({"clientExtensions": {}} if "clientExtensions" in request.tags else {})}
    exchange.submit(replace(request, client_order_id="somebody", tags=tags))
