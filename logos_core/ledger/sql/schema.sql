-- The ledger of one account at one venue. The unique keys hold the promise even against a buggy caller.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    session_id TEXT PRIMARY KEY,
    opened_at  TEXT NOT NULL,
    closed_at  TEXT,
    strategy   TEXT NOT NULL,
    process    TEXT NOT NULL          -- host and pid, for people
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_open ON sessions (session_id) WHERE closed_at IS NULL;

-- One row per decision. `state` is the projection of the events.
CREATE TABLE intents (
    id              INTEGER PRIMARY KEY,
    client_order_id TEXT NOT NULL UNIQUE,
    strategy        TEXT,              -- NULL until a caller claims an adopted order
    intent_id       TEXT,
    payload         TEXT,              -- the caller's order, one spelling
    market_type     TEXT NOT NULL DEFAULT 'spot',
    symbol          TEXT NOT NULL,
    group_id        TEXT,              -- linked orders
    parent_intent   INTEGER REFERENCES intents (id),
    state           TEXT NOT NULL,
    request         TEXT,              -- the order as sent
    valid_until     TEXT,
    created_at      TEXT NOT NULL,
    updated_at      TEXT NOT NULL,
    watched         INTEGER NOT NULL DEFAULT 0   -- closed by a person: if it appears, it is adopted and the switch latches
) STRICT;

CREATE INDEX intents_unknown ON intents (id) WHERE state = 'unknown';
CREATE INDEX intents_working ON intents (id) WHERE state IN ('pending_new', 'new', 'partially_filled', 'pending_cancel');
CREATE INDEX intents_replacing ON intents (parent_intent) WHERE parent_intent IS NOT NULL;

-- Every symbol an intent was recorded for, so that a venue can be asked about each without reading all intents.
CREATE TABLE symbols (
    symbol TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TRIGGER symbols_grow AFTER INSERT ON intents BEGIN INSERT OR IGNORE INTO symbols (symbol) VALUES (new.symbol); END;

-- One row per request that may have left. An open outcome means: in flight.
CREATE TABLE attempts (
    intent       INTEGER NOT NULL REFERENCES intents (id),
    number       INTEGER NOT NULL,
    session_id   TEXT NOT NULL REFERENCES sessions (session_id),
    committed_at TEXT NOT NULL,
    send_by      TEXT NOT NULL,
    valid_until  TEXT NOT NULL,
    position     TEXT,                 -- the venue's log position before the send
    clock_offset_ms INTEGER,           -- the venue's clock less ours, where known
    outcome      TEXT,
    settled_at   TEXT,
    PRIMARY KEY (intent, number)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX attempts_one_in_flight ON attempts (intent) WHERE outcome IS NULL;

-- 1:N per intent: a second primary is recorded as a duplicate, never overlooked. The primary is number 0, so there can be but one.
CREATE TABLE venue_orders (
    intent         INTEGER NOT NULL REFERENCES intents (id),
    number         INTEGER NOT NULL,
    symbol         TEXT NOT NULL,
    venue_order_id TEXT NOT NULL,
    role           TEXT NOT NULL CHECK (role IN ('primary', 'leg', 'replacement', 'duplicate')),
    report         TEXT NOT NULL,
    PRIMARY KEY (intent, number),
    UNIQUE (symbol, venue_order_id),
    CHECK ((role = 'primary') = (number = 0))
) STRICT, WITHOUT ROWID;

CREATE INDEX venue_orders_duplicate ON venue_orders (intent, number) WHERE role = 'duplicate';
CREATE INDEX venue_orders_working_legs ON venue_orders (intent, number)
    WHERE role = 'leg' AND json_extract(report, '$.status') NOT IN ('filled', 'canceled', 'expired', 'rejected');

CREATE TABLE executions (
    id             INTEGER PRIMARY KEY,
    symbol         TEXT NOT NULL,
    execution_id   TEXT NOT NULL,
    venue_order_id TEXT NOT NULL,
    intent         INTEGER REFERENCES intents (id),
    body           TEXT NOT NULL,
    UNIQUE (symbol, execution_id)
) STRICT;

CREATE INDEX executions_of ON executions (symbol, venue_order_id);

CREATE TABLE cursors (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE latches (
    id          INTEGER PRIMARY KEY,
    reason      TEXT NOT NULL,
    latched_at  TEXT NOT NULL,
    released_at TEXT,
    released_by TEXT
) STRICT;

CREATE INDEX latches_set ON latches (id) WHERE released_at IS NULL;

-- The audit log: one event per state change, in the transaction that changes the state, one hash chain per session.
CREATE TABLE events (
    sequence        INTEGER PRIMARY KEY,
    session_id      TEXT NOT NULL,
    number          INTEGER NOT NULL,
    kind            TEXT NOT NULL,
    intent          INTEGER,
    body            BLOB NOT NULL,
    previous        BLOB NOT NULL,
    hash            BLOB NOT NULL,
    UNIQUE (session_id, number)
) STRICT;

CREATE TRIGGER events_never_change BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_never_vanish BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE INDEX events_of ON events (intent) WHERE intent IS NOT NULL;
CREATE INDEX events_denied ON events (sequence) WHERE kind = 'denied';

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
