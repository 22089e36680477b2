"""Who may call which RPC: one row for each RPC, and no RPC without its row.

A row says what kind of caller there must be. What an operator may *do* is not decided
here: an operator's RPC names the operation of `intent` that it carries, and the operation checks
the permission itself.
Promise: deny by default. An RPC without a row stops the start; so does a row without an RPC, and an
operator's row whose operation is missing or unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from tdc.manager.intent.permissions import PERMISSIONS, PermissionTableError


class Who(Enum):
    """Who may call an RPC; the certificate of the connection settles it.

    At the operator port, which asks for none, the secret of a session or API token does.
    """

    OPERATOR = "an operator's certificate"
    MACHINE = "a machine's certificate"
    MANAGER = "a manager's certificate"
    ANYONE_WITH_TOKEN = "anyone; the call itself carries a one-use join token"  # noqa: S105
    ANYONE_WITH_PASSWORD = "anyone; the call itself carries a name and a password"  # noqa: S105
    ANYONE_OF_PROVIDER = "anyone; the call itself is of a login at the provider"
    ANYONE = "anyone whom the port lets in"


@dataclass(frozen=True, slots=True)
class Rpc:
    """A row. `operation` is what an operator's RPC carries, empty for all others.

    `paced`: the call bounds each wait for a message by itself, and how many such calls there are.
    """

    who: Who
    operation: str = ""
    paced: bool = False


DESCRIBES_ITSELF = "the API's own description"
"""In place of an operation: the RPC shows what the API is, nothing about the installation."""

RPCS: Mapping[str, Rpc] = {
    "tdc.v1.Fleet.CreateCluster": Rpc(Who.OPERATOR, "changes.create_cluster"),
    "tdc.v1.Fleet.ListClusters": Rpc(Who.OPERATOR, "fleet.list_clusters"),
    "tdc.v1.Fleet.ListGroups": Rpc(Who.OPERATOR, "fleet.list_groups"),
    "tdc.v1.Fleet.ListMachines": Rpc(Who.OPERATOR, "fleet.list_machines"),
    "tdc.v1.Fleet.CreateJoinToken": Rpc(Who.OPERATOR, "tokens.create"),
    "tdc.v1.Fleet.WithdrawCertificate": Rpc(Who.OPERATOR, "tokens.withdraw"),
    "tdc.v1.Fleet.SuspendMachines": Rpc(Who.OPERATOR, "suspensions.suspend"),
    "tdc.v1.Fleet.ResumeMachines": Rpc(Who.OPERATOR, "suspensions.resume"),
    "tdc.v1.SettingsReader.GetLevel": Rpc(Who.OPERATOR, "settings.read_level"),
    "tdc.v1.Changes.GetCluster": Rpc(Who.OPERATOR, "changes.read_cluster"),
    "tdc.v1.Changes.GetDifference": Rpc(Who.OPERATOR, "changes.read_difference"),
    "tdc.v1.SettingsReader.GetEffective": Rpc(Who.OPERATOR, "settings.read_effective"),
    "tdc.v1.SettingsReader.Explain": Rpc(Who.OPERATOR, "settings.explain"),
    "tdc.v1.SettingsReader.CheckConsistency": Rpc(Who.OPERATOR, "settings.check"),
    "tdc.v1.Changes.MakePlan": Rpc(Who.OPERATOR, "changes.plan"),
    "tdc.v1.Changes.MakeCommit": Rpc(Who.OPERATOR, "changes.commit"),
    "tdc.v1.Changes.ListCommits": Rpc(Who.OPERATOR, "changes.list_commits"),
    "tdc.v1.Changes.GetCommit": Rpc(Who.OPERATOR, "changes.read_commit"),
    "tdc.v1.Drafts.GetDraft": Rpc(Who.OPERATOR, "drafts.read"),
    "tdc.v1.Drafts.ListDrafts": Rpc(Who.OPERATOR, "drafts.list"),
    "tdc.v1.Drafts.ChangeDraft": Rpc(Who.OPERATOR, "drafts.change"),
    "tdc.v1.Monitoring.GetStatus": Rpc(Who.OPERATOR, "monitoring.read_status"),
    "tdc.v1.Monitoring.GetDelivery": Rpc(Who.OPERATOR, "monitoring.read_delivery"),
    "tdc.v1.Queue.ListDead": Rpc(Who.OPERATOR, "queue.list_dead"),
    "tdc.v1.Queue.CountCopies": Rpc(Who.OPERATOR, "queue.plan"),
    "tdc.v1.Queue.DoWork": Rpc(Who.OPERATOR, "queue.do"),
    "tdc.v1.Recovery.FindEdits": Rpc(Who.OPERATOR, "recovery.find_edits"),
    "tdc.v1.Login.LogIn": Rpc(Who.ANYONE_WITH_PASSWORD),
    "tdc.v1.ProviderLogin.BeginRedirect": Rpc(Who.ANYONE_OF_PROVIDER),
    "tdc.v1.ProviderLogin.BeginDevice": Rpc(Who.ANYONE_OF_PROVIDER),
    "tdc.v1.ProviderLogin.FinishLogin": Rpc(Who.ANYONE_OF_PROVIDER),
    "tdc.v1.People.WhoAmI": Rpc(Who.OPERATOR, "people.who_am_i"),
    "tdc.v1.People.ListUsers": Rpc(Who.OPERATOR, "people.list_users"),
    "tdc.v1.People.CreateUser": Rpc(Who.OPERATOR, "people.create_user"),
    "tdc.v1.People.SetRole": Rpc(Who.OPERATOR, "people.set_role"),
    "tdc.v1.People.SetPassword": Rpc(Who.OPERATOR, "people.set_password"),
    "tdc.v1.People.SetSecondFactor": Rpc(Who.OPERATOR, "people.set_second_factor"),
    "tdc.v1.People.RemoveSecondFactor": Rpc(Who.OPERATOR, "people.remove_second_factor"),
    "tdc.v1.People.DeleteUser": Rpc(Who.OPERATOR, "people.delete_user"),
    "tdc.v1.People.ListSessions": Rpc(Who.OPERATOR, "people.list_sessions"),
    "tdc.v1.People.EndSessions": Rpc(Who.OPERATOR, "people.end_sessions"),
    "tdc.v1.People.CreateApiToken": Rpc(Who.OPERATOR, "people.create_token"),
    "tdc.v1.People.ListApiTokens": Rpc(Who.OPERATOR, "people.list_tokens"),
    "tdc.v1.People.RevokeApiTokens": Rpc(Who.OPERATOR, "people.revoke_tokens"),
    "tdc.v1.People.ListOperators": Rpc(Who.OPERATOR, "people.list_operators"),
    "tdc.v1.People.WithdrawOperator": Rpc(Who.OPERATOR, "people.withdraw_operator"),
    "tdc.v1.Audit.ListEntries": Rpc(Who.OPERATOR, "audit.list"),
    "tdc.v1.Audit.GetEntry": Rpc(Who.OPERATOR, "audit.read"),
    "tdc.v1.Audit.VerifyLog": Rpc(Who.OPERATOR, "audit.verify"),
    "tdc.v1.Managers.ListManagers": Rpc(Who.OPERATOR, "managers.list"),
    "tdc.v1.Managers.GetManagerStatus": Rpc(Who.OPERATOR, "managers.status"),
    "tdc.v1.Peers.GetPresence": Rpc(Who.MANAGER),
    "tdc.v1.Peers.GetPeer": Rpc(Who.MANAGER),
    "tdc.v1.Peers.ForwardOrder": Rpc(Who.MANAGER),
    "tdc.v1.Peers.ForwardQuestion": Rpc(Who.MANAGER),
    "tdc.v1.Agents.Session": Rpc(Who.MACHINE, paced=True),
    "tdc.v1.Agents.Renew": Rpc(Who.MACHINE),
    "tdc.v1.Enrolment.Enrol": Rpc(Who.ANYONE_WITH_TOKEN),
    "grpc.health.v1.Health.Check": Rpc(Who.ANYONE),
    "grpc.health.v1.Health.List": Rpc(Who.ANYONE),
    "grpc.health.v1.Health.Watch": Rpc(Who.ANYONE),
    "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo": Rpc(
        Who.OPERATOR, DESCRIBES_ITSELF
    ),
}


def check_rpcs(methods: Collection[str], rows: Mapping[str, Rpc] = RPCS) -> None:
    """Raise PermissionTableError unless `methods` (full names) and the rows are the same set."""
    faults = [
        f"{name} has no row in the table of RPCs" for name in sorted(set(methods) - rows.keys())
    ]
    faults += [f"the row {name} belongs to no RPC" for name in sorted(rows.keys() - set(methods))]
    faults += [fault for name, row in rows.items() for fault in _faults(name, row)]
    if faults:
        raise PermissionTableError("; ".join(faults) + ". The manager does not start.")


def _faults(name: str, row: Rpc) -> list[str]:
    if row.who is not Who.OPERATOR:
        return [f"{name} is not an operator's, but has an operation"] if row.operation else []
    if row.operation in PERMISSIONS or row.operation == DESCRIBES_ITSELF:
        return []
    return [f"{name} carries no operation of the permission table: {row.operation!r}"]
