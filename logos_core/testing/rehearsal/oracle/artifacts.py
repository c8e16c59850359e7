"""What a session leaves beside its ledger: the evidence of its run, what waits to be recorded, and, nowhere, a secret."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from logos_core.testing.rehearsal.oracle.books import Books, Event
from logos_core.testing.rehearsal.oracle.chain import BEGINNING
from logos_core.testing.rehearsal.oracle.invariants import Finding

INVENTED = "no evidence is invented"
SEAL = "seal.json"


def evidence(runs: Path, books: Books) -> Iterator[Finding]:
    """Return what the runs' evidence says and the ledger does not, and the seals that do not fit."""
    events = {event.sequence: _line(event) for event in books.events}
    seals = {path.parent.name: path for path in sorted(runs.glob(f"*/{SEAL}"))}
    for path in sorted(runs.glob("*/audit.jsonl")):
        for line in path.read_text().splitlines():
            said = json.loads(line)
            if events.get(said["sequence"]) != said:
                yield Finding(INVENTED, f"{path.parent.name}/{path.name}", f"event {said['sequence']} is not the ledger's")
    for name, path in seals.items():
        seal = json.loads(path.read_text())
        found = {file.name: sha256(file.read_bytes()).hexdigest() for file in path.parent.iterdir() if file.name != SEAL}
        if seal["files"] != found:
            yield Finding(INVENTED, name, "its files are not those that were sealed")
        before = seal["previous"]
        if before is not None and before["seal"] != sha256(seals[before["run"]].read_bytes()).hexdigest():
            yield Finding(INVENTED, name, f"the seal of {before['run']}, which it follows, is another one")


def _line(event: Event) -> dict[str, object]:
    return {
        "sequence": event.sequence, "session": event.session_id, "number": event.number, "body": event.body.decode(),
        "previous": event.previous.hex(), "hash": event.hash.hex(),
    }  # fmt: skip


def waiting(spool: Path, books: Books) -> Iterator[Finding]:
    """Return what still waits to be recorded after a session has been open, and what a chain of its own does not vouch for."""
    merged = [event.fields() for event in books.events if event.kind == "spooled"]
    on_record = [said["event"] for said in merged]
    for said in merged:
        if not said["intact"]:
            yield Finding(INVENTED, "the spool", f"what was moved into the ledger was not what had been written: {said['event']}")
    for path in sorted(spool.glob("*.jsonl")):
        previous = BEGINNING
        text = path.read_text()
        for number, line in enumerate(text[: text.rfind("\n") + 1].splitlines(), 1):
            said = json.loads(line)
            hashed = sha256(previous + said["body"].encode()).hexdigest()
            if (said["previous"], said["hash"]) != (previous.hex(), hashed):
                yield Finding(INVENTED, path.name, f"line {number} does not follow the one before")
            previous = bytes.fromhex(said["hash"])
            if json.loads(said["body"]) not in on_record:
                yield Finding("nothing is left waiting", path.name, f"line {number} is not in the ledger")


def leaks(secrets: Iterable[str], places: Iterable[Path]) -> Iterator[Finding]:
    """Return the files that hold a secret, as it is or in one of the spellings that it travels in."""
    spellings = {spelled: way for secret in secrets for spelled, way in _spellings(secret).items()}
    for place in places:
        for path in sorted(place.rglob("*") if place.is_dir() else [place]):
            if path.is_file():
                content = path.read_bytes()
                content += _unpacked(content)
                ways = [way for spelled, way in spellings.items() if spelled in content]
                if ways:
                    yield Finding("no secret is told", str(path.relative_to(place.parent)), f"holds one, {ways[0]}")


def _spellings(secret: str) -> Mapping[bytes, str]:
    plain = secret.encode()
    # What stands before it in a text that is encoded as a whole moves it by up to two bytes.
    encoded = {base64.b64encode(b"-" * lead + plain)[(lead * 4 + 2) // 3 : -4]: "in base64" for lead in range(3)}
    return {
        quote(secret, safe="").encode(): "percent-encoded",
        plain[::-1]: "backwards",
        plain.hex().encode(): "in hexadecimal",
        **encoded,
        plain: "as it is",
    }


def _unpacked(content: bytes) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return b""
