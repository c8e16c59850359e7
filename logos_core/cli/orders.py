"""`logos submit`, `logos replace` and `logos cancel`: one order at a time."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from logos_core.cli.exits import Exit
from logos_core.cli.opening import session_for
from logos_core.cli.options import Json, PresetArgument
from logos_core.cli.output import emit
from logos_core.cli.words import replace_body, replace_text, report_body, report_line
from logos_core.errors import ConfigurationError, InvalidOrderError
from logos_core.orders import Order, StopLoss
from logos_core.replacing import ReplaceEnding

Quantity = Annotated[
    str, typer.Argument(help="In units of the base asset; `notional:AMOUNT` in those of the quote asset.", show_default=False)
]
IntentId = Annotated[
    str,
    typer.Option(
        "--intent-id", help="Your own stable name for this decision; the same name never makes a second order.", show_default=False
    ),
]
_NO_PRICE = "Without --limit, --stop and --trail, it is a market order."
_PANEL = "Prices"
_LINKED = "Linked orders"


def _priced(name: str, help_text: str, panel: str = _PANEL) -> Any:
    return typer.Option(name, metavar="PRICE", help=help_text, rich_help_panel=panel)


def submit(
    preset: PresetArgument,
    side: Annotated[str, typer.Argument(help="buy or sell.", show_default=False)],
    quantity: Quantity,
    symbol: Annotated[str, typer.Argument(help="Spelled as the venue's SDK spells it.", show_default=False)],
    intent_id: IntentId,
    limit: Annotated[str | None, _priced("--limit", f"The worst price. {_NO_PRICE}")] = None,
    stop: Annotated[str | None, _priced("--stop", "Where the order begins to work.")] = None,
    trail: Annotated[
        str | None, typer.Option("--trail", metavar="AMOUNT", help="Follow the market by 5, or by 5%.", rich_help_panel=_PANEL)
    ] = None,
    take_profit: Annotated[str | None, _priced("--take-profit", "A leg to take a profit with, once filled.", _LINKED)] = None,
    stop_loss: Annotated[str | None, _priced("--stop-loss", "A leg to end a loss with, once filled.", _LINKED)] = None,
    stop_loss_limit: Annotated[str | None, _priced("--stop-loss-limit", "The worst price of --stop-loss.", _LINKED)] = None,
    oco: Annotated[
        bool,
        typer.Option(
            "--oco", help="Leave a position by --take-profit or by --stop-loss, whichever comes first.", rich_help_panel=_LINKED
        ),
    ] = False,
    time_in_force: Annotated[
        str | None, typer.Option("--time-in-force", help="day, gtc, gtd, ioc or fok; default: the venue's own.")
    ] = None,
    expires_at: Annotated[
        str | None, typer.Option("--expires-at", metavar="TIME", help="When a gtd order ends, such as 2026-12-31T16:00:00Z.")
    ] = None,
    post_only: Annotated[bool, typer.Option("--post-only", help="Refuse it rather than let it trade at once.")] = False,
    reduce_only: Annotated[bool, typer.Option("--reduce-only", help="Let it reduce a position and nothing else.")] = False,
    round_to_grid: Annotated[bool, typer.Option("--round-to-grid", help="Round instead of denying an off-grid order.")] = False,
    as_json: Json = False,
) -> int:
    """Send one order, at most once."""
    prices = {"price": limit, "stop_price": stop, "trail": trail, "take_profit": take_profit}
    given: dict[str, Any] = {name: value.strip() for name, value in prices.items() if value is not None}
    given |= _amount(quantity.strip())
    given |= {name: True for name, on in {"post_only": post_only, "reduce_only": reduce_only}.items() if on}
    if expires_at is not None:
        given["expires_at"] = _moment(expires_at)
    if stop_loss is not None:
        given["stop_loss"] = StopLoss(stop_loss.strip(), stop_loss_limit)
    elif stop_loss_limit is not None:
        raise ConfigurationError("--stop-loss-limit is given without --stop-loss; give both, or neither")
    build = _builder(given, oco=oco)
    order = build(symbol, side.strip(), intent_id=intent_id, time_in_force=time_in_force, round_to_grid=round_to_grid, **given)
    with session_for(preset, intent_id) as adapter:
        report = adapter.submit(order)
    emit(report_body(report), report_line(report), as_json=as_json)
    return Exit.DONE


def replace(
    preset: PresetArgument,
    order: Annotated[
        str, typer.Argument(metavar="ID", help="The order as it is: its intent id, or its client order id.", show_default=False)
    ],
    intent_id: IntentId,
    quantity: Annotated[
        str | None, typer.Option("--quantity", help="The new total, including what has traded; default: as it is.")
    ] = None,
    limit: Annotated[str | None, typer.Option("--limit", metavar="PRICE", help="The new worst price; default: as it is.")] = None,
    stop: Annotated[str | None, typer.Option("--stop", metavar="PRICE", help="The new stop price; default: as it is.")] = None,
    as_json: Json = False,
) -> int:
    """Let an order go on with other numbers; the same name never makes a second one."""
    with session_for(preset, intent_id) as adapter:
        try:
            found = adapter.replace(order, intent_id=intent_id, quantity=quantity, price=limit, stop_price=stop)
        except LookupError as error:
            raise ConfigurationError(str(error.args[0])) from error
    emit(replace_body(found), replace_text(found), as_json=as_json)
    return Exit.DONE if found.ending is ReplaceEnding.REPLACED else Exit.REJECTED


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


def _builder(given: dict[str, Any], *, oco: bool) -> Any:
    """Return what builds the kind of order that the options describe; `--trail` becomes an amount or a percentage."""
    trail = given.pop("trail", None)
    if oco:
        if "take_profit" not in given or "stop_loss" not in given:
            raise ConfigurationError(
                "--oco needs --take-profit and --stop-loss; they are the two orders of which one cancels the other"
            )
        return _only(Order.oco, given, {"quantity", "take_profit", "stop_loss", "reduce_only", "expires_at"}, "an --oco order")
    legs = {"quantity", "take_profit", "stop_loss", "reduce_only", "expires_at"}
    if trail is not None:
        given["trail_percent" if trail.endswith("%") else "trail_amount"] = trail.removesuffix("%").strip()
        return _only(Order.trailing_stop, given, legs | {"trail_percent", "trail_amount"}, "a --trail order")
    if "stop_price" in given:
        build = Order.stop_limit if "price" in given else Order.stop
        return _only(build, given, legs | {"stop_price", "price"}, "a --stop order")
    if "price" in given:
        return _only(Order.limit, given, legs | {"price", "notional", "post_only"}, "a --limit order")
    return _only(Order.market, given, legs | {"notional"}, "a market order")


def _only(build: Any, given: Mapping[str, Any], takes: set[str], what: str) -> Any:
    """Refuse what this kind of order does not have."""
    names = {"price": "--limit", "notional": "notional:", "post_only": "--post-only", "trail_amount": "--trail"}
    for name in given:
        if name not in takes:
            raise InvalidOrderError(f"{what} has no {names.get(name, '--' + name.replace('_', '-'))}; leave one of the two out")
    return build


def _amount(quantity: str) -> dict[str, str]:
    word, _, amount = quantity.rpartition(":")
    if word not in {"", "notional"}:
        raise ConfigurationError(f"quantity is {quantity!r}; give a number, or notional:AMOUNT")
    return {"notional": amount} if word else {"quantity": quantity}


def _moment(text: str) -> datetime:
    """Return a time in UTC; one that does not say its zone could be hours away from what was meant."""
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.utcoffset() is None:
            raise ConfigurationError(f"--expires-at is {text!r}, without a zone; give a time such as 2026-12-31T16:00:00Z")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"--expires-at is {text!r}; give a time such as 2026-12-31T16:00:00Z") from None
