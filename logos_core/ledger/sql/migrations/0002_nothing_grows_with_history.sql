-- What is asked on the way of opening, submitting, reconciling and closing is found without reading all that ever was.

CREATE TABLE symbols (
    symbol TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TRIGGER symbols_grow AFTER INSERT ON intents BEGIN INSERT OR IGNORE INTO symbols (symbol) VALUES (new.symbol); END;

INSERT INTO symbols (symbol) SELECT DISTINCT symbol FROM intents;

CREATE INDEX sessions_open ON sessions (session_id) WHERE closed_at IS NULL;
CREATE INDEX IF NOT EXISTS intents_replacing ON intents (parent_intent) WHERE parent_intent IS NOT NULL;
CREATE INDEX venue_orders_duplicate ON venue_orders (intent, number) WHERE role = 'duplicate';
CREATE INDEX venue_orders_working_legs ON venue_orders (intent, number)
    WHERE role = 'leg' AND json_extract(report, '$.status') NOT IN ('filled', 'canceled', 'expired', 'rejected');
CREATE INDEX events_denied ON events (sequence) WHERE kind = 'denied';
