"""The first user: a page that is there until there is an administrator, for who has the address."""

from __future__ import annotations

import msgspec
from tdc.manager.intent.errors import BadRequest, PersonExists
from tdc.manager.intent.first_user import NotOpen
from tdc.manager.intent.login import CodeNeeded
from tdc.manager.people.user import PeopleError
from tdc.manager.web.answers import Page, See
from tdc.manager.web.desk import Call
from tdc.manager.web.failed import Refused
from tdc.manager.web.headers import cookie_with


class SetupAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The key in the address."""

    key: str = ""


class SetupSent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form of the first user."""

    key: str
    name: str
    password: str
    again: str


def _page(key: str, name: str = "", fault: str = "", status: int = 200) -> Page:
    values = {"title": "Set up", "key": key, "name": name, "fault": fault}
    return Page("setup.html", values, status)


async def setup(call: Call) -> Page:
    """Ask for the first user; raises Refused once there is an administrator."""
    key = call.asked(SetupAsked).key
    try:
        call.desk.first_user.check(key)
    except NotOpen:
        raise _not_there() from None
    return _page(key)


async def set_up(call: Call) -> Page | See:
    """Make the first user, and log him in."""
    sent, desk = call.sent(SetupSent), call.desk
    try:
        if sent.password != sent.again:
            desk.first_user.check(sent.key)
            return _page(sent.key, sent.name, "The two passwords are not the same.", 422)
        await desk.first_user.make(sent.key, sent.name, sent.password, origin=call.origin)
    except NotOpen:
        raise _not_there() from None
    except (PeopleError, BadRequest, PersonExists) as error:
        said = str(error)
        return _page(sent.key, sent.name[:64], f"{said[:1].upper()}{said[1:]}.", 422)
    made = await desk.login.log_in(
        sent.name, sent.password, "", origin=call.origin, address=call.address
    )
    if isinstance(made, CodeNeeded):  # not of a user who was just made
        return See("/login")
    return See("/", (("set-cookie", cookie_with(made.secret)),))


def _not_there() -> Refused:
    """As if there were no such page: who has no key learns nothing."""
    return Refused(404, "unknown", "There is no such page here.")
