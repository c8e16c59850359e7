"""What is ordered in a rehearsal, and what goes wrong with it: the same for the same seed.

Rules:

1. Every kind of fault meets a submit. Where an order may be sent again, the second send is counted too, so that it does not meet the
   next fault.
2. The kills come early, while little is unknown: everything later is lived through by a session that recovered.
3. Where an id may be used again after a fill, a request delivered twice is given to an order that rests. A market order delivered twice
   by the network would really be two orders there, and no client could prevent it.
"""

import random  # noqa: TID251 - seeded, and never shared.
from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Any

from attrs import asdict, frozen

from logos_core.capabilities import Capabilities, ExpiryKind, Uniqueness
from logos_core.orders import OrderType, TimeInForce
from logos_core.testing.exchange import Exchange, SimulatedInstrument
from logos_core.testing.faults import Fault, FaultKind
from logos_core.values import plain

TYPICAL_WORTH = Decimal(500)
LATE_S = 2.0
KILL_AT = (FaultKind.ANSWER_DROPPED, FaultKind.REQUEST_DROPPED)
"""What the request under way meets when its sender is killed: the venue has the order, and the venue has nothing."""


@frozen(kw_only=True)
class Planned:
    """One intent.

    Attributes:
        why: what it is in the list for.
        times: how often it is submitted in a row.
        cancel: whether it is cancelled after that.
    """

    intent_id: str
    why: str
    symbol: str
    side: str
    quantity: str
    price: str | None = None
    time_in_force: str | None = None
    times: int = 1
    cancel: bool = False


@frozen(kw_only=True)
class Scenario:
    """A list of intents, the plan of faults for it, and the submits in whose midst the sender is killed.

    Attributes:
        kills: which submits on the wire, from 1; no fewer than these.
        thin: a symbol of which little can be traded, and how much.
    """

    intents: tuple[Planned, ...]
    plan: dict[str, Any]
    kills: tuple[int, ...]
    thin: tuple[str, str]

    def bodies(self) -> list[dict[str, Any]]:
        """Return the intents as JSON-able data."""
        return [asdict(intent) for intent in self.intents]


def unit_of(instrument: SimulatedInstrument) -> Decimal:
    """Return a quantity that is worth some hundreds at most; not less than one, as shares are traded, unless one is worth more."""
    magnitude = 0 if instrument.last < TYPICAL_WORTH * 2 else (TYPICAL_WORTH / instrument.last).adjusted()
    if instrument.last < 10:
        magnitude = 2
    return max(Decimal(1).scaleb(magnitude), instrument.min_quantity, instrument.quantity_step)


def price_at(instrument: SimulatedInstrument, share: str) -> Decimal:
    """Return a price on the grid, as a share of the last one."""
    steps = (instrument.last * Decimal(share) / instrument.price_tick).to_integral_value()
    return steps * instrument.price_tick


def compose(
    venue: str, capabilities: Capabilities, exchange: Exchange, seed: int, kinds: Collection[FaultKind] = tuple(FaultKind)
) -> Scenario:
    """Return what is rehearsed on a venue, with faults of these kinds."""
    return _Composer(venue, capabilities, exchange, seed, kinds).scenario()


class _Composer:
    def __init__(self, venue: str, capabilities: Capabilities, exchange: Exchange, seed: int, kinds: Collection[FaultKind]) -> None:
        self._kinds = kinds
        self._random = random.Random(f"{venue} {seed}")  # noqa: S311 - must repeat, need not be secret.
        self._seed = seed
        self._capabilities = capabilities
        self._exchange = exchange
        self._main, self._thin = exchange.instruments()[:2]
        self._intents: list[Planned] = []
        self._faults: list[Fault] = []
        self._kills: list[int] = []
        self._submits = 0

    def scenario(self) -> Scenario:
        self._some_without_fault()
        self._denied()
        self._met_by(Fault(kind=FaultKind.STATUS_AFTER, operation="submit"))
        for kind in KILL_AT:
            self._killed_at(kind)
        self._poor()
        for fault in self._shuffled([fault for fault in _submit_faults(self._capabilities) if fault.kind in self._kinds]):
            self._met_by(fault)
        self._taking()
        self._canceled()
        return Scenario(
            intents=tuple(self._intents),
            plan={"seed": self._seed, "faults": [*map(_body, self._faults), *_other_faults()]},
            kills=tuple(self._kills),
            thin=(self._thin.symbol, plain(unit_of(self._thin) * 5)),
        )

    def _shuffled(self, faults: list[Fault]) -> list[Fault]:
        self._random.shuffle(faults)
        return faults

    def _some_without_fault(self) -> None:
        self._add("market order", self._market())
        self._add("submitted three times", self._market(), times=3)
        self._add("rests, and fills while nobody watches", self._resting())
        self._add("rests, and fills in part while nobody watches", self._resting())
        self._add("marketable limit", self._crossing())
        self._add("rests, submitted twice", self._resting(), times=2)

    def _denied(self) -> None:
        tick, step = self._main.price_tick, self._main.quantity_step
        price, unit = price_at(self._main, "0.5"), unit_of(self._main)
        self._add("price off the grid", _limit(self._main, "buy", unit, price + tick / 2), leaves=False)
        self._add("quantity off the grid", _limit(self._main, "buy", unit + step / 2, price), leaves=False)
        self._add("symbol not listed", {**self._market(), "symbol": "NOTHING/LISTED"}, leaves=False)
        self._add("price off the grid, submitted twice", _limit(self._main, "sell", unit, price + tick / 4), times=2, leaves=False)

    def _poor(self) -> None:
        if self._exchange.check_funds:
            riches = unit_of(self._main) * 1_000_000
            self._add("without the funds", _limit(self._main, "buy", riches, price_at(self._main, "0.9")))
            self._add("without the funds, submitted twice", _limit(self._main, "buy", riches, price_at(self._main, "0.8")), times=2)
        self._refused()

    def _refused(self) -> None:
        self._faults.append(Fault(kind=FaultKind.STATUS_BEFORE, operation="submit", nth=self._submits + 1, status=401))
        self._add("401 before anything", self._crossing())

    def _taking(self) -> None:
        unit, price = unit_of(self._thin), price_at(self._thin, "1.1")
        for time_in_force, quantity in ((TimeInForce.IOC, 2), (TimeInForce.FOK, 2), (TimeInForce.IOC, 3), (TimeInForce.FOK, 9)):
            if time_in_force in self._capabilities.times_in_force[OrderType.LIMIT]:
                said = f"{time_in_force.value} for {quantity} where five can trade"
                self._add(said, {**_limit(self._thin, "buy", unit * quantity, price), "time_in_force": time_in_force.value})

    def _canceled(self) -> None:
        for count in range(3):
            self._add(f"rests, then cancelled ({count + 1})", self._resting(), cancel=True)
        self._add("fills, then cancelled", self._market(), cancel=True)

    def _met_by(self, fault: Fault) -> None:
        rests = fault.kind is FaultKind.DUPLICATE_DELIVERY or self._random.random() < 0.4
        self._faults.append(_on(fault, self._submits + 1))
        self._add(fault.kind.value, self._resting() if rests else self._either())
        if fault.kind in _MAY_BE_SENT_AGAIN and not is_reusable(self._capabilities):
            self._submits += 1

    def _killed_at(self, kind: FaultKind) -> None:
        self._kills.append(self._submits + 1)
        self._met_by(Fault(kind=kind, operation="submit"))

    def _add(self, why: str, order: dict[str, Any], *, times: int = 1, cancel: bool = False, leaves: bool = True) -> None:
        name = f"rehearsal-{self._seed}-{len(self._intents) + 1:02d}"
        self._intents.append(Planned(intent_id=name, why=why, times=times, cancel=cancel, **order))
        self._submits += leaves

    def _either(self) -> dict[str, Any]:
        return self._market() if self._random.random() < 0.5 else self._crossing()

    def _market(self) -> dict[str, Any]:
        quantity = unit_of(self._main) * self._random.randint(1, 3)
        return {"symbol": self._main.symbol, "side": "buy", "quantity": plain(quantity)}

    def _crossing(self) -> dict[str, Any]:
        return _limit(self._main, "buy", unit_of(self._main) * self._random.randint(1, 3), price_at(self._main, "1.05"))

    def _resting(self) -> dict[str, Any]:
        share = f"0.{self._random.randint(80, 94)}"
        return _limit(self._main, "buy", unit_of(self._main) * 4, price_at(self._main, share))


_MAY_BE_SENT_AGAIN = frozenset({
    FaultKind.REQUEST_DROPPED, FaultKind.STATUS_BEFORE, FaultKind.RATE_LIMITED, FaultKind.RESET_BEFORE, FaultKind.REDIRECT,
    FaultKind.LATE_ARRIVAL,
})  # fmt: skip


def _submit_faults(capabilities: Capabilities) -> Iterator[Fault]:
    """Return one fault of each kind; late arrivals both within the time an order may stay invisible, and after it."""
    delays = {FaultKind.LATE_ARRIVAL: LATE_S, FaultKind.DELAY_BEFORE: 0.2, FaultKind.DELAY_AFTER: 0.2, FaultKind.SLOW_DRIP: 0.05}
    for kind in FaultKind:
        retry_after_s = 1 if kind is FaultKind.RATE_LIMITED else None
        yield Fault(kind=kind, operation="submit", delay_s=delays.get(kind, 0.05), retry_after_s=retry_after_s)
    after_all_s = LATE_S + 1 + capabilities.client_ids.visibility_lag_s
    yield Fault(kind=FaultKind.LATE_ARRIVAL, operation="submit", delay_s=after_all_s)


def _on(fault: Fault, nth: int) -> Fault:
    return Fault(
        kind=fault.kind,
        operation=fault.operation,
        nth=nth,
        status=fault.status,
        retry_after_s=fault.retry_after_s,
        delay_s=fault.delay_s,
    )


def _other_faults() -> list[dict[str, Any]]:
    """Return what goes wrong with lookups and cancels."""
    lookups = {
        2: FaultKind.STATUS_BEFORE,
        5: FaultKind.RESET_AFTER,
        8: FaultKind.HTML,
        11: FaultKind.TRUNCATED,
        14: FaultKind.EMPTY,
    }
    cancels = {1: FaultKind.ANSWER_DROPPED, 2: FaultKind.STATUS_BEFORE, 3: FaultKind.RESET_DURING}
    return [
        *({"kind": kind.value, "operation": "lookup", "nth": nth} for nth, kind in lookups.items()),
        *({"kind": kind.value, "operation": "cancel", "nth": nth} for nth, kind in cancels.items()),
    ]


def _limit(instrument: SimulatedInstrument, side: str, quantity: Decimal, price: Decimal) -> dict[str, Any]:
    return {"symbol": instrument.symbol, "side": side, "quantity": plain(quantity), "price": plain(price)}


def _body(fault: Fault) -> dict[str, Any]:
    known = ("kind", "operation", "nth", "status", "retry_after_s", "delay_s")
    return {name: getattr(fault, name) for name in known if getattr(fault, name) is not None}


def may_be_asked_again(capabilities: Capabilities) -> bool:
    """Say whether submitting an intent again settles it: the id is taken once only, or a late request is refused by the engine."""
    return not is_reusable(capabilities) or capabilities.expiry.kind is ExpiryKind.ENGINE


def is_reusable(capabilities: Capabilities) -> bool:
    """Say whether the venue takes a second order under an id that it has seen before."""
    return capabilities.client_ids.uniqueness is not Uniqueness.EVER
