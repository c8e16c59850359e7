"""Start processes and lose none of them.

Every process gets its own group, so that a Ctrl-C at the terminal reaches only whoever started them, and a pipe as its standard
input, which closes when that one ends, however it ends: `end_with_parent` then ends the process too.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

END_S_MAX = 3.0


class Child:
    """One process of ours: it says JSON lines on its standard output."""

    def __init__(self, arguments: Sequence[str], log: Path, environ: Mapping[str, str]) -> None:
        self._log = log.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=dict(environ),
            start_new_session=True,
        )
        self.pid = self._process.pid

    def read(self) -> dict[str, Any] | None:
        """Return what the process says next, or None when it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        said: dict[str, Any] = json.loads(line)
        return said

    def is_alive(self) -> bool:
        """Say whether it still runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill it as a power cut would, and wait until it is gone."""
        if self.is_alive():
            self._process.kill()
        self._process.wait()

    def wait(self) -> int:
        """Wait for its own end and return its exit code."""
        return self._process.wait()

    def end(self) -> None:
        """Ask it to end, then see to it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(END_S_MAX)
        except (OSError, subprocess.TimeoutExpired):
            self.kill()
        finally:
            self._process.stdout.close()
            self._log.close()


class Children:
    """The processes of one rehearsal; none outlives it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: list[Child] = []
        self._closed = False

    def start(self, arguments: Sequence[str], log: Path, environ: Mapping[str, str]) -> Child:
        """Start a module of ours as a process."""
        with self._lock:
            if self._closed:
                raise RuntimeError("the rehearsal is ending; nothing is started any more")
            child = Child(arguments, log, environ)
            self._children.append(child)
            return child

    def close(self) -> None:
        """End them all, the latest first."""
        with self._lock:
            self._closed = True
            children, self._children = self._children[::-1], []
        for child in children:
            child.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.close()


def end_with_parent() -> None:
    """End this process, without ceremony, as soon as its standard input closes."""
    threading.Thread(target=_wait_for_end, name="end-with-parent", daemon=True).start()


def _wait_for_end() -> None:
    while os.read(0, 65536):  # not through sys.stdin, whose lock the interpreter wants back when it ends
        pass
    os._exit(0)


def say(**body: Any) -> None:
    """Tell the process that started this one."""
    sys.stdout.write(json.dumps(body, default=str) + "\n")
    sys.stdout.flush()
