"""How many examples each property gets: all of them in CI, a tenth while a change is written.

`make check` runs the profile `quick` (pytest --hypothesis-profile=quick), all else runs `full`. A
property that needs more or fewer than the rest says so with `examples`, which knows both.

`make mutants` runs `mutants`: the examples are the same in each run, so that what is killed today
is killed tomorrow, and none is made smaller, for nobody reads it.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

FULL, QUICK = 100, 10

# On a busy machine every example is slow, and that says nothing about the code: no property fails
# by the clock. A test that never ends is ended by pytest's own timeout.
settings.register_profile(
    "full",
    max_examples=FULL,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("quick", settings.get_profile("full"), max_examples=QUICK)
settings.register_profile(
    "mutants",
    settings.get_profile("full"),
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("full")


def examples(count: int) -> settings:
    """Settings for a property that has `count` examples in CI, and its share of them otherwise."""
    return settings(max_examples=max(1, count * settings().max_examples // FULL))
