"""PURE. Both halves of the settings stream as step(state, event, now) -> (state, effects).

In: events of the stream and the clock's reading. Out: effects for the shell to perform.
Promise: a rejected hash is not offered again unchanged; silence past the deadline is death.
"""
