"""The agent's log: the `TDC:` lines, and the thread that writes them.

In: facts of the connector. Out: lines. Promise: a line never makes mail wait.
"""
