"""The guarded `requests.Session` that all requests-based SDKs share.

An SDK keeps its own code and loses its freedom: no redirect is followed, no `.netrc` or proxy variable is read, nothing is retried,
one total deadline holds for each operation, the gates run just before the first byte, and `wire` records how far it got.

requests' own timeout holds for a single read, so a server that drips one byte a second keeps a call alive for ever, and its
`trust_env` lets a `.netrc` entry replace an SDK's Authorization header. Both were measured, and both end here.

Importing this module imports requests, so a venue imports it inside its factory.
"""

import json
import re
import socket
import ssl
from typing import Any

import requests
from requests import utils
from requests.exceptions import ConnectionError as ConnectionFailedError
from requests.exceptions import ConnectTimeout, InvalidURL, ReadTimeout, SSLError
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, Timeout
from urllib3 import exceptions as failures
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.ssl_ import create_urllib3_context

from logos_core.errors import PluginContractError
from logos_core.wire import Answer, Wire

POOL_SIZE = 10
MAX_BODY_CHARACTERS = 16_384
"""How much of an answer is kept as evidence."""

_ADDRESS = re.compile(r"(https?)://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]+))?(/[!-\"$-~]*)")
"""Scheme, host, port and target of an address that needs no quoting: nothing in it but visible ASCII, and no fragment."""


class GuardedSession(requests.Session):
    """A session that does what `wire` allows and nothing on its own account.

    Hand it to the SDK in place of its own session. It hands each request to urllib3 by itself: half of what requests does between
    the two is about redirects, cookies, proxies and credentials from files, none of which an order may meet.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.trust_env = False
        self._wire = wire
        self._pools: dict[tuple[str, str, str], HTTPConnectionPool] = {}
        self._plain, self._secure = _pool_classes(wire)

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Return what is sent for a request. An order's, a body to an address without a query, skips what is about other requests."""
        parts = (request.params, request.files, request.auth, request.cookies, self.params, self.auth, self.cookies, self.proxies)
        if any(parts) or not _ADDRESS.fullmatch(request.url) or not isinstance(request.data or b"", bytes):
            return super().prepare_request(request)
        made = requests.PreparedRequest()
        made.method, made.url = request.method.upper(), request.url
        headers = {**self.headers, **(request.headers or {})}
        made.headers = CaseInsensitiveDict({name: value for name, value in headers.items() if value is not None})
        made.body = request.data or None
        if made.body is None and request.json is not None:
            made.body = json.dumps(request.json, allow_nan=False).encode()
            made.headers.setdefault("Content-Type", "application/json")
        if made.body is not None or made.method not in {"GET", "HEAD"}:
            made.headers["Content-Length"] = str(len(made.body or b""))
        return made

    def merge_environment_settings(self, *_args: Any) -> Any:
        """Say that the environment settles nothing."""
        return {}

    def get_adapter(self, url: str) -> Any:
        """Refuse the way around `send`."""
        raise PluginContractError(f"{url}: a venue sends through its session, not through an adapter")

    def send(self, request: requests.PreparedRequest, **_kwargs: Any) -> requests.Response:
        """Send one request and receive its answer to the end; whatever the SDK asked for beyond that is ignored."""
        record = self._wire.current()
        record.begin_request()
        pool, target = self._pool(request.url or "")
        received = _exchange(pool, request, target, max(record.remaining_s(), 0.001))
        response = _response(request, received)
        body = response.content[:MAX_BODY_CHARACTERS].decode("utf-8", "replace")
        record.answered(Answer(status=received.status, headers=dict(response.headers.lower_items()), body=body))
        return response

    def close(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            pool.close()
        super().close()

    def _pool(self, url: str) -> tuple[HTTPConnectionPool, str]:
        address = _ADDRESS.fullmatch(url.partition("#")[0])
        if address is None:
            raise InvalidURL(f"{url!r} is not an http or https address; nothing was sent")
        scheme, host, port, target = address.groups()
        pool = self._pools.get((scheme, host, port))
        if pool is None:
            made = self._made_pool(scheme, host, int(port) if port else None)
            pool = self._pools.setdefault((scheme, host, port), made)
        return pool, target

    def _made_pool(self, scheme: str, host: str, port: int | None) -> HTTPConnectionPool:
        if scheme == "http":
            return self._plain(host, port, maxsize=POOL_SIZE)
        context = create_urllib3_context()
        context.sslsocket_class = _bind(_GuardedSSLSocket, self._wire)
        return self._secure(host, port, maxsize=POOL_SIZE, ssl_context=context, cert_reqs="CERT_REQUIRED", ca_certs=utils.DEFAULT_CA_BUNDLE_PATH)


def _exchange(pool: HTTPConnectionPool, request: requests.PreparedRequest, target: str, left_s: float) -> BaseHTTPResponse:
    """Send a request, once, and receive its whole answer; what fails is raised as requests would, since SDKs know no other."""
    try:
        return pool.urlopen(
            request.method or "", target, body=request.body, headers=request.headers, retries=False, redirect=False,
            timeout=Timeout(left_s), chunked=bool(request.body) and "Content-Length" not in request.headers,
        )  # fmt: skip
    except failures.ConnectTimeoutError as error:
        kind = ConnectionFailedError if isinstance(error, failures.NewConnectionError) else ConnectTimeout
        raise kind(error, request=request) from error
    except failures.ReadTimeoutError as error:
        raise ReadTimeout(error, request=request) from error
    except failures.SSLError as error:
        raise SSLError(error, request=request) from error
    except (failures.HTTPError, OSError) as error:
        raise ConnectionFailedError(error, request=request) from error


def _response(request: requests.PreparedRequest, received: BaseHTTPResponse) -> requests.Response:
    """Return an answer as requests shows it."""
    response = requests.Response()
    response.status_code = received.status
    response.headers = CaseInsensitiveDict(received.headers)
    response.encoding = utils.get_encoding_from_headers(response.headers)
    response.raw, response.reason = received, received.reason or ""
    response.request, response.url = request, request.url or ""
    vars(response).update(_content=received.data, _content_consumed=True)  # it has come to its end already
    return response


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
