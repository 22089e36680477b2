"""That a manager removed this machine, kept on disk: what it was told holds across restarts.

The agent keeps running on its last settings, because mail must not depend on a manager; or, if the
operator wanted that, it takes no more copies. Originals pass and queued copies are delivered either
way. It holds for the enrolment that was removed: a manager that has not heard of the removal, or
whose store is of before it, may still welcome this machine. So it ends with another enrolment, or
with settings that are of a later revision, or of another store.
A file that can't be read counts as none: then the last settings run as they are.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tdc.shared.edge import durable_file
from tdc.shared.sync.values import Wanted

FILE = "removed"


@dataclass(frozen=True, slots=True)
class Removal:
    """Why the machine counts as removed, empty if it does not; and whether copying stops.

    `revision` of the store `store_id` did it, to the enrolment `enrolment`; empty where that is not
    known.
    """

    why: str = ""
    stop_copying: bool = False
    store_id: str = ""
    revision: int = 0
    enrolment: str = ""

    def is_over(self, wanted: Wanted) -> bool:
        """Whether settings that a manager sends this machine show that it is not removed now."""
        return wanted.store_id != self.store_id or wanted.revision > self.revision

    @property
    def sentence(self) -> str:
        """What this means, for the log."""
        then = (
            "it takes no more copies; originals pass, and queued copies are delivered"
            if self.stop_copying
            else "it keeps running on its last settings"
        )
        return (
            f"this machine was removed ({self.why}): {then}. Create the machine again and enrol it "
            "with a new join token to manage it, or uninstall the agent"
        )


NOT_REMOVED = Removal()


def save(folder: Path, removal: Removal) -> None:
    """Keep it; raises durable_file.NotWritten."""
    durable_file.make_folder(folder)
    durable_file.write_checked(folder / FILE, json.dumps(asdict(removal)).encode())


def load(folder: Path) -> Removal:
    """Read what was kept; never raises."""
    try:
        document = json.loads(durable_file.read_checked(folder / FILE))
        return Removal(
            str(document["why"]),
            document["stop_copying"] is True,
            str(document.get("store_id", "")),  # not in what an older agent wrote
            int(document.get("revision", 0)),
            str(document.get("enrolment", "")),
        )
    except (
        durable_file.NotReadable,
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        RecursionError,
    ):
        return NOT_REMOVED
