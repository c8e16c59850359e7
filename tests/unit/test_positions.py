"""What executions come to: position, cost, fees, and the profit of each day."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st

from logos_core.executions import effective
from logos_core.orders import Side
from logos_core.positions import Assets, Book, book_of
from logos_core.reports import Execution, ExecutionKind, Fee
from tests.unit.making import execution_of

FIRST = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)
ASSETS = {"BTC/USDT": Assets("BTC", "USDT"), "ETH/BTC": Assets("ETH", "BTC")}
DAYS = (date(2026, 11, 23), date(2026, 11, 24))


def trade(number: int, signed: str, price: str = "100", *fees: tuple[str, str], **changes) -> Execution:
    """A trade in its minute: the first on one day, the others on the next."""
    quantity = Decimal(signed)
    return execution_of(
        f"t{number}",
        side=Side.BUY if quantity > 0 else Side.SELL,
        quantity=abs(quantity),
        price=Decimal(price),
        fees=tuple(Fee(amount=Decimal(amount), asset=asset) for amount, asset in fees),
        executed_at=FIRST + timedelta(minutes=number),
        **changes,
    )


def held(*told: Execution) -> tuple[str, str, str | None]:
    position = book_of(told, ASSETS).positions["BTC/USDT"]
    average = position.average_price
    return str(position.quantity), str(position.cost), None if average is None else str(average)


@pytest.mark.parametrize(
    ("told", "expected", "profit"),
    [
        ([trade(0, "2", "100")], ("2", "200", "100"), "0"),
        ([trade(0, "1", "100"), trade(1, "1", "110")], ("2", "210", "105"), "0"),
        ([trade(0, "2", "100"), trade(1, "-1", "110")], ("1", "100", "100"), "10"),
        ([trade(0, "2", "100"), trade(1, "-2", "90")], ("0", "0", None), "-20"),
        ([trade(0, "-2", "100"), trade(1, "1", "90")], ("-1", "-100", "100"), "10"),
        ([trade(0, "-2", "100"), trade(1, "2", "110")], ("0", "0", None), "-20"),
        ([trade(0, "1", "100"), trade(1, "-3", "110")], ("-2", "-220", "110"), "10"),
        ([trade(0, "-1", "100"), trade(1, "3", "110")], ("2", "220", "110"), "-10"),
        ([trade(0, "3", "0.1"), trade(1, "-1", "0.1")], ("2", "0.2", "0.1"), "0"),
        ([trade(0, "0.000000000003", "0.000000000007"), trade(1, "-0.000000000003", "0.000000000007")], ("0", "0", None), "0"),
    ],
)
def test_a_position_is_entered_reduced_closed_and_turned_at_average_cost(told, expected, profit):
    realised = sum((day.realised["USDT"] for day in book_of(told, ASSETS).days), Decimal(0))

    assert (expected, Decimal(profit)) == (held(*told), realised)


def test_a_third_that_cannot_be_written_out_loses_nothing():
    told = [trade(0, "3", "100"), trade(1, "4", "33.33"), trade(2, "-1", "50"), trade(3, "-3", "50")]
    flat = [*told, trade(4, "-3", "50")]
    realised = sum((day.realised["USDT"] for day in book_of(flat, ASSETS).days), Decimal(0))

    assert Decimal(7 * 50) - Decimal(300) - 4 * Decimal("33.33") == realised
    assert ("0", "0", None) == held(*flat)


def test_profit_belongs_to_the_utc_day_of_the_trade_that_realised_it():
    book = book_of([trade(-1, "1", "100"), trade(0, "-0.5", "110"), trade(1, "-0.5", "120")], ASSETS)

    assert {DAYS[0]: {"USDT": Decimal(5)}, DAYS[1]: {"USDT": Decimal(10)}} == {day: book.realised(day) for day in DAYS}
    assert {} == book.realised(date(2026, 11, 25))


def test_fees_in_the_quote_asset_are_deducted_when_charged_and_others_listed_apart():
    told = [
        trade(0, "1", "100", ("0.1", "USDT")),
        trade(1, "-1", "110", ("0.2", "USDT"), ("0.003", "BNB")),
        trade(2, "1", "100", ("-0.05", "USDT"), ("0.001", "BTC")),
    ]
    book = book_of(told, ASSETS)
    first, second = book.days

    assert ({"USDT": Decimal("-0.1")}, {"USDT": Decimal("0.1")}, {}) == (first.realised, first.fees, first.fees_apart)
    assert {"USDT": Decimal("9.85")} == second.realised
    assert {"USDT": Decimal("0.15")} == second.fees
    assert {"BNB": Decimal("0.003"), "BTC": Decimal("0.001")} == second.fees_apart
    assert Decimal(1) == book.quantity("BTC/USDT"), "a fee in the asset is a fee, not a sale"
    assert [("BNB", "0.003"), ("BTC", "0.001"), ("USDT", "0.25")] == [
        (fee.asset, str(fee.amount)) for fee in book.positions["BTC/USDT"].fees
    ]


def test_each_quote_asset_has_a_sum_of_its_own():
    told = [trade(1, "1"), trade(2, "-1", "110"), trade(3, "1", "0.05", symbol="ETH/BTC"), trade(4, "-1", "0.04", symbol="ETH/BTC")]

    assert {"USDT": Decimal(10), "BTC": Decimal("-0.01")} == book_of(told, ASSETS).realised(DAYS[1])


def test_an_instrument_nobody_has_asked_about_yet_keeps_a_currency_of_its_own():
    book = book_of([trade(1, "1", "100", ("0.1", "USDT")), trade(2, "-1", "110")], {})
    (day,) = book.days

    assert (("BTC/USDT",), {"quote of BTC/USDT": Decimal(10)}) == (book.unnamed, day.realised)
    assert {"USDT": Decimal("0.1")} == day.fees_apart


def test_a_bust_takes_the_profit_back_and_a_correction_keeps_the_day():
    told = [trade(0, "1", "100"), trade(1, "-1", "110")]
    wrong = evolve(told[1], execution_id="b1", kind=ExecutionKind.BUST, refers_to="t1", executed_at=FIRST + timedelta(days=3))
    mended = evolve(wrong, kind=ExecutionKind.CORRECTION, price=Decimal(105))

    assert {} == book_of([*told, wrong], ASSETS).realised(DAYS[1])
    assert {"USDT": Decimal(5)} == book_of([*told, mended], ASSETS).realised(DAYS[1])


NUMBERS = st.decimals(min_value="0.001", max_value="50", places=3)
SYMBOLS = st.sampled_from(sorted(ASSETS))


FEES = ((), (("0.1", "USDT"),), (("0.002", "BNB"), ("-0.01", "USDT")))


@st.composite
def stories(draw: st.DrawFn) -> list[Execution]:
    """Trades, each perhaps corrected some times and perhaps busted, told in any order, and some of them more than once."""
    told: list[Execution] = []
    for number in range(draw(st.integers(1, 12))):
        fees: tuple[tuple[str, str], ...] = draw(st.sampled_from(FEES))
        signed = draw(NUMBERS) * draw(st.sampled_from([1, -1]))
        family = [trade(number, str(signed), str(draw(NUMBERS)), *fees, symbol=draw(SYMBOLS))]
        family[0] = evolve(family[0], executed_at=FIRST + timedelta(hours=draw(st.integers(0, 60))))
        for step in range(draw(st.integers(0, 2))):
            family.append(
                evolve(
                    family[-1],
                    execution_id=f"t{number}c{step}",
                    kind=ExecutionKind.CORRECTION,
                    refers_to=family[-1].execution_id,
                    quantity=draw(NUMBERS),
                    price=draw(NUMBERS),
                    executed_at=family[-1].executed_at + timedelta(hours=1),
                )
            )
        if draw(st.integers(0, 3)) == 0:
            of = draw(st.sampled_from(family)).execution_id
            family.append(evolve(family[0], execution_id=f"t{number}b", kind=ExecutionKind.BUST, refers_to=of))
        told += family
    again = draw(st.lists(st.sampled_from(told), max_size=5))
    return draw(st.permutations([*told, *again]))


@define
class Pot:
    """One instrument, as somebody keeps it who divides at once and cannot round."""

    quantity: Fraction = Fraction(0)
    average: Fraction = Fraction(0)
    profits: dict[date, Fraction] = field(factory=dict)

    def trade(self, day: date, signed: Fraction, price: Fraction) -> None:
        closing = min(abs(signed), abs(self.quantity)) if signed * self.quantity < 0 else Fraction(0)
        direction = 1 if signed > 0 else -1
        if closing:
            self.profits[day] = self.profits.get(day, Fraction(0)) - direction * closing * (price - self.average)
            self.quantity += direction * closing
        opening = abs(signed) - closing
        if opening:
            self.average = (abs(self.quantity) * self.average + opening * price) / (abs(self.quantity) + opening)
            self.quantity += direction * opening


def oracle(told: list[Execution]) -> dict[str, Pot]:
    """What a story comes to, told by someone who knows how its ids were made: `t3c1` is the second word on `t3`, `t3b` its end."""
    busted = {done.execution_id[:-1] for done in told if done.kind is ExecutionKind.BUST}
    pots: dict[str, Pot] = {}
    firsts = {done.execution_id: done for done in told if done.kind is ExecutionKind.TRADE}
    for first in sorted(firsts.values(), key=lambda done: (done.executed_at, int(done.execution_id[1:]))):
        words = [done for done in told if done.execution_id.startswith(f"{first.execution_id}c")]
        last = max(words, key=lambda done: done.execution_id, default=first)
        if first.execution_id not in busted:
            signed = Fraction(last.quantity) * (1 if first.side is Side.BUY else -1)
            pots.setdefault(first.symbol, Pot()).trade(first.executed_at.date(), signed, Fraction(last.price))
    return pots


def near(expected: Fraction, actual: Decimal) -> bool:
    return abs(expected - Fraction(actual)) < Fraction(1, 10**15)


def assert_is_the_oracles(told: list[Execution], book: Book) -> None:
    expected = oracle(told)

    assert expected.keys() == book.positions.keys()
    for symbol, pot in expected.items():
        alone = book_of([execution for execution in told if execution.symbol == symbol], ASSETS)
        quote = ASSETS[symbol].quote
        gross = {day.day: day.realised.get(quote, Decimal(0)) + day.fees.get(quote, Decimal(0)) for day in alone.days}

        assert pot.quantity == Fraction(book.quantity(symbol))
        assert near(pot.quantity * pot.average, book.positions[symbol].cost)
        assert all(near(pot.profits.get(day, Fraction(0)), amount) for day, amount in gross.items())
        assert pot.profits.keys() <= gross.keys()


@given(stories())
def test_whatever_was_told_in_whatever_order_the_book_is_that_of_the_oracle(told):
    assert_is_the_oracles(told, book_of(told, ASSETS))


@given(stories(), NUMBERS)
def test_profit_made_and_profit_still_open_are_what_went_in_and_out_and_what_is_held(told, price):
    """To the last digit: no rounding may make or lose money."""
    book = book_of(told, ASSETS)
    for symbol, assets in ASSETS.items():
        alone = [execution for execution in told if execution.symbol == symbol]
        if not alone or symbol not in book.positions:
            continue
        one = book_of(alone, ASSETS)
        net = sum((day.realised.get(assets.quote, Decimal(0)) for day in one.days), Decimal(0))
        assert cash_of(alone, assets.quote) + book.quantity(symbol) * price == net + book.positions[symbol].unrealised(price)


def cash_of(told: list[Execution], quote: str) -> Decimal:
    flows = [(-1 if done.side is Side.BUY else 1) * done.quantity * done.price for done in effective(told)]
    fees = [fee.amount for done in effective(told) for fee in done.fees if fee.asset == quote]
    return sum(flows, Decimal(0)) - sum(fees, Decimal(0))
