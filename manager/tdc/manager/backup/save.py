"""The store into a file, while managers run: a range read of one revision, a page at a time.

In: a store. Out: a file that is whole, or none, and what is in it. Where etcd forgets the revision
meanwhile (a compaction, a store that was full), or answers no more, it begins again, a few times.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tdc.manager.backup import passphrase
from tdc.manager.backup.contents import Contents, Examination
from tdc.manager.backup.form import (
    End,
    Entry,
    Origin,
    entry_line,
    first_line,
    last_line,
    sealed_line,
)
from tdc.manager.etcd.backoff import Backoff
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import Compacted, EtcdUnavailable
from tdc.manager.etcd.values import Read
from tdc.manager.store.keys import ROOT
from tdc.shared.edge import durable_file
from tdc.shared.edge.durable_file import NewFile

log = logging.getLogger(__name__)

PAGE = 16
"""Values read at a time: each may have 1.5 MB."""
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Authority:
    """The files of the CA by name, and the passphrase that is to protect them."""

    files: Mapping[str, bytes]
    passphrase: str


@dataclass(frozen=True, slots=True)
class Saved:
    """A backup that was written: of which revision of etcd, its bytes, and what is in it."""

    revision: int
    size: int
    contents: Contents


async def save(
    etcd: EtcdClient, path: Path, origin: Origin, authority: Authority | None = None
) -> Saved:
    """Write everything below `ROOT`, as of one revision, into a new file of mode 0600.

    `origin` gets that revision. Raises NotWritten, or an EtcdError.
    """
    backoff = Backoff(longest=2.0)
    with durable_file.writing(path) as file:
        for left in reversed(range(_TRIES)):
            try:
                return await _Saving(file).all_of(etcd, origin, authority)
            except (Compacted, EtcdUnavailable) as error:
                if not left:
                    raise
                log.warning("the backup begins again: %s", error)
            file.start_again()
            await backoff.wait()
    raise AssertionError("unreachable: the last try returns or raises")


class _Saving:
    """One try: lines into the file, with the digest over them."""

    def __init__(self, file: NewFile) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self._size = 0

    async def all_of(self, etcd: EtcdClient, origin: Origin, authority: Authority | None) -> Saved:
        examined, revision = Examination(), 0
        async with contextlib.aclosing(etcd.pages(ROOT, limit=PAGE)) as pages:
            async for page in pages:
                if not revision:
                    revision = page.revision
                    self._begin(_at(origin, revision), authority)
                self._take(page, examined)
        contents = examined.finish()
        self._write(last_line(End(contents.entries, self._digest.hexdigest())))
        return Saved(revision, self._size, contents)

    def _begin(self, origin: Origin, authority: Authority | None) -> None:
        first = first_line(origin)
        self._write(first)
        if authority is not None:
            sealed = passphrase.seal(authority.files, authority.passphrase, first)
            self._write(sealed_line(sealed))

    def _take(self, page: Read, examined: Examination) -> None:
        for item in page.items:
            if item.lease:
                continue  # of a manager that runs now: it ends with that
            entry = Entry(item.key, item.value)
            self._write(entry_line(entry))
            examined.take(entry)

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self._digest.update(line)
        self._size += len(line)


def _at(origin: Origin, revision: int) -> Origin:
    return Origin(
        origin.made,
        origin.program,
        revision,
        origin.ca_fingerprint,
        origin.etcd,
        origin.options,
    )
