"""What the entry point names: it denies what the desk does not trade, and keeps a file of what happened."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logos_core import Order
from logos_core.hookspecs import extension_hook

SYMBOLS = ("AAPL", "MSFT")
LARGEST = 100
FILE = Path("desk.jsonl")


@extension_hook
def object_to(intent: Order) -> str | None:
    if intent.symbol not in SYMBOLS:
        return f"this desk trades {' and '.join(SYMBOLS)}"
    if intent.quantity is not None and intent.quantity > LARGEST:
        return f"this desk trades {LARGEST} at most"
    return None


@extension_hook
def observe(event: Mapping[str, Any]) -> None:
    with FILE.open("a") as file:
        file.write(json.dumps(dict(event), default=str) + "\n")
