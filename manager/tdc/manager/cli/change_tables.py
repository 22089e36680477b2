"""PURE. Plans and commits for people: what changes at levels, what that does on machines."""

from __future__ import annotations

from collections.abc import Sequence

from tdc.manager.cli.layout import Cell, Column, Grid, Line, Piece
from tdc.manager.cli.queue_tables import ordered_pieces, ordered_words
from tdc.manager.cli.words import ABSENT, first_names, level_words, listed, shown, when
from tdc.shared.settings.values import Level
from tdc.shared.wire.documents import (
    GOES_ON,
    CommitDocument,
    DifferenceDocument,
    LevelChangeDocument,
    MachineChangeDocument,
    PlanDocument,
    PlannedBacklogDocument,
    ProblemDocument,
    TopologyChangeDocument,
    WholeCommitDocument,
)


def plan_pieces(plan: PlanDocument) -> list[Piece]:
    """What a commit would do: levels, machines, and who stops or starts copying."""
    pieces: list[Piece] = [
        Line(f"Plan for cluster {plan.cluster} on revision {plan.base_revision}", "bold")
    ]
    pieces += _topology(plan.topology)
    pieces += _level_changes(plan.levels)
    if plan.levels or plan.machines:
        pieces += _machine_changes(plan.machines)
    pieces += _copying("stop copying", plan.stop_copying, "bold red")
    pieces += _copying("start copying", plan.start_copying, "green")
    pieces += _backlogs(plan.backlogs)
    if plan.warnings:
        pieces += _problems("Warnings (they keep nothing from being committed):", plan.warnings)
    if plan.problems:
        pieces += _problems("Problems:", plan.problems)
    elif not plan.levels and not plan.topology:
        pieces.append(Line("Nothing would change."))
    return pieces


def difference_pieces(found: DifferenceDocument) -> list[Piece]:
    """What differs between two revisions of a cluster."""
    title = f"Cluster {found.cluster}: revision {found.from_revision} to {found.to_revision}"
    pieces: list[Piece] = [Line(title, "bold"), *_topology(found.topology, told=False)]
    pieces += _level_changes(found.levels)
    if found.levels or found.machines:
        pieces += _machine_changes(found.machines)
    if not found.levels and not found.topology:
        pieces.append(Line("No difference."))
    return pieces


def history_pieces(rows: Sequence[CommitDocument]) -> list[Piece]:
    """Commits, newest first."""
    columns = [
        Column("REVISION", right=True),
        Column("TIME", folds=True),
        Column("AUTHOR", folds=True),
        Column("MACHINES CHANGED", right=True),
        Column("COMMENT", folds=True),
    ]
    return listed(
        columns,
        [
            [
                str(row.revision),
                when(row.time),
                row.author,
                str(row.machines_changed),
                _comment(row),
            ]
            for row in rows
        ],
        "No commits.",
    )


def _comment(row: CommitDocument) -> str:
    said = [ordered_words(row.work)] if row.work is not None else []
    return ": ".join([*said, row.comment] if row.comment else said) or ABSENT


def commit_pieces(commit: WholeCommitDocument) -> list[Piece]:
    """One commit with its changes."""
    return [
        Line(f"Revision {commit.revision} of cluster {commit.cluster}", "bold"),
        Line(f"{when(commit.time)} by {commit.author}: {commit.comment or 'no comment'}"),
        Line(f"Request {commit.request_id}"),
        *_topology(commit.topology),
        *_level_changes(commit.levels),
        *(ordered_pieces(commit.work) if commit.work is not None else []),
        Line(f"Machines whose settings in force changed: {commit.machines_changed}"),
    ]


_KINDS = {"created": "bold", "renamed": "bold", "moved": "bold", "removed": "bold red"}
"""What a commit does to levels, in order, with the style of its heading."""


def _topology(changes: Sequence[TopologyChangeDocument], *, told: bool = True) -> list[Piece]:
    """Created, renamed, moved, removed; `told`: with what that does to a machine removed."""
    pieces: list[Piece] = []
    for kind, style in _KINDS.items():
        lines = [
            Line(_placed(each, told=told), indent=2) for each in changes if each.change == kind
        ]
        if lines:
            pieces += [Line(f"{kind.capitalize()}:", style), *lines]
    if told and any(each.change == "removed" and each.level is Level.MACHINE for each in changes):
        pieces.append(
            Line(
                "The certificate of a machine that is removed is refused from then on. Mail goes "
                "on; to connect it again, create it and enrol it with a new token."
            )
        )
    if told and any(is_renamed_machine(each) for each in changes):
        pieces.append(
            Line(
                "A machine that is renamed goes on copying; its agent renews its certificate to "
                "the new name by itself."
            )
        )
    if told and any(each.change == "renamed" and each.level is Level.CLUSTER for each in changes):
        pieces.append(
            Line(
                "Its machines go on copying, and their agents renew their certificates by "
                "themselves. Its history is found by both names, until another cluster has the old "
                "one. Change what names it elsewhere: documents, scripts, monitoring."
            )
        )
    if told and any(each.change == "removed" and each.level is Level.CLUSTER for each in changes):
        pieces.append(
            Line(
                "Its history stays, and `tdc commit history --cluster NAME` shows it. A cluster "
                "that is created by its name is another: no certificate or join token of this one "
                "is good there."
            )
        )
    return pieces


def is_renamed_machine(change: TopologyChangeDocument) -> bool:
    """Whether it gives a machine another name."""
    return change.level is Level.MACHINE and change.before_name not in ("", change.name)


def _placed(change: TopologyChangeDocument, *, told: bool) -> str:
    what = f"{change.level} {change.name}"
    match change.change:
        case "renamed":
            return f"{change.level} {change.before_name} to {change.name}"
        case "moved" if change.before_name != change.name:
            moved = f"from group {change.before_group} to {change.group}"
            return f"{change.level} {change.before_name}, now {change.name}, {moved}"
        case "moved":
            return f"{what} from group {change.before_group} to {change.group}"
        case "removed" if told and change.level is Level.MACHINE:
            after = (
                "stops copying" if change.stops_copying else "keeps running on its last settings"
            )
            return f"{what} of group {change.group}: {after}"
        case _:
            return f"{what} in group {change.group}" if change.group else what


def _level_changes(changes: Sequence[LevelChangeDocument]) -> list[Piece]:
    if not changes:
        return []
    rows: list[list[Cell | str]] = [
        [
            f"{change.level} {change.name}",
            change.setting,
            shown(change.setting, change.before),
            shown(change.setting, change.after),
            Cell("by the disable rule" if change.by_disable_rule else "", "bold yellow"),
        ]
        for change in changes
    ]
    columns = [
        Column("LEVEL", folds=True),
        Column("SETTING", folds=True),
        Column("BEFORE", folds=True),
        Column("AFTER", folds=True),
        Column("", folds=True),
    ]
    if not any(change.by_disable_rule for change in changes):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return [Line("Changes at levels:", "bold"), Grid(columns, rows)]


def _machine_changes(changes: Sequence[MachineChangeDocument]) -> list[Piece]:
    if not changes:
        return [Line("In force on machines: no change.")]
    # Machines with the same change share a row: the plan of a large fleet must stay readable.
    alike: dict[tuple[str, ...], list[str]] = {}
    for change in changes:
        name = change.setting
        before, after = shown(name, change.before), shown(name, change.after)
        row = (name, before, after, level_words(change.origin))
        alike.setdefault(row, []).append(change.name)
    rows = [[first_names(machines), *row] for row, machines in alike.items()]
    columns = [
        Column("MACHINE", folds=True),
        Column("SETTING", folds=True),
        Column("BEFORE", folds=True),
        Column("AFTER", folds=True),
        Column("FROM", folds=True),
    ]
    return [Line("Changes in force on machines:", "bold"), Grid(columns, rows)]


def _copying(verb: str, machines: Sequence[str], style: str) -> list[Piece]:
    if not machines:
        return []
    noun = "1 machine would" if len(machines) == 1 else f"{len(machines)} machines would"
    return [Line(f"{noun} {verb}: {first_names(machines)}", style)]


def _backlogs(backlogs: Sequence[PlannedBacklogDocument]) -> list[Piece]:
    """Copies that wait for intakes which change; machines with the same intake share a row."""
    if not backlogs:
        return []
    alike: dict[tuple[str, str], list[PlannedBacklogDocument]] = {}
    for each in backlogs:
        alike.setdefault((each.intake, each.happens), []).append(each)
    rows = [
        [
            intake,
            str(sum(each.copies for each in same)),
            when(min((each.oldest for each in same if each.oldest), default=None)),
            first_names([each.machine for each in same]),
            happens,
        ]
        for (intake, happens), same in alike.items()
    ]
    columns = [
        Column("INTAKE", folds=True),
        Column("COPIES", right=True),
        Column("OLDEST", folds=True),
        Column("MACHINE", folds=True),
        Column("WHAT HAPPENS", folds=True),
    ]
    pieces: list[Piece] = [
        Line("Copies that wait for an intake which changes:", "bold yellow"),
        Grid(columns, rows),
    ]
    if any(each.happens == GOES_ON for each in backlogs):
        pieces.append(
            Line(
                "After the commit, `tdc delivery move --from INTAKE --to INTAKE` sends the copies "
                "for an intake that goes to another one."
            )
        )
    return pieces


def _problems(title: str, problems: Sequence[ProblemDocument]) -> list[Piece]:
    """Problems; machines with the same problem share a line.

    The reason of a level's own problem begins with the level. A machine that has the same problem
    from there is not named again: the level is where it is put right.
    """
    alike: dict[tuple[str, str], list[str]] = {}
    of_levels = [problem.reason for problem in problems if not problem.machine]
    for problem in problems:
        if problem.machine and any(own.endswith(f": {problem.reason}") for own in of_levels):
            continue
        alike.setdefault((problem.setting, problem.reason), []).append(problem.machine)
    lines = [
        Line(f"{first_names(machines)} {setting}: {reason}" if any(machines) else reason, indent=2)
        for (setting, reason), machines in alike.items()
    ]
    return [Line(title, "bold red"), *lines]
