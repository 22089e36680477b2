"""PURE. gRPC's words for a failed connection, in words for people.

In: the details of a status, the text for a peer. Out: a reason without the names of layers and
status codes, an address as people write it. What is not known here stays as it is.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

NO_ANSWER = "no answer in time"
"""What `reason` says of a call whose deadline passed."""

_NOT_SENT = ("failed to connect to all addresses", "errors resolving ", "DNS resolution failed")

_LOST = ("socket closed", "stream removed", "connection reset", "broken pipe", "goaway")

_LAYERS = re.compile(
    r"(?:[A-Z_]{2,20}: |ipv[46]:\S+?: |Failed to connect to remote host: |FD Shutdown: |"
    r"(?:Tls|Ssl) handshake failed(?: \(TSI_[A-Z_]+\))?: |SSL_ERROR_[A-Z]+: |"
    r"Custom verification check failed with error: )+"
)
_VERIFICATION = re.compile(r"CERTIFICATE_VERIFY_FAILED(?:: ([^:]+))?")
_BY_THE_CLOCK = {
    "certificate is not yet valid": "its certificate is not valid yet by this machine's clock",
    "certificate has expired": "its certificate has expired by this machine's clock",
}
_OTHER_TLS = re.compile(r"error:[0-9a-f]+:SSL routines:OPENSSL_internal:([A-Z0-9_]+)(?:.*)")
_UNKNOWN_NAME = re.compile(r"address lookup failed for (\S+):[0-9]+: (.*?)\]?$")
_INNER = re.compile(r"(?:Handshake (?:read|write) failed|[Ss]tream removed) \(([^()]+)\)")


def is_of_the_clock(details: str) -> bool:
    """Whether a connection failed because a certificate is of another time than it is here."""
    found = _VERIFICATION.search(details)
    return found is not None and (found[1] or "").strip() in _BY_THE_CLOCK


def never_sent(details: str) -> bool:
    """Whether a call failed for want of a connection to be sent on."""
    return details.startswith(_NOT_SENT)


def connection_lost(details: str) -> bool:
    """Whether a call failed because its connection ended, so that an answer may be lost."""
    return any(words in details.lower() for words in _LOST)


def address(peer: str) -> str:
    """A peer as people write it: ``ipv4:192.0.2.7:25`` is ``192.0.2.7:25``."""
    kind, _, rest = unquote(peer).partition(":")
    return rest if kind in ("ipv4", "ipv6") else peer


def reason(details: str) -> str:
    """Why a connection failed: ``connection refused``."""
    text = details.rpartition("last error: ")[2]
    if found := _UNKNOWN_NAME.search(text):
        return f"the name {found[1]} was not found ({found[2].lower()})"
    text = _LAYERS.sub("", text, count=1)
    if "Hostname Verification Check failed" in text:
        return "its certificate is for another name"
    if found := _VERIFICATION.search(text):
        why = (found[1] or "").strip()
        if why in _BY_THE_CLOCK:
            return f"{_BY_THE_CLOCK[why]}: check that clock, and the other machine's"
        return "its certificate can't be verified" + (f" ({why})" if why else "")
    if found := _OTHER_TLS.search(text):
        return f"TLS failed ({found[1].lower().replace('_', ' ')})"
    text = _INNER.sub(r"\1", text)
    if text == "Deadline Exceeded":
        return NO_ANSWER
    # "Connection refused", but not a name in capitals.
    return text[:1].lower() + text[1:] if text[1:2].islower() else text
