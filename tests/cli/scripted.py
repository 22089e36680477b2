"""A manager over real mTLS that gives the answers a test wrote down, and keeps the requests.

It serves every method of the operators' services; one without an answer is UNIMPLEMENTED.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import trustme
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from tdc.shared.edge.grpc_tls import NOTHING_CHANGED
from tdc.v1 import operators_pb2, recovery_pb2

Answer = Message | Callable[[Any], Message]


class Refusal(Exception):
    """Raised by a scripted answer: ends the call with a status; `unmade`: and says so."""

    def __init__(self, code: grpc.StatusCode, details: str, *, unmade: bool = False) -> None:
        super().__init__(details)
        self.code = code
        self.details = details
        self.unmade = unmade


@dataclass
class ScriptedManager:
    """`answers` by method name; `requests` holds (method name, request) in order."""

    config: Path
    address: str = ""
    authority: trustme.CA = field(default_factory=trustme.CA)
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[tuple[str, Any]] = field(default_factory=list)

    def asked(self, method: str) -> list[Any]:
        return [request for name, request in self.requests if name == method]

    def _serve(self, method: str, request: Message, context: grpc.ServicerContext) -> Message:
        self.requests.append((method, request))
        answer = self.answers.get(method)
        if answer is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the test has no answer to {method}")
        try:
            return answer(request) if callable(answer) else answer
        except Refusal as refusal:
            if refusal.unmade:
                context.set_trailing_metadata(((NOTHING_CHANGED, "1"),))
            context.abort(refusal.code, refusal.details)
        raise AssertionError("abort raises")

    def handlers(self) -> Iterator[grpc.GenericRpcHandler]:
        services = (operators_pb2.DESCRIPTOR, recovery_pb2.DESCRIPTOR)
        for service in (each for file in services for each in file.services_by_name.values()):
            yield grpc.method_handlers_generic_handler(
                service.full_name,
                {
                    method.name: grpc.unary_unary_rpc_method_handler(
                        lambda request, context, name=method.name: self._serve(
                            name, request, context
                        ),
                        request_deserializer=GetMessageClass(method.input_type).FromString,
                        response_serializer=GetMessageClass(method.output_type).SerializeToString,
                    )
                    for method in service.methods
                },
            )


@contextmanager
def serving(folder: Path) -> Iterator[ScriptedManager]:
    """Serve on a port of loopback; operator.toml of a trusted operator lies in `folder`."""
    manager = ScriptedManager(folder / "operator.toml")
    authority = manager.authority
    server_identity = authority.issue_cert("tdc-manager")
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    server.add_generic_rpc_handlers(tuple(manager.handlers()))
    credentials = grpc.ssl_server_credentials(
        [
            (
                server_identity.private_key_pem.bytes(),
                b"".join(blob.bytes() for blob in server_identity.cert_chain_pems),
            )
        ],
        root_certificates=authority.cert_pem.bytes(),
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    manager.address = f"127.0.0.1:{port}"
    write_operator(folder, manager.address, authority, authority)
    server.start()
    try:
        yield manager
    finally:
        server.stop(None).wait(5)


def write_operator(
    folder: Path,
    address: str,
    trusted: trustme.CA,
    issuer: trustme.CA,
    *,
    ends: datetime.datetime | None = None,
) -> Path:
    """Write operator.toml: trusts `trusted`, shows a certificate of `issuer`."""
    folder.mkdir(parents=True, exist_ok=True)
    identity = issuer.issue_cert("operator@example.com", not_after=ends)
    trusted.cert_pem.write_to_path(folder / "ca.pem")
    identity.private_key_pem.write_to_path(folder / "operator.key")
    (folder / "operator.key").chmod(0o600)
    (folder / "operator.pem").write_bytes(
        b"".join(blob.bytes() for blob in identity.cert_chain_pems)
    )
    config = folder / "operator.toml"
    config.write_text(
        f'manager = "{address}"\nca = "ca.pem"\n'
        'certificate = "operator.pem"\nkey = "operator.key"\n'
    )
    return config
