"""What operating systems do each in their own way: a lock that ends with its process, a folder that is synced, a fork.

Linux is what is tested. Windows has neither `fcntl` nor `fork`; its locks are always exclusive, so an account takes one session at a
time there.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from logos_core.errors import ConfigurationError

LIVE_ON = "linux"
"""The one system on which a live order may leave: there, syncs and locks were tried by killing processes in the middle of orders."""


def _module(name: str) -> Any:
    """Return a module that only some systems have, or None."""
    with suppress(ImportError):
        return import_module(name)
    return None


_fcntl, _msvcrt = _module("fcntl"), _module("msvcrt")


def take_lock(descriptor: int, *, exclusive: bool) -> bool:
    """Lock an open file at once and say whether that worked; the system lets go of it when the process ends, however it ends.

    Raises:
        ConfigurationError: this system has no such locks, so nobody could tell a dead session from a living one.
    """
    try:
        if _fcntl is not None:
            _fcntl.flock(descriptor, (_fcntl.LOCK_EX if exclusive else _fcntl.LOCK_SH) | _fcntl.LOCK_NB)
        elif _msvcrt is not None:
            _msvcrt.locking(descriptor, _msvcrt.LK_NBLCK, 1)
        else:
            raise ConfigurationError(
                f"{sys.platform} has neither flock nor msvcrt locks; logos needs one of them to keep sessions apart"
            )
    except OSError:
        return False
    return True


def sync_folder(path: Path) -> None:
    """Let a file's new name survive the power; Windows opens no folders, and writes names by itself."""
    if _fcntl is None:
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def make_folder(path: Path) -> None:
    """Make a folder, and those it is in, so that they survive the power together with what is synced in them."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def after_fork_in_child(act: Callable[[], None]) -> None:
    """Have something done in each forked child; where there are no forks, nothing is needed."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=act)


def require_live_system(what: str) -> None:
    """Refuse live orders on a system on which the promise was not put to the test."""
    if sys.platform != LIVE_ON:
        raise ConfigurationError(
            f"{what}: environment is 'live', and this system is {sys.platform!r}; live orders leave from {LIVE_ON!r} only, where "
            "syncs and locks were tested; use 'paper' here"
        )
