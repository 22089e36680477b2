"""`--wait` with real agents: done once they run the commit; one that is away is named."""

from __future__ import annotations

import pytest

from tests.stage.fleet import RunningFleet

pytestmark = pytest.mark.system


async def test_a_commit_is_waited_for_on_the_machines_that_it_changes(
    copying: RunningFleet,
) -> None:
    for name in ("mx1", "mx2"):
        await copying.add_gateway(name, group="Main_Group")
    await copying.tdc("machine", "create", "mx3", "--group", "Main_Group", "--yes")
    change = ("settings", "set", "cluster", "demo", "--yes", "--wait")

    done = copying.run_tdc(*change, "retry.initial=2s")
    assert done.returncode == 0, done.stderr
    assert "Applied on 2 machines; 1 not enrolled yet." in done.stderr
    rows = await copying.status()
    assert {rows[name]["state"] for name in ("mx1", "mx2")} == {"in sync"}

    await copying.gateways["mx2"].agent.stop()
    away = copying.run_tdc(*change, "--wait-limit", "2", "retry.initial=1s")
    assert away.returncode == 4
    assert "mx2 has not applied it: offline" in away.stderr
    alone = ("settings", "set", "machine", "mx1", "retry.initial=2s", "--yes", "--wait")
    assert copying.run_tdc(*alone).returncode == 0, "mx2 has nothing to do with it"
