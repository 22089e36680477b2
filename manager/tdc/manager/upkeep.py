"""`adopt` and `repair`: what an operator does with a store that is not as it was left."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.embedded import QUOTA, EmbeddedEtcd
from tdc.manager.first_setup import CA_FOLDER, ETCD_FOLDER
from tdc.manager.identity.authority import Authority
from tdc.manager.options import Options
from tdc.manager.reach import external_etcd
from tdc.manager.store import identity
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.keys import PLACE, ROOT
from tdc.manager.store.repair import Finding, repair
from tdc.shared.sync.audit_entry import AuditEvent, By

REPAIR = By("tdc-manager repair", kind="manager")


async def adopt(options: Options) -> str:
    """Make the store the only one: bound to this place, with a new id. Returns the id.

    The new id is written first: cut off in between, it is done again. Raises AuthorityMissing,
    AuthorityUnusable, EtcdSetupError, an EtcdError, UnreadableStore.
    """
    _require_manager(options)
    if not options.embedded:
        async with EtcdClient(external_etcd(options)) as etcd:
            return (await identity.adopt(etcd)).id
    member = EmbeddedEtcd(options.folder / ETCD_FOLDER, anywhere=True, mark=PLACE)
    async with member as endpoint, EtcdClient(_embedded(endpoint)) as etcd:
        made = await identity.adopt(etcd)
        await member.settle()
        return made.id


async def repaired(options: Options, *, write: bool) -> tuple[Finding, ...]:
    """Look for what was deleted, set back, edited or damaged by hand, and put it right if `write`.

    Raises AuthorityMissing, AuthorityUnusable, EtcdSetupError, an EtcdError, UnreadableStore.
    """
    _require_manager(options)
    async with _client(options) as etcd:
        found = await repair(etcd, write=write)
        put_right = sum(each.right for each in found)
        if write and put_right:
            what = f"put right {put_right} keys that were changed by hand"
            await AuditLog(etcd).txn([], [], AuditEvent("store.repair", REPAIR, what))
        return found


def _require_manager(options: Options) -> None:
    """Raise for a folder that no manager could run in, before an etcd is made in it."""
    Authority.load(options.folder / CA_FOLDER)


@contextlib.asynccontextmanager
async def _client(options: Options) -> AsyncIterator[EtcdClient]:
    async with contextlib.AsyncExitStack() as stack:
        reach = external_etcd(options)
        if options.embedded:
            member = EmbeddedEtcd(options.folder / ETCD_FOLDER, mark=PLACE)
            reach = _embedded(await stack.enter_async_context(member))
        yield await stack.enter_async_context(EtcdClient(reach))


def _embedded(endpoint: str) -> EtcdOptions:
    return EtcdOptions(endpoints=(endpoint,), quota=QUOTA, prefix=ROOT)
