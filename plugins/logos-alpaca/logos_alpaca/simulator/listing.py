"""Cut Alpaca's lists: by page, by time, by the order of an id."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeVar

from logos_alpaca.simulator.answers import NANOSECONDS
from logos_alpaca.simulator.refusals import unreadable
from logos_core.testing.exchange import SimulatedOrder

_Item = TypeVar("_Item")


def read_limit(value: str, most: int) -> int:
    """Read the size of a page."""
    if not (value.isdecimal() and 1 <= int(value) <= most):
        raise unreadable(f"a limit lies between 1 and {most}, not at {value}")
    return int(value)


def between(items: list[_Item], query: Mapping[str, str], moment: Callable[[_Item], datetime]) -> list[_Item]:
    """Keep what lies between `after` and `until`, both exclusive (specification), to the nanosecond."""
    after, until = (_read_nanoseconds(query[key]) if query.get(key) else None for key in ("after", "until"))
    return [
        item
        for item in items
        if (after is None or _nanoseconds(moment(item)) > after) and (until is None or _nanoseconds(moment(item)) < until)
    ]


def behind(items: list[SimulatedOrder], every: list[SimulatedOrder], query: Mapping[str, str]) -> list[SimulatedOrder]:
    """Keep what was submitted after, or before, the order of an id, exclusive (specification)."""
    places = {order.order_id: place for place, order in enumerate(every)}
    after, before = (query.get(key) for key in ("after_order_id", "before_order_id"))
    if after and before:
        raise unreadable("after_order_id and before_order_id exclude each other")
    if (after or before) not in {None, *places}:
        raise unreadable(f"no order {after or before}")
    first = places[after] + 1 if after else 0
    last = places[before] if before else len(every)
    return [order for order in items if first <= places[order.order_id] < last]


def _read_nanoseconds(text: str) -> int:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?", text)
    if found is None:
        raise unreadable(f"invalid time: {text}")
    day, clock, fraction, zone = found.groups()
    try:
        seconds = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{zone or 'Z'}")
    except ValueError as error:
        raise unreadable(f"invalid time: {text}") from error
    return int(seconds.timestamp()) * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def _nanoseconds(moment: datetime) -> int:
    return int(moment.replace(microsecond=0).timestamp()) * 1_000_000_000 + moment.microsecond * 1000 + NANOSECONDS
