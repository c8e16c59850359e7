"""`logos venues`: what is installed. Plain: it has to answer at once, and when a plugin is broken."""

import argparse
import json
import subprocess
import sys
from typing import Any

from logos_core.cli.plainly import parser

GROUP = "logos.venues"
LOAD_TIMEOUT_S = 120


def venues(args: list[str]) -> int:
    """List the installed venues, without importing them."""
    given = _parser().parse_args(args)
    rows = listed()
    if given.load:
        rows = [row | _tried(row["name"]) for row in rows]
    if given.json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        print(_text(rows) if rows else "no venue is installed; run for example: pip install logos-alpaca")
    return 8 if any(row.get("error") for row in rows) else 0


def listed() -> list[dict[str, Any]]:
    """Return the installed venues from their packages' metadata; nothing of them is imported."""
    from importlib import metadata

    found = [
        {
            "name": point.name,
            "distribution": point.dist.name if point.dist else "?",
            "version": point.dist.version if point.dist else "?",
            "target": point.value,
        }
        for point in metadata.entry_points(group=GROUP)
    ]
    return sorted(found, key=lambda row: (row["name"], row["distribution"]))


def _parser() -> argparse.ArgumentParser:
    made = parser("venues", venues)
    made.add_argument(
        "--load", action="store_true", help="import each venue with its SDK, in a process of its own, and say what is wrong"
    )
    return made


def _tried(name: str) -> dict[str, Any]:
    """Load a venue where a crash of it harms nobody, and return what came of it."""
    try:
        done = subprocess.run(  # noqa: S603  our own interpreter, our own module
            [sys.executable, "-m", "logos_core.cli.probe", name],
            capture_output=True, text=True, timeout=LOAD_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"variants": [], "error": f"it did not load within {LOAD_TIMEOUT_S} s"}
    try:
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        return {"variants": [], "error": f"the process ended with {done.returncode}: {last[:300]}"}
    return said


def _text(rows: list[dict[str, Any]]) -> str:
    width = max(len(row["name"]) for row in rows)
    lines = []
    for row in rows:
        line = f"{row['name']:<{width}}  {row['distribution']} {row['version']}"
        if "error" in row:
            line += f"  {row['error'] or 'loads: ' + ', '.join(row['variants'])}"
        lines.append(line)
    return "\n".join(lines)
