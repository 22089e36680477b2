"""The console in a real browser, over a real manager with real agents: an operator's journeys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.stage.browser import Reader, Scheme, browsing, needs_chromium, reading
from tests.stage.console import PASSWORD
from tests.stage.fleet import INTAKE_ADDRESS, RunningFleet, stage

pytestmark = [pytest.mark.system, needs_chromium, pytest.mark.timeout(180)]


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[RunningFleet]:
    """Two gateways that copy nothing yet, and the user maria."""
    async with stage(tmp_path, manager_options=("--console-port", "0")) as running:
        password = tmp_path / "password"
        password.write_text(f"{PASSWORD}\n")
        await running.tdc("cluster", "create", "demo")
        made = ("user", "create", "maria", "--role", "administrator")
        await running.tdc(*made, "--password-file", str(password))
        for name in ("mx1", "mx2"):
            await running.add_gateway(name, group="Main_Group")
        yield running


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as started:
        yield started


def _at(fleet: RunningFleet) -> str:
    return f"https://127.0.0.1:{fleet.manager.ports['console']}"


async def _log_in(reader: Reader, password: str = PASSWORD) -> None:
    """By the keyboard alone."""
    page = reader.page
    await page.get_by_label("User name").fill("maria")
    await page.keyboard.press("Tab")
    await page.keyboard.type(password)
    async with page.expect_navigation():
        await page.keyboard.press("Enter")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
async def test_an_operator_logs_in_enables_a_cluster_and_sees_it_copy(
    fleet: RunningFleet, browser: Browser, width: int, scheme: Scheme
) -> None:
    async with reading(browser, _at(fleet), width=width, scheme=scheme) as reader:
        page = reader.page
        await reader.go("/c/demo/machines")
        await reader.picture("login")
        await _log_in(reader, "not the password")
        await reader.says("is wrong")
        assert await page.evaluate("document.activeElement.getAttribute('role')") == "alert"
        await _log_in(reader)
        assert page.url == f"{_at(fleet)}/c/demo/machines", "where he wanted to go"
        await reader.picture("machines")
        await reader.go("/c/demo/settings")
        await reader.picture("settings-disabled")
        await page.get_by_role("link", name="Enable", exact=True).click()
        await page.locator('input[name="mode.enabled"][value="true"]').check()
        await page.locator("#value-intake_address").fill(INTAKE_ADDRESS)
        chosen = page.locator('input[name="mode.intake_address"][value="set"]')
        assert await chosen.is_checked(), "what is typed is meant"
        await reader.picture("settings-edit")
        await page.get_by_role("button", name="Submit").click()
        await reader.says("2 changes are in your draft")
        await reader.picture("settings-drafted")
        await page.get_by_role("link", name="Commit Changes").click()
        await reader.says("mx1 and mx2 start copying.")
        await reader.picture("changes")
        await page.get_by_label("Comment").fill("enable demo")
        await page.get_by_role("button", name="Commit Changes").click()
        await reader.says("is committed")
        await reader.says("2 of 2")
        await reader.picture("committed")
        await page.get_by_role("link", name="Machines").first.click()
        await page.locator('[data-cell="mx2.copying"].s-ok').wait_for()
        await reader.picture("machines-copying")
        await reader.go("/")
        await reader.says("No problems known")
        await reader.picture("overview")
        for name, path in (
            ("machine", "/c/demo/m/mx1"),
            ("delivery", "/c/demo/delivery"),
            ("me", "/me"),
            ("changes-none", "/c/demo/changes"),
            ("not-found", "/c/demo/m/nix"),
        ):
            await reader.go(path)
            await reader.picture(name)


async def test_a_machine_that_stops_and_comes_back_is_seen_without_a_reload(
    fleet: RunningFleet, browser: Browser
) -> None:
    async with reading(browser, _at(fleet)) as reader:
        page, agent = reader.page, fleet.gateways["mx1"].agent
        await reader.go("/c/demo/machines")
        await _log_in(reader)
        state = page.locator('[data-cell="mx1.state"]')
        await page.locator('[data-cell="mx1.state"].s-ok').wait_for()
        await page.evaluate("window.loadedOnce = true")
        await agent.stop()
        await page.locator('[data-cell="mx1.state"].s-bad').wait_for()
        assert await state.inner_text() == "offline"
        await reader.picture("machines-offline")
        await page.get_by_role("button", name="Pause").click()
        await agent.start()
        await reader.says("paused:")
        assert await state.inner_text() == "offline", "a page that is paused does not move"
        await page.get_by_role("button", name="Go on").click()
        await page.locator('[data-cell="mx1.state"].s-ok').wait_for()
        assert await page.evaluate("window.loadedOnce"), "it was not loaded again"


@pytest.mark.proves("P2")
async def test_without_a_script_a_machine_is_disabled_knowingly(
    fleet: RunningFleet, browser: Browser
) -> None:
    enabled = ("enabled=true", f"intake_address={INTAKE_ADDRESS}")
    await fleet.tdc("settings", "set", "cluster", "demo", *enabled, "--yes")
    async with reading(browser, _at(fleet), script=False) as reader:
        page = reader.page
        await reader.go("/c/demo/m/mx1/settings/edit")
        await _log_in(reader)
        await page.locator('input[name="mode.enabled"][value="false"]').check()
        await page.get_by_role("button", name="Submit").click()
        await reader.says("Disabling mx1 also disables group Main_Group and cluster demo.")
        await reader.says("mx1 and mx2 stop copying.")
        await reader.picture("changes-disable")
        await page.get_by_role("button", name="2 machines stop copying").click()
        await reader.says("is committed")
        for _ in range(100):
            if not any(row["copying"] for row in (await fleet.status()).values()):
                return
            await asyncio.sleep(0.1)
        raise AssertionError("the machines still copy")
