"""One HTTP/1.1 request in one piece, and its answer, read to its end. RFC 9112.

The standard library writes a request in two pieces, between which a gate could not stand, and reads headers with its parser for
e-mail, which takes longer than all the rest of an answer. This reader is stricter instead: what is not plain HTTP/1.1 is no answer,
so the outcome of the request is unknown and will be looked up.
"""

import re
from collections.abc import Mapping
from http.client import HTTPException, IncompleteRead
from typing import BinaryIO, Self

MAX_LINE_BYTES = 65_536
MAX_HEADERS = 200
FIRST_FINAL = 200
MAX_INTERIM = 10
"""How many interim answers, those below `FIRST_FINAL`, may come before the one that counts."""

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")
_END = frozenset({b"\r\n", b"\n"})


class MalformedAnswerError(HTTPException):
    """What came is not an HTTP/1.1 answer."""


def request_bytes(method: str, target: str, host: str, headers: Mapping[str, str | bytes], body: bytes | None) -> bytes:
    """Return a request as it goes over the wire.

    Raises:
        ValueError: a part of it would break a line, and so make another request of it.
    """
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value if isinstance(value, str) else value.decode('latin-1')}" for name, value in headers.items()]
    if body is not None and "Content-Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines)
    if not head.count("\r") == head.count("\n") == len(lines) - 1 or "\0" in head:
        raise ValueError("a header, the method or the address holds a line break; nothing was sent")
    return (head + "\r\n\r\n").encode("latin-1") + (body or b"")


class ReceivedAnswer:
    """The answer to one request.

    Attributes:
        status: the final answer's status.
        headers: names in lower case; of a header that came more than once, the values joined by commas.
        body: whole; still compressed, if it was.
        will_close: whether the connection can carry no further request.
    """

    status = 0
    reason = ""
    body = b""
    will_close = True

    def __init__(self, method: str) -> None:
        self._method = method
        self.headers: dict[str, str] = {}

    def read(self, stream: BinaryIO) -> Self:
        """Read the answer from what arrives on a connection.

        Raises:
            MalformedAnswerError: it is none.
            IncompleteRead: it broke off.
        """
        self._stream = stream
        for _ in range(MAX_INTERIM):
            minor = self._read_status()
            self.headers = self._read_headers()
            if self.status >= FIRST_FINAL:
                break
        else:
            raise MalformedAnswerError(f"more than {MAX_INTERIM} interim answers")
        tokens = {token.strip() for token in self.headers.get("connection", "").lower().split(",")}
        self.will_close = minor == b"0" or "close" in tokens
        self.body = self._read_body()
        return self

    def _read_status(self) -> bytes:
        line = self._line()
        if not line:
            raise ConnectionResetError("the connection was closed without an answer")
        found = _STATUS.fullmatch(line)
        if found is None:
            raise MalformedAnswerError(f"no status line: {line[:100]!r}")
        self.status, self.reason = int(found[2]), (found[3] or b"").decode("latin-1").strip()
        return found[1]

    def _read_headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for _ in range(MAX_HEADERS + 1):
            line = self._line()
            if line in _END:
                return headers
            found = _HEADER.fullmatch(line)
            if found is None:
                raise MalformedAnswerError(f"no header: {line[:100]!r}") if line else IncompleteRead(b"")
            name, value = found[1].decode("ascii").lower(), found[2].decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        raise MalformedAnswerError(f"more than {MAX_HEADERS} headers")

    def _read_body(self) -> bytes:
        if self._method == "HEAD" or self.status in {204, 304}:
            return b""
        coding, length = self.headers.get("transfer-encoding"), self.headers.get("content-length")
        if coding is not None:
            if coding.lower() != "chunked":
                raise MalformedAnswerError(f"transfer-encoding {coding!r}")
            self.will_close = self.will_close or length is not None  # two lengths: nothing behind this answer is trusted
            return self._read_chunks()
        if length is not None:
            lengths = {one.strip() for one in length.split(",")}
            (one,) = lengths if len(lengths) == 1 else ("",)
            if not re.fullmatch("[0-9]{1,16}", one):
                raise MalformedAnswerError(f"content-length {length!r}")
            return self._exactly(int(one))
        self.will_close = True
        return self._stream.read()

    def _read_chunks(self) -> bytes:
        parts: list[bytes] = []
        while True:
            line = self._line()
            found = _CHUNK.fullmatch(line)
            if found is None:
                raise MalformedAnswerError(f"no chunk: {line[:100]!r}") if line else IncompleteRead(b"".join(parts))
            size = int(found[1], 16)
            if size == 0:
                self._read_headers()  # trailers, which nobody asked for
                return b"".join(parts)
            parts.append(self._exactly(size))
            if self._line() not in _END:
                raise MalformedAnswerError("a chunk does not end where it said")

    def _exactly(self, size: int) -> bytes:
        found = self._stream.read(size)
        if len(found) != size:
            raise IncompleteRead(found, size - len(found))
        return found

    def _line(self) -> bytes:
        line = self._stream.readline(MAX_LINE_BYTES + 1)
        if len(line) > MAX_LINE_BYTES:
            raise MalformedAnswerError(f"a line of more than {MAX_LINE_BYTES} bytes")
        return line
