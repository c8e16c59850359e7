"""Single words of OANDA's JSON. A field that is missing or unknown is a `BadAnswerError`, never a guess."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from logos_core.hookspecs import BadAnswerError
from logos_core.orders import Side, TimeInForce

Row = Mapping[str, Any]
"""One JSON object of the venue, such as a transaction."""

TO_WIRE = {
    TimeInForce.DAY: "GFD",
    TimeInForce.GTC: "GTC",
    TimeInForce.GTD: "GTD",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
}
FROM_WIRE = {word: time_in_force for time_in_force, word in TO_WIRE.items()}


def client_id(body: Row) -> str | None:
    """Return the client order id that an order or its creation carries."""
    extensions = body.get("clientExtensions")
    return None if extensions is None else row(extensions).get("id")


def rows(body: object, name: str) -> list[Row]:
    """Return a list of JSON objects."""
    items = row(body).get(name)
    if not isinstance(items, list):
        raise BadAnswerError(f"{name} is a {type(items).__name__}, not a list")
    return [row(item) for item in items]


def row(body: object) -> Row:
    """Return a JSON object."""
    if not isinstance(body, dict):
        raise BadAnswerError(f"expected an object, got {type(body).__name__}")
    return body


def text(body: Row, name: str) -> str:
    """Return a field that must be there."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise BadAnswerError(f"{name} is {value!r}")
    return value


def number(body: Row, name: str) -> Decimal:
    """Return a number, which OANDA writes as a string; a JSON number has been through a float."""
    value = text(body, name)
    try:
        result = Decimal(value)
    except InvalidOperation:
        raise BadAnswerError(f"{name} is {value!r}, not a number") from None
    if not result.is_finite():
        raise BadAnswerError(f"{name} is {value!r}")
    return result


def log_id(body: Row, name: str) -> int:
    """Return a transaction id as the number it stands for."""
    value = text(body, name)
    if not (value.isascii() and value.isdigit()):
        raise BadAnswerError(f"{name} is {value!r}, not a transaction id")
    return int(value)


def timestamp(value: str) -> datetime:
    """Return a venue time. OANDA writes nine digits behind the point; the clock keeps six."""
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value))
    except ValueError:
        raise BadAnswerError(f"{value!r} is not a time") from None
    if moment.utcoffset() is None:
        raise BadAnswerError(f"{value!r} has no time zone")
    return moment.astimezone(UTC)


def time_in_force(body: Row) -> TimeInForce | None:
    """Return how long an order may rest, or None where OANDA does not say."""
    word = body.get("timeInForce")
    if word is None:
        return None
    if word not in FROM_WIRE:
        raise BadAnswerError(f"timeInForce is {word!r}, which logos does not know")
    return FROM_WIRE[word]


def side_of(units: Decimal) -> Side:
    """Return which way an order trades: the sign of its units says."""
    if not units:
        raise BadAnswerError("units is 0, which is neither a purchase nor a sale")
    return Side.BUY if units > 0 else Side.SELL
