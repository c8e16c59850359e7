"""What exchanges write alike in their JSON. A field that is missing or odd is a `BadAnswerError`, never a guess.

Amounts are strings. A JSON number with a fraction has been through a float somewhere, so no amount is read from one.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from logos_core.hookspecs import BadAnswerError

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def json_object(body: object) -> Mapping[str, Any]:
    """Return a JSON object."""
    if not isinstance(body, dict):
        raise BadAnswerError(f"expected an object, got {type(body).__name__}")
    return body


def objects(body: object) -> list[Mapping[str, Any]]:
    """Return a list of JSON objects."""
    if not isinstance(body, list):
        raise BadAnswerError(f"expected a list, got {type(body).__name__}")
    return [json_object(item) for item in body]


def text(body: Mapping[str, Any], name: str) -> str:
    """Return a text that is not empty."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise BadAnswerError(f"{name} is {value!r}")
    return value


def known(words: Mapping[str, T], body: Mapping[str, Any], name: str) -> T:
    """Return what one of the exchange's words means."""
    value = text(body, name)
    if value not in words:
        raise BadAnswerError(f"{name} is {value!r}, which logos does not know")
    return words[value]


def integer(body: Mapping[str, Any], name: str) -> int:
    """Return a whole number."""
    value = body.get(name)
    if type(value) is not int:
        raise BadAnswerError(f"{name} is {value!r}, not a whole number")
    return value


def number(body: Mapping[str, Any], name: str) -> Decimal:
    """Return an amount, written as a string."""
    value = body.get(name)
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise BadAnswerError(f"{name} is {value!r}, not a number in a string")
    return Decimal(value)


def http_date(header: str | None) -> datetime | None:
    """Return the time of a Date header, if there is one. It is cut to the second, so it never runs ahead."""
    try:
        moment = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.utcoffset() is not None else None


def milliseconds(moment: datetime) -> int:
    """Return a time as exchanges count it."""
    return (moment - EPOCH) // timedelta(milliseconds=1)
