-- Events may move into segment files beside the ledger; what moved, and where the chains went on from, stays here.

CREATE TABLE segments (
    number         INTEGER PRIMARY KEY,
    file           TEXT NOT NULL,
    sha256         TEXT NOT NULL,
    first_sequence INTEGER NOT NULL,
    last_sequence  INTEGER NOT NULL,
    heads          TEXT NOT NULL,       -- of the chains that go on after it: session → number:hash
    archived_at    TEXT NOT NULL
) STRICT;
