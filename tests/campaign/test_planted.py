"""The bugs that are planted by name: each is looked for where it is, and every patch fits."""

import json
from pathlib import Path

import pytest

from campaign import planted

BUG = "--- a/logos_core/__init__.py\n+++ b/logos_core/__init__.py\n@@ -1 +1 @@\n-answer = 42\n+answer = {}\n"
WRONG = BUG.format(41)
TESTS = """
from pathlib import Path
import logos_core

def test_the_answer():
    assert logos_core.answer == 42

def test_its_own_package_is_imported():
    assert Path(logos_core.__file__).parent.parent == Path(__file__).parent.parent

def test_nothing():
    pass
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree with a package that is called as the installed one is."""
    for name, text in {"logos_core/__init__.py": "answer = 42\n", "tests/test_it.py": TESTS}.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return tmp_path / "tree"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "mutants"
    path.mkdir()
    return path


def plant(folder, name, caught_by="", bug=WRONG):
    (folder / f"{name}.patch").write_text(f"The answer is wrong.\n{f'Caught by: {caught_by}' if caught_by else ''}\n\n{bug}")


def run(tree, folder, capsys, *options):
    code = planted.main(["--folder", str(folder), *options], tree)
    said = capsys.readouterr()
    return code, said.out or said.err


def test_a_bug_is_caught_by_the_first_test_that_fails_in_a_tree_of_its_own(tree, folder, capsys):
    plant(folder, "wrong", "tests/test_it.py::test_nothing, tests/test_it.py::test_the_answer")
    code, said = run(tree, folder, capsys, "--json")

    assert 0 == code
    assert [("wrong", "tests/test_it.py::test_the_answer")] == [(row["mutant"], row["caught_by"]) for row in json.loads(said)]
    assert "answer = 42\n" == (tree / "logos_core/__init__.py").read_text()


def test_a_bug_that_no_test_catches_survives(tree, folder, capsys):
    plant(folder, "caught", "tests/test_it.py")
    plant(folder, "missed", "tests/test_it.py::test_nothing tests/test_it.py::test_its_own_package_is_imported")
    code, said = run(tree, folder, capsys)

    assert 1 == code
    assert said.splitlines()[0].startswith("caught ")
    assert said.splitlines()[0].endswith("tests/test_it.py::test_the_answer")
    assert said.splitlines()[1].startswith("missed ")
    assert said.splitlines()[1].endswith("SURVIVED")
    assert "2 planted, 1 caught, 1 survived" == said.splitlines()[-1]


def test_a_patch_that_does_not_fit_is_an_error_and_named(tree, folder, capsys):
    plant(folder, "stale", "tests/test_it.py", BUG.replace("42", "43"))
    code, said = run(tree, folder, capsys)

    assert 2 == code
    assert said.startswith("stale does not apply: ")


@pytest.mark.parametrize(
    ("caught_by", "said"),
    [
        ("tests/test_it.py::test_fails", "tests/test_it.py::test_fails fails without any bug, so it catches none"),
        ("tests/test_it.py::test_gone", "a test is not there: tests/test_it.py::test_gone"),
    ],
)
def test_a_test_that_proves_nothing_is_an_error(tree, folder, capsys, caught_by, said):
    path = tree / "tests/test_it.py"
    path.write_text(path.read_text() + "\ndef test_fails():\n    assert False\n")
    plant(folder, "wrong", caught_by)
    code, told = run(tree, folder, capsys)

    assert 2 == code
    assert told.startswith(said)


def test_a_bug_that_does_not_run_is_an_error_and_named(tree, folder, capsys):
    plant(folder, "broken", "tests/test_it.py", BUG.format("}"))
    code, said = run(tree, folder, capsys)

    assert 2 == code
    assert said.startswith("broken: the tests cannot be imported with it")


def test_a_bug_that_makes_its_tests_hang_is_caught_by_that(tree, folder, monkeypatch):
    monkeypatch.setattr(planted, "LIMIT_S", 1.0)
    plant(folder, "hangs", "tests/test_it.py", BUG.format("__import__('time').sleep(60)"))
    (hangs,) = planted.read(folder)

    assert "no end within 1 s" == planted.tried(tree, hangs).caught_by


def test_an_unknown_name_is_answered_with_those_that_are_near(folder, capsys, tree):
    plant(folder, "send-before-commit")
    plant(folder, "bust-ignored")
    code, said = run(tree, folder, capsys, "--only", "sent-before-commit")

    assert (2, "no bug is named 'sent-before-commit'; near are: send-before-commit\n") == (code, said)


def test_a_folder_without_a_patch_is_an_error(folder, capsys, tree):
    assert (2, f"{folder} holds no *.patch\n") == run(tree, folder, capsys)


def test_a_copy_that_imports_another_tree_is_refused(tree):
    (tree / "json").mkdir()
    (tree / "json" / "__init__.py").touch()
    (tree / "sys").mkdir()
    (tree / "sys" / "__init__.py").touch()

    with pytest.raises(planted.PlantedError, match="the copy imports what is not its own"):
        planted.require_own(tree)


def test_what_names_no_test_is_tried_with_the_fast_ones_that_look_at_no_patch(folder):
    plant(folder, "anothers")
    (anothers,) = planted.read(folder)

    assert ("The answer is wrong.", (), planted.FAST) == (anothers.description, anothers.tests, anothers.tried_with)
    assert Path(__file__) == planted.TREE / planted.ABOUT_PATCHES


def test_every_patch_fits_says_what_it_is_and_names_tests_that_are_there():
    found = planted.read(planted.TREE / "campaign/mutants")

    with planted.scratch(planted.TREE) as copy:
        assert [] == [why for mutant in found if (why := planted.misfit(copy, mutant))]
    assert [] == [mutant.name for mutant in found if not mutant.description.endswith(".") or not mutant.tests]
    files = {test.partition("::")[0] for mutant in found for test in mutant.tests}
    assert [] == [name for name in files if not (planted.TREE / name).is_file()]
