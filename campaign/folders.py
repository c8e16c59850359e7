"""What Python itself writes under a folder, and what is left of it after the power has gone.

Rules:

1. A file's content is durable once the file was synced, a name once its folder was. Of anything else, the cut decides.
2. SQLite's own files belong to `campaign.storage`.
"""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from campaign.storage import Fate

Names = dict[str, int]


class Folders:
    """What was synced of the files and folders under one folder, by the number that the system gives each."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[int, Names] = {root.stat().st_ino: {}}
        self._held: dict[int, bytes] = {}

    @contextmanager
    def watched(self, moment: Callable[[Callable[[], None]], None]) -> Iterator[None]:
        """Note every sync that Python asks for; each is a moment at which the power may go."""
        real = os.fsync

        def fsync(descriptor: int) -> None:
            real(descriptor)
            moment(lambda: self.note(descriptor))

        os.fsync = fsync  # type: ignore[assignment]
        try:
            yield
        finally:
            os.fsync = real

    def note(self, descriptor: int) -> None:
        """Note that a file or a folder was synced."""
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self._names[found.st_ino] = _names(f"/proc/self/fd/{descriptor}")
        else:
            self._held[found.st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()

    def note_folder(self, folder: Path) -> None:
        """Note that a folder was synced."""
        self._names[folder.stat().st_ino] = _names(str(folder))

    def settle(self, fate: Fate) -> None:
        """Make the files what the disk holds."""
        self._settle(self._root, fate)

    def _settle(self, folder: Path, fate: Fate) -> None:
        durable, now = self._names.get(folder.stat().st_ino, {}), _names(str(folder))
        for name in sorted({*durable, *now}):
            path = folder / name
            if ".sqlite3" in name:
                continue
            kept = now.get(name)
            if kept != durable.get(name) and not fate.keeps():
                kept = durable.get(name)
            if kept is None:
                _remove(path)
            elif path.is_dir():
                self._settle(path, fate)
            else:
                path.write_bytes(self._content(path, kept, now.get(name), fate))

    def _content(self, path: Path, kept: int, now: int | None, fate: Fate) -> bytes:
        """Return what is in the file that a name stands for."""
        synced = self._held.get(kept, b"")
        if kept != now:
            return synced
        whole = path.read_bytes()
        return whole if whole == synced or fate.keeps() else synced


def _names(folder: str) -> Names:
    with os.scandir(folder) as entries:
        return {entry.name: entry.inode() for entry in entries}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
