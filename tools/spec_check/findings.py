"""What is found: one deviation of what went over the wire from what a document says."""

import re
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from attrs import field, frozen


class Kind(StrEnum):
    """What is wrong."""

    UNDECLARED_PATH = "undeclared path"
    UNDECLARED_STATUS = "undeclared status"
    UNDECLARED_FIELD = "undeclared field"
    MISSING = "missing"
    WRONG_TYPE = "wrong type"
    WRONG_VALUE = "wrong value"
    UNREADABLE = "unreadable"


class Side(StrEnum):
    """Whose deviation it is: the adapter's, which sent it, or the simulator's, which answered it."""

    SENT = "sent"
    ANSWERED = "answered"


@frozen
class Finding:
    """One deviation.

    Attributes:
        venue: the venue.
        operation: method and path, as the document spells it, such as `POST /v2/orders`.
        status: the status of the answer; None for what was sent.
        where: the place, such as `query.limit` or `body[*].qty`; every index of a list is a star.
        wants: what the document says.
        example: what was there instead. Two findings that differ in this alone are the same.
    """

    venue: str
    operation: str
    side: Side
    kind: Kind
    where: str
    wants: str
    status: int | None = None
    example: str = field(default="", eq=False)

    @property
    def is_violation(self) -> bool:
        """Say whether it counts. A field that an answer has and the document has not is told only: documents lag behind."""
        return not (self.kind is Kind.UNDECLARED_FIELD and self.side is Side.ANSWERED)


def place(*parts: object) -> str:
    """Return a place as text: `place("body", 0, "qty")` is `body[*].qty`."""
    return re.sub(r"\.\[", "[", ".".join("[*]" if isinstance(part, int) else str(part) for part in parts))


def counted(findings: Iterable[Finding]) -> list[tuple[Finding, int]]:
    """Return each finding once, in order, with how often it was made and its first example."""
    return list(Counter(findings).items())  # A dictionary keeps the first of what is equal, and its example with it.


def shortened(value: object) -> str:
    """Return a value as an example."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
