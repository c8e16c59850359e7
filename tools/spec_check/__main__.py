"""Check the adapters and the simulators against the venues' own documents: `python -m tools.spec_check --specs FOLDER`.

Ends with 0 if every venue stands, and also if no folder is given, which it then says; with 1 if one does not stand; with 2 if a
document is missing or cannot be read.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tools.spec_check import deviations, reporting
from tools.spec_check.checking import check
from tools.spec_check.deviations import DeviationError
from tools.spec_check.documents import DocumentError
from tools.spec_check.venues import DOCUMENTED


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.spec_check", description=__doc__)
    parser.add_argument("venues", nargs="*", help="only these; default: all of them")
    parser.add_argument("--specs", metavar="FOLDER", default="", help="where the documents are; without it, nothing is checked")
    parser.add_argument("--all", action="store_true", help="tell accepted deviations and undeclared fields of answers, too")
    given = parser.parse_args(arguments)
    wanted = [item for item in DOCUMENTED if not given.venues or item.venue in given.venues]
    if not given.specs:
        print(reporting.skipped(wanted))
        return 0
    try:
        missing = [item.file for item in wanted if not (Path(given.specs) / item.file).is_file()]
        if missing:
            raise DocumentError(
                f"{given.specs} has no {', no '.join(missing)}; `make spec-check` alone says where they are published"
            )
        accepted = deviations.load()
        results = [check(item, Path(given.specs), accepted) for item in wanted]
    except (DocumentError, DeviationError) as error:
        print(error, file=sys.stderr)
        return 2
    print(reporting.told(results, verbose=given.all))
    return 0 if results and all(result.stands for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
