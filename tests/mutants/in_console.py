"""Faults in the console: who comes in and from where, what is said of a plan, what is open."""

from __future__ import annotations

from tests.mutants.values import planted_in

WEB = "manager/tdc/manager/web"
WORDS = ("tests/pure/test_console_words.py",)
MATRIX = "tests/manager/test_console_matrix.py"
PAGES = "tests/manager/test_console.py"
API = "tests/manager/test_console_api.py"
LISTENER = "tests/manager/test_console_listener.py"

MUTANTS = (
    *planted_in(
        f"{WEB}/gate.py",
        (MATRIX, PAGES),
        (
            "who has a session may ask for anything",
            "        require(who, row.permission)\n",
            "",
        ),
        (
            "a page of another site may send a form",
            "        if row.unsafe and not by_token:",
            "        if False:",
        ),
        (
            "an API token opens pages",
            "        if row.of_api and given.startswith(_BEARER):",
            "        if given.startswith(_BEARER):",
        ),
    ),
    *planted_in(
        f"{WEB}/routes.py",
        (f"{MATRIX}::test_a_route_without_a_permission_does_not_start",),
        (
            "a route may name a permission that does not exist",
            " and row.permission not in PERMISSIONS:",
            " and not row.permission:",
        ),
        (
            "a route of the API may be open",
            "if row.of_api and isinstance(row.permission, Open):",
            "if False:",
        ),
    ),
    *planted_in(
        f"{WEB}/table.py",
        (f"{MATRIX}::test_what_may_change_something_needs_the_permission_for_it",),
        (
            "who may read settings may submit them",
            'yield _form(at, "drafts.change", settings.submit',
            'yield _form(at, "monitoring.read_status", settings.submit',
        ),
    ),
    *planted_in(
        f"{WEB}/headers.py",
        WORDS,
        (
            "an origin of another port counts as our own",
            "origin.lower() == own:",
            'origin.lower().startswith(own.rpartition(":")[0]):',
        ),
        (
            "a login goes on to another site",
            'not text.startswith(("//", "/\\\\"))',
            "True",
        ),
        ("a cookie without its prefix counts", "        if name == COOKIE\n", ""),
        (
            "a browser that says nothing is believed",
            'return "the browser does not say where it comes from" if cookie else ""',
            'return ""',
        ),
    ),
    *planted_in(
        f"{WEB}/blast.py",
        WORDS,
        (
            "it is not said which levels a machine takes with it",
            "if disabled and also:",
            "if False:",
        ),
        (
            "who has his own setting is said to stop",
            'if machine.stored.settings.get("enabled") is True:',
            "if False:",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/intent/first_user.py",
        (PAGES,),
        (
            "a set-up address makes one administrator after the other",
            "if people.damaged or any(each.administers_all for each in people.users.values()):",
            "if people.damaged:",
        ),
        (
            "a set-up address never ends",
            "not 0 < kept.ends - self._clock() <= LASTS:",
            "not kept.ends:",
        ),
    ),
    *planted_in(
        f"{WEB}/drawing.py",
        WORDS,
        (
            "what did not change is sent again",
            "if before.get(name) != cell",
            "if True",
        ),
    ),
    *planted_in(
        f"{WEB}/pages/settings.py",
        (f"{PAGES}::test_two_tabs_lose_no_edit_and_make_no_false_conflict",),
        (
            "a form takes back what another tab has drafted",
            "if mode == INHERIT and was != INHERIT:",
            "if mode == INHERIT:",
        ),
    ),
    *planted_in(
        f"{WEB}/api/changes.py",
        (API,),
        (
            "a patch reaches a cluster unseen",
            "if reaches_far and asked.fingerprint != plan.fingerprint:",
            "if False:",
        ),
        (
            "a patch goes over what another one set",
            "if _given_tag(call) != _level_tag(found):",
            "if False:",
        ),
    ),
    *planted_in(
        f"{WEB}/live.py",
        (f"{PAGES}::test_events_end_with_the_session_and_are_for_who_may",),
        (
            "a page goes on to change after its session",
            "if self._gate.caller(row, request, used=False) is None:",
            "if False:",
        ),
    ),
    *planted_in(
        f"{WEB}/console.py",
        (LISTENER,),
        (
            "who sends half a request keeps his connection",
            "            self.transport.abort()\n\n\ndef _host",
            "            pass\n\n\ndef _host",
        ),
        (
            "one address takes all connections",
            " or mine > MOST_OF_ONE:",
            ":",
        ),
    ),
    *planted_in(
        f"{WEB}/tls.py",
        (LISTENER,),
        (
            "what is half written reaches the certificate in use",
            "        _load(_context(), *self._files)  # what",
            "        # what",
        ),
    ),
)
