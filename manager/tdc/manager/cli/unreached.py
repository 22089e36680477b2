"""Why there is no trusted connection to the manager, in an operator's words.

In: operator.toml as read, and gRPC's error. Out: one text: what happened, what it means, what to
do. The operator's own certificate is examined only here, after a failure: a manager that refuses
it just closes the connection (TLS 1.3), and gRPC knows nothing more.
"""

from __future__ import annotations

import contextlib
import datetime

from tdc.manager.cli.config import OperatorConfig
from tdc.manager.cli.errors import sentence
from tdc.shared.edge.clock import wall
from tdc.shared.edge.grpc_words import is_of_the_clock, reason
from tdc.shared.sync.words import moment_words

_REPLACE = "run `tdc-manager operator` on the manager's machine for a new folder"


def no_connection(config: OperatorConfig, details: str) -> str:
    """The text for a manager that was not reached, not trusted, or closed the connection."""
    given = details
    address, low, details = config.manager, details.lower(), reason(details)
    if "wrong_version_number" in low:
        return (
            f"{address} did not respond with TLS; check host and port. "
            f"The address is in {config.path}."
        )
    if is_of_the_clock(given):
        return (
            f"No trusted connection to the manager at {address}: {sentence(details)} Nothing was "
            f"sent. It is {moment_words(wall())} here."
        )
    if "handshake" in low or "certificate" in low:
        check = (
            f"Check that ca, certificate and key in {config.path} belong to this manager. If its "
            f"CA was replaced since: {_REPLACE}."
        )
        advice = _own_fault(config) or _wrong_port(config) or check
        return (
            f"No trusted connection to the manager at {address}: {sentence(details)} Nothing was "
            f"sent. {advice}"
        )
    if "socket closed" in low or "reset" in low or "broken pipe" in low:
        check = (
            f"It does not know this operator's certificate, has just stopped, or is not a "
            f"manager. Check that {config.path} belongs to this manager. If its CA was replaced "
            f"since: {_REPLACE}."
        )
        advice = _own_fault(config) or _wrong_port(config) or check
        return f"The manager at {address} closed the connection ({details}). {advice}"
    return (
        f"Can't reach the manager at {address}: {sentence(details)} Check that it is running, and "
        f"the address in {config.path}."
    )


def _wrong_port(config: OperatorConfig) -> str:
    """What operator.toml needs without a certificate; empty with one."""
    if config.certificate is not None:
        return ""
    return (
        f"Without a certificate {config.path} needs the address of the manager's operator port: "
        "the main port lets in certificates alone."
    )


def _own_fault(config: OperatorConfig) -> str:
    """What is wrong with the operator's own files; empty if nothing is."""
    from cryptography import x509  # noqa: PLC0415  # heavy, and needed after a failure only
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    if config.certificate is None or config.key is None:
        return ""
    try:
        certificate = x509.load_pem_x509_certificate(config.certificate)
        authorities = x509.load_pem_x509_certificates(config.ca)
        key = serialization.load_pem_private_key(config.key, password=None)
    except (ValueError, TypeError) as error:  # TypeError: the key has a password
        return f"A file named in {config.path} can't be used: {sentence(str(error))}"
    now = datetime.datetime.fromtimestamp(wall(), datetime.UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > ends:
        return f"This operator's certificate expired {ends:%Y-%m-%d %H:%M:%SZ}: {_REPLACE}."
    if now < begins:
        return (
            f"This operator's certificate is not valid before {begins:%Y-%m-%d %H:%M:%SZ}: check "
            f"this machine's clock."
        )
    if certificate.public_key() != key.public_key():
        return f"The key in {config.path} does not match the certificate."
    for each in authorities:  # two, of a folder that was made while the CA was replaced
        with contextlib.suppress(InvalidSignature, ValueError, TypeError):
            certificate.verify_directly_issued_by(each)
            return ""
    return f"The certificate in {config.path} was not issued by the CA in it."
