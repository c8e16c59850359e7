"""What the executions of an account come to: positions, fees, and the profit or loss of each day. Pure.

The method is that of the average cost:

1. An execution that enlarges a position adds its worth to the position's cost. One that reduces it takes out the same share of the
   cost as of the quantity; what it brought in, less that share, is realised profit. One that goes through zero closes the whole
   position first and opens the other side with the rest, at its own price.
2. Profit is in the instrument's quote asset, and belongs to the UTC day of the trade that realised it. Fees in the quote asset are
   deducted on the day they were charged, whether the trade opened or closed. Fees in any other asset are listed apart: what they
   are worth in the quote asset, no execution says.
3. Numbers are exact. The one division, the share of the cost, is rounded to `SHARE_DIGITS` behind the point, and what is rounded
   off stays in the cost of what is still held: profit plus cost is what was paid and received, to the last digit, at any time.
4. A position is counted in what was traded. Fees that are taken out of the asset itself are fees; they do not reduce it.
5. Executions are taken in the venue's order of time, not in that of their arrival, and only as far as they stand.

What the venue reports as profit may be in another currency (OANDA: the account's own) or by another method; this is ours.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

from attrs import define, field, frozen

from logos_core.executions import effective, key_of
from logos_core.orders import Side
from logos_core.reports import Execution, Fee
from logos_core.values import tidy

SHARE_DIGITS = 20
"""Digits behind the point of a share of the cost: more than any asset has."""

_ZERO = Decimal(0)
_EXACT = Context(prec=400, rounding=ROUND_HALF_EVEN)
"""Wide enough for any sum of products of numbers that an order may have, so that nothing but the share is ever rounded."""


@frozen
class Assets:
    """What an instrument is made of."""

    base: str
    quote: str


@frozen(kw_only=True)
class InstrumentPosition:
    """What was traded in one instrument, and what of it is still held.

    Attributes:
        assets: what the instrument is made of; None as long as the venue was not asked.
        quantity: of the base asset; negative when short.
        cost: what is held cost, in the quote asset; negative when short: what was received for it.
        fees: what all its executions cost, one sum per asset.
    """

    symbol: str
    assets: Assets | None
    quantity: Decimal
    cost: Decimal
    fees: tuple[Fee, ...]

    @property
    def average_price(self) -> Decimal | None:
        """Return the average entry price, rounded to `SHARE_DIGITS`; None when nothing is held."""
        return _share(self.cost, Decimal(1), self.quantity) if self.quantity else None

    def unrealised(self, price: Decimal) -> Decimal:
        """Return what closing it at this price would realise, before fees."""
        with localcontext(_EXACT):
            return tidy(self.quantity * price - self.cost)


@frozen(kw_only=True)
class DayResult:
    """What one UTC day came to.

    Attributes:
        realised: profit (loss if negative) by quote asset, less the fees that were charged in it.
        fees: the fees that were deducted from it.
        fees_apart: fees in assets that are not the quote asset of what was traded.
    """

    day: date
    realised: Mapping[str, Decimal]
    fees: Mapping[str, Decimal]
    fees_apart: Mapping[str, Decimal]


@frozen(kw_only=True)
class Book:
    """What all executions come to, at one moment.

    Attributes:
        positions: every instrument ever traded, by symbol; flat ones too.
        days: every UTC day with a profit, a loss or a fee, oldest first.
        unnamed: symbols whose quote asset is not known; it is called `quote of SYMBOL` until the venue was asked, and fees in it
            cannot be told from others, so all of them are listed apart.
        executions: how many executions of ours were told, corrections and busts included.
    """

    positions: Mapping[str, InstrumentPosition]
    days: tuple[DayResult, ...]
    unnamed: tuple[str, ...]
    executions: int

    def realised(self, day: date) -> Mapping[str, Decimal]:
        """Return the realised profit and loss of one UTC day, by quote asset, after fees; empty if there was none."""
        return next((found.realised for found in reversed(self.days) if found.day == day), {})

    def quantity(self, symbol: str) -> Decimal:
        """Return what is held of an instrument; negative when short."""
        found = self.positions.get(symbol)
        return _ZERO if found is None else found.quantity


@define
class Account:
    """What the executions of one instrument have come to so far: the sum that goes on.

    Attributes:
        profits: realised profit before fees, by UTC day.
        fees: by UTC day and asset.
        charged: the fees of all days, by asset.
    """

    quantity: Decimal = _ZERO
    cost: Decimal = _ZERO
    profits: dict[date, Decimal] = field(factory=dict)
    fees: dict[date, dict[str, Decimal]] = field(factory=dict)
    charged: dict[str, Decimal] = field(factory=dict)

    def take(self, executions: Iterable[Execution]) -> None:
        """Add executions that stand, in the order of their time."""
        with localcontext(_EXACT):
            for execution in executions:
                self._take(execution)

    def _take(self, execution: Execution) -> None:
        signed = execution.quantity if execution.side is Side.BUY else -execution.quantity
        closing = min(execution.quantity, abs(self.quantity)) if signed * self.quantity < 0 else _ZERO
        if closing:
            self._close(closing.copy_sign(signed), execution)
            signed -= closing.copy_sign(signed)
        self.quantity += signed
        self.cost += signed * execution.price
        for fee in execution.fees:
            day = self.fees.setdefault(execution.executed_at.date(), {})
            for sums in (day, self.charged):
                sums[fee.asset] = sums.get(fee.asset, _ZERO) + fee.amount

    def _close(self, signed: Decimal, execution: Execution) -> None:
        """Take a part of the position out of it, against the part of the cost that belongs to it."""
        released = self.cost if signed == -self.quantity else _share(self.cost, -signed, self.quantity)
        day = execution.executed_at.date()
        self.profits[day] = self.profits.get(day, _ZERO) - signed * execution.price - released
        self.quantity += signed
        self.cost -= released

    def days(self) -> set[date]:
        """Return the days with a profit, a loss or a fee."""
        return {*self.profits, *self.fees}

    def copy(self) -> "Account":
        """Return an equal one that goes its own way."""
        fees = {day: dict(sums) for day, sums in self.fees.items()}
        return Account(self.quantity, self.cost, dict(self.profits), fees, dict(self.charged))


def book_of(executions: Iterable[Execution], assets: Mapping[str, Assets]) -> Book:
    """Return what some executions come to, corrections and busts among them, in any order."""
    told = list(executions)
    accounts: dict[str, Account] = {}
    for execution in effective(told):
        accounts.setdefault(execution.symbol, Account()).take([execution])
    days = {day for account in accounts.values() for day in account.days()}
    results = [day_result(day, accounts, assets) for day in sorted(days)]
    return frozen_book(accounts, assets, results, len({key_of(execution) for execution in told}))


def frozen_book(
    accounts: Mapping[str, Account], assets: Mapping[str, Assets], results: Iterable[DayResult], executions: int
) -> Book:
    """Return what the accounts of all instruments come to now, with the results of their days."""
    return Book(
        positions={symbol: _position(symbol, accounts[symbol], assets.get(symbol)) for symbol in sorted(accounts)},
        days=tuple(results),
        unnamed=tuple(symbol for symbol in sorted(accounts) if symbol not in assets),
        executions=executions,
    )


def _position(symbol: str, account: Account, assets: Assets | None) -> InstrumentPosition:
    return InstrumentPosition(
        symbol=symbol,
        assets=assets,
        quantity=tidy(account.quantity),
        cost=tidy(account.cost),
        fees=tuple(Fee(amount=amount, asset=asset) for asset, amount in sorted(account.charged.items())),
    )


def day_result(day: date, accounts: Mapping[str, Account], assets: Mapping[str, Assets]) -> DayResult:
    """Return what one day came to in all instruments together."""
    realised: dict[str, Decimal] = {}
    fees: dict[str, Decimal] = {}
    apart: dict[str, Decimal] = {}
    for symbol, account in accounts.items():
        charged = account.fees.get(day, {})
        if day not in account.profits and not charged:
            continue
        quote = assets[symbol].quote if symbol in assets else f"quote of {symbol}"
        _add(realised, quote, account.profits.get(day, _ZERO))
        _add(realised, quote, -charged.get(quote, _ZERO))
        for asset, amount in charged.items():
            _add(fees if asset == quote else apart, asset, amount)
    return DayResult(day=day, realised=realised, fees=fees, fees_apart=apart)


def _add(sums: dict[str, Decimal], asset: str, amount: Decimal) -> None:
    with localcontext(_EXACT):
        sums[asset] = tidy(sums.get(asset, _ZERO) + amount)


def _share(cost: Decimal, part: Decimal, whole: Decimal) -> Decimal:
    """Return `cost * part / whole`, rounded."""
    with localcontext(_EXACT):
        return tidy((cost * part / whole).quantize(Decimal(1).scaleb(-SHARE_DIGITS)))
