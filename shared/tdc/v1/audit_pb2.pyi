import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tdc.v1 import agents_pb2 as _agents_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListEntriesRequest(_message.Message):
    __slots__ = ("who", "operation", "cluster", "outcome", "since", "until", "limit", "cursor", "oldest_first", "with_content")
    WHO_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    WITH_CONTENT_FIELD_NUMBER: _ClassVar[int]
    who: str
    operation: str
    cluster: str
    outcome: str
    since: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    limit: int
    cursor: int
    oldest_first: bool
    with_content: bool
    def __init__(self, who: _Optional[str] = ..., operation: _Optional[str] = ..., cluster: _Optional[str] = ..., outcome: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., limit: _Optional[int] = ..., cursor: _Optional[int] = ..., oldest_first: _Optional[bool] = ..., with_content: _Optional[bool] = ...) -> None: ...

class ListEntriesResponse(_message.Message):
    __slots__ = ("entries", "next")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[AuditEntry]
    next: int
    def __init__(self, entries: _Optional[_Iterable[_Union[AuditEntry, _Mapping]]] = ..., next: _Optional[int] = ...) -> None: ...

class GetEntryRequest(_message.Message):
    __slots__ = ("number",)
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    number: int
    def __init__(self, number: _Optional[int] = ...) -> None: ...

class AuditEntry(_message.Message):
    __slots__ = ("number", "time", "operation", "outcome", "who", "kind", "role", "means", "origin", "cluster", "what", "rows", "rows_left_out", "comment", "revision", "request_id", "commit", "digest", "reason", "count", "note", "chain", "content", "unreadable")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    WHO_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MEANS_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ROWS_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    UNREADABLE_FIELD_NUMBER: _ClassVar[int]
    number: int
    time: _timestamp_pb2.Timestamp
    operation: str
    outcome: str
    who: str
    kind: str
    role: str
    means: str
    origin: str
    cluster: str
    what: str
    rows: _containers.RepeatedCompositeFieldContainer[AuditRow]
    rows_left_out: int
    comment: str
    revision: int
    request_id: str
    commit: str
    digest: str
    reason: str
    count: int
    note: str
    chain: str
    content: str
    unreadable: str
    def __init__(self, number: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., operation: _Optional[str] = ..., outcome: _Optional[str] = ..., who: _Optional[str] = ..., kind: _Optional[str] = ..., role: _Optional[str] = ..., means: _Optional[str] = ..., origin: _Optional[str] = ..., cluster: _Optional[str] = ..., what: _Optional[str] = ..., rows: _Optional[_Iterable[_Union[AuditRow, _Mapping]]] = ..., rows_left_out: _Optional[int] = ..., comment: _Optional[str] = ..., revision: _Optional[int] = ..., request_id: _Optional[str] = ..., commit: _Optional[str] = ..., digest: _Optional[str] = ..., reason: _Optional[str] = ..., count: _Optional[int] = ..., note: _Optional[str] = ..., chain: _Optional[str] = ..., content: _Optional[str] = ..., unreadable: _Optional[str] = ...) -> None: ...

class AuditRow(_message.Message):
    __slots__ = ("target", "part", "before", "after")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    target: str
    part: str
    before: str
    after: str
    def __init__(self, target: _Optional[str] = ..., part: _Optional[str] = ..., before: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class VerifyLogRequest(_message.Message):
    __slots__ = ("against_agents",)
    AGAINST_AGENTS_FIELD_NUMBER: _ClassVar[int]
    against_agents: bool
    def __init__(self, against_agents: _Optional[bool] = ...) -> None: ...

class VerifyLogResponse(_message.Message):
    __slots__ = ("entries", "first", "newest", "trimmed", "faults", "fault_count", "agreeing", "uncompared", "remarks")
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    TRIMMED_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    FAULT_COUNT_FIELD_NUMBER: _ClassVar[int]
    AGREEING_FIELD_NUMBER: _ClassVar[int]
    UNCOMPARED_FIELD_NUMBER: _ClassVar[int]
    REMARKS_FIELD_NUMBER: _ClassVar[int]
    entries: int
    first: int
    newest: _agents_pb2.AuditHead
    trimmed: _agents_pb2.AuditHead
    faults: _containers.RepeatedCompositeFieldContainer[AuditFault]
    fault_count: int
    agreeing: int
    uncompared: _containers.RepeatedCompositeFieldContainer[AuditUncompared]
    remarks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, entries: _Optional[int] = ..., first: _Optional[int] = ..., newest: _Optional[_Union[_agents_pb2.AuditHead, _Mapping]] = ..., trimmed: _Optional[_Union[_agents_pb2.AuditHead, _Mapping]] = ..., faults: _Optional[_Iterable[_Union[AuditFault, _Mapping]]] = ..., fault_count: _Optional[int] = ..., agreeing: _Optional[int] = ..., uncompared: _Optional[_Iterable[_Union[AuditUncompared, _Mapping]]] = ..., remarks: _Optional[_Iterable[str]] = ...) -> None: ...

class AuditFault(_message.Message):
    __slots__ = ("number", "source", "what", "meaning", "advice")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    ADVICE_FIELD_NUMBER: _ClassVar[int]
    number: int
    source: str
    what: str
    meaning: str
    advice: str
    def __init__(self, number: _Optional[int] = ..., source: _Optional[str] = ..., what: _Optional[str] = ..., meaning: _Optional[str] = ..., advice: _Optional[str] = ...) -> None: ...

class AuditUncompared(_message.Message):
    __slots__ = ("cluster", "machine", "reason")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    machine: str
    reason: str
    def __init__(self, cluster: _Optional[str] = ..., machine: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
