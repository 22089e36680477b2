"""Faults in what operators see and type: exit codes, escapes, questions, options, units."""

from __future__ import annotations

from tests.mutants.values import planted_in

CLI = "manager/tdc/manager/cli"
TESTS = "tests/cli"
TERMINAL = f"{TESTS}/test_terminal.py"

MUTANTS = (
    *planted_in(
        f"{CLI}/errors.py",
        (f"{TESTS}/test_exit_codes.py",),
        (
            "a manager that is not reached is a refusal",
            "exit_code = ExitCode.NO_CONNECTION",
            "exit_code = ExitCode.REFUSED",
        ),
        (
            "wrong usage is a refusal",
            "exit_code = ExitCode.WRONG_USAGE",
            "exit_code = ExitCode.REFUSED",
        ),
    ),
    *planted_in(
        f"{CLI}/errors.py",
        (f"{TESTS}/test_queue.py",),
        (
            "work that is partly done is done",
            "exit_code = ExitCode.PARTIAL",
            "exit_code = ExitCode.DONE",
        ),
    ),
    *planted_in(
        f"{CLI}/check_lines.py",
        (f"{TESTS}/test_check.py",),
        (
            "a critical machine is a warning",
            "        return Verdict.CRITICAL\n",
            "        return Verdict.WARNING\n",
        ),
        (
            "a machine of which nothing is known is fine",
            'if not rows or found - {"ok", "warning"}:',
            "if not rows:",
        ),
        (
            "no machine at all is fine",
            'if not rows or found - {"ok", "warning"}:',
            'if found - {"ok", "warning"}:',
        ),
        (
            "what the manager can't do is fine",
            'return Verdict.WARNING if "warning" in found or warnings else',
            'return Verdict.WARNING if "warning" in found else',
        ),
        ("a problem begins the numbers", 'text.replace("|", "/").split()', "text.split()"),
        (
            "warnings come before what is critical",
            '    problems.sort(key=lambda pair: pair[1].severity != "critical")\n',
            "",
        ),
        ("the list of problems has no bound", "    if more > 0:\n", "    if more > 10**6:\n"),
        (
            "a first line has no bound",
            "return text if len(text) <= MOST_HEAD else text[:MOST_HEAD]",
            "return text if text else text[:MOST_HEAD]",
        ),
    ),
    *planted_in(
        f"{CLI}/commits.py",
        (f"{TESTS}/test_plan_file.py",),
        (
            "a kept plan is committed whatever its outcome is now",
            "if plan.fingerprint != kept.plan.fingerprint:",
            "if False:",
        ),
        (
            "a kept plan is committed again",
            "if each.request_id == kept.request_id",
            "if not kept.request_id",
        ),
        (
            "a plan that was committed before is not waited for",
            "            await wait_for(run, manager, [before], consent)\n",
            "",
        ),
        (
            "a kept plan is for who may read history",
            "    except NotPermitted:",
            "    except WrongUsage:",
        ),
    ),
    *planted_in(
        f"{CLI}/plan_file.py",
        (f"{TESTS}/test_plan_file.py",),
        ("a file that is there is written over", 'path.open("xb")', 'path.open("wb")'),
        (
            "an altered file passes for the plan that was committed",
            "    if found.sha256 != _digest(found):\n",
            "    if False:\n",
        ),
        (
            "a part of a plan is left where the disk is full",
            "            path.unlink(missing_ok=True)\n",
            "",
        ),
    ),
    *planted_in(
        f"{CLI}/waiting.py",
        (f"{TESTS}/test_waiting.py",),
        (
            "a view from before the commit counts",
            "now = row is not None and row.wanted_revision >= revision",
            "now = row is not None and row.wanted_revision >= revision - 1",
        ),
        (
            "all machines of the cluster are waited for",
            "    for name in machines:\n",
            "    for name in known:\n",
        ),
        (
            "a machine that was renamed meanwhile is gone",
            "[called.get(name, name) for name in machines]",
            "machines",
        ),
        (
            "a refusal is waited for",
            "isinstance(said, Said) and said.all_of_them)",
            "isinstance(said, Said) and said.all_of_them and not said.refused)",
        ),
        (
            "a manager that answers slowly is asked as often as any",
            "max(BETWEEN, SPARING * (loop.time() - begin))",
            "BETWEEN",
        ),
        (
            "a machine that is gone has applied it",
            "            gone += 1\n",
            "            applied += 1\n",
        ),
        (
            "a manager that is restarted ends the wait",
            "    except CliError as error:\n        return error\n",
            "",
        ),
        (
            "a manager that hangs holds up the end of the wait",
            "asyncio.timeout(max(LEAST, limit.left()))",
            "asyncio.timeout(None)",
        ),
        (
            "a machine that never enrolled is waited for",
            "        elif row.since is None:\n            unenrolled += 1\n",
            "",
        ),
    ),
    *planted_in(
        f"{CLI}/asking.py",
        (f"{TESTS}/test_changes.py",),
        ("any answer is a yes", 'not in ("y", "yes"):', 'in ("n", "no"):'),
        (
            "without a terminal the answer is yes",
            "    if not is_terminal(sys.stdin):\n",
            "    if not is_terminal(sys.stdin):\n        return\n",
        ),
    ),
    *planted_in(
        f"{CLI}/changes.py",
        (f"{TESTS}/test_changes.py",),
        (
            "a dry run commits",
            "    if consent.dry_run:\n",
            "    if consent.dry_run and plan.problems:\n",
        ),
        (
            "a plan with problems is committed",
            "    if plan.problems:\n        run.out.emit",
            "    if plan.problems and not plan.levels:\n        run.out.emit",
        ),
        (
            "what is committed is not what was shown",
            "            fingerprint=plan.fingerprint,\n",
            '            fingerprint="",\n',
        ),
        (
            "a plan is not shown before the question",
            "        _show_before_commit(run, plan)\n",
            "        pass\n",
        ),
    ),
    *planted_in(
        f"{CLI}/fleet.py",
        (f"{TESTS}/test_changes.py",),
        (
            "a create is sent without a request id",
            "name=name, comment=consent.comment, request_id=request_id",
            "name=name, comment=consent.comment",
        ),
    ),
    *planted_in(
        "shared/tdc/shared/edge/entry_point.py",
        (f"{TESTS}/test_terminal.py",),
        (
            "a plan that nobody can read is committed",
            '"cli", but_none=("stdin", "stdout"))',
            '"cli")',
        ),
    ),
    *planted_in(
        f"{CLI}/command.py",
        (f"{TESTS}/test_any_words.py",),
        (
            "a number that the wire can't hold is a fault of tdc",
            "            if isinstance(each, int) and each > MOST:\n",
            "            if False:\n",
        ),
        (
            "a plan is written to a file that can't be named",
            "isinstance(each, str | Path) else",
            "isinstance(each, str) else",
        ),
    ),
    *planted_in(
        f"{CLI}/fleet_files.py",
        (f"{TESTS}/test_fleet_file.py",),
        (
            "half a letter of a document is sent",
            '_Loader.add_constructor("tag:yaml.org,2002:str", _no_half_letter)\n',
            "",
        ),
    ),
    *planted_in(
        f"{CLI}/client.py",
        (f"{TESTS}/test_exit_codes.py::test_no_answer_in_time_is_3",),
        (
            "a manager that hangs is waited for",
            "            async with _waiting_shown(self._address):\n"
            "                return await call(request, timeout=self._deadline, "
            "metadata=self._shown)\n"
            "        except aio.AioRpcError as error:\n"
            "            raise self._in_words(error) from None",
            "            async with _waiting_shown(self._address):\n"
            "                return await call(request, metadata=self._shown)\n"
            "        except aio.AioRpcError as error:\n"
            "            raise self._in_words(error) from None",
        ),
    ),
    *planted_in(
        f"{CLI}/client.py",
        (f"{TESTS}/test_changes.py",),
        (
            "what was certainly not made is said to be in doubt",
            "self._attempt.unsettled |= not unmade",
            "self._attempt.unsettled = True",
        ),
        (
            "what may be made is said not to be",
            "self._attempt.unsettled |= not unmade",
            "self._attempt.unsettled = False",
        ),
        ("a lost answer is not asked for again", "_COMMIT_ATTEMPTS = 3", "_COMMIT_ATTEMPTS = 1"),
    ),
    *planted_in(
        f"{CLI}/layout.py",
        (f"{TESTS}/test_layout.py",),
        ("a line may command the terminal", "text = printable(line.text)", "text = line.text"),
        (
            "a cell may command the terminal",
            "            Cell(printable(cell))\n",
            "            Cell(cell)\n",
        ),
        (
            "a styled cell may command the terminal",
            "else Cell(printable(cell.text), cell.style)",
            "else Cell(cell.text, cell.style)",
        ),
        ("a word that is too long is cut", 'overflow="fold"', 'overflow="ellipsis"'),
        (
            "colours go into a file",
            "if not self._colour or not style or not text:",
            "if not style or not text:",
        ),
    ),
    *planted_in(
        f"{CLI}/render.py",
        (f"{TERMINAL}::test_no_color_means_no_colour",),
        (
            "NO_COLOR is not heeded",
            'wanted = not os.environ.get("NO_COLOR") and',
            "wanted = True and",
        ),
    ),
    *planted_in(
        f"{CLI}/render.py",
        (f"{TERMINAL}::test_a_reader_that_goes_away_ends_tdc_quietly",),
        (
            "a reader that goes away is a refusal",
            "if isinstance(error, BrokenPipeError):",
            "if isinstance(error, ValueError):",
        ),
    ),
    *planted_in(
        f"{CLI}/render.py",
        (f"{TESTS}/test_layout.py",),
        ("JSON is of the locale", "indent=2, ensure_ascii=True", "indent=2, ensure_ascii=False"),
        ("YAML is of the locale", "allow_unicode=False", "allow_unicode=True"),
    ),
    *planted_in(
        "shared/tdc/shared/wire/printable.py",
        ("tests/pure/test_agent_texts.py", f"{TESTS}/test_layout.py"),
        (
            "a direction may be turned round",
            "    if character.isprintable():\n",
            "    if ord(character) > 0xFF:\n",
        ),
        (
            "a control takes no room",
            "        room -= len(printable(character))\n",
            "        room -= 1\n",
        ),
        (
            "what is left out is not counted",
            "({len(text) - kept} more characters)",
            "({len(text)} more characters)",
        ),
    ),
    *planted_in(
        f"{CLI}/assignments.py",
        (f"{TESTS}/test_changes.py",),
        (
            "an empty file is an empty list",
            "    if text:\n        return text\n",
            "    return text\n",
        ),
    ),
    *planted_in(
        f"{CLI}/documents.py",
        (f"{TESTS}/test_apply.py",),
        (
            "of several clusters those before a refused one are committed",
            "if consent.dry_run or refused:",
            "if consent.dry_run or all(step.plan and step.plan.problems for step in steps):",
        ),
        (
            "the name of a new cluster is judged when those before it are committed",
            "    if not edits and not new:\n",
            "    if not edits:\n",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/view/named.py",
        (f"{TESTS}/test_apply.py",),
        (
            "only case tells a planned cluster from another",
            "new_cluster(name, self._clusters.clusters, revision=revision)",
            "new_cluster(name, revision=revision)",
        ),
    ),
    *planted_in(
        f"{CLI}/fleet_file.py",
        (f"{TESTS}/test_fleet_file.py",),
        (
            "an empty document is one without clusters",
            "    if document is None:  # what",
            "    if False:  # what",
        ),
        (
            "two clusters of a document may differ in case alone",
            "        if other != name:\n",
            "        if not other:\n",
        ),
    ),
    *planted_in(
        f"{CLI}/client.py",
        (f"{TESTS}/test_exit_codes.py",),
        (
            "what was never sent is in doubt",
            'never_sent(error.details() or "") or any(',
            "any(",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/intent/failures.py",
        ("tests/manager/test_intent.py",),
        (
            "what etcd refused is in doubt",
            "_NOTHING_CHANGED = (etcd.EtcdUnavailable, etcd.EtcdRefused, etcd.Compacted)",
            "_NOTHING_CHANGED = (etcd.EtcdUnavailable, etcd.Compacted)",
        ),
    ),
    *planted_in(
        "manager/tdc/manager/etcd/program.py",
        ("tests/etcd/test_program.py",),
        (
            "the wheel's etcd is put on another's data",
            "return (folder / DATA).exists() and _noted(folder) != _WHEEL",
            "return False",
        ),
        (
            "an unusable etcd is left out silently",
            "    if not refusals:\n",
            "    if True:\n",
        ),
    ),
)
