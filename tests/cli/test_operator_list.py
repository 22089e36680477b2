"""`tdc operator list`: who withdrew a certificate, where somebody did."""

from __future__ import annotations

import pytest
from tdc.manager.cli.layout import as_text
from tdc.manager.cli.people_tables import certificate_pieces
from tdc.shared.wire.people_documents import OperatorCertificateDocument


@pytest.mark.parametrize(
    ("by", "shown"), [("ana", "10:00:00Z by ana: lost"), ("", "10:00:00Z: lost")]
)
def test_nobody_withdrew_what_went_with_its_user(by: str, shown: str) -> None:
    at = "2026-11-28T10:00:00Z"
    row = OperatorCertificateDocument("f" * 64, "bob", at, at, at, at, by, "lost")
    assert shown in as_text(certificate_pieces([row]), width=200, colour=False)
