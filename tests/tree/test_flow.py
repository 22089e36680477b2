"""docs/FLOW.md is true: what its steps name exists, and runs in the page's order.

The page's syntax is at the head of tests/tree/flow.py. Both walks run through the real code, in one
process, with every call recorded. A step's functions must first start after all of those of the
step before; classes and files, which work at many moments, and what has been running since before
the walk, must have run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.fakes.smtp_faults import Faults
from tests.stage.one_process import OneProcess, one_process
from tests.tree.calls import Recorded, watched
from tests.tree.flow import PAGE, Reference, Step, read_steps

STEPS = read_steps(PAGE.read_text())
SETTING, MESSAGE = "One setting", "One message"


def test_every_step_names_code_that_exists() -> None:
    assert {step.walk for step in STEPS} == {SETTING, MESSAGE}
    for step in STEPS:
        assert step.references, f"{step} names no file"
        for each in step.references:
            assert each.kind != "nothing", f"{step}: {each.text} leads nowhere"


def test_most_steps_name_a_function() -> None:
    """Else there would be nothing to hold the order by."""
    for walk in (SETTING, MESSAGE):
        steps = [step for step in STEPS if step.walk == walk]
        ordered = [step for step in steps if any(r.kind == "function" for r in step.references)]
        assert len(ordered) >= 0.6 * len(steps)


@pytest.mark.system
async def test_the_named_code_runs_in_the_pages_order(tmp_path: Path) -> None:
    """A message that is deferred once, then delivered; then a commit that disables its machine."""
    with watched() as calls:
        async with one_process(tmp_path) as product:
            with calls.recording() as message:
                await _walk_of_a_message(product)
            with calls.recording() as setting:
                await _walk_of_a_setting(product)
    assert [*wrongs(MESSAGE, message), *wrongs(SETTING, setting)] == []


def test_a_wrong_order_is_found() -> None:
    """Were the steps of a page turned round, the test above would fail."""
    first, second = (reference("levels/edit.py:apply_edits"), reference("levels/plan.py:make_plan"))
    seen = Recorded()
    for each in (second, first):
        seen.note(each.path, each.name, starts=True)
    assert out_of_order([Step("w", 1, (second,)), Step("w", 2, (first,))], seen) == []
    assert out_of_order([Step("w", 1, (first,)), Step("w", 2, (second,))], seen) != []


def reference(text: str) -> Reference:
    (found,) = read_steps(f"\n## w: x\n\n1. `manager/{text}`\n")[0].references
    return found


def wrongs(walk: str, seen: Recorded) -> list[str]:
    """What the page says of a walk, and the recording does not; a sentence each."""
    steps = [step for step in STEPS if step.walk == walk]
    return [*did_not_run(steps, seen), *out_of_order(steps, seen)]


def did_not_run(steps: list[Step], seen: Recorded) -> list[str]:
    return [
        f"{step}: {each.text} did not run"
        for step in steps
        for each in step.references
        if each.path.suffix == ".py" and not any(each.covers(*key) for key in seen.ran)
    ]


def out_of_order(steps: list[Step], seen: Recorded) -> list[str]:
    """Each function that did not start after the last one of the steps before it.

    It may have started before them too: what an agent's status sets off, say, comes at any time.
    """
    found, latest, last = [], -1, ""
    for step in steps:
        functions = [each for each in step.references if each.kind == "function"]
        named = {
            each.text: (min(firsts), max(_places(each, seen.last)))
            for each in functions
            if (firsts := _places(each, seen.started))
        }
        found += [
            f"{step}: {text} starts before {last}"
            for text, (_, again) in named.items()
            if again < latest
        ]
        after = {text: first for text, (first, _) in named.items() if first >= latest}
        if after:
            last = max(after, key=lambda text: after[text])
            latest = after[last]
    return found


def _places(each: Reference, of: Mapping[tuple[Path, str], int]) -> list[int]:
    return [at for key, at in of.items() if each.covers(*key)]


async def _walk_of_a_message(product: OneProcess) -> None:
    product.intake.faults = Faults(replies={"dot": ["451 4.3.0 try again"]})
    await product.send("hello")
    await product.logged("delivered")


async def _walk_of_a_setting(product: OneProcess) -> None:
    await product.tdc("settings", "set", "machine", "mx1", "enabled=false", "--yes")
    await product.logged("revision 4")
    await product.in_sync(4)
