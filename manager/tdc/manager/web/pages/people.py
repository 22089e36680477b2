"""Log in, log out, and who one is."""

from __future__ import annotations

import logging

import msgspec
from tdc.manager.intent.errors import BadRequest, NotKnown, TooManyTries
from tdc.manager.intent.login import CodeNeeded
from tdc.manager.web.answers import Page, See
from tdc.manager.web.desk import Call
from tdc.manager.web.failed import failed
from tdc.manager.web.headers import cookie_gone, cookie_with, own_address

log = logging.getLogger(__name__)


class LoginAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where to go on after the login."""

    next: str = "/"


class LoginSent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The form of a login."""

    name: str
    password: str
    code: str = ""
    next: str = "/"


_CODE_NEEDED = (
    "The password is right. You have one-time codes: type the password once more, with the code "
    "that your app shows now."
)


def _login_page(next_address: str, name: str = "", fault: str = "", status: int = 200) -> Page:
    values = {"title": "Log in", "next": own_address(next_address), "name": name, "fault": fault}
    return Page("login.html", values, status)


async def login(call: Call) -> Page:
    """Ask who it is."""
    return _login_page(call.asked(LoginAsked).next)


async def log_in(call: Call) -> Page | See:
    """Begin a session, as at the port of operators: the same throttle, the same entries."""
    sent = call.sent(LoginSent)
    try:
        made = await call.desk.login.log_in(
            sent.name, sent.password, sent.code, origin=call.origin, address=call.address
        )
    except (NotKnown, TooManyTries, BadRequest) as error:
        how = failed(error)
        assert how is not None
        said = str(error)
        return _login_page(sent.next, sent.name[:64], f"{said[:1].upper()}{said[1:]}.", how.status)
    if isinstance(made, CodeNeeded):
        return _login_page(sent.next, sent.name[:64], _CODE_NEEDED, 401)
    return See(own_address(sent.next), (("set-cookie", cookie_with(made.secret)),))


async def log_out(call: Call) -> See:
    """End the session that this request is made by."""
    await call.to.proofs.end_sessions(call.actor, (), "")
    return See("/login", (("set-cookie", cookie_gone()),))


async def me(call: Call) -> Page:
    """Show who one is, and the sessions that one has."""
    found = await call.to.proofs.who_am_i(call.actor)
    sessions = await call.to.proofs.list_sessions(call.actor, "", all_users=False)
    tokens = await call.to.proofs.list_tokens(call.actor, "", all_users=False)
    values = {
        "title": "Me",
        "page_name": "me",
        "found": found,
        "sessions": sessions,
        "tokens": tokens,
        "proof": call.actor.proof,
    }
    return Page("me.html", values)
