"""What a session leaves behind: a folder of evidence, sealed when the session ends, chained to the one before it."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from logos_core.events import StoredEvent, spelled

SEAL = "seal.json"


class RunFolder:
    """`runs/<timestamp>_<venue>_<strategy>/`."""

    def __init__(self, runs: Path, started: datetime, venue: str, strategy: str, session_id: str) -> None:
        self.previous = _latest(runs)
        name = f"{started:%Y%m%dT%H%M%S.%fZ}_{venue.replace(':', '-')}_{_plain(strategy)}_{session_id[:4]}"
        self.path = runs / name
        self.path.mkdir(parents=True)

    def write(self, name: str, body: Mapping[str, Any]) -> None:
        """Write one JSON file."""
        write_json(self.path / name, body)

    def write_lines(self, name: str, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Write one JSON object a line."""
        (self.path / name).write_text("".join(json.dumps(spelled(body), sort_keys=True) + "\n" for body in bodies))

    def write_text(self, name: str, text: str) -> None:
        """Write one text file."""
        (self.path / name).write_text(text)

    def write_events(self, events: Iterable[StoredEvent]) -> int:
        """Copy a session's events, one line each, with the hashes that chain them."""
        count = 0
        with (self.path / "audit.jsonl").open("w") as file:
            for event in events:
                line = {
                    "sequence": event.sequence,
                    "session": event.session_id,
                    "number": event.number,
                    "body": event.body.decode(),
                }
                file.write(json.dumps({**line, "previous": event.previous.hex(), "hash": event.hash.hex()}, sort_keys=True) + "\n")
                count += 1
        return count

    def seal(self) -> str:
        """Hash every file, and the seal of the run before; return the hash of the whole."""
        files = {path.name: sha256(path.read_bytes()).hexdigest() for path in sorted(self.path.iterdir()) if path.name != SEAL}
        body = {"files": files, "previous": self.previous}
        text = json.dumps(body, indent=2, sort_keys=True) + "\n"
        (self.path / SEAL).write_text(text)
        return sha256(text.encode()).hexdigest()


def write_json(path: Path, body: Mapping[str, Any]) -> None:
    """Write one JSON file, with numbers and times as the events spell them."""
    path.write_text(json.dumps(spelled(body), indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _latest(runs: Path) -> dict[str, str] | None:
    """Return the name and the seal's hash of the newest sealed run."""
    seals = sorted(runs.glob(f"*/{SEAL}"))
    if not seals:
        return None
    return {"run": seals[-1].parent.name, "seal": sha256(seals[-1].read_bytes()).hexdigest()}


def _plain(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in text)[:40]
