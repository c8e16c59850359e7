"""The site builds without a complaint, and a reader's browser asks no other host for anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import ROOT

LOADED = re.compile(
    r"<(?:script|img|iframe|source)[^>]*\ssrc=[\"'](?:https?:)?//|<link[^>]*\shref=[\"'](?:https?:)?//", re.IGNORECASE
)
RENDERED_BY_A_SCRIPT = re.compile(r"class=\"[^\"]*\b(?:mermaid|arithmatex)\b")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)

    assert built.returncode == 0, built.stderr

    return folder


def test_every_page_of_the_repository_is_on_the_site(site: Path):
    pages = {page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")}

    assert set() == {page for page in pages if not (site / page).exists()}
    assert (site / "specification.html").exists()


def test_nothing_is_loaded_from_another_host(site: Path):
    pages = list(site.rglob("*.html"))
    styles = [path.name for path in site.rglob("*.css") if re.search(r"url\([\"']?(?:https?:)?//|@import", path.read_text())]

    assert [] == [(page.name, found[0]) for page in pages if (found := LOADED.search(page.read_text(encoding="utf-8")))]
    assert [] == [page.name for page in pages if RENDERED_BY_A_SCRIPT.search(page.read_text(encoding="utf-8"))]
    assert [] == styles


def test_the_picture_of_the_life_of_an_intent_is_a_file_of_the_site(site: Path):
    page = (site / "lifecycle.html").read_text(encoding="utf-8")

    assert 'src="lifecycle.svg"' in page
    assert "stateDiagram" not in page
    assert (ROOT / "docs" / "lifecycle.svg").read_bytes() == (site / "lifecycle.svg").read_bytes()


def test_no_code_that_writes_the_pages_is_on_the_site(site: Path):
    assert [] == [path.name for path in site.rglob("*.py")]
