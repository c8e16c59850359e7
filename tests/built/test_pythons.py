"""Which Pythons the wheels are tried on, and that none is left out in silence."""

import sys
from pathlib import Path

import pytest

from tests.built.pythons import WHY_ONE, both_ends, oldest_wanted, pythons

HERE, OLD, NEW = Path("here"), (3, 11), (3, 13)


def test_the_ends_are_the_oldest_and_the_newest():
    assert [OLD, NEW] == both_ends({OLD: HERE, (3, 12): HERE, NEW: HERE}, None)


@pytest.mark.parametrize("found", [{OLD: HERE}, {NEW: HERE}, {(3, 12): HERE, NEW: HERE}])
def test_an_end_that_is_missing_fails_and_says_what_to_do(found: dict[tuple[int, int], Path]):
    with pytest.raises(LookupError, match=rf"tried on Python 3\.11 and on a newer one.*set {WHY_ONE}"):
        both_ends(found, None)


def test_an_end_may_be_missing_for_a_reason():
    assert [OLD] == both_ends({OLD: HERE}, "an image with one Python")


def test_what_is_no_python_is_passed_over(tmp_path: Path):
    shim, liar, old = (tmp_path / name for name in ("shim", "liar", "old"))
    shim.write_text("#!/bin/sh\nexit 127\n")
    liar.write_text("#!/bin/sh\necho 3 99 alpha cpython\n")
    old.write_text("#!/bin/sh\necho 3 9 final cpython\n")
    for path in (shim, liar, old):
        path.chmod(0o700)

    found = pythons([shim, liar, old, tmp_path / "nothing", Path(sys.executable)])

    assert {sys.version_info[:2]: Path(sys.executable)} == found


def test_the_oldest_is_what_the_packages_say():
    assert (3, 11) == oldest_wanted()
