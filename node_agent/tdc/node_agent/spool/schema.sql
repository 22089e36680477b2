-- The spool's file, schema version 1 (docs/decisions/0003-spool.md).
-- A change raises user_version; an older agent refuses a newer file and leaves it as it is.
PRAGMA application_id = 0x54444353; -- "TDCS": tells our file from any other
PRAGMA user_version = 1;

-- One row for each copy in the spool. Content has a table of its own, so that reading the queue at
-- open does not walk over it.
CREATE TABLE copies (
    mid       INTEGER PRIMARY KEY, -- number of the message at this agent; never used twice
    state     TEXT NOT NULL,       -- held, queued, dead (values.CopyState)
    report_id TEXT NOT NULL,       -- left part of the report's Message-ID, the same in each attempt
    intake    TEXT NOT NULL,       -- message intake address that the copy is due to
    envelope  TEXT NOT NULL,       -- JSON array: sender, recipients, smtputf8, body, client address
    size      INTEGER NOT NULL,    -- bytes of the content
    taken_at  REAL NOT NULL,       -- when the copy was taken, Unix seconds
    next_at   REAL NOT NULL,       -- not to be tried before, Unix seconds
    attempts  INTEGER NOT NULL,    -- failed attempts so far
    checksum  BLOB NOT NULL,       -- SHA-256 of content, report_id, intake and envelope
    reason    TEXT NOT NULL        -- why the last attempt failed, or why it is dead; or empty
);

-- The queue as it is read at open, and its oldest copy, without touching the table.
CREATE INDEX copies_by_state ON copies (state, intake, taken_at, next_at, size);

CREATE TABLE contents (
    mid     INTEGER PRIMARY KEY, -- as in copies
    content BLOB NOT NULL        -- the original's bytes: CRLF lines, not dot-stuffed
);

-- What became of copies that left the spool; the newest ones only (database.KEEP_FINISHED).
CREATE TABLE finished (
    mid         INTEGER PRIMARY KEY, -- as it was in copies
    report_id   TEXT NOT NULL,       -- as it was in copies
    intake      TEXT NOT NULL,       -- as it was in copies
    taken_at    REAL NOT NULL,       -- as it was in copies
    finished_at REAL NOT NULL,       -- when the copy left the spool, Unix seconds
    outcome     TEXT NOT NULL,       -- delivered, discarded, refused
    text        TEXT NOT NULL        -- the intake's reply, or why discarded
);

-- Failed attempts, for the history of a copy; the newest ones only (database.KEEP_EVENTS).
CREATE TABLE events (
    id   INTEGER PRIMARY KEY, -- order of happening
    mid  INTEGER NOT NULL,    -- the copy
    at   REAL NOT NULL,       -- Unix seconds
    what TEXT NOT NULL,       -- deferred, dead
    text TEXT NOT NULL        -- reason
);
CREATE INDEX events_by_mid ON events (mid);
