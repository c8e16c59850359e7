"""Put a broken venue in the toy's place, submit one order through it, and tell what the guard made of it."""

from collections.abc import Callable
from pathlib import Path

import toy_venue
from attrs import evolve
from toy_venue.exchange import Exchange

from logos_core import Adapter, LogosError, Order


def watch(broken: Callable[..., object], intent_id: str) -> None:
    toy_venue.VENUE = evolve(toy_venue.VENUE, factory=broken)
    try:
        with Adapter.open("toy.toml") as adapter:
            try:
                report = adapter.submit(Order.limit("TOY", "buy", quantity=1, price=100, intent_id=intent_id))
                print("returned: order", report.venue_order_id, "is", report.status)
            finally:
                tell(adapter, intent_id)
    except LogosError as error:
        print("raised:", type(error).__name__)
        print("   ", error)
    print("the exchange holds:", len(Exchange(Path("exchange.json")).orders()))


def tell(adapter: Adapter, intent_id: str) -> None:
    for recorded in adapter.ledger.find_intent(intent_id):
        for event in adapter.ledger.events(recorded.client_order_id):
            said = event.fields()
            evidence = said.get("evidence", said)
            wrong = "; ".join(evidence.get("not_our_order", ()))
            why = evidence.get("classified", {}).get("message") or wrong or evidence.get("source")
            print(*filter(None, ("recorded:", event.kind, said.get("outcome") or said.get("state"), why)))
    for reason in adapter.ledger.latched():
        print("latched:", reason)
