import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tdc.v1 import agents_pb2 as _agents_pb2
from tdc.v1 import fleet_pb2 as _fleet_pb2
from tdc.v1 import settings_pb2 as _settings_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateClusterRequest(_message.Message):
    __slots__ = ("name", "comment", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    comment: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., comment: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ListClustersRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListClustersResponse(_message.Message):
    __slots__ = ("clusters",)
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    clusters: _containers.RepeatedCompositeFieldContainer[ClusterRow]
    def __init__(self, clusters: _Optional[_Iterable[_Union[ClusterRow, _Mapping]]] = ...) -> None: ...

class ClusterRow(_message.Message):
    __slots__ = ("name", "revision", "groups", "machines")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    name: str
    revision: int
    groups: int
    machines: int
    def __init__(self, name: _Optional[str] = ..., revision: _Optional[int] = ..., groups: _Optional[int] = ..., machines: _Optional[int] = ...) -> None: ...

class ListGroupsRequest(_message.Message):
    __slots__ = ("cluster", "name")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    name: str
    def __init__(self, cluster: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ListGroupsResponse(_message.Message):
    __slots__ = ("groups",)
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedCompositeFieldContainer[GroupRow]
    def __init__(self, groups: _Optional[_Iterable[_Union[GroupRow, _Mapping]]] = ...) -> None: ...

class GroupRow(_message.Message):
    __slots__ = ("name", "cluster", "machines")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    name: str
    cluster: str
    machines: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., cluster: _Optional[str] = ..., machines: _Optional[_Iterable[str]] = ...) -> None: ...

class ListMachinesRequest(_message.Message):
    __slots__ = ("cluster", "group", "name")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    group: str
    name: str
    def __init__(self, cluster: _Optional[str] = ..., group: _Optional[str] = ..., name: _Optional[str] = ...) -> None: ...

class ListMachinesResponse(_message.Message):
    __slots__ = ("machines",)
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    machines: _containers.RepeatedCompositeFieldContainer[MachineRow]
    def __init__(self, machines: _Optional[_Iterable[_Union[MachineRow, _Mapping]]] = ...) -> None: ...

class MachineRow(_message.Message):
    __slots__ = ("name", "group", "cluster", "enrolled", "overrides")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    ENROLLED_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    name: str
    group: str
    cluster: str
    enrolled: bool
    overrides: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., group: _Optional[str] = ..., cluster: _Optional[str] = ..., enrolled: _Optional[bool] = ..., overrides: _Optional[_Iterable[str]] = ...) -> None: ...

class CreateJoinTokenRequest(_message.Message):
    __slots__ = ("machine", "cluster", "lifetime")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_FIELD_NUMBER: _ClassVar[int]
    machine: str
    cluster: str
    lifetime: int
    def __init__(self, machine: _Optional[str] = ..., cluster: _Optional[str] = ..., lifetime: _Optional[int] = ...) -> None: ...

class CreateJoinTokenResponse(_message.Message):
    __slots__ = ("token", "expires", "enrol_address")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    ENROL_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    token: str
    expires: _timestamp_pb2.Timestamp
    enrol_address: str
    def __init__(self, token: _Optional[str] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., enrol_address: _Optional[str] = ...) -> None: ...

class WithdrawCertificateRequest(_message.Message):
    __slots__ = ("machine", "cluster", "reason")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    machine: str
    cluster: str
    reason: str
    def __init__(self, machine: _Optional[str] = ..., cluster: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class WithdrawCertificateResponse(_message.Message):
    __slots__ = ("machine", "cluster", "unheard")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    UNHEARD_FIELD_NUMBER: _ClassVar[int]
    machine: str
    cluster: str
    unheard: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, machine: _Optional[str] = ..., cluster: _Optional[str] = ..., unheard: _Optional[_Iterable[str]] = ...) -> None: ...

class SuspendRequest(_message.Message):
    __slots__ = ("cluster", "machines", "copying", "delivery", "reason", "lifetime", "until", "request_id", "check_only")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    COPYING_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LIFETIME_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CHECK_ONLY_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    machines: _containers.RepeatedScalarFieldContainer[str]
    copying: bool
    delivery: bool
    reason: str
    lifetime: int
    until: _timestamp_pb2.Timestamp
    request_id: str
    check_only: bool
    def __init__(self, cluster: _Optional[str] = ..., machines: _Optional[_Iterable[str]] = ..., copying: _Optional[bool] = ..., delivery: _Optional[bool] = ..., reason: _Optional[str] = ..., lifetime: _Optional[int] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_id: _Optional[str] = ..., check_only: _Optional[bool] = ...) -> None: ...

class ResumeRequest(_message.Message):
    __slots__ = ("cluster", "machines", "copying", "delivery", "request_id", "check_only")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    COPYING_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CHECK_ONLY_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    machines: _containers.RepeatedScalarFieldContainer[str]
    copying: bool
    delivery: bool
    request_id: str
    check_only: bool
    def __init__(self, cluster: _Optional[str] = ..., machines: _Optional[_Iterable[str]] = ..., copying: _Optional[bool] = ..., delivery: _Optional[bool] = ..., request_id: _Optional[str] = ..., check_only: _Optional[bool] = ...) -> None: ...

class SuspensionResponse(_message.Message):
    __slots__ = ("cluster", "machines")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    machines: _containers.RepeatedCompositeFieldContainer[SuspensionRow]
    def __init__(self, cluster: _Optional[str] = ..., machines: _Optional[_Iterable[_Union[SuspensionRow, _Mapping]]] = ...) -> None: ...

class SuspensionRow(_message.Message):
    __slots__ = ("machine", "changed", "suspension", "waits")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    SUSPENSION_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    machine: str
    changed: bool
    suspension: _agents_pb2.Suspension
    waits: str
    def __init__(self, machine: _Optional[str] = ..., changed: _Optional[bool] = ..., suspension: _Optional[_Union[_agents_pb2.Suspension, _Mapping]] = ..., waits: _Optional[str] = ...) -> None: ...

class GetLevelRequest(_message.Message):
    __slots__ = ("level",)
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    level: _fleet_pb2.LevelRef
    def __init__(self, level: _Optional[_Union[_fleet_pb2.LevelRef, _Mapping]] = ...) -> None: ...

class LevelSettings(_message.Message):
    __slots__ = ("level", "revision", "settings", "set_by")
    class SetByEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    SET_BY_FIELD_NUMBER: _ClassVar[int]
    level: _fleet_pb2.LevelRef
    revision: int
    settings: _settings_pb2.Settings
    set_by: _containers.ScalarMap[str, int]
    def __init__(self, level: _Optional[_Union[_fleet_pb2.LevelRef, _Mapping]] = ..., revision: _Optional[int] = ..., settings: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., set_by: _Optional[_Mapping[str, int]] = ...) -> None: ...

class GetClusterRequest(_message.Message):
    __slots__ = ("cluster", "revision")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    revision: int
    def __init__(self, cluster: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class GetEffectiveRequest(_message.Message):
    __slots__ = ("machine", "cluster")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    machine: str
    cluster: str
    def __init__(self, machine: _Optional[str] = ..., cluster: _Optional[str] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("machine", "cluster", "setting")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    SETTING_FIELD_NUMBER: _ClassVar[int]
    machine: str
    cluster: str
    setting: str
    def __init__(self, machine: _Optional[str] = ..., cluster: _Optional[str] = ..., setting: _Optional[str] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("machine", "cluster", "revision", "settings", "running", "state", "unread", "since", "reason", "last_attempt", "suspension", "agent_version")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LAST_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SUSPENSION_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    machine: str
    cluster: str
    revision: int
    settings: _containers.RepeatedCompositeFieldContainer[Explanation]
    running: _agents_pb2.Running
    state: str
    unread: str
    since: _timestamp_pb2.Timestamp
    reason: str
    last_attempt: _agents_pb2.Outcome
    suspension: SuspensionState
    agent_version: str
    def __init__(self, machine: _Optional[str] = ..., cluster: _Optional[str] = ..., revision: _Optional[int] = ..., settings: _Optional[_Iterable[_Union[Explanation, _Mapping]]] = ..., running: _Optional[_Union[_agents_pb2.Running, _Mapping]] = ..., state: _Optional[str] = ..., unread: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ..., last_attempt: _Optional[_Union[_agents_pb2.Outcome, _Mapping]] = ..., suspension: _Optional[_Union[SuspensionState, _Mapping]] = ..., agent_version: _Optional[str] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("setting", "steps", "unknown_there")
    SETTING_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_THERE_FIELD_NUMBER: _ClassVar[int]
    setting: str
    steps: _containers.RepeatedCompositeFieldContainer[ExplanationStep]
    unknown_there: bool
    def __init__(self, setting: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[ExplanationStep, _Mapping]]] = ..., unknown_there: _Optional[bool] = ...) -> None: ...

class ExplanationStep(_message.Message):
    __slots__ = ("level", "name", "value", "wins", "revision", "author", "time", "comment")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    WINS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    level: _fleet_pb2.Level
    name: str
    value: _settings_pb2.Settings
    wins: bool
    revision: int
    author: str
    time: _timestamp_pb2.Timestamp
    comment: str
    def __init__(self, level: _Optional[_Union[_fleet_pb2.Level, str]] = ..., name: _Optional[str] = ..., value: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., wins: _Optional[bool] = ..., revision: _Optional[int] = ..., author: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., comment: _Optional[str] = ...) -> None: ...

class PlanRequest(_message.Message):
    __slots__ = ("cluster", "edits", "new_cluster")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    NEW_CLUSTER_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    edits: _containers.RepeatedCompositeFieldContainer[_fleet_pb2.Edit]
    new_cluster: bool
    def __init__(self, cluster: _Optional[str] = ..., edits: _Optional[_Iterable[_Union[_fleet_pb2.Edit, _Mapping]]] = ..., new_cluster: _Optional[bool] = ...) -> None: ...

class CommitRequest(_message.Message):
    __slots__ = ("cluster", "edits", "fingerprint", "comment", "request_id")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    edits: _containers.RepeatedCompositeFieldContainer[_fleet_pb2.Edit]
    fingerprint: str
    comment: str
    request_id: str
    def __init__(self, cluster: _Optional[str] = ..., edits: _Optional[_Iterable[_Union[_fleet_pb2.Edit, _Mapping]]] = ..., fingerprint: _Optional[str] = ..., comment: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class CommitResponse(_message.Message):
    __slots__ = ("cluster", "revision", "committed")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    revision: int
    committed: bool
    def __init__(self, cluster: _Optional[str] = ..., revision: _Optional[int] = ..., committed: _Optional[bool] = ...) -> None: ...

class ListCommitsRequest(_message.Message):
    __slots__ = ("cluster", "limit", "before")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    limit: int
    before: int
    def __init__(self, cluster: _Optional[str] = ..., limit: _Optional[int] = ..., before: _Optional[int] = ...) -> None: ...

class ListCommitsResponse(_message.Message):
    __slots__ = ("commits",)
    COMMITS_FIELD_NUMBER: _ClassVar[int]
    commits: _containers.RepeatedCompositeFieldContainer[_fleet_pb2.Commit]
    def __init__(self, commits: _Optional[_Iterable[_Union[_fleet_pb2.Commit, _Mapping]]] = ...) -> None: ...

class GetCommitRequest(_message.Message):
    __slots__ = ("cluster", "revision")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    revision: int
    def __init__(self, cluster: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class CheckConsistencyRequest(_message.Message):
    __slots__ = ("cluster",)
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    def __init__(self, cluster: _Optional[str] = ...) -> None: ...

class CheckConsistencyResponse(_message.Message):
    __slots__ = ("cluster", "revision", "findings", "warnings")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    revision: int
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cluster: _Optional[str] = ..., revision: _Optional[int] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("kind", "level", "name", "setting", "text", "remedy", "since")
    KIND_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTING_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    REMEDY_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    level: _fleet_pb2.Level
    name: str
    setting: str
    text: str
    remedy: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[str] = ..., level: _Optional[_Union[_fleet_pb2.Level, str]] = ..., name: _Optional[str] = ..., setting: _Optional[str] = ..., text: _Optional[str] = ..., remedy: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetDifferenceRequest(_message.Message):
    __slots__ = ("cluster", "from_revision", "to_revision")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    TO_REVISION_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    from_revision: int
    to_revision: int
    def __init__(self, cluster: _Optional[str] = ..., from_revision: _Optional[int] = ..., to_revision: _Optional[int] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("cluster", "group", "machine", "states", "limit", "after")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    group: str
    machine: str
    states: _containers.RepeatedScalarFieldContainer[str]
    limit: int
    after: str
    def __init__(self, cluster: _Optional[str] = ..., group: _Optional[str] = ..., machine: _Optional[str] = ..., states: _Optional[_Iterable[str]] = ..., limit: _Optional[int] = ..., after: _Optional[str] = ...) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("machines", "warnings", "next", "by_state")
    class ByStateEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    BY_STATE_FIELD_NUMBER: _ClassVar[int]
    machines: _containers.RepeatedCompositeFieldContainer[MachineRowStatus]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    next: str
    by_state: _containers.ScalarMap[str, int]
    def __init__(self, machines: _Optional[_Iterable[_Union[MachineRowStatus, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., next: _Optional[str] = ..., by_state: _Optional[_Mapping[str, int]] = ...) -> None: ...

class MachineRowStatus(_message.Message):
    __slots__ = ("name", "group", "cluster", "state", "wanted_revision", "applied_revision", "since", "copying", "queued", "reason", "warnings", "agent_version", "health", "problems", "copies", "suspension", "manager", "unknown_settings")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WANTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    APPLIED_REVISION_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    COPYING_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    SUSPENSION_FIELD_NUMBER: _ClassVar[int]
    MANAGER_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    group: str
    cluster: str
    state: str
    wanted_revision: int
    applied_revision: int
    since: _timestamp_pb2.Timestamp
    copying: bool
    queued: int
    reason: str
    warnings: _containers.RepeatedScalarFieldContainer[str]
    agent_version: str
    health: str
    problems: _containers.RepeatedCompositeFieldContainer[HealthProblem]
    copies: CopyFacts
    suspension: SuspensionState
    manager: str
    unknown_settings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., group: _Optional[str] = ..., cluster: _Optional[str] = ..., state: _Optional[str] = ..., wanted_revision: _Optional[int] = ..., applied_revision: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., copying: _Optional[bool] = ..., queued: _Optional[int] = ..., reason: _Optional[str] = ..., warnings: _Optional[_Iterable[str]] = ..., agent_version: _Optional[str] = ..., health: _Optional[str] = ..., problems: _Optional[_Iterable[_Union[HealthProblem, _Mapping]]] = ..., copies: _Optional[_Union[CopyFacts, _Mapping]] = ..., suspension: _Optional[_Union[SuspensionState, _Mapping]] = ..., manager: _Optional[str] = ..., unknown_settings: _Optional[_Iterable[str]] = ...) -> None: ...

class SuspensionState(_message.Message):
    __slots__ = ("copying", "delivery", "wanted_copying", "wanted_delivery", "in_force", "pending", "resumed_by", "resumed_at")
    COPYING_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    WANTED_COPYING_FIELD_NUMBER: _ClassVar[int]
    WANTED_DELIVERY_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    RESUMED_BY_FIELD_NUMBER: _ClassVar[int]
    RESUMED_AT_FIELD_NUMBER: _ClassVar[int]
    copying: _agents_pb2.SuspendedPart
    delivery: _agents_pb2.SuspendedPart
    wanted_copying: _agents_pb2.SuspendedPart
    wanted_delivery: _agents_pb2.SuspendedPart
    in_force: bool
    pending: str
    resumed_by: str
    resumed_at: _timestamp_pb2.Timestamp
    def __init__(self, copying: _Optional[_Union[_agents_pb2.SuspendedPart, _Mapping]] = ..., delivery: _Optional[_Union[_agents_pb2.SuspendedPart, _Mapping]] = ..., wanted_copying: _Optional[_Union[_agents_pb2.SuspendedPart, _Mapping]] = ..., wanted_delivery: _Optional[_Union[_agents_pb2.SuspendedPart, _Mapping]] = ..., in_force: _Optional[bool] = ..., pending: _Optional[str] = ..., resumed_by: _Optional[str] = ..., resumed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class HealthProblem(_message.Message):
    __slots__ = ("kind", "severity", "text", "since")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    severity: str
    text: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, kind: _Optional[str] = ..., severity: _Optional[str] = ..., text: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CopyFacts(_message.Message):
    __slots__ = ("dead", "missed", "delivered_at", "oldest_queued", "spool_full")
    DEAD_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_AT_FIELD_NUMBER: _ClassVar[int]
    OLDEST_QUEUED_FIELD_NUMBER: _ClassVar[int]
    SPOOL_FULL_FIELD_NUMBER: _ClassVar[int]
    dead: int
    missed: _containers.RepeatedCompositeFieldContainer[_agents_pb2.Missed]
    delivered_at: _timestamp_pb2.Timestamp
    oldest_queued: _timestamp_pb2.Timestamp
    spool_full: str
    def __init__(self, dead: _Optional[int] = ..., missed: _Optional[_Iterable[_Union[_agents_pb2.Missed, _Mapping]]] = ..., delivered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., oldest_queued: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., spool_full: _Optional[str] = ...) -> None: ...

class DeliveryRequest(_message.Message):
    __slots__ = ("cluster", "machine")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    machine: str
    def __init__(self, cluster: _Optional[str] = ..., machine: _Optional[str] = ...) -> None: ...

class DeliveryResponse(_message.Message):
    __slots__ = ("rows", "warnings")
    ROWS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[DeliveryRow]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, rows: _Optional[_Iterable[_Union[DeliveryRow, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...

class DeliveryRow(_message.Message):
    __slots__ = ("machine", "cluster", "time", "destination", "counters", "suspended")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    DESTINATION_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    SUSPENDED_FIELD_NUMBER: _ClassVar[int]
    machine: str
    cluster: str
    time: _timestamp_pb2.Timestamp
    destination: _agents_pb2.Destination
    counters: _agents_pb2.Counters
    suspended: _agents_pb2.SuspendedPart
    def __init__(self, machine: _Optional[str] = ..., cluster: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., destination: _Optional[_Union[_agents_pb2.Destination, _Mapping]] = ..., counters: _Optional[_Union[_agents_pb2.Counters, _Mapping]] = ..., suspended: _Optional[_Union[_agents_pb2.SuspendedPart, _Mapping]] = ...) -> None: ...

class QueueScope(_message.Message):
    __slots__ = ("cluster", "group", "machines")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    group: str
    machines: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cluster: _Optional[str] = ..., group: _Optional[str] = ..., machines: _Optional[_Iterable[str]] = ...) -> None: ...

class ListDeadRequest(_message.Message):
    __slots__ = ("scope", "intake")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    INTAKE_FIELD_NUMBER: _ClassVar[int]
    scope: QueueScope
    intake: str
    def __init__(self, scope: _Optional[_Union[QueueScope, _Mapping]] = ..., intake: _Optional[str] = ...) -> None: ...

class QueueWorkRequest(_message.Message):
    __slots__ = ("scope", "retry", "move", "drop", "comment", "request_id")
    SCOPE_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    MOVE_FIELD_NUMBER: _ClassVar[int]
    DROP_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    scope: QueueScope
    retry: _agents_pb2.RetryCopies
    move: _agents_pb2.MoveCopies
    drop: _agents_pb2.DropCopies
    comment: str
    request_id: str
    def __init__(self, scope: _Optional[_Union[QueueScope, _Mapping]] = ..., retry: _Optional[_Union[_agents_pb2.RetryCopies, _Mapping]] = ..., move: _Optional[_Union[_agents_pb2.MoveCopies, _Mapping]] = ..., drop: _Optional[_Union[_agents_pb2.DropCopies, _Mapping]] = ..., comment: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class QueueResponse(_message.Message):
    __slots__ = ("cluster", "revision", "committed", "machines")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    revision: int
    committed: bool
    machines: _containers.RepeatedCompositeFieldContainer[MachineQueue]
    def __init__(self, cluster: _Optional[str] = ..., revision: _Optional[int] = ..., committed: _Optional[bool] = ..., machines: _Optional[_Iterable[_Union[MachineQueue, _Mapping]]] = ...) -> None: ...

class MachineQueue(_message.Message):
    __slots__ = ("machine", "cluster", "problem", "copies", "bytes", "dead", "intakes", "waits")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    INTAKES_FIELD_NUMBER: _ClassVar[int]
    WAITS_FIELD_NUMBER: _ClassVar[int]
    machine: str
    cluster: str
    problem: str
    copies: int
    bytes: int
    dead: _containers.RepeatedCompositeFieldContainer[_agents_pb2.DeadCopy]
    intakes: _containers.RepeatedScalarFieldContainer[str]
    waits: str
    def __init__(self, machine: _Optional[str] = ..., cluster: _Optional[str] = ..., problem: _Optional[str] = ..., copies: _Optional[int] = ..., bytes: _Optional[int] = ..., dead: _Optional[_Iterable[_Union[_agents_pb2.DeadCopy, _Mapping]]] = ..., intakes: _Optional[_Iterable[str]] = ..., waits: _Optional[str] = ...) -> None: ...

class GetDraftRequest(_message.Message):
    __slots__ = ("cluster", "owner")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    owner: str
    def __init__(self, cluster: _Optional[str] = ..., owner: _Optional[str] = ...) -> None: ...

class ListDraftsRequest(_message.Message):
    __slots__ = ("cluster",)
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    def __init__(self, cluster: _Optional[str] = ...) -> None: ...

class ListDraftsResponse(_message.Message):
    __slots__ = ("drafts",)
    DRAFTS_FIELD_NUMBER: _ClassVar[int]
    drafts: _containers.RepeatedCompositeFieldContainer[Draft]
    def __init__(self, drafts: _Optional[_Iterable[_Union[Draft, _Mapping]]] = ...) -> None: ...

class Draft(_message.Message):
    __slots__ = ("cluster", "owner", "revision", "shared", "changed", "rows", "edits", "row_count", "conflict_count", "discarded", "discarded_count")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SHARED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONFLICT_COUNT_FIELD_NUMBER: _ClassVar[int]
    DISCARDED_FIELD_NUMBER: _ClassVar[int]
    DISCARDED_COUNT_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    owner: str
    revision: int
    shared: bool
    changed: _timestamp_pb2.Timestamp
    rows: _containers.RepeatedCompositeFieldContainer[DraftRow]
    edits: _containers.RepeatedCompositeFieldContainer[_fleet_pb2.Edit]
    row_count: int
    conflict_count: int
    discarded: _timestamp_pb2.Timestamp
    discarded_count: int
    def __init__(self, cluster: _Optional[str] = ..., owner: _Optional[str] = ..., revision: _Optional[int] = ..., shared: _Optional[bool] = ..., changed: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rows: _Optional[_Iterable[_Union[DraftRow, _Mapping]]] = ..., edits: _Optional[_Iterable[_Union[_fleet_pb2.Edit, _Mapping]]] = ..., row_count: _Optional[int] = ..., conflict_count: _Optional[int] = ..., discarded: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., discarded_count: _Optional[int] = ...) -> None: ...

class DraftRow(_message.Message):
    __slots__ = ("level", "name", "setting", "was", "theirs", "yours", "state", "time", "reason")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTING_FIELD_NUMBER: _ClassVar[int]
    WAS_FIELD_NUMBER: _ClassVar[int]
    THEIRS_FIELD_NUMBER: _ClassVar[int]
    YOURS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    level: _fleet_pb2.Level
    name: str
    setting: str
    was: _settings_pb2.Settings
    theirs: _settings_pb2.Settings
    yours: _settings_pb2.Settings
    state: str
    time: _timestamp_pb2.Timestamp
    reason: str
    def __init__(self, level: _Optional[_Union[_fleet_pb2.Level, str]] = ..., name: _Optional[str] = ..., setting: _Optional[str] = ..., was: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., theirs: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., yours: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., state: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class ChangeDraftRequest(_message.Message):
    __slots__ = ("cluster", "owner", "add", "remove", "keep", "share", "discard", "restore", "tidy")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ADD_FIELD_NUMBER: _ClassVar[int]
    REMOVE_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    SHARE_FIELD_NUMBER: _ClassVar[int]
    DISCARD_FIELD_NUMBER: _ClassVar[int]
    RESTORE_FIELD_NUMBER: _ClassVar[int]
    TIDY_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    owner: str
    add: DraftEdits
    remove: DraftSelection
    keep: DraftSelection
    share: bool
    discard: DraftNothingMore
    restore: DraftNothingMore
    tidy: DraftNothingMore
    def __init__(self, cluster: _Optional[str] = ..., owner: _Optional[str] = ..., add: _Optional[_Union[DraftEdits, _Mapping]] = ..., remove: _Optional[_Union[DraftSelection, _Mapping]] = ..., keep: _Optional[_Union[DraftSelection, _Mapping]] = ..., share: _Optional[bool] = ..., discard: _Optional[_Union[DraftNothingMore, _Mapping]] = ..., restore: _Optional[_Union[DraftNothingMore, _Mapping]] = ..., tidy: _Optional[_Union[DraftNothingMore, _Mapping]] = ...) -> None: ...

class DraftEdits(_message.Message):
    __slots__ = ("edits",)
    EDITS_FIELD_NUMBER: _ClassVar[int]
    edits: _containers.RepeatedCompositeFieldContainer[_fleet_pb2.Edit]
    def __init__(self, edits: _Optional[_Iterable[_Union[_fleet_pb2.Edit, _Mapping]]] = ...) -> None: ...

class DraftSelection(_message.Message):
    __slots__ = ("level", "settings")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    level: _fleet_pb2.LevelRef
    settings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, level: _Optional[_Union[_fleet_pb2.LevelRef, _Mapping]] = ..., settings: _Optional[_Iterable[str]] = ...) -> None: ...

class DraftNothingMore(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
