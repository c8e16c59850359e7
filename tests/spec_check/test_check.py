"""A venue stands only if all of its operations were seen, no other was, and every deviation is accepted and still there."""

from pathlib import Path

import pytest
from attrs import evolve

from logos_core.testing.server import HttpRequest, HttpResponse
from tests.spec_check.made_up import asked, judge, order, sent
from tools.spec_check import deviations, reporting
from tools.spec_check.__main__ import main
from tools.spec_check.checking import Result, judged
from tools.spec_check.deviations import Accepted, DeviationError
from tools.spec_check.findings import Kind, Side, counted
from tools.spec_check.validating import Call
from tools.spec_check.venues import DOCUMENTED, Documented

OURS = ("GET /orders", "POST /orders")
GOOD = [asked("limit=5"), sent({"side": "buy"})]
ODD = sent({"side": "buy"}, answer=order(status="odd"))
ACCEPTED = Accepted("made-up", "POST /orders", Side.ANSWERED, Kind.WRONG_VALUE, "body.status", 201, "it is so", "seen")


def result(calls: list[Call], accepted: list[Accepted] | None = None, failed: list[str] | None = None, **changes) -> Result:
    given = {"venue": "made-up", "file": "made-up.json", "title": "Made Up 1", "source": "nowhere", "statuses": (), "page": 1}
    return judged(Documented(**{**given, "operations": OURS, **changes}), judge(), calls, failed or [], accepted or [])


def test_a_venue_stands_whose_operations_were_all_seen_to_fit():
    assert result(GOOD).stands


def test_nothing_seen_is_no_success():
    assert not result([]).stands
    assert not result([], operations=()).stands


def test_an_operation_of_ours_that_was_not_seen_is_told():
    found = result(GOOD[:1])

    assert (("POST /orders",), False) == (found.unseen, found.stands)
    assert "our operations that no traffic exercised\n  POST /orders" in reporting.told([found])


def test_an_operation_that_is_not_listed_as_ours_is_told():
    found = result(GOOD, operations=OURS[:1])

    assert (("POST /orders",), False) == (found.foreign, found.stands)


def test_a_request_that_the_document_does_not_have_is_a_violation():
    found = result([*GOOD, Call(HttpRequest("GET", "/trades"), HttpResponse(200))])

    assert (1, False) == (len(found.violations), found.stands)


def test_a_violation_is_told_once_with_its_count_and_an_example():
    found = result([*GOOD, ODD, ODD])

    assert [2] == [count for _, count in counted(found.violations)]
    assert not found.stands
    assert "'odd'" in reporting.told([found])


def test_an_undeclared_field_of_an_answer_is_told_only_when_asked():
    found = result([*GOOD, sent({"side": "buy"}, answer=order(hue=1))])

    assert found.stands
    assert "body.hue" not in reporting.told([found])
    assert "body.hue" in reporting.told([found], verbose=True)


def test_an_accepted_deviation_is_no_violation_and_is_told_with_its_reason():
    found = result([*GOOD, ODD], [ACCEPTED])

    assert found.stands
    assert "it is so" in reporting.told([found], verbose=True)


@pytest.mark.parametrize(
    "change",
    [
        {"venue": "other"}, {"operation": "GET /orders"}, {"side": Side.SENT}, {"kind": Kind.MISSING}, {"where": "body.id"}, {"status": 200},
    ],
)  # fmt: skip
def test_an_accepted_deviation_covers_nothing_else(change):
    found = result([*GOOD, ODD], [evolve(ACCEPTED, **change)])

    assert (1, 1, False) == (len(found.violations), len(found.unused), found.stands)


def test_an_accepted_deviation_that_nothing_fits_any_more_is_told():
    found = result(GOOD, [ACCEPTED])

    assert ((ACCEPTED,), False) == (found.unused, found.stands)
    assert "nothing fits any more" in reporting.told([found])


def test_a_scenario_that_failed_is_told():
    found = result(GOOD, failed=["lookups: AssertionError"])

    assert not found.stands
    assert "lookups: AssertionError" in reporting.told([found])


def test_an_entry_of_the_list_is_as_many_deviations_as_it_names(tmp_path: Path):
    entry = 'venue = "v"\noperation = ["GET /a", "GET /b"]\nside = "answered"\nkind = "undeclared status"\nwhere = "status"\n'
    path = tmp_path / "list.toml"
    path.write_text(f'[[deviation]]\n{entry}status = [401, 429]\nreason = "r"\nsource = "s"\n')

    assert [("GET /a", 401), ("GET /a", 429), ("GET /b", 401), ("GET /b", 429)] == [
        (found.operation, found.status) for found in deviations.load(path)
    ]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('reason = ""\nsource = "s"', "no reason"),
        ('reason = "r"', "no source"),
        ('reason = "r"\nsource = "s"\nside = "left"', "left"),
        ('reason = "r"\nsource = "s"\nside = "sent"\nkind = "missing"\noperation = "*"\nwhere = "body"', "venue"),
    ],
)
def test_an_entry_of_the_list_says_why_and_where_from(tmp_path: Path, lines: str, told: str):
    path = tmp_path / "list.toml"
    path.write_text(
        f"[[deviation]]\n{lines}\n" + ('venue = "v"\nkind = "missing"\noperation = "*"\nwhere = "b"\n' if "left" in lines else "")
    )

    with pytest.raises(DeviationError, match=told):
        deviations.load(path)


def test_the_own_list_can_be_read_and_speaks_of_documented_venues():
    assert {item.venue for item in deviations.load()} <= {item.venue for item in DOCUMENTED}


def test_without_documents_it_says_loudly_that_it_skipped_and_what_to_fetch(capsys):
    assert 0 == main([])

    said = capsys.readouterr().out
    assert "SKIPPED: nothing was checked" in said
    for item in DOCUMENTED:
        assert item.file in said
        assert item.source in said


def test_a_missing_document_is_an_error_that_names_it(tmp_path: Path, capsys):
    for item in DOCUMENTED[1:]:
        (tmp_path / item.file).write_text("{}")

    assert 2 == main(["--specs", str(tmp_path)])
    assert DOCUMENTED[0].file in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]", '{"openapi": "4.0"}'])
def test_a_document_that_is_none_is_an_error(tmp_path: Path, capsys, text: str):
    (tmp_path / "oanda-v20.json").write_text(text)

    assert 2 == main(["--specs", str(tmp_path), "oanda"])
    assert "oanda-v20.json" in capsys.readouterr().err
