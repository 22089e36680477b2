"""PURE. The heart of the manager: what a fleet stores at its levels, and what follows from it.

In: a frozen Cluster and edits. Out: a new Cluster, effective settings, plans with fingerprints.
Promise: levels are compared in `resolve` only; the disable rule lives in `disable_rule` only.
"""
