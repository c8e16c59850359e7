"""The specification names tests that exist, and does not lose any."""

import ast
import functools
import re
from collections import Counter

import pytest

from tests.docs.conftest import ROOT

SPEC = (ROOT / "specs" / "009-adapters" / "spec.md").read_text(encoding="utf-8")
CLAUSES = re.findall(r"^- \*\*(A-\d+)\*\* (.*?)\n  Tests: (.*?)\.$", SPEC, re.MULTILINE | re.DOTALL)
NAMED = sorted({name for _, _, tests in CLAUSES for name in re.findall(r"`([^`]+)`", tests)})
TEST = r"`[^`]+`( \(fails today\))?"
UNPROVEN = "no test yet"
UNPROVEN_AT_MOST = 3
"""How many clauses may be without a test. It may fall, never grow."""


def test_every_clause_has_a_number_of_its_own():
    numbers = Counter(re.findall(r"\*\*(A-\d+)\*\*", SPEC))

    assert [] == [number for number, count in numbers.items() if count > 1]
    assert [number for number, _, _ in CLAUSES] == list(numbers)


def test_every_clause_obliges_somebody_in_at_most_two_sentences():
    loose = [number for number, text, _ in CLAUSES if not re.search(r"\b(must|may)\b", text)]
    long = [number for number, text, _ in CLAUSES if len(re.findall(r"[.!?](?:\s|$)", text)) > 2]

    assert ([], []) == (loose, long)


def test_every_clause_names_its_tests_or_says_that_there_are_none():
    silent = [number for number, _, tests in CLAUSES if tests != UNPROVEN and not re.fullmatch(rf"{TEST}(,\s+{TEST})*", tests)]

    assert [] == silent


def test_the_unproven_clauses_do_not_become_more():
    unproven = [number for number, _, tests in CLAUSES if tests == UNPROVEN]

    assert [] == unproven[UNPROVEN_AT_MOST:]


@pytest.mark.parametrize("name", NAMED)
def test_a_named_test_exists(name):
    path, _, function = name.partition("::")

    assert function in _functions(path)


@functools.cache
def _functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
