"""One stream for each connected agent: newest wanted settings in, outcomes and status out.

In: changes of effective settings. Out: Wanted to those machines alone; who is in sync.
Promise: latest wins, no backlog; a dead stream is noticed by its deadline; no store writes.
"""
