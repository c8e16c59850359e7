"""A scripted venue that replaces an order in one request of its own, and the steps that go wrong at it.

What it replaces is found by the venue's own id, ends as cancelled and names its successor, as far as its capabilities say that it does.
"""

from decimal import Decimal
from typing import Any, NoReturn

from attrs import evolve

from logos_core.capabilities import Capabilities, Replace, ReplaceKind
from logos_core.hookspecs import Category, Classification, Operation, OrderReference, Outcome, PreparedOrder, venue_hook
from logos_core.orders import OrderRequest, OrderStatus, OrderType
from logos_core.reports import Execution, ExecutionReport
from logos_core.testing import scripted
from logos_core.testing.scripted import ScriptedError, ScriptedVenue, Step
from logos_core.wire import Answer

_SOURCES = dict.fromkeys(("kind", "types", "atomic", "tells_successor"), "scripted")


def able(*, tells_successor: bool = True, atomic: bool = True, **more: Any) -> Capabilities:
    """Return the capabilities of a scripted venue that replaces limit orders natively."""
    native = Replace(
        kind=ReplaceKind.NATIVE,
        types=frozenset({OrderType.LIMIT}),
        atomic=atomic,
        tells_successor=tells_successor,
        sources=_SOURCES,
    )
    return evolve(scripted.capabilities(**more), replace=native)


NOTHING_TO_REPLACE = ScriptedError(
    "there is no such order to replace",
    Classification(outcome=Outcome.ABSENT, category=Category.NOT_FOUND, venue_message="there is no such order to replace"),
)


class ReplacingVenue(ScriptedVenue):
    """A scripted venue with a `replace` of its own."""

    def __init__(self, capabilities: Capabilities | None = None, **more: Any) -> None:
        super().__init__(capabilities or able(), **more)

    def on_replace(self, *steps: Step) -> None:
        """Append steps for `replace`; each gets the new order."""
        self.script(Operation.REPLACE, *steps)

    @venue_hook
    def replace(self, reference: OrderReference, prepared: PreparedOrder) -> ExecutionReport:
        request = prepared.request
        said: ExecutionReport = self._turn(Operation.REPLACE, request, lambda: swap()(self, request))
        return said

    def take_place(self, request: OrderRequest) -> ExecutionReport | None:
        """Put an order in another's place; None if that one no longer works."""
        place, original = next((place, held) for place, held in enumerate(self.held) if held.venue_order_id == request.in_place_of)
        if original.status.is_final or (original.filled_quantity and self.capabilities.replace.atomic):
            return None
        new = self.process(request)
        if new is not None:
            successor = new.venue_order_id if self.capabilities.replace.tells_successor else None
            self.held[place] = evolve(self.held[place], status=OrderStatus.CANCELED, replaced_by=successor)
        return new

    def trade(self, client_order_id: str, quantity: Decimal, price: Decimal = Decimal(100)) -> None:
        """Let a part of an order the venue holds trade."""
        before = self.orders_of(client_order_id)[-1]
        filled = before.filled_quantity + quantity
        done = OrderStatus.FILLED if filled == before.quantity else OrderStatus.PARTIALLY_FILLED
        execution = Execution(
            execution_id=f"t{len(self.executions) + 1}",
            venue_order_id=before.venue_order_id,
            client_order_id=client_order_id,
            symbol=before.symbol,
            side=before.side,
            quantity=quantity,
            price=price,
            fees=(),
            executed_at=self._wire().clock.now(),
        )
        self.executions.append(execution)
        status = before.status if before.status.is_final else done
        trades = (*before.executions, execution)
        self.change(client_order_id, filled_quantity=filled, average_price=price, status=status, executions=trades)


def swap() -> Step:
    """Replace the order and answer with the new one; refuse it if the old one has ended."""

    def step(venue: Any, request: OrderRequest) -> ExecutionReport:
        record = venue.send(request)
        new: ExecutionReport | None = venue.take_place(request)
        if new is None:
            scripted.answer_with(NOTHING_TO_REPLACE, 404)(venue, request)
        record.answered(Answer(status=200, headers={}, body="{}"))
        assert new is not None
        return new

    return step


def swap_and_lose(*, swapped: bool = True) -> Step:
    """Lose the answer, after the order was replaced or before the request reached the venue."""

    def step(venue: Any, request: OrderRequest) -> NoReturn:
        if swapped:
            venue.take_place(request)
        scripted.time_out_before()(venue, request)
        raise AssertionError("a lost answer never comes")

    return step
