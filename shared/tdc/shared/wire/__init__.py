"""tdc.v1 messages <-> frozen values, and the one JSON form of them. No I/O.

In: messages or values. Out: the other.
Promise: what can't be represented is refused, never guessed.
"""
