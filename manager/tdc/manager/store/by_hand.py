"""PURE. Which documents of a cluster are not as its commits left them: deleted, set back, edited.

A commit writes each document with its revision and its seal, and lists in the head which revision
wrote which document last. No commit deletes a document. So the stored values themselves tell, to a
manager that has just started and to a commit that reads three keys, whether somebody wrote in
between. That a seal does not fit is found by reading (`documents`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tdc.manager.store.documents import REPAIR, Document, Head, Unreadable, edited
from tdc.manager.store.keys import head_key

_SET_BACK = "was set back by hand"
LOST_SEAL = "it has lost its seal"


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
    fault = fault_of_head(cluster, head, documents.values())
    return (fault,) if fault is not None else faults_beside(head, documents, keys)


def fault_of_head(
    cluster: str, head: Head, documents: Iterable[Document], *, sealed: bool = False
) -> Unreadable | None:
    """What the documents say is wrong with the head; `sealed`: one of its commits is known to
    have sealed what it wrote, so all later ones did.
    """
    whole = [each for each in documents if each.whole]
    if not head.sealed and (sealed or any(each.sealed for each in whole)):
        return edited(head_key(cluster), LOST_SEAL, REPAIR)
    newest = max((each.revision for each in whole), default=0)
    if newest > head.revision:
        return set_back(head_key(cluster), head.revision, newest)
    return None


def faults_beside(
    head: Head, documents: Mapping[str, Document], keys: Iterable[str]
) -> tuple[Unreadable, ...]:
    """What a head that can be trusted says is wrong with those of `keys`."""
    faults = []
    for key in keys:
        revision, found = head.written.get(key, 0), documents.get(key)
        if found is None and revision:
            faults.append(deleted(key, revision))
        elif found is not None and found.whole and found.revision < revision:
            faults.append(set_back(key, found.revision, revision))
        elif found is not None and found.whole and (why := _edit(head, found, revision)):
            faults.append(edited(key, why, REPAIR))
    return tuple(faults)


def _edit(head: Head, found: Document, revision: int) -> str:
    """Why a document that commit `revision` wrote last (0: none is known) can't be its; or ""."""
    if found.revision > (revision or head.revision):
        wrote = f"commit {revision} wrote it last" if revision else "no such commit is known"
        return f"it says commit {found.revision}, but {wrote}"
    if 0 < head.sealed <= max(revision, found.revision) and not found.sealed:
        return LOST_SEAL
    if head.sealed == 1 and not revision:  # each commit of the cluster listed what it wrote
        return "no commit wrote it"
    return ""


def is_older(found: Document, known: Document) -> bool:
    """Whether a readable document is of an earlier commit than the one known before."""
    return found.whole and found.revision < known.revision
