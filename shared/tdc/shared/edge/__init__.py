"""The only I/O in shared: small, injected, each with a name.

In: plain calls. Out: the clock and chance, owned tasks, durable files, TLS for gRPC, and where
the three programs begin.
Promise: every wait is bounded, every task owned, every write durable.
"""
