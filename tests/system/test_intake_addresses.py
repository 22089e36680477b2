"""Addresses to which no copy may ever go: refused where they are typed, and where levels meet."""

from __future__ import annotations

import json

import pytest
from tdc.shared.settings.check import checked
from tdc.shared.settings.schema import SettingError

from tests.stage.fleet import RunningFleet
from tests.system.conftest import shared

__all__ = ["shared"]  # a fixture

pytestmark = pytest.mark.system
SHARED = pytest.mark.asyncio(loop_scope="module")

LONG = "j@" + ".".join(["a" * 60] * 4) + ".intake.example"
NO_ADDRESS = {
    "no-domain": "journal",
    "empty-domain": "journal@",
    "one-label": "journal@localhost",
    "two-ats": "j@k@intake.example",
    "quoted": '"a b"@intake.example',
    "quoted-at": '"a@b"@intake.example',
    "literal": "j@[192.0.2.1]",
    "literal-6": "j@[IPv6:::1]",
    "number": "j@192.0.2.1",
    "over-255": LONG,
    "long-local": "j" * 65 + "@intake.example",
    "crlf": "j@intake.example\r\nRCPT TO:<x@y.example>",
    "lf": "j\n@intake.example",
    "path": "<j@intake.example>",
    "two": "j@intake.example,k@intake.example",
}
AT_CLUSTER = ("settings", "set", "cluster", "demo")
AT_MACHINE = ("settings", "set", "machine", "mx1")


@pytest.mark.proves("B94")
@pytest.mark.parametrize("name", NO_ADDRESS)
def test_what_is_no_address_is_refused_alone_and_in_a_policy(name: str) -> None:
    policy = {"name": "p", "action": "custom", "recipients": ["corp.example"]}
    address = NO_ADDRESS[name]
    policies = [policy | {"intake_address": address}]
    for given in ({"intake_address": address}, {"policies": policies}):
        with pytest.raises(SettingError) as refused:
            checked(given)
        assert str(refused.value).isprintable()
        assert len(str(refused.value)) < 500
    assert len(LONG) > 254


@SHARED
@pytest.mark.proves("B94")
async def test_what_is_no_address_is_refused_where_it_is_typed(shared: RunningFleet) -> None:
    """In one line that shows nothing raw; nothing is stored."""
    before = await shared.json("cluster", "show", "demo")
    for name in ("no-domain", "crlf", "over-255"):
        done = shared.run_tdc(*AT_CLUSTER, f"intake_address={NO_ADDRESS[name]}", "--yes")
        assert (done.returncode, done.stdout) == (2, ""), (name, done.stdout)
        said = " ".join(done.stderr.split())
        assert said.startswith("tdc: intake_address: "), said
        assert said.endswith("Nothing was changed."), said
        assert len(said) < 500, said
        assert not [c for c in done.stderr if not c.isprintable() and c != "\n"]
    assert await shared.json("cluster", "show", "demo") == before


@SHARED
@pytest.mark.proves("B94")
async def test_an_address_of_the_organisation_is_refused_whichever_level_it_comes_from(
    shared: RunningFleet,
) -> None:
    """A copy that is sent there comes back as incoming mail, and is copied."""
    await shared.tdc("machine", "create", "mx1", "--group", "Main_Group", "--yes")
    await shared.tdc(*AT_CLUSTER, "incoming_domains=corp.example", "--yes")
    before = await shared.json("settings", "show", "--effective", "mx1")
    policy = {"name": "p", "action": "custom", "recipients": ["a.corp.example"]}
    policies = json.dumps([policy | {"intake_address": "j@corp.example"}])
    for place, setting in (
        (AT_CLUSTER, "intake_address=j@mail.CORP.example"),
        (AT_MACHINE, "intake_address=j@corp.example"),
        (AT_MACHINE, f"policies={policies}"),
    ):
        done = shared.run_tdc(*place, setting, "--yes")
        said = " ".join((done.stdout + done.stderr).split())
        assert done.returncode == 1, (setting, said)
        assert "one of the organisation's own domains" in said, (setting, said)
    assert await shared.json("settings", "show", "--effective", "mx1") == before
    # The other way round: the intake was there first.
    await shared.tdc(*AT_CLUSTER, "intake_address=j@in.example", "--yes")
    theirs = "incoming_domains=in.example"
    done = shared.run_tdc(*AT_MACHINE, theirs, "--yes")
    assert done.returncode == 1
    assert "one of the organisation's own domains" in " ".join((done.stdout + done.stderr).split())
