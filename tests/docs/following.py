"""Somebody who does what a page says: writes its files, types its commands, and compares what comes back.

Above a block may stand a line that says what it is:

* `<!-- not run: WHY -->`: nobody types it here
* `<!-- file: NAME -->`: it is saved under that name
* `<!-- run -->`: it is run as a program

Lines of a console block that are no commands are what the command before them says; `…` stands for what differs.
"""

import json
import re
import shlex
import shutil
import socket
import subprocess
import urllib.request
from typing import NamedTuple

from tests.cli.conftest import Forker
from tests.docs.conftest import Reader

BLOCK = re.compile(r"(?:^<!-- ([a-z ]+)(?:: ?(.*?))? -->\n)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PORT = re.compile(r"\b88\d\d\b")
TYPED_ELSEWHERE = ("pip ", "logos rehearse ")
"""What a page may show and nobody types here: it needs an index, or has tests of its own and takes half a minute."""


class Block(NamedTuple):
    """A code block, and what stands above it."""

    mark: str
    more: str
    language: str
    text: str


class Typed(NamedTuple):
    """A command, and what it should say."""

    command: str
    said: list[str]


def blocks_of(page: str) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(page)]


def typed_in(text: str) -> list[Typed]:
    found: list[Typed] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Typed(re.split(r"\s+# ", line[2:])[0].strip(), []))
        elif line.strip():
            found[-1].said.append(line)
    return found


class Follower:
    """Follows one page in a folder. Each port of a page stands for a free one, which another program cannot have."""

    def __init__(self, reader: Reader, forker: Forker) -> None:
        self.reader, self.forker = reader, forker
        self.home = "home"
        self.ports: dict[str, str] = {}
        self.running: list[subprocess.Popen[str]] = []
        self.ran = 0

    def follow(self, page: str) -> dict[str, int]:
        """Do what the page says, and return how many orders each of its simulators holds at the end, by the port that it names."""
        try:
            for block in blocks_of(page):
                self._do(block)
            return {shown: _held(port) for shown, port in self.ports.items()}
        finally:
            for process in self.running:
                process.terminate()
                process.communicate(timeout=10)

    def _do(self, block: Block) -> None:
        if block.mark == "file":
            (self.reader.folder / block.more).write_text(block.text)
        elif block.mark == "run":
            (self.reader.folder / "shown.py").write_text(block.text)
            self._agree(Typed("python shown.py", []), *self._python("shown.py"))
        elif block.language == "console" and block.mark != "not run":
            for typed in typed_in(block.text):
                self._type(typed)

    def _type(self, typed: Typed) -> None:
        if typed.command.startswith(TYPED_ELSEWHERE):
            return
        words = shlex.split(PORT.sub(lambda found: self._port(found[0]), typed.command))
        if words[0] == "export":
            self._export(words[1])
        elif words[-1] == "&":
            self._start(words[1:-1])
        else:
            self._agree(typed, *self._run(words))
        for preset in self.reader.folder.glob("*.toml"):
            preset.write_text(PORT.sub(lambda found: self._port(found[0]), preset.read_text()))

    def _run(self, words: list[str]) -> tuple[int, str]:
        if words[0] == "logos":
            done = self.forker.logos(*words[1:], home=self.reader.folder / self.home)
            return done.code, done.out + done.err
        if words[0] == "python":
            return self._python(*words[1:])
        tool = shutil.which(words[0])

        assert tool is not None, f"nobody knows how to type {words[0]}"

        done_ = subprocess.run([tool, *words[1:]], cwd=self.reader.folder, capture_output=True, text=True, timeout=30, check=False)
        return done_.returncode, done_.stdout + done_.stderr

    def _python(self, *words: str) -> tuple[int, str]:
        self.reader.environ["LOGOS_HOME"] = str(self.reader.folder / self.home)
        done = self.reader.run(*words)
        return done.returncode, done.stdout + done.stderr

    def _export(self, given: str) -> None:
        name, _, value = given.partition("=")
        if name == "LOGOS_HOME":
            self.home = value.strip('"').removeprefix("$PWD/")
        else:
            self.reader.environ[name] = value

    def _start(self, words: list[str]) -> None:
        process = self.reader.start("-m", "logos_core.cli", *words)
        self.running.append(process)

        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")

    def _agree(self, typed: Typed, code: int, output: str) -> None:
        self.ran += 1
        failed = any(line.startswith("logos: ") for line in typed.said)

        assert failed == (code != 0), f"{typed.command} ended with {code}: {output}"
        assert [] == missing(typed.said, output.splitlines()), f"{typed.command} said: {output}"

    def _port(self, shown: str) -> str:
        if shown in self.ports.values():
            return shown
        if shown not in self.ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.ports[shown] = str(probe.getsockname()[1])
        return self.ports[shown]


def _held(port: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_logos/orders", timeout=5) as answer:
        return len(json.load(answer))


def missing(expected: list[str], said: list[str]) -> list[str]:
    """Return the expected lines that do not come, in their order, among those that were said."""
    left = iter(said)
    return [line for line in expected if not any(_pattern(line).fullmatch(other.strip()) for other in left)]


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in line.strip().split("…")))
