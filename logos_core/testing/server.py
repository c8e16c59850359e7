"""Serve a simulated venue over HTTP on the loopback interface, with faults on the way.

1. Only 127.0.0.1 is bound.
2. The wire log has one entry per request of a client, written before the request is processed, so
   that "sent" and "processed" can be told apart whatever the client believes.
3. What is under `/_logos/` is for the test: it meets no fault and is not in the wire log.
4. Every wait ends: at its own bound, when the client leaves, or when the server stops.
5. A venue with a method `stream` may take a connection over, to tell what happens; that is no request, so it is not in the log.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import cached_property
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import h11

from logos_core.testing.exchange import Exchange, Refusal
from logos_core.testing.faults import Fault, FaultKind, FaultPlan, FaultPlanError

ADMIN_PREFIX = "/_logos/"
BODY_BYTES_MAX = 1 << 20
HTML_PAGE = b"<html><head><title>Maintenance</title></head><body>Back soon.</body></html>"
HOLD_S_DEFAULT = 30.0
JOIN_S_MAX = 2.0


@dataclass(frozen=True)
class HttpRequest:
    """Hold one request as it arrived; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @cached_property
    def path(self) -> str:
        """Return the path as sent, still quoted."""
        return urlsplit(self.target).path

    @cached_property
    def segments(self) -> list[str]:
        """Return the parts of the path, unquoted one by one, so that a part may contain a slash."""
        return [unquote(part) for part in self.path.split("/") if part]

    @cached_property
    def query(self) -> dict[str, str]:
        """Return the query's parameters; of a repeated one, the last."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """Return the body read as a form."""
        return dict(parse_qsl(self.body.decode("utf-8"), keep_blank_values=True))

    def json(self) -> Any:
        """Return the body read as JSON with Decimal numbers, or raise `ValueError`."""
        try:
            return json.loads(self.body, parse_float=Decimal, parse_constant=_no_constant)
        except InvalidOperation as error:
            raise ValueError("a number is beyond all bounds") from error


@dataclass(frozen=True)
class HttpResponse:
    """Hold one answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def json(cls, status: int, data: Any, headers: tuple[tuple[str, str], ...] = ()) -> HttpResponse:
        """Make an answer of JSON-able data."""
        body = json.dumps(data, separators=(",", ":")).encode()
        return cls(status, body, (("Content-Type", "application/json; charset=UTF-8"), *headers))


class VenueApp(Protocol):
    """Speak one venue's HTTP interface."""

    exchange: Exchange

    def operation(self, request: HttpRequest) -> str:
        """Name the call, with one of `faults.OPERATIONS`."""

    def client_order_id(self, request: HttpRequest) -> str | None:
        """Return the client order id a request carries, or None; never raise."""

    def handle(self, request: HttpRequest) -> HttpResponse:
        """Process one request as the venue would."""

    def error_body(self, status: int) -> HttpResponse:
        """Return what the venue answers with this HTTP status when something is wrong."""

    def admin_orders(self) -> list[dict[str, Any]]:
        """Return what the venue really holds, as `SimulatedOrder.to_dict` says it."""


@dataclass
class WireEntry:
    """Record one request; `status` is None until the first byte of an answer is sent, or for ever.

    `processed` counts how often the venue acted on it. `failure` is the simulator's own bug, if any.
    """

    sequence: int
    received_monotonic_s: float
    received_at: str
    operation: str
    method: str
    target: str
    client_order_id: str | None
    fault: str | None = None
    processed: int = 0
    status: int | None = None
    failure: str | None = None


class LoopbackServer:
    """Serve one venue on 127.0.0.1 until stopped; also a context manager.

    Args:
        app: The venue.
        plan: What goes wrong; nothing by default. Assign `plan` to change it while running.
        port: The port; 0 takes a free one.
        hold_s: How long an unanswered connection is held open at most.
    """

    def __init__(self, app: VenueApp, plan: FaultPlan | None = None, port: int = 0, *, hold_s: float = HOLD_S_DEFAULT) -> None:
        self.app = app
        self.plan = plan or FaultPlan()
        self.port = port
        self.hold_s = hold_s
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._wire: list[WireEntry] = []
        self._connections: dict[_Connection, threading.Thread] = {}
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Return the base URL, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def wire(self) -> list[WireEntry]:
        """Return the wire log; the entries of requests under way still change."""
        with self._lock:
            return list(self._wire)

    @property
    def faults_applied(self) -> list[WireEntry]:
        """Return the part of the wire log that met a fault."""
        return [entry for entry in self.wire if entry.fault is not None]

    def orders(self) -> list[dict[str, Any]]:
        """Return what the venue really holds."""
        return self.app.admin_orders()

    def start(self) -> Self:
        """Bind the port and serve in the background."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="loopback-accept", daemon=True)
        self._acceptor.start()
        return self

    def stop(self) -> None:
        """Close every connection, held ones too, and wait for their threads; stop twice is stop."""
        if self._listener is None or self._acceptor is None or self.stopping.is_set():
            return
        self.stopping.set()
        with socket.socket() as wake:  # Closing a listener does not wake a blocked accept everywhere.
            wake.connect_ex(("127.0.0.1", self.port))
        self._acceptor.join(JOIN_S_MAX)
        self._listener.close()
        with self._lock:
            connections = dict(self._connections)
        for connection, thread in connections.items():
            connection.wake()
            thread.join(JOIN_S_MAX)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop."""
        self.stop()

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            if self.stopping.is_set():
                accepted.close()
                return
            connection = _Connection(self, accepted)
            thread = threading.Thread(target=connection.run, name="loopback-serve", daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def forget(self, connection: _Connection) -> None:
        """Drop a connection that has ended."""
        with self._lock:
            self._connections.pop(connection, None)

    def record(self, request: HttpRequest) -> tuple[WireEntry, Fault | None]:
        """Enter a request in the wire log and draw its fault, in one step so that both agree on order."""
        with self._lock:
            operation = self.app.operation(request)
            fault = self.plan.draw(operation)
            entry = WireEntry(
                len(self._wire) + 1, _monotonic_s(), _wall_time(), operation,
                request.method, request.target, self.app.client_order_id(request),
                None if fault is None else fault.kind.value,
            )  # fmt: skip
            self._wire.append(entry)
            return entry, fault

    def process(self, request: HttpRequest, entry: WireEntry) -> HttpResponse:
        """Let the venue act once; its own bug becomes a 500 and is kept in the wire log."""
        try:
            return self.app.handle(request)
        except Exception as error:  # noqa: BLE001 - a bug must reach the test, not only the client.
            traceback.print_exc()
            entry.failure = repr(error)
            return self.app.error_body(500)
        finally:
            entry.processed += 1


class _Effect(NamedTuple):
    """Say what a fault does: wait, process `times`, wait, then `deliver` the answer `alter` made."""

    times: int
    deliver: str = "whole"
    alter: Callable[[VenueApp, HttpRequest, Fault], HttpResponse] | None = None
    wait_before: bool = False
    wait_after: bool = False


def _refuse(app: VenueApp, _: HttpRequest, fault: Fault) -> HttpResponse:
    limited = fault.kind is FaultKind.RATE_LIMITED
    answer = app.error_body(fault.status or (429 if limited else 503))
    if fault.retry_after_s is None:
        return answer
    kept = tuple(pair for pair in answer.headers if pair[0].lower() != "retry-after")
    return HttpResponse(answer.status, answer.body, (*kept, ("Retry-After", str(fault.retry_after_s))))


def _empty(*_: object) -> HttpResponse:
    return HttpResponse(200, b"", (("Content-Type", "application/json"),))


def _html(*_: object) -> HttpResponse:
    return HttpResponse(200, HTML_PAGE, (("Content-Type", "text/html; charset=utf-8"),))


def _redirect(_: VenueApp, request: HttpRequest, __: Fault) -> HttpResponse:
    return HttpResponse(307, b"", (("Location", request.target),))


_EFFECTS = {
    FaultKind.REQUEST_DROPPED: _Effect(0, "hold"),
    FaultKind.ANSWER_DROPPED: _Effect(1, "hold"),
    FaultKind.STATUS_BEFORE: _Effect(0, alter=_refuse),
    FaultKind.STATUS_AFTER: _Effect(1, alter=_refuse),
    FaultKind.RATE_LIMITED: _Effect(0, alter=_refuse),
    FaultKind.RESET_BEFORE: _Effect(0, "reset"),
    FaultKind.RESET_DURING: _Effect(1, "half_reset"),
    FaultKind.RESET_AFTER: _Effect(1, "reset"),
    FaultKind.TRUNCATED: _Effect(1, "half"),
    FaultKind.EMPTY: _Effect(1, alter=_empty),
    FaultKind.HTML: _Effect(1, alter=_html),
    FaultKind.REDIRECT: _Effect(0, alter=_redirect),
    FaultKind.DUPLICATE_DELIVERY: _Effect(2),
    FaultKind.SLOW_DRIP: _Effect(1, "drip"),
    FaultKind.LATE_ARRIVAL: _Effect(1, "hold", wait_before=True),
    FaultKind.DELAY_BEFORE: _Effect(1, wait_before=True),
    FaultKind.DELAY_AFTER: _Effect(1, wait_after=True),
}
_NO_EFFECT = _Effect(1)


class _Connection:
    """Serve one client's connection, request after request."""

    def __init__(self, server: LoopbackServer, accepted: socket.socket) -> None:
        self.server = server
        self._socket = accepted
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._http = h11.Connection(h11.SERVER)

    def wake(self) -> None:
        """End whatever the connection waits for."""
        with contextlib.suppress(OSError):  # The client was faster.
            self._socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        """Serve until the client leaves, a fault ends the connection or the server stops."""
        try:
            while (request := self._receive()) is not None and self._serve(request):
                self._http.start_next_cycle()
        except (OSError, h11.ProtocolError):
            pass  # A client that leaves or does not speak HTTP is not the venue's problem.
        finally:
            self._socket.close()
            self.server.forget(self)

    def _receive(self) -> HttpRequest | None:
        head, body = None, bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._receive_bytes()
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_BYTES_MAX:
                    return None
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _request(head, bytes(body))
            else:
                return None

    def _receive_bytes(self) -> None:
        if self._http.they_are_waiting_for_100_continue:
            go_on = h11.InformationalResponse(status_code=100, headers=[])
            self._socket.sendall(self._http.send(go_on) or b"")
        self._http.receive_data(self._socket.recv(65536))

    def _serve(self, request: HttpRequest) -> bool:
        if request.path.startswith(ADMIN_PREFIX):
            return self._send(_administrate(self.server, request), request)
        tell = getattr(self.server.app, "stream", _no_stream)(request)
        if tell is not None:
            tell(self._socket, self.server.stopping)
            return False
        entry, fault = self.server.record(request)
        if fault is None:
            return self._send(self.server.process(request, entry), request, entry)
        return self._serve_faulty(request, entry, fault)

    def _serve_faulty(self, request: HttpRequest, entry: WireEntry, fault: Fault) -> bool:
        effect, answer = _EFFECTS[fault.kind], None
        if effect.wait_before and self.server.stopping.wait(fault.delay_s):
            return False
        for _ in range(effect.times):
            answer = self.server.process(request, entry)
        if effect.wait_after and self.server.stopping.wait(fault.delay_s):
            return False
        if effect.alter is not None:
            answer = effect.alter(self.server.app, request, fault)
        if effect.deliver == "hold":
            return self._hold()
        if effect.deliver == "reset":
            return self._reset()
        assert answer is not None
        if effect.deliver == "drip":
            return self._drip(answer, request, entry, fault.delay_s)
        if effect.deliver in {"half", "half_reset"}:
            return self._send_half(answer, request, entry, reset=effect.deliver == "half_reset")
        return self._send(answer, request, entry)

    def _bytes(self, answer: HttpResponse, request: HttpRequest) -> tuple[bytes, bytes]:
        headers = [*answer.headers]
        if answer.status != 204:
            headers.append(("Content-Length", str(len(answer.body))))
        body = b"" if request.method == "HEAD" else answer.body
        head = self._http.send(h11.Response(status_code=answer.status, headers=headers)) or b""
        data = self._http.send(h11.Data(data=body)) if body else b""
        return head, (data or b"") + (self._http.send(h11.EndOfMessage()) or b"")

    def _send(self, answer: HttpResponse, request: HttpRequest, entry: WireEntry | None = None) -> bool:
        head, body = self._bytes(answer, request)
        if entry is not None:
            entry.status = answer.status
        self._socket.sendall(head + body)
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    def _send_half(self, answer: HttpResponse, request: HttpRequest, entry: WireEntry, *, reset: bool) -> bool:
        head, body = self._bytes(answer, request)
        entry.status = answer.status
        self._socket.sendall(head + body[: len(body) // 2] if body else head[: len(head) // 2])
        if not reset:
            return False
        # A reset may throw away what the client has not read yet: let it read up to the middle.
        self.server.stopping.wait(0.02)
        return self._reset()

    def _drip(self, answer: HttpResponse, request: HttpRequest, entry: WireEntry, delay_s: float) -> bool:
        end_s = _monotonic_s() + self.server.hold_s
        entry.status = answer.status
        for byte in b"".join(self._bytes(answer, request)):
            self._socket.sendall(bytes([byte]))
            if self.server.stopping.wait(delay_s) or _monotonic_s() > end_s:
                return False
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    def _hold(self) -> bool:
        end_s = _monotonic_s() + self.server.hold_s
        while (left_s := end_s - _monotonic_s()) > 0:
            self._socket.settimeout(left_s)
            if not self._socket.recv(65536):
                break
        return False

    def _reset(self) -> bool:
        # Lingering for no time makes close send RST instead of FIN.
        layout = "hh" if sys.platform == "win32" else "ii"
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(layout, 1, 0))
        return False


def _no_stream(_request: HttpRequest) -> None:
    return None


# The simulator shares nothing with the code it tests, its clock included.
def _monotonic_s() -> float:
    return time.monotonic()  # noqa: TID251


def _wall_time() -> str:
    return datetime.now(UTC).isoformat()  # noqa: TID251


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _request(head: h11.Request, body: bytes) -> HttpRequest:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
    return HttpRequest(head.method.decode("ascii"), head.target.decode("latin-1"), headers, body)


def _administrate(server: LoopbackServer, request: HttpRequest) -> HttpResponse:
    key = (request.method, request.path.removeprefix(ADMIN_PREFIX))
    if key not in _ADMIN:
        known = [f"{method} {ADMIN_PREFIX}{name}" for method, name in _ADMIN]
        return HttpResponse.json(404, {"error": f"nothing here; there is {', '.join(known)}"})
    try:
        return HttpResponse.json(200, _ADMIN[key](server, request))
    except KeyError as error:
        return HttpResponse.json(400, {"error": f"{error} is missing"})
    except (FaultPlanError, Refusal, InvalidOperation, TypeError, ValueError) as error:
        return HttpResponse.json(400, {"error": str(error)})


def _replace_plan(server: LoopbackServer, request: HttpRequest) -> Any:
    server.plan = FaultPlan.from_dict(json.loads(request.body))
    return server.plan.to_dict()


def _move_price(server: LoopbackServer, request: HttpRequest) -> Any:
    data = request.json()
    changed = server.app.exchange.move_price(data["symbol"], Decimal(data["price"]))
    return [order.to_dict() for order in changed]


def _fill(server: LoopbackServer, request: HttpRequest) -> Any:
    data = request.json()
    return server.app.exchange.fill(data["venue_order_id"], Decimal(data["quantity"])).to_dict()


_ADMIN: dict[tuple[str, str], Callable[[LoopbackServer, HttpRequest], Any]] = {
    ("GET", "health"): lambda server, _: {"status": "ok", "requests": len(server.wire)},
    ("GET", "orders"): lambda server, _: server.orders(),
    ("GET", "wire"): lambda server, _: [asdict(entry) for entry in server.wire],
    ("GET", "faults"): lambda server, _: {
        "plan": server.plan.to_dict(),
        "applied": [asdict(entry) for entry in server.faults_applied],
    },
    ("PUT", "faults"): _replace_plan,
    ("POST", "price"): _move_price,
    ("POST", "fill"): _fill,
}
