"""The whole search, or a slice of it, and the evidence of what came of it.

`python -m campaign` plays every part as often as a release needs, `--slice` as often as every change gets. Both write `evidence.json`:
what was played, how often, on what, what went wrong on the way, what broke, and how often it may still break (the rule of three).

It ends with 0 only if nothing broke and every part was played as often as it should be.
"""

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import apsw

from campaign.figures import Figures
from campaign.parts import PARTS, Part
from logos_core import venues

ROOT = Path(__file__).parent.parent
WORKERS = 2
ALWAYS = ("logos-core", "apsw", "attrs", "pluggy", "stamina")
TOLD_EVERY_S = 60.0


def chunks(part: Part, count: int) -> Iterator[tuple[int, int]]:
    """Return a part's runs in shares for one worker each: the first of them, and how many."""
    for first in range(0, count, part.chunk):
        yield first, min(part.chunk, count - first)


def search(wanted: Sequence[tuple[Part, int]]) -> dict[str, Figures]:
    """Play so many runs of each part, two at a time, and return what came of each."""
    found = {part.name: Figures() for part, _ in wanted}
    told_s = time.monotonic()
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        begun: dict[Future[Figures], str] = {}
        for part, count in wanted:
            begun |= {pool.submit(part.run, first, share): part.name for first, share in chunks(part, count)}
        for future in as_completed(begun):
            figures, name = future.result(), begun[future]
            found[name].add(figures)
            print(*(f"BROKEN {name}: {what}" for what in figures.broken), sep="\n", end="\n" if figures.broken else "", flush=True)
            if time.monotonic() - told_s > TOLD_EVERY_S:
                told_s = time.monotonic()
                print("  ".join(f"{part.name} {found[part.name].runs:,}/{count:,}" for part, count in wanted), flush=True)
    return found


def short(wanted: Sequence[tuple[Part, int]], found: dict[str, Figures]) -> list[str]:
    """Return what the search lacks of what was wanted."""
    lacks = []
    for part, count in wanted:
        figures = found[part.name]
        if figures.runs < count:
            lacks.append(f"{part.name}: {figures.runs} of {count} were played")
        why = part.falls_short(figures)
        if why is not None:
            lacks.append(f"{part.name}: {why}")
    return lacks


def circumstances() -> dict[str, Any]:
    """Return on what the search was made."""
    distributions = [*ALWAYS, *(venue.distribution for venue in venues.installed())]
    distributions += [venue.entry_point.load().sdk.distribution for venue in venues.installed()]
    return {
        "commit": _git("rev-parse", "HEAD"),
        "changed": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "packages": {name: metadata.version(name) for name in distributions},
    }


def _git(*arguments: str) -> str | None:
    """Return what git says, or None where this is no clone."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def main(arguments: list[str] | None = None) -> int:
    """Search, write the evidence, and return 0 if nothing broke and nothing is missing."""
    parser = argparse.ArgumentParser(prog="python -m campaign", description=__doc__.splitlines()[0])
    parser.add_argument("--slice", action="store_true", help="what every change gets, in two minutes")
    parser.add_argument("--only", choices=[part.name for part in PARTS], help="one of the parts")
    parser.add_argument("--share", type=float, default=1.0, help="play only this share of each part")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "evidence.json", help="where the evidence goes")
    chosen = parser.parse_args(arguments)
    if not 0 < chosen.share <= 1:
        parser.error("--share is above 0 and at most 1")
    parts = [part for part in PARTS if chosen.only in {None, part.name}]
    wanted = [(part, max(1, round((part.slice if chosen.slice else part.full) * chosen.share))) for part in parts]
    began_at, began_s, made_on = datetime.now(UTC), time.monotonic(), circumstances()
    found = search(wanted)
    lacks = short(wanted, found)
    told = {part.name: {"what": part.what, "wanted": count, **part.beside, **found[part.name].told()} for part, count in wanted}
    scale = ("A slice" if chosen.slice else "The whole search") + ("" if chosen.share == 1 else f", {chosen.share:.0%} of it")
    evidence = {
        "scale": scale,
        "began_at": began_at.isoformat(timespec="seconds"),
        "took_s": round(time.monotonic() - began_s),
        **made_on,
        "parts": told,
        "lacks": lacks,
    }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(evidence, indent=1) + "\n")
    for name, figures in told.items():
        bound = "-" if figures["bound"] is None else f"{figures['bound']:.1e}"
        print(
            f"{name:10} {figures['runs']:>9,} runs {figures['faults']:>11,} faults {figures['breaches']:>4} broken  rate below {bound}"
        )
    print(*lacks, f"evidence: {chosen.out}", sep="\n")
    return 1 if lacks or any(figures.broken for figures in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
