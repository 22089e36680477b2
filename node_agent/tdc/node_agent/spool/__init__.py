"""The durable queue of copies. SQLite with group commit; the only importer of sqlite3.

In: copies from ingest. Out: due copies to deliver. Promise: `hold` returns when the copy
survives kill -9 and power loss; two agents can't open one spool; a damaged copy is dead and stops
no other; a file that can't be opened or written is tried again by itself.

A copy's life:

    hold            release            claim ... delivered
    -----> held ------------> queued ----------------------> gone
             |                 ^  |
     discard |        defer    |  | claim ... dead
             v     (deferred)  |  v
            gone            claim  dead

**Acknowledged means durable.** `hold` returns the MID when the copy and the names of its files are
synced to the disk; only then may the front end answer the MTA. All writes go through one thread,
in order, in groups that share an fsync (`writer`).

**At each moment the gateway still has the original, or we have the copy.** What a kill -9 or a
loss of power leaves:

| moment | in the file | after the restart |
|---|---|---|
| before a hold is committed | nothing | the MTA got no answer: it sends the message again |
| held, the next hop has not answered | held | queued: the original may have been accepted |
| released, the mark is not written | held | the same, so that mark need not be durable |
| discarded | nothing | nothing: a refused message must not be reported |
| sent, `delivered` is not written | queued | sent again, with the same report id |
| deferred or dead, not written | queued | tried again, sooner than it had to be |

A copy too many is harmless, a missing one is not: each doubtful case ends in a copy.

**When the file fails, delivery stops too.** What is delivered but can't be marked would be
delivered again after each restart. So while the file can't be opened or written nothing is taken
and nothing is claimed. Marks of what has already happened are kept in memory and written first,
and the file is tried again by itself. Originals do not wait for it: the front end passes or
refuses them, as the setting `spool.when_full` says.

**Exclusive.** A lock on the folder keeps a second agent out; a claim keeps two connections from
sending the same copy.
"""
