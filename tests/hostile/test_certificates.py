"""Certificates made to be taken for another's: no byte of a message goes to their owner."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from tdc.node_agent.deliver.tls import intake_context
from tdc.shared.edge.tasks import running

from tests.fakes.odd_certificates import (
    Issuer,
    below,
    huge_key,
    issued,
    new_authority,
    new_key,
    revoked,
    weak_key,
)
from tests.fakes.smtp_faults import Faults
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.delivery import HOST, DeliveryStage, staged

Files = tuple[Path, Path]
NOT_FOR_IT = "not for intake.example"


@contextlib.asynccontextmanager
async def odd_stage(folder: Path) -> AsyncIterator[tuple[DeliveryStage, Issuer, Path]]:
    """Delivery that trusts the odd authority, by this file; not yet begun."""
    issuer, ca_file = new_authority(folder)
    async with staged(folder / "stage", options={"ca_file": ca_file}, run=False) as stage:
        yield stage, issuer, ca_file


async def refused(stage: DeliveryStage, files: Files, check: str) -> None:
    """The copy waits, nothing was asked of the intake, and the log says why."""
    stage.intake.faults = Faults(certificate=(str(files[0]), str(files[1])))
    async with running(stage.delivery.run(), name="delivery"):
        mid = await stage.queue()
        await stage.logged(f"Message {mid} TLS Error: {HOST}:{stage.intake.port} ")
        await stage.logged(check)
    assert stage.intake.counts.mail_commands == 0
    assert stage.intake.bytes_of_messages_seen_without_tls == 0
    assert (stage.spool.facts().queued, stage.counters.delivered) == (1, 0)


async def accepted(stage: DeliveryStage, files: Files) -> None:
    stage.intake.faults = Faults(certificate=(str(files[0]), str(files[1])))
    async with running(stage.delivery.run(), name="delivery"):
        mid = await stage.queue()
        stage.delivery.kick()
        await stage.logged(f"Message {mid} delivered")


def _client_only(folder: Path, issuer: Issuer) -> Files:
    return issued(folder, issuer, [HOST], usage=ExtendedKeyUsageOID.CLIENT_AUTH)


def _code_signing(folder: Path, issuer: Issuer) -> Files:
    return issued(folder, issuer, [HOST], usage=ExtendedKeyUsageOID.CODE_SIGNING)


def _weak(folder: Path, issuer: Issuer) -> Files:
    return issued(folder, issuer, [HOST], key=weak_key())


def _weak_authority(folder: Path, issuer: Issuer) -> Files:
    return issued(folder, below(issuer, 1, weak_key()), [HOST])


def _leaf_as_authority(folder: Path, issuer: Issuer) -> Files:
    """Who has a certificate for a name of his own signs another one with its key."""
    key = new_key()
    chain, _ = issued(folder, issuer, ["attacker.example"], common_name="attacker", key=key)
    leaf = x509.load_pem_x509_certificate(chain.read_bytes())
    return issued(folder, Issuer(leaf.subject, key, (leaf,)), [HOST])


def _chain_of_150(folder: Path, issuer: Issuer) -> Files:
    return issued(folder, below(issuer, 150), [HOST])


def _key_of_20_902_bits(folder: Path, issuer: Issuer) -> Files:
    return issued(folder, issuer, [HOST], key=huge_key(11_213, 9_689))


@pytest.mark.proves("F42", "B68", "P9")
@pytest.mark.parametrize(
    ("make", "check"),
    [
        (_client_only, "presents a certificate that is not for servers"),
        (_code_signing, "presents a certificate that is not for servers"),
        (_weak, "presents a certificate with a key that is too weak"),
        (_weak_authority, "presents a chain with a key that is too weak"),
        (_leaf_as_authority, "presents a certificate that is not trusted: invalid CA certificate"),
        (_chain_of_150, "presents a chain that is too long"),
        (_key_of_20_902_bits, "failed the TLS handshake"),
    ],
)
async def test_a_certificate_that_is_not_fit_is_refused(
    tmp_path: Path, make: Callable[[Path, Issuer], Files], check: str
) -> None:
    """Each is signed by an authority that we trust, for the right name."""
    async with odd_stage(tmp_path) as (stage, issuer, _):
        await refused(stage, make(tmp_path, issuer), check)


@pytest.mark.proves("B68")
@pytest.mark.parametrize(
    ("names", "common_name"),
    [
        (["*.com"], "x"),
        (["*.example"], "x"),
        (["*"], "x"),
        (["*.*.example"], "x"),
        (["m*.intake.example"], "x"),
        ([], HOST),
        (["attacker.example"], HOST),
        ([f"{HOST}\0.attacker.example"], "x"),
        (["intake.example\0"], "x"),
        (["attacker.example\0intake.example"], "x"),
        (["attacker.example"], f"{HOST}\0.attacker.example"),
    ],
    ids=ascii,
)
async def test_a_name_that_only_looks_right_is_refused(
    tmp_path: Path, names: list[str], common_name: str
) -> None:
    """A wildcard over a top-level domain, a common name alone, a name that for C ends at a NUL."""
    async with odd_stage(tmp_path) as (stage, issuer, _):
        await refused(stage, issued(tmp_path, issuer, names, common_name=common_name), NOT_FOR_IT)
        assert "\0" not in stage.log.getvalue()


@pytest.mark.proves("B68")
async def test_each_mx_is_judged_by_its_own_certificate(tmp_path: Path) -> None:
    """A good one of the first MX is none for the second, and the other way round."""
    async with odd_stage(tmp_path) as (stage, issuer, _):
        other = "mx2.intake.example"
        first = issued(tmp_path, issuer, [HOST])
        stage.intake.faults = Faults(certificate=(str(first[0]), str(first[1])))
        stage.dns.zone["intake.example"] = {"MX": [[10, other], [20, HOST]]}
        stage.dns.zone[other] = {"A": ["127.0.0.3"]}
        async with SmtpSink(
            host="127.0.0.3", port=stage.intake.port, certificate=first
        ) as borrowing:
            async with running(stage.delivery.run(), name="delivery"):
                await stage.queue()
                await stage.drained()
            assert (len(borrowing.messages), borrowing.counts.mail_commands) == (0, 0)
            assert len(stage.intake.messages) == 1
            second = issued(tmp_path, issuer, [other])
            borrowing.faults = Faults(certificate=(str(second[0]), str(second[1])))
            stage.delivery.kick()
            async with running(stage.delivery.run(), name="delivery"):
                await stage.queue()
                await stage.drained()
            assert len(borrowing.messages) == 1


@pytest.mark.proves("B68")
async def test_a_chain_of_100_is_followed_in_a_moment(tmp_path: Path) -> None:
    """Lawful, if odd: 99 authorities between the certificate and the one that is trusted."""
    async with odd_stage(tmp_path) as (stage, issuer, _):
        files = issued(tmp_path, below(issuer, 99), [HOST])
        used = time.process_time()
        await accepted(stage, files)
        assert time.process_time() - used < 2


@pytest.mark.proves("B68")
async def test_a_key_of_16_kbit_holds_nobody_up(tmp_path: Path) -> None:
    """15 636 bits: the making of its signature is the intake's work, and ours is small."""
    async with odd_stage(tmp_path) as (stage, issuer, _):
        await accepted(stage, issued(tmp_path, issuer, [HOST], key=huge_key(11_213, 4_423)))


@pytest.mark.proves("F42")
async def test_a_list_of_revoked_certificates_in_the_ca_file_is_obeyed(tmp_path: Path) -> None:
    """OpenSSL loads a list with the CAs, and by itself it asks it nothing."""
    async with odd_stage(tmp_path) as (stage, issuer, ca_file):
        good, bad = (issued(tmp_path, issuer, [HOST]) for _ in range(2))
        ca_file.write_bytes(ca_file.read_bytes() + revoked(issuer, [bad[0]]))
        await refused(stage, bad, "presents a certificate that its CA has revoked")
        await accepted(stage, good)
        assert len(stage.intake.messages) == 2


@pytest.mark.proves("F42")
@pytest.mark.parametrize("ended", [True, False])
async def test_a_list_that_says_nothing_of_the_certificate_lets_nothing_pass(
    tmp_path: Path, ended: bool
) -> None:
    """It is out of date, or of another authority: who keeps a list wants it to be asked."""
    async with odd_stage(tmp_path) as (stage, issuer, ca_file):
        (tmp_path / "other").mkdir()
        another, _ = new_authority(tmp_path / "other", "Another CA")
        listed = revoked(issuer if ended else another, [], ended=ended)
        ca_file.write_bytes(ca_file.read_bytes() + listed)
        check = "is out of date: renew it" if ended else "without a list of revoked certificates"
        await refused(stage, issued(tmp_path, issuer, [HOST]), check)


@pytest.mark.proves("F42")
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_the_strength_that_is_asked_for_is_not_left_to_the_system(version: str) -> None:
    assert intake_context(version, None, chain=True).security_level >= 2
    assert intake_context(version, None, chain=False).security_level >= 2
