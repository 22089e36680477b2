import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from tdc.v1 import people_pb2 as _people_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BeginRedirectRequest(_message.Message):
    __slots__ = ("redirect_uri",)
    REDIRECT_URI_FIELD_NUMBER: _ClassVar[int]
    redirect_uri: str
    def __init__(self, redirect_uri: _Optional[str] = ...) -> None: ...

class BeginRedirectResponse(_message.Message):
    __slots__ = ("provider", "url", "state", "handle", "ends")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    provider: str
    url: str
    state: str
    handle: str
    ends: _timestamp_pb2.Timestamp
    def __init__(self, provider: _Optional[str] = ..., url: _Optional[str] = ..., state: _Optional[str] = ..., handle: _Optional[str] = ..., ends: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class BeginDeviceRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BeginDeviceResponse(_message.Message):
    __slots__ = ("provider", "url", "user_code", "complete_url", "handle", "ends", "interval")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    USER_CODE_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_URL_FIELD_NUMBER: _ClassVar[int]
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    provider: str
    url: str
    user_code: str
    complete_url: str
    handle: str
    ends: _timestamp_pb2.Timestamp
    interval: int
    def __init__(self, provider: _Optional[str] = ..., url: _Optional[str] = ..., user_code: _Optional[str] = ..., complete_url: _Optional[str] = ..., handle: _Optional[str] = ..., ends: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., interval: _Optional[int] = ...) -> None: ...

class FinishLoginRequest(_message.Message):
    __slots__ = ("handle", "code", "state", "issuer")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ISSUER_FIELD_NUMBER: _ClassVar[int]
    handle: str
    code: str
    state: str
    issuer: str
    def __init__(self, handle: _Optional[str] = ..., code: _Optional[str] = ..., state: _Optional[str] = ..., issuer: _Optional[str] = ...) -> None: ...

class FinishLoginResponse(_message.Message):
    __slots__ = ("session", "pending")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    session: _people_pb2.LogInResponse
    pending: Pending
    def __init__(self, session: _Optional[_Union[_people_pb2.LogInResponse, _Mapping]] = ..., pending: _Optional[_Union[Pending, _Mapping]] = ...) -> None: ...

class Pending(_message.Message):
    __slots__ = ("slow_down",)
    SLOW_DOWN_FIELD_NUMBER: _ClassVar[int]
    slow_down: bool
    def __init__(self, slow_down: _Optional[bool] = ...) -> None: ...
