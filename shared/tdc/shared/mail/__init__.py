"""PURE. Mail values: addresses, domains, envelopes, and which message is copied where.

In: text from settings and SMTP. Out: frozen values and decisions with their reason.
Promise: no I/O; the manager answers "what would happen to this message" with the same code.
"""
