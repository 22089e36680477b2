"""PURE. The heart: what a fleet stores at its levels, and what follows from it.

In: frozen Fleet and edits. Out: a new Fleet, effective settings, plans with fingerprints.
Promise: levels are compared in `resolve` only; the disable rule lives in `disable_rule` only.
"""
