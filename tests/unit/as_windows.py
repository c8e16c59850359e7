"""Run the command line, or a program, in a Python that lacks what Windows lacks.

    python as_windows.py -c PROGRAM
    python as_windows.py ARGUMENTS OF logos

Taken away: `fcntl`, `fork` and what belongs to it, `select.poll`, and the opening of folders. Given: an `msvcrt` whose `locking` behaves
as https://learn.microsoft.com/cpp/c-runtime-library/reference/locking and Python's page on msvcrt say: the bytes from where the file
stands on are locked for one open file, exclusively; another gets an OSError; the end of the process lets go. It is made of Linux's locks
of open file descriptions, which do the same. `sys.platform` stays what it is: the standard library goes by it.
"""

import asyncio
import fcntl as linux
import os
import runpy
import select
import struct
import subprocess
import sys
import types
from importlib.abc import MetaPathFinder
from pathlib import Path

BELONG_TO_THIS_SYSTEM = (asyncio, subprocess)
"""Of the standard library, those that look for `msvcrt` or `fcntl` to know where they are: imported while it still can be told."""

LK_UNLCK, LK_LOCK, LK_NBLCK = 0, 1, 2
"""As `sys/locking.h` of the Windows SDK numbers them."""


class _Missing(MetaPathFinder):
    """Finds that there is no such module."""

    def find_spec(self, name, path=None, target=None):
        if name == "fcntl":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _locking(descriptor: int, mode: int, count: int) -> None:
    assert mode in {LK_UNLCK, LK_NBLCK}, "LK_LOCK tries for ten seconds; nothing here may wait that long"
    kind = linux.F_UNLCK if mode == LK_UNLCK else linux.F_WRLCK
    start = os.lseek(descriptor, 0, os.SEEK_CUR)
    linux.fcntl(descriptor, linux.F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, start, count, 0))


def _open(path, flags, mode=0o777, *, dir_fd=None):
    if dir_fd is None and Path(os.fsdecode(path)).is_dir():
        raise PermissionError(13, "Permission denied", str(path))
    return _real_open(path, flags, mode, dir_fd=dir_fd)


_real_open = os.open


def become_windows() -> None:
    """Take away and give, before anything of logos is imported."""
    del sys.modules["fcntl"]
    sys.meta_path.insert(0, _Missing())
    msvcrt = types.ModuleType("msvcrt")
    vars(msvcrt).update(locking=_locking, LK_UNLCK=LK_UNLCK, LK_LOCK=LK_LOCK, LK_NBLCK=LK_NBLCK)
    sys.modules["msvcrt"] = msvcrt
    for module, names in ((os, ("fork", "forkpty", "register_at_fork")), (select, ("poll", "epoll"))):
        for name in names:
            delattr(module, name)
    os.open = _open


if __name__ == "__main__":
    become_windows()
    if sys.argv[1] == "-c":
        exec(compile(sys.argv.pop(2), "PROGRAM", "exec"), {"__name__": "__main__"})
    else:
        runpy.run_module("logos_core.cli", run_name="__main__", alter_sys=True)
