from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Settings(_message.Message):
    __slots__ = ("enabled", "intake_address", "incoming_domains", "policies", "smtp_route", "tls_minimum_version", "tls_verification", "tls_names", "tls_pins", "delivery_max_connections", "delivery_messages_per_connection", "retry_initial", "retry_maximum", "retry_lifetime", "spool_max_messages", "spool_max_bytes", "spool_when_full", "max_message_size", "report_from", "report_envelope_sender", "remote_ip_header", "smtp_route_private", "log_level", "log_format")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    INTAKE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    INCOMING_DOMAINS_FIELD_NUMBER: _ClassVar[int]
    POLICIES_FIELD_NUMBER: _ClassVar[int]
    SMTP_ROUTE_FIELD_NUMBER: _ClassVar[int]
    TLS_MINIMUM_VERSION_FIELD_NUMBER: _ClassVar[int]
    TLS_VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    TLS_NAMES_FIELD_NUMBER: _ClassVar[int]
    TLS_PINS_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_MAX_CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_MESSAGES_PER_CONNECTION_FIELD_NUMBER: _ClassVar[int]
    RETRY_INITIAL_FIELD_NUMBER: _ClassVar[int]
    RETRY_MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    RETRY_LIFETIME_FIELD_NUMBER: _ClassVar[int]
    SPOOL_MAX_MESSAGES_FIELD_NUMBER: _ClassVar[int]
    SPOOL_MAX_BYTES_FIELD_NUMBER: _ClassVar[int]
    SPOOL_WHEN_FULL_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    REPORT_FROM_FIELD_NUMBER: _ClassVar[int]
    REPORT_ENVELOPE_SENDER_FIELD_NUMBER: _ClassVar[int]
    REMOTE_IP_HEADER_FIELD_NUMBER: _ClassVar[int]
    SMTP_ROUTE_PRIVATE_FIELD_NUMBER: _ClassVar[int]
    LOG_LEVEL_FIELD_NUMBER: _ClassVar[int]
    LOG_FORMAT_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    intake_address: str
    incoming_domains: TextList
    policies: PolicyList
    smtp_route: TextList
    tls_minimum_version: str
    tls_verification: str
    tls_names: TextList
    tls_pins: TextList
    delivery_max_connections: int
    delivery_messages_per_connection: int
    retry_initial: int
    retry_maximum: int
    retry_lifetime: int
    spool_max_messages: int
    spool_max_bytes: int
    spool_when_full: str
    max_message_size: int
    report_from: str
    report_envelope_sender: str
    remote_ip_header: str
    smtp_route_private: bool
    log_level: str
    log_format: str
    def __init__(self, enabled: _Optional[bool] = ..., intake_address: _Optional[str] = ..., incoming_domains: _Optional[_Union[TextList, _Mapping]] = ..., policies: _Optional[_Union[PolicyList, _Mapping]] = ..., smtp_route: _Optional[_Union[TextList, _Mapping]] = ..., tls_minimum_version: _Optional[str] = ..., tls_verification: _Optional[str] = ..., tls_names: _Optional[_Union[TextList, _Mapping]] = ..., tls_pins: _Optional[_Union[TextList, _Mapping]] = ..., delivery_max_connections: _Optional[int] = ..., delivery_messages_per_connection: _Optional[int] = ..., retry_initial: _Optional[int] = ..., retry_maximum: _Optional[int] = ..., retry_lifetime: _Optional[int] = ..., spool_max_messages: _Optional[int] = ..., spool_max_bytes: _Optional[int] = ..., spool_when_full: _Optional[str] = ..., max_message_size: _Optional[int] = ..., report_from: _Optional[str] = ..., report_envelope_sender: _Optional[str] = ..., remote_ip_header: _Optional[str] = ..., smtp_route_private: _Optional[bool] = ..., log_level: _Optional[str] = ..., log_format: _Optional[str] = ...) -> None: ...

class TextList(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, items: _Optional[_Iterable[str]] = ...) -> None: ...

class PolicyList(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Policy]
    def __init__(self, items: _Optional[_Iterable[_Union[Policy, _Mapping]]] = ...) -> None: ...

class Policy(_message.Message):
    __slots__ = ("name", "action", "senders", "recipients", "intake_address")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    SENDERS_FIELD_NUMBER: _ClassVar[int]
    RECIPIENTS_FIELD_NUMBER: _ClassVar[int]
    INTAKE_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    name: str
    action: str
    senders: _containers.RepeatedScalarFieldContainer[str]
    recipients: _containers.RepeatedScalarFieldContainer[str]
    intake_address: str
    def __init__(self, name: _Optional[str] = ..., action: _Optional[str] = ..., senders: _Optional[_Iterable[str]] = ..., recipients: _Optional[_Iterable[str]] = ..., intake_address: _Optional[str] = ...) -> None: ...
