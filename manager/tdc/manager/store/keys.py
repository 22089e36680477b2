"""PURE. Every key of the store, in one place (docs/store.md says what each holds).

A cluster is spread over a fixed number of documents, so that a commit that touches ten thousand
machines is still far below etcd's 128 operations a transaction. Keys are ASCII; names are
percent-encoded in them.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, unquote

ROOT = "/tdc/v1/"
"""All keys of this layout. A manager's etcd user needs readwrite on this prefix."""

STORE = f"{ROOT}store"
CLUSTERS = f"{ROOT}clusters/"
"""What a view follows: heads, levels, shards. History is not in it."""
COMMITS = f"{ROOT}commits/"
SNAPSHOTS = f"{ROOT}snapshots/"
"""Documents as they were when history was last trimmed; no view follows them."""
REQUESTS = f"{ROOT}requests/"
JOIN_TOKENS = f"{ROOT}join-tokens/"
ENROLMENTS = f"{ROOT}enrolments/"
DRAFTS = f"{ROOT}drafts/"
"""What operators gather before they commit it; no view follows them."""
SUSPENSIONS = f"{ROOT}suspensions/"
"""What is suspended on machines, a document for each cluster; views follow it."""
CLUSTER_NAMES = f"{ROOT}cluster-names/"
"""Names of clusters that are not those in their keys; no view follows them."""
PEOPLE = f"{ROOT}people/"
"""Users, and by what they prove who they are; views follow it."""
PEOPLE_HEAD = f"{PEOPLE}head"
"""Its last write orders the changes of users."""
USERS = f"{PEOPLE}users/"
SESSIONS = f"{PEOPLE}sessions/"
API_TOKENS = f"{PEOPLE}api-tokens/"
OPERATORS = f"{PEOPLE}operators/"
"""Certificates of operators that were seen or withdrawn."""
AUDIT = f"{ROOT}audit/"
"""Entries of the audit log, one for the whole installation; no view follows them."""
AUDIT_HEAD = f"{ROOT}audit-head"
"""Number and chain value of the newest entry; views follow it."""
AUDIT_ANCHOR = f"{ROOT}audit-anchor"
"""Number and chain value of the last entry that was trimmed."""
MAINTENANCE = f"{ROOT}maintenance"
MANAGERS = f"{ROOT}managers/"
"""Who manages this store now: a key of each manager, which ends with its lease."""
OWNERS = f"{ROOT}owners/"
"""Which manager does what one alone must do; such a key ends with its owner's lease."""
AUTHORITY = f"{ROOT}authority"
"""Which CAs are trusted, while one is replaced and after that; managers follow it."""
PLACE = f"{ROOT}place"
"""Where an embedded store belongs; its etcd keeps that by itself (`etcd/place.py`)."""

_COUNT = "count"

GROUP_SHARDS = 16
MACHINE_SHARDS = 64
"""Fixed for schema 1: another number is another schema."""


class Part(StrEnum):
    """The kinds of documents that make a cluster."""

    HEAD = "head"
    CLUSTER = "cluster"
    GROUPS = "groups"
    MACHINES = "machines"


@dataclass(frozen=True, slots=True)
class DocumentKey:
    """Which document of which cluster; `shard` is 0 for a head and a cluster level."""

    cluster: str
    part: Part
    shard: int = 0

    def __str__(self) -> str:
        base = f"{cluster_prefix(self.cluster)}{self.part}"
        sharded = self.part in _SHARDS
        return f"{base}/{self.shard:02x}" if sharded else base


_SHARDS = {Part.GROUPS: GROUP_SHARDS, Part.MACHINES: MACHINE_SHARDS}


def cluster_prefix(cluster: str) -> str:
    """The prefix of one cluster's documents."""
    return f"{CLUSTERS}{_quoted(cluster)}/"


def head_key(cluster: str) -> str:
    """The key whose last write orders all commits of the cluster."""
    return str(DocumentKey(cluster, Part.HEAD))


def cluster_key(cluster: str) -> str:
    """The key of the cluster level's settings."""
    return str(DocumentKey(cluster, Part.CLUSTER))


def group_key(cluster: str, group: str) -> str:
    """The key of the shard that holds the group."""
    return str(DocumentKey(cluster, Part.GROUPS, shard_of(group, GROUP_SHARDS)))


def machine_key(cluster: str, machine: str) -> str:
    """The key of the shard that holds the machine."""
    return str(DocumentKey(cluster, Part.MACHINES, shard_of(machine, MACHINE_SHARDS)))


@functools.lru_cache(maxsize=65_536)  # a commit reads every name of a shard again
def shard_of(name: str, shards: int) -> int:
    """The shard of a name: the first 4 bytes of its SHA-256, modulo the number of shards."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % shards


def parse_document_key(key: str) -> DocumentKey | None:
    """Which document a key holds; None for a key that this layout does not have."""
    if not key.startswith(CLUSTERS) or not key.isascii():
        return None
    cluster, *rest = key.removeprefix(CLUSTERS).split("/")
    found = next((document for document in _candidates(unquote(cluster), rest)), None)
    return found if found is not None and str(found) == key else None


def _candidates(cluster: str, rest: list[str]) -> list[DocumentKey]:
    match rest:
        case ["head" | "cluster" as part]:
            return [DocumentKey(cluster, Part(part))]
        case ["groups" | "machines" as part, digits] if _is_shard(Part(part), digits):
            return [DocumentKey(cluster, Part(part), int(digits, 16))]
        case _:
            return []


def _is_shard(part: Part, digits: str) -> bool:
    return (
        len(digits) == 2
        and set(digits) <= set("0123456789abcdef")
        and (int(digits, 16) < _SHARDS[part])
    )


def commits_prefix(cluster: str) -> str:
    """The prefix of a cluster's history."""
    return f"{COMMITS}{_quoted(cluster)}/"


def commit_key(cluster: str, revision: int) -> str:
    """The key of one commit record; keys sort as revisions do."""
    return f"{commits_prefix(cluster)}{revision:012d}"


def parse_commit_key(key: str) -> int | None:
    """The revision of a commit record's key; None for another key beside them."""
    digits = key.rpartition("/")[2]
    return int(digits) if len(digits) == 12 and digits.isascii() and digits.isdecimal() else None


def cluster_of_commit(key: str) -> str | None:
    """The cluster whose history a key under `COMMITS` is in; None for one of no known form."""
    name = unquote(key.removeprefix(COMMITS).rpartition("/")[0])
    revision = parse_commit_key(key)
    return name if revision is not None and commit_key(name, revision) == key else None


def snapshots_prefix(cluster: str) -> str:
    """The prefix of a cluster's snapshots."""
    return f"{SNAPSHOTS}{_quoted(cluster)}/"


def snapshot_key(cluster: str, revision: int, document: str) -> str:
    """Where a snapshot has the document with this key; keys sort as revisions do."""
    part = document.removeprefix(cluster_prefix(cluster))
    return f"{snapshots_prefix(cluster)}{revision:012d}/{part}"


def parse_snapshot_key(cluster: str, key: str) -> tuple[int, str] | None:
    """The revision, and the document's own key; None for another key beside them."""
    digits, _, part = key.removeprefix(snapshots_prefix(cluster)).partition("/")
    document = f"{cluster_prefix(cluster)}{part}"
    if not (digits.isascii() and digits.isdecimal()) or parse_document_key(document) is None:
        return None
    return int(digits), document


def snapshotted(key: str) -> tuple[str, int, str] | None:
    """The cluster, the revision and the document's own key, of a key under `SNAPSHOTS`, or None."""
    cluster = unquote(key.removeprefix(SNAPSHOTS).partition("/")[0])
    parsed = parse_snapshot_key(cluster, key) if key.startswith(SNAPSHOTS) else None
    found = parsed is not None and snapshot_key(cluster, *parsed) == key
    return (cluster, *parsed) if parsed is not None and found else None


def requests_prefix(cluster: str) -> str:
    """The prefix of a cluster's index of request ids."""
    return f"{REQUESTS}{_quoted(cluster)}/"


def request_key(cluster: str, request_id: str) -> str:
    """The key that says which revision a request id made."""
    return f"{requests_prefix(cluster)}{_quoted(request_id)}"


def drafts_prefix(cluster: str) -> str:
    """The prefix of the drafts for a cluster."""
    return f"{DRAFTS}{_quoted(cluster)}/"


def draft_key(cluster: str, owner: str) -> str:
    """The key of an operator's draft for a cluster."""
    return f"{drafts_prefix(cluster)}{_quoted(owner)}"


def place_of_draft(key: str) -> str:
    """The cluster that the key of a draft names."""
    return unquote(key.removeprefix(DRAFTS).partition("/")[0])


def join_token_key(token_hash: str) -> str:
    """The key of a join token, by its hash."""
    return f"{JOIN_TOKENS}{_quoted(token_hash)}"


def enrolment_key(cluster: str, machine: str) -> str:
    """The key that says which enrolment of a machine is the valid one."""
    return f"{ENROLMENTS}{_quoted(cluster)}/{_quoted(machine)}"


def parse_enrolment_key(key: str) -> tuple[str, str] | None:
    """Return (cluster, machine) of an enrolment's key; None for another key."""
    parts = key.removeprefix(ENROLMENTS).split("/")
    if not key.startswith(ENROLMENTS) or not key.isascii() or len(parts) != 2:
        return None
    found = unquote(parts[0]), unquote(parts[1])
    return found if enrolment_key(*found) == key else None


def enrolment_count_key(cluster: str, machine: str) -> str:
    """The key that has the number of the machine's newest enrolment a second time."""
    return f"{enrolment_key(cluster, machine)}/{_COUNT}"


def parse_enrolment_count_key(key: str) -> tuple[str, str] | None:
    """Return (cluster, machine) of such a key; None for another key."""
    place, _, last = key.rpartition("/")
    return parse_enrolment_key(place) if last == _COUNT else None


def cluster_name_key(name: str) -> str:
    """The key that says which cluster has a name that is not the one in its keys."""
    return f"{CLUSTER_NAMES}{_quoted(name)}"


def suspensions_key(cluster: str) -> str:
    """The key that says what is suspended on the machines of a cluster."""
    return f"{SUSPENSIONS}{_quoted(cluster)}"


def parse_suspensions_key(key: str) -> str | None:
    """The cluster of such a key; None for another key."""
    name = unquote(key.removeprefix(SUSPENSIONS))
    return name if suspensions_key(name) == key else None


def user_key(name: str) -> str:
    """The key of a user."""
    return f"{USERS}{_quoted(name)}"


def session_key(session_id: str) -> str:
    """The key of a session, by the hash of its secret."""
    return f"{SESSIONS}{_quoted(session_id)}"


def api_token_key(token_id: str) -> str:
    """The key of an API token, by the hash of its secret."""
    return f"{API_TOKENS}{_quoted(token_id)}"


def operator_key(fingerprint: str) -> str:
    """The key of what is known of an operator's certificate."""
    return f"{OPERATORS}{_quoted(fingerprint)}"


def parse_people_key(key: str) -> tuple[str, str] | None:
    """The prefix of a key under PEOPLE, and what it names; None for one of no known form."""
    for prefix in (USERS, SESSIONS, API_TOKENS, OPERATORS):
        name = unquote(key.removeprefix(prefix))
        if key.startswith(prefix) and name and f"{prefix}{_quoted(name)}" == key:
            return prefix, name
    return (key, "") if key == PEOPLE_HEAD else None


def audit_key(number: int) -> str:
    """The key of one entry of the audit log; keys sort as numbers do."""
    return f"{AUDIT}{number:012d}"


def parse_audit_key(key: str) -> int | None:
    """The number of an entry's key; None for another key beside them."""
    digits = key.removeprefix(AUDIT)
    good = len(digits) == 12 and digits.isascii() and digits.isdecimal()
    return int(digits) if good and key.startswith(AUDIT) else None


def manager_key(manager: str) -> str:
    """The key by which a manager, by its id, says that it is there."""
    return f"{MANAGERS}{_quoted(manager)}"


def parse_manager_key(key: str) -> str | None:
    """The manager's id of such a key; None for another key."""
    manager = unquote(key.removeprefix(MANAGERS))
    return manager if manager and manager_key(manager) == key else None


def owner_key(work: str) -> str:
    """The key that says which manager does this work."""
    return f"{OWNERS}{_quoted(work)}"


def _quoted(name: str) -> str:
    return quote(name, safe="")
