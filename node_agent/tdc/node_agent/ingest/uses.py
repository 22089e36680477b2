"""PURE. Which extensions the commands of a transaction use, and what size they declare.

A next hop that does not offer one of them would refuse the command for good, and the MTA would
return the message to its sender. Where no command uses what is missing, nobody needs it.
"""

from __future__ import annotations

from collections.abc import Iterable

_PARAMETERS = {
    b"SIZE": "SIZE",  # RFC 1870
    b"BODY": "8BITMIME",  # RFC 6152
    b"SMTPUTF8": "SMTPUTF8",  # RFC 6531
    **dict.fromkeys((b"RET", b"ENVID", b"NOTIFY", b"ORCPT"), "DSN"),  # RFC 3461
}


def extensions_used(lines: Iterable[bytes]) -> frozenset[str]:
    """The keywords of the extensions that these lines, MAIL, RCPT or DATA, have parameters of.

    Within a quoted address a word may look like a parameter. It then counts as one: that is safe.
    """
    names = (word.partition(b"=")[0] for line in lines for word in line.upper().split())
    return frozenset(_PARAMETERS[name] for name in names if name in _PARAMETERS)


def declared_size(lines: Iterable[bytes]) -> int:
    """The octets that MAIL among these lines declares for the message (RFC 1870); 0 if none."""
    for line in lines:
        _, _, parameters = line.upper().rpartition(b">")
        for word in parameters.split():
            name, _, value = word.partition(b"=")
            if name == b"SIZE" and value.isdigit():
                return int(value)
    return 0
