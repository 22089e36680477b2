-- From schema version 1 to 2, in one transaction. `:wall` is the wall clock now.
-- Times of version 1 are by the wall clock. The spool's time begins where the newest of them stands,
-- so that a wall clock that is wrong at the upgrade makes nothing old.
REINDEX;
ALTER TABLE copies ADD COLUMN dated REAL;
ALTER TABLE copies ADD COLUMN retried_at REAL;
ALTER TABLE copies ADD COLUMN taken_for TEXT;
ALTER TABLE copies ADD COLUMN move_check BLOB;
CREATE TABLE clock (
    id         INTEGER PRIMARY KEY,
    steady     REAL NOT NULL,
    boot       TEXT NOT NULL,
    since_boot REAL NOT NULL,
    wall       REAL NOT NULL
);
CREATE TABLE intakes (
    address TEXT PRIMARY KEY,
    facts   TEXT NOT NULL,
    seen_at REAL NOT NULL
);
CREATE TABLE orders (
    number INTEGER PRIMARY KEY,
    id     TEXT NOT NULL,
    copies INTEGER NOT NULL,
    bytes  INTEGER NOT NULL
);
CREATE UNIQUE INDEX orders_by_id ON orders (id);
INSERT INTO clock (id, steady, boot, since_boot, wall)
SELECT 1, newest, '', 0.0, newest FROM (
    SELECT min(:wall, max(
        ifnull((SELECT max(taken_at) FROM copies WHERE typeof(taken_at) = 'real'), 0.0),
        ifnull((SELECT max(at) FROM events WHERE typeof(at) = 'real'), 0.0),
        ifnull((SELECT max(finished_at) FROM finished WHERE typeof(finished_at) = 'real'), 0.0)
    )) AS newest
) WHERE newest > 0;
-- Copies that were taken while the clock was ahead.
UPDATE copies SET dated = taken_at, taken_at = :wall
WHERE typeof(taken_at) = 'real' AND taken_at > :wall AND taken_at < 1e11;
-- A dead copy has the time of its death where the others have that of their next attempt.
UPDATE copies
SET next_at = ifnull(
    (SELECT max(at) FROM events WHERE events.mid = copies.mid AND what IN ('dead', 'damaged')), taken_at)
WHERE state IN ('dead', 'damaged');
PRAGMA user_version = 2;
