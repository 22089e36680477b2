"""The only door for operators: every operation, whatever carries it (gRPC, later REST and console).

In: who asks (`actor`) and what, as frozen values. Out: frozen values, or an error for `failures`.
Promise: an operation runs only for an actor to whom the table permits it; what a plan shows is
exactly what its commit does.
"""
