"""Faults in what completion offers, and in what is asked before something is gone for good."""

from __future__ import annotations

from tests.mutants.values import planted_in

CLI = "manager/tdc/manager/cli"
INTENT = "manager/tdc/manager/intent"
COMPLETION = ("tests/cli/test_completion.py",)

MUTANTS = (
    *planted_in(
        f"{CLI}/completing.py",
        COMPLETION,
        (
            "a name for something new is one that is taken",
            "    if tuple(line.path) in _NEW:\n        return ()\n",
            "",
        ),
        (
            "settings are offered where a name is due",
            "    words = offer(typed) if names else {}\n",
            "    words = offer(typed)\n",
        ),
        (
            "the level of the target is that of the source",
            '    place = 2 if stands_for == "TO_NAME" else 0\n',
            "    place = 0\n",
        ),
        (
            "a name that was typed is offered again",
            "for name in names if name not in self.taken",
            "for name in names",
        ),
    ),
    *planted_in(
        f"{CLI}/complete.py",
        COMPLETION,
        (
            "what a shell would act on is handed to it",
            "        if _HARMLESS.fullmatch(word)\n",
            "",
        ),
        (
            "bash gets what it has already",
            "word[given:].replace",
            "word.replace",
        ),
    ),
    *planted_in(
        f"{INTENT}/drafts.py",
        ("tests/manager/test_drafts.py",),
        (
            "a row of what is gone is looked for in the fleet",
            "        return fleet.clusters[homes.pop()] if homes else",
            "        return",
        ),
    ),
    *planted_in(
        f"{INTENT}/queue.py",
        ("tests/manager/test_queue.py",),
        (
            "a retry is said to be tried while delivery is suspended",
            "        if row.problem or not row.copies or wanted.delivery is None:\n",
            "        if row.copies or wanted.delivery is None:\n",
        ),
    ),
    *planted_in(
        f"{CLI}/draft.py",
        ("tests/cli/test_draft.py",),
        (
            "a discarded draft is dropped unasked",
            "        if before.rows and before.discarded is not None:\n",
            "        if False:\n",
        ),
    ),
    *planted_in(
        f"{CLI}/asking.py",
        ("tests/cli/test_asking.py",),
        (
            "an option is advised that the command lacks",
            'instead = ", or --dry-run" if dry_run else ""',
            'instead = ", or --dry-run"',
        ),
    ),
)
