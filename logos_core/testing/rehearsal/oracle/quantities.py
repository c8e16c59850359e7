"""How much has traded, against how much was decided: of each order, of each intent, and of all that took one another's place.

Rules:

1. The decided quantity of a replacement is the new total of everything in its chain, so the largest one that came to an order counts.
2. What stands of the executions is summed up here anew: a bust takes its trade away, a correction takes its place.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from logos_core.testing.rehearsal.oracle.books import Books, Row
from logos_core.testing.rehearsal.oracle.invariants import Finding

RULE = "never more than was ordered"
NONE = Decimal(0)


def ordered(orders: Sequence[Row], books: Books) -> Iterator[Finding]:
    """Return what traded beyond its quantity, by the venue's word or by the ledger's."""
    for order in orders:
        if order["quantity"] is None:
            continue
        name, quantity = order["client_order_id"] or order["venue_order_id"], Decimal(order["quantity"])
        told = max(Decimal(order["filled_quantity"]), sum((Decimal(item["quantity"]) for item in order["executions"]), NONE))
        if told > quantity:
            yield Finding(RULE, name, f"{told} of {quantity} traded at the venue")
    for name, chain in _chains(books.intents).items():
        names = {intent["client_order_id"] for intent in chain}
        held = [order for order in orders if order["client_order_id"] in names]
        decided = _decided(chain, {order["client_order_id"] for order in held})
        if decided is None:
            continue
        at_venue = sum((Decimal(order["filled_quantity"]) for order in held), NONE)
        on_record = sum((standing(intent["executions"]) for intent in chain), NONE)
        for whose, traded in (("at the venue", at_venue), ("on record", on_record)):
            if traded > decided:
                yield Finding(RULE, name, f"{traded} traded {whose}, {decided} was decided for {', '.join(sorted(names))} together")


def _chains(intents: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the intents by the first one whose place they took, in the end."""
    by_number = {intent["id"]: intent for intent in intents}
    chains: defaultdict[str, list[Row]] = defaultdict(list)
    for intent in by_number.values():
        root = intent
        while root["parent_intent"] is not None:
            root = by_number[root["parent_intent"]]
        chains[root["client_order_id"]].append(intent)
    return dict(chains)


def _decided(chain: Iterable[Row], held: set[str]) -> Decimal | None:
    """Return the largest total that was decided and came to an order; None if one states none."""
    stated = [_quantity(intent) for intent in chain if intent["client_order_id"] in held]
    known = [quantity for quantity in stated if quantity is not None]
    return max(known) if known and len(known) == len(stated) else None


def _quantity(intent: Row) -> Decimal | None:
    """Return what an intent is to come to; what was adopted or changes only a price states it in its order alone."""
    decided = json.loads(intent["payload"]).get("quantity") if intent["payload"] else None
    if decided is not None:
        return Decimal(decided)
    reports = [json.loads(row["report"]) for row in intent["orders"] if row["role"] == "primary"]
    if not reports or reports[0].get("notional") is not None or reports[0]["quantity"] is None:
        return None
    return Decimal(reports[0]["quantity"])


def standing(rows: Iterable[Row]) -> Decimal:
    """Return how much stands of some executions."""
    told: dict[str, Mapping[str, Any]] = {row["execution_id"]: json.loads(row["body"]) for row in rows}
    families: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for name, said in told.items():
        families[_first(name, told)].append(said)
    return sum((_stands(family) for family in families.values()), NONE)


def _first(name: str, told: Mapping[str, Row]) -> str:
    seen = {name}
    while name in told and (refers_to := told[name].get("refers_to")) and refers_to not in seen:
        name = refers_to
        seen.add(name)
    return name


def _stands(family: Sequence[Row]) -> Decimal:
    if any(said.get("execution_kind") == "bust" for said in family):
        return NONE
    replaced = {said.get("refers_to") for said in family}
    last = max((said for said in family if said["execution_id"] not in replaced), key=lambda said: str(said["executed_at"]))
    return Decimal(last["quantity"])


def never_shrinking(books: Books) -> Iterator[Finding]:
    """Return the orders of which less had traded, by what the ledger took from the venue, than it had taken before."""
    most: dict[tuple[str, str], Decimal] = {}
    for event in books.events:
        report = event.fields().get("report")
        if not report:
            continue
        order, filled = (report["symbol"], report["venue_order_id"]), Decimal(report["filled_quantity"])
        if filled < most.get(order, NONE):
            said = f"{filled} of order {order[1]} had traded at event {event.sequence}, {most[order]} before"
            yield Finding("fills never shrink", report["client_order_id"] or order[1], said)
        most[order] = max(filled, most.get(order, NONE))
