"""What is done on each venue, so that each operation is seen with each kind of answer.

A scenario gets a fresh simulator. It ends by an `AssertionError` where the venue did not do what the scenario is there for, so that
nothing counts as seen that was not. To add one, write a function and put it into `SCENARIOS`.
"""

from collections.abc import Callable

from logos_core.errors import OrderDeniedError
from logos_core.hookspecs import Found, NotSeen, Outcome, UnknownSymbolError
from logos_core.orders import OrderStatus, OrderType, Side
from logos_core.testing.rehearsal.scenario import price_at, unit_of
from logos_core.venues import VenueAskError
from tools.spec_check.traffic import Desk, instruments, order_of

Scenario = Callable[[Desk], None]


def a_guarded_session(desk: Desk) -> None:
    """Open a session, order, ask, cancel and reconcile, as a user would."""
    from logos_core import Order

    order = Order.limit(
        desk.main.symbol, "buy", quantity=unit_of(desk.main), price=price_at(desk.main, "0.95"), intent_id="one"
    )
    with desk.open() as adapter:
        assert not adapter.submit(order).status.is_final
        assert isinstance(adapter.lookup("one"), Found)
        assert adapter.cancel("one").status is OrderStatus.CANCELED
        adapter.reconcile()


def every_order(desk: Desk) -> None:
    """Buy and sell with every order type and time in force that the venue declares, and the instrument takes."""
    with desk.open() as adapter:
        for instrument in instruments(desk):
            narrower = desk.venue.instrument(instrument.symbol).times_in_force
            for kind, declared in desk.capabilities.times_in_force.items():
                for lasts in (item for item in declared if item in narrower.get(kind, declared)):
                    for side in (Side.BUY, Side.SELL):
                        name = f"{instrument.symbol} {kind.value} {lasts.value} {side.value}"
                        adapter.submit(order_of(kind, lasts, instrument, side, name))
        adapter.reconcile()


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
        orders += [desk.limit("lgspoor", quantity=unit * 1_000_000), desk.limit("lgsnothing", "1.05", Side.SELL, quantity=unit * 10_000)]
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
    for number, (kind, declared) in enumerate(desk.capabilities.times_in_force.items()):
        for lasts in declared:
            desk.app.exchange.set_liquidity(desk.main.symbol, unit)
            order = {OrderType.MARKET: desk.market, OrderType.LIMIT: lambda name, **more: desk.limit(name, "1.05", **more)}.get(kind)
            if order is not None:
                desk.submit(order(f"lgsthin{number}{lasts.value}", quantity=unit * 2, time_in_force=lasts))
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
    nobody = "00000000-0000-4000-8000-000000000000" if desk.documented.venue == "alpaca" else "987654321"
    for reference in (working, filled, desk.reference("lgsnobody", nobody), desk.reference("lgsnobody")):
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
    desk.placed(desk.market("lgsbought"))
    desk.placed(desk.market("lgssold", Side.SELL, quantity=unit_of(desk.main) / 2 if desk.main.last > 1000 else unit_of(desk.main)))
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
        for call in ask.values():
            _refused(desk, status, call)
        order = desk.venue.prepare(desk.limit(f"lgserror{status}"))
        desk.refuse_next(status)
        assert desk.venue.submit(order, ()).error is not None
        desk.refuse_next(status)
        assert desk.venue.cancel(reference).error is not None


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
