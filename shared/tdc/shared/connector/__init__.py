"""PURE. What a connector does under given settings: which message is copied, and to which intake.

In: effective values, envelopes. Out: frozen settings, and decisions with their reason.
Promise: no I/O, so that a manager can answer "what would happen to this message" with this code.
"""
