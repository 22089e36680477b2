"""What delivery is tried with: attempts, outcomes and standings as hypothesis draws them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TypeVar

from hypothesis import strategies as st
from tdc.node_agent.deliver.effects import Effect, Hold
from tdc.node_agent.deliver.evidence import (
    DEAD_AFTER,
    DEAD_WITHIN,
    FEW_IN_A_ROW,
    MANY_IN_A_ROW,
    PASSING_FOR,
    Failures,
)
from tdc.node_agent.deliver.hosts import Here
from tdc.node_agent.deliver.mx import Candidate
from tdc.node_agent.deliver.settle import EndedAttempt, Moment, Standing
from tdc.node_agent.deliver.trouble import Outcome, Verdict
from tdc.node_agent.spool.values import Copy
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.mail.envelope import Envelope

NOW = Moment(monotonic=100_000.0, steady=2e9)
SETTINGS = replace(
    ConnectorSettings.defaults(),
    retry_initial=60,
    retry_maximum=3_600,
    retry_lifetime=86_400,
    delivery_max_connections=5,
)
HOST = Candidate("mx1.intake.example", "192.0.2.1", 25)
LATE, YOUNG = 2e9 - 86_400, 2e9 - 3_600
COPY = Copy(7, "0" * 32, "copies@intake.example", Envelope("", ("a@b.example",)), b"", YOUNG)
FAILURES = (Verdict.HOLD, Verdict.BLOCKED, Verdict.DEFER, Verdict.REFUSED)

HOLDS = st.none() | st.builds(
    Hold,
    reason=st.just("TLS Error"),
    check=st.just("before"),
    since=st.just(99_500.0),
    next_probe=st.sampled_from([99_900.0, 100_000.0, 100_100.0]),
    failures=st.integers(1, 100),
)
STANDINGS = st.builds(
    Standing,
    hold=HOLDS,
    connections=st.integers(1, 8),
    allowed=st.integers(1, 8),
    refused_in_a_row=st.sampled_from(
        [0, 1, FEW_IN_A_ROW - 1, FEW_IN_A_ROW, MANY_IN_A_ROW - 1, MANY_IN_A_ROW, 100]
    ),
    delivered_at=st.sampled_from(
        [-math.inf, NOW.monotonic - PASSING_FOR - 1, NOW.monotonic - PASSING_FOR, NOW.monotonic]
    ),
    stopping=st.booleans(),
)
ATTEMPTS = st.builds(
    EndedAttempt,
    copy=st.builds(
        lambda at, attempts: replace(COPY, taken_at=at, attempts=attempts),
        st.sampled_from([LATE - 1, LATE, LATE + 1, YOUNG, 2e9 + 50]),
        st.integers(0, 50),
    ),
    number=st.just(3),
    candidate=st.just(HOST),
    delivered=st.integers(0, 3),
    was_idle=st.booleans(),
    failures=st.builds(
        Failures,
        st.sampled_from([0, 1, DEAD_AFTER - 2, DEAD_AFTER - 1, 50]),
        st.sampled_from([NOW.monotonic - DEAD_WITHIN + shift for shift in (-1, 0, 1)]),
        st.booleans(),
    ),
    here=st.builds(
        Here,
        more_hosts=st.booleans(),
        run=st.sampled_from([0, FEW_IN_A_ROW - 1, FEW_IN_A_ROW, 50]),
        delivered_at=st.sampled_from(
            [-math.inf, NOW.monotonic - PASSING_FOR - 1, NOW.monotonic - PASSING_FOR]
        ),
    ),
)
OUTCOMES = st.builds(
    Outcome,
    verdict=st.sampled_from(Verdict),
    reason=st.just("Some Reason"),
    check=st.just("what to check"),
    reply=st.sampled_from(["", "550 no"]),
    maybe_duplicate=st.booleans(),
    fewer=st.booleans(),
    at_least=st.sampled_from([0.0, 300.0]),
    suspect=st.booleans(),
    replied=st.booleans(),
    silent=st.booleans(),
)


T = TypeVar("T", bound=Effect)


def of_type(effects: tuple[Effect, ...], kind: type[T]) -> list[T]:
    return [one for one in effects if isinstance(one, kind)]
