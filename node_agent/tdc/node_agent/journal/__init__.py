"""PURE. The journal report: bytes around the untouched original (DOMAIN section 3).

In: a copy and report settings. Out: head and tail bytes, and what the transport must offer.
Promise: the original's bytes stand in the report exactly as they were taken.
"""
