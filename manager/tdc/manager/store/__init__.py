"""etcd v3: commits, history, join tokens, and the watch. The only importer of the client.

In: plans to commit. Out: the stored fleet at a revision, and its changes.
Promise: one commit is one transaction; a lost answer is settled by request id; a watch is a hint.
"""
