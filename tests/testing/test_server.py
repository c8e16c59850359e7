import http.client
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal

import pytest

from logos_core.testing.exchange import Exchange, OrderRequest, OrderType, Refusal, Side, SimulatedInstrument
from logos_core.testing.faults import Fault, FaultKind, FaultPlan, FaultPlanError
from logos_core.testing.server import HttpRequest, HttpResponse, LoopbackServer

D = Decimal
COIN = SimulatedInstrument(symbol="COIN", base_asset="COIN", quote_asset="USD", price_tick=D(1), quantity_step=D(1), last=D(10))


class Stall:
    """A venue with one instrument: POST buys a coin, GET lists, and every answer is longer than a line."""

    def __init__(self, client_ids="none"):
        self.exchange = Exchange([COIN], {"USD": D(1_000_000)}, client_ids=client_ids)

    def operation(self, request):
        return "submit" if request.method == "POST" else "reconcile"

    def client_order_id(self, request):
        return request.query.get("id")

    def handle(self, request):
        if request.path == "/bug":
            raise ZeroDivisionError("a bug of the simulator")
        if request.method == "DELETE":
            return HttpResponse(204)
        if request.method == "GET":
            return HttpResponse.json(200, self.admin_orders())
        limit = D(request.query["limit"]) if "limit" in request.query else None
        kind = OrderType.LIMIT if limit else OrderType.MARKET
        wanted = OrderRequest(
            symbol="COIN", side=Side.BUY, type=kind, quantity=D(2), price=limit, client_order_id=request.query.get("id")
        )
        try:
            return HttpResponse.json(200, self.exchange.submit(wanted).to_dict())
        except Refusal as refusal:
            return HttpResponse.json(422, {"refused": str(refusal)})

    def error_body(self, status):
        return HttpResponse.json(status, {"error": status})

    def admin_orders(self):
        return [order.to_dict() for order in self.exchange.orders()]


@pytest.fixture
def serve():
    servers = []

    def start(*faults, app=None, **settings):
        servers.append(LoopbackServer(app or Stall(), FaultPlan([Fault(**fault) for fault in faults]), **settings))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()


def call(server, method="POST", path="/orders", body=None, connection=None):
    if connection is None:
        with closing(connect(server)) as fresh:
            return call(server, method, path, body, fresh)
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer, answer.read()


def connect(server):
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)


def admin(server, method, name, data=None):
    answer, body = call(server, method, f"/_logos/{name}", None if data is None else json.dumps(data))
    return answer.status, json.loads(body)


def talk(server, patience_s=5.0, target="/orders?id=a"):
    """Send one order over a bare socket; return the bytes received and how it ended."""
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.settimeout(patience_s)
        plain.sendall(f"POST {target} HTTP/1.1\r\nHost: venue\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        received = b""
        while not is_whole(received):
            try:
                part = plain.recv(65536)
            except TimeoutError:
                return received, "silent"
            except ConnectionResetError:
                return received, "reset"
            if not part:
                return received, "closed"
            received += part
        return received, "whole"


def is_whole(received):
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    return bool(end) and length is not None and len(body) == int(length[1])


def status_of(received):
    return int(received.split()[1]) if received else None


def eventually(condition):
    end_s = time.monotonic() + 3
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.002)
    return condition()


# What the client sees, and what the venue did: (end of the connection, status, orders the venue holds).
SEEN = {
    FaultKind.REQUEST_DROPPED: ("silent", None, 0),
    FaultKind.ANSWER_DROPPED: ("silent", None, 1),
    FaultKind.STATUS_BEFORE: ("whole", 503, 0),
    FaultKind.STATUS_AFTER: ("whole", 503, 1),
    FaultKind.RATE_LIMITED: ("whole", 429, 0),
    FaultKind.RESET_BEFORE: ("reset", None, 0),
    FaultKind.RESET_DURING: ("reset", 200, 1),
    FaultKind.RESET_AFTER: ("reset", None, 1),
    FaultKind.TRUNCATED: ("closed", 200, 1),
    FaultKind.EMPTY: ("whole", 200, 1),
    FaultKind.HTML: ("whole", 200, 1),
    FaultKind.REDIRECT: ("whole", 307, 0),
    FaultKind.DUPLICATE_DELIVERY: ("whole", 200, 2),
    FaultKind.SLOW_DRIP: ("whole", 200, 1),
    FaultKind.LATE_ARRIVAL: ("silent", None, 0),
    FaultKind.DELAY_BEFORE: ("whole", 200, 1),
    FaultKind.DELAY_AFTER: ("whole", 200, 1),
}


@pytest.mark.parametrize("kind", list(FaultKind))
def test_each_fault_is_seen_by_the_client_and_by_the_venue_as_it_is_named(serve, kind):
    delay_s = {FaultKind.LATE_ARRIVAL: 20, FaultKind.SLOW_DRIP: 0.0002}.get(kind, 0.01)
    server = serve({"kind": kind, "delay_s": delay_s})
    received, end = talk(server, patience_s=0.15 if SEEN[kind][0] == "silent" else 5)
    entry = server.wire[0]

    assert SEEN[kind] == (end, status_of(received), len(server.orders()))
    assert (kind.value, SEEN[kind][1], SEEN[kind][2]) == (entry.fault, entry.status, entry.processed)


def test_without_a_fault_the_answer_is_the_venues(serve):
    server = serve()
    received, end = talk(server)
    entry = server.wire[0]

    assert ("whole", 200, 1) == (end, status_of(received), len(server.orders()))
    assert (1, "submit", "POST", "/orders?id=a", "a", None, 1, 200, None) == (
        entry.sequence, entry.operation, entry.method, entry.target, entry.client_order_id, entry.fault,
        entry.processed, entry.status, entry.failure,
    )  # fmt: skip


def test_a_late_arrival_is_processed_after_the_client_has_given_up(serve):
    server = serve({"kind": "late_arrival", "delay_s": 0.3})
    received, end = talk(server, patience_s=0.05)

    assert (b"", "silent", []) == (received, end, server.orders())
    assert eventually(lambda: len(server.orders()) == 1)
    assert (1, None) == (server.wire[0].processed, server.wire[0].status)


@pytest.mark.parametrize(("kind", "held"), [("delay_before", 0), ("delay_after", 1)])
def test_a_delay_lies_before_or_after_the_venue_acts(serve, kind, held):
    server = serve({"kind": kind, "delay_s": 0.5})
    client = threading.Thread(target=call, args=(server,))
    client.start()
    assert eventually(lambda: len(server.wire) == 1 and len(server.orders()) == held)
    time.sleep(0.05)

    assert (held, None) == (len(server.orders()), server.wire[0].status)

    client.join()

    assert (1, 200) == (len(server.orders()), server.wire[0].status)


def test_a_delivery_in_double_returns_the_second_answer(serve):
    server = serve({"kind": "duplicate_delivery"}, app=Stall(client_ids="ever"))
    received, _ = talk(server)

    assert (422, 1, 2) == (status_of(received), len(server.orders()), server.wire[0].processed)


def test_a_truncated_body_is_shorter_than_it_says(serve):
    server = serve({"kind": "truncated"})
    with pytest.raises(http.client.IncompleteRead) as caught:
        call(server)

    assert len(caught.value.partial) > 0


def test_a_reset_in_the_middle_comes_after_the_head_and_part_of_the_body(serve):
    received, _ = talk(serve({"kind": "reset_during"}))
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head.lower())
    assert length is not None

    assert (b"\r\n\r\n", True) == (end, 0 < len(body) < int(length[1]))


def test_a_truncated_answer_without_a_body_ends_in_its_head(serve):
    server = serve({"kind": "truncated"})
    with pytest.raises(http.client.HTTPException):
        call(server, "DELETE")

    assert 1 == server.wire[0].processed


@pytest.mark.parametrize(("retry_after_s", "header"), [(7, "7"), (None, None)])
def test_a_rate_limit_says_when_to_come_back_only_if_asked_to(serve, retry_after_s, header):
    answer, body = call(serve({"kind": "rate_limited", "retry_after_s": retry_after_s}))

    assert (429, header, {"error": 429}) == (answer.status, answer.headers["Retry-After"], json.loads(body))


def test_a_status_fault_has_the_status_it_was_given(serve):
    assert 504 == call(serve({"kind": "status_after", "status": 504}))[0].status


def test_a_redirect_points_to_the_same_place(serve):
    assert "/orders?x=1" == call(serve({"kind": "redirect"}), path="/orders?x=1")[0].headers["Location"]


def test_an_html_answer_is_for_people(serve):
    answer, body = call(serve({"kind": "html"}))

    assert ("text/html; charset=utf-8", b"<html>") == (answer.headers["Content-Type"], body[:6])


def test_an_empty_answer_has_no_byte(serve):
    assert b"" == call(serve({"kind": "empty"}))[1]


def test_a_slow_answer_comes_byte_by_byte(serve):
    server = serve({"kind": "slow_drip", "delay_s": 20})
    received, end = talk(server, patience_s=0.2)

    assert ("silent", 1, 1) == (end, len(received), len(server.orders()))


def test_one_connection_serves_many_requests(serve):
    server = serve()
    with closing(connect(server)) as one:
        statuses = [call(server, method, connection=one)[0].status for method in ("POST", "DELETE", "POST", "GET")]

    assert [200, 204, 200, 200] == statuses
    assert 2 == len(server.orders())


def test_a_head_request_gets_no_body(serve):
    server = serve()
    with closing(connect(server)) as one:
        answer, body = call(server, "HEAD", connection=one)

        assert (b"", True) == (body, int(answer.headers["Content-Length"]) > 0)
        assert 200 == call(server, connection=one)[0].status


def test_a_client_that_does_not_speak_http_is_sent_away(serve):
    server = serve()
    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.settimeout(3)
        plain.sendall(b"\x16\x03\x01 not http\r\n\r\n")

        assert b"" == plain.recv(100)

    assert 200 == call(server)[0].status


def test_a_bug_of_the_simulator_is_a_500_and_stands_in_the_wire_log(serve, capsys):
    server = serve()
    answer, _ = call(server, path="/bug")

    assert (500, "ZeroDivisionError('a bug of the simulator')") == (answer.status, server.wire[0].failure)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_stopping_does_not_wait_for_held_connections(serve):
    server = serve({"kind": "answer_dropped"}, hold_s=30)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(talk, server, 20)
        assert eventually(lambda: len(server.orders()) == 1)
        begin_s = time.monotonic()
        server.stop()

        assert (b"", "closed") == held.result()
        assert time.monotonic() - begin_s < 1


def test_stopping_does_not_process_what_has_not_arrived(serve):
    server = serve({"kind": "late_arrival", "delay_s": 20})
    talk(server, patience_s=0.05)
    assert eventually(lambda: len(server.wire) == 1)
    server.stop()

    assert ([], 0) == (server.orders(), server.wire[0].processed)


def test_a_held_connection_ends_at_its_bound(serve):
    assert (b"", "closed") == talk(serve({"kind": "request_dropped"}, hold_s=0.05), patience_s=3)


def test_only_the_loopback_interface_is_bound(serve):
    server = serve()

    assert ("127.0.0.1", server.port) == server._listener.getsockname()
    assert f"http://127.0.0.1:{server.port}" == server.url


def test_after_stopping_nobody_listens(serve):
    server = serve()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        call(server)


def test_the_nth_fault_meets_one_call_of_many_threads(serve):
    server = serve({"kind": "status_before", "operation": "submit", "nth": 5})
    with ThreadPoolExecutor(8) as pool:
        statuses = [answer.status for answer, _ in pool.map(lambda _: call(server), range(40))]

    assert (1, 39, 39) == (statuses.count(503), statuses.count(200), len(server.orders()))
    assert [5] == [entry.sequence for entry in server.faults_applied]


def test_a_fault_meets_its_operation_only(serve):
    server = serve({"kind": "status_before", "operation": "submit"})

    assert [503, 200] == [call(server, method)[0].status for method in ("POST", "GET")]


# The administration


def test_administration_meets_no_fault_and_is_not_on_the_wire(serve):
    server = serve({"kind": "status_before"})

    assert (200, {"status": "ok", "requests": 0}) == admin(server, "GET", "health")
    assert ([], []) == (server.wire, server.faults_applied)


def test_administration_tells_what_the_venue_holds_and_what_was_sent(serve):
    server = serve({"kind": "answer_dropped"})
    talk(server, patience_s=0.05)
    assert eventually(lambda: len(server.orders()) == 1)

    assert (200, server.orders()) == admin(server, "GET", "orders")
    assert ["a"] == [order["client_order_id"] for order in server.orders()]
    assert [("submit", "a", "answer_dropped", 1, None)] == [
        (entry["operation"], entry["client_order_id"], entry["fault"], entry["processed"], entry["status"])
        for entry in admin(server, "GET", "wire")[1]
    ]
    assert ["answer_dropped"] == [entry["fault"] for entry in admin(server, "GET", "faults")[1]["applied"]]


def test_a_new_plan_counts_from_one(serve):
    server = serve({"kind": "status_before"})
    call(server)
    plan = {"seed": 3, "faults": [{"kind": "rate_limited", "operation": "submit", "nth": 2, "delay_s": 0.05}]}

    assert (200, plan) == admin(server, "PUT", "faults", plan)
    assert [200, 429, 200] == [call(server)[0].status for _ in range(3)]
    assert ["status_before", "rate_limited"] == [entry.fault for entry in server.faults_applied]


def test_a_bad_plan_is_refused_and_the_old_one_stays(serve):
    server = serve({"kind": "status_before"})
    status, answer = admin(server, "PUT", "faults", {"faults": [{"kind": "answer_droped"}]})

    assert (400, "faults[0]: kind 'answer_droped' is unknown; did you mean 'answer_dropped'?") == (
        status,
        answer["error"],
    )
    assert 503 == call(server)[0].status


def test_the_price_and_a_fill_can_be_forced(serve):
    server = serve()
    call(server, path="/orders?limit=8")
    call(server, path="/orders?limit=5")
    moved = admin(server, "POST", "price", {"symbol": "COIN", "price": "8"})[1]
    filled = admin(server, "POST", "fill", {"venue_order_id": "2", "quantity": "1"})[1]

    assert ["8"] == [order["price"] for order in moved]
    assert ("partially_filled", "1") == (filled["status"], filled["filled_quantity"])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("price", {"symbol": "COIN"}, "'price' is missing"),
        ("price", {"symbol": "NONE", "price": "1"}, "no instrument 'NONE'"),
        ("price", {"symbol": "COIN", "price": "0"}, "price 0 is not above zero"),
        ("fill", {"venue_order_id": "9", "quantity": "1"}, "no order '9'"),
    ],
)
def test_a_bad_order_to_the_market_is_explained(serve, name, data, message):
    assert (400, {"error": message}) == admin(serve(), "POST", name, data)


def test_an_unknown_administration_names_what_there_is(serve):
    status, answer = admin(serve(), "GET", "order")

    assert (404, True) == (status, "GET /_logos/orders" in answer["error"])


# Plans


def draws(plan, operations):
    return [fault.kind.value if (fault := plan.draw(operation)) else "" for operation in operations]


def test_the_same_seed_makes_the_same_faults():
    data = {"seed": 11, "faults": [{"kind": "empty", "probability": 0.5}, {"kind": "html", "probability": 0.3}]}
    first, second = (draws(FaultPlan.from_dict(data), ["submit"] * 200) for _ in range(2))
    other = draws(FaultPlan.from_dict({**data, "seed": 12}), ["submit"] * 200)

    assert first == second
    assert first != other
    assert {"", "empty", "html"} == set(first)


def test_a_fault_more_does_not_change_when_the_first_fires():
    one = {"kind": "empty", "probability": 0.5}
    alone = draws(FaultPlan.from_dict({"faults": [one]}), ["submit"] * 100)
    beside = draws(FaultPlan.from_dict({"faults": [one, {"kind": "html", "probability": 0.5}]}), ["submit"] * 100)

    assert alone == [kind.replace("html", "") for kind in beside]


def test_every_counts_the_calls_of_its_operation():
    plan = FaultPlan([Fault(kind=FaultKind.EMPTY, operation="submit", every=2)])

    assert ["", "", "empty", "", "empty"] == draws(plan, ["submit", "cancel", "submit", "submit", "submit"])


def test_the_first_fault_wins_and_the_second_counts_on():
    plan = FaultPlan([Fault(kind=FaultKind.EMPTY, nth=1), Fault(kind=FaultKind.HTML, nth=2)])

    assert ["empty", "html", ""] == draws(plan, ["submit"] * 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the plan: a table of keys is needed"),
        ({"fault": []}, "the plan: key 'fault' is unknown; did you mean 'faults'?"),
        ({"seed": "x"}, "seed: a whole number is needed, not 'x'"),
        ({"faults": {}}, "faults: a list is needed"),
        ({"faults": [{}]}, "faults[0]: kind is missing"),
        ({"faults": [{"kind": "empty", "operatoin": "submit"}]}, "key 'operatoin' is unknown; did you mean 'operation'?"),
        ({"faults": [{"kind": "empty", "operation": "sumbit"}]}, "did you mean 'submit'?"),
        ({"faults": [{"kind": "empty", "nth": 1, "every": 2}]}, "faults[0]: nth and every exclude one another: give one"),
        ({"faults": [{"kind": "empty", "nth": 0}]}, "nth: 0 is not between 1 and"),
        ({"faults": [{"kind": "empty", "nth": "1"}]}, "nth: a number is needed, not '1'"),
        ({"faults": [{"kind": "empty", "probability": 1.5}]}, "probability: 1.5 is not between 0 and 1"),
        ({"faults": [{"kind": "status_after", "status": 99}]}, "status: 99 is not between 200 and 599"),
        ({"faults": [{"kind": "delay_before", "delay_s": -1}]}, "delay_s: -1 is not between 0 and 3600"),
        ({"faults": [{"kind": "delay_before", "delay_s": float("nan")}]}, "delay_s: nan"),
        ({"faults": [{"kind": "delay_before", "delay_s": None}]}, "delay_s: a number is needed"),
        ({"faults": [{"kind": "delay_before", "delay_s": float("inf")}]}, "delay_s: inf is not between 0 and 3600"),
    ],
)
def test_a_bad_plan_is_an_error_that_names_the_key(data, message):
    with pytest.raises(FaultPlanError, match=re.escape(message)):
        FaultPlan.from_dict(data)


def test_a_plan_is_read_from_json_and_toml_alike(tmp_path):
    plan = FaultPlan([Fault(kind=FaultKind.RATE_LIMITED, operation="submit", every=3, retry_after_s=1)], 5)
    (tmp_path / "plan.json").write_text(json.dumps(plan.to_dict()))
    (tmp_path / "plan.toml").write_text(
        'seed = 5\n[[faults]]\nkind = "rate_limited"\noperation = "submit"\nevery = 3\nretry_after_s = 1\n'
    )

    assert plan.to_dict() == FaultPlan.load(tmp_path / "plan.json").to_dict()
    assert plan.to_dict() == FaultPlan.load(tmp_path / "plan.toml").to_dict()
    assert 6 == FaultPlan.load(tmp_path / "plan.toml", seed=6).seed


@pytest.mark.parametrize(("name", "text"), [("plan.json", "{"), ("plan.toml", "seed ="), ("plan.yaml", "")])
def test_a_file_that_is_no_plan_is_named(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(FaultPlanError, match=re.escape(name)):
        FaultPlan.load(tmp_path / name)


def test_a_request_is_read_part_by_part():
    request = HttpRequest("GET", "/v2/assets/BTC%2FUSD?a=1&a=2&b=", {}, b"x=1&y=%20")

    assert (["v2", "assets", "BTC/USD"], {"a": "2", "b": ""}, {"x": "1", "y": " "}) == (
        request.segments,
        request.query,
        request.form(),
    )


def test_numbers_in_json_stay_exact():
    assert D("0.1000000000000000055") == HttpRequest("POST", "/", {}, b"0.1000000000000000055").json()
    with pytest.raises(ValueError, match="NaN is not JSON"):
        HttpRequest("POST", "/", {}, b"NaN").json()
    with pytest.raises(ValueError, match="beyond all bounds"):
        HttpRequest("POST", "/", {}, b"1e99999999999999999999").json()
