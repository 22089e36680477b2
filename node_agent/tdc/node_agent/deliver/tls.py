"""TLS contexts towards an intake: nothing below TLS 1.2 can be built, nothing in plain text.

In: a minimum version and where trust comes from. Out: contexts, made once and shared.
The caller checks the name in the certificate after the handshake: which names are right depends
on settings, not on the host that the DNS named. So there is one handshake only: a second one, in
TLS 1.2, could put another peer in the place of the one that was checked.
"""

from __future__ import annotations

import ssl
import stat
from functools import lru_cache
from pathlib import Path

from tdc.shared.edge.os_words import os_reason

_SECURITY_LEVEL = 2
"""OpenSSL's: no RSA below 2 048 bits, no SHA-1 in a signature, in any certificate of a chain."""

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


_CRL = b"-----BEGIN X509 CRL-----"


class NoTrust(Exception):
    """The file of trusted certificates can't be used; the text says which and why."""


def intake_context(minimum_version: str, ca_file: Path | None, *, chain: bool) -> ssl.SSLContext:
    """Make a client context for TLS `minimum_version` ("1.2" or "1.3") and newer.

    With `chain` the peer needs a certificate that chains to `ca_file`, or to the system's
    trust store without one; where the file has a list of revoked certificates too, it is asked.
    Without it any certificate passes, and the caller must compare it
    with one that it knows. Raises ValueError for other versions, NoTrust.
    """
    if minimum_version not in _VERSIONS:
        raise ValueError(f"TLS {minimum_version} is not one of {', '.join(_VERSIONS)}")
    changed = 0
    if chain and ca_file is not None:
        try:
            found = ca_file.stat()
        except OSError as error:
            raise NoTrust(f"{ca_file} can't be read: {os_reason(error)}") from error
        if not stat.S_ISREG(found.st_mode):  # to open a pipe would wait for somebody to write
            raise NoTrust(f"{ca_file} can't be read: it is no regular file")
        changed = found.st_mtime_ns
    return _context(minimum_version, ca_file if chain else None, chain, changed)


@lru_cache(maxsize=8)
def _context(version: str, ca_file: Path | None, chain: bool, changed: int) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = _VERSIONS[version]
    context.options |= ssl.OP_NO_RENEGOTIATION
    if context.security_level < _SECURITY_LEVEL:  # a build of Python, or openssl.cnf, has less
        context.set_ciphers(f"DEFAULT:@SECLEVEL={_SECURITY_LEVEL}")
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if chain else ssl.CERT_NONE
    if not chain:
        return context
    try:
        if ca_file is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(cafile=ca_file)
            if _CRL in ca_file.read_bytes():  # OpenSSL loads it, and asks it nothing
                context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    except OSError as error:  # ssl.SSLError among them
        raise NoTrust(f"{ca_file} contains no certificates: {os_reason(error)}") from error
    return context
