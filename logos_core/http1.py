"""One HTTP/1.1 request in one piece, and its answer, read to its end. RFC 9112.

The standard library writes a request in two pieces, between which a gate could not stand, and reads headers with its parser for
e-mail, which takes longer than all the rest of an answer. This reader is stricter instead: what is not plain HTTP/1.1 is no answer,
so the outcome of the request is unknown and will be looked up.
"""

import re
from collections.abc import Callable, Mapping
from http.client import HTTPException, IncompleteRead
from typing import Self

MAX_LINE_BYTES = 65_536
BLOCK_BYTES = 16_384
MAX_BODY_BYTES = 1 << 30
MAX_HEADERS = 200
FIRST_FINAL = 200
MAX_INTERIM = 10
"""How many interim answers, those below `FIRST_FINAL`, may come before the one that counts."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: ([^\r\n]*))?\r?\n")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")
_END = frozenset({b"\r\n", b"\n"})


class MalformedAnswerError(HTTPException):
    """What came is not an HTTP/1.1 answer."""


def request_bytes(method: str, target: str, host: str, headers: Mapping[str, str | bytes], body: bytes | None) -> bytes:
    """Return a request as it goes over the wire.

    Raises:
        ValueError: a part of it would make another request of it: a line break, or a length of its own.
    """
    names = {name.lower() for name in headers}
    lines = [f"{method} {target} HTTP/1.1"] + ([] if "host" in names else [f"Host: {host}"])
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or name.lower() == "transfer-encoding":
            raise ValueError(f"the header {name!r} cannot be sent; nothing was sent")
        if name.lower() != "content-length":
            lines.append(f"{name}: {value if isinstance(value, str) else value.decode('latin-1')}")
    if body is not None or "content-length" in names:
        lines.append(f"Content-Length: {len(body or b'')}")
    head = "\r\n".join(lines)
    if not head.count("\r") == head.count("\n") == len(lines) - 1 or "\0" in head:
        raise ValueError("a header, the method or the address holds a line break; nothing was sent")
    return (head + "\r\n\r\n").encode("latin-1") + (body or b"")


class Arriving:
    """What arrives on a connection, and what of it was not asked for."""

    def __init__(self, receive_into: Callable[[bytearray], int]) -> None:
        self._receive_into = receive_into
        self._block = bytearray(BLOCK_BYTES)
        self.unread = b""

    def line(self) -> bytes:
        """Return a line with its end, or what came before everything ended."""
        while (end := self.unread.find(b"\n")) < 0 and len(self.unread) <= MAX_LINE_BYTES and (more := self._more()):
            self.unread += more
        size = end + 1 if end >= 0 else len(self.unread)
        if size > MAX_LINE_BYTES:
            raise MalformedAnswerError(f"a line of more than {MAX_LINE_BYTES} bytes")
        found, self.unread = self.unread[:size], self.unread[size:]
        return found

    def exactly(self, size: int) -> bytes:
        """Return so many bytes, or raise `IncompleteRead`."""
        if size > MAX_BODY_BYTES:
            raise MalformedAnswerError(f"a body of more than {MAX_BODY_BYTES} bytes")
        parts, have = [self.unread], len(self.unread)
        while have < size and (more := self._more()):
            parts.append(more)
            have += len(more)
        whole = b"".join(parts)
        found, self.unread = whole[:size], whole[size:]
        if have < size:
            raise IncompleteRead(found, size - have)
        return found

    def rest(self) -> bytes:
        """Return everything until the other end closes."""
        parts, have = [self.unread], len(self.unread)
        while more := self._more():
            parts.append(more)
            have += len(more)
            if have > MAX_BODY_BYTES:
                raise MalformedAnswerError(f"a body of more than {MAX_BODY_BYTES} bytes")
        self.unread = b""
        return b"".join(parts)

    def _more(self) -> bytes:
        return bytes(self._block[: self._receive_into(self._block)])


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

    def read(self, arriving: Arriving) -> Self:
        """Read the answer from what arrives on a connection.

        Raises:
            MalformedAnswerError: it is none.
            IncompleteRead: it broke off.
        """
        self._arriving = arriving
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
        self.will_close = self.will_close or bool(arriving.unread)  # whatever else came belongs to no request
        return self

    def _read_status(self) -> bytes:
        line = self._arriving.line()
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
            line = self._arriving.line()
            if line in _END:
                return headers
            found = _HEADER.fullmatch(line)
            if found is None:
                raise MalformedAnswerError(f"no header: {line[:100]!r}") if line else IncompleteRead(b"")
            name, value = found[1].decode("ascii").lower(), found[2].decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        raise MalformedAnswerError(f"more than {MAX_HEADERS} headers")

    def _read_body(self) -> bytes:
        coding, length = self.headers.get("transfer-encoding"), self.headers.get("content-length")
        if self._method == "HEAD" or self.status in {204, 304}:
            self.will_close = self.will_close or coding is not None or length not in {None, "0"}
            return b""
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
            return self._arriving.exactly(int(one))
        self.will_close = True
        return self._arriving.rest()

    def _read_chunks(self) -> bytes:
        parts: list[bytes] = []
        while True:
            line = self._arriving.line()
            found = _CHUNK.fullmatch(line)
            if found is None:
                raise MalformedAnswerError(f"no chunk: {line[:100]!r}") if line else IncompleteRead(b"".join(parts))
            size = int(found[1], 16)
            if size == 0:
                self._read_headers()  # trailers, which nobody asked for
                return b"".join(parts)
            parts.append(self._arriving.exactly(size))
            if self._arriving.line() not in _END:
                raise MalformedAnswerError("a chunk does not end where it said")
