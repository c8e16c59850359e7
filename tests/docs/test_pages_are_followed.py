"""Whoever follows a page gets what it shows."""

import pytest

from tests.docs.conftest import ROOT, Reader
from tests.docs.following import Follower, blocks_of, missing, typed_in

HOW_TO = {f"docs/how-to/{page.name}" for page in (ROOT / "docs/how-to").glob("*.md")} - {
    "docs/how-to/operate.md",  # for a day on which something is wrong: its commands are looked at in test_primer.py
    "docs/how-to/venue-documents.md",  # it needs the venues' documents, which are theirs
    "docs/how-to/programs.md",  # its programs are run in test_examples.py
}
ORDERS = {"docs/first-order.md": {"8801": 2, "8811": 1}, "docs/concepts/orders.md": {}}
"""How many orders each simulator of a page holds in the end; one at every venue's own page."""
REASONS = {
    "the tests run in such an environment already",
    "half a minute; the rehearsal has tests of its own",
    "it needs an account",
}


@pytest.mark.parametrize("name", sorted({*HOW_TO, *ORDERS}))
def test_a_page_does_what_it_shows(name: str, reader: Reader, forker):
    follower = Follower(reader, forker)

    held = follower.follow((ROOT / name).read_text(encoding="utf-8"))

    assert 0 < follower.ran
    assert ORDERS.get(name, dict.fromkeys(held, 1)) == held


@pytest.mark.parametrize("name", sorted({*HOW_TO, *ORDERS}))
def test_what_is_not_run_says_why(name: str):
    reasons = {block.more for block in blocks_of((ROOT / name).read_text(encoding="utf-8")) if block.mark == "not run"}

    assert set() == reasons - REASONS


def test_a_line_that_does_not_come_is_missed():
    assert [] == missing(["one …", "three"], ["one and", "two", "three"])
    assert ["three"] == missing(["one", "three"], ["one", "threefold"])
    assert ["one"] == missing(["two", "one"], ["one", "two"])


def test_a_command_has_what_it_says_behind_it():
    typed = typed_in("$ logos venues  # all\nalpaca …\n\n$ logos status\n")

    assert [("logos venues", ["alpaca …"]), ("logos status", [])] == typed
