"""`python -m logos_core.cli` is `logos`."""

import sys

from logos_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
