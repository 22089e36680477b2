"""Why there is no trusted connection to the manager, in an operator's words.

In: operator.toml as read, and what gRPC says. Out: one text: what happened, what it means, what
to do. The operator's own certificate is looked into only here, after a failure: a manager that
refuses it just ends the connection (TLS 1.3), and gRPC knows no more than that.
"""

from __future__ import annotations

import datetime

from tdc.manager.cli.config import OperatorConfig
from tdc.manager.cli.errors import sentence
from tdc.shared.edge.clock import wall

_NEW_ONE = "`tdc-manager operator` makes a new folder, on the manager's machine"


def no_connection(config: OperatorConfig, details: str) -> str:
    """Return what to say of a manager that was not reached, or not trusted, or would not talk."""
    details = details.rpartition("last error: ")[2]
    address, low = config.manager, details.lower()
    if "wrong_version_number" in low:
        return (
            f"What answers at {address} does not speak TLS, so it is not a manager. Nothing was "
            f"sent. Check the address in {config.path}."
        )
    if "handshake" in low or "certificate" in low:
        advice = _own_fault(config) or (
            f"Check that ca, certificate and key in {config.path} are of this manager."
        )
        return (
            f"No trusted connection to the manager at {address}: {sentence(details)} Nothing was "
            f"sent. {advice}"
        )
    if "socket closed" in low or "reset" in low or "broken pipe" in low:
        advice = _own_fault(config) or (
            f"It does not know this operator's certificate, or it has just stopped, or it is no "
            f"manager. Check that {config.path} is of this manager."
        )
        return f"The manager at {address} ended the connection ({details}). {advice}"
    return (
        f"Can't reach the manager at {address}: {sentence(details)} Check that it runs, and the "
        f"address in {config.path}."
    )


def _own_fault(config: OperatorConfig) -> str:
    """Return what is wrong with the operator's own files, "" if nothing is to be seen."""
    from cryptography import x509  # noqa: PLC0415  # heavy, and wanted after a failure only
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    try:
        certificate = x509.load_pem_x509_certificate(config.certificate)
        authority = x509.load_pem_x509_certificate(config.ca)
        key = serialization.load_pem_private_key(config.key, password=None)
    except (ValueError, TypeError) as error:  # TypeError: the key is under a password
        return f"A file that {config.path} names can't be used: {sentence(str(error))}"
    now = datetime.datetime.fromtimestamp(wall(), datetime.UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > ends:
        return f"This operator's certificate ended {ends:%Y-%m-%d %H:%M:%SZ}: {_NEW_ONE}."
    if now < begins:
        return (
            f"This operator's certificate begins {begins:%Y-%m-%d %H:%M:%SZ} only: is the clock of "
            f"this machine right?"
        )
    if certificate.public_key() != key.public_key():
        return f"The key that {config.path} names is not the one of the certificate."
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return f"The certificate that {config.path} names is not of the CA that it names."
    return ""
