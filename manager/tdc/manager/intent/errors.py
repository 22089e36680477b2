"""What a request can be refused for, beyond names (view), edits (levels) and etcd (store).

Flat: one class for each thing a caller can do about it. The text of each is one sentence or
more for an operator: what happened, what it means, what to do.
"""

from __future__ import annotations


class IntentError(Exception):
    """A request that was refused; nothing was changed."""


class BadRequest(IntentError):
    """The request itself is wrong: something required is missing or contradicts itself."""


class StalePlan(IntentError):
    """The fleet has changed since the plan was made, so that its outcome would be another."""


class InvalidPlan(IntentError):
    """The result of the commit would be invalid on a machine; the text names each fault."""


class UnknownRevision(IntentError):
    """The cluster has no commit of that revision, or history no longer has it."""


class UnreadableFleet(IntentError):
    """The request concerns stored values that this manager can't read, and is refused for that."""
