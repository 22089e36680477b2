import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tdc.v1 import settings_pb2 as _settings_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LEVEL_UNSPECIFIED: _ClassVar[Level]
    LEVEL_MACHINE: _ClassVar[Level]
    LEVEL_GROUP: _ClassVar[Level]
    LEVEL_CLUSTER: _ClassVar[Level]
    LEVEL_DEFAULT: _ClassVar[Level]
LEVEL_UNSPECIFIED: Level
LEVEL_MACHINE: Level
LEVEL_GROUP: Level
LEVEL_CLUSTER: Level
LEVEL_DEFAULT: Level

class LevelRef(_message.Message):
    __slots__ = ("level", "name", "cluster")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    level: Level
    name: str
    cluster: str
    def __init__(self, level: _Optional[_Union[Level, str]] = ..., name: _Optional[str] = ..., cluster: _Optional[str] = ...) -> None: ...

class Origin(_message.Message):
    __slots__ = ("level", "name", "revision")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    level: Level
    name: str
    revision: int
    def __init__(self, level: _Optional[_Union[Level, str]] = ..., name: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class EffectiveSettings(_message.Message):
    __slots__ = ("machine", "group", "cluster", "revision", "hash", "settings", "origins")
    class OriginsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: Origin
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[Origin, _Mapping]] = ...) -> None: ...
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    ORIGINS_FIELD_NUMBER: _ClassVar[int]
    machine: str
    group: str
    cluster: str
    revision: int
    hash: str
    settings: _settings_pb2.Settings
    origins: _containers.MessageMap[str, Origin]
    def __init__(self, machine: _Optional[str] = ..., group: _Optional[str] = ..., cluster: _Optional[str] = ..., revision: _Optional[int] = ..., hash: _Optional[str] = ..., settings: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., origins: _Optional[_Mapping[str, Origin]] = ...) -> None: ...

class Edit(_message.Message):
    __slots__ = ("set", "unset", "add_group", "add_machine", "restore", "copy", "rename_group", "remove_group", "move_machine", "remove_machine", "delete", "revert", "replace", "remove_cluster", "rename_machine", "rename_cluster")
    SET_FIELD_NUMBER: _ClassVar[int]
    UNSET_FIELD_NUMBER: _ClassVar[int]
    ADD_GROUP_FIELD_NUMBER: _ClassVar[int]
    ADD_MACHINE_FIELD_NUMBER: _ClassVar[int]
    RESTORE_FIELD_NUMBER: _ClassVar[int]
    COPY_FIELD_NUMBER: _ClassVar[int]
    RENAME_GROUP_FIELD_NUMBER: _ClassVar[int]
    REMOVE_GROUP_FIELD_NUMBER: _ClassVar[int]
    MOVE_MACHINE_FIELD_NUMBER: _ClassVar[int]
    REMOVE_MACHINE_FIELD_NUMBER: _ClassVar[int]
    DELETE_FIELD_NUMBER: _ClassVar[int]
    REVERT_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    REMOVE_CLUSTER_FIELD_NUMBER: _ClassVar[int]
    RENAME_MACHINE_FIELD_NUMBER: _ClassVar[int]
    RENAME_CLUSTER_FIELD_NUMBER: _ClassVar[int]
    set: SetSettings
    unset: UnsetSettings
    add_group: AddGroup
    add_machine: AddMachine
    restore: RestoreRevision
    copy: CopySettings
    rename_group: RenameGroup
    remove_group: RemoveGroup
    move_machine: MoveMachine
    remove_machine: RemoveMachine
    delete: DeleteSettings
    revert: RevertRevision
    replace: ReplaceSettings
    remove_cluster: RemoveCluster
    rename_machine: RenameMachine
    rename_cluster: RenameCluster
    def __init__(self, set: _Optional[_Union[SetSettings, _Mapping]] = ..., unset: _Optional[_Union[UnsetSettings, _Mapping]] = ..., add_group: _Optional[_Union[AddGroup, _Mapping]] = ..., add_machine: _Optional[_Union[AddMachine, _Mapping]] = ..., restore: _Optional[_Union[RestoreRevision, _Mapping]] = ..., copy: _Optional[_Union[CopySettings, _Mapping]] = ..., rename_group: _Optional[_Union[RenameGroup, _Mapping]] = ..., remove_group: _Optional[_Union[RemoveGroup, _Mapping]] = ..., move_machine: _Optional[_Union[MoveMachine, _Mapping]] = ..., remove_machine: _Optional[_Union[RemoveMachine, _Mapping]] = ..., delete: _Optional[_Union[DeleteSettings, _Mapping]] = ..., revert: _Optional[_Union[RevertRevision, _Mapping]] = ..., replace: _Optional[_Union[ReplaceSettings, _Mapping]] = ..., remove_cluster: _Optional[_Union[RemoveCluster, _Mapping]] = ..., rename_machine: _Optional[_Union[RenameMachine, _Mapping]] = ..., rename_cluster: _Optional[_Union[RenameCluster, _Mapping]] = ...) -> None: ...

class RemoveCluster(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class SetSettings(_message.Message):
    __slots__ = ("level", "settings")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    level: LevelRef
    settings: _settings_pb2.Settings
    def __init__(self, level: _Optional[_Union[LevelRef, _Mapping]] = ..., settings: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ...) -> None: ...

class UnsetSettings(_message.Message):
    __slots__ = ("level", "names")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    level: LevelRef
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, level: _Optional[_Union[LevelRef, _Mapping]] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class ReplaceSettings(_message.Message):
    __slots__ = ("level", "settings")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    level: LevelRef
    settings: _settings_pb2.Settings
    def __init__(self, level: _Optional[_Union[LevelRef, _Mapping]] = ..., settings: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ...) -> None: ...

class DeleteSettings(_message.Message):
    __slots__ = ("level",)
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    level: LevelRef
    def __init__(self, level: _Optional[_Union[LevelRef, _Mapping]] = ...) -> None: ...

class CopySettings(_message.Message):
    __slots__ = ("source", "target", "names", "move")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    MOVE_FIELD_NUMBER: _ClassVar[int]
    source: LevelRef
    target: LevelRef
    names: _containers.RepeatedScalarFieldContainer[str]
    move: bool
    def __init__(self, source: _Optional[_Union[LevelRef, _Mapping]] = ..., target: _Optional[_Union[LevelRef, _Mapping]] = ..., names: _Optional[_Iterable[str]] = ..., move: _Optional[bool] = ...) -> None: ...

class AddGroup(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class AddMachine(_message.Message):
    __slots__ = ("name", "group")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    name: str
    group: str
    def __init__(self, name: _Optional[str] = ..., group: _Optional[str] = ...) -> None: ...

class RenameGroup(_message.Message):
    __slots__ = ("name", "to")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    name: str
    to: str
    def __init__(self, name: _Optional[str] = ..., to: _Optional[str] = ...) -> None: ...

class RemoveGroup(_message.Message):
    __slots__ = ("name", "move_to")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MOVE_TO_FIELD_NUMBER: _ClassVar[int]
    name: str
    move_to: str
    def __init__(self, name: _Optional[str] = ..., move_to: _Optional[str] = ...) -> None: ...

class MoveMachine(_message.Message):
    __slots__ = ("name", "group")
    NAME_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    name: str
    group: str
    def __init__(self, name: _Optional[str] = ..., group: _Optional[str] = ...) -> None: ...

class RenameMachine(_message.Message):
    __slots__ = ("name", "to")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    name: str
    to: str
    def __init__(self, name: _Optional[str] = ..., to: _Optional[str] = ...) -> None: ...

class RenameCluster(_message.Message):
    __slots__ = ("name", "to")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    name: str
    to: str
    def __init__(self, name: _Optional[str] = ..., to: _Optional[str] = ...) -> None: ...

class RemoveMachine(_message.Message):
    __slots__ = ("name", "stop_copying")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STOP_COPYING_FIELD_NUMBER: _ClassVar[int]
    name: str
    stop_copying: bool
    def __init__(self, name: _Optional[str] = ..., stop_copying: _Optional[bool] = ...) -> None: ...

class RestoreRevision(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class RevertRevision(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class LevelChange(_message.Message):
    __slots__ = ("level", "name", "setting", "before", "after", "by_disable_rule")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTING_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    BY_DISABLE_RULE_FIELD_NUMBER: _ClassVar[int]
    level: Level
    name: str
    setting: str
    before: _settings_pb2.Settings
    after: _settings_pb2.Settings
    by_disable_rule: bool
    def __init__(self, level: _Optional[_Union[Level, str]] = ..., name: _Optional[str] = ..., setting: _Optional[str] = ..., before: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., after: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., by_disable_rule: _Optional[bool] = ...) -> None: ...

class MachineChange(_message.Message):
    __slots__ = ("machine", "setting", "before", "after", "origin")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    SETTING_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    machine: str
    setting: str
    before: _settings_pb2.Settings
    after: _settings_pb2.Settings
    origin: Origin
    def __init__(self, machine: _Optional[str] = ..., setting: _Optional[str] = ..., before: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., after: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., origin: _Optional[_Union[Origin, _Mapping]] = ...) -> None: ...

class TopologyChange(_message.Message):
    __slots__ = ("level", "name", "group", "before_name", "before_group", "removed", "stops_copying")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    BEFORE_NAME_FIELD_NUMBER: _ClassVar[int]
    BEFORE_GROUP_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    STOPS_COPYING_FIELD_NUMBER: _ClassVar[int]
    level: Level
    name: str
    group: str
    before_name: str
    before_group: str
    removed: bool
    stops_copying: bool
    def __init__(self, level: _Optional[_Union[Level, str]] = ..., name: _Optional[str] = ..., group: _Optional[str] = ..., before_name: _Optional[str] = ..., before_group: _Optional[str] = ..., removed: _Optional[bool] = ..., stops_copying: _Optional[bool] = ...) -> None: ...

class Problem(_message.Message):
    __slots__ = ("machine", "setting", "reason")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    SETTING_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    machine: str
    setting: str
    reason: str
    def __init__(self, machine: _Optional[str] = ..., setting: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class ClusterSnapshot(_message.Message):
    __slots__ = ("cluster", "revision", "settings", "groups")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    revision: int
    settings: _settings_pb2.Settings
    groups: _containers.RepeatedCompositeFieldContainer[GroupSnapshot]
    def __init__(self, cluster: _Optional[str] = ..., revision: _Optional[int] = ..., settings: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., groups: _Optional[_Iterable[_Union[GroupSnapshot, _Mapping]]] = ...) -> None: ...

class GroupSnapshot(_message.Message):
    __slots__ = ("name", "settings", "machines")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    name: str
    settings: _settings_pb2.Settings
    machines: _containers.RepeatedCompositeFieldContainer[MachineSnapshot]
    def __init__(self, name: _Optional[str] = ..., settings: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ..., machines: _Optional[_Iterable[_Union[MachineSnapshot, _Mapping]]] = ...) -> None: ...

class MachineSnapshot(_message.Message):
    __slots__ = ("name", "settings")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    settings: _settings_pb2.Settings
    def __init__(self, name: _Optional[str] = ..., settings: _Optional[_Union[_settings_pb2.Settings, _Mapping]] = ...) -> None: ...

class Plan(_message.Message):
    __slots__ = ("cluster", "base_revision", "levels", "machines", "topology", "stop_copying", "start_copying", "fingerprint", "problems", "backlogs", "warnings", "author")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    BASE_REVISION_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    STOP_COPYING_FIELD_NUMBER: _ClassVar[int]
    START_COPYING_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    BACKLOGS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    base_revision: int
    levels: _containers.RepeatedCompositeFieldContainer[LevelChange]
    machines: _containers.RepeatedCompositeFieldContainer[MachineChange]
    topology: _containers.RepeatedCompositeFieldContainer[TopologyChange]
    stop_copying: _containers.RepeatedScalarFieldContainer[str]
    start_copying: _containers.RepeatedScalarFieldContainer[str]
    fingerprint: str
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    backlogs: _containers.RepeatedCompositeFieldContainer[PlannedBacklog]
    warnings: _containers.RepeatedCompositeFieldContainer[Problem]
    author: str
    def __init__(self, cluster: _Optional[str] = ..., base_revision: _Optional[int] = ..., levels: _Optional[_Iterable[_Union[LevelChange, _Mapping]]] = ..., machines: _Optional[_Iterable[_Union[MachineChange, _Mapping]]] = ..., topology: _Optional[_Iterable[_Union[TopologyChange, _Mapping]]] = ..., stop_copying: _Optional[_Iterable[str]] = ..., start_copying: _Optional[_Iterable[str]] = ..., fingerprint: _Optional[str] = ..., problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ..., backlogs: _Optional[_Iterable[_Union[PlannedBacklog, _Mapping]]] = ..., warnings: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ..., author: _Optional[str] = ...) -> None: ...

class Difference(_message.Message):
    __slots__ = ("cluster", "from_revision", "to_revision", "levels", "machines", "topology", "stop_copying", "start_copying")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    FROM_REVISION_FIELD_NUMBER: _ClassVar[int]
    TO_REVISION_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    STOP_COPYING_FIELD_NUMBER: _ClassVar[int]
    START_COPYING_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    from_revision: int
    to_revision: int
    levels: _containers.RepeatedCompositeFieldContainer[LevelChange]
    machines: _containers.RepeatedCompositeFieldContainer[MachineChange]
    topology: _containers.RepeatedCompositeFieldContainer[TopologyChange]
    stop_copying: _containers.RepeatedScalarFieldContainer[str]
    start_copying: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cluster: _Optional[str] = ..., from_revision: _Optional[int] = ..., to_revision: _Optional[int] = ..., levels: _Optional[_Iterable[_Union[LevelChange, _Mapping]]] = ..., machines: _Optional[_Iterable[_Union[MachineChange, _Mapping]]] = ..., topology: _Optional[_Iterable[_Union[TopologyChange, _Mapping]]] = ..., stop_copying: _Optional[_Iterable[str]] = ..., start_copying: _Optional[_Iterable[str]] = ...) -> None: ...

class PlannedBacklog(_message.Message):
    __slots__ = ("machine", "intake", "copies", "oldest", "goes")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    INTAKE_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    GOES_FIELD_NUMBER: _ClassVar[int]
    machine: str
    intake: str
    copies: int
    oldest: _timestamp_pb2.Timestamp
    goes: bool
    def __init__(self, machine: _Optional[str] = ..., intake: _Optional[str] = ..., copies: _Optional[int] = ..., oldest: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., goes: _Optional[bool] = ...) -> None: ...

class Commit(_message.Message):
    __slots__ = ("cluster", "revision", "author", "time", "comment", "request_id", "levels", "topology", "machines_changed", "work")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LEVELS_FIELD_NUMBER: _ClassVar[int]
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    MACHINES_CHANGED_FIELD_NUMBER: _ClassVar[int]
    WORK_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    revision: int
    author: str
    time: _timestamp_pb2.Timestamp
    comment: str
    request_id: str
    levels: _containers.RepeatedCompositeFieldContainer[LevelChange]
    topology: _containers.RepeatedCompositeFieldContainer[TopologyChange]
    machines_changed: int
    work: OrderedWork
    def __init__(self, cluster: _Optional[str] = ..., revision: _Optional[int] = ..., author: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., comment: _Optional[str] = ..., request_id: _Optional[str] = ..., levels: _Optional[_Iterable[_Union[LevelChange, _Mapping]]] = ..., topology: _Optional[_Iterable[_Union[TopologyChange, _Mapping]]] = ..., machines_changed: _Optional[int] = ..., work: _Optional[_Union[OrderedWork, _Mapping]] = ...) -> None: ...

class OrderedWork(_message.Message):
    __slots__ = ("kind", "from_intake", "to_intake", "waiting", "dead", "mids", "copies", "machines")
    KIND_FIELD_NUMBER: _ClassVar[int]
    FROM_INTAKE_FIELD_NUMBER: _ClassVar[int]
    TO_INTAKE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    DEAD_FIELD_NUMBER: _ClassVar[int]
    MIDS_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    MACHINES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    from_intake: str
    to_intake: str
    waiting: bool
    dead: bool
    mids: _containers.RepeatedScalarFieldContainer[int]
    copies: int
    machines: _containers.RepeatedCompositeFieldContainer[CountedCopies]
    def __init__(self, kind: _Optional[str] = ..., from_intake: _Optional[str] = ..., to_intake: _Optional[str] = ..., waiting: _Optional[bool] = ..., dead: _Optional[bool] = ..., mids: _Optional[_Iterable[int]] = ..., copies: _Optional[int] = ..., machines: _Optional[_Iterable[_Union[CountedCopies, _Mapping]]] = ...) -> None: ...

class CountedCopies(_message.Message):
    __slots__ = ("machine", "copies", "bytes")
    MACHINE_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    machine: str
    copies: int
    bytes: int
    def __init__(self, machine: _Optional[str] = ..., copies: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...
