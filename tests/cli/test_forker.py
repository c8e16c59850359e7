"""The short cut of these tests: a forked command is what a started one is."""

import pytest


@pytest.mark.parametrize("words", [["--version"], ["show", "nobody", "--json"], ["submit"], ["orders", "--last", "0"]])
def test_a_forked_command_says_and_ends_as_a_started_one(run, words):
    assert run(*words, fresh=True) == run(*words)
