"""The store over etcd: keys, documents, commits, history, join tokens, maintenance.

In: plans and requests of this manager; other managers' writes. Out: documents, records, tokens.
Promise: one commit is one transaction, applied once; a value that can't be read is named, never
dropped and never overwritten.
"""
