"""What an SMTP receiver of the tests does wrong, settable at run time or by a JSON file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path


@dataclass(slots=True)
class Faults:
    """Stages are banner, ehlo, starttls, mail, rcpt, data, bdat and dot (the final reply).

    `replies`: stage -> reply instead of the normal one; a list is used up one by one, then the
    stage is normal again (an empty text in it stands for the normal reply).
    `refuse`: text -> reply to the end of each content that has the text in it.
    `unknown`: verbs that are answered as unknown, whatever EHLO offers.
    `drop`: stages at which the connection is cut; also before-dot (within the content) and
    after-dot (message taken, reply withheld). `drop_times`: how often in all; None: always.
    `delays`: stage -> seconds before the reply. `garbage`: stage -> raw text, sent as it is.
    `too_many_after`: 421 to MAIL after so many messages of a connection; `close_after`: close.
    `tls_maximum`: "1.1" or "1.2". `certificate`: other (chain file, key file).
    """

    offer_starttls: bool = True
    tls_maximum: str | None = None
    certificate: tuple[str, str] | None = None
    plaintext_after_starttls: bool = False
    inject_after_starttls: str = ""
    replies: dict[str, str | list[str]] = field(default_factory=dict)
    refuse: dict[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    drop_times: int | None = None
    delays: dict[str, float] = field(default_factory=dict)
    garbage: dict[str, str] = field(default_factory=dict)
    too_many_after: int = 0
    close_after: int = 0
    extra_keywords: tuple[str, ...] = ()

    def reply(self, stage: str) -> str | None:
        """Return the reply to give at `stage` (a list gives up its next one), None: normal."""
        told = self.replies.get(stage)
        if isinstance(told, list):
            return (told.pop(0) or None) if told else None
        return told

    def refusal(self, content: bytes) -> str | None:
        """Return the reply to the end of a content that is to be refused, None: not so."""
        return next(
            (reply for text, reply in self.refuse.items() if text.encode() in content), None
        )

    def drops(self, stage: str) -> bool:
        """Say whether to cut the connection here, and count it."""
        if stage not in self.drop or self.drop_times == 0:
            return False
        if self.drop_times is not None:
            self.drop_times -= 1
        return True


class FaultFile:
    """A JSON object of Faults' fields; absent file: no faults; unknown field: ValueError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = (-1, -1)

    def changed(self) -> Faults | None:
        """Return the faults if the file changed since the last call, else None."""
        try:
            status = self._path.stat()
            seen: tuple[int, int] | None = (status.st_mtime_ns, status.st_ino)
        except FileNotFoundError:
            seen = None
        if seen == self._seen:
            return None
        self._seen = seen
        return Faults() if seen is None else _read(self._path)


def _read(path: Path) -> Faults:
    given = json.loads(path.read_text() or "{}")
    unknown = given.keys() - {item.name for item in fields(Faults)}
    if unknown:
        raise ValueError(f"{path}: unknown faults {sorted(unknown)}")
    for name in ("drop", "extra_keywords", "unknown"):
        given[name] = tuple(given.get(name, ()))
    if given.get("certificate"):
        given["certificate"] = tuple(given["certificate"])
    return Faults(**given)
