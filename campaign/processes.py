"""Forked processes: what each says outlives it, and how each ended is known."""

import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from logos_core.errors import LogosError
from logos_core.testing.rehearsal.simulator import application
from logos_core.testing.server import LoopbackServer

HANGS_S = 180.0
"""How long a process may take; a recovery may have to wait for a venue's visibility lag a few times."""
HOLD_S = 3.0

Tell = Callable[[str], None]
"""Says a line to whoever started the process, at once. Its first word is the kind: `stumbled` of an error that the product knows, `error`
of any other."""
Act = Callable[[Tell], None]


@frozen
class Ended:
    """How a process ended, and what it had said."""

    is_killed: bool
    said: tuple[str, ...]

    def words(self, kind: str) -> list[str]:
        """Return what it said of one kind."""
        return [line.partition(" ")[2] for line in self.said if line.partition(" ")[0] == kind]


class Process:
    """A forked process that says lines through a pipe. It ends without tidying up, whatever happens."""

    def __init__(self, act: Act) -> None:
        self._reading, writing = os.pipe()
        self._heard = b""
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._reading)
            _be(act, writing)
        os.close(writing)

    def kill(self) -> None:
        """Kill it."""
        os.kill(self.pid, signal.SIGKILL)

    def hears(self, word: str) -> str | None:
        """Wait until it says something of one kind; return what, or None if it ended before."""
        while not (found := [line for line in self._lines() if line.partition(" ")[0] == word]):
            if not self._listen(HANGS_S):
                return None
        return found[0].partition(" ")[2]

    def ended(self, within_s: float = HANGS_S) -> Ended:
        """Wait for its end."""
        latest_s = time.monotonic() + within_s
        while self._listen(max(latest_s - time.monotonic(), 0.0)):
            pass
        if hangs := time.monotonic() >= latest_s:
            self.kill()
        _, status = os.waitpid(self.pid, 0)
        os.close(self._reading)
        said = (*self._lines(), "error it hangs") if hangs else tuple(self._lines())
        return Ended(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL and not hangs, said)

    def _lines(self) -> list[str]:
        return self._heard[: self._heard.rfind(b"\n") + 1].decode().splitlines()

    def _listen(self, within_s: float) -> bool:
        """Hear more; say whether there was more, before the end and in time."""
        if not select.select([self._reading], [], [], within_s)[0]:
            return False
        more = os.read(self._reading, 65_536)
        self._heard += more
        return bool(more)


def _be(act: Act, writing: int) -> None:
    def tell(line: str) -> None:
        os.write(writing, line.replace("\n", " ").encode() + b"\n")

    try:
        act(tell)
    except LogosError as error:
        tell(f"stumbled {type(error).__name__} {error}"[:2_000])
    except BaseException as error:  # noqa: BLE001  whatever it is, whoever waits must be told
        where = traceback.extract_tb(error.__traceback__)[-1]
        tell(f"error {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"[:2_000])
    finally:
        os._exit(0)


@contextmanager
def simulator(venue: str) -> Iterator[str]:
    """Have a venue simulated, until the block or this process ends; return where."""
    until, open_end = os.pipe()

    def serve(tell: Tell) -> None:
        os.close(open_end)
        with LoopbackServer(application(venue), hold_s=HOLD_S) as server:
            tell(f"url {server.url}")
            os.read(until, 1)

    process = Process(serve)
    os.close(until)
    try:
        url = process.hears("url")
        if url is None:
            raise RuntimeError(f"the simulator of {venue} does not start")
        yield url
    finally:
        os.close(open_end)
        process.kill()
        process.ended()
