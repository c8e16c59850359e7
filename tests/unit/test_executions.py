"""What stands of trades, corrections and busts, in whatever order they arrive."""

from decimal import Decimal
from itertools import permutations

import pytest
from attrs import evolve

from logos_core.executions import effective, traded
from logos_core.ledger import codec
from logos_core.reports import Execution, ExecutionKind, Fee
from tests.unit.making import execution_of

FEE = Fee(amount=Decimal("0.5"), asset="USDT")


def correction(execution_id: str, refers_to: str, quantity: str = "0.4", **changes) -> Execution:
    return execution_of(execution_id, kind=ExecutionKind.CORRECTION, refers_to=refers_to, quantity=Decimal(quantity), **changes)


def bust(execution_id: str, refers_to: str) -> Execution:
    return execution_of(execution_id, kind=ExecutionKind.BUST, refers_to=refers_to)


def test_a_correction_replaces_the_numbers_and_leaves_the_rest():
    trade = execution_of(fees=(FEE,))
    found = effective([trade, correction("c1", "t1", price=Decimal(90))])

    assert [evolve(trade, quantity=Decimal("0.4"), price=Decimal(90), fees=())] == found


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([execution_of()], "0.5"),
        ([execution_of(), bust("b1", "t1")], "0"),
        ([execution_of(), correction("c1", "t1")], "0.4"),
        ([execution_of(), correction("c1", "t1"), correction("a2", "c1", "0.3")], "0.3"),
        ([execution_of(), correction("c1", "t1"), correction("c2", "t1", "0.3")], "0.3"),
        ([execution_of(), correction("c1", "t1"), bust("b1", "c1")], "0"),
        ([execution_of(), correction("c1", "t1"), bust("b1", "t1")], "0"),
        ([execution_of(), bust("b1", "t1"), execution_of("t2")], "0.5"),
        ([correction("c1", "never told")], "0.4"),
        ([bust("b1", "never told")], "0"),
        ([correction("c1", "c2"), correction("c2", "c1", "0.3")], "0.3"),
        ([correction("c1", "c1")], "0.4"),
    ],
)
def test_what_was_traded_depends_on_what_was_told_and_not_on_its_order_or_repetition(told, expected):
    assert {Decimal(expected)} == {traded([*order, *order]) for order in permutations(told)}


def test_one_id_in_two_instruments_is_two_trades():
    assert Decimal(1) == traded([execution_of("t1"), execution_of("t1", symbol="ETH/USDT")])


@pytest.mark.parametrize(("kind", "refers_to"), [(ExecutionKind.TRADE, "t0"), (ExecutionKind.BUST, None), ("correction", None)])
def test_only_what_is_no_trade_refers_to_something(kind, refers_to):
    with pytest.raises(ValueError, match="t1"):
        execution_of(kind=ExecutionKind(kind), refers_to=refers_to)


@pytest.mark.parametrize("execution", [execution_of(fees=(FEE,)), correction("c1", "t1"), bust("b1", "t1")])
def test_an_execution_is_read_as_it_was_stored(execution):
    assert execution == codec.execution_from(codec.dump(codec.execution_body(execution)))


def test_a_row_of_the_first_ledgers_is_a_trade():
    body = codec.execution_body(execution_of())
    del body["execution_kind"], body["refers_to"]

    assert execution_of() == codec.execution_from(codec.dump(body))
