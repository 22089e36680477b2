"""The agent's log: the `TDC:` lines, and where they go.

In: facts of the connector. Out: lines. Promise: a line never makes mail wait.
"""
