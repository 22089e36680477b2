import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tdc.v1 import settings_pb2 as _settings_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EnrolRequest(_message.Message):
    __slots__ = ("token", "csr_pem")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CSR_PEM_FIELD_NUMBER: _ClassVar[int]
    token: str
    csr_pem: str
    def __init__(self, token: _Optional[str] = ..., csr_pem: _Optional[str] = ...) -> None: ...

class EnrolResponse(_message.Message):
    __slots__ = ("certificate_pem", "ca_pem", "machine", "cluster")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    CA_PEM_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: str
    ca_pem: str
    machine: str
    cluster: str
    def __init__(self, certificate_pem: _Optional[str] = ..., ca_pem: _Optional[str] = ..., machine: _Optional[str] = ..., cluster: _Optional[str] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("csr_pem",)
    CSR_PEM_FIELD_NUMBER: _ClassVar[int]
    csr_pem: str
    def __init__(self, csr_pem: _Optional[str] = ...) -> None: ...

class RenewResponse(_message.Message):
    __slots__ = ("certificate_pem", "ca_pem")
    CERTIFICATE_PEM_FIELD_NUMBER: _ClassVar[int]
    CA_PEM_FIELD_NUMBER: _ClassVar[int]
    certificate_pem: str
    ca_pem: str
    def __init__(self, certificate_pem: _Optional[str] = ..., ca_pem: _Optional[str] = ...) -> None: ...

class AgentMessage(_message.Message):
    __slots__ = ("hello", "outcome", "status", "pong", "queue_answer", "running_settings")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    QUEUE_ANSWER_FIELD_NUMBER: _ClassVar[int]
    RUNNING_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    outcome: Outcome
    status: MachineStatus
    pong: Pong
    queue_answer: QueueAnswer
    running_settings: RunningSettings
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., outcome: _Optional[_Union[Outcome, _Mapping]] = ..., status: _Optional[_Union[MachineStatus, _Mapping]] = ..., pong: _Optional[_Union[Pong, _Mapping]] = ..., queue_answer: _Optional[_Union[QueueAnswer, _Mapping]] = ..., running_settings: _Optional[_Union[RunningSettings, _Mapping]] = ...) -> None: ...

class ManagerMessage(_message.Message):
    __slots__ = ("welcome", "wanted", "ping", "queue_order", "suspension", "ask_settings")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    QUEUE_ORDER_FIELD_NUMBER: _ClassVar[int]
    SUSPENSION_FIELD_NUMBER: _ClassVar[int]
    ASK_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    wanted: Wanted
    ping: Ping
    queue_order: QueueOrder
    suspension: WantedSuspension
    ask_settings: AskSettings
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., wanted: _Optional[_Union[Wanted, _Mapping]] = ..., ping: _Optional[_Union[Ping, _Mapping]] = ..., queue_order: _Optional[_Union[QueueOrder, _Mapping]] = ..., suspension: _Optional[_Union[WantedSuspension, _Mapping]] = ..., ask_settings: _Optional[_Union[AskSettings, _Mapping]] = ...) -> None: ...

class Running(_message.Message):
    __slots__ = ("revision", "hash", "store_id", "history")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    hash: str
    store_id: str
    history: str
    def __init__(self, revision: _Optional[int] = ..., hash: _Optional[str] = ..., store_id: _Optional[str] = ..., history: _Optional[str] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("agent_version", "protocol", "running", "last_attempt", "settings")
    AGENT_VERSION_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    LAST_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    agent_version: str
    protocol: int
    running: Running
    last_attempt: Outcome
    settings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, agent_version: _Optional[str] = ..., protocol: _Optional[int] = ..., running: _Optional[_Union[Running, _Mapping]] = ..., last_attempt: _Optional[_Union[Outcome, _Mapping]] = ..., settings: _Optional[_Iterable[str]] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("revision", "hash", "applied", "reason", "time")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    revision: int
    hash: str
    applied: bool
    reason: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, revision: _Optional[int] = ..., hash: _Optional[str] = ..., applied: _Optional[bool] = ..., reason: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("status_interval", "ping_interval", "deadline", "machine", "cluster", "wanted_hash", "history", "settings", "managers", "authorities")
    STATUS_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    PING_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    WANTED_HASH_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    MANAGERS_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    status_interval: float
    ping_interval: float
    deadline: float
    machine: str
    cluster: str
    wanted_hash: str
    history: str
    settings: _containers.RepeatedScalarFieldContainer[str]
    managers: ManagerAddresses
    authorities: TrustedAuthorities
    def __init__(self, status_interval: _Optional[float] = ..., ping_interval: _Optional[float] = ..., deadline: _Optional[float] = ..., machine: _Optional[str] = ..., cluster: _Optional[str] = ..., wanted_hash: _Optional[str] = ..., history: _Optional[str] = ..., settings: _Optional[_Iterable[str]] = ..., managers: _Optional[_Union[ManagerAddresses, _Mapping]] = ..., authorities: _Optional[_Union[TrustedAuthorities, _Mapping]] = ...) -> None: ...

class TrustedAuthorities(_message.Message):
    __slots__ = ("trusted", "spread")
    TRUSTED_FIELD_NUMBER: _ClassVar[int]
    SPREAD_FIELD_NUMBER: _ClassVar[int]
    trusted: _containers.RepeatedScalarFieldContainer[str]
    spread: float
    def __init__(self, trusted: _Optional[_Iterable[str]] = ..., spread: _Optional[float] = ...) -> None: ...

class ManagerAddresses(_message.Message):
    __slots__ = ("addresses",)
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    addresses: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, addresses: _Optional[_Iterable[str]] = ...) -> None: ...

class Wanted(_message.Message):
    __slots__ = ("revision", "hash", "settings", "store_id", "history", "audit")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    HISTORY_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    hash: str
    settings: _settings_pb2.Settings
    store_id: str
    history: str
    audit: AuditHead
    def __init__(self, revision: _Optional[int] = ..., hash: _Optional[str] = ..., settings: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., store_id: _Optional[str] = ..., history: _Optional[str] = ..., audit: _Optional[_Union[AuditHead, _Mapping]] = ...) -> None: ...

class AuditHead(_message.Message):
    __slots__ = ("number", "chain")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    number: int
    chain: str
    def __init__(self, number: _Optional[int] = ..., chain: _Optional[str] = ...) -> None: ...

class AuditSeen(_message.Message):
    __slots__ = ("store_id", "newest", "time", "earlier")
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    EARLIER_FIELD_NUMBER: _ClassVar[int]
    store_id: str
    newest: AuditHead
    time: _timestamp_pb2.Timestamp
    earlier: _containers.RepeatedCompositeFieldContainer[AuditHead]
    def __init__(self, store_id: _Optional[str] = ..., newest: _Optional[_Union[AuditHead, _Mapping]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., earlier: _Optional[_Iterable[_Union[AuditHead, _Mapping]]] = ...) -> None: ...

class AskSettings(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class RunningSettings(_message.Message):
    __slots__ = ("id", "running", "settings", "refused")
    ID_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    id: str
    running: Running
    settings: _settings_pb2.Settings
    refused: str
    def __init__(self, id: _Optional[str] = ..., running: _Optional[_Union[Running, _Mapping]] = ..., settings: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., refused: _Optional[str] = ...) -> None: ...

class Suspension(_message.Message):
    __slots__ = ("number", "copying", "delivery")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    COPYING_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_FIELD_NUMBER: _ClassVar[int]
    number: int
    copying: SuspendedPart
    delivery: SuspendedPart
    def __init__(self, number: _Optional[int] = ..., copying: _Optional[_Union[SuspendedPart, _Mapping]] = ..., delivery: _Optional[_Union[SuspendedPart, _Mapping]] = ...) -> None: ...

class SuspendedPart(_message.Message):
    __slots__ = ("by", "reason", "since", "until", "left")
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    by: str
    reason: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    left: float
    def __init__(self, by: _Optional[str] = ..., reason: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., left: _Optional[float] = ...) -> None: ...

class WantedSuspension(_message.Message):
    __slots__ = ("suspension", "store_id")
    SUSPENSION_FIELD_NUMBER: _ClassVar[int]
    STORE_ID_FIELD_NUMBER: _ClassVar[int]
    suspension: Suspension
    store_id: str
    def __init__(self, suspension: _Optional[_Union[Suspension, _Mapping]] = ..., store_id: _Optional[str] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ("number", "managers", "authorities")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    MANAGERS_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    number: int
    managers: ManagerAddresses
    authorities: TrustedAuthorities
    def __init__(self, number: _Optional[int] = ..., managers: _Optional[_Union[ManagerAddresses, _Mapping]] = ..., authorities: _Optional[_Union[TrustedAuthorities, _Mapping]] = ...) -> None: ...

class Pong(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class MachineStatus(_message.Message):
    __slots__ = ("running", "last_attempt", "copying", "queued", "spool_unhealthy", "counters", "destinations", "warnings", "backlogs", "dead", "missed", "delivered_at", "time", "spool_full", "refuses_originals", "oldest_queued", "refuses_manager", "next_hop_trouble", "next_hop_since", "suspension", "audit", "certificate_ends", "ca_trusted", "ca_issuer")
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    LAST_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    COPYING_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    SPOOL_UNHEALTHY_FIELD_NUMBER: _ClassVar[int]
    COUNTERS_FIELD_NUMBER: _ClassVar[int]
    DESTINATIONS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    BACKLOGS_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_AT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    SPOOL_FULL_FIELD_NUMBER: _ClassVar[int]
    REFUSES_ORIGINALS_FIELD_NUMBER: _ClassVar[int]
    OLDEST_QUEUED_FIELD_NUMBER: _ClassVar[int]
    REFUSES_MANAGER_FIELD_NUMBER: _ClassVar[int]
    NEXT_HOP_TROUBLE_FIELD_NUMBER: _ClassVar[int]
    NEXT_HOP_SINCE_FIELD_NUMBER: _ClassVar[int]
    SUSPENSION_FIELD_NUMBER: _ClassVar[int]
    AUDIT_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_ENDS_FIELD_NUMBER: _ClassVar[int]
    CA_TRUSTED_FIELD_NUMBER: _ClassVar[int]
    CA_ISSUER_FIELD_NUMBER: _ClassVar[int]
    running: Running
    last_attempt: Outcome
    copying: bool
    queued: int
    spool_unhealthy: str
    counters: Counters
    destinations: _containers.RepeatedCompositeFieldContainer[Destination]
    warnings: _containers.RepeatedScalarFieldContainer[str]
    backlogs: _containers.RepeatedCompositeFieldContainer[Backlog]
    dead: int
    missed: _containers.RepeatedCompositeFieldContainer[Missed]
    delivered_at: _timestamp_pb2.Timestamp
    time: _timestamp_pb2.Timestamp
    spool_full: str
    refuses_originals: bool
    oldest_queued: _timestamp_pb2.Timestamp
    refuses_manager: str
    next_hop_trouble: str
    next_hop_since: _timestamp_pb2.Timestamp
    suspension: Suspension
    audit: AuditSeen
    certificate_ends: _timestamp_pb2.Timestamp
    ca_trusted: _containers.RepeatedScalarFieldContainer[str]
    ca_issuer: str
    def __init__(self, running: _Optional[_Union[Running, _Mapping]] = ..., last_attempt: _Optional[_Union[Outcome, _Mapping]] = ..., copying: _Optional[bool] = ..., queued: _Optional[int] = ..., spool_unhealthy: _Optional[str] = ..., counters: _Optional[_Union[Counters, _Mapping]] = ..., destinations: _Optional[_Iterable[_Union[Destination, _Mapping]]] = ..., warnings: _Optional[_Iterable[str]] = ..., backlogs: _Optional[_Iterable[_Union[Backlog, _Mapping]]] = ..., dead: _Optional[int] = ..., missed: _Optional[_Iterable[_Union[Missed, _Mapping]]] = ..., delivered_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., spool_full: _Optional[str] = ..., refuses_originals: _Optional[bool] = ..., oldest_queued: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., refuses_manager: _Optional[str] = ..., next_hop_trouble: _Optional[str] = ..., next_hop_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., suspension: _Optional[_Union[Suspension, _Mapping]] = ..., audit: _Optional[_Union[AuditSeen, _Mapping]] = ..., certificate_ends: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ca_trusted: _Optional[_Iterable[str]] = ..., ca_issuer: _Optional[str] = ...) -> None: ...

class Missed(_message.Message):
    __slots__ = ("reason", "count", "since", "last")
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    reason: str
    count: int
    since: _timestamp_pb2.Timestamp
    last: _timestamp_pb2.Timestamp
    def __init__(self, reason: _Optional[str] = ..., count: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Backlog(_message.Message):
    __slots__ = ("intake", "waiting", "dead", "oldest")
    INTAKE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    intake: str
    waiting: int
    dead: int
    oldest: _timestamp_pb2.Timestamp
    def __init__(self, intake: _Optional[str] = ..., waiting: _Optional[int] = ..., dead: _Optional[int] = ..., oldest: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class QueueOrder(_message.Message):
    __slots__ = ("id", "operator", "count_only", "list_dead", "retry", "move", "drop")
    ID_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_FIELD_NUMBER: _ClassVar[int]
    COUNT_ONLY_FIELD_NUMBER: _ClassVar[int]
    LIST_DEAD_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    MOVE_FIELD_NUMBER: _ClassVar[int]
    DROP_FIELD_NUMBER: _ClassVar[int]
    id: str
    operator: str
    count_only: bool
    list_dead: ListDead
    retry: RetryCopies
    move: MoveCopies
    drop: DropCopies
    def __init__(self, id: _Optional[str] = ..., operator: _Optional[str] = ..., count_only: _Optional[bool] = ..., list_dead: _Optional[_Union[ListDead, _Mapping]] = ..., retry: _Optional[_Union[RetryCopies, _Mapping]] = ..., move: _Optional[_Union[MoveCopies, _Mapping]] = ..., drop: _Optional[_Union[DropCopies, _Mapping]] = ...) -> None: ...

class CopySelection(_message.Message):
    __slots__ = ("intake", "mids", "waiting", "dead")
    INTAKE_FIELD_NUMBER: _ClassVar[int]
    MIDS_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    intake: str
    mids: _containers.RepeatedScalarFieldContainer[int]
    waiting: bool
    dead: bool
    def __init__(self, intake: _Optional[str] = ..., mids: _Optional[_Iterable[int]] = ..., waiting: _Optional[bool] = ..., dead: _Optional[bool] = ...) -> None: ...

class ListDead(_message.Message):
    __slots__ = ("selection",)
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    selection: CopySelection
    def __init__(self, selection: _Optional[_Union[CopySelection, _Mapping]] = ...) -> None: ...

class RetryCopies(_message.Message):
    __slots__ = ("selection",)
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    selection: CopySelection
    def __init__(self, selection: _Optional[_Union[CopySelection, _Mapping]] = ...) -> None: ...

class MoveCopies(_message.Message):
    __slots__ = ("selection", "to_intake")
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    TO_INTAKE_FIELD_NUMBER: _ClassVar[int]
    selection: CopySelection
    to_intake: str
    def __init__(self, selection: _Optional[_Union[CopySelection, _Mapping]] = ..., to_intake: _Optional[str] = ...) -> None: ...

class DropCopies(_message.Message):
    __slots__ = ("selection",)
    SELECTION_FIELD_NUMBER: _ClassVar[int]
    selection: CopySelection
    def __init__(self, selection: _Optional[_Union[CopySelection, _Mapping]] = ...) -> None: ...

class QueueAnswer(_message.Message):
    __slots__ = ("id", "copies", "bytes", "dead", "refused", "intakes")
    ID_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    INTAKES_FIELD_NUMBER: _ClassVar[int]
    id: str
    copies: int
    bytes: int
    dead: _containers.RepeatedCompositeFieldContainer[DeadCopy]
    refused: str
    intakes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., copies: _Optional[int] = ..., bytes: _Optional[int] = ..., dead: _Optional[_Iterable[_Union[DeadCopy, _Mapping]]] = ..., refused: _Optional[str] = ..., intakes: _Optional[_Iterable[str]] = ...) -> None: ...

class DeadCopy(_message.Message):
    __slots__ = ("mid", "report_id", "message_id", "intake", "sender", "recipients", "size", "taken_at", "dead_at", "attempts", "reason")
    MID_FIELD_NUMBER: _ClassVar[int]
    REPORT_ID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_ID_FIELD_NUMBER: _ClassVar[int]
    INTAKE_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    RECIPIENTS_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    TAKEN_AT_FIELD_NUMBER: _ClassVar[int]
    DEAD_AT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    mid: int
    report_id: str
    message_id: str
    intake: str
    sender: str
    recipients: _containers.RepeatedScalarFieldContainer[str]
    size: int
    taken_at: _timestamp_pb2.Timestamp
    dead_at: _timestamp_pb2.Timestamp
    attempts: int
    reason: str
    def __init__(self, mid: _Optional[int] = ..., report_id: _Optional[str] = ..., message_id: _Optional[str] = ..., intake: _Optional[str] = ..., sender: _Optional[str] = ..., recipients: _Optional[_Iterable[str]] = ..., size: _Optional[int] = ..., taken_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., dead_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempts: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class Counters(_message.Message):
    __slots__ = ("originals_passed", "originals_refused", "copies_taken", "copies_missed", "copies_not_due", "delivered", "deferred", "dead", "maybe_duplicate")
    ORIGINALS_PASSED_FIELD_NUMBER: _ClassVar[int]
    ORIGINALS_REFUSED_FIELD_NUMBER: _ClassVar[int]
    COPIES_TAKEN_FIELD_NUMBER: _ClassVar[int]
    COPIES_MISSED_FIELD_NUMBER: _ClassVar[int]
    COPIES_NOT_DUE_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    DEFERRED_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    MAYBE_DUPLICATE_FIELD_NUMBER: _ClassVar[int]
    originals_passed: int
    originals_refused: int
    copies_taken: int
    copies_missed: int
    copies_not_due: int
    delivered: int
    deferred: int
    dead: int
    maybe_duplicate: int
    def __init__(self, originals_passed: _Optional[int] = ..., originals_refused: _Optional[int] = ..., copies_taken: _Optional[int] = ..., copies_missed: _Optional[int] = ..., copies_not_due: _Optional[int] = ..., delivered: _Optional[int] = ..., deferred: _Optional[int] = ..., dead: _Optional[int] = ..., maybe_duplicate: _Optional[int] = ...) -> None: ...

class Destination(_message.Message):
    __slots__ = ("domain", "intake_domain", "host_status", "latest_host", "active_recipients", "connections_out", "delivered", "deferred", "dead", "oldest_queued", "last_reply", "last_tls_version", "held_reason", "held_since", "next_probe")
    DOMAIN_FIELD_NUMBER: _ClassVar[int]
    INTAKE_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    HOST_STATUS_FIELD_NUMBER: _ClassVar[int]
    LATEST_HOST_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_RECIPIENTS_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_OUT_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    DEFERRED_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    OLDEST_QUEUED_FIELD_NUMBER: _ClassVar[int]
    LAST_REPLY_FIELD_NUMBER: _ClassVar[int]
    LAST_TLS_VERSION_FIELD_NUMBER: _ClassVar[int]
    HELD_REASON_FIELD_NUMBER: _ClassVar[int]
    HELD_SINCE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PROBE_FIELD_NUMBER: _ClassVar[int]
    domain: str
    intake_domain: str
    host_status: str
    latest_host: str
    active_recipients: int
    connections_out: int
    delivered: int
    deferred: int
    dead: int
    oldest_queued: _timestamp_pb2.Timestamp
    last_reply: str
    last_tls_version: str
    held_reason: str
    held_since: _timestamp_pb2.Timestamp
    next_probe: _timestamp_pb2.Timestamp
    def __init__(self, domain: _Optional[str] = ..., intake_domain: _Optional[str] = ..., host_status: _Optional[str] = ..., latest_host: _Optional[str] = ..., active_recipients: _Optional[int] = ..., connections_out: _Optional[int] = ..., delivered: _Optional[int] = ..., deferred: _Optional[int] = ..., dead: _Optional[int] = ..., oldest_queued: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_reply: _Optional[str] = ..., last_tls_version: _Optional[str] = ..., held_reason: _Optional[str] = ..., held_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_probe: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
