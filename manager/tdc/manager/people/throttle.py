"""PURE. How long who failed to log in has to wait: longer each time, and nobody is locked out.

The policy
----------
Two counts are kept: of an account from an address, and of an address. The first FREE failures cost
nothing; each further one doubles the wait, from FIRST seconds up to LONGEST. An address has more
that are free, for people share it; its count bounds who tries one password on many accounts. An
account has no count of its own: anyone who knows a name could lock its owner out. A success
clears the count of that account there, and a count that rests for FORGOTTEN seconds is gone.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

FIRST = 2.0
LONGEST = 300.0
"""Seconds to wait: the first time, and at most."""
FREE_OF_ACCOUNT, FREE_OF_ADDRESS = 5, 30
UNBOUND = 1_000_000_000
"""So many are free where an address is no address."""
FORGOTTEN = 3_600.0
MOST_KEPT = 8_192
"""Counts that are kept; the one untouched for longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Failures:
    """So many failures in a row, the last at `at` (monotonic seconds)."""

    count: int
    at: float


def wait_after(failures: Failures, free: int, now: float) -> float:
    """Seconds until the next try is looked at; 0 if it is at once."""
    beyond = failures.count - free
    if beyond <= 0 or now - failures.at > FORGOTTEN:
        return 0.0
    wait = min(FIRST * 2.0 ** min(beyond - 1, 30), LONGEST)
    return max(failures.at + wait - now, 0.0)


class Throttle:
    """The counts of one manager."""

    def __init__(self, free_of_address: int = FREE_OF_ADDRESS) -> None:
        self._free_of_address = free_of_address
        self._counts: OrderedDict[tuple[str, str], Failures] = OrderedDict()

    def wait(self, account: str, address: str, now: float) -> float:
        """Seconds that this account has to wait at this address; 0 if not."""
        none = Failures(0, now)
        of_account = self._counts.get((account, address), none)
        of_address = self._counts.get(("", address), none)
        return max(
            wait_after(of_account, FREE_OF_ACCOUNT, now),
            wait_after(of_address, self._free_of_address, now),
        )

    def tried(self, account: str, address: str, now: float) -> None:
        """Count a try as failed, before it is looked at: many at once count as many."""
        for key in ((account, address), ("", address)):
            known = self._counts.pop(key, None)
            fresh = known is not None and now - known.at <= FORGOTTEN
            self._counts[key] = Failures(known.count + 1 if known and fresh else 1, now)
        while len(self._counts) > MOST_KEPT:
            self._counts.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        """Clear the account's count there; of the address's, take this try back."""
        self._counts.pop((account, address), None)
        known = self._counts.get(("", address))
        if known is not None:
            self._counts[("", address)] = Failures(max(known.count - 1, 0), known.at)
