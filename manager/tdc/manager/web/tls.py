"""TLS of the console: by the manager's own certificate, or by files of the operator's.

Promise: a new certificate counts for the next connection, without a restart, and open ones go on; a
file that can't be used is named in the log, and the last good certificate stays.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

from tdc.manager.identity.own import ServerIdentity
from tdc.shared.edge.os_words import os_reason

log = logging.getLogger(__name__)

LOOK_EVERY = 10.0
"""Seconds between two looks at the operator's files."""


class CertificateUnusable(Exception):
    """The certificate of the console can't be used; the text says why, and what to do."""


class ConsoleTls:
    """The context of the console's listener, kept fresh."""

    def __init__(
        self,
        own: Callable[[], ServerIdentity],
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        """`own` is what the manager has itself; raises CertificateUnusable."""
        self.context = _context()
        self._own = own
        self._files = (certificate, key) if certificate is not None and key is not None else None
        self._seen: object = None
        self.load()

    def load(self) -> None:
        """Take the certificate as it is now; raises CertificateUnusable."""
        if self._files is None:
            shown = self._own()
            _load_pem(self.context, shown.open_certificate or shown.certificate, shown.key)
            return
        seen = self._stamp()
        _load(_context(), *self._files)  # what is half right must not reach the one in use
        _load(self.context, *self._files)
        self._seen = seen

    def renewed(self) -> None:
        """Take the manager's own certificate again, which has changed."""
        if self._files is None:
            self.load()

    async def run(self) -> None:
        """Look at the operator's files, until cancelled."""
        if self._files is None:
            return
        failed: object = None
        while True:
            await asyncio.sleep(LOOK_EVERY)
            seen = self._stamp()
            if seen in (self._seen, failed):
                continue
            try:
                self.load()
                log.info("the console has the new certificate of %s", self._files[0])
            except CertificateUnusable as error:
                failed = seen
                log.error("%s. The console goes on with the last good one", error)

    def _stamp(self) -> object:
        """What tells that the files are others; None where they can't be seen."""
        try:
            found = [each.stat() for each in self._files or ()]
        except OSError:
            return None
        return [(each.st_mtime_ns, each.st_size, each.st_ino) for each in found]


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _load(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    def no_passphrase() -> str:
        raise CertificateUnusable(
            f"console_key {key} has a passphrase. Give a key without one, readable by the manager"
        )

    try:
        context.load_cert_chain(certificate, key, no_passphrase)
    except ssl.SSLError as error:
        raise CertificateUnusable(
            f"console_certificate {certificate} and console_key {key} can't be used: "
            f"{error.reason or error}. They must be PEM, and belong together"
        ) from None
    except OSError as error:
        raise CertificateUnusable(
            f"console_certificate {certificate} or console_key {key} can't be read: "
            f"{os_reason(error)}"
        ) from None


def _load_pem(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load what is in memory: OpenSSL as Python has it reads files alone, so it is one shortly."""
    with tempfile.NamedTemporaryFile(prefix="tdc-console-") as file:  # mode 0600
        file.write(certificate + key)
        file.flush()
        context.load_cert_chain(file.name)
