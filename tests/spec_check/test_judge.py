"""The judge finds every kind of deviation that is planted, each in its place, and nothing where there is none."""

from copy import deepcopy

import pytest

from logos_core.testing.server import HttpRequest, HttpResponse
from tests.spec_check.made_up import asked, document, judge, old_document, order, sent
from tools.spec_check.documents import DocumentError, narrowed_by_type, upgraded
from tools.spec_check.findings import Kind, Side
from tools.spec_check.validating import Call, Judge

GOOD = [sent({"side": "buy"}), sent({"side": "sell", "qty": "1"}, status=422, answer={}), asked("limit=5&status=open")]
PLANTED = {
    "unknown field sent": (sent({"side": "buy", "colour": "red"}), Side.SENT, Kind.UNDECLARED_FIELD, "body.colour"),
    "missing field sent": (sent({"qty": "1"}), Side.SENT, Kind.MISSING, "body.side"),
    "wrong word sent": (sent({"side": "hold"}), Side.SENT, Kind.WRONG_VALUE, "body.side"),
    "number for a text sent": (sent({"side": "buy", "qty": 1}), Side.SENT, Kind.WRONG_TYPE, "body.qty"),
    "no JSON sent": (sent(b"{"), Side.SENT, Kind.UNREADABLE, "body"),
    "nothing sent": (sent(b""), Side.SENT, Kind.MISSING, "body"),
    "unknown parameter": (asked("limit=5&colour=red"), Side.SENT, Kind.UNDECLARED_FIELD, "query.colour"),
    "missing parameter": (asked("status=open"), Side.SENT, Kind.MISSING, "query.limit"),
    "parameter too large": (asked("limit=501"), Side.SENT, Kind.WRONG_VALUE, "query.limit"),
    "parameter of a wrong word": (asked("limit=5&status=all"), Side.SENT, Kind.WRONG_VALUE, "query.status"),
    "parameter that is no number": (asked("limit=many"), Side.SENT, Kind.UNREADABLE, "query.limit"),
    "undeclared status": (asked("limit=5", status=404, answer={}), Side.ANSWERED, Kind.UNDECLARED_STATUS, "status"),
    "missing field answered": (asked("limit=5", answer=[{"status": "new"}]), Side.ANSWERED, Kind.MISSING, "body[*].id"),
    "wrong word answered": (sent({"side": "buy"}, answer=order(status="odd")), Side.ANSWERED, Kind.WRONG_VALUE, "body.status"),
    "number for a text": (sent({"side": "buy"}, answer=order(price=1)), Side.ANSWERED, Kind.WRONG_TYPE, "body.price"),
    "null for a text": (asked("limit=5", answer=[order(legs=[{"qty": None}])]), Side.ANSWERED, Kind.WRONG_TYPE, "body[*].legs[*].qty"),
    "wrong format": (sent({"side": "buy"}, answer=order(id="7")), Side.ANSWERED, Kind.WRONG_VALUE, "body.id"),
    "unknown field in an answer": (sent({"side": "buy"}, answer=order(hue=1)), Side.ANSWERED, Kind.UNDECLARED_FIELD, "body.hue"),
    "unknown field answered": (asked("limit=5", answer=[order(hue=1)]), Side.ANSWERED, Kind.UNDECLARED_FIELD, "body[*].hue"),
    "unknown field of an object inside": (
        sent({"side": "buy"}, answer=order(owner={"hue": 1})), Side.ANSWERED, Kind.UNDECLARED_FIELD, "body.owner.hue",
    ),
    "no time": (sent({"side": "buy"}, answer=order(at="noon")), Side.ANSWERED, Kind.WRONG_VALUE, "body.at"),
    "no number": (sent({"side": "buy"}, answer=order(size="1e")), Side.ANSWERED, Kind.WRONG_VALUE, "body.size"),
    "unknown field inside": (
        asked("limit=5", answer=[order(legs=[{"hue": 1}])]), Side.ANSWERED, Kind.UNDECLARED_FIELD, "body[*].legs[*].hue",
    ),
}  # fmt: skip


@pytest.mark.parametrize("call", GOOD)
def test_what_fits_the_document_is_no_finding(call):
    assert [] == judge().judge(call)


@pytest.mark.parametrize("planted", PLANTED)
def test_each_planted_deviation_is_found_once_and_in_its_place(planted):
    call, side, kind, where = PLANTED[planted]

    assert [(side, kind, where)] == [(found.side, found.kind, found.where) for found in judge().judge(call)]


def test_only_an_undeclared_field_of_an_answer_is_no_violation():
    for call, side, kind, _ in PLANTED.values():
        expected = (side, kind) != (Side.ANSWERED, Kind.UNDECLARED_FIELD)

        assert [expected] == [finding.is_violation for finding in judge().judge(call)]


def test_a_request_that_the_document_does_not_have_is_found():
    for request in (HttpRequest("GET", "/trades"), HttpRequest("DELETE", "/orders")):
        found = judge().judge(Call(request, HttpResponse(200)))

        assert [Kind.UNDECLARED_PATH] == [finding.kind for finding in found]


@pytest.mark.parametrize("planted", [name for name in PLANTED if name != "parameter that is no number"])
def test_a_document_of_version_2_finds_the_same(planted):
    call, side, kind, where = PLANTED[planted]
    moved = Call(
        HttpRequest(call.request.method, "/v9" + call.request.target, call.request.headers, call.request.body), call.answer
    )
    found = [
        finding
        for finding in judge(old_document()).judge(moved)
        if (finding.kind, finding.where[-5:]) != (Kind.WRONG_TYPE, "price")
    ]

    assert [(side, kind, where)] == [
        (finding.side, finding.kind, finding.where) for finding in found
    ] or planted == "number for a text"


def test_a_missing_key_is_found():
    keyed = {**document(), "security": [{"Key": []}]}
    keyed["components"] = {**keyed["components"], "securitySchemes": {"Key": {"type": "apiKey", "in": "header", "name": "X-Key"}}}

    assert [(Kind.MISSING, "header")] == [(found.kind, found.where) for found in judge(keyed).judge(asked("limit=5"))]


def test_a_form_counts_as_the_query_only_where_the_venue_takes_both():
    made = deepcopy(document())
    request = HttpRequest("GET", "/orders", {"content-type": "application/x-www-form-urlencoded"}, b"limit=5")
    call = Call(request, HttpResponse.json(200, []))

    assert [] == Judge("made-up", upgraded(made, "made up"), form_is_query=True).judge(call)
    assert {"query.limit", "body"} == {found.where for found in judge().judge(call)}


def test_the_type_of_a_value_decides_which_definition_it_must_fit():
    made = document()
    made["components"]["schemas"] |= {
        "Thing": {"type": "object"},
        "LimitThing": {"type": "object", "properties": {"type": {"type": "string"}, "price": {"type": "string"}}},
        "StopLossThing": {"type": "object", "properties": {"type": {"type": "string"}, "trigger": {"type": "string"}}},
    }
    made["paths"]["/orders"]["post"]["requestBody"]["content"]["application/json"]["schema"] = {
        "$ref": "#/components/schemas/Thing"
    }
    narrow = Judge("made-up", narrowed_by_type(upgraded(made, "made up"), ("Thing",)))

    def wheres(body):
        return [(found.kind, found.where) for found in narrow.judge(sent(body))]

    assert [] == wheres({"type": "LIMIT", "price": "1"})
    assert [] == wheres({"type": "STOP_LOSS", "trigger": "1"})
    assert [(Kind.UNDECLARED_FIELD, "body.trigger")] == wheres({"type": "LIMIT", "trigger": "1"})
    assert [(Kind.WRONG_TYPE, "body.price")] == wheres({"type": "LIMIT", "price": 1})
    assert (Kind.WRONG_VALUE, "body.type") in wheres({"type": "ODD"})
    assert (Kind.MISSING, "body.type") in wheres({"price": "1"})


def test_a_document_of_another_version_is_refused():
    with pytest.raises(DocumentError, match=r"version 4\.0"):
        upgraded({"openapi": "4.0"}, "the document")
