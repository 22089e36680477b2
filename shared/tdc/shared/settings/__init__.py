"""PURE. The settings: one table of what exists, sparse values of one level, what is in force.

In: values and names. Out: checked frozen values, canonical bytes, content hash, problems.
Promise: same input, same output; no I/O, clock or asyncio.
"""
