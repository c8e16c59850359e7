"""Every point at which a process may be stopped, as data: `python -m campaign.failpoints` prints them.

A failpoint is a seam of the real code: a function or method, before or after which a process may end. It is met by wrapping that
function from outside, so nothing of it is in the product: there it costs nothing, and nobody can arm it.

Rules:

1. Those numbered C are the crash points that any durable submit has; those numbered L are what this code adds to them.
2. Each is met in a run of `campaign.kills` or in a test of its own: `tests/campaign/test_failpoints.py` counts them.
3. A crash point that does not exist here is named in `EXCLUDED`, with its reason.
4. In a simulated process, arm before its sessions open: what they put around their ledger's connection is there from then on.
"""

import difflib
import functools
import inspect
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from enum import Enum
from importlib import import_module
from typing import Any, NoReturn

import apsw
from attrs import frozen

from logos_core.ledger import connection as connections


class Side(Enum):
    """On which side of a call the point lies."""

    BEFORE = "before"
    AMID = "amid"
    """Half of the bytes have been handed over; for calls that take them as their first argument and may be made twice."""
    AFTER = "after"


@frozen(kw_only=True)
class Failpoint:
    """A point at which a process may be stopped.

    Attributes:
        number: `C05`, or `L03` for those that this code adds.
        name: what it is called.
        where: between what and what.
        target: the call it lies at, as `module:name` where it is looked up.
        side: on which side of that call.
        inside: it counts only while this other call of the same thread is under way; None if it always does.
        operations: what a process does when it meets it; see `campaign.kills` and the tests of the failpoints.
        simulated: whether the simulated processes of `campaign.histories` meet it: they have no HTTP, compose their sessions themselves, end
            none of them by closing it, and latch only what is broken.
        needs: what must be around it while it is armed.
    """

    number: str
    name: str
    where: str
    target: str
    side: Side
    inside: str | None = None
    operations: frozenset[str]
    simulated: bool = True
    needs: Callable[[], AbstractContextManager[Any]] = nullcontext


# ------------------------------------------------------------------------------------------- what a checkpoint is met at


class CheckpointedFile(apsw.VFSFile):  # type: ignore[misc,unused-ignore]
    """The file of a database in WAL mode: it is written only while its log is folded in."""

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802  apsw's own name
        super().xWrite(data, offset)


class _Checkpointing(apsw.VFS):  # type: ignore[misc,unused-ignore]
    def __init__(self) -> None:
        self.base = apsw.vfs_names()[0]
        super().__init__("checkpointing", self.base, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802  apsw's own name
        kind = CheckpointedFile if flags[0] & apsw.SQLITE_OPEN_MAIN_DB else apsw.VFSFile
        return kind(self.base, name, flags)


@contextmanager
def checkpointing() -> Iterator[None]:
    """Let every ledger that is opened fold its log in after each few pages, over files that Python writes."""
    usual, connections.WAL_PAGES = connections.WAL_PAGES, 8
    disk = _Checkpointing()
    try:
        yield
    finally:
        connections.WAL_PAGES = usual
        disk.unregister()


# ------------------------------------------------------------------------------------------------------------- the points

_B, _M, _A = Side.BEFORE, Side.AMID, Side.AFTER

_ADAPTER = "logos_core.adapter:Adapter"
_ARCHIVE = "logos_core.ledger.archive"
_CANCELLATION = "logos_core.cancellation:Cancellation"
_CONNECTION = "logos_core.ledger.connection:Connection"
_HOME = "logos_core.home:Home"
_LEDGER = "logos_core.ledger.sqlite:SqliteLedger"
_RECORD = "logos_core.wire:WireRecord"
_REPLACING = "logos_core.replacing:Replacing"
_REPORTED = "logos_core.ledger.reported:Reported"
_SOCKET = "logos_core.transport:_GuardedReads"
_SPOOL = "logos_core.spool:Spool"
_SUBMISSION = "logos_core.submission:Submission"
_TRANSACTIONS = "logos_core.ledger.transactions:Transactions"
_VENUE = "logos_core.venues:BoundVenue"
_BODY = "logos_core.http1:ReceivedAnswer._read_body"
_COMMIT = f"{_CONNECTION}.commit"
_RECOVERY = "logos_core.recovery:settle_one"
_RENAME = "pathlib:Path.replace"


def _point(
    number: str, name: str, where: str, side: Side, target: str, operations: str, inside: str | None = None, **more: Any
) -> Failpoint:
    return Failpoint(
        number=number, name=name, where=where, target=target, side=side, inside=inside,
        operations=frozenset(operations.split()), **more,
    )  # fmt: skip


def _commit(number: int, name: str, what: str, inside: str, operations: str, *, simulated: bool = True) -> tuple[Failpoint, ...]:
    """Return the two sides of a commit."""
    kept = (f"{what} is written, and not durable yet", f"{what} is durable, and nothing has followed yet")
    return tuple(
        _point(f"L{number + index:02d}", f"{name}-{word}", kept[index], side, _COMMIT, operations, inside, simulated=simulated)
        for index, (word, side) in enumerate((("uncommitted", _B), ("committed", _A)))
    )


def _request(number: int, name: str, hook: str) -> tuple[Failpoint, ...]:
    """Return the points of a request that moves an order, but for a submit, whose points have numbers of their own."""
    inside = f"{_VENUE}.{hook}"
    rows: tuple[tuple[str, str, Side, str, str | None, bool], ...] = (
        ("before-the-hook", "the decision to ask for it is made, and no connection yet", _B, inside, None, True),
        ("before-the-first-byte", "it may leave from here on, and has not", _A, f"{_RECORD}.first_byte_once", inside, True),
        ("mid-request", "half of its bytes are handed to the system", _M, f"{_SOCKET}.sendall", inside, False),
        ("request-sent", "all of its bytes are, and no answer was read", _A, f"{_SOCKET}.sendall", inside, False),
        ("mid-answer", "the answer's status and headers are read, its body is not", _B, _BODY, inside, False),
        ("answer-read", "the whole answer is read, and nothing of it recorded", _A, inside, None, True),
    )
    return tuple(
        _point(f"L{number + index:02d}", f"{name}-{word}", f"{name}: {where}", side, target, hook, within, simulated=simulated)
        for index, (word, where, side, target, within, simulated) in enumerate(rows)
    )


FAILPOINTS: tuple[Failpoint, ...] = (
    _point("C01", "before-the-claim", "everything is checked and prepared, and nothing recorded", _B, f"{_LEDGER}.claim",
           "submit replace"),
    _point("C02", "claim-uncommitted", "the attempt is written, and not durable yet", _B, _COMMIT, "submit replace",
           f"{_LEDGER}.claim"),
    _point("C03", "claim-committed", "the attempt is durable, and the gates have not been asked again", _A, _COMMIT,
           "submit replace", f"{_LEDGER}.claim"),
    _point("C04", "before-the-first-byte", "the gates have let it through, and no byte has left", _A,
           f"{_RECORD}.first_byte_once", "submit", f"{_VENUE}.submit"),
    _point("C05", "mid-request", "half of the request's bytes are handed to the system", _M, f"{_SOCKET}.sendall", "submit",
           f"{_VENUE}.submit", simulated=False),
    _point("C06", "request-sent", "all of the request's bytes are, and no answer was read", _A, f"{_SOCKET}.sendall", "submit",
           f"{_VENUE}.submit", simulated=False),
    _point("C07", "mid-answer", "the answer's status and headers are read, its body is not", _B, _BODY, "submit",
           f"{_VENUE}.submit", simulated=False),
    _point("C08", "answer-read", "the whole answer is read, and the plugin has not seen it", _A, f"{_RECORD}.answered", "submit",
           f"{_VENUE}.submit"),
    _point("C09", "answer-understood", "the plugin has read the answer, which is recorded with what follows from it, and is not yet",
           _A, f"{_VENUE}.submit", "submit"),
    _point("C10", "outcome-uncommitted", "the outcome is written, and not durable yet", _B, _COMMIT, "submit",
           f"{_SUBMISSION}._conclude"),
    _point("C11", "outcome-committed", "the outcome is durable, and nobody was told", _A, _COMMIT, "submit",
           f"{_SUBMISSION}._conclude"),
    _point("C14", "mid-checkpoint", "a commit is durable, and its log is being folded into the ledger's file", _B,
           "campaign.failpoints:CheckpointedFile.xWrite", "checkpoint", _COMMIT, simulated=False, needs=checkpointing),
    _point("C15", "before-a-query-of-recovery", "what a dead session left is found, and not asked for", _B, f"{_VENUE}.lookup",
           "recover", _RECOVERY),
    _point("C16", "after-a-query-of-recovery", "the venue has said what became of it, and nothing is recorded", _A,
           f"{_VENUE}.lookup", "recover", _RECOVERY),
    _point("C17", "halted-without-words", "the kill switch is engaged, and who did it and why is not written", _B,
           "logos_core.home:_replace", "halt", f"{_HOME}.halt"),
    _point("C19", "migration-uncommitted", "what the ledger lacks is written, and not durable yet", _B, _COMMIT, "migrate",
           "logos_core.ledger.migrations:bring_up_to_date", simulated=False),

    # Opening a session.
    *_commit(1, "creation", "a new ledger", f"{_LEDGER}.create", "first", simulated=False),
    _point("L03", "session-lock-held", "the session's lock is held, and the ledger has never heard of it", _A,
           f"{_HOME}.hold_session", "open"),
    *_commit(4, "session-begun", "the session's first event", f"{_LEDGER}.begin_session", "open"),
    *_commit(6, "snapshot", "what the venue shows", f"{_REPORTED}.apply_snapshot", "open reconcile"),
    *_commit(8, "baseline", "what positions are counted from", f"{_LEDGER}.set_baseline", "first", simulated=False),
    _point("L10", "before-the-registry", "the ledger has moved on, and the host does not remember it", _B, f"{_HOME}.register",
           "open close", simulated=False),
    _point("L11", "mid-registry", "the registry's new entry is durable under another name", _B, _RENAME, "open close",
           f"{_HOME}.register", simulated=False),
    _point("L12", "after-the-registry", "the host remembers how far the ledger has come", _A, f"{_HOME}.register", "open close",
           simulated=False),
    *_commit(13, "burial", "that a session had died", f"{_LEDGER}.bury", "recover"),
    *_commit(15, "recovery", "what recovery found out", _RECOVERY, "recover"),
    _point("L17", "before-the-run-folder", "everything is recovered, and the session leaves no evidence yet", _B,
           "logos_core.runs:RunFolder.write", "open", "logos_core.session:_compose", simulated=False),

    # Submitting, beyond the crash points.
    _point("L18", "before-preparing", "the order is on the grid and has its share of the budget", _B, f"{_VENUE}.prepare",
           "submit replace"),
    _point("L19", "before-the-gates", "the connection is made, and the gates have not been asked", _B,
           f"{_RECORD}.first_byte_once", "submit", f"{_VENUE}.submit"),
    _point("L20", "before-finding-out", "the attempt is unknown on record, and was not asked for", _B, f"{_VENUE}.lookup", "doubt",
           f"{_SUBMISSION}._after_unknown"),
    _point("L21", "after-finding-out", "the venue has said what became of the attempt, and nothing is recorded", _A,
           f"{_VENUE}.lookup", "doubt", f"{_SUBMISSION}._after_unknown"),
    *_commit(22, "finding-out", "what became of an attempt without an answer", f"{_SUBMISSION}._after_unknown", "doubt"),
    *_commit(24, "denial", "a denial", f"{_SUBMISSION}._deny", "deny"),

    # Cancelling.
    *_request(26, "cancel", "cancel"),
    *_commit(32, "cancel", "that a cancel went out", f"{_CANCELLATION}._note_or_spool", "cancel"),
    _point("L34", "cancelled-unseen", "the cancel is answered and on record, and how the order stands was not asked", _B,
           f"{_VENUE}.lookup", "cancel", f"{_CANCELLATION}._ended"),
    *_commit(35, "cancelled", "what a cancelled order has become", f"{_CANCELLATION}._record", "cancel"),

    # Replacing.
    *_request(37, "replace", "replace"),
    *_commit(43, "replacement-begun", "that an order is to be cancelled and placed anew", f"{_LEDGER}.begin_replacement", "anew"),
    _point("L45", "between-two-orders", "the old order has ended for the sake of the new one, which is not placed", _A,
           f"{_REPLACING}._end", "anew"),
    *_commit(46, "replacement-closed", "that a replacement has nothing left to place", f"{_LEDGER}.close_replacement", "nothing-left"),
    _point("L48", "replaced-unseen", "the venue has taken the replacement, and which order stands was not asked", _B,
           f"{_VENUE}.lookup", "replace", f"{_REPLACING}._settled"),

    # Reconciling, and ending a session.
    _point("L49", "before-a-snapshot", "the venue is about to be asked for everything", _B, f"{_VENUE}.reconcile", "open reconcile"),
    *_commit(50, "reconciled", "how a reconciliation ended", f"{_ADAPTER}._concluded", "reconcile"),
    *_commit(52, "session-ended", "the session's last event", f"{_LEDGER}.end_session", "close", simulated=False),
    _point("L54", "before-the-lock-goes", "the session has ended on record, and its lock is still there", _B,
           f"{_HOME}.forget_session", "close", simulated=False),
    _point("L55", "before-the-evidence", "the session has ended, and its run folder is not written", _B,
           "logos_core.session:_leave_evidence", "close", simulated=False),
    _point("L56", "before-the-seal", "the run folder is written, and not sealed", _B, "logos_core.runs:RunFolder.seal", "close",
           simulated=False),
    _point("L57", "mid-closing-checkpoint", "the last connection to the ledger folds its log in", _B,
           "campaign.failpoints:CheckpointedFile.xWrite", "checkpoint", f"{_CONNECTION}.close", simulated=False, needs=checkpointing),

    # What stops orders, and what lets them go on.
    _point("L58", "latched-here-only", "the session is latched, and those after it are not", _B, f"{_HOME}.halt", "latch",
           "logos_core.rails.kill_switch:KillSwitch.latch", simulated=False),
    *_commit(59, "latch", "a latch", f"{_TRANSACTIONS}.latch", "latch-on-record", simulated=False),
    *_commit(61, "release", "that a latch is released", f"{_TRANSACTIONS}.release", "resume", simulated=False),
    *_commit(63, "word-of-a-person", "that a person closed an unknown outcome", f"{_LEDGER}.close_by_person", "word", simulated=False),

    # What a ledger that cannot be written leaves beside it.
    _point("L65", "before-the-spool", "a cancel went out that the ledger cannot record, and nothing else has", _B,
           f"{_SPOOL}.append", "spool", simulated=False),
    _point("L66", "spooled-unsynced", "the line is written, and its file has no durable name", _B, "logos_core.spool:sync_folder",
           "spool", simulated=False),
    _point("L67", "after-the-spool", "the line is durable beside the ledger", _A, f"{_SPOOL}.append", "spool", simulated=False),
    *_commit(68, "merge", "what was spooled", "logos_core.session:_merge", "merge", simulated=False),
    _point("L70", "merged-not-cleared", "the ledger holds what was spooled, and so does the spool", _B, f"{_SPOOL}.clear", "merge",
           simulated=False),

    # What keeps a ledger small, new, and an account's only one.
    _point("L71", "migration-between-steps", "one migration is run, and the ledger does not say so", _A, f"{_CONNECTION}.script",
           "migrate", "logos_core.ledger.migrations:bring_up_to_date", simulated=False),
    _point("L72", "migration-committed", "the ledger is up to date, and nobody has used it", _A, _COMMIT, "migrate",
           "logos_core.ledger.migrations:bring_up_to_date", simulated=False),
    _point("L73", "segment-unsynced", "the events are written into a segment that is not durable", _A,
           f"{_ARCHIVE}:_write_events", "archive", simulated=False),
    _point("L74", "segment-unnamed", "the segment is durable under another name", _B, _RENAME, "archive", f"{_ARCHIVE}:_write",
           simulated=False),
    _point("L75", "segment-unknown", "the segment has its name, and the ledger has never heard of it", _B, f"{_LEDGER}.let_go",
           "archive", simulated=False),
    *_commit(76, "archive", "that events have moved into a segment", f"{_LEDGER}.let_go", "archive", simulated=False),
    *_commit(78, "adoption", "what a new ledger takes over from the venue", f"{_LEDGER}.adopt", "adopt", simulated=False),
)  # fmt: skip

EXCLUDED: Mapping[str, str] = {
    "C12": "nothing is exported from the ledger yet, so there is no cursor that could fall behind what was exported",
    "C13": "checkpoints are hashed and not signed yet; one is written in the session's last transaction, which is L52 and L53",
    "C18": "there are no permits yet that could be consumed; what two people release is L61 and L62",
    "C20": "no point but every write, truncation and sync: `campaign.power` fills the disk, fails it and cuts the power at each",
}
"""Crash points that are no failpoint here, each with its reason."""


def find(name: str) -> Failpoint:
    """Return a failpoint by its name or number.

    Raises:
        LookupError: there is none; says which are near.
    """
    known = {key: failpoint for failpoint in FAILPOINTS for key in (failpoint.name, failpoint.number)}
    if name in known:
        return known[name]
    if name in EXCLUDED:
        raise LookupError(f"{name} is no failpoint: {EXCLUDED[name]}")
    near = ", ".join(difflib.get_close_matches(name, known)) or "see `python -m campaign.failpoints`"
    raise LookupError(f"there is no failpoint {name!r}; near it: {near}")


# ----------------------------------------------------------------------------------------------------------- meeting them


def resolve(target: str) -> tuple[Any, str]:
    """Return the module or class that a call is looked up in, and its name there; it must be defined there, not inherited."""
    module, _, path = target.partition(":")
    *owners, name = path.split(".")
    owner = functools.reduce(getattr, owners, import_module(module))
    if name not in vars(owner):
        raise LookupError(f"{target}: {owner!r} has no {name!r} of its own")
    return owner, name


@contextmanager
def armed(failpoint: Failpoint, die: Callable[[], object], nth: int = 1) -> Iterator[None]:
    """Have `die` called at a point.

    Args:
        die: called when the point is met for the nth time, and whenever it is met after that. Where it returns, the process goes on: it
            was not the one to be stopped. In a real process it is `kill`; a simulated one dies first, then raises `Death`.
        nth: how often the point is met until then, by whomever.
    """
    met = itertools.count(1)
    under_way = threading.local()

    def is_due() -> bool:
        return (failpoint.inside is None or getattr(under_way, "depth", 0) > 0) and next(met) >= nth

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(real)
        def call(*args: Any, **kwargs: Any) -> Any:
            under_way.depth = getattr(under_way, "depth", 0) + 1
            try:
                return real(*args, **kwargs)
            finally:
                under_way.depth -= 1

        return call

    def pointed(real: Callable[..., Any]) -> Callable[..., Any]:
        return functools.wraps(real)(_SIDES[failpoint.side](real, is_due, die))

    with ExitStack() as around:
        around.enter_context(failpoint.needs())
        if failpoint.inside is not None:
            around.enter_context(_wrapped(failpoint.inside, counted))
        around.enter_context(_wrapped(failpoint.target, pointed))
        yield


def kill() -> NoReturn:
    """End this process as a power cut would, but for what the system keeps: at once, with nothing tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("nobody survives SIGKILL")


def _before(real: Callable[..., Any], is_due: Callable[[], bool], die: Callable[[], object]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if is_due():
            die()
        return real(*args, **kwargs)

    return call


def _amid(real: Callable[..., Any], is_due: Callable[[], bool], die: Callable[[], object]) -> Callable[..., Any]:
    def call(self: Any, data: bytes, *args: Any) -> Any:
        if not is_due():
            return real(self, data, *args)
        half = len(data) // 2
        real(self, data[:half], *args)
        die()
        return real(self, data[half:], *args)

    return call


def _after(real: Callable[..., Any], is_due: Callable[[], bool], die: Callable[[], object]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        if is_due():
            die()
        return result

    return call


_SIDES = {Side.BEFORE: _before, Side.AMID: _amid, Side.AFTER: _after}


@contextmanager
def _wrapped(target: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Put something around a call for a while."""
    owner, name = resolve(target)
    held = inspect.getattr_static(owner, name)
    made: Any = classmethod(wrap(held.__func__)) if isinstance(held, classmethod) else wrap(held)
    setattr(owner, name, made)
    try:
        yield
    finally:
        setattr(owner, name, held)


def table() -> str:
    """Return every failpoint, and every crash point that is none, one a line."""
    width = max(len(failpoint.name) for failpoint in FAILPOINTS)
    lines = [
        f"{failpoint.number}  {failpoint.name:{width}}  {'' if failpoint.simulated else 'real processes only: '}{failpoint.where}"
        for failpoint in FAILPOINTS
    ]
    return "\n".join([*lines, *(f"{number}  {'-':{width}}  not here: {why}" for number, why in EXCLUDED.items())])


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
