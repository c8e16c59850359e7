"""The guarded `requests.Session` that all requests-based SDKs share.

An SDK keeps its own code and loses its freedom: no redirect is followed, no `.netrc` or proxy variable is read, nothing is retried,
one total deadline holds for each operation, the gates run just before the first byte, and `wire` records how far it got.

requests' own timeout holds for a single read, so a server that drips one byte a second keeps a call alive for ever, and its
`trust_env` lets a `.netrc` entry replace an SDK's Authorization header. Both were measured, and both end here.

Importing this module imports requests, so a venue imports it inside its factory.
"""

import re
import socket
import ssl
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

from logos_core.wire import Answer, Wire

POOL_SIZE = 10
MAX_BODY_CHARACTERS = 16_384
"""How much of an answer is kept as evidence."""


class GuardedSession(requests.Session):
    """A session that does what `wire` allows and nothing on its own account.

    Hand it to the SDK in place of its own session.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.trust_env = False
        self._wire = wire
        adapter = _GuardedAdapter(wire)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def send(self, request: requests.PreparedRequest, **_kwargs: Any) -> requests.Response:
        """Send one request and receive its answer to the end; whatever the SDK asked for beyond that is ignored."""
        record = self._wire.current()
        record.begin_request()
        left_s = max(record.remaining_s(), 0.001)
        response = super().send(request, stream=False, timeout=(left_s, left_s), allow_redirects=False, proxies={}, verify=True)
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = response.content[:MAX_BODY_CHARACTERS].decode("utf-8", "replace")
        record.answered(Answer(status=response.status_code, headers=headers, body=body))
        return response

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Say that nothing redirects: a 307 would carry the order to another place and a 302 would turn it into a question."""


class _GuardedAdapter(HTTPAdapter):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        super().__init__(pool_connections=POOL_SIZE, pool_maxsize=POOL_SIZE, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:  # noqa: FBT001, FBT002  requests' own signature
        context = create_urllib3_context()
        context.sslsocket_class = _bind(_GuardedSSLSocket, self._wire)
        super().init_poolmanager(connections, maxsize, block, ssl_context=context, **kwargs)
        plain, secure = _pool_classes(self._wire)
        self.poolmanager.pool_classes_by_scheme = {"http": plain, "https": secure}


class _GuardedReads:
    """Socket calls that keep to the deadline and ask the gates before the first byte."""

    wire: Wire
    _head = b""

    def sendall(self, data: Any, *args: Any) -> None:
        """Send a request's head together with its body, so that the gates stand before the first byte and the last one alike."""
        data, self._head = self._head + bytes(data), b""
        if _awaits_body(data):
            self._head = data
            return
        record = self.wire.current()
        record.first_byte_once()
        self.settimeout(_left_s(record.remaining_s()))  # type: ignore[attr-defined]
        super().sendall(data, *args)  # type: ignore[misc]

    def recv_into(self, *args: Any) -> int:
        self.settimeout(_left_s(self.wire.current().remaining_s()))  # type: ignore[attr-defined]
        received: int = super().recv_into(*args)  # type: ignore[misc]
        return received


class _GuardedSocket(_GuardedReads, socket.socket):
    pass


class _GuardedSSLSocket(_GuardedReads, ssl.SSLSocket):
    pass


def _awaits_body(data: bytes) -> bool:
    """Say whether this is a head that announces a body of known length, and nothing behind it."""
    head, end, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return bool(end and not body and length and int(length.group(1)))


def _left_s(left_s: float) -> float:
    if left_s <= 0:
        raise TimeoutError("the operation's total deadline has passed")
    return left_s


def _bind(cls: type[Any], wire: Wire) -> type[Any]:
    return type(cls.__name__, (cls,), {"wire": wire})


def _pool_classes(wire: Wire) -> tuple[type[HTTPConnectionPool], type[HTTPSConnectionPool]]:
    """Return urllib3's pools, with connections whose sockets are guarded.

    TLS sockets are guarded by the SSL context; guarding the plain socket beneath them would count the handshake as a first byte.
    """
    guarded = _bind(_GuardedSocket, wire)

    class PlainConnection(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            plain = super()._new_conn()
            timeout_s = plain.gettimeout()
            own: socket.socket = guarded(plain.family, plain.type, plain.proto, fileno=plain.detach())
            own.settimeout(timeout_s)
            return own

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = HTTPSConnection

    return PlainPool, SecurePool
