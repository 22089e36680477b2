"""What tdc.v1 puts on the wire, a line for each field, enum value and method.

`python -m tests.tree.wire_shape` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor
from tdc.v1 import agents_pb2, fleet_pb2, operators_pb2, settings_pb2

_TYPES = {
    getattr(FieldDescriptor, name): name.removeprefix("TYPE_").lower()
    for name in dir(FieldDescriptor)
    if name.startswith("TYPE_")
}


def wire_shape() -> list[str]:
    """All lines, sorted."""
    files = [module.DESCRIPTOR for module in (agents_pb2, fleet_pb2, operators_pb2, settings_pb2)]
    return sorted(line for file in files for line in _of_file(file))


def _of_file(file: FileDescriptor) -> Iterator[str]:
    for message in file.message_types_by_name.values():
        yield from _of_message(message)
    for enum in file.enum_types_by_name.values():
        yield from _of_enum(enum)
    for service in file.services_by_name.values():
        for method in service.methods:
            takes = "stream " * method.client_streaming + method.input_type.full_name
            gives = "stream " * method.server_streaming + method.output_type.full_name
            yield f"{service.full_name}/{method.name}: {takes} -> {gives}"


def _of_message(message: Descriptor) -> Iterator[str]:
    yield message.full_name
    for field in message.fields:
        oneof = field.containing_oneof
        words = [
            "repeated" if field.is_repeated else "optional" if field.has_presence else "plain",
            _type_of(field),
            field.name,
            f"in {oneof.name}" if oneof is not None and not oneof.name.startswith("_") else "",
        ]
        yield f"{message.full_name} {field.number}: {' '.join(filter(None, words))}"
    for nested in message.nested_types:
        yield from _of_message(nested)
    for enum in message.enum_types:
        yield from _of_enum(enum)


def _type_of(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    return str(named.full_name) if named else _TYPES[field.type]


def _of_enum(enum: EnumDescriptor) -> Iterator[str]:
    for value in enum.values:
        yield f"{enum.full_name} {value.number}: {value.name}"


if __name__ == "__main__":
    print("\n".join(wire_shape()))
