"""How many files and connections this process may have open.

Each connection costs a descriptor. The soft limit, 1,024 on most systems, is there for programs
that use select(2); none of ours does, so it is raised. The hard limit is the system's.
"""

from __future__ import annotations

import resource
import sys


def raise_limit(wanted: int | None = None) -> int:
    """Raise the soft limit to `wanted`, or as far as the hard one lets it; return what holds."""
    soft, hard = (_number(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    most = hard if wanted is None else min(wanted, hard)
    if soft >= most:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_limit(most), _limit(hard)))
    except (OSError, ValueError):  # the kernel has a limit of its own, or a sandbox forbids it
        return soft
    return most


def limit() -> int:
    """The soft limit that holds now."""
    return _number(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _number(limit: int) -> int:
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def _limit(number: int) -> int:
    return resource.RLIM_INFINITY if number == sys.maxsize else number
