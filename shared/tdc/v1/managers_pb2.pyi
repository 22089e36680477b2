import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tdc.v1 import agents_pb2 as _agents_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PresenceRequest(_message.Message):
    __slots__ = ("instance", "number")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    instance: str
    number: int
    def __init__(self, instance: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...

class PresenceResponse(_message.Message):
    __slots__ = ("instance", "number", "machines", "settings", "etcd", "time")
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    ETCD_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    instance: str
    number: int
    machines: _containers.RepeatedCompositeFieldContainer[MachinePresence]
    settings: _containers.RepeatedScalarFieldContainer[str]
    etcd: EtcdLink
    time: _timestamp_pb2.Timestamp
    def __init__(self, instance: _Optional[str] = ..., number: _Optional[int] = ..., machines: _Optional[_Iterable[_Union[MachinePresence, _Mapping]]] = ..., settings: _Optional[_Iterable[str]] = ..., etcd: _Optional[_Union[EtcdLink, _Mapping]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class EtcdLink(_message.Message):
    __slots__ = ("away", "problem", "reached")
    AWAY_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    REACHED_FIELD_NUMBER: _ClassVar[int]
    away: float
    problem: str
    reached: float
    def __init__(self, away: _Optional[float] = ..., problem: _Optional[str] = ..., reached: _Optional[float] = ...) -> None: ...

class MachinePresence(_message.Message):
    __slots__ = ("machine", "cluster", "connected", "heard_age", "running", "last_attempt", "status", "status_age", "agent_version", "dead", "gone", "state", "state_age", "refused_age", "clones", "enrolment", "lacks")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    HEARD_AGE_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    LAST_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_AGE_FIELD_NUMBER: _ClassVar[int]
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STATE_AGE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_AGE_FIELD_NUMBER: _ClassVar[int]
    CLONES_FIELD_NUMBER: _ClassVar[int]
    ENROLMENT_FIELD_NUMBER: _ClassVar[int]
    LACKS_FIELD_NUMBER: _ClassVar[int]
    machine: str
    cluster: str
    connected: bool
    heard_age: float
    running: _agents_pb2.Running
    last_attempt: _agents_pb2.Outcome
    status: _agents_pb2.MachineStatus
    status_age: float
    agent_version: str
    dead: bool
    gone: str
    state: str
    state_age: float
    refused_age: float
    clones: str
    enrolment: str
    lacks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, machine: _Optional[str] = ..., cluster: _Optional[str] = ..., connected: _Optional[bool] = ..., heard_age: _Optional[float] = ..., running: _Optional[_Union[_agents_pb2.Running, _Mapping]] = ..., last_attempt: _Optional[_Union[_agents_pb2.Outcome, _Mapping]] = ..., status: _Optional[_Union[_agents_pb2.MachineStatus, _Mapping]] = ..., status_age: _Optional[float] = ..., agent_version: _Optional[str] = ..., dead: _Optional[bool] = ..., gone: _Optional[str] = ..., state: _Optional[str] = ..., state_age: _Optional[float] = ..., refused_age: _Optional[float] = ..., clones: _Optional[str] = ..., enrolment: _Optional[str] = ..., lacks: _Optional[_Iterable[str]] = ...) -> None: ...

class PeerRequest(_message.Message):
    __slots__ = ("asking", "look_at_authority")
    ASKING_FIELD_NUMBER: _ClassVar[int]
    LOOK_AT_AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    asking: PeerAnnouncement
    look_at_authority: bool
    def __init__(self, asking: _Optional[_Union[PeerAnnouncement, _Mapping]] = ..., look_at_authority: _Optional[bool] = ...) -> None: ...

class AuthorityFollowed(_message.Message):
    __slots__ = ("step", "problem")
    STEP_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    step: int
    problem: str
    def __init__(self, step: _Optional[int] = ..., problem: _Optional[str] = ...) -> None: ...

class KnownPeer(_message.Message):
    __slots__ = ("id", "announced", "there")
    ID_FIELD_NUMBER: _ClassVar[int]
    ANNOUNCED_FIELD_NUMBER: _ClassVar[int]
    THERE_FIELD_NUMBER: _ClassVar[int]
    id: str
    announced: PeerAnnouncement
    there: bool
    def __init__(self, id: _Optional[str] = ..., announced: _Optional[_Union[PeerAnnouncement, _Mapping]] = ..., there: _Optional[bool] = ...) -> None: ...

class PeerAnnouncement(_message.Message):
    __slots__ = ("name", "address", "version", "instance", "started", "certificate_ends", "ca")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_ENDS_FIELD_NUMBER: _ClassVar[int]
    CA_FIELD_NUMBER: _ClassVar[int]
    name: str
    address: str
    version: str
    instance: str
    started: _timestamp_pb2.Timestamp
    certificate_ends: _timestamp_pb2.Timestamp
    ca: int
    def __init__(self, name: _Optional[str] = ..., address: _Optional[str] = ..., version: _Optional[str] = ..., instance: _Optional[str] = ..., started: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., certificate_ends: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ca: _Optional[int] = ...) -> None: ...

class PeerResponse(_message.Message):
    __slots__ = ("id", "instance", "time", "machines", "etcd", "authority", "others")
    ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    ETCD_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    OTHERS_FIELD_NUMBER: _ClassVar[int]
    id: str
    instance: str
    time: _timestamp_pb2.Timestamp
    machines: int
    etcd: EtcdLink
    authority: AuthorityFollowed
    others: _containers.RepeatedCompositeFieldContainer[KnownPeer]
    def __init__(self, id: _Optional[str] = ..., instance: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., machines: _Optional[int] = ..., etcd: _Optional[_Union[EtcdLink, _Mapping]] = ..., authority: _Optional[_Union[AuthorityFollowed, _Mapping]] = ..., others: _Optional[_Iterable[_Union[KnownPeer, _Mapping]]] = ...) -> None: ...

class ForwardedOrder(_message.Message):
    __slots__ = ("machine", "cluster", "order", "timeout")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    machine: str
    cluster: str
    order: _agents_pb2.QueueOrder
    timeout: float
    def __init__(self, machine: _Optional[str] = ..., cluster: _Optional[str] = ..., order: _Optional[_Union[_agents_pb2.QueueOrder, _Mapping]] = ..., timeout: _Optional[float] = ...) -> None: ...

class ForwardedAnswer(_message.Message):
    __slots__ = ("answer", "unanswered", "sent")
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    UNANSWERED_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    answer: _agents_pb2.QueueAnswer
    unanswered: str
    sent: bool
    def __init__(self, answer: _Optional[_Union[_agents_pb2.QueueAnswer, _Mapping]] = ..., unanswered: _Optional[str] = ..., sent: _Optional[bool] = ...) -> None: ...

class ForwardedQuestion(_message.Message):
    __slots__ = ("machine", "cluster", "timeout")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    machine: str
    cluster: str
    timeout: float
    def __init__(self, machine: _Optional[str] = ..., cluster: _Optional[str] = ..., timeout: _Optional[float] = ...) -> None: ...

class ForwardedRunning(_message.Message):
    __slots__ = ("running", "unanswered")
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    UNANSWERED_FIELD_NUMBER: _ClassVar[int]
    running: _agents_pb2.RunningSettings
    unanswered: str
    def __init__(self, running: _Optional[_Union[_agents_pb2.RunningSettings, _Mapping]] = ..., unanswered: _Optional[str] = ...) -> None: ...

class ListManagersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListManagersResponse(_message.Message):
    __slots__ = ("managers",)
    MANAGERS_FIELD_NUMBER: _ClassVar[int]
    managers: _containers.RepeatedCompositeFieldContainer[Manager]
    def __init__(self, managers: _Optional[_Iterable[_Union[Manager, _Mapping]]] = ...) -> None: ...

class Manager(_message.Message):
    __slots__ = ("id", "name", "address", "version", "started", "certificate_ends", "asked", "answers", "problem", "machines", "clock_ahead", "owns")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_ENDS_FIELD_NUMBER: _ClassVar[int]
    ASKED_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    PROBLEM_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    CLOCK_AHEAD_FIELD_NUMBER: _ClassVar[int]
    OWNS_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    address: str
    version: str
    started: _timestamp_pb2.Timestamp
    certificate_ends: _timestamp_pb2.Timestamp
    asked: bool
    answers: bool
    problem: str
    machines: int
    clock_ahead: float
    owns: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., address: _Optional[str] = ..., version: _Optional[str] = ..., started: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., certificate_ends: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., asked: _Optional[bool] = ..., answers: _Optional[bool] = ..., problem: _Optional[str] = ..., machines: _Optional[int] = ..., clock_ahead: _Optional[float] = ..., owns: _Optional[_Iterable[str]] = ...) -> None: ...

class ManagerStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ManagerStatusResponse(_message.Message):
    __slots__ = ("manager", "endpoints", "embedded", "etcd_problem", "etcd_version", "size", "size_in_use", "quota", "alarms", "members", "writes", "watched", "writes_per_agent_hour", "warnings")
    class WritesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    MANAGER_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDED_FIELD_NUMBER: _ClassVar[int]
    ETCD_PROBLEM_FIELD_NUMBER: _ClassVar[int]
    ETCD_VERSION_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SIZE_IN_USE_FIELD_NUMBER: _ClassVar[int]
    QUOTA_FIELD_NUMBER: _ClassVar[int]
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    WRITES_FIELD_NUMBER: _ClassVar[int]
    WATCHED_FIELD_NUMBER: _ClassVar[int]
    WRITES_PER_AGENT_HOUR_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    manager: Manager
    endpoints: _containers.RepeatedScalarFieldContainer[str]
    embedded: bool
    etcd_problem: str
    etcd_version: str
    size: int
    size_in_use: int
    quota: int
    alarms: _containers.RepeatedScalarFieldContainer[str]
    members: _containers.RepeatedScalarFieldContainer[str]
    writes: _containers.ScalarMap[str, int]
    watched: float
    writes_per_agent_hour: float
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, manager: _Optional[_Union[Manager, _Mapping]] = ..., endpoints: _Optional[_Iterable[str]] = ..., embedded: _Optional[bool] = ..., etcd_problem: _Optional[str] = ..., etcd_version: _Optional[str] = ..., size: _Optional[int] = ..., size_in_use: _Optional[int] = ..., quota: _Optional[int] = ..., alarms: _Optional[_Iterable[str]] = ..., members: _Optional[_Iterable[str]] = ..., writes: _Optional[_Mapping[str, int]] = ..., watched: _Optional[float] = ..., writes_per_agent_hour: _Optional[float] = ..., warnings: _Optional[_Iterable[str]] = ...) -> None: ...
