"""The kill switch, where an order cannot walk around it: in the transaction that records the attempt, and at the first byte.

Engaging needs nothing but a file. Reading it costs a look at three names. A name that cannot be looked at counts as engaged.
"""

from collections.abc import Callable

from logos_core.records import Denial
from logos_core.wire import Gate, GateClosedError

REASON = "KILL_SWITCH_HALTED"
HOW_TO_RESUME = "find out why, then: logos resume SCOPE --by NAME --by NAME --because TEXT (`logos status` shows the scope)"


class KillSwitch:
    """What stops one account's orders.

    Args:
        paths: the halt files that cover the account.
        is_present: looks for one.
        persist: makes a latch outlive the session; it may fail, the latch holds all the same.
        on_record: returns why the ledger holds orders back, or None; asked at the first byte only, since the transaction that
            records an attempt reads it by itself.
    """

    def __init__(
        self,
        paths: tuple[str, ...],
        is_present: Callable[[str], bool],
        persist: Callable[[str], None],
        on_record: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._paths = paths
        self._is_present = is_present
        self._persist = persist
        self._on_record = on_record
        self._latched: str | None = None

    def latch(self, reason: str) -> None:
        """Stop this session's orders for good, before anything else; then try to stop those of every later session."""
        self._latched = reason
        self._persist(reason)

    def engaged(self) -> str | None:
        """Return what stops orders now, or None."""
        if self._latched is not None:
            return self._latched
        found = self._halt()
        return None if found is None else f"halted by {found}"

    def decide(self) -> Denial | None:
        """Return the denial for a new attempt, if there is one."""
        engaged = self.engaged()
        if engaged is None:
            return None
        return Denial(reason=REASON, message=f"new orders are stopped: {engaged}; {self._how()}")

    def gate(self) -> Gate:
        """Return the check for the first byte."""

        def check() -> None:
            engaged = self.engaged() or self._on_record()
            if engaged is not None:
                raise GateClosedError(REASON, f"new orders are stopped: {engaged}", denies=True)

        return check

    def _halt(self) -> str | None:
        return next((path for path in self._paths if self._is_present(path)), None)

    def _how(self) -> str:
        """Return how new orders go on again; the file's name is the scope."""
        found = self._halt()
        return HOW_TO_RESUME if found is None else HOW_TO_RESUME.partition(" (")[0].replace("SCOPE", found.rpartition("/")[2])
