"""Who is let in, and as whom: real gRPC over mTLS on loopback."""

from __future__ import annotations

import asyncio
import datetime
import stat
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tdc.manager.identity.authority import (
    BACKDATE,
    Authority,
    Issued,
    RequestRefused,
)
from tdc.manager.identity.ca_folder import (
    AuthorityExists,
    AuthorityMissing,
    AuthorityUnusable,
)
from tdc.manager.identity.peer import NotIdentified, identity_of, peer_of
from tdc.shared.edge import grpc_tls
from tdc.shared.edge.clock import Clock
from tdc.shared.sync.identity import MachinePeer, NotAnIdentity, Operator, Peer, parse_identity

from tests.fakes.listening import listening

WHOAMI = "/test.Who/Ami"
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def request_of(key: PrivateKey, name: str = "someone-else") -> bytes:
    """A request that asks for names of its own, which must not be granted."""
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("tdc-manager")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, algorithm)
        .public_bytes(serialization.Encoding.PEM)
    )


def machine(authority: Authority, name: str = "mx1", **options: Any) -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.issue_machine(request_of(key), "c1", name, "e1", **options)
    return Issued(certificate, key_pem(key))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca")


@asynccontextmanager
async def serving(
    authority: Authority, identity: Issued | None = None, *, client_ca: bytes | None = None
) -> AsyncIterator[str]:
    """A server that answers who it takes the caller for."""

    async def whoami(_: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        try:
            return str(peer_of(context)).encode()
        except NotIdentified as error:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, str(error))

    server = grpc.aio.server(options=list(grpc_tls.server_options()))
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(whoami)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("test.Who", {"Ami": handler}),)
    )
    mine = identity or authority.issue_server()
    clients = client_ca or authority.ca_pem
    shown = grpc_tls.ServerMaterial(mine.certificate_pem, mine.key_pem, clients)
    credentials = grpc_tls.server_credentials(lambda: shown)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def ask(address: str, ca_pem: bytes, identity: Issued | None) -> str:
    pair = (identity.certificate_pem, identity.key_pem) if identity else (None, None)
    async with grpc_tls.client_channel(address, ca_pem, *pair) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(WHOAMI)
        answer = await call(b"", timeout=5)
    assert isinstance(answer, bytes)
    return answer.decode()


async def refusal(address: str, ca_pem: bytes, identity: Issued | None) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(address, ca_pem, identity)
    return caught.value.code()


@pytest.mark.proves("S3")
async def test_a_certificate_says_which_machine_or_operator_calls(authority: Authority) -> None:
    async with serving(authority) as address:
        assert await ask(address, authority.ca_pem, machine(authority)) == str(
            MachinePeer("c1", "mx1", "e1")
        )
        operator = authority.issue_operator("anna")
        assert await ask(address, authority.ca_pem, operator) == str(Operator("anna"))


@pytest.mark.parametrize("wrong", [lambda: time.time() + 86_400, lambda: 0.0], ids=["+1d", "1970"])
async def test_a_manager_whose_clock_was_wrong_at_its_start_is_believed(
    tmp_path: Path, wrong: Clock
) -> None:
    made = Authority.create(tmp_path / "ca")
    started = Authority.load(tmp_path / "ca", clock=wrong)
    async with serving(made, started.issue_server()) as address:
        assert await ask(address, made.ca_pem, machine(made))


async def test_nobody_without_a_certificate_of_our_ca_is_let_in(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority.create(tmp_path / "other")
    async with serving(authority) as address:
        for identity in (None, machine(other), other.issue_operator("anna")):
            code = await refusal(address, authority.ca_pem, identity)
            assert code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.proves("B83")
async def test_the_managers_certificate_is_no_identity_of_a_client(authority: Authority) -> None:
    async with serving(authority) as address:
        code = await refusal(address, authority.ca_pem, authority.issue_server())
    assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED)


async def test_a_machine_can_not_pass_itself_off_as_the_manager(authority: Authority) -> None:
    async with serving(authority, machine(authority)) as address:
        code = await refusal(address, authority.ca_pem, machine(authority))
    assert code is grpc.StatusCode.UNAVAILABLE


async def test_a_manager_of_another_ca_is_not_believed(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority.create(tmp_path / "other")
    async with serving(other, client_ca=authority.ca_pem) as address:
        code = await refusal(address, authority.ca_pem, machine(authority))
    assert code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.proves("B83")
async def test_an_expired_certificate_is_not_let_in(authority: Authority) -> None:
    async with serving(authority) as address:
        expired = machine(authority, lifetime=-1)
        code = await refusal(address, authority.ca_pem, expired)
    assert code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.proves("B93")
def test_of_a_request_only_the_key_is_used(authority: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = authority.issue_machine(request_of(key), "c1", "mx1", "e1")
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier("tdc://machine/c1/mx1/e1")]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.subject.rdns == []
    assert certificate.public_key() == key.public_key()


@pytest.mark.proves("B93")
@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65_537, 1_024),
        ec.generate_private_key(ec.SECP192R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["rsa-1024", "p-192", "ed25519"],
)
@pytest.mark.proves("B93")
def test_a_key_that_is_weak_or_of_another_kind_is_refused(
    authority: Authority, key: PrivateKey
) -> None:
    with pytest.raises(RequestRefused):
        authority.issue_machine(request_of(key), "c1", "mx1", "e1")


@pytest.mark.proves("B93")
def test_a_request_that_is_not_signed_by_its_own_key_is_refused(authority: Authority) -> None:
    """Else a machine could get a certificate for a key that it only saw."""
    request = x509.load_pem_x509_csr(request_of(ec.generate_private_key(ec.SECP256R1())))
    der = bytearray(request.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    pem = x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM)
    with pytest.raises(RequestRefused):
        authority.issue_machine(pem, "c1", "mx1", "e1")


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"-----BEGIN", b"A" * 20_000])
def test_what_is_no_request_is_refused(authority: Authority, content: bytes) -> None:
    with pytest.raises(RequestRefused):
        authority.issue_machine(content, "c1", "mx1", "e1")


def test_a_request_that_goes_on_for_long_is_not_read(authority: Authority) -> None:
    """Anyone may send one, and the parser is not ours."""
    request = request_of(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(RequestRefused, match="too long"):
        authority.issue_machine(request + b"\n" * 20_000, "c1", "mx1", "e1")


def test_no_certificate_outlives_its_ca(tmp_path: Path) -> None:
    """It would fail everywhere at once, on a day that no certificate names."""
    now = [1_900_000_000.0]
    authority = Authority.create(tmp_path / "ca", clock=lambda: now[0])
    now[0] = authority.ends - 86_400
    for issued in (authority.issue_server(), authority.issue_operator("anna"), machine(authority)):
        certificate = x509.load_pem_x509_certificate(issued.certificate_pem)
        assert certificate.not_valid_after_utc.timestamp() == authority.ends


def test_certificates_live_as_long_as_stated(tmp_path: Path) -> None:
    now = 1_900_000_000.0
    authority = Authority.create(tmp_path / "ca", clock=lambda: now)
    start = datetime.datetime.fromtimestamp(now, datetime.UTC)
    for pem, days in [
        (authority.ca_pem, 3_653),
        (authority.issue_server().certificate_pem, 800),
        (authority.issue_operator("anna").certificate_pem, 365),
        (machine(authority).certificate_pem, 14),
    ]:
        end = x509.load_pem_x509_certificate(pem).not_valid_after_utc
        assert end - start == datetime.timedelta(days=days)


def test_a_ca_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    made = Authority.create(tmp_path / "ca")
    with pytest.raises(AuthorityExists):
        Authority.create(tmp_path / "ca")
    assert Authority.load(tmp_path / "ca").fingerprint == made.fingerprint
    mode = (tmp_path / "ca" / "ca-key.pem").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    with pytest.raises(AuthorityMissing):
        Authority.load(tmp_path / "none")


def test_a_ca_whose_files_are_not_a_pair_is_not_used(tmp_path: Path) -> None:
    Authority.create(tmp_path / "one")
    Authority.create(tmp_path / "two")
    (tmp_path / "one" / "ca-key.pem").write_bytes((tmp_path / "two" / "ca-key.pem").read_bytes())
    with pytest.raises(AuthorityUnusable):
        Authority.load(tmp_path / "one")
    (tmp_path / "two" / "ca.pem").write_bytes(b"torn")
    with pytest.raises(AuthorityUnusable):
        Authority.load(tmp_path / "two")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://machine/c1/mx1/e1",
        "tdc://machine/c1/mx1",
        "tdc://machine/c1/mx1/e1/",
        "tdc://machine/c1//e1",
        "tdc://machine/c1/mx1/e1?x",
        "tdc://machine/c1/%6dx1/e1",
        "tdc://machine/c1/mx1%2f/e1",
        "TDC://machine/c1/mx1/e1",
        "tdc://operator/",
        "tdc://operator/a/b",
        "tdc://root/anna",
        "tdc://operator/" + "a" * 3_000,
    ],
)
def test_a_uri_in_any_other_spelling_is_no_identity(uri: str) -> None:
    with pytest.raises(NotAnIdentity):
        parse_identity(uri)


CLIENT, SERVER = x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH, x509.oid.ExtendedKeyUsageOID.SERVER_AUTH


def certificate_of(*names: str, usage: Sequence[x509.ObjectIdentifier] = (CLIENT,)) -> bytes:
    """A certificate for operators, PEM, as our CA never makes one."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    uris = [x509.UniformResourceIdentifier(f"tdc://operator/{name}") for name in names]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(uris), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def operator_of(pem: bytes) -> Operator:
    """Anna, by this certificate."""
    certificate = x509.load_pem_x509_certificate(pem)
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    issued = certificate.not_valid_before_utc.timestamp() + BACKDATE
    return Operator("anna", fingerprint, certificate.not_valid_after_utc.timestamp(), issued=issued)


def test_only_a_certificate_with_one_name_for_a_client_alone_is_an_identity(
    authority: Authority,
) -> None:
    anna = certificate_of("anna")
    assert identity_of(anna) == operator_of(anna)
    for pem in (
        certificate_of("anna", "root"),
        certificate_of("anna", usage=[SERVER]),
        certificate_of("anna", usage=[CLIENT, SERVER]),
        authority.issue_server().certificate_pem,
        authority.ca_pem,
    ):
        with pytest.raises(NotIdentified):
            identity_of(pem)


class _Call:
    """What gRPC knows of a call, and what its caller says."""

    def __init__(self, *certificates: bytes, kind: bytes = b"ssl") -> None:
        self._facts = {"transport_security_type": [kind], "x509_pem_cert": list(certificates)}

    def auth_context(self) -> Mapping[str, list[bytes]]:
        return self._facts

    def invocation_metadata(self) -> Sequence[tuple[str, str]]:
        names = ("tdc-identity", "x-forwarded-client-cert", "authorization", "user-agent")
        return [(name, "tdc://operator/root") for name in names]

    def peer(self) -> str:
        return "tdc://operator/root"


def test_who_calls_is_told_by_the_certificate_of_the_connection_alone() -> None:
    anna = certificate_of("anna")

    def peer(*certificates: bytes, kind: bytes = b"ssl") -> Peer:
        return peer_of(cast("Any", _Call(*certificates, kind=kind)))

    assert peer(anna) == operator_of(anna)
    for certificates, kind in (((), b"ssl"), ((anna, anna), b"ssl"), ((anna,), b"insecure")):
        with pytest.raises(NotIdentified):
            peer(*certificates, kind=kind)


async def test_the_ca_is_taken_from_the_server_only_if_its_fingerprint_is_the_one(
    authority: Authority, tmp_path: Path
) -> None:
    other = Authority.create(tmp_path / "other")
    async with serving(authority) as address:
        found = await grpc_tls.fetch_authority(address, authority.fingerprint, timeout=5)
        assert found.split() == authority.ca_pem.split()
        with pytest.raises(grpc_tls.WrongAuthority):
            await grpc_tls.fetch_authority(address, other.fingerprint, timeout=5)


async def test_a_server_that_does_not_answer_is_given_up_in_time() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with listening(say_nothing) as port:
        with pytest.raises(grpc_tls.ManagerUnreachable):
            await grpc_tls.fetch_authority(f"127.0.0.1:{port}", "00" * 32, timeout=0.2)
    for address in (f"127.0.0.1:{port}", "nonsense", "127.0.0.1:port"):
        with pytest.raises(grpc_tls.ManagerUnreachable):
            await grpc_tls.fetch_authority(address, "00" * 32, timeout=1)
