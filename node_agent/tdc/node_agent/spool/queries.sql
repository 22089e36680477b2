-- Every query of the spool. A line "-- name: NAME" starts one; the parser is in database.py.
-- A list is passed as one JSON text, so that a group takes one call into SQLite.
-- database.py repeats the row after VALUES to insert several at once.

-- name: insert_copies
INSERT INTO copies (mid, state, report_id, intake, envelope, size, taken_at, next_at, attempts, checksum, reason)
VALUES (?, 'held', ?, ?, ?, ?, ?, ?, 0, ?, '')

-- name: insert_contents
INSERT INTO contents (mid, content)
VALUES (?, ?)

-- name: insert_large
INSERT INTO contents (mid, content) VALUES (?, zeroblob(?))

-- name: mark_released
UPDATE copies SET state = 'queued'
WHERE state = 'held' AND mid IN (SELECT value FROM json_each(?))

-- name: mark_deferred
UPDATE copies
SET state = 'queued', attempts = attempts + 1, reason = json_extract(j.value, '$[2]'),
    next_at = json_extract(j.value, '$[3]')
FROM json_each(?) AS j
WHERE mid = json_extract(j.value, '$[0]')

-- name: mark_dead
UPDATE copies
SET state = 'dead', reason = json_extract(j.value, '$[2]')
FROM json_each(?) AS j
WHERE mid = json_extract(j.value, '$[0]')

-- name: revive
UPDATE copies SET state = 'queued', attempts = 0, next_at = taken_at
WHERE state = 'dead' AND mid IN (SELECT value FROM json_each(?))
RETURNING intake, mid

-- name: insert_events
INSERT INTO events (mid, at, what, text)
SELECT json_extract(j.value, '$[0]'), json_extract(j.value, '$[1]'), ?2,
       json_extract(j.value, '$[2]')
FROM json_each(?1) AS j

-- name: insert_finished
INSERT OR REPLACE INTO finished (mid, report_id, intake, taken_at, finished_at, outcome, text)
SELECT c.mid, c.report_id, c.intake, c.taken_at, json_extract(j.value, '$[1]'),
       json_extract(j.value, '$[2]'), json_extract(j.value, '$[3]')
FROM json_each(?) AS j CROSS JOIN copies AS c ON c.mid = json_extract(j.value, '$[0]')

-- name: delete_copies
DELETE FROM copies WHERE mid IN (SELECT json_extract(value, '$[0]') FROM json_each(?))

-- name: delete_contents
DELETE FROM contents WHERE mid IN (SELECT json_extract(value, '$[0]') FROM json_each(?))

-- name: prune_finished
DELETE FROM finished WHERE mid <= (SELECT max(mid) FROM finished) - ?

-- name: prune_events
DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?

-- Earlier agents gave a damaged copy a state, and an event, of its own.
-- name: rename_damaged
UPDATE copies SET state = 'dead' WHERE state = 'damaged'

-- name: release_all_held
UPDATE copies SET state = 'queued' WHERE state = 'held'

-- Only what the covering index holds is looked at, so that no row has to be read.
-- name: nonsense
SELECT mid FROM copies
WHERE typeof(size) <> 'integer' OR size NOT BETWEEN 0 AND ?
   OR state <> 'dead' AND (
         state NOT IN ('held', 'queued')
      OR mid NOT BETWEEN 1 AND ?
      OR typeof(intake) <> 'text' OR intake GLOB '*[^!-~]*'
      OR typeof(taken_at) <> 'real' OR taken_at NOT BETWEEN 0 AND ?
      OR typeof(next_at) <> 'real' OR next_at NOT BETWEEN 0 AND ?)

-- name: correct_sizes
UPDATE copies
SET size = ifnull((SELECT length(b.content) FROM contents AS b WHERE b.mid = copies.mid), 0)
WHERE mid IN (SELECT value FROM json_each(?))

-- name: load_state
SELECT intake, mid, next_at, size FROM copies WHERE state = ?

-- name: oldest_of_state
SELECT taken_at FROM copies WHERE state = ? AND intake = ? ORDER BY taken_at LIMIT 1

-- name: highest_mid
SELECT max(ifnull((SELECT max(mid) FROM copies WHERE mid <= ?), 0),
           ifnull((SELECT max(mid) FROM finished WHERE mid <= ?), 0))

-- name: read_copy
SELECT c.report_id, c.intake, c.envelope, c.size, c.taken_at, c.attempts, c.checksum,
       CASE WHEN typeof(b.content) = 'blob' AND length(b.content) > ? THEN NULL ELSE b.content END,
       typeof(b.content) = 'blob' AND length(b.content) > ?
FROM copies AS c LEFT JOIN contents AS b ON b.mid = c.mid
WHERE c.mid = ?

-- name: list_dead
SELECT mid, report_id, intake, envelope, size, taken_at, attempts, reason
FROM copies WHERE state = 'dead' ORDER BY intake, taken_at LIMIT ?

-- name: events_of
SELECT at, CASE what WHEN 'damaged' THEN 'dead' ELSE what END, text FROM events WHERE mid = ? ORDER BY id

-- name: finished_of
SELECT taken_at, finished_at, outcome, text FROM finished WHERE mid = ?

-- name: waits
SELECT count(*) FROM copies WHERE mid = ? AND state IN ('held', 'queued')

-- name: taken_of
SELECT taken_at FROM copies WHERE mid = ?
