"""PURE. The settings: one table of what exists, sparse values of one level, what is in force.

In: names and values. Out: checked frozen values, canonical bytes, content hash, faults.
Promise: the same input gives the same output; no I/O, no clock, no asyncio.
"""
