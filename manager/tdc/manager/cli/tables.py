"""PURE. Clusters, groups, machines and settings for people.

In: documents of `tdc.shared.wire`. Out: pieces that `render` prints. Nothing here decides what is
true, only how it reads; every value is shown whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from tdc.manager.cli.layout import Cell, Column, Grid, Line, Piece
from tdc.manager.cli.status_tables import suspension_lines
from tdc.manager.cli.words import ABSENT, listed, name_list, origin_words, shown, when, yes_or_no
from tdc.shared.settings.values import Level
from tdc.shared.wire.documents import (
    ClusterDetailDocument,
    ClusterDocument,
    GroupDocument,
    MachineDocument,
    TokenDocument,
)
from tdc.shared.wire.settings_documents import (
    ChainStepDocument,
    ConsistencyDocument,
    EffectiveDocument,
    ExplanationDocument,
    LevelDocument,
    SettingDocument,
)


def cluster_pieces(rows: Sequence[ClusterDocument]) -> list[Piece]:
    """Clusters side by side."""
    columns = [
        Column("CLUSTER", folds=True),
        Column("REVISION", right=True),
        Column("GROUPS", right=True),
        Column("MACHINES", right=True),
    ]
    return listed(
        columns,
        [[row.name, str(row.revision), str(row.groups), str(row.machines)] for row in rows],
        "No clusters, or none in your reach. Create one with `tdc cluster create NAME`.",
    )


def cluster_detail_pieces(cluster: ClusterDetailDocument) -> list[Piece]:
    """One cluster: its revision, its groups with their machines."""
    rows = [[group.name, name_list(group.machines)] for group in cluster.groups]
    return [
        Line(f"Cluster {cluster.name}, revision {cluster.revision}"),
        Grid([Column("GROUP", folds=True), Column("MACHINES", folds=True)], rows),
    ]


def group_pieces(rows: Sequence[GroupDocument]) -> list[Piece]:
    """Groups side by side."""
    columns = [
        Column("GROUP", folds=True),
        Column("CLUSTER", folds=True),
        Column("MACHINES", folds=True),
    ]
    return listed(
        columns,
        [[row.name, row.cluster, name_list(row.machines)] for row in rows],
        "No groups, or none in your reach. Create one: `tdc group create NAME --cluster CLUSTER`.",
    )


def machine_pieces(rows: Sequence[MachineDocument]) -> list[Piece]:
    """Machines side by side."""
    columns = [
        Column("MACHINE", folds=True),
        Column("GROUP", folds=True),
        Column("CLUSTER", folds=True),
        Column("ENROLLED"),
        Column("OVERRIDES", folds=True),
    ]
    return listed(
        columns,
        [
            [
                row.name,
                row.group,
                row.cluster,
                yes_or_no(row.enrolled),
                name_list(row.overrides),
            ]
            for row in rows
        ],
        "No machines, or none in your reach. Create one: `tdc machine create NAME --group GROUP`.",
    )


def token_pieces(token: TokenDocument) -> list[Piece]:
    """A join token and where to use it."""
    return [
        Line(f"Join token for {token.machine}, valid once, until {when(token.expires)}:"),
        Line(token.token, verbatim=True),
        Line(),
        Line(f"On {token.machine}, as root or as the user that the agent runs as, run:"),
        Line(token.command, verbatim=True),
    ]


def consistency_pieces(found: ConsistencyDocument) -> list[Piece]:
    """What is worth a look in a cluster, with what would undo it."""
    columns = [
        Column("LEVEL", folds=True),
        Column("FINDING", folds=True),
        Column("WHAT WOULD UNDO IT", folds=True),
    ]
    rows: list[list[Cell | str]] = [
        [
            f"{each.level} {each.name}",
            f"{each.text} (since {when(each.since)})" if each.since else each.text,
            each.remedy,
        ]
        for each in found.findings
    ]
    known = "what was last known of " if found.warnings else ""
    return listed(columns, rows, f"Nothing to look at in {known}{found.cluster}.")


def schema_pieces(rows: Sequence[SettingDocument]) -> list[Piece]:
    """The settings that exist."""
    columns = [Column("SETTING"), Column("DEFAULT", folds=True), Column("MEANING", folds=True)]
    cells = [[row.name, shown(row.name, row.default), row.help] for row in rows]
    return [Grid(columns, cells)]


def level_pieces(level: LevelDocument) -> list[Piece]:
    """What is present at one level."""
    where = "" if level.level is Level.CLUSTER else f" in cluster {level.cluster}"
    head = f"Settings of {level.level} {level.name}{where}, revision {level.revision}"
    if not level.settings:
        return [Line(head), Line("Nothing is set at this level.")]
    rows = [[name, shown(name, value)] for name, value in level.settings.items()]
    return [Line(head), Grid([Column("SETTING"), Column("VALUE", folds=True)], rows)]


def effective_pieces(effective: EffectiveDocument, *, group: str, cluster: str) -> list[Piece]:
    """What is in force on a machine of `group` in `cluster`, with origins."""
    rows = [
        [name, shown(name, item.value), origin_words(item.origin)]
        for name, item in effective.settings.items()
    ]
    columns = [Column("SETTING"), Column("VALUE", folds=True), Column("ORIGIN", folds=True)]
    return [
        Line(
            f"Settings in force on {effective.machine} (group {group}, cluster "
            f"{cluster}), revision {effective.revision}"
        ),
        Line(f"hash {effective.hash}"),
        Grid(columns, rows),
    ]


NOT_THERE = " (not known to this agent, version {})"
"""Of a value in force, where the machine's agent does not know the setting."""


def explain_pieces(explained: ExplanationDocument, *, whole: bool) -> list[Piece]:
    """The chain behind each value; without `whole`, levels with nothing set are left out."""
    running = explained.running
    runs = _applied(running.revision, explained) if running else "has not reported what it runs"
    pieces: list[Piece] = [
        Line(
            f"{explained.machine} in cluster {explained.cluster}, revision "
            f"{explained.revision}: {explained.state}, {runs}"
        ),
        *_how_it_got_there(explained),
    ]
    columns = [
        Column("WINS"),
        Column("SETTING"),
        Column("LEVEL", folds=True),
        Column("VALUE", folds=True),
        Column("SET BY", folds=True),
    ]
    unknown, version = explained.unknown_settings, explained.agent_version or "unknown"
    rows: list[list[Cell | str]] = [
        [
            Cell("*" if step.wins else "", "green"),
            name,
            f"{step.level} {step.name}".strip(),
            shown(name, step.value),
            f"{_set_by(step, whole=whole, read=not explained.unread)}"
            f"{NOT_THERE.format(version) if step.wins and name in unknown else ''}",
        ]
        for name, steps in explained.settings.items()
        for step in steps
        if whole or step.present or step.wins
    ]
    legend = "* marks the value in force."
    if not whole:
        legend += f" For details: `tdc settings explain {explained.machine} SETTING`."
    lacks = (
        f"warning: not known to this agent (version {version}), which acts as by the default: "
        f"{', '.join(unknown)}. Upgrade it."
    )
    return [
        *pieces,
        Grid(columns, rows),
        Line(legend),
        *([Line(lacks, "yellow")] if unknown else []),
        *([Line(f"warning: {explained.unread}.", "yellow")] if explained.unread else []),
    ]


def _how_it_got_there(explained: ExplanationDocument) -> list[Line]:
    """Since when the machine is in its state, why, and how its last attempt ended."""
    lines = []
    if explained.since is not None:
        why = f": {explained.reason}" if explained.reason else ""
        lines.append(Line(f"{explained.state} since {when(explained.since)}{why}"))
    attempt = explained.last_attempt
    if attempt is not None:
        end = "applied" if attempt.applied else f"refused: {attempt.reason}"
        lines.append(
            Line(f"last attempt: revision {attempt.revision}, {when(attempt.time)}, {end}")
        )
    return [*lines, *suspension_lines(explained.suspension)]


def _applied(revision: int, explained: ExplanationDocument) -> str:
    """As `tdc status` has it: a machine in sync runs the cluster's revision, whichever it was sent.

    A revision that changes nothing on a machine is not sent to it.
    """
    applied = explained.revision if explained.state == "in sync" else revision
    return f"applied {applied} of {explained.revision}"


def _set_by(step: ChainStepDocument, *, whole: bool, read: bool) -> str:
    """Who set a value and when; the revision alone where history could not be read."""
    if not step.revision:
        return ABSENT
    if not read and not step.author:
        return f"revision {step.revision}"
    author = step.author or "unknown"
    if not whole:
        return f"revision {step.revision}, {author}"
    comment = f": {step.comment}" if step.comment else ""
    return f"revision {step.revision}, {author}, {when(step.time)}{comment}"
