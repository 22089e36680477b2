from tdc.v1 import fleet_pb2 as _fleet_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FindEditsRequest(_message.Message):
    __slots__ = ("cluster",)
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    def __init__(self, cluster: _Optional[str] = ...) -> None: ...

class FindEditsResponse(_message.Message):
    __slots__ = ("cluster", "revision", "edits", "known", "unknown", "ahead")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    AHEAD_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    revision: int
    edits: _containers.RepeatedCompositeFieldContainer[_fleet_pb2.Edit]
    known: int
    unknown: _containers.RepeatedCompositeFieldContainer[UnknownMachine]
    ahead: int
    def __init__(self, cluster: _Optional[str] = ..., revision: _Optional[int] = ..., edits: _Optional[_Iterable[_Union[_fleet_pb2.Edit, _Mapping]]] = ..., known: _Optional[int] = ..., unknown: _Optional[_Iterable[_Union[UnknownMachine, _Mapping]]] = ..., ahead: _Optional[int] = ...) -> None: ...

class UnknownMachine(_message.Message):
    __slots__ = ("machine", "why")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    machine: str
    why: str
    def __init__(self, machine: _Optional[str] = ..., why: _Optional[str] = ...) -> None: ...
