"""What had to be done while the ledger could not record it: cancels, kept in a file of their own until it can.

Each line follows the hash of the line before, and is durable before `append` returns. The next session moves them into the ledger.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logos_core.events import GENESIS, canonical, step
from logos_core.systems import sync_folder


class Spool:
    """One account's lines that wait for its ledger."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, kind: str, body: Mapping[str, Any]) -> None:
        """Keep one event, durably."""
        content = canonical({"kind": kind, **body})
        lines = self._lines()
        previous = bytes.fromhex(json.loads(lines[-1])["hash"]) if lines else GENESIS
        line = json.dumps({"body": content.decode(), "previous": previous.hex(), "hash": step(previous, content).hex()})
        with self.path.open("a") as file:
            file.truncate(sum(len(whole.encode()) + 1 for whole in lines))
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        if not lines:
            sync_folder(self.path.parent)

    def read(self) -> list[dict[str, Any]]:
        """Return the events that wait, with what their chain says of them."""
        found, previous = [], GENESIS
        for line in self._lines():
            entry = json.loads(line)
            content = entry["body"].encode()
            intact = entry["previous"] == previous.hex() and entry["hash"] == step(previous, content).hex()
            previous = bytes.fromhex(entry["hash"])
            found.append({"intact": intact, "event": json.loads(entry["body"])})
        return found

    def clear(self) -> None:
        """Forget the lines, once the ledger holds them."""
        self.path.unlink(missing_ok=True)

    def _lines(self) -> list[str]:
        """Return the whole lines; the last one may have been torn by a crash, and then never counted."""
        if not self.path.exists():
            return []
        text = self.path.read_text()
        return text[: text.rfind("\n") + 1].splitlines()
