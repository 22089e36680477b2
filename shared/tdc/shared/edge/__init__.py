"""The only I/O in shared: small, injected, each with a name. Clock, tasks, files, TLS, wire.

In: plain calls. Out: effects.
Promise: every wait is bounded, every task owned, every write durable.
"""
