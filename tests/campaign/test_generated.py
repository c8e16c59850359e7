"""Generated bugs: each is noticed, or somebody says why it need not be."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import asdict
from attrs.filters import include as fields

from campaign import generated
from campaign.mutations import Mutation, mutations

CODE = '''"""A tiny rule."""


def allowed(quantity: int) -> bool:
    """Tell whether it is allowed."""
    return quantity >= 1
'''
LOOSE = "from logos_core.lifecycle import allowed\n\ndef test_it():\n    assert allowed(9)\n    assert not allowed(-9)\n"
EXACT = LOOSE + "\ndef test_the_edge():\n    assert allowed(1)\n    assert not allowed(0)\n"
RUN = """
import sys, pathlib
from campaign import generated

generated.PRELOADED, generated.WORKERS = (), 1
sys.exit(generated.main(sys.argv[2:], pathlib.Path(sys.argv[1])))
"""


def entry(was: str, becomes: str) -> str:
    return (
        "[[survivor]]\n"
        f'file = "logos_core/lifecycle.py"\nfunction = "allowed"\nwas = "{was}"\nbecomes = "{becomes}"\nbecause = "nobody orders that"\n'
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    for name, text in {
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = ['--import-mode=importlib']\n",
        "logos_core/__init__.py": "",
        "logos_core/lifecycle.py": CODE,
    }.items():
        write(path / name, text)
    return path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def run(tree, *options):
    out = tree.parent / "figures.json"
    command = [sys.executable, "-c", RUN, str(tree), "--out", str(out), *options]
    done = subprocess.run(command, cwd=generated.TREE, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr, json.loads(out.read_text()) if out.exists() else None


def changes(tree, code):
    write(tree / "logos_core/lifecycle.py", code)
    return [(made.was, made.becomes) for made in mutations(tree, "logos_core/lifecycle.py")]


def test_what_no_test_notices_and_nobody_explains_ends_the_command_with_1(tree):
    write(tree / "tests/unit/test_it.py", LOOSE)
    code, said, figures = run(tree)

    assert 1 == code, said
    assert {"made": 2, "tried": 2, "killed": 0, "no_start": 0, "no_end": 0, "survived": 2, "explained": 0} == figures["files"][
        "logos_core/lifecycle.py"
    ]
    assert {"return quantity > 1", "return quantity >= 2"} == {change["becomes"] for change in figures["unexplained"]}
    assert CODE == (tree / "logos_core/lifecycle.py").read_text()


def test_what_is_explained_may_survive_and_what_was_not_tried_is_not_stale(tree):
    (change, other) = mutations(tree, "logos_core/lifecycle.py")
    said = [
        generated.Explanation(**asdict(change, filter=fields("file", "function", "was", "becomes")), because="nobody orders that")
    ]
    made = {"logos_core/lifecycle.py": [change, other]}
    survived = generated.figures(made, [generated.Tried(change, None)], said)
    untried = generated.figures(made, [generated.Tried(other, "test")], said)

    assert (1, [], []) == (survived["files"]["logos_core/lifecycle.py"]["explained"], survived["unexplained"], survived["stale"])
    assert [] == untried["stale"]


def test_an_explanation_of_what_is_killed_or_gone_is_told_to_be_stale(tree):
    write(tree / "tests/unit/test_it.py", EXACT)
    write(tree / generated.SURVIVORS, entry("return quantity >= 1", "return quantity > 1") + entry("return False", "return True"))
    code, said, figures = run(tree)

    assert 0 == code, said
    assert 2 == figures["files"]["logos_core/lifecycle.py"]["killed"]
    assert ["return quantity >= 1", "return False"] == [stale["was"] for stale in figures["stale"]]
    assert "stale: logos_core/lifecycle.py allowed: return False: nobody orders that" in said


def test_tests_that_fail_without_any_change_prove_nothing(tree):
    write(tree / "tests/unit/test_it.py", "def test_it():\n    assert 1 == 2\n")
    code, said, figures = run(tree)

    assert (2, None) == (code, figures)
    assert said.startswith("the tests fail without any change")


def test_a_file_in_which_nothing_is_changed_is_answered_with_those_that_are(tree, capsys):
    assert 2 == generated.main(["--only", "orders"], tree)
    assert "nothing is changed in orders, only in: logos_core/lifecycle.py\n" == capsys.readouterr().err


def test_codes_tables_calls_and_conditions_are_changed_and_texts_are_not(tree):
    made = changes(
        tree,
        """
REASONS = {"HALTED": 1, "LATCHED": 2}

def leave(session: str, *, live: bool) -> None:
    if live:
        raise ValueError("nothing leaves", f"as {session} is live")
    session.close()
""",
    )

    assert ('REASONS = {"HALTED": 1, "LATCHED": 2}', 'REASONS = {"LATCHED": 2}') in made
    assert ('REASONS = {"HALTED": 1, "LATCHED": 2}', 'REASONS = {"XXHALTEDXX": 1, "LATCHED": 2}') in made
    assert ("if live:", "if not (live):") in made
    assert ("session.close()", "pass") in made
    assert [] == [change for change in made if "nothing leaves" in change[0]]


def test_the_same_share_of_each_file_is_drawn_and_the_same_one_again():
    made = {
        name: [Mutation(name, "", str(number), "", range(0), "") for number in range(count)]
        for name, count in {"a.py": 40, "b.py": 10}.items()
    }
    drawn = generated.drawn(made, 25, 1)

    assert [("a.py", 20), ("b.py", 5)] == [(name, sum(change.file == name for change in drawn)) for name in made]
    assert drawn == generated.drawn(made, 25, 1)
    assert drawn != generated.drawn(made, 25, 2)
    assert 50 == len(generated.drawn(made, 3_000, 1))
