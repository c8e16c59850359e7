"""A ledger that an older version wrote is brought up to date when it is opened.

Rules:

1. `sql/schema.sql` is the whole schema of today, for a new ledger. `sql/migrations/NNNN_what.sql` leads from version NNNN - 1 to NNNN.
   To change the schema, write both; a test proves that they come to the same.
2. All that a ledger lacks is run in one transaction, by one process at a time. Killed in the middle, the ledger is what it was.
3. A migration adds, and changes or removes nothing: a session of the version before may have the file open, and goes on undisturbed.
   A table gets new columns at its end, with a default.
4. A ledger of a newer version is left alone.
"""

import functools
from importlib import resources

from logos_core.errors import LedgerError
from logos_core.ledger.connection import Connection


@functools.cache
def scripts() -> dict[int, str]:
    """Return every migration by the version it leads to, the oldest first."""
    found = resources.files("logos_core.ledger").joinpath("sql/migrations").iterdir()
    return {int(file.name.partition("_")[0]): file.read_text() for file in sorted(found, key=lambda file: file.name)}


def newest_version() -> int:
    """Return the version that this code writes."""
    return max(scripts())


def bring_up_to_date(connection: Connection, version: str) -> None:
    """Run what a ledger of this version lacks.

    Raises:
        LedgerError: the ledger is of a newer version than this code, or cannot be written.
    """
    newest = newest_version()
    if version == str(newest):
        return
    if not version.isdecimal() or int(version) > newest:
        raise LedgerError(
            f"the ledger {connection.path} has schema {version}, this logos knows {newest}; install a newer logos-core"
        )
    with connection.transaction():
        reached = _version(connection)  # another process may have been first
        for number, script in scripts().items():
            if number > reached:
                connection.script(script)
                connection.write("UPDATE meta SET value = ? WHERE name = 'schema_version'", str(number))


def _version(connection: Connection) -> int:
    row = connection.row("SELECT value FROM meta WHERE name = 'schema_version'")
    assert row is not None
    return int(row[0])
