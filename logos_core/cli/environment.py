"""What the command line takes from the environment, and hands down."""

import os
from pathlib import Path

from logos_core.home import Home, home_in


def home_path() -> Path:
    """Return LOGOS_HOME."""
    return home_in(os.environ)


def open_home() -> Home:
    """Open LOGOS_HOME."""
    return Home(home_path())
