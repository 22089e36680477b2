"""Faults in the CA: its files, its rotation, and a manager's own certificates."""

from __future__ import annotations

from tests.mutants.values import planted_in

MANAGER = "manager/tdc/manager"

MUTANTS = (
    *planted_in(
        f"{MANAGER}/identity/ca_folder.py",
        ("tests/sync/test_identity.py",),
        (
            "the CA's key is for all to read",
            "durable_file.write(folder / KEY, pair.key.encode())",
            "durable_file.write(folder / KEY, pair.key.encode(), mode=durable_file.READABLE)",
        ),
        (
            "a second CA cuts off every machine",
            "    if exists(folder):\n        raise AuthorityExists",
            "    if not folder:\n        raise AuthorityExists",
        ),
    ),
)
