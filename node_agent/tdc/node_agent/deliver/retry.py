"""PURE. When a copy, or a destination on hold, is tried again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass

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


def next_attempt(
    now: float, lives_from: float, attempts: int, settings: RetrySettings, jitter: float
) -> float | None:
    """Give the time when a copy is due after one more failure, None if its lifetime is over.

    `attempts` counts failures before this one. The last attempt is made at the very end of
    the lifetime, which counts from `lives_from`; one in the future counts as now.
    """
    end = min(lives_from, now) + settings.lifetime
    if now >= end:
        return None
    return min(now + wait_after(attempts + 1, settings, jitter), end)
