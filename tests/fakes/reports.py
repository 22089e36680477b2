"""A whole report of a copy in one call, for tests that look at reports and not at delivery."""

from __future__ import annotations

from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.journal.report import Report, draft
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings


def build(
    copy: Copy,
    settings: ConnectorSettings,
    reporter: Reporter,
    *,
    fallback: bool = False,
    quoted: bool = False,
) -> Report:
    return draft(copy, settings, reporter).report(encoded=fallback, quoted=quoted)
