"""What gRPC says of a failed connection, in words for people."""

from __future__ import annotations

import pytest
from tdc.shared.edge.grpc_words import address, connection_lost, never_sent, reason

_ALL = "failed to connect to all addresses; last error: "
_TLS = "Tls handshake failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1000007d:SSL routines:"


@pytest.mark.parametrize(
    ("details", "said"),
    [
        (
            f"{_ALL}UNKNOWN: ipv4:127.0.0.1:9: Failed to connect to remote host: "
            "Connection refused",
            "connection refused",
        ),
        (
            f"{_ALL}UNKNOWN: ipv6:%5B::1%5D:9: Failed to connect to remote host: "
            "Connection refused",
            "connection refused",
        ),
        (
            f"{_ALL}UNKNOWN: ipv4:127.0.0.1:9: {_TLS}OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: "
            "unable to get local issuer certificate: OK",
            "its certificate can't be verified (unable to get local issuer certificate)",
        ),
        (
            f"{_ALL}UNKNOWN: ipv4:127.0.0.1:9: Ssl handshake failed (TSI_PROTOCOL_FAILURE): "
            "SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED",
            "its certificate can't be verified",
        ),
        (
            f"{_ALL}UNKNOWN: ipv4:127.0.0.1:9: {_TLS}OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: "
            "certificate is not yet valid: OK",
            "its certificate is not valid yet by this machine's clock: check that clock, and the "
            "other machine's",
        ),
        (
            f"{_ALL}UNKNOWN: ipv4:127.0.0.1:9: {_TLS}OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: "
            "certificate has expired: OK",
            "its certificate has expired by this machine's clock: check that clock, and the other "
            "machine's",
        ),
        (
            f"{_ALL}UNKNOWN: ipv4:127.0.0.1:9: {_TLS}OPENSSL_internal:WRONG_VERSION_NUMBER",
            "TLS failed (wrong version number)",
        ),
        (
            f"{_ALL}UNKNOWN: ipv4:127.0.0.1:9: Custom verification check failed with error: "
            "UNAUTHENTICATED: Hostname Verification Check failed.",
            "its certificate is for another name",
        ),
        (f"{_ALL}UNAVAILABLE: ipv4:127.0.0.1:9: Socket closed", "socket closed"),
        (
            f"{_ALL}UNAVAILABLE: ipv4:127.0.0.1:9: Handshake read failed (Socket closed)",
            "socket closed",
        ),
        (
            "errors resolving nope.invalid:9: [field:hostname lookup error:address lookup failed "
            "for nope.invalid:9: Domain name not found]",
            "the name nope.invalid was not found (domain name not found)",
        ),
        ("Stream removed (Socket closed)", "socket closed"),
        ("Deadline Exceeded", "no answer in time"),
        ("etcdserver: request timed out", "etcdserver: request timed out"),
        ("TLS is required", "TLS is required"),
    ],
)
def test_a_reason_has_no_names_of_layers(details: str, said: str) -> None:
    assert reason(details) == said


def test_a_connection_that_ended_is_told_from_an_answer_of_the_manager() -> None:
    for ended in ("Socket closed", "recvmsg:Connection reset by peer", "GOAWAY received"):
        assert connection_lost(ended)
    for answered in ("unknown join token", "the manager can't do this now: etcd is unreachable"):
        assert not connection_lost(answered)


def test_only_a_call_without_a_connection_was_never_sent() -> None:
    assert never_sent(f"{_ALL}UNKNOWN: ipv4:127.0.0.1:9: Connection refused")
    assert never_sent("errors resolving nope.invalid:9: []")
    assert not never_sent("Socket closed")


@pytest.mark.parametrize(
    ("peer", "shown"),
    [
        ("ipv4:192.0.2.7:4312", "192.0.2.7:4312"),
        ("ipv6:%5B2001:db8::7%5D:4312", "[2001:db8::7]:4312"),
        ("unix:/run/tdc.sock", "unix:/run/tdc.sock"),
    ],
)
def test_an_address_is_written_as_people_do(peer: str, shown: str) -> None:
    assert address(peer) == shown
