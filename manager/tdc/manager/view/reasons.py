"""PURE. Why a machine is as it is, in sentences for operators."""

from __future__ import annotations

from collections.abc import Sequence

from tdc.shared.settings.known import unknown_there


def out_of_sync(revision: int, cut_off: str) -> str:
    """Of a machine that runs `revision`; `cut_off` is why its manager hears of no commit."""
    what = f"running revision {revision}" if revision else "running the built-in defaults"
    return f"{what}; {cut_off or 'update in progress'}"


def not_offered(lacks: Sequence[str], agent_version: str) -> str:
    """Of a machine to which nothing is offered: its agent `lacks` settings, or none are known."""
    if not lacks:
        return "its settings can't be read from the store"
    return (
        f"{unknown_there(lacks, agent_version)}, which its settings need, so nothing is "
        "sent to it and it keeps what it runs. Upgrade the agent, or unset this for the machine"
    )


def clones(rivals: tuple[str, str]) -> str:
    """Of a machine whose streams close each other, from these addresses."""
    before, now = rivals
    return (
        "two machines seem to share this certificate and keep closing each other's streams, "
        f"connecting from {before} and {now}. A machine was probably cloned, or its key "
        "copied. Enrol the right one again with a new join token; that shuts the other out"
    )
