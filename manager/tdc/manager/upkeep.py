"""`adopt`, `repair`, `user-recover`: what is done at the manager's own machine, beside it."""

from __future__ import annotations

import logging

from tdc.manager.at_hand import embedded, require_manager, store_of
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.embedded import EmbeddedEtcd
from tdc.manager.first_setup import ETCD_FOLDER
from tdc.manager.identity.passwords import Passwords
from tdc.manager.intent.user_records import recovered
from tdc.manager.options import Options
from tdc.manager.people.password import check_password
from tdc.manager.people.user import check_user_name
from tdc.manager.reach import external_etcd
from tdc.manager.store import identity
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.keys import PLACE
from tdc.manager.store.people import PeopleStore
from tdc.manager.store.repair import Finding, repair
from tdc.shared.sync.audit_entry import AuditEvent, By

REPAIR = By("tdc-manager repair", kind="manager")

log = logging.getLogger(__name__)


async def adopt(options: Options) -> str:
    """Make the store the only one: bound to this place, with a new id. Returns the id.

    The new id is written first: cut off in between, it is done again. Raises AuthorityMissing,
    AuthorityUnusable, EtcdSetupError, an EtcdError, UnreadableStore.
    """
    require_manager(options)
    if not options.embedded:
        async with EtcdClient(external_etcd(options)) as etcd:
            return (await identity.adopt(etcd)).id
    member = EmbeddedEtcd(options.folder / ETCD_FOLDER, anywhere=True, mark=PLACE)
    async with member as endpoint, EtcdClient(embedded(endpoint)) as etcd:
        made = await identity.adopt(etcd)
        await member.settle()
        return made.id


async def placed(options: Options) -> None:
    """Bind an embedded store to its place, and leave its id as it is: it may be an older state.

    With the same id machines that run a higher revision keep what they run, which `tdc recover` can
    then ask for; with a new one they would take the older state. Raises as `adopt` does.
    """
    require_manager(options)
    if options.embedded:
        member = EmbeddedEtcd(options.folder / ETCD_FOLDER, anywhere=True, mark=PLACE)
        async with member:
            await member.settle()


async def repaired(options: Options, *, write: bool) -> tuple[Finding, ...]:
    """Look for what was deleted, set back, edited or damaged by hand, and put it right if `write`.

    Raises AuthorityMissing, AuthorityUnusable, EtcdSetupError, an EtcdError, UnreadableStore.
    """
    require_manager(options)
    async with store_of(options, there=True) as etcd:
        found = await repair(etcd, write=write)
        put_right = sum(each.right for each in found)
        if write and put_right:
            what = f"put right {put_right} keys that were changed by hand"
            await AuditLog(etcd).txn([], [], AuditEvent("store.repair", REPAIR, what))
        return found


async def recovered_user(options: Options, name: str, password: str, now: float) -> str:
    """Make `name` an administrator of everything with this password; returns what was done.

    For who can't get in any more: who is on the manager's machine has its CA, and so everything.
    Raises PeopleError, AuthorityMissing, AuthorityUnusable, EtcdSetupError, an EtcdError, LostRace.
    """
    require_manager(options)
    check_user_name(name)
    hashed = await Passwords().hashed(check_password(password, name))
    async with store_of(options) as etcd:
        by = By("tdc-manager user-recover", kind="manager")
        event = AuditEvent("people.recover", by, f"made {name} an administrator of everything")
        made = await PeopleStore(etcd, AuditLog(etcd)).change_user(
            name, lambda users: recovered(users, name, hashed, now), {}, event
        )
    said = f"{made.name} is an administrator of the whole installation, with the new password"
    log.warning("user-recover: %s", said)
    return said
