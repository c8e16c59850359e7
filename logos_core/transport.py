"""The guarded `requests.Session` that all requests-based SDKs share.

An SDK keeps its own code and loses its freedom: no redirect is followed, no `.netrc` or proxy variable is read, nothing is retried,
one total deadline holds for each operation, the gates run just before the first byte, and `wire` records how far it got.

requests' own timeout holds for a single read, so a server that drips one byte a second keeps a call alive for ever, and its
`trust_env` lets a `.netrc` entry replace an SDK's Authorization header. Both were measured, and both end here.

Importing this module imports requests, so a venue imports it inside its factory.
"""

import functools
import http.client
import json
import re
import select
import socket
import ssl
import threading
import weakref
import zlib
from typing import Any, cast

import requests
from requests import exceptions, utils
from requests.structures import CaseInsensitiveDict

from logos_core.errors import PluginContractError
from logos_core.http1 import MAX_BODY_BYTES, Arriving, ReceivedAnswer, request_bytes
from logos_core.wire import Answer, Wire

MAX_IDLE = 10
"""How many connections to one host are kept open between requests."""
MAX_BODY_CHARACTERS = 16_384
"""How much of an answer is kept as evidence."""

_ADDRESS = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]+))?(/[!-\"$-~]*)")
"""Scheme, host, port and target of an address that needs no quoting: nothing in it but visible ASCII, and no fragment."""
_PLAIN_ADDRESS = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9_~@:-][A-Za-z0-9._~@:-]*)+")
"""An address in which requests itself would find nothing to change."""
_JSON = json.JSONEncoder(allow_nan=False)
_RAW_DEFLATE, _GZIP_OR_ZLIB = -zlib.MAX_WBITS, zlib.MAX_WBITS | 32

DEFAULT_PORTS = {"http": "80", "https": "443"}
MAX_PORT = 65_535
Origin = tuple[str, str, str | None]
"""Scheme, host and port."""


class GuardedSession(requests.Session):
    """A session that does what `wire` allows and nothing on its own account.

    Hand it to the SDK in place of its own session. It speaks HTTP through the standard library: most of what requests and urllib3 do
    between the SDK and the socket is about redirects, cookies, proxies, retries and credentials from files, none of which an order
    may meet, and all of which it would wait for.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["Accept-Encoding"] = "gzip, deflate"  # whatever else is installed, no more is understood here
        self._wire = wire
        self._idle: dict[Origin, list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._idle)  # SDKs forget to

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Return what is sent for a request.

        An order, as any other request to a plain address without a query, is made here; the rest goes the long way through requests.
        What comes out is the same.
        """
        headers = {**self.headers, **(request.headers or {})}
        parts = (request.params, request.files, request.auth, request.cookies, self.params, self.auth, self.cookies)
        plain = all(type(name) is str and type(value) is str for name, value in headers.items())
        if any(parts) or not plain or not isinstance(request.data or b"", bytes) or not _PLAIN_ADDRESS.fullmatch(request.url):
            return super().prepare_request(request)
        made = requests.PreparedRequest()
        made.method, made.url, made.headers = request.method.upper(), request.url, CaseInsensitiveDict(headers)
        made.body = request.data or None
        if made.body is None and request.json is not None:
            made.body = _JSON.encode(request.json).encode()
            made.headers.setdefault("Content-Type", "application/json")
        if made.body is None and made.method not in {"GET", "HEAD"}:
            made.headers["Content-Length"] = "0"
        return made

    def merge_environment_settings(self, *_args: Any) -> Any:
        """Say that the environment settles nothing."""
        return {}

    def get_adapter(self, url: str) -> Any:
        """Refuse the way around `send`."""
        raise PluginContractError(f"{url}: a venue sends through its session, not through an adapter")

    def send(self, request: requests.PreparedRequest, **_kwargs: Any) -> requests.Response:
        """Send one request and receive its answer to the end; whatever the SDK asked for beyond that is ignored.

        What fails is raised as requests would raise it, since SDKs know no other.
        """
        record = self._wire.current()
        record.begin_request()
        address = _ADDRESS.fullmatch((request.url or "").partition("#")[0])
        if address is None or int(address[3] or 0) > MAX_PORT:
            raise exceptions.InvalidURL(f"{request.url!r} is not an http or https address; nothing was sent")
        *origin, target = address.groups()
        try:
            response = self._exchange((origin[0], origin[1], origin[2]), target, request)
        except ssl.SSLError as error:
            raise exceptions.SSLError(error, request=request) from error
        except TimeoutError as error:
            raise exceptions.ReadTimeout(error, request=request) from error
        except (OSError, http.client.HTTPException, zlib.error) as error:
            if isinstance(error, exceptions.RequestException):
                raise
            raise exceptions.ConnectionError(error, request=request) from error
        body = response.content[:MAX_BODY_CHARACTERS].decode("utf-8", "replace")
        record.answered(Answer(status=response.status_code, headers=dict(response.headers.items()), body=body))
        return response

    def close(self) -> None:
        """Close every connection that is idle."""
        with self._lock:
            _close(self._idle)
        super().close()

    def _exchange(self, origin: Origin, target: str, request: requests.PreparedRequest) -> requests.Response:
        method, body = request.method or "", request.body.encode() if isinstance(request.body, str) else request.body
        if body is not None and not isinstance(body, bytes):
            raise PluginContractError("a request's body must be bytes or text, known before it is sent")
        try:
            written = request_bytes(method, target, _host(origin), request.headers, body)
        except ValueError as error:
            raise exceptions.InvalidHeader(error, request=request) from error
        connection = self._connection(origin, request)
        try:
            connection.sock.sendall(written)
            received = ReceivedAnswer(method).read(Arriving(connection.sock.recv_into))
            response = _response(request, received)
        except BaseException:
            connection.close()
            raise
        if received.will_close:
            connection.close()
        else:
            self._keep(origin, connection)
        return response

    def _connection(self, origin: Origin, request: requests.PreparedRequest) -> http.client.HTTPConnection:
        """Return an idle connection that the other end has not closed, or a new one."""
        while True:
            with self._lock:
                kept = self._idle.get(origin)
                connection = kept.pop() if kept else None
            if connection is None:
                break
            if not _guarded(connection).has_arrived():  # nothing was asked for, so whatever came is the end, or no answer to us
                return connection
            connection.close()
        scheme, host, port = origin
        number = int(port or DEFAULT_PORTS[scheme])
        if scheme == "http":
            connection = _PlainConnection(self._wire, host.strip("[]"), number)
        else:
            connection = http.client.HTTPSConnection(host.strip("[]"), number, context=self._context)
        vars(connection)["_create_connection"] = functools.partial(_reach, self._wire)  # http.client's own seam
        try:
            connection.connect()
        except TimeoutError as error:
            connection.close()
            raise exceptions.ConnectTimeout(error, request=request) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _keep(self, origin: Origin, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            kept = self._idle.setdefault(origin, [])
            if len(kept) < MAX_IDLE:
                kept.append(connection)
                return
        connection.close()

    @functools.cached_property
    def _context(self) -> ssl.SSLContext:
        """What a TLS connection is checked against: the certificates that requests ships, whatever the SDK asked for."""
        context = ssl.create_default_context(cafile=utils.DEFAULT_CA_BUNDLE_PATH)
        context.sslsocket_class = _bind(_GuardedSSLSocket, self._wire)
        return context


class _PlainConnection(http.client.HTTPConnection):
    """A connection whose socket is guarded.

    A TLS connection's is guarded by its context; guarding the plain socket beneath it would count the handshake as a first byte.
    """

    def __init__(self, wire: Wire, host: str, port: int) -> None:
        super().__init__(host, port)
        self._guarded = _bind(_GuardedSocket, wire)

    def connect(self) -> None:
        super().connect()
        plain = self.sock
        self.sock = self._guarded(plain.family, plain.type, plain.proto, fileno=plain.detach())


def _guarded(connection: http.client.HTTPConnection) -> "_GuardedReads":
    connected: Any = connection.sock
    return cast("_GuardedReads", connected)


def _reach(wire: Wire, address: tuple[str, int], *_args: Any) -> socket.socket:
    """Connect to the first address of a host that answers, all within one deadline; only the name's lookup cannot be bounded."""
    refused: OSError = OSError(f"{address[0]} has no address")
    for family, kind, protocol, _, found in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
        connected = socket.socket(family, kind, protocol)
        try:
            connected.settimeout(_left_s(wire.current().remaining_s()))
            connected.connect(found)
            connected.settimeout(_left_s(wire.current().remaining_s()))
        except OSError as error:
            connected.close()
            refused = error
        else:
            return connected
    raise refused


def _host(origin: Origin) -> str:
    scheme, host, port = origin
    return host if port in {None, DEFAULT_PORTS[scheme]} else f"{host}:{port}"


def _close(idle: dict[Origin, list[http.client.HTTPConnection]]) -> None:
    while idle:
        for connection in idle.popitem()[1]:
            connection.close()


def _response(request: requests.PreparedRequest, received: ReceivedAnswer) -> requests.Response:
    """Return an answer as requests shows it."""
    response = requests.Response()
    response.status_code, response.reason = received.status, received.reason
    response.headers = CaseInsensitiveDict(received.headers)
    response.encoding = utils.get_encoding_from_headers(response.headers)
    response.request, response.url = request, request.url or ""
    content = _decoded(received.body, received.headers.get("content-encoding", ""))
    vars(response).update(_content=content, _content_consumed=True)
    return response


def _decoded(body: bytes, encoding: str) -> bytes:
    """Return a body as it was before it was compressed."""
    if encoding.lower() in {"", "identity"} or not body:
        return body
    if encoding.lower() not in {"gzip", "x-gzip", "deflate"}:
        raise exceptions.ContentDecodingError(f"the answer is encoded as {encoding!r}, which was not asked for")
    try:
        return _decompressed(body, _GZIP_OR_ZLIB)
    except zlib.error:
        return _decompressed(body, _RAW_DEFLATE)  # what some servers call deflate


def _decompressed(body: bytes, window_bits: int) -> bytes:
    stream = zlib.decompressobj(window_bits)
    found = stream.decompress(body, MAX_BODY_BYTES)
    if not stream.eof or stream.unused_data:
        raise zlib.error("the compressed answer breaks off, goes on behind its end, or is too large")
    return found


class _GuardedReads:
    """Socket calls that keep to the deadline and ask the gates before the first byte."""

    wire: Wire

    def sendall(self, data: Any, *args: Any) -> None:
        """Send a whole request; it comes in one piece, so the gates stand before its first byte and its last one alike."""
        record = self.wire.current()
        record.first_byte_once(self._nothing_arrived)
        self.settimeout(_left_s(record.remaining_s()))  # type: ignore[attr-defined]
        super().sendall(data, *args)  # type: ignore[misc]

    def recv_into(self, *args: Any) -> int:
        self.settimeout(_left_s(self.wire.current().remaining_s()))  # type: ignore[attr-defined]
        received: int = super().recv_into(*args)  # type: ignore[misc]
        return received

    def _nothing_arrived(self) -> None:
        """Refuse to send where something waits already: it would be taken for the answer."""
        if self.has_arrived():
            raise ConnectionResetError("the venue ended the connection, or said something, before it was asked")

    def has_arrived(self) -> bool:
        """Say whether there is something to read, the end included."""
        if not hasattr(select, "poll"):  # Windows, whose `select` knows no highest descriptor
            return bool(select.select([cast("socket.socket", self)], [], [], 0)[0])
        poll = select.poll()
        poll.register(self, select.POLLIN)  # type: ignore[arg-type]
        return bool(poll.poll(0))


class _GuardedSocket(_GuardedReads, socket.socket):
    pass


class _GuardedSSLSocket(_GuardedReads, ssl.SSLSocket):
    def has_arrived(self) -> bool:
        """Say whether there is something to read; what TLS says to itself, such as a session ticket, is not."""
        if self.pending():
            return True
        if not super().has_arrived():
            return False
        self.settimeout(0)
        try:
            ssl.SSLSocket.recv_into(self, bytearray(1))
        except ssl.SSLWantReadError:
            return False
        except OSError:
            return True
        return True


def _left_s(left_s: float) -> float:
    if left_s <= 0:
        raise TimeoutError("the operation's total deadline has passed")
    return left_s


def _bind(cls: type[Any], wire: Wire) -> type[Any]:
    return type(cls.__name__, (cls,), {"wire": wire})
