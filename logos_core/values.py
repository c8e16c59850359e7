"""How single values are checked and spelled: numbers, names, choices, times.

A float is refused by type, because by the time it arrives it has already lost what the caller meant.
"""

from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TypeVar

from logos_core.errors import InvalidOrderError

E = TypeVar("E", bound=StrEnum)


Number = Decimal | int | str
"""What the public API takes for a quantity or a price."""


MAX_DIGITS = 40
"""More digits than any venue's grid; a longer number is a mistake, and it would cost the arithmetic its exactness."""


MAX_TEXT = 200
"""The longest symbol, intent id or label we accept."""


def exact(name: str, value: object) -> Decimal:
    """Return a caller's number as a Decimal, or say what is wrong with it.

    Raises:
        TypeError: for a float or anything that is not a Decimal, int or str.
        InvalidOrderError: for text that is no number, NaN, infinity, or more than `MAX_DIGITS` digits.
    """
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        kind = type(value).__name__
        raise TypeError(f"{name} is {value!r}, a {kind}; give a Decimal, an int or a str such as '0.01'")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise InvalidOrderError(f"{name} is {value!r}, which is not a number; give one such as '0.01'") from None
    if not number.is_finite():
        raise InvalidOrderError(f"{name} is {value}; it must be a finite number")
    _, digits, exponent = number.as_tuple()
    if len(digits) > MAX_DIGITS or abs(int(exponent)) > MAX_DIGITS:
        raise InvalidOrderError(f"{name} is {str(value)[:60]}, more than {MAX_DIGITS} digits; give fewer")
    return number


def lasted(since: datetime, now: datetime) -> str:
    """Return how long something has lasted, in one unit.

    >>> from datetime import UTC
    >>> lasted(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 3, 30, tzinfo=UTC))
    '3 h'
    """
    passed = max(now - since, timedelta(0)).total_seconds()
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if passed >= seconds:
            return f"{int(passed // seconds)} {unit}"
    return f"{int(passed)} s"


def plain(number: Decimal) -> str:
    """Return the one spelling of a number: no exponent, no trailing zeros.

    >>> plain(Decimal("1E+2")), plain(Decimal("0.10"))
    ('100', '0.1')
    """
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def tidy(number: Decimal) -> Decimal:
    """Return a venue's number without trailing zeros, so that a report is the same now and when it is read back."""
    given: object = number  # a plugin may hand over anything
    return Decimal(plain(number)) if isinstance(given, Decimal) and given.is_finite() else number


def tidy_or_none(number: Decimal | None) -> Decimal | None:
    """Return the same of a number that the venue may not have stated."""
    return None if number is None else tidy(number)


def positive(name: str, value: object) -> Decimal:
    """Return a caller's number, which must be greater than zero; see `exact`."""
    number = exact(name, value)
    if number <= 0:
        raise InvalidOrderError(f"{name} is {value}; it must be greater than zero")
    return number


def positive_or_none(name: str, value: object) -> Decimal | None:
    """Return the same of a number that the caller may leave out."""
    return None if value is None else positive(name, value)


def printable(name: str, value: object) -> str:
    """Return a caller's name or symbol: 1 to `MAX_TEXT` printable characters without spaces at the ends."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}, a {type(value).__name__}; give a str")
    if not value.strip() or value != value.strip() or len(value) > MAX_TEXT or not value.isprintable():
        raise InvalidOrderError(f"{name} is {value[:60]!r}; give 1 to {MAX_TEXT} printable characters without spaces at the ends")
    return value


def choice(name: str, kind: type[E], value: object) -> E:
    """Return the member that a caller named, or tell which ones there are."""
    try:
        return kind(value)  # type: ignore[arg-type]
    except ValueError:
        allowed = ", ".join(member.value for member in kind)
        raise InvalidOrderError(f"{name} is {value!r}; allowed: {allowed}") from None


def aware(name: str, value: datetime) -> datetime:
    """Return the time if it is aware and UTC; a naive time is a mistake in the program."""
    if value.utcoffset() != timedelta(0):
        raise TypeError(f"{name} is {value!r}; it must be an aware UTC time")
    return value


def spoken(value: object) -> str:
    """Return a value as people read it."""
    return plain(value) if isinstance(value, Decimal) else str(value)
