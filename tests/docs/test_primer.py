"""Whoever is woken at three in the morning can type what the primer says."""

import re
import shlex
from importlib import import_module

import pytest

from logos_core.cli import commands, main
from tests.docs.conftest import ROOT

PAGE = (ROOT / "docs" / "ADAPTER_HARDENING.md").read_text(encoding="utf-8")
OPERATING = (ROOT / "docs" / "how-to" / "operate.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```console\n(.*?)```", PAGE + OPERATING, re.DOTALL)
TYPED = sorted(
    {line[2:].partition(" #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.startswith("$ logos ")}
)
MODULES = sorted(set(re.findall(r"`(rails\.\w+|wire|transport|adapter|recovery|adoption|reconciliation)`", PAGE)))


@pytest.mark.parametrize("typed", TYPED)
def test_a_command_of_the_primer_exists_with_its_options(typed, capsys):
    name, rest = commands.split(shlex.split(typed)[1:])
    options = [word for word in rest if word.startswith("--")]

    assert name in commands.COMMANDS
    assert 0 == main([*name.split(), "--help"])

    said = capsys.readouterr().out

    assert [] == [option for option in options if option not in said]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_that_the_primer_names_exists(name):
    assert f"logos_core.{name}" == import_module(f"logos_core.{name}").__name__


@pytest.mark.parametrize("page", [PAGE, OPERATING], ids=["primer", "operating"])
def test_the_runbook_uses_every_command_that_settles_something(page):
    lines = re.findall(r"^\$ logos (.*?)(?: #.*)?$", page, re.MULTILINE)
    used = {commands.split(shlex.split(line))[0] for line in lines}

    assert {"show", "resolve", "recover", "reconcile", "halt", "resume", "ledger adopt"} <= used


def test_the_primer_stays_short():
    assert 250 >= len(PAGE.splitlines())


def test_the_pages_link_to_files_that_exist():
    pages = [page for name in ("docs", "specs/009-adapters") for page in (ROOT / name).rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))]

    assert [] == [(page.name, link) for page, link in links if not link.startswith("http") and not (page.parent / link).exists()]
