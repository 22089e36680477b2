"""The store over etcd v3: key layout, channel, watch, commits, join tokens, embedded member.

In: plans and requests of this manager; other managers' writes. Out: snapshots and changes.
Promise: one commit is one transaction, applied once; a watch never hides that it lost something.
"""
