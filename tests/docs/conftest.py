"""Examples run as a reader runs them: in processes of their own, in a fresh folder, with a LOGOS_HOME of their own."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import forker

__all__ = ["forker"]
ROOT = Path(__file__).resolve().parents[2]
TOY = ROOT / "examples" / "toy_venue"
DESK_LIMITS = ROOT / "examples" / "desk_limits"


class Reader:
    """Somebody who follows the documentation in an empty folder."""

    def __init__(self, folder: Path, *search_path: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        searched = os.pathsep.join(map(str, search_path))
        own = {"LOGOS_HOME": str(folder / "home"), "LOGOS_SIMULATOR_KEY": "any"}
        self.environ = {**os.environ, **own, **({"PYTHONPATH": searched} if searched else {})}

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=60, check=False)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


def installed(example: Path, folder: Path) -> Reader:
    """Return somebody who has installed an example, without the minute a build environment takes: the metadata is its pyproject's."""
    project = tomllib.loads((example / "pyproject.toml").read_text())["project"]
    package = project["name"].replace("-", "_")
    site = folder / "site"
    metadata = site / f"{package}-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in named.items())
        for group, named in project["entry-points"].items()
    ]
    (metadata / "entry_points.txt").write_text("\n".join(points))
    (site / package).symlink_to(example / package, target_is_directory=True)
    return Reader(folder / "desk", site)


@pytest.fixture
def toy_reader(tmp_path: Path) -> Reader:
    made = installed(TOY, tmp_path)
    (made.folder / "toy.toml").write_text((TOY / "toy_venue" / "presets" / "simulator.toml").read_text())
    return made


@pytest.fixture
def desk_reader(tmp_path: Path) -> Reader:
    return installed(DESK_LIMITS, tmp_path)
