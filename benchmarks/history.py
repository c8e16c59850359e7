"""Ledgers with a long history, without living through it.

The real code writes one order of each kind into a scratch ledger. What it wrote is the template of all others: only the numbers in
names and ids differ, and each event is chained to the one before. A test holds such a ledger against one that was lived through.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw

from logos_core import Order
from logos_core.clock import ManualClock
from logos_core.events import GENESIS, step
from logos_core.hookspecs import PreparedOrder
from logos_core.ledger.sqlite import SqliteLedger
from logos_core.orders import OrderRequest, OrderStatus, OrderType, Side, TimeInForce
from logos_core.records import AttemptOutcome, Claim, LedgerIdentity
from logos_core.reports import ExecutionReport
from logos_core.testing import scripted

OWNER = LedgerIdentity(venue=scripted.NAME, environment="simulator", account_id=scripted.ACCOUNT)
SESSION = "history"
TOKEN = 7_777_777_777_777_777
AT_ONCE = 5_000
KINDS = {"filled": OrderStatus.FILLED, "working": OrderStatus.NEW, "unknown": None, "in flight": None}
_TABLES = ("intents", "attempts", "venue_orders", "events")
_PLACES = {"intents": ("id",), "attempts": ("intent",), "venue_orders": ("intent",), "events": ("intent",)}

Rows = dict[str, list[dict[str, Any]]]


def name_of(number: int) -> str:
    """Return the client order id of an order."""
    return f"lgs{number:029d}"


def report_of(number: int, status: OrderStatus = OrderStatus.NEW) -> ExecutionReport:
    """Return what the venue says of an order."""
    done = Decimal(status is OrderStatus.FILLED)
    request = _request(number)
    return ExecutionReport(
        client_order_id=request.client_order_id, venue_order_id=f"v{number:031d}", symbol=request.symbol, side=request.side,
        order_type=request.order_type, quantity=request.quantity, price=request.price, time_in_force=request.time_in_force,
        status=status, filled_quantity=done, average_price=Decimal(100) if done else None, venue_time=ManualClock().now(),
    )  # fmt: skip


def live_through(path: Path, orders: Mapping[str, int], first: int = 1) -> None:
    """Write a ledger with so many orders of each kind, the way a session does."""
    clock = ManualClock()
    ledger = SqliteLedger.create(path, OWNER, clock)
    ledger.begin_session(SESSION, "bench", "bench:1")
    numbers = iter(range(first, first + sum(orders.values())))
    for kind, count in orders.items():
        for _ in range(count):
            _live(ledger, kind, next(numbers), clock)
    ledger.close()


def write(path: Path, orders: Mapping[str, int]) -> None:
    """Write the same ledger in bulk."""
    templates = {kind: _template(path.with_name(f"{path.name}.{kind}"), kind) for kind in orders}
    SqliteLedger.create(path, OWNER, ManualClock()).close()
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-200000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    _copy_beginning(connection, templates[next(iter(orders))])
    head = (1, templates[next(iter(orders))]["events"][0]["hash"])
    number = 1
    for kind, count in orders.items():
        made = _orders(templates[kind], number, count, head)
        head = _insert(connection, templates[kind], made)
        number += count
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


def _live(ledger: SqliteLedger, kind: str, number: int, clock: ManualClock) -> None:
    request, now, name = _request(number), clock.now(), name_of(number)
    order = Order.limit(request.symbol, "buy", quantity="1", price="100", intent_id=f"intent-{number:016d}")
    prepared = PreparedOrder(request=request, wire={"id": name, "side": "buy"}, position=None)
    claim = Claim(
        decision=order, strategy="bench", prepared=prepared, send_by=now + timedelta(seconds=0.25), valid_until=now + timedelta(seconds=5)
    )  # fmt: skip
    ledger.claim(claim, lambda: None)
    status = KINDS[kind]
    evidence = {"phase": "answered", "status": 200}
    if status is not None:
        ledger.accept(name, 1, report_of(number, status), evidence)
    elif kind == "unknown":
        ledger.settle(name, 1, AttemptOutcome.UNKNOWN, evidence=evidence)


def _request(number: int) -> OrderRequest:
    return OrderRequest(
        client_order_id=name_of(number), symbol=scripted.SYMBOL, side=Side.BUY, order_type=OrderType.LIMIT, quantity=Decimal(1),
        price=Decimal(100), time_in_force=TimeInForce.GTC,
    )  # fmt: skip


def _template(path: Path, kind: str) -> Rows:
    """Return the rows that one order leaves; the first event is the session's own."""
    live_through(path, {kind: 1}, first=TOKEN)
    connection = apsw.Connection(str(path))
    connection.row_trace = lambda cursor, row: dict(zip((column[0] for column in cursor.get_description()), row, strict=True))
    rows: Rows = {table: list(connection.execute(f"SELECT * FROM {table}")) for table in (*_TABLES, "sessions")}  # type: ignore[misc,unused-ignore]
    connection.close()
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    return rows


def _copy_beginning(connection: apsw.Connection, template: Rows) -> None:
    for table in ("sessions", "events"):
        row = template[table][0]
        connection.execute(_into(table, row), tuple(row.values()))


def _orders(
    template: Rows, first: int, count: int, head: tuple[int, bytes]
) -> Iterator[tuple[dict[str, list[Any]], tuple[int, bytes]]]:
    """Return the rows of orders, some thousands at a time, and the head of the chain after them."""
    token, number = f"{TOKEN:016d}", first
    texts = {table: [list(row.items()) for row in template[table]] for table in _TABLES}
    texts["events"] = texts["events"][1:]
    while number < first + count:
        end = min(number + AT_ONCE, first + count)
        made: dict[str, list[Any]] = {table: [] for table in _TABLES}
        for one in range(number, end):
            name = f"{one:016d}"
            for table in _TABLES:
                for row in texts[table]:
                    values = [_numbered(table, column, value, one, token, name) for column, value in row]
                    if table == "events":
                        head = _chained(values, head)
                    made[table].append(values)
        yield made, head
        number = end


def _numbered(table: str, column: str, value: Any, number: int, token: str, name: str) -> Any:
    if column in _PLACES[table]:
        return number
    if type(value) is str:
        return value.replace(token, name)
    return value.replace(token.encode(), name.encode()) if type(value) is bytes else value


def _chained(event: list[Any], head: tuple[int, bytes]) -> tuple[int, bytes]:
    """Put an event at the end of the chain. Its columns: sequence, session_id, number, kind, intent, body, previous, hash."""
    number, previous = head
    event[0] = event[2] = number + 1
    event[6], event[7] = previous, step(previous, event[5])
    return number + 1, event[7]


def _insert(
    connection: apsw.Connection, template: Rows, made: Iterator[tuple[dict[str, list[Any]], tuple[int, bytes]]]
) -> tuple[int, bytes]:
    head = (0, GENESIS)
    for rows, after in made:
        for table in _TABLES:
            if rows[table]:
                connection.executemany(_into(table, template[table][0]), rows[table])
        head = after
    return head


def _into(table: str, row: Mapping[str, Any]) -> str:
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
