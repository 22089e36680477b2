"""How many files and connections this process may have open: as many as the system lets it.

Each connection costs a descriptor. The soft limit, 1,024 on most systems, is there for programs
that use select(2); none of ours does.
"""

from __future__ import annotations

import logging
import resource

log = logging.getLogger(__name__)


def raise_limit() -> int:
    """Raise the soft limit to the hard one; logs and returns what holds then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warning("up to %d files and connections: the limit can't be raised: %s", soft, error)
        return soft
    log.info("up to %d files and connections may be open", hard)
    return hard
