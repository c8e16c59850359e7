"""Deviations that are accepted, each with its reason and the source of it: `deviations.toml`.

A document is one view of a venue. Where the venue was seen to do otherwise, the simulator does as the venue does.
An entry that nothing fits any more is an error, so that the list says what is true.
"""

import itertools
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from tools.spec_check.findings import Finding, Kind, Side

LIST = Path(__file__).with_name("deviations.toml")
ANY = "*"


class DeviationError(Exception):
    """The list of accepted deviations is not as it must be. Correct the entry that the message names."""


@frozen
class Accepted:
    """One deviation that is accepted, for one place and one status.

    Attributes:
        operation: the operation, or a star for every one of the venue's.
        where: the place, or a beginning of it that ends in a star.
        status: the status of the answer; None for what is sent.
    """

    venue: str
    operation: str
    side: Side
    kind: Kind
    where: str
    status: int | None
    reason: str = field(eq=False)
    source: str = field(eq=False)

    def fits(self, finding: Finding) -> bool:
        """Say whether this is the deviation."""
        own = (self.venue, self.side, self.kind, self.status)
        return own == (finding.venue, finding.side, finding.kind, finding.status) and (
            self.operation in {ANY, finding.operation} and self._is_at(finding.where)
        )

    def _is_at(self, where: str) -> bool:
        return where.startswith(self.where[:-1]) if self.where.endswith(ANY) else where == self.where

    def __str__(self) -> str:
        """Return it as it is told."""
        status = "" if self.status is None else f" {self.status}"
        return f"{self.venue}: {self.operation} {self.side.value}{status}: {self.kind.value}, {self.where}"


def load(path: Path = LIST) -> list[Accepted]:
    """Return every deviation of a list; an entry that names several places or statuses is as many.

    Raises:
        DeviationError: for an entry without a reason or a source, or with a word that is not known.
    """
    listed = tomllib.loads(path.read_text(encoding="utf-8")).get("deviation", [])
    return [accepted for number, entry in enumerate(listed, 1) for accepted in _read(entry, f"{path.name}, deviation {number}")]


def _read(entry: Mapping[str, Any], name: str) -> Iterable[Accepted]:
    for word in ("reason", "source"):
        if not str(entry.get(word, "")).strip():
            raise DeviationError(f"{name} has no {word}")
    try:
        for operation, where, status in itertools.product(*(_several(entry, word) for word in ("operation", "where", "status"))):
            side, kind = Side(entry["side"]), Kind(entry["kind"])
            yield Accepted(entry["venue"], operation, side, kind, where, status, entry["reason"], entry["source"])
    except (KeyError, ValueError) as error:
        raise DeviationError(f"{name}: {error}") from error


def _several(entry: Mapping[str, Any], word: str) -> list[Any]:
    value = entry.get(word) if word == "status" else entry[word]
    return value if isinstance(value, list) else [value]
