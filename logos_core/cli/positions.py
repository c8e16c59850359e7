"""`logos positions` and `logos pnl`: what the executions on record come to. No network, no plugin, and nothing is changed."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

import typer

from logos_core import presets
from logos_core.bookkeeping import Bookkeeper
from logos_core.cli.environment import open_home
from logos_core.cli.exits import Exit
from logos_core.cli.ledgers import opened, refuse_if_unread
from logos_core.cli.options import Json
from logos_core.cli.output import emit_table
from logos_core.cli.reading import OptionalPreset
from logos_core.errors import ConfigurationError
from logos_core.positions import Book, DayResult, InstrumentPosition
from logos_core.records import LedgerIdentity
from logos_core.values import plain

_Books = list[tuple[LedgerIdentity, Book]]
Rows = list[tuple[str, ...]]


def positions(
    preset: OptionalPreset = None,
    flat: Annotated[bool, typer.Option("--flat", help="Also what is no longer held.")] = False,
    as_json: Json = False,
) -> int:
    """Say what our executions come to, by instrument; asks no venue."""
    books, troubles = _books(preset)
    found = [(owner, held) for owner, book in books for held in book.positions.values() if flat or held.quantity]
    rows = [(*_owner(owner), *_position_row(held)) for owner, held in found]
    body = [{**_owner_body(owner), **_position_body(held)} for owner, held in found]
    columns = (*_OWNER, "INSTRUMENT", "QUANTITY", "AVERAGE PRICE", "COST", "FEES")
    emit_table(columns, rows, body, as_json=as_json, empty="nothing is held")
    refuse_if_unread(troubles)
    return Exit.DONE


def pnl(
    preset: OptionalPreset = None,
    day: Annotated[str | None, typer.Option("--day", metavar="YYYY-MM-DD", help="Only this UTC day.", show_default=False)] = None,
    as_json: Json = False,
) -> int:
    """Say what each UTC day realised, by currency; asks no venue."""
    wanted = None if day is None else _day(day)
    books, troubles = _books(preset)
    found = [(owner, result) for owner, book in books for result in book.days if wanted in {None, result.day}]
    rows = [(*_owner(owner), *row) for owner, result in found for row in _day_rows(result)]
    body = [{**_owner_body(owner), **_day_body(result)} for owner, result in found]
    columns = (*_OWNER, "DAY", "REALISED", "CURRENCY", "FEES IN IT", "FEES APART")
    emit_table(columns, rows, body, as_json=as_json, empty="nothing was realised")
    refuse_if_unread(troubles)
    return Exit.DONE


_OWNER = ("VENUE", "ACCOUNT")


def _books(preset: OptionalPreset) -> tuple[_Books, Any]:
    with opened(open_home(), None if preset is None else presets.load(preset)) as (ledgers, troubles):
        return [(ledger.identity, Bookkeeper(ledger).book()) for ledger in ledgers], troubles


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"--day is {text!r}; give one such as 2026-11-23") from None


def _owner(owner: LedgerIdentity) -> tuple[str, ...]:
    return (f"{owner.venue} {owner.environment}", owner.account_id)


def _owner_body(owner: LedgerIdentity) -> dict[str, Any]:
    return {"venue": owner.venue, "environment": owner.environment, "account_id": owner.account_id}


def _position_row(held: InstrumentPosition) -> tuple[str, ...]:
    average, fees = held.average_price, {fee.asset: fee.amount for fee in held.fees}
    return (held.symbol, plain(held.quantity), "-" if average is None else f"{average:.12g}", plain(held.cost), _sums(fees))


def _position_body(held: InstrumentPosition) -> dict[str, Any]:
    return {
        "symbol": held.symbol,
        "base_asset": held.assets.base if held.assets else None,
        "quote_asset": held.assets.quote if held.assets else None,
        "quantity": held.quantity,
        "average_price": held.average_price,
        "cost": held.cost,
        "fees": [{"amount": fee.amount, "asset": fee.asset} for fee in held.fees],
    }


def _day_rows(result: DayResult) -> Iterable[tuple[str, ...]]:
    apart = _sums(result.fees_apart)
    for index, (currency, amount) in enumerate(sorted(result.realised.items())):
        fees = plain(result.fees.get(currency, Decimal(0)))
        yield result.day.isoformat(), plain(amount), currency, fees, apart if index == 0 else "-"


def _day_body(result: DayResult) -> dict[str, Any]:
    return {
        "day": result.day.isoformat(),
        "realised": dict(result.realised),
        "fees": dict(result.fees),
        "fees_apart": dict(result.fees_apart),
    }


def _sums(amounts: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{plain(amount)} {asset}" for asset, amount in sorted(amounts.items())) or "-"
