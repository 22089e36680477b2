"""`tdc-manager ca`: the steps of a rotation, at the machine of any manager, and where it stands.

A step is one transaction in etcd; managers follow it there, this folder's too. So nothing here
writes to the folder, and the command may run as another user than the manager.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from tdc.manager.at_hand import store_of
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.values import KeyValue, Put, Unchanged
from tdc.manager.first_setup import CA_FOLDER
from tdc.manager.identity.authorities import Authorities
from tdc.manager.identity.authority import MACHINE_LIFETIME, Authority
from tdc.manager.identity.ca_folder import AuthorityUnusable
from tdc.manager.identity.ca_record import ForeignRecord, open_record, pack_record
from tdc.manager.identity.ca_state import (
    CaState,
    Phase,
    StepRefused,
    aborted,
    finished,
    next_step,
    prepared,
    switched,
    switched_back,
)
from tdc.manager.options import Options
from tdc.manager.rotation.look import standing_of
from tdc.manager.rotation.managers import Managers, asked_by
from tdc.manager.rotation.reseal import reseal
from tdc.manager.rotation.standing import Standing, behind, holding, not_trusting
from tdc.manager.store.audit import AuditLog
from tdc.manager.store.encoding import Damaged
from tdc.manager.store.errors import LostRace
from tdc.manager.store.keys import AUTHORITY
from tdc.shared.edge.clock import monotonic, wall
from tdc.shared.sync.audit_entry import AuditEvent, By

BY = By("tdc-manager ca", kind="manager")

FOLLOWED_WITHIN = 15.0
"""Seconds that managers are given to follow a step, before the command ends."""

MOST_NAMED = 20
"""Of those who are not ready, so many are named."""


@dataclass(frozen=True, slots=True)
class Stood:
    """What a command prints, and whether all is ready for what comes next."""

    lines: tuple[str, ...]
    ready: bool = True


class _Here:
    """The CAs as the store and this folder have them, whichever is later."""

    def __init__(
        self,
        etcd: EtcdClient,
        item: KeyValue | None,
        authorities: Authorities,
        managers: Managers,
        folder: Path,
    ) -> None:
        """`folder` is this manager's."""
        self.folder = folder
        self.etcd = etcd
        self.managers = managers
        self.audit = AuditLog(etcd)
        self.authorities = authorities
        self._item = item

    @property
    def state(self) -> CaState:
        return self.authorities.state

    def other(self, phase: Phase) -> Authority:
        """The CA that does not sign, in this phase; raises StepRefused in another."""
        state = self.state
        if state.phase is not phase or state.other is None:
            raise StepRefused(f"{next_step(state.phase)}. Nothing was changed")
        return Authority.of(state.other, "the store")

    def behind(self, standing: Standing) -> tuple[str, ...]:
        return behind(standing.managers, self.state.number)

    def lines(self) -> tuple[str, ...]:
        """Which CAs there are, and since when."""
        state = self.state
        signing = self.authorities.signing
        lines = [f"{signing.fingerprint[:16]} signs; it expires {_day(signing.ends)}"]
        if state.other is not None:
            other = Authority.of(state.other, "the store")
            lines.append(f"{other.fingerprint[:16]} is trusted too; it expires {_day(other.ends)}")
        if state.number:
            lines.append(f"{state.phase} since {_day(state.since)} (step {state.number})")
        return tuple(lines)

    async def step(self, what: str, change: Callable[[CaState], CaState], said: str) -> CaState:
        """Make a step: in the store, and in the audit log."""
        after = change(self.state)
        there = Unchanged(AUTHORITY, self._item.mod_revision if self._item is not None else 0)
        event = AuditEvent(what, BY, f"{said} (step {after.number})")
        done = await self.audit.txn([there], [Put(AUTHORITY, pack_record(after))], event)
        if not done:
            raise LostRace("somebody else made a step meanwhile; nothing was changed by this one")
        return after

    async def followed(self, made: CaState) -> Stood:
        """Wait until all managers have followed a step, for a while; say who has not."""
        give_up = monotonic() + FOLLOWED_WITHIN
        while True:
            rows = await self.managers.stand()
            late = behind(rows, made.number)
            if not late or monotonic() > give_up:
                break
            await asyncio.sleep(0.2)
        self.authorities = Authorities(Path(), made)
        done = [each.name for each in rows if not behind([each], made.number)]
        lines = [*self.lines(), f"Followed by: {', '.join(done) or 'no manager'}."]
        if late:
            lines += ["Not yet followed by:", *_named(late)]
        return Stood((*lines, f"Next: {next_step(made.phase)}."), ready=not late)


@contextlib.asynccontextmanager
async def _here(options: Options) -> AsyncIterator[_Here]:
    folder = options.folder / CA_FOLDER
    own = Authorities.load(folder)
    async with store_of(options, beside=True) as etcd:
        item = await etcd.get(AUTHORITY)
        try:
            said = None if item is None else open_record(item.value, own.state)
        except ForeignRecord:
            raise AuthorityUnusable(
                f"{folder} has none of the CAs of this store: run the command at a manager that "
                "runs. Nothing was changed"
            ) from None
        except Damaged as error:
            raise AuthorityUnusable(
                f"what the store says of the CA is not used: {error}. A manager that runs writes "
                "it again; nothing was changed"
            ) from None
        later = said is not None and said.number > own.state.number
        known = Authorities(folder, said) if later and said else own
        async with asked_by(etcd, known) as managers:
            yield _Here(etcd, item, known, managers, options.folder)


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}Z"


async def prepare(options: Options) -> Stood:
    """Make a new CA, and trust it beside the present one.

    Each of these raises StepRefused, LostRace, AuthorityMissing, AuthorityUnusable, NotReady,
    EtcdSetupError, OptionsError, an EtcdError or a StoreError.
    """

    def begun(state: CaState) -> CaState:
        present = Authority.of(state.current, "this folder")
        new = Authority.new()
        return prepared(state, new.pair, present.bridge_to(new), wall())

    async with _here(options) as here:
        made = await here.step("ca.prepare", begun, "prepared a new CA")
        return await here.followed(made)


async def switch(options: Options, *, back: bool, force: bool) -> Stood:
    """Let the new CA sign, or the old one again."""
    async with _here(options) as here:
        if back:
            made = await here.step(
                "ca.switch_back", lambda state: switched_back(state, wall()), "let the old CA sign"
            )
            return await here.followed(made)
        other = here.other(Phase.PREPARED)
        standing = await standing_of(here.etcd, here.managers)
        late = (*here.behind(standing), *not_trusting(standing, other.fingerprint))
        _refuse(late, force, "Managers and machines that are not ready")
        said = "let the new CA sign" + (", by force" if late else "")
        made = await here.step("ca.switch", lambda state: switched(state, wall()), said)
        return await here.followed(made)


async def finish(options: Options, *, force: bool) -> Stood:
    """Trust the new CA alone."""
    return await _drop(options, Phase.SWITCHED, finished, "ca.finish", force=force)


async def abort(options: Options, *, force: bool) -> Stood:
    """Trust the old CA alone again."""
    return await _drop(options, Phase.PREPARED, aborted, "ca.abort", force=force)


async def _drop(
    options: Options,
    phase: Phase,
    step: Callable[[CaState, float], CaState],
    what: str,
    *,
    force: bool,
) -> Stood:
    async with _here(options) as here:
        gone = here.other(phase)
        standing = await standing_of(here.etcd, here.managers)
        late = (*here.behind(standing), *(_holding(here, standing) if here.state.used else ()))
        _refuse(late, force, "Who still needs the CA that would go")
        await reseal(here.etcd, here.audit, here.authorities, BY)
        said = f"dropped the CA {gone.fingerprint[:16]}" + (", by force" if late else "")
        made = await here.step(what, lambda state: step(state, wall()), said)
        return await here.followed(made)


async def status(options: Options) -> Stood:
    """Where the rotation is, and who is not ready for the next step."""
    async with _here(options) as here:
        state, lines = here.state, here.lines()
        standing = await standing_of(here.etcd, here.managers)
        late = here.behind(standing)
        if state.phase is not Phase.SETTLED:
            late += _late(here, standing)
        named = _named(late)
        return Stood((*lines, *named, f"Next: {next_step(state.phase)}."), ready=not late)


def _late(here: _Here, standing: Standing) -> tuple[str, ...]:
    if here.state.phase is Phase.PREPARED:
        return not_trusting(standing, here.other(Phase.PREPARED).fingerprint)
    return _holding(here, standing)


def _holding(here: _Here, standing: Standing) -> tuple[str, ...]:
    """Who needs the CA that does not sign."""
    other, signing = here.other(here.state.phase), here.authorities.signing
    return holding(
        standing,
        (other.fingerprint, other.key_id),
        (signing.fingerprint, signing.key_id),
        now=wall(),
        since=here.state.since,
        longest=MACHINE_LIFETIME,
        folder=quote(str(here.folder)),
    )


def _refuse(late: tuple[str, ...], force: bool, whom: str) -> None:
    if late and not force:
        listed = "\n".join(_named(late))
        raise StepRefused(
            f"{whom}:\n{listed}\nNothing was changed. `tdc-manager ca status` says when they are; "
            "--force goes on without them, and each of them then needs a join token or a new folder"
        )


def _named(late: tuple[str, ...]) -> tuple[str, ...]:
    more = len(late) - MOST_NAMED
    return (*(f"  {each}" for each in late[:MOST_NAMED]), *([f"  and {more} more"] * (more > 0)))
