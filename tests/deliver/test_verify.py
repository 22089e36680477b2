"""Whose certificate is accepted: names, pins, and real handshakes in memory."""

from __future__ import annotations

import hashlib
import os
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.deliver.mx import Candidate
from tdc.node_agent.deliver.tls import NoTrust, intake_context
from tdc.node_agent.deliver.verify import (
    TlsPolicy,
    TlsRefused,
    _names_of,
    covers,
    handshake_fault,
    verify_peer,
)
from tdc.shared.connector.intake import Intake

from tests.stage.delivery import INTAKE, Authority, make_settings

MX = Candidate("mx1.intake.example", "192.0.2.1", 25)
FOREIGN = Candidate("mx.hosting.example", "192.0.2.1", 25)
ROUTE = Candidate("relay.local.example", "192.0.2.1", 25, by_mx=False)
LITERAL = Candidate("192.0.2.1", "192.0.2.1", 25, by_mx=False)
LITERAL_6 = Candidate("2001:DB8::1", "2001:DB8::1", 25, by_mx=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def policy(authority: Authority, **settings: object) -> TlsPolicy:
    return TlsPolicy.of(
        Intake.of(INTAKE, make_settings(**settings)), "intake.example", authority.ca_file
    )


def handshake(
    client: ssl.SSLContext, files: tuple[Path, Path], *, newest: ssl.TLSVersion | None = None
) -> ssl.SSLObject:
    """Shake hands in memory; raises what the client's side of it raises."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*files)
    if newest is not None:
        server.set_ciphers("ALL:@SECLEVEL=0")
        server.minimum_version, server.maximum_version = ssl.TLSVersion.TLSv1, newest
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(down, up, server_hostname="intake.example")
    theirs = server.wrap_bio(up, down, server_side=True)
    done: set[ssl.SSLObject] = set()
    while len(done) < 2:
        for end in (ours, theirs):
            try:
                end.do_handshake()
                done.add(end)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                if end is ours:
                    raise
    return ours


@pytest.mark.parametrize(
    ("names", "candidate", "settings", "accepted"),
    [
        (["intake.example"], FOREIGN, {}, True),
        (["mx1.intake.example"], MX, {}, True),
        (["*.intake.example"], MX, {}, True),
        (["mx.hosting.example"], FOREIGN, {}, False),
        (["mx2.intake.example"], MX, {}, False),
        (["attacker.example"], MX, {}, False),
        (["evilintake.example"], Candidate("evilintake.example", "192.0.2.1", 25), {}, False),
        (["mx.hosting.example"], FOREIGN, {"tls_names": ("mx.hosting.example",)}, True),
        (["mx.hosting.example"], FOREIGN, {"tls_names": (".hosting.example",)}, True),
        (["*.hosting.example"], FOREIGN, {"tls_names": (".hosting.example",)}, True),
        (["xhosting.example"], FOREIGN, {"tls_names": (".hosting.example",)}, False),
        (["intake.example"], MX, {"tls_names": ("other.example",)}, False),
        (["relay.local.example"], ROUTE, {}, True),
        (["intake.example"], ROUTE, {}, True),
        (["192.0.2.1"], LITERAL, {}, True),
        (["192.0.2.2"], LITERAL, {}, False),
        (["2001:db8::1"], LITERAL_6, {}, True),
        (["2001:db8::2"], LITERAL_6, {}, False),
    ],
)
@pytest.mark.proves("S18")
def test_which_name_is_right(
    authority: Authority,
    names: list[str],
    candidate: Candidate,
    settings: dict[str, object],
    accepted: bool,
) -> None:
    rules = policy(authority, **settings)
    peer = handshake(rules.context(), authority.issue(*names))
    if accepted:
        verify_peer(peer, candidate, rules)
        return
    with pytest.raises(TlsRefused, match="presents a certificate for"):
        verify_peer(peer, candidate, rules)


def test_a_pin_replaces_chain_and_name(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    files = Authority(tmp_path / "other").issue_expired("whatever.example")
    der = ssl.PEM_cert_to_DER_cert(files[0].read_text())
    pin = f"sha256:{hashlib.sha256(der).hexdigest()}"
    rules = policy(authority, tls_verification="pinned", tls_pins=(pin,))
    verify_peer(handshake(rules.context(), files), MX, rules)
    for wrong in (frozenset(), frozenset({"sha256:" + "0" * 64})):
        other = replace(rules, pins=wrong)
        with pytest.raises(TlsRefused, match=f"not in tls.pins: {pin}"):
            verify_peer(handshake(other.context(), files), MX, other)


def test_the_alert_of_a_peer_without_tls_1_2_is_explained(authority: Authority) -> None:
    rules = policy(authority)
    files = authority.issue("intake.example")
    with pytest.raises(ssl.SSLError) as caught:
        handshake(rules.context(), files, newest=ssl.TLSVersion.TLSv1_1)
    assert "does not support TLS 1.2 or newer" in handshake_fault(caught.value, rules)


def test_chain_trouble_says_what_to_check(authority: Authority, tmp_path: Path) -> None:
    rules = policy(authority)
    (tmp_path / "other").mkdir()
    for files, text in (
        (authority.issue_expired("intake.example"), "expired"),
        (Authority(tmp_path / "other").issue("intake.example"), "unknown CA"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            handshake(rules.context(), files)
        assert text in handshake_fault(caught.value, rules)


@pytest.mark.parametrize("version", ["1.0", "1.1", "", "SSLv3"])
@pytest.mark.proves("S18")
def test_no_context_below_tls_1_2_can_be_made(version: str) -> None:
    with pytest.raises(ValueError, match=r"not one of 1\.2, 1\.3"):
        intake_context(version, None, chain=True)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_context_offers_nothing_older_than_asked_for(version: str) -> None:
    lowest = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
    for chain in (True, False):
        assert intake_context(version, None, chain=chain).minimum_version is lowest


def test_a_trust_file_that_was_replaced_counts_from_the_next_connection(
    authority: Authority, tmp_path: Path
) -> None:
    """As a CA does that is renewed: nobody restarts a gateway for it."""
    rules = policy(authority)
    handshake(rules.context(), authority.issue("intake.example"))
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    changed = authority.ca_file.stat().st_mtime_ns + 1_000_000
    authority.ca_file.write_bytes(other.ca_file.read_bytes())
    os.utime(authority.ca_file, ns=(changed, changed))
    handshake(rules.context(), other.issue("intake.example"))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(rules.context(), authority.issue("intake.example"))


def test_a_trust_file_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    for content in (None, b"", b"no certificate"):
        path = tmp_path / "ca.pem"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(NoTrust, match=r"ca\.pem"):
            intake_context("1.2", path, chain=True)


LABELS = st.lists(st.sampled_from(["a", "b", "*"]), min_size=1, max_size=4).map(".".join)


@given(LABELS, st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4).map(".".join))
def test_wildcards_stand_for_one_whole_label(name: str, host: str) -> None:
    """Against a twin that compares label by label (RFC 6125 6.4.3)."""
    given_labels, labels = name.split("."), host.split(".")
    same = len(given_labels) == len(labels) and given_labels[1:] == labels[1:]
    wildcard = same and given_labels[0] == "*" and len(labels) > 2
    assert covers({name}, host) == (name == host or wildcard)


@pytest.mark.parametrize(
    ("name", "host", "stands"),
    [
        ("*.b.example", "a.b.example", True),
        ("*.b.example", "b.example", False),
        ("*.b.example", "c.a.b.example", False),
        ("*.example", "b.example", False),
        ("a*.b.example", "ab.b.example", False),
        ("*.*.example", "a.b.example", False),
        ("*", "localhost", False),
    ],
)
def test_what_a_wildcard_stands_for(name: str, host: str, stands: bool) -> None:
    assert covers({name}, host) is stands


def test_a_name_means_the_same_in_any_case() -> None:
    for name in ("MX1.Intake.example", "mx1.intake.example."):
        found, _ = _names_of({"subjectAltName": (("DNS", name), ("email", "x@y.example"))})
        assert found == {"mx1.intake.example"}
