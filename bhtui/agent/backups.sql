-- Version 2: what is known of backups. Times are Unix nanoseconds, 0: never; JSON columns are canonical text.

-- The snapshots as a repository was last seen to hold them; made anew from it at any time.
CREATE TABLE backups (
  repository TEXT NOT NULL,  -- its location, as restic is told of it
  id         TEXT NOT NULL,
  time_ns    INTEGER NOT NULL,
  data       TEXT NOT NULL,  -- of core.backup.BackupSnapshot, what the repository itself says
  PRIMARY KEY (repository, id)
) WITHOUT ROWID;

CREATE TABLE repositories (location TEXT PRIMARY KEY, seen_ns INTEGER NOT NULL) WITHOUT ROWID;

-- What no repository says: how each look at a snapshot ended. Kept when the table above is made anew.
CREATE TABLE backup_checks (
  id      TEXT NOT NULL,
  kind    TEXT NOT NULL,              -- made, verify, drill
  time_ns INTEGER NOT NULL,
  how     TEXT NOT NULL DEFAULT '',   -- of verify: structure, data
  problem TEXT NOT NULL DEFAULT '',   -- empty: it was good
  seconds REAL NOT NULL DEFAULT 0,    -- of drill: until the service was healthy
  PRIMARY KEY (id, kind)
) WITHOUT ROWID;

-- The last attempt to back up a service, if it has failed.
CREATE TABLE backup_failures (service TEXT PRIMARY KEY, time_ns INTEGER NOT NULL, error TEXT NOT NULL) WITHOUT ROWID;
