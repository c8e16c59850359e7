"""Whoever judges must be judged: each lie that is planted into the books is named, and with it the invariant that it breaks."""

import ast
import base64
import copy
import gzip
import json
import os
import shutil
from datetime import UTC, datetime
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apsw
import pytest

from logos_core.adapter import Adapter
from logos_core.clock import SystemClock
from logos_core.ledger.archive import archive
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.orders import Order
from logos_core.testing.rehearsal import oracle
from logos_core.testing.rehearsal.admin import Admin
from logos_core.testing.rehearsal.presets import CANARY, CREDENTIAL, embedded
from logos_core.testing.rehearsal.simulator import application
from logos_core.testing.server import LoopbackServer

LONG_AGO = "2020-01-01T00:00:00.000000Z"
IN_THE_END = "2999-01-01T00:00:00.000000Z"


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """A venue and a ledger that agree: one order filled, one resting with a part filled, one rejected."""
    folder = tmp_path_factory.mktemp("truth")
    preset = next(preset for preset in embedded() if preset.venue == "alpaca")
    with LoopbackServer(application("alpaca")) as server:
        (folder / "preset.toml").write_text(preset.text(server.url, folder / "runs", 5.0))
        environ = {**os.environ, CREDENTIAL: CANARY}
        with Adapter.open(folder / "preset.toml", home=folder / "home", environ=environ) as adapter:
            adapter.submit(Order.market("AAPL", "buy", quantity=2, intent_id="filled"))
            resting = adapter.submit(Order.limit("AAPL", "buy", quantity=3, price=100, intent_id="resting"))
            with pytest.raises(Exception, match="insufficient"):
                adapter.submit(Order.limit("AAPL", "buy", quantity=10**6, price=100, intent_id="rejected"))
            admin = Admin(server.url)
            admin.fill(resting.venue_order_id, "1")
            adapter.reconcile()
            path = adapter.ledger.path
        with Adapter.open(folder / "preset.toml", home=folder / "home", environ=environ):
            pass
        return SimpleNamespace(folder=folder, orders=admin.orders(), wire=admin.wire(), ledger=path, halts=(), words={})


@pytest.fixture
def world(truth, tmp_path):
    """A copy that may be falsified."""
    folder = tmp_path / "copy"
    shutil.copytree(truth.folder, folder)
    ledger = folder / truth.ledger.relative_to(truth.folder)
    return SimpleNamespace(
        folder=folder, orders=copy.deepcopy(truth.orders), wire=copy.deepcopy(truth.wire), ledger=ledger, halts=(), words={}
    )


def change(world, *statements):
    connection = apsw.Connection(str(world.ledger))
    for statement in ("PRAGMA foreign_keys=OFF", *statements):
        connection.execute(statement)
    connection.close()


def retell(world, kind, intent_id, tell):
    """Change what an event of an intent says, and chain all events anew, as a forger would."""
    connection = apsw.Connection(str(world.ledger))
    connection.execute("DROP TRIGGER events_never_change")
    heads: dict[str, tuple[int, bytes, int]] = {}
    told = (
        "SELECT sequence, session_id, kind, body, (SELECT intent_id FROM intents WHERE id = intent) FROM events ORDER BY sequence"
    )
    rows: list[Any] = connection.execute(told).fetchall()
    for sequence, session, found, body, whose in rows:
        said = json.loads(body)
        if found == "session_closed":
            said["checkpoint"] = {
                name: f"{number}:{head.hex()}" for name, (number, head, last) in heads.items() if last >= said["since"]
            }
        if (found, whose) == (kind, intent_id):
            tell(said)
        number, previous, _ = heads.get(session, (0, oracle.chain.BEGINNING, 0))
        content = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
        heads[session] = number + 1, sha256(previous + content).digest(), sequence
        connection.execute(
            "UPDATE events SET body = ?, previous = ?, hash = ? WHERE sequence = ?",
            (content, previous, heads[session][1], sequence),
        )
    connection.close()


def findings(world, truth):
    books = oracle.read(world.ledger)
    return [
        *oracle.compare(world.orders, world.wire, books, world.halts),
        *oracle.told(world.words, world.orders, books),
        *oracle.vanished(oracle.read(truth.ledger), books),
        *oracle.left_behind(world.folder / "runs", world.folder / "home" / "spool", books),
        *oracle.leaks([CANARY], [world.folder]),
    ]


def filled(world):
    return next(order for order in world.orders if order["status"] == "filled")


def resting(world):
    return next(order for order in world.orders if order["status"] == "partially_filled")


def submit(world, intent_id):
    (name,) = (intent["client_order_id"] for intent in oracle.read(world.ledger).intents if intent["intent_id"] == intent_id)
    return next(entry for entry in world.wire if (entry["operation"], entry["client_order_id"]) == ("submit", name))


def test_where_both_agree_nothing_is_found(truth, world):
    assert [] == findings(world, truth)

    assert (2, 1, 1) == tuple(oracle.figures(oracle.read(truth.ledger))[name] for name in ("accepted", "filled", "rejected"))


def test_a_lawful_forgery_of_nothing_changes_nothing(truth, world):
    retell(world, "settled", "filled", lambda said: None)

    assert [] == findings(world, truth)


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


def sent_before_it_was_recorded_again(world):
    submit(world, "filled")["received_at"] = LONG_AGO


def more_than_the_order(world):
    resting(world)["filled_quantity"] = "4"


def more_than_the_chain(world):
    change(
        world, "UPDATE intents SET parent_intent = (SELECT id FROM intents WHERE intent_id = 'filled') WHERE intent_id = 'resting'"
    )
    resting(world)["filled_quantity"] = "2"


def more_on_record_than_was_decided(world):
    change(world, "UPDATE executions SET body = json_set(body, '$.quantity', '2.5') WHERE json_extract(body, '$.quantity') = '2'")


def less_than_before(world):
    retell(world, "settled", "resting", lambda said: said["report"].update(filled_quantity="2"))


def left_while_halted(world):
    world.halts = ((datetime(2020, 1, 1, tzinfo=UTC), datetime(2998, 1, 1, tzinfo=UTC)),)


def left_while_latched(world):
    change(world, f"INSERT INTO latches (reason, latched_at) VALUES ('drill', '{LONG_AGO}')")


def attempt_while_latched(world):
    retell(world, "baseline", None, lambda said: said.update(kind="latched", reason="drill"))
    change(world, "UPDATE events SET kind = 'latched' WHERE kind = 'baseline'")


def vanished_attempt(world):
    change(world, "DELETE FROM attempts WHERE intent = 1")


def vanished_order(world):
    change(world, "DELETE FROM venue_orders WHERE intent = 1")


def vanished_execution(world):
    change(world, "DELETE FROM executions WHERE intent = 1")


def other_decision(world):
    change(world, "UPDATE intents SET payload = '{}' WHERE id = 1")


def unsettled_again(world):
    change(world, "UPDATE attempts SET outcome = NULL WHERE intent = 1")


def settled_otherwise(world):
    change(world, "UPDATE attempts SET outcome = 'rejected' WHERE intent = 1")


def step_that_does_not_exist(world):
    retell(world, "settled", "filled", lambda said: said.update(state="not_placed"))


def second_attempt_beside_the_first(world):
    retell(world, "attempt", "filled", lambda said: said.update(attempt=2))


def state_without_event(world):
    change(world, "UPDATE intents SET state = 'new' WHERE intent_id = 'resting'")


def latch_without_event(world):
    change(world, f"INSERT INTO latches (reason, latched_at, released_at) VALUES ('drill', '{LONG_AGO}', '{LONG_AGO}')")


def session_without_end(world):
    change(world, "UPDATE sessions SET closed_at = NULL")


def false_checkpoint(world):
    retell(world, "session_closed", None, lambda said: said["checkpoint"].clear())


def invented_evidence(world):
    (path, *_) = sorted(world.folder.glob("runs/*/audit.jsonl"))
    path.write_text(path.read_text().replace("AAPL", "AAPM"))


def broken_seal(world):
    (path, *_) = sorted(world.folder.glob("runs/*/session.md"))
    path.write_text("nothing happened")


def seals_that_do_not_follow(world):
    (path, *_) = sorted(world.folder.glob("runs/*/seal.json"))
    path.write_text(path.read_text() + " ")


def spool(world, body, previous=None):
    previous = previous or oracle.chain.BEGINNING
    line = {"body": body, "previous": previous.hex(), "hash": sha256(previous + body.encode()).hexdigest()}
    (world.folder / "home" / "spool" / "account.jsonl").write_text(json.dumps(line) + "\n")


def left_in_the_spool(world):
    spool(world, '{"kind":"cancel"}')


def spool_without_a_chain(world):
    spool(world, '{"kind":"cancel"}', previous=b"elsewhere")


def arrived_when_nothing_was_counted(world):
    submit(world, "rejected")["received_at"] = IN_THE_END


def caller_told_the_opposite(world):
    world.words = {"filled": "rejected", "resting": "new"}


LIES = [
    (second_order_under_the_same_id, "one order per client order id"),
    (second_order_under_the_same_id, "one order per intent"),
    (second_order_of_the_intent_under_another_id, "one order per intent"),
    (order_the_ledger_does_not_know, "every order is known"),
    (order_the_venue_does_not_hold, "no order is invented"),
    (order_taken_for_rejected, "no order is denied"),
    (caller_told_the_opposite, "no order is denied"),
    (other_status, "same status"),
    (other_filled_quantity, "same filled quantity"),
    (other_side, "same order"),
    (missing_execution, "executions once each"),
    (invented_execution, "no execution is invented"),
    (other_price, "same execution"),
    (missing_fee, "same fees"),
    (execution_without_intent, "every execution has its intent"),
    (left_unknown, "nothing stays unknown"),
    (order_taken_for_rejected, "no outcome without proof"),
    (closed_by_nobody, "no outcome without proof"),
    (second_request, "one request per attempt"),
    (missing_request, "one request per attempt"),
    (request_without_attempt, "nothing leaves unrecorded"),
    (sent_before_it_was_recorded, "recorded before it left"),
    (sent_before_it_was_recorded_again, "recorded before it left"),
    (more_than_the_order, "never more than was ordered"),
    (more_than_the_chain, "never more than was ordered"),
    (more_on_record_than_was_decided, "never more than was ordered"),
    (less_than_before, "fills never shrink"),
    (left_while_halted, "nothing leaves while stopped"),
    (left_while_latched, "nothing leaves while stopped"),
    (attempt_while_latched, "nothing leaves while stopped"),
    (missing_event, "no event is lost"),
    (vanished_attempt, "no row is lost"),
    (vanished_order, "no row is lost"),
    (vanished_execution, "no row is lost"),
    (other_decision, "no row is lost"),
    (unsettled_again, "no outcome is taken back"),
    (settled_otherwise, "no outcome is taken back"),
    (changed_byte, "the chains verify"),
    (missing_event, "the chains verify"),
    (false_checkpoint, "the chains verify"),
    (step_that_does_not_exist, "every transition is legal"),
    (second_attempt_beside_the_first, "every transition is legal"),
    (state_without_event, "the events make the tables"),
    (settled_otherwise, "the events make the tables"),
    (missing_execution, "the events make the tables"),
    (vanished_order, "the events make the tables"),
    (latch_without_event, "the events make the tables"),
    (session_without_end, "the events make the tables"),
    (invented_evidence, "no evidence is invented"),
    (broken_seal, "no evidence is invented"),
    (seals_that_do_not_follow, "no evidence is invented"),
    (spool_without_a_chain, "no evidence is invented"),
    (left_in_the_spool, "nothing is left waiting"),
    (arrived_when_nothing_was_counted, "what is under way is counted"),
]


@pytest.mark.parametrize(("lie", "rule"), LIES, ids=lambda value: value if isinstance(value, str) else value.__name__)
def test_a_planted_lie_is_named(truth, world, lie, rule):
    lie(world)

    assert rule in {finding.rule for finding in findings(world, truth)}


@pytest.mark.parametrize(
    "spelled",
    [
        CANARY.encode(),
        CANARY[::-1].encode(),
        CANARY.encode().hex().encode(),
        *(base64.b64encode(b"user:"[:lead] + CANARY.encode() + b":more") for lead in range(3)),
        gzip.compress(CANARY.encode(), mtime=0),
    ],
)
def test_a_secret_is_found_in_whatever_spelling(truth, world, spelled):
    (world.folder / "home" / "debug.log").write_bytes(spelled)

    assert ["no secret is told"] == [finding.rule for finding in findings(world, truth)]


def test_every_rule_of_every_invariant_has_its_lie():
    rules = [rule for invariant in oracle.INVARIANTS.values() for rule in invariant.rules]

    assert [f"I{number}" for number in range(1, 13)] == list(oracle.INVARIANTS)
    assert len(rules) == len(set(rules))
    assert {*rules} == {rule for _, rule in LIES} | {"no secret is told"}


@pytest.mark.parametrize("number", oracle.INVARIANTS)
def test_what_decides_an_invariant_is_there_and_names_its_rules(number):
    invariant = oracle.INVARIANTS[number]
    for name in invariant.decided_by:
        module, _, function = name.partition(".")
        assert callable(getattr(import_module(f"logos_core.testing.rehearsal.oracle.{module}"), function))

    assert all(number == oracle.Finding(rule, "it", "broke").invariant for rule in invariant.rules)
    with pytest.raises(ValueError, match="belongs to no invariant"):
        oracle.Finding("a rule of its own", "it", "broke")


def test_the_judge_imports_nothing_of_what_it_judges():
    folder = Path(oracle.__file__).parent
    imported = {
        name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [item.name for item in getattr(node, "names", [])])
        if name and name.startswith("logos_")
    }

    assert all(name.startswith("logos_core.testing.rehearsal.oracle") for name in imported)


def archived(world):
    """Move what happened until now into a segment, in a session of its own."""
    before, ledger = datetime.now(UTC), SqliteLedger.open(world.ledger, SystemClock())
    ledger.begin_session("archiver", "archiver", "host:1")
    segment = archive(ledger, before)
    ledger.end_session()
    ledger.close()
    assert segment is not None
    return world.ledger.with_name(segment.file)


def test_what_was_archived_is_read_from_its_segment(truth, world):
    archived(world)

    assert [] == findings(world, truth)


def test_a_segment_that_is_gone_is_missed(truth, world):
    archived(world).unlink()

    assert {"no event is lost", "the chains verify"} <= {finding.rule for finding in findings(world, truth)}


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


def test_what_is_read_is_what_is_in_the_file(truth):
    books = oracle.read(truth.ledger)
    by_intent = {intent["intent_id"]: intent for intent in books.intents}

    assert {"filled": "filled", "resting": "partially_filled", "rejected": "rejected"} == {
        name: intent["state"] for name, intent in by_intent.items()
    }

    assert "AAPL" == json.loads(by_intent["filled"]["orders"][0]["report"])["symbol"]
