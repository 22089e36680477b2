"""The store of a data folder, for one command: that of the manager that runs, or one's own start.

An embedded store belongs to the process that runs its etcd. A command that only reads goes in by
the same socket while a manager runs; where none does, it runs the etcd for as long as it takes.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from shlex import quote

from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.embedded import QUOTA, EmbeddedEtcd, attached
from tdc.manager.etcd.errors import EtcdSetupError
from tdc.manager.etcd.program import DATA
from tdc.manager.first_setup import CA_FOLDER, ETCD_FOLDER
from tdc.manager.identity.authorities import Authorities
from tdc.manager.options import Options
from tdc.manager.reach import external_etcd
from tdc.manager.store.keys import PLACE, ROOT


class NoStore(EtcdSetupError):
    """There is no embedded store in this data folder; none was made."""


def require_manager(options: Options) -> None:
    """Raise for a folder that no manager could run in, before an etcd is made in it.

    Raises AuthorityMissing, AuthorityUnusable.
    """
    Authorities.load(options.folder / CA_FOLDER)


@contextlib.asynccontextmanager
async def store_of(
    options: Options, *, beside: bool = False, there: bool = False
) -> AsyncIterator[EtcdClient]:
    """Yield a client of the store. `beside`: also while a manager runs on an embedded one.

    `there`: an embedded one that is not there is not made. Raises NoStore, EtcdSetupError,
    OptionsError.
    """
    async with contextlib.AsyncExitStack() as stack:
        if not options.embedded:
            yield await stack.enter_async_context(EtcdClient(external_etcd(options)))
            return
        folder = options.folder / ETCD_FOLDER
        endpoint = stack.enter_context(attached(folder)) if beside else None
        if endpoint is None:
            if there and not (folder / DATA).exists():
                raise NoStore(
                    f"there is no store in {folder}: none was made there yet, or it was moved away "
                    f"or deleted. `tdc-manager doctor --folder {quote(str(options.folder))}` says "
                    "what to do. Nothing was changed"
                )
            endpoint = await stack.enter_async_context(EmbeddedEtcd(folder, mark=PLACE))
        yield await stack.enter_async_context(EtcdClient(embedded(endpoint)))


def embedded(endpoint: str) -> EtcdOptions:
    """How to reach an embedded etcd."""
    return EtcdOptions(endpoints=(endpoint,), quota=QUOTA, prefix=ROOT)
