"""Why there is no trusted connection: a wrong clock is named, whatever one comes with."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from tdc.manager.cli.config import OperatorConfig, read_config
from tdc.manager.cli.unreached import no_connection

from tests.cli.scripted import write_operator

VERIFY = (
    "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:7445: Ssl handshake "
    "failed (TSI_PROTOCOL_FAILURE): SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:"
    "CERTIFICATE_VERIFY_FAILED: "
)


@pytest.mark.parametrize("why", ["certificate is not yet valid", "certificate has expired"])
@pytest.mark.parametrize("by", ["session", "certificate"])
def test_a_clock_that_is_wrong_is_named(tmp_path: Path, why: str, by: str) -> None:
    known = trustme.CA()
    config = read_config(write_operator(tmp_path, "127.0.0.1:7445", known, known))
    if by == "session":
        config = OperatorConfig(config.path, config.manager, config.ca, None, None, "tdc_s_x")
    said = no_connection(config, VERIFY + why)
    assert f"({why})" in said
    assert "check this machine's clock" in said
    assert "main port" not in said
    assert "belong to this manager" not in said


def test_without_a_certificate_another_port_may_be_the_cause(tmp_path: Path) -> None:
    config = OperatorConfig(tmp_path / "operator.toml", "127.0.0.1:7443", b"", None, None, "x")
    for details in (VERIFY + "unable to get local issuer certificate", "Socket closed"):
        assert "the main port lets in certificates alone" in no_connection(config, details)
