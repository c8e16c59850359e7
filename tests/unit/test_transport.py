"""The guarded session against servers that behave badly, on the loopback interface."""

import datetime as dt
import gzip
import socket
import ssl
import threading
import time
import zlib
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import pytest
import requests

from logos_core.clock import SystemClock
from logos_core.errors import PluginContractError
from logos_core.hookspecs import Operation, Phase
from logos_core.transport import MAX_BODY_CHARACTERS, GuardedSession
from logos_core.wire import GateClosedError, Wire

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Accepts connections one after another, keeps what came, and answers as it is told."""

    def __init__(self, behave, context=None):
        self.behave = behave
        self.context = context
        self.received: list[bytes] = []
        self.handshakes = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            with suppress(OSError), plain:
                with self.context.wrap_socket(plain, server_side=True) if self.context else nullcontext(plain) as connection:
                    self.handshakes += 1
                    connection.settimeout(5)
                    data = _whole_request(connection)
                    if data:
                        self.received.append(data)
                        self.behave(connection)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(2)


def _whole_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return data
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@pytest.fixture
def serve():
    servers = []

    def start(behave=lambda connection: connection.sendall(OK), context=None):
        servers.append(Server(behave, context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@contextmanager
def operation(operation=Operation.SUBMIT, gates=(), timeout_s=5.0):
    wire = Wire(SystemClock(), timeout_s)
    with GuardedSession(wire) as session, wire.operation(operation, gates) as record:
        yield session, record


def url(server, path="/", scheme="http", host="127.0.0.1"):
    return f"{scheme}://{host}:{server.port}{path}"


def test_an_answer_is_received_to_its_end_and_kept_as_evidence(serve):
    body = b'{"text":"' + b"x" * 20_000 + b'\xff"}'
    server = serve(lambda c: c.sendall(b"HTTP/1.1 422 No\r\nX-Code: 7\r\nContent-Length: %d\r\n\r\n" % len(body) + body))
    with operation() as (session, record):
        response = session.post(url(server), data=b"order", stream=True)

    assert (422, Phase.ANSWERED, 1) == (response.status_code, record.phase, record.requests)
    assert ("7", MAX_BODY_CHARACTERS) == (record.answer.headers["x-code"], len(record.answer.body))
    assert b"order" in server.received[0]


def test_a_second_request_of_one_submit_is_refused_before_it_leaves(serve):
    server = serve()
    with operation() as (session, record):
        session.post(url(server))
        with pytest.raises(PluginContractError):
            session.post(url(server))

    assert (1, 1) == (len(server.received), record.requests)


def test_outside_of_an_operation_nothing_is_sent(serve):
    server = serve()
    with GuardedSession(Wire(SystemClock(), 1.0)) as session, pytest.raises(PluginContractError):
        session.post(url(server))

    assert [] == server.received


def test_a_closed_gate_means_that_not_a_byte_was_sent(serve):
    server = serve()

    def closed():
        raise GateClosedError("HALTED", "stop", denies=True)

    with operation(gates=(closed,)) as (session, record), pytest.raises(GateClosedError):
        session.post(url(server), data=b"order")

    time.sleep(0.05)
    assert ([], Phase.NOTHING_SENT) == (server.received, record.phase)


def test_gates_are_asked_after_the_connection_stands(serve):
    server, stood = serve(), []

    def gate():
        deadline = time.monotonic() + 2
        while not server.handshakes and time.monotonic() < deadline:
            time.sleep(0.005)
        stood.append((server.handshakes, len(server.received)))

    with operation(gates=(gate,)) as (session, _):
        session.post(url(server), data=b"x" * 100_000)

    assert [(1, 0)] == stood


def drip(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        time.sleep(0.05)
        connection.sendall(b"x")


def drip_head(connection):
    for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100:
        time.sleep(0.05)
        connection.sendall(bytes([letter]))


def never(connection):
    time.sleep(0.8)


@pytest.mark.parametrize("behave", [drip, drip_head, never])
def test_one_deadline_holds_for_the_whole_answer(serve, behave):
    server = serve(behave)
    began = time.monotonic()
    with operation(timeout_s=0.4) as (session, record), pytest.raises((requests.RequestException, TimeoutError)):
        session.post(url(server))

    assert time.monotonic() - began < 1.5
    assert Phase.SENT is record.phase


def test_nothing_that_is_refused_counts_as_sent():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with operation() as (session, record), pytest.raises(requests.ConnectionError):
        session.post(f"http://127.0.0.1:{port}/")

    assert (Phase.NOTHING_SENT, 1) == (record.phase, record.requests)


def test_a_request_that_breaks_off_while_it_is_sent_may_have_been_sent():
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        with operation(timeout_s=0.4) as (session, record), pytest.raises(requests.RequestException):
            session.post(f"http://127.0.0.1:{deaf.getsockname()[1]}/", data=bytes(1 << 25))

    assert Phase.SENT is record.phase


BREAKS_OFF = (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", b"nonsense\r\n\r\n")


@pytest.mark.parametrize("said", BREAKS_OFF)
def test_an_answer_that_breaks_off_is_no_answer_and_is_not_asked_for_again(serve, said):
    server = serve(lambda connection: connection.sendall(said))
    with operation() as (session, record), pytest.raises(requests.RequestException):
        session.post(url(server), data=b"order")

    assert (1, Phase.SENT) == (len(server.received), record.phase)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(serve, status):
    target = serve()
    server = serve(lambda c: c.sendall(f"HTTP/1.1 {status} Go\r\nLocation: {url(target)}\r\nContent-Length: 0\r\n\r\n".encode()))
    with operation(Operation.LOOKUP) as (session, _):
        response = session.get(url(server), allow_redirects=True)

    assert (status, []) == (response.status_code, target.received)


def test_no_netrc_and_no_proxy_of_the_environment_is_used(serve, tmp_path, monkeypatch):
    server, proxy = serve(), serve()
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password thief\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with operation() as (session, _):
        session.post(url(server), headers={"Authorization": "Bearer mine"}, proxies={"http": f"http://127.0.0.1:{proxy.port}"})

    assert [] == proxy.received
    assert b"Bearer mine" in server.received[0]
    assert b"Basic" not in server.received[0]


def test_what_the_sdk_asks_for_beyond_the_request_is_ignored(serve):
    server = serve(never)
    began = time.monotonic()
    with operation(timeout_s=0.3) as (session, _), pytest.raises(requests.RequestException):
        session.get(url(server), timeout=60, stream=True)

    assert time.monotonic() - began < 2


def answered(head, body=b"{}"):
    return b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    "asked",
    [
        {"json": {"symbol": "AAPL", "note": "\u00e9", "qty": "1"}, "headers": {"X-Key": "1"}},
        {"json": {}},
        {"json": {"qty": "1"}, "headers": {"content-type": "application/json; charset=utf-8", "user-agent": "sdk"}},
        {"data": b"symbol=BTCUSDT&side=BUY", "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"data": {"symbol": "BTC/USDT", "side": ["a", "b"]}},
        {"data": "caf\u00e9"},
        {"params": {"after": "2026-01-01T00:00:00Z", "ids": ["1", "2"]}},
        {"headers": {"Accept": None}},
        {"auth": ("name", "word")},
        {"files": {"one": b"two"}},
        {},
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
@pytest.mark.parametrize("path", ["/v2/orders", "/v2/orders%20x", "/o/../b", '/o"<|%zz'])
def test_what_is_sent_is_what_requests_itself_would_send(serve, method, asked, path):
    """Line by line but for their order, and for what requests adds out of its own libraries."""
    server = serve()
    with requests.Session() as plain:
        plain.trust_env = False
        plain.headers["Accept-Encoding"] = "gzip, deflate"
        plain.request(method, url(server, path), **asked)
    with operation() as (session, _):
        session.request(method, url(server, path), **asked)

    (head, body), (own_head, own_body) = (_parts(data) for data in server.received)
    assert (head, body) == (own_head, own_body)


def _parts(data):
    head, _, body = data.partition(b"\r\n\r\n")
    boundary = next((line.partition(b"boundary=")[2] for line in head.split(b"\r\n") if b"boundary=" in line), b"")
    if boundary:
        head, body = head.replace(boundary, b"-"), body.replace(boundary, b"-")
    request, *lines = head.split(b"\r\n")
    return (request, {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}), body


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        (b"gzip", gzip.compress(b"[1]", mtime=0)),
        (b"deflate", zlib.compress(b"[1]")),
        (b"deflate", zlib.compress(b"[1]", wbits=-zlib.MAX_WBITS)),
        (b"identity", b"[1]"),
    ],
)
def test_a_compressed_answer_is_read(serve, encoding, body):
    server = serve(lambda c: c.sendall(answered(b"Content-Encoding: " + encoding + b"\r\n", body)))
    with operation() as (session, record):
        assert [1] == session.post(url(server)).json()

    assert "[1]" == record.answer.body


@pytest.mark.parametrize(
    ("encoding", "body"), [(b"br", b"[1]"), (b"gzip", b"[1]"), (b"gzip", gzip.compress(b"[1]" * 99, mtime=0)[:-9])]
)
def test_an_answer_that_cannot_be_decoded_is_no_answer(serve, encoding, body):
    server = serve(lambda c: c.sendall(answered(b"Content-Encoding: " + encoding + b"\r\n", body)))
    with operation() as (session, record), pytest.raises(requests.RequestException):
        session.post(url(server))

    assert (Phase.SENT, 1) == (record.phase, len(server.received))


def test_an_answer_in_chunks_is_received_to_its_end(serve):
    server = serve(lambda c: c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n"))
    with operation() as (session, _record):
        assert [1] == session.post(url(server)).json()


def test_headers_that_come_twice_are_both_kept(serve):
    server = serve(lambda c: c.sendall(answered(b"X-Limit: 1\r\nx-limit: 2\r\n")))
    with operation() as (session, record):
        assert "1, 2" == session.post(url(server)).headers["X-LIMIT"]

    assert "1, 2" == record.answer.headers["x-limit"]


def test_a_connection_is_used_again_unless_the_other_end_has_closed_it(serve):
    def twice(connection):
        connection.sendall(OK)
        server.received.append(_whole_request(connection))
        connection.sendall(OK)

    server = serve(twice)
    wire = Wire(SystemClock(), 5.0)
    with GuardedSession(wire) as session:
        for _ in range(3):
            with wire.operation(Operation.SUBMIT):
                assert 200 == session.post(url(server)).status_code
            time.sleep(0.05)  # the server closes after two

    assert (3, 2) == (len([data for data in server.received if data]), server.handshakes)


@pytest.mark.parametrize("address", ["ftp://127.0.0.1/", "http:///path", "file:///etc/passwd", "http://user@127.0.0.1/"])
def test_an_address_that_is_none_is_refused_before_anything_is_sent(address):
    with operation() as (session, record), pytest.raises(requests.RequestException):
        made = requests.Request("POST", "http://127.0.0.1/").prepare()
        made.url = address
        session.send(made)

    assert Phase.NOTHING_SENT is record.phase


def test_there_is_no_way_around(serve):
    server = serve()
    with operation() as (session, _record), pytest.raises(PluginContractError):
        session.get_adapter(url(server)).send(requests.Request("POST", url(server)).prepare())

    assert [] == server.received


def test_a_body_of_unknown_length_is_refused(serve):
    server = serve()
    with operation() as (session, record), pytest.raises(PluginContractError):
        session.post(url(server), data=iter([b"one", b"two"]))

    assert ([], Phase.NOTHING_SENT) == (server.received, record.phase)


def test_a_session_that_is_forgotten_closes_its_connections(serve):
    ended = threading.Event()

    def keep(connection):
        connection.sendall(OK)
        if not connection.recv(1):
            ended.set()

    server = serve(keep)
    wire = Wire(SystemClock(), 5.0)
    session = GuardedSession(wire)
    with wire.operation(Operation.SUBMIT):
        session.post(url(server))
    del session

    assert ended.wait(2)


def test_what_came_while_the_gates_ran_is_no_answer_to_the_order(serve):
    """A proxy's idle timeout would pass for the venue's refusal."""
    late = threading.Event()

    def behave(connection):
        connection.sendall(OK)
        late.wait(2)
        connection.sendall(b"HTTP/1.1 422 No\r\nContent-Length: 2\r\n\r\n{}")
        time.sleep(0.3)

    server = serve(behave)
    wire = Wire(SystemClock(), 5.0)
    with GuardedSession(wire) as session:
        with wire.operation(Operation.LOOKUP):
            session.get(url(server))
        with (
            wire.operation(Operation.SUBMIT, (late.set, lambda: time.sleep(0.1))) as record,
            pytest.raises(requests.RequestException),
        ):
            session.post(url(server), data=b"order")

    assert (Phase.NOTHING_SENT, 1) == (record.phase, len(server.received))


def test_a_request_that_got_no_answer_ends_its_connection(serve):
    """A late answer would be taken for the next request's."""
    server = serve(lambda connection: connection.recv(1))
    wire = Wire(SystemClock(), 0.3)
    with GuardedSession(wire) as session:
        with wire.operation(Operation.SUBMIT), pytest.raises(requests.RequestException):
            session.post(url(server))
        server.behave = lambda connection: connection.sendall(OK)
        with wire.operation(Operation.SUBMIT):
            assert 200 == session.post(url(server)).status_code

    assert 2 == server.handshakes


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 99_999), ("127.0.0.1", 165_536)])
def test_a_port_that_is_none_is_refused(host, port):
    with operation() as (session, record), pytest.raises(requests.exceptions.InvalidURL):
        session.post(f"http://{host}:{port}/o")

    assert Phase.NOTHING_SENT is record.phase


def test_an_address_of_version_six_without_a_port_goes_to_the_schemes_own(monkeypatch):
    reached = []

    def getaddrinfo(*address, **_):
        reached.append(address)
        return []

    monkeypatch.setattr("socket.getaddrinfo", getaddrinfo)
    with operation() as (session, _record), pytest.raises(requests.RequestException):
        session.post("http://[::1:8801]/o")

    assert [("::1:8801", 80)] == reached


def test_one_deadline_holds_for_all_addresses_of_a_host(monkeypatch):
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = [socket.socket() for _ in range(4)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(full.getsockname())
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", full.getsockname())] * 8
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: found)
    began = time.monotonic()
    with operation(timeout_s=0.4) as (session, record), pytest.raises(requests.RequestException):
        session.post("http://venue.test/o")
    for one in [full, *waiting]:
        one.close()

    assert (Phase.NOTHING_SENT, True) == (record.phase, time.monotonic() - began < 3.0), "a deadline for each would be 3.2 s"


# -------------------------------------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that signs itself."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "cert.private").write_bytes(private)
    return folder


@pytest.fixture
def tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.crt", certificate / "cert.private")
    return context


@pytest.fixture
def trusted(certificate, monkeypatch):
    """Trust the certificate where requests looks when it verifies."""
    monkeypatch.setattr("requests.utils.DEFAULT_CA_BUNDLE_PATH", str(certificate / "cert.crt"))


def test_over_tls_gates_run_after_the_handshake_and_before_the_first_application_byte(serve, tls, trusted):
    server, seen = serve(context=tls), []

    def gate():
        deadline = time.monotonic() + 2
        while not server.handshakes and time.monotonic() < deadline:
            time.sleep(0.005)
        seen.append((server.handshakes, len(server.received)))

    with operation(gates=(gate,)) as (session, record):
        assert 200 == session.post(url(server, scheme="https"), data=b"order").status_code

    assert ([(1, 0)], Phase.ANSWERED) == (seen, record.phase)
    assert b"order" in server.received[0]


def test_over_tls_what_came_with_the_last_answer_is_no_answer_to_the_next(serve, tls, trusted):
    """Bytes that TLS has decrypted already do not show on the socket."""
    filling = b"HTTP/1.1 200 OK\r\nContent-Length: 00002\r\nX: "
    first = filling + b"x" * (16_384 - len(filling) - len(b"\r\n\r\n{}") - len(OK)) + b"\r\n\r\n{}"

    def behave(connection):
        connection.sendall(first + OK.replace(b"200 OK", b"422 No"))
        time.sleep(0.3)

    server = serve(behave, context=tls)
    wire = Wire(SystemClock(), 5.0)
    with GuardedSession(wire) as session:
        with wire.operation(Operation.LOOKUP):
            assert 200 == session.get(url(server, scheme="https")).status_code
        server.behave = lambda connection: connection.sendall(OK)
        with wire.operation(Operation.SUBMIT):
            assert 200 == session.post(url(server, scheme="https"), data=b"order").status_code


def test_over_tls_what_is_decrypted_already_counts_as_arrived(serve, tls, trusted):
    def behave(connection):
        connection.sendall(OK)
        time.sleep(0.1)
        connection.sendall(b"late")
        time.sleep(0.5)

    server = serve(behave, context=tls)
    wire = Wire(SystemClock(), 5.0)
    with GuardedSession(wire) as session, wire.operation(Operation.LOOKUP):
        session.get(url(server, scheme="https"))
        ((connection,),) = session._idle.values()
        guarded: Any = connection.sock
        assert 1 == guarded.recv_into(bytearray(1))  # the record is read from the socket; three bytes wait in TLS

        assert guarded.has_arrived()


def test_over_tls_a_connection_is_used_again(serve, tls, trusted):
    def twice(connection):
        connection.sendall(OK)
        server.received.append(_whole_request(connection))
        connection.sendall(OK)

    server = serve(twice, context=tls)
    wire = Wire(SystemClock(), 5.0)
    with GuardedSession(wire) as session:
        for _ in range(2):
            with wire.operation(Operation.SUBMIT):
                assert 200 == session.post(url(server, scheme="https")).status_code

    assert (2, 1) == (len(server.received), server.handshakes)


def test_over_tls_a_closed_gate_means_that_not_a_byte_was_sent(serve, tls, trusted):
    server = serve(context=tls)

    def closed():
        raise GateClosedError("HALTED", "stop", denies=True)

    with operation(gates=(closed,)) as (session, record), pytest.raises(GateClosedError):
        session.post(url(server, scheme="https"), data=b"order")

    time.sleep(0.05)
    assert (1, [], Phase.NOTHING_SENT) == (server.handshakes, server.received, record.phase)


def test_over_tls_one_deadline_holds_too(serve, tls, trusted):
    server = serve(drip, context=tls)
    began = time.monotonic()
    with operation(timeout_s=0.4) as (session, record), pytest.raises((requests.RequestException, TimeoutError)):
        session.post(url(server, scheme="https"))

    assert time.monotonic() - began < 1.5
    assert Phase.SENT is record.phase


def test_a_certificate_nobody_vouches_for_is_refused_whatever_the_sdk_asks(serve, tls):
    server = serve(context=tls)
    with operation() as (session, record), pytest.raises(requests.exceptions.SSLError):
        session.post(url(server, scheme="https"), data=b"order", verify=False)

    assert ([], Phase.NOTHING_SENT) == (server.received, record.phase)
