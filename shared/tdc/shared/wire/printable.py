"""PURE. Text from a peer, made fit to be shown: on one line, printable, and not endless."""

from __future__ import annotations

MOST_TEXT = 500
"""Characters of a sentence from an agent that are kept: seven lines of a terminal, and longer than
any that an agent makes itself."""
MOST_WORD = 255
"""Characters of a name, a version, a hash: the longest domain has as many."""


def printable(text: str) -> str:
    r"""`text` with everything a terminal would act on written as ``\x1b`` or ``\u202e``."""
    if text.isprintable():
        return text
    return "".join(map(_visible, text))


def cut(text: str, most: int = MOST_TEXT) -> str:
    """`text` on one line, printable, with at most `most` characters and how many were left out.

    What is cut is what will be seen: a control character takes more room than a letter.
    """
    seen = printable(text[: most + 1])
    if len(text) <= most and len(seen) <= most:
        return seen
    kept, room = 0, most
    for character in text[:most]:
        room -= len(printable(character))
        if room < 0:
            break
        kept += 1
    return f"{printable(text[:kept])}… ({len(text) - kept} more characters)"


def _visible(character: str) -> str:
    # Not printable are controls, formatting (direction overrides), surrogates, line separators.
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
