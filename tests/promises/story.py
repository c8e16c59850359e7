"""One story, told at any venue, and what it leaves behind in words that name no venue.

Ids and times are left out. Quantities are counted in a tenth of what is ordered there, prices in parts of the price at the beginning; fees
are left out, since what a venue charges is its own. Executions stand after everything else of their chapter: some venues tell of them with
the answer, others apart. All else keeps its order: what the caller was told or what was raised, how many requests left, what was recorded
of each intent, and at the end of each chapter how the account stands, by the ledger and by the venue's own record.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

from attrs import define, field

from logos_core import Adapter, LogosError, Order
from logos_core.events import StoredEvent
from logos_core.replacing import ReplaceReport
from logos_core.reports import ExecutionReport
from logos_core.testing.faults import Fault, FaultKind, FaultPlan
from logos_core.values import plain
from tests.promises.conftest import Desk
from tests.promises.kinds import QUANTITIES

TIMEOUT_S = 0.5
RESTING, BETTER = "0.9", "0.92"
"""Where orders rest, as parts of the price at the beginning."""
_UNTOLD = frozenset({"execution", "reconciled", "session_opened", "session_closed"})


@define
class Story:
    """A story being told at one venue.

    Attributes:
        told: what the caller was told in the chapter under way.
        named: the intent of each client order id.
    """

    desk: Desk
    adapter: Adapter
    told: list[str] = field(factory=list)
    named: dict[str, str] = field(factory=dict)

    def tell(self, chapter: Callable[["Story"], None]) -> str:
        """Let a chapter happen, heal the venue, reconcile; return what all that left."""
        self.told = []
        before, row = len(self.desk.server.wire), self.adapter.ledger.last_sequence()
        chapter(self)
        self.desk.server.plan = FaultPlan()
        verdict = self.adapter.reconcile().verdict
        left = [entry.operation for entry in self.desk.server.wire[before:]]
        sent = [f"{left.count(name)} {name}" for name in ("submit", "cancel", "replace") if name in left]
        events = [event for event in self.adapter.ledger.events() if event.sequence > row]
        return "\n".join(
            [
                *self.told,
                f"sent: {', '.join(sent) or 'nothing'}",
                *(line for event in events for line in self._recorded(event)),
                *(self._executed(event.fields()) for event in events if event.kind == "execution"),
                f"{verdict.value}; {self._standing()}",
            ]
        )

    def ask(self, what: str, call: Callable[[], ExecutionReport | ReplaceReport]) -> None:
        """Call, and keep what the caller was told."""
        try:
            said = self._report(call())
        except LogosError as error:
            said = f"raised {type(error).__name__}"
        self.told.append(f"{what}: {said}")

    def rest(self, intent_id: str) -> None:
        """Buy ten below the market."""
        price = self.desk.price(RESTING)
        order = Order.limit(self.desk.symbol, "buy", quantity=self.units(10), price=price, intent_id=intent_id)
        self.ask("submit", lambda: self.adapter.submit(order))

    def take(self, intent_id: str) -> None:
        """Buy two at market."""
        order = Order.market(self.desk.symbol, "buy", quantity=self.units(2), intent_id=intent_id)
        self.ask("submit", lambda: self.adapter.submit(order))

    def cancel(self, intent_id: str) -> None:
        self.ask("cancel", lambda: self.adapter.cancel(intent_id))

    def replace(self, original: str, intent_id: str) -> None:
        """Let an order go on at a better price, for eight in all."""
        changes = {"price": self.desk.price(BETTER), "quantity": self.units(8)}
        self.ask("replace", lambda: self.adapter.replace(original, intent_id=intent_id, **changes))

    def disturb(self, kind: FaultKind, operation: str, status: int | None = None) -> None:
        """Let the next request of a kind go wrong."""
        self.desk.server.plan = FaultPlan([Fault(kind=kind, operation=operation, nth=1, status=status)])

    def at_venue(self, intent_id: str) -> str:
        """Return the venue's own id of an order."""
        name = next(name for name, intent in self.named.items() if intent == intent_id)
        return self.desk.exchange.orders_with(name)[0].order_id

    def units(self, count: int) -> Decimal:
        return count * QUANTITIES[self.desk.venue] / 10

    def _recorded(self, event: StoredEvent) -> Iterator[str]:
        said = event.fields()
        report = said.get("report") or {}
        name = said.get("client_order_id") or report.get("client_order_id") or ""
        if said.get("intent_id"):
            self.named[name] = said["intent_id"]
        if event.kind in _UNTOLD:
            return
        classified = (said.get("evidence") or {}).get("classified")
        words = [
            f"{self.named.get(name, 'nobody')!r} {event.kind}",
            said.get("outcome"),
            classified and f"({classified['outcome']})",
            report and f"{report['status']} {self._count(report['filled_quantity'])} of {self._count(report['quantity'])}",
            said.get("state") and f"-> {said['state']}",
        ]
        yield " ".join(word for word in words if word)

    def _executed(self, said: dict[str, Any]) -> str:
        return f"{said['execution_kind']}: {said['side']} {self._count(said['quantity'])} at {self._price(said['price'])}"

    def _report(self, found: ExecutionReport | ReplaceReport) -> str:
        if isinstance(found, ReplaceReport):
            placed = "none" if found.report is None else self._report(found.report)
            return f"{found.ending.value}, {self._count(found.filled_quantity)} traded; was {self._report(found.original)}; is {placed}"
        price = "" if found.average_price is None else f" at {self._price(found.average_price)}"
        limit = "at market" if found.price is None else f"at {self._price(found.price)}"
        ordered = f"{found.side.value} {self._count(found.quantity)} {limit}"
        return f"{ordered} {found.status.value}, {self._count(found.filled_quantity)} filled{price}"

    def _standing(self) -> str:
        exchange, symbol = self.desk.exchange, self.desk.symbol
        traded = sum((trade.quantity for trade in exchange.executions()), Decimal(0))
        working = sum((order.leaves_quantity for order in exchange.open_orders()), Decimal(0))
        held, latches = self.adapter.book().quantity(symbol), len(self.adapter.ledger.latched())
        return f"{self._count(held)} held, {latches} latches; at the venue {self._count(traded)} traded, {self._count(working)} working"

    def _count(self, quantity: Any) -> str:
        return plain(Decimal(quantity) / self.units(1))

    def _price(self, price: Any) -> str:
        return plain(Decimal(price) / Decimal(self.desk.last))


def a_limit_order_is_placed(story: Story) -> None:
    story.rest("limit")


def the_same_intent_is_submitted_again(story: Story) -> None:
    story.rest("limit")


def a_part_of_it_fills(story: Story) -> None:
    story.desk.exchange.fill(story.at_venue("limit"), story.units(4))


def the_rest_is_cancelled(story: Story) -> None:
    story.cancel("limit")
    story.cancel("limit")


def a_market_order_fills(story: Story) -> None:
    story.take("market")


def the_answer_of_a_market_order_that_filled_is_lost(story: Story) -> None:
    story.disturb(FaultKind.RESET_AFTER, "submit")
    story.take("answer lost")
    story.take("answer lost")


def a_gateway_gives_up_after_the_order_was_accepted(story: Story) -> None:
    story.disturb(FaultKind.STATUS_AFTER, "submit", status=504)
    story.rest("504")


def one_request_arrives_twice(story: Story) -> None:
    story.disturb(FaultKind.DUPLICATE_DELIVERY, "submit")
    story.rest("twice")


def the_venue_refuses(story: Story) -> None:
    """The least it takes has grown since it was asked for."""
    exchange = story.desk.exchange
    before = exchange.instrument(story.desk.symbol)
    exchange._instruments[before.symbol] = replace(before, min_quantity=story.units(100))
    story.rest("refused")
    story.rest("refused")
    exchange._instruments[before.symbol] = before


def somebody_else_cancels(story: Story) -> None:
    story.desk.exchange.cancel(story.at_venue("504"))


def the_time_of_an_order_is_over(story: Story) -> None:
    story.desk.exchange.expire(story.at_venue("twice"))


def an_order_is_replaced(story: Story) -> None:
    story.rest("first")
    story.replace("first", "second")
    story.replace("first", "second")


def the_answer_to_a_cancel_is_lost(story: Story) -> None:
    story.disturb(FaultKind.RESET_AFTER, "cancel")
    story.cancel("first")


def an_order_that_has_traded_is_replaced(story: Story) -> None:
    story.rest("third")
    story.desk.exchange.fill(story.desk.exchange.open_orders()[0].order_id, story.units(3))
    story.replace("third", "fourth")


def the_session_starts_anew(story: Story) -> None:
    story.adapter.close()
    story.adapter = story.desk.open(timeout_s=TIMEOUT_S)
    story.rest("limit")
    story.replace("third", "fourth")
    story.cancel("fourth")


def a_request_is_lost(story: Story) -> None:
    story.disturb(FaultKind.REQUEST_DROPPED, "submit")
    story.rest("request lost")
    story.take("beside it")


CHAPTERS: tuple[Callable[[Story], None], ...] = (
    a_limit_order_is_placed,
    the_same_intent_is_submitted_again,
    a_part_of_it_fills,
    the_rest_is_cancelled,
    a_market_order_fills,
    the_answer_of_a_market_order_that_filled_is_lost,
    a_gateway_gives_up_after_the_order_was_accepted,
    one_request_arrives_twice,
    the_venue_refuses,
    somebody_else_cancels,
    the_time_of_an_order_is_over,
    an_order_is_replaced,
    the_answer_to_a_cancel_is_lost,
    an_order_that_has_traded_is_replaced,
    the_session_starts_anew,
    a_request_is_lost,
)
