"""PURE. When a copy, or a destination on hold, is tried again, and when its lifetime is over."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tdc.node_agent.deliver.effects import Hold
from tdc.shared.connector.settings import ConnectorSettings

_SPREAD = 0.25  # of a wait, either way
_MAX_DOUBLINGS = 40  # 2**40 s are longer than any lifetime


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """The settings `retry.*`, seconds."""

    initial: int
    maximum: int
    lifetime: int

    @classmethod
    def of(cls, settings: ConnectorSettings) -> RetrySettings:
        """Take them out of the settings in force."""
        return cls(settings.retry_initial, settings.retry_maximum, settings.retry_lifetime)


def wait_after(failures: int, settings: RetrySettings, jitter: float) -> float:
    """Give the seconds to wait after the `failures`-th failure in a row (1, 2, ...).

    Doubles from `initial` to `maximum`, spread by a quarter so that copies that failed together
    don't come back together, and never leaves these two bounds. `jitter` is in [0, 1).
    """
    doublings = min(max(failures, 1) - 1, _MAX_DOUBLINGS)
    lowest = min(settings.initial, settings.maximum)
    middle = min(float(settings.maximum), lowest * 2.0**doublings)
    low = max(float(lowest), middle * (1 - _SPREAD))
    high = min(float(settings.maximum), middle * (1 + _SPREAD))
    return low + (high - low) * jitter


def next_wait(age: float, attempts: int, settings: RetrySettings, jitter: float) -> float:
    """Give the seconds until a copy of this age is tried again after one more failure.

    `attempts` counts failures before this one. One attempt is made at the very end of the
    lifetime. A copy that is older still waits for what `evidence` asks for.
    """
    wait = wait_after(attempts + 1, settings, jitter)
    left = settings.lifetime - max(0.0, age)
    return min(wait, left) if left > 0 else wait


def is_over(age: float, settings: RetrySettings) -> bool:
    """Say whether a copy's lifetime is over."""
    return age >= settings.lifetime


def next_probe(
    before: Hold | None, now: float, settings: RetrySettings, jitter: float
) -> tuple[int, float]:
    """Count a probe that failed, or what began the hold; return failures, and when to probe next.

    A probe that was asked for counts for nothing, and leaves the plan as it is.
    """
    planned = None if before is None else before.planned
    failures = (0 if before is None else before.failures) + (planned is None)
    if planned is not None and planned > now:
        return failures, planned
    return failures, now + wait_after(failures, settings, jitter)


def put_off(hold: Hold, now: float, due: float, settings: RetrySettings, jitter: float) -> Hold:
    """Plan the next probe after one that said nothing of the intake: its copy was to blame.

    No other copy is due before `due` (monotonic), and it is probed then at the latest.
    """
    failures, at = next_probe(hold, now, settings, jitter)
    return replace(hold, next_probe=min(at, due), failures=failures, planned=None)
