-- The spool's file, schema version 2 (docs/decisions/0003-spool.md).
-- A change raises user_version and brings an upgrade_from_N.sql; an older agent refuses a newer file
-- and leaves it as it is. Times are steady seconds (steady.py) unless a comment says otherwise.
PRAGMA application_id = 0x54444353; -- "TDCS": tells our file from any other
PRAGMA user_version = 2;

-- One row for each copy in the spool. Content has a table of its own, so that reading the queue at
-- open does not walk over it.
CREATE TABLE copies (
    mid        INTEGER PRIMARY KEY, -- number of the message at this agent; never used twice
    state      TEXT NOT NULL,       -- held, queued, dead, dropped (values.CopyState)
    report_id  TEXT NOT NULL,       -- left part of the report's Message-ID, the same in each attempt
    intake     TEXT NOT NULL,       -- message intake address that the copy is due to
    envelope   TEXT NOT NULL,       -- JSON array: sender, recipients, smtputf8, body, client address
    size       INTEGER NOT NULL,    -- bytes of the content
    taken_at   REAL NOT NULL,       -- when the copy was taken
    next_at    REAL NOT NULL,       -- not to be tried before; since when it is dead or dropped
    attempts   INTEGER NOT NULL,    -- failed attempts so far
    checksum   BLOB NOT NULL,       -- SHA-256 of content, report_id, first intake and envelope
    reason     TEXT NOT NULL,       -- why the last attempt failed, or why it is dead; or empty
    dated      REAL,                -- Date of the report, Unix seconds; none (version 1): taken_at
    retried_at REAL,                -- when its lifetime began again; none: when it was taken
    taken_for  TEXT,                -- first intake, if the copy was moved to another
    move_check BLOB                 -- SHA-256 of checksum and intake, if the copy was moved
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
    finished_at REAL NOT NULL,       -- when the copy left the spool
    outcome     TEXT NOT NULL,       -- delivered, discarded, refused, dropped
    text        TEXT NOT NULL        -- the intake's reply, or why discarded, or who dropped it
);

-- Failed attempts and what operators did, for the history of a copy; the newest ones only
-- (database.KEEP_EVENTS).
CREATE TABLE events (
    id   INTEGER PRIMARY KEY, -- order of happening
    mid  INTEGER NOT NULL,    -- the copy
    at   REAL NOT NULL,       -- when
    what TEXT NOT NULL,       -- deferred, dead, retried, moved
    text TEXT NOT NULL        -- reason, or who did it
);
CREATE INDEX events_by_mid ON events (mid);

-- Where the spool's time stood when it was last written (steady.py); one row.
CREATE TABLE clock (
    id         INTEGER PRIMARY KEY, -- 1
    steady     REAL NOT NULL,       -- the spool's time
    boot       TEXT NOT NULL,       -- the start of the machine, or empty
    since_boot REAL NOT NULL,       -- seconds since that start
    wall       REAL NOT NULL        -- Unix seconds
);

-- The facts of each intake as the settings that named it last had them (intake_book.py).
CREATE TABLE intakes (
    address TEXT PRIMARY KEY, -- message intake address
    facts   TEXT NOT NULL,    -- JSON object: route, tls_minimum_version, tls_verification, ...
    seen_at REAL NOT NULL     -- when it was last named
);

-- Orders of operators that were done, so that none is done twice (orders.py); the newest ones only.
CREATE TABLE orders (
    number INTEGER PRIMARY KEY, -- order of happening
    id     TEXT NOT NULL,       -- the manager's name for it
    copies INTEGER NOT NULL,    -- how many were chosen
    bytes  INTEGER NOT NULL     -- their content
);
CREATE UNIQUE INDEX orders_by_id ON orders (id);
