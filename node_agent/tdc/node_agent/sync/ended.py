"""PURE. How a settings stream ended, and how long to wait until the next is tried."""

from __future__ import annotations

from tdc.shared.sync.values import Removed

RETRY_FIRST = 0.2
RETRY_DENIED = 15.0
"""Seconds, at most, between tries while the manager denies this machine."""
RETRY_REMOVED = 60.0
"""The same for a machine that was removed: it is denied until it is enrolled again."""


def at_enrolment_port(address: str) -> str:
    """What is wrong with an address of a manager that does not know the service for agents."""
    return (
        f"{address} is the manager's enrolment port, which serves only `tdc-agent enrol`: name its "
        "main port in manager.addresses, 7443 (unless listen_port of the manager is another)"
    )


def explained(reason: str) -> str:
    """The same reason, with what to do where a manager was not trusted."""
    if "its certificate can't be verified" not in reason:
        return reason
    return (
        f"{reason}: it is by no CA that this machine trusts. Either the managers' CA was replaced "
        "while this machine was away (`tdc-manager ca status` says so): enrol it again with a new "
        "join token, `tdc machine token`; or something else answers at that address"
    )


class StreamEnded(Exception):
    """A stream ended, or could not be opened.

    `served` says whether a Welcome came; `refused` why no settings were taken from the manager;
    `left` that the stream was ended here for that; `denied` that the manager does not accept this
    machine; `removed` what it was told, if that is because it was removed; `spread` are the seconds
    over which the manager wants reconnects to be spread, if it asked.
    """

    def __init__(
        self,
        reason: str,
        *,
        denied: bool = False,
        spread: float | None = None,
        removed: Removed | None = None,
    ) -> None:
        super().__init__(reason)
        self.denied = denied
        self.spread = spread
        self.removed = removed
        self.served = False
        self.refused = ""
        self.left = False


def seconds_to_next_try(
    ended: StreamEnded, failures: int, retry_maximum: float, jitter: float
) -> float:
    """The wait after a stream ended; `failures` in a row, 0 if it was steady; `jitter` in [0, 1).

    A manager that asks for it spreads its machines over some seconds. Otherwise a steady stream, or
    one to a manager that was left for others, is replaced almost at once, and failures wait under
    a doubling bound, at least a quarter of it.
    """
    if ended.spread is not None:
        return jitter * ended.spread
    if not failures or ended.left:
        return jitter * RETRY_FIRST
    longest = RETRY_DENIED if ended.denied else retry_maximum
    longest = RETRY_REMOVED if ended.removed else longest
    bound = min(longest, RETRY_FIRST * 2.0 ** min(failures, 16))
    return bound * (0.25 + 0.75 * jitter)
