"""SIGHUP: what a manager reads again of its options while it runs.

The log level counts at once. Everything else is what the manager was started with; what has changed
is named, so that nobody takes a file for what is in force.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import msgspec
from tdc.manager.options import Options, OptionsError, read_options

log = logging.getLogger(__name__)


class Reload:
    """Reads the options again, from where `flags` say, each time it is called."""

    def __init__(self, options: Options, flags: Mapping[str, object]) -> None:
        self._started = options
        self._log_level = options.log_level
        self._flags = flags

    def __call__(self) -> None:
        """Read them, let the log level count, and log what waits for a restart."""
        try:
            found = read_options(self._flags)
        except OptionsError as error:
            log.error("SIGHUP: %s; the manager goes on with what it has read before", error)
            return
        said = []
        if found.log_level != self._log_level:
            self._log_level = found.log_level
            logging.getLogger().setLevel(found.log_level.upper())
            said.append(f"log_level is now {found.log_level}")
        waiting = _changed(self._started, found)
        if waiting:
            said.append(f"changed, and in force after a restart: {', '.join(waiting)}")
        log.warning("SIGHUP: %s", "; ".join(said) or "no option has changed")


def _changed(before: Options, after: Options) -> list[str]:
    names = (field.name for field in msgspec.structs.fields(Options) if field.name != "log_level")
    return [name for name in names if getattr(before, name) != getattr(after, name)]
