"""Carry a stream over a connection that a loopback server handed over: lines in HTTP chunks, or WebSocket messages.

The server's side of RFC 9112 (chunks) and RFC 6455 (WebSocket), as far as the simulators need them: no extensions, no fragments
from the client beyond one message.
"""

from __future__ import annotations

import base64
import hashlib
import select
import socket
import struct
import threading
from collections.abc import Mapping

SEND_WITHIN_S = 5.0
MESSAGE_BYTES_MAX = 1 << 20
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x1, 0x2, 0x8, 0x9, 0xA


class ChunkedLines:
    """Send lines, each in a chunk of its own."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(SEND_WITHIN_S)

    def begin(self) -> None:
        """Send the head of the answer."""
        self._socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n")

    def send(self, message: bytes) -> None:
        line = message + b"\n"
        self._socket.sendall(b"%x\r\n%s\r\n" % (len(line), line))

    def attend(self, timeout_s: float) -> list[bytes]:
        if not self.hold(timeout_s):
            raise ConnectionResetError("the listener has left")
        return []

    def hold(self, timeout_s: float) -> bool:
        return not _readable(self._socket, timeout_s)  # it has nothing to say, so whatever comes is its end


class WebSocketMessages:
    """Send and receive WebSocket messages.

    Args:
        binary: Send binary frames rather than text.
    """

    def __init__(self, connection: socket.socket, *, binary: bool = False) -> None:
        self._socket = connection
        self._socket.settimeout(SEND_WITHIN_S)
        self._opcode = _BINARY if binary else _TEXT
        self._unread = b""

    def begin(self, headers: Mapping[str, str]) -> None:
        """Accept the upgrade that a request asked for."""
        digest = hashlib.sha1(headers["sec-websocket-key"].encode() + _GUID).digest()  # noqa: S324 - RFC 6455 wants it.
        self._socket.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + base64.b64encode(digest)
            + b"\r\n\r\n"
        )

    def send(self, message: bytes) -> None:
        self._frame(self._opcode, message)

    def attend(self, timeout_s: float) -> list[bytes]:
        if _readable(self._socket, timeout_s):
            self._receive()
        found = []
        while (frame := self._next_frame()) is not None:
            opcode, payload = frame
            if opcode == _PING:
                self._frame(_PONG, payload)
            elif opcode == _CLOSE:
                self._frame(_CLOSE, payload[:2])
                raise ConnectionResetError("the listener has left")
            elif opcode in {_TEXT, _BINARY}:
                found.append(payload)
        return found

    def hold(self, timeout_s: float) -> bool:
        if _readable(self._socket, timeout_s):
            try:
                self._receive()
            except OSError:
                return False
        return True

    def said(self, stopping: threading.Event) -> bytes | None:
        """Wait for the listener's next message; None when the server stops."""
        while not stopping.is_set():
            for message in self.attend(0.02):
                return message
        return None

    def _receive(self) -> None:
        received = self._socket.recv(65_536)
        if not received or len(self._unread) > MESSAGE_BYTES_MAX:
            raise ConnectionResetError("the listener has left")
        self._unread += received

    def _next_frame(self) -> tuple[int, bytes] | None:
        data = self._unread
        if len(data) < 2:
            return None
        size, at = data[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(data) < at + width:
                return None
            size, at = int.from_bytes(data[at : at + width], "big"), at + width
        if len(data) < at + 4 + size:
            return None
        mask, payload = data[at : at + 4], data[at + 4 : at + 4 + size]
        self._unread = data[at + 4 + size :]
        return data[0] & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))

    def _frame(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        head = struct.pack("!BB", 0x80 | opcode, size) if size < 126 else struct.pack("!BBH", 0x80 | opcode, 126, size)
        if size > 0xFFFF:
            head = struct.pack("!BBQ", 0x80 | opcode, 127, size)
        self._socket.sendall(head + payload)


def _readable(connection: socket.socket, timeout_s: float) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))
