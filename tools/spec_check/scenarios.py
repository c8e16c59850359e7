"""What is done on each venue, so that each operation is seen with each kind of answer.

A scenario gets a fresh simulator. It ends by an `AssertionError` where the venue did not do what the scenario is there for, so that
nothing counts as seen that was not. To add one, write a function and put it into `SCENARIOS`.
"""

from collections.abc import Callable
from contextlib import suppress

from attrs import evolve

from logos_core.capabilities import ReplaceKind
from logos_core.errors import OrderDeniedError, OrderRejectedError
from logos_core.hookspecs import Found, NotSeen, Outcome, UnknownSymbolError
from logos_core.orders import Order, OrderStatus, OrderType, Side, TimeInForce
from logos_core.replacing import ReplaceEnding
from logos_core.testing.exchange import Exchange, Refusal
from logos_core.testing.rehearsal.scenario import price_at, unit_of
from logos_core.venues import VenueAskError
from tools.spec_check import orders
from tools.spec_check.traffic import Desk

Scenario = Callable[[Desk], None]

HOLDING = 20
NOBODY = {"alpaca": "00000000-0000-4000-8000-000000000000", "ccxt:binance": "987654321", "oanda": "987654321"}
"""The venue's id of no order."""


def a_guarded_session(desk: Desk) -> None:
    """Open a session, order, ask, cancel and reconcile, as a user would."""
    quantity, price = unit_of(desk.main), price_at(desk.main, "0.95")
    order = Order.limit(desk.main.symbol, "buy", quantity=quantity, price=price, intent_id="one")
    with desk.open() as adapter:
        assert not adapter.submit(order).status.is_final
        assert isinstance(adapter.lookup("one"), Found)
        assert adapter.cancel("one").status is OrderStatus.CANCELED
        adapter.reconcile()


def every_order(desk: Desk) -> None:
    """Buy and sell with everything that the venue declares, on a share and on a coin where it has both."""
    exchange, refused = desk.app.exchange, list[str]()
    with desk.open() as adapter:
        for instrument in (desk.main, exchange.instruments()[-1]):
            holding = unit_of(instrument) * HOLDING  # What is sold to leave a position must be there.
            adapter.submit(Order.market(instrument.symbol, "buy", quantity=holding, intent_id=f"{instrument.symbol} holding"))
            for side in (Side.BUY, Side.SELL):
                for order in orders.declared(desk.capabilities, instrument, side):
                    try:
                        adapter.submit(order)
                    except OrderDeniedError:  # It may be narrower than the venue; what the venue declares is seen on the first one.
                        assert instrument.symbol != desk.main.symbol, order
                    except OrderRejectedError as error:
                        refused.append(f"{order.intent_id}: {error}")
                    _clear(exchange)
                adapter.reconcile()
    assert not refused, refused


def orders_that_come_to_their_end(desk: Desk) -> None:
    """Let the market rise and fall under every order that the venue declares, and ask for it before and after."""
    exchange, main = desk.app.exchange, desk.main
    with desk.open() as adapter:
        for order in orders.declared(desk.capabilities, main, Side.BUY):
            try:
                adapter.submit(order)
            except OrderRejectedError:  # `every_order` tells of it.
                continue
            for share in ("1.1", "0.9", "1"):
                exchange.move_price(main.symbol, price_at(main, share))
            assert isinstance(adapter.lookup(order.intent_id), Found), order
            adapter.reconcile()
            _clear(exchange)


def replacements(desk: Desk) -> None:
    """Replace what rests by more, and at another price; then what has traded in part, and what has filled."""
    unit, main = unit_of(desk.main), desk.main
    if desk.capabilities.replace.kind is ReplaceKind.NONE:
        return
    with desk.open() as adapter:
        for name in ("first", "partly", "filled"):
            adapter.submit(Order.limit(main.symbol, "buy", quantity=unit * 2, price=price_at(main, "0.95"), intent_id=name))
        more = adapter.replace("first", intent_id="more", quantity=unit * 3)
        assert more.ending is ReplaceEnding.REPLACED, more
        assert adapter.replace("more", intent_id="lower", price=price_at(main, "0.9")).ending is ReplaceEnding.REPLACED
        assert isinstance(adapter.lookup("lower"), Found)
        assert isinstance(adapter.lookup("first"), Found)
        for name, quantity in (("partly", unit), ("filled", unit * 2)):
            found = adapter.lookup(name)
            assert isinstance(found, Found)
            desk.app.exchange.fill(str(found.report.venue_order_id), quantity)
            adapter.replace(name, intent_id=f"{name} replaced", quantity=unit * 3)
        adapter.reconcile()


def refused_replacements(desk: Desk) -> None:
    """Replace in one request what has traded in part, what has filled, what is cancelled, and what never was."""
    if desk.capabilities.replace.kind is not ReplaceKind.NATIVE:
        return
    unit = unit_of(desk.main)
    partly, filled, cancelled = (
        desk.placed(desk.limit(f"lgs{name}", quantity=unit * 2)) for name in ("partly", "filled", "cancelled")
    )
    desk.app.exchange.fill(str(partly.venue_order_id), unit)
    desk.app.exchange.fill(str(filled.venue_order_id), unit * 2)
    desk.venue.cancel(cancelled)
    for reference in (partly, filled, cancelled, desk.reference("lgsnobody", NOBODY[desk.documented.venue])):
        request = desk.limit(f"{reference.client_order_id}new", "0.9", quantity=unit * 3, in_place_of=reference.venue_order_id)
        reply = desk.venue.replace(reference, desk.venue.prepare(request), ())
        assert reference is partly or reply.error is not None, (
            f"{reference.client_order_id}: {reply}"
        )  # Not every venue minds a part.


def an_unknown_symbol(desk: Desk) -> None:
    """Ask for the grid of something that is not listed."""
    try:
        desk.venue.instrument("NOTHING/LISTED")
    except UnknownSymbolError:
        return
    raise AssertionError("the venue lists NOTHING/LISTED")


def rejections(desk: Desk) -> None:
    """Order what the venue refuses: off the grid, too little, and more than there is money for."""
    main, unit = desk.main, unit_of(desk.main)
    orders = [
        desk.limit("lgsoffprice", price=price_at(main, "0.95") + main.price_tick / 10),
        desk.limit("lgsoffquantity", quantity=unit + main.quantity_step / 10),
    ]
    if desk.app.exchange.check_funds:
        orders += [
            desk.limit("lgspoor", quantity=unit * 1_000_000),
            desk.limit("lgsnothing", "1.05", Side.SELL, quantity=unit * 10_000),
        ]
    for order in orders:
        reply = desk.submit(order)
        refused = reply.classification is not None and reply.classification.outcome is Outcome.REJECTED
        assert refused or (reply.result and reply.result.status.is_final), f"{order.client_order_id}: {reply}"


def a_duplicate(desk: Desk) -> None:
    """Send an order a second time under the id of one that rests."""
    desk.placed(desk.limit("lgstwice"))
    reply = desk.submit(desk.limit("lgstwice"))
    assert reply.classification is not None
    assert reply.classification.outcome is Outcome.DUPLICATE, reply


def what_little_can_trade(desk: Desk) -> None:
    """Send each order that takes what there is and leaves the rest, and one that rests with a part filled."""
    unit = unit_of(desk.main)
    for kind in (OrderType.MARKET, OrderType.LIMIT):
        for lasts in set(desk.capabilities.times_in_force[kind]) - {TimeInForce.GTD}:
            desk.app.exchange.set_liquidity(desk.main.symbol, unit)
            name = f"lgsthin{kind.value}{lasts.value}"
            order = desk.market(name) if kind is OrderType.MARKET else desk.limit(name, "1.05")
            desk.submit(evolve(order, quantity=unit * 2, time_in_force=lasts))
    desk.app.exchange.set_liquidity(desk.main.symbol, None)
    desk.snapshot()


def cancels(desk: Desk) -> None:
    """Cancel what works, what works in part, what has filled, what is cancelled, and what never was."""
    working, partly = desk.placed(desk.limit("lgsworking")), desk.placed(desk.limit("lgspartly", quantity=unit_of(desk.main) * 4))
    filled = desk.placed(desk.market("lgsfilled"))
    assert partly.venue_order_id is not None
    desk.app.exchange.fill(partly.venue_order_id, unit_of(desk.main))
    assert desk.venue.cancel(working).error is None
    assert desk.venue.cancel(partly).error is None
    for reference in (working, filled, desk.reference("lgsnobody", NOBODY[desk.documented.venue]), desk.reference("lgsnobody")):
        assert desk.venue.cancel(reference).error is not None, reference
    desk.placed(desk.limit("lgsbyname"))
    desk.venue.cancel(desk.reference("lgsbyname"))


def lookups(desk: Desk) -> None:
    """Look for what works, what works in part, what has filled, what is cancelled, what was refused, and what never was."""
    placed = [desk.placed(desk.limit(f"lgs{name}", quantity=unit_of(desk.main) * 4)) for name in ("working", "partly", "cancelled")]
    placed.append(desk.placed(desk.market("lgsfilled")))
    desk.app.exchange.fill(str(placed[1].venue_order_id), unit_of(desk.main))
    desk.venue.cancel(placed[2])
    for reference in placed:
        assert isinstance(desk.venue.lookup(reference), Found), reference
        assert isinstance(desk.venue.lookup(desk.reference(reference.client_order_id)), Found), reference
    assert isinstance(desk.venue.lookup(desk.reference("lgsnobody")), NotSeen)


def reconciliation(desk: Desk) -> None:
    """Reconcile from the beginning, and from a cursor behind which old orders have filled and ended."""
    first, second, third = (desk.placed(desk.limit(f"lgs{name}", "0.9", quantity=unit_of(desk.main) * 2)) for name in "abc")
    desk.placed(desk.market("lgsbought", quantity=unit_of(desk.main) * 2))
    desk.placed(desk.market("lgssold", Side.SELL))
    seen = desk.snapshot()
    assert len(seen.open_orders) == 3, seen
    desk.app.exchange.fill(str(first.venue_order_id), unit_of(desk.main))
    desk.app.exchange.fill(str(second.venue_order_id), unit_of(desk.main) * 2)
    desk.venue.cancel(third)
    assert len(desk.snapshot(seen.cursor).open_orders) == 1


def several_pages(desk: Desk) -> None:
    """Reconcile more than the venue lists at once."""
    with desk.unheard():
        for number in range(desk.documented.page + 1):
            desk.placed(desk.market(f"lgspage{number}", (Side.BUY, Side.SELL)[number % 2]))
    assert len(desk.snapshot().executions) > desk.documented.page


def the_venues_time(desk: Desk) -> None:
    """Reconcile where no answer tells the time by the way."""
    desk.placed(desk.market("lgsbought"))
    with desk.undated():
        desk.snapshot()
        desk.venue.lookup(desk.reference("lgsnobody"))


def error_answers(desk: Desk) -> None:
    """Answer each kind of request with each error."""
    reference = desk.placed(desk.limit("lgsresting"))
    for status in desk.documented.statuses:
        ask: dict[str, Callable[[], object]] = {
            "identify": desk.venue.identify,
            "instrument": lambda: desk.venue.instrument(desk.main.symbol),
            "lookup": lambda: desk.venue.lookup(reference),
            "reconcile": desk.snapshot,
        }
        for name, call in ask.items():
            if status != 401 or name not in desk.documented.keyless:
                _refused(desk, status, call)
        order = desk.venue.prepare(desk.limit(f"lgserror{status}"))
        desk.refuse_next(status)
        assert desk.venue.submit(order, ()).error is not None
        desk.refuse_next(status)
        assert desk.venue.cancel(reference).error is not None
        if desk.capabilities.replace.kind is ReplaceKind.NATIVE:
            replacing = desk.venue.prepare(evolve(order.request, in_place_of=reference.venue_order_id))
            desk.refuse_next(status)
            assert desk.venue.replace(reference, replacing, ()).error is not None


def _clear(exchange: Exchange) -> None:
    """Cancel what rests, unheard, so that it ties up no money."""
    for order in exchange.open_orders():
        with suppress(Refusal):  # One of a group may have taken the others with it.
            exchange.cancel(order.order_id)


def _refused(desk: Desk, status: int, call: Callable[[], object]) -> None:
    desk.refuse_next(status)
    try:
        call()
    except (UnknownSymbolError, VenueAskError, OrderDeniedError):
        pass
    finally:
        desk.mend()


SCENARIOS: tuple[Scenario, ...] = (
    a_guarded_session,
    every_order,
    orders_that_come_to_their_end,
    replacements,
    refused_replacements,
    an_unknown_symbol,
    rejections,
    a_duplicate,
    what_little_can_trade,
    cancels,
    lookups,
    reconciliation,
    several_pages,
    the_venues_time,
    error_answers,
)
