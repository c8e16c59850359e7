"""The reader of answers: what it takes, and what it does not take for an answer."""

import http.client
import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from logos_core.http1 import MAX_HEADERS, MAX_INTERIM, MAX_LINE_BYTES, Arriving, MalformedAnswerError, ReceivedAnswer, request_bytes


class Wire:
    """Bytes that have arrived, and the end."""

    def __init__(self, data):
        self.data = data

    def makefile(self, mode):
        return io.BufferedReader(io.BytesIO(self.data))


def read(data, method="POST"):
    return ReceivedAnswer(method).read(Arriving(io.BytesIO(data).readinto))


def _chunked(parts):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"


names = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=1, max_size=12).filter(
    lambda name: name.lower() not in {"content-length", "transfer-encoding", "connection"}
)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@given(
    status=st.integers(200, 599),
    headers=st.lists(st.tuples(names, values), max_size=6),
    parts=st.lists(st.binary(max_size=40), max_size=4),
    framing=st.sampled_from(["length", "chunked", "until the end"]),
    method=st.sampled_from(["GET", "POST", "HEAD"]),
    close=st.booleans(),
)
def test_a_plain_answer_is_read_as_the_standard_library_reads_it(status, headers, parts, framing, method, close):
    bodiless = method == "HEAD" or status in {204, 304}
    assume(not (bodiless and framing == "chunked"))  # the standard library would wait for chunks of nothing
    body = b"".join(parts)
    lines = [f"{name}: {value}".encode() for name, value in headers] + ([b"Connection: close"] if close else [])
    lines += {"length": [b"Content-Length: %d" % len(body)], "chunked": [b"Transfer-Encoding: chunked"]}.get(framing, [])
    data = b"HTTP/1.1 %d Word\r\n" % status + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    if not bodiless:
        data += _chunked(parts) if framing == "chunked" else body
    theirs = http.client.HTTPResponse(Wire(data), method=method)  # type: ignore[arg-type]
    theirs.begin()
    kept = {name.lower(): ", ".join(theirs.headers.get_all(name, [])) for name in theirs.headers}

    ours = read(data, method)
    assert (theirs.status, theirs.reason, kept, theirs.read()) == (ours.status, ours.reason, ours.headers, ours.body)
    if not bodiless:
        assert theirs.will_close == ours.will_close


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"<html>hello</html>\r\n\r\n",
        b"\r\n\r\n",
        OK + b"no header\r\n\r\n",
        OK + b"Folded: one\r\n two\r\n\r\n",
        OK + b"Space before : colon\r\n\r\n",
        OK + b": no name\r\n\r\n",
        OK + b"Nul: \0\r\n\r\n",
        OK + b"A: b\r\n" * (MAX_HEADERS + 1) + b"\r\n",
        OK + b"Long: " + b"x" * MAX_LINE_BYTES + b"\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: +2\r\n\r\n{}",
        OK + b"Content-Length: 2, 3\r\n\r\n{}",
        OK + b"Content-Length: 2\r\nContent-Length: 1\r\n\r\n{}",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * MAX_INTERIM + OK + b"\r\n",
    ],
)
def test_what_is_not_plain_http_is_no_answer(data):
    with pytest.raises(MalformedAnswerError):
        read(data)


@pytest.mark.parametrize(
    "data", [OK + b"Content-Length: 2\r\n\r\n{}", OK + b"Transfer-Encoding: chunked\r\n\r\n" + _chunked([b"{", b"}"])]
)
def test_an_answer_that_breaks_off_anywhere_is_no_answer(data):
    assert b"{}" == read(data).body
    for end in range(len(data)):
        with pytest.raises((http.client.HTTPException, ConnectionResetError)):
            read(data[:end])


def test_an_interim_answer_is_not_the_answer():
    answer = read(b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\n{}")

    assert (200, {"content-length": "2"}, b"{}") == (answer.status, answer.headers, answer.body)


def test_behind_an_answer_with_two_lengths_nothing_is_trusted():
    assert read(OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n" + _chunked([b"{}"])).will_close


def test_the_same_length_twice_is_one_length():
    assert b"{}" == read(OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}").body


@pytest.mark.parametrize("broken", ["a\r\nX: 1", "a\nX: 1", "a\r", "a\0", "\r\n\r\nDELETE / HTTP/1.1"])
@pytest.mark.parametrize("place", range(5))
def test_nothing_can_make_two_requests_of_one(broken, place):
    parts = ["POST", "/orders", "venue", "X-Key", "value"]
    parts[place] += broken
    method, target, host, name, value = parts
    with pytest.raises(ValueError, match="nothing was sent"):
        request_bytes(method, target, host, {name: value}, b"{}")


@pytest.mark.parametrize("headers", [{"content-length": "2"}, {"Content-Length": "99"}, {}])
def test_the_length_is_the_bodys_own(headers):
    sent = request_bytes("POST", "/", "venue", headers, b"{}POST /2 HTTP/1.1\r\n\r\n")

    assert [b"Content-Length: 22"] == [line for line in sent.split(b"\r\n") if line.lower().startswith(b"content-length")]


def test_a_host_is_named_once():
    assert b"GET / HTTP/1.1\r\nhost: mine\r\n\r\n" == request_bytes("GET", "/", "venue", {"host": "mine"}, None)


@pytest.mark.parametrize("headers", [{"Transfer-Encoding": "chunked"}, {"X-A: 1": "2"}, {"": "1"}])
def test_a_header_that_would_change_the_request_is_refused(headers):
    with pytest.raises(ValueError, match="nothing was sent"):
        request_bytes("POST", "/", "venue", headers, b"{}")


@pytest.mark.parametrize(
    ("data", "method"),
    [
        (OK + b"Content-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n", "POST"),
        (b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\n", "DELETE"),
        (b"HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\n", "GET"),
    ],
)
def test_a_connection_on_which_more_came_than_the_answer_carries_nothing_further(data, method):
    assert read(data, method).will_close


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 9999999999999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"]
)
def test_a_body_larger_than_any_answer_is_none(framing):
    with pytest.raises(MalformedAnswerError):
        read(OK + framing)
