"""Why intent refuses a request, beyond names (view), edits (levels) and the store's own reasons.

One class for each thing a caller can do about it. The text is for an operator: what happened, what
it means, what to do. What kind of failure each is, `failures` says.
"""

from __future__ import annotations

from tdc.manager.etcd.errors import EtcdUnavailable


class IntentError(Exception):
    """A request that was refused; nothing was changed."""


class NotPermitted(IntentError):
    """The actor's role or reach is not enough for what he asks for; nothing was changed."""

    noted = False


class NotKnown(IntentError):
    """Nobody is known by what the caller has shown: a name and password, a session, a token."""


class TooManyTries(IntentError):
    """Too many tries failed; the text says how long to wait."""


class TooManyActs(IntentError):
    """Somebody did too much of what anybody may do for himself; the text says what then."""


class NoProvider(IntentError):
    """There is no provider to log in at, or not by what was asked for."""


class ProviderUnreachable(IntentError):
    """The provider does not answer; nothing was changed."""


class UnknownPerson(IntentError):
    """There is no such user, session, API token or certificate."""


class PersonExists(IntentError):
    """There is a user of that name already."""


class BadRequest(IntentError):
    """The request itself is wrong: something required is missing or contradicts itself."""


class StalePlan(IntentError):
    """The fleet has changed since the plan was made, and the outcome would be another."""


class InvalidPlan(IntentError):
    """The result of the commit would be invalid on a machine; the text names each fault."""


class UnknownRevision(IntentError):
    """The cluster has no commit of that revision, or history no longer has it."""


class UnknownEntry(IntentError):
    """The audit log has no entry of that number, or no longer."""


class UnknownDraft(IntentError):
    """There is no such draft, or it is not shared."""


class EtcdAway(EtcdUnavailable):
    """The request needs etcd, which is known to be unreachable; nothing was changed."""


class UnreadableFleet(IntentError):
    """The request needs stored values that this manager can't read."""
