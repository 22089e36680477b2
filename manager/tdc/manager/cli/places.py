"""Which cluster a name means, where the operator did not say it.

In: names. Out: the cluster's name. Raises Refused where there is none, or more than one.
"""

from __future__ import annotations

from tdc.manager.cli.client import Manager
from tdc.manager.cli.errors import Refused
from tdc.v1 import operators_pb2


async def only_cluster(manager: Manager, cluster: str) -> str:
    """Return `cluster`, or the only one there is if it is empty."""
    if cluster:
        return cluster
    reply = await manager.ask(manager.fleet.ListClusters, operators_pb2.ListClustersRequest())
    names = [row.name for row in reply.clusters]
    if not names:
        raise Refused("There is no cluster yet. Make one with `tdc cluster create NAME`.")
    return _only(names, "There is more than one cluster")


async def cluster_of_group(manager: Manager, group: str, cluster: str) -> str:
    """Return `cluster`, or that of the only group named `group` if it is empty."""
    if cluster:
        return cluster
    reply = await manager.ask(manager.fleet.ListGroups, operators_pb2.ListGroupsRequest(name=group))
    names = [row.cluster for row in reply.groups]
    if not names:
        raise no_such("group", group, "")
    return _only(names, f"More than one cluster has a group {group}")


def no_such(noun: str, name: str, cluster: str) -> Refused:
    """Return the error for a name that the manager does not have."""
    where = f" in the cluster {cluster}" if cluster else ""
    return Refused(f"There is no {noun} {name}{where}. `tdc {noun} list` shows what there is.")


def only_row(count: int, noun: str, name: str, cluster: str) -> None:
    """Raise Refused unless exactly one row has the name."""
    if count == 0:
        raise no_such(noun, name, cluster)
    if count > 1:
        raise Refused(f"More than one cluster has a {noun} {name}. Say which with --cluster.")


def _only(clusters: list[str], fact: str) -> str:
    if len(clusters) > 1:
        raise Refused(f"{fact}: {', '.join(sorted(clusters))}. Say which with --cluster.")
    return clusters[0]
