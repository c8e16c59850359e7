"""The traffic that is judged is real: each scenario does what it is there for, and together they use each operation that is ours."""

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from tools.spec_check import checking, scenarios
from tools.spec_check.checking import check, traffic
from tools.spec_check.documents import upgraded
from tools.spec_check.findings import Kind
from tools.spec_check.validating import Judge
from tools.spec_check.venues import DOCUMENTED, Documented

VENUES = {item.venue: item for item in DOCUMENTED}
BASES = {"oanda": "/v3"}
QUICK = tuple(item for item in scenarios.SCENARIOS if item is not scenarios.several_pages)


def permissive(documented: Documented) -> dict[str, Any]:
    """Return a document that has a venue's operations, and nothing against any request or answer."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in documented.operations:
        method, path = operation.split(" ", 1)
        names = [part.strip("{}") for part in path.split("/") if part.startswith("{")]
        parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
        paths.setdefault(path, {})[method.lower()] = {
            "parameters": parameters,
            "requestBody": {"content": {"application/json": {}, "application/x-www-form-urlencoded": {}}},
            "responses": {"default": {"description": ""}},
        }
    return {"openapi": "3.0.0", "basePath": BASES.get(documented.venue, ""), "paths": paths, "components": {}}


@pytest.mark.parametrize("venue", VENUES)
def test_the_scenarios_use_every_operation_that_is_ours_and_no_other(venue: str):
    documented = VENUES[venue]
    calls, failed = traffic(documented, QUICK)
    judge = Judge(venue, upgraded(permissive(documented), "the permissive document"))

    assert [] == failed
    assert sorted(documented.operations) == sorted({str(judge.operation(call.request)) for call in calls})


@pytest.mark.parametrize("venue", VENUES)
def test_every_declared_type_and_time_in_force_is_ordered(venue: str):
    from logos_core import venues
    from logos_core.orders import Side
    from logos_core.testing.rehearsal.simulator import application
    from tools.spec_check.orders import declared

    found, variant = venues.declaration(venue)
    capabilities = found.capabilities[variant]
    ordered = list(declared(capabilities, application(venue).exchange.instruments()[0], Side.BUY))
    expected = {(kind, lasts) for kind, times in capabilities.times_in_force.items() for lasts in times}

    assert expected == {(order.order_type, order.time_in_force) for order in ordered}
    assert len(ordered) == len({order.intent_id for order in ordered})


def _checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]) -> checking.Result:
    monkeypatch.setattr(checking, "SCENARIOS", (scenarios.a_guarded_session,))
    documented = evolve(VENUES["oanda"], narrow=lambda made: made)
    (tmp_path / documented.file).write_text(json.dumps(given))
    return check(documented, tmp_path, [])


def test_real_traffic_is_judged_by_a_document_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = _checked(tmp_path, monkeypatch, permissive(VENUES["oanda"]))

    assert {"query.from", "query.id", "query.instruments", "query.to"} == {item.where for item in found.violations}
    assert {Kind.UNDECLARED_FIELD} == {item.kind for item in found.violations}


def test_a_planted_rule_finds_what_really_was_sent_and_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given = permissive(VENUES["oanda"])
    order = {"type": "object", "properties": {"units": {"type": "integer"}}}
    body = {"type": "object", "properties": {"order": order}}
    answer = {"type": "object", "required": ["colour"]}
    given["paths"]["/accounts/{accountID}/orders"]["post"] |= {
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": {"201": {"content": {"application/json": {"schema": answer}}}},
    }
    found = {(item.kind, item.where) for item in _checked(tmp_path, monkeypatch, given).violations}

    assert (Kind.WRONG_TYPE, "body.order.units") in found
    assert (Kind.UNDECLARED_FIELD, "body.order.type") in found
    assert (Kind.MISSING, "body.colour") in found


def test_a_scenario_that_fails_does_not_hide_what_was_said(monkeypatch: pytest.MonkeyPatch):
    def fails(desk):
        desk.venue.identify()
        raise AssertionError("as planned")

    calls, failed = traffic(VENUES["oanda"], [fails])

    assert calls
    assert ["fails"] == [said.partition(":")[0] for said in failed]
