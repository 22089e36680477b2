"""What is written down of a refused call: who it was, as far as he showed, and what he wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tdc.manager.intent.actor import Actor
from tdc.manager.intent.asked_by import asked_by
from tdc.manager.intent.refusals import refusal_of
from tdc.shared.sync.audit_entry import REFUSED, AuditEvent, By
from tdc.shared.sync.identity import MachinePeer, ManagerPeer, Operator, Peer

Refused = Callable[[AuditEvent], None]
"""Hears of attempts that were refused; never waits."""


def unheard(_: AuditEvent) -> None:
    """Tell nobody."""


def of_failure(operation: str, actor: Actor, error: Exception, request: Any) -> AuditEvent | None:
    """The event of an operator's call that failed; None if it is not one to write down.

    `request` is the message of the call, None before it was read.
    """
    event = refusal_of(operation, asked_by(actor), error)
    if event is None or request is None:
        return event
    cluster, request_id = (str(getattr(request, name, "")) for name in ("cluster", "request_id"))
    return replace(event, cluster=cluster, request_id=request_id)


def of_caller(operation: str, peer: Peer | None, origin: str, reason: str) -> AuditEvent:
    """The event of a caller who may not make this call at all; `peer` as his certificate says."""
    match peer:
        case Operator(name):
            by, cluster = By(name, means="certificate", origin=origin), ""
        case MachinePeer(cluster, machine):
            by = By(machine, kind="machine", means="certificate", origin=origin)
        case ManagerPeer(manager):
            by, cluster = By(manager, kind="manager", means="certificate", origin=origin), ""
        case None:
            by, cluster = By("", kind="unknown", origin=origin), ""
    return AuditEvent(operation, by, cluster=cluster, outcome=REFUSED, reason=reason)


def of_token(origin: str, reason: str) -> AuditEvent:
    """The event of an enrolment whose join token is not good."""
    by = By("", kind="unknown", means="join token", origin=origin)
    return AuditEvent("enrolment.enrol", by, outcome=REFUSED, reason=reason)
