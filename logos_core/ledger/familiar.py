"""What a venue tells again.

A snapshot of a large account repeats what is on record a hundred thousand times, and a word that is on record already changes nothing.
So reports are held against the record many at a time, and only what differs goes the way of a report. When in doubt a report is
taken for news: that costs time, and nothing else.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from logos_core.ledger import codec
from logos_core.ledger.connection import Connection
from logos_core.records import Familiarity
from logos_core.reports import ExecutionReport

AT_ONCE = 1_000
_ON_RECORD = (
    "SELECT i.client_order_id, i.state, v.report FROM json_each(?) j JOIN intents i ON i.client_order_id = j.value"
    " LEFT JOIN venue_orders v ON v.intent = i.id AND v.number = 0"
)
_NOTHING = (None, None, None)


def familiarity(connection: Connection, reports: Sequence[ExecutionReport]) -> Familiarity:
    """Hold reports against the record."""
    known: set[str] = set()
    news: list[ExecutionReport] = []
    for start in range(0, len(reports), AT_ONCE):
        some = reports[start : start + AT_ONCE]
        names = [name for report in some for name in (report.client_order_id, report.leg_of) if name]
        rows = {row[0]: row for row in connection.rows(_ON_RECORD, json.dumps(names))}
        known.update(rows)
        news += _news(some, rows)
    return Familiarity(known=frozenset(known), news=tuple(news))


def _news(reports: Iterable[ExecutionReport], rows: Mapping[str | None, tuple[Any, ...]]) -> Iterator[ExecutionReport]:
    for report in reports:
        _, state, stored = rows.get(report.client_order_id, _NOTHING)
        if stored is None or state != report.status or report.executions or report.legs or not codec.says_the_same(stored, report):
            yield report
