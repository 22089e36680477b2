"""Seal again, by the CA that signs, what the other one sealed: the secrets of one-time codes.

Done before a CA goes, for then nothing opens it any more. A user whose secret can't be opened is
left as he is: he could not log in before either.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tdc.manager.etcd.client import EtcdClient
from tdc.manager.identity.authorities import Authorities
from tdc.manager.identity.sealing import SECOND_FACTOR, NotOpened, Sealing
from tdc.manager.people.user import User
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.people import PeopleStore, Users
from tdc.shared.sync.audit_entry import AuditEvent, By


async def reseal(etcd: EtcdClient, audit: AuditLog, authorities: Authorities, by: By) -> int:
    """Seal what is not sealed by the CA that signs; returns of how many users.

    Raises LostRace, an EtcdError.
    """
    signing = Sealing(lambda: authorities.keys_for(SECOND_FACTOR)[:1])
    either = Sealing(partial(authorities.keys_for, SECOND_FACTOR))
    store, count = PeopleStore(etcd, audit), 0
    for name, user in (await store.users()).items():
        if not user.second_factor or _opens(signing, user):
            continue
        if not _opens(either, user):
            continue

        def changed(users: Users, name: str = name) -> User:
            found = users[name]
            if not found.second_factor or _opens(signing, found):
                return found
            secret = either.open(found.second_factor, name)
            sealed = signing.seal(secret, name)
            # Not another epoch: nothing that he proves is another, so his sessions go on.
            return replace(found, second_factor=sealed, number=found.number + 1)

        event = AuditEvent("ca.reseal", by, f"sealed the one-time codes of {name} by the new CA")
        await store.change_user(name, changed, {}, event)
        count += 1
    return count


def _opens(sealing: Sealing, user: User) -> bool:
    try:
        sealing.open(user.second_factor, user.name)
    except NotOpened:
        return False
    return True
