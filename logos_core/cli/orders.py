"""`logos submit` and `logos cancel`: one order at a time."""

from typing import Annotated

import typer

from logos_core.cli.exits import Exit
from logos_core.cli.opening import session_for
from logos_core.cli.options import Json, PresetArgument
from logos_core.cli.output import emit
from logos_core.cli.words import report_body, report_line
from logos_core.errors import ConfigurationError
from logos_core.orders import Order


def submit(
    preset: PresetArgument,
    side: Annotated[str, typer.Argument(help="buy or sell.", show_default=False)],
    quantity: Annotated[str, typer.Argument(help="In units of the base asset.", show_default=False)],
    symbol: Annotated[str, typer.Argument(help="Spelled as the venue's SDK spells it.", show_default=False)],
    intent_id: Annotated[
        str,
        typer.Option(
            "--intent-id",
            help="Your own stable name for this decision; the same name never makes a second order.",
            show_default=False,
        ),
    ],
    limit: Annotated[
        str | None, typer.Option("--limit", metavar="PRICE", help="The worst price; without it, a market order.")
    ] = None,
    time_in_force: Annotated[
        str | None, typer.Option("--time-in-force", help="day, gtc, ioc or fok; default: the venue's own.")
    ] = None,
    round_to_grid: Annotated[bool, typer.Option("--round-to-grid", help="Round instead of denying an off-grid order.")] = False,
    as_json: Json = False,
) -> int:
    """Send one order, at most once."""
    order = _order(side.strip(), quantity.strip(), symbol, intent_id, limit, time_in_force, round_to_grid=round_to_grid)
    with session_for(preset, intent_id) as adapter:
        report = adapter.submit(order)
    emit(report_body(report), report_line(report), as_json=as_json)
    return Exit.DONE


def cancel(
    preset: PresetArgument,
    order: Annotated[str, typer.Argument(metavar="ID", help="The intent id, or the client order id.", show_default=False)],
    as_json: Json = False,
) -> int:
    """Ask the venue to cancel an order; may be repeated."""
    with session_for(preset, order) as adapter:
        try:
            report = adapter.cancel(order)
        except LookupError as error:
            raise ConfigurationError(str(error.args[0])) from error
    text = report_line(report)
    if not report.status.is_final:
        text += "\nIt is not cancelled yet: the venue decides. Run the same command again."
    emit(report_body(report), text, as_json=as_json)
    return Exit.DONE if report.status.is_final else Exit.CHECK_FAILED


def _order(
    side: str, quantity: str, symbol: str, intent_id: str, limit: str | None, time_in_force: str | None, *, round_to_grid: bool
) -> Order:
    if limit is None:
        return Order.market(
            symbol, side, quantity=quantity, intent_id=intent_id, time_in_force=time_in_force, round_to_grid=round_to_grid
        )
    return Order.limit(
        symbol,
        side,
        quantity=quantity,
        price=limit.strip(),
        intent_id=intent_id,
        time_in_force=time_in_force,
        round_to_grid=round_to_grid,
    )
