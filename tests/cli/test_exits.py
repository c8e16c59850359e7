"""Every error has one exit code, and none of ours shows a traceback."""

import pytest

from logos_core import errors
from logos_core.cli import exits
from logos_core.cli.exits import Exit
from logos_core.errors import LogosError


def family(kind: type[LogosError]) -> list[type[LogosError]]:
    return [kind, *(member for child in kind.__subclasses__() for member in family(child))]


EXPECTED = {
    "ConfigurationError": Exit.USAGE,
    "PluginContractError": Exit.BUG,
    "OrderDeniedError": Exit.DENIED,
    "InvalidOrderError": Exit.DENIED,
    "OrderConflictError": Exit.CONFLICT,
    "OrderInFlightError": Exit.CONFLICT,
    "VenueError": Exit.UNKNOWN,
    "OrderRejectedError": Exit.REJECTED,
    "OrderNotPlacedError": Exit.UNAVAILABLE,
    "VenueUnavailableError": Exit.UNAVAILABLE,
    "OutcomeUnknownError": Exit.UNKNOWN,
    "OutcomeNotRecordedError": Exit.UNKNOWN,
    "StreamNotReadyError": Exit.UNAVAILABLE,
    "LedgerError": Exit.USAGE,
    "LedgerAdoptionError": Exit.USAGE,
    "AuditError": Exit.CHECK_FAILED,
    "ChainBrokenError": Exit.CHECK_FAILED,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_error_has_the_exit_code_that_is_documented(name):
    kind = next(member for member in family(errors.LogosError) if member.__name__ == name)

    assert EXPECTED[name] == exits.code_of(kind.__new__(kind))


def test_every_public_error_has_an_exit_code_here():
    public = {name for name in vars(errors) if name.endswith("Error")}

    assert set() == public - {"LogosError"} - set(EXPECTED)


def test_unknown_is_never_reported_as_anything_else():
    unknown = family(errors.OutcomeUnknownError)

    assert {Exit.UNKNOWN} == {exits.code_of(kind.__new__(kind)) for kind in unknown}


def test_a_bug_is_one_line_that_says_where(capsys):
    try:
        raise KeyError("nothing")
    except KeyError as error:
        code = exits.report(error, as_json=False)

    said = capsys.readouterr().err
    assert (1, 1) == (code, said.count("\n"))
    assert "this is a bug: KeyError" in said and "test_exits.py:" in said


def test_a_bug_shows_its_traceback_where_that_was_asked_for(capsys, monkeypatch):
    monkeypatch.setenv("LOGOS_DEBUG", "1")
    try:
        raise KeyError("nothing")
    except KeyError as error:
        exits.report(error, as_json=False)

    assert "Traceback" in capsys.readouterr().err


def test_an_interrupted_command_ends_as_unknown(capsys):
    assert Exit.UNKNOWN == exits.report(KeyboardInterrupt(), as_json=False)
