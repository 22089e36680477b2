"""PURE. What is kept of a request id: which commit it made.

A request id is one commit's. That it comes again with the same plan is a repeated question, and
gets the first answer; with another plan it is a mistake of the caller, and must not pass for done.
"""

from __future__ import annotations

from dataclasses import dataclass

from tdc.manager.store.encoding import count_of, moment_of, pack, text_of, unpack
from tdc.manager.store.errors import RequestIdReused


@dataclass(frozen=True, slots=True)
class MadeRequest:
    """The revision that a request id made, when (Unix seconds), and its plan's fingerprint.

    The fingerprint is empty for the creation of a cluster, None where it was not kept.
    """

    revision: int
    time: float
    fingerprint: str | None

    def revision_of(self, fingerprint: str) -> int:
        """Return the revision, if it was made of that plan; raises RequestIdReused."""
        if self.fingerprint is None or self.fingerprint == fingerprint:
            return self.revision
        raise RequestIdReused(
            f"this request id has made revision {self.revision} already, of another plan; nothing "
            "was changed now; send each commit with a request id of its own"
        )


def pack_request(made: MadeRequest) -> bytes:
    """Return the bytes of it."""
    fields: dict[str, object] = {"revision": made.revision, "time": made.time}
    if made.fingerprint is not None:
        fields["fingerprint"] = made.fingerprint
    return pack(fields)


def read_request(raw: bytes) -> MadeRequest:
    """Read it; raises Damaged."""
    document = unpack(raw)
    return MadeRequest(
        revision=count_of(document, "revision"),
        time=moment_of(document, "time"),
        fingerprint=text_of(document, "fingerprint") if "fingerprint" in document else None,
    )
