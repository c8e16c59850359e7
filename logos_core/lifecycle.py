"""The life of one intent, as one table.

Theory of operation:

* An intent is *in flight* from the moment its attempt is durable until its outcome is. While it is, nobody may send it again.
* *Not sent* leaves it free. *Unknown* holds it until evidence or a named person settles it; no timer is among the moves.
* A report of the venue moves it to the order's own state. Reports may come late and out of order: one that would move the order
  backwards is an illegal move, and an illegal move leaves the state alone.
* A report of an order that was settled as not existing is legal, because it is the truth. It also shows that something we believed
  was wrong: such moves are in `CONTRADICTIONS`, and the kill switch latches on them.
"""

from enum import StrEnum

from logos_core.orders import OrderStatus


class IntentState(StrEnum):
    """Where an intent stands. The states from PENDING_NEW on are the venue's own."""

    FRESH = "fresh"
    IN_FLIGHT = "in_flight"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"
    REJECTED = "rejected"
    NOT_PLACED = "not_placed"
    PENDING_NEW = "pending_new"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    PENDING_CANCEL = "pending_cancel"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"


class Move(StrEnum):
    """What can happen to an intent. The moves from REPORT_PENDING_NEW on are reports of the venue."""

    ATTEMPT = "attempt"
    PROVED_NOT_SENT = "proved_not_sent"
    LEFT_UNKNOWN = "left_unknown"
    PROVED_REJECTED = "proved_rejected"
    PROVED_ABSENT = "proved_absent"
    CLOSED_BY_PERSON = "closed_by_person"
    REPORT_PENDING_NEW = "report_pending_new"
    REPORT_NEW = "report_new"
    REPORT_PARTIALLY_FILLED = "report_partially_filled"
    REPORT_PENDING_CANCEL = "report_pending_cancel"
    REPORT_FILLED = "report_filled"
    REPORT_CANCELED = "report_canceled"
    REPORT_EXPIRED = "report_expired"


class IllegalMoveError(ValueError):
    """The move does not exist in this state. Nothing has changed."""

    def __init__(self, state: IntentState, move: Move) -> None:
        super().__init__(f"{move.value} is no move from {state.value}")
        self.state = state
        self.move = move


_S = IntentState
_M = Move

_ANY_REPORT = {
    _M.REPORT_PENDING_NEW: _S.PENDING_NEW,
    _M.REPORT_NEW: _S.NEW,
    _M.REPORT_PARTIALLY_FILLED: _S.PARTIALLY_FILLED,
    _M.REPORT_PENDING_CANCEL: _S.PENDING_CANCEL,
    _M.REPORT_FILLED: _S.FILLED,
    _M.REPORT_CANCELED: _S.CANCELED,
    _M.REPORT_EXPIRED: _S.EXPIRED,
}
_ENDS = {
    _M.REPORT_FILLED: _S.FILLED,
    _M.REPORT_CANCELED: _S.CANCELED,
    _M.REPORT_EXPIRED: _S.EXPIRED,
}
_WORKING = {**_ENDS, _M.REPORT_PARTIALLY_FILLED: _S.PARTIALLY_FILLED, _M.REPORT_PENDING_CANCEL: _S.PENDING_CANCEL}

TABLE: dict[IntentState, dict[Move, IntentState]] = {
    _S.FRESH: {
        _M.ATTEMPT: _S.IN_FLIGHT,
        _M.PROVED_REJECTED: _S.REJECTED,
        _M.PROVED_ABSENT: _S.NOT_PLACED,
        **_ANY_REPORT,
    },
    _S.IN_FLIGHT: {
        _M.PROVED_NOT_SENT: _S.NOT_SENT,
        _M.LEFT_UNKNOWN: _S.UNKNOWN,
        _M.PROVED_REJECTED: _S.REJECTED,
        _M.PROVED_ABSENT: _S.NOT_PLACED,
        **_ANY_REPORT,
    },
    _S.NOT_SENT: {_M.ATTEMPT: _S.IN_FLIGHT, _M.PROVED_ABSENT: _S.NOT_PLACED, **_ANY_REPORT},
    _S.UNKNOWN: {
        _M.ATTEMPT: _S.IN_FLIGHT,
        _M.LEFT_UNKNOWN: _S.UNKNOWN,
        _M.PROVED_REJECTED: _S.REJECTED,
        _M.PROVED_ABSENT: _S.NOT_PLACED,
        _M.CLOSED_BY_PERSON: _S.NOT_PLACED,
        **_ANY_REPORT,
    },
    _S.REJECTED: {_M.PROVED_REJECTED: _S.REJECTED, **_ANY_REPORT},
    _S.NOT_PLACED: dict(_ANY_REPORT),
    _S.PENDING_NEW: {
        **_WORKING,
        _M.REPORT_PENDING_NEW: _S.PENDING_NEW,
        _M.REPORT_NEW: _S.NEW,
        _M.PROVED_REJECTED: _S.REJECTED,
    },
    _S.NEW: {**_WORKING, _M.REPORT_NEW: _S.NEW, _M.PROVED_REJECTED: _S.REJECTED},
    _S.PARTIALLY_FILLED: dict(_WORKING),
    _S.PENDING_CANCEL: {**_WORKING, _M.REPORT_NEW: _S.NEW},
    _S.FILLED: {_M.REPORT_FILLED: _S.FILLED},
    _S.CANCELED: {_M.REPORT_CANCELED: _S.CANCELED},
    _S.EXPIRED: {_M.REPORT_EXPIRED: _S.EXPIRED},
}

CONTRADICTIONS = frozenset({_S.NOT_SENT, _S.REJECTED, _S.NOT_PLACED})
"""States that say there is no order. A report of one, from here, shows that a belief of ours was wrong."""

MAY_ATTEMPT = frozenset(state for state, moves in TABLE.items() if _M.ATTEMPT in moves)
WORKING = frozenset({_S.PENDING_NEW, _S.NEW, _S.PARTIALLY_FILLED, _S.PENDING_CANCEL})
"""The venue may still do something with the order."""
UNSETTLED = frozenset({_S.IN_FLIGHT, _S.UNKNOWN})
"""Nobody knows yet whether there is an order."""


def advance(state: IntentState, move: Move) -> IntentState:
    """Return the state after a move, or raise `IllegalMoveError`."""
    try:
        return TABLE[state][move]
    except KeyError:
        raise IllegalMoveError(state, move) from None


def move_of(status: OrderStatus) -> Move:
    """Return the move that a report with this status makes."""
    return Move.PROVED_REJECTED if status is OrderStatus.REJECTED else Move(f"report_{status.value}")


def diagram() -> str:
    """Return the table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> fresh"]
    for state, moves in TABLE.items():
        targets: dict[IntentState, list[str]] = {}
        for move, target in moves.items():
            targets.setdefault(target, []).append(move.value)
        lines += [
            f"    {state.value} --> {target.value}: {', '.join(names)}" for target, names in targets.items() if target != state
        ]
    return "\n".join(lines) + "\n"
