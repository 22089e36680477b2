"""Why there is no trusted connection, in words for operators."""

from __future__ import annotations

from pathlib import Path

import pytest
from tdc.manager.cli.config import OperatorConfig
from tdc.manager.cli.unreached import no_connection

FAILED = (
    "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:7445: Ssl handshake "
    "failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:"
    "CERTIFICATE_VERIFY_FAILED"
)


@pytest.mark.parametrize("why", ["certificate is not yet valid", "certificate has expired"])
def test_a_wrong_clock_is_named_and_no_other_cause(why: str) -> None:
    """With a session, which has no certificate: neither the port nor the CA is wrong."""
    config = OperatorConfig(Path("operator.toml"), "m1:7445", b"", None, None)
    said = no_connection(config, f"{FAILED}: {why}: OK")
    assert "by this machine's clock: check that clock" in said
    assert "Z here." in said
    assert "port" not in said
    assert "operator port" in no_connection(config, FAILED)
