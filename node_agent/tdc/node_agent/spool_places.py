"""Where this agent has kept its spool, so that another folder in agent.toml loses no copy quietly.

The state folder remembers each place until no copy is left there. An agent that starts with another
`spool.folder` says so in its log and in the machine's warnings; a reload refuses (`lifetime`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.folder import DATABASE
from tdc.node_agent.spool.left import copies_left
from tdc.shared.edge import durable_file

FILE = "spool-folders"
MOST = 20
"""Places that are remembered."""


class SpoolPlaces:
    """The place of the spool, and those of before. It never raises: mail must flow. It blocks."""

    def __init__(self, state_folder: Path, spool_folder: Path, log: TdcLog) -> None:
        self._file = state_folder / FILE
        self._here = spool_folder
        self._log = log
        self._behind: dict[Path, str] | None = None

    def left_behind(self) -> Iterator[str]:
        """Sentences on the spools of before that hold copies; one that is deleted is forgotten."""
        if self._behind is None:
            self._behind = self._found()
        for folder, text in self._behind.items():
            if (folder / DATABASE).exists():
                yield text

    def _found(self) -> dict[Path, str]:
        """Look at the places that are known, and remember those that matter, with this one."""
        known, here = _known(self._file, self._log), self._here.resolve()
        behind = {
            place: _said(place, here, left)
            for place in known
            if place != here and (left := copies_left(place)) != 0
        }
        places = (here, *behind)[:MOST]
        if places != known:
            _remember(self._file, places, self._log)
        return behind


def _said(place: Path, here: Path, left: int | None) -> str:
    copies = {None: "copies may be left", 1: "1 copy is left"}.get(left, f"{left} copies are left")
    return (
        f"{copies} in the spool {place}, which this agent used before {here}, and nothing is "
        f"delivered from there: set spool.folder to {place} again until its queue is empty, or "
        "delete that folder, and the copies with it"
    )


def _known(file: Path, log: TdcLog) -> tuple[Path, ...]:
    try:
        text = durable_file.read_checked(file).decode(errors="surrogateescape")
    except durable_file.Missing:
        return ()
    except durable_file.NotReadable as error:
        log.warning(f"{error}: places where this agent kept its spool before are not known")
        return ()
    return tuple(Path(line) for line in text.split("\0") if line)


def _remember(file: Path, places: Iterable[Path], log: TdcLog) -> None:
    content = "\0".join(map(str, places)).encode(errors="surrogateescape")
    try:
        durable_file.make_folder(file.parent)
        durable_file.write_checked(file, content)
    except durable_file.NotWritten as error:
        log.error(f"{error}: the place of the spool is not remembered; repair the state folder")
