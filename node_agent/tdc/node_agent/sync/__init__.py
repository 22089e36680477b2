"""The settings stream's agent half: enrol, connect, validate, apply, remember.

In: Wanted settings. Out: settings in force here, outcomes and status to the manager.
Promise: last-known-good on disk before it is acknowledged; never back to a lower revision by
itself.
"""
