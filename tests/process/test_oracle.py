"""Whoever judges must be judged: each lie that is planted into the books is named."""

import copy
import json
import os
import shutil
from types import SimpleNamespace

import apsw
import pytest

from logos_core.adapter import Adapter
from logos_core.orders import Order
from logos_core.testing.rehearsal import oracle
from logos_core.testing.rehearsal.admin import Admin
from logos_core.testing.rehearsal.presets import CREDENTIAL, embedded
from logos_core.testing.rehearsal.simulator import application
from logos_core.testing.server import LoopbackServer


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """A venue and a ledger that agree: one order filled, one resting with a part filled, one rejected."""
    folder = tmp_path_factory.mktemp("truth")
    preset = next(preset for preset in embedded() if preset.venue == "alpaca")
    with LoopbackServer(application("alpaca")) as server:
        (folder / "preset.toml").write_text(preset.text(server.url, folder / "runs", 5.0))
        environ = {**os.environ, CREDENTIAL: "oracle"}
        with Adapter.open(folder / "preset.toml", home=folder / "home", environ=environ) as adapter:
            adapter.submit(Order.market("AAPL", "buy", quantity=2, intent_id="filled"))
            resting = adapter.submit(Order.limit("AAPL", "buy", quantity=3, price=100, intent_id="resting"))
            with pytest.raises(Exception, match="insufficient"):
                adapter.submit(Order.limit("AAPL", "buy", quantity=10**6, price=100, intent_id="rejected"))
            admin = Admin(server.url)
            admin.fill(resting.venue_order_id, "1")
            adapter.reconcile()
            path = adapter.ledger.path
        return SimpleNamespace(orders=admin.orders(), wire=admin.wire(), ledger=path)


@pytest.fixture
def world(truth, tmp_path):
    """A copy that may be falsified."""
    ledger = tmp_path / "ledger.sqlite3"
    shutil.copy(truth.ledger, ledger)
    return SimpleNamespace(orders=copy.deepcopy(truth.orders), wire=copy.deepcopy(truth.wire), ledger=ledger)


def change(world, *statements):
    connection = apsw.Connection(str(world.ledger))
    for statement in ("PRAGMA foreign_keys=OFF", *statements):
        connection.execute(statement)
    connection.close()


def findings(world):
    return oracle.compare(world.orders, world.wire, oracle.read(world.ledger))


def rules(world):
    return {finding.rule for finding in findings(world)}


def filled(world):
    return next(order for order in world.orders if order["status"] == "filled")


def test_where_both_agree_nothing_is_found(truth):
    assert [] == findings(truth)

    assert (2, 1, 1) == tuple(oracle.figures(oracle.read(truth.ledger))[name] for name in ("accepted", "filled", "rejected"))


def second_order_under_the_same_id(world):
    world.orders.append({**filled(world), "venue_order_id": "another", "executions": []})


def second_order_of_the_intent_under_another_id(world):
    world.orders.append({**filled(world), "client_order_id": "lgsother", "venue_order_id": "another", "executions": []})
    change(
        world,
        "INSERT INTO intents (client_order_id, strategy, intent_id, symbol, state, created_at, updated_at)"
        " SELECT 'lgsother', strategy, intent_id, symbol, state, created_at, updated_at FROM intents WHERE intent_id = 'filled'",
    )


def order_the_ledger_does_not_know(world):
    world.orders.append({**filled(world), "client_order_id": "lgsstranger", "venue_order_id": "another", "executions": []})


def order_the_venue_does_not_hold(world):
    world.orders.remove(filled(world))


def order_taken_for_rejected(world):
    change(world, "UPDATE intents SET state = 'rejected' WHERE intent_id = 'filled'")


def other_status(world):
    filled(world)["status"] = "canceled"


def other_filled_quantity(world):
    filled(world)["filled_quantity"] = "1"


def other_side(world):
    filled(world)["side"] = "sell"


def missing_execution(world):
    change(world, "DELETE FROM executions WHERE venue_order_id = '" + filled(world)["venue_order_id"] + "'")


def invented_execution(world):
    filled(world)["executions"].clear()


def other_price(world):
    filled(world)["executions"][0]["price"] = "1"


def missing_fee(world):
    filled(world)["executions"][0]["fee"]["amount"] = "0.01"


def execution_without_intent(world):
    change(world, "UPDATE executions SET intent = NULL")


def changed_byte(world):
    change(
        world,
        "DROP TRIGGER events_never_change",
        "UPDATE events SET body = CAST(replace(CAST(body AS TEXT), 'AAPL', 'AAPM') AS BLOB) WHERE kind = 'attempt'",
    )


def missing_event(world):
    change(world, "DROP TRIGGER events_never_vanish", "DELETE FROM events WHERE sequence = 3")


def second_request(world):
    world.wire.append(next(entry for entry in world.wire if entry["operation"] == "submit"))


def missing_request(world):
    world.wire[:] = [entry for entry in world.wire if entry["operation"] != "submit"]


def request_without_attempt(world):
    world.wire.append({"operation": "submit", "client_order_id": "lgsstranger"})


def sent_before_it_was_recorded(world):
    filled(world)["created_at"] = "2020-01-01T00:00:00+00:00"


def left_unknown(world):
    change(world, "UPDATE intents SET state = 'unknown' WHERE intent_id = 'rejected'")


def closed_by_nobody(world):
    change(world, "UPDATE intents SET state = 'not_placed' WHERE intent_id = 'rejected'")


@pytest.mark.parametrize(
    ("lie", "rule"),
    [
        (second_order_under_the_same_id, "one order per client order id"),
        (second_order_under_the_same_id, "one order per intent"),
        (second_order_of_the_intent_under_another_id, "one order per intent"),
        (order_the_ledger_does_not_know, "every order is known"),
        (order_the_venue_does_not_hold, "no order is invented"),
        (order_taken_for_rejected, "no order is denied"),
        (other_status, "same status"),
        (other_filled_quantity, "same filled quantity"),
        (other_side, "same order"),
        (missing_execution, "executions once each"),
        (invented_execution, "no execution is invented"),
        (other_price, "same execution"),
        (missing_fee, "same fees"),
        (execution_without_intent, "every execution has its intent"),
        (changed_byte, "the chains verify"),
        (missing_event, "the chains verify"),
        (second_request, "one request per attempt"),
        (missing_request, "one request per attempt"),
        (request_without_attempt, "nothing leaves unrecorded"),
        (sent_before_it_was_recorded, "recorded before it left"),
        (left_unknown, "nothing stays unknown"),
        (order_taken_for_rejected, "no outcome without proof"),
        (closed_by_nobody, "no outcome without proof"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_a_planted_lie_is_named(world, lie, rule):
    lie(world)

    assert rule in rules(world)


def test_a_changed_event_is_found_at_its_sequence_number(world):
    before = oracle.read(world.ledger).events
    changed_byte(world)
    changed = next(event.sequence for event in before if event.kind == "attempt")
    (broken,) = oracle.chains(oracle.read(world.ledger).events)

    assert f"event {changed}" == broken.subject

    assert changed in {int(finding.subject.split()[1]) for finding in oracle.lost(before, oracle.read(world.ledger).events)}


def test_an_event_that_is_gone_is_missed(world):
    before = oracle.read(world.ledger).events
    missing_event(world)

    assert ["event 3"] == [finding.subject for finding in oracle.lost(before, oracle.read(world.ledger).events)]


def test_a_caller_who_was_told_the_opposite_is_named(world):
    (found,) = oracle.told({"filled": "rejected", "resting": "new"}, world.orders, oracle.read(world.ledger))

    assert filled(world)["client_order_id"] == found.subject


def test_what_is_read_is_what_is_in_the_file(truth):
    books = oracle.read(truth.ledger)
    by_intent = {intent["intent_id"]: intent for intent in books.intents}

    assert {"filled": "filled", "resting": "partially_filled", "rejected": "rejected"} == {
        name: intent["state"] for name, intent in by_intent.items()
    }

    assert "AAPL" == json.loads(by_intent["filled"]["orders"][0]["report"])["symbol"]
