"""PURE. Who asks, as stores and the audit log take it down: an actor without what he may do."""

from __future__ import annotations

from tdc.manager.intent.actor import Actor
from tdc.shared.sync.audit_entry import By


def asked_by(actor: Actor) -> By:
    """What is written down of an actor."""
    return By(
        actor.name,
        kind="operator",
        role=str(actor.role),
        means=str(actor.means),
        origin=actor.origin,
    )
