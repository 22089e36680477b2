"""The durable queue of copies. SQLite with group commit; the only importer of sqlite3.

In: copies from ingest. Out: due copies to deliver. Promise: `hold` returns when the copy
survives kill -9 and power loss; two agents can't open one spool; a damaged copy is dead and stops
no other; a file that can't be opened or written is tried again by itself.
"""
