"""Faults in what is sent to agents of other versions, and in what a restored store gets back."""

from __future__ import annotations

from tests.mutants.values import planted_in

FITTED = ("tests/pure/test_known_settings.py",)
PLANNED = ("tests/pure/test_unsupported.py",)
STREAM = ("tests/sync/test_known_settings.py",)
ASKED = ("tests/sync/test_running_settings.py",)
RECOVERED = ("tests/pure/test_recover.py",)
MANAGER = "manager/tdc/manager"

MUTANTS = (
    *planted_in(
        "shared/tdc/shared/settings/known.py",
        FITTED,
        (
            "what an agent lacks is dropped without a word",
            "if name not in known and not is_default(name, value)",
            "if name not in known and False",
        ),
        (
            "a setting at its default stops an older agent",
            "if name not in known and not is_default(name, value)",
            "if name not in known",
        ),
        (
            "the hash goes over what one end alone knows",
            "for name in SCHEMA if name in known}",
            "for name in SCHEMA}",
        ),
    ),
    *planted_in(
        "shared/tdc/shared/sync/acceptance.py",
        FITTED,
        (
            "any gap counts as the default",
            "if row.default is not None and name in known and name not in wanted.settings",
            "if row.default is not None and name in known and not wanted.settings",
        ),
        (
            "what an older manager sends is refused",
            "if row.default is not None and name in known and name not in wanted.settings",
            "if row.default is not None and name not in wanted.settings",
        ),
    ),
    *planted_in(
        f"{MANAGER}/push/session.py",
        STREAM,
        (
            "what an agent says that it knows is not heeded",
            "            self._known = known_to(message.hello.settings)\n",
            "            known_to(message.hello.settings)\n",
        ),
    ),
    *planted_in(
        f"{MANAGER}/levels/unsupported.py",
        PLANNED,
        (
            "what is not known of a machine that is offline refuses the commit",
            "found = problems if agent.connected else warnings",
            "found = problems",
        ),
        (
            "a connected agent that would not do as wanted is only warned of",
            "found = problems if agent.connected else warnings",
            "found = warnings",
        ),
    ),
    *planted_in(
        "shared/tdc/shared/wire/running_settings.py",
        ASKED,
        (
            "one agent speaks for others without proof",
            "proven = hash_of(settings, known) == running.hash",
            "proven = True",
        ),
    ),
    *planted_in(
        f"{MANAGER}/push/session.py",
        ASKED,
        (
            "an agent that is about to leave is not asked",
            "        if report is not None and report.refuses_manager:",
            "        if False:",
        ),
    ),
    *planted_in(
        f"{MANAGER}/levels/recover.py",
        RECOVERED,
        (
            "the disable rule acts on what is given back",
            "    for key in _above_disabled(cluster, changed):\n",
            "    for key in ():\n",
        ),
        (
            "a value is left above a machine that runs none",
            "        if self.bare or _NONE in self.wanted:\n",
            "        if self.bare:\n",
        ),
        (
            "a level is changed where fewer changes would do",
            "options.append((1 + self.below(value), 0 if alone else 2, True, value))",
            "options.append((self.below(value), 0, True, value))",
        ),
    ),
)
