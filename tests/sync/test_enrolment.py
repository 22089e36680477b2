"""Enrolment and renewal: one token, one machine, a certificate that stays fresh by itself."""

from __future__ import annotations

import asyncio
import stat
from hashlib import sha256
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tdc.manager.identity.authority import Authority
from tdc.manager.identity.join import token_hash
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.sync import identity as identities
from tdc.node_agent.sync import last_good
from tdc.node_agent.sync import renewal as renewals
from tdc.node_agent.sync.enrol import EnrolFailed, enrol
from tdc.node_agent.sync.managers import Managers
from tdc.node_agent.sync.renewal import Renewal
from tdc.shared.edge import grpc_tls
from tdc.shared.edge.clock import wall
from tdc.shared.edge.tasks import running
from tdc.shared.sync.identity import MachinePeer, parse_identity
from tdc.shared.sync.values import Running
from tdc.v1 import agents_pb2, agents_pb2_grpc

from tests.stage.settings_stream import ManagerSide, agent, join, until

NOBODY = 65_534


@pytest.mark.proves("S6")
async def test_a_token_makes_one_machine_known_by_a_key_that_stays_here(
    manager: ManagerSide, tmp_path: Path
) -> None:
    token = manager.joins.make(manager.authority)
    made = await join(manager, token.text, tmp_path)
    assert (made.cluster, made.machine) == ("c1", "mx1")
    key = tmp_path / "identity" / identities.FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert identities.load(tmp_path / "identity") == made
    assert token.text not in repr(token)
    manager.view.commit(1)
    async with agent(tmp_path, manager.address):
        await until(lambda: manager.state() == "in sync")


@pytest.mark.proves("P18", "B92")
async def test_a_token_works_once_and_its_failure_harms_no_identity(
    manager: ManagerSide, tmp_path: Path
) -> None:
    token = manager.joins.make(manager.authority)
    made = await join(manager, token.text, tmp_path)
    with pytest.raises(EnrolFailed, match="used already"):
        await join(manager, token.text, tmp_path)
    assert identities.load(tmp_path / "identity") == made


@pytest.mark.proves("B93")
async def test_a_request_that_is_refused_uses_up_no_token(
    manager: ManagerSide, tmp_path: Path
) -> None:
    """The key is judged first: a machine with an old library may try again with a better one."""
    token = manager.joins.make(manager.authority).text
    weak = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = weak.sign(rsa.generate_private_key(65_537, 1_024), hashes.SHA256())
    pem = request.public_bytes(serialization.Encoding.PEM).decode()
    async with grpc_tls.client_channel(manager.enrol_address, manager.authority.ca_pem) as channel:
        stub = agents_pb2_grpc.EnrolmentStub(channel)
        for csr in (pem, "nothing", ""):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.Enrol(agents_pb2.EnrolRequest(token=token, csr_pem=csr), timeout=5)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert manager.joins.used == {}
    assert (await join(manager, token, tmp_path)).machine == "mx1"


async def test_enrolling_at_the_port_of_the_enrolled_says_which_port_is_meant(
    manager: ManagerSide, tmp_path: Path
) -> None:
    """The likeliest slip; the connection only closes, and the token is still good."""
    token = manager.joins.make(manager.authority)
    with pytest.raises(EnrolFailed, match="Use its enrolment port: 7444"):
        await enrol(manager.address, token.text, tmp_path / "identity", tmp_path)
    assert (await join(manager, token.text, tmp_path)).machine == "mx1"


async def test_enrolling_at_the_port_for_operators_says_which_port_is_meant(
    manager: ManagerSide, tmp_path: Path
) -> None:
    """It asks for no certificate either, and does not know this service."""
    token, issued = manager.joins.make(manager.authority), manager.authority.issue_server()
    material = grpc_tls.ServerMaterial(issued.certificate_pem, issued.key_pem)
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", grpc_tls.server_credentials(lambda: material))
    await server.start()
    try:
        with pytest.raises(EnrolFailed, match="not that for enrolment, which is 7444"):
            await enrol(f"127.0.0.1:{port}", token.text, tmp_path / "identity", tmp_path)
    finally:
        await server.stop(0)
    assert (await join(manager, token.text, tmp_path)).machine == "mx1"


@pytest.mark.proves("P18", "B92")
async def test_of_two_machines_with_one_token_exactly_one_wins(
    manager: ManagerSide, tmp_path: Path
) -> None:
    token = manager.joins.make(manager.authority)
    tries = [join(manager, token.text, tmp_path / name) for name in ("one", "two", "three")]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == [
        "EnrolFailed",
        "EnrolFailed",
        "Identity",
    ]


@pytest.mark.proves("P18", "B92")
async def test_a_token_that_expired_or_is_not_known_enrols_nobody(
    manager: ManagerSide, tmp_path: Path
) -> None:
    expired = manager.joins.make(manager.authority, lifetime=-1)
    with pytest.raises(EnrolFailed, match="expired"):
        await join(manager, expired.text, tmp_path)
    unknown = manager.joins.make(manager.authority)
    manager.joins.tokens.clear()
    with pytest.raises(EnrolFailed, match="not known"):
        await join(manager, unknown.text, tmp_path)
    with pytest.raises(EnrolFailed, match="not a join token"):
        await join(manager, "secret", tmp_path)
    with pytest.raises(identities.NotEnrolled):
        identities.load(tmp_path / "identity")


async def test_a_token_is_not_shown_to_a_manager_with_another_ca(
    manager: ManagerSide, tmp_path: Path
) -> None:
    other = Authority.create(tmp_path / "other")
    token = manager.joins.make(other)
    with pytest.raises(EnrolFailed, match="does not present the CA"):
        await join(manager, token.text, tmp_path)
    assert manager.joins.used == {}


async def test_an_impostor_that_shows_our_ca_without_its_key_gets_no_token(
    manager: ManagerSide, tmp_path: Path
) -> None:
    """The CA is public: showing it proves nothing; the handshake made with it alone does."""
    impostor = Authority.create(tmp_path / "impostor")
    true_ca = manager.authority.ca_pem
    await manager.stop()
    mine = impostor.issue_server()
    shown = mine.certificate_pem.replace(impostor.ca_pem, true_ca)
    manager.authority.issue_server = lambda *_, **__: type(mine)(shown, mine.key_pem)  # type: ignore[method-assign]  # the impostor's chain
    await manager.start()
    token = manager.joins.make(manager.authority)
    with pytest.raises(EnrolFailed):
        await join(manager, token.text, tmp_path)
    assert manager.joins.used == {}


@pytest.mark.proves("S5")
def test_only_the_hash_of_a_token_is_stored(manager: ManagerSide) -> None:
    token = manager.joins.make(manager.authority)
    assert token.hash == token_hash(token.text) == sha256(token.text.encode()).hexdigest()
    assert list(manager.joins.tokens) == [token.hash]
    shown = f"{token!r} {manager.joins.tokens}"
    secret = token.text.rpartition(".")[2]
    assert len(secret) == 32, "160 bits: too long to guess"
    assert secret not in shown


async def test_enrolling_in_another_cluster_starts_its_revisions_anew(
    manager: ManagerSide, tmp_path: Path
) -> None:
    await join(manager, manager.joins.make(manager.authority).text, tmp_path)
    last_good.save(tmp_path, Running(7, "a", "store-1"), {"max_message_size": 1})
    await join(manager, manager.joins.make(manager.authority).text, tmp_path)
    assert last_good.load(tmp_path).running.store_id == "store-1"
    token = manager.joins.make(manager.authority)
    old = manager.joins.tokens[token.hash]
    manager.joins.tokens[token.hash] = type(old)("c2", old.group, old.machine, old.expires)
    await join(manager, token.text, tmp_path)
    assert last_good.load(tmp_path).running == Running(7, "a", "")


@pytest.mark.proves("S6")
async def test_a_certificate_is_renewed_at_half_life_and_keeps_its_key(
    manager: ManagerSide, tmp_path: Path
) -> None:
    made = await join(manager, manager.joins.make(manager.authority).text, tmp_path)
    assert made.begins + 0.45 * (made.ends - made.begins) <= made.renew_at(0.0)
    assert made.renew_at(0.999) < made.begins + 0.55 * (made.ends - made.begins)
    now = made.renew_at(0.5) + 1
    managers = Managers(("127.0.0.1:1", manager.address))
    renewal = Renewal(
        managers, tmp_path / "identity", TdcLog(), clock=lambda: now, chance=lambda: 0.5
    )
    manager.authority._clock = lambda: now
    async with running(renewal.run(), name="renewal"):
        await until(lambda: renewal.ends is not None and renewal.ends > made.ends)
    renewed = identities.load(tmp_path / "identity")
    assert renewed.key_pem == made.key_pem
    assert renewed.ends > made.ends
    assert _name_in(renewed.certificate_pem) == _name_in(made.certificate_pem), "one enrolment"
    assert renewal.warnings() == ()


def _name_in(pem: bytes) -> str:
    extensions = x509.load_pem_x509_certificate(pem).extensions
    (uri,) = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return str(uri.value)


async def test_a_clock_that_is_far_ahead_renews_no_more_often_than_a_right_one(
    manager: ManagerSide, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """To such a clock each new certificate is past its half life too: at once the next one."""
    await join(manager, manager.joins.make(manager.authority).text, tmp_path)
    caplog.set_level("INFO", "tdc.manager.rpc.agents")
    folder = tmp_path / "identity"
    ahead = Renewal(Managers((manager.address,)), folder, TdcLog(), clock=lambda: wall() + 1e8)
    async with running(ahead.run(), name="renewal"):
        await until(lambda: ahead.warnings() != ())
        await asyncio.sleep(0.5)
    assert len([each for each in caplog.messages if "renewed its certificate" in each]) == 1
    assert "clock" in ahead.warnings()[0]


@pytest.mark.parametrize("off", [-50_000.0, -1e8, 0.0], ids=["hours behind", "years", "right"])
async def test_a_clock_that_is_behind_renews_in_time(
    manager: ManagerSide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off: float
) -> None:
    """By such a clock half life comes when the certificate has long ended."""
    monkeypatch.setattr(renewals, "LOOK_AGAIN", 0.02)
    made = await join(manager, manager.joins.make(manager.authority).text, tmp_path)
    folder, passed = tmp_path / "identity", 0.0
    renewal = Renewal(
        Managers((manager.address,)),
        folder,
        TdcLog(),
        clock=lambda: wall() + off + passed,
        steady=lambda: passed,
    )
    async with running(renewal.run(), name="renewal"):
        if off:
            await until(lambda: renewal.warnings() != ())
            assert identities.load(folder) != made, "its begin was in the future"
            assert "clock" in renewal.warnings()[0]
        held = identities.load(folder)
        passed = 0.3 * (held.ends - held.begins)
        await asyncio.sleep(0.3)
        assert identities.load(folder) == held
        passed = 0.56 * (held.ends - held.begins)
        manager.authority._clock = lambda: wall() + passed
        await until(lambda: identities.load(folder).begins > held.begins)


async def test_a_clock_that_was_set_right_is_no_trouble_any_more(
    manager: ManagerSide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewals, "LOOK_AGAIN", 0.02)
    await join(manager, manager.joins.make(manager.authority).text, tmp_path)
    off = 1e8
    renewal = Renewal(
        Managers((manager.address,)),
        tmp_path / "identity",
        TdcLog(),
        clock=lambda: wall() + off,
    )
    async with running(renewal.run(), name="renewal"):
        await until(lambda: renewal.warnings() != ())
        off = 0.0
        await until(lambda: renewal.warnings() == ())


async def test_a_machine_that_was_enrolled_anew_elsewhere_can_not_renew(
    manager: ManagerSide, tmp_path: Path
) -> None:
    made = await join(manager, manager.joins.make(manager.authority).text, tmp_path)
    manager.view.enrolments["c1", "mx1"] = "someone else's"
    folder = tmp_path / "identity"
    renewal = Renewal(Managers((manager.address,)), folder, TdcLog(), clock=lambda: made.ends - 1)
    async with running(renewal.run(), name="renewal"):
        await until(lambda: renewal.warnings() != ())
    assert "enrolled again" in renewal.warnings()[0]
    assert identities.load(folder) == made


async def test_an_expired_certificate_stops_nothing_and_enrolling_mends_it(
    manager: ManagerSide, tmp_path: Path
) -> None:
    """What ran goes on; the same running agent takes the new identity by itself."""
    manager.view.commit(3, max_message_size=1_000)
    await join(manager, manager.joins.make(manager.authority).text, tmp_path)
    async with agent(tmp_path, manager.address):
        await until(lambda: manager.state() == "in sync")
    manager.lifetime = -1.0
    manager.enrolled(tmp_path / "identity", enrolment="e7")
    assert identities.load(tmp_path / "identity").ends < wall()
    async with agent(tmp_path, manager.address) as mx1:
        await asyncio.sleep(0.3)
        assert not mx1.stream.connected
        assert mx1.in_force.current().max_message_size == 1_000
        await manager.stop()
        manager.lifetime = 3_600.0
        await manager.start()
        await join(manager, manager.joins.make(manager.authority).text, tmp_path)
        await until(lambda: manager.state() == "in sync")


@pytest.mark.parametrize(("cluster", "machine"), [("c1", "mx2"), ("c2", "mx1")])
async def test_a_renewal_makes_no_other_machine_of_this_one(
    manager: ManagerSide, tmp_path: Path, cluster: str, machine: str
) -> None:
    """A manager with a fault may send what it likes: this machine stays who it is."""
    made = await join(manager, manager.joins.make(manager.authority).text, tmp_path)
    issue = manager.authority.issue_machine

    def of_another(csr: str, *_: str, **options: float) -> bytes:
        return issue(csr, cluster, machine, "e9", **options)

    manager.authority.issue_machine = of_another  # type: ignore[method-assign,assignment]
    folder = tmp_path / "identity"
    renewal = Renewal(Managers((manager.address,)), folder, TdcLog(), clock=lambda: made.ends - 1)
    async with running(renewal.run(), name="renewal"):
        await until(lambda: renewal.warnings() != ())
    assert "sent another machine's certificate" in renewal.warnings()[0]
    assert identities.load(folder) == made


async def test_a_renewal_that_ends_after_an_enrolment_changes_nothing(
    manager: ManagerSide, tmp_path: Path
) -> None:
    """Else the machine had the certificate of an enrolment that is over, and no other."""
    folder = tmp_path / "identity"
    held = await join(manager, manager.joins.make(manager.authority).text, tmp_path)
    again = await join(manager, manager.joins.make(manager.authority).text, tmp_path)
    assert identities.save_renewed(folder, held, held) is False
    assert identities.load(folder) == again
    assert identities.save_renewed(folder, again, held) is True


@pytest.mark.proves("B93")
async def test_what_a_request_asks_to_be_called_is_no_name_in_the_certificate(
    manager: ManagerSide,
) -> None:
    """mx1's token, and a request that asks to be an operator, another machine and a CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    asked = [
        x509.UniformResourceIdentifier("tdc://operator/ana"),
        x509.UniformResourceIdentifier("tdc://machine/c1/mx2/e1"),
        x509.DNSName("tdc-manager"),
    ]
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mx2")]))
        .add_extension(x509.SubjectAlternativeName(asked), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )
    token = manager.joins.make(manager.authority).text
    async with grpc_tls.client_channel(manager.enrol_address, manager.authority.ca_pem) as channel:
        stub = agents_pb2_grpc.EnrolmentStub(channel)
        made = await stub.Enrol(agents_pb2.EnrolRequest(token=token, csr_pem=request), timeout=5)
    certificate = x509.load_pem_x509_certificate(made.certificate_pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = [str(each.value) for each in names]
    assert parse_identity(uri) == MachinePeer("c1", "mx1", manager.view.enrolments["c1", "mx1"])
    assert certificate.subject.rdns == []
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
