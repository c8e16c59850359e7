"""What it costs to begin: the command line's first answer, and what `import logos_core` brings along.

Bytecode is kept in a folder of its own and is there before anything is measured, as it is on a host that has run a command once.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from benchmarks.floor import NULL_RANGE

HEAVY = ("alpaca", "ccxt", "oandapyV20", "pandas", "requests", "asyncio", "loguru", "rich", "cryptography")
"""What `import logos_core` must not bring along: the SDKs, and what only some commands need."""

_REPORT = f"""
import json, sys
from logos_core import *
status = dict(line.split(":", 1) for line in open("/proc/self/status")) if sys.platform == "linux" else {{}}
print(json.dumps([[name for name in {HEAVY!r} if name in sys.modules], int(status.get("VmRSS", "0 kB").split()[0])]))
"""


@frozen(kw_only=True)
class Startup:
    """What one command costs, in bare interpreters.

    Attributes:
        trouble: why it is inconclusive, or None.
        broken: what the command said instead of its answer, or None.
    """

    ratios: tuple[float, ...] = ()
    bare_ms: float = 0.0
    trouble: str | None = None
    broken: str | None = None

    @property
    def median(self) -> float:
        """Return the median of all pairs."""
        return statistics.median(self.ratios)

    def __str__(self) -> str:
        if self.broken is not None:
            return self.broken
        return f"{self.median:.2f} ({min(self.ratios):.2f}–{max(self.ratios):.2f}) × bare interpreter, {self.bare_ms:.0f} ms"


@frozen(kw_only=True)
class Imported:
    """What a process holds after `import logos_core`."""

    heavy: tuple[str, ...]
    resident_mib: float


def command(arguments: list[str], folder: Path, *, pairs: int) -> Startup:
    """Compare a command with an interpreter that does nothing, pair by pair."""
    environ = _environ(folder)
    logos = [str(Path(sys.executable).with_name("logos")), *arguments]
    bare = [sys.executable, "-c", "pass"]
    for warm in (logos, bare):
        done = subprocess.run(warm, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            return Startup(broken=f"`logos {' '.join(arguments)}` fails: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    ratios, bare_s, null = [], [], []
    arms = {"reference": bare, "again": bare, "logos": logos}
    for _ in range(pairs):
        order = random.sample(list(arms), len(arms))
        walls_s = {name: _wall_s(arms[name], environ) for name in order}
        reference_s, again_s = walls_s["reference"], walls_s["again"]
        bare_s += [reference_s, again_s]
        null.append(again_s / reference_s)
        ratios.append(walls_s["logos"] / statistics.fmean((reference_s, again_s)))
    nothing = statistics.median(null)
    trouble = None if NULL_RANGE[0] <= nothing <= NULL_RANGE[1] else f"null arm at {nothing:.3f}"
    return Startup(ratios=tuple(ratios), bare_ms=statistics.median(bare_s) * 1000, trouble=trouble)


def imported(folder: Path) -> Imported:
    """Import the package, with every name it exports, in a fresh process and look around."""
    environ = _environ(folder)
    for _ in range(2):  # The first one compiles.
        said = subprocess.run([sys.executable, "-c", _REPORT], env=environ, capture_output=True, text=True, check=True)
    heavy, resident_kib = json.loads(said.stdout)
    return Imported(heavy=tuple(heavy), resident_mib=resident_kib / 1024)


def _environ(folder: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "pycache")}


def _wall_s(words: list[str], environ: Mapping[str, str]) -> float:
    started_s = time.perf_counter()
    subprocess.run(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started_s
