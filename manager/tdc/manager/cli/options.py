"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class LevelWord(StrEnum):
    """A level that can hold settings."""

    CLUSTER = "cluster"
    GROUP = "group"
    MACHINE = "machine"


ClusterName = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the cluster.", show_default=False)
]
GroupName = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the group.", show_default=False)
]
MachineName = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the machine.", show_default=False)
]
NewName = Annotated[
    str, typer.Argument(metavar="NEW_NAME", help="Name that it gets.", show_default=False)
]
AtLevel = Annotated[
    LevelWord,
    typer.Argument(metavar="LEVEL", help="cluster, group or machine.", show_default=False),
]
LevelName = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the level.", show_default=False)
]
ToLevel = Annotated[
    LevelWord,
    typer.Argument(metavar="TO_LEVEL", help="cluster, group or machine.", show_default=False),
]
ToName = Annotated[
    str, typer.Argument(metavar="TO_NAME", help="Name of that level.", show_default=False)
]
CopiedSettings = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SETTING]...",
        help="Only these (default: all that the first level has).",
        show_default=False,
    ),
]
Cluster = Annotated[
    str,
    typer.Option(
        "--cluster",
        metavar="CLUSTER",
        help="Cluster name; required if the name exists in several clusters.",
        show_default=False,
    ),
]
OfCluster = Annotated[
    str,
    typer.Option("--cluster", metavar="CLUSTER", help="Only this cluster.", show_default=False),
]
OfGroup = Annotated[
    str, typer.Option("--group", metavar="GROUP", help="Only this group.", show_default=False)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
OfMachine = Annotated[
    str,
    typer.Option("--machine", metavar="MACHINE", help="Only this machine.", show_default=False),
]
