"""A whole fleet on loopback: real manager, real agents, and the world around them.

In: a folder. Out: running programs with ports chosen by the system, and handles to them.
Promise: everything started is gone afterwards; nothing but loopback is used.
"""
