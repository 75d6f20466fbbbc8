-- The agent's database, version 1. Applied once to a new file; later versions are further scripts (MIGRATIONS in store.py).
-- JSON columns are canonical text. Times are Unix nanoseconds, 0: not yet.

CREATE TABLE operations (
  number          INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of beginning
  id              TEXT NOT NULL UNIQUE,
  kind            TEXT NOT NULL,
  targets         TEXT NOT NULL,
  effects         TEXT NOT NULL,
  claims          TEXT NOT NULL,
  undo_on_failure INTEGER NOT NULL,
  preempts        INTEGER NOT NULL,
  actor_name      TEXT NOT NULL,
  actor_origin    TEXT NOT NULL,
  reason          TEXT NOT NULL,
  state           TEXT NOT NULL,
  error           TEXT NOT NULL DEFAULT '',
  note            TEXT NOT NULL DEFAULT '',
  cancelled_by    TEXT NOT NULL DEFAULT '',
  created_ns      INTEGER NOT NULL,
  started_ns      INTEGER NOT NULL DEFAULT 0,
  ended_ns        INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX operations_open ON operations(number) WHERE ended_ns = 0;
CREATE INDEX operations_like ON operations(kind, targets);

CREATE TABLE steps (
  operation  INTEGER NOT NULL REFERENCES operations(number),
  position   INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  target     TEXT NOT NULL,
  title      TEXT NOT NULL,
  args       TEXT NOT NULL,
  after      TEXT NOT NULL,
  timeout    REAL NOT NULL,
  state      TEXT NOT NULL,
  detail     TEXT NOT NULL DEFAULT '',
  learned    TEXT NOT NULL DEFAULT '{}',
  started_ns INTEGER NOT NULL DEFAULT 0,
  undo_ns    INTEGER NOT NULL DEFAULT 0,  -- when its undo was first called
  ended_ns   INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (operation, position)
) WITHOUT ROWID;

CREATE TABLE events (
  seq          INTEGER PRIMARY KEY AUTOINCREMENT,  -- AUTOINCREMENT: a number is never used again, also after pruning
  time_ns      INTEGER NOT NULL,
  kind         TEXT NOT NULL,
  target       TEXT NOT NULL DEFAULT '',
  message      TEXT NOT NULL DEFAULT '',
  data         TEXT NOT NULL DEFAULT '{}',
  actor_name   TEXT,
  actor_origin TEXT,
  hash         BLOB
);

-- The last event that was pruned: what the chain of the remaining ones begins from.
CREATE TABLE anchor (seq INTEGER NOT NULL, hash BLOB NOT NULL);
INSERT INTO anchor VALUES (0, zeroblob(32));

CREATE TABLE instances (instance TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE overrides (
  service TEXT NOT NULL,
  key     TEXT NOT NULL,
  value   TEXT NOT NULL,
  actor   TEXT NOT NULL,
  time_ns INTEGER NOT NULL,
  PRIMARY KEY (service, key)
) WITHOUT ROWID;

-- Every event is chained, whoever inserts it. A predecessor that is missing is the anchor; if it is not that either,
-- verification finds the break.
CREATE TRIGGER events_chained AFTER INSERT ON events BEGIN
  UPDATE events SET hash = chain_hash(
    coalesce((SELECT hash FROM events WHERE seq = NEW.seq - 1), (SELECT hash FROM anchor)),
    NEW.seq, NEW.time_ns, NEW.kind, NEW.target, NEW.message, NEW.data, NEW.actor_name, NEW.actor_origin)
  WHERE seq = NEW.seq;
END;

-- History cannot be forgotten: whatever changes a state writes the event in the same transaction.
CREATE TRIGGER operation_begun AFTER INSERT ON operations BEGIN
  INSERT INTO events (time_ns, kind, target, message, data, actor_name, actor_origin) VALUES (
    now_ns(), 'operation.state', NEW.id,
    headline(NEW.kind, NEW.targets, NEW.state, NEW.error),
    json_object('kind', NEW.kind, 'targets', json(NEW.targets), 'from', NULL, 'to', NEW.state, 'reason', NEW.reason),
    NEW.actor_name, NEW.actor_origin);
END;

CREATE TRIGGER operation_state AFTER UPDATE OF state ON operations WHEN OLD.state IS NOT NEW.state BEGIN
  INSERT INTO events (time_ns, kind, target, message, data, actor_name, actor_origin) VALUES (
    now_ns(), 'operation.state', NEW.id,
    headline(NEW.kind, NEW.targets, NEW.state, NEW.error),
    json_object('kind', NEW.kind, 'targets', json(NEW.targets), 'from', OLD.state, 'to', NEW.state,
                'reason', NEW.reason, 'error', NEW.error, 'note', NEW.note),
    NEW.actor_name, NEW.actor_origin);
END;

CREATE TRIGGER step_state AFTER UPDATE OF state ON steps WHEN OLD.state IS NOT NEW.state BEGIN
  INSERT INTO events (time_ns, kind, target, message, data, actor_name, actor_origin)
  SELECT now_ns(), 'operation.step', id,
    headline(NEW.kind, json_array(NEW.target), NEW.state, NEW.detail),
    json_object('step', NEW.position, 'kind', NEW.kind, 'target', NEW.target, 'title', NEW.title,
                'from', OLD.state, 'to', NEW.state, 'detail', NEW.detail),
    actor_name, actor_origin
  FROM operations WHERE number = NEW.operation;
END;
