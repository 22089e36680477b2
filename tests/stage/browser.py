"""Debian's Chromium, driven as a person would: what goes wrong in a page fails the test."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Literal

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from tests.tree.source import ROOT

CHROMIUM = shutil.which("chromium") or ""
needs_chromium = pytest.mark.skipif(
    not CHROMIUM, reason="Chromium is not installed: scripts/setup system, as root"
)
PICTURES = ROOT / "var" / "console"
"""Where pictures of the pages are kept, to be looked at."""
Scheme = Literal["light", "dark"]


@dataclass
class Reader:
    """One who has a page open; `wrong` is what the browser complained of."""

    page: Page
    at: str
    width: int
    scheme: Scheme
    wrong: list[str] = field(default_factory=list)

    async def go(self, path: str) -> None:
        await self.page.goto(self.at + path)

    async def picture(self, name: str) -> None:
        """Keep a picture of the page as it is; nothing of it may be wider than the window."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}-{self.width}-{self.scheme}.png"
        await self.page.screenshot(path=path, full_page=True)
        wide = await self.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= self.width, f"{name} is {wide} px wide in {self.width}"

    async def says(self, words: str, *, timeout: float = 15) -> None:
        """Wait until the page has these words."""
        found = self.page.get_by_text(words).first
        await found.wait_for(timeout=timeout * 1000)

    def heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "status of 4" not in message.text:
            self.wrong.append(message.text)


@contextlib.asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """Start Chromium, without a sandbox: tests run as root too."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM)
        try:
            yield browser
        finally:
            await browser.close()


@contextlib.asynccontextmanager
async def reading(
    browser: Browser, at: str, *, width: int = 1280, scheme: Scheme = "light", script: bool = True
) -> AsyncIterator[Reader]:
    """Open a window on the console at an address; at the end nothing may have gone wrong."""
    context = await browser.new_context(
        ignore_https_errors=True,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=script,
    )
    try:
        reader = Reader(await context.new_page(), at.rstrip("/"), width, scheme)
        reader.page.on("console", reader.heard)
        reader.page.on("pageerror", lambda error: reader.wrong.append(str(error)))
        yield reader
        assert reader.wrong == []
    finally:
        await context.close()
