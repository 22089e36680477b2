"""Requests that say nothing, or nonsense: each gets a status of its own, never a fault."""

from __future__ import annotations

import random
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from tdc.manager.rpc.callers import RPCS, Who
from tdc.v1 import operators_pb2

from tests.stage.manager import Api, add_machine

EXPECTED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.ALREADY_EXISTS,
}
METHODS = sorted(
    name for name, row in RPCS.items() if row.who is Who.OPERATOR and name.startswith("tdc.v1.")
)


async def _status(api: Api, method: str, request: bytes) -> grpc.StatusCode:
    service, _, name = method.rpartition(".")
    method_call: Any = api.channel.unary_unary(f"/{service}/{name}")
    code = await method_call(request, timeout=10).code()
    assert isinstance(code, grpc.StatusCode)
    return code


@pytest.mark.parametrize("with_fleet", [False, True])
async def test_an_empty_request_of_every_kind_is_answered(api: Api, *, with_fleet: bool) -> None:
    if with_fleet:
        await api.create_cluster("c1")
        await api.commit(add_machine("mx1", "Main_Group"))
    for method in METHODS:
        assert await _status(api, method, b"") in EXPECTED, method


async def test_random_requests_of_every_kind_are_answered_and_change_nothing(api: Api) -> None:
    """Random fields with random values of the right types, 40 of each request."""
    await api.create_cluster("c1")
    await api.commit(add_machine("mx1", "Main_Group"))
    chance = random.Random(5)
    for method in METHODS:
        described = descriptor_pool.Default().FindMethodByName(method)
        for _ in range(40):
            request: Any = message_factory.GetMessageClass(described.input_type)()
            _fill(request, chance, depth=3)
            # Names that would really create something are left to other tests.
            if method.endswith("CreateCluster"):
                request.name = "?" + request.name
            status = await _status(api, method, request.SerializeToString())
            assert status in EXPECTED, (method, request)
    clusters = await api.fleet.ListClusters(operators_pb2.ListClustersRequest())
    assert [(each.name, each.revision) for each in clusters.clusters] == [("c1", 2)]


def _fill(message: Any, chance: random.Random, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if chance.random() < 0.4:
            continue
        value = getattr(message, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.message_type is not None:
            if depth:
                inner = value.add() if field.is_repeated else value
                if not field.is_repeated:
                    inner.SetInParent()
                _fill(inner, chance, depth - 1)
        elif field.is_repeated:
            value.append(_scalar(field, chance))
        else:
            setattr(message, field.name, _scalar(field, chance))


def _scalar(field: FieldDescriptor, chance: random.Random) -> object:
    texts = ["", "c1", "mx1", "Main_Group", "enabled", "\x00", "é/..%2f", "x" * 300, "a@b.example"]
    values: dict[int, list[object]] = {
        FieldDescriptor.CPPTYPE_STRING: list(texts),
        FieldDescriptor.CPPTYPE_BOOL: [True, False],
        FieldDescriptor.CPPTYPE_ENUM: [0, 1, 2, 3, 4],
        FieldDescriptor.CPPTYPE_INT32: [0, 1, 2, -1, 2**31 - 1, -(2**31)],
        FieldDescriptor.CPPTYPE_INT64: [0, 1, 2, -1, 2**62, -(2**63)],
        FieldDescriptor.CPPTYPE_UINT32: [0, 1, 2, 2**32 - 1],
        FieldDescriptor.CPPTYPE_UINT64: [0, 1, 2, 2**64 - 1],
        FieldDescriptor.CPPTYPE_DOUBLE: [0.0, -1.0, 1e300, float("inf"), float("nan")],
    }
    return chance.choice(values[field.cpp_type])
