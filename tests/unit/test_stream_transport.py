"""A session for answers that do not end, against a socket that says what a test wants."""

import socket
import threading
import time
from contextlib import suppress

import pytest
from requests import exceptions

from logos_core.errors import PluginContractError
from logos_core.stream_transport import LINE_BYTES_MAX, StreamSession

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Speaker:
    """Answer one request with the given pieces, then wait until told to end."""

    def __init__(self, *pieces: bytes, hold: bool = True) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._pieces, self._hold = pieces, hold
        self.requests: list[bytes] = []
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with suppress(OSError):  # nobody came, or whoever came has left
            connection, _ = self._listener.accept()
            with connection:
                self.requests.append(connection.recv(65_536))
                for piece in self._pieces:
                    connection.sendall(piece)
                    time.sleep(0.02)
                if self._hold:
                    self.ended.wait(10)

    def close(self) -> None:
        self.ended.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def speak():
    made = []

    def one(*pieces, **more):
        made.append(Speaker(*pieces, **more))
        return made[-1]

    yield one
    for speaker in made:
        speaker.close()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


@pytest.fixture
def session():
    with StreamSession(connect_within_s=2.0, silent_after_s=0.5) as made:
        yield made


def test_a_line_is_there_as_soon_as_it_has_arrived(speak, session):
    """requests would wait until a block is full; the speaker says no more."""
    speaker = speak(HEAD, chunk(b'{"one":1}\n'), chunk(b'{"two":'), chunk(b"2}\n"))
    lines = session.get(speaker.url, stream=True).iter_lines(60)

    assert [b'{"one":1}', b'{"two":2}'] == [next(lines), next(lines)]


def test_a_silence_has_an_end(speak, session):
    lines = session.get(speak(HEAD, chunk(b"one\n")).url, stream=True).iter_lines(60)
    began_s = time.monotonic()
    with pytest.raises(exceptions.ReadTimeout):
        list(lines)

    assert 0.4 < time.monotonic() - began_s < 3.0


def test_a_read_is_ended_from_another_thread(speak):
    session = StreamSession(connect_within_s=2.0, silent_after_s=60.0)
    lines = session.get(speak(HEAD, chunk(b"one\n")).url, stream=True).iter_lines(60)
    assert b"one" == next(lines)
    threading.Timer(0.1, session.close).start()
    began_s = time.monotonic()
    with pytest.raises(exceptions.ChunkedEncodingError):
        next(lines)

    assert time.monotonic() - began_s < 3.0


def test_what_breaks_off_is_no_end(speak, session):
    lines = session.get(speak(HEAD, chunk(b"one\n"), hold=False).url, stream=True).iter_lines(60)
    with pytest.raises(exceptions.ChunkedEncodingError):
        list(lines)


def test_an_end_is_an_end(speak, session):
    answer = session.get(speak(HEAD, chunk(b"one\n"), chunk(b""), hold=False).url, stream=True)

    assert [b"one"] == list(answer.iter_lines(60))


def test_a_redirect_is_not_followed(speak, session):
    elsewhere = speak(HEAD)
    moved = b"HTTP/1.1 307 Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % elsewhere.url.encode()
    with pytest.raises(exceptions.ConnectionError, match="HTTP 307"):
        session.get(speak(moved).url, stream=True)

    assert [] == elsewhere.requests


def test_an_error_has_its_body(speak, session):
    answer = session.get(speak(b"HTTP/1.1 401 No\r\nContent-Length: 4\r\n\r\nno!\n").url, stream=True)

    assert (401, b"no!\n") == (answer.status_code, answer.content)


def test_what_nobody_asked_to_be_compressed_is_refused(speak, session):
    speaker = speak(HEAD[:-2] + b"Content-Encoding: gzip\r\n\r\n")
    with pytest.raises(exceptions.ContentDecodingError):
        session.get(speaker.url, stream=True, headers={"Accept-Encoding": "gzip"})

    assert b"accept-encoding: identity" in speaker.requests[0].lower()
    assert b"gzip" not in speaker.requests[0].lower()


def test_a_line_that_does_not_end_is_cut_off(speak, session):
    lines = session.get(speak(HEAD, *[chunk(b"x" * 65_536)] * (LINE_BYTES_MAX // 65_536 + 2)).url, stream=True).iter_lines(60)
    with pytest.raises(exceptions.ChunkedEncodingError, match="line"):
        next(lines)


def test_credentials_from_files_and_proxies_of_the_environment_are_left_alone(speak, session, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    speaker = speak(HEAD, chunk(b"one\n"))
    session.headers["Authorization"] = "Bearer token"

    assert b"one" == next(session.get(speaker.url, stream=True).iter_lines(60))
    assert b"Authorization: Bearer token" in speaker.requests[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_no_order_leaves_through_it(speak, session, method):
    speaker = speak(HEAD)
    with pytest.raises(PluginContractError, match="nothing was sent"):
        session.request(method, speaker.url, json={"order": {}})

    assert [] == speaker.requests


def test_there_is_no_way_around_it(session):
    with pytest.raises(PluginContractError):
        session.get_adapter("http://127.0.0.1")


def test_a_host_that_does_not_answer_is_said_in_requests_words(session):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(exceptions.ConnectionError):
        session.get(f"http://127.0.0.1:{port}", stream=True)


def test_a_closed_session_reads_nothing_more(speak):
    session = StreamSession(connect_within_s=2.0, silent_after_s=5.0)
    session.close()
    with pytest.raises(exceptions.RequestException):
        list(session.get(speak(HEAD, chunk(b"one\n")).url, stream=True).iter_lines(60))
