"""What a stream's life signs say, and when the venue must be asked instead. Pure: every time is given, none is read.

Rules:

1. A connection lives while something is heard of it within its bound; before its hello, only the hello counts.
2. A number that was passed over is a gap. One that comes again or late is none: the gap was told when it was passed over.
3. A need to ask is met only by a question that began after it arose and was answered. Then it is asked once more after the venue's
   visibility lag, because what the stream has shown already may not be visible to a question yet.
4. Questions keep a distance, and a longer one while they fail.
5. A stream without numbers cannot show a gap, so there the venue is asked every so often, need or not.
"""

from enum import StrEnum

from attrs import define, field, frozen

LONGEST_PACES = 32
"""While questions fail, the distance between them doubles up to so many paces."""


class Need(StrEnum):
    """Why the venue must be asked."""

    CONNECTED = "connected"
    GAP = "gap"
    UNREADABLE = "unreadable"
    INCOMPLETE = "incomplete"
    LOST = "lost"


@frozen(kw_only=True)
class Bounds:
    """How long nothing may be heard.

    Attributes:
        hello_within_s: from the start of the connection to its hello.
        silent_after_s: between two signs of life.
    """

    hello_within_s: float
    silent_after_s: float


@define
class Pulse:
    """The life signs of one connection."""

    bounds: Bounds
    began_s: float
    said_hello: bool = False
    heard_s: float | None = None
    position: int | None = None

    def hello(self, now_s: float) -> None:
        """Note that the venue confirmed the subscription."""
        self.said_hello, self.heard_s = True, now_s

    def alive(self, now_s: float, position: int | None = None) -> bool:
        """Note a sign of life; say whether it shows that events are missing."""
        self.heard_s = now_s
        return position is not None and self._missing(position, next_is=0)

    def heard(self, now_s: float, position: int) -> bool:
        """Note an event's number; say whether it shows that events before it are missing."""
        self.heard_s = now_s
        return self._missing(position, next_is=1)

    def _missing(self, position: int, *, next_is: int) -> bool:
        known, self.position = self.position, max(position, self.position or position)
        return known is not None and position > known + next_is

    def trouble(self, now_s: float) -> str | None:
        """Say what is wrong with the connection, or None."""
        if now_s < self.deadline_s:
            return None
        if not self.said_hello:
            return f"no hello within {self.bounds.hello_within_s:g} s"
        return f"nothing heard for {self.bounds.silent_after_s:g} s"

    @property
    def deadline_s(self) -> float:
        """Return when the next sign of life must have come."""
        if not self.said_hello or self.heard_s is None:
            return self.began_s + self.bounds.hello_within_s
        return self.heard_s + self.bounds.silent_after_s


@define
class Healing:
    """When the venue is to be asked, so that what the stream kept back becomes known.

    Attributes:
        pace_s: the distance between two questions.
        again_s: how long after a need arose it is asked for a second time.
        every_s: how often to ask without a need; None for never.
        gaps_closed: how many needs other than the first connection's have been met.
    """

    pace_s: float
    again_s: float
    every_s: float | None = None
    gaps_closed: int = 0
    _first_s: float | None = None
    _second_s: float | None = None
    _routine_s: float | None = None
    _not_before_s: float = float("-inf")
    _failures: int = 0
    _open: list[Need] = field(factory=list)
    _asking: list[Need] = field(factory=list)

    def need(self, need: Need, now_s: float) -> None:
        """Note why the venue must be asked."""
        self._open.append(need)
        self._first_s = now_s if self._first_s is None else self._first_s
        self._second_s = now_s + self.again_s

    @property
    def is_owed(self) -> bool:
        """Say whether there is a need that has not been met."""
        return self._first_s is not None or self._second_s is not None

    @property
    def due_s(self) -> float | None:
        """Return when to ask next, or None for never."""
        due = [moment for moment in (self._first_s, self._second_s, self._routine_s) if moment is not None]
        return max(min(due), self._not_before_s) if due else None

    def begin(self, now_s: float) -> None:
        """Note that the venue is being asked; whatever arises from here on needs another question."""
        self._asking, self._open = self._asking + self._open, []
        self._first_s = None
        self._second_s = None if self._second_s is None or self._second_s <= now_s else self._second_s
        self._not_before_s = now_s + self.pace_s
        self._routine_s = None if self.every_s is None else now_s + self.every_s

    def answered(self) -> None:
        """Note that the venue answered, so that what it was asked for is known."""
        self.gaps_closed += sum(need is not Need.CONNECTED for need in self._asking)
        self._asking, self._failures = [], 0

    def failed(self, now_s: float) -> None:
        """Note that the venue could not be asked; the need stays."""
        self._failures += 1
        self._first_s = now_s if self._first_s is None else self._first_s
        self._not_before_s = now_s + self.pace_s * min(2**self._failures, LONGEST_PACES)
