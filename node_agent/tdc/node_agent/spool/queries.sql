-- Every query of the spool. A line "-- name: NAME" starts one; the parser is in database.py.
-- A list is passed as one JSON text, so that a group takes one call into SQLite.
-- database.py repeats the row after VALUES to insert several at once.

-- name: insert_copies
INSERT INTO copies (mid, state, report_id, intake, envelope, size, taken_at, next_at, attempts, checksum, reason, dated)
VALUES (?, 'held', ?, ?, ?, ?, ?, ?, 0, ?, '', ?)

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
SET state = 'dead', reason = json_extract(j.value, '$[2]'), next_at = json_extract(j.value, '$[1]')
FROM json_each(?) AS j
WHERE mid = json_extract(j.value, '$[0]')

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
   OR state NOT IN ('dead', 'dropped') AND (
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
       c.dated, c.retried_at, c.taken_for, c.move_check,
       CASE WHEN typeof(b.content) = 'blob' AND length(b.content) > ? THEN NULL ELSE b.content END,
       typeof(b.content) = 'blob' AND length(b.content) > ?
FROM copies AS c LEFT JOIN contents AS b ON b.mid = c.mid
WHERE c.mid = ?

-- The newest first. The inner query finds them in the covering index.
-- name: list_dead
SELECT c.mid, c.report_id, c.intake, c.envelope, c.size, c.taken_at, c.next_at, c.attempts, c.reason
FROM (
    SELECT mid FROM copies
    WHERE state = 'dead' AND (?1 = '' OR intake = ?1)
      AND (?2 IS NULL OR mid IN (SELECT value FROM json_each(?2)))
    ORDER BY next_at DESC, mid DESC LIMIT ?3
) AS d CROSS JOIN copies AS c ON c.mid = d.mid

-- name: events_of
SELECT at, CASE what WHEN 'damaged' THEN 'dead' ELSE what END, text FROM events WHERE mid = ? ORDER BY id

-- name: finished_of
SELECT taken_at, finished_at, outcome, text FROM finished WHERE mid = ?

-- name: waits
SELECT count(*) FROM copies WHERE mid = ? AND state IN ('held', 'queued')

-- name: taken_of
SELECT taken_at, state, next_at, reason FROM copies WHERE mid = ?

-- name: save_clock
INSERT OR REPLACE INTO clock (id, steady, boot, since_boot, wall) VALUES (1, ?, ?, ?, ?)

-- name: read_clock
SELECT steady, boot, since_boot, wall FROM clock

-- name: save_intakes
INSERT OR REPLACE INTO intakes (address, facts, seen_at)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]')
FROM json_each(?)

-- name: read_intakes
SELECT address, facts FROM intakes

-- Those in force were seen last, all at the same time.
-- name: forget_intakes
DELETE FROM intakes
WHERE address NOT IN (
      SELECT address FROM intakes ORDER BY seen_at DESC
      LIMIT ? + (SELECT count(*) FROM intakes WHERE seen_at = (SELECT max(seen_at) FROM intakes)))
  AND NOT EXISTS (
      SELECT 1 FROM copies AS c
      WHERE c.state IN ('held', 'queued', 'dead') AND c.intake = intakes.address)

-- What operators order. Copies that were delivered meanwhile are not there any more.

-- name: done_order
SELECT copies, bytes FROM orders WHERE id = ?

-- name: insert_order
INSERT INTO orders (id, copies, bytes) VALUES (?, ?, ?)

-- name: prune_orders
DELETE FROM orders WHERE number <= (SELECT max(number) FROM orders) - ?

-- name: dead_mids
SELECT mid, intake FROM copies WHERE state = 'dead' AND (?1 = '' OR intake = ?1)

-- name: dead_mids_by_reason
SELECT mid, intake FROM copies
WHERE state = 'dead' AND (?1 = '' OR intake = ?1) AND substr(reason, 1, length(?2)) = ?2

-- name: count_chosen
SELECT count(*), ifnull(sum(size), 0) FROM copies
WHERE mid IN (SELECT value FROM json_each(?)) AND state = ?

-- name: retried_events
INSERT INTO events (mid, at, what, text)
SELECT mid, ?2, 'retried', ?3 FROM copies
WHERE mid IN (SELECT value FROM json_each(?1)) AND state IN ('queued', 'dead')

-- name: moved_events
INSERT INTO events (mid, at, what, text)
SELECT mid, ?2, 'moved', 'from ' || intake || ' to ' || ?3 FROM copies
WHERE mid IN (SELECT value FROM json_each(?1)) AND state IN ('queued', 'dead')

-- The attempt that follows is the operator's: it counts none, or it would lengthen the next wait.
-- name: make_due
UPDATE copies SET attempts = iif(next_at > ?2, max(attempts - 1, 0), attempts), next_at = ?2
WHERE mid IN (SELECT value FROM json_each(?1)) AND state = 'queued'

-- name: revive_dead
UPDATE copies SET state = 'queued', attempts = 0, next_at = ?2, retried_at = ?2, reason = ''
WHERE mid IN (SELECT value FROM json_each(?1)) AND state = 'dead'

-- name: move_copies
UPDATE copies
SET state = 'queued', attempts = 0, next_at = ?2, retried_at = ?2, reason = '',
    taken_for = ifnull(taken_for, intake), move_check = move_check(checksum, ?3), intake = ?3
WHERE mid IN (SELECT value FROM json_each(?1)) AND state IN ('queued', 'dead')

-- Their content is deleted later, a part at a time: see Database.sweep.
-- name: drop_copies
UPDATE copies SET state = 'dropped', next_at = ?2, reason = ?3
WHERE mid IN (SELECT value FROM json_each(?1)) AND state IN ('queued', 'dead')

-- name: some_dropped
SELECT mid, size FROM copies WHERE state = 'dropped' LIMIT ?

-- name: finish_dropped
INSERT OR REPLACE INTO finished (mid, report_id, intake, taken_at, finished_at, outcome, text)
SELECT mid, report_id, intake, taken_at, next_at, 'dropped', reason FROM copies
WHERE mid IN (SELECT value FROM json_each(?))
