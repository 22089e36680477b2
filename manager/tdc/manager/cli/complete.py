"""Completion as a shell asks for it: words typed come in by the environment, those that fit go out.

Promises: in 300 ms in all, so nothing of the commands is loaded and the manager has `LIMIT`; asked
as who types it, so with his reach; where it can't be said, nothing is, and no error either; nothing
that a shell would act on is handed to it, whatever the manager says.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from tdc.manager.cli.completing import Wanted, wanted
from tdc.shared.edge import signals

LIMIT = 0.15
"""Seconds that the manager has, unless `--timeout` was typed."""

_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+/: =-]*|--?[a-z-]+")
"""Every name of ours; never a letter at which a shell does something, but a blank."""
_PLAIN = re.compile(r"[^A-Za-z0-9 .,/-]+")
_BREAKS = "=:@"
"""Letters at which bash ends a word (COMP_WORDBREAKS) that stand within ours."""


def main() -> None:
    """Answer the shell; ends the process at once, for gRPC takes its time to end."""
    with contextlib.suppress(Exception, KeyboardInterrupt):
        signals.unblock(signal.SIGINT)
        sys.stdout.write(answer(os.environ))
        sys.stdout.flush()
    os._exit(0)


def answer(environment: Mapping[str, str]) -> str:
    """What the script of the shell expects, which says in the environment what was typed."""
    shell = environment["_TDC_COMPLETE"].removeprefix("complete_")
    if shell == "bash":
        words, typed, given = _from_bash(environment)
    else:
        words, typed = _from_line(environment["_TYPER_COMPLETE_ARGS"])
        given = 0
    asked = wanted(words, typed)
    found = {
        word: _PLAIN.sub(" ", meaning)
        for word, meaning in asked.fitting(_names(asked)).items()
        if _HARMLESS.fullmatch(word)
    }
    match shell:
        case "bash":
            return "\n".join(word[given:].replace(" ", r"\ ") for word in found)
        case "zsh":
            return _for_zsh(found, asked)
        case "fish":
            return _for_fish(found, environment.get("_TYPER_COMPLETE_FISH_ACTION", ""))
        case _:
            return "\n".join(f"{word}:::{text or ' '}" for word, text in found.items())


def _from_bash(environment: Mapping[str, str]) -> tuple[list[str], str, int]:
    """The words before the cursor, the one that it is in, and how many letters of that bash keeps.

    bash ends words at letters that stand within ours: they are put together again.
    """
    line, at = environment["COMP_WORDS"], int(environment["COMP_CWORD"])
    pieces = line.split("\n") if "\n" in line else line.split()
    pieces = [*pieces, ""][: at + 1]
    words: list[str] = []
    joins = False
    for piece in pieces:
        breaks = bool(piece) and all(letter in _BREAKS for letter in piece)
        if words and (breaks or joins):
            words[-1] += piece
        else:
            words.append(piece)
        joins = breaks
    last = pieces[-1]
    kept = 0 if joins else len(last)
    typed = words[-1].lstrip("'\"") if len(words) > 1 else ""
    return [word.strip("'\"") for word in words[1:-1]], typed, len(words[-1]) - kept


def _from_line(line: str) -> tuple[list[str], str]:
    words = [word.strip("'\"") for word in line.split()][1:]
    return (words, "") if line.endswith(" ") or not words else (words[:-1], words[-1])


def _for_zsh(found: Mapping[str, str], asked: Wanted) -> str:
    if not found:
        return "_files" if asked.file else ""
    rows = [
        '"{}"'.format(word.replace(":", r"\\:")) + (f':"{text}"' if text else "")
        for word, text in found.items()
    ]
    return "_arguments '*: :((" + "\n".join(rows) + "))'"


def _for_fish(found: Mapping[str, str], action: str) -> str:
    if action == "is-args":  # whether there are any; if not, fish offers files
        os._exit(0 if found else 1)
    return "\n".join(f"{word}\t{text}" if text else word for word, text in found.items())


def _names(asked: Wanted) -> list[str]:
    """What the manager has of the names that are wanted."""
    names: list[str] = []
    with contextlib.suppress(Exception):  # words that need no manager are offered nevertheless
        names += _asked_for(asked) if asked.sources else []
    return names


def _asked_for(asked: Wanted) -> list[str]:
    from tdc.manager.cli.asked_names import Asking  # noqa: PLC0415  # only for names
    from tdc.manager.cli.config import find_config, read_config  # noqa: PLC0415
    from tdc.shared.edge.grpc_tls import waiting_channel  # noqa: PLC0415

    config = read_config(find_config(Path(asked.config) if asked.config else None))
    channel = waiting_channel(config.manager, config.ca, config.certificate, config.key)
    asking = Asking(channel, config.secret, float(asked.timeout or LIMIT), asked.cluster)
    return [name for source in asked.sources for name in asking.names(source)]
