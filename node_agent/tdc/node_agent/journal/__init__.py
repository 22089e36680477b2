"""PURE. The journal report: bytes around the untouched original (docs/journal-report.md).

In: a copy and report settings. Out: head and tail bytes, and what the transport must offer.
Promise: the report holds the original's bytes exactly as they were taken.
"""
