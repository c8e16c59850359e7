"""What the command line takes from the environment, and hands down."""

import os
from pathlib import Path

from logos_core.home import Home, default_home


def home_path() -> Path:
    """Return LOGOS_HOME."""
    given = os.environ.get("LOGOS_HOME")
    return Path(given).expanduser() if given else default_home()


def open_home() -> Home:
    """Open LOGOS_HOME."""
    return Home(home_path())
