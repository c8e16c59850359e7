"""LOGOS_HOME: what belongs to this host, not to one session.

::

    ledgers/KEY.sqlite3   the ledger of one account, unless the registry says it is elsewhere
    ledgers/KEY.json      the registry: where that ledger is, which file it is, how far it had come
    ledgers/KEY.lock      held shared by every session on it, exclusively while it is adopted
    sessions/ID.lock      held for the life of a session: whoever can take it has proof that the session is dead
    spool/KEY.jsonl       cancels that went out while the account's ledger could not record them
    venues/NAME/          what the sessions of one venue keep in step, such as the nonces of a key
    halt/                 the kill switch: while a file that covers an account is here, no order of it leaves

The system releases the locks when the process ends, however it ends, and never before.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import platformdirs
from attrs import frozen

from logos_core.clock import Clock
from logos_core.errors import ConfigurationError, LedgerError
from logos_core.events import stamp
from logos_core.records import LedgerIdentity
from logos_core.spool import Spool
from logos_core.systems import after_fork_in_child, make_folder, sync_folder, take_lock

OPENING_WAIT_S = 60.0
OPENING_PAUSE_S = 0.02
LOCK_TRIES = 1_000

EVERYTHING = "everything"
"""The scope of a halt that covers every account of this host."""


def default_home() -> Path:
    """Return where LOGOS_HOME is unless told otherwise."""
    return Path(platformdirs.user_data_dir("logos", appauthor=False))


def home_in(environ: Mapping[str, str]) -> Path:
    """Return where the environment says LOGOS_HOME is, or the platform's place for it.

    Raises:
        ConfigurationError: for a relative path: a halt in one working folder would stop nothing that runs in another.
    """
    given = environ.get("LOGOS_HOME")
    if not given:
        return default_home()
    path = Path(given).expanduser()
    if not path.is_absolute():
        raise ConfigurationError(
            f"LOGOS_HOME is {given!r}, which is another folder in each working folder; give the whole path, such as {path.absolute()}"
        )
    return path


def folder_name(venue: str) -> str:
    """Return a venue's name as a file name."""
    return venue.replace(":", "-")


def new_id() -> str:
    """Return a name that nothing else has."""
    return os.urandom(8).hex()


@frozen(kw_only=True)
class Registered:
    """What the host remembers of a ledger.

    Attributes:
        path: where it is.
        ledger_id: which file it is.
        sequence: how many events it had when a session last opened or closed it.
    """

    path: Path
    ledger_id: str
    sequence: int


class HeldLock:
    """A lock this process holds until it lets go or ends. A forked child does not hold it: it would outlive its parent's death."""

    _held: ClassVar[set["HeldLock"]] = set()

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self.path = path
        self._held.add(self)

    def release(self) -> None:
        """Let go."""
        self._held.discard(self)
        os.close(self._descriptor)

    @classmethod
    def drop_in_child(cls) -> None:
        """Close the child's copies. The lock belongs to the open file, which the parent still has, so it stays held there."""
        for lock in list(cls._held):
            lock.release()


after_fork_in_child(HeldLock.drop_in_child)


class Home:
    """The host's own folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("ledgers", "sessions", "spool", "halt"):
            folder = path / name
            try:
                make_folder(folder)
            except OSError as error:
                raise ConfigurationError(f"LOGOS_HOME: {folder} cannot be made ({error.strerror}); make it writable") from error

    def ledger_path(self, identity: LedgerIdentity) -> Path:
        """Return where the ledger of an account is unless the registry says otherwise."""
        return self.path / "ledgers" / f"{key_of(identity)}.sqlite3"

    def registered(self, identity: LedgerIdentity) -> Registered | None:
        """Return what is remembered of an account's ledger."""
        return self._read_registry(self.path / "ledgers" / f"{key_of(identity)}.json")

    def register(self, identity: LedgerIdentity, entry: Registered) -> None:
        """Remember where an account's ledger is and how far it has come."""
        body = {"path": str(entry.path), "ledger_id": entry.ledger_id, "sequence": entry.sequence}
        _replace(self.path / "ledgers" / f"{key_of(identity)}.json", json.dumps(body))

    def ledgers(self) -> list[Registered]:
        """Return every ledger this host knows."""
        found = (self._read_registry(path) for path in sorted((self.path / "ledgers").glob("*.json")))
        return [entry for entry in found if entry is not None]

    def _read_registry(self, path: Path) -> Registered | None:
        try:
            body = json.loads(path.read_text())
            return Registered(path=Path(body["path"]), ledger_id=body["ledger_id"], sequence=int(body["sequence"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LedgerError(f"the registry entry {path} cannot be read ({error}); run `logos ledger adopt`") from error

    @contextmanager
    def ledger_lock(self, identity: LedgerIdentity, *, exclusive: bool) -> Iterator[None]:
        """Hold an account's ledger: shared while in use, exclusively while it is replaced."""
        lock = self._lock(self.path / "ledgers" / f"{key_of(identity)}.lock", exclusive=exclusive)
        if lock is None:
            raise LedgerError(f"a session has the ledger of {identity.account_id} open; close it first (see `logos status`)")
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def opening(self, identity: LedgerIdentity, clock: Clock) -> Iterator[None]:
        """Let one process at a time find, make and register an account's ledger; the others wait their turn, within a bound."""
        path = self.path / "ledgers" / f"{key_of(identity)}.opening"
        end_s = clock.monotonic_s() + OPENING_WAIT_S
        while (lock := self._lock(path, exclusive=True)) is None:
            if clock.monotonic_s() > end_s:
                raise LedgerError(
                    f"another process has been opening the ledger of {identity.account_id} for {OPENING_WAIT_S} s; see {path}"
                )
            clock.sleep(OPENING_PAUSE_S)
        try:
            yield
        finally:
            lock.release()

    def hold_session(self, session_id: str) -> HeldLock:
        """Hold the lock that proves that a session lives. Its file survives the power: without it nobody could tell the session dead."""
        path = self._session_path(session_id)
        for _ in range(LOCK_TRIES):  # somebody may be trying just now whether it is dead
            lock = self._lock(path, exclusive=True)
            if lock is not None:
                sync_folder(path.parent)
                return lock
        raise LedgerError(f"the session lock {path} is held by another; open the session again")

    def is_dead(self, session_id: str) -> bool:
        """Say whether a session is proven dead: its lock is there, and can be taken. A missing lock proves nothing."""
        path = self._session_path(session_id)
        if not path.exists():
            return False
        lock = self._lock(path, exclusive=True)
        if lock is None:
            return False
        lock.release()
        return True

    def forget_session(self, session_id: str) -> None:
        """Remove the lock of a session that ended with nothing in flight; Windows keeps it while it is open, which does no harm."""
        with suppress(PermissionError):
            self._session_path(session_id).unlink(missing_ok=True)

    def spool(self, identity: LedgerIdentity) -> Spool:
        """Return where an account's cancels wait for a ledger that can record them."""
        return Spool(self.path / "spool" / f"{key_of(identity)}.jsonl")

    def knows_session(self, session_id: str) -> bool:
        """Say whether this host has the lock of a session, held or not."""
        return self._session_path(session_id).exists()

    def _session_path(self, session_id: str) -> Path:
        return self.path / "sessions" / f"{session_id}.lock"

    def _lock(self, path: Path, *, exclusive: bool) -> HeldLock | None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # Python hands it to no other program
        try:
            taken = take_lock(descriptor, exclusive=exclusive)
        except BaseException:
            os.close(descriptor)
            raise
        if not taken:
            os.close(descriptor)
            return None
        return HeldLock(descriptor, path)

    def venue_folder(self, venue: str) -> Path:
        """Return the folder that all sessions of a venue share."""
        folder = self.path / "venues" / folder_name(venue)
        make_folder(folder)
        return folder

    def halt_paths(self, identity: LedgerIdentity) -> tuple[str, ...]:
        """Return the files any of which stops this account's orders."""
        plugin = identity.venue.partition(":")[0]
        scopes = dict.fromkeys((EVERYTHING, plugin, folder_name(identity.venue), key_of(identity)))
        return tuple(str(self.path / "halt" / scope) for scope in scopes)

    def halt(self, scope: str, by: str, because: str, now: datetime) -> Path:
        """Engage the kill switch. The file's existence is what counts; what it says is for people."""
        _check_scope(scope)
        path = self.path / "halt" / folder_name(scope)
        try:
            path.touch()  # engages; what follows is words, and may fail for want of room
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written ({error.strerror}); make LOGOS_HOME writable") from error
        with suppress(ConfigurationError):
            _replace(path, json.dumps({"scope": scope, "by": by, "because": because, "at": stamp(now)}))
        return path

    def resume(self, scope: str) -> bool:
        """Take one halt away; say whether there was one."""
        _check_scope(scope)
        try:
            (self.path / "halt" / folder_name(scope)).unlink()
        except FileNotFoundError:
            return False
        return True

    def halts(self) -> dict[str, str]:
        """Return every halt in force, with what was said."""
        return {path.name: _words_of(path) for path in sorted((self.path / "halt").glob("[!.]*"))}


def key_of(identity: LedgerIdentity) -> str:
    """Return an account's name as a file name; the digest keeps apart what the file name cannot."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{folder_name(identity.venue)}_{identity.environment}_{identity.account_id}")
    digest = sha256(f"{identity.venue}\0{identity.environment}\0{identity.account_id}".encode()).hexdigest()
    return f"{plain[:60]}_{digest[:8]}"


def is_present(path: str) -> bool:
    """Say whether a halt file is there; if that cannot be told, it counts as there."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def _check_scope(scope: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_:-]+", scope):
        raise ConfigurationError(f"scope {scope!r} is not one; give {EVERYTHING!r}, a venue such as 'alpaca', or an account's key")


def _words_of(path: Path) -> str:
    try:
        said: dict[str, Any] = json.loads(path.read_text())
        return f"{said['because']} (by {said['by']} at {said['at']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "cannot be read; it halts all the same"


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all, and durably."""
    scratch = path.with_name(f".{path.name}.{new_id()}")
    try:
        with scratch.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}); make LOGOS_HOME writable") from error
