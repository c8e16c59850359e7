"""A venue behind a network that loses, delays and repeats.

Once its first byte has passed the gates, a request is on its way, whatever becomes of the process that sent it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from attrs import evolve

from campaign.faults import HTTP, LATE, LATE_S, NEVER_ACTS, NO_ANSWER, error, says, twisted
from campaign.world import World
from logos_core.hookspecs import (
    CancelReceipt,
    Category,
    Found,
    NotSeen,
    Operation,
    OrderReference,
    Outcome,
    PreparedOrder,
    ReconcileRequest,
    VenueIdentity,
    VenueSnapshot,
    venue_hook,
)
from logos_core.orders import OrderRequest
from logos_core.reports import ExecutionReport
from logos_core.testing.scripted import ScriptedError, ScriptedVenue
from logos_core.wire import Answer, Wire


class NetworkedVenue(ScriptedVenue):
    """The venue as one process reaches it."""

    concurrent = True

    def __init__(self, world: World) -> None:
        super().__init__(world.able)
        self.world = world

    @venue_hook
    def identify(self) -> VenueIdentity:
        said: VenueIdentity = self._ask(Operation.IDENTIFY, lambda: self.identity)
        return said

    @venue_hook
    def submit(self, prepared: PreparedOrder) -> ExecutionReport:
        deadline = self._deadline()
        said: ExecutionReport = self._ask(Operation.SUBMIT, lambda: self.world.place(prepared.request, deadline), prepared.request)
        return said

    @venue_hook
    def cancel(self, reference: OrderReference) -> CancelReceipt:
        name, venue_id = reference.client_order_id, reference.venue_order_id
        said: CancelReceipt = self._ask(Operation.CANCEL, lambda: self.world.cancel(venue_id, name), ends=venue_id)
        return said

    @venue_hook
    def lookup(self, reference: OrderReference) -> Found | NotSeen:
        def look(*, stale: bool = False, flickers: bool = False) -> Found | NotSeen:
            under = [shown for shown in self.world.shown(stale=stale) if shown.client_order_id == reference.client_order_id]
            if flickers:
                under = [shown for shown in under if not self.world.is_on_record(shown.venue_order_id)]
            if reference.venue_order_id is not None:
                under = [shown for shown in under if shown.venue_order_id == reference.venue_order_id] or under
            return Found(under[-1]) if under else self.not_seen()

        said: Found | NotSeen = self._ask(Operation.LOOKUP, look)
        return said

    @venue_hook
    def reconcile(self, request: ReconcileRequest) -> VenueSnapshot:
        def snapshot(*, stale: bool = False, skip: int | None = None) -> VenueSnapshot:
            shown = self.world.shown(stale=stale)
            if skip is not None and shown:
                shown.pop(skip % len(shown))
            names = {report.venue_order_id for report in shown}
            return VenueSnapshot(
                open_orders=tuple(report for report in shown if not report.status.is_final),
                changed_orders=tuple(report for report in shown if report.status.is_final),
                executions=tuple(item for item in self.world.executions if item.venue_order_id in names),
                positions=(),
                cursor=str(len(self.world.held)),
                venue_time=self.world.clock.true_time(),
            )

        said: VenueSnapshot = self._ask(Operation.RECONCILE, snapshot)
        return said

    def not_seen(self) -> NotSeen:
        """Return two views that do not show an order, with the venue's time."""
        return evolve(super().not_seen(), venue_time=self.world.clock.true_time())

    def seen_by(self, wire: Wire) -> "NetworkedVenue":
        """Return this very object: it belongs to one session."""
        self.wire = wire
        return self

    def _deadline(self) -> datetime:
        return self.world.clock.now() + timedelta(seconds=self.world.able.expiry.window_s or 0)

    def _ask(
        self, operation: Operation, act: Callable[..., Any], order: OrderRequest | None = None, ends: str | None = None
    ) -> Any:
        """Send one request through the network and return, or raise, what comes of it.

        Args:
            order: what it may make an order of.
            ends: the order that it is to end.
        """
        world, record = self.world, self.begin()
        world.asked[operation] += 1
        world.scheduler.pause(f"{operation.value}, before the first byte")
        fault = world.faults.of(operation)
        if fault == "refused":
            raise error(Outcome.NOT_SENT, Category.NETWORK, "connection refused")
        record.first_byte_once()
        if order is not None:
            world.on_first_byte(order.client_order_id)
            world.submits.append(order.client_order_id)
        came: list[Any] = []
        if fault not in NEVER_ACTS:
            delay_s = (
                world.random.uniform(0.5, LATE_S if fault == "late" else 8.0) if fault in LATE else world.random.random() * 0.05
            )
            world.scheduler.after(delay_s, lambda: came.append(self._arrive(fault, act, ends)))
        if fault == "twice":
            world.scheduler.after(0.1, partial(world.repeat, act, order))
        if fault in NO_ANSWER:
            world.scheduler.pause(f"{operation.value}, no answer", max(record.remaining_s(), 0.0))
            raise error(Outcome.UNKNOWN, Category.TIMEOUT, "read timed out")
        world.scheduler.pause(f"{operation.value}, sent", 0.05 + world.random.random() * 0.1)
        if fault in {"reset before", "reset after", "reset, late"}:
            raise error(Outcome.UNKNOWN, Category.NETWORK, "connection reset")
        if fault in HTTP:
            record.answered(Answer(status=HTTP[fault], headers={}, body=fault))
            raise error(*says(fault, operation), fault)
        record.answered(Answer(status=200, headers={}, body="{}"))
        [answer] = came
        if isinstance(answer, ScriptedError):
            raise answer
        return twisted(fault, answer)

    def _arrive(self, fault: str | None, act: Callable[..., Any], ends: str | None) -> Any:
        """Let a request come to the venue."""
        world = self.world
        if fault in {"filled first", "filled instead"}:
            for held in world.held:
                if held.report.venue_order_id == ends:
                    world.trade(held, Decimal(1))
        if fault == "filled instead":
            return CancelReceipt()
        how: dict[str | None, dict[str, Any]] = {
            "stale": {"stale": True},
            "flickers": {"flickers": True},
            "page skipped": {"skip": world.random.randrange(1000)},
        }
        return act(**how.get(fault, {}))


class ReplacingVenue(NetworkedVenue):
    """The same of a venue that replaces an order in one request."""

    @venue_hook
    def replace(self, reference: OrderReference, prepared: PreparedOrder) -> ExecutionReport:
        deadline = self._deadline()
        said: ExecutionReport = self._ask(
            Operation.REPLACE,
            lambda: self.world.replace(prepared.request, deadline),
            prepared.request,
            ends=reference.venue_order_id,
        )
        return said
