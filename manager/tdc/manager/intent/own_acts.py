"""How often somebody may do what anybody may do for himself: log in, draft, make API tokens.

Each of it is an entry of the audit log, which holds so many and no more. So without a bound who
has the least role could push out of the log what he did not want to be found there. The bound is
far above what people do, and above a script that drafts a whole fleet once.
"""

from __future__ import annotations

from tdc.manager.identity.rates import Budget, Rate
from tdc.manager.intent.errors import TooManyActs
from tdc.shared.edge.clock import Clock, monotonic

EACH = Rate(burst=1_000, per_second=1 / 60)
"""Of one person, at one manager. What ends a session or an API token is not counted, for a thief
must not use it up; with it the log's 100 000 entries are those of a month at this rate."""

_ALL = Rate(burst=1e9, per_second=1e6)  # nobody is kept from it by what others do


class OwnActs:
    """Counts what each person does for himself. One for all rooms of a manager."""

    def __init__(self, clock: Clock = monotonic) -> None:
        self._budget = Budget(EACH, _ALL, clock)

    def take(self, name: str) -> None:
        """Count one more of a person who has proven who he is; raises TooManyActs."""
        if not self._budget.take(name):
            raise TooManyActs(
                f"{name} has logged in, drafted, or made API tokens "
                f"{EACH.burst:,.0f} times in a short while; from now on it is once a minute. "
                "Nothing was changed. Is a script running in circles?"
            )
