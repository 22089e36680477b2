"""PURE. Which documents of a cluster are not as its commits left them: deleted or set back by hand.

A commit writes each document with its revision, and lists in the head which revision wrote which
document last. No commit deletes a document. So the stored values themselves tell, to a manager that
has just started and to a commit that reads three keys, whether somebody wrote in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tdc.manager.store.documents import Document, Head, Unreadable
from tdc.manager.store.keys import head_key

_SET_BACK = "was set back by hand"
REPAIR = "`tdc-manager repair` puts it right from history"


def deleted(key: str, revision: int) -> Unreadable:
    """A value that commit `revision` wrote is gone; 0 where it is not known which did."""
    wrote = f"commit {revision} wrote it, and " if revision else ""
    return Unreadable(key, None, f"{wrote}no commit deletes it; {REPAIR}", "was deleted by hand")


def set_back(key: str, found: int, revision: int) -> Unreadable:
    """A value is as commit `found` left it, though commit `revision` wrote it later."""
    older = f"as commit {found} left it" if found else "of before its commits were counted"
    return Unreadable(
        key, None, f"it is {older}, but commit {revision} came later; {REPAIR}", _SET_BACK
    )


def faults_of(
    cluster: str, head: Head, documents: Mapping[str, Document], keys: Iterable[str]
) -> tuple[Unreadable, ...]:
    """What is wrong with those of `keys` that the head knows, and with the head itself.

    `documents` are those that are stored, by key, all as of one etcd revision.
    """
    newest = max((each.revision for each in documents.values() if each.whole), default=0)
    if newest > head.revision:
        return (set_back(head_key(cluster), head.revision, newest),)
    faults = []
    for key in keys:
        revision, found = head.written.get(key, 0), documents.get(key)
        if found is None and revision:
            faults.append(deleted(key, revision))
        elif found is not None and found.whole and found.revision < revision:
            faults.append(set_back(key, found.revision, revision))
    return tuple(faults)


def is_older(found: Document, known: Document) -> bool:
    """Whether a readable document is of an earlier commit than the one known before."""
    return found.whole and found.revision < known.revision
