"""PURE. What a connector does under given settings: typed settings, and which message is copied.

In: effective values, envelopes. Out: frozen settings, and decisions with their reason.
Promise: no I/O; the manager answers "what would happen to this message" with the same code.
"""
