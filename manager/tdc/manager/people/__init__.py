"""PURE. People: roles and how far they reach, users, sessions, API tokens, and when each is good.

In: records as stored, and the time. Out: who somebody is, and what he may not do any more.
Promise: no I/O, no clock, no chance; no secret is in any of these values, only hashes.
"""
