"""A header made to cost time is not worth it: the ids are for one line of the log."""

from __future__ import annotations

import time

import pytest
from tdc.node_agent.journal.trace import message_ids
from tdc.shared.mail.envelope import Envelope

from tests.surroundings import in_time

BY_US = Envelope("a@b.example", ("c@d.example",), mta="mx1.corp.example")


@pytest.mark.proves("S20")
@pytest.mark.parametrize(
    "content",
    [
        b"Message-IDx: y\r\n" * 100_000,
        b"Message-ID:" + b"\r\n " * 100_000,
        b"Received: " + b"(" * 100_000,
        b"Received: " + b"()" * 100_000,
    ],
)
def test_the_work_is_bounded(content: bytes) -> None:
    began = time.perf_counter()
    message_ids(content, BY_US)
    assert in_time(time.perf_counter() - began, 0.1)
