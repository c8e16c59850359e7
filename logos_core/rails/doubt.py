"""An order of which nobody knows whether it exists holds back what could add to it.

Whoever decides anew beside an unknown outcome decides as if there were no order, or as if there were one; either may be wrong. So new
risk waits until the outcome is settled, by evidence or by a named person:

* Held back is every attempt of another intent on the same instrument, or the same account, as the preset says.
* Not held back is the intent in doubt itself: submitted again, it finds out, and may be sent again where that is proven safe.
* Nor is what can only reduce: an order that says so, and a replacement that leaves less of an order at the same prices.
* Cancels and questions pass no rail at all.

An attempt that a living session is about to hear of is in flight, not in doubt; one that died with its session is in doubt, whether or not
anybody has recovered it yet. One that was sent again is in doubt until it is known.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import field, frozen, validators

from logos_core.capabilities import Capabilities
from logos_core.errors import LedgerError
from logos_core.orders import Order, OrderRequest
from logos_core.records import Denial, Doubt
from logos_core.values import lasted
from logos_core.wire import Gate, GateClosedError

REASON = "UNKNOWN_OUTCOME_OPEN"
INSTRUMENT, ACCOUNT, NOTHING = "instrument", "account", "none"
HOLDS = (INSTRUMENT, ACCOUNT, NOTHING)
NAMED_MAX = 3
"""How many intents a denial names; what one is told at night must fit on a screen."""


@frozen(kw_only=True)
class DoubtPolicy:
    """What waits while the outcome of an intent is unknown.

    Attributes:
        holds: where new risk waits: on the instrument of that intent, on its whole account, or nowhere. Live, it waits somewhere.
    """

    holds: str = field(default=INSTRUMENT, validator=validators.in_(HOLDS))

    def place(self, symbol: str) -> str | None:
        """Return the instrument whose doubts count for an order, or None if those of the whole account do."""
        return None if self.holds == ACCOUNT else symbol


def decide(policy: DoubtPolicy, client_order_id: str, doubts: Sequence[Doubt], now: datetime) -> Denial | None:
    """Return the denial for a new attempt beside these unknown outcomes, if there is one.

    Args:
        client_order_id: whose attempt it is; its own doubt does not hold it back.
        doubts: what is unknown where the policy looks.
    """
    if policy.holds == NOTHING or not doubts or any(doubt.client_order_id == client_order_id for doubt in doubts):
        return None
    named = "; ".join(_named(doubt, now) for doubt in doubts[:NAMED_MAX])
    more = f"; and {len(doubts) - NAMED_MAX} more, see `logos orders --unknown`" if len(doubts) > NAMED_MAX else ""
    where = "this account" if policy.holds == ACCOUNT else doubts[0].symbol
    message = (
        f"nobody knows yet what became of {named}{more}; until that is settled nothing new is sent on {where}. "
        f"Find out: `logos recover PRESET`, or submit that intent again. If the venue says in writing that there is none: "
        f"`logos resolve {doubts[0].client_order_id} --preset PRESET --as not-placed --by NAME --because TEXT`"
    )
    return Denial(reason=REASON, message=message)


def _named(doubt: Doubt, now: datetime) -> str:
    since = f"unknown for {lasted(doubt.since, now)}, since {doubt.since:%Y-%m-%d %H:%M:%SZ}"
    return f"intent {doubt.intent_id!r} ({doubt.client_order_id}) on {doubt.symbol}, {since}"


def gate(denial: Callable[[], Denial | None]) -> Gate:
    """Return the check for the first byte: what was still in flight at the commit may have become unknown since."""

    def check() -> None:
        try:
            found = denial()
        except LedgerError as error:
            found = Denial(reason=REASON, message=f"what is unknown cannot be read: {error}")
        if found is not None:
            raise GateClosedError(found.reason, found.message, denies=True)

    return check


def leaves_less(capabilities: Capabilities, original: OrderRequest, order: Order) -> bool:
    """Say whether the venue's own request can only make less of an order: no more of it, at the same prices, and never beside it."""
    if not capabilities.replace.atomic or original.quantity is None or order.quantity is None:
        return False
    same = (order.price, order.stop_price) == (original.price, original.stop_price)
    return same and order.quantity <= original.quantity
