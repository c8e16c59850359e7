"""What a venue really holds, against what a ledger says of it.

Nothing is corrected, and nothing is forgiven: an expired order and a cancelled one are the same only because venues do not agree on
the word for an order that ended without filling.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from logos_core.testing.rehearsal.oracle.books import UNSETTLED, Books, Row
from logos_core.testing.rehearsal.oracle.invariants import Finding

ENDED_UNFILLED = frozenset({"canceled", "expired"})
SAYS_NO_ORDER = frozenset({"not_sent", "rejected", "not_placed"})


def one_per_client_order_id(orders: Iterable[Row]) -> Iterator[Finding]:
    """Return the ids under which the venue holds more than one order."""
    for name, count in Counter(order["client_order_id"] for order in orders).items():
        if count > 1 and name is not None:
            yield Finding("one order per client order id", name, f"the venue holds {count}")


def one_per_intent(orders: Iterable[Row], known: Mapping[str, Row]) -> Iterator[Finding]:
    """Return the intents of which the venue holds more than one order, under whatever ids."""
    held: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for order in orders:
        intent = known.get(order["client_order_id"] or "")
        if intent is not None and intent["intent_id"] is not None:
            held[intent["strategy"], intent["intent_id"]].append(order["venue_order_id"])
    for (_, intent_id), found in held.items():
        if len(found) > 1:
            yield Finding("one order per intent", intent_id, f"the venue holds {', '.join(found)}")


def known_orders(orders: Iterable[Row], known: Mapping[str, Row]) -> Iterator[Finding]:
    """Return what the ledger does not say, or says otherwise, of the orders that the venue holds."""
    for order in orders:
        name = order["client_order_id"] or f"venue order {order['venue_order_id']}"
        intent = known.get(name)
        if intent is None:
            yield Finding("every order is known", name, "the venue holds it, the ledger has never heard of it")
            continue
        if intent["state"] in SAYS_NO_ORDER:
            yield Finding("no order is denied", name, f"the venue holds it, the ledger says {intent['state']}")
        recorded = [row for row in intent["orders"] if row["venue_order_id"] == order["venue_order_id"]]
        if len(recorded) != 1:
            yield Finding(
                "every order is known", name, f"venue order {order['venue_order_id']} has {len(recorded)} rows in the ledger"
            )
        for row in recorded:
            yield from _same(name, order, intent["state"], json.loads(row["report"]))


def _same(name: str, order: Row, state: str, report: Row) -> Iterator[Finding]:
    for what, said in (("state", state), ("reported status", report["status"])):
        if said != order["status"] and not {said, order["status"]} <= ENDED_UNFILLED:
            yield Finding("same status", name, f"the venue says {order['status']}, the ledger's {what} is {said}")
    ours, theirs = Decimal(report["filled_quantity"]), Decimal(order["filled_quantity"])
    if ours != theirs:
        yield Finding("same filled quantity", name, f"the venue says {theirs}, the ledger {ours}")
    for field in ("symbol", "side", "quantity"):
        if report[field] != order[field]:
            yield Finding("same order", name, f"{field}: the venue says {order[field]}, the ledger {report[field]}")


def real_orders(orders: Iterable[Row], intents: Iterable[Row]) -> Iterator[Finding]:
    """Return the orders that are on record and that the venue does not hold, and those that are second ones by the ledger's word."""
    held = {(order["client_order_id"], order["venue_order_id"]) for order in orders}
    for intent in intents:
        for row in intent["orders"]:
            if (intent["client_order_id"], row["venue_order_id"]) not in held:
                yield Finding("no order is invented", intent["client_order_id"], f"the venue does not hold {row['venue_order_id']}")
            if row["role"] == "duplicate":
                yield Finding(
                    "one order per intent", intent["client_order_id"], f"the ledger holds a second, {row['venue_order_id']}"
                )


def executions(orders: Iterable[Row], books: Books) -> Iterator[Finding]:
    """Return the trades that are not the same at the venue and on record, each exactly once."""
    ours: defaultdict[str, list[Row]] = defaultdict(list)
    for intent in books.intents:
        for row in intent["executions"]:
            ours[row["venue_order_id"]].append(row)
    for order in orders:
        name = order["client_order_id"] or order["venue_order_id"]
        yield from _same_executions(name, order["executions"], ours.pop(order["venue_order_id"], []))
    for venue_order_id in ours:
        yield Finding("no execution is invented", venue_order_id, "the venue holds no such order")
    for row in books.loose:
        yield Finding(
            "every execution has its intent", row["execution_id"], f"of order {row['venue_order_id']}, belongs to no intent"
        )


def _same_executions(name: str, theirs: Sequence[Row], ours: Sequence[Row]) -> Iterator[Finding]:
    left = list(ours)
    for execution in theirs:
        found = [row for row in left if execution["trade_id"] == row["execution_id"].rpartition(":")[2]]
        if len(found) != 1:
            yield Finding("executions once each", name, f"trade {execution['trade_id']} is {len(found)} times in the ledger")
        for row in found:
            left.remove(row)
            yield from _same_trade(name, execution, json.loads(row["body"]))
    for row in left:
        yield Finding("no execution is invented", name, f"the venue has no trade {row['execution_id']}")


def _same_trade(name: str, theirs: Row, ours: Row) -> Iterator[Finding]:
    for field in ("quantity", "price"):
        if Decimal(ours[field]) != Decimal(theirs[field]):
            yield Finding("same execution", name, f"{field} of {theirs['trade_id']}: venue {theirs[field]}, ledger {ours[field]}")
    paid = {fee["asset"]: Decimal(fee["amount"]) for fee in ours["fees"] if Decimal(fee["amount"])}
    owed = {theirs["fee"]["asset"]: Decimal(theirs["fee"]["amount"])} if Decimal(theirs["fee"]["amount"]) else {}
    if paid != owed:
        yield Finding("same fees", name, f"trade {theirs['trade_id']}: venue {owed}, ledger {paid}")


def settled(intents: Iterable[Row]) -> Iterator[Finding]:
    """Return the intents of which nobody knows what became."""
    for intent in intents:
        if intent["state"] in UNSETTLED:
            yield Finding("nothing stays unknown", intent["client_order_id"], f"is {intent['state']}")


def proved(books: Books) -> Iterator[Finding]:
    """Look for the proof, in the events, of every intent that is said to have no order."""
    proofs: defaultdict[str, set[str]] = defaultdict(set)
    for event in books.events:
        said = json.loads(event.body)
        name = said.get("client_order_id") or (said.get("report") or {}).get("client_order_id")
        if name is not None:
            proofs[name] |= _proofs(event.kind, said)
    resolved = {intent["client_order_id"] for intent in books.intents if intent["id"] in books.closed_by_person}
    for intent in books.intents:
        name, state = intent["client_order_id"], intent["state"]
        if state in SAYS_NO_ORDER and state not in proofs[name] and not (state == "not_placed" and name in resolved):
            yield Finding("no outcome without proof", name, f"the ledger says {state}, and no event proves it")


def _proofs(kind: str, said: Row) -> set[str]:
    """Return which states an event proves."""
    evidence, report = said.get("evidence") or {}, said.get("report") or {}
    proved = set()
    refused = evidence.get("phase") == "answered" and (evidence.get("classified") or {}).get("outcome") == "rejected"
    if refused or report.get("status") == "rejected":
        proved.add("rejected")
    if kind == "settled" and said["outcome"] == "not_sent" and evidence.get("phase") == "nothing sent":
        proved.add("not_sent")
    never_sent = kind == "replacement_closed" and evidence
    if never_sent or (kind == "settled" and said["outcome"] == "absent" and evidence.get("why")):
        proved.add("not_placed")
    return proved


def told(last_words: Mapping[str, str], orders: Iterable[Row], books: Books) -> Iterator[Finding]:
    """Return the intents whose caller was last told that there is no order, while the venue holds one.

    Args:
        last_words: what the latest submit of each intent came to.
    """
    names = {intent["client_order_id"]: intent["intent_id"] for intent in books.intents}
    for order in orders:
        word = last_words.get(names.get(order["client_order_id"]) or "")
        if word in {"denied", "rejected", "not placed", "unavailable"}:
            yield Finding("no order is denied", order["client_order_id"], f"the venue holds it, the caller was told: {word}")
