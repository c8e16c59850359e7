"""The tutorial prints what it says it prints."""

import re

import pytest

from tests.docs.conftest import ROOT, TOY

PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
RUNS = dict(re.findall(r"<!-- run: (\S+) -->\n```text\n(.*?)```", PAGE, re.DOTALL))


@pytest.mark.parametrize("step", RUNS)
def test_a_step_prints_what_the_tutorial_shows(toy_reader, step):
    done = toy_reader.run(str(ROOT / step))

    assert "" == done.stderr
    assert RUNS[step] == re.sub(r"0x[0-9a-f]+", "0x…", done.stdout)


def test_every_planted_mistake_is_told_of():
    planted = {path.relative_to(ROOT).as_posix() for path in (TOY / "breaks").glob("*.py")} - {"examples/toy_venue/breaks/watch.py"}

    assert set(RUNS) - {"examples/toy_venue/one_order.py"} == planted


def test_every_code_block_comes_from_a_file_or_a_console():
    fences = re.findall(r"(.*)\n```(\w+)\n", PAGE)

    assert [] == [line for line, language in fences if language != "console" and not line.startswith("<!-- ")]


def test_the_installed_toy_is_listed_and_writes_its_preset(toy_reader):
    listed = toy_reader.run("-m", "logos_core.cli", "venues")
    written = toy_reader.run("-m", "logos_core.cli", "init", "toy")

    assert ["toy", "toy-venue", "0.1.0"] in [line.split() for line in listed.stdout.splitlines()]
    assert 0 == written.returncode
    assert (toy_reader.folder / "toy.toml").read_text() == (toy_reader.folder / "toy-simulator.toml").read_text()
