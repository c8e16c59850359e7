"""A disk under SQLite that loses its power at a chosen moment, or fails at one.

Rules:

1. While there is power, every file is what SQLite and Python take it for: the real one, in a real folder.
2. After the cut it is what a disk might hold. What was synced is there. Each write that was not is kept, dropped or torn between two
   sectors, each for itself; a truncation is kept or dropped. A file's name is durable once its folder was synced.
3. A sync that fails leaves what it was about in doubt for good. No later sync makes it durable, as in Linux.
4. The moments are counted: each write, truncation, deletion and sync is one. A cut comes while one is under way, or just after.
"""

import hashlib
from collections import Counter
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from random import Random
from typing import Any

import apsw
from attrs import define, frozen

SECTOR = 512
SYNCS_ITS_FOLDER = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
"""Of such a file, SQLite syncs the folder too when it first syncs the file."""


class PowerCut(BaseException):
    """The power has gone. It leaves through every frame, and whatever is asked of the disk on the way raises it again."""


class Trouble(Enum):
    """How a disk fails that has power."""

    FULL = "disk full"
    WRITE = "write error"
    SYNC = "sync error"


@frozen(kw_only=True)
class Plan:
    """When what goes wrong.

    Attributes:
        cut_at: the number of the moment at which the power goes; None if it stays until somebody cuts it.
        after: whether it goes just after that moment, not in its midst.
        trouble: how the disk fails.
        trouble_at: the number of the moment from which on it does.
        lasting: whether it fails from then on, not once.
    """

    cut_at: int | None = None
    after: bool = False
    trouble: Trouble | None = None
    trouble_at: int = 0
    lasting: bool = False


@define
class Change:
    """A write that was not synced; a truncation has no data.

    Attributes:
        certain: whether a sync came after it.
        doubtful: whether a sync of it failed.
    """

    offset: int
    data: bytes | None
    certain: bool = False
    doubtful: bool = False


class Fate:
    """What a cut makes of each thing that was not synced."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.counts: Counter[str] = Counter()
        self._keeps = random.choice((0.0, 0.0, 0.5, 0.5, 0.5, 0.8, 1.0))
        self._tears = random.choice((0.0, 0.3, 0.6))

    def keeps(self) -> bool:
        """Say whether a name or a truncation was in time."""
        kept = self.random.random() < self._keeps
        self.counts["kept" if kept else "dropped"] += 1
        return kept

    def sectors(self, change: Change) -> list[tuple[int, bytes]]:
        """Return the parts of a write that are on the disk."""
        assert change.data is not None, "a truncation has no sectors"
        if not 0.0 < self._keeps < 1.0 or self.random.random() >= self._tears:
            return [(change.offset, change.data)] if self.keeps() else []
        self.counts["torn"] += 1
        return [part for part in _parts(change.offset, change.data) if self.random.random() < 0.5]


def _parts(offset: int, data: bytes) -> list[tuple[int, bytes]]:
    """Cut a write where its sectors end."""
    ends = [*range(SECTOR - offset % SECTOR, len(data), SECTOR), len(data)]
    begins = [0, *ends[:-1]]
    return [(offset + begin, data[begin:end]) for begin, end in zip(begins, ends, strict=True)]


class Platter:
    """One file: what it holds for certain, and what was asked of it since."""

    def __init__(self, held: bytes = b"") -> None:
        self._held = bytearray(held)
        self._since: list[Change] = []

    def change(self, offset: int, data: bytes | None) -> None:
        """Take a write, or a truncation."""
        self._since.append(Change(offset, data))

    def sync(self) -> None:
        """Make certain what was asked for, as far as no sync of it has failed."""
        for change in self._since:
            change.certain = not change.doubtful
        while self._since and self._since[0].certain:
            _apply(self._held, self._since.pop(0))

    def fail_to_sync(self) -> None:
        """Leave in doubt what was asked for."""
        for change in self._since:
            change.doubtful = not change.certain

    def after(self, fate: Fate) -> bytes:
        """Return what the disk holds after the cut."""
        held = bytearray(self._held)
        for change in self._since:
            if change.certain:
                _apply(held, change)
            elif change.data is None:
                if fate.keeps():
                    _apply(held, change)
            else:
                for offset, data in fate.sectors(change):
                    _apply(held, Change(offset, data))
        return bytes(held)


def _apply(held: bytearray, change: Change) -> None:
    if change.data is None:
        del held[change.offset :]
        return
    held.extend(bytes(max(0, change.offset - len(held))))
    held[change.offset : change.offset + len(change.data)] = change.data


class Disk(apsw.VFS):  # type: ignore[misc,unused-ignore]
    """SQLite's way to the disk, for every connection that is opened while it is the default one.

    Attributes:
        moments: how many writes, truncations, deletions and syncs there were.
        met: the file and the kind of the moment at which it first failed, or None.
        has_power: whether it goes on.
        trace: the hash of everything that was asked of it.
        on_folder_sync: told of each folder that SQLite syncs.
        on_failure: told when it fails.
    """

    def __init__(self, plan: Plan, random: Random) -> None:
        self.base = apsw.vfs_names()[0]
        self.plan = plan
        self.random = random
        self.moments = 0
        self.met: tuple[str, str] | None = None
        self.has_power = True
        self.trace = hashlib.sha256()
        self.on_folder_sync: Callable[[Path], None] = lambda _: None
        self.on_failure: Callable[[], None] = lambda: None
        self._closing = False
        self._names: dict[str, Platter] = {}
        self._durable: dict[str, Platter] = {}
        self._renamed: list[tuple[str, Platter | None]] = []
        super().__init__("power", self.base, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802  apsw's own name
        return _DiskFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802, FBT001
        if not self.has_power:  # what SQLite asks for while it undoes what failed does nothing, and is no failure of its own
            return
        self.begin("delete", filename)
        self._name(filename, None)
        super().xDelete(filename, syncdir)
        self.half()
        if syncdir:
            self.sync_folder(filename)
        self.end()

    def xRandomness(self, numbytes: int) -> bytes:  # noqa: N802
        return self.random.randbytes(numbytes)

    def begin(self, kind: str, name: str, offset: int = 0, size: int = 0) -> None:
        """Come to a moment."""
        if self._closing:
            return
        if not self.has_power:
            raise PowerCut
        self.moments += 1
        self.trace.update(f"{kind} {Path(name).name} {offset} {size}\n".encode())

    def half(self) -> None:
        """Be in the midst of a moment."""
        if self.moments == self.plan.cut_at and not self.plan.after:
            self.cut()

    def end(self) -> None:
        """Come to the end of a moment."""
        if self.moments == self.plan.cut_at:
            self.cut()

    def cut(self) -> None:
        """Let the power go."""
        self.has_power = False
        raise PowerCut

    def fails(self, kind: str, name: str) -> bool:
        """Say whether a moment of this kind goes wrong."""
        wanted = "sync" if self.plan.trouble is Trouble.SYNC else "write"
        if self.plan.trouble is None or kind != wanted or self.moments < self.plan.trouble_at:
            return False
        if self.met is not None and not self.plan.lasting:
            return False
        if self.met is None:
            self.met = Path(name).name, kind
        self.on_failure()
        return True

    def failure(self) -> Exception:
        """Return what SQLite is told of it."""
        if self.plan.trouble is Trouble.FULL:
            return apsw.FullError("no space left on device")
        error: Any = apsw.IOError("input/output error")
        error.extendedresult = apsw.SQLITE_IOERR_FSYNC if self.plan.trouble is Trouble.SYNC else apsw.SQLITE_IOERR_WRITE
        said: Exception = error
        return said

    def platter(self, name: str) -> Platter:
        """Return a file, which begins to be if it was not."""
        if name not in self._names:
            self._name(name, Platter())
        return self._names[name]

    def _name(self, name: str, platter: Platter | None) -> None:
        self._renamed.append((name, platter))
        _rename(self._names, name, platter)

    def sync_folder(self, name: str) -> None:
        """Make the names in a file's folder durable. There is one folder."""
        self._durable, self._renamed = dict(self._names), []
        self.on_folder_sync(Path(name).parent)

    def settle(self, folder: Path, fate: Fate) -> None:
        """Close every connection without writing, and make the files what the disk holds."""
        self.has_power, self._closing = False, True
        for connection in apsw.connections():
            if Path(connection.filename).is_relative_to(folder):
                connection.close()
        self.unregister()
        for name in {*self._names, *self._durable, *(name for name, _ in self._renamed)}:
            for path in (name, f"{name}-shm"):
                Path(path).unlink(missing_ok=True)
        held = dict(self._durable)
        for name, platter in self._renamed:
            if fate.keeps():
                _rename(held, name, platter)
        for name, platter in held.items():
            Path(name).write_bytes(platter.after(fate))


def _rename(names: dict[str, Platter], name: str, platter: Platter | None) -> None:
    if platter is None:
        names.pop(name, None)
    else:
        names[name] = platter


class _DiskFile(apsw.VFSFile):  # type: ignore[misc,unused-ignore]
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._syncs_folder = bool(flags[0] & SYNCS_ITS_FOLDER and flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__(disk.base, name, flags)
        self._platter = disk.platter(self._name)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802  apsw's own name
        disk, whole = self._disk, bytes(data)
        disk.begin("write", self._name, offset, len(whole))
        if not disk.has_power:
            return
        failed = disk.fails("write", self._name)
        written = whole[: len(whole) // 2] if failed else whole
        self._platter.change(offset, written)
        super().xWrite(written, offset)
        disk.half()
        if failed:
            raise disk.failure()
        disk.end()

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        disk = self._disk
        if not disk.has_power:
            return
        disk.begin("truncate", self._name, newsize)
        self._platter.change(newsize, None)
        super().xTruncate(newsize)
        disk.half()
        disk.end()

    def xSync(self, flags: int) -> None:  # noqa: N802
        disk = self._disk
        disk.begin("sync", self._name)
        if not disk.has_power:
            return
        disk.half()
        if disk.fails("sync", self._name):
            self._platter.fail_to_sync()
            raise disk.failure()
        self._platter.sync()
        if self._syncs_folder:
            self._syncs_folder = False
            disk.sync_folder(self._name)
        disk.end()
