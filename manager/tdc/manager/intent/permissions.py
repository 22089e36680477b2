"""Who may call what: one row for each RPC, and no RPC without its row (DESIGN section 6).

In: the services a manager is about to serve. Out: nothing, or PermissionTableError.
Promise: deny by default. A method that has no row, or a row that no method has, stops the start.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum


class Who(Enum):
    """Who may call an RPC; each of them is settled by the certificate of the connection."""

    OPERATOR = "an operator's certificate"
    MACHINE = "a machine's certificate"
    ANYONE_WITH_TOKEN = "anyone; the call itself carries a one-use join token"  # noqa: S105
    ANYONE = "anyone whom the port lets in"


PERMISSIONS: Mapping[str, Who] = {
    "tdc.v1.Fleet.CreateCluster": Who.OPERATOR,
    "tdc.v1.Fleet.ListClusters": Who.OPERATOR,
    "tdc.v1.Fleet.ListGroups": Who.OPERATOR,
    "tdc.v1.Fleet.ListMachines": Who.OPERATOR,
    "tdc.v1.Fleet.CreateJoinToken": Who.OPERATOR,
    "tdc.v1.SettingsReader.GetLevel": Who.OPERATOR,
    "tdc.v1.SettingsReader.GetEffective": Who.OPERATOR,
    "tdc.v1.SettingsReader.Explain": Who.OPERATOR,
    "tdc.v1.Changes.MakePlan": Who.OPERATOR,
    "tdc.v1.Changes.MakeCommit": Who.OPERATOR,
    "tdc.v1.Changes.ListCommits": Who.OPERATOR,
    "tdc.v1.Changes.GetCommit": Who.OPERATOR,
    "tdc.v1.Monitoring.GetStatus": Who.OPERATOR,
    "tdc.v1.Monitoring.GetDelivery": Who.OPERATOR,
    "tdc.v1.Agents.Session": Who.MACHINE,
    "tdc.v1.Agents.Renew": Who.MACHINE,
    "tdc.v1.Enrolment.Enrol": Who.ANYONE_WITH_TOKEN,
    "grpc.health.v1.Health.Check": Who.ANYONE,
    "grpc.health.v1.Health.List": Who.ANYONE,
    "grpc.health.v1.Health.Watch": Who.ANYONE,
    "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo": Who.OPERATOR,
}


class PermissionTableError(Exception):
    """The permission table and the services disagree; the manager does not start."""


def check_table(methods: Collection[str], permissions: Mapping[str, Who] = PERMISSIONS) -> None:
    """Raise PermissionTableError unless `methods` (full names) and the rows are the same set."""
    without_row = sorted(set(methods) - permissions.keys())
    without_method = sorted(permissions.keys() - set(methods))
    faults = [f"{name} has no row in the permission table" for name in without_row]
    faults += [f"the row {name} belongs to no RPC" for name in without_method]
    if faults:
        raise PermissionTableError("; ".join(faults) + ". The manager does not start.")
