"""The guarded `requests.Session` for an answer that does not end: lines, as they arrive.

As with `transport`, an SDK keeps its own code and loses its freedom: no redirect is followed, no `.netrc` or proxy variable is read,
nothing is retried, and every single read has an end. It makes `GET` requests only, so no order leaves through it, and it needs no
operation on the wire: whoever listens is not asked for anything.

Importing this module imports requests, so a venue imports it where it listens.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import requests
from requests import exceptions, utils
from requests.structures import CaseInsensitiveDict

from logos_core.errors import PluginContractError

BLOCK_BYTES = 65_536
LINE_BYTES_MAX = 1 << 20
"""No venue has that much to say in one line; requests would keep all of one that does not end."""
OK = 200


class StreamSession(requests.Session):
    """A session that can read one answer after another, each for as long as something arrives in time.

    Args:
        connect_within_s: how long connecting may take.
        silent_after_s: how long a read may wait for the next byte.
    """

    def __init__(self, connect_within_s: float, silent_after_s: float) -> None:
        super().__init__()
        self.trust_env = False
        self._connect_within_s, self._silent_after_s = connect_within_s, silent_after_s
        self._open: set[socket.socket] = set()
        self._closed = False
        self._lock = threading.Lock()

    def merge_environment_settings(self, *_args: Any) -> Any:
        """Say that the environment settles nothing."""
        return {}

    def get_adapter(self, url: str) -> Any:
        """Refuse the way around `send`."""
        raise PluginContractError(f"{url}: a venue listens through its session, not through an adapter")

    def send(self, request: requests.PreparedRequest, **_kwargs: Any) -> requests.Response:
        """Send one `GET` and return its answer as soon as its head is there; the body arrives as it is read.

        An answer that is a redirect, or compressed, is none. An error's body is read whole, as SDKs expect.
        """
        if request.method != "GET" or request.body:
            raise PluginContractError("a stream is listened to by a GET without a body; nothing was sent")
        try:
            return self._answered(request)
        except TimeoutError as error:
            raise exceptions.ConnectTimeout(error, request=request) from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, exceptions.RequestException):
                raise
            raise exceptions.ConnectionError(error, request=request) from error

    def close(self) -> None:
        """End every read, from whichever thread, and let no further one begin."""
        with self._lock:
            self._closed = True
            connections = tuple(self._open)
        for connection in connections:
            _shut(connection)
        super().close()

    def _answered(self, request: requests.PreparedRequest) -> requests.Response:
        parts = urlsplit(request.url or "")
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        connection.connect()
        connected = connection.sock
        self._keep(connected)
        try:
            connected.settimeout(self._silent_after_s)
            headers = {name: value for name, value in request.headers.items() if name.lower() != "accept-encoding"}
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={**headers, "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            response = self._response(request, answer, connected)
        except BaseException:
            self._drop(connected)
            connection.close()
            raise
        return response

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=self._connect_within_s)
        if scheme != "https":
            raise exceptions.InvalidURL(f"{scheme!r} is neither http nor https; nothing was sent")
        context = ssl.create_default_context(cafile=utils.DEFAULT_CA_BUNDLE_PATH)
        return http.client.HTTPSConnection(host, port, timeout=self._connect_within_s, context=context)

    def _response(
        self, request: requests.PreparedRequest, answer: http.client.HTTPResponse, connected: socket.socket
    ) -> requests.Response:
        encoding = answer.headers.get("content-encoding", "identity")
        if encoding.lower() != "identity":
            raise exceptions.ContentDecodingError(f"the stream is encoded as {encoding!r}, which was not asked for")
        response = requests.Response()
        response.status_code, response.reason = answer.status, answer.reason
        response.headers = CaseInsensitiveDict(dict(answer.headers.items()))
        response.encoding = utils.get_encoding_from_headers(response.headers)
        response.request, response.url = request, request.url or ""
        response.raw = _Arriving(answer, lambda: self._drop(connected))
        if OK < answer.status < http.client.BAD_REQUEST or answer.status < OK:
            raise exceptions.ConnectionError(f"the stream was answered with HTTP {answer.status}")
        return response

    def _keep(self, connected: socket.socket) -> None:
        with self._lock:
            self._open.add(connected)
            closed = self._closed
        if closed:
            _shut(connected)

    def _drop(self, connected: socket.socket) -> None:
        with self._lock:
            self._open.discard(connected)
        connected.close()


class _Arriving:
    """A body that is handed on as it arrives; requests would wait until a block of it is full."""

    def __init__(self, answer: http.client.HTTPResponse, end: Any) -> None:
        self._answer, self._end = answer, end

    def stream(self, _size: int, *, decode_content: bool = False) -> Iterator[bytes]:
        """Return what arrives, piece by piece, until it ends; what ends in the middle is an error."""
        line_bytes = 0
        try:
            while piece := self._answer.read1(BLOCK_BYTES):
                line_bytes = len(piece) - piece.rfind(b"\n") - 1 if b"\n" in piece else line_bytes + len(piece)
                if line_bytes > LINE_BYTES_MAX:
                    raise http.client.HTTPException(f"a line of more than {LINE_BYTES_MAX} bytes")
                yield piece
        except TimeoutError as error:
            raise exceptions.ReadTimeout(error) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise exceptions.ChunkedEncodingError(error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._answer.close()
        self._end()

    release_conn = close


def _shut(connected: socket.socket) -> None:
    """Wake whoever reads. Of a TLS connection the socket beneath is shut: the reader still needs the rest."""
    try:
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
    except OSError:  # it has ended already
        return
