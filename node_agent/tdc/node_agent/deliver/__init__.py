"""Delivery: due copies -> MX -> verified TLS -> the intake.

In: due copies from the spool. Out: outcomes to the spool, log lines, destination facts.
Promise: not one byte of a message without verified TLS; at least once, nothing bounces.
"""
